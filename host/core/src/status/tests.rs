//! Every story as people read it: one scenario a golden file in `tests/cases/status`, rewritten with `REEVE_BLESS=1`.

use std::fmt::Write as _;
use std::path::PathBuf;

use reeve_api::kustomization::{
    HookOutcome, HookStatus, KustomizationStatus, SyncPhase, SyncStatus,
};
use reeve_api::meta::Time;
use reeve_api::name::NamespaceName;
use reeve_api::plugin::{FailedCall, PluginStatus};
use reeve_api::receiver::ReceiverStatus;
use reeve_api::source::GitRepositoryStatus;
use reeve_api::tenant::{Departure, Limits, Onboarding, TenantStatus, Usage};

use super::*;
use crate::artifact::{Artifact, Digest, Revision};
use crate::inventory::{Entry, Inventory, ObjectId};
use crate::plugin::Tally;
use crate::signature::{self, Mode, Signature, Signed, Verified};

const MINUTE: Duration = Duration::from_secs(60);
const OLD: &str = "1111111111111111111111111111111111111111";
const BLOCKED: &str =
    "can't access 'GitRepository/ns/name', cross-namespace references have been blocked";
const NEW: &str = "2222222222222222222222222222222222222222";

fn at(minute: i64) -> Timestamp {
    let start: Timestamp = "2026-01-02T03:00:00Z".parse().unwrap();
    start + jiff::SignedDuration::from_mins(minute)
}

fn frame<'a>(minute: i64, memory: Memory) -> Frame<'a> {
    Frame {
        generation: 1,
        requested_at: None,
        now: at(minute),
        interval: 10 * MINUTE,
        retry_interval: Some(2 * MINUTE),
        spread: 0,
        memory,
    }
}

fn main_at(commit: &str) -> String {
    format!("main@sha1:{commit}")
}

fn id(kind: &str, name: &str) -> ObjectId {
    let group = if kind == "Deployment" { "apps" } else { "" };
    ObjectId {
        namespace: "default".into(),
        name: name.into(),
        group: group.into(),
        kind: kind.into(),
    }
}

fn change(kind: &str, name: &str, action: Action) -> Change {
    Change {
        id: id(kind, name),
        action,
        fields: Vec::new(),
    }
}

fn inventory(names: &[(&str, &str)]) -> Inventory {
    let mut inventory = Inventory::default();
    for (kind, name) in names {
        inventory.insert(Entry {
            id: id(kind, name),
            version: "v1".into(),
        });
    }
    inventory
}

fn applied(commit: &str, changes: Vec<Change>) -> KustomizationOutcome {
    KustomizationOutcome::Applied(Applied {
        revision: main_at(commit),
        changes,
        pruned: Vec::new(),
        inventory: inventory(&[("Service", "podinfo"), ("Deployment", "podinfo")]),
        course: Course {
            from: "GitRepository/acme/web".to_owned(),
            cluster: None,
            left: None,
            ..Course::default()
        },
        digest: format!("sha256:{commit}"),
        recollected: None,
        remote_bases: Vec::new(),
        sync: None,
        health: Health::NotAsked,
        took: Duration::from_nanos(176_123_456),
    })
}

fn failed(why: Explained, attempted: Option<&str>) -> KustomizationOutcome {
    KustomizationOutcome::Failed(Failed {
        attempted: attempted.map(main_at),
        ..Failed::early(why, MINUTE)
    })
}

fn artifact(commit: &str) -> Artifact {
    Artifact {
        revision: Revision::new(Some("main"), commit).unwrap(),
        digest: Digest::of(commit.as_bytes()),
        tree: "f".repeat(40),
        path: "gitrepository/acme/web/x.tar.gz".into(),
        url: "http://reeve/gitrepository/acme/web/x.tar.gz".into(),
        size: 1234,
        last_update_time: at(0),
    }
}

fn stored(commit: &str, subject: &str) -> SourceOutcome {
    let artifact = Box::new(artifact(commit));
    SourceOutcome::Stored {
        artifact,
        subject: subject.into(),
        made: Box::default(),
        verified: None,
    }
}

/// One story after the other, as text.
struct Story {
    name: &'static str,
    text: String,
}

impl Story {
    fn new(name: &'static str) -> Self {
        Self {
            name,
            text: String::new(),
        }
    }

    fn line(&mut self, line: impl AsRef<str>) {
        self.text.push_str(line.as_ref());
        self.text.push('\n');
    }

    fn conditions(&mut self, conditions: &[Condition]) {
        for c in conditions {
            let since = c.last_transition_time.0;
            let seen = c.observed_generation.unwrap_or_default();
            self.line(format!(
                "  {}={} {} since {since} of {seen}",
                c.type_, c.status, c.reason
            ));
            self.line(format!("    {}", c.message));
        }
    }

    fn tell<S: serde::Serialize>(&mut self, says: &str, told: &Told<S>) {
        let mut status = serde_json::to_value(&told.status).unwrap();
        let conditions = status.as_object_mut().unwrap().remove("conditions");
        let conditions: Vec<Condition> =
            serde_json::from_value(conditions.unwrap_or_else(|| serde_json::json!([]))).unwrap();
        self.line(format!("# {says}"));
        self.conditions(&conditions);
        for (key, value) in status.as_object().unwrap() {
            self.line(format!("  {key}: {value}"));
        }
        for event in &told.events {
            let type_ = event.type_.as_str();
            self.line(format!(
                "  event {type_} {} {:?}",
                event.reason, event.message
            ));
            for (key, value) in &event.metadata {
                self.line(format!("    {key}: {value}"));
            }
        }
        let next = match told.next {
            Next::After(wait) => reeve_api::duration::Duration::from(wait).to_string(),
            Next::Watch => "when something changes".into(),
        };
        self.line(format!("  next: {next}"));
        self.line("");
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "the stories are the data of these tests"
    )]
    fn compare(self) {
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
            .join("../../tests/cases/status")
            .join(format!("{}.txt", self.name));
        if std::env::var_os("REEVE_BLESS").is_some() {
            std::fs::write(&path, &self.text).unwrap();
        }
        let want = std::fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(self.text, want, "{path:?} (REEVE_BLESS=1 rewrites it)");
    }
}

