//! What stays at forges of objects that are gone is written down, and taken away once its forge can be asked again.
//!
//! Which it is, and for how long, is `core::upkeep::remains`' to say. Each is asked for as the object would be that left it: with what
//! its namespace has, or the levels of git configuration give it, by then. Who has the part of the work that the object was of
//! does it. What it deliberately doesn't: keep an object from going.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use reeve_api::name::NamespacedName;
use reeve_core::failure::Explained;
use reeve_core::upkeep::remains::{MOST, Remains, What, read};
use tokio::time::MissedTickBehavior;

use super::provider;
use crate::context::Context;
use crate::forge::words::Task;
use crate::shards::Place;

/// How often that is tried which was written down just now, and how many times as seldom all of it.
const EVERY: Duration = Duration::from_secs(60);
const ALL: u32 = 10;
/// How long one round goes on asking forges.
const PATIENCE: Duration = Duration::from_secs(30);

/// Writes them down. False: there is nowhere to, or no room.
pub(super) async fn note(ctx: &Context, remains: &[Remains]) -> Result<bool, Explained> {
    let entries: BTreeMap<String, Option<String>> =
        remains.iter().map(|one| (one.key(), one.text())).collect();
    if entries.is_empty() {
        return Ok(false);
    }
    let known = ctx.cluster.left_at_forges(&ctx.home).await;
    let known = known.map_err(|why| Explained::of(&why))?;
    if known.is_none_or(|known| known.len() + entries.len() > MOST) {
        return Ok(false);
    }
    let written = ctx.cluster.leave_at_forges(&ctx.home, &entries).await;
    let written = written.map_err(|why| Explained::of(&why))?;
    ctx.index.write(|known| known.remains |= written);
    Ok(written)
}

/// Takes away what can be, for as long as it is polled.
pub(super) async fn keep(ctx: Arc<Context>) {
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // The first comes at once, when nothing is known yet and everything would be taken for left.
    ticks.tick().await;
    for round in 1.. {
        ticks.tick().await;
        // What another replica has written down is found with all the rest.
        let all = round % ALL == 0;
        if all || ctx.index.read(|known| known.remains) {
            look_over(&ctx, all).await;
        }
    }
}

async fn look_over(ctx: &Context, all: bool) {
    let data = match ctx.cluster.left_at_forges(&ctx.home).await {
        Ok(data) => data.unwrap_or_default(),
        Err(why) => {
            tracing::debug!(error = %why, "what is left at forges could not be read");
            return;
        }
    };
    let (now, until) = (ctx.clock.now(), ctx.clock.instant() + PATIENCE);
    let mut gone: BTreeMap<String, Option<String>> = BTreeMap::new();
    // A forge that could not be asked about one is not asked about the next.
    let mut silent = BTreeSet::new();
    let mut is_fresh = false;
    for (key, remains) in read(&data) {
        let Some((remains, whose)) = remains.and_then(|it| it.whose().map(|whose| (it, whose)))
        else {
            gone.insert(key, None);
            continue;
        };
        if !ctx.shards.are_mine(&Place::of_source(&ctx.grounds, &whose)) {
            continue;
        }
        let by = (whose.namespace.clone(), remains.provider.clone());
        let is_due = all || remains.is_fresh(now);
        if is_had(ctx, &whose, &remains) || remains.is_forgotten(now) {
            gone.insert(key, None);
        } else if is_due && ctx.clock.instant() < until && !silent.contains(&by) {
            match take(ctx, &whose, &remains).await {
                Ok(()) => {
                    gone.insert(key, None);
                }
                Err(why) => {
                    tracing::debug!(error = %why, "what is left at a forge is there still");
                    silent.insert(by);
                    is_fresh |= remains.is_fresh(now);
                }
            }
        } else {
            is_fresh |= remains.is_fresh(now);
        }
    }
    ctx.index.write(|known| known.remains = is_fresh);
    if gone.is_empty() {
        return;
    }
    let many = gone.len();
    match ctx.cluster.leave_at_forges(&ctx.home, &gone).await {
        Ok(_) => tracing::info!(many, "what was left at forges is gone, or another object's"),
        Err(why) => tracing::warn!(error = %why, "what is gone from forges is still written down"),
    }
}

/// Whether an object of the namespace has the same there by now. What it has recorded it puts there, and takes away.
fn is_had(ctx: &Context, whose: &NamespacedName, remains: &Remains) -> bool {
    let first = NamespacedName::first_of(&whose.namespace);
    let is_beside = |id: &NamespacedName| id.namespace == whose.namespace;
    ctx.index.read(|known| {
        let sources = known.sources.range(first.clone()..);
        let mut sources = sources.take_while(|(id, _)| is_beside(id));
        let receivers = known.receivers.range(first..);
        let mut receivers = receivers.take_while(|(id, _)| is_beside(id));
        match remains.what {
            What::Key(_) => sources.any(|(_, source)| remains.is_of_source(source)),
            What::Hook(_) => receivers.any(|(_, receiver)| remains.is_of_receiver(receiver)),
        }
    })
}

async fn take(ctx: &Context, whose: &NamespacedName, remains: &Remains) -> Result<(), Explained> {
    let task = match &remains.what {
        What::Key(title) => Task::DeployKeyAbsent(title.clone()),
        What::Hook(url) => Task::WebhookAbsent(url.clone()),
    };
    let asked = provider::Asked {
        whose,
        plugin: &remains.provider,
        repository: &remains.repository,
    };
    provider::carry_out(ctx, asked, task, None).await
}
