//! A Policy is put in force: its rules read, compiled and tested, all files of one revision at once.
//!
//! Reading it takes another process (`reading`), which ends as soon as nobody wants it any more.
//! Asking it is `kustomization::judge`'s. One that cannot be put in force denies whatever it would be asked about; if
//! something of it was in force before, that stays, and the status says why.

mod replay;
mod rules;

use std::sync::Arc;
use std::time::Duration;

use kube::ResourceExt as _;
use reeve_api::RECONCILE_REQUEST;
use reeve_api::name::PolicyName;
use reeve_api::policy::Policy;
use reeve_api::reason::Reason;
use reeve_core::failure::{Explained, Turn};
use reeve_core::index::Target;
use reeve_core::schedule::Next;
use reeve_core::status::{Force, PolicyOutcome};

use super::Review;
use super::report::{self, Run};
use super::sharing;
use crate::context::Context;
use crate::index::{Edition, InForce};
use crate::reading::Unread;

/// How soon rules are read again that could not be put in force, by who doesn't tell of them.
const AGAIN: Duration = Duration::from_secs(60);

/// One run.
pub(super) async fn reconcile(ctx: &Arc<Context>, name: &PolicyName) -> Next {
    let course = ctx.underway.begin(Target::Policy(name.clone()));
    let Some(object) = ctx.index.read(|known| known.policies.get(name).cloned()) else {
        return Next::Watch;
    };
    if rules::awaits_source(ctx, name) {
        return Next::Watch;
    }
    if let Some(wanted) = &object.spec.replay {
        let replayed = replay::reconcile(ctx, name, &object, wanted);
        let ended = course.over().run_until_cancelled(replayed).await;
        return ended.unwrap_or(Next::Watch);
    }
    let run = Run::begin(ctx, Target::Policy(name.clone()), &*object);
    let now = match known(ctx, name, &object) {
        Some(now) => now,
        None => {
            let now = read(ctx, name, &object);
            // Nobody waits for the end of what is deleted, or another by now.
            let now = course.over().run_until_cancelled(now).await;
            let Some(now) = now.and_then(|now| keep(ctx, name, &object, now)) else {
                // It has changed meanwhile: its next run is under way.
                return Next::Watch;
            };
            now
        }
    };
    report::policy(ctx, &object, &run, name, outcome(now)).await
}

/// A run of a replica that only answers: nothing is told. Rules that lie in git are the leader's, who has fetched them.
pub(super) async fn learn(ctx: &Arc<Context>, name: &PolicyName) -> Next {
    let course = ctx.underway.begin(Target::Policy(name.clone()));
    let object = ctx.index.read(|known| known.policies.get(name).cloned());
    let own =
        |object: &Arc<Policy>| object.spec.source_ref.is_none() && object.spec.replay.is_none();
    if let Some(object) = object.filter(own)
        && known(ctx, name, &object).is_none()
    {
        let now = read(ctx, name, &object);
        let now = course.over().run_until_cancelled(now).await;
        let _changed_meanwhile = now.and_then(|now| keep(ctx, name, &object, now));
    }
    Next::Watch
}

/// A run of a replica that works too, but doesn't tell of policies: it has them in force as the one that does.
pub(super) async fn have(ctx: &Arc<Context>, name: &PolicyName) -> Next {
    let course = ctx.underway.begin(Target::Policy(name.clone()));
    let object = ctx.index.read(|known| known.policies.get(name).cloned());
    let Some(object) = object.filter(|object| object.spec.replay.is_none()) else {
        return Next::Watch;
    };
    if rules::awaits_source(ctx, name) {
        let source = ctx
            .index
            .read(|known| known.touch.source_of_policy(name).cloned());
        sharing::fetch_for(ctx, source);
        return Next::Watch;
    }
    if known(ctx, name, &object).is_some() {
        return Next::Watch;
    }
    let now = read(ctx, name, &object);
    let now = course.over().run_until_cancelled(now).await;
    match now.and_then(|now| keep(ctx, name, &object, now)) {
        Some(now) if now.trouble.is_some() => Next::After(AGAIN),
        Some(_) | None => Next::Watch,
    }
}

