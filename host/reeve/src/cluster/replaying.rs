//! What `reeve policy replay` leaves on the cluster for a moment: a Policy that is a question, and where its rules are of
//! another revision, a GitRepository that belongs to it.
//!
//! Written with the rights of whoever asks; the controller only deletes what was forgotten.

use kube::core::ApiResource;
use reeve_api::name::NamespacedName;
use serde_json::{Value, json};

use super::Cluster;
use super::refusal::CallError;
use super::wire::{Address, Patch};

/// Under whose name the page that is wanted is written.
const MANAGER: &str = "reeve-cli";

impl Cluster {
    /// A Policy as it is.
    pub(crate) async fn policy(&self, name: &str) -> Result<Option<Value>, CallError> {
        self.own.get(&policy(name)).await
    }

    /// A GitRepository as it is.
    pub(crate) async fn git_repository(
        &self,
        id: &NamespacedName,
    ) -> Result<Option<Value>, CallError> {
        self.own.get(&git_repository(id)).await
    }

    /// Makes a Policy that is a question.
    pub(crate) async fn begin_replay(
        &self,
        name: &str,
        object: &Value,
    ) -> Result<Value, CallError> {
        self.own.create(&policy(name), object).await
    }

    /// Asks for the page after a Kustomization.
    pub(crate) async fn turn_page(&self, name: &str, after: &str) -> Result<Value, CallError> {
        let how = Patch::merge(MANAGER);
        let body = json!({"spec": {"replay": {"after": after}}});
        self.own
            .patch(&policy(name), how, body.to_string().into_bytes())
            .await
    }

    /// Deletes exactly that one. False: it was gone already.
    pub(crate) async fn end_replay(&self, name: &str, uid: &str) -> Result<bool, CallError> {
        self.own.delete(&policy(name), uid).await
    }

    /// Makes the GitRepository of one.
    pub(crate) async fn begin_source(
        &self,
        id: &NamespacedName,
        object: &Value,
    ) -> Result<Value, CallError> {
        self.own.create(&git_repository(id), object).await
    }

    /// Deletes exactly that one. False: it was gone already.
    pub(crate) async fn end_source(
        &self,
        id: &NamespacedName,
        uid: &str,
    ) -> Result<bool, CallError> {
        self.own.delete(&git_repository(id), uid).await
    }
}

fn policy(name: &str) -> Address {
    Address {
        resource: ApiResource {
            group: "reeve.dev".into(),
            version: "v1alpha1".into(),
            api_version: "reeve.dev/v1alpha1".into(),
            kind: "Policy".into(),
            plural: "policies".into(),
        },
        namespace: None,
        name: name.to_owned(),
    }
}

fn git_repository(id: &NamespacedName) -> Address {
    Address {
        resource: ApiResource {
            group: "source.toolkit.fluxcd.io".into(),
            version: "v1".into(),
            api_version: "source.toolkit.fluxcd.io/v1".into(),
            kind: "GitRepository".into(),
            plural: "gitrepositories".into(),
        },
        namespace: Some(id.namespace.to_string()),
        name: id.name.to_string(),
    }
}
