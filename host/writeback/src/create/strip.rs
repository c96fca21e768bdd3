//! An object without what belongs to the cluster it lives in.

use reeve_kustomize::Object;
use serde_json::{Map, Value};

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

/// What names an object of the cluster that it lives in, by kinds: made anew that one has another identity.
const BOUND: [(&str, &str); 2] = [
    ("PersistentVolume", "claimRef"),
    ("VolumeSnapshotContent", "volumeSnapshotRef"),
];

/// The object as it belongs into a file: without status, identity, owners, and what is equal to `defaults`.
#[must_use]
pub fn stripped(live: &Object, defaults: Option<&Object>) -> Object {
    let mut object = without_server_fields(live);
    let Some(defaults) = defaults else {
        return object;
    };
    for (name, default) in defaults.fields() {
        // What names the object stays.
        if matches!(name.as_str(), "apiVersion" | "kind" | "metadata") {
            continue;
        }
        let fields = object.fields_mut();
        if let Some(value) = fields.get_mut(name)
            && is_default(value, default)
        {
            fields.shift_remove(name);
        }
    }
    object
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

fn remove_defaults(map: &mut Map<String, Value>, defaults: &Map<String, Value>) {
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
        let defaults =
            object(json!({"kind": "PersistentVolumeClaim", "spec": {"volumeMode": "Filesystem"}}));
        let want = object(json!({
            "apiVersion": "v1", "kind": "PersistentVolumeClaim",
            "metadata": {"name": "data", "namespace": "acme", "annotations": {"a": "b"}},
            "spec": {"accessModes": ["ReadWriteOnce"]},
        }));
        assert_eq!(stripped(&live, Some(&defaults)), want);
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
        assert_eq!(stripped(&content(bound), None), want);
        assert_eq!(
            stripped(&content(json!("odd")), None),
            content(json!("odd"))
        );
    }
}
