//! What a source had before: after a restart, and for policies that ask what was applied last.
//!
//! A server that is gone, or a login that cannot be read, must not leave tenants without what they already have. What must be
//! signed still must be, by the keys as they are now: while these cannot be read, nothing is taken up. What it deliberately
//! doesn't: make anything of a failure; the run that failed tells it.

use std::sync::Arc;

use reeve_api::name::NamespacedName;
use reeve_core::artifact::Revision;
use reeve_core::source::Wanted;
use tokio::time::Instant;

use super::login::remote;
use super::signed::{self, Asked};
use super::{Want, bring, content, included, keep, submodules, take};
use crate::context::Context;
use crate::controller::heard;
use crate::git::{self, Remote, Snapshot};
use crate::index::Stored;

/// Takes up what an earlier process had in store, from the mirror: a server that is gone while we restart must not
/// leave its tenants without what they already have. When that fails too, the failure to ask is what is told.
pub(super) async fn restore(ctx: &Context, want: &Want<'_>, remote: &Arc<Remote>) {
    let id = &want.wanted.id;
    let Some(resolved) = had(ctx, id) else {
        return;
    };
    match bring(ctx, want, remote, resolved).await {
        Ok(stored) => {
            let _woken_by_the_first_look = keep(ctx, id, stored);
        }
        // It came with another login than there is now, and so lies in another mirror.
        Err(_) => restore_unasked(ctx, want).await,
    }
}

/// The same while nobody can say with whose login the server is asked: from this machine's disk alone, and only the commit that
/// this very object has fetched from this address.
pub(super) async fn restore_unasked(ctx: &Context, want: &Want<'_>) {
    let (wanted, id) = (want.wanted, &want.wanted.id);
    let (Some(resolved), Some(holder)) = (had(ctx, id), holder(ctx, wanted)) else {
        return;
    };
    let resolved = of(resolved, want.asked_for);
    let (content, until) = (content(wanted, want.included), want.deadline.into_std());
    let mirrors = ctx.mirrors_of(id);
    let kept = git::kept(&mirrors, &holder, resolved, content, until, &ctx.limits);
    let Ok(snapshot) = kept.await else {
        return;
    };
    let Ok(snapshot) = submodules::kept(ctx, want, &holder, snapshot).await else {
        return;
    };
    if let Ok(stored) = take(ctx, want, snapshot).await {
        let _woken_by_the_first_look = keep(ctx, id, stored);
    }
}

/// Takes what is in store from the mirror as it is now, where it reads what that was before: it goes when nobody reads it any more.
/// That is tried once, and what is there stays if it fails.
pub(super) async fn move_on(
    ctx: &Context,
    want: &Want<'_>,
    remote: &Arc<Remote>,
    resolved: git::Resolved,
) {
    let id = &want.wanted.id;
    let moves = |had: &&Stored| had.snapshot.moves();
    let had = ctx
        .index
        .read(|known| known.stored.get(id).filter(moves).cloned());
    let Some(had) = had else {
        return;
    };
    match bring(ctx, want, remote, resolved).await {
        Ok(stored) => {
            let artifact = had.artifact;
            let _same_as_before = keep(ctx, id, Stored { artifact, ..stored });
        }
        Err(why) => {
            tracing::debug!(source = %id, error = %why, "what is in store stays in a mirror that was given up");
        }
    }
}

/// What an earlier process had in store, as the status tells it; None when this one has something.
fn had(ctx: &Context, id: &NamespacedName) -> Option<git::Resolved> {
    let revision = ctx.index.read(|known| {
        let status = known.sources.get(id)?.status.as_ref()?;
        let artifact = status.artifact.as_ref()?;
        (!known.stored.contains_key(id)).then(|| artifact.revision.clone())
    });
    let revision = Revision::parse(&revision?).ok()?;
    git::Resolved::earlier(&revision).ok()
}

/// Notes what came, and from which mirror, for when its login cannot be read.
pub(super) async fn note(ctx: &Context, wanted: &Wanted, snapshot: &Snapshot) {
    heard::fetched(ctx, &wanted.id, snapshot);
    if let Some(holder) = holder(ctx, wanted) {
        note_for(ctx, holder, snapshot).await;
    }
}

/// Notes for a holder which mirror what it has came into.
pub(super) async fn note_for(ctx: &Context, holder: String, snapshot: &Snapshot) {
    let (mirrors, snapshot) = (Arc::clone(&ctx.mirrors), snapshot.clone());
    let work = move || mirrors.note(&holder, &snapshot);
    match tokio::task::spawn_blocking(work).await {
        Ok(Ok(())) => {}
        Ok(Err(why)) => tracing::warn!(error = %why, "noting the mirror on the disk failed"),
        Err(why) => tracing::error!(error = %why, "noting the mirror on the disk crashed"),
    }
}

