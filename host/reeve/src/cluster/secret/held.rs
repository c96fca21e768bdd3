//! A Secret that is added to: the key pair of a GitRepository that asks for one.
//!
//! Written as whoever owns the namespace, like it is read: in a tenant's namespace as the tenant's own account. It is made only
//! where there is none, and changed only as it was read; what else is in it stays. What it deliberately doesn't: delete one.
//! One that was made here belongs to its object and goes with it.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kube::Resource;
use reeve_api::name::{ObjectName, Secret};
use serde_json::{Map, Value, json};

use super::{SECRET, SecretData, SecretError, SecretOwner, address, data};
use crate::cluster::Cluster;
use crate::cluster::refusal::CallError;
use crate::cluster::tenant_client::header;

/// A Secret as it was read; it need not be there.
pub(crate) struct Held {
    owner: SecretOwner,
    name: ObjectName,
    object: Option<Value>,
}

impl Held {
    /// What it holds.
    pub(crate) fn data(&self) -> SecretData {
        self.object.as_ref().map(data).unwrap_or_default()
    }
}

impl Cluster {
    /// Reads a Secret that may have to be made.
    pub(crate) async fn held(
        &self,
        owner: &SecretOwner,
        name: &ObjectName,
    ) -> Result<Held, SecretError> {
        let object = match self.settings(owner, SECRET, "Secret", name).await {
            Ok(object) => Some(object),
            Err(SecretError::Missing { .. }) => None,
            Err(why) => return Err(why),
        };
        Ok(Held {
            owner: owner.clone(),
            name: name.clone(),
            object,
        })
    }

    /// Puts entries into it, or takes them out (None). One that is made belongs to `object`.
    pub(crate) async fn hold<K: Resource<DynamicType = ()>>(
        &self,
        held: &mut Held,
        entries: &BTreeMap<&str, Option<&Secret>>,
        object: &K,
    ) -> Result<(), SecretError> {
        let account = held.owner.account();
        let wire = match &account {
            Some(account) => self.own.acting_as(header(account)),
            None => self.own.clone(),
        };
        let at = address(SECRET, "Secret", &held.owner, &held.name);
        let written = match &held.object {
            Some(before) => wire.replace(&at, &changed(before.clone(), entries)).await,
            None => {
                let made = made(held, object);
                wire.create(&at, &changed(made, entries)).await
            }
        };
        match written {
            Ok(now) => {
                held.object = Some(now);
                Ok(())
            }
            Err(said) => Err(SecretError::Unwritable {
                namespace: held.owner.namespace.to_string(),
                name: held.name.to_string(),
                account,
                why: without_values(&said),
                said,
            }),
        }
    }
}

/// An admission webhook may quote what it was shown.
fn without_values(why: &CallError) -> String {
    match why {
        CallError::Refused(refusal) => refusal.without_values(),
        why => why.to_string(),
    }
}

fn made<K: Resource<DynamicType = ()>>(held: &Held, object: &K) -> Value {
    let meta = object.meta();
    json!({
        "apiVersion": "v1", "kind": "Secret", "type": "Opaque",
        "metadata": {
            "namespace": held.owner.namespace, "name": held.name,
            "ownerReferences": [{
                "apiVersion": K::api_version(&()), "kind": K::kind(&()),
                "name": meta.name, "uid": meta.uid,
            }],
        },
    })
}

fn changed(mut object: Value, entries: &BTreeMap<&str, Option<&Secret>>) -> Value {
    let Some(fields) = object.as_object_mut() else {
        return object;
    };
    let all = fields.entry("data").or_insert(Value::Null);
    if all.is_null() {
        *all = Value::Object(Map::new());
    }
    if let Some(all) = all.as_object_mut() {
        for (key, value) in entries {
            match value {
                Some(value) => {
                    let encoded = STANDARD.encode(value.expose());
                    all.insert((*key).to_owned(), encoded.into());
                }
                None => {
                    let _was_there = all.remove(*key);
                }
            }
        }
    }
    object
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_else_is_in_a_secret_stays() {
        let (new, next) = (Secret::new("new"), Secret::new("next"));
        let entries = BTreeMap::from([
            ("identity", Some(&new)),
            ("identity.next", None),
            ("identity.pub", Some(&next)),
        ]);
        let before = json!({
            "metadata": {"resourceVersion": "7"},
            "data": {"known_hosts": "aA==", "identity": "b2xk", "identity.next": "eA=="},
        });
        let after = changed(before, &entries);
        let want = json!({"known_hosts": "aA==", "identity": "bmV3", "identity.pub": "bmV4dA=="});
        assert_eq!(after["data"], want);
        assert_eq!(after["metadata"]["resourceVersion"], "7");
        for empty in [json!({}), json!({"data": null})] {
            assert_eq!(changed(empty, &entries)["data"]["identity"], "bmV3");
        }
    }
}
