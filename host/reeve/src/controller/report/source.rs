//! What came of a run of a source or a Receiver, and what is at a forge because of it.
//!
//! What it deliberately doesn't: say anything of its own. The words are `core::status`'s.

use reeve_api::reason::Reason;
use reeve_api::receiver::Receiver;
use reeve_api::source::GitRepository;
use reeve_core::failure::Explained;
use reeve_core::schedule::Next;
use reeve_core::status::{self, HooksOutcome, KeyOutcome, ReceiverOutcome, SourceOutcome};

use super::kind::{self, Reported};
use super::{Run, failed, finish};
use crate::context::Context;
use crate::controller::heard;
use crate::controller::parting::Left;
use crate::observe::happening::Ending;

/// Tells what came of a run of a GitRepository.
pub(in crate::controller) async fn source(
    ctx: &Context,
    object: &GitRepository,
    run: Run,
    outcome: SourceOutcome,
    key: Option<KeyOutcome>,
) -> Next {
    let previous = object.status.clone().unwrap_or_default();
    let interval = heard::interval(ctx, object);
    let frame = run.frame(ctx, interval, interval);
    let mut told = status::tell_source(&previous, &frame, &outcome);
    heard::tell(ctx, object, &outcome, &frame, &mut told);
    if let Some(key) = &key {
        status::tell_key(&mut told, &previous, &frame, key);
    }
    let (ending, revision) = match &outcome {
        SourceOutcome::Stored { artifact, .. } => {
            (Ending::Succeeded, Some(artifact.revision.to_string()))
        }
        SourceOutcome::Unchanged { revision, .. } => (Ending::Succeeded, Some(revision.clone())),
        SourceOutcome::Suspended => (Ending::Suspended, None),
        SourceOutcome::Failed { why, newer } => (failed(why), newer.clone()),
    };
    finish(ctx, object, &run, told, ending, revision.as_deref()).await
}

/// Tells what came of a run of a Receiver.
pub(in crate::controller) async fn receiver(
    ctx: &Context,
    object: &Receiver,
    run: Run,
    outcome: ReceiverOutcome,
    hooks: Option<HooksOutcome>,
) -> Next {
    let previous = object.status.clone().unwrap_or_default();
    let interval = object.spec.interval.get();
    let frame = run.frame(ctx, interval, interval);
    let mut told = status::tell_receiver(&previous, &frame, &outcome);
    if let Some(hooks) = &hooks {
        status::tell_hooks(&mut told, &frame, hooks);
    }
    let ending = match &outcome {
        ReceiverOutcome::Listening { .. } => Ending::Succeeded,
        ReceiverOutcome::Suspended => Ending::Suspended,
        ReceiverOutcome::Failed(why) => failed(why),
    };
    finish(ctx, object, &run, told, ending, None).await
}

/// Writes what is about to be at a forge, before it is.
pub(in crate::controller) async fn note<K: Reported>(
    ctx: &Context,
    object: &K,
    run: &Run,
    status: &K::Status,
) -> Result<(), Explained> {
    let written = run.write(ctx, object, status).await;
    written.map_err(|why| Explained::of(&why))
}

/// Says what stays at a forge when an object is let go: for now, where all of it is written down and tried again.
pub(in crate::controller) fn left_behind<K: Reported>(
    ctx: &Context,
    object: &K,
    left: &[Left],
    written: bool,
) {
    let named = left
        .iter()
        .take(20)
        .map(|Left { what, why, .. }| format!("{what}, since {why}"));
    let named: Vec<String> = named.collect();
    let then = match written {
        true => "it is tried again for a month",
        false => "remove by hand",
    };
    let message = format!(
        "let go, but not all was removed from its forge; {then}: {}",
        named.join("; ")
    );
    tracing::warn!("{message}");
    let event = status::Event {
        type_: status::EventType::Warning,
        reason: left
            .first()
            .map_or(Reason::PluginFailed, |one| one.why.reason),
        message: status::bounded(&message, status::MAX_EVENT_MESSAGE),
        metadata: Default::default(),
    };
    kind::tell::<K>(ctx, object.meta(), event);
}
