//! What others have added to an object that was applied: fields that nobody's manifest has; and what Kubernetes has, to any.
//!
//! A dry run of applying the manifest again keeps them, as a server-side apply does, so that they look like what the API server
//! fills in. Who claims them tells them apart: nobody claims what is filled in. What Kubernetes itself adds (the node of a claim,
//! the address of a Service) is filled in, too, and what goes by a subresource is what that says. Lists whose items have no key are
//! taken as a whole.

use serde_json::{Map, Value};

use crate::drift::is_ours;

/// Who fills in, and adds nothing.
const KUBERNETES: [&str; 5] = [
    "cloud-controller-manager",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kubelet",
];

/// In which field of a volume its claim stands.
const CLAIM: &str = "claimRef";

/// What a dry run of applying `applied` gave, without what others have added to it, as `live` tells it.
pub fn without_additions(mut rehearsed: Value, applied: &Value, live: &Value) -> Value {
    let claims = live.pointer("/metadata/managedFields");
    let claims = claims.and_then(Value::as_array).into_iter().flatten();
    for claim in claims.filter(|claim| adds(claim)) {
        if let Some(Value::Object(fields)) = claim.get("fieldsV1") {
            take_out(&mut rehearsed, Some(applied), fields);
        }
    }
    rehearsed
}

/// An object that somebody has made, without what Kubernetes has added to it: the volume that a claim was bound to, and what keeps
/// it from going while it is in use. A volume stays that of its claim, whoever has bound it.
pub fn as_made(live: Value) -> Value {
    let mut live = by_name(live);
    let claim = claim_of(&mut live).cloned();
    let claims = live.pointer("/metadata/managedFields").cloned();
    let claims = claims.as_ref().and_then(Value::as_array);
    for claim in claims
        .into_iter()
        .flatten()
        .filter(|one| is_kubernetes(one))
    {
        if let Some(Value::Object(fields)) = claim.get("fieldsV1") {
            take_out(&mut live, None, fields);
        }
    }
    if let (Some(claim), Some(Value::Object(spec))) = (claim, live.get_mut("spec")) {
        spec.insert(CLAIM.to_owned(), Value::Object(claim));
    }
    let Some(Value::Object(meta)) = live.get_mut("metadata") else {
        return live;
    };
    if let Some(Value::Array(finalizers)) = meta.get_mut("finalizers") {
        let is_its = |one: &Value| {
            one.as_str()
                .is_some_and(|one| one.starts_with("kubernetes.io/"))
        };
        finalizers.retain(|one| !is_its(one));
        if finalizers.is_empty() {
            meta.shift_remove("finalizers");
        }
    }
    live
}

/// A volume that belongs to the claim of a name, and not to the one claim of that name that is there now: on another cluster it is
/// bound to the one there. Any other object is as it was.
pub fn by_name(mut live: Value) -> Value {
    if let Some(claim) = claim_of(&mut live) {
        for key in ["uid", "resourceVersion"] {
            claim.shift_remove(key);
        }
    }
    live
}

/// The claim that a volume belongs to.
fn claim_of(live: &mut Value) -> Option<&mut Map<String, Value>> {
    let is = |key: &str, text: &str| live.get(key).and_then(Value::as_str) == Some(text);
    if !is("apiVersion", "v1") || !is("kind", "PersistentVolume") {
        return None;
    }
    live.get_mut("spec")?.get_mut(CLAIM)?.as_object_mut()
}

/// Whether another object made it, and would make it again: that is the one to be kept in git.
pub fn is_controlled(live: &Value) -> bool {
    let owners = live.pointer("/metadata/ownerReferences");
    let mut owners = owners.and_then(Value::as_array).into_iter().flatten();
    owners.any(|one| one.get("controller") == Some(&Value::Bool(true)))
}

/// Whether nobody but Kubernetes has made the object: it makes it again wherever it is needed.
pub fn is_kubernetes_own(live: &Value) -> bool {
    let claims = live.pointer("/metadata/managedFields");
    let mut claims = claims.and_then(Value::as_array).into_iter().flatten();
    claims.all(is_kubernetes)
}

/// Whether it is Kubernetes who claims something, or whoever tells a status.
fn is_kubernetes(claim: &Value) -> bool {
    let text = |key: &str| claim.get(key).and_then(Value::as_str).unwrap_or_default();
    text("subresource") == "status" || KUBERNETES.contains(&text("manager"))
}

