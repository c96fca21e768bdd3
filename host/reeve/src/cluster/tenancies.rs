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
use super::refusal::{Attempt, CallError};
use super::wire::{Address, Patch};

/// Under whose name the changes are written.
const MANAGER: &str = "reeve-cli";

/// What a namespace bears of whose it is, and which adopting it changes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Borne {
    /// The Tenant by its label.
    pub(crate) label: Option<String>,
    made: Option<String>,
    confirmed: Option<String>,
}

impl Borne {
    /// By a namespace, as it was read.
    pub(crate) fn by(namespace: &Value) -> Self {
        let text = |of: &str, key: &str| {
            let all = namespace.get("metadata")?.get(of)?;
            all.get(key)?.as_str().map(str::to_owned)
        };
        let (made, _) = MADE_BY;
        Self {
            label: text("labels", TENANT_LABEL),
            made: text("annotations", made),
            confirmed: text("annotations", CONFIRM_DELETE),
        }
    }

    /// In a merge patch null takes away what was not there.
    fn patch(&self) -> Value {
        let (made, _) = MADE_BY;
        json!({"metadata": {
            "labels": {TENANT_LABEL: self.label},
            "annotations": {made: self.made, CONFIRM_DELETE: self.confirmed},
        }})
    }
}

impl Cluster {
    /// Makes a Tenant; an error if there is one.
    pub(crate) async fn create_tenant(&self, object: &Value) -> Result<(), CallError> {
        self.own.create(&tenant(""), object).await.map(drop)
    }

    /// Whether it would be made, as far as the API server can say.
    pub(crate) async fn try_tenant(&self, object: &Value) -> Result<(), CallError> {
        let uri = format!("{}?dryRun=All", tenant("").collection()?);
        self.own.post(uri, object, Attempt::DryRun).await.map(drop)
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
        self.mark_namespace(name, &adopted(tenant), false).await
    }

    /// Whether it could be said.
    pub(crate) async fn try_adopting(
        &self,
        name: &NamespaceName,
        tenant: &TenantName,
    ) -> Result<(), CallError> {
        self.mark_namespace(name, &adopted(tenant), true).await
    }

    /// Has the namespace bear what it has borne.
    pub(crate) async fn label_again(
        &self,
        name: &NamespaceName,
        borne: &Borne,
    ) -> Result<(), CallError> {
        self.mark_namespace(name, borne, false).await
    }

    async fn mark_namespace(
        &self,
        name: &NamespaceName,
        borne: &Borne,
        dry_run: bool,
    ) -> Result<(), CallError> {
        let how = Patch {
            dry_run,
            ..Patch::merge(MANAGER)
        };
        let body = borne.patch().to_string().into_bytes();
        self.own.patch(&namespace(name), how, body).await.map(drop)
    }
}

fn adopted(tenant: &TenantName) -> Borne {
    Borne {
        label: Some(tenant.to_string()),
        ..Borne::default()
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
    fn a_namespace_that_is_adopted_in_vain_bears_what_it_has_borne() {
        let (made, by) = MADE_BY;
        let before = json!({"metadata": {
            "name": "a", "labels": {TENANT_LABEL: "beta", "x": "y"}, "annotations": {made: by},
        }});
        let again = Borne::by(&before).patch();
        let (labels, annotations) = (
            json!({TENANT_LABEL: "beta"}),
            json!({made: by, CONFIRM_DELETE: null}),
        );
        let want = json!({"metadata": {"labels": labels, "annotations": annotations}});
        assert_eq!(again, want);
        let bare = Borne::by(&json!({"metadata": {"name": "a"}}));
        assert_eq!(bare, Borne::default());
        let patch = adopted(&"acme".parse().unwrap()).patch();
        let label = patch.pointer("/metadata/labels");
        assert_eq!(label, Some(&json!({TENANT_LABEL: "acme"})));
    }

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
