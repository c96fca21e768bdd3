//! What the world reads about a run: conditions, events, and when the next one is.
//!
//! Pure: the previous status, the outcome and `now` come in, so that a table can hold every case; a condition's time
//! moves only when its status does, and an event is told only when there is news. The words are Flux's, letter by letter,
//! because people and tools read them.
//!
//! The previous status is the one the run *began* with, not what it announced in between: whether something is news is
//! measured against it.
//!
//! What it deliberately doesn't: write to the cluster. The shell's `controller::report` does, and nothing else may.

mod change;
mod course;
mod deliver;
mod health;
mod history;
mod kustomization;
mod landlord;
mod plugin;
mod policy;
mod receiver;
mod source;
mod upkeep;
mod upstream;
mod writeback;

pub use change::typed_inventory;
pub use course::{Course, typed_replacing};
pub use deliver::{Delivery, FileChange};
pub use health::{Health, Settling, Wait};
pub use kustomization::{
    Action, Applied, Change, Failed, KustomizationOutcome, KustomizationProgress,
    announce_kustomization, tell_kustomization,
};
pub use landlord::{TenantOutcome, not_onboarded, tell_project, tell_tenant};
pub use plugin::{PluginOutcome, tell_plugin};
pub use policy::{Force, PolicyOutcome, tell_policy, tell_replay};
pub use receiver::{ReceiverOutcome, tell_receiver};
pub use source::{Made, SourceOutcome, SourceProgress, announce_source, tell_source};
pub use upkeep::{HooksOutcome, KeyOutcome, KeyStanding, tell_hooks, tell_key};
pub use upstream::{Heard, tell_upstream, whole};
pub use writeback::{Looked, Requested, WriteBackOutcome, tell_writeback};

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use reeve_api::condition::{self, Condition, Status, Type};
use reeve_api::reason::Reason;

use crate::failure::{Explained, Turn};
use crate::schedule;
pub use crate::schedule::Next;
use crate::text;

/// The longest note the API server takes in an event, in bytes.
pub const MAX_EVENT_MESSAGE: usize = 1024;
/// How much of a failure goes into a condition. The API server would take four times as much; nobody would read it, and
/// every watcher of the object would receive it.
const MAX_CONDITION_MESSAGE: usize = 8192;

/// When what waits for its source, or for what it depends on, looks again, should nothing have woken it: Flux's default,
/// and what Flux's messages say (`Source artifact not found, retrying in 30s`).
pub const SOURCE_RETRY: Duration = Duration::from_secs(30);

/// The object and the moment a story is told about.
#[derive(Debug, Clone, Copy)]
pub struct Frame<'a> {
    /// `metadata.generation` of the object the run acted on.
    pub generation: i64,
    /// The value of the annotation that asks for a run now.
    pub requested_at: Option<&'a str>,
    /// When the run ended.
    pub now: Timestamp,
    /// `spec.interval`.
    pub interval: Duration,
    /// `spec.retryInterval`, or the interval where the kind has none. None: it has one, and it is not set.
    pub retry_interval: Option<Duration>,
    /// What spreads runs in time: any number that differs from object to object and run to run.
    pub spread: u64,
    /// What the last [`Told`] said to remember; the default after a restart.
    pub memory: Memory,
}

/// What the shell keeps of an object between two runs, and loses at a restart without harm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Memory {
    /// Failures in a row that are tried again.
    pub failures: u32,
    /// When a failure was last told as an event.
    pub warned: Option<Timestamp>,
}

/// What to write, what to emit, and when to run again.
#[derive(Debug, Clone, PartialEq)]
pub struct Told<S> {
    /// The status, whole.
    pub status: S,
    /// Events, in the order they happened; empty when there is no news.
    pub events: Vec<Event>,
    /// When the next run is.
    pub next: Next,
    /// For the next [`Frame`].
    pub memory: Memory,
}

/// Whether an event asks for somebody's attention.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventType {
    /// Things go their way.
    Normal,
    /// Something failed.
    Warning,
}

