//! What a source has in store, while what comes in its place is on its way: it goes as soon as that is there, so it does not count
//! beside it.
//!
//! A mirror is one of a login: when a key is rotated, a token replaced, or `spec.url` or what is taken of it changed, the same files
//! come into another, and the one before is read until they are here. A tenant that has most of what it may have could else
//! never fetch again. What it deliberately doesn't: count, or let go of anything; the books of the disk and `keep` do.

use reeve_api::name::NamespacedName;

use crate::context::Context;
use crate::disk::Thing;
use crate::git::{Mirrors, Snapshot};
use crate::store::Store;

/// Where a source's commit lies that is in store.
pub(super) fn lies_in(ctx: &Context, id: &NamespacedName) -> Option<Thing> {
    let stored = |known: &crate::index::Known| known.stored.get(id)?.snapshot.lies_in();
    ctx.index.read(stored)
}

/// The mirrors, into which the next commit of a source comes.
pub(super) fn mirrors(ctx: &Context, id: &NamespacedName) -> Mirrors {
    ctx.mirrors_of(id).instead_of(lies_in(ctx, id))
}

/// The same for a submodule at `path` of a commit that came.
pub(super) fn of_submodule(
    ctx: &Context,
    mirrors: &Mirrors,
    id: &NamespacedName,
    (came, path): (&Snapshot, &str),
) -> Mirrors {
    let instead: Vec<Thing> = ctx.index.read(|known| {
        let had = known.stored.get(id).map(|stored| &stored.snapshot);
        let own = had.and_then(Snapshot::lies_in);
        let own = own.filter(|own| Some(own) != came.lies_in().as_ref());
        let below = had.map(|had| had.below_lies_in(path));
        own.into_iter().chain(below.into_iter().flatten()).collect()
    });
    mirrors.instead_of(instead)
}

/// The store, into which the files of a commit come.
pub(super) fn store(ctx: &Context, id: &NamespacedName, came: &Snapshot) -> Store {
    let stays = came.all_lies_in();
    let instead = ctx.index.read(|known| {
        let had = known.stored.get(id);
        had.map(|had| had.snapshot.all_lies_in())
    });
    let instead = instead.unwrap_or_default().into_iter();
    let store = ctx.store.on(ctx.account(id));
    store.instead_of(instead.filter(|thing| !stays.contains(thing)))
}
