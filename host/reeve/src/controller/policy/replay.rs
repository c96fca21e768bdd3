//! A Policy that is a question: what its rules would change for what was rendered last, told page by page.
//!
//! Nothing of it is put in force, and no Kustomization is woken: `index` asks it about nobody. Who asked deletes it; an hour
//! after it was made it is deleted here.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt as _;
use reeve_api::kustomization::Kustomization;
use reeve_api::name::{NamespacedName, PolicyName};
use reeve_api::policy::{Mode, Policy, Replay, Replayed};
use reeve_api::reason::Reason;
use reeve_core::admit::{Answers, Rule, Rules};
use reeve_core::failure::{Explained, Turn};
use reeve_core::index::Target;
use reeve_core::replay::{Page, changes};
use reeve_core::schedule::Next;
use tokio::time::Instant;

use super::rules;
use crate::context::Context;
use crate::controller::kustomization;
use crate::controller::report::{self, Run};

/// How long one is kept that nobody deletes.
const LIFE: SignedDuration = SignedDuration::from_hours(1);
/// How long a page is worked on: who asked wants to see that it goes on.
const PATIENCE: Duration = Duration::from_secs(10);
/// How soon deleting one is tried again.
const AGAIN: Duration = Duration::from_secs(60);

/// One run.
pub(super) async fn reconcile(
    ctx: &Arc<Context>,
    name: &PolicyName,
    object: &Policy,
    wanted: &Replay,
) -> Next {
    let now = ctx.clock.now();
    let end = end(object, now);
    if end <= now {
        return drop_forgotten(ctx, name, object).await;
    }
    let next = Next::Watch.no_later(end, now);
    let told = object
        .status
        .as_ref()
        .and_then(|status| status.replay.as_ref());
    if told.is_some_and(|page| Some(page.generation) == object.metadata.generation) {
        return next;
    }
    let run = Run::begin(ctx, Target::Policy(name.clone()), object);
    let outcome = page(ctx, name, object, wanted).await;
    let failed = outcome.is_err();
    let again = report::replay(ctx, object, &run, outcome).await;
    match failed {
        true => again.no_later(end, now),
        false => next,
    }
}

/// When it has been there for long enough.
fn end(object: &Policy, now: Timestamp) -> Timestamp {
    let made = object.metadata.creation_timestamp.as_ref();
    let made = made.map_or(now, |made| made.0);
    made.saturating_add(LIFE).unwrap_or(Timestamp::MAX)
}

async fn drop_forgotten(ctx: &Context, name: &PolicyName, object: &Policy) -> Next {
    let uid = object.uid().unwrap_or_default();
    match ctx.cluster.end_replay(name.as_str(), &uid).await {
        Ok(_) => {
            tracing::info!("a replay that nobody deleted is deleted");
            Next::Watch
        }
        Err(why) => {
            tracing::warn!(error = %why, "deleting a replay that nobody deleted failed");
            Next::After(AGAIN)
        }
    }
}

async fn page(
    ctx: &Arc<Context>,
    name: &PolicyName,
    object: &Policy,
    wanted: &Replay,
) -> Result<Replayed, Explained> {
    let after = wanted.after.as_deref().map(str::parse::<NamespacedName>);
    let after = after.transpose().map_err(|why| {
        let message = format!("spec.replay.after: {why}");
        Explained::new(Reason::InvalidSpec, Turn::Owner, message)
    })?;
    let compared = compared(ctx, object)?;
    let policy = rules::read(ctx, name, object).await?.policy;
    let (title, place) = (policy.metadata().title.clone(), policy.place().cloned());
    let after_it = Rule {
        mode: Mode::Audit,
        objects: object.spec.scope.objects.clone(),
        ratchet: object.spec.ratchet,
        ..Rule::enforced(policy)
    };
    let (in_scope, left) = in_scope(ctx, object, after.as_ref());
    let deadline = Instant::now() + PATIENCE;
    let (mut page, mut next, mut last) = (Page::default(), None, None);
    for (id, kustomization) in left {
        if last.is_some() && (page.is_full() || Instant::now() > deadline) {
            next = last;
            break;
        }
        let both = asked(&compared, &kustomization, &after_it);
        let answers = kustomization::replay(ctx, &kustomization, both).await;
        page.add(&id, answers.map(|answers| differences(&id, &answers)));
        last = Some(id);
    }
    let generation = object.metadata.generation.unwrap_or_default();
    Ok(Replayed {
        title: Some(title),
        line: place.as_ref().and_then(|at| i64::try_from(at.line).ok()),
        file: place.map(|at| at.file),
        ..page.told(generation, in_scope, next.as_ref())
    })
}

