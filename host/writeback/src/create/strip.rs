//! An object without what belongs to the cluster it lives in.

use reeve_kustomize::Object;
use serde_json::{Map, Value, json};

use super::lean::without_unclaimed;
use super::placed::less_placed;

/// Fields of `metadata` that the server keeps.
const SERVER: [&str; 9] = [
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "generation",
    "managedFields",
    "ownerReferences",
    "resourceVersion",
    "selfLink",
    "uid",
];
/// Labels and annotations of whoever applied it.
const OWNERS: [&str; 3] = [
    "kubectl.kubernetes.io/last-applied-configuration",
    "kustomize.toolkit.fluxcd.io/name",
    "kustomize.toolkit.fluxcd.io/namespace",
];

/// The API of snapshots, in whatever version.
const SNAPSHOTS: &str = "snapshot.storage.k8s.io/";
/// By which an object is made where it is not, and never changed.
const IF_ABSENT: (&str, &str) = ("kustomize.toolkit.fluxcd.io/ssa", "IfNotPresent");
/// Fields of a Service that are given to it on its cluster, unless somebody has asked for them.
const GIVEN: [&str; 3] = ["clusterIP", "clusterIPs", "healthCheckNodePort"];
/// What tells the pods of one Job from those of others.
const OF_JOB: [&str; 4] = [
    "batch.kubernetes.io/controller-uid",
    "batch.kubernetes.io/job-name",
    "controller-uid",
    "job-name",
];

/// What names an object of the cluster that it lives in, by kinds: made anew that one has another identity.
const BOUND: [(&str, &str); 2] = [
    ("PersistentVolume", "claimRef"),
    ("VolumeSnapshotContent", "volumeSnapshotRef"),
];

/// The object as it belongs into a file: without status, identity, owners, and what its cluster has given to it.
#[must_use]
pub fn stripped(live: &Object) -> Object {
    let mut object = without_server_fields(live);
    match (live.api_version(), live.kind()) {
        ("v1", "Pod") => less_placed(&mut object, live),
        ("v1", "Service") => less_given(&mut object, live),
        ("batch/v1", "Job") => less_of_job(&mut object),
        (_, "VolumeSnapshotContent") => {
            let found = Object::try_from(by_handle(Value::from(live.clone())));
            object = found.map_or(object, |found| without_server_fields(&found));
        }
        _ => {}
    }
    object
}

/// A snapshot that was taken of a volume, as it is found again on another cluster: by what the driver calls it, and not as one that is
/// to be taken. There it is made, and where it is already nothing is applied to it: what it was made of cannot be changed. Any other
/// object is as it was.
#[must_use]
pub fn by_handle(mut live: Value) -> Value {
    let is =
        |key: &str, is: fn(&str) -> bool| live.get(key).and_then(Value::as_str).is_some_and(is);
    let is_content = is("kind", |kind| kind == "VolumeSnapshotContent")
        && is("apiVersion", |version| version.starts_with(SNAPSHOTS));
    let is_taken = live.pointer("/spec/source/volumeHandle").is_some();
    let handle = live.pointer("/status/snapshotHandle").cloned();
    let Some(handle) = handle.filter(|handle| is_content && is_taken && handle.is_string()) else {
        return live;
    };
    if let Some(Value::Object(spec)) = live.get_mut("spec") {
        spec.insert("source".to_owned(), json!({"snapshotHandle": handle}));
        spec.insert("deletionPolicy".to_owned(), json!("Retain"));
    }
    only_where_absent(live)
}

/// The object with the word that it is made where it is not, and else left as it is.
#[must_use]
pub fn only_where_absent(live: Value) -> Value {
    let Ok(mut object) = Object::try_from(live.clone()) else {
        return live;
    };
    let (key, value) = IF_ABSENT;
    object
        .annotations_mut()
        .insert(key.to_owned(), Value::from(value));
    Value::from(object)
}

