//! What WriteBacks watch: one watch a kind and namespace of each, as its account, of nothing but metadata.
//!
//! What the watches show goes into `core::ward`, one for each WriteBack, and wakes it once nothing changes for a while. There are
//! only so many, of one WriteBack and in all: a connection each. Which are wanted its runs say. What an account may not watch is
//! told, and tried again. It deliberately reads no object.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use reeve_api::name::{NamespacedName, TenantName};
use reeve_core::drift::owner;
use reeve_core::inventory::ObjectId;
use reeve_core::ward::{Left, Realm, Shown, Ward, Work};
use reeve_core::writeback::{Rules, Seen, Subject, Told, Written};
use serde_json::Value;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use super::since::agreed_now;
use crate::cluster::{Glance, Scene};
use crate::context::Context;

/// How many watches there are at most of all WriteBacks, of those of a tenant, and of one.
const MOST: usize = 512;
const MOST_OF_TENANT: usize = 64;
const MOST_OF_ONE: usize = 32;
/// How soon it is tried again to watch what was refused: rights come and go.
const AGAIN: Duration = Duration::from_secs(600);

/// What all WriteBacks watch. Its clones are one.
#[derive(Debug, Clone, Default)]
pub(crate) struct Wards(Arc<Mutex<BTreeMap<NamespacedName, Kept>>>);

/// What one does.
#[derive(Debug)]
struct Kept {
    ward: Ward,
    watches: BTreeMap<Realm, Watch>,
    wanted: Wanted,
    begun: Instant,
    /// When it was last looked at what could not be written.
    looked: Instant,
    /// Whether somebody waits for quiet.
    waits: bool,
    /// Which revision was applied when changes were first seen that are yet to be written: one that comes meanwhile may have
    /// changed the same, and leaves that alone.
    agreed: BTreeMap<ObjectId, String>,
    /// What was said of changes that are committed.
    told: Told,
    /// Which Kustomizations could not say what they have applied.
    awaited: BTreeSet<NamespacedName>,
}

/// What is to be watched, and by which rules.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Wanted {
    /// Whose.
    pub(super) tenant: TenantName,
    /// As whom.
    pub(super) account: String,
    pub(super) rules: Rules,
    pub(super) debounce: Duration,
    /// The kinds, with the word for each in rules.
    pub(super) realms: BTreeMap<Realm, String>,
}

#[derive(Debug)]
struct Watch {
    task: AbortHandle,
    refused: Option<String>,
}

