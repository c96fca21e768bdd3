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
            fields: Vec::new(),
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

#[test]
fn a_hook_is_well_when_it_has_come_to_its_end_and_only_then() {
    let seen = |ends: bool, phase: &str| {
        let pod = json!({"apiVersion": "v1", "kind": "Pod", "status": {"phase": phase,
            "conditions": [{"type": "Ready", "status": "True"}]}});
        let id = "acme_a__Pod".parse().unwrap();
        let version = "v1".to_owned();
        let check = Check {
            ends,
            ..Check::of(Entry { id, version })
        };
        let seen = check.seen(&pod);
        match (seen.is_well(&check), seen.failure()) {
            (true, _) => "well".to_owned(),
            (false, Some(why)) => why.to_owned(),
            (false, None) => "not yet".to_owned(),
        }
    };
    for (phase, steady, hook) in [
        ("Running", "well", "not yet"),
        ("Succeeded", "well", "well"),
        ("Failed", "well", "the pod failed: "),
        ("Pending", "not yet", "not yet"),
    ] {
        assert_eq!(seen(false, phase), steady, "{phase}");
        assert_eq!(seen(true, phase), hook, "{phase}");
    }
}

#[test]
fn what_is_to_be_gone_is_well_when_it_is_or_another_has_its_name() {
    let entry = Entry {
        id: "acme_a__ConfigMap".parse().unwrap(),
        version: "v1".to_owned(),
    };
    let check = Check::until_gone(entry, "u1");
    let there = |uid: &str, kept: Value| {
        check.seen(&json!({"metadata": {"uid": uid, "finalizers": kept,
            "deletionTimestamp": "2026-01-01T00:00:00Z"}}))
    };
    let words = |seen: &Seen| format!("{} {}", seen.words().0, seen.words().1);
    let (plain, kept) = (there("u1", json!([])), there("u1", json!(["a/b", "c"])));
    assert_eq!(words(&plain), "Terminating ");
    assert_eq!(
        words(&kept),
        "InProgress it is being deleted, and kept by a/b, c"
    );
    for (seen, well) in [
        (plain, false),
        (kept, false),
        (there("u2", json!(["a/b"])), true),
        (Seen::NotFound, true),
        (Seen::Unknown("x".into()), false),
    ] {
        assert_eq!(seen.is_well(&check), well, "{seen:?}");
        assert_eq!(seen.failure_of(&check), None, "{seen:?}");
    }
}

#[test]
fn before_the_next_wave_what_was_written_and_can_be_unwell_is_looked_at() {
    let objects = [
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}}),
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "db"}}),
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}}),
        json!({"apiVersion": "batch/v1", "kind": "Job", "spec": {"ttlSecondsAfterFinished": 0},
            "metadata": {"name": "seed", "annotations": {"reeve.dev/hook": "Sync"}}}),
    ];
    let objects = objects.map(|object| Object::try_from(object).unwrap());
    let bundle = Bundle::<Rendered>::built(objects.into()).unwrap().settled();
    let looked_at = |spec: &Spec, written: &[&str]| {
        let inventory = Inventory::default();
        let plan = Plan::propose(bundle.clone(), &scopes(), &inventory, spec).unwrap();
        let step = plan.course().next().unwrap();
        let unsettled = step.steady().map(Planned::id);
        let unsettled = unsettled.filter(|id| written.contains(&id.name.as_str()));
        let unsettled: BTreeSet<&ObjectId> = unsettled.collect();
        let checks = wave_checks(spec, step, &unsettled, step.hooks().iter());
        let name = |check: Check| match (check.ends, check.may_vanish) {
            (true, false) => format!("{} to its end", check.entry.id.name),
            (true, true) => format!("{} to its end, or gone", check.entry.id.name),
            (false, _) => check.entry.id.name,
        };
        checks.into_iter().map(name).collect::<Vec<_>>()
    };
    let plain = spec(&[]);
    assert_eq!(looked_at(&plain, &[]), ["seed to its end"]);
    let all = ["settings", "db"];
    assert_eq!(looked_at(&plain, &all), ["db", "seed to its end"]);
    let judges = json!([{"apiVersion": "v1", "kind": "ConfigMap", "current": "has(data.a)"}]);
    let judged = spec(&[("wait", json!(true)), ("healthCheckExprs", judges)]);
    assert_eq!(looked_at(&judged, &[]), ["settings", "seed to its end"]);
}
