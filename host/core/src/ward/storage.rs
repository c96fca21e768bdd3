//! Claims, volumes and snapshots: they stand for data, which nobody makes again.
//!
//! So a claim that a StatefulSet has made of its template is kept, though Kubernetes alone has made it, and though the set controls it
//! where that says what becomes of its claims. What Kubernetes notes on claims and volumes for itself goes: on another cluster a claim
//! that is said to be bound, and has no volume yet, is given up as lost. What goes with a Pod is deliberately not kept, nor what another
//! controller makes: that one knows what becomes of it.

use reeve_writeback::by_handle;
use serde_json::{Map, Value};

use super::additions::{is_controlled, is_kubernetes_own, is_of};
use crate::inventory::ObjectId;

/// The API of snapshots.
const SNAPSHOTS: &str = "snapshot.storage.k8s.io";
/// What Kubernetes notes on claims and volumes for itself: how far it is with one of them on this cluster.
const NOTES: [&str; 7] = [
    "pv.kubernetes.io/bind-completed",
    "pv.kubernetes.io/bound-by-controller",
    "pv.kubernetes.io/migrated-to",
    "volume.beta.kubernetes.io/storage-provisioner",
    "volume.kubernetes.io/selected-node",
    "volume.kubernetes.io/storage-provisioner",
    "volume.kubernetes.io/storage-resizer",
];

/// Whether another object has made it, or Kubernetes by itself, who would make it again: that is the one to be kept in git.
pub fn is_made_by_another(live: &Value) -> bool {
    (is_controlled(live) || is_kubernetes_own(live)) && !outlives(live)
}

/// What an object is bound to, as far as it or its status names it: a claim to its volume, a snapshot to its content, and each of these
/// to that.
pub fn bound_to(live: &Value) -> Option<ObjectId> {
    let named = |pointer: &str| live.pointer(pointer)?.as_str().map(str::to_owned);
    let id = |group: &str, kind: &str, namespace: String, name: String| ObjectId {
        namespace,
        name,
        group: group.to_owned(),
        kind: kind.to_owned(),
    };
    let kind = live.get("kind").and_then(Value::as_str)?;
    match (group_of(live)?, kind) {
        ("", "PersistentVolumeClaim") => {
            let name = named("/spec/volumeName")?;
            Some(id("", "PersistentVolume", String::new(), name))
        }
        ("", "PersistentVolume") => {
            let (namespace, name) = (
                named("/spec/claimRef/namespace")?,
                named("/spec/claimRef/name")?,
            );
            Some(id("", "PersistentVolumeClaim", namespace, name))
        }
        (SNAPSHOTS, "VolumeSnapshot") => {
            let told = named("/status/boundVolumeSnapshotContentName");
            let name = told.or_else(|| named("/spec/source/volumeSnapshotContentName"))?;
            Some(id(SNAPSHOTS, "VolumeSnapshotContent", String::new(), name))
        }
        (SNAPSHOTS, "VolumeSnapshotContent") => {
            let (namespace, name) = (
                named("/spec/volumeSnapshotRef/namespace")?,
                named("/spec/volumeSnapshotRef/name")?,
            );
            Some(id(SNAPSHOTS, "VolumeSnapshot", namespace, name))
        }
        _ => None,
    }
}

/// Whether the cluster knows what an object stands for, and its manifest does not say so: to what it is bound, or what the driver calls
/// it.
pub fn is_bound_beyond(manifest: &Value, live: &Value) -> bool {
    let bound = bound_to(live);
    (bound.is_some() && bound != bound_to(manifest)) || by_handle(live.clone()) != *live
}

/// Whether it is a claim or a volume.
pub(super) fn is_storage(live: &Value) -> bool {
    is_of(live, "v1", "PersistentVolumeClaim") || is_of(live, "v1", "PersistentVolume")
}

/// Takes out what Kubernetes notes for itself on a claim or a volume, whoever has copied it there.
pub(super) fn without_notes(live: &mut Value) {
    let meta = live.get_mut("metadata").and_then(Value::as_object_mut);
    let Some(meta) = meta else { return };
    let Some(Value::Object(notes)) = meta.get_mut("annotations") else {
        return;
    };
    let before = notes.len();
    notes.retain(|key, _| !NOTES.contains(&key.as_str()));
    if notes.is_empty() && before > 0 {
        meta.shift_remove("annotations");
    }
}

/// Whether its data stay, and are found again by it, when who made it is gone.
fn outlives(live: &Value) -> bool {
    let is_set = |owner: &Map<String, Value>| {
        let text = |key: &str| owner.get(key).and_then(Value::as_str).unwrap_or_default();
        text("kind") == "StatefulSet" && text("apiVersion").starts_with("apps/")
    };
    is_storage(live) && controller(live).is_none_or(is_set)
}

/// The owner that controls it.
fn controller(live: &Value) -> Option<&Map<String, Value>> {
    let owners = live.pointer("/metadata/ownerReferences")?.as_array()?;
    let mut owners = owners.iter().filter_map(Value::as_object);
    owners.find(|one| one.get("controller") == Some(&Value::Bool(true)))
}

