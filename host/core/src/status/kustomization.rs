//! The story of one run of a Kustomization.
//!
//! What it deliberately doesn't: decide whether a run succeeded. It is told what came of it, as a
//! [`KustomizationOutcome`], by the controller; what is written goes through the shell's `controller::report`.

use std::collections::BTreeMap;
use std::time::Duration;

use reeve_api::KUSTOMIZE_GROUP;
use reeve_api::condition::{self, Status, Type};
use reeve_api::duration::Duration as GoDuration;
use reeve_api::kustomization::{KustomizationStatus, RemoteBase, SyncStatus};
use reeve_api::reason::Reason;

use super::Course;
use super::change::{change_events, emptied, last_run, typed_inventory, unpinned};
use super::deliver::{Delivery, delivered};
use super::health::{self, Health, Settling};
use super::history::remember;
use super::{
    Event, Frame, Memory, Next, Page, Told, after, asked_for, handled, is_told, observed,
    remember_failure, words, worth_a_warning,
};
use crate::failure::{Explained, Turn};
use crate::inventory::{Inventory, ObjectId};
use crate::schedule;

/// What is said while something that is depended on is not ready.
const WAITS: &str = "Dependencies do not meet ready condition, retrying in 30s";

/// What was done to one object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Action {
    /// It wasn't there.
    Created,
    /// It was there, and different.
    Configured,
    /// It was there as it should be; nothing was written.
    Unchanged,
    /// It is no longer wanted.
    Deleted,
    /// Its owner asked to leave it alone.
    Skipped,
}

impl Action {
    /// As Flux spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Configured => "configured",
            Self::Unchanged => "unchanged",
            Self::Deleted => "deleted",
            Self::Skipped => "skipped",
        }
    }

    /// Whether something was written for it.
    pub fn is_change(self) -> bool {
        matches!(self, Self::Created | Self::Configured | Self::Deleted)
    }
}

/// One line of a change set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The object.
    pub id: ObjectId,
    /// What was done to it.
    pub action: Action,
    /// The fields that were another on the cluster, as far as they are told; never a value.
    pub fields: Vec<String>,
}

/// What came of a run.
#[derive(Debug, Clone)]
pub enum KustomizationOutcome {
    /// Everything wanted is on the cluster, and nothing that is no longer wanted.
    Applied(Applied),
    /// Everything wanted is on the cluster, and has yet to become healthy.
    Settling(Settling),
    /// Everything wanted is in a git repository, or proposed to it, and nothing was applied.
    Delivered(Box<Delivery>),
    /// `spec.suspend` is set: nothing was looked at.
    Suspended,
    /// The object is going away, and what it had on the cluster went before it.
    Withdrawn {
        /// What pruning did, in order.
        pruned: Vec<Change>,
    },
    /// It left off, since the object was changed, suspended or deleted meanwhile: the next run is under way.
    Superseded(Failed),
    /// It stopped somewhere.
    Failed(Failed),
}

/// A run that reached its end.
#[derive(Debug, Clone)]
pub struct Applied {
    /// The revision that was applied.
    pub revision: String,
    /// What applying did, in order.
    pub changes: Vec<Change>,
    /// What pruning did, in order.
    pub pruned: Vec<Change>,
    /// What this Kustomization now has on the cluster.
    pub inventory: Inventory,
    /// Where its manifests are, and where they went.
    pub course: Course,
    /// `<algo>:<hex>` of what was rendered.
    pub digest: String,
    /// `<algo>:<hex>` of what was applied, as policies see it; none where nobody asks for it.
    pub recollected: Option<String>,
    /// The remote resources that were built with.
    pub remote_bases: Vec<RemoteBase>,
    /// How far its waves and hooks are, where it has any.
    pub sync: Option<SyncStatus>,
    /// How healthy it is.
    pub health: Health,
    /// How long the run took.
    pub took: Duration,
}

