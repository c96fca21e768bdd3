//! What hooks were called for before this replica knew it is looked at once it does.
//!
//! A replica takes calls as soon as it is in the Service, and knows only some seconds later whom each is for: what came until then
//! was answered that nobody is there, and not every forge comes again. What another replica works for is passed on. It
//! deliberately doesn't know what was called for: everything that such a call could have told of is looked at.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::MissedTickBehavior;

use super::{proposals, sharing};
use crate::context::Context;
use crate::knocks;

/// How often is looked whether more is known.
const TICK: Duration = Duration::from_secs(1);

/// Looks after late calls for as long as it is polled.
pub(super) async fn keep(ctx: Arc<Context>) {
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        look(&ctx);
    }
}

fn look(ctx: &Arc<Context>) {
    let now = ctx.clock.instant();
    let woken = |path: &str| ctx.index.read(|known| knocks::woken(known, path));
    for target in ctx.knocks.due(now, woken) {
        tracing::debug!(object = ?target, "it may have been called for before that was known");
        proposals::may_be_called(ctx, &target);
        if sharing::pass_on(ctx, &target) && !ctx.shards.are_shared() {
            // Nobody works here, who might need it too.
            continue;
        }
        ctx.queues.wake(target);
    }
}
