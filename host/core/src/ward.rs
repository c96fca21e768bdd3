//! What a WriteBack has seen of the objects that it is about, and what of that is yet to be looked at.
//!
//! Watches tell what they show, which is metadata and nothing else; runs take what there is to look at and say what came of it.
//! Of an object that is as it was a number is kept: so ten thousand of them cost a few bytes each, and nothing while they stay.
//! What we have applied ourselves is no news, nor is a status, but for that of a snapshot. It deliberately holds no lock and no clock
//! (the time is how long the process has been running), and no rules: who tells it something says whether that is meant.

mod additions;
mod crowded;
mod deleted;
mod proposed;
mod remembered;
mod share;
mod storage;
mod taken;

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::ops::Bound;
use std::time::Duration;

use reeve_api::writeback::{WriteBackConflict, WriteBackRefusal};
use serde_json::{Map, Value, json};

use self::deleted::Deleted;
use crate::drift::{digest, is_ours, owner};
use crate::inventory::ObjectId;
pub use additions::{as_if_applied, as_made, by_name, without_additions, without_found};
pub use proposed::PROPOSED;
pub use share::{Wish, chosen, shares};
pub use storage::{bound_to, is_bound_beyond, is_made_by_another};
pub use taken::is_being_taken;

/// Somebody who never stops changing something is written after so many times the pause that is waited for.
const PATIENCE: u32 = 10;
/// Of how many objects it is remembered that they could not be written.
const LEFT: usize = 1000;

/// A kind of objects, in a namespace or in all.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Realm {
    /// None: in all namespaces, or in none.
    pub namespace: Option<String>,
    /// Empty for Kubernetes' core group.
    pub group: String,
    /// The kind.
    pub kind: String,
}

/// What a watch shows.
#[derive(Debug, Clone, Copy)]
pub enum Shown<'v> {
    /// All there are follow.
    Begin,
    /// It is there; nothing but its metadata. Whether any rule means it.
    There(&'v Value, bool),
    /// It is gone.
    Gone(&'v Value),
    /// Those were all.
    Listed,
}

/// What there is to look at.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Work {
    /// Objects that are there, or were.
    pub there: Vec<ObjectId>,
    /// Objects that were deleted, with what of their metadata rules ask for.
    pub gone: Vec<(ObjectId, Value)>,
    /// Whether there is more.
    pub more: bool,
}

/// What came of looking at an object that is not settled by that.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Left {
    /// What was not written.
    pub refused: Vec<WriteBackRefusal>,
    /// What both sides had changed.
    pub conflicts: Vec<WriteBackConflict>,
    /// What it is called, if somebody has taken it out.
    pub paused: Option<String>,
}

/// All that is known of what one WriteBack watches.
#[derive(Debug, Default)]
pub struct Ward {
    views: BTreeMap<Realm, View>,
    fresh: BTreeMap<ObjectId, Fresh>,
    left: BTreeMap<ObjectId, Left>,
    /// What of that was deleted.
    deleted: Deleted,
    /// Whether others had no room in that.
    is_crowded: bool,
    /// What is proposed by now, and is looked at together; of what was deleted what is known of it.
    proposed: BTreeMap<ObjectId, Option<Value>>,
    /// What was there when a process before this one looked.
    remembered: BTreeSet<ObjectId>,
    /// When the first and the last change was seen that is yet to be looked at.
    stirred: Option<(Duration, Duration)>,
    /// Behind whom others have their turn.
    last: Option<ObjectId>,
}

#[derive(Debug, Clone, PartialEq)]
enum Fresh {
    There,
    Gone(Value),
}

/// How an object looked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Sight {
    mark: u64,
    /// When we have applied it.
    ours: u64,
    /// Which state of it this is, where nothing else tells two changes of one second apart.
    version: u64,
    /// Who has told its status, and when.
    status: u64,
}

/// Namespace and name.
type Name = (Box<str>, Box<str>);

