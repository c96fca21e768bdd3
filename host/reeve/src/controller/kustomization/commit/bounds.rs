//! Where a delivery may not go: into what is of others.
//!
//! A place that is given lies beside what other levels have below prefixes of their own; with a login that is lent, a repository of a
//! tenant's own is written to where a WriteBack of it would be (`controller::lent`), and never where a Kustomization of somebody
//! else would apply it. What it deliberately doesn't: ask anything of who brings a login of their own, or of the platform's
//! Kustomizations with a login that is lent; or compare with what other clusters deliver.

use reeve_api::WRITE_BACK_PATHS;
use reeve_api::name::NamespacedName;
use reeve_api::reason::Reason;
use reeve_core::deliver::{Place, Target, unclaimed};
use reeve_core::failure::{Explained, Turn};
use reeve_core::gitconfig;

use super::{Repository, Wanted};
use crate::context::Context;
use crate::controller::lent::{Borrower, claimed, shown};
use crate::index::Known;

/// Whether it may be written to where it is to be.
pub(super) fn keep_to(
    ctx: &Context,
    wanted: &Wanted,
    place: &Place,
    repository: &Repository,
) -> Result<(), Explained> {
    let is_lent = repository.writable.is_given();
    match &place.target {
        Target::Given(_) => {
            let claims = ctx.index.read(|known| {
                whole(known)?;
                Ok::<_, Explained>(claimed(ctx, known))
            })?;
            unclaimed(place, &claims)
        }
        Target::Own(id) if is_lent && !ctx.grounds.is_platform(&wanted.spec.id.namespace) => {
            ctx.index.read(whole)?;
            at_home(ctx, wanted, &place.directory, repository, id)
        }
        Target::Own(_) => Ok(()),
    }
}

/// Whether everybody is known who may have something there.
fn whole(known: &Known) -> Result<(), Explained> {
    let above = known.tenants_listed && known.projects_listed;
    if above && known.sources_listed && known.kustomizations_listed {
        return Ok(());
    }
    let message = "not all Tenants, Projects, GitRepositories and Kustomizations are known yet, so that nobody can say whose the \
                   directory is that this is delivered to";
    Err(Explained::new(Reason::DeliveryFailed, Turn::Ours, message))
}

/// Whether the directory is of the tenant, where the login of `source` is the platform's.
fn at_home(
    ctx: &Context,
    wanted: &Wanted,
    directory: &str,
    repository: &Repository,
    source: &NamespacedName,
) -> Result<(), Explained> {
    let at = gitconfig::Place::of(&repository.writable.url).map_err(|why| {
        let message = format!("the address of GitRepository {source} {why}");
        Explained::new(Reason::UrlInvalid, Turn::Retry, message)
    })?;
    let borrower = Borrower {
        ctx,
        namespace: &wanted.spec.id.namespace,
        tenant: &wanted.tenant,
        place: &at,
        branch: &repository.branch,
    };
    let shown = shown(directory);
    if let Some(other) = borrower.others(directory) {
        return Err(everybodys(shown, &repository.branch, &other, source));
    }
    match borrower.neighbour(directory) {
        Some(other) => Err(neighbours(shown, &other)),
        None => Ok(()),
    }
}

fn everybodys(shown: &str, branch: &str, other: &str, source: &NamespacedName) -> Explained {
    let message = format!(
        "branch {branch} is others' as well, by {other}, and {shown} is no directory of this tenant: the login of GitRepository \
         {source} is the platform's"
    );
    let hint = format!(
        "deliver below a directory that the platform has given to this tenant, in spec.source of its Tenant or by the annotation \
         {WRITE_BACK_PATHS} of a GitRepository of this branch that it keeps for it, or name a Secret with a login of one's own \
         in spec.secretRef of the GitRepository"
    );
    denied(message, hint)
}

fn neighbours(shown: &str, other: &NamespacedName) -> Explained {
    let message = format!(
        "what is delivered to {shown} would be applied by Kustomization {other}, which is not of this tenant"
    );
    denied(
        message,
        "deliver to a directory that no Kustomization of somebody else builds, nor one around it or in it",
    )
}

fn denied(message: String, hint: impl Into<String>) -> Explained {
    // Whoever has it may mend it, which wakes nobody here.
    Explained::new(Reason::AccessDenied, Turn::Retry, message).with_hint(hint)
}
