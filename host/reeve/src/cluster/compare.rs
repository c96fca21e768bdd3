//! What an object on the cluster says about itself, and whether applying would change it.
//!
//! Three pure questions about one live object: does it ask to be left alone (Flux's annotations), would the dry run's
//! result differ from it, and whose old claims on its fields are ours to take over. It deliberately asks nothing of
//! the cluster; [`apply`](super::apply) and [`prune`](super::prune) act on the answers.

use reeve_core::difference::strip_metadata;
pub(super) use reeve_core::drift::MANAGER;
use reeve_core::drift::{self, LEFTOVER_ANNOTATIONS, LEFTOVER_LABEL, is_ours, is_taken_over};
use reeve_core::plan::{left_alone, says};
use reeve_core::writeback::Leave;
use serde_json::{Map, Value, json};

/// Whether it asks not to be deleted.
pub(super) fn kept(live: &Value) -> bool {
    left_alone(live) || says(live, "kustomize.toolkit.fluxcd.io/prune", "Disabled")
}

/// Whether it is to be created but never changed.
pub(super) fn only_if_absent(wanted: &Value) -> bool {
    says(wanted, "kustomize.toolkit.fluxcd.io/ssa", "IfNotPresent")
}

/// Whether it may be deleted and made anew when a field of it cannot be changed.
pub(super) fn may_be_recreated(object: &Value) -> bool {
    says(object, "kustomize.toolkit.fluxcd.io/force", "Enabled")
}

/// Whether others' claims on its fields are respected.
fn merges(object: &Value) -> bool {
    says(object, "kustomize.toolkit.fluxcd.io/ssa", "Merge")
}

/// Whether the Kustomization's labels are on it: whoever applied it last owns it.
pub(super) fn belongs_to(live: &Value, namespace: &str, name: &str) -> bool {
    let labels = live.pointer("/metadata/labels");
    let is = |key: &str, value: &str| {
        labels.and_then(|all| all.get(key)).and_then(Value::as_str) == Some(value)
    };
    is(drift::OWNER, name) && is(drift::OWNER_NAMESPACE, namespace)
}

/// Whether what applying would make of it differs from what it is, but for what the server keeps itself.
pub(super) fn differs(live: &Value, applied: &Value) -> bool {
    let (Some(live), Some(applied)) = (live.as_object(), applied.as_object()) else {
        return live != applied;
    };
    let keys = |of: &Map<String, Value>| {
        let compared = |key: &&String| !matches!(key.as_str(), "metadata" | "status");
        of.keys()
            .filter(compared)
            .cloned()
            .collect::<std::collections::BTreeSet<_>>()
    };
    keys(live) != keys(applied)
        || keys(live)
            .iter()
            .any(|key| live.get(key) != applied.get(key))
        || meta(live) != meta(applied)
}

/// The metadata that an apply could change: without the server's own bookkeeping.
fn meta(object: &Map<String, Value>) -> Map<String, Value> {
    let mut meta = object
        .get("metadata")
        .and_then(Value::as_object)
        .cloned()
        .unwrap_or_default();
    strip_metadata(&mut meta);
    meta
}

/// The JSON patch that takes over what `kubectl` and former versions of us claimed, and removes what they left behind;
/// None if there is nothing to take over.
///
/// Without it a field that was once set by hand and then deleted in git would stay for ever: its other owner keeps it. What is
/// left to write-back stays theirs.
pub(super) fn takeover(wanted: &Value, live: &Value, left: &Leave) -> Option<Value> {
    if merges(wanted) || merges(live) {
        return None;
    }
    let mut patch = Vec::new();
    for (place, keys) in [
        ("annotations", &LEFTOVER_ANNOTATIONS[..]),
        ("labels", &[LEFTOVER_LABEL]),
    ] {
        let there = live.pointer("/metadata").and_then(|meta| meta.get(place));
        for key in keys {
            if there.and_then(|there| there.get(key)).is_some() {
                let path = format!("/metadata/{place}/{}", key.replace('/', "~1"));
                patch.push(json!({"op": "remove", "path": path}));
            }
        }
    }
    let entries = live
        .pointer("/metadata/managedFields")
        .and_then(Value::as_array);
    let taken = |fields: &Value| left.taken(fields, wanted, live);
    if let Some(folded) = entries.and_then(|entries| folded(entries, taken)) {
        patch.push(json!({"op": "replace", "path": "/metadata/managedFields", "value": folded}));
    }
    if patch.is_empty() {
        return None;
    }
    // Refused if the object changed since: the claims replaced are exactly those that were read.
    let version = live
        .pointer("/metadata/resourceVersion")
        .cloned()
        .unwrap_or_default();
    patch.push(json!({"op": "replace", "path": "/metadata/resourceVersion", "value": version}));
    Some(Value::Array(patch))
}

