//! What another replica works for and something here needs is fetched here too.
//!
//! From the repository and not from that replica: with the same login, by the same rules, with the same signatures asked for. It
//! deliberately tells nothing and keeps nothing at a forge; a new revision in the object's status is what wakes it. Every replica is
//! called, also one that stands by, so what entries of git configuration are called for is learnt of all sources.

use std::sync::Arc;
use std::time::Duration;

use reeve_api::name::NamespacedName;
use reeve_api::source::GitRepository;
use reeve_core::index::Target;
use reeve_core::schedule::Next;
use tokio::time::Instant;

use super::{fetch, given, included, look_at, parse, polling, said, signed};
use crate::context::Context;
use crate::controller::{heard, housekeeping, sharing};

/// How soon a source is fetched again that could not be, by who only needs it.
const ALONG: Duration = Duration::from_secs(30);

/// A run of a replica that only needs what the source has: nothing is told, and nothing kept at a forge. Whoever works for the
/// source does that.
pub(in crate::controller) async fn fetch_along(ctx: &Arc<Context>, id: &NamespacedName) -> Next {
    let course = ctx.underway.begin(Target::Source(id.clone()));
    let Some(object) = ctx.index.read(|known| known.sources.get(id).cloned()) else {
        return Next::Watch;
    };
    if object.metadata.deletion_timestamp.is_some() {
        ctx.index.write(|known| known.stored.remove(id));
        housekeeping::remove(ctx, id).await;
        return Next::Watch;
    }
    if !sharing::needs(ctx, id) {
        // What is here is not kept up to date: nobody is to take it for the newest.
        ctx.index.write(|known| {
            known.stored.remove(id);
            known.looked_at.remove(id);
        });
        return polling::learn(ctx, &object).await;
    }
    if given::waits(ctx, &object) || said::waits(ctx, &object) {
        return Next::Watch;
    }
    if let Some(next) = included::waits(ctx, id, &object) {
        return next;
    }
    let asked_for = signed::review(ctx, id, &object).await;
    let Ok(Some(wanted)) = parse(&object) else {
        look_at(ctx, id);
        return Next::Watch;
    };
    let deadline = Instant::now() + wanted.timeout;
    let work = fetch(ctx, &object, &wanted, asked_for, deadline, |_, _| {});
    let fetched = tokio::select! {
        biased;
        fetched = tokio::time::timeout_at(deadline + Duration::from_secs(1), work) => fetched,
        () = course.over().cancelled() => return Next::Watch,
    };
    look_at(ctx, id);
    let interval = heard::interval(ctx, &object);
    match fetched {
        Ok(Ok(_)) => Next::After(interval),
        Ok(Err(stopped)) => {
            tracing::warn!(error = %stopped.why, "fetching what another replica tells of failed, trying again");
            Next::After(interval.min(ALONG))
        }
        Err(_) => Next::After(interval.min(ALONG)),
    }
}

/// A run of a replica that stands by: it learns what calls for the source, and fetches nothing.
pub(in crate::controller) async fn learn(ctx: &Arc<Context>, id: &NamespacedName) -> Next {
    let object = ctx.index.read(|known| known.sources.get(id).cloned());
    let stays = |object: &Arc<GitRepository>| object.metadata.deletion_timestamp.is_none();
    match object.filter(stays) {
        Some(object) => polling::learn(ctx, &object).await,
        None => Next::Watch,
    }
}

/// A run of a replica to which the source comes as soon as whoever had it has let go of it: what is needed of it is fetched
/// meanwhile, once. That nobody knows yet whose it is keeps nobody from reading it.
pub(in crate::controller) async fn fetch_ahead(ctx: &Arc<Context>, id: &NamespacedName) -> Next {
    let is_due = ctx.index.read(|known| {
        let object = known.sources.get(id);
        let lives = object.is_some_and(|it| it.metadata.deletion_timestamp.is_none());
        lives && !known.looked_at.contains(id)
    });
    if is_due && sharing::needs(ctx, id) {
        let _the_next_run_is_soon = fetch_along(ctx, id).await;
    }
    Next::After(sharing::SOON)
}