/// What one watch has shown.
#[derive(Debug, Default)]
struct View {
    seen: BTreeMap<Name, Sight>,
    /// While it lists: what it has listed.
    listing: Option<BTreeSet<Name>>,
    /// Whether it has listed all there are.
    is_listed: bool,
}

impl Left {
    /// Whether there is nothing to say.
    pub fn is_nothing(&self) -> bool {
        self.refused.is_empty() && self.conflicts.is_empty() && self.paused.is_none()
    }
}

impl Ward {
    /// These are watched from now on, and nothing else.
    pub fn watch_only(&mut self, realms: &BTreeSet<Realm>) {
        self.views.retain(|realm, _| realms.contains(realm));
        for realm in realms {
            self.views.entry(realm.clone()).or_default();
        }
        let of = |id: &ObjectId| realms.iter().any(|realm| realm.has(id));
        self.fresh.retain(|id, _| of(id));
        self.left.retain(|id, _| of(id));
        self.deleted.retain(of);
        self.proposed.retain(|id, _| of(id));
    }

    /// A watch shows something. Whether there is something to look at because of it.
    pub fn show(&mut self, realm: &Realm, shown: Shown<'_>, now: Duration) -> bool {
        let Some(view) = self.views.get_mut(realm) else {
            return false;
        };
        let first = matches!(shown, Shown::Listed) && !view.is_listed;
        let is_proposed = |name: &Name| self.proposed.contains_key(&realm.id(name));
        let news: Vec<(Name, Fresh)> = match shown {
            Shown::Begin => {
                view.listing = Some(BTreeSet::new());
                Vec::new()
            }
            Shown::There(object, meant) => {
                let now = Sight::of(object, taken::tells_by_status(realm));
                let seen = view.there((object, now), meant, is_proposed);
                // Who is still told that it was deleted is told that it is there, whoever has made it again.
                let is_back = || meant && self.deleted.has(realm, object);
                let seen = seen.or_else(|| is_back().then(|| (names(object), Fresh::There)));
                seen.into_iter().collect()
            }
            Shown::Gone(object) => {
                let name = names(object);
                let was = view.seen.remove(&name).is_some();
                let gone = was.then(|| (name, Fresh::Gone(asked_for(object))));
                gone.into_iter().collect()
            }
            Shown::Listed => view.listed(remembered::of(&mut self.remembered, realm)),
        };
        // What waited for all of them to be listed is looked at now.
        let is_news = !news.is_empty() || (first && !self.fresh.is_empty());
        for (name, fresh) in news {
            self.fresh.insert(realm.id(&name), fresh);
        }
        if is_news {
            let first = self.stirred.map_or(now, |(first, _)| first);
            self.stirred = Some((first, now));
        }
        is_news
    }

    /// When what was seen is to be looked at: once nothing was changed for so long. None: nothing waits.
    pub fn due(&self, debounce: Duration) -> Option<Duration> {
        let (first, last) = self.stirred?;
        let longest = first.saturating_add(debounce.saturating_mul(PATIENCE));
        Some(last.saturating_add(debounce).min(longest))
    }

    /// Takes what there is to look at, so many objects at most.
    pub fn take(&mut self, most: usize) -> Work {
        let mut work = Work::default();
        self.deleted.retain(|id| self.left.contains_key(id));
        while let Some((id, fresh)) = self.next() {
            self.last = Some(id.clone());
            self.deleted.take(&id, &fresh);
            match fresh {
                Fresh::There => work.there.push(id),
                Fresh::Gone(meta) => work.gone.push((id, meta)),
            }
            if work.there.len() + work.gone.len() == most {
                break;
            }
        }
        work.there.sort();
        work.more = !self.fresh.is_empty();
        self.stirred = None;
        work
    }

