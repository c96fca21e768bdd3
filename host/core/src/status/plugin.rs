//! The story of a Plugin or a ClusterPlugin.
//!
//! What it deliberately doesn't: load a component (the sandbox does) or count calls (`plugin::Tally` does).

use std::collections::BTreeMap;
use std::time::Duration;

use reeve_api::condition::{self, Status, Type};
use reeve_api::plugin::PluginStatus;
use reeve_api::reason::Reason;

use super::{
    Event, Frame, Memory, Next, Page, Tale, Told, asked_for, broken, handled, observed, words,
};
use crate::failure::Explained;
use crate::plugin::Tally;
use crate::schedule;

/// What came of loading a plugin.
#[derive(Debug, Clone)]
pub enum PluginOutcome {
    /// It may be called.
    Loaded {
        /// `sha256:<hex>` of the component.
        digest: String,
        /// Of the source it was read from.
        revision: Option<String>,
    },
    /// It may not.
    Failed(Explained),
    /// It cannot be loaded as it is wanted now; what was loaded before goes on being called.
    Kept {
        /// `sha256:<hex>` of the component that goes on.
        digest: String,
        /// Why not the new one.
        why: Explained,
    },
}

/// What the world reads about a plugin. `frame.interval` is how soon it is looked at again although nothing told of a change;
/// `Duration::MAX` for never.
pub fn tell_plugin(
    previous: &PluginStatus,
    frame: &Frame<'_>,
    outcome: &PluginOutcome,
    tally: &Tally,
) -> Told<PluginStatus> {
    let mut page = Page::new(&previous.conditions, frame);
    let (tale, digest, revision) = match outcome {
        PluginOutcome::Loaded { digest, revision } => {
            let tale = loaded(&mut page, previous, frame, digest);
            (tale, Some(digest.clone()), revision.clone())
        }
        PluginOutcome::Failed(why) => {
            page.mark(Type::Loaded, Status::False, why.reason, &words(why));
            let tale = broken(&mut page, &previous.conditions, frame, why, &words(why));
            (tale, None, previous.revision.clone())
        }
        PluginOutcome::Kept { digest, why } => {
            let goes_on = format!("loaded {digest}");
            page.mark(Type::Loaded, Status::True, Reason::Succeeded, &goes_on);
            let message = format!("{}; until then {digest} is called", words(why));
            let tale = broken(&mut page, &previous.conditions, frame, why, &message);
            (tale, Some(digest.clone()), previous.revision.clone())
        }
    };
    let status = PluginStatus {
        calls: tally.statistics().or_else(|| previous.calls.clone()),
        digest,
        last_error: tally.last_error().or(previous.last_error.as_ref()).cloned(),
        last_handled_reconcile_at: handled(previous.last_handled_reconcile_at.as_ref(), frame),
        observed_generation: observed(&page.conditions, previous.observed_generation, frame),
        conditions: page.conditions,
        revision,
    };
    let (event, next, memory) = tale;
    Told {
        status,
        events: event.into_iter().collect(),
        next,
        memory,
    }
}

fn loaded(page: &mut Page<'_>, previous: &PluginStatus, frame: &Frame<'_>, digest: &str) -> Tale {
    let before = &previous.conditions;
    let message = format!("loaded {digest}");
    page.ready(Reason::Succeeded, &message);
    page.mark(Type::Loaded, Status::True, Reason::Succeeded, &message);
    let asked = asked_for(before, previous.last_handled_reconcile_at.as_ref(), frame);
    let another = previous.digest.as_deref() != Some(digest);
    let news = asked || another || !condition::is_true(before, Type::Ready);
    let event = news.then(|| Event::normal(Reason::Succeeded, &message, &BTreeMap::new()));
    let next = match frame.interval {
        Duration::MAX => Next::Watch,
        interval => Next::After(schedule::jittered(interval, frame.spread)),
    };
    (event, next, Memory::default())
}
