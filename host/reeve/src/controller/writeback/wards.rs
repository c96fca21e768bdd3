//! What WriteBacks look at: as their accounts, and nothing but metadata.
//!
//! What is shown goes into `core::ward`, one for each WriteBack, and wakes it once nothing changes for a while. A kind in a
//! namespace is watched once for all WriteBacks of an account (`posts`, `eye`); there are only so many watches, of a tenant and
//! in all, by shares. What has none is listed once in an interval (`patrol`). Which are wanted runs say. What an account
//! may not see is told, and tried again. It deliberately reads no object.

mod eye;
mod patrol;
mod posts;
mod spread;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use reeve_api::name::{NamespacedName, TenantName};
use reeve_core::inventory::ObjectId;
use reeve_core::ward::{Left, Realm, Shown, Ward, Work};
use reeve_core::writeback::{Rules, Seen, Subject, Told, Written};
use serde_json::Value;
use tokio::time::Instant;

use super::realm::Word;
use crate::cluster::Glance;
use crate::context::Context;
use patrol::Patrol;
use posts::Posts;

/// What all WriteBacks look at. Its clones are one.
#[derive(Debug, Clone, Default)]
pub(crate) struct Wards(Arc<Mutex<All>>);

#[derive(Debug, Default)]
struct All {
    kept: BTreeMap<NamespacedName, Kept>,
    posts: Posts,
}

/// What one does.
#[derive(Debug)]
struct Kept {
    ward: Ward,
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
    /// Who lists what is not watched, where anything is not.
    patrol: Option<Patrol>,
    /// What that lists just now.
    listing: Option<Realm>,
    /// When it lists what next; at once what is not among these.
    due: BTreeMap<Realm, Instant>,
    /// What may not be listed, and why.
    unlisted: BTreeMap<Realm, String>,
}

/// What is to be looked at, and by which rules.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Wanted {
    /// Whose.
    pub(super) tenant: TenantName,
    /// As whom.
    pub(super) account: String,
    pub(super) rules: Rules,
    pub(super) debounce: Duration,
    /// How often what is not watched is listed.
    pub(super) interval: Duration,
    /// The kinds, with the word for each in rules.
    pub(super) realms: BTreeMap<Realm, Word>,
}

/// How well one sees what it is about.
#[derive(Default)]
pub(super) struct Sights {
    /// What may not be seen.
    pub(super) unseen: Vec<Unseen>,
    /// What is only listed now and then, with the word for each kind in rules: there are not enough watches.
    pub(super) listed: Vec<(Realm, String)>,
}

/// Something that is not seen, and why.
pub(super) struct Unseen {
    pub(super) realm: Realm,
    pub(super) resource: String,
    pub(super) why: String,
}

impl Wards {
    /// Nothing is looked at for it any more.
    pub(crate) fn forget(&self, id: &NamespacedName) {
        let mut all = self.lock();
        let was = all.kept.remove(id);
        all.posts.leave(id);
        if let Some(kept) = was {
            let _moved = all.count(BTreeSet::from([kept.wanted.tenant.clone()]));
        }
    }

    /// Nothing is looked at for anybody any more.
    pub(crate) fn clear(&self) {
        let mut all = self.lock();
        all.kept.clear();
        all.posts.clear();
    }

