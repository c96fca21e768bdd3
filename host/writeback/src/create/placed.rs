//! A Pod without its place on its cluster: the node that it was given, and the token of its account that is mounted into it.
//!
//! Bound to a node that is not there a Pod is never run, and a token's volume is named otherwise each time. What somebody claims was
//! asked for and stays. Pods that others make it deliberately does not look at: of these the template is written, which has none of it.

use reeve_kustomize::Object;
use serde_json::{Map, Value, json};

/// The volume of the token begins so.
const TOKEN: &str = "kube-api-access-";
/// Who mounts volumes.
const CONTAINERS: [&str; 2] = ["containers", "initContainers"];

/// Takes out of the spec what nobody claims to have asked for. Of what nobody knows nothing is taken.
pub(super) fn less_placed(object: &mut Object, live: &Object) {
    let claimed = claimed(live);
    if claimed.is_empty() {
        return;
    }
    let Some(Value::Object(spec)) = object.fields_mut().get_mut("spec") else {
        return;
    };
    if !claims(&claimed, "f:nodeName", None) {
        spec.shift_remove("nodeName");
    }
    let is_given = |item: &Value| {
        let name = item.get("name").and_then(Value::as_str).unwrap_or_default();
        let key = format!("k:{}", json!({ "name": name }));
        name.starts_with(TOKEN) && !claims(&claimed, "f:volumes", Some(&key))
    };
    less(spec, "volumes", is_given);
    for field in CONTAINERS {
        let all = spec.get_mut(field).and_then(Value::as_array_mut);
        let all = all.into_iter().flatten();
        for container in all.filter_map(Value::as_object_mut) {
            less(container, "volumeMounts", is_given);
        }
    }
}

/// What is claimed of an object, by whom it may be.
fn claimed(live: &Object) -> Vec<&Map<String, Value>> {
    let managed = live.get("/metadata/managedFields");
    let managed = managed.and_then(Value::as_array).into_iter().flatten();
    let all = managed.filter_map(|one| one.get("fieldsV1")?.as_object());
    all.filter(|one| !one.is_empty()).collect()
}

/// Whether anybody claims a field of the spec: as a whole, or this item of it.
fn claims(claimed: &[&Map<String, Value>], field: &str, item: Option<&str>) -> bool {
    let mut fields = claimed
        .iter()
        .filter_map(|one| one.get("f:spec")?.get(field)?.as_object());
    fields.any(|below| match item {
        Some(item) => below.is_empty() || below.contains_key(item),
        None => true,
    })
}

/// Takes these items out of a list, and the list with the last of them.
fn less(of: &mut Map<String, Value>, field: &str, goes: impl Fn(&Value) -> bool) {
    let Some(Value::Array(items)) = of.get_mut(field) else {
        return;
    };
    let before = items.len();
    items.retain(|item| !goes(item));
    if items.is_empty() && before > 0 {
        of.shift_remove(field);
    }
}

#[cfg(test)]
mod tests {
    use super::super::strip::stripped;
    use super::*;

    /// A Pod on a node with its token, whose fields are claimed so.
    fn pod(claims: &Value) -> Object {
        let token = json!({"name": "kube-api-access-x7k2p", "projected": {"sources": [{"serviceAccountToken": {"path": "token"}}]}});
        let data = json!({"name": "data", "emptyDir": {}});
        let mounts = json!([{"name": "data", "mountPath": "/data"}, {"name": "kube-api-access-x7k2p", "mountPath": "/var/run/secrets"}]);
        let setup = json!({"name": "setup", "volumeMounts": [{"name": "kube-api-access-x7k2p", "mountPath": "/var/run/secrets"}]});
        object(json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": "debug", "managedFields": [{"manager": "kubectl-run", "operation": "Update", "fieldsV1": {"f:spec": claims}}]},
            "spec": {
                "containers": [{"name": "debug", "volumeMounts": mounts}], "initContainers": [setup],
                "nodeName": "worker-3", "volumes": [data, token],
            },
        }))
    }

    fn object(value: Value) -> Object {
        Object::try_from(value).unwrap()
    }

    #[test]
    fn a_pod_is_kept_without_the_node_and_the_token_that_its_cluster_has_given_to_it() {
        let data = json!({"k:{\"name\":\"data\"}": {".": {}, "f:name": {}, "f:emptyDir": {}}});
        let made = stripped(&pod(&json!({"f:volumes": data})));
        let want = json!({
            "containers": [{"name": "debug", "volumeMounts": [{"name": "data", "mountPath": "/data"}]}],
            "initContainers": [{"name": "setup"}], "volumes": [{"name": "data", "emptyDir": {}}],
        });
        assert_eq!(made.get("/spec"), Some(&want));
    }

    #[test]
    fn a_node_and_a_token_that_somebody_has_asked_for_stay() {
        let token = json!({"k:{\"name\":\"kube-api-access-x7k2p\"}": {".": {}, "f:name": {}, "f:projected": {}}});
        let live = pod(&json!({"f:nodeName": {}, "f:volumes": token}));
        assert_eq!(stripped(&live).get("/spec"), live.get("/spec"));
        let mut other = pod(&json!({}));
        other.fields_mut().insert("kind".to_owned(), json!("Place"));
        let spec = other.get("/spec").cloned();
        assert_eq!(stripped(&other).get("/spec"), spec.as_ref());
        let mut unknown = pod(&json!({}));
        unknown.metadata_mut().shift_remove("managedFields");
        let kept = stripped(&unknown);
        assert_eq!(kept, unknown, "of what nobody knows nothing is taken");
    }
}
