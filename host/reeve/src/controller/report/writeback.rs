//! What came of a run of a WriteBack, told on it and on the objects whose changes were committed.
//!
//! What it deliberately doesn't: say anything of its own. The words are `core::status`'s; no value of a field is in an event about
//! an object.

use std::time::Duration;

use reeve_api::reason::Reason;
use reeve_api::writeback::WriteBack;
use reeve_core::artifact::Revision;
use reeve_core::schedule::Next;
use reeve_core::status::{self, WriteBackOutcome};
use reeve_core::writeback::Written;
use reeve_kustomize::Object;

use super::{Run, failed, finish};
use crate::cluster::{Event, Involved};
use crate::context::Context;
use crate::observe::happening::Ending;

/// Of how many objects of a commit it is told on themselves.
const TOLD: usize = 20;

/// Tells what came of a run of a WriteBack.
pub(in crate::controller) async fn writeback(
    ctx: &Context,
    object: &WriteBack,
    run: &Run,
    outcome: WriteBackOutcome,
) -> Next {
    let previous = object.status.clone().unwrap_or_default();
    let interval = object.spec.interval.get();
    let frame = run.frame(ctx, interval, None::<Duration>);
    let told = status::tell_writeback(&previous, &frame, &outcome);
    let (ending, revision) = match &outcome {
        WriteBackOutcome::Looked(looked) => {
            let commit = looked
                .commit
                .as_ref()
                .map(|commit| commit.revision.as_str());
            (Ending::Succeeded, commit)
        }
        WriteBackOutcome::Suspended => (Ending::Suspended, None),
        WriteBackOutcome::Failed(why, _) => (failed(why), None),
    };
    finish(ctx, object, run, told, ending, revision).await
}

/// Tells the objects of a commit that it holds their changes.
pub(in crate::controller) fn written_back(ctx: &Context, revision: &Revision, all: &[Written]) {
    for one in all.iter().take(TOLD) {
        let fields: Vec<&str> = one
            .fields
            .iter()
            .map(|field| field.field.as_str())
            .collect();
        let message = match fields.is_empty() {
            true => format!("committed in {revision}"),
            false => format!("{} committed in {revision}", fields.join(", ")),
        };
        ctx.events.tell(Event {
            involved: involved(&one.object),
            component: "reeve",
            warning: false,
            reason: Reason::WrittenBack.as_str().to_owned(),
            message: status::bounded(&message, status::MAX_EVENT_MESSAGE),
            annotations: Default::default(),
            at: ctx.clock.now(),
        });
    }
}

fn involved(object: &Object) -> Involved {
    let text = |pointer: &str| {
        let value = object.get(pointer).and_then(|value| value.as_str());
        value.unwrap_or_default().to_owned()
    };
    Involved {
        api_version: object.api_version().to_owned(),
        kind: object.kind().to_owned(),
        namespace: object.namespace().to_owned(),
        name: object.name().to_owned(),
        uid: text("/metadata/uid"),
        resource_version: text("/metadata/resourceVersion"),
    }
}
