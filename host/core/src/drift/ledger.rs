//! What is known of every object that was applied: as whose, and how it looks while nobody has touched it.
//!
//! Runs write down what they leave behind, watches tell what they see, and what comes out is whom to wake. What is seen
//! during a run is judged when it is over: the echo of a write may come before its answer. It deliberately holds no lock,
//! no clock (the time is how long the process has been running) and no object.

mod untouched;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use reeve_api::name::NamespacedName;

use super::fight::{Fight, Fought};
use super::{Seen, Sight, Verdict, WatchedKinds, verdict};
use crate::index::Target;
use crate::inventory::{Inventory, ObjectId};

pub use untouched::Untouched;

/// How many changes are remembered before those of long ago are forgotten.
const FIGHTS: usize = 1024;
/// For how long a watch that says nothing is believed to have nothing to say: API servers send a bookmark each minute.
const SILENCE: Duration = Duration::from_secs(90);

/// Something that is watched: a kind, where, as whom, and which of it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// As whom; None: as the controller itself.
    pub account: Option<String>,
    /// None: in all namespaces, or in none.
    pub namespace: Option<String>,
    /// Empty for Kubernetes' core group.
    pub group: String,
    /// The kind.
    pub kind: String,
    /// Which of it.
    pub which: Which,
}

/// Which objects of a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Which {
    /// Those that were applied.
    Applied,
    /// Those that say that a change of them wakes who names them.
    Named,
}

/// Somebody to wake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// Whom.
    pub who: NamespacedName,
    /// Because of which object.
    pub object: ObjectId,
    /// What is to be told, if somebody keeps changing it.
    pub fight: Option<Fought>,
}

/// One object.
#[derive(Debug)]
struct Known {
    holder: Arc<NamespacedName>,
    sight: Sight,
    /// What was wanted of it.
    wanted: u64,
    /// What was told of how others have changed it.
    told: Option<u64>,
    /// When it was last compared with the cluster field by field, as the account and for the spec of now.
    compared: Option<Duration>,
    /// Whether a watch has shown since that others have changed it.
    changed: bool,
}

/// How an object looked when it was last compared, and was as it is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stood {
    /// How.
    pub sight: Sight,
    /// Whether a watch would have shown any change of it since.
    pub watched: bool,
}

/// One Kustomization.
#[derive(Debug, Default)]
struct Holder {
    objects: BTreeSet<Arc<ObjectId>>,
    running: bool,
    /// As whom its objects are applied, and for which generation of its spec.
    course: (String, i64),
    /// What was seen during a run.
    pending: BTreeMap<ObjectId, Seen>,
}

/// All that is known.
#[derive(Debug, Default)]
pub struct Ledger {
    known: BTreeMap<Arc<ObjectId>, Known>,
    holders: BTreeMap<Arc<NamespacedName>, Holder>,
    fights: BTreeMap<Arc<ObjectId>, Fight>,
    due: BTreeSet<(Duration, Arc<NamespacedName>)>,
    /// What each needs to have watched, and by how many each place is needed.
    watched: BTreeMap<(Target, Which), BTreeSet<Place>>,
    places: BTreeMap<Place, usize>,
    /// When something was last heard of the watch over a place, while it is one that goes on.
    heard: BTreeMap<Place, Duration>,
}

impl Place {
    /// Where what `account` applies is to be watched: all of a kind at once if the platform watches that kind.
    pub fn of_applied(
        kinds: &WatchedKinds,
        account: &str,
        inventory: &Inventory,
    ) -> BTreeSet<Self> {
        let place = |id: &ObjectId| {
            let shared = kinds.have(&id.group, &id.kind);
            let namespace = Some(id.namespace.clone()).filter(|at| !at.is_empty());
            Self {
                account: (!shared).then(|| account.to_owned()),
                namespace: namespace.filter(|_| !shared),
                group: id.group.clone(),
                kind: id.kind.clone(),
                which: Which::Applied,
            }
        };
        inventory.entries().map(|entry| place(&entry.id)).collect()
    }

    /// Where the ConfigMaps or Secrets of a namespace are watched that wake who names them.
    pub fn of_named(account: Option<&str>, namespace: &str, kind: &str) -> Self {
        Self {
            account: account.map(str::to_owned),
            namespace: Some(namespace.to_owned()),
            group: String::new(),
            kind: kind.to_owned(),
            which: Which::Named,
        }
    }

