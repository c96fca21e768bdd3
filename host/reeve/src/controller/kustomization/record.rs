//! What a run is about to leave on the cluster, looked ahead at and written down before it does.
//!
//! Nothing is written where a later stage would be refused for lack of a right. A process killed between two writes then orphans nothing: the next run finds every object that may be there in the
//! inventory. When nothing new comes, nothing is written.

use std::sync::{Arc, Mutex, PoisonError};

use reeve_api::kustomization::Kustomization;
use reeve_core::drift::Sight;
use reeve_core::failure::Explained;
use reeve_core::inventory::{Inventory, ObjectId};
use reeve_core::plan::{Admitted, Plan, Planned};
use reeve_core::status::{Action, Change};

use super::drift::Observer;
use super::{Prepared, Wanted};
use crate::cluster::{Difference, Progress, TenantClient, Witness};
use crate::context::Context;
use crate::controller::report::{self, Run};

/// Records inventories on a Kustomization.
pub(super) struct Recorder<'r> {
    ctx: Arc<Context>,
    object: Arc<Kustomization>,
    run: Arc<Run>,
    before: Inventory,
    recorded: Mutex<Inventory>,
    observer: Observer,
    ahead: (&'r TenantClient, &'r Plan<Admitted>),
}

impl<'r> Recorder<'r> {
    /// Of a run that is about to apply this plan.
    pub(super) fn new(
        ctx: &Arc<Context>,
        object: &Arc<Kustomization>,
        run: &Arc<Run>,
        wanted: &Wanted,
        prepared: &'r Prepared,
        client: &'r TenantClient,
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
            ahead: (client, &prepared.plan),
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

impl Witness for Recorder<'_> {
    async fn before_first_write(&self, inventory: &Inventory) -> Result<(), Explained> {
        let (client, plan) = self.ahead;
        client.foresee(plan).await?;
        let all = self.before.union(inventory);
        if !all.minus(&self.before).is_empty() {
            let recorded = report::record(&self.ctx, &self.object, &self.run, &all).await;
            recorded.map_err(|why| Explained {
                message: format!("recording the inventory before the first write failed: {why}"),
                ..why
            })?;
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
