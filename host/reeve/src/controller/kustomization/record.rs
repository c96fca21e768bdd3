//! What a run is about to leave on the cluster, written down before it does.
//!
//! A process killed between two writes then orphans nothing: the next run finds every object that may be there in the
//! inventory. When nothing new comes, nothing is written.

use std::sync::{Arc, Mutex, PoisonError};

use reeve_api::kustomization::Kustomization;
use reeve_core::failure::Explained;
use reeve_core::inventory::{Inventory, ObjectId};
use reeve_core::status::{Action, Change};

use crate::cluster::{Progress, Witness};
use crate::context::Context;
use crate::controller::report::{self, Run};

/// Records inventories on a Kustomization.
pub(super) struct Recorder {
    ctx: Arc<Context>,
    object: Arc<Kustomization>,
    run: Arc<Run>,
    before: Inventory,
    recorded: Mutex<Inventory>,
}

impl Recorder {
    pub(super) fn new(
        ctx: &Arc<Context>,
        object: &Arc<Kustomization>,
        run: &Arc<Run>,
        before: Inventory,
    ) -> Self {
        let (ctx, object, run) = (Arc::clone(ctx), Arc::clone(object), Arc::clone(run));
        Self {
            ctx,
            object,
            run,
            before,
            recorded: Mutex::default(),
        }
    }

    /// What was recorded; empty if nothing was written.
    pub(super) fn inventory(&self) -> Inventory {
        self.recorded
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl Witness for Recorder {
    async fn before_first_write(&self, inventory: &Inventory) -> Result<(), Explained> {
        let all = self.before.union(inventory);
        if !all.minus(&self.before).is_empty() {
            report::record(&self.ctx, &self.object, &self.run, &all).await?;
        }
        *self.recorded.lock().unwrap_or_else(PoisonError::into_inner) = all;
        Ok(())
    }

    fn progress(&self, progress: Progress) {
        tracing::debug!(?progress, "applying");
    }
}

/// The lines of a change set.
pub(super) fn changes(entries: &[(ObjectId, Action)]) -> Vec<Change> {
    let change = |(id, action): &(ObjectId, Action)| Change {
        id: id.clone(),
        action: *action,
    };
    entries.iter().map(change).collect()
}
