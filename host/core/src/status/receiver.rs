//! The story of one run of a Receiver: does it listen, and where.
//!
//! What it deliberately doesn't: verify a call (`webhook`) or find what a Receiver names (`index`).

use std::collections::BTreeMap;

use reeve_api::condition::{self, Status, Type};
use reeve_api::duration::Duration as GoDuration;
use reeve_api::reason::Reason;
use reeve_api::receiver::ReceiverStatus;

use super::{
    Event, Frame, Memory, Next, Page, Told, after, asked_for, handled, observed, remember_failure,
    words, worth_a_warning,
};
use crate::failure::Explained;
use crate::schedule;

/// What came of a run.
#[derive(Debug, Clone)]
pub enum ReceiverOutcome {
    /// Calls to `path` are answered.
    Listening {
        /// `/hook/` and 64 hexadecimal digits.
        path: String,
        /// What the Receiver names and what isn't there, or may not be named by it; the others are woken all the same.
        missing: Vec<String>,
    },
    /// `spec.suspend` is set: calls are turned away.
    Suspended,
    /// It has no path, or may not use it.
    Failed(Explained),
}

/// What the world reads about a run of a Receiver that began with `previous` and came to `outcome`.
pub fn tell_receiver(
    previous: &ReceiverStatus,
    frame: &Frame<'_>,
    outcome: &ReceiverOutcome,
) -> Told<ReceiverStatus> {
    let mut told = match outcome {
        ReceiverOutcome::Listening { path, missing } => listening(previous, frame, path, missing),
        ReceiverOutcome::Suspended => Told {
            status: previous.clone(),
            events: Vec::new(),
            next: Next::Watch,
            memory: frame.memory,
        },
        ReceiverOutcome::Failed(why) => failed(previous, frame, why),
    };
    let status = &mut told.status;
    status.last_handled_reconcile_at = handled(previous.last_handled_reconcile_at.as_ref(), frame);
    status.observed_generation = observed(&status.conditions, previous.observed_generation, frame);
    told
}

fn listening(
    previous: &ReceiverStatus,
    frame: &Frame<'_>,
    path: &str,
    missing: &[String],
) -> Told<ReceiverStatus> {
    let mut status = previous.clone();
    let mut page = Page::new(&previous.conditions, frame);
    page.ready(
        Reason::Succeeded,
        &format!("Receiver initialized for path: {path}"),
    );
    let mut events = Vec::new();
    if missing.is_empty() {
        page.remove(&[Type::ResourceMissing]);
    } else {
        let message = missing.join("; ");
        let told_before = condition::find(&previous.conditions, Type::ResourceMissing)
            .is_some_and(|known| known.message == message);
        page.mark(
            Type::ResourceMissing,
            Status::True,
            Reason::ResourceNotFound,
            &message,
        );
        if !told_before {
            events.push(Event::warning(
                Reason::ResourceNotFound,
                &message,
                &BTreeMap::new(),
            ));
        }
    }
    let news = !condition::is_true(&previous.conditions, Type::Ready)
        || previous.webhook_path.as_deref() != Some(path)
        || asked_for(
            &previous.conditions,
            previous.last_handled_reconcile_at.as_ref(),
            frame,
        );
    if news {
        let message = format!(
            "Reconciliation finished, next run in {}",
            GoDuration::from(frame.interval)
        );
        events.push(Event::normal(Reason::Succeeded, &message, &BTreeMap::new()));
    }
    status.conditions = page.conditions;
    status.webhook_path = Some(path.to_owned());
    status.url = Some(path.to_owned());
    let next = Next::After(schedule::jittered(frame.interval, frame.spread));
    Told {
        status,
        events,
        next,
        memory: Memory::default(),
    }
}

fn failed(previous: &ReceiverStatus, frame: &Frame<'_>, why: &Explained) -> Told<ReceiverStatus> {
    let mut status = previous.clone();
    let mut page = Page::new(&previous.conditions, frame);
    let message = words(why);
    page.failed(why, &message, Some("Reconciliation in progress"));
    page.remove(&[Type::ResourceMissing]);
    status.conditions = page.conditions;
    // nobody is to call a path that isn't answered
    status.webhook_path = None;
    status.url = None;
    let warn = asked_for(
        &previous.conditions,
        previous.last_handled_reconcile_at.as_ref(),
        frame,
    ) || worth_a_warning(&previous.conditions, why, &message, frame);
    let events = if warn {
        vec![Event::warning(why.reason, &message, &BTreeMap::new())]
    } else {
        Vec::new()
    };
    let memory = remember_failure(frame, why.turn, warn);
    Told {
        status,
        events,
        next: after(why.turn, memory.failures, frame),
        memory,
    }
}