impl EventType {
    /// As Kubernetes spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Normal => "Normal",
            Self::Warning => "Warning",
        }
    }
}

/// A Kubernetes event about the object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Normal or Warning.
    pub type_: EventType,
    /// Why.
    pub reason: Reason,
    /// In words; never longer than the API server takes.
    pub message: String,
    /// Annotations of the event: the revision and digest it is about.
    pub metadata: BTreeMap<String, String>,
}

impl Event {
    fn normal(reason: Reason, message: &str, metadata: &BTreeMap<String, String>) -> Self {
        Self::new(EventType::Normal, reason, message, metadata)
    }

    fn warning(reason: Reason, message: &str, metadata: &BTreeMap<String, String>) -> Self {
        Self::new(EventType::Warning, reason, message, metadata)
    }

    fn new(
        type_: EventType,
        reason: Reason,
        message: &str,
        metadata: &BTreeMap<String, String>,
    ) -> Self {
        let message = bounded(message, MAX_EVENT_MESSAGE);
        Self {
            type_,
            reason,
            message,
            metadata: metadata.clone(),
        }
    }
}

/// `text` in at most `most` bytes, cut between characters; `…` shows that something was cut.
pub fn bounded(text: &str, most: usize) -> String {
    const CUT: &str = "…";
    if text.len() <= most {
        return text.to_owned();
    }
    let end = text.floor_char_boundary(most.saturating_sub(CUT.len()));
    format!("{}{CUT}", text.get(..end).unwrap_or_default())
}

/// What a failure says on the object: what happened, and what to do about it.
pub fn words(why: &Explained) -> String {
    let said = match &why.hint {
        Some(hint) if !hint.is_empty() => format!("{}; hint: {hint}", why.message),
        _ => why.message.clone(),
    };
    bounded(&text::lines(&said), MAX_CONDITION_MESSAGE)
}

/// The conditions of one object while its story is written.
struct Page<'a> {
    conditions: Vec<Condition>,
    frame: &'a Frame<'a>,
}

impl<'a> Page<'a> {
    fn new(previous: &[Condition], frame: &'a Frame<'a>) -> Self {
        Self {
            conditions: previous.to_vec(),
            frame,
        }
    }

    fn mark(&mut self, r#type: Type, status: Status, reason: Reason, message: &str) {
        let made = condition::new(
            r#type,
            status,
            reason,
            message,
            self.frame.generation,
            self.frame.now,
        );
        condition::set(&mut self.conditions, made);
    }

    fn remove(&mut self, types: &[Type]) {
        for r#type in types {
            let _was_there = condition::remove(&mut self.conditions, r#type);
        }
    }

    /// `Ready` is true: nothing is under way and nothing stands still.
    fn ready(&mut self, reason: Reason, message: &str) {
        self.remove(&[Type::Reconciling, Type::Stalled]);
        self.mark(Type::Ready, Status::True, reason, message);
    }

    /// `Ready` is false. It stands still when it is the owner's turn; else, when a run got somewhere, the condition says
    /// that it will be tried again.
    fn failed(&mut self, why: &Explained, message: &str, progress: Option<&str>) {
        self.mark(Type::Ready, Status::False, why.reason, message);
        if why.turn.stalls() {
            self.remove(&[Type::Reconciling]);
            self.mark(Type::Stalled, Status::True, why.reason, message);
            return;
        }
        self.remove(&[Type::Stalled]);
        match progress {
            Some(progress) => self.mark(
                Type::Reconciling,
                Status::True,
                Reason::ProgressingWithRetry,
                progress,
            ),
            None => self.remove(&[Type::Reconciling]),
        }
    }
}

/// The generation to report as observed: the present one once the object is ready or stalled, else the last one, so that
/// who waits for it goes on waiting.
fn observed(conditions: &[Condition], previous: Option<i64>, frame: &Frame<'_>) -> Option<i64> {
    let settled = condition::is_true(conditions, Type::Ready)
        || condition::is_true(conditions, Type::Stalled);
    if settled {
        Some(frame.generation)
    } else {
        previous.or(Some(-1))
    }
}