    /// Looks at that for it from now on; what is looked at as somebody else, or by other rules, is begun anew, and what is
    /// `remembered` then and not there was deleted. `retry`: what was refused is tried again now, and what is not watched listed.
    pub(super) fn align(
        &self,
        ctx: &Arc<Context>,
        id: &NamespacedName,
        wanted: Wanted,
        retry: bool,
        remembered: impl FnOnce() -> BTreeSet<ObjectId>,
    ) -> Sights {
        // Asked of the index before what is watched is locked.
        let remembered = match self.is_begun(id, &wanted) {
            true => BTreeSet::new(),
            false => remembered(),
        };
        let mut all = self.lock();
        let mut tenants = all.want(id, wanted, remembered);
        let kept = all.kept.get_mut(id);
        tenants.extend(kept.map(|kept| {
            if retry {
                kept.due.clear();
                kept.unlisted.clear();
            }
            kept.wanted.tenant.clone()
        }));
        for tenant in tenants {
            all.distribute(ctx, &tenant, retry.then_some(id));
        }
        all.sights(id)
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

    /// Whether all that it looks at was listed once, but for what it may not.
    pub(super) fn is_whole(&self, id: &NamespacedName) -> bool {
        let all = self.lock();
        let Some(kept) = all.kept.get(id) else {
            return false;
        };
        let mut realms = kept.wanted.realms.keys();
        // Where nothing is looked at nobody knows which kinds there are.
        !kept.wanted.realms.is_empty()
            && realms.all(|realm| kept.ward.is_listed(realm) || all.refused(kept, realm).is_some())
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
            .kept
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

    /// What somebody has taken out of it.
    pub(in crate::controller) fn taken_out(&self, id: &NamespacedName) -> Vec<ObjectId> {
        let out = self.with(id, |kept| kept.ward.taken_out().cloned().collect());
        out.unwrap_or_default()
    }

    /// How long ago it was begun to watch for it.
    pub(super) fn begun(&self, id: &NamespacedName) -> Option<Duration> {
        self.with(id, |kept| kept.begun.elapsed())
    }

    /// What is not settled.
    pub(super) fn left(&self, id: &NamespacedName) -> Vec<Left> {
        let left = self.with(id, |kept| {
            let crowded = kept.ward.crowded().into_iter();
            crowded.chain(kept.ward.left().cloned()).collect()
        });
        left.unwrap_or_default()
    }

    fn with<T>(&self, id: &NamespacedName, work: impl FnOnce(&mut Kept) -> T) -> Option<T> {
        self.lock().kept.get_mut(id).map(work)
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

    fn lock(&self) -> MutexGuard<'_, All> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn new(wanted: Wanted, remembered: BTreeSet<ObjectId>) -> Self {
        let mut ward = Ward::default();
        ward.remember(remembered);
        ward.watch_only(&wanted.realms.keys().cloned().collect());
        Self {
            ward,
            wanted,
            begun: Instant::now(),
            looked: Instant::now(),
            waits: false,
            agreed: BTreeMap::new(),
            told: Told::default(),
            awaited: BTreeSet::new(),
            patrol: None,
            listing: None,
            due: BTreeMap::new(),
            unlisted: BTreeMap::new(),
        }
    }

    /// Whether that is looked at as the same, and by the same rules.
    fn is_for(&self, wanted: &Wanted) -> bool {
        self.wanted.account == wanted.account && self.wanted.rules == wanted.rules
    }

    fn take_up(&mut self, wanted: Wanted) {
        if self.wanted.realms != wanted.realms {
            let realms: BTreeSet<Realm> = wanted.realms.keys().cloned().collect();
            self.ward.watch_only(&realms);
            self.agreed
                .retain(|id, _| realms.iter().any(|realm| realm.has(id)));
            self.due.retain(|realm, _| realms.contains(realm));
            self.unlisted.retain(|realm, _| realms.contains(realm));
        }
        self.wanted = wanted;
    }

    /// A watch shows that from its beginning on, and nobody else does.
    fn is_shown(&mut self, realm: &Realm) {
        if self.listing.as_ref() == Some(realm) {
            self.listing = None;
        }
        self.due.remove(realm);
        self.unlisted.remove(realm);
    }

    /// Has listed what is not watched.
    fn patrol(
        &mut self,
        ctx: &Arc<Context>,
        (id, serial): (&NamespacedName, u64),
        beyond: &BTreeSet<Realm>,
    ) {
        let is_due = beyond.iter().any(|realm| !self.due.contains_key(realm));
        match &self.patrol {
            _ if beyond.is_empty() => {
                self.patrol = None;
                self.listing = None;
            }
            None => self.patrol = Some(Patrol::begin(ctx, id, serial)),
            Some(patrol) if is_due => patrol.wake(),
            Some(_) => {}
        }
    }

    /// Takes what is shown of a kind; `agreed` is at which revision an object was the same on both sides. Whether somebody has to
    /// wait for quiet from now on.
    fn see(&mut self, realm: &Realm, glance: &Glance, agreed: Option<&(ObjectId, String)>) -> bool {
        let shown = match glance {
            Glance::Begin => Shown::Begin,
            Glance::There(object) => Shown::There(object, self.is_meant(realm, object)),
            Glance::Gone(object) => Shown::Gone(object),
            Glance::Listed(_) => Shown::Listed,
            Glance::Alive | Glance::Lost => return false,
        };
        let now = self.begun.elapsed();
        let news = self.ward.show(realm, shown, now);
        if news && let Some((object, revision)) = agreed {
            let known = self.agreed.entry(object.clone());
            known.or_insert_with(|| revision.clone());
        }
        news && !std::mem::replace(&mut self.waits, true)
    }

    /// Whether changes of any of its fields are to be committed.
    fn is_meant(&self, realm: &Realm, object: &Value) -> bool {
        let Some(word) = self.wanted.realms.get(realm) else {
            return false;
        };
        let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str);
        let labels = object.pointer("/metadata/labels");
        let subject = Subject {
            group: &realm.group,
            resource: &word.resource,
            namespace: text("/metadata/namespace").unwrap_or_default(),
            name: text("/metadata/name").unwrap_or_default(),
            labels: labels.and_then(Value::as_object),
        };
        self.wanted.rules.commits(&subject)
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
    use serde_json::json;

    use super::*;

    fn name(name: &str) -> NamespacedName {
        NamespacedName::new("acme", name).unwrap()
    }

    fn realm(kind: &str) -> Realm {
        Realm {
            namespace: Some("acme".to_owned()),
            group: String::new(),
            kind: kind.to_owned(),
        }
    }

    fn wanted(kinds: &[&str]) -> Wanted {
        let rules: Vec<_> = serde_json::from_value(json!([{"syncTo": "git"}])).unwrap();
        let word = |kind: &str| Word {
            resource: format!("{}s", kind.to_lowercase()),
            named: false,
        };
        Wanted {
            tenant: "acme".parse().unwrap(),
            account: "system:serviceaccount:acme:flux".to_owned(),
            rules: Rules::parse(&rules).unwrap(),
            debounce: Duration::ZERO,
            interval: Duration::from_secs(600),
            realms: kinds.iter().map(|kind| (realm(kind), word(kind))).collect(),
        }
    }

    fn kept(kinds: &[&str]) -> Kept {
        Kept::new(wanted(kinds), BTreeSet::new())
    }

    fn map(name: &str) -> Value {
        json!({"metadata": {"name": name, "namespace": "acme", "uid": name, "resourceVersion": "1"}})
    }

    #[test]
    fn who_waits_for_a_kustomization_does_so_until_it_can_say_what_it_has_applied() {
        let wards = Wards::default();
        for back in ["one", "other"] {
            wards.lock().kept.insert(name(back), kept(&[]));
        }
        wards.wait_for(&name("one"), &name("shop"), true);
        assert_eq!(wards.waiting_for(&name("shop")), [name("one")]);
        assert!(wards.waiting_for(&name("api")).is_empty());
        wards.wait_for(&name("one"), &name("shop"), false);
        assert!(wards.waiting_for(&name("shop")).is_empty());
    }

    #[test]
    fn two_writebacks_of_an_account_want_one_watch_of_what_both_are_about() {
        let mut all = All::default();
        all.want(&name("one"), wanted(&["ConfigMap", "Pod"]), BTreeSet::new());
        all.want(&name("other"), wanted(&["ConfigMap"]), BTreeSet::new());
        let tenant = "acme".parse().unwrap();
        let wishes = all.wishes(&tenant);
        let readers: Vec<usize> = wishes.values().map(|(_, readers)| readers.len()).collect();
        assert_eq!(readers, [2, 1]);
        assert_eq!(all.posts.share(&tenant), 2);
    }

    #[test]
    fn what_is_not_watched_is_told_apart_from_what_may_not_be_seen_and_neither_keeps_a_request_waiting()
     {
        let wards = Wards::default();
        let id = name("back");
        wards
            .lock()
            .kept
            .insert(id.clone(), kept(&["ConfigMap", "Pod"]));
        assert!(!wards.is_whole(&id), "nothing was listed");
        wards.with(&id, |kept| {
            let forbidden = "may not be listed".to_owned();
            kept.unlisted.insert(realm("Pod"), forbidden);
            kept.see(&realm("ConfigMap"), &Glance::Begin, None);
            kept.see(&realm("ConfigMap"), &Glance::Listed(None), None);
        });
        assert!(wards.is_whole(&id));
        let sights = wards.lock().sights(&id);
        let listed: Vec<&str> = sights.listed.iter().map(|(_, one)| one.as_str()).collect();
        assert_eq!(listed, ["configmaps"]);
        let [unseen] = &sights.unseen[..] else {
            panic!("{}", sights.unseen.len())
        };
        assert_eq!(
            (unseen.resource.as_str(), unseen.why.as_str()),
            ("pods", "may not be listed")
        );
    }

    #[test]
    fn what_is_seen_wakes_once_whoever_reads_it_and_a_kind_that_shows_something_is_watched_first() {
        let mut kept = kept(&["ConfigMap", "Pod"]);
        let maps = realm("ConfigMap");
        assert!(!kept.see(&maps, &Glance::Begin, None));
        assert!(kept.see(&maps, &Glance::There(map("a")), None));
        assert!(!kept.see(&maps, &Glance::There(map("b")), None), "it waits");
        assert!(!kept.see(&realm("Secret"), &Glance::There(map("c")), None));
        let mut all = All::default();
        all.kept.insert(name("back"), kept);
        let wishes = all.wishes(&"acme".parse().unwrap());
        let holds: Vec<bool> = wishes.values().map(|(wish, _)| wish.holds).collect();
        assert_eq!(holds, [true, false]);
    }
}
