//! What the landlord writes: the objects of Tenants, as its own account, and what became of them.
//!
//! The controller has no right to any of it: these calls are for a process of its own with an account of its own. Which objects
//! there are to be is `core::landlord`'s to say; of those that are there only what bears our labels is looked at.

use kube::core::{ApiResource, ObjectMeta};
use reeve_api::name::{NamespaceName, ObjectName, TenantName};
use reeve_api::tenant::{Departure, Onboarding, Tenant};
use reeve_api::{DEFINED_BY, TENANT_LABEL};
use reeve_core::landlord::{MANAGED_BY, Made, Seen, Wanted};
use serde_json::{Value, json};

use super::Cluster;
use super::refusal::CallError;
use super::wire::{Address, Format, Patch};

/// Under whose name all of it is written.
const MANAGER: &str = "reeve-landlord";
/// How many objects of a kind are looked at in a namespace. There is one or two; who may write them there may mark more so.
const MOST: usize = 10_000;
/// How many of them are asked for at a time.
const PAGE: usize = 500;
const METADATA: &str = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";

/// An object of ours that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct There {
    pub(crate) name: String,
    /// Whether it is being deleted.
    pub(crate) going: bool,
    /// The definition of Tenants that it says it was made under.
    pub(crate) under: Option<String>,
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

    /// Whether the API server holds this account to the fence of that name. Asked by a dry run of what its roles let it do, and
    /// only the fence refuses: to make an account where the controller's own lies.
    pub(crate) async fn is_fenced(
        &self,
        fence: &ObjectName,
        home: &NamespaceName,
    ) -> Result<bool, CallError> {
        let how = Patch {
            format: Format::Apply,
            manager: MANAGER,
            dry_run: true,
            subresource: None,
        };
        let kind = Made::ServiceAccount;
        let name = format!("{fence}-fenced");
        let account = json!({
            "apiVersion": kind.api_version(), "kind": "ServiceAccount",
            "metadata": {"name": name, "namespace": home.as_str()},
        });
        let at = address(kind, Some(home), &name);
        let body = account.to_string().into_bytes();
        match self.own.patch(&at, how, body).await {
            Ok(_) => Ok(false),
            Err(CallError::Refused(why)) if is_denied_by(fence, &why.message) => Ok(true),
            Err(why) => Err(why),
        }
    }

    /// Makes what must not be there yet.
    pub(crate) async fn make_first(&self, wanted: &Wanted) -> Result<(), CallError> {
        let namespace = wanted.namespace.as_ref();
        let at = address(wanted.kind, namespace, &wanted.name);
        self.own.create(&at, &wanted.object).await.map(drop)
    }

    /// A namespace as it is now; None: there is none.
    pub(crate) async fn place(
        &self,
        name: &NamespaceName,
    ) -> Result<Option<(Seen, There)>, CallError> {
        let at = address(Made::Namespace, None, name.as_str());
        let Some(found) = self.own.get(&at).await? else {
            return Ok(None);
        };
        let meta: ObjectMeta = found
            .get("metadata")
            .cloned()
            .and_then(|meta| serde_json::from_value(meta).ok())
            .unwrap_or_default();
        let seen = Seen::new(
            meta.labels.unwrap_or_default(),
            &meta.annotations.unwrap_or_default(),
            meta.deletion_timestamp.is_some(),
        );
        let there = There {
            name: name.to_string(),
            going: seen.going,
            under: None,
            uid: meta.uid.unwrap_or_default(),
        };
        Ok(Some((seen, there)))
    }

    /// Deletes a namespace with all that is in it. The API server looks whether somebody has confirmed that, too.
    pub(crate) async fn raze(&self, there: &There) -> Result<(), CallError> {
        let at = address(Made::Namespace, None, &there.name);
        self.own.delete(&at, &there.uid).await.map(drop)
    }

    /// Holds a Tenant, or lets go of it; nothing is changed of one that is not as it was read.
    pub(crate) async fn hold_tenant(
        &self,
        read: &Tenant,
        finalizers: &[String],
    ) -> Result<(), CallError> {
        let meta = &read.metadata;
        let change = json!({"metadata": {
            "uid": meta.uid, "resourceVersion": meta.resource_version, "finalizers": finalizers,
        }});
        let body = change.to_string().into_bytes();
        let changed = self.own.patch(&tenant(read), merge(None), body).await;
        match changed {
            Err(why) if why.is_missing_object() => Ok(()),
            changed => changed.map(drop),
        }
    }

    /// What there is of a kind in a namespace that was made of the Tenant; None: of any. Of that name alone, if one is given.
    ///
    /// All of it: a tenant may mark its own objects so too, and as many as it likes.
    pub(crate) async fn made_of(
        &self,
        tenant: Option<&TenantName>,
        kind: Made,
        namespace: &NamespaceName,
        name: Option<&str>,
    ) -> Result<Vec<There>, CallError> {
        let (key, value) = MANAGED_BY;
        let (mark, ours) = (escaped(key), escaped(value));
        let label = escaped(TENANT_LABEL);
        let whose = match tenant {
            Some(tenant) => format!("{label}%3D{}", escaped(tenant.as_str())),
            None => label.to_string(),
        };
        let named = name.map_or_else(String::new, |name| {
            format!("&fieldSelector=metadata.name%3D{}", escaped(name))
        });
        let path = format!(
            "{}?labelSelector={whose}%2C{mark}%3D{ours}{named}&limit={PAGE}",
            address(kind, Some(namespace), "").collection()?,
        );
        let noted = format!("/metadata/annotations/{}", DEFINED_BY.replace('/', "~1"));
        let text = |item: &Value, pointer: &str| {
            let text = item.pointer(pointer).and_then(Value::as_str);
            text.map(str::to_owned)
        };
        let there = |item: &Value| {
            Some(There {
                name: text(item, "/metadata/name")?,
                going: item.pointer("/metadata/deletionTimestamp").is_some(),
                under: text(item, &noted),
                uid: text(item, "/metadata/uid")?,
            })
        };
        let (mut all, mut page) = (Vec::new(), path.clone());
        loop {
            let (items, next) = self.own.page_as(&page, METADATA).await?;
            all.extend(items.iter().filter_map(there));
            let Some(next) = next else {
                return Ok(all);
            };
            if all.len() >= MOST {
                let why = format!("{MOST} objects and more are marked as made of a Tenant");
                return Err(CallError::Garbled(why));
            }
            page = format!("{path}&continue={next}");
        }
    }

    /// That one object of a Tenant, by its name, if it is there.
    pub(crate) async fn made_as(
        &self,
        tenant: &TenantName,
        kind: Made,
        namespace: &NamespaceName,
        name: &str,
    ) -> Result<Option<There>, CallError> {
        let found = self.made_of(Some(tenant), kind, namespace, Some(name));
        Ok(found.await?.pop())
    }

    /// Suspends what delivered to a Tenant: what it applied stays when it is deleted after that. One that is gone needs nothing.
    pub(crate) async fn lay_down(
        &self,
        namespace: &NamespaceName,
        there: &There,
    ) -> Result<(), CallError> {
        let change = json!({"metadata": {"uid": there.uid}, "spec": {"suspend": true}});
        let body = change.to_string().into_bytes();
        let at = address(Made::Kustomization, Some(namespace), &there.name);
        match self.own.patch(&at, merge(None), body).await {
            Err(why) if why.is_missing_object() => Ok(()),
            done => done.map(drop),
        }
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
        read: &Tenant,
        onboarding: &Onboarding,
        departure: Option<&Departure>,
    ) -> Result<(), CallError> {
        let said = json!({"onboarding": onboarding, "departure": departure});
        let change = json!({"metadata": {"uid": read.metadata.uid}, "status": said});
        let body = change.to_string().into_bytes();
        let at = tenant(read);
        match self.own.patch(&at, merge(Some("status")), body).await {
            Ok(_) => Ok(()),
            Err(why) if why.is_missing_object() || why.is_conflict() => Ok(()),
            Err(why) => Err(why),
        }
    }
}

