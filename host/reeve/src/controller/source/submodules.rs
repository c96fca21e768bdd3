//! The submodules of what a source fetches, where it wants them.
//!
//! Each is fetched into a mirror of its own, as any repository. One that lies on the server of the repository which names it
//! has the same login, if that is the source's own; any other has the login of a source at its address: the one that git
//! configuration gives, or nobody's. So no repository sends a login to a server that it was not for, and none of git
//! configuration opens more than it would for a source. What was read for them wakes the source when it changes. Finding and placing them is `git`'s.

use std::sync::Arc;

use reeve_api::name::RemoteUrl;
use reeve_core::failure::Explained;
use reeve_core::gitconfig;
use reeve_core::source::Wanted;

use super::kept::{holder, note_for};
use super::login::{refused, remote_with};
use super::{Want, content, given};
use crate::context::Context;
use crate::git::{self, Recursion, Remote, Snapshot, Submodule, credential};

/// The way to a repository, where that was the source's own login.
type Way = Option<Arc<Remote>>;

/// What was fetched, with its submodules if they are wanted.
pub(super) async fn fetch(
    ctx: &Context,
    want: &Want<'_>,
    remote: &Arc<Remote>,
    snapshot: Snapshot,
) -> Result<Snapshot, Explained> {
    let wanted = want.wanted;
    let further = given::Further::default();
    if !wanted.submodules {
        further.end(ctx, &wanted.id);
        return Ok(snapshot);
    }
    let holder = holder(ctx, wanted);
    let until = want.deadline.into_std();
    let get = |submodule: Submodule, way: Way| {
        let (holder, further) = (holder.as_ref(), &further);
        async move {
            let (remote, way, from) = reach(ctx, wanted, &submodule.url, way, further).await?;
            let resolved = submodule.resolved().map_err(|why| Explained::of(&why))?;
            let (all, limits) = (Submodule::content(), &submodule.limits);
            let fetched = git::fetch(&ctx.mirrors, &remote, resolved, all, until, limits).await;
            let snapshot = fetched.map_err(|why| refused(&Explained::of(&why), from.as_deref()))?;
            if let Some(holder) = holder {
                note_for(ctx, held(holder, &submodule), &snapshot).await;
            }
            Ok::<_, Explained>((snapshot, way))
        }
    };
    let way = given::has_own(wanted).then(|| Arc::clone(remote));
    let all = content(wanted, want.included);
    let room = room(ctx, want);
    let complete = room.complete(snapshot, &wanted.url, way, all, get).await;
    further.end(ctx, &wanted.id);
    complete
}

/// The same from this machine's disk alone, where nobody can say with whose logins they were fetched.
pub(super) async fn kept(
    ctx: &Context,
    want: &Want<'_>,
    holder: &str,
    snapshot: Snapshot,
) -> Result<Snapshot, Explained> {
    let wanted = want.wanted;
    if !wanted.submodules {
        return Ok(snapshot);
    }
    let until = want.deadline.into_std();
    let get = |submodule: Submodule, (): ()| async move {
        let resolved = submodule.resolved().map_err(|why| Explained::of(&why))?;
        let (holder, all) = (held(holder, &submodule), Submodule::content());
        let kept = git::kept(&ctx.mirrors, &holder, resolved, all, until, &ctx.limits).await;
        Ok::<_, Explained>((kept.map_err(|why| Explained::of(&why))?, ()))
    };
    let all = content(wanted, want.included);
    let room = room(ctx, want);
    room.complete(snapshot, &wanted.url, (), all, get).await
}

fn room<'a>(ctx: &'a Context, want: &Want<'_>) -> Recursion<'a> {
    Recursion {
        mirrors: &ctx.mirrors,
        deadline: want.deadline.into_std(),
        limits: &ctx.limits,
    }
}

/// Who has a submodule: what has the source, and where.
fn held(holder: &str, submodule: &Submodule) -> String {
    format!("{holder} {}", submodule.path)
}

/// Who we are to a submodule's repository, named by one that was reached by `way`; and which entry of git configuration says so,
/// if one does.
async fn reach(
    ctx: &Context,
    wanted: &Wanted,
    url: &RemoteUrl,
    way: Way,
    further: &given::Further,
) -> Result<(Arc<Remote>, Way, Option<String>), Explained> {
    let beside = way.and_then(|parent| parent.beside(url)).map(Arc::new);
    if let Some(remote) = beside.filter(|_| !gitconfig::is_own(url)) {
        return Ok((Arc::clone(&remote), Some(remote), None));
    }
    let (url, data, from) = match given::elsewhere(ctx, wanted, url, further).await? {
        Some(given) => (given.url, given.data, Some(given.from)),
        None => (url.clone(), credential::Data::new(), None),
    };
    let remote = remote_with(ctx, wanted, url, &data, from.as_deref()).await?;
    Ok((remote, None, from))
}
