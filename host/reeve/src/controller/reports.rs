//! Reports are kept up to date: every few seconds those of the namespaces in which rules say something else than before.
//!
//! What is in them is `core::report`'s. Where nobody serves their kind nothing is written, and everything is once somebody
//! does.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use reeve_api::name::NamespaceName;
use reeve_core::failure::chain;
use serde_json::Value;
use tokio::time::{Instant, MissedTickBehavior};

use crate::context::Context;

/// How soon what rules say is told: many Kustomizations are judged in that time, and told of at once.
const EVERY: Duration = Duration::from_secs(5);
/// How long what an earlier term has reported is believed, until those that it is about were judged again.
const BELIEVED: Duration = Duration::from_secs(120);

/// Keeps them, for as long as it is polled.
pub(super) async fn tell(ctx: Arc<Context>) {
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut inherited = Some(Instant::now() + BELIEVED);
    loop {
        ticks.tick().await;
        if !ctx.cluster.serves_reports().await {
            ctx.index.write(|known| known.reports.lose());
            continue;
        }
        if inherited.is_some_and(|due| due <= Instant::now()) && doubt(&ctx).await {
            inherited = None;
        }
        for (namespace, report) in untold(&ctx) {
            if let Err(why) = ctx.cluster.report(&namespace, report).await {
                let why = chain(&why);
                tracing::debug!(error = why, %namespace, "writing a report failed, it is tried again");
                ctx.index.write(|known| known.reports.doubt(namespace));
            }
        }
    }
}

/// What an earlier term has reported may be about Kustomizations that are gone.
async fn doubt(ctx: &Context) -> bool {
    match ctx.cluster.reported().await {
        Ok(namespaces) => {
            ctx.index.write(|known| {
                let namespaces = namespaces.into_iter();
                namespaces.for_each(|namespace| known.reports.doubt(namespace));
            });
            true
        }
        Err(why) => {
            tracing::debug!(
                error = chain(&why),
                "listing reports failed, it is tried again"
            );
            false
        }
    }
}

fn untold(ctx: &Context) -> BTreeMap<NamespaceName, Option<Value>> {
    ctx.index.write(|known| {
        let untold = known.reports.take_untold().into_iter();
        untold
            .map(|namespace| {
                let report = known.reports.of(&namespace);
                (namespace, report)
            })
            .collect()
    })
}
