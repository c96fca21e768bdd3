//! What others have added to an object that was applied: fields that nobody's manifest has; and what Kubernetes has, to any.
//!
//! A dry run of applying the manifest again keeps them, as a server-side apply does, so that they look like what the API server
//! fills in. Who claims them tells them apart: nobody claims what is filled in. What Kubernetes itself adds (the node of a claim,
//! the address of a Service) is filled in, too, and what goes by a subresource is what that says. So are defaults of the API, though
//! whoever creates or updates an object claims them. Lists whose items have no key are taken as a whole.

use reeve_writeback::{by_handle, with_defaults};
use serde_json::{Map, Value};

use super::storage::{is_storage, without_notes};
use crate::drift::is_ours;
use crate::overlay::{laid_over, shaped};

/// Who fills in, and adds nothing.
const KUBERNETES: [&str; 5] = [
    "cloud-controller-manager",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kubelet",
];

/// In which field of a volume its claim stands, and in which of a claim its volume.
const CLAIM: &str = "claimRef";
const VOLUME: &str = "volumeName";
/// In which field of its source a snapshot has its content.
const CONTENT: &str = "volumeSnapshotContentName";
/// What keeps objects from going while they are in use begins so.
const KEEPS: [&str; 2] = ["kubernetes.io/", "snapshot.storage.kubernetes.io/"];

/// What a dry run of applying `applied` gave, without what others have added to it, as `live` tells it.
pub fn without_additions(mut rehearsed: Value, applied: &Value, live: &Value) -> Value {
    let claims = live.pointer("/metadata/managedFields");
    let claims = claims.and_then(Value::as_array).into_iter().flatten();
    for claim in claims.filter(|claim| adds(claim)) {
        if let Some(Value::Object(fields)) = claim.get("fieldsV1") {
            take_out(&mut rehearsed, Some(applied), fields);
        }
    }
    with_defaults(&mut rehearsed, live);
    rehearsed
}

/// What applying `applied` would make of `live` where the API server refuses to say it, since some of that cannot be changed: the
/// object without what others have added to it, with the values that the server made of the manifest as of a new object.
pub fn as_if_applied(made: &Value, applied: &Value, live: &Value) -> Value {
    let under = without_additions(live.clone(), applied, live);
    laid_over(&under, &shaped(made, applied))
}

/// An object that somebody has made, without what Kubernetes has added to it, as what keeps it from going while it is in use. What is
/// bound to another stays so, whoever has bound it: a volume to its claim, a claim to its volume, a snapshot to its content. What
/// Kubernetes alone has made stays whole: then nothing was added to it.
pub fn as_made(live: Value) -> Value {
    let mut live = with_content(by_handle(by_name(live)));
    if is_storage(&live) {
        without_notes(&mut live);
    } else if !is_kubernetes_own(&live) {
        let claims = live.pointer("/metadata/managedFields").cloned();
        let claims = claims.as_ref().and_then(Value::as_array);
        let claims = claims.into_iter().flatten();
        for claim in claims.filter(|one| is_kubernetes(one)) {
            if let Some(Value::Object(fields)) = claim.get("fieldsV1") {
                take_out(&mut live, None, fields);
            }
        }
    }
    live
}

/// An object without what holds for this cluster alone, and that another one gives to it anew: which claim of its name a volume belongs
/// to, and what keeps it from going while it is in use.
pub fn by_name(mut live: Value) -> Value {
    if let Some(claim) = claim_of(&mut live) {
        for key in ["uid", "resourceVersion"] {
            claim.shift_remove(key);
        }
    }
    let Some(Value::Object(meta)) = live.get_mut("metadata") else {
        return live;
    };
    if let Some(Value::Array(finalizers)) = meta.get_mut("finalizers") {
        let is_its = |one: &Value| {
            one.as_str()
                .is_some_and(|one| KEEPS.iter().any(|prefix| one.starts_with(prefix)))
        };
        finalizers.retain(|one| !is_its(one));
        if finalizers.is_empty() {
            meta.shift_remove("finalizers");
        }
    }
    live
}

/// A claim without the volume that Kubernetes has found for it: who applies it elsewhere is given another. Any other object is as it
/// was.
pub fn without_found(mut live: Value) -> Value {
    if volume_of(&live).is_none() {
        return live;
    }
    let claims = live.pointer("/metadata/managedFields").cloned();
    let claims = claims.as_ref().and_then(Value::as_array);
    let mut found = claims
        .into_iter()
        .flatten()
        .filter(|one| is_kubernetes(one));
    let field = format!("/fieldsV1/f:spec/f:{VOLUME}");
    if found.any(|one| one.pointer(&field).is_some())
        && let Some(Value::Object(spec)) = live.get_mut("spec")
    {
        spec.shift_remove(VOLUME);
    }
    live
}

/// The claim that a volume belongs to.
fn claim_of(live: &mut Value) -> Option<&mut Map<String, Value>> {
    if !is_of(live, "v1", "PersistentVolume") {
        return None;
    }
    live.get_mut("spec")?.get_mut(CLAIM)?.as_object_mut()
}

