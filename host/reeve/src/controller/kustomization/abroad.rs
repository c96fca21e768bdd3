//! The cluster that a Kustomization is carried out on: its own, or that of its kubeconfig, once that answers.
//!
//! What the last run left on another cluster is not this run's to compare or to delete: whether it may be left there is
//! `core::caution`'s to say.

use reeve_api::kustomization::Kustomization;
use reeve_api::reason::Reason;
use reeve_core::admit::AdmittedSpec;
use reeve_core::caution::Left;
use reeve_core::drift::Place;
use reeve_core::failure::{Explain as _, Explained, Turn};
use reeve_core::index::Target;
use tokio_util::sync::CancellationToken;

use super::{Asked, Stopped, Wanted};
use crate::cluster::{SecretOwner, TenantClient};
use crate::context::Context;
use crate::variables;

/// Reaches the cluster of what is asked for.
pub(super) async fn reach(
    ctx: &Context,
    object: &Kustomization,
    asked: Asked,
    over: &CancellationToken,
) -> Result<Wanted, Explained> {
    if asked.place.is_some() {
        // What it had applied is nobody's to mend any more.
        ctx.drift
            .forget(&Target::Kustomization(asked.spec.id.clone()));
    }
    watch(ctx, &asked.spec);
    let client = tokio::select! {
        biased;
        () = over.cancelled() => return Err(Stopped::superseded().why),
        client = ctx.cluster.as_tenant(&asked.spec) => client.map_err(|why| Explained::of(&why))?,
    };
    let (inventory, left) = Left::part(asked.inventory, recorded(object), client.cluster());
    Ok(Wanted {
        spec: asked.spec,
        tenant: asked.tenant,
        stored: asked.stored,
        inventory,
        client,
        left,
        cover: Default::default(),
        place: asked.place,
    })
}

/// The Secrets and ConfigMaps that it names are watched as whom they are read, if they say that they are to wake who names
/// them: also the one for want of which it cannot go on.
fn watch(ctx: &Context, spec: &AdmittedSpec) {
    let owner = SecretOwner::account_of(spec);
    let (account, namespace) = (owner.account(), owner.namespace().as_str());
    let from = spec.substitution.from.iter().map(variables::kind);
    let kinds = from.chain(spec.kube_config.iter().map(|_| "Secret"));
    let places = kinds.map(|kind| Place::of_named(account.as_deref(), namespace, kind));
    let target = Target::Kustomization(spec.id.clone());
    ctx.drift.names(target, places.collect());
}

/// The same for what is being deleted, whose objects are on the cluster `before`. What cannot be reached any more, whatever
/// is tried, is left.
pub(super) async fn reach_again(
    ctx: &Context,
    before: Option<&str>,
    spec: &AdmittedSpec,
) -> Result<TenantClient, Explained> {
    let client = ctx.cluster.as_tenant(spec).await.map_err(|why| Explained {
        turn: match why.is_for_good() {
            true => Turn::Owner,
            false => why.turn(),
        },
        ..Explained::of(&why)
            .with_hint("suspend it, or set spec.deletionPolicy to Orphan, to leave what is there")
    })?;
    if before == client.cluster() {
        return Ok(client);
    }
    let at = before.unwrap_or("the address of this cluster");
    let message = format!("what it applied is on the cluster at {at}, which it no longer names");
    Err(Explained::new(Reason::PruneFailed, Turn::Owner, message))
}

/// On which cluster the inventory of the last run is.
pub(super) fn recorded(object: &Kustomization) -> Option<&str> {
    object.status.as_ref()?.inventory_cluster.as_deref()
}

/// A failure on another cluster says on which.
pub(super) fn placed(client: &TenantClient, why: Explained) -> Explained {
    match client.cluster() {
        Some(at) => Explained {
            message: format!("on the cluster at {at}: {}", why.message),
            ..why
        },
        None => why,
    }
}
