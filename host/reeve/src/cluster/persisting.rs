//! What a WriteBack reads of the cluster: as its account, and nothing of it with the controller's own rights.
//!
//! Objects one by one, and what the API server would fill in if one was applied: a dry run, by which nothing is written. What
//! becomes of the objects of a kind is watched by their metadata ([`glance`](super::glance)). What a file of an object needs not say is
//! found out by a dry run, too ([`lean`](Persisting::lean)). It deliberately has no other verb; what is made of what was read is
//! `core::writeback`'s.

mod lean;

use std::sync::Arc;

use reeve_api::name::{NamespaceName, ServiceAccountName};
use reeve_core::drift::MANAGER;
use reeve_core::inventory::ObjectId;
use reeve_core::plan::Scope;
use serde_json::Value;

use super::Cluster;
use super::discovery::Discovery;
use super::refusal::CallError;
use super::tenant_client::header;
use super::wire::{Address, Format, Patch, Wire};

/// The cluster, as whom a WriteBack reads it.
#[derive(Clone)]
pub(crate) struct Persisting {
    wire: Wire,
    discovery: Arc<Discovery>,
    account: String,
}

/// A kind that is served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Meant {
    pub(crate) group: String,
    pub(crate) version: String,
    pub(crate) kind: String,
    pub(crate) plural: String,
    pub(crate) namespaced: bool,
}

impl Cluster {
    /// The cluster as this account, to read.
    pub(crate) fn persisting(
        &self,
        namespace: &NamespaceName,
        account: &ServiceAccountName,
    ) -> Persisting {
        let account = format!("system:serviceaccount:{namespace}:{account}");
        Persisting {
            wire: self.own.acting_as(header(&account)),
            discovery: Arc::clone(&self.discovery),
            account,
        }
    }

    /// The cluster as whoever is connected to it, to read.
    pub(crate) fn persisting_as_connected(&self) -> Persisting {
        Persisting {
            wire: self.own.clone(),
            discovery: Arc::clone(&self.discovery),
            account: "who is connected".to_owned(),
        }
    }

    /// The kinds that are meant, by their group and plural.
    pub(crate) async fn kinds_meant(&self, means: impl Fn(&str, &str) -> bool) -> Vec<Meant> {
        let meant = self.discovery.meant(means).await.into_iter();
        let meant = meant.map(|(resource, scope)| Meant {
            group: resource.group,
            version: resource.version,
            kind: resource.kind,
            plural: resource.plural,
            namespaced: scope == Scope::Namespaced,
        });
        meant.collect()
    }
}

impl Persisting {
    /// As whom everything here is read: `system:serviceaccount:<namespace>:<name>`.
    pub(crate) fn account(&self) -> &str {
        &self.account
    }

    /// The object as it is, in this version of its kind or else in the preferred one; None: there is none.
    pub(crate) async fn live(
        &self,
        id: &ObjectId,
        version: Option<&str>,
    ) -> Result<Option<Value>, CallError> {
        match self.address(id, version).await? {
            Some(at) => self.wire.get(&at).await,
            None => Ok(None),
        }
    }

    /// What the object would be if this was applied to it, with all that the API server fills in. Nothing is written.
    pub(crate) async fn rehearsed(
        &self,
        id: &ObjectId,
        version: &str,
        manifest: &Value,
    ) -> Result<Value, CallError> {
        let Some(at) = self.address(id, Some(version)).await? else {
            return Err(CallError::UnknownKind {
                kind: id.kind.clone(),
                api_version: version.to_owned(),
            });
        };
        let how = Patch {
            format: Format::Apply,
            manager: MANAGER,
            dry_run: true,
            subresource: None,
        };
        self.wire
            .patch(&at, how, manifest.to_string().into_bytes())
            .await
    }

    async fn address(
        &self,
        id: &ObjectId,
        version: Option<&str>,
    ) -> Result<Option<Address>, CallError> {
        let found = self.discovery.find(&id.group, version, &id.kind).await?;
        let Some((resource, scope)) = found else {
            return Ok(None);
        };
        let namespace = match (scope, id.namespace.as_str()) {
            (Scope::Namespaced, namespace) if !namespace.is_empty() => Some(namespace.to_owned()),
            (Scope::Cluster, "") => None,
            _ => return Err(CallError::OtherScope),
        };
        Ok(Some(Address {
            resource,
            namespace,
            name: id.name.clone(),
        }))
    }
}
