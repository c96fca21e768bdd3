//! Fields that the spec leaves to others (`spec.ignore`), kept as they are on the cluster.
//!
//! As Flux: a difference in such a field alone is none. When something else is written, a field that another manager
//! applied is left out, so that it stays theirs; any other goes with the value that it has on the cluster. It deliberately
//! asks nothing of the cluster: [`apply`](super::apply) has read the object, live and dry-run.

use std::borrow::Cow;

use reeve_core::adoption::changed;
use serde_json::Value;

use super::compare::{self, MANAGER};

/// Whether applying would change a field that is not left to others.
pub(super) fn differs(live: &Value, dry: &Value, ignored: &[String]) -> bool {
    if ignored.is_empty() {
        return compare::differs(live, dry);
    }
    compare::differs(&without(live, ignored), &without(dry, ignored))
}

/// The fields that applying would change, but for those that are left to others.
pub(super) fn fields(live: &Value, dry: &Value, ignored: &[String]) -> Vec<String> {
    changed(&without(live, ignored), &without(dry, ignored))
}

/// What is sent instead of `wanted`, so that what is left to others stays as it is.
pub(super) fn kept<'w>(
    wanted: &'w Value,
    live: &Value,
    dry: &Value,
    ignored: &[String],
) -> Cow<'w, Value> {
    let mut sent = Cow::Borrowed(wanted);
    for path in ignored {
        let is = live.pointer(path);
        if is == dry.pointer(path) {
            continue;
        }
        match is.filter(|_| !is_applied_by_another(live, path)) {
            Some(is) => set(sent.to_mut(), path, is),
            None => remove(sent.to_mut(), path),
        }
    }
    sent
}

fn without(object: &Value, paths: &[String]) -> Value {
    let mut object = object.clone();
    paths.iter().for_each(|path| remove(&mut object, path));
    object
}

/// The value that holds what the path names, and the name within it.
fn holder<'v>(value: &'v mut Value, path: &str) -> Option<(&'v mut Value, String)> {
    let (parent, name) = path.rsplit_once('/')?;
    Some((value.pointer_mut(parent)?, unescaped(name)))
}

fn remove(value: &mut Value, path: &str) {
    match holder(value, path) {
        Some((Value::Object(fields), name)) => {
            fields.shift_remove(&name);
        }
        Some((Value::Array(items), name)) => {
            if let Some(at) = name.parse().ok().filter(|at| *at < items.len()) {
                items.remove(at);
            }
        }
        _ => {}
    }
}

/// Nothing is made for it: a field whose surroundings git does not have is not ours to send.
fn set(value: &mut Value, path: &str, is: &Value) {
    match holder(value, path) {
        Some((Value::Object(fields), name)) => {
            fields.insert(name, is.clone());
        }
        Some((Value::Array(items), name)) => {
            let at = name.parse::<usize>().ok();
            if let Some(item) = at.and_then(|at| items.get_mut(at)) {
                *item = is.clone();
            }
        }
        _ => {}
    }
}

fn unescaped(name: &str) -> String {
    name.replace("~1", "/").replace("~0", "~")
}

/// Whether anybody else has applied the field.
fn is_applied_by_another(live: &Value, path: &str) -> bool {
    let claims = live.pointer("/metadata/managedFields");
    let claims = claims.and_then(Value::as_array).into_iter().flatten();
    let is = |claim: &Value, field: &str, value: &str| {
        claim.get(field).and_then(Value::as_str).unwrap_or_default() == value
    };
    claims
        .filter(|claim| is(claim, "operation", "Apply") && is(claim, "subresource", ""))
        .filter(|claim| !is(claim, "manager", MANAGER))
        .filter_map(|claim| claim.get("fieldsV1"))
        .any(|fields| claims_path(fields, live, path))
}

/// Whether the claimed fields, a trie of `f:` and `k:` keys, hold the path; an item of a list goes by its key.
fn claims_path(fields: &Value, live: &Value, path: &str) -> bool {
    let (mut fields, mut value) = (fields, live);
    for name in path.split('/').skip(1) {
        let name = unescaped(name);
        let next = match value {
            Value::Array(items) => {
                let item = name.parse::<usize>().ok().and_then(|at| items.get(at));
                item.and_then(|item| Some((claimed_item(fields, item)?, item)))
            }
            _ => fields
                .get(format!("f:{name}"))
                .map(|claimed| (claimed, value.get(&name).unwrap_or(&Value::Null))),
        };
        let Some(next) = next else { return false };
        (fields, value) = next;
    }
    true
}

