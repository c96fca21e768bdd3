//! An object goes, and what was made for it at a forge goes before it: or is left there, when nobody can be asked any more.
//!
//! How long that is tried is `core::upkeep`'s to say. It counts from this process's first try: what was deleted while nobody ran
//! is tried for as long as anything else.

use std::time::Duration;

use reeve_api::reason::Reason;
use reeve_core::failure::{Explained, Turn};
use reeve_core::index::Target;
use reeve_core::upkeep::{Parting, part};

use super::report::{self, Reported};
use crate::context::Context;

/// What is left, and why.
pub(super) type Left = (String, Explained);

/// Whoever suspends an object that is being deleted lets it go.
pub(super) fn suspended() -> Explained {
    Explained::new(Reason::Suspended, Turn::Owner, "the object is suspended")
}

/// How long to wait until `left` is tried again; None: the object may go. What stays behind is told.
pub(super) fn judge<K: Reported>(
    ctx: &Context,
    object: &K,
    target: Target,
    left: &[Left],
) -> Option<Duration> {
    let now = ctx.clock.instant();
    let since = match left {
        [] => now,
        _ => ctx
            .index
            .write(|known| *known.partings.entry(target.clone()).or_insert(now)),
    };
    let reasons: Vec<Reason> = left.iter().map(|(_, why)| why.reason).collect();
    let tried = now.saturating_duration_since(since);
    match part(&reasons, tried) {
        Parting::Again(pause) => {
            for (what, why) in left {
                tracing::warn!(%what, error = %why, "removing it from its forge failed; the object waits");
            }
            return Some(pause);
        }
        Parting::Leave => report::left_behind(ctx, object, left),
        Parting::Go => {}
    }
    ctx.index.write(|known| known.partings.remove(&target));
    None
}
