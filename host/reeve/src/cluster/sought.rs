//! One object that somebody names by its kind in whatever spelling, and the objects that own it: their metadata alone.
//!
//! All of it with the rights of whoever asks.

use kube::core::ApiResource;
use reeve_core::plan::Scope;
use serde_json::Value;

use super::Cluster;
use super::onlooker::METADATA;
use super::refusal::CallError;
use super::wire::Address;

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