/// The object without status and what only the server sets.
#[must_use]
pub fn without_server_fields(live: &Object) -> Object {
    let mut object = live.clone();
    object.fields_mut().shift_remove("status");
    let metadata = object.metadata_mut();
    for name in SERVER {
        metadata.shift_remove(name);
    }
    for name in ["labels", "annotations"] {
        let Some(Value::Object(map)) = metadata.get_mut(name) else {
            continue;
        };
        let before = map.len();
        map.retain(|key, _| !OWNERS.contains(&key.as_str()));
        if map.is_empty() && before > 0 {
            metadata.shift_remove(name);
        }
    }
    let bound = BOUND.iter().find(|(kind, _)| *kind == object.kind());
    if let Some((_, field)) = bound
        && let Some(Value::Object(spec)) = object.fields_mut().get_mut("spec")
        && let Some(Value::Object(named)) = spec.get_mut(*field)
    {
        named.shift_remove("uid");
        named.shift_remove("resourceVersion");
    }
    object
}

/// Takes out the addresses that the cluster has given to a Service: those that nobody claims.
fn less_given(object: &mut Object, live: &Object) {
    let claimed = without_unclaimed(object, live);
    let Some(Value::Object(spec)) = object.fields_mut().get_mut("spec") else {
        return;
    };
    for name in GIVEN {
        if claimed.get(&format!("/spec/{name}")).is_none() {
            spec.shift_remove(name);
        }
    }
    let ports = spec.get_mut("ports").and_then(Value::as_array_mut);
    for (at, port) in ports.into_iter().flatten().enumerate() {
        if let Value::Object(port) = port
            && claimed.get(&format!("/spec/ports/{at}/nodePort")).is_none()
        {
            port.shift_remove("nodePort");
        }
    }
}

/// Takes out by what a Job knows its pods, unless somebody says that by hand.
fn less_of_job(object: &mut Object) {
    let Some(Value::Object(spec)) = object.fields_mut().get_mut("spec") else {
        return;
    };
    if spec.get("manualSelector") == Some(&Value::Bool(true)) {
        return;
    }
    spec.shift_remove("selector");
    let metadata = spec
        .get_mut("template")
        .and_then(|template| template.get_mut("metadata"));
    if let Some(Value::Object(metadata)) = metadata
        && let Some(Value::Object(labels)) = metadata.get_mut("labels")
    {
        labels.retain(|key, _| !OF_JOB.contains(&key.as_str()));
        if labels.is_empty() {
            metadata.shift_remove("labels");
        }
    }
}

/// Whether the value is what the server would fill in; fields of it that are, are removed.
fn is_default(value: &mut Value, default: &Value) -> bool {
    match (value, default) {
        (Value::Object(map), Value::Object(defaults)) if !map.is_empty() => {
            remove_defaults(map, defaults);
            map.is_empty()
        }
        (value, default) => value == default,
    }
}

