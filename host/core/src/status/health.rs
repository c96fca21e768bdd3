//! The story of a run whose objects have yet to become healthy, and what is left of it when they are.
//!
//! A run ends when everything is applied; what is waited for stands in the status, so that a process that starts anew
//! knows since when. What it deliberately doesn't: say when the wait is over; the shell watches, and tells.

use std::time::Duration;

use jiff::Timestamp;
use reeve_api::condition::{self, Condition, Status, Type};
use reeve_api::duration::Duration as GoDuration;
use reeve_api::kustomization::KustomizationStatus;
use reeve_api::reason::Reason;

use super::change::{change_events, last_run, typed_inventory, unpinned};
use super::kustomization::{Applied, KustomizationProgress, metadata};
use super::{Event, Frame, MAX_CONDITION_MESSAGE, Next, Page, Told, bounded};
use crate::plan::Place;
use crate::schedule;

/// How much later than at its end a wait is looked after, should nobody have told of it.
const MARGIN: Duration = Duration::from_secs(30);

/// What is known of the health of what was applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Health {
    /// Nobody asked.
    NotAsked,
    /// All that was asked for is well; how long it took.
    Passed(Duration),
}

/// Everything is applied, or all of a wave, and not all of it is healthy yet.
#[derive(Debug, Clone)]
pub struct Settling {
    /// What was applied.
    pub done: Applied,
    /// Since when its health is waited for.
    pub since: Timestamp,
    /// Which wave is waited for, and what in it, when there is more to apply after it.
    pub wave: Option<String>,
}

/// What is waited for, and since when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wait {
    /// The generation of the object that asked for it.
    pub generation: i64,
    /// The revision that was applied.
    pub revision: String,
    /// The wave, when there is more to apply after it.
    pub wave: Option<Place>,
    /// Since when.
    pub since: Timestamp,
}

impl Wait {
    /// The same, begun when it was: a run that changed nothing doesn't begin a wait anew, nor does another process.
    ///
    /// The wait that this run `ended` comes before what the status has, which may be from before that wait: a watch may
    /// bring it later than the next run begins.
    #[must_use]
    pub fn resumed(self, ended: Option<&Self>, status: Option<&KustomizationStatus>) -> Self {
        let same = |other: &&Self| {
            Self {
                since: self.since,
                ..(*other).clone()
            } == self
        };
        let ended = ended.filter(same).map(|ended| ended.since);
        let begun = ended.or_else(|| self.told(status?));
        Self {
            since: begun.map_or(self.since, |begun| begun.min(self.since)),
            ..self
        }
    }

    /// Since when the status has it.
    fn told(&self, status: &KustomizationStatus) -> Option<Timestamp> {
        let healthy = condition::find(&status.conditions, Type::Healthy)?;
        let same = healthy.status == Status::Unknown.as_str()
            && healthy.observed_generation == Some(self.generation)
            && status.last_attempted_revision.as_ref() == Some(&self.revision);
        same.then_some(healthy.last_transition_time.0)
    }
}