/// What a run would say about an object that is not there yet.
pub(super) async fn review(ctx: &Context, object: &Policy) -> Result<Review, Explained> {
    match object.name_any().parse() {
        Ok(name) => rules::review(ctx, &name, object).await,
        // The API server admits no other.
        Err(_) => Ok(Review::default()),
    }
}

fn requested(object: &Policy) -> Option<&String> {
    object.annotations().get(RECONCILE_REQUEST)
}

/// What is in force already, where nothing can have changed: the run is for the status only.
fn known(ctx: &Context, name: &PolicyName, object: &Policy) -> Option<InForce> {
    let revision = rules::revision(ctx, name);
    let now = ctx.index.read(|known| known.in_force.get(name).cloned())?;
    let same = now.trouble.is_none()
        && now.edition == Edition::of(&object.metadata)
        && now.requested.as_ref() == requested(object)
        && now.revision == revision;
    same.then_some(now)
}

async fn read(ctx: &Context, name: &PolicyName, object: &Policy) -> InForce {
    let revision = rules::revision(ctx, name);
    let ready = rules::read(ctx, name, object).await;
    let (ready, tests) = match ready {
        Ok(fit) => (Ok(Arc::new(fit.policy)), fit.tests),
        Err(why) => (Err(why), None),
    };
    InForce {
        edition: Edition::of(&object.metadata),
        requested: requested(object).cloned(),
        of: revision.clone(),
        revision,
        trouble: ready.as_ref().err().cloned(),
        ready,
        tests,
    }
}

/// Puts it where runs find it, and wakes those that it is asked about. None when it is no longer wanted.
fn keep(ctx: &Context, name: &PolicyName, object: &Policy, mut now: InForce) -> Option<InForce> {
    let (now, touched) = ctx.index.write(|known| {
        let meta = &known.policies.get(name)?.metadata;
        if Edition::of(meta) != Edition::of(&object.metadata) {
            return None;
        }
        let before = known.in_force.get(name).cloned();
        if let (Err(_), Some(before)) = (&now.ready, &before)
            && before.ready.is_ok()
        {
            // Rules that are broken, or gone, take nothing out of force: only whoever deletes the Policy does.
            now.ready = before.ready.clone();
            now.of = before.of.clone();
            now.tests = before.tests.clone();
        }
        let news = before
            .is_none_or(|before| before.edition != now.edition || digest(&before) != digest(&now));
        known.in_force.insert(name.clone(), now.clone());
        let touched = match news {
            true => known.touch.guarded_by(name),
            false => Default::default(),
        };
        Some((now, touched))
    })?;
    ctx.queues.kustomizations.wake_all(touched);
    Some(now)
}

fn digest(now: &InForce) -> Option<&str> {
    now.ready.as_ref().ok().map(|policy| policy.digest())
}

fn outcome(now: InForce) -> PolicyOutcome {
    let InForce {
        of,
        ready,
        tests,
        trouble,
        ..
    } = now;
    let force = ready.map(|policy| Force {
        digest: policy.digest().to_owned(),
        exceptions: policy.exceptions().to_vec(),
        revision: of,
        tests,
    });
    match (force, trouble) {
        (Ok(force), None) => PolicyOutcome::InForce(force),
        (Ok(force), Some(why)) => PolicyOutcome::Kept { force, why },
        (Err(why), _) => PolicyOutcome::Failed(why),
    }
}

/// What does not compile, or fails its tests.
fn unfit(name: &PolicyName, why: &impl std::fmt::Display) -> Explained {
    refused(name, why, Turn::NextRevision)
        .with_hint("`reeve policy test` says the same on a laptop")
}

/// What its reader did not come through with.
fn unread(name: &PolicyName, why: &Unread) -> Explained {
    match why {
        Unread::Unfit(why) => unfit(name, why),
        Unread::Harmful(why) => refused(name, why, Turn::NextRevision)
            .with_hint("make its rules, data or tests smaller, or several policies of them"),
        Unread::Interrupted(why) => {
            refused(name, why, Turn::Ours).with_hint("it is read again by itself")
        }
    }
}

fn refused(name: &PolicyName, why: &impl std::fmt::Display, turn: Turn) -> Explained {
    let message = format!("policy {name} cannot be put in force: {why}");
    Explained::new(Reason::PolicyFailed, turn, message)
}
