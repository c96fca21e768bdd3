//! A sync as it goes on, is told, and is found again in a status.

use reeve_kustomize::Object;
use serde_json::{Value, json};

use super::*;
use crate::bundle::{Bundle, Rendered};
use crate::health::Verdict;
use crate::plan::{Proposed, Scope, Scopes};
use crate::spec::Spec;

fn plan(revision: &str, policy: &str) -> Plan<Proposed> {
    let job = |name: &str, phases: &str| {
        json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name, "annotations": {
            "argocd.argoproj.io/hook": phases, "argocd.argoproj.io/hook-delete-policy": policy}}})
    };
    let objects = [
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}}),
        job("migrate", "PreSync,PostSync"),
        job("check", "PreSync"),
        job("farewell", "PostDelete"),
    ];
    let objects = objects.map(|object| Object::try_from(object).unwrap());
    let bundle = Bundle::<Rendered>::built(objects.into()).unwrap().settled();
    let known = [("", "ConfigMap"), ("batch", "Job")];
    let known = known.map(|(group, kind)| ((group.into(), kind.into()), Scope::Namespaced));
    let spec = json!({
        "apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization",
        "metadata": {"namespace": "acme", "name": "web"},
        "spec": {"interval": "10m", "prune": true, "targetNamespace": "acme",
            "sourceRef": {"kind": "GitRepository", "name": "web"}},
    });
    let spec = Spec::parse(&serde_json::from_value(spec).unwrap()).unwrap();
    let scopes: Scopes = known.into_iter().collect();
    let plan = Plan::propose(bundle, &scopes, &Inventory::default(), &spec);
    plan.unwrap().on(revision, None)
}

fn hook<'p>(plan: &'p Plan<Proposed>, name: &str, phase: Phase) -> &'p Planned {
    let mut all = plan.hooks();
    all.find(|hook| hook.id().name == name && hook.phase() == Some(phase))
        .unwrap()
}

fn names(hooks: Vec<(&Planned, bool)>) -> Vec<String> {
    let name = |(hook, seen): (&Planned, bool)| format!("{} {seen}", hook.id().name);
    hooks.into_iter().map(name).collect()
}

fn saw(plan: &Plan<Proposed>, phase: Phase, seen: &[(&str, Seen)]) -> Vec<(Check, Seen)> {
    let one = |(name, seen): &(&str, Seen)| {
        let check = Check {
            ends: true,
            ..Check::of(hook(plan, name, phase).entry())
        };
        (check, seen.clone())
    };
    seen.iter().map(one).collect()
}

fn learn(sync: &mut Sync, plan: &Plan<Proposed>, phase: Phase, seen: &[(&str, Seen)]) {
    let looks = saw(plan, phase, seen);
    let step = plan.steps(phase).next().unwrap();
    let looks = looks.iter().map(|(check, seen)| (check, seen));
    sync.learn(step, looks, Veil::nothing());
}

#[test]
fn a_hook_runs_once_for_a_sync_whoever_goes_on_with_it() {
    let plan = plan("main@sha1:1", "");
    let pre = || plan.steps(Phase::PreSync).next().unwrap();
    let mut sync = Sync::of(&plan, None).unwrap();
    assert_eq!(
        names(sync.unfinished(pre())),
        ["check false", "migrate false"]
    );
    let (check, migrate) = (
        hook(&plan, "check", Phase::PreSync),
        hook(&plan, "migrate", Phase::PreSync),
    );
    sync.begin(check);
    sync.begin(migrate);
    // Killed before they are there, or before anybody has seen it.
    let mut sync = Sync::of(&plan, Some(&sync.told())).unwrap();
    assert_eq!(
        names(sync.unfinished(pre())),
        ["check false", "migrate false"]
    );
    sync.is_there(check, "u1".into());
    sync.is_there(migrate, "u2".into());
    let mut sync = Sync::of(&plan, Some(&sync.told())).unwrap();
    assert_eq!(
        names(sync.unfinished(pre())),
        ["check true", "migrate true"]
    );
    let waiting = Seen::Is(Verdict::InProgress("0 of 1".into()));
    let well = Seen::Is(Verdict::Current);
    learn(
        &mut sync,
        &plan,
        Phase::PreSync,
        &[("check", waiting), ("migrate", well)],
    );
    let sync = Sync::of(&plan, Some(&sync.told())).unwrap();
    assert_eq!(names(sync.unfinished(pre())), ["check true"]);
    let post = plan.steps(Phase::PostSync).next().unwrap();
    assert_eq!(
        names(sync.unfinished(post)),
        ["migrate false"],
        "once a phase"
    );

    let next = super::tests::plan("main@sha1:2", "");
    let next_sync = Sync::of(&next, Some(&sync.told())).unwrap();
    let pre = next.steps(Phase::PreSync).next().unwrap();
    assert_eq!(
        names(next_sync.unfinished(pre)),
        ["check false", "migrate false"]
    );
    assert!(next_sync.told().on_deletion && next_sync.told().hooks.is_empty());
}