/// A run that stopped somewhere.
#[derive(Debug, Clone)]
pub struct Failed {
    /// Why, and whose turn it is.
    pub why: Explained,
    /// The revision, once it was known.
    pub attempted: Option<String>,
    /// What was written before it stopped, pruning included.
    pub changes: Vec<Change>,
    /// What this Kustomization now has on the cluster, if that may have changed: nothing applied may fall out of it.
    pub inventory: Option<Inventory>,
    /// Where its manifests are, and where they went, if any of them may have been applied.
    pub course: Option<Course>,
    /// `<algo>:<hex>` of what was rendered, once it was.
    pub digest: Option<String>,
    /// `<algo>:<hex>` of what has been applied by now, as policies see it, if that may have changed.
    pub recollected: Option<String>,
    /// How far its waves and hooks are, if that may have changed.
    pub sync: Option<SyncStatus>,
    /// What is not healthy, when that is why it stopped.
    pub unhealthy: Option<String>,
    /// How long the run took.
    pub took: Duration,
}

impl Failed {
    /// A run that stopped before it had a revision, let alone wrote anything.
    pub fn early(why: Explained, took: Duration) -> Self {
        Self {
            why,
            attempted: None,
            changes: Vec::new(),
            inventory: None,
            course: None,
            digest: None,
            recollected: None,
            sync: None,
            unhealthy: None,
            took,
        }
    }

    /// What it did, for whoever looks.
    fn remember_run(&self, previous: &KustomizationStatus, status: &mut KustomizationStatus) {
        if let Some(revision) = &self.attempted {
            status.last_run = last_run(previous, revision, &self.changes);
        }
    }

    /// What of it may be on the cluster, for the next run.
    fn remember_applied(&self, status: &mut KustomizationStatus) {
        if self.recollected.is_some() {
            status.last_applied_digest.clone_from(&self.recollected);
        }
        if let Some(course) = &self.course {
            course.remember(status);
        }
        if self.sync.is_some() {
            status.sync.clone_from(&self.sync);
        }
    }
}

/// How far a run has come. Announced while it lasts, so that who watches sees where the time goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KustomizationProgress {
    /// The artifact is being opened.
    Fetching,
    /// Manifests are being rendered and transformed.
    Building,
    /// What is on the cluster is being compared, and changed where it differs.
    DetectingDrift,
    /// What was applied is being waited for.
    CheckingHealth,
}

impl KustomizationProgress {
    pub(super) fn words(self, revision: &str, timeout: Duration) -> String {
        let doing = match self {
            Self::Fetching => "Fetching manifests for",
            Self::Building => "Building manifests for",
            Self::DetectingDrift => "Detecting drift for",
            Self::CheckingHealth => "Running health checks for",
        };
        format!(
            "{doing} revision {revision} with a timeout of {}",
            GoDuration::from(timeout)
        )
    }

    /// How far a run had come that ended for this reason.
    fn before(reason: Reason) -> Self {
        match reason {
            Reason::ArtifactFailed | Reason::StorageQuotaExceeded => Self::Fetching,
            Reason::BuildFailed | Reason::PluginFailed | Reason::PluginNotFound => Self::Building,
            Reason::HealthCheckFailed | Reason::HealthCheckCanceled => Self::CheckingHealth,
            _ => Self::DetectingDrift,
        }
    }
}

/// The status while a run lasts: `Ready` is unknown, and `Reconciling` says how far it is.
///
/// The request and the generation it answers are not reported as handled yet.
pub fn announce_kustomization(
    previous: &KustomizationStatus,
    frame: &Frame<'_>,
    progress: KustomizationProgress,
    revision: &str,
    timeout: Duration,
) -> KustomizationStatus {
    let mut status = previous.clone();
    let mut page = Page::new(&previous.conditions, frame);
    let doing = progress.words(revision, timeout);
    page.mark(
        Type::Ready,
        Status::Unknown,
        Reason::Progressing,
        "Reconciliation in progress",
    );
    page.mark(Type::Reconciling, Status::True, Reason::Progressing, &doing);
    page.remove(&[Type::Stalled]);
    status.conditions = page.conditions;
    if progress != KustomizationProgress::Fetching {
        status.last_attempted_revision = Some(revision.to_owned());
    }
    status
}

