//! Waves, hooks and the marks of a sync, row by row.

use serde_json::json;

use super::super::tests::{bundle, inventory, scopes, spec};
use super::*;
use crate::caution::{Caution, Origins, Verdict};

fn object(kind: &str, name: &str, annotations: &Value) -> Value {
    let version = match kind {
        "Job" => "batch/v1",
        "Deployment" => "apps/v1",
        _ => "v1",
    };
    json!({
        "apiVersion": version, "kind": kind,
        "metadata": {"name": name, "annotations": annotations},
    })
}

fn plan_after(objects: &[Value], before: &Value) -> Plan<Proposed> {
    let bundle = bundle(&Value::Array(objects.to_vec()));
    let spec = spec(&json!({}));
    Plan::propose(bundle, &scopes(), &inventory(before), &spec).unwrap()
}

fn plan(objects: &[Value]) -> Plan<Proposed> {
    plan_after(objects, &json!([]))
}

/// The waves of a sync, a line each.
fn course(plan: &Plan<Proposed>) -> Vec<String> {
    let line = |step: Step<'_, Proposed>| {
        let ids = |all: &mut dyn Iterator<Item = &Planned>| {
            let names = all.map(|one| one.id().name.clone());
            names.collect::<Vec<_>>().join(" ")
        };
        let (steady, hooks) = (ids(&mut step.steady()), ids(&mut step.hooks().iter()));
        format!("{}: {steady} | {hooks}", step.place())
    };
    plan.course().map(line).collect()
}

fn wave(number: &str) -> Value {
    json!({"argocd.argoproj.io/sync-wave": number})
}

fn hook(phases: &str) -> Value {
    json!({"argocd.argoproj.io/hook": phases})
}

#[test]
fn objects_go_by_phase_wave_kind_and_name() {
    let plan = plan(&[
        object("Job", "after", &hook("PostSync")),
        object("Deployment", "web", &wave("2")),
        object("Deployment", "db", &wave("-1")),
        object("Namespace", "room", &wave("2")),
        object("ConfigMap", "b", &json!({})),
        object("ConfigMap", "a", &json!({})),
        object("Job", "beside", &hook("Sync")),
        object(
            "Job",
            "late",
            &json!({"reeve.dev/hook": "PreSync", "reeve.dev/sync-wave": "1"}),
        ),
        object("Job", "both", &hook("PreSync,PostSync")),
        object("Job", "sorry", &hook("SyncFail")),
        object("Job", "farewell", &hook("PostDelete")),
        object("Job", "never", &hook("Skip")),
    ]);
    assert_eq!(
        course(&plan),
        [
            "wave 0 of PreSync:  | both",
            "wave 1 of PreSync:  | late",
            "wave -1 of Sync: db | ",
            "wave 0 of Sync: a b | beside",
            "wave 2 of Sync: room web | ",
            "wave 0 of PostSync:  | after both",
        ]
    );
    for (phase, name) in [(Phase::SyncFail, "sorry"), (Phase::PostDelete, "farewell")] {
        let hooks: Vec<_> = plan.steps(phase).flat_map(|step| step.hooks()).collect();
        assert!(
            matches!(hooks.as_slice(), [one] if one.id().name == name),
            "{hooks:?}"
        );
    }
    let skipped: Vec<_> = plan.skipped().iter().map(|id| id.name.as_str()).collect();
    assert_eq!(skipped, ["never"]);
}

#[test]
fn a_plan_without_annotations_is_one_wave_and_no_sync() {
    let all = [
        object("Deployment", "web", &json!({})),
        object("Namespace", "room", &json!({})),
    ];
    let plain = plan(&all);
    assert_eq!(course(&plain), ["wave 0 of Sync: room web | "]);
    let stages: Vec<_> = plain.stages().map(|stage| stage.objects().len()).collect();
    assert_eq!(stages, [1, 1], "definitions first");
    let on = plan(&all).on("main@sha1:1", Some("now"));
    assert_eq!((on.sync(), &on), (None, &plain));
    // All of it in one other wave is no order either.
    let one = [object("Deployment", "web", &wave("7"))];
    assert_eq!(plan(&one).on("main@sha1:1", None).sync(), None);
}