fn merge(subresource: Option<&'static str>) -> Patch<'static> {
    Patch {
        subresource,
        ..Patch::merge(MANAGER)
    }
}

fn tenant(read: &Tenant) -> Address {
    Address {
        resource: ApiResource::erase::<Tenant>(&()),
        namespace: None,
        name: read.metadata.name.clone().unwrap_or_default(),
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

/// Whether it is that policy that refuses, and neither a role that is missing nor another policy.
fn is_denied_by(fence: &ObjectName, message: &str) -> bool {
    message.contains(&format!("ValidatingAdmissionPolicy '{fence}' "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_refusal_of_the_fence_itself_is_one() {
        let fence: ObjectName = "reeve-landlord".parse().unwrap();
        let denied = |policy: &str| {
            format!(
                "serviceaccounts \"reeve-landlord-fenced\" is forbidden: ValidatingAdmissionPolicy '{policy}' with binding '{policy}' denied request: no"
            )
        };
        assert!(is_denied_by(&fence, &denied("reeve-landlord")));
        assert!(!is_denied_by(&fence, &denied("another")));
        assert!(!is_denied_by(&fence, &denied("reeve-landlord-2")));
        let role = "serviceaccounts \"reeve-landlord-fenced\" is forbidden: User \"reeve-landlord\" cannot patch resource \"serviceaccounts\"";
        assert!(!is_denied_by(&fence, role));
    }
}