/// What the world reads about a run of a Kustomization that began with `previous` and came to `outcome`.
///
/// `timeout` is `spec.timeout` or what stands for it.
pub fn tell_kustomization(
    previous: &KustomizationStatus,
    frame: &Frame<'_>,
    timeout: Duration,
    outcome: &KustomizationOutcome,
) -> Told<KustomizationStatus> {
    let mut told = match outcome {
        KustomizationOutcome::Applied(done) => applied(previous, frame, done),
        KustomizationOutcome::Delivered(done) => delivered(previous, frame, done),
        KustomizationOutcome::Suspended => rest(previous, frame),
        KustomizationOutcome::Withdrawn { pruned } => withdrawn(previous, frame, pruned),
        KustomizationOutcome::Failed(stopped) => failed(previous, frame, timeout, stopped),
        // The request, and the generation, are for the next run to answer.
        KustomizationOutcome::Superseded(stopped) => return superseded(previous, frame, stopped),
        KustomizationOutcome::Settling(waits) => {
            return health::settling(previous, frame, timeout, waits);
        }
    };
    let status = &mut told.status;
    status.last_handled_reconcile_at = handled(previous.last_handled_reconcile_at.as_ref(), frame);
    status.observed_generation = observed(&status.conditions, previous.observed_generation, frame);
    told
}

fn applied(
    previous: &KustomizationStatus,
    frame: &Frame<'_>,
    done: &Applied,
) -> Told<KustomizationStatus> {
    let Applied {
        revision,
        changes,
        pruned,
        inventory,
        course,
        digest,
        recollected,
        remote_bases,
        sync,
        health: _,
        took,
    } = done;
    let mut status = previous.clone();
    status.delivered = None;
    status.sync.clone_from(sync);
    status.last_applied_digest.clone_from(recollected);
    course.remember(&mut status);
    let mut page = Page::new(&previous.conditions, frame);
    let why = Reason::ReconciliationSucceeded;
    page.ready(why, &format!("Applied revision: {revision}"));
    let new_revision = previous.last_applied_revision.as_ref() != Some(revision);
    let passed = health::passed(&mut page, done, new_revision);
    status.conditions = page.conditions;
    status.inventory = Some(typed_inventory(inventory));
    status.last_run = last_run(previous, revision, changes.iter().chain(pruned));
    status.last_applied_revision = Some(revision.clone());
    status.last_attempted_revision = Some(revision.clone());
    remember(&mut status.history, digest, why, revision, *took, frame);

    let metadata = metadata(Some(revision));
    let mut events = change_events(changes, &metadata);
    events.extend(change_events(pruned, &metadata));
    events.extend(emptied(inventory, pruned, &metadata));
    events.extend(unpinned(&previous.remote_bases, remote_bases, &metadata));
    status.remote_bases.clone_from(remote_bases);
    events.extend(passed);
    let news = !events.is_empty()
        || new_revision
        || !condition::is_true(&previous.conditions, Type::Ready)
        || asked_for(
            &previous.conditions,
            previous.last_handled_reconcile_at.as_ref(),
            frame,
        );
    if news {
        events.push(finished(*took, frame, &metadata));
    }
    let next = Next::After(schedule::jittered(frame.interval, frame.spread));
    Told {
        status,
        events,
        next,
        memory: Memory::default(),
    }
}

pub(super) fn finished(
    took: Duration,
    frame: &Frame<'_>,
    metadata: &BTreeMap<String, String>,
) -> Event {
    let message = format!(
        "Reconciliation finished in {}, next run in {}",
        GoDuration::from(schedule::rounded(took)),
        GoDuration::from(frame.interval)
    );
    Event::normal(Reason::ReconciliationSucceeded, &message, metadata)
}