/// Plays outcomes one after the other, each on the status the one before left.
struct Kustomization {
    story: Story,
    status: KustomizationStatus,
    memory: Memory,
}

impl Kustomization {
    fn new(name: &'static str) -> Self {
        let status = KustomizationStatus {
            observed_generation: Some(-1),
            ..KustomizationStatus::default()
        };
        Self {
            story: Story::new(name),
            status,
            memory: Memory::default(),
        }
    }

    fn run(&mut self, says: &str, minute: i64, outcome: &KustomizationOutcome) -> &mut Self {
        self.run_as(says, frame(minute, self.memory), outcome)
    }

    fn run_as(
        &mut self,
        says: &str,
        frame: Frame<'_>,
        outcome: &KustomizationOutcome,
    ) -> &mut Self {
        let frame = Frame {
            memory: self.memory,
            ..frame
        };
        let told = tell_kustomization(&self.status, &frame, 9 * MINUTE, outcome);
        self.story.tell(says, &told);
        self.status = told.status;
        self.memory = told.memory;
        self
    }
}

#[test]
fn a_kustomization_that_goes_well_reads_as_flux_tells_it() {
    let mut k = Kustomization::new("kustomization-well");
    let created = vec![
        change("Service", "podinfo", Action::Created),
        change("Deployment", "podinfo", Action::Created),
    ];
    let same = |commit| {
        applied(
            commit,
            vec![change("Service", "podinfo", Action::Unchanged)],
        )
    };
    k.run("the first run creates", 0, &applied(OLD, created));
    k.run("nothing changed: no event", 10, &same(OLD));
    let asked = Frame {
        requested_at: Some("2026-01-02T03:11:00Z"),
        ..frame(11, k.memory)
    };
    k.run_as(
        "somebody asked: an event, and the request is echoed",
        asked,
        &same(OLD),
    );
    let drifted = vec![change("Deployment", "podinfo", Action::Configured)];
    k.run("a hand-made change is reverted", 20, &applied(OLD, drifted));
    let KustomizationOutcome::Applied(mut pruned) = same(NEW) else {
        unreachable!()
    };
    pruned.pruned = vec![
        change("Service", "podinfo", Action::Deleted),
        change("Deployment", "kept", Action::Skipped),
    ];
    pruned.inventory = inventory(&[("Deployment", "podinfo")]);
    k.run(
        "a file is gone from git",
        30,
        &KustomizationOutcome::Applied(pruned),
    );
    k.run_as(
        "suspended: the generation is observed, nothing else",
        Frame {
            generation: 2,
            ..frame(40, k.memory)
        },
        &KustomizationOutcome::Suspended,
    );
    let gone = vec![change("Deployment", "podinfo", Action::Deleted)];
    k.run(
        "deleted",
        50,
        &KustomizationOutcome::Withdrawn { pruned: gone },
    );
    k.story.compare();
}

#[test]
fn a_kustomization_that_fails_says_whose_turn_it_is() {
    use Reason::{AccessDenied, ArtifactFailed, BuildFailed, PolicyDenied, ReconciliationFailed};
    let no = Explained::new;
    let source = no(
        ArtifactFailed,
        Turn::Source,
        "Source artifact not found, retrying in 30s",
    );
    let build = no(
        BuildFailed,
        Turn::NextRevision,
        "apps/web/kustomization.yaml:3:1: not YAML",
    );
    let account = "service-account: spec.serviceAccountName is missing";
    let denied = no(PolicyDenied, Turn::OwnerOrPolicy, account)
        .with_hint("set spec.serviceAccountName to an account in the tenant's namespace");
    let access = no(AccessDenied, Turn::Owner, BLOCKED);
    let depends = crate::depend::not_ready("dependency 'acme/db' is not ready".into());
    let refused = no(ReconciliationFailed, Turn::Retry, "Service is invalid");
    let down = no(ReconciliationFailed, Turn::Ours, "no API server");
    let mut k = Kustomization::new("kustomization-fails");
    for (minute, says, why, attempted) in [
        (0, "the source is not there yet: no warning", &source, None),
        (
            0,
            "it still isn't at the second look: a warning",
            &source,
            None,
        ),
        (1, "the build fails", &build, Some(OLD)),
        (
            2,
            "it still does, soon after: no second warning",
            &build,
            Some(OLD),
        ),
        (
            12,
            "it still does, an interval later: a warning",
            &build,
            Some(OLD),
        ),
        (
            13,
            "policy denies: stalled, with a hint",
            &denied,
            Some(NEW),
        ),
        (
            14,
            "it may not use its source: stalled for good",
            &access,
            None,
        ),
        (
            15,
            "an object is refused: again after the retry interval",
            &refused,
            Some(NEW),
        ),
        (15, "what it depends on is not ready", &depends, None),
        (16, "ours to retry: backoff", &down, Some(NEW)),
        (17, "and longer", &down, Some(NEW)),
    ] {
        k.run(says, minute, &failed(why.clone(), attempted));
    }
    k.run("it goes well again", 18, &applied(NEW, vec![]));
    k.story.compare();
}

