//! An accepted call wakes what its Receiver names, as far as the call is about it, and as soon as that is worth it.
//!
//! What was pushed to another repository or branch wakes nothing; nor does what a filter lets not through, or cannot say.
//! Filters are evaluated beside, two calls at a time, so much for each call and one Receiver after the other, so that nobody's
//! expressions hold others up. A call that finds no place to wait for that was let in all the same: it wakes what it names, as
//! if there were no filters, since a fetch too many is cheap and a push that is lost is not. What it deliberately doesn't: judge
//! calls, or find anything new; the runs that are woken do.

use std::collections::BTreeSet;
use std::sync::Arc;

use kube::Resource;
use reeve_api::name::NamespacedName;
use reeve_core::artifact::Revision;
use reeve_core::cel::Purse;
use reeve_core::index::{Hook, Target};
use reeve_core::source::Wanted;
use reeve_core::webhook::{self, Lines, Pace, Push, When};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use crate::context::Context;
use crate::controller::{heard, proposals, sharing};
use crate::http::receiver::{Nudge, Shown};
use crate::index::Known;
use crate::observe::span::Branch;
use crate::shards::Place;

/// Calls whose filters are evaluated at a time.
const SIFTED: usize = 2;
/// What the filters may cost for one call, in the dearest evaluations that there are.
const EVALUATIONS: u64 = 4;

/// What a call is about.
struct Meant {
    targets: BTreeSet<Target>,
    push: Option<Push>,
    /// Whether it stands for calls that were turned away.
    of_many: bool,
    /// The trace that began with it.
    trace: Option<Branch>,
}

