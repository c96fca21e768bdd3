//! What the landlord writes: the objects of Tenants, as its own account, and what became of them.
//!
//! The controller has no right to any of it: these calls are for a process of its own with an account of its own. Which objects
//! there are to be is `core::landlord`'s to say; of those that are there only what bears our labels is looked at.

use jiff::Timestamp;
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
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct There {
    pub(crate) name: String,
    /// When it was made, as the API server writes it: in the order of time.
    pub(crate) made: String,
    /// Since when it is being deleted, if it is.
    pub(crate) since: Option<Timestamp>,
    /// Who has to let go of it before it is gone.
    pub(crate) finalizers: Vec<String>,
    /// The definition of Tenants that it says it was made under.
    pub(crate) under: Option<String>,
    pub(crate) uid: String,
}

/// What there is of a kind.
#[derive(Debug, Default)]
pub(crate) struct Stock {
    pub(crate) there: Vec<There>,
    /// Whether there is more than anybody looks at.
    pub(crate) more: bool,
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
            uid: meta.uid.unwrap_or_default(),
            ..There::default()
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
    /// All of it, up to a bound: a tenant may mark its own objects so too, and as many as it likes.
    pub(crate) async fn made_of(
        &self,
        tenant: Option<&TenantName>,
        kind: Made,
        namespace: &NamespaceName,
        name: Option<&str>,
    ) -> Result<Stock, CallError> {
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
        let (mut stock, mut page) = (Stock::default(), path.clone());
        loop {
            let (items, next) = self.own.page_as(&page, METADATA).await?;
            stock.there.extend(items.iter().filter_map(there));
            let Some(next) = next else {
                return Ok(stock);
            };
            if stock.there.len() >= MOST {
                stock.more = true;
                return Ok(stock);
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
        Ok(found.await?.there.pop())
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

/// What is to be known of an object by its metadata.
fn there(item: &Value) -> Option<There> {
    let meta = item.get("metadata")?;
    let text = |key: &str| meta.get(key).and_then(Value::as_str);
    let noted = meta.get("annotations").and_then(|all| all.get(DEFINED_BY));
    let finalizers = meta.get("finalizers").and_then(Value::as_array);
    let finalizers = finalizers.into_iter().flatten().filter_map(Value::as_str);
    let since = text("deletionTimestamp").map(|since| {
        // It goes; whatever this may mean, nothing is given up early for it.
        since.parse().unwrap_or(Timestamp::MAX)
    });
    Some(There {
        name: text("name")?.to_owned(),
        made: text("creationTimestamp").unwrap_or_default().to_owned(),
        since,
        finalizers: finalizers.map(str::to_owned).collect(),
        under: noted.and_then(Value::as_str).map(str::to_owned),
        uid: text("uid")?.to_owned(),
    })
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
    fn what_goes_says_since_when_and_who_has_to_let_go_of_it() {
        let read = |meta: Value| there(&json!({ "metadata": meta }));
        let stays = json!({"name": "a", "uid": "1", "creationTimestamp": "2026-01-01T00:00:00Z"});
        let stays = read(stays).unwrap();
        assert_eq!(
            (stays.since, stays.made.as_str()),
            (None, "2026-01-01T00:00:00Z")
        );
        let goes = read(json!({
            "name": "a", "uid": "1", "deletionTimestamp": "1970-01-01T00:00:07Z",
            "finalizers": ["x/y"], "annotations": {DEFINED_BY: "crd"},
        }));
        let goes = goes.unwrap();
        assert_eq!(goes.since, Some(Timestamp::from_second(7).unwrap()));
        assert_eq!(
            (goes.finalizers, goes.under.as_deref()),
            (vec!["x/y".to_owned()], Some("crd"))
        );
        assert_eq!(read(json!({"name": "a"})), None);
    }

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
