//! The hooks that run when a Kustomization was deleted, and what it had applied with it.
//!
//! The status says whether there are any: where there are none nothing is built. They are built from what the source has in
//! store then, judged like everything else, and begun once whatever is in git by the time that they end. Each run looks how far
//! they are and ends; nobody waits.

use std::sync::Arc;

use kube::ResourceExt as _;
use reeve_api::kustomization::{Kustomization, SyncStatus};
use reeve_core::failure::{Explained, Turn};
use reeve_core::inventory::Inventory;
use reeve_core::plan::{Phase, Plan};
use reeve_core::sync;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::super::walk::Walk;
use super::super::{Asked, Prepared, Wanted, abroad, build, caution, judge, read, transformed};
use crate::cluster::Until;
use crate::context::Context;
use crate::controller::report::Run;
use crate::places::Room;

/// Those of them that may be on the cluster: they are not deleted with what was applied.
pub(super) fn begun(object: &Kustomization) -> Inventory {
    sync::begun_in(told(object), Phase::PostDelete)
}

/// Whether it may go another way at the next try.
pub(super) fn may_pass(why: &Explained) -> bool {
    matches!(why.turn, Turn::Ours | Turn::Source | Turn::Dependency)
}

/// Has them run as far as that goes now; whether they have all ended.
pub(super) async fn run(
    ctx: &Arc<Context>,
    object: &Arc<Kustomization>,
    run: &Arc<Run>,
) -> Result<bool, Explained> {
    if !told(object).is_some_and(|sync| sync.on_deletion) {
        return Ok(true);
    }
    let Some(asked) = read(ctx, object).await? else {
        return Ok(true);
    };
    if !asked.spec.prunes_on_deletion() {
        return Ok(true);
    }
    let asked = Asked {
        inventory: begun(object),
        ..asked
    };
    let wanted = abroad::reach(ctx, object, asked, &CancellationToken::new()).await?;
    if wanted.left.is_some() {
        // They began on another cluster, and nobody looks there any more.
        return Ok(true);
    }
    let until = Until::from(Instant::now() + wanted.spec.timeout);
    let came = part(ctx, object, &wanted, &until, run).await;
    came.map_err(|why| wanted.veil().over(why))
}

async fn part(
    ctx: &Arc<Context>,
    object: &Arc<Kustomization>,
    wanted: &Wanted,
    until: &Until,
    run: &Arc<Run>,
) -> Result<bool, Explained> {
    let prepared = prepare(ctx, object, wanted, until).await?;
    let walk = Walk::new(ctx, object, wanted, &prepared, until, run);
    walk.part().await
}

async fn prepare(
    ctx: &Arc<Context>,
    object: &Kustomization,
    wanted: &Wanted,
    until: &Until,
) -> Result<Prepared, Explained> {
    let room = Room::of_a_run();
    let bundle = build::again(ctx, wanted, &room, until.deadline).await?;
    let bundle = transformed(ctx, wanted, &room, None, bundle).await?;
    let digest = bundle.digest().to_string();
    let scopes = wanted.client.scopes().await;
    let proposed = Plan::propose(bundle, &scopes, &Inventory::default(), &wanted.spec);
    let proposed = proposed.map_err(|why| Explained::of(&why))?;
    let proposed = proposed.after_deletion(&object.uid().unwrap_or_default());
    let (tenant, spec, veil) = (&wanted.tenant, &wanted.spec, wanted.veil());
    let plan = judge::plan(ctx, object, tenant, spec, proposed, None, veil).await?;
    Ok(Prepared {
        plan,
        digest,
        remote_bases: Vec::new(),
        from: caution::origin(object, wanted),
        hold: None,
        former: None,
    })
}

fn told(object: &Kustomization) -> Option<&SyncStatus> {
    object.status.as_ref()?.sync.as_ref()
}
