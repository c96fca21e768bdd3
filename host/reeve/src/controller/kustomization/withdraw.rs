//! A Kustomization goes, and what it applied goes before it.
//!
//! As the tenant, and only after policy has seen what would be deleted, like any other write. Where nothing can be
//! deleted any more (the account is gone, or the whole namespace is on its way out and takes the objects with it) the
//! object is let go, and an event says what stays behind: a Kustomization must not hold up its namespace for ever. So is one
//! that policy denies or nobody can read: a denied spec has no account to act as, and must still be possible to delete.
//!
//! When what it applied was deleted, the hooks run that are there for that (`last`); they too are waited for until
//! `spec.timeout` has passed.
//!
//! With `deletionPolicy: WaitForTermination` it stays until all is really gone, or `spec.timeout` has passed; it is looked at
//! again and again, and holds no worker meanwhile.

mod last;

use std::sync::Arc;
use std::time::Duration;

use reeve_api::kustomization::{DeletionPolicy, Kustomization};
use reeve_core::failure::Explained;
use reeve_core::health::Check;
use reeve_core::inventory::Inventory;
use reeve_core::plan::Plan;
use reeve_core::schedule::Next;
use reeve_core::spec::{self, Spec};
use reeve_core::status::{Change, Failed, KustomizationOutcome};
use reeve_core::veil::Veil;
use tokio::time::Instant;

use super::record::changes;
use super::{abroad, entries, judge, ownership};
use crate::context::Context;
use crate::controller::report::{self, Run};

/// How soon it is looked at again whether all is gone, and how seldom at last.
const SOONEST: Duration = Duration::from_secs(1);
const LATEST: Duration = Duration::from_secs(30);

/// One run of an object that is being deleted.
pub(super) async fn reconcile(
    ctx: &Arc<Context>,
    object: &Arc<Kustomization>,
    run: &Arc<Run>,
) -> Next {
    if !report::is_adopted(&**object) {
        return Next::Watch;
    }
    // Everything goes: what cannot be read of the inventory does not keep the rest.
    let (inventory, unreadable) = Inventory::readable(entries(object));
    let inventory = inventory.minus(&last::begun(object));
    match withdraw(ctx, object, inventory).await {
        Ok(Withdrawn { pruned, going }) => {
            let outcome = KustomizationOutcome::Withdrawn { pruned };
            let _last = report::kustomization(ctx, object, run, outcome).await;
            if !going.is_empty() {
                if let Some(pause) = pause(ctx, object) {
                    return Next::After(pause);
                }
                report::lingering(ctx, object, &going);
            }
            match last::run(ctx, object, run).await {
                Ok(true) => {}
                Ok(false) => match pause(ctx, object) {
                    Some(pause) => return Next::After(pause),
                    None => report::unparted(ctx, object, "they did not end in time"),
                },
                Err(why) => match pause(ctx, object).filter(|_| last::may_pass(&why)) {
                    Some(pause) => return Next::After(pause),
                    None => report::unparted(ctx, object, &why.message),
                },
            }
            report::unreadable(ctx, object, &unreadable);
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

/// What was deleted, and what of it is waited for since it is still on its way out.
#[derive(Default)]
struct Withdrawn {
    pruned: Vec<Change>,
    going: Inventory,
}

/// How long to wait until it is looked at again what is on its way out: longer and longer. None: no longer.
fn pause(ctx: &Context, object: &Kustomization) -> Option<Duration> {
    let since = object.metadata.deletion_timestamp.as_ref()?;
    let passed = ctx.clock.passed(since.0);
    (passed < spec::timeout(&object.spec)).then(|| (passed / 4).clamp(SOONEST, LATEST))
}

/// Deletes what there is, if it should be; else says why not and what is left.
async fn withdraw(
    ctx: &Arc<Context>,
    object: &Kustomization,
    inventory: Inventory,
) -> Result<Withdrawn, (Explained, Inventory)> {
    let left = |why| (why, inventory.clone());
    if inventory.is_empty() {
        return Ok(Withdrawn::default());
    }
    let cluster = abroad::recorded(object);
    let status = object.status.as_ref();
    let applied = status.and_then(|status| status.last_applied_revision.as_deref());
    let object = &spec::to_withdraw(object);
    let spec = Spec::parse(object).map_err(|why| left(Explained::of(&why)))?;
    if !spec.prunes_on_deletion() {
        return Ok(Withdrawn::default());
    }
    let namespace = spec.id.namespace.clone();
    let tenant = ctx
        .index
        .read(|known| known.tenants.owner_of(&ctx.grounds, &namespace))
        .map_err(left)?;
    let spec = judge::spec(ctx, object, &tenant, spec, None)
        .await
        .map_err(left)?;
    let deadline = Instant::now() + spec.timeout;
    let client = abroad::reach_again(ctx, cluster, &spec).await;
    let client = client.map_err(left)?;
    let waits = spec.deletion_policy == DeletionPolicy::WaitForTermination;
    let (there, mut going) = match waits {
        // What is on its way out already is not deleted, and told, once more.
        true => {
            let checks = inventory.entries().cloned().map(Check::of);
            let looks = client.look(checks.collect(), &deadline.into()).await;
            looks.remaining()
        }
        false => (inventory.clone(), Inventory::default()),
    };
    let proposed = Plan::withdraw(&there);
    let proposed = ownership::part(ctx, &spec, applied, client.cluster(), proposed).await;
    let proposed = proposed.map_err(left)?;
    let plan = judge::plan(ctx, object, &tenant, &spec, proposed, None, Veil::nothing()).await;
    let plan = plan.map_err(left)?;
    let pruned = client.prune(&plan, deadline).await;
    let pruned = pruned.map_err(|why| {
        let told = abroad::placed(&client, Explained::of(&why));
        (told, why.left().union(&going))
    })?;
    let pruned = changes(&pruned.done, Veil::nothing());
    if waits {
        let deleted = |id| {
            pruned
                .iter()
                .any(|one| one.id == id && one.action.is_change())
        };
        let just = there.entries().filter(|entry| deleted(entry.id.clone()));
        just.for_each(|entry| going.insert(entry.clone()));
    }
    Ok(Withdrawn { pruned, going })
}
