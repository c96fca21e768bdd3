//! What policy has let pass becomes objects: applied, pruned, remembered, and looked at.
//!
//! As the tenant, through `walk`. Whether anything is written at all `caution` is asked first. What it deliberately doesn't:
//! deliver to git; `commit` does, in its place.

use std::sync::Arc;

use reeve_api::kustomization::Kustomization;
use reeve_core::status::{Failed, KustomizationOutcome, KustomizationProgress};

use super::walk::{self, Walked};
use super::{Prepared, Wanted, caution, health, recall};
use crate::cluster::Until;
use crate::context::Context;
use crate::controller::report::{Announced, Run};
use crate::observe::Stage;

/// Applies what is wanted and prunes what no longer is, keeps what has been applied by then, and looks how healthy it is.
pub(super) async fn apply(
    ctx: &Arc<Context>,
    object: &Arc<Kustomization>,
    wanted: &Wanted,
    prepared: Prepared,
    until: &Until,
    run: &Arc<Run>,
    progress: &Announced<KustomizationProgress>,
) -> Result<KustomizationOutcome, Box<Failed>> {
    let plan = &prepared.plan;
    if let Some(why) = caution::refusal(ctx, wanted, &prepared, until).await {
        return Err(Box::new(Failed {
            attempted: Some(wanted.stored.artifact.revision.to_string()),
            digest: Some(prepared.digest.clone()),
            ..Failed::early(why, run.took(ctx))
        }));
    }
    let mut stages = ctx.metrics.stages();
    let walked = walk::walk(ctx, object, wanted, &prepared, until, run).await;
    stages.end(Stage::Apply);
    match walked {
        Ok(Walked::Through(mut done)) => {
            done.recollected = recall::applied(ctx, object, wanted, plan, &done).await;
            progress.at(KustomizationProgress::CheckingHealth);
            health::settle(ctx, object, wanted, plan, done, until, run).await
        }
        Ok(Walked::Waits(pause, mut done)) => {
            done.recollected = recall::applied(ctx, object, wanted, plan, &done).await;
            let waits = health::wait(ctx, object, wanted, pause, done);
            Ok(KustomizationOutcome::Settling(waits))
        }
        Err(mut failed) => {
            if let Some(inventory) = &failed.inventory {
                let kept = recall::keep(ctx, object, wanted, plan, &failed.changes, inventory);
                failed.recollected = kept.await;
            }
            Err(failed)
        }
    }
}
