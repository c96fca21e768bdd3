//! An object goes, and what was made for it at a forge goes before it: or is left there, when nobody can be asked any more.
//!
//! How long that is tried is `core::upkeep`'s to say. It counts from this process's first try: what was deleted while nobody ran
//! is tried for as long as anything else. While a forge asks us to wait nothing is tried. What stays then
//! is written down before the object goes (`remains`).

use std::time::Duration;

use reeve_api::reason::Reason;
use reeve_core::failure::{Explained, Turn};
use reeve_core::index::Target;
use reeve_core::upkeep::remains::Remains;
use reeve_core::upkeep::{Parting, Tried, part};

use super::remains;
use super::report::{self, Reported};
use crate::context::Context;

/// How soon it is tried again to write down what stays.
const SOON: Duration = Duration::from_secs(10);

/// What is left, and why.
pub(super) struct Left {
    /// What people call it.
    pub(super) what: String,
    pub(super) why: Explained,
    /// As it is written down, if it may be.
    pub(super) remains: Option<Remains>,
}

/// Whoever suspends an object that is being deleted lets it go.
pub(super) fn suspended() -> Explained {
    Explained::new(Reason::Suspended, Turn::Owner, "the object is suspended")
}

/// How long to wait until `left` is tried again; None: the object may go. What stays behind is told.
pub(super) async fn judge<K: Reported>(
    ctx: &Context,
    object: &K,
    target: Target,
    left: &[Left],
) -> Option<Duration> {
    let reasons: Vec<(Reason, Turn)> = left
        .iter()
        .map(|one| (one.why.reason, one.why.turn))
        .collect();
    let tried = match &reasons[..] {
        [] => Tried::default(),
        some => been(ctx, &target, some),
    };
    match part(&reasons, tried) {
        Parting::Again(pause) => {
            for Left { what, why, .. } in left {
                tracing::warn!(%what, error = %why, "removing it from its forge failed; the object waits");
            }
            return Some(pause);
        }
        Parting::Leave => match written_down(ctx, left).await {
            Ok(written) => report::left_behind(ctx, object, left, written),
            Err(why) => {
                tracing::warn!(error = %why, "what stays at its forge could not be written down; the object waits");
                return Some(SOON);
            }
        },
        Parting::Go => {}
    }
    ctx.index.write(|known| known.partings.remove(&target));
    None
}

/// Writes down what stays at a forge, so that it is taken away later; whether all of it is. What whoever suspended the object wants to
/// stay is not.
async fn written_down(ctx: &Context, left: &[Left]) -> Result<bool, Explained> {
    let stays = |one: &&Left| one.why.reason != Reason::Suspended;
    let kept = left.iter().filter(stays);
    let kept: Vec<Remains> = kept.filter_map(|one| one.remains.clone()).collect();
    Ok(remains::note(ctx, &kept).await? && kept.len() == left.len())
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
