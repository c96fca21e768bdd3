//! What a run is about to leave on the cluster, looked ahead at and written down before it does.
//!
//! Nothing is written where a later stage would be refused for lack of a right. A process killed between two writes then
//! orphans nothing: the next run finds every object that may be there in the inventory, and every hook that may have run in the
//! state of the sync. When nothing new comes, nothing is written.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Instant;

use reeve_api::kustomization::{Kustomization, SyncStatus};
use reeve_core::admit::{Altered, Sent};
use reeve_core::bundle::{Bundle, Rendered};
use reeve_core::drift::{Sight, Stood, Untouched};
use reeve_core::failure::Explained;
use reeve_core::inventory::{Inventory, ObjectId};
use reeve_core::plan::{self, Admitted, Place, Plan, Planned};
use reeve_core::status::{Action, Change};
use reeve_core::veil::Veil;

use super::drift::Observer;
use super::{Prepared, Wanted, abroad, judge};
use crate::cluster::{Applied, Difference, Former, Progress, Witness};
use crate::context::Context;
use crate::controller::report::{self, Placed, Run};
use crate::observe::span;
use crate::renders::Packed;

/// Records inventories on a Kustomization.
pub(super) struct Recorder<'r> {
    ctx: Arc<Context>,
    object: Arc<Kustomization>,
    run: Arc<Run>,
    wanted: &'r Wanted,
    recorded: Mutex<Recorded>,
    observer: Observer,
    plan: &'r Plan<Admitted>,
    /// The hooks that may have to be deleted.
    leavers: Vec<&'r Planned>,
    /// What was built before, and read when it is first asked for.
    former: Option<&'r Packed>,
    read: OnceLock<Option<Bundle<Rendered>>>,
    /// Whether it was looked ahead at, which is worth the trouble once.
    foreseen: AtomicBool,
    /// What is being done, where anybody is told of it.
    steps: Option<Mutex<Steps>>,
}

/// What a run does in a wave, one thing after the other.
#[derive(Default)]
struct Steps {
    place: Option<Place>,
    now: Option<(&'static str, usize, Instant)>,
}

impl Steps {
    /// What was done is over, and something else begins.
    fn turn(&mut self, failed: bool, next: Option<(&'static str, usize)>) {
        if let Some((name, objects, begun)) = self.now.take() {
            let place = self.place;
            span::inside(name, begun.elapsed(), failed, || {
                let place = place.map(|place| ("wave", place.to_string()));
                let objects = Some(("objects", objects.to_string()));
                place.into_iter().chain(objects).collect()
            });
        }
        self.now = next.map(|(name, objects)| (name, objects, Instant::now()));
    }
}

/// What was written down last.
#[derive(Default, Clone)]
struct Recorded {
    inventory: Inventory,
    /// What it was before the last time.
    former: Inventory,
    sync: Option<SyncStatus>,
}

impl<'r> Recorder<'r> {
    /// Of a run that is about to apply this plan.
    pub(super) fn new(
        ctx: &Arc<Context>,
        object: &Arc<Kustomization>,
        run: &Arc<Run>,
        wanted: &'r Wanted,
        prepared: &'r Prepared,
        leavers: Vec<&'r Planned>,
    ) -> Self {
        let observer = Observer::new(ctx, object, wanted, prepared);
        let (ctx, object, run) = (Arc::clone(ctx), Arc::clone(object), Arc::clone(run));
        Self {
            ctx,
            object,
            run,
            wanted,
            recorded: Mutex::default(),
            observer,
            plan: &prepared.plan,
            leavers,
            former: prepared.former.as_deref(),
            read: OnceLock::new(),
            foreseen: AtomicBool::new(false),
            steps: span::branch().map(|_| Mutex::default()),
        }
    }

    /// This wave begins.
    pub(super) fn at(&self, place: Place) {
        self.step(|steps| steps.place = Some(place));
    }

    /// It is over, or has failed.
    pub(super) fn over(&self, failed: bool) {
        self.step(|steps| steps.turn(failed, None));
    }

    fn step(&self, change: impl FnOnce(&mut Steps)) {
        if let Some(steps) = &self.steps {
            change(&mut steps.lock().unwrap_or_else(PoisonError::into_inner));
        }
    }

    /// Tells what was found that others have changed, and stays so.
    pub(super) fn tell(&self) {
        self.observer.tell();
    }

    /// What was recorded; empty if nothing was written.
    pub(super) fn inventory(&self) -> Inventory {
        self.recorded().inventory.clone()
    }