    /// The next one behind the last, so that nobody who never rests keeps others waiting.
    fn next(&mut self) -> Option<(ObjectId, Fresh)> {
        let behind = self.last.as_ref().and_then(|last| {
            let mut behind = self
                .fresh
                .range::<ObjectId, _>((Bound::Excluded(last), Bound::Unbounded));
            behind.next().map(|(id, _)| id.clone())
        });
        match behind {
            Some(id) => self.fresh.remove_entry(&id),
            None => self.fresh.pop_first(),
        }
    }

    /// Gives back what was taken and came to nothing. What was seen of an object meanwhile counts.
    pub fn give_back(&mut self, work: Work) {
        let there = work.there.into_iter().map(|id| (id, Fresh::There));
        let gone = work.gone.into_iter();
        let gone = gone.map(|(id, meta)| (id, Fresh::Gone(meta)));
        for (id, fresh) in there.chain(gone) {
            self.fresh.entry(id).or_insert(fresh);
        }
    }

    /// What came of looking at an object.
    pub fn looked_at(&mut self, id: &ObjectId, left: Left) {
        if left.is_nothing() {
            self.left.remove(id);
            self.deleted.settle(id);
        } else if self.left.len() < LEFT || self.left.contains_key(id) {
            self.left.insert(id.clone(), left);
        } else {
            self.is_crowded = true;
        }
    }

    /// Looks once more at what could not be written; or at everything.
    pub fn look_again(&mut self, everything: bool) {
        // Which had no room nobody knows any more.
        let everything = std::mem::take(&mut self.is_crowded) || everything;
        for id in self.left.keys() {
            let again = self.deleted.again(id);
            self.fresh.entry(id.clone()).or_insert(again);
        }
        if !everything {
            return;
        }
        for (realm, view) in &self.views {
            for name in view.seen.keys() {
                self.fresh.entry(realm.id(name)).or_insert(Fresh::There);
            }
        }
    }

    /// What is not settled, object by object; [`crowded`](Self::crowded) tells of the rest.
    pub fn left(&self) -> impl Iterator<Item = &Left> {
        self.left.values()
    }

    /// What somebody has taken out of write-back, as far as it was looked at.
    pub fn taken_out(&self) -> impl Iterator<Item = &ObjectId> {
        let paused = self.left.iter().filter(|(_, left)| left.paused.is_some());
        paused.map(|(id, _)| id)
    }

    /// Whether a realm has shown anything that a rule means.
    pub fn holds(&self, realm: &Realm) -> bool {
        let view = self.views.get(realm);
        view.is_some_and(|view| !view.seen.is_empty())
    }

    /// How many objects are known.
    pub fn objects(&self) -> usize {
        self.views.values().map(|view| view.seen.len()).sum()
    }
}

impl Realm {
    /// Whether an object lies in it.
    pub fn has(&self, id: &ObjectId) -> bool {
        let here = self.namespace.as_ref();
        self.group == id.group
            && self.kind == id.kind
            && here.is_none_or(|namespace| *namespace == id.namespace)
    }

    fn id(&self, (namespace, name): &Name) -> ObjectId {
        ObjectId {
            namespace: namespace.to_string(),
            name: name.to_string(),
            group: self.group.clone(),
            kind: self.kind.clone(),
        }
    }
}

impl View {
    fn there(
        &mut self,
        (object, now): (&Value, Sight),
        meant: bool,
        is_proposed: impl Fn(&Name) -> bool,
    ) -> Option<(Name, Fresh)> {
        let name = names(object);
        let lists = self.listing.is_some();
        if let Some(listing) = &mut self.listing {
            listing.insert(name.clone());
        }
        if !meant {
            self.seen.remove(&name);
            return None;
        }
        let before = self.seen.insert(name.clone(), now);
        let is_news = match before {
            // Whoever took something away while nobody looked claims nothing.
            None => self.listing.is_some() || may_be_changed(object),
            Some(before) if before.is_as(now, lists) => false,
            // Nor does who takes something away now: then our claim is another, and as old as it was. What is proposed may be
            // merged by now. Who applies it for the first time has it from here on: it goes with that one.
            Some(before) => {
                before.ours == now.ours
                    || !before.is_applied()
                    || is_proposed(&name)
                    || may_be_changed(object)
            }
        };
        is_news.then_some((name, Fresh::There))
    }

