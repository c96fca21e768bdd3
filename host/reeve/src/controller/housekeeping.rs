//! What is done by the clock: what nobody refers to any more goes (archives of the store, mirrors of repositories), and
//! plugins tell how their calls went.
//!
//! Only of this machine's disk; nothing of a cluster is ever collected here.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::MissedTickBehavior;

use reeve_api::name::NamespacedName;
use reeve_api::policy::Policy;

use super::report;
use crate::context::Context;
use crate::index::{Known, Stored};
use crate::recollections::Owner;
use crate::store::Retention;

/// How often the disk is looked over.
const EVERY: Duration = Duration::from_secs(10 * 60);
/// How often plugins that were called say so: every watcher of them hears of it.
const TELL_CALLS: Duration = Duration::from_secs(60);
/// How soon what policies say is told: many Kustomizations are judged in that time, and told of at once.
const TELL_VERDICTS: Duration = Duration::from_secs(5);
/// How long a mirror is kept that nobody fetches into.
const IDLE: Duration = Duration::from_secs(24 * 60 * 60);

/// Removes the archives of a source that goes, which nobody is to fetch any more, and what is noted of where they came from.
pub(super) async fn remove(ctx: &Arc<Context>, id: &NamespacedName) {
    let uid = |known: &Known| known.sources.get(id)?.metadata.uid.clone();
    let (uid, mirrors) = (ctx.index.read(uid), Arc::clone(&ctx.mirrors));
    let (store, id) = (ctx.store.clone(), id.clone());
    let removed = tokio::task::spawn_blocking(move || {
        let noted = uid.map_or(Ok(()), |uid| mirrors.forget_notes(&uid));
        store.remove("gitrepository", &id).and(noted)
    });
    match removed.await {
        Ok(Ok(())) => {}
        Ok(Err(why)) => tracing::warn!(error = %why, "removing the artifact from the disk failed"),
        Err(why) => tracing::error!(error = %why, "removing the artifact from the disk crashed"),
    }
}

/// A source that goes has no use for its mirror any more: unless another of its tenant has, what was fetched into it and others go on
/// with is nobody's.
pub(super) fn leave(ctx: &Context, id: &NamespacedName, had: Option<&Stored>) {
    let Some(mirror) = had.and_then(|had| had.snapshot.mirror()) else {
        return;
    };
    let others: Vec<_> = ctx.index.read(|known| {
        let same = known
            .stored
            .iter()
            .filter(|(_, stored)| stored.snapshot.mirror() == Some(mirror));
        same.map(|(other, _)| other.clone()).collect()
    });
    let tenant = ctx.account(id).tenant;
    if others
        .iter()
        .all(|other| ctx.account(other).tenant != tenant)
    {
        ctx.mirrors_of(id).left(mirror);
    }
}

/// Tells in the status of plugins how their calls went, for as long as it is polled.
pub(super) async fn tell_calls(ctx: Arc<Context>) {
    let mut ticks = tokio::time::interval(TELL_CALLS);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let untold: Vec<_> = ctx
            .index
            .read(|known| known.calls.untold.iter().cloned().collect());
        untold.into_iter().for_each(|id| ctx.queues.wake_plugin(id));
    }
}

/// Tells in the status of policies what they say, for as long as it is polled.
pub(super) async fn tell_verdicts(ctx: Arc<Context>) {
    let mut ticks = tokio::time::interval(TELL_VERDICTS);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let untold: BTreeSet<_> = ctx.index.read(|known| {
            let news: BTreeSet<_> = known.said.untold().collect();
            // Whoever is compared with one of them has something to tell too.
            let compares = |object: &Policy| {
                let with = report::compared_with(object);
                with.is_some_and(|with| news.contains(&with))
            };
            let compared = known.policies.iter().filter(|(_, one)| compares(one));
            let compared = compared.map(|(name, _)| name);
            news.iter().copied().chain(compared).cloned().collect()
        });
        untold
            .into_iter()
            .for_each(|name| ctx.queues.policies.wake(name));
    }
}

/// Every Kustomization that may have applied something.
fn owners(ctx: &Context) -> BTreeSet<Owner> {
    ctx.index.read(|known| {
        let all = known.kustomizations.iter();
        all.map(|(id, object)| Owner::of(id, object.metadata.uid.as_deref()))
            .flat_map(|owner| [owner.of_denied(), owner])
            .collect()
    })
}

/// Looks over the disk for as long as it is polled.
pub(super) async fn keep(ctx: Arc<Context>) {
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // The first comes at once, when nothing is known yet and everything would be taken for abandoned.
    ticks.tick().await;
    loop {
        ticks.tick().await;
        let live: BTreeSet<_> = ctx
            .index
            .read(|known| known.sources.keys().cloned().collect());
        let (store, mirrors) = (ctx.store.clone(), Arc::clone(&ctx.mirrors));
        let now = ctx.clock.now();
        let (disk, owners) = (Arc::clone(&ctx), owners(&ctx));
        let swept = tokio::task::spawn_blocking(move || {
            disk.recollections.collect(&owners);
            let archives = store.collect("gitrepository", &live, Retention::default(), now)?;
            Ok::<_, std::io::Error>((archives, mirrors.collect(IDLE)?))
        });
        match swept.await {
            Ok(Ok((0, 0))) => {}
            Ok(Ok((archives, mirrors))) => {
                tracing::info!(archives, mirrors, "garbage collected from the disk");
            }
            Ok(Err(why)) => tracing::warn!(error = %why, "collecting garbage from the disk failed"),
            Err(why) => tracing::error!(error = %why, "collecting garbage from the disk crashed"),
        }
    }
}