fn claimed_item<'f>(fields: &'f Value, item: &Value) -> Option<&'f Value> {
    let claimed = fields.as_object()?.iter();
    let is = |key: &str| {
        let keys: Option<Value> = serde_json::from_str(key).ok();
        let keys = keys.as_ref().and_then(Value::as_object);
        keys.is_some_and(|keys| keys.iter().all(|(key, is)| item.get(key) == Some(is)))
    };
    let mut found = claimed.filter(|(key, _)| key.strip_prefix("k:").is_some_and(is));
    found.next().map(|(_, below)| below)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn deployment(replicas: u32, image: &str) -> Value {
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"},
            "spec": {"replicas": replicas, "template": {"spec": {"containers": [{"name": "web", "image": image}]}}}})
    }

    fn paths(paths: &[&str]) -> Vec<String> {
        paths.iter().map(|path| (*path).to_owned()).collect()
    }

    #[test]
    fn a_difference_in_what_is_left_to_others_is_none() {
        let (live, dry) = (deployment(5, "web:1"), deployment(1, "web:1"));
        assert!(differs(&live, &dry, &[]));
        assert!(!differs(&live, &dry, &paths(&["/spec/replicas"])));
        assert!(!differs(&live, &dry, &paths(&["/spec"])));
        assert!(differs(&live, &dry, &paths(&["/spec/paused", "/status"])));
        let image = "/spec/template/spec/containers/0/image";
        let other = deployment(5, "web:2");
        assert!(!differs(&live, &other, &paths(&[image])));
    }

    #[test]
    fn what_is_written_beside_it_leaves_it_as_it_is() {
        let (live, wanted) = (deployment(5, "web:1"), deployment(1, "web:2"));
        let sent = kept(&wanted, &live, &wanted, &paths(&["/spec/replicas"]));
        assert_eq!(*sent, deployment(5, "web:2"), "nobody else has applied it");

        let mut scaled = live.clone();
        let claim = |manager: &str, operation: &str| {
            json!({"manager": manager, "operation": operation,
                "fieldsV1": {"f:spec": {"f:replicas": {}}}})
        };
        for (manager, operation, theirs) in [
            ("scaler", "Apply", true),
            ("scaler", "Update", false),
            (MANAGER, "Apply", false),
        ] {
            scaled["metadata"]["managedFields"] = json!([claim(manager, operation)]);
            let sent = kept(&wanted, &scaled, &wanted, &paths(&["/spec/replicas"]));
            let replicas = sent.pointer("/spec/replicas");
            assert_eq!(replicas.is_none(), theirs, "{manager} {operation}");
        }

        let without = kept(
            &wanted,
            &json!({"spec": {}}),
            &wanted,
            &paths(&["/spec/replicas"]),
        );
        assert_eq!(
            without.pointer("/spec/replicas"),
            None,
            "nor is it put back"
        );
    }

    #[test]
    fn an_item_of_a_list_is_whose_its_key_is() {
        let mut live = deployment(1, "web:1");
        live["metadata"]["managedFields"] = json!([{"manager": "updater", "operation": "Apply", "fieldsV1":
            {"f:spec": {"f:template": {"f:spec": {"f:containers": {"k:{\"name\":\"web\"}": {"f:image": {}}}}}}}}]);
        let path = "/spec/template/spec/containers/0/image";
        assert!(is_applied_by_another(&live, path));
        live["spec"]["template"]["spec"]["containers"][0]["name"] = "other".into();
        assert!(!is_applied_by_another(&live, path));
    }

    #[test]
    fn a_path_to_a_key_with_a_slash_is_escaped() {
        let mut object = json!({"metadata": {"annotations": {"a.b/c": "1", "d": "2"}}});
        remove(&mut object, "/metadata/annotations/a.b~1c");
        assert_eq!(object, json!({"metadata": {"annotations": {"d": "2"}}}));
    }
}