    /// What was there when it was last listed, and is not now, was deleted meanwhile; so was what is remembered.
    fn listed(&mut self, remembered: BTreeSet<Name>) -> Vec<(Name, Fresh)> {
        let Some(there) = self.listing.take() else {
            return Vec::new();
        };
        self.is_listed = true;
        let before = self.seen.keys().cloned().chain(remembered);
        let gone: BTreeSet<Name> = before.filter(|name| !there.contains(name)).collect();
        for name in &gone {
            self.seen.remove(name);
        }
        let gone = gone.into_iter();
        gone.map(|name| (name, Fresh::Gone(Value::Null))).collect()
    }
}

/// Whether somebody else than the Kustomization that applied an object claims anything of it but its status.
pub fn may_be_changed(object: &Value) -> bool {
    let claims = object.pointer("/metadata/managedFields");
    let claims = claims.and_then(Value::as_array);
    match claims.filter(|claims| !claims.is_empty()) {
        Some(claims) if owner(object).is_some() => claims
            .iter()
            .any(|claim| !is_ours(claim) && !is_status(claim)),
        // In nobody's manifests, or nobody says who claims what.
        _ => true,
    }
}

/// What rules ask of an object's metadata, and what is said to us in it.
fn asked_for(object: &Value) -> Value {
    let meta = object.get("metadata").unwrap_or(&Value::Null);
    let ours = |key: &str| key.split('/').next() == Some(reeve_api::REEVE_GROUP);
    let annotations = meta.get("annotations").and_then(Value::as_object);
    let annotations = annotations
        .into_iter()
        .flatten()
        .filter(|(key, _)| ours(key));
    let annotations: Map<String, Value> = annotations
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    let labels = meta.get("labels").cloned().unwrap_or_default();
    json!({"labels": labels, "annotations": annotations})
}

fn is_status(claim: &Value) -> bool {
    claim.get("subresource").and_then(Value::as_str) == Some("status")
}

fn names(object: &Value) -> Name {
    let of = |pointer: &str| object.pointer(pointer).and_then(Value::as_str);
    let of = |pointer: &str| of(pointer).unwrap_or_default().into();
    (of("/metadata/namespace"), of("/metadata/name"))
}

impl Sight {
    /// `tells` is whether its status counts as well.
    fn of(object: &Value, tells: bool) -> Self {
        let claims = object.pointer("/metadata/managedFields");
        let claims = claims.and_then(Value::as_array).into_iter().flatten();
        let (mut ours, mut status) = (DefaultHasher::new(), DefaultHasher::new());
        for claim in claims {
            let time = claim.get("time").and_then(Value::as_str);
            if is_ours(claim) {
                time.hash(&mut ours);
            }
            if is_status(claim) {
                digest(claim).hash(&mut status);
            }
        }
        Self {
            mark: mark(object, tells),
            ours: ours.finish(),
            version: version(object),
            status: status.finish(),
        }
    }

    /// Whether nothing of it was changed since it looked like this but its status. Claims have seconds, so that of two changes in
    /// one second nothing tells the second but the version, which a status moves as well: each is shown by itself, but in a
    /// list.
    fn is_as(self, now: Self, lists: bool) -> bool {
        let is_status = self.status != now.status && !lists;
        self.mark == now.mark && (self.version == now.version || is_status)
    }

    /// Whether a Kustomization has ever applied it.
    fn is_applied(self) -> bool {
        self.ours != DefaultHasher::new().finish()
    }
}