#[test]
fn what_is_tried_again_waits_longer_each_time_unless_a_retry_interval_says_how_long() {
    let waits = |reason, turn, retry_interval: Option<Duration>| {
        let mut k = Kustomization::new("");
        let mut waits = Vec::new();
        for minute in 0..20 {
            let why = Explained::new(reason, turn, "no");
            let frame = Frame {
                retry_interval,
                ..frame(minute, k.memory)
            };
            let outcome = failed(why, Some(NEW));
            let told = tell_kustomization(&k.status, &frame, MINUTE, &outcome);
            (k.status, k.memory) = (told.status, told.memory);
            let Next::After(wait) = told.next else {
                unreachable!()
            };
            waits.push(wait.as_secs());
        }
        (waits[0], waits[3], waits[19])
    };
    let failed = Reason::ReconciliationFailed;
    let about = |wait: Duration, second| {
        let off = wait.as_secs() / 5 + 1;
        (wait.as_secs() - off.min(wait.as_secs())..=wait.as_secs() + off).contains(&second)
    };
    let (ten, hour) = (10 * MINUTE, 60 * MINUTE);
    for (reason, turn, set, want) in [
        (failed, Turn::Retry, None, [MINUTE / 80, MINUTE / 10, ten]),
        (failed, Turn::Retry, Some(hour), [hour, hour, hour]),
        (
            failed,
            Turn::Ours,
            None,
            [MINUTE / 80, MINUTE / 10, 15 * MINUTE],
        ),
        (
            failed,
            Turn::Ours,
            Some(MINUTE),
            [MINUTE / 80, MINUTE / 10, MINUTE],
        ),
        (failed, Turn::Later(ten), Some(hour), [ten, ten, ten]),
        (
            Reason::HealthCheckFailed,
            Turn::Retry,
            None,
            [ten, ten, ten],
        ),
    ] {
        let (first, fourth, last) = waits(reason, turn, set);
        let all = [first, fourth, last].into_iter().zip(want);
        for (wait, want) in all {
            assert!(
                about(want, wait),
                "{turn:?} {set:?}: {wait} s, not {want:?}"
            );
        }
    }
}

/// What waits for its health since then, after this was done.
fn settling(commit: &str, minute: i64, changes: Vec<Change>) -> KustomizationOutcome {
    let KustomizationOutcome::Applied(done) = applied(commit, changes) else {
        unreachable!()
    };
    let since = at(minute);
    KustomizationOutcome::Settling(Settling {
        done,
        since,
        wave: None,
    })
}

/// A sync that runs a hook, and how that ended.
fn sync(outcome: Option<HookOutcome>) -> SyncStatus {
    let id = "default_migrate_batch_Job".to_owned();
    let phase = SyncPhase::PreSync;
    let hook = HookStatus {
        deleted: false,
        id,
        message: None,
        outcome,
        phase,
        uid: Some("u1".to_owned()),
        version: "v1".to_owned(),
    };
    let at = outcome.is_none();
    SyncStatus {
        digest: "d1".to_owned(),
        hooks: vec![hook],
        phase: at.then_some(phase),
        wave: at.then_some(0),
        ..SyncStatus::default()
    }
}

#[test]
fn a_wave_that_is_waited_for_is_told_and_how_far_the_sync_is_is_kept() {
    let mut k = Kustomization::new("kustomization-waves");
    let KustomizationOutcome::Settling(waits) = settling(OLD, 0, vec![]) else {
        unreachable!()
    };
    let words = "waiting for wave 0 of PreSync: Job/default/migrate status: 'InProgress'";
    let waits = KustomizationOutcome::Settling(Settling {
        done: Applied {
            sync: Some(sync(None)),
            ..waits.done
        },
        wave: Some(words.to_owned()),
        ..waits
    });
    k.run("a hook is waited for", 0, &waits);
    let why = Explained::new(Reason::BuildFailed, Turn::NextRevision, "no such file");
    let early = KustomizationOutcome::Failed(Failed::early(why, MINUTE));
    k.run("a run that got nowhere forgets nothing", 1, &early);
    let KustomizationOutcome::Applied(done) = applied(OLD, vec![]) else {
        unreachable!()
    };
    let through = Applied {
        sync: Some(sync(Some(HookOutcome::Succeeded))),
        ..done
    };
    let says = "it is over, and nothing is said of health that nobody asked for";
    k.run(says, 2, &KustomizationOutcome::Applied(through));
    k.run(
        "without hooks nothing is left of it",
        3,
        &applied(OLD, vec![]),
    );
    k.story.compare();
}

/// What has become healthy within a minute.
fn healthy(commit: &str) -> KustomizationOutcome {
    let KustomizationOutcome::Applied(done) = applied(commit, vec![]) else {
        unreachable!()
    };
    let health = Health::Passed(MINUTE);
    KustomizationOutcome::Applied(Applied { health, ..done })
}