    fn has(&self, id: &ObjectId) -> bool {
        let namespace = self.namespace.as_ref();
        self.group == id.group
            && self.kind == id.kind
            && namespace.is_none_or(|namespace| *namespace == id.namespace)
    }
}

impl Ledger {
    /// A run of `id` begins: what is seen from now on is judged when it is over.
    pub fn begin(&mut self, id: &NamespacedName) {
        self.holder(id).running = true;
        let Self { known, fights, .. } = self;
        for (object, fight) in fights {
            if known.get(object).is_some_and(|known| *known.holder == *id) {
                fight.waits = false;
            }
        }
        self.due.retain(|(_, who)| **who != *id);
    }

    /// The run applies as this account, for this generation of the spec: what another account was let do says nothing of what
    /// this one is, and another spec may mind what the one before it did not.
    pub fn acts_as(&mut self, id: &NamespacedName, account: &str, generation: i64) {
        let holder = self.holder(id);
        if holder.course.0 == account && holder.course.1 == generation {
            return;
        }
        holder.course = (account.to_owned(), generation);
        for object in holder.objects.clone() {
            if let Some(known) = self.known.get_mut(&object) {
                known.compared = None;
            }
        }
    }

    /// The run has left an object as it is wanted, or found it so, after comparing all of it.
    pub fn stands(
        &mut self,
        id: &NamespacedName,
        object: &ObjectId,
        sight: Sight,
        wanted: u64,
        now: Duration,
    ) {
        let object = self.shared(object);
        self.holder(id).objects.insert(Arc::clone(&object));
        let known = Known {
            holder: self.name(id),
            sight,
            wanted,
            told: None,
            compared: Some(now),
            changed: false,
        };
        self.known.insert(object, known);
    }

    /// What was wanted last of an object of `id`, if that is known.
    pub fn wanted(&self, id: &NamespacedName, object: &ObjectId) -> Option<u64> {
        let known = self.known.get(object)?;
        (*known.holder == *id).then_some(known.wanted)
    }

    /// A run of `id` deletes an object to make it anew: nothing that was known of it holds, and that it goes wakes nobody.
    pub fn replaces(&mut self, id: &NamespacedName, object: &ObjectId) {
        if self.wanted(id, object).is_some() {
            self.known.remove(object);
        }
    }

    /// How an object looks if it need not be compared again: it was as this is wanted, and that was found out since `then`.
    pub fn stood(
        &self,
        id: &NamespacedName,
        object: &ObjectId,
        wanted: u64,
        then: Duration,
        now: Duration,
    ) -> Option<Stood> {
        let known = self.known.get(object)?;
        let stands = *known.holder == *id && known.wanted == wanted && known.told.is_none();
        let is_recent = known.compared.is_some_and(|at| at >= then);
        (stands && is_recent).then(|| Stood {
            sight: known.sight,
            watched: !known.changed && self.is_watched(id, object, now),
        })
    }

    /// The watch over a place has said something, if only that there is nothing to say.
    pub fn heard(&mut self, place: &Place, now: Duration) {
        match self.heard.get_mut(place) {
            Some(last) => *last = now,
            None if self.places.contains_key(place) => {
                self.heard.insert(place.clone(), now);
            }
            None => {}
        }
    }

    /// The watch over a place has broken off.
    pub fn lost(&mut self, place: &Place) {
        self.heard.remove(place);
    }

    /// The run leaves an object as others have made it. Whether that difference was not told yet.
    pub fn leaves(
        &mut self,
        id: &NamespacedName,
        object: &ObjectId,
        sight: Sight,
        wanted: u64,
        difference: u64,
        now: Duration,
    ) -> bool {
        let told = self.known.get(object).and_then(|known| known.told);
        self.stands(id, object, sight, wanted, now);
        if let Some(known) = self.known.get_mut(object) {
            known.told = Some(difference);
        }
        told != Some(difference)
    }