#[test]
fn hooks_are_neither_in_the_inventory_nor_pruned() {
    let before = json!([
        "acme_migrate_batch_Job",
        "acme_old_batch_Job",
        "acme_farewell_batch_Job"
    ]);
    let objects = [
        object("ConfigMap", "a", &json!({})),
        object("Job", "migrate", &hook("PreSync")),
        object("Job", "farewell", &hook("PostDelete")),
    ];
    let plan = plan_after(&objects, &before);
    let pruned: Vec<_> = plan.prune().iter().map(|entry| &entry.id.name).collect();
    assert_eq!(pruned, ["old"]);
    let kept: Vec<_> = plan
        .inventory()
        .entries()
        .map(|entry| &entry.id.name)
        .collect();
    assert_eq!(kept, ["a"]);
    assert_eq!(plan.objects().count(), 3, "policies are shown all of them");
    assert_eq!(plan.steady().count(), 1);
}

#[test]
fn a_sync_is_told_from_another_by_what_it_is_of_and_who_asked() {
    let of = |value: &str, revision: &str, requested: Option<&str>| {
        let mut map = object("ConfigMap", "a", &json!({}));
        map["data"] = json!({"k": value});
        let all = [map, object("Job", "migrate", &hook("PreSync,PostSync"))];
        plan(&all).on(revision, requested)
    };
    let one = of("1", "main@sha1:1", None);
    assert_eq!(one.sync(), of("1", "main@sha1:1", None).sync());
    for other in [
        of("2", "main@sha1:1", None),
        of("1", "main@sha1:2", None),
        of("1", "main@sha1:1", Some("now")),
    ] {
        assert_ne!(one.sync(), other.sync());
    }
    let marks: Vec<_> = one
        .hooks()
        .map(|hook| hook.marked().unwrap().to_owned())
        .collect();
    let short = one.sync().unwrap().get(..SHORT).unwrap();
    assert_eq!(
        marks,
        [format!("{short}.PreSync"), format!("{short}.PostSync")]
    );
    for hook in one.hooks() {
        let said = hook
            .manifest()
            .pointer("/metadata/annotations/reeve.dev~1sync");
        assert_eq!(
            said.and_then(Value::as_str),
            hook.marked(),
            "it is what is sent"
        );
    }
}

#[test]
fn a_job_that_is_a_hook_removes_itself_no_sooner_than_its_end_is_seen() {
    let sent = |annotations: &Value, asked: &Value| {
        let mut job = object("Job", "migrate", annotations);
        job["spec"] = json!({"ttlSecondsAfterFinished": asked});
        let plan = plan(&[job, object("Job", "other", &hook("PreSync"))]);
        let plan = plan.on("main@sha1:1", None);
        let mut all = plan.objects();
        let job = all.find(|one| one.id().name == "migrate").unwrap();
        let said = job.manifest().pointer("/spec/ttlSecondsAfterFinished");
        said.cloned().unwrap_or_default()
    };
    for (asked, want) in [
        (json!(0), json!(3600)),
        (json!(30), json!(3600)),
        (json!(86400), json!(86400)),
        (json!(null), json!(null)),
        (json!("soon"), json!("soon")),
    ] {
        assert_eq!(sent(&hook("PreSync"), &asked), want, "{asked}");
        assert_eq!(sent(&json!({}), &asked), asked, "it is no hook");
    }
}

#[test]
fn a_name_that_is_generated_is_the_same_for_the_same_sync_and_phase() {
    let mut job = object("Job", "migrate-", &hook("PreSync,PostSync"));
    job["metadata"]["generateName"] = "migrate-".into();
    let names = |revision: &str, before: &Value| {
        let plan = plan_after(std::slice::from_ref(&job), before).on(revision, None);
        let names: Vec<_> = plan.hooks().map(|hook| hook.id().name.clone()).collect();
        let pruned: Vec<_> = plan
            .prune()
            .iter()
            .map(|entry| entry.id.name.clone())
            .collect();
        for hook in plan.hooks() {
            let sent = hook.manifest().pointer("/metadata/name").unwrap();
            assert_eq!(sent, hook.id().name.as_str());
            assert_eq!(hook.manifest().pointer("/metadata/generateName"), None);
        }
        (names, pruned)
    };
    let (first, _) = names("main@sha1:1", &json!([]));
    assert_ne!(first[0], first[1], "one for each phase");
    assert!(
        first
            .iter()
            .all(|name| name.starts_with("migrate-") && name.len() == 18),
        "{first:?}"
    );
    let there = json!([format!("acme_{}_batch_Job", first[0])]);
    let (again, pruned) = names("main@sha1:1", &there);
    assert_eq!((again, pruned), (first.clone(), vec![]), "it is its own");
    let (_, pruned) = names("main@sha1:2", &there);
    assert_eq!(pruned, [first[0].clone()], "that of the sync before goes");

    let count = |before: &Value| {
        let plan = plan_after(std::slice::from_ref(&job), before).on("main@sha1:2", None);
        (plan.prune().len(), plan.dropped().count())
    };
    assert_eq!(count(&there), (1, 0), "another takes its place");
    for other in [
        "acme_migrate-by-hand_batch_Job",
        "acme_other-0123456789_batch_Job",
        "acme_migrate-0123456789__ConfigMap",
        "acme_migrate-012345678_batch_Job",
    ] {
        assert_eq!(count(&json!([other])), (1, 1), "{other}");
    }

    let long = "x".repeat(200);
    let mut job = object("Job", &long, &hook("Sync"));
    job["metadata"]["generateName"] = long.into();
    let plan = plan(&[job]).on("main@sha1:1", None);
    assert!(plan.hooks().all(|hook| hook.id().name.len() == 63));
}