#[test]
fn what_a_run_did_stands_in_the_status_until_another_does_something() {
    let mut k = Kustomization::new("");
    let listed = |k: &Kustomization| -> Vec<String> {
        let run = k.status.last_run.iter().flat_map(|run| &run.changes);
        run.map(|one| {
            format!(
                "{} {} {}",
                one.id,
                one.action.as_str(),
                one.fields.join(",")
            )
        })
        .collect()
    };
    let mut changed = change("Service", "second", Action::Configured);
    changed.fields = (0..11).map(|at| format!("data.k{at:02}")).collect();
    let mut left = change("Service", "third", Action::Skipped);
    left.fields = vec!["x".repeat(1000)];
    let all = vec![
        change("Service", "first", Action::Created),
        changed,
        left,
        change("Service", "fourth", Action::Unchanged),
        change("Service", "fifth", Action::Skipped),
    ];
    k.run("", 0, &settling(OLD, 0, all));
    let fields: Vec<String> = (0..10).map(|at| format!("data.k{at:02}")).collect();
    let long = format!("{}…", "x".repeat(125));
    let want = [
        "default_first__Service created ".to_owned(),
        format!(
            "default_second__Service configured {},more",
            fields.join(",")
        ),
        format!("default_third__Service reported {long}"),
        "default_fifth__Service skipped ".to_owned(),
    ];
    assert_eq!(listed(&k), want);
    let goes_on = vec![
        change("Service", "first", Action::Unchanged),
        change("Service", "second", Action::Created),
        change("Service", "fifth", Action::Skipped),
    ];
    k.run("", 1, &settling(OLD, 0, goes_on));
    let [first, _, _, fifth] = want;
    let created = "default_second__Service created ".to_owned();
    assert_eq!(
        listed(&k),
        [first, created, fifth],
        "a run that goes on adds to it"
    );
    let before = listed(&k);
    k.run("", 2, &healthy(OLD));
    assert_eq!(listed(&k), before, "a run that only tells did nothing");
    let build = Explained::new(Reason::BuildFailed, Turn::NextRevision, "not YAML");
    k.run("", 3, &self::failed(build, Some(NEW)));
    assert_eq!(listed(&k), before, "nor one that got nowhere");
    let still = vec![change("Service", "first", Action::Unchanged)];
    k.run("", 4, &applied(OLD, still.clone()));
    let deeds: Vec<String> = before.into_iter().take(2).collect();
    assert_eq!(
        listed(&k),
        deeds,
        "nothing had to be done, and nobody asks to be left alone"
    );
    let drifted = vec![change("Service", "first", Action::Configured)];
    k.run("", 4, &applied(OLD, drifted));
    assert_eq!(listed(&k), ["default_first__Service configured "]);
    k.run("", 4, &applied(NEW, still));
    assert_eq!(k.status.last_run, None, "for that nothing had to be done");
    let many = (0..70).map(|n| change("Service", &format!("s{n}"), Action::Created));
    k.run("", 5, &applied(NEW, many.collect()));
    let run = k.status.last_run.as_ref().unwrap();
    assert_eq!((run.changes.len(), run.more), (50, Some(20)));
    assert_eq!(run.revision, main_at(NEW));
}

/// A wait that begins now.
fn wait(generation: i64, commit: &str, now: i64) -> Wait {
    Wait {
        generation,
        revision: main_at(commit),
        wave: None,
        since: at(now),
    }
}

#[test]
fn a_run_whose_status_is_from_before_the_wait_goes_on_with_the_one_that_it_ended() {
    let mut k = Kustomization::new("");
    k.run("", 0, &applied(OLD, vec![]));
    let before = k.status.clone();
    let ended = wait(1, NEW, 5);
    let again = |wait: Wait| wait.resumed(Some(&ended), Some(&before)).since;
    assert_eq!(again(wait(1, NEW, 7)), at(5));
    assert_eq!(again(wait(2, NEW, 7)), at(7), "another spec");
    assert_eq!(again(wait(1, OLD, 7)), at(7), "another revision");
    let place = crate::plan::Place {
        phase: crate::plan::Phase::Sync,
        wave: 1,
    };
    let wave = Wait {
        wave: Some(place),
        ..wait(1, NEW, 7)
    };
    assert_eq!(again(wave), at(7), "another wave");
    k.run("", 3, &settling(NEW, 3, vec![]));
    let told = wait(1, NEW, 7).resumed(Some(&ended), Some(&k.status));
    assert_eq!(told.since, at(5), "what it ended is the newer of the two");
    let other = wait(1, OLD, 4);
    let told = wait(1, NEW, 7).resumed(Some(&other), Some(&k.status));
    assert_eq!(told.since, at(3), "what it ended was another");
}

#[test]
fn a_kustomization_that_waits_for_health_is_neither_ready_nor_failed_until_it_is_known() {
    let mut k = Kustomization::new("kustomization-health");
    let created = vec![change("Deployment", "podinfo", Action::Created)];
    let asked = Frame {
        requested_at: Some("2026-01-02T03:00:00Z"),
        ..frame(0, k.memory)
    };
    let says = "applied, and not healthy yet: the request is not answered";
    k.run_as(says, asked, &settling(OLD, 0, created));
    let since = |generation, commit, now| {
        let wait = wait(generation, commit, now);
        wait.resumed(None, Some(&k.status)).since
    };
    assert_eq!(
        since(1, OLD, 1),
        at(0),
        "a run that changes nothing waits no longer"
    );
    assert_eq!(since(1, NEW, 1), at(1));
    assert_eq!(since(2, OLD, 1), at(1));
    k.run(
        "looked at again, since the process is new",
        1,
        &settling(OLD, 0, vec![]),
    );
    k.run("healthy", 2, &healthy(OLD));
    k.run("still healthy at the next run: no news", 12, &healthy(OLD));
    k.run(
        "a new revision is waited for",
        20,
        &settling(NEW, 20, vec![]),
    );
    let late = "timeout waiting for: [Deployment/default/podinfo status: 'InProgress']";
    let message = format!("health check failed after 9m0s: {late}");
    let why = Explained::new(Reason::HealthCheckFailed, Turn::Retry, message);
    let failed = Failed {
        attempted: Some(main_at(NEW)),
        digest: Some(format!("sha256:{NEW}")),
        unhealthy: Some(late.into()),
        ..Failed::early(why, MINUTE)
    };
    k.run(
        "too late: not applied, and tried again",
        29,
        &KustomizationOutcome::Failed(failed),
    );
    let again = wait(1, NEW, 31).resumed(None, Some(&k.status));
    assert_eq!(again.since, at(31), "a retry has the whole time again");
    k.run("waited for again", 31, &settling(NEW, 31, vec![]));
    let build = Explained::new(Reason::BuildFailed, Turn::NextRevision, "not YAML");
    let mut other = Kustomization::new("");
    other.status = k.status.clone();
    k.run("suspended meanwhile", 32, &KustomizationOutcome::Suspended);
    k.run("and taken up again", 33, &healthy(NEW));
    k.story.compare();
    other.run("", 32, &self::failed(build, Some(NEW)));
    assert!(condition::find(&other.status.conditions, Type::Healthy).is_none());
}