/// The claims with those of `kubectl` and of former versions of us folded into our own, as far as they are `taken`; None if
/// there are none.
fn folded(entries: &[Value], taken: impl Fn(&Value) -> Value) -> Option<Vec<Value>> {
    let mut ours = entries.iter().find(|entry| is_ours(entry)).cloned();
    let mut others = Vec::new();
    let mut folded_any = false;
    for entry in entries {
        if is_ours(entry) {
            continue;
        }
        let Some((folded, rest)) = parted(entry, &taken) else {
            others.push(entry.clone());
            continue;
        };
        folded_any = true;
        others.extend(rest);
        match &mut ours {
            Some(ours) => merge_fields(ours, &folded),
            None => {
                let mut first = folded;
                if let Some(first) = first.as_object_mut() {
                    first.insert("manager".to_owned(), MANAGER.into());
                    first.insert("operation".to_owned(), "Apply".into());
                }
                ours = Some(first);
            }
        }
    }
    others.extend(ours);
    folded_any.then_some(others)
}

/// The part of a claim that is taken over, if any is, and the part that stays theirs, if any does.
fn parted(entry: &Value, taken: impl Fn(&Value) -> Value) -> Option<(Value, Option<Value>)> {
    if !is_taken_over(entry) {
        return None;
    }
    let fields = entry.get("fieldsV1").unwrap_or(&Value::Null);
    let part = taken(fields);
    if part == *fields {
        return Some((entry.clone(), None));
    }
    let with = |fields: Value| {
        let mut entry = entry.clone();
        if let Some(entry) = entry.as_object_mut() {
            entry.insert("fieldsV1".to_owned(), fields);
        }
        entry
    };
    let is_any = part.as_object().is_some_and(|part| !part.is_empty());
    is_any.then(|| (with(part.clone()), without_fields(fields, &part).map(with)))
}

/// The fields that are not in the part; None if there are none. A mapping of which nothing is left is no claim on all of it.
fn without_fields(fields: &Value, part: &Value) -> Option<Value> {
    let fields = fields.as_object()?;
    let mut rest = Map::new();
    for (key, below) in fields {
        match part.get(key) {
            None => {
                rest.insert(key.clone(), below.clone());
            }
            Some(part) => {
                let below = without_fields(below, part);
                rest.extend(below.map(|below| (key.clone(), below)));
            }
        }
    }
    (!rest.is_empty()).then_some(Value::Object(rest))
}

