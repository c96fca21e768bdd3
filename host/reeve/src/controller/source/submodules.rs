//! The submodules of what a source fetches, where it wants them.
//!
//! Each is fetched into a mirror of its own, as any repository. One that lies on the server of the repository which names it
//! has the same login, if that is the source's own; any other has the login of a source at its address: the one that git
//! configuration gives, or nobody's. So no repository sends a login to a server that it was not for, and none of git
//! configuration opens more than it would for a source. What was read for them wakes the source when it changes. Finding and placing them is `git`'s.
//!
//! What somebody proposes to a source has no submodules but from addresses that what is applied has them from: whoever writes a
//! `.gitmodules` would else have any repository read that these logins open, and printed in the plan. A fork's has them at no
//! other commits either. Nothing of it is noted.

use std::sync::Arc;

use reeve_api::name::RemoteUrl;
use reeve_api::reason::Reason;
use reeve_core::failure::{Explained, Turn};
use reeve_core::gitconfig;
use reeve_core::source::Wanted;

use super::kept::{holder, note_for};
use super::login::{Means, of_secret, refused, remote_with};
use super::{Want, content, given, replaced};
use crate::context::Context;
use crate::controller::provider::Access;
use crate::git::{self, Mirrors, Origins, Recursion, Remote, Snapshot, Submodule};

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
    let (mirrors, came) = (ctx.mirrors_of(&wanted.id), snapshot.clone());
    let into = |submodule: &Submodule| {
        let where_to = (&came, submodule.path.as_str());
        replaced::of_submodule(ctx, &mirrors, &wanted.id, where_to)
    };
    let complete = complete(ctx, want, into, remote, snapshot, |submodule| {
        let holder = holder.as_ref().map(|holder| held(holder, submodule));
        Ok(Noted {
            further: Some(&further),
            holder,
        })
    });
    let complete = complete.await;
    further.end(ctx, &wanted.id);
    complete
}

/// What somebody proposes to a source, with its submodules if they are wanted, from where what is applied has them.
pub(super) async fn proposed(
    ctx: &Context,
    want: &Want<'_>,
    remote: &Arc<Remote>,
    snapshot: Snapshot,
    applied: &Applied<'_>,
) -> Result<Snapshot, Explained> {
    if !want.wanted.submodules {
        return Ok(snapshot);
    }
    let may = |submodule: &Submodule| {
        applied.may_have(submodule)?;
        Ok(Noted {
            further: None,
            holder: None,
        })
    };
    let mirrors = ctx.mirrors_of(&want.wanted.id).of_requests();
    let into = |_: &Submodule| mirrors.clone();
    complete(ctx, want, into, remote, snapshot, may).await
}

/// What is applied of a source that somebody proposes something to.
pub(in crate::controller) struct Applied<'a> {
    /// Where its submodules are from.
    pub(in crate::controller) origins: &'a Origins,
    /// Whether it is proposed by another repository, in which anybody may write.
    pub(in crate::controller) to_fork: bool,
}

impl Applied<'_> {
    /// Whether what is proposed may have a submodule. No server is asked for one that it may not.
    fn may_have(&self, submodule: &Submodule) -> Result<(), Explained> {
        let what = if !self.origins.have_address_of(submodule) {
            "is from a repository that none of what is applied is from"
        } else if self.to_fork && !self.origins.have(submodule) {
            "is at another commit than what is applied, and a fork may not move it"
        } else {
            return Ok(());
        };
        let message = format!("it {what}, so that it is not fetched for a plan");
        let hint = "the plan is made again when a submodule from there is on the branch";
        Err(Explained::new(Reason::AccessDenied, Turn::NextRevision, message).with_hint(hint))
    }
}

/// What is noted of a submodule.
struct Noted<'a> {
    /// Which git configuration was read for it.
    further: Option<&'a given::Further>,
    /// Who has it.
    holder: Option<String>,
}

async fn complete<'a>(
    ctx: &Context,
    want: &Want<'_>,
    into: impl Fn(&Submodule) -> Mirrors,
    remote: &Arc<Remote>,
    snapshot: Snapshot,
    may: impl Fn(&Submodule) -> Result<Noted<'a>, Explained>,
) -> Result<Snapshot, Explained> {
    let wanted = want.wanted;
    let until = want.deadline.into_std();
    let get = |submodule: Submodule, way: Way| {
        let (noted, mirrors) = (may(&submodule), into(&submodule));
        async move {
            let Noted { further, holder } = noted?;
            let (remote, way, from) = reach(ctx, wanted, &submodule.url, way, further).await?;
            let resolved = submodule.resolved().map_err(|why| Explained::of(&why))?;
            let (all, limits) = (Submodule::content(), &submodule.limits);
            let fetched = git::fetch(&mirrors, &remote, resolved, all, until, limits).await;
            let snapshot = fetched.map_err(|why| refused(&Explained::of(&why), from.as_deref()))?;
            if let Some(holder) = holder {
                note_for(ctx, holder, &snapshot).await;
            }
            Ok::<_, Explained>((snapshot, way))
        }
    };
    let way = given::has_own(wanted).then(|| Arc::clone(remote));
    let all = content(wanted, want.included);
    let room = room(ctx, want);
    room.complete(snapshot, &wanted.url, way, all, get).await
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
        let mirrors = ctx.mirrors_of(&wanted.id);
        let kept = git::kept(&mirrors, &holder, resolved, all, until, &ctx.limits).await;
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
    further: Option<&given::Further>,
) -> Result<(Arc<Remote>, Way, Option<String>), Explained> {
    let beside = way.and_then(|parent| parent.beside(url)).map(Arc::new);
    if let Some(remote) = beside.filter(|_| !gitconfig::is_own(url)) {
        // A token of an App opens one repository: this has another, of the same App.
        let remote = match wanted.secret.as_ref().filter(|_| wanted.app) {
            Some(name) => {
                let means = of_secret(ctx, wanted, name, url, Access::Fetch).await?;
                remote_with(ctx, wanted, url.clone(), &means, None).await?
            }
            None => remote,
        };
        return Ok((Arc::clone(&remote), Some(remote), None));
    }
    let (url, means, from) = match given::elsewhere(ctx, wanted, url, further).await? {
        Some(given) => (given.url, given.means, Some(given.from)),
        None => (url.clone(), Means::default(), None),
    };
    let remote = remote_with(ctx, wanted, url, &means, from.as_deref()).await?;
    Ok((remote, None, from))
}
