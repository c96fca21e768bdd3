//! What became of a commit, told beside it at its forge, where its GitRepository asks for that.
//!
//! Woken by whatever is written into a Kustomization's status, in a queue of its own: no run waits for a forge. What a status comes
//! to is `core::mark`'s to say; it is told once, and a forge that does not take it is asked again a few times, later each time. Told
//! is only of a source that belongs to whoever the Kustomization belongs to. What was told is known since this process leads;
//! the provider looks before it writes, so after a start nothing stands twice.

use std::sync::Arc;
use std::time::{Duration, Instant};

use reeve_api::kustomization::Kustomization;
use reeve_api::name::{NamespacedName, RemoteUrl};
use reeve_core::failure::Explained;
use reeve_core::mark::{self, Mark, State};
use reeve_core::proposal::Wish;
use reeve_core::schedule::{Next, backoff};

use super::{provider, report};
use crate::context::Context;
use crate::forge::words::{CommitState, CommitStatus, Task};
use crate::index::Known;

/// How often a forge is asked to take a mark, from a minute or so to a quarter of an hour apart.
const TRIES: u32 = 8;
/// The first wait is that of so many failures in a row: what a forge refuses it seldom takes a second later.
const PATIENT: u32 = 6;

/// What was told of a Kustomization last, or is to be.
#[derive(Clone)]
pub(crate) struct Marked {
    repository: String,
    mark: Mark,
    /// How often that failed.
    failures: u32,
    /// When it is tried again; None: it is told.
    again: Option<Instant>,
}

/// What is to be told.
struct Wanted {
    object: Arc<Kustomization>,
    source: NamespacedName,
    provider: String,
    repository: String,
    mark: Mark,
}

/// One run.
pub(super) async fn reconcile(ctx: &Arc<Context>, id: &NamespacedName) -> Next {
    let Some(wanted) = ctx.index.read(|known| wanted(ctx, known, id)) else {
        return Next::Watch;
    };
    let before = ctx.index.read(|known| known.marks.get(id).cloned());
    let same =
        |before: &Marked| before.mark == wanted.mark && before.repository == wanted.repository;
    let mut failures = 0;
    if let Some(before) = before.filter(same) {
        let now = ctx.clock.instant();
        match before.again {
            None => return Next::Watch,
            Some(_) if before.failures >= TRIES => return Next::Watch,
            Some(again) if again > now => return Next::After(again - now),
            Some(_) => failures = before.failures,
        }
    }
    let told = tell(ctx, id, &wanted).await;
    let pause = match &told {
        Ok(()) => None,
        Err(why) => {
            failures += 1;
            if failures == 1 {
                report::untold(ctx, &*wanted.object, why);
            }
            Some(pause(failures))
        }
    };
    let marked = Marked {
        repository: wanted.repository,
        mark: wanted.mark,
        failures,
        again: pause.map(|pause| ctx.clock.instant() + pause),
    };
    ctx.index
        .write(|known| known.marks.insert(id.clone(), marked));
    match pause {
        Some(pause) if failures < TRIES => Next::After(pause),
        _ => Next::Watch,
    }
}

/// How long to wait after so many failures at a forge.
pub(super) fn pause(failures: u32) -> Duration {
    backoff(failures.saturating_add(PATIENT), rand::random())
}

fn wanted(ctx: &Context, known: &Known, id: &NamespacedName) -> Option<Wanted> {
    let object = known.kustomizations.get(id)?;
    let at = known.touch.source_of(id)?;
    let source = known.sources.get(at)?;
    let wish = Wish::parse(source).ok().flatten()?;
    let stays = object.metadata.deletion_timestamp.is_none() && !source.spec.suspend;
    if !wish.marks || !stays || !is_of_one(ctx, known, at, id) {
        return None;
    }
    Some(Wanted {
        object: Arc::clone(object),
        source: at.clone(),
        provider: wish.provider.to_string(),
        repository: RemoteUrl::parse(&source.spec.url).ok()?.without_userinfo(),
        mark: Mark::of(object)?,
    })
}

/// Whether a source and a Kustomization belong to the same party.
pub(super) fn is_of_one(
    ctx: &Context,
    known: &Known,
    source: &NamespacedName,
    id: &NamespacedName,
) -> bool {
    let owner = |of: &NamespacedName| known.tenants.owner_of(&ctx.grounds, &of.namespace).ok();
    match (owner(source), owner(id)) {
        (Some(one), Some(other)) => {
            source.namespace == id.namespace
                || (one.name == other.name && one.declared.is_some() && other.declared.is_some())
        }
        _ => false,
    }
}

async fn tell(ctx: &Context, id: &NamespacedName, wanted: &Wanted) -> Result<(), Explained> {
    let asked = provider::Asked {
        whose: &wanted.source,
        plugin: &wanted.provider,
        repository: &wanted.repository,
    };
    let context = mark::context(ctx.cluster_name.as_deref(), id);
    let task = Task::CommitStatus(status(context, &wanted.mark));
    provider::carry_out(ctx, asked, task, None).await
}

/// A mark in the words of providers.
pub(super) fn status(context: String, mark: &Mark) -> CommitStatus {
    CommitStatus {
        commit: mark.commit.clone(),
        state: match mark.state {
            State::Pending => CommitState::Pending,
            State::Success => CommitState::Success,
            State::Failure => CommitState::Failure,
            State::Error => CommitState::Error,
        },
        context,
        description: mark.description.clone(),
        target_url: String::new(),
    }
}