#[test]
fn what_has_failed_is_said_again_in_the_same_words() {
    let plan = plan("main@sha1:1", "");
    let mut sync = Sync::of(&plan, None).unwrap();
    let check = hook(&plan, "check", Phase::PreSync);
    sync.is_there(check, "u1".into());
    let long = Seen::Is(Verdict::Failed(
        "the job failed: ".to_owned() + &"x".repeat(1000),
    ));
    learn(&mut sync, &plan, Phase::PreSync, &[("check", long)]);
    let pre = plan.steps(Phase::PreSync).next().unwrap();
    let said = sync.failed(pre).unwrap();
    let want = "wave 0 of PreSync: hook Job/acme/check failed: the job failed: xxx";
    assert!(said.starts_with(want) && said.len() < 500, "{said}");
    let again = Sync::of(&plan, Some(&sync.told())).unwrap();
    assert_eq!(again.failed(pre), Some(said));
    assert_eq!(again.failed(plan.steps(Phase::Sync).next().unwrap()), None);
}

#[test]
fn a_hook_that_is_gone_before_its_end_was_seen_has_failed_and_does_not_run_again() {
    let plan = plan("main@sha1:1", "");
    let mut sync = Sync::of(&plan, None).unwrap();
    let check = hook(&plan, "check", Phase::PreSync);
    sync.is_there(check, "u1".into());
    let gone = [("check", Seen::NotFound)];
    learn(&mut sync, &plan, Phase::PreSync, &gone);
    let sync = Sync::of(&plan, Some(&sync.told())).unwrap();
    let pre = plan.steps(Phase::PreSync).next().unwrap();
    assert_eq!(
        sync.failed(pre).unwrap(),
        "wave 0 of PreSync: hook Job/acme/check failed: it was deleted before it was seen to have come to its end"
    );
    assert_eq!(names(sync.unfinished(pre)), ["migrate false"]);
}

#[test]
fn a_hook_that_has_ended_goes_if_it_asked_to_after_that_end() {
    for (policy, well, goes) in [
        ("", true, false),
        ("HookSucceeded", true, true),
        ("HookSucceeded", false, false),
        ("HookFailed", true, false),
        ("HookFailed", false, true),
        ("HookFailed,HookSucceeded", false, true),
        ("BeforeHookCreation", true, false),
    ] {
        let plan = plan("main@sha1:1", policy);
        let mut sync = Sync::of(&plan, None).unwrap();
        let check = hook(&plan, "check", Phase::PreSync);
        sync.is_there(check, "u1".into());
        assert!(sync.leavers(&plan).is_empty(), "it has not ended");
        sync.end(
            check,
            match well {
                true => End::Succeeded,
                false => End::Failed("x".into()),
            },
        );
        let mut sync = Sync::of(&plan, Some(&sync.told())).unwrap();
        let leavers = sync.leavers(&plan);
        assert_eq!(!leavers.is_empty(), goes, "{policy} {well}");
        leavers.iter().for_each(|leaver| sync.is_gone(leaver));
        let sync = Sync::of(&plan, Some(&sync.told())).unwrap();
        assert!(sync.leavers(&plan).is_empty(), "it goes once");
        let there = sync.inventory(&plan, plan.inventory().clone(), &Inventory::default());
        assert_eq!(there.contains(check.id()), !goes, "{policy} {well}");
    }
}

