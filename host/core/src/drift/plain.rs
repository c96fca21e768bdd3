//! Whether applying is all that there is to do to an object that we have applied: nobody asks for anything else on it, and
//! nothing on it has to be taken over first. Told by its metadata alone.

use serde_json::Value;

use super::{DRIFT, is_ours, is_taken_over};

/// Annotations that other appliers leave behind.
pub const LEFTOVER_ANNOTATIONS: [&str; 3] = [
    "kubectl.kubernetes.io/last-applied-configuration",
    "kustomize.toolkit.fluxcd.io/checksum",
    "fluxcd.io/sync-checksum",
];
/// A label that they leave behind.
pub const LEFTOVER_LABEL: &str = "fluxcd.io/sync-gc-mark";
/// What an object, or its manifest, may ask for beside being applied.
const ASKS: [&str; 4] = [
    "kustomize.toolkit.fluxcd.io/force",
    "kustomize.toolkit.fluxcd.io/reconcile",
    "kustomize.toolkit.fluxcd.io/ssa",
    DRIFT,
];

/// Whether it asks for anything by its labels or annotations, be it what is the rule anyway.
pub fn asks(object: &Value) -> bool {
    let meta = object.get("metadata").unwrap_or(&Value::Null);
    ["annotations", "labels"]
        .iter()
        .any(|place| has_any(meta, place, &ASKS))
}

/// Whether it is ours, and nobody's beside us.
pub(super) fn is_plain(object: &Value) -> bool {
    let meta = object.get("metadata").unwrap_or(&Value::Null);
    let claims = meta.get("managedFields").and_then(Value::as_array);
    let claims = || claims.into_iter().flatten();
    meta.get("deletionTimestamp").is_none()
        && claims().any(is_ours)
        && !claims().any(is_taken_over)
        && !has_any(meta, "annotations", &LEFTOVER_ANNOTATIONS)
        && !has_any(meta, "labels", &[LEFTOVER_LABEL])
        && !asks(object)
}

fn has_any(meta: &Value, place: &str, keys: &[&str]) -> bool {
    let there = meta.get(place);
    keys.iter()
        .any(|key| there.is_some_and(|there| there.get(*key).is_some()))
}

#[cfg(test)]
mod tests {
    use super::super::MANAGER;
    use super::*;
    use serde_json::json;

    fn object(change: impl FnOnce(&mut Value)) -> Value {
        let claim = |manager: &str, operation: &str| json!({"manager": manager, "operation": operation, "fieldsV1": {}});
        let mut object = json!({"metadata": {"name": "a", "labels": {"app": "web"}, "annotations": {"note": "x"},
            "managedFields": [claim(MANAGER, "Apply"), claim("kube-controller-manager", "Update")]}});
        change(&mut object["metadata"]);
        object
    }

    #[test]
    fn an_object_that_asks_for_anything_asks_whatever_it_says() {
        for key in ASKS {
            for place in ["annotations", "labels"] {
                let object = json!({"metadata": {place: {key: "enabled"}}});
                assert!(asks(&object), "{object}");
            }
        }
        let other = json!({"metadata": {"labels": {"kustomize.toolkit.fluxcd.io/name": "web"}}});
        assert!(!asks(&other) && !asks(&json!({})));
    }

    #[test]
    fn only_what_nobody_else_has_a_say_in_is_plain() {
        assert!(is_plain(&object(|_| {})));
        type Change = fn(&mut Value);
        let rows: [(&str, Change); 6] = [
            ("it goes", |meta| meta["deletionTimestamp"] = "now".into()),
            ("kubectl claims it", |meta| {
                meta["managedFields"][1]["manager"] = "kubectl-edit".into();
            }),
            ("we claim nothing", |meta| {
                meta["managedFields"][0]["operation"] = "Update".into();
            }),
            ("nobody does", |meta| meta["managedFields"] = json!([])),
            ("kubectl has left something", |meta| {
                meta["annotations"][LEFTOVER_ANNOTATIONS[0]] = "{}".into();
            }),
            ("it asks", |meta| {
                meta["annotations"][DRIFT] = "report".into();
            }),
        ];
        for (says, change) in rows {
            assert!(!is_plain(&object(change)), "{says}");
        }
    }
}
