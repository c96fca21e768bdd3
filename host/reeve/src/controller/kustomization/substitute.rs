//! The variables of a Kustomization, read, and put into what was built.
//!
//! Read as the very account that applies it: Flux reads them with its own rights, and whoever may make a Kustomization
//! reads every Secret beside it. They are read at each run. Of those that come from Secrets `cover` remembers what must
//! not be told, and nothing else is kept. What is only looked at is told to others: into that no value of a Secret is put at all.
//! What is put where is `core::substitute`'s.

use reeve_api::reason::Reason;
use reeve_core::bundle::{Bundle, Rendered};
use reeve_core::failure::{Explained, Turn};
use reeve_core::substitute;
use reeve_core::veil::Veil;
use tokio::time::Instant;

use super::{Wanted, cover};
use crate::cluster::SecretOwner;
use crate::context::Context;
use crate::variables::{self, Secrets, refused};

/// What was built, with its variables put in.
pub(super) async fn variables(
    ctx: &Context,
    wanted: &Wanted,
    bundle: Bundle<Rendered>,
    deadline: Instant,
) -> Result<Bundle<Rendered>, Explained> {
    let spec = &wanted.spec;
    let owner = SecretOwner::account_of(spec);
    if spec.substitution.is_none() {
        // What was applied before may hold what must not be told.
        cover::built(ctx, wanted, bundle.secret().clone());
        return Ok(bundle);
    }
    let secrets = match wanted.cover.is_aside() {
        true => Secrets::Hidden,
        false => Secrets::Read,
    };
    let reading = variables::read(&ctx.cluster, &owner, spec, secrets);
    let (variables, veil) = tokio::time::timeout_at(deadline, reading)
        .await
        .map_err(|_| late())??;
    let always = spec.substitution.always;
    let veil = veil.and(bundle.secret());
    // It computes, as a build does.
    let work = move || substitute::substitute(bundle, &variables, always);
    let done = tokio::task::spawn_blocking(work).await;
    let done = done
        .map_err(|_| crashed())
        .and_then(|done| done.map_err(|why| Explained::of(&why)));
    let made = done
        .as_ref()
        .map_or_else(|_| Veil::default(), |done| done.secret.clone());
    cover::built(ctx, wanted, veil.and(&made));
    let done = done?;
    wanted.cover.touch(done.touched);
    Ok(done.bundle)
}

fn late() -> Explained {
    refused(
        Turn::Retry,
        "reading it took longer than spec.timeout".to_owned(),
    )
}

fn crashed() -> Explained {
    let message = "putting variables in crashed; this is a fault of reeve's, the log has where";
    Explained::new(Reason::BuildFailed, Turn::NextRevision, message)
}