    /// Says no where a later stage, a hook or the deletion of one would be refused for lack of a right. The first stage is only
    /// looked ahead at if nothing has shown that yet.
    pub(super) async fn foresee(&self, is_shown: bool) -> Result<(), Explained> {
        if self.foreseen.swap(true, Ordering::Relaxed) {
            return Ok(());
        }
        let client = &self.wanted.client;
        let foreseen = client.foresee(self.plan, is_shown, &self.leavers).await;
        foreseen.map_err(|why| abroad::placed(client, why))
    }

    /// Writes down how far a sync is, and that these may be there too.
    pub(super) async fn sync(
        &self,
        sync: SyncStatus,
        inventory: &Inventory,
    ) -> Result<(), Explained> {
        let all = self
            .wanted
            .inventory
            .union(&self.inventory())
            .union(inventory);
        let told = Some(sync);
        self.write(&all, told.clone()).await?;
        *self.recorded() = Recorded {
            former: all.clone(),
            inventory: all,
            sync: told,
        };
        Ok(())
    }

    async fn write(&self, all: &Inventory, sync: Option<SyncStatus>) -> Result<(), Explained> {
        let cluster = self.wanted.client.cluster();
        let replacing = self.wanted.client.replaced();
        let left = Placed {
            cluster,
            all,
            replacing,
        };
        let recorded = report::record(&self.ctx, &self.object, &self.run, left, sync).await;
        recorded.map_err(|why| Explained {
            message: format!("recording the inventory before the first write failed: {why}"),
            ..why
        })
    }

    /// What was built before, if that is still kept.
    fn before(&self) -> Option<&Bundle<Rendered>> {
        let read = || self.former.and_then(Packed::bundle);
        self.read.get_or_init(read).as_ref()
    }

    fn recorded(&self) -> MutexGuard<'_, Recorded> {
        self.recorded.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Witness for Recorder<'_> {
    async fn before_first_write(&self, inventory: &Inventory) -> Result<(), Explained> {
        self.foresee(true).await?;
        let Recorded {
            inventory: former,
            sync,
            ..
        } = self.recorded().clone();
        let known = self.wanted.inventory.union(&former);
        let all = known.union(inventory);
        if !all.minus(&known).is_empty() {
            self.write(&all, sync).await?;
        }
        let mut recorded = self.recorded();
        (recorded.inventory, recorded.former) = (all, former);
        Ok(())
    }

    async fn before_replacing(&self, inventory: &Inventory) -> Result<(), Explained> {
        let Recorded {
            inventory: former,
            sync,
            ..
        } = self.recorded().clone();
        let all = self.wanted.inventory.union(&former).union(inventory);
        self.write(&all, sync).await
    }

    fn nothing_written(&self) {
        let mut recorded = self.recorded();
        recorded.inventory = recorded.former.clone();
    }

    async fn judge_kept(&self, kept: BTreeMap<ObjectId, Sent>) -> Result<Altered, Explained> {
        judge::altered(&self.ctx, &self.object, self.wanted, self.plan, kept).await
    }

    fn progress(&self, progress: Progress) {
        tracing::debug!(?progress, "applying");
        let next = match progress {
            Progress::Comparing { objects } => ("dry-run", objects),
            Progress::Writing { objects } => ("apply", objects),
            Progress::Waiting { subjects } => ("settle", subjects.len()),
        };
        self.step(|steps| steps.turn(false, Some(next)));
    }

    fn stands(&self, object: &Planned, sight: Sight) {
        self.observer.stands(object, sight);
    }

    fn replaces(&self, object: &Planned) {
        self.observer.replaces(object);
    }

    fn stood(&self, object: &Planned) -> Option<Stood> {
        self.observer.stood(object)
    }

    fn is_new(&self, object: &Planned) -> bool {
        !self.wanted.inventory.contains(object.id())
    }

    fn is_changed(&self, object: &Planned) -> bool {
        self.observer.is_changed(object)
    }

    fn former(&self, object: &Planned) -> Option<Former> {
        let Untouched { sight, wanted } = self.observer.untouched(object)?;
        let manifest = plan::former(self.before()?, object.id(), wanted, &self.wanted.spec)?;
        Some(Former { sight, manifest })
    }

    fn leaves(&self, object: &Planned, difference: &Difference) -> bool {
        self.observer.leaves(object, difference)
    }
}

/// The lines of a change set.
pub(super) fn changes(done: &Applied, veil: &Veil) -> Vec<Change> {
    let fields = |id: &ObjectId| {
        let fields = done.fields.get(id).into_iter().flatten();
        // A variable may stand in a key.
        fields.map(|field| veil.cover(field.clone())).collect()
    };
    let change = |(id, action): &(ObjectId, Action)| Change {
        id: id.clone(),
        action: *action,
        fields: fields(id),
    };
    done.entries.iter().map(change).collect()
}