/// The status while what was applied becomes healthy. Neither the request nor the generation are answered yet.
pub(super) fn settling(
    previous: &KustomizationStatus,
    frame: &Frame<'_>,
    timeout: Duration,
    settling: &Settling,
) -> Told<KustomizationStatus> {
    let Settling { done, since, wave } = settling;
    let mut status = previous.clone();
    status.delivered = None;
    let checking = || KustomizationProgress::CheckingHealth.words(&done.revision, timeout);
    let wave = wave
        .as_ref()
        .map(|wave| bounded(wave, MAX_CONDITION_MESSAGE));
    let doing = wave.clone().unwrap_or_else(checking);
    let mut page = Page::new(&previous.conditions, frame);
    page.remove(&[Type::Stalled, Type::Healthy]);
    let ready = wave.as_deref().unwrap_or("Reconciliation in progress");
    page.mark(Type::Ready, Status::Unknown, Reason::Progressing, ready);
    page.mark(Type::Reconciling, Status::True, Reason::Progressing, &doing);
    let (unknown, why) = (Status::Unknown, Reason::Progressing);
    let healthy = condition::new(Type::Healthy, unknown, why, doing, frame.generation, *since);
    condition::set(&mut page.conditions, healthy);
    status.conditions = page.conditions;
    status.inventory = Some(typed_inventory(&done.inventory));
    let all = done.changes.iter().chain(&done.pruned);
    status.last_run = last_run(previous, &done.revision, all);
    status.last_attempted_revision = Some(done.revision.clone());
    status.last_applied_digest.clone_from(&done.recollected);
    done.course.remember(&mut status);
    status.sync.clone_from(&done.sync);
    let metadata = metadata(Some(&done.revision));
    let mut events = change_events(&done.changes, &metadata);
    events.extend(change_events(&done.pruned, &metadata));
    let bases = &done.remote_bases;
    events.extend(unpinned(&previous.remote_bases, bases, &metadata));
    status.remote_bases.clone_from(bases);
    let passed = frame.now.duration_since(*since).unsigned_abs();
    Told {
        status,
        events,
        next: Next::After(timeout.saturating_sub(passed) + MARGIN),
        memory: frame.memory,
    }
}

/// Says of a run that went well how healthy what it applied is, and returns the event if that is news.
pub(super) fn passed(page: &mut Page<'_>, done: &Applied, new_revision: bool) -> Option<Event> {
    let Health::Passed(took) = done.health else {
        page.remove(&[Type::Healthy]);
        return None;
    };
    let before = condition::find(&page.conditions, Type::Healthy);
    let was_healthy = before.filter(|healthy| healthy.status == Status::True.as_str());
    let drifted = done.changes.iter().any(|change| change.action.is_change());
    if let Some(still) = was_healthy.filter(|_| !(new_revision && drifted)) {
        // How long it took is worth saying when it became healthy, not each time that it still is.
        let message = still.message.clone();
        page.mark(Type::Healthy, Status::True, Reason::Succeeded, &message);
        return None;
    }
    let took = GoDuration::from(schedule::rounded(took));
    let message = format!("Health check passed in {took}");
    page.mark(Type::Healthy, Status::True, Reason::Succeeded, &message);
    let metadata = metadata(Some(&done.revision));
    Some(Event::normal(
        Reason::ReconciliationSucceeded,
        &message,
        &metadata,
    ))
}

/// What has been waited for has failed for a while: tried again soon, it would never be seen to have.
pub(super) fn unhurried<'f>(frame: &Frame<'f>, reason: Reason) -> Frame<'f> {
    let retry_interval = match reason {
        Reason::HealthCheckFailed => frame.retry_interval.or(Some(frame.interval)),
        _ => frame.retry_interval,
    };
    Frame {
        retry_interval,
        ..*frame
    }
}

/// Says of a run that stopped that what it applied is not healthy; a wait that it put an end to is over.
pub(super) fn unhealthy(page: &mut Page<'_>, reason: Reason, why: Option<&str>) {
    if let Some(why) = why {
        page.mark(Type::Healthy, Status::False, reason, why);
    } else if is_waited_for(&page.conditions) {
        page.remove(&[Type::Healthy]);
    }
}

/// Says that a wait was given up: nobody looks any more.
pub(super) fn given_up(page: &mut Page<'_>) {
    if !is_waited_for(&page.conditions) {
        return;
    }
    let (reason, why) = (
        Reason::HealthCheckCanceled,
        "the Kustomization was suspended",
    );
    page.mark(Type::Healthy, Status::Unknown, reason, why);
    page.mark(Type::Ready, Status::False, reason, why);
    page.remove(&[Type::Reconciling]);
}

pub(super) fn is_waited_for(conditions: &[Condition]) -> bool {
    condition::find(conditions, Type::Healthy).is_some_and(|healthy| {
        healthy.status == Status::Unknown.as_str() && healthy.reason == Reason::Progressing.as_str()
    })
}