/// Whether what is claimed so was added by somebody.
fn adds(claim: &Value) -> bool {
    let subresource = claim.get("subresource").and_then(Value::as_str);
    !is_ours(claim) && !is_kubernetes(claim) && subresource.unwrap_or_default().is_empty()
}

/// Takes what is claimed, and is not in `applied`, out of `from`.
fn take_out(from: &mut Value, applied: Option<&Value>, fields: &Map<String, Value>) {
    for (key, below) in fields {
        if let Some(name) = key.strip_prefix("f:") {
            take_field(from, applied, name, below);
        } else if let Some(item) = key.strip_prefix("k:") {
            take_item(from, applied, item, below);
        } else if let Some(item) = key.strip_prefix("v:") {
            take_value(from, applied, item);
        }
    }
}

fn take_field(from: &mut Value, applied: Option<&Value>, name: &str, below: &Value) {
    let wanted = applied.and_then(|applied| applied.get(name));
    let Value::Object(map) = from else { return };
    let Some(value) = map.get_mut(name) else {
        return;
    };
    match below.as_object().filter(|below| !below.is_empty()) {
        Some(below) => {
            take_out(value, wanted, below);
            if wanted.is_none() && is_empty(value) {
                map.shift_remove(name);
            }
        }
        None if wanted.is_none() => {
            map.shift_remove(name);
        }
        None => {}
    }
}

fn take_item(from: &mut Value, applied: Option<&Value>, key: &str, below: &Value) {
    let Ok(Value::Object(keys)) = serde_json::from_str(key) else {
        return;
    };
    let is = |item: &Value| keys.iter().all(|(key, value)| item.get(key) == Some(value));
    let items = applied.and_then(Value::as_array);
    let wanted = items.and_then(|items| items.iter().find(|item| is(item)));
    let Value::Array(list) = from else { return };
    let Some(at) = list.iter().position(is) else {
        return;
    };
    let whole = below.get(".").is_some();
    if wanted.is_none() && whole {
        list.remove(at);
    } else if let (Some(item), Some(below)) = (list.get_mut(at), below.as_object()) {
        take_out(item, wanted, below);
    }
}