    /// A run has applied all of it: what it does not hold any more is forgotten, and `places` are to be watched for it.
    /// Whether other places are to be watched now.
    pub fn holds(
        &mut self,
        id: &NamespacedName,
        inventory: &Inventory,
        places: BTreeSet<Place>,
    ) -> bool {
        let objects = std::mem::take(&mut self.holder(id).objects);
        let (kept, gone): (BTreeSet<_>, BTreeSet<_>) = objects
            .into_iter()
            .partition(|object| inventory.contains(object));
        self.holder(id).objects = kept;
        self.drop_objects(id, &gone);
        self.watch(Target::Kustomization(id.clone()), Which::Applied, places)
    }

    /// `target` names what lies at these places. Whether other places are to be watched now.
    pub fn names(&mut self, target: Target, places: BTreeSet<Place>) -> bool {
        self.watch(target, Which::Named, places)
    }

    /// A run is over: who is to be woken because of what was seen during it.
    pub fn end(&mut self, id: &NamespacedName, now: Duration) -> Option<Call> {
        let holder = self.holders.get_mut(id)?;
        holder.running = false;
        let pending = std::mem::take(&mut holder.pending);
        let mut first = None;
        for (object, seen) in pending {
            let call = self.saw(&object, seen, now);
            // One wakes it; what is to be told of another is more than that.
            if first.is_none() || call.as_ref().is_some_and(|call| call.fight.is_some()) {
                first = call.or(first);
            }
        }
        first
    }

    /// A watch has shown an object: who is to be woken.
    pub fn saw(&mut self, object: &ObjectId, seen: Seen, now: Duration) -> Option<Call> {
        let known = self.known.get_mut(object)?;
        if matches!(seen, Seen::Gone { .. }) && may_vanish(object) {
            known.changed = true;
            return None;
        }
        let who = Arc::clone(&known.holder);
        let (sight, is_left) = (known.sight, known.told.is_some());
        let holder = self.holders.get_mut(&who)?;
        if holder.running {
            holder.pending.insert(object.clone(), seen);
            return None;
        }
        let is_one = |other: &NamespacedName| self.holders.contains_key(other);
        let verdict = verdict(sight, &who, &seen, is_one);
        if let Some(known) = self.known.get_mut(object) {
            match (verdict, &seen) {
                (Verdict::Theirs | Verdict::Foreign, _) => known.changed = true,
                // Another version of the same, as a new status makes it: what is written to it next is written to this one.
                (Verdict::Same, Seen::There { sight, .. }) => {
                    known.sight = known.sight.moved_to(*sight);
                }
                (Verdict::Same, Seen::Gone { .. }) | (Verdict::Old, _) => {}
            }
        }
        if verdict != Verdict::Foreign {
            return None;
        }
        let mut call = self.strike(object, &who, &seen, now)?;
        if is_left {
            // Nobody fights over what is only told.
            call.fight = None;
        }
        Some(call)
    }

    /// A watch has shown all there are: those of ours that it did not show are gone.
    pub fn listed(
        &mut self,
        place: &Place,
        there: &BTreeSet<(String, String)>,
        version: Option<u64>,
        now: Duration,
    ) -> Vec<Call> {
        let is_watched = |who: &NamespacedName| {
            let of = (Target::Kustomization(who.clone()), Which::Applied);
            self.watched.get(&of).is_some_and(|all| all.contains(place))
        };
        let shown = |id: &ObjectId| there.contains(&(id.namespace.clone(), id.name.clone()));
        let here = self.known.iter();
        let here = here.filter(|(id, _)| place.has(id) && !shown(id));
        let gone = here.filter(|(_, known)| is_watched(&known.holder));
        let gone: Vec<ObjectId> = gone.map(|(id, _)| id.as_ref().clone()).collect();
        let calls = gone
            .iter()
            .map(|id| self.saw(id, Seen::Gone { version }, now));
        calls.flatten().collect()
    }

    /// When the next pause is over.
    pub fn due(&self) -> Option<Duration> {
        self.due.first().map(|(due, _)| *due)
    }

    /// Those whose pause is over.
    pub fn ripe(&mut self, now: Duration) -> Vec<NamespacedName> {
        let mut ripe = Vec::new();
        while let Some((due, _)) = self.due.first()
            && *due <= now
        {
            ripe.extend(self.due.pop_first().map(|(_, who)| who.as_ref().clone()));
        }
        self.fights.retain(|_, fight| !fight.is_over(now));
        ripe
    }