/// Something that is not watched, and why.
pub(super) struct Unwatched {
    pub(super) realm: Realm,
    pub(super) resource: String,
    /// None: there are too many.
    pub(super) why: Option<String>,
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Wards {
    /// Nothing is watched for it any more.
    pub(crate) fn forget(&self, id: &NamespacedName) {
        self.lock().remove(id);
    }

    /// Nothing is watched for anybody any more.
    pub(crate) fn clear(&self) {
        self.lock().clear();
    }

    /// Watches that for it from now on; what is watched as somebody else, or by other rules, is begun anew, and what is
    /// `remembered` then and not there was deleted. `retry`: what was refused is tried again now.
    pub(super) fn align(
        &self,
        ctx: &Arc<Context>,
        id: &NamespacedName,
        wanted: Wanted,
        retry: bool,
        remembered: impl FnOnce() -> BTreeSet<ObjectId>,
    ) -> Vec<Unwatched> {
        // Asked of the index before what is watched is locked.
        let remembered = match self.is_begun(id, &wanted) {
            true => BTreeSet::new(),
            false => remembered(),
        };
        let mut all = self.lock();
        let others = all.iter().filter(|(other, _)| *other != id);
        let (mut of_all, mut of_tenant) = (0, 0);
        for (_, kept) in others {
            of_all += kept.watches.len();
            if kept.wanted.tenant == wanted.tenant {
                of_tenant += kept.watches.len();
            }
        }
        let room = room(of_all, of_tenant);
        if !all.get(id).is_some_and(|kept| kept.is_for(&wanted)) {
            let mut kept = Kept::new(wanted.clone());
            kept.ward.remember(remembered);
            all.insert(id.clone(), kept);
        }
        let Some(kept) = all.get_mut(id) else {
            return Vec::new();
        };
        kept.wanted = wanted;
        kept.align(ctx, id, room, retry)
    }

    /// Takes what there is to look at for it.
    pub(super) fn take(&self, id: &NamespacedName, most: usize) -> Work {
        self.with(id, |kept| kept.ward.take(most))
            .unwrap_or_default()
    }

    /// Gives back what came to nothing.
    pub(super) fn give_back(&self, id: &NamespacedName, work: Work) {
        self.with(id, |kept| kept.ward.give_back(work));
    }

    /// What came of looking at objects.
    pub(super) fn looked_at(&self, id: &NamespacedName, looked: Vec<(ObjectId, Left)>) {
        self.with(id, |kept| {
            for (object, left) in looked {
                if left.is_nothing() {
                    kept.agreed.remove(&object);
                }
                kept.ward.looked_at(&object, left);
            }
        });
    }

    /// Looks at everything, or once in an interval at what could not be written. Whether it does.
    pub(super) fn look_again(
        &self,
        id: &NamespacedName,
        interval: Duration,
        everything: bool,
    ) -> bool {
        let again = self.with(id, |kept| {
            // Intervals are moved by some of themselves either way.
            let again = everything || kept.looked.elapsed() >= interval.mul_f64(0.9);
            if again {
                kept.ward.look_again(everything);
                kept.looked = Instant::now();
            }
            again
        });
        again.unwrap_or_default()
    }

    /// Whether all that it watches was listed once, but for what it may not.
    pub(super) fn is_whole(&self, id: &NamespacedName) -> bool {
        let whole = self.with(id, |kept| {
            let mut watches = kept.watches.iter();
            // Where nothing is watched nobody knows which kinds there are.
            !kept.watches.is_empty()
                && watches
                    .all(|(realm, watch)| watch.refused.is_some() || kept.ward.is_listed(realm))
        });
        whole.unwrap_or_default()
    }

    /// What was taken, with all that is proposed beside it.
    pub(super) fn with_proposed(&self, id: &NamespacedName, work: Work) -> Work {
        // Whoever is not kept has nothing that could be taken.
        let all = self.with(id, |kept| kept.ward.with_proposed(work));
        all.unwrap_or_default()
    }

    /// Whether one of these is proposed.
    pub(super) fn is_proposed(&self, id: &NamespacedName, work: &Work) -> bool {
        let gone = work.gone.iter().map(|(object, _)| object);
        let mut all = work.there.iter().chain(gone);
        let is = self.with(id, |kept| all.any(|object| kept.ward.is_proposed(object)));
        is.unwrap_or_default()
    }

    /// Of these objects those are proposed from now on; which of them have no room.
    pub(super) fn propose(
        &self,
        id: &NamespacedName,
        looked: &[ObjectId],
        proposed: BTreeMap<ObjectId, Option<Value>>,
    ) -> Vec<ObjectId> {
        let over = self.with(id, |kept| kept.ward.propose(looked, proposed));
        over.unwrap_or_default()
    }

    fn is_begun(&self, id: &NamespacedName, wanted: &Wanted) -> bool {
        let is = self.with(id, |kept| kept.is_for(wanted));
        is.unwrap_or_default()
    }

    /// The revision that was applied when the change of an object was first seen.
    pub(super) fn agreed(&self, id: &NamespacedName, object: &ObjectId) -> Option<String> {
        self.with(id, |kept| kept.agreed.get(object).cloned())
            .flatten()
    }

    /// Whether it waits for a Kustomization to say what that has applied.
    pub(super) fn wait_for(&self, id: &NamespacedName, kustomization: &NamespacedName, is: bool) {
        self.with(id, |kept| match is {
            true => kept.awaited.insert(kustomization.clone()),
            false => kept.awaited.remove(kustomization),
        });
    }

    /// Who waits for a Kustomization.
    pub(crate) fn waiting_for(&self, kustomization: &NamespacedName) -> Vec<NamespacedName> {
        let all = self.lock();
        let waiting = all
            .iter()
            .filter(|(_, kept)| kept.awaited.contains(kustomization));
        waiting.map(|(id, _)| id.clone()).collect()
    }

    /// These were committed, with what was said of them.
    pub(super) fn remember(&self, id: &NamespacedName, written: &[Written]) {
        self.with(id, |kept| kept.told.remember(written));
    }

    /// The same without what was said of an earlier change, and told with that.
    pub(super) fn unsaid(&self, id: &NamespacedName, seen: Vec<Seen>) -> Vec<Seen> {
        let told = self.with(id, |kept| kept.told.clone()).unwrap_or_default();
        let seen = seen.into_iter();
        seen.map(|one| told.unsaid(one)).collect()
    }

    /// What is not settled.
    pub(super) fn left(&self, id: &NamespacedName) -> Vec<Left> {
        let left = self.with(id, |kept| kept.ward.left().cloned().collect());
        left.unwrap_or_default()
    }

    fn with<T>(&self, id: &NamespacedName, work: impl FnOnce(&mut Kept) -> T) -> Option<T> {
        self.lock().get_mut(id).map(work)
    }

    /// When what was seen is to be looked at; None: now, or never.
    fn due(&self, id: &NamespacedName) -> Option<Instant> {
        let due = self.with(id, |kept| {
            let due = kept.ward.due(kept.wanted.debounce);
            let due = due.map(|due| kept.begun + due);
            let due = due.filter(|at| *at > Instant::now());
            kept.waits = due.is_some();
            due
        });
        due.flatten()
    }

    fn refuse(&self, id: &NamespacedName, realm: &Realm, why: Option<String>) {
        self.with(id, |kept| {
            if let Some(watch) = kept.watches.get_mut(realm) {
                watch.refused = why;
            }
        });
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<NamespacedName, Kept>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    /// One that watches nothing yet.
    fn new(wanted: Wanted) -> Self {
        Self {
            ward: Ward::default(),
            watches: BTreeMap::new(),
            wanted,
            begun: Instant::now(),
            looked: Instant::now(),
            waits: false,
            agreed: BTreeMap::new(),
            told: Told::default(),
            awaited: BTreeSet::new(),
        }
    }

    /// Whether that is watched as the same, and by the same rules.
    fn is_for(&self, wanted: &Wanted) -> bool {
        self.wanted.account == wanted.account && self.wanted.rules == wanted.rules
    }

    fn align(
        &mut self,
        ctx: &Arc<Context>,
        id: &NamespacedName,
        room: usize,
        retry: bool,
    ) -> Vec<Unwatched> {
        let realms = &self.wanted.realms;
        self.watches.retain(|realm, watch| {
            realms.contains_key(realm) && !(retry && watch.refused.is_some())
        });
        let watched: BTreeSet<Realm> = realms.keys().take(room).cloned().collect();
        self.ward.watch_only(&watched);
        self.agreed
            .retain(|id, _| watched.iter().any(|realm| realm.has(id)));
        self.watches.retain(|realm, _| watched.contains(realm));
        let mut unwatched = Vec::new();
        for (realm, resource) in realms {
            let told = |why| Unwatched {
                realm: realm.clone(),
                resource: resource.clone(),
                why,
            };
            match self.watches.get(realm) {
                Some(watch) => {
                    let refused = watch.refused.clone();
                    unwatched.extend(refused.map(|why| told(Some(why))));
                }
                None if !watched.contains(realm) => unwatched.push(told(None)),
                None => {
                    let eye = Eye {
                        ctx: Arc::clone(ctx),
                        id: id.clone(),
                        realm: realm.clone(),
                        resource: resource.clone(),
                        rules: self.wanted.rules.clone(),
                        account: self.wanted.account.clone(),
                    };
                    let task = tokio::spawn(eye.watch()).abort_handle();
                    let refused = None;
                    self.watches.insert(realm.clone(), Watch { task, refused });
                }
            }
        }
        unwatched
    }
}

/// How many watches one may have beside so many of others, and of others of its tenant.
fn room(of_all: usize, of_tenant: usize) -> usize {
    let of_tenant = MOST_OF_TENANT.saturating_sub(of_tenant);
    MOST.saturating_sub(of_all).min(of_tenant).min(MOST_OF_ONE)
}

/// One watch.
struct Eye {
    ctx: Arc<Context>,
    id: NamespacedName,
    realm: Realm,
    resource: String,
    rules: Rules,
    account: String,
}

impl Eye {
    async fn watch(self) {
        let scene = Scene {
            account: Some(self.account.clone()),
            namespace: self.realm.namespace.clone(),
            group: self.realm.group.clone(),
            kind: self.realm.kind.clone(),
            labels: String::new(),
        };
        loop {
            let see = |glance: Glance| self.see(&glance);
            let why = self.ctx.cluster.glance_at(&scene, see).await;
            let why = Some(why.to_string());
            self.ctx.wards.refuse(&self.id, &self.realm, why);
            // It tells what cannot be seen.
            self.ctx.queues.writebacks.wake(self.id.clone());
            tokio::time::sleep(AGAIN).await;
            self.ctx.wards.refuse(&self.id, &self.realm, None);
        }
    }

    fn see(&self, glance: &Glance) {
        let shown = match glance {
            Glance::Begin => Shown::Begin,
            Glance::There(object) => Shown::There(object, self.is_meant(object)),
            Glance::Gone(object) => Shown::Gone(object),
            Glance::Listed(_) => Shown::Listed,
            Glance::Alive | Glance::Lost => return,
        };
        let agreed = match glance {
            Glance::There(object) => self.agreed(object),
            _ => None,
        };
        let begin = self.ctx.wards.with(&self.id, |kept| {
            let now = kept.begun.elapsed();
            let news = kept.ward.show(&self.realm, shown, now);
            if news && let Some((object, revision)) = agreed {
                kept.agreed.entry(object).or_insert(revision);
            }
            news && !std::mem::replace(&mut kept.waits, true)
        });
        if begin == Some(true) {
            tokio::spawn(quiet(Arc::clone(&self.ctx), self.id.clone()));
        }
    }

    /// At which revision the Kustomization that an object is of and the cluster were the same.
    fn agreed(&self, object: &Value) -> Option<(ObjectId, String)> {
        let owner = owner(object)?;
        let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str);
        let text = |pointer| text(pointer).unwrap_or_default().to_owned();
        let id = ObjectId {
            namespace: text("/metadata/namespace"),
            name: text("/metadata/name"),
            group: self.realm.group.clone(),
            kind: self.realm.kind.clone(),
        };
        let index = &self.ctx.index;
        let revision = index.read(|known| agreed_now(known, &owner, &id))?;
        Some((id, revision))
    }

    /// Whether changes of any of its fields are to be committed.
    fn is_meant(&self, object: &Value) -> bool {
        let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str);
        let labels = object.pointer("/metadata/labels");
        let subject = Subject {
            group: &self.realm.group,
            resource: &self.resource,
            namespace: text("/metadata/namespace").unwrap_or_default(),
            name: text("/metadata/name").unwrap_or_default(),
            labels: labels.and_then(Value::as_object),
        };
        self.rules.commits(&subject)
    }
}

