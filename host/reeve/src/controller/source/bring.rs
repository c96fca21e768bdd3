//! A commit comes into the mirror, and its files into the store.
//!
//! What it deliberately doesn't: put it where runs find it, or wake them; who asked for it does.

use std::sync::Arc;

use reeve_core::failure::Explained;
use reeve_core::signature::Verdict;

use super::kept::note;
use super::{Want, content, fetched_for, replaced, submodules};
use crate::context::Context;
use crate::git::{self, Remote, Snapshot};
use crate::index::Stored;
use crate::store::{Archived, Store};

/// As the store and its paths name the kind.
pub(super) const KIND: &str = "gitrepository";

/// The commit into the mirror, and its files into the store.
pub(super) async fn bring(
    ctx: &Context,
    want: &Want<'_>,
    remote: &Arc<Remote>,
    resolved: git::Resolved,
) -> Result<Stored, Explained> {
    let snapshot = receive(ctx, want, remote, resolved).await?;
    let stored = take(ctx, want, snapshot).await?;
    note(ctx, want.wanted, &stored.snapshot).await;
    Ok(stored)
}

/// The commit into the mirror.
pub(super) async fn receive(
    ctx: &Context,
    want: &Want<'_>,
    remote: &Arc<Remote>,
    resolved: git::Resolved,
) -> Result<Snapshot, Explained> {
    let resolved = match want.asked_for {
        Some(asked_for) => asked_for.of(resolved),
        None => resolved,
    };
    let until = want.deadline.into_std();
    let all = content(want.wanted, want.included);
    let mirrors = replaced::mirrors(ctx, &want.wanted.id);
    let fetched = git::fetch(&mirrors, remote, resolved, all, until, &ctx.limits).await;
    let snapshot = fetched.map_err(|why| Explained::of(&why))?;
    submodules::fetch(ctx, want, remote, snapshot).await
}

/// Its files into the store, if they are signed as they must be.
pub(super) async fn take(
    ctx: &Context,
    want: &Want<'_>,
    snapshot: Snapshot,
) -> Result<Stored, Explained> {
    let verified = checked(ctx, want, &snapshot).await?;
    let store = replaced::store(ctx, &want.wanted.id, &snapshot);
    archive(ctx, want, &store, snapshot, verified).await
}

/// Who signed it, where it must be signed.
pub(super) async fn checked(
    ctx: &Context,
    want: &Want<'_>,
    snapshot: &Snapshot,
) -> Result<Option<Verdict>, Explained> {
    match want.asked_for {
        Some(asked_for) => asked_for.check(ctx, snapshot).await.map(Some),
        None => Ok(None),
    }
}

/// The files of what was checked into the store.
pub(super) async fn archive(
    ctx: &Context,
    want: &Want<'_>,
    store: &Store,
    snapshot: Snapshot,
    verified: Option<Verdict>,
) -> Result<Stored, Explained> {
    let wanted = want.wanted;
    let artifact = store
        .put(KIND, &wanted.id, &snapshot, ctx.clock.now())
        .await
        .map_err(|why| Explained::of(&why))?;
    Ok(Stored {
        artifact,
        snapshot,
        wanted: fetched_for(wanted, want.included),
        verified,
        archived: Archived::already(),
    })
}