#[test]
fn what_may_have_to_be_deleted_is_known_before_anything_is() {
    let told = |sync: &Sync, plan: &Plan<Proposed>, before: &Inventory| -> Vec<String> {
        let all = sync.may_delete(plan, before).into_iter();
        all.map(|hook| format!("{} {}", hook.id().name, hook.phase().unwrap().as_str()))
            .collect()
    };
    let none = Inventory::default();
    let stays = plan("main@sha1:1", "BeforeHookCreation");
    let mut sync = Sync::of(&stays, None).unwrap();
    let again = "migrate PostSync";
    assert_eq!(told(&sync, &stays, &none), [again], "in another phase");
    let check = hook(&stays, "check", Phase::PreSync);
    let before: Inventory = [check.entry()].into_iter().collect();
    assert_eq!(
        told(&sync, &stays, &before),
        ["check PreSync", again],
        "of the last sync"
    );
    sync.begin(check);
    assert_eq!(told(&sync, &stays, &before), [again], "it is this sync's");
    let goes = plan("main@sha1:1", "HookFailed");
    let sync = Sync::of(&goes, None).unwrap();
    assert_eq!(told(&sync, &goes, &none).len(), 4);
}

#[test]
fn hooks_are_in_the_inventory_while_they_may_be_there() {
    let plan = plan("main@sha1:1", "HookSucceeded");
    let mut sync = Sync::of(&plan, None).unwrap();
    let before: Inventory = [hook(&plan, "check", Phase::PreSync).entry()]
        .into_iter()
        .collect();
    let told = |sync: &Sync| -> Vec<String> {
        let all = sync.inventory(&plan, plan.inventory().clone(), &before);
        all.entries().map(|entry| entry.id.name.clone()).collect()
    };
    assert_eq!(told(&sync), ["a", "check"], "one of an earlier sync");
    let migrate = hook(&plan, "migrate", Phase::PreSync);
    sync.begin(migrate);
    assert_eq!(told(&sync), ["a", "check", "migrate"]);
    sync.is_there(migrate, "u".into());
    sync.end(migrate, End::Succeeded);
    for leaver in sync.leavers(&plan) {
        sync.is_gone(&leaver);
    }
    assert_eq!(told(&sync), ["a", "check"]);
    sync.begin(hook(&plan, "migrate", Phase::PostSync));
    assert_eq!(told(&sync), ["a", "check", "migrate"], "in another phase");
    assert_eq!(begun_in(Some(&sync.told()), Phase::PostSync).len(), 1);
    assert_eq!(begun_in(Some(&sync.told()), Phase::PostDelete).len(), 0);
    assert_eq!(begun_in(None, Phase::PostSync).len(), 0);
}

#[test]
fn a_sync_that_failed_somewhere_is_found_to_have_failed_there() {
    let plan = plan("main@sha1:1", "");
    let mut sync = Sync::of(&plan, None).unwrap();
    let place = |phase| Place { phase, wave: 0 };
    sync.at = Some(place(Phase::Sync));
    assert!(!sync.has_failed_at(place(Phase::Sync)));
    sync.fail(&"ä".repeat(1000));
    let sync = Sync::of(&plan, Some(&sync.told())).unwrap();
    assert!(sync.has_failed_at(place(Phase::Sync)) && !sync.has_failed_at(place(Phase::PreSync)));
    assert!(sync.told().failure.unwrap().len() <= 400);
}

#[test]
fn what_somebody_else_wrote_there_is_no_hook_of_ours() {
    let plan = plan("main@sha1:1", "");
    let mut told = Sync::of(&plan, None).unwrap().told();
    told.hooks.push(HookStatus {
        deleted: false,
        id: "no object".into(),
        message: None,
        outcome: None,
        phase: Phase::PreSync,
        uid: None,
        version: "v1".into(),
    });
    let sync = Sync::of(&plan, Some(&told)).unwrap();
    assert!(sync.told().hooks.is_empty());
    let value: Value = serde_json::to_value(sync.told()).unwrap();
    assert_eq!(
        value,
        json!({"digest": plan.sync().unwrap(), "onDeletion": true})
    );
}