/// Removes the fields that are equal to `defaults`, and of others what is below them.
pub(super) fn remove_defaults(map: &mut Map<String, Value>, defaults: &Map<String, Value>) {
    for (name, default) in defaults {
        if let Some(value) = map.get_mut(name)
            && is_default(value, default)
        {
            map.shift_remove(name);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(value: Value) -> Object {
        Object::try_from(value).unwrap()
    }

    #[test]
    fn what_belongs_to_the_cluster_is_gone() {
        let live = object(json!({
            "apiVersion": "v1", "kind": "PersistentVolumeClaim",
            "metadata": {
                "name": "data", "namespace": "acme", "uid": "1", "resourceVersion": "2", "managedFields": [],
                "labels": {"kustomize.toolkit.fluxcd.io/name": "x"}, "annotations": {"a": "b"},
            },
            "spec": {"volumeMode": "Filesystem", "accessModes": ["ReadWriteOnce"]},
            "status": {"phase": "Bound"},
        }));
        let want = object(json!({
            "apiVersion": "v1", "kind": "PersistentVolumeClaim",
            "metadata": {"name": "data", "namespace": "acme", "annotations": {"a": "b"}},
            "spec": {"volumeMode": "Filesystem", "accessModes": ["ReadWriteOnce"]},
        }));
        assert_eq!(stripped(&live), want);
    }

    #[test]
    fn addresses_that_were_given_are_gone_and_those_that_were_asked_for_stay() {
        let service = |asked: Value, metadata: Value| {
            let mut value = json!({"apiVersion": "v1", "kind": "Service", "metadata": metadata,
                "spec": {"clusterIP": "10.0.0.7", "clusterIPs": ["10.0.0.7"], "ports": [{"port": 80, "protocol": "TCP", "nodePort": 30080}]}});
            if asked.is_null() {
                value["spec"] = json!({"ports": [{"port": 80, "protocol": "TCP"}]});
            }
            object(value)
        };
        let claims = |fields: Value| json!({"name": "web", "managedFields": [{"manager": "x", "fieldsV1": {"f:spec": fields}}]});
        let port = |more: Value| json!({"k:{\"port\":80,\"protocol\":\"TCP\"}": more});
        let given = claims(json!({"f:ports": port(json!({"f:port": {}}))}));
        let bare = service(Value::Null, json!({"name": "web"}));
        assert_eq!(stripped(&service(json!(1), given)), bare);
        let asked = json!({"f:clusterIP": {}, "f:clusterIPs": {}, "f:ports": port(json!({"f:port": {}, "f:nodePort": {}}))});
        let asked = service(json!(1), claims(asked));
        let kept = service(json!(1), json!({"name": "web"}));
        assert_eq!(stripped(&asked), kept);
        assert_eq!(
            stripped(&kept),
            kept,
            "of what nobody knows nothing is taken"
        );
    }

    #[test]
    fn a_job_does_not_take_the_pods_of_the_one_it_was() {
        let labels =
            json!({"app": "a", "job-name": "a", "batch.kubernetes.io/controller-uid": "7"});
        let job = |by_hand: bool, labels: &Value| {
            object(
                json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "a"},
                "spec": {"manualSelector": by_hand, "selector": {"matchLabels": {"a": "7"}}, "template": {"metadata": {"labels": labels}}}}),
            )
        };
        let made = stripped(&job(false, &labels));
        assert_eq!(made.get("/spec/selector"), None);
        let kept = made.get("/spec/template/metadata/labels");
        assert_eq!(kept, Some(&json!({"app": "a"})));
        assert_eq!(stripped(&job(true, &labels)), job(true, &labels));
    }

    #[test]
    fn a_snapshot_is_found_again_by_its_handle_and_one_that_is_yet_to_be_taken_is_not() {
        let content = |source: Value, policy: &str, status: Value| {
            object(
                json!({"apiVersion": "snapshot.storage.k8s.io/v1", "kind": "VolumeSnapshotContent", "metadata": {"name": "a"},
                "spec": {"deletionPolicy": policy, "source": source}, "status": status}),
            )
        };
        let volume = json!({"volumeHandle": "disk-1"});
        let taken = stripped(&content(
            volume.clone(),
            "Delete",
            json!({"snapshotHandle": "snap-1"}),
        ));
        let source = taken.get("/spec/source");
        assert_eq!(source, Some(&json!({"snapshotHandle": "snap-1"})));
        assert_eq!(taken.get("/spec/deletionPolicy"), Some(&json!("Retain")));
        let (key, value) = IF_ABSENT;
        let said = taken.annotations().and_then(|all| all.get(key));
        assert_eq!(said, Some(&json!(value)));
        assert_eq!(taken.get("/status"), None);
        for (source, status) in [
            (volume, json!({"readyToUse": false})),
            (
                json!({"snapshotHandle": "b"}),
                json!({"snapshotHandle": "b"}),
            ),
        ] {
            let same = stripped(&content(source.clone(), "Delete", status));
            assert_eq!(same.get("/spec/source"), Some(&source));
            assert_eq!(same.get("/spec/deletionPolicy"), Some(&json!("Delete")));
            assert_eq!(same.annotations(), None);
        }
    }

    #[test]
    fn what_an_object_is_bound_to_is_named_without_its_identity() {
        let content = |named: Value| {
            let object = json!({"apiVersion": "snapshot.storage.k8s.io/v1", "kind": "VolumeSnapshotContent",
                "metadata": {"name": "a"}, "spec": {"volumeSnapshotRef": named}});
            Object::try_from(object).unwrap()
        };
        let bound = json!({"name": "a", "namespace": "b", "uid": "1", "resourceVersion": "2"});
        let want = content(json!({"name": "a", "namespace": "b"}));
        assert_eq!(stripped(&content(bound)), want);
        assert_eq!(stripped(&content(json!("odd"))), content(json!("odd")));
    }
}