/// The policy in force with which it is compared, and its rule.
struct Compared {
    object: Arc<Policy>,
    rule: Rule,
}

fn compared(ctx: &Context, object: &Policy) -> Result<Option<Compared>, Explained> {
    let Some(named) = &object.spec.compared_with else {
        return Ok(None);
    };
    let absent = || {
        let message = format!("spec.comparedWith: there is no Policy {named}");
        Explained::new(Reason::NotFound, Turn::Owner, message)
    };
    let name: PolicyName = named.parse().map_err(|_| absent())?;
    let (found, now) = ctx.index.read(|known| {
        let found = known.policies.get(&name).cloned();
        (found, known.in_force.get(&name).cloned())
    });
    let object = found
        .filter(|found| found.spec.replay.is_none())
        .ok_or_else(absent)?;
    let Some(now) = now else {
        let message = format!("Policy {name} has not been looked at yet");
        return Err(Explained::new(
            Reason::DependencyNotReady,
            Turn::Ours,
            message,
        ));
    };
    let rule = kustomization::rule(&name, &object, Some(&now));
    Ok(Some(Compared { object, rule }))
}

/// How many Kustomizations are in scope, and those of them that come after one.
fn in_scope(
    ctx: &Context,
    object: &Policy,
    after: Option<&NamespacedName>,
) -> (usize, Vec<(NamespacedName, Arc<Kustomization>)>) {
    let scope = &object.spec.scope;
    let judged = |id: &NamespacedName, one: &Kustomization| {
        !ctx.grounds.is_platform(&id.namespace)
            && scope.selects(id.namespace.as_str(), one.labels())
    };
    let all: Vec<_> = ctx.index.read(|known| {
        let all = known.kustomizations.iter();
        let all = all.filter(|(id, one)| judged(id, one));
        all.map(|(id, one)| (id.clone(), Arc::clone(one))).collect()
    });
    let count = all.len();
    let left = all.into_iter();
    let left = left.filter(|(id, _)| after.is_none_or(|after| id > after));
    (count, left.collect())
}

/// Who is asked about one: the policy in force, where it is in its scope, then the one that would be.
fn asked(compared: &Option<Compared>, one: &Kustomization, after: &Rule) -> Vec<Rules> {
    let namespace = one.namespace().unwrap_or_default();
    let now = compared.as_ref().filter(|compared| {
        let scope = &compared.object.spec.scope;
        scope.selects(&namespace, one.labels())
    });
    let now = now.map(|compared| compared.rule.clone());
    vec![
        Rules::default().and(now),
        Rules::default().and([after.clone()]),
    ]
}

fn differences(id: &NamespacedName, answers: &[Answers]) -> Vec<reeve_api::policy::ReplayChange> {
    match answers {
        [before, after] => changes(id, before, after),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use reeve_api::policy::PolicySpec;

    #[test]
    fn a_replay_that_nobody_deletes_ends_an_hour_after_it_was_made() {
        let now: Timestamp = "2026-03-01T12:00:00Z".parse().unwrap();
        let mut object = Policy::new("replay-1", PolicySpec::default());
        assert!(end(&object, now) > now);
        for (made, left) in [
            ("2026-03-01T11:00:01Z", true),
            ("2026-03-01T11:00:00Z", false),
        ] {
            let made: Timestamp = made.parse().unwrap();
            object.metadata.creation_timestamp = Some(made.into());
            assert_eq!(end(&object, now) > now, left);
        }
    }
}
