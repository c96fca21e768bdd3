//! What others change of what was applied: who is woken by it, and what runs leave behind to tell it by.
//!
//! Runs write into the ledger, watches (`drift/keep`) read to it what they see. Whom to wake is `core::drift`'s to say; what
//! is different, and whether it is put right or told, is found out by the run.
//!
//! What lies on another cluster is nobody's to watch from here: it is compared at each interval. Its ledger is its
//! Kustomization's alone, and begun anew with each connection, so that no object is taken for one of another cluster.

mod keep;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use reeve_api::name::NamespacedName;
use reeve_core::drift::{Call, Ledger, Place, Seen, Sight, Stood, Untouched, WatchedKinds};
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
    abroad: Mutex<Abroad>,
    /// Other places are to be watched, or another pause has begun.
    moved: Notify,
    kinds: WatchedKinds,
    begun: Instant,
}

/// What is known of each Kustomization that is carried out on another cluster, and by which connection there.
type Abroad = BTreeMap<NamespacedName, ([u8; 32], Ledger)>;

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
            abroad: Mutex::default(),
            moved: Notify::new(),
            kinds,
            begun: now,
        }))
    }

    /// Forgets everything: who leads again does not know what happened meanwhile.
    pub(super) fn clear(&self) {
        *self.lock() = Ledger::default();
        self.abroad().clear();
    }

    /// A run of `id` works on the cluster behind this connection; None: on this one.
    pub(super) fn works_on(&self, id: &NamespacedName, connection: Option<[u8; 32]>) {
        let mut abroad = self.abroad();
        let Some(connection) = connection else {
            abroad.remove(id);
            return;
        };
        if abroad.get(id).is_some_and(|(of, _)| *of == connection) {
            return;
        }
        abroad.insert(id.clone(), (connection, Ledger::default()));
        drop(abroad);
        // Nothing of it is here any more.
        let moved = self
            .lock()
            .holds(id, &Inventory::default(), BTreeSet::new());
        self.tell(moved);
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
        self.of(id, |ledger| {
            ledger.stands(id, object.id(), sight, wanted, now);
        });
    }

    /// A run deletes an object to make it anew.
    pub(super) fn replaces(&self, id: &NamespacedName, object: &ObjectId) {
        self.of(id, |ledger| ledger.replaces(id, object));
    }

    /// A run of `id` applies as this account, for this generation of the spec.
    pub(super) fn acts_as(&self, id: &NamespacedName, account: &str, generation: i64) {
        self.of(id, |ledger| ledger.acts_as(id, account, generation));
    }

    /// How an object looks if it was found as it is wanted less than so long ago.
    pub(super) fn stood(
        &self,
        ctx: &Context,
        id: &NamespacedName,
        object: &Planned,
        within: Duration,
    ) -> Option<Stood> {
        let now = self.now(ctx);
        let (wanted, then) = (object.digest(), now.saturating_sub(within));
        self.of(id, |ledger| {
            ledger.stood(id, object.id(), wanted, then, now)
        })
    }

    /// An object that nobody has touched since it was compared, less than so long ago.
    pub(super) fn untouched(
        &self,
        ctx: &Context,
        id: &NamespacedName,
        object: &ObjectId,
        within: Duration,
    ) -> Option<Untouched> {
        let now = self.now(ctx);
        let then = now.saturating_sub(within);
        self.of(id, |ledger| ledger.untouched(id, object, then, now))
    }

    /// What was wanted last of an object, if that is known.
    pub(super) fn wanted(&self, id: &NamespacedName, object: &ObjectId) -> Option<u64> {
        self.of(id, |ledger| ledger.wanted(id, object))
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
        self.of(id, |ledger| {
            ledger.leaves(id, object.id(), sight, wanted, difference, now)
        })
    }

    /// A run has applied all of it, as this account.
    pub(super) fn holds(&self, id: &NamespacedName, account: &str, inventory: &Inventory) {
        if let Some((_, ledger)) = self.abroad().get_mut(id) {
            ledger.holds(id, inventory, BTreeSet::new());
            return;
        }
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
        if let Target::Kustomization(id) = target {
            self.abroad().remove(id);
        }
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

    /// The watch over a place goes on, whatever it shows.
    fn heard(ctx: &Context, place: &Place) {
        let now = ctx.drift.now(ctx);
        ctx.drift.lock().heard(place, now);
    }

    /// It does not: what others change is not seen.
    fn lost(ctx: &Context, place: &Place) {
        ctx.drift.lock().lost(place);
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

    /// What is known of the objects of `id`, wherever they are.
    fn of<T>(&self, id: &NamespacedName, work: impl FnOnce(&mut Ledger) -> T) -> T {
        match self.abroad().get_mut(id) {
            Some((_, ledger)) => work(ledger),
            None => work(&mut self.lock()),
        }
    }

    fn abroad(&self) -> MutexGuard<'_, Abroad> {
        self.0.abroad.lock().unwrap_or_else(PoisonError::into_inner)
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
