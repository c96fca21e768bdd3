//! Deleting that waits for somebody to say yes: asked before anything is written, and kept to when it is time to delete.
//!
//! What waits is `core::caution`'s to say.

use reeve_api::kustomization::Kustomization;
use reeve_core::adoption;
use reeve_core::caution::{self, Origins, Verdict};
use reeve_core::failure::Explained;
use reeve_core::inventory::Inventory;
use reeve_core::ownership::Unheard;
use reeve_core::plan::{Admitted, Plan};

use super::walk::explained;
use super::{Prepared, Wanted, abroad};
use crate::cluster::{Applied, PruneError, Pruned, TenantClient, Until};
use crate::context::Context;

/// Where the manifests come from. Where nobody can say it for now, they come from where they came from.
pub(super) fn origin(object: &Kustomization, wanted: &Wanted) -> String {
    let fetched = &wanted.stored.wanted;
    let status = object.status.as_ref();
    let before = status.and_then(|status| status.last_applied_from.as_ref());
    match before.filter(|_| fetched.url.is_empty()) {
        Some(before) => before.clone(),
        None => caution::origin(&wanted.spec, &fetched.url, fetched.place.as_deref()),
    }
}

/// Why deleting waits, if it does; `unheard` may want what is deleted. An error: everything waits.
pub(super) fn judge(
    object: &Kustomization,
    wanted: &Wanted,
    plan: &Plan<Admitted>,
    from: &str,
    unheard: &[Unheard],
) -> Result<Option<Explained>, Explained> {
    if wanted.place.is_some() {
        // What is delivered deletes nothing.
        return Ok(None);
    }
    let status = object.status.as_ref();
    let applied = status.and_then(|status| status.last_applied_revision.as_deref());
    let caution = &wanted.spec.caution;
    if let Some(left) = &wanted.left {
        let to = wanted.client.cluster();
        return match caution.judge_move(left, to, applied, plan) {
            Verdict::Go => Ok(None),
            Verdict::KeepAll(why) | Verdict::Wait(why) => Err(why),
        };
    }
    let origins = Origins {
        before: status.and_then(|status| status.last_applied_from.as_deref()),
        now: from,
        applied,
    };
    match caution.judge(origins, unheard, &wanted.inventory, plan) {
        Verdict::Go => Ok(None),
        Verdict::KeepAll(why) => Ok(Some(why)),
        Verdict::Wait(why) => Err(why),
    }
}

/// Why nothing is written: what would be taken over is to be told first, or what is to be deleted may not be.
pub(super) async fn refusal(
    ctx: &Context,
    wanted: &Wanted,
    prepared: &Prepared,
    until: &Until,
) -> Option<Explained> {
    match adoption(wanted, &prepared.plan, until).await {
        None => undeletable(ctx, wanted, prepared, until).await,
        told => told,
    }
}

/// Where what would be taken over is to be told first.
async fn adoption(wanted: &Wanted, plan: &Plan<Admitted>, until: &Until) -> Option<Explained> {
    if !wanted.spec.reports_adoption {
        return None;
    }
    match wanted.client.survey(plan, until).await {
        Ok(foreign) if foreign.is_empty() => None,
        Ok(foreign) => Some(adoption::report(&foreign)),
        Err(why) => Some(abroad::placed(&wanted.client, Explained::of(&why))),
    }
}

/// Why what is to be deleted may not be. Not what is on hold.
async fn undeletable(
    ctx: &Context,
    wanted: &Wanted,
    prepared: &Prepared,
    until: &Until,
) -> Option<Explained> {
    if prepared.hold.is_some() || prepared.plan.prune().is_empty() {
        return None;
    }
    let client = &wanted.client;
    let tried = client.rehearse_prune(&prepared.plan, until.clone()).await;
    let why = tried.err()?;
    Some(explained(ctx, wanted, &why, why.failures()).await)
}

/// Prunes, unless that is on hold.
pub(super) async fn prune(
    client: &TenantClient,
    prepared: &Prepared,
    until: Until,
) -> Result<Pruned, PruneError> {
    let Some(why) = &prepared.hold else {
        return client.prune(&prepared.plan, until).await;
    };
    let left: Inventory = prepared.plan.prune().iter().cloned().collect();
    Err(PruneError::Held {
        why: why.clone(),
        done: Applied::default(),
        left,
    })
}
