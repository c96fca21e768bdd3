//! What `reeve tenant` writes: Tenants, and the label of a namespace that is adopted; and whose namespaces are by that label.
//!
//! All of it with the rights of whoever runs the command. What is then made of a Tenant is the landlord's.

use kube::core::ApiResource;
use reeve_api::name::{NamespaceName, TenantName};
use reeve_api::tenant::Tenant;
use reeve_api::{CONFIRM_DELETE, MADE_BY, TENANT_LABEL};
use reeve_core::landlord::Made;
use serde_json::{Value, json};

use super::Cluster;
use super::landlording::resource;
use super::refusal::CallError;
use super::wire::{Address, Patch};

/// Under whose name the changes are written.
const MANAGER: &str = "reeve-cli";

impl Cluster {
    /// Makes a Tenant; an error if there is one.
    pub(crate) async fn create_tenant(&self, object: &Value) -> Result<(), CallError> {
        self.own.create(&tenant(""), object).await.map(drop)
    }

    /// Changes a Tenant's spec, by a merge patch; nothing is changed of one that is not as it was read.
    pub(crate) async fn change_tenant(&self, read: &Tenant, spec: &Value) -> Result<(), CallError> {
        let meta = &read.metadata;
        let at = tenant(meta.name.as_deref().unwrap_or_default());
        let same = json!({"uid": meta.uid, "resourceVersion": meta.resource_version});
        let body = json!({"metadata": same, "spec": spec}).to_string();
        self.own
            .patch(&at, Patch::merge(MANAGER), body.into_bytes())
            .await
            .map(drop)
    }

    /// Deletes exactly the Tenant that was read. False: it was gone already.
    pub(crate) async fn remove_tenant(&self, read: &Tenant) -> Result<bool, CallError> {
        let meta = &read.metadata;
        let at = tenant(meta.name.as_deref().unwrap_or_default());
        let uid = meta.uid.as_deref().unwrap_or_default();
        self.own.delete(&at, uid).await
    }

    /// The namespace; None: there is none.
    pub(crate) async fn namespace(&self, name: &NamespaceName) -> Result<Option<Value>, CallError> {
        self.own.get(&namespace(name)).await
    }

    /// Whose namespaces are by their labels. Those without one are left out.
    pub(crate) async fn marks(&self) -> Result<Vec<(NamespaceName, TenantName)>, CallError> {
        let all = self.pages(&namespace_at("").collection()?).await?;
        Ok(all.iter().filter_map(marked).collect())
    }

    /// Confirms that the namespace may be deleted, with all that is in it, with the Tenant of this uid.
    pub(crate) async fn confirm_deletion(
        &self,
        name: &NamespaceName,
        uid: &str,
    ) -> Result<(), CallError> {
        let body = json!({"metadata": {"annotations": {CONFIRM_DELETE: uid}}});
        let body = body.to_string().into_bytes();
        self.own
            .patch(&namespace(name), Patch::merge(MANAGER), body)
            .await
            .map(drop)
    }

    /// Says whose the namespace is from now on. Whoever was made it for before: for this Tenant it was there, and stays when that goes.
    pub(crate) async fn adopt_namespace(
        &self,
        name: &NamespaceName,
        tenant: &TenantName,
    ) -> Result<(), CallError> {
        let (made, _) = MADE_BY;
        let body = json!({"metadata": {
            "labels": {TENANT_LABEL: tenant}, "annotations": {made: null, CONFIRM_DELETE: null},
        }});
        let body = body.to_string().into_bytes();
        self.own
            .patch(&namespace(name), Patch::merge(MANAGER), body)
            .await
            .map(drop)
    }

    /// Has the namespace bear the label that it had; None: it had none.
    pub(crate) async fn label_again(
        &self,
        name: &NamespaceName,
        labelled: Option<&str>,
    ) -> Result<(), CallError> {
        // In a merge patch null takes it away.
        let body = json!({"metadata": {"labels": {TENANT_LABEL: labelled}}});
        let body = body.to_string().into_bytes();
        self.own
            .patch(&namespace(name), Patch::merge(MANAGER), body)
            .await
            .map(drop)
    }
}

fn tenant(name: &str) -> Address {
    Address {
        resource: ApiResource::erase::<Tenant>(&()),
        namespace: None,
        name: name.to_owned(),
    }
}

fn namespace(name: &NamespaceName) -> Address {
    namespace_at(name.as_str())
}

fn namespace_at(name: &str) -> Address {
    Address {
        resource: resource(Made::Namespace),
        namespace: None,
        name: name.to_owned(),
    }
}

/// Whose a namespace is by its label; None: it has none.
pub(crate) fn marked(namespace: &Value) -> Option<(NamespaceName, TenantName)> {
    let name = namespace.pointer("/metadata/name")?.as_str()?;
    let labels = namespace.pointer("/metadata/labels")?;
    let whose = labels.get(TENANT_LABEL)?.as_str()?;
    Some((name.parse().ok()?, whose.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespace_is_whose_label_it_bears() {
        let bears = |labels: Value| {
            let found = marked(&json!({"metadata": {"name": "a", "labels": labels}}));
            found.map(|(name, whose)| format!("{name} {whose}"))
        };
        assert_eq!(
            bears(json!({"reeve.dev/tenant": "acme"})).as_deref(),
            Some("a acme")
        );
        assert_eq!(bears(json!({"reeve.dev/tenant": "No Name"})), None);
        assert_eq!(bears(json!({})), None);
        assert_eq!(bears(Value::Null), None);
    }
}