#[test]
fn only_what_does_its_own_work_has_no_say_in_what_else_is_let_in() {
    for (id, has) in [
        ("acme_a__ConfigMap", false),
        ("acme_a_apps_Deployment", false),
        ("acme_a_batch_Job", false),
        ("acme_a_networking.k8s.io_Ingress", false),
        ("acme_a__ServiceAccount", true),
        ("acme_a__ResourceQuota", true),
        ("acme_a_rbac.authorization.k8s.io_Role", true),
        ("acme_a_example.com_Thing", true),
    ] {
        assert_eq!(decides(&id.parse().unwrap()), has, "{id}");
    }
    let map = object("ConfigMap", "a", &json!({}));
    let decides = |objects: &[Value]| {
        let plan = plan(objects);
        plan.course().any(|step| step.decides_on_others())
    };
    assert!(!decides(std::slice::from_ref(&map)));
    assert!(decides(&[map, object("Namespace", "b", &json!({}))]));
}

#[test]
fn more_hooks_than_can_be_kept_account_of_are_refused() {
    let all: Vec<_> = (0..51)
        .map(|n| object("Job", &format!("job-{n}"), &hook("PreSync,Sync")))
        .collect();
    let (bundle, spec) = (bundle(&Value::Array(all)), spec(&json!({})));
    let why = Plan::propose(bundle, &scopes(), &Inventory::default(), &spec).unwrap_err();
    let want = "102 hooks are in the build; at most 100 can be run in one sync";
    assert_eq!(why.to_string(), want);
}

#[test]
fn after_a_deletion_the_hooks_for_it_are_left_and_stay_the_same() {
    let of = |value: &str, uid: &str| {
        let mut map = object("ConfigMap", "a", &json!({}));
        map["data"] = json!({"k": value});
        let all = [
            map,
            object("Job", "migrate", &hook("PreSync,PostDelete")),
            object("Job", "farewell", &hook("PostDelete")),
        ];
        plan_after(&all, &json!(["acme_old__ConfigMap"])).after_deletion(uid)
    };
    let one = of("1", "u1");
    let names: Vec<_> = one.objects().map(|hook| hook.id().name.as_str()).collect();
    assert_eq!(names, ["farewell", "migrate"]);
    assert!(one.prune().is_empty() && one.inventory().is_empty());
    assert_eq!(one.sync(), of("2", "u1").sync());
    assert_ne!(one.sync(), of("1", "u2").sync());
}

#[test]
fn hooks_whose_names_are_made_anew_for_each_sync_are_no_mass_deletion() {
    let jobs: Vec<_> = (0..12)
        .map(|n| {
            let name = format!("job-{n}-");
            let mut job = object("Job", &name, &hook("Sync"));
            job["metadata"]["generateName"] = name.into();
            job
        })
        .collect();
    let all: Vec<_> = jobs
        .into_iter()
        .chain([object("ConfigMap", "a", &json!({}))])
        .collect();
    let first = plan(&all).on("main@sha1:1", None);
    let made = first.objects().map(|one| one.id().to_string());
    let before = json!(made.collect::<Vec<_>>());
    let next = plan_after(&all, &before).on("main@sha1:2", None);
    assert_eq!(next.prune().len(), 12);
    let here = Origins {
        before: Some("here"),
        now: "here",
        applied: Some("main@sha1:1"),
    };
    let caution = Caution::of(&BTreeMap::new());
    let verdict = |plan: &Plan<Proposed>| caution.judge(here, &[], &inventory(&before), plan);
    assert_eq!(verdict(&next), Verdict::Go);
    let dropped = plan_after(&[], &before).on("main@sha1:2", None);
    assert!(matches!(verdict(&dropped), Verdict::KeepAll(_)));
}
