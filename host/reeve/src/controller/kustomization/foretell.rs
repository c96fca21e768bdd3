//! What a Kustomization would hold that waits for another.
//!
//! It is built and planned all the same, once in each state, and nothing is written: whoever gives up an object for it would
//! otherwise delete that before this one has said that it wants it, and often is who it waits for. What cannot be built is not
//! known, which `ownership` tells from what is. Nothing that goes wrong here is told: that it waits is.

use std::sync::Arc;

use reeve_api::kustomization::Kustomization;
use reeve_core::plan::Plan;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{Asked, Wanted, abroad, build, ownership, transformed};
use crate::context::Context;
use crate::places::Room;

/// Says what it would hold, if that is not known of it as it is now.
pub(super) async fn foretell(
    ctx: &Arc<Context>,
    object: &Kustomization,
    asked: Asked,
    over: &CancellationToken,
) {
    if asked.place.is_some() || ownership::has_said(ctx, &asked.spec.id, object) {
        return;
    }
    let Ok(wanted) = abroad::reach(ctx, object, asked, over).await else {
        return;
    };
    let planned = async {
        let deadline = Instant::now() + wanted.spec.timeout;
        let planned = tokio::time::timeout_at(deadline, plan(ctx, object, &wanted, deadline));
        planned.await.ok().flatten()
    };
    tokio::select! {
        biased;
        () = over.cancelled() => {}
        _said = planned => {}
    }
}

async fn plan(
    ctx: &Arc<Context>,
    object: &Kustomization,
    wanted: &Wanted,
    deadline: Instant,
) -> Option<()> {
    let room = Room::of_a_run();
    let built = build::build(ctx, wanted, &room, deadline).await.ok()?;
    let transformed = transformed(ctx, wanted, &room, None, built.bundle).await;
    let scopes = wanted.client.scopes().await;
    let proposed = Plan::propose(transformed.ok()?, &scopes, &wanted.inventory, &wanted.spec);
    ownership::say(ctx, object, wanted, &proposed.ok()?);
    Some(())
}
