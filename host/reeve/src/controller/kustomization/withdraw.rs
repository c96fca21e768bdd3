//! A Kustomization goes, and what it applied goes before it.
//!
//! As the tenant, and only after policy has seen what would be deleted, like any other write. Where nothing can be
//! deleted any more (the account is gone, or the whole namespace is on its way out and takes the objects with it) the
//! object is let go, and an event says what stays behind: a Kustomization must not hold up its namespace for ever. So is one
//! that policy denies or nobody can read: a denied spec has no account to act as, and must still be possible to delete.

use std::sync::Arc;

use reeve_api::kustomization::Kustomization;
use reeve_core::failure::Explained;
use reeve_core::inventory::Inventory;
use reeve_core::plan::Plan;
use reeve_core::schedule::Next;
use reeve_core::spec::{self, Spec};
use reeve_core::status::{Change, Failed, KustomizationOutcome};
use tokio::time::Instant;

use super::record::changes;
use super::{entries, judge};
use crate::context::Context;
use crate::controller::report::{self, Run};

/// One run of an object that is being deleted.
pub(super) async fn reconcile(ctx: &Arc<Context>, object: &Arc<Kustomization>, run: &Run) -> Next {
    if !report::is_adopted(&**object) {
        return Next::Watch;
    }
    // Everything goes: what cannot be read of the inventory does not keep the rest.
    let (inventory, unreadable) = Inventory::readable(entries(object));
    match withdraw(ctx, object, inventory).await {
        Ok(pruned) => {
            report::unreadable(ctx, object, &unreadable);
            let outcome = KustomizationOutcome::Withdrawn { pruned };
            let _last = report::kustomization(ctx, object, run, outcome).await;
            report::farewell(ctx, &**object).await
        }
        Err((why, left)) => {
            if why.turn.stalls() || ctx.cluster.is_beyond_reach(object).await {
                report::orphaned(ctx, object, &why, &left);
                return report::farewell(ctx, &**object).await;
            }
            let took = run.took(ctx);
            let failed = Failed {
                inventory: Some(left),
                ..Failed::early(why, took)
            };
            report::kustomization(ctx, object, run, KustomizationOutcome::Failed(failed)).await
        }
    }
}

/// Deletes what there is, if it should be; else says why not and what is left.
async fn withdraw(
    ctx: &Arc<Context>,
    object: &Kustomization,
    inventory: Inventory,
) -> Result<Vec<Change>, (Explained, Inventory)> {
    let left = |why| (why, inventory.clone());
    if inventory.is_empty() {
        return Ok(Vec::new());
    }
    let object = &spec::to_withdraw(object);
    let spec = Spec::parse(object).map_err(|why| left(Explained::of(&why)))?;
    if !spec.prunes_on_deletion() {
        return Ok(Vec::new());
    }
    let namespace = spec.id.namespace.clone();
    let tenant = ctx.index.read(|known| known.tenants.owner_of(&namespace));
    let spec = judge::spec(ctx, object, &tenant, spec).map_err(left)?;
    let proposed = Plan::withdraw(&inventory);
    let plan = judge::plan(ctx, object, &tenant, &spec, proposed, None).await;
    let plan = plan.map_err(left)?;
    let deadline = Instant::now() + spec.timeout;
    let pruned = ctx.cluster.as_tenant(&spec).prune(&plan, deadline).await;
    pruned
        .map(|pruned| changes(&pruned.done.entries))
        .map_err(|why| (Explained::of(&why), why.left().clone()))
}
