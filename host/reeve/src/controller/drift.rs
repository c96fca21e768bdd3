//! What others change of what was applied: who is woken by it, and what runs leave behind to tell it by.
//!
//! Runs write into the ledger, watches (`drift/keep`) read to it what they see. Whom to wake is `core::drift`'s to say; what
//! is different, and whether it is put right or told, is found out by the run.

mod keep;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use reeve_api::name::NamespacedName;
use reeve_core::drift::{Call, Ledger, Place, Seen, Sight, WatchedKinds};
use reeve_core::index::Target;
use reeve_core::inventory::{Inventory, ObjectId};
use reeve_core::plan::Planned;
use tokio::sync::Notify;

pub(super) use keep::keep;

use super::report;
use crate::context::Context;

/// What is known of what was applied. Its clones are one.
#[derive(Debug, Clone)]
pub(crate) struct Drift(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    ledger: Mutex<Ledger>,
    /// Other places are to be watched, or another pause has begun.
    moved: Notify,
    kinds: WatchedKinds,
    begun: Instant,
}

/// A run of a Kustomization, until it is dropped: then what was seen during it is judged.
pub(super) struct Course<'c> {
    ctx: &'c Context,
    id: &'c NamespacedName,
}

impl Drift {
    /// Nothing is known yet; all of these kinds are watched at once. `now` is when the process began.
    pub(crate) fn new(kinds: WatchedKinds, now: Instant) -> Self {
        Self(Arc::new(Shared {
            ledger: Mutex::default(),
            moved: Notify::new(),
            kinds,
            begun: now,
        }))
    }

    /// Forgets everything: who leads again does not know what happened meanwhile.
    pub(super) fn clear(&self) {
        *self.lock() = Ledger::default();
    }

    /// A run has found an object as it is wanted, or made it so.
    pub(super) fn stands(
        &self,
        ctx: &Context,
        id: &NamespacedName,
        object: &Planned,
        sight: Sight,
    ) {
        let (wanted, now) = (object.digest(), self.now(ctx));
        self.lock().stands(id, object.id(), sight, wanted, now);
    }

    /// A run of `id` applies as this account, for this generation of the spec.
    pub(super) fn acts_as(&self, id: &NamespacedName, account: &str, generation: i64) {
        self.lock().acts_as(id, account, generation);
    }

    /// How an object looks if it was found as it is wanted less than so long ago.
    pub(super) fn stood(
        &self,
        ctx: &Context,
        id: &NamespacedName,
        object: &Planned,
        within: Duration,
    ) -> Option<Sight> {
        let then = self.now(ctx).saturating_sub(within);
        self.lock().stood(id, object.id(), object.digest(), then)
    }

    /// What was wanted last of an object, if that is known.
    pub(super) fn wanted(&self, id: &NamespacedName, object: &ObjectId) -> Option<u64> {
        self.lock().wanted(id, object)
    }

    /// A run leaves an object as others made it. Whether that is news.
    pub(super) fn leaves(
        &self,
        ctx: &Context,
        id: &NamespacedName,
        object: &Planned,
        sight: Sight,
        difference: u64,
    ) -> bool {
        let (wanted, now) = (object.digest(), self.now(ctx));
        self.lock()
            .leaves(id, object.id(), sight, wanted, difference, now)
    }

    /// A run has applied all of it, as this account.
    pub(super) fn holds(&self, id: &NamespacedName, account: &str, inventory: &Inventory) {
        let places = Place::of_applied(&self.0.kinds, account, inventory);
        let moved = self.lock().holds(id, inventory, places);
        self.tell(moved);
    }

    /// `target` names ConfigMaps or Secrets at these places.
    pub(super) fn names(&self, target: Target, places: BTreeSet<Place>) {
        let moved = self.lock().names(target, places);
        self.tell(moved);
    }

    /// `target` is gone, or going.
    pub(super) fn forget(&self, target: &Target) {
        let moved = self.lock().forget(target);
        self.tell(moved);
    }

    /// A run of `id` begins.
    pub(super) fn begin<'c>(ctx: &'c Context, id: &'c NamespacedName) -> Course<'c> {
        ctx.drift.lock().begin(id);
        Course { ctx, id }
    }

    /// A watch has shown an object: who it belongs to is woken if that matters.
    fn saw(ctx: &Context, object: &ObjectId, seen: Seen) {
        let now = ctx.drift.now(ctx);
        let call = ctx.drift.change(|ledger| ledger.saw(object, seen, now));
        answer(ctx, call);
    }

    /// A watch has shown all there are.
    fn listed(
        ctx: &Context,
        place: &Place,
        there: &BTreeSet<(String, String)>,
        version: Option<u64>,
    ) {
        let now = ctx.drift.now(ctx);
        let calls = ctx
            .drift
            .change(|ledger| ledger.listed(place, there, version, now));
        answer(ctx, calls);
    }

    /// Whether another pause has begun by it is told to who waits for their end.
    fn change<T>(&self, change: impl FnOnce(&mut Ledger) -> T) -> T {
        let mut ledger = self.lock();
        let before = ledger.due();
        let done = change(&mut ledger);
        let moved = ledger.due() != before;
        drop(ledger);
        self.tell(moved);
        done
    }

    fn tell(&self, moved: bool) {
        if moved {
            self.0.moved.notify_one();
        }
    }

    fn now(&self, ctx: &Context) -> Duration {
        ctx.clock.instant().saturating_duration_since(self.0.begun)
    }

    fn lock(&self) -> MutexGuard<'_, Ledger> {
        self.0.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Course<'_> {
    fn drop(&mut self) {
        let drift = &self.ctx.drift;
        let now = drift.now(self.ctx);
        let call = drift.change(|ledger| ledger.end(self.id, now));
        answer(self.ctx, call);
    }
}

/// Wakes who is called.
fn answer(ctx: &Context, calls: impl IntoIterator<Item = Call>) {
    for call in calls {
        let object = ctx
            .index
            .read(|known| known.kustomizations.get(&call.who).cloned());
        // What is suspended is nobody's to put right; it is looked at when it goes on.
        let Some(object) = object.filter(|object| !object.spec.suspend) else {
            continue;
        };
        tracing::debug!(kustomization = %call.who, object = %call.object, "changed by others");
        if let Some(fight) = &call.fight {
            report::fought(ctx, &object, &call.object, fight);
        }
        ctx.queues.kustomizations.wake(call.who);
    }
}