/// Whether another object made it, and would make it again: that is the one to be kept in git.
pub(super) fn is_controlled(live: &Value) -> bool {
    let owners = live.pointer("/metadata/ownerReferences");
    let mut owners = owners.and_then(Value::as_array).into_iter().flatten();
    owners.any(|one| one.get("controller") == Some(&Value::Bool(true)))
}

/// The volume of a claim.
fn volume_of(live: &Value) -> Option<&Value> {
    match is_of(live, "v1", "PersistentVolumeClaim") {
        true => live.get("spec")?.get(VOLUME),
        false => None,
    }
}

/// A snapshot that was taken of a claim, with the content that was made for it beside that.
fn with_content(mut live: Value) -> Value {
    if !is_of(&live, "snapshot.storage.k8s.io/v1", "VolumeSnapshot") {
        return live;
    }
    let content = live.pointer("/status/boundVolumeSnapshotContentName");
    let content = content.filter(|name| name.is_string()).cloned();
    let source = live
        .pointer_mut("/spec/source")
        .and_then(Value::as_object_mut);
    if let (Some(content), Some(source)) = (content, source) {
        source.entry(CONTENT).or_insert(content);
    }
    live
}

pub(super) fn is_of(live: &Value, version: &str, kind: &str) -> bool {
    let is = |key: &str, text: &str| live.get(key).and_then(Value::as_str) == Some(text);
    is("apiVersion", version) && is("kind", kind)
}

/// Whether nobody but Kubernetes has made the object: it makes it again wherever it is needed.
pub(super) fn is_kubernetes_own(live: &Value) -> bool {
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
    fn a_claim_keeps_the_volume_that_was_found_for_it_until_that_is_taken_out() {
        let claim = |manager: &str| {
            let mut live = claimed(
                manager,
                "Update",
                "",
                &json!({"f:spec": {"f:volumeName": {}}}),
            );
            live["apiVersion"] = json!("v1");
            live["kind"] = json!("PersistentVolumeClaim");
            live["spec"] = json!({"storageClassName": "fast", "volumeName": "pv-1"});
            live
        };
        let found = as_made(claim("kube-controller-manager"));
        let both = json!({"storageClassName": "fast", "volumeName": "pv-1"});
        assert_eq!(found["spec"], both);
        let alone = json!({"storageClassName": "fast"});
        assert_eq!(without_found(found)["spec"], alone);
        let asked = as_made(claim("kubectl-create"));
        assert_eq!(without_found(asked.clone()), asked, "somebody asked for it");
    }

    #[test]
    fn a_snapshot_has_the_content_that_was_made_for_it() {
        let snapshot = |source: Value| {
            as_made(json!({
                "apiVersion": "snapshot.storage.k8s.io/v1", "kind": "VolumeSnapshot", "spec": {"source": source},
                "status": {"boundVolumeSnapshotContentName": "content-1"},
                "metadata": {"name": "a", "finalizers": ["snapshot.storage.kubernetes.io/volumesnapshot-bound-protection", "x/y"]},
            }))
        };
        let taken = snapshot(json!({"persistentVolumeClaimName": "data"}));
        let both =
            json!({"persistentVolumeClaimName": "data", "volumeSnapshotContentName": "content-1"});
        assert_eq!(taken["spec"]["source"], both);
        assert_eq!(taken["metadata"]["finalizers"], json!(["x/y"]));
        let named = json!({"volumeSnapshotContentName": "mine"});
        assert_eq!(snapshot(named.clone())["spec"]["source"], named);
    }

    #[test]
    fn a_default_that_whoever_created_it_claims_was_not_added() {
        let manifest = |spec: Value| json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "a"}, "spec": spec});
        let fields = json!({"f:spec": {"f:paused": {}, "f:revisionHistoryLimit": {}}});
        let mut live = claimed("kubectl-create", "Update", "", &fields);
        let all = manifest(json!({"paused": true, "revisionHistoryLimit": 10}));
        for key in ["apiVersion", "kind", "spec"] {
            live[key] = all[key].clone();
        }
        let got = without_additions(all, &manifest(json!({})), &live);
        assert_eq!(got["spec"], json!({"revisionHistoryLimit": 10}));
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

    #[test]
    fn what_cannot_be_changed_is_as_a_new_object_would_have_it_and_the_rest_as_it_is() {
        let applied = json!({"metadata": {"name": "web"}, "spec": {"type": "a", "cpu": "1000m"}});
        let made = json!({"metadata": {"name": "web", "uid": "1"},
            "spec": {"type": "a", "cpu": "1", "address": "10.0.0.1"}});
        let mut live = claimed(
            "kubectl-create",
            "Update",
            "",
            &json!({"f:spec": {"f:type": {}, "f:cpu": {}, "f:note": {}}}),
        );
        live["metadata"]["name"] = json!("web");
        live["spec"] = json!({"type": "b", "cpu": "1", "note": "mine", "address": "10.0.0.2"});
        let is = as_if_applied(&made, &applied, &live);
        assert_eq!(
            is["spec"],
            json!({"type": "a", "cpu": "1", "address": "10.0.0.2"})
        );
        assert_eq!(is["metadata"]["uid"], Value::Null);
    }
}
