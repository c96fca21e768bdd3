//! Which objects are looked at, row by row: one Kustomization, one thing about it changed.

use serde_json::json;

use super::*;
use crate::bundle::{Bundle, Rendered};
use crate::inventory::Inventory;
use reeve_kustomize::Object;

fn spec(fields: &[(&str, Value)]) -> Spec {
    let mut object = json!({
        "apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization",
        "metadata": {"namespace": "acme", "name": "web"},
        "spec": {"interval": "10m", "prune": true, "targetNamespace": "acme",
            "sourceRef": {"kind": "GitRepository", "name": "web"}},
    });
    for (field, value) in fields {
        object["spec"][*field] = value.clone();
    }
    Spec::parse(&serde_json::from_value(object).unwrap()).unwrap()
}

fn scopes() -> Scopes {
    let known = [
        ("", "ConfigMap", Scope::Namespaced),
        ("", "Namespace", Scope::Cluster),
        ("apps", "Deployment", Scope::Namespaced),
        ("batch", "Job", Scope::Namespaced),
    ];
    let known = known.map(|(group, kind, scope)| ((group.to_owned(), kind.to_owned()), scope));
    known.into_iter().collect()
}

fn looked_at(spec: &Spec, skipped: &[&str]) -> Option<Vec<String>> {
    let objects = [
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}}),
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}}),
        json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "seed"},
            "spec": {"ttlSecondsAfterFinished": 60}}),
        json!({"apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization",
            "metadata": {"name": "web"}}),
    ];
    let objects = objects.map(|object| Object::try_from(object).unwrap());
    let bundle = Bundle::<Rendered>::built(objects.into()).unwrap().settled();
    let plan = Plan::propose(bundle, &scopes(), &Inventory::default(), spec).unwrap();
    let changes: Vec<Change> = plan
        .objects()
        .map(|planned| Change {
            id: planned.id().clone(),
            action: match skipped.contains(&planned.id().name.as_str()) {
                true => Action::Skipped,
                false => Action::Unchanged,
            },
        })
        .collect();
    let told = |check: Check| {
        let gone = if check.may_vanish { " or gone" } else { "" };
        format!(
            "{} {}{gone}",
            check.entry.api_version(),
            check.entry.id.subject()
        )
    };
    let all = checks(spec, &plan, &changes, &scopes())?;
    Some(all.into_iter().map(told).collect())
}

#[test]
fn nothing_is_looked_at_that_nobody_asked_for() {
    assert_eq!(looked_at(&spec(&[]), &[]), None);
    assert_eq!(looked_at(&spec(&[("wait", json!(false))]), &[]), None);
}

#[test]
fn all_that_was_applied_is_looked_at_but_itself_and_what_only_has_to_be_there() {
    let wait = spec(&[
        ("wait", json!(true)),
        (
            "healthChecks",
            json!([{"kind": "Deployment", "name": "other"}]),
        ),
    ]);
    let (web, seed) = (
        "apps/v1 Deployment/acme/web",
        "batch/v1 Job/acme/seed or gone",
    );
    let all = looked_at(&wait, &[]).unwrap();
    assert_eq!(all, [web, seed]);
    assert_eq!(looked_at(&wait, &["web"]).unwrap(), [seed]);
}

#[test]
fn what_is_named_is_looked_at_where_it_lives() {
    let named = spec(&[(
        "healthChecks",
        json!([
            {"kind": "Deployment", "name": "web"},
            {"apiVersion": "apps/v1", "kind": "Deployment", "name": "db", "namespace": "data"},
            {"apiVersion": "v1", "kind": "Namespace", "name": "acme", "namespace": "ignored"},
            {"apiVersion": "v1", "kind": "ConfigMap", "name": "settings"},
            {"apiVersion": "example.com/v1", "kind": "Thing", "name": "x"},
            {"apiVersion": "batch/v1", "kind": "Job", "name": "seed"},
            {"apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization", "name": "web"},
        ]),
    )]);
    assert_eq!(
        looked_at(&named, &[]).unwrap(),
        [
            "apps/v1 Deployment/acme/web",
            "apps/v1 Deployment/data/db",
            "v1 Namespace/acme",
            "v1 ConfigMap/acme/settings",
            "example.com/v1 Thing/acme/x",
            "batch/v1 Job/acme/seed or gone",
        ]
    );
}