/// Waits until nothing changes any more for a while, and has it looked at.
async fn quiet(ctx: Arc<Context>, id: NamespacedName) {
    while let Some(due) = ctx.wards.due(&id) {
        tokio::time::sleep_until(due).await;
    }
    ctx.queues.writebacks.wake(id);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_waits_for_a_kustomization_does_so_until_it_can_say_what_it_has_applied() {
        let name = |name: &str| NamespacedName::new("acme", name).unwrap();
        let wards = Wards::default();
        for back in ["one", "other"] {
            let wanted = Wanted {
                tenant: "acme".parse().unwrap(),
                account: String::new(),
                rules: Rules::default(),
                debounce: Duration::ZERO,
                realms: BTreeMap::new(),
            };
            wards.lock().insert(name(back), Kept::new(wanted));
        }
        wards.wait_for(&name("one"), &name("shop"), true);
        assert_eq!(wards.waiting_for(&name("shop")), [name("one")]);
        assert!(wards.waiting_for(&name("api")).is_empty());
        wards.wait_for(&name("one"), &name("shop"), false);
        assert!(wards.waiting_for(&name("shop")).is_empty());
    }

    #[test]
    fn one_tenant_leaves_watches_to_the_others() {
        assert_eq!(room(0, 0), MOST_OF_ONE);
        assert_eq!(room(64, 32), 32);
        assert_eq!(room(64, 60), 4);
        assert_eq!(room(64, 64), 0);
        assert_eq!(room(448, 0), MOST_OF_ONE);
        assert_eq!(room(MOST, 0), 0);
    }
}
