//! What the landlord writes: the objects of Tenants, as its own account, and what became of them.
//!
//! The controller has no right to any of it: these calls are for a process of its own with an account of its own. Which objects
//! there are to be is `core::landlord`'s to say; of those that are there only what bears our labels is looked at.

use kube::core::ApiResource;
use reeve_api::TENANT_LABEL;
use reeve_api::name::{NamespaceName, TenantName};
use reeve_api::tenant::{Onboarding, Tenant};
use reeve_core::landlord::{MANAGED_BY, Made, Wanted};
use serde_json::{Value, json};

use super::Cluster;
use super::refusal::CallError;
use super::wire::{Address, Format, Patch};

/// Under whose name all of it is written.
const MANAGER: &str = "reeve-landlord";
/// How many objects of a kind are looked for in a namespace: there is one or two.
const MOST: usize = 100;
const METADATA: &str = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";

/// An object of ours that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct There {
    pub(crate) name: String,
    uid: String,
}

/// The kind, as requests name it.
pub(crate) fn resource(kind: Made) -> ApiResource {
    let (group, version, called, plural) = kind.names();
    ApiResource {
        group: group.into(),
        version: version.into(),
        api_version: kind.api_version(),
        kind: called.into(),
        plural: plural.into(),
    }
}

/// The label selector of what is made of any Tenant.
pub(crate) fn selector() -> String {
    let (key, value) = MANAGED_BY;
    format!("{key}={value}")
}

impl Cluster {
    /// Makes the object, or makes it again what it should be.
    pub(crate) async fn furnish(&self, wanted: &Wanted) -> Result<(), CallError> {
        let how = Patch {
            format: Format::Apply,
            manager: MANAGER,
            dry_run: false,
            subresource: None,
        };
        let body = wanted.object.to_string().into_bytes();
        let namespace = wanted.namespace.as_ref();
        let at = address(wanted.kind, namespace, &wanted.name);
        self.own.patch(&at, how, body).await.map(drop)
    }

    /// What there is of a kind in a namespace that was made of the Tenant.
    pub(crate) async fn made_of(
        &self,
        tenant: &TenantName,
        kind: Made,
        namespace: &NamespaceName,
    ) -> Result<Vec<There>, CallError> {
        let (key, value) = MANAGED_BY;
        let (mark, ours) = (escaped(key), escaped(value));
        let path = format!(
            "{}?labelSelector={}%3D{}%2C{mark}%3D{ours}&limit={MOST}",
            address(kind, Some(namespace), "").collection()?,
            escaped(TENANT_LABEL),
            escaped(tenant.as_str()),
        );
        let body = self.own.read(&path, METADATA).await?;
        let list: Value = serde_json::from_slice(&body)
            .map_err(|why| CallError::Garbled(format!("a list: column {}", why.column())))?;
        let text = |item: &Value, pointer: &str| {
            let text = item.pointer(pointer).and_then(Value::as_str);
            text.map(str::to_owned)
        };
        let there = |item: &Value| {
            Some(There {
                name: text(item, "/metadata/name")?,
                uid: text(item, "/metadata/uid")?,
            })
        };
        let items = list.get("items").and_then(Value::as_array);
        Ok(items.into_iter().flatten().filter_map(there).collect())
    }

    /// Deletes what was made of a Tenant and is not to be there any more.
    pub(crate) async fn discard(
        &self,
        kind: Made,
        namespace: &NamespaceName,
        there: &There,
    ) -> Result<(), CallError> {
        let at = address(kind, Some(namespace), &there.name);
        self.own.delete(&at, &there.uid).await.map(drop)
    }

    /// Says in the Tenant's status what became of it. One that is gone, or was made anew, is told nothing.
    pub(crate) async fn tell_onboarding(
        &self,
        tenant: &Tenant,
        onboarding: &Onboarding,
    ) -> Result<(), CallError> {
        let at = Address {
            resource: ApiResource::erase::<Tenant>(&()),
            namespace: None,
            name: tenant.metadata.name.clone().unwrap_or_default(),
        };
        let how = Patch {
            format: Format::Merge,
            manager: MANAGER,
            dry_run: false,
            subresource: Some("status"),
        };
        let change =
            json!({"metadata": {"uid": tenant.metadata.uid}, "status": {"onboarding": onboarding}});
        let body = change.to_string().into_bytes();
        match self.own.patch(&at, how, body).await {
            Ok(_) => Ok(()),
            Err(why) if why.is_missing_object() || why.is_conflict() => Ok(()),
            Err(why) => Err(why),
        }
    }
}

fn address(kind: Made, namespace: Option<&NamespaceName>, name: &str) -> Address {
    Address {
        resource: resource(kind),
        namespace: namespace.map(ToString::to_string),
        name: name.to_owned(),
    }
}

fn escaped(text: &str) -> percent_encoding::PercentEncode<'_> {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC)
}