/// This very object and what it is fetched from: another one of its name is somebody else's.
pub(super) fn holder(ctx: &Context, wanted: &Wanted) -> Option<String> {
    let uid = ctx
        .index
        .read(|known| known.sources.get(&wanted.id)?.metadata.uid.clone())?;
    Some(format!("{uid} {}", wanted.url))
}

/// The files of a revision that the source had before, from the mirror or from whoever still has it; where it must be signed, only
/// of one that is, by the keys as they are now.
pub(in crate::controller) async fn earlier(
    ctx: &Context,
    id: &NamespacedName,
    revision: &Revision,
    deadline: Instant,
) -> Option<Snapshot> {
    let asking = Asking::of(ctx, id).await?;
    let included = included::read(ctx, &asking.wanted).ok()?;
    let content = content(&asking.wanted, &included);
    let snapshot = asking.fetch(ctx, revision, content, deadline).await?;
    let want = Want {
        wanted: &asking.wanted,
        included: &included,
        asked_for: asking.asked_for.as_ref(),
        deadline,
    };
    let snapshot = submodules::fetch(ctx, &want, &asking.remote, snapshot).await;
    asking.checked(ctx, snapshot.ok()?).await
}

/// All files of a revision that the source has or had, those that it leaves out, too, and nothing that is laid beside them; where it
/// must be signed, only of one that is.
pub(in crate::controller) async fn all_of(
    ctx: &Context,
    id: &NamespacedName,
    revision: &Revision,
    deadline: Instant,
) -> Option<Snapshot> {
    let asking = Asking::of(ctx, id).await?;
    // Without `sparse`: a mirror of parts does not have the others.
    let content = git::Content::default();
    let snapshot = asking.fetch(ctx, revision, content, deadline).await?;
    let snapshot = asking.checked(ctx, snapshot).await?;
    let (limits, until) = (ctx.limits.clone(), deadline.into_std());
    let work = tokio::task::spawn_blocking(move || snapshot.whole(&limits, until));
    work.await.ok()?.ok()
}

/// Whether whoever has the repository says that a revision is not in it any more; not where nobody can be asked.
pub(in crate::controller) async fn is_nowhere(
    ctx: &Context,
    id: &NamespacedName,
    revision: &Revision,
    deadline: Instant,
) -> bool {
    let Some(asking) = Asking::of(ctx, id).await else {
        return false;
    };
    let asked = asking.ask(ctx, revision, git::Content::default(), deadline);
    let is_not_there =
        |why: &git::Error| matches!(why, git::Error::Checkout(git::Cause::NoCommit(_)));
    asked
        .await
        .is_some_and(|came| came.err().is_some_and(|why| is_not_there(&why)))
}

/// A source as it is asked for a revision that it has or had: with its login and its keys as they are now.
struct Asking {
    wanted: Wanted,
    asked_for: Option<Asked>,
    remote: Arc<Remote>,
}

impl Asking {
    async fn of(ctx: &Context, id: &NamespacedName) -> Option<Self> {
        let object = ctx.index.read(|known| known.sources.get(id).cloned())?;
        let wanted = Wanted::parse(&object).ok()?;
        let asked_for = signed::asked(ctx, id, &object).await.ok()?;
        let (remote, _) = remote(ctx, &wanted).await.ok()?;
        Some(Self {
            wanted,
            asked_for,
            remote,
        })
    }

    async fn fetch(
        &self,
        ctx: &Context,
        revision: &Revision,
        content: git::Content,
        deadline: Instant,
    ) -> Option<Snapshot> {
        self.ask(ctx, revision, content, deadline).await?.ok()
    }

    /// The same; None: it is no revision that can be asked for.
    async fn ask(
        &self,
        ctx: &Context,
        revision: &Revision,
        content: git::Content,
        deadline: Instant,
    ) -> Option<Result<Snapshot, git::Error>> {
        let resolved = git::Resolved::earlier(revision).ok()?;
        let resolved = of(resolved, self.asked_for.as_ref());
        let (mirrors, until) = (ctx.mirrors_of(&self.wanted.id), deadline.into_std());
        let limits = &ctx.limits;
        let read = git::fetch(&mirrors, &self.remote, resolved, content, until, limits);
        Some(read.await)
    }

    /// What was fetched, if it is signed as it must be.
    async fn checked(&self, ctx: &Context, snapshot: Snapshot) -> Option<Snapshot> {
        if let Some(asked_for) = &self.asked_for {
            asked_for.check(ctx, &snapshot).await.ok()?;
        }
        Some(snapshot)
    }
}

fn of(resolved: git::Resolved, asked_for: Option<&Asked>) -> git::Resolved {
    match asked_for {
        Some(asked_for) => asked_for.of(resolved),
        None => resolved,
    }
}
