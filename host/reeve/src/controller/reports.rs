//! Reports are kept up to date: every few seconds those of the namespaces in which rules say something else than before.
//!
//! What is in them is `core::report`'s. Where nobody serves their kind nothing is written, and everything is once somebody
//! does. The kind is somebody else's: where a report is not taken, it is tried again less and less often.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use reeve_api::name::NamespaceName;
use reeve_core::failure::chain;
use serde_json::Value;
use tokio::time::{Instant, MissedTickBehavior};

use crate::context::Context;
use crate::shards::{Part, Place};

/// How soon what rules say is told: many Kustomizations are judged in that time, and told of at once.
const EVERY: Duration = Duration::from_secs(5);
/// How long what an earlier term has reported is believed, until those that it is about were judged again.
const BELIEVED: Duration = Duration::from_secs(120);

/// How long a report waits at most that was not taken.
const SELDOM: Duration = Duration::from_secs(300);

/// The namespaces whose report was not taken: until when it waits, and for how long.
type Waiting = BTreeMap<NamespaceName, (Instant, Duration)>;

/// Keeps them, for as long as it is polled.
pub(super) async fn tell(ctx: Arc<Context>) {
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut inherited = Some(Instant::now() + BELIEVED);
    let mut waiting = Waiting::new();
    loop {
        ticks.tick().await;
        if !ctx.cluster.serves_reports().await {
            ctx.index.write(|known| known.reports.lose());
            // Whoever serves them next may take them.
            waiting.clear();
            continue;
        }
        if inherited.is_some_and(|due| due <= Instant::now()) && doubt(&ctx).await {
            inherited = None;
        }
        for (namespace, report) in untold(&ctx, &waiting) {
            let place = Place::within(&ctx.grounds, &namespace);
            let _pass = match ctx.shards.enter(&place, None) {
                Part::Mine(pass) => pass,
                Part::Soon => {
                    ctx.index.write(|known| known.reports.doubt(namespace));
                    continue;
                }
                Part::Others => continue,
            };
            match ctx.cluster.report(&namespace, report).await {
                Ok(()) => {
                    waiting.remove(&namespace);
                }
                Err(why) => {
                    let before = waiting.get(&namespace).map(|(_, pause)| *pause);
                    let pause = before.map_or(EVERY, |pause| (pause * 2).min(SELDOM));
                    let error = chain(&why);
                    match before {
                        None => tracing::warn!(error, %namespace, "a report was not taken"),
                        Some(_) => tracing::debug!(error, %namespace, "a report was not taken"),
                    }
                    let until = Instant::now() + pause;
                    waiting.insert(namespace.clone(), (until, pause));
                    ctx.index.write(|known| known.reports.doubt(namespace));
                }
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

fn untold(ctx: &Context, waiting: &Waiting) -> BTreeMap<NamespaceName, Option<Value>> {
    let now = Instant::now();
    let waits = |namespace: &NamespaceName| {
        let until = waiting.get(namespace).map(|(until, _)| *until);
        until.is_some_and(|until| until > now)
    };
    ctx.index.write(|known| {
        let untold = known.reports.take_untold();
        let (later, untold): (Vec<_>, Vec<_>) = untold.into_iter().partition(waits);
        for namespace in later {
            known.reports.doubt(namespace);
        }
        untold
            .into_iter()
            .map(|namespace| {
                let report = known.reports.of(&namespace);
                (namespace, report)
            })
            .collect()
    })
}