fn failed(
    previous: &KustomizationStatus,
    frame: &Frame<'_>,
    timeout: Duration,
    stopped: &Failed,
) -> Told<KustomizationStatus> {
    let why = &stopped.why;
    let message = words(why);
    let status = stopped_status(previous, frame, timeout, stopped, &message);
    let metadata = metadata(stopped.attempted.as_ref());
    let mut events = change_events(&stopped.changes, &metadata);
    let asked = asked_for(
        &previous.conditions,
        previous.last_handled_reconcile_at.as_ref(),
        frame,
    );
    // As a rule a source that isn't there yet was applied together with the Kustomization: it is worth a warning when it
    // is still missing at the second look.
    let soon = why.turn == Turn::Source && !is_told(&previous.conditions, why, &message);
    let warn = !soon && (asked || worth_a_warning(&previous.conditions, why, &message, frame));
    if warn {
        events.push(match why.turn {
            // As Flux: to wait for what was applied together with it is nothing to be warned of.
            Turn::Dependency => Event::normal(why.reason, WAITS, &metadata),
            _ => Event::warning(why.reason, &message, &metadata),
        });
    }
    let memory = remember_failure(frame, why.turn, warn);
    let next = after(
        why.turn,
        memory.failures,
        &health::unhurried(frame, why.reason),
    );
    Told {
        status,
        events,
        next,
        memory,
    }
}

fn stopped_status(
    previous: &KustomizationStatus,
    frame: &Frame<'_>,
    timeout: Duration,
    stopped: &Failed,
    message: &str,
) -> KustomizationStatus {
    let reason = stopped.why.reason;
    let attempted = stopped.attempted.as_ref();
    let progress =
        attempted.map(|revision| KustomizationProgress::before(reason).words(revision, timeout));
    let mut page = Page::new(&previous.conditions, frame);
    page.failed(&stopped.why, message, progress.as_deref());
    health::unhealthy(&mut page, reason, stopped.unhealthy.as_deref());
    let mut status = previous.clone();
    status.conditions = page.conditions;
    if let Some(revision) = attempted {
        status.last_attempted_revision = Some(revision.clone());
        if let Some(digest) = &stopped.digest {
            let took = stopped.took;
            remember(&mut status.history, digest, reason, revision, took, frame);
        }
    }
    if let Some(inventory) = &stopped.inventory {
        status.inventory = Some(typed_inventory(inventory));
    }
    stopped.remember_applied(&mut status);
    stopped.remember_run(previous, &mut status);
    status
}

/// What a run did before it left off, and nothing else: what was announced of it is taken back.
fn superseded(
    previous: &KustomizationStatus,
    frame: &Frame<'_>,
    stopped: &Failed,
) -> Told<KustomizationStatus> {
    let mut status = previous.clone();
    if let Some(inventory) = &stopped.inventory {
        status.inventory = Some(typed_inventory(inventory));
        status
            .last_attempted_revision
            .clone_from(&stopped.attempted);
    }
    stopped.remember_applied(&mut status);
    stopped.remember_run(previous, &mut status);
    Told {
        status,
        events: change_events(&stopped.changes, &metadata(stopped.attempted.as_ref())),
        next: Next::Watch,
        memory: frame.memory,
    }
}

/// Suspended: the conditions stay what they were; only the request is answered.
fn rest(previous: &KustomizationStatus, frame: &Frame<'_>) -> Told<KustomizationStatus> {
    let mut status = previous.clone();
    let mut page = Page::new(&previous.conditions, frame);
    if condition::is_true(&page.conditions, Type::Ready) {
        page.remove(&[Type::Reconciling]);
    }
    health::given_up(&mut page);
    status.conditions = page.conditions;
    Told {
        status,
        events: Vec::new(),
        next: Next::Watch,
        memory: frame.memory,
    }
}

fn withdrawn(
    previous: &KustomizationStatus,
    frame: &Frame<'_>,
    pruned: &[Change],
) -> Told<KustomizationStatus> {
    let metadata = metadata(previous.last_applied_revision.as_ref());
    let events = change_events(pruned, &metadata);
    Told {
        events,
        ..rest(previous, frame)
    }
}

pub(super) fn metadata(revision: Option<&String>) -> BTreeMap<String, String> {
    revision
        .map(|revision| (format!("{KUSTOMIZE_GROUP}/revision"), revision.clone()))
        .into_iter()
        .collect()
}