/// The request that this run answered, echoed.
fn handled(previous: Option<&String>, frame: &Frame<'_>) -> Option<String> {
    frame
        .requested_at
        .map(str::to_owned)
        .or_else(|| previous.cloned())
}

/// Whether this run is news whatever came of it: somebody asked for it, or the object changed.
fn asked_for(conditions: &[Condition], handled: Option<&String>, frame: &Frame<'_>) -> bool {
    let requested =
        frame.requested_at.is_some() && frame.requested_at != handled.map(String::as_str);
    let changed = condition::find(conditions, Type::Ready)
        .is_none_or(|ready| ready.observed_generation != Some(frame.generation));
    requested || changed
}

/// Whether `Ready` says already what failed.
fn is_told(conditions: &[Condition], why: &Explained, message: &str) -> bool {
    condition::find(conditions, Type::Ready).is_some_and(|ready| {
        ready.status == Status::False.as_str()
            && ready.reason == why.reason.as_str()
            && ready.message == message
    })
}

/// What is told beside the status: the event, when the next run is, and what it is to remember.
type Tale = (Option<Event>, Next, Memory);

/// What cannot be had as it is wanted, of a kind that is only looked at: no run of it is under way.
fn broken(
    page: &mut Page<'_>,
    before: &[Condition],
    frame: &Frame<'_>,
    why: &Explained,
    message: &str,
) -> Tale {
    page.failed(why, message, Some("Reconciliation in progress"));
    let warn = worth_a_warning(before, why, message, frame);
    let event = warn.then(|| Event::warning(why.reason, message, &BTreeMap::new()));
    let memory = remember_failure(frame, why.turn, warn);
    (event, after(why.turn, memory.failures, frame), memory)
}

/// Whether a failure is worth a warning: it is new, somebody asked, or the last warning is an interval old.
fn worth_a_warning(
    previous: &[Condition],
    why: &Explained,
    message: &str,
    frame: &Frame<'_>,
) -> bool {
    let same = is_told(previous, why, message);
    let due = frame
        .memory
        .warned
        .is_none_or(|warned| frame.now.duration_since(warned).unsigned_abs() >= frame.interval);
    !same || due
}

/// When to run after a failure. A watch wakes the object before that when what it waits for happens; the interval is the
/// net under it.
fn after(turn: Turn, failures: u32, frame: &Frame<'_>) -> Next {
    let backoff = |most: Duration| {
        let most = schedule::jittered(most, frame.spread);
        schedule::backoff(failures, frame.spread).min(most)
    };
    match turn {
        Turn::Owner => Next::Watch,
        Turn::OwnerOrPolicy | Turn::NextRevision => {
            Next::After(schedule::jittered(frame.interval, frame.spread))
        }
        Turn::Source | Turn::Dependency => Next::After(SOURCE_RETRY.min(frame.interval)),
        Turn::Retry => Next::After(match frame.retry_interval {
            Some(set) => schedule::jittered(set, frame.spread),
            None => backoff(frame.interval),
        }),
        // What may pass by itself is not worth a long interval.
        Turn::Ours => Next::After(backoff(frame.retry_interval.unwrap_or(Duration::MAX))),
        Turn::Later(wait) => Next::After(schedule::no_sooner(wait, frame.spread)),
    }
}

/// What to remember after a failure that was, or wasn't, told as an event. Only failures that are tried again add up.
fn remember_failure(frame: &Frame<'_>, turn: Turn, warned: bool) -> Memory {
    let before = frame.memory.failures;
    Memory {
        failures: match turn {
            Turn::Ours | Turn::Retry => before.saturating_add(1),
            Turn::Later(_) => before,
            Turn::Owner
            | Turn::OwnerOrPolicy
            | Turn::Source
            | Turn::Dependency
            | Turn::NextRevision => 0,
        },
        warned: if warned {
            Some(frame.now)
        } else {
            frame.memory.warned
        },
    }
}

#[cfg(test)]
mod tests;
