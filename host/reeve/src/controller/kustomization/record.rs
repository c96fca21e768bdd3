//! What a run is about to leave on the cluster, written down before it does.
//!
//! A process killed between two writes then orphans nothing: the next run finds every object that may be there in the
//! inventory. When nothing new comes, nothing is written.

use std::sync::{Arc, Mutex, PoisonError};

use reeve_api::kustomization::Kustomization;
use reeve_core::drift::Sight;
use reeve_core::failure::Explained;
use reeve_core::inventory::{Inventory, ObjectId};
use reeve_core::plan::Planned;
use reeve_core::status::{Action, Change};

use super::drift::Observer;
use super::{Prepared, Wanted};
use crate::cluster::{Difference, Progress, Witness};
use crate::context::Context;
use crate::controller::report::{self, Run};

/// Records inventories on a Kustomization.
pub(super) struct Recorder {
    ctx: Arc<Context>,
    object: Arc<Kustomization>,
    run: Arc<Run>,
    before: Inventory,
    recorded: Mutex<Inventory>,
    observer: Observer,
}

impl Recorder {
    pub(super) fn new(
        ctx: &Arc<Context>,
        object: &Arc<Kustomization>,
        run: &Arc<Run>,
        wanted: &Wanted,
        prepared: &Prepared,
    ) -> Self {
        let observer = Observer::new(ctx, object, wanted, prepared);
        let (ctx, object, run) = (Arc::clone(ctx), Arc::clone(object), Arc::clone(run));
        Self {
            ctx,
            object,
            run,
            before: wanted.inventory.clone(),
            recorded: Mutex::default(),
            observer,
        }
    }

    /// Tells what was found that others have changed, and stays so.
    pub(super) fn tell(&self) {
        self.observer.tell();
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

    fn stands(&self, object: &Planned, sight: Sight) {
        self.observer.stands(object, sight);
    }

    fn leaves(&self, object: &Planned, difference: &Difference) -> bool {
        self.observer.leaves(object, difference)
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