/// Tells states of an object apart whose changes the API server does not count.
fn version(object: &Value) -> u64 {
    let of = |pointer: &str| object.pointer(pointer);
    if of("/metadata/generation").is_some_and(|count| *count != 0) {
        return 0;
    }
    let mut hash = DefaultHasher::new();
    let version = of("/metadata/resourceVersion").and_then(Value::as_str);
    version.hash(&mut hash);
    hash.finish()
}

/// The same for what is the same to who writes it back: whatever only tells a status changes it not, unless that counts.
fn mark(object: &Value, tells: bool) -> u64 {
    let mut hash = DefaultHasher::new();
    let meta = object.get("metadata").unwrap_or(&Value::Null);
    for field in [
        "uid",
        "generation",
        "deletionTimestamp",
        "labels",
        "annotations",
    ] {
        digest(meta.get(field).unwrap_or(&Value::Null)).hash(&mut hash);
    }
    let claims = meta.get("managedFields").and_then(Value::as_array);
    let claims = claims.into_iter().flatten();
    for claim in claims.filter(|one| tells || !is_status(one)) {
        digest(claim).hash(&mut hash);
    }
    hash.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(100);

    fn realm() -> Realm {
        Realm {
            namespace: Some("acme".into()),
            group: "apps".into(),
            kind: "Deployment".into(),
        }
    }

    fn id(name: &str) -> ObjectId {
        ObjectId {
            namespace: "acme".into(),
            name: name.into(),
            group: "apps".into(),
            kind: "Deployment".into(),
        }
    }

    fn claim(manager: &str, operation: &str, subresource: &str, time: &str) -> Value {
        json!({"manager": manager, "operation": operation, "subresource": subresource, "time": time})
    }

    fn object(name: &str, owned: bool, claims: &[Value]) -> Value {
        let labels = match owned {
            true => json!({
                "kustomize.toolkit.fluxcd.io/name": "apps",
                "kustomize.toolkit.fluxcd.io/namespace": "acme",
            }),
            false => json!({}),
        };
        json!({"metadata": {"namespace": "acme", "name": name, "uid": "1", "labels": labels, "managedFields": claims}})
    }

    fn ours() -> Value {
        claim("kustomize-controller", "Apply", "", "1")
    }

    fn ward() -> Ward {
        let mut ward = Ward::default();
        ward.watch_only(&BTreeSet::from([realm()]));
        ward
    }

    #[test]
    fn what_we_applied_and_a_status_is_no_news_and_what_anybody_else_does_is() {
        let mut ward = ward();
        let controller = |time: &str| claim("kube-controller-manager", "Update", "status", time);
        let by_hand = claim("kubectl-set", "Update", "", "2");
        let again = claim("kustomize-controller", "Apply", "", "3");
        let mut less = again.clone();
        less["fieldsV1"] = json!({"f:spec": {}});
        for (says, claims, want) in [
            ("applied by us", vec![ours()], false),
            ("a status", vec![ours(), controller("2")], false),
            ("another status", vec![ours(), controller("3")], false),
            (
                "somebody",
                vec![ours(), controller("3"), by_hand.clone()],
                true,
            ),
            ("the same", vec![ours(), controller("4"), by_hand], false),
            ("us again", vec![again, controller("4")], false),
            ("a field is gone", vec![less, controller("4")], true),
        ] {
            let object = object("web", true, &claims);
            let news = ward.show(&realm(), Shown::There(&object, true), NOW);
            assert_eq!(news, want, "{says}");
        }
        let new = object("new", false, &[claim("x", "Update", "", "1")]);
        assert!(ward.show(&realm(), Shown::There(&new, true), NOW));
        let work = ward.take(10);
        assert_eq!(work.there, [id("new"), id("web")]);
        assert_eq!(ward.objects(), 2);
    }

    /// As what has no generation: a ConfigMap.
    #[test]
    fn two_changes_of_one_second_are_two_and_a_status_beside_them_is_none() {
        let shown = |version: &str, status: &str, generation: u64| {
            let by_hand = claim("kubectl-edit", "Update", "", "2");
            let controller = claim("kube-controller-manager", "Update", "status", status);
            let mut object = object("web", true, &[ours(), by_hand, controller]);
            object["metadata"]["resourceVersion"] = json!(version);
            if generation > 0 {
                object["metadata"]["generation"] = json!(generation);
            }
            object
        };
        for (about, before, now, lists, want) in [
            ("the second", ("1", "1", 0), ("2", "1", 0), false, true),
            ("the same", ("1", "1", 0), ("1", "1", 0), true, false),
            ("a status", ("1", "1", 0), ("2", "2", 0), false, false),
            (
                "listed, who knows",
                ("1", "1", 0),
                ("3", "2", 0),
                true,
                true,
            ),
            (
                "counted by the API server",
                ("1", "1", 4),
                ("2", "1", 4),
                true,
                false,
            ),
            (
                "the next of those",
                ("1", "1", 4),
                ("2", "1", 5),
                false,
                true,
            ),
        ] {
            let mut ward = ward();
            let (version, status, generation) = before;
            let first = shown(version, status, generation);
            ward.show(&realm(), Shown::There(&first, true), NOW);
            drop(ward.take(10));
            if lists {
                ward.show(&realm(), Shown::Begin, NOW);
            }
            let (version, status, generation) = now;
            let second = shown(version, status, generation);
            let news = ward.show(&realm(), Shown::There(&second, true), NOW);
            assert_eq!(news, want, "{about}");
        }
    }

    #[test]
    fn what_a_kustomization_takes_over_is_looked_at_once() {
        let mut ward = ward();
        let made = object("web", false, &[claim("kubectl-create", "Update", "", "1")]);
        let applied = |time: &str| {
            let ours = claim("kustomize-controller", "Apply", "", time);
            object("web", true, &[ours])
        };
        for (says, object, want) in [
            ("made by hand", made, true),
            ("applied for the first time", applied("2"), true),
            ("applied again", applied("3"), false),
        ] {
            let news = ward.show(&realm(), Shown::There(&object, true), NOW);
            assert_eq!(news, want, "{says}");
        }
    }

    #[test]
    fn what_is_there_at_first_is_looked_at_once_whoever_claims_it() {
        let mut ward = ward();
        let web = object("web", true, &[ours()]);
        ward.show(&realm(), Shown::Begin, NOW);
        assert!(ward.show(&realm(), Shown::There(&web, true), NOW));
        ward.show(&realm(), Shown::Listed, NOW);
        drop(ward.take(10));
        ward.show(&realm(), Shown::Begin, NOW);
        assert!(!ward.show(&realm(), Shown::There(&web, true), NOW));
        assert!(!ward.show(&realm(), Shown::Listed, NOW));
    }

    #[test]
    fn what_no_rule_means_is_not_known_and_so_never_gone() {
        let mut ward = ward();
        let one = object("one", false, &[]);
        assert!(!ward.show(&realm(), Shown::There(&one, false), NOW));
        assert!(!ward.show(&realm(), Shown::Gone(&one), NOW));
        assert!(ward.show(&realm(), Shown::There(&one, true), NOW));
        assert!(!ward.show(&realm(), Shown::There(&one, false), NOW));
        assert!(!ward.show(&realm(), Shown::Gone(&one), NOW));
        assert_eq!(ward.objects(), 0);
    }

    #[test]
    fn what_is_missing_from_a_whole_list_is_gone_and_from_half_of_one_is_not() {
        let mut ward = ward();
        let (one, other) = (object("one", false, &[]), object("other", false, &[]));
        ward.show(&realm(), Shown::Begin, NOW);
        ward.show(&realm(), Shown::There(&one, true), NOW);
        ward.show(&realm(), Shown::There(&other, true), NOW);
        // Who waited for all of them need not wait any more.
        assert!(ward.show(&realm(), Shown::Listed, NOW));
        drop(ward.take(10));
        // A list that breaks off says nothing.
        ward.show(&realm(), Shown::Begin, NOW);
        ward.show(&realm(), Shown::There(&one, true), NOW);
        ward.show(&realm(), Shown::Begin, NOW);
        assert_eq!(ward.take(10), Work::default());
        ward.show(&realm(), Shown::There(&one, true), NOW);
        assert!(ward.show(&realm(), Shown::Listed, NOW));
        assert_eq!(ward.take(10).gone, [(id("other"), Value::Null)]);
    }

    #[test]
    fn a_change_waits_for_quiet_and_not_for_ever() {
        let mut ward = ward();
        let debounce = Duration::from_secs(5);
        assert_eq!(ward.due(debounce), None);
        for (n, want) in [(0_u64, 105), (3, 108), (30, 135), (48, 150), (200, 150)] {
            let claims = [claim("x", "Update", "", &n.to_string())];
            let changed = object("web", false, &claims);
            let now = NOW + Duration::from_secs(n);
            assert!(ward.show(&realm(), Shown::There(&changed, true), now));
            assert_eq!(ward.due(debounce), Some(Duration::from_secs(want)), "{n}");
        }
        assert_eq!(ward.take(10).there, [id("web")]);
        assert_eq!(ward.due(debounce), None);
    }

    #[test]
    fn what_came_to_nothing_is_looked_at_again_and_what_was_seen_meanwhile_counts() {
        let mut ward = ward();
        for name in ["a", "b", "c"] {
            ward.show(&realm(), Shown::There(&object(name, false, &[]), true), NOW);
        }
        let work = ward.take(2);
        assert!(work.more);
        let mut gone = object("a", true, &[]);
        gone["metadata"]["annotations"] = json!({"reeve.dev/reason": "done", "other": "x"});
        ward.show(&realm(), Shown::Gone(&gone), NOW);
        ward.give_back(work);
        let work = ward.take(10);
        assert_eq!(work.there, [id("b"), id("c")]);
        let [(gone_id, meta)] = &work.gone[..] else {
            panic!("{work:?}")
        };
        assert_eq!(
            (gone_id, meta["annotations"].clone()),
            (&id("a"), json!({"reeve.dev/reason": "done"}))
        );
        assert_eq!(meta["labels"], gone["metadata"]["labels"]);
        assert!(!work.more);
    }

    #[test]
    fn who_never_rests_keeps_nobody_waiting() {
        let mut ward = ward();
        let change = |ward: &mut Ward, name: &str, time: &str| {
            let shown = object(name, false, &[claim("x", "Update", "", time)]);
            assert!(ward.show(&realm(), Shown::There(&shown, true), NOW));
        };
        change(&mut ward, "restless", "1");
        change(&mut ward, "zzz", "1");
        assert_eq!(ward.take(1).there, [id("restless")]);
        change(&mut ward, "restless", "2");
        assert_eq!(ward.take(1).there, [id("zzz")]);
        assert_eq!(ward.take(1).there, [id("restless")]);
    }

    #[test]
    fn what_was_refused_is_looked_at_again_until_it_is_settled() {
        let mut ward = ward();
        let web = object("web", false, &[]);
        ward.show(&realm(), Shown::There(&web, true), NOW);
        drop(ward.take(10));
        let left = Left {
            paused: Some("Deployment acme/web".to_owned()),
            ..Left::default()
        };
        ward.looked_at(&id("web"), left);
        assert_eq!(ward.left().count(), 1);
        ward.look_again(false);
        assert_eq!(ward.take(10).there, [id("web")]);
        ward.looked_at(&id("web"), Left::default());
        ward.look_again(false);
        assert_eq!(ward.take(10), Work::default());
        ward.look_again(true);
        assert_eq!(ward.take(10).there, [id("web")]);
        ward.watch_only(&BTreeSet::new());
        assert_eq!(ward.objects(), 0);
    }
}