#[test]
fn what_was_written_before_a_failure_stays_in_the_inventory_and_is_told() {
    let mut k = Kustomization::new("kustomization-half");
    k.run("all is well", 0, &applied(OLD, vec![]));
    let why = Explained::new(
        Reason::ReconciliationFailed,
        Turn::Retry,
        "Deployment is invalid",
    );
    let half = Failed {
        attempted: Some(main_at(NEW)),
        changes: vec![change("Service", "second", Action::Created)],
        inventory: Some(inventory(&[
            ("Service", "podinfo"),
            ("Deployment", "podinfo"),
            ("Service", "second"),
        ])),
        digest: Some(format!("sha256:{NEW}")),
        ..Failed::early(why, MINUTE)
    };
    k.run(
        "the second stage fails",
        1,
        &KustomizationOutcome::Failed(half.clone()),
    );
    let changes = vec![change("Service", "third", Action::Created)];
    k.run(
        "the object changes while it is applied: what was done is told, and nothing else",
        2,
        &KustomizationOutcome::Superseded(Failed { changes, ..half }),
    );
    k.story.compare();
}

#[test]
fn an_inventory_never_stands_without_its_cluster() {
    let edge = Some("https://edge.example:6443".to_owned());
    let why = || Explained::new(Reason::BuildFailed, Turn::NextRevision, "it is broken");
    let mut k = Kustomization::new("");
    let KustomizationOutcome::Applied(mut moved) = applied(OLD, vec![]) else {
        unreachable!()
    };
    moved.course.cluster.clone_from(&edge);
    k.run("", 0, &KustomizationOutcome::Applied(moved.clone()));
    assert_eq!(k.status.inventory_cluster, edge);
    k.run("", 1, &failed(why(), Some(NEW)));
    assert_eq!(k.status.inventory_cluster, edge, "nothing was applied");
    let home = Failed {
        inventory: Some(Inventory::default()),
        course: Some(Course::default()),
        ..Failed::early(why(), MINUTE)
    };
    k.run("", 2, &KustomizationOutcome::Failed(home));
    assert_eq!(k.status.inventory_cluster, None);
    let settling = Settling {
        done: moved,
        since: at(3),
        wave: None,
    };
    k.run("", 3, &KustomizationOutcome::Settling(settling));
    assert_eq!(k.status.inventory_cluster, edge);
}

#[test]
fn progress_is_announced_in_fluxs_words() {
    let mut story = Story::new("kustomization-progress");
    let mut k = Kustomization::new("");
    k.run("", 0, &applied(OLD, vec![]));
    for progress in [
        KustomizationProgress::Fetching,
        KustomizationProgress::Building,
        KustomizationProgress::DetectingDrift,
        KustomizationProgress::CheckingHealth,
    ] {
        let frame = Frame {
            requested_at: Some("now"),
            ..frame(1, k.memory)
        };
        let status = announce_kustomization(&k.status, &frame, progress, &main_at(NEW), 9 * MINUTE);
        story.line(format!("# {progress:?}"));
        story.conditions(&status.conditions);
        story.line(format!("  attempted: {:?}", status.last_attempted_revision));
        // what is not done yet is not reported as done
        assert_eq!(status.last_handled_reconcile_at, None);
        assert_eq!(status.observed_generation, Some(1));
    }
    story.compare();
}

#[test]
fn a_steady_ready_condition_keeps_its_time_through_announcements() {
    let mut k = Kustomization::new("");
    k.run("", 0, &applied(OLD, vec![]));
    let announced = announce_kustomization(
        &k.status,
        &frame(10, k.memory),
        KustomizationProgress::Building,
        &main_at(OLD),
        MINUTE,
    );
    assert!(!condition::is_true(&announced.conditions, Type::Ready));
    // the story is measured against the status the run began with
    let told = tell_kustomization(
        &k.status,
        &frame(10, k.memory),
        MINUTE,
        &applied(OLD, vec![]),
    );
    let ready = condition::find(&told.status.conditions, Type::Ready).unwrap();
    assert_eq!(ready.last_transition_time.0, at(0));
    assert!(told.events.is_empty());
}

