//! Looks through the deploy keys of a repository for those whose object is nowhere any more, and has them taken away.
//!
//! Beside a run that keeps a key there: right after one was put, else each few hours. Which titles are meant is `core::upkeep::stray`'s to
//! say. That the object is nowhere is asked of the API server, whosever labels and selectors: what can't be asked is left alone.
//! What it deliberately doesn't: act without a name of the cluster, keep a run from anything, or look after webhooks, which nothing
//! tells from one that somebody typed in for a Receiver.

use std::time::Instant;

use reeve_api::name::NamespacedName;
use reeve_api::source::GitRepository;
use reeve_core::failure::Explained;
use reeve_core::gitconfig::spelled;
use reeve_core::upkeep::stray;

use super::provider::{self, Asked};
use crate::context::Context;
use crate::forge::words::{Done, Task};

/// With so many repositories in mind, those that are due are forgotten.
const MANY: usize = 16_384;

/// Does that, if it is due; `news`: a key was put there just now.
pub(super) async fn sweep(ctx: &Context, asked: Asked<'_>, news: bool) {
    let Some(cluster) = ctx.cluster_name.as_deref() else {
        return;
    };
    if !is_due(ctx, asked, news) {
        return;
    }
    if let Err(why) = look(ctx, asked, cluster).await {
        // One that doesn't know how is asked again by the next process, as the others are.
        tracing::debug!(repository = asked.repository, error = %why, "its deploy keys could not be looked through");
    }
}

fn is_due(ctx: &Context, asked: Asked<'_>, news: bool) -> bool {
    let now = ctx.clock.instant();
    let repository = spelled(asked.repository);
    let key = (asked.whose.namespace.clone(), repository.clone());
    ctx.index.write(|known| {
        if known.sweeps.len() >= MANY {
            known.sweeps.retain(|_, due: &mut Instant| *due > now);
        }
        let due = known.sweeps.entry(key);
        let due = due.or_insert_with(|| stray::first(&repository, now));
        let is_due = news || *due <= now;
        if is_due {
            *due = now + stray::EVERY;
        }
        is_due
    })
}

async fn look(ctx: &Context, asked: Asked<'_>, cluster: &str) -> Result<(), Explained> {
    let task = Task::DeployKeysTitled(stray::prefix(cluster));
    let (done, _) = provider::inquire(ctx, asked, task, None).await?;
    let Done::Titles(titles) = done else {
        return Ok(());
    };
    let mut taken = 0;
    for title in titles {
        // What the guest tells is looked at again, as anything is that a forge says.
        let Some(id) = stray::named(cluster, &title) else {
            continue;
        };
        if taken == stray::MOST || is_had(ctx, &id, &title).await? {
            continue;
        }
        taken += 1;
        provider::take_stray(ctx, asked, title.clone()).await?;
        tracing::warn!(%title, repository = asked.repository, "a deploy key whose GitRepository is gone was taken away");
    }
    Ok(())
}

/// Whether anybody has that key: by what is watched, else by what is there at this moment. Others than ours count, too.
async fn is_had(ctx: &Context, id: &NamespacedName, title: &str) -> Result<bool, Explained> {
    let is_known = ctx.index.read(|known| {
        let mut sources = known.sources.values();
        !known.sources_listed || sources.any(|source| stray::is_had(source, id, title))
    });
    if is_known {
        return Ok(true);
    }
    let namespace = Some(id.namespace.as_str());
    let all = ctx.cluster.all::<GitRepository>(namespace).await;
    let all = all.map_err(|why| Explained::of(&why))?;
    Ok(all.iter().any(|source| stray::is_had(source, id, title)))
}