/// The API group of an object, empty for Kubernetes' core group.
fn group_of(live: &Value) -> Option<&str> {
    let version = live.get("apiVersion").and_then(Value::as_str)?;
    Some(version.split_once('/').map_or("", |(group, _)| group))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::ward::as_made;

    /// As the StatefulSet controller and who binds make it: both go by one name.
    fn of_a_set(owners: &Value) -> Value {
        let fields = json!({
            "f:metadata": {
                "f:annotations": {".": {}, "f:pv.kubernetes.io/bind-completed": {}},
                "f:labels": {".": {}, "f:app": {}},
            },
            "f:spec": {"f:accessModes": {}, "f:resources": {"f:requests": {".": {}, "f:storage": {}}}, "f:storageClassName": {},
                "f:volumeMode": {}, "f:volumeName": {}},
        });
        let claims = json!([{"manager": "kube-controller-manager", "operation": "Update", "fieldsV1": fields}]);
        json!({
            "apiVersion": "v1", "kind": "PersistentVolumeClaim",
            "metadata": {
                "name": "data-db-0", "namespace": "acme", "labels": {"app": "db"}, "ownerReferences": owners, "managedFields": claims,
                "annotations": {
                    "pv.kubernetes.io/bind-completed": "yes", "volume.kubernetes.io/selected-node": "node-1", "backup": "nightly",
                },
                "finalizers": ["kubernetes.io/pvc-protection"],
            },
            "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}, "storageClassName": "fast",
                "volumeMode": "Filesystem", "volumeName": "pv-1"},
        })
    }

    fn owner(api_version: &str, kind: &str) -> Value {
        json!([{"apiVersion": api_version, "kind": kind, "name": "db", "uid": "1", "controller": true}])
    }

    #[test]
    fn a_claim_of_a_stateful_set_is_kept_and_one_of_a_pod_or_of_another_controller_is_not() {
        for (about, owners, want) in [
            ("its claims stay", json!([]), false),
            ("they go with it", owner("apps/v1", "StatefulSet"), false),
            (
                "its Pod is scaled down, or has a volume of its own",
                owner("v1", "Pod"),
                true,
            ),
            (
                "an operator",
                owner("postgres.example.com/v1", "Cluster"),
                true,
            ),
            (
                "another of that name",
                owner("sets.example.com/v1", "StatefulSet"),
                true,
            ),
        ] {
            let claim = of_a_set(&owners);
            assert_eq!(is_made_by_another(&claim), want, "{about}");
        }
        let mut map = of_a_set(&json!([]));
        map["kind"] = json!("ConfigMap");
        assert!(is_made_by_another(&map), "Kubernetes makes it again");
    }

    #[test]
    fn a_claim_of_a_stateful_set_is_whole_but_for_what_is_noted_of_this_cluster() {
        let made = as_made(of_a_set(&owner("apps/v1", "StatefulSet")));
        assert_eq!(made["spec"], of_a_set(&json!([]))["spec"]);
        assert_eq!(made["metadata"]["labels"], json!({"app": "db"}));
        let kept = json!({"backup": "nightly"});
        assert_eq!(made["metadata"]["annotations"], kept);
        assert_eq!(made["metadata"].get("finalizers"), None);

        let mut resized = of_a_set(&json!([]));
        let by_hand = json!({"manager": "kubectl-patch", "operation": "Update",
            "fieldsV1": {"f:spec": {"f:resources": {"f:requests": {"f:storage": {}}}}}});
        let claims = resized["metadata"]["managedFields"].as_array_mut();
        claims.unwrap().push(by_hand);
        let spec = resized["spec"].clone();
        assert_eq!(
            as_made(resized)["spec"],
            spec,
            "whoever has changed it since"
        );
    }

    #[test]
    fn what_is_bound_names_the_other() {
        let of = |version: &str, kind: &str, spec: Value, status: Value| {
            bound_to(&json!({"apiVersion": version, "kind": kind, "spec": spec, "status": status}))
                .map(|id| id.to_string())
        };
        let none = || Value::Null;
        let volume = of(
            "v1",
            "PersistentVolumeClaim",
            json!({"volumeName": "pv-1"}),
            none(),
        );
        assert_eq!(volume.as_deref(), Some("_pv-1__PersistentVolume"));
        let named = json!({"name": "data", "namespace": "acme"});
        let claim = of("v1", "PersistentVolume", json!({"claimRef": named}), none());
        assert_eq!(claim.as_deref(), Some("acme_data__PersistentVolumeClaim"));
        let api = "snapshot.storage.k8s.io/v1";
        let told = json!({"boundVolumeSnapshotContentName": "content-1"});
        let content = of(api, "VolumeSnapshot", none(), told);
        let want = "_content-1_snapshot.storage.k8s.io_VolumeSnapshotContent";
        assert_eq!(content.as_deref(), Some(want));
        let snapshot = of(
            api,
            "VolumeSnapshotContent",
            json!({"volumeSnapshotRef": named}),
            none(),
        );
        let want = "acme_data_snapshot.storage.k8s.io_VolumeSnapshot";
        assert_eq!(snapshot.as_deref(), Some(want));
        for (version, kind) in [("v1", "PersistentVolumeClaim"), ("apps/v1", "Deployment")] {
            assert_eq!(of(version, kind, json!({}), none()), None, "{kind}");
        }
    }

    #[test]
    fn what_the_cluster_alone_knows_of_a_claim_is_told_from_what_its_manifest_says() {
        let claim = |spec: Value| json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "a"}, "spec": spec});
        let (bare, bound) = (claim(json!({})), claim(json!({"volumeName": "pv-1"})));
        assert!(is_bound_beyond(&bare, &bound));
        assert!(!is_bound_beyond(&bound, &bound));
        assert!(!is_bound_beyond(&bare, &bare));
    }
}
