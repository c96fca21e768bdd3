//! Kustomizations begin with a commit while its files are archived.
//!
//! They read the mirror and not the archive. What they build meanwhile they write once the archive is there, and not before: a
//! commit that does not fit into the store is applied nowhere, and what a restart would go back to is what was applied. When
//! archiving fails, or nobody waits for it any more, what was in store before is put back, and whoever has begun begins anew. Where
//! policies, plugins or other sources are made of it, it waits: what they make is not taken back. What it deliberately doesn't:
//! tell anybody; the status is written when all of it is there.

use std::sync::Arc;

use reeve_api::name::NamespacedName;
use reeve_core::failure::Explained;
use reeve_core::signature::Verdict;

use super::bring::{KIND, archive, checked, receive};
use super::kept::note;
use super::users::Users;
use super::{Want, fetched_for, keep, replaced};
use crate::context::Context;
use crate::controller::housekeeping;
use crate::git::{self, Remote, Snapshot};
use crate::index::Stored;
use crate::store::{Archived, Archiving};

/// The commit into the mirror, its files into the store, and both where runs find them, which are woken as early as may be.
pub(super) async fn bring(
    ctx: &Context,
    want: &Want<'_>,
    remote: &Arc<Remote>,
    resolved: git::Resolved,
) -> Result<Stored, Explained> {
    let id = &want.wanted.id;
    let snapshot = receive(ctx, want, remote, resolved).await?;
    let verified = checked(ctx, want, &snapshot).await?;
    // Asked before it is where runs find it: what it takes the place of makes room for it.
    let store = replaced::store(ctx, id, &snapshot);
    let begun = Begun::with(ctx, want, &snapshot, verified.as_ref());
    let stored = archive(ctx, want, &store, snapshot, verified).await?;
    match begun {
        Some(begun) => {
            begun.archived(&stored);
            note(ctx, want.wanted, &stored.snapshot).await;
        }
        None => {
            note(ctx, want.wanted, &stored.snapshot).await;
            keep(ctx, id, stored.clone()).wake(ctx);
        }
    }
    Ok(stored)
}

/// Runs that have begun with what is not archived yet.
struct Begun<'a> {
    ctx: &'a Context,
    id: &'a NamespacedName,
    /// What was in store.
    before: Option<Stored>,
    /// None: it is over.
    archiving: Option<Archiving>,
}

impl<'a> Begun<'a> {
    /// Wakes those who may begin; None: nobody may.
    fn with(
        ctx: &'a Context,
        want: &'a Want<'_>,
        snapshot: &Snapshot,
        verified: Option<&Verdict>,
    ) -> Option<Self> {
        let id = &want.wanted.id;
        let (archiving, archived) = Archived::soon();
        let stored = Stored {
            artifact: ctx.store.announced(KIND, id, snapshot, ctx.clock.now()),
            snapshot: snapshot.clone(),
            wanted: fetched_for(want.wanted, want.included),
            verified: verified.cloned(),
            archived,
        };
        let (before, users) = ctx.index.write(|known| {
            let users = Users::of(known, id);
            // What is proposed is compared with what is in store.
            let may = users.only_apply() && !known.desks.contains_key(id);
            may.then(|| (known.stored.insert(id.clone(), stored), users))
        })?;
        users.wake(ctx);
        Some(Self {
            ctx,
            id,
            before,
            archiving: Some(archiving),
        })
    }

    /// It is archived: whoever has begun may write.
    fn archived(mut self, stored: &Stored) {
        let Some(archiving) = self.archiving.take() else {
            return;
        };
        self.ctx.index.write(|known| {
            let slot = known.stored.get_mut(self.id);
            if let Some(slot) = slot.filter(|slot| archiving.is_awaited_by(&slot.archived)) {
                *slot = stored.clone();
            }
        });
        archiving.done();
        // With another login or from another address it is in another mirror.
        housekeeping::leave(self.ctx, self.id, self.before.as_ref());
    }
}

impl Drop for Begun<'_> {
    fn drop(&mut self) {
        let Some(archiving) = self.archiving.take() else {
            return;
        };
        let before = self.before.take();
        let users = self.ctx.index.write(|known| {
            let now = known.stored.get(self.id)?;
            if !archiving.is_awaited_by(&now.archived) {
                // It was taken out of store meanwhile, or something else put there.
                return None;
            }
            match before {
                Some(before) => known.stored.insert(self.id.clone(), before),
                None => known.stored.remove(self.id),
            };
            Some(Users::of(known, self.id))
        });
        drop(archiving);
        if let Some(users) = users {
            users.wake(self.ctx);
        }
    }
}