#[test]
fn the_history_holds_the_five_newest_and_merges_equals() {
    let mut k = Kustomization::new("");
    for (minute, commit) in (0..).zip(["a", "b", "c", "a", "d", "e", "f"]) {
        let outcome = applied(&commit.repeat(40), vec![]);
        k.run("", minute, &outcome);
    }
    let told: Vec<_> = k
        .status
        .history
        .iter()
        .map(|s| {
            (
                &s.digest[7..8],
                s.total_reconciliations,
                s.last_reconciled.0,
                s.first_reconciled.0,
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            ("f", 1, at(6), at(6)),
            ("e", 1, at(5), at(5)),
            ("d", 1, at(4), at(4)),
            ("a", 2, at(3), at(0)),
            ("c", 1, at(2), at(2)),
        ]
    );
}

#[test]
fn a_large_change_set_is_told_in_whole_lines() {
    let changes: Vec<_> = (0..200)
        .map(|n| change("Service", &format!("svc-{n:03}"), Action::Created))
        .collect();
    let mut k = Kustomization::new("");
    let told = tell_kustomization(
        &k.status,
        &frame(0, k.memory),
        MINUTE,
        &applied(OLD, changes),
    );
    let message = &told.events[0].message;
    assert!(message.len() <= MAX_EVENT_MESSAGE, "{}", message.len());
    let mut lines: Vec<_> = message.lines().collect();
    let rest = lines.pop().unwrap();
    assert_eq!(lines[0], "Service/default/svc-000 created");
    assert!(lines.iter().all(|line| line.ends_with(" created")));
    assert_eq!(rest, format!("… and {} more", 200 - lines.len()));
    k.run(
        "",
        0,
        &failed(
            Explained::new(Reason::BuildFailed, Turn::Retry, "ä".repeat(9000)),
            None,
        ),
    );
    let ready = condition::find(&k.status.conditions, Type::Ready).unwrap();
    assert!(ready.message.len() <= MAX_CONDITION_MESSAGE && ready.message.ends_with('…'));
}

fn fresh() -> GitRepositoryStatus {
    GitRepositoryStatus {
        observed_generation: Some(-1),
        ..Default::default()
    }
}

#[test]
fn a_source_reads_as_flux_tells_it() {
    let mut story = Story::new("source");
    let (mut status, mut memory) = (fresh(), Memory::default());
    let fail = |reason, turn, message: &str, newer: Option<&str>| SourceOutcome::Failed {
        why: Explained::new(reason, turn, message),
        newer: newer.map(main_at),
    };
    let auth = "ssh: the host key is not in known_hosts";
    let auth = fail(Reason::AuthenticationFailed, Turn::Retry, auth, None);
    let gone = fail(
        Reason::GitOperationFailed,
        Turn::Ours,
        "connection refused",
        None,
    );
    let disk = fail(
        Reason::ArchiveOperationFailed,
        Turn::Ours,
        "no space left",
        Some(NEW),
    );
    let url = fail(
        Reason::UrlInvalid,
        Turn::Owner,
        "ext:: is not a scheme",
        None,
    );
    let ext = fail(
        Reason::Unsupported,
        Turn::Owner,
        "spec.include is not supported",
        None,
    );
    let revision = main_at(OLD);
    let unchanged = SourceOutcome::Unchanged {
        revision,
        verified: None,
    };
    let long = "A subject that is longer than the fifty characters Flux shows of it\n\nbody";
    let now = Some("now");
    for (minute, says, generation, asked, outcome) in [
        (0, "no access yet", 1, None, auth),
        (1, "the first artifact", 1, None, stored(OLD, "Say hello")),
        (2, "nothing new: no event", 1, None, unchanged.clone()),
        (3, "somebody asked", 1, now, unchanged.clone()),
        (4, "the upstream is away", 1, now, gone),
        (5, "it is back", 1, now, unchanged),
        (6, "a new revision that cannot be stored", 1, now, disk),
        (7, "it is stored", 1, now, stored(NEW, long)),
        (8, "the URL is made invalid: stalled", 2, now, url),
        (9, "a field is not supported: stalled", 3, now, ext),
        (10, "suspended", 4, Some("then"), SourceOutcome::Suspended),
    ] {
        let frame = Frame {
            generation,
            requested_at: asked,
            ..frame(minute, memory)
        };
        let told = tell_source(&status, &frame, &outcome);
        story.tell(says, &told);
        (status, memory) = (told.status, told.memory);
    }
    story.compare();
}

#[test]
fn a_source_that_must_be_signed_tells_by_whom_it_is() {
    let mut story = Story::new("source-verified");
    let (mut status, mut memory) = (fresh(), Memory::default());
    let by = |commit: &str| {
        Some(Verified {
            mode: Mode::Head,
            signed: vec![Signature {
                object: Signed::Commit,
                name: commit.to_owned(),
                key: "SHA256:abc".to_owned(),
            }],
        })
    };
    let signed = |commit: &str, by| match stored(commit, "Say hello") {
        SourceOutcome::Stored {
            artifact,
            subject,
            made,
            ..
        } => SourceOutcome::Stored {
            artifact,
            subject,
            made,
            verified: by,
        },
        other => other,
    };
    let unchanged = |verified| SourceOutcome::Unchanged {
        revision: main_at(OLD),
        verified,
    };
    let refused = signature::Error::Commit {
        commit: NEW.to_owned(),
        source: signature::Refused::Unsigned,
    };
    let fail = |why| SourceOutcome::Failed {
        why,
        newer: Some(main_at(NEW)),
    };
    let why = Explained::of(&refused);
    let branch = SourceOutcome::Failed {
        why: Explained::of(&signature::Error::NoTag),
        newer: None,
    };
    let away = Explained::new(Reason::GitOperationFailed, Turn::Ours, "connection refused");
    for (minute, says, outcome) in [
        (0, "signed", signed(OLD, by(OLD))),
        (1, "still: no event", unchanged(by(OLD))),
        (
            2,
            "the upstream is away: it was verified",
            fail(away.clone()),
        ),
        (3, "the next one is not signed", fail(why.clone())),
        (4, "still: no event", fail(why)),
        (5, "the upstream is away: nobody knows", fail(away)),
        (6, "a branch, and a tag must be signed", branch),
        (7, "it was forced back", unchanged(by(OLD))),
        (8, "the next one is signed", signed(NEW, by(NEW))),
        (9, "nobody asks any more", unchanged(None)),
    ] {
        let told = tell_source(&status, &frame(minute, memory), &outcome);
        story.tell(says, &told);
        (status, memory) = (told.status, told.memory);
    }
    story.compare();
}

#[test]
fn a_source_announces_what_it_is_at() {
    let mut story = Story::new("source-progress");
    let fresh = fresh();
    let known = tell_source(&fresh, &frame(0, Memory::default()), &stored(OLD, "x")).status;
    let revision = main_at(NEW);
    for (says, previous, progress) in [
        ("a new object", &fresh, SourceProgress::Asking),
        ("without an artifact", &fresh, SourceProgress::First),
        ("its interval is over", &known, SourceProgress::Asking),
        (
            "there is something new",
            &known,
            SourceProgress::NewRevision(revision.clone()),
        ),
        ("the store lost it", &known, SourceProgress::Disappeared),
    ] {
        let status = announce_source(previous, &frame(1, Memory::default()), &progress);
        story.line(format!("# {says}"));
        story.conditions(&status.conditions);
        let _ = writeln!(story.text, "  artifact: {}", status.artifact.is_some());
    }
    story.compare();
}

#[test]
fn a_receiver_reads_as_flux_tells_it() {
    let mut story = Story::new("receiver");
    let mut status = ReceiverStatus {
        observed_generation: Some(-1),
        ..Default::default()
    };
    let mut memory = Memory::default();
    let token = Explained::new(
        Reason::TokenNotFound,
        Turn::Retry,
        "unable to read token from secret 'ns/token'",
    );
    let contradiction = Explained::of(&crate::webhook::Error::NoProvider);
    let listening = |missing: &[&str]| ReceiverOutcome::Listening {
        path: "/hook/abc".into(),
        missing: missing.iter().map(|m| (*m).to_owned()).collect(),
    };
    let typo = "'GitRepository/ns/typo' not found";
    for (minute, says, outcome) in [
        (0, "no token", ReceiverOutcome::Failed(token)),
        (1, "it listens", listening(&[])),
        (2, "still: no event", listening(&[])),
        (3, "a name is a typo", listening(&[typo])),
        (4, "it still is: no event", listening(&[typo])),
        (5, "suspended", ReceiverOutcome::Suspended),
        (
            6,
            "it contradicts itself",
            ReceiverOutcome::Failed(contradiction),
        ),
    ] {
        let told = tell_receiver(&status, &frame(minute, memory), &outcome);
        story.tell(says, &told);
        (status, memory) = (told.status, told.memory);
    }
    story.compare();
}

#[test]
fn the_platforms_own_kinds_say_whether_they_are_in_force() {
    let mut story = Story::new("landlord");
    let tenant = TenantStatus {
        observed_generation: Some(-1),
        ..Default::default()
    };
    let frame = frame(0, Memory::default());
    let taken = Explained::new(
        Reason::NamespaceTaken,
        Turn::Owner,
        "namespace 'acme' belongs to tenant 'older'",
    );
    let namespaces = vec![NamespaceName::new("acme").unwrap()];
    let good = TenantOutcome {
        namespaces,
        wrong: None,
        namesake: None,
        limits: Limits::default(),
        usage: None,
    };
    let bad = TenantOutcome {
        namespaces: vec![],
        wrong: Some(taken),
        ..good.clone()
    };
    let told = tell_tenant(&tenant, &frame, &good);
    story.tell("a tenant", &told);
    assert!(tell_tenant(&told.status, &frame, &good).events.is_empty());
    story.tell(
        "a tenant that names another's namespace",
        &tell_tenant(&tenant, &frame, &bad),
    );
    let outside = Explained::new(
        Reason::AccessDenied,
        Turn::OwnerOrPolicy,
        "namespace outside is called like Tenant outside, which does not have it",
    );
    let beside = TenantOutcome {
        namesake: Some(outside),
        ..good.clone()
    };
    let with = tell_tenant(&told.status, &frame, &beside);
    story.tell("a namespace that it does not have is called like it", &with);
    let again = tell_tenant(&with.status, &frame, &good);
    assert_eq!(again.status, told.status);
    let usage = Usage {
        objects: 3,
        ..Usage::default()
    };
    let uses = TenantOutcome {
        usage: Some(usage),
        ..good.clone()
    };
    let told = tell_tenant(&told.status, &frame, &uses).status;
    let later = tell_tenant(&told, &frame, &good).status;
    assert_eq!(later.usage, Some(usage), "it stays until another is known");
    onboarding_is_told(&later, &frame, &good);
    let plugin = PluginStatus {
        observed_generation: Some(-1),
        ..Default::default()
    };
    let loaded = PluginOutcome::Loaded {
        digest: "sha256:abc".into(),
        revision: Some("main@sha1:1".into()),
    };
    let another = Explained::new(
        Reason::DigestMismatch,
        Turn::Owner,
        "the component has another digest",
    );
    let kept = PluginOutcome::Kept {
        digest: "sha256:abc".into(),
        why: Explained::new(
            Reason::PluginFailed,
            Turn::NextRevision,
            "it does not compile",
        ),
    };
    let none = Tally::default();
    let told = tell_plugin(&plugin, &frame, &loaded, &none);
    story.tell("a plugin", &told);
    assert!(
        tell_plugin(&told.status, &frame, &loaded, &none)
            .events
            .is_empty()
    );
    let failed = PluginOutcome::Failed(another);
    story.tell(
        "a plugin of another digest",
        &tell_plugin(&plugin, &frame, &failed, &none),
    );
    let mut tally = Tally::default();
    tally.count(
        std::time::Duration::from_millis(3),
        Some(FailedCall {
            at: Time(frame.now),
            called_for: "acme/web".into(),
            message: "it crashed".into(),
        }),
    );
    story.tell(
        "a plugin whose next revision does not compile",
        &tell_plugin(&told.status, &frame, &kept, &tally),
    );
    story.compare();
}

#[test]
fn a_message_is_cut_between_characters_and_shows_it() {
    assert_eq!(bounded("short", 1024), "short");
    let cut = bounded(&"ä".repeat(2000), 1024);
    assert!(cut.len() <= 1024 && cut.ends_with('…'), "{}", cut.len());
    assert_eq!(bounded("ääää", 6), "ä…");
    assert_eq!(bounded("ä", 1), "…");
}

#[test]
fn a_hint_follows_what_happened() {
    let why = Explained::new(Reason::PolicyDenied, Turn::Owner, "denied").with_hint("set it");
    assert_eq!(words(&why), "denied; hint: set it");
    assert_eq!(
        words(&Explained::new(Reason::PolicyDenied, Turn::Owner, "no")),
        "no"
    );
}

#[test]
fn a_source_tells_what_its_artifact_was_made_with() {
    use reeve_api::meta::LocalObjectReference;
    use reeve_api::source::GitRepositoryInclude;
    let include = GitRepositoryInclude {
        from_path: Some("./deploy".to_owned()),
        repository: LocalObjectReference {
            name: "base".to_owned(),
        },
        to_path: None,
    };
    let made = Made {
        ignore: Some("*.md".to_owned()),
        sparse: vec!["./apps".to_owned()],
        include: vec![include.clone()],
        submodules: true,
        included: vec![artifact(OLD)],
    };
    let outcome = |made| SourceOutcome::Stored {
        artifact: Box::new(artifact(NEW)),
        subject: "Say hello".to_owned(),
        made: Box::new(made),
        verified: None,
    };
    let tell = |status: &GitRepositoryStatus, made| {
        tell_source(status, &frame(0, Memory::default()), &outcome(made)).status
    };
    let told = tell(&GitRepositoryStatus::default(), made);
    assert_eq!(told.observed_ignore.as_deref(), Some("*.md"));
    assert_eq!(told.observed_sparse_checkout, ["./apps"]);
    assert_eq!(told.observed_include, [include]);
    assert!(told.observed_recurse_submodules);
    let included = told.included_artifacts.first();
    assert_eq!(included.map(|it| it.revision.clone()), Some(main_at(OLD)));
    // What is no longer asked for is no longer told.
    let told = tell(&told, Made::default());
    assert_eq!(told.observed_ignore, None);
    assert!(told.observed_sparse_checkout.is_empty());
    assert!(told.observed_include.is_empty() && told.included_artifacts.is_empty());
    assert!(!told.observed_recurse_submodules);
}

/// The landlord's words become a condition, for the generation that they are about.
fn onboarding_is_told(before: &TenantStatus, frame: &Frame<'_>, good: &TenantOutcome) {
    let said = |done, reason: &str| TenantStatus {
        onboarding: Some(Onboarding {
            done,
            message: "namespace acme was there before".into(),
            observed_generation: frame.generation,
            reason: reason.into(),
        }),
        departure: Some(Departure {
            message: "acme waits".into(),
            namespaces: Vec::new(),
        }),
        ..before.clone()
    };
    let told = tell_tenant(&said(true, "Succeeded"), frame, good).status;
    // The landlord's own words stay.
    assert!(told.departure.is_some());
    assert!(condition::is_true(&told.conditions, Type::Onboarded));
    assert_eq!(
        not_onboarded(told.onboarding.as_ref(), frame.generation),
        None
    );
    let refused = said(false, "NamespaceNotAdopted");
    let told = tell_tenant(&refused, frame, good).status;
    let is = condition::find(&told.conditions, Type::Onboarded).unwrap();
    assert_eq!(
        (is.status.as_str(), is.reason.as_str()),
        ("False", "NamespaceNotAdopted")
    );
    let why = not_onboarded(refused.onboarding.as_ref(), frame.generation).unwrap();
    assert_eq!(
        (why.reason, why.turn),
        (Reason::NamespaceNotAdopted, Turn::OwnerOrPolicy)
    );
    let older = not_onboarded(refused.onboarding.as_ref(), frame.generation + 1);
    assert_eq!(older, None, "it was about another spec");
    let strange = said(false, "Sunday");
    let why = not_onboarded(strange.onboarding.as_ref(), frame.generation).unwrap();
    assert_eq!(
        (why.reason, why.turn),
        (Reason::OnboardingFailed, Turn::Dependency)
    );
    let nobody = TenantStatus {
        onboarding: None,
        ..told
    };
    let told = tell_tenant(&nobody, frame, good).status;
    assert_eq!(condition::find(&told.conditions, Type::Onboarded), None);
}
