//! An object goes, and what was made for it at a forge goes before it: or is left there, when nobody can be asked any more.
//!
//! How long that is tried is `core::upkeep`'s to say. It counts from this process's first try: what was deleted while nobody ran
//! is tried for as long as anything else. While a forge asks us to wait nothing is tried.

use std::time::Duration;

use reeve_api::reason::Reason;
use reeve_core::failure::{Explained, Turn};
use reeve_core::index::Target;
use reeve_core::upkeep::{Parting, Tried, part};

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
    let reasons: Vec<(Reason, Turn)> = left.iter().map(|(_, why)| (why.reason, why.turn)).collect();
    let tried = match &reasons[..] {
        [] => Tried::default(),
        some => been(ctx, &target, some),
    };
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

/// For how long what is left was tried, this time among it.
fn been(ctx: &Context, target: &Target, left: &[(Reason, Turn)]) -> Tried {
    let now = ctx.clock.instant();
    ctx.index.write(|known| {
        let first = (Tried::default(), now);
        let known = known.partings.entry(target.clone()).or_insert(first);
        let (before, last) = *known;
        let been = before.later(now.saturating_duration_since(last), left);
        *known = (been, now);
        been
    })
}