/// The union of two sets of fields, each a trie of `f:`, `k:` and `v:` keys.
fn merge_fields(into: &mut Value, from: &Value) {
    fn union(into: &mut Map<String, Value>, from: &Map<String, Value>) {
        for (key, below) in from {
            let here = into.entry(key.clone()).or_insert_with(|| json!({}));
            if let (Some(here), Some(below)) = (here.as_object_mut(), below.as_object()) {
                union(here, below);
            }
        }
    }
    let Some(into) = into.as_object_mut() else {
        return;
    };
    let fields = into.entry("fieldsV1").or_insert_with(|| json!({}));
    if let (Some(fields), Some(more)) = (
        fields.as_object_mut(),
        from.get("fieldsV1").and_then(Value::as_object),
    ) {
        union(fields, more);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flux_words_are_read_from_labels_or_annotations_in_any_case() {
        for (meta, alone) in [
            (
                json!({"annotations": {"kustomize.toolkit.fluxcd.io/reconcile": "Disabled"}}),
                true,
            ),
            (
                json!({"labels": {"kustomize.toolkit.fluxcd.io/ssa": "ignore"}}),
                true,
            ),
            (
                json!({"annotations": {"kustomize.toolkit.fluxcd.io/reconcile": "enabled"}}),
                false,
            ),
            (json!({}), false),
        ] {
            assert_eq!(left_alone(&json!({"metadata": meta})), alone, "{meta}");
        }
    }

    fn live() -> Value {
        json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": "x", "uid": "u", "resourceVersion": "7", "generation": 2,
                "labels": {"a": "b"}, "managedFields": [{}]},
            "data": {"k": "v"}, "status": {"seen": true},
        })
    }

    #[test]
    fn what_the_server_keeps_itself_is_no_difference() {
        let mut dry = live();
        dry["metadata"]["resourceVersion"] = "8".into();
        dry["metadata"]["generation"] = 3.into();
        dry["metadata"]["managedFields"] = json!([]);
        dry["status"] = json!({});
        assert!(!differs(&live(), &dry));
    }

    #[test]
    fn any_other_change_is_a_difference() {
        for (pointer, value) in [
            ("/data/k", json!("w")),
            ("/metadata/labels/a", json!("c")),
            ("/metadata/labels", json!({})),
            ("/metadata/labels", json!({"a": "b", "more": "x"})),
        ] {
            let mut dry = live();
            *dry.pointer_mut(pointer).unwrap() = value;
            assert!(differs(&live(), &dry), "{pointer}");
        }
        let mut dry = live();
        dry["immutable"] = true.into();
        assert!(differs(&live(), &dry));
        assert!(differs(&dry, &live()));
    }

    #[test]
    fn an_object_belongs_to_whoever_labelled_it_last() {
        let mine = json!({"metadata": {"labels": {
            "kustomize.toolkit.fluxcd.io/name": "web", "kustomize.toolkit.fluxcd.io/namespace": "acme"}}});
        assert!(belongs_to(&mine, "acme", "web"));
        assert!(!belongs_to(&mine, "acme", "shop"));
        assert!(!belongs_to(&json!({"metadata": {}}), "acme", "web"));
    }

    fn claim(manager: &str, operation: &str, fields: Value) -> Value {
        json!({"manager": manager, "operation": operation, "apiVersion": "v1", "fieldsV1": fields})
    }

    #[test]
    fn what_kubectl_claimed_becomes_ours_and_the_controllers_of_the_cluster_keep_theirs() {
        let mut scaled = claim("kubectl", "Update", json!({"f:spec": {"f:replicas": {}}}));
        scaled["subresource"] = "scale".into();
        let theirs = claim("kube-controller-manager", "Update", json!({"f:status": {}}));
        let flux_client = claim("flux-client-side-apply", "Apply", json!({}));
        let entries = [
            claim(MANAGER, "Apply", json!({"f:data": {"f:a": {}, ".": {}}})),
            claim("kubectl-edit", "Update", json!({"f:data": {"f:b": {}}})),
            claim(
                "before-first-apply",
                "Update",
                json!({"f:data": {"f:a": {}}, "f:metadata": {}}),
            ),
            claim(MANAGER, "Update", json!({"f:immutable": {}})),
            scaled.clone(),
            theirs.clone(),
            flux_client.clone(),
        ];
        let fields =
            json!({"f:data": {"f:a": {}, ".": {}, "f:b": {}}, "f:metadata": {}, "f:immutable": {}});
        let want = vec![scaled, theirs, flux_client, claim(MANAGER, "Apply", fields)];
        assert_eq!(folded(&entries, Value::clone).unwrap(), want);
    }

    #[test]
    fn the_first_claim_is_renamed_when_we_have_none() {
        let entries = [claim(
            "kubectl-client-side-apply",
            "Update",
            json!({"f:data": {}}),
        )];
        assert_eq!(
            folded(&entries, Value::clone).unwrap(),
            [claim(MANAGER, "Apply", json!({"f:data": {}}))]
        );
        for claims in [
            claim("helm", "Update", json!({})),
            claim(MANAGER, "Apply", json!({})),
        ] {
            assert_eq!(folded(&[claims], Value::clone), None);
        }
    }

    #[test]
    fn what_is_left_to_write_back_stays_claimed_by_who_changed_it() {
        let mine = claim(MANAGER, "Apply", json!({"f:data": {"f:a": {}}}));
        let fields = json!({"f:data": {".": {}, "f:b": {}, "f:c": {}}, "f:immutable": {}});
        let entries = [mine, claim("kubectl-edit", "Update", fields)];
        let b_only = |_: &Value| json!({"f:data": {"f:b": {}}});
        let want = [
            claim(
                "kubectl-edit",
                "Update",
                json!({"f:data": {".": {}, "f:c": {}}, "f:immutable": {}}),
            ),
            claim(MANAGER, "Apply", json!({"f:data": {"f:a": {}, "f:b": {}}})),
        ];
        assert_eq!(folded(&entries, b_only).unwrap(), want);
        assert_eq!(folded(&entries, |_: &Value| json!({})), None);
        // Of a mapping that is taken whole no claim on all of it is left.
        let data = |_: &Value| json!({"f:data": {".": {}, "f:b": {}, "f:c": {}}});
        let rest = folded(&entries, data).unwrap();
        let want = claim("kubectl-edit", "Update", json!({"f:immutable": {}}));
        assert_eq!(rest.first(), Some(&want));
    }

    #[test]
    fn leftovers_are_removed_and_merge_leaves_all_as_it_is() {
        let mut live = live();
        live["metadata"]["managedFields"] = json!([claim(MANAGER, "Apply", json!({}))]);
        assert_eq!(takeover(&json!({}), &live, &Leave::default()), None);
        live["metadata"]["annotations"] =
            json!({"kubectl.kubernetes.io/last-applied-configuration": "{}"});
        let patch = takeover(&json!({}), &live, &Leave::default()).unwrap();
        assert_eq!(
            patch[0]["path"],
            "/metadata/annotations/kubectl.kubernetes.io~1last-applied-configuration"
        );
        assert_eq!(
            patch[1],
            json!({"op": "replace", "path": "/metadata/resourceVersion", "value": "7"})
        );
        let merge =
            json!({"metadata": {"annotations": {"kustomize.toolkit.fluxcd.io/ssa": "merge"}}});
        assert_eq!(takeover(&merge, &live, &Leave::default()), None);
    }
}
