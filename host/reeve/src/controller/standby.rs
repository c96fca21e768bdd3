//! What a replica does that has no part of the work: it takes calls of hooks, answers API servers, and is ready to take over.
//!
//! For that it learns whose a namespace is, which Receivers and entries of git configuration are called and what for, and, where API
//! servers ask, the rules.
//! What it is called for it passes on, by an annotation of the object that the replica sees which works for it
//! (`sharing::pass_on`). It deliberately runs nothing, fetches nothing and writes nothing else.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use reeve_api::name::{NamespacedName, PolicyName};
use reeve_core::schedule::Next;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use super::queue::{self, Halt, Pace};
use super::traced::log_span;
use super::{Inboxes, Owned as _, follow, late, policy, receiver, sharing, source};
use crate::context::Context;
use crate::observe::Kind;

/// How often is looked whether calls of hooks can be taken.
const TICK: Duration = Duration::from_millis(250);
/// How often what watches have woken is forgotten, since nobody works on it.
const FORGET: Duration = Duration::from_secs(60);
/// How soon a Receiver is looked at again: nobody tells who stands by that its token is another.
const AGAIN: Duration = Duration::from_secs(60);

/// Learns what is needed, until it is `over`. `answers`: API servers ask.
pub(crate) async fn stand_by(
    ctx: Arc<Context>,
    inboxes: Inboxes,
    answers: bool,
    over: CancellationToken,
) {
    ctx.shards.rest(true);
    ctx.index.forget(&ctx.grounds);
    ctx.knocks.begin(ctx.clock.instant());
    let mut tasks = JoinSet::new();
    follow::some(&ctx, answers, &mut tasks);
    tasks.spawn(keep(Arc::clone(&ctx), inboxes.clone()));
    tasks.spawn(late::keep(Arc::clone(&ctx)));
    let halt = Halt {
        after_these: over.clone(),
        at_once: over,
    };
    let policies = policies(&ctx, &inboxes, &halt);
    let receivers = receivers(&ctx, &inboxes, &halt);
    let sources = sources(&ctx, &inboxes, &halt);
    tokio::join!(policies, receivers, sources);
    tasks.shutdown().await;
    ctx.takes_calls.store(false, Ordering::Relaxed);
}

/// Takes calls from when all Receivers are known, and keeps the queues short on which nobody works.
async fn keep(ctx: Arc<Context>, inboxes: Inboxes) {
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut forgets = tokio::time::interval(FORGET);
    forgets.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => sharing::welcome_hooks(&ctx),
            _ = forgets.tick() => inboxes.drain_work().await,
        }
    }
}

fn policies(
    ctx: &Arc<Context>,
    inboxes: &Inboxes,
    halt: &Halt,
) -> impl Future<Output = ()> + Send + use<> {
    let seen = ctx.metrics.queue(Kind::Policy, 1);
    let inbox = Arc::clone(&inboxes.policies);
    let (ctx, known) = (Arc::clone(ctx), Arc::clone(ctx));
    let owner = move |name: &PolicyName| name.owner(&known);
    let learn = move |name: PolicyName, _| {
        let ctx = Arc::clone(&ctx);
        async move { policy::learn(&ctx, &name).await }
    };
    queue::work(
        inbox,
        Pace::of(Kind::Policy, 1),
        halt.clone(),
        seen,
        owner,
        learn,
    )
}

fn receivers(
    ctx: &Arc<Context>,
    inboxes: &Inboxes,
    halt: &Halt,
) -> impl Future<Output = ()> + Send + use<> {
    let seen = ctx.metrics.queue(Kind::Receiver, 1);
    let inbox = Arc::clone(&inboxes.receivers);
    let (ctx, known) = (Arc::clone(ctx), Arc::clone(ctx));
    let owner = move |id: &NamespacedName| id.owner(&known);
    let learn = move |id: NamespacedName, _| {
        let ctx = Arc::clone(&ctx);
        let span = log_span(Kind::Receiver, &id);
        async move {
            match receiver::learn(&ctx, &id).await {
                Next::After(pause) => Next::After(pause.min(AGAIN)),
                next => next,
            }
        }
        .instrument(span)
    };
    queue::work(
        inbox,
        Pace::of(Kind::Receiver, 1),
        halt.clone(),
        seen,
        owner,
        learn,
    )
}

fn sources(
    ctx: &Arc<Context>,
    inboxes: &Inboxes,
    halt: &Halt,
) -> impl Future<Output = ()> + Send + use<> {
    let seen = ctx.metrics.queue(Kind::GitRepository, 1);
    let inbox = Arc::clone(&inboxes.sources);
    let (ctx, known) = (Arc::clone(ctx), Arc::clone(ctx));
    let owner = move |id: &NamespacedName| id.owner(&known);
    let learn = move |id: NamespacedName, _| {
        let ctx = Arc::clone(&ctx);
        let span = log_span(Kind::GitRepository, &id);
        async move { source::learn(&ctx, &id).await }.instrument(span)
    };
    queue::work(
        inbox,
        Pace::of(Kind::GitRepository, 1),
        halt.clone(),
        seen,
        owner,
        learn,
    )
}
