//! What is planned for a bundle: the rows of `tests/cases/plan/`, each one change to one healthy Kustomization.

use super::*;
use crate::bundle::Rendered;
use serde_json::json;

pub(super) fn spec(changes: &Value) -> Spec {
    let mut object = json!({
        "apiVersion": "kustomize.toolkit.fluxcd.io/v1",
        "kind": "Kustomization",
        "metadata": {"namespace": "acme", "name": "web"},
        "spec": {
            "interval": "10m",
            "prune": true,
            "targetNamespace": "acme",
            "sourceRef": {"kind": "GitRepository", "name": "web"},
        },
    });
    for (field, value) in changes.as_object().into_iter().flatten() {
        object["spec"][field] = value.clone();
    }
    Spec::parse(&serde_json::from_value(object).unwrap()).unwrap()
}

pub(super) fn scopes() -> Scopes {
    let rbac = "rbac.authorization.k8s.io";
    let known = [
        ("", "ConfigMap", Scope::Namespaced),
        ("", "Secret", Scope::Namespaced),
        ("", "Namespace", Scope::Cluster),
        ("apps", "Deployment", Scope::Namespaced),
        ("batch", "Job", Scope::Namespaced),
        (rbac, "ClusterRole", Scope::Cluster),
        (rbac, "Role", Scope::Namespaced),
        (
            "apiextensions.k8s.io",
            "CustomResourceDefinition",
            Scope::Cluster,
        ),
    ];
    let known = known.map(|(group, kind, scope)| ((group.to_owned(), kind.to_owned()), scope));
    known.into_iter().collect()
}

pub(super) fn bundle(objects: &Value) -> Bundle<Transformed> {
    let objects = objects.as_array().unwrap().iter();
    let objects = objects
        .map(|value| Object::try_from(value.clone()).unwrap())
        .collect();
    Bundle::<Rendered>::built(objects).unwrap().settled()
}

pub(super) fn inventory(ids: &Value) -> Inventory {
    let ids = ids.as_array().into_iter().flatten();
    Inventory::parse(ids.map(|id| (id.as_str().unwrap(), "v1"))).unwrap()
}

/// What a row may want to know of a plan.
fn told(plan: &Plan<Proposed>) -> Value {
    let stages = plan.stages().map(|stage| {
        let ids = stage
            .objects()
            .iter()
            .map(|planned| planned.id().to_string());
        ids.collect::<Vec<_>>()
    });
    let pruned = plan.prune().iter().map(|entry| entry.id.to_string());
    let skipped = plan.skipped().iter().map(ToString::to_string);
    let inventory = plan.inventory().entries().map(|entry| entry.id.to_string());
    json!({
        "stages": stages.collect::<Vec<_>>(),
        "prune": pruned.collect::<Vec<_>>(),
        "skipped": skipped.collect::<Vec<_>>(),
        "inventory": inventory.collect::<Vec<_>>(),
    })
}

/// Parts of the last object that is applied; null for one that is not there.
fn part(plan: &Plan<Proposed>, pointer: &str) -> Value {
    let last = plan
        .objects()
        .last()
        .expect("a row that looks at an object has one");
    last.manifest()
        .pointer(pointer)
        .cloned()
        .unwrap_or_default()
}

fn check(row: &Value, at: &str) {
    assert!(row["says"].is_string(), "{at} says nothing");
    let plan = Plan::propose(
        bundle(&row["objects"]),
        &scopes(),
        &inventory(&row["before"]),
        &spec(&row["spec"]),
    );
    let want = row["want"].as_object().expect("a row wants something");
    assert!(!want.is_empty(), "{at} wants nothing");
    if let Some(message) = want.get("error") {
        assert_eq!(plan.unwrap_err().to_string(), *message, "{at}");
        return;
    }
    let plan = plan.unwrap_or_else(|error| panic!("{at}: {error}"));
    for (key, value) in want {
        if key == "last" {
            for (pointer, value) in value.as_object().unwrap() {
                assert_eq!(part(&plan, pointer), *value, "{at}: {pointer}");
            }
        } else {
            assert_eq!(told(&plan).get(key), Some(value), "{at}: {key}");
        }
    }
}

#[test]
fn every_row_is_planned_as_it_says() {
    let rows = crate::rows::rows("plan");
    for (at, row) in &rows {
        check(row, at);
    }
    assert!(rows.len() > 40, "only {} rows were found", rows.len());
}

#[test]
fn the_next_stage_waits_for_what_it_builds_on() {
    let all = [
        StageKind::Definitions,
        StageKind::Classes,
        StageKind::Roles,
        StageKind::Rest,
    ];
    assert_eq!(all.map(StageKind::waits), [true, true, false, false]);
    assert!(all.is_sorted());
}

#[test]
fn a_withdrawal_prunes_everything_and_leaves_nothing() {
    let plan = Plan::withdraw(&inventory(&json!([
        "_acme__Namespace",
        "acme_a__ConfigMap"
    ])));
    assert_eq!(
        told(&plan),
        json!({
            "stages": [], "skipped": [], "inventory": [],
            "prune": ["acme_a__ConfigMap", "_acme__Namespace"],
        })
    );
}

#[test]
fn what_another_holds_is_not_deleted_and_remembered_until_it_has_it() {
    let before = json!([
        "acme_a__ConfigMap",
        "acme_b__ConfigMap",
        "acme_c__ConfigMap"
    ]);
    let before = inventory(&before);
    let plan = Plan::of_inventory(&before, &Inventory::default());
    let plan = plan.hand_over(|id| match id.name.as_str() {
        "a" => None,
        name => Some(name == "b"),
    });
    assert_eq!(
        told(&plan),
        json!({
            "stages": [], "skipped": [],
            "prune": ["acme_a__ConfigMap"], "inventory": ["acme_c__ConfigMap"],
        })
    );
}

#[test]
fn a_plan_does_not_print_what_is_in_it() {
    let secret = json!([{
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a"},
        "stringData": {"key": "hunter2"},
    }]);
    let plan = Plan::propose(
        bundle(&secret),
        &scopes(),
        &Inventory::default(),
        &spec(&json!({})),
    );
    let printed = format!("{:?}", plan.unwrap());
    assert!(
        !printed.contains("hunter2") && !printed.contains("aHVudGVyMg"),
        "{printed}"
    );
}
