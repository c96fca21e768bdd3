//! One object that somebody names by its kind in whatever spelling, and the objects that own it: their metadata alone, or all of
//! one that is no Secret.
//!
//! All of it with the rights of whoever asks. What is changed of it is what whoever asks says: nothing is decided here.

use kube::core::ApiResource;
use reeve_core::plan::Scope;
use serde_json::Value;

use super::Cluster;
use super::onlooker::METADATA;
use super::refusal::CallError;
use super::wire::{Address, Patch};

/// Under whose name changes are written.
const MANAGER: &str = "reeve-cli";

/// An object that was found.
#[derive(Debug, Clone)]
pub(crate) struct Sought {
    pub(crate) group: String,
    pub(crate) kind: String,
    /// Empty where its kind lives in no namespace.
    pub(crate) namespace: String,
    pub(crate) name: String,
    /// The object, but for everything that is no metadata.
    pub(crate) object: Value,
}

impl Sought {
    /// `Kind/namespace/name`, or `Kind/name`.
    pub(crate) fn subject(&self) -> String {
        match self.namespace.as_str() {
            "" => format!("{}/{}", self.kind, self.name),
            namespace => format!("{}/{namespace}/{}", self.kind, self.name),
        }
    }
}

impl Cluster {
    /// The object of that name and kind: `deploy`, `deployments`, `Deployment` or `deployments.apps`; None: it is not there.
    pub(crate) async fn seek(
        &self,
        kind: &str,
        namespace: &str,
        name: &str,
    ) -> Result<Option<Sought>, CallError> {
        let Some((resource, scope)) = self.discovery.called(kind).await? else {
            return Err(CallError::UnknownKind {
                kind: kind.to_owned(),
                api_version: "any".to_owned(),
            });
        };
        self.sought(resource, scope, namespace, name).await
    }

    /// The object that owns one by this reference; None: it is not there, or nobody serves its kind.
    pub(crate) async fn seek_owner(
        &self,
        reference: &Value,
        namespace: &str,
    ) -> Result<Option<Sought>, CallError> {
        let text = |key: &str| {
            reference
                .get(key)
                .and_then(Value::as_str)
                .unwrap_or_default()
        };
        let api_version = text("apiVersion");
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        let found = self.discovery.find(group, Some(version), text("kind"));
        match found.await? {
            Some((resource, scope)) => self.sought(resource, scope, namespace, text("name")).await,
            None => Ok(None),
        }
    }

    /// All of an object that was sought; None: it is gone. What a Secret holds nobody needs to look at.
    pub(crate) async fn whole(&self, sought: &Sought) -> Result<Option<Value>, CallError> {
        let at = self.place_of(sought).await?;
        match at.resource.kind == "Secret" && at.resource.group.is_empty() {
            true => self.own.get_as(&at, METADATA).await,
            false => self.own.get(&at).await,
        }
    }

    /// Asks the API server whether it would take a change of it, a merge patch, from whoever is connected. Nothing is written.
    pub(crate) async fn rehearse_change(
        &self,
        sought: &Sought,
        change: &Value,
    ) -> Result<(), CallError> {
        let how = Patch {
            dry_run: true,
            ..Patch::merge(MANAGER)
        };
        let body = change.to_string().into_bytes();
        let at = self.place_of(sought).await?;
        self.own.patch(&at, how, body).await.map(drop)
    }

    /// Changes it, by a merge patch.
    pub(crate) async fn change_sought(
        &self,
        sought: &Sought,
        change: &Value,
    ) -> Result<(), CallError> {
        let body = change.to_string().into_bytes();
        let at = self.place_of(sought).await?;
        self.own
            .patch(&at, Patch::merge(MANAGER), body)
            .await
            .map(drop)
    }

    async fn place_of(&self, sought: &Sought) -> Result<Address, CallError> {
        let found = self
            .discovery
            .find(&sought.group, None, &sought.kind)
            .await?;
        let (resource, _) = found.ok_or_else(|| CallError::UnknownKind {
            kind: sought.kind.clone(),
            api_version: "any".to_owned(),
        })?;
        Ok(Address {
            resource,
            namespace: Some(sought.namespace.clone()).filter(|at| !at.is_empty()),
            name: sought.name.clone(),
        })
    }

    async fn sought(
        &self,
        resource: ApiResource,
        scope: Scope,
        namespace: &str,
        name: &str,
    ) -> Result<Option<Sought>, CallError> {
        let at = Address {
            resource,
            namespace: (scope == Scope::Namespaced).then(|| namespace.to_owned()),
            name: name.to_owned(),
        };
        let found = self.own.get_as(&at, METADATA).await?;
        Ok(found.map(|object| Sought {
            group: at.resource.group,
            kind: at.resource.kind,
            namespace: at.namespace.unwrap_or_default(),
            name: at.name,
            object,
        }))
    }
}