/// Wakes what accepted calls name, until nobody can call any more.
pub(crate) async fn answer_nudges(ctx: Arc<Context>, mut nudges: mpsc::Receiver<Nudge>) {
    let mut pace = Pace::default();
    let (mut waiting, mut sifting) = (Lines::default(), JoinSet::new());
    loop {
        let next = pace.next().map(Instant::from_std);
        let due = async {
            match next {
                Some(next) => sleep_until(next).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            nudge = nudges.recv() => match nudge {
                None => break,
                Some(nudge) => {
                    if let Some(nudge) = queue(&mut waiting, nudge) {
                        wake_named(&ctx, &mut pace, nudge);
                    }
                }
            },
            Some(sifted) = sifting.join_next() => match sifted {
                Ok((receiver, meant)) => wake(&ctx, &mut pace, &receiver, meant),
                Err(error) => tracing::error!(%error, "the filters of a call were not evaluated; it wakes nothing"),
            },
            () = due => {
                let now = ctx.clock.instant();
                let woken = pace.due(now, |target| ctx.index.read(|known| commit(&ctx, known, target)));
                woken.into_iter().for_each(|target| run(&ctx, target));
            }
        }
        while sifting.len() < SIFTED
            && let Some(nudge) = waiting.pop()
        {
            let ctx = Arc::clone(&ctx);
            sifting.spawn_blocking(move || sifted(&ctx, nudge));
        }
    }
}

/// Puts a call in its Receiver's line; gives it back where it doesn't wait for filters, or cannot.
fn queue(waiting: &mut Lines<Nudge>, nudge: Nudge) -> Option<Nudge> {
    if nudge.shown.is_none() {
        return Some(nudge);
    }
    let receiver = nudge.receiver.clone();
    let nudge = waiting.push(&receiver, nudge).err()?;
    tracing::warn!(%receiver, "too many calls wait for this Receiver's filters; one wakes all that is named, without them");
    Some(nudge)
}

/// Wakes all that a Receiver names, as far as a push concerns it.
fn wake_named(ctx: &Arc<Context>, pace: &mut Pace, nudge: Nudge) {
    if !tells(ctx, &nudge) {
        tracing::debug!(receiver = %nudge.receiver, event = nudge.event, "the hook of an entry was called for no push");
        return;
    }
    if let Some((_, named)) = named(ctx, &nudge.receiver) {
        let meant = Meant {
            targets: named.into_iter().flatten().collect(),
            push: nudge.push,
            of_many: nudge.of_many,
            trace: nudge.trace,
        };
        wake(ctx, pace, &nudge.receiver, meant);
    }
}

/// Whether a call tells of anything. Whoever writes a Receiver names its events; the hook of an entry is for pushes alone, and is
/// called for whatever else somebody has ticked at the forge, too. A push that cannot be read is one all the same.
fn tells(ctx: &Context, nudge: &Nudge) -> bool {
    let entrys = || {
        ctx.index
            .read(|known| known.touch.entry(&nudge.receiver).is_some())
    };
    let is_push = || {
        let event = nudge.event.as_deref().unwrap_or_default();
        ["push", "push hook", "tag push hook"].contains(&&*event.to_ascii_lowercase())
    };
    nudge.push.is_some() || nudge.of_many || is_push() || !entrys()
}

fn named(ctx: &Context, receiver: &NamespacedName) -> Option<(Arc<Hook>, Vec<Vec<Target>>)> {
    ctx.index.read(|known| known.touch.woken_by(receiver))
}

/// Wakes what a call is about: at once, later, or not.
fn wake(ctx: &Arc<Context>, pace: &mut Pace, receiver: &NamespacedName, meant: Meant) {
    let now = ctx.clock.instant();
    let pushed = meant.push.as_ref().and_then(Push::commit);
    let mut woken = 0;
    for target in meant.targets {
        let (concerned, has) = ctx.index.read(|known| {
            let push = meant.push.as_ref();
            let concerned = push.is_none_or(|push| concerns(known, push, &target));
            (concerned, commit(ctx, known, &target))
        });
        if !concerned {
            continue;
        }
        if let (Some(push), Target::Source(id)) = (&meant.push, &target)
            && push.is_request()
        {
            // What it follows has not moved: whoever plans requests looks at them.
            ctx.queues.proposals.wake(id.clone());
        }
        match meant.of_many {
            true => {
                heard::missed(ctx, &target);
                proposals::may_be_called(ctx, &target);
            }
            false => heard::called(ctx, receiver, &target, pushed),
        }
        // Only a source has nothing to do when it has the commit.
        let pushed = pushed.filter(|_| matches!(target, Target::Source(_)));
        let when = pace.call(&target, has.as_deref(), pushed, now);
        if let (When::Now | When::Later(_), Some(trace)) = (&when, &meant.trace) {
            trace.wakes(&target);
        }
        if when != When::Never {
            heard::owe(ctx, &target, pushed, meant.of_many);
        }
        match when {
            When::Now => run(ctx, target),
            When::Later(_) => {}
            When::Never => continue,
        }
        woken += 1;
    }
    let push = meant.push.map(|push| push.to_string());
    tracing::debug!(%receiver, push, woken, "call answered");
}

fn run(ctx: &Arc<Context>, target: Target) {
    if sharing::pass_on(ctx, &target) && !ctx.shards.are_shared() {
        // Nobody works here, who might need it too.
        return;
    }
    match target {
        Target::Source(id) => ctx.queues.sources.wake(id),
        Target::Kustomization(id) => ctx.queues.kustomizations.wake(id),
        Target::Receiver(id) => ctx.queues.receivers.wake(id),
        Target::Plugin(id) => ctx.queues.wake_plugin(id),
        Target::Policy(name) => ctx.queues.policies.wake(name),
        Target::WriteBack(id) => ctx.queues.writebacks.wake(id),
    }
}

/// The source that a target is, or applies.
fn source<'k>(known: &'k Known, target: &'k Target) -> Option<&'k NamespacedName> {
    match target {
        Target::Source(id) => Some(id),
        Target::Kustomization(id) => known.touch.source_of(id),
        Target::Receiver(_) | Target::Plugin(_) | Target::Policy(_) | Target::WriteBack(_) => None,
    }
}

/// Whether a push may bring a target something new. One that cannot be read finds out itself.
fn concerns(known: &Known, push: &Push, target: &Target) -> bool {
    let object = source(known, target).and_then(|id| known.sources.get(id));
    let wanted = object.map(|object| Wanted::parse(object));
    match wanted {
        Some(Ok(wanted)) => push.concerns(&wanted),
        Some(Err(_)) | None => true,
    }
}

/// The commit that a target's source has in store; of what another replica has, as that one tells it.
fn commit(ctx: &Context, known: &Known, target: &Target) -> Option<String> {
    let id = source(known, target)?;
    if let Some(stored) = known.stored.get(id) {
        return Some(stored.artifact.revision.commit().to_owned());
    }
    if ctx.shards.are_mine(&Place::of_source(&ctx.grounds, id)) {
        return None;
    }
    let told = known.sources.get(id)?.status.as_ref()?.artifact.as_ref()?;
    let revision = Revision::parse(&told.revision).ok()?;
    Some(revision.commit().to_owned())
}

/// A call as its Receiver's filters leave it.
fn sifted(ctx: &Context, nudge: Nudge) -> (NamespacedName, Meant) {
    let targets = sift(ctx, &nudge.receiver, nudge.shown);
    let meant = Meant {
        targets,
        push: nudge.push,
        of_many: nudge.of_many,
        trace: nudge.trace,
    };
    (nudge.receiver, meant)
}

/// What of that which a Receiver names its filters let through.
fn sift(ctx: &Context, receiver: &NamespacedName, shown: Option<Shown>) -> BTreeSet<Target> {
    let mut through = BTreeSet::new();
    let Some((hook, named)) = named(ctx, receiver) else {
        return through;
    };
    let shown = shown.map(|shown| (shown.req, shown.claims));
    let (req, claims) = shown.unwrap_or_default();
    let req = req.map(|text| serde_json::from_str(&text)).transpose();
    let req = match req {
        Ok(req) => req.unwrap_or_else(|| json!({})),
        Err(error) => {
            tracing::warn!(%receiver, %error, "a payload cannot be read for filters; nothing is woken");
            return through;
        }
    };
    let call = webhook::Shown { req, claims };
    let mut purse = Purse::of(EVALUATIONS);
    let mut failed = None;
    for (at, targets) in named.into_iter().enumerate() {
        for target in targets {
            if through.contains(&target) {
                continue;
            }
            let Some(object) = metadata(ctx, &target) else {
                continue;
            };
            match hook.filters.admit(at, &object, &call, &mut purse) {
                Ok(true) => drop(through.insert(target)),
                Ok(false) => {}
                Err(why) => failed = failed.or(Some((at, why))),
            }
        }
    }
    if let Some((resource, error)) = failed {
        tracing::warn!(%receiver, resource, %error, "a filter cannot say whether a call is about an object; it is not woken");
    }
    through
}

/// What filters see of an object: as Flux, what it is and its metadata.
fn metadata(ctx: &Context, target: &Target) -> Option<Value> {
    fn of<K: Resource<DynamicType = ()>>(object: &K) -> Value {
        json!({"apiVersion": K::api_version(&()), "kind": K::kind(&()), "metadata": object.meta()})
    }
    match target {
        Target::Source(id) => {
            let object = ctx.index.read(|known| known.sources.get(id).cloned());
            object.map(|object| of(&*object))
        }
        Target::Kustomization(id) => {
            let object = ctx
                .index
                .read(|known| known.kustomizations.get(id).cloned());
            object.map(|object| of(&*object))
        }
        Target::Receiver(_) | Target::Plugin(_) | Target::Policy(_) | Target::WriteBack(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_that_finds_no_place_for_its_filters_goes_on_without_them() {
        let receiver = NamespacedName::new("acme", "hook").unwrap();
        let nudge = |shown| Nudge {
            receiver: receiver.clone(),
            event: None,
            at: std::time::Instant::now(),
            push: None,
            shown,
            of_many: false,
            trace: None,
        };
        let mut waiting = Lines::default();
        assert!(queue(&mut waiting, nudge(None)).is_some());
        let calls = (0..100).map(|_| queue(&mut waiting, nudge(Some(Shown::nothing()))));
        let at_once = calls.flatten().count();
        let waits = std::iter::from_fn(|| waiting.pop()).count();
        assert_eq!(waits + at_once, 100, "none is lost");
        assert!(waits > 0 && at_once > 0, "{waits} wait");
    }
}