    /// `target` is gone, or going. Whether other places are to be watched now.
    pub fn forget(&mut self, target: &Target) -> bool {
        if let Target::Kustomization(id) = target
            && let Some((_, holder)) = self.holders.remove_entry(id)
        {
            self.drop_objects(id, &holder.objects);
            self.due.retain(|(_, who)| **who != *id);
        }
        let applied = self.watch(target.clone(), Which::Applied, BTreeSet::new());
        self.watch(target.clone(), Which::Named, BTreeSet::new()) || applied
    }

    /// What is to be watched, and by how many each is needed.
    pub fn places(&self) -> &BTreeMap<Place, usize> {
        &self.places
    }

    /// Counts a change that others made, and says whether it is put right at once.
    fn strike(
        &mut self,
        object: &ObjectId,
        who: &Arc<NamespacedName>,
        seen: &Seen,
        now: Duration,
    ) -> Option<Call> {
        if self.fights.len() > FIGHTS {
            self.fights.retain(|_, fight| !fight.is_over(now));
        }
        let key = self.shared(object);
        let fight = self.fights.entry(key).or_default();
        if fight.waits {
            return None;
        }
        let (pause, tell) = fight.strike(now);
        let by = match seen {
            Seen::There { by, .. } => by.clone(),
            Seen::Gone { .. } => None,
        };
        let times = fight.times();
        if !pause.is_zero() {
            self.due.insert((now + pause, Arc::clone(who)));
            return None;
        }
        Some(Call {
            who: who.as_ref().clone(),
            object: object.clone(),
            fight: tell.then_some(Fought { times, by }),
        })
    }

    fn is_watched(&self, id: &NamespacedName, object: &ObjectId, now: Duration) -> bool {
        let of = (Target::Kustomization(id.clone()), Which::Applied);
        let mut places = self.watched.get(&of).into_iter().flatten();
        let place = places.find(|place| place.has(object));
        let heard = place.and_then(|place| self.heard.get(place));
        heard.is_some_and(|last| now.saturating_sub(*last) < SILENCE)
    }

    fn holder(&mut self, id: &NamespacedName) -> &mut Holder {
        let id = self.name(id);
        self.holders.entry(id).or_default()
    }

    /// The name as it is kept: there are as many copies of it as objects.
    fn name(&self, id: &NamespacedName) -> Arc<NamespacedName> {
        let kept = self.holders.get_key_value(id);
        kept.map_or_else(|| Arc::new(id.clone()), |(kept, _)| Arc::clone(kept))
    }

    fn shared(&self, object: &ObjectId) -> Arc<ObjectId> {
        let kept = self.known.get_key_value(object);
        kept.map_or_else(|| Arc::new(object.clone()), |(kept, _)| Arc::clone(kept))
    }

    /// What another has taken over stays known as that one's.
    fn drop_objects(&mut self, id: &NamespacedName, objects: &BTreeSet<Arc<ObjectId>>) {
        for object in objects {
            if self
                .known
                .get(object)
                .is_some_and(|known| *known.holder == *id)
            {
                self.known.remove(object);
                self.fights.remove(object);
            }
        }
    }

    fn watch(&mut self, target: Target, which: Which, places: BTreeSet<Place>) -> bool {
        let mut moved = false;
        for place in &places {
            let needed = self.places.entry(place.clone()).or_default();
            *needed += 1;
            moved |= *needed == 1;
        }
        let key = (target, which);
        let before = match places.is_empty() {
            true => self.watched.remove(&key),
            false => self.watched.insert(key, places),
        };
        for place in before.into_iter().flatten() {
            if let Some(needed) = self.places.get_mut(&place) {
                *needed -= 1;
                if *needed == 0 {
                    self.places.remove(&place);
                    self.heard.remove(&place);
                    moved = true;
                }
            }
        }
        moved
    }
}

/// A Job that has done its work may be deleted for it (`ttlSecondsAfterFinished`): made again at once it would run for ever.
fn may_vanish(id: &ObjectId) -> bool {
    id.group == "batch" && id.kind == "Job"
}

#[cfg(test)]
mod tests;