fn take_value(from: &mut Value, applied: Option<&Value>, text: &str) {
    let Ok(value) = serde_json::from_str::<Value>(text) else {
        return;
    };
    let items = applied.and_then(Value::as_array);
    let wanted = items.is_some_and(|items| items.contains(&value));
    if let Value::Array(list) = from
        && !wanted
    {
        list.retain(|item| *item != value);
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Object(map) => map.is_empty(),
        Value::Array(list) => list.is_empty(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn claimed(manager: &str, operation: &str, subresource: &str, fields: &Value) -> Value {
        let claim = json!({"manager": manager, "operation": operation, "subresource": subresource, "fieldsV1": fields});
        json!({"metadata": {"managedFields": [claim]}})
    }

    #[test]
    fn what_somebody_added_goes_and_what_was_filled_in_stays() {
        let applied = json!({"metadata": {"name": "web"}, "spec": {"containers": [{"name": "web", "image": "a"}]}});
        let rehearsed = json!({
            "metadata": {"name": "web", "annotations": {"note": "mine"}},
            "spec": {
                "policy": "Always", "replicas": 3, "nodeSelector": {"disk": "ssd"},
                "containers": [
                    {"name": "web", "image": "a", "pull": "IfNotPresent", "env": [{"name": "A", "value": "1"}]},
                    {"name": "side", "image": "b"},
                ],
            },
        });
        let fields = json!({
            "f:metadata": {"f:annotations": {".": {}, "f:note": {}}},
            "f:spec": {
                "f:nodeSelector": {},
                "f:replicas": {},
                "f:containers": {
                    "k:{\"name\":\"web\"}": {"f:image": {}, "f:env": {".": {}, "k:{\"name\":\"A\"}": {".": {}, "f:name": {}, "f:value": {}}}},
                    "k:{\"name\":\"side\"}": {".": {}, "f:name": {}, "f:image": {}},
                },
            },
        });
        let live = claimed("kubectl-edit", "Update", "", &fields);
        let got = without_additions(rehearsed.clone(), &applied, &live);
        let want = json!({
            "metadata": {"name": "web"},
            "spec": {"policy": "Always", "containers": [{"name": "web", "image": "a", "pull": "IfNotPresent"}]},
        });
        assert_eq!(got, want);
        for (manager, operation, subresource) in [
            ("kustomize-controller", "Apply", ""),
            ("kube-controller-manager", "Update", ""),
            ("kubectl", "Update", "scale"),
        ] {
            let live = claimed(manager, operation, subresource, &fields);
            let got = without_additions(rehearsed.clone(), &applied, &live);
            assert_eq!(got, rehearsed, "{manager}");
        }
    }

    #[test]
    fn sets_lose_the_items_that_were_added() {
        let applied = json!({"metadata": {"finalizers": ["a"]}});
        let rehearsed = json!({"metadata": {"finalizers": ["a", "b"]}});
        let fields =
            json!({"f:metadata": {"f:finalizers": {".": {}, "v:\"a\"": {}, "v:\"b\"": {}}}});
        let live = claimed("x", "Update", "", &fields);
        assert_eq!(without_additions(rehearsed, &applied, &live), applied);
    }

    #[test]
    fn what_somebody_made_is_kept_without_what_kubernetes_added() {
        let claims = json!([
            {"manager": "snapshotter", "operation": "Update", "fieldsV1": {"f:spec": {"f:size": {}}}},
            {"manager": "kube-controller-manager", "operation": "Update", "fieldsV1": {
                "f:metadata": {"f:annotations": {".": {}, "f:bound": {}}}, "f:spec": {"f:volumeName": {}}}},
        ]);
        let live = json!({
            "metadata": {"annotations": {"bound": "yes"}, "finalizers": ["kubernetes.io/pvc-protection"], "managedFields": claims},
            "spec": {"size": 1, "volumeName": "pv-1"},
        });
        assert!(!is_kubernetes_own(&live));
        let want = json!({"metadata": {"managedFields": claims}, "spec": {"size": 1}});
        assert_eq!(as_made(live), want);
        let own = claimed(
            "kube-controller-manager",
            "Update",
            "",
            &json!({"f:data": {}}),
        );
        assert!(is_kubernetes_own(&own));
        assert!(is_kubernetes_own(&json!({"metadata": {}})));
    }

    #[test]
    fn a_volume_stays_that_of_its_claim_whichever_of_that_name_it_is() {
        let of = |uid: Option<&str>| {
            let mut claim =
                json!({"kind": "PersistentVolumeClaim", "namespace": "acme", "name": "data"});
            if let Some(uid) = uid {
                claim["uid"] = json!(uid);
                claim["resourceVersion"] = json!("7");
            }
            claim
        };
        // By whoever it was bound: who provides volumes, or Kubernetes, who was found one.
        for manager in ["csi-provisioner", "kube-controller-manager"] {
            let fields = json!({"f:spec": {"f:claimRef": {"f:kind": {}, "f:namespace": {}, "f:name": {}, "f:uid": {}, "f:resourceVersion": {}}}});
            let mut live = claimed(manager, "Update", "", &fields);
            live["apiVersion"] = json!("v1");
            live["kind"] = json!("PersistentVolume");
            live["spec"] = json!({"storageClassName": "fast", "claimRef": of(Some("1"))});
            let made = as_made(live);
            let want = json!({"storageClassName": "fast", "claimRef": of(None)});
            assert_eq!(made["spec"], want, "{manager}");
        }
        let mut other = claimed("x", "Update", "", &json!({}));
        other["spec"] = json!({"claimRef": of(Some("1"))});
        assert_eq!(
            as_made(other.clone()),
            other,
            "of another kind it is anything"
        );
    }

    #[test]
    fn claims_that_make_no_sense_change_nothing() {
        let rehearsed = json!({"spec": {"list": [1, 2], "text": "a"}});
        for fields in [
            json!({"f:spec": {"f:list": {"k:{": {".": {}}, "k:[]": {}, "v:": {}, "i:0": {}}}}),
            json!({"f:spec": {"f:text": {"f:below": {}}, "f:none": {}}}),
            json!({".": {}, "spec": {}}),
        ] {
            let live = claimed("x", "Update", "", &fields);
            let got = without_additions(rehearsed.clone(), &rehearsed, &live);
            assert_eq!(got, rehearsed, "{fields}");
        }
    }

    #[test]
    fn what_a_controller_made_is_told_from_what_somebody_made() {
        let of = |controller: Value| {
            let owner = json!({"kind": "ReplicaSet", "name": "b", "controller": controller});
            json!({"kind": "Pod", "metadata": {"name": "a", "ownerReferences": [owner]}})
        };
        assert!(is_controlled(&of(json!(true))));
        assert!(!is_controlled(&of(json!(false))));
        assert!(!is_controlled(
            &json!({"kind": "Pod", "metadata": {"name": "a"}})
        ));
    }
}
