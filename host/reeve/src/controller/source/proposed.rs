//! The files of what somebody proposes to a source: the head of a pull request, into the source's mirror of requests and nowhere else.
//!
//! With the source's own login, and the rules of what it takes, leaves out and includes; its submodules only from where what is
//! applied has them; what must be signed is not looked at before it is found to be. It deliberately puts nothing into the store: nobody is to apply it, or to be served it.

use reeve_api::name::NamespacedName;
use reeve_api::source::GitRepository;
use reeve_core::failure::Explained;
use reeve_core::signature::Verdict;
use reeve_core::source::{Reference, Wanted};
use tokio::time::Instant;

use super::login::{refused, remote};
use super::submodules::{self, Applied};
use super::{Want, content, included, signed};
use crate::context::Context;
use crate::git::{self, Snapshot};

/// What is at `reference` now, and who signed it, if that is asked for.
pub(in crate::controller) async fn proposed(
    ctx: &Context,
    id: &NamespacedName,
    object: &GitRepository,
    reference: &str,
    applied: &Applied<'_>,
    deadline: Instant,
) -> Result<(Snapshot, Option<Verdict>), Explained> {
    let wanted = Wanted::parse(object).map_err(|why| Explained::of(&why))?;
    let asked_for = signed::asked(ctx, id, object).await?;
    let included = included::read(ctx, &wanted)?;
    let (remote, from) = remote(ctx, &wanted).await?;
    let until = deadline.into_std();
    let reference = Reference::Name(reference.to_owned());
    let mirrors = ctx.mirrors_of(id).of_requests();
    let resolved = git::resolve(&mirrors, &remote, &reference, until, &ctx.limits).await;
    let resolved = resolved.map_err(|why| refused(&Explained::of(&why), from.as_deref()))?;
    let content = content(&wanted, &included);
    let read = git::fetch(&mirrors, &remote, resolved, content, until, &ctx.limits);
    let snapshot = read.await.map_err(|why| Explained::of(&why))?;
    let verified = match &asked_for {
        Some(asked_for) => Some(asked_for.check(ctx, &snapshot).await?),
        None => None,
    };
    let want = Want {
        wanted: &wanted,
        included: &included,
        asked_for: asked_for.as_ref(),
        deadline,
    };
    let snapshot = submodules::proposed(ctx, &want, &remote, snapshot, applied).await?;
    Ok((snapshot, verified))
}
