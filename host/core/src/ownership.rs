//! Whose an object is when the manifests of several Kustomizations hold it, now or one after the other.
//!
//! Of each Kustomization the ids in its last plan are known. An object that has left one plan and is in another's is handed
//! over: nobody deletes it. One that is in two is told to both, and refused where a second owner does the most harm. Of a
//! run that got to no plan it is known only that nobody knows what is wanted now: `unheard` says how that is told. It
//! deliberately asks no cluster: what the manifests of another hold counts, whether it has been applied or not.

mod shape;
mod unheard;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use reeve_api::name::{NamespaceName, NamespacedName};
use reeve_api::reason::Reason;

use crate::failure::{Explained, Turn};
use crate::inventory::{Inventory, ObjectId};
use crate::list;
use crate::plan::Plan;
pub use shape::Shape;
pub use unheard::{How, Unheard, Word, are_dependent, turn, words as unheard_words};

/// The annotation by which a Kustomization may share what is refused otherwise: `allow`.
pub const SHARE: &str = "reeve.dev/shared-objects";
/// How many objects are named.
const NAMED: usize = 20;

/// Which state of a Kustomization something is known of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// Its generation.
    pub generation: Option<i64>,
    /// The revision that its source has in store; none if it has none.
    pub revision: Option<String>,
}

/// What the manifests of each Kustomization hold: the objects by their ids, on another cluster behind its address.
#[derive(Debug, Default)]
pub struct Holdings {
    of: BTreeMap<NamespacedName, Held>,
    by: BTreeMap<Arc<str>, BTreeSet<NamespacedName>>,
    /// The Kustomizations of this cluster that are in a plan, and in whose.
    wanted: BTreeMap<NamespacedName, BTreeMap<NamespacedName, Option<Shape>>>,
    /// Who deletes nothing until these have said what they hold.
    awaited: BTreeMap<NamespacedName, BTreeSet<NamespacedName>>,
    /// What each was told last to hold together with others.
    told: BTreeMap<NamespacedName, String>,
}

/// What is known of one.
#[derive(Debug, Default)]
struct Held {
    /// The state that it was planned in last.
    planned: Option<State>,
    /// The state that its last run ended in, whatever came of it.
    ended: Option<State>,
    ids: BTreeSet<Arc<str>>,
    /// The Kustomizations in its plan.
    wants: BTreeSet<NamespacedName>,
}

/// An object that two hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shared {
    /// The object.
    pub id: ObjectId,
    /// Who else holds it.
    pub with: With,
}

/// Who else holds an object, as far as that is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum With {
    /// One of the same tenant, or told to the platform.
    Named(NamespacedName),
    /// Somebody else's: that it is there shows on the object, who it is does not concern them.
    Unnamed,
}

impl fmt::Display for With {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Named(id) => write!(f, "Kustomization {id}"),
            Self::Unnamed => f.write_str("a Kustomization of somebody else"),
        }
    }
}

impl Holdings {
    /// The plan of a run: what these manifests hold from now on, on the cluster at `cluster` or on their own.
    pub fn plan<S>(
        &mut self,
        id: &NamespacedName,
        state: State,
        cluster: Option<&str>,
        plan: &Plan<S>,
    ) {
        let entries = plan.inventory().entries();
        let ids = entries.map(|entry| Arc::from(held_as(cluster, &entry.id.to_string())));
        self.put(id, ids.collect()).planned = Some(state);
        let here = plan.steady().filter(|_| cluster.is_none());
        let wants = here.filter_map(|planned| {
            let one = shape::kustomization(planned.id())?;
            let shape = Shape::planned(&one, planned.manifest());
            Some((one, shape))
        });
        self.want(id, wants.collect());
    }

    /// A run is over. If it got to no plan, what the last one left there counts, and nobody knows what is wanted in this state.
    pub fn over(
        &mut self,
        id: &NamespacedName,
        state: State,
        cluster: Option<&str>,
        inventory: impl IntoIterator<Item = String>,
    ) {
        if !self.of.contains_key(id) {
            let inventory = inventory.into_iter();
            let ids = inventory.map(|id| Arc::from(held_as(cluster, &id)));
            self.put(id, ids.collect());
        }
        if let Some(held) = self.of.get_mut(id) {
            held.ended = Some(state);
        }
    }

    /// In this state it wants no object but those that are known.
    pub fn wants_no_more(&mut self, id: &NamespacedName, state: State) {
        if let Some(held) = self.of.get_mut(id) {
            held.planned = Some(state);
        }
    }

    /// A Kustomization is gone, or going.
    pub fn forget(&mut self, id: &NamespacedName) {
        self.told.remove(id);
        self.awaits(id, []);
        self.put(id, BTreeSet::new());
        self.want(id, BTreeMap::new());
        self.of.remove(id);
    }

    /// Whether what it holds in this state is known.
    pub fn word(&self, id: &NamespacedName, state: &State) -> Word {
        let Some(held) = self.of.get(id) else {
            return Word::Pending;
        };
        let planned = held.planned.as_ref();
        // What has nothing in store is as it was planned last.
        let is_same = |then: &State| {
            then.generation == state.generation
                && (state.revision.is_none() || then.revision == state.revision)
        };
        if planned.is_some_and(is_same) {
            Word::Said
        } else if held.ended.as_ref() == Some(state) {
            Word::Silent
        } else {
            Word::Pending
        }
    }

    /// Whether it was planned at this revision, whatever its spec said then.
    pub fn was_planned_at(&self, id: &NamespacedName, revision: Option<&str>) -> bool {
        let held = self.of.get(id).and_then(|held| held.planned.as_ref());
        held.is_some_and(|then| then.revision.as_deref() == revision)
    }

    /// Who else holds an object on that cluster.
    pub fn others<'h>(
        &'h self,
        cluster: Option<&str>,
        object: &ObjectId,
        id: &'h NamespacedName,
    ) -> impl Iterator<Item = &'h NamespacedName> {
        let held = held_as(cluster, &object.to_string());
        let holders = self.by.get(held.as_str());
        holders
            .into_iter()
            .flatten()
            .filter(move |other| *other != id)
    }

    /// The Kustomizations of a namespace that are in plans: each with in whose, and what it is to be there.
    pub fn wanted_in<'h>(
        &'h self,
        namespace: &'h NamespaceName,
    ) -> impl Iterator<Item = (&'h NamespacedName, &'h NamespacedName, Option<&'h Shape>)> {
        let from = self.wanted.range(NamespacedName::first_of(namespace)..);
        let within = from.take_while(move |(id, _)| id.namespace == *namespace);
        within.flat_map(|(id, by)| {
            by.iter()
                .map(move |(planner, shape)| (id, planner, shape.as_ref()))
        })
    }

    /// The namespaces of the Kustomizations in its plan.
    pub fn wanted_by(&self, id: &NamespacedName) -> BTreeSet<NamespaceName> {
        let wants = self.of.get(id).into_iter().flat_map(|held| &held.wants);
        wants.map(|one| one.namespace.clone()).collect()
    }

    /// It deletes nothing until all of these have said what they hold; none: it waits for nobody.
    pub fn awaits(&mut self, id: &NamespacedName, whom: impl IntoIterator<Item = NamespacedName>) {
        self.awaited.retain(|_, waiting| {
            waiting.remove(id);
            !waiting.is_empty()
        });
        for one in whom {
            self.awaited.entry(one).or_default().insert(id.clone());
        }
    }

    /// Somebody has said what it holds, or is gone: returns who has waited for that, and waits no more.
    pub fn heard(&mut self, id: &NamespacedName) -> BTreeSet<NamespacedName> {
        self.awaited.remove(id).unwrap_or_default()
    }

    /// Whether it is news that it shares these.
    pub fn is_news(&mut self, id: &NamespacedName, message: &str) -> bool {
        match message.is_empty() {
            true => self.told.remove(id).is_some(),
            false => self.told.insert(id.clone(), message.to_owned()).as_deref() != Some(message),
        }
    }

    fn put(&mut self, id: &NamespacedName, ids: BTreeSet<Arc<str>>) -> &mut Held {
        let held = self.of.entry(id.clone()).or_default();
        for gone in held.ids.difference(&ids) {
            if let Some(holders) = self.by.get_mut(gone) {
                holders.remove(id);
                if holders.is_empty() {
                    self.by.remove(gone);
                }
            }
        }
        for object in ids.difference(&held.ids) {
            let holders = self.by.entry(Arc::clone(object)).or_default();
            holders.insert(id.clone());
        }
        held.ids = ids;
        held
    }

    fn want(&mut self, id: &NamespacedName, wants: BTreeMap<NamespacedName, Option<Shape>>) {
        let Some(held) = self.of.get_mut(id) else {
            return;
        };
        for one in std::mem::take(&mut held.wants) {
            if let Some(by) = self.wanted.get_mut(&one) {
                by.remove(id);
                if by.is_empty() {
                    self.wanted.remove(&one);
                }
            }
        }
        held.wants = wants.keys().cloned().collect();
        for (one, shape) in wants {
            self.wanted
                .entry(one)
                .or_default()
                .insert(id.clone(), shape);
        }
    }
}

/// An object of one cluster is none of another, whatever it is called: no id has a blank.
fn held_as(cluster: Option<&str>, id: &str) -> String {
    match cluster {
        Some(at) => format!("{at} {id}"),
        None => id.to_owned(),
    }
}

/// Whether a second owner is refused: all that lies in it, or all that was stored in it, would go with either of the two.
pub fn is_refused(id: &ObjectId) -> bool {
    matches!(
        (id.group.as_str(), id.kind.as_str()),
        ("", "Namespace" | "PersistentVolumeClaim")
            | ("apiextensions.k8s.io", "CustomResourceDefinition")
    )
}

/// Why a plan is refused that would take over what another holds. What it has had before it keeps.
pub fn refusal(shared: &[Shared], before: &Inventory) -> Option<Explained> {
    let refused = shared
        .iter()
        .filter(|one| is_refused(&one.id) && !before.contains(&one.id));
    let refused: Vec<Shared> = refused.cloned().collect();
    if refused.is_empty() {
        return None;
    }
    let hint = format!("take it out of one of the two, or annotate this one with {SHARE}: allow");
    let message = words(&refused);
    Some(Explained::new(Reason::OwnershipConflict, Turn::Retry, message).with_hint(hint))
}

/// What is told of objects that several hold; nothing where there are none.
pub fn words(shared: &[Shared]) -> String {
    if shared.is_empty() {
        return String::new();
    }
    let one = |one: &Shared| format!("{} ({})", one.id.subject(), one.with);
    let named = list::in_part(shared.iter().map(one), NAMED, ", ");
    format!("also in the manifests of others: {named}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> NamespacedName {
        NamespacedName::new("acme", text).unwrap()
    }

    fn state(revision: &str) -> State {
        State {
            generation: Some(1),
            revision: Some(revision.to_owned()),
        }
    }

    fn inventory(ids: &[&str]) -> Inventory {
        Inventory::parse(ids.iter().map(|id| (*id, "v1"))).unwrap()
    }

    fn holds(holdings: &mut Holdings, who: &str, revision: &str, ids: &[&str]) {
        let plan = Plan::of_inventory(&Inventory::default(), &inventory(ids));
        holdings.plan(&name(who), state(revision), None, &plan);
    }

    fn others(holdings: &Holdings, object: &str, who: &str) -> Vec<String> {
        let (object, who) = (object.parse().unwrap(), name(who));
        holdings
            .others(None, &object, &who)
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn who_else_holds_an_object_is_known_from_the_last_plans() {
        let mut holdings = Holdings::default();
        holds(
            &mut holdings,
            "old",
            "1",
            &["acme_a__ConfigMap", "acme_b__ConfigMap"],
        );
        holds(&mut holdings, "new", "1", &["acme_b__ConfigMap"]);
        assert_eq!(others(&holdings, "acme_b__ConfigMap", "old"), ["acme/new"]);
        assert_eq!(others(&holdings, "acme_b__ConfigMap", "new"), ["acme/old"]);
        assert!(others(&holdings, "acme_a__ConfigMap", "old").is_empty());
        holds(&mut holdings, "old", "2", &["acme_a__ConfigMap"]);
        assert!(others(&holdings, "acme_b__ConfigMap", "new").is_empty());
        holdings.forget(&name("old"));
        assert!(others(&holdings, "acme_a__ConfigMap", "new").is_empty());
        assert!(holdings.by.len() == 1 && holdings.of.len() == 1);
    }

    #[test]
    fn what_lies_on_another_cluster_is_not_what_lies_here() {
        let mut holdings = Holdings::default();
        let (a, edge) = ("acme_a__ConfigMap", Some("https://edge.example:443"));
        holds(&mut holdings, "here", "1", &[a]);
        let plan = Plan::of_inventory(&Inventory::default(), &inventory(&[a]));
        holdings.plan(&name("there"), state("1"), edge, &plan);
        assert!(others(&holdings, a, "here").is_empty());
        let (object, here) = (a.parse().unwrap(), name("here"));
        let also = holdings.others(edge, &object, &here).next();
        assert_eq!(also, Some(&name("there")));
        holdings.over(&name("old"), state("1"), edge, [a.to_owned()]);
        assert!(others(&holdings, a, "here").is_empty());
    }

    #[test]
    fn a_run_without_a_plan_leaves_what_was_known_and_says_nothing_of_what_is_wanted_now() {
        let mut holdings = Holdings::default();
        let (who, a) = (name("web"), "acme_a__ConfigMap");
        let word = |holdings: &Holdings, revision| holdings.word(&who, &state(revision));
        assert_eq!(word(&holdings, "1"), Word::Pending);
        holdings.over(&who, state("1"), None, [a.to_owned()]);
        assert_eq!(word(&holdings, "1"), Word::Silent);
        assert_eq!(word(&holdings, "2"), Word::Pending);
        assert_eq!(others(&holdings, a, "other"), ["acme/web"]);
        holds(&mut holdings, "web", "2", &[a]);
        assert_eq!(word(&holdings, "2"), Word::Said);
        // What was planned stays so, whatever becomes of the run.
        holdings.over(&who, state("2"), None, []);
        assert_eq!(word(&holdings, "2"), Word::Said);
        holdings.over(&who, state("3"), None, []);
        assert_eq!(word(&holdings, "3"), Word::Silent);
        assert_eq!(others(&holdings, a, "other"), ["acme/web"]);
        assert!(holdings.was_planned_at(&who, Some("2")));
        holdings.wants_no_more(&who, state("3"));
        assert_eq!(word(&holdings, "3"), Word::Said);
    }

    #[test]
    fn what_has_lost_its_source_is_as_it_was_planned_and_what_never_had_one_is_unknown() {
        let mut holdings = Holdings::default();
        let lost = State {
            generation: Some(1),
            revision: None,
        };
        holdings.over(&name("new"), lost.clone(), None, []);
        assert_eq!(holdings.word(&name("new"), &lost), Word::Silent);
        holds(&mut holdings, "web", "1", &[]);
        assert_eq!(holdings.word(&name("web"), &lost), Word::Said);
        let changed = State {
            generation: Some(2),
            ..lost
        };
        assert_eq!(holdings.word(&name("web"), &changed), Word::Pending);
    }

    #[test]
    fn kustomizations_in_a_plan_are_known_until_it_is_another() {
        let mut holdings = Holdings::default();
        let child = "acme_b_kustomize.toolkit.fluxcd.io_Kustomization";
        let wanted = |holdings: &Holdings, namespace: &str| -> Vec<String> {
            let namespace = NamespaceName::new(namespace).unwrap();
            let all = holdings.wanted_in(&namespace);
            all.map(|(child, planner, _)| format!("{child} by {planner}"))
                .collect()
        };
        holds(&mut holdings, "parent", "1", &["acme_b__ConfigMap", child]);
        assert_eq!(wanted(&holdings, "acme"), ["acme/b by acme/parent"]);
        assert!(wanted(&holdings, "acm").is_empty() && wanted(&holdings, "other").is_empty());
        holds(&mut holdings, "parent", "2", &["acme_b__ConfigMap"]);
        assert!(wanted(&holdings, "acme").is_empty());
        holds(&mut holdings, "parent", "3", &[child]);
        holdings.forget(&name("parent"));
        assert!(wanted(&holdings, "acme").is_empty());
        assert!(holdings.of.is_empty() && holdings.by.is_empty() && holdings.wanted.is_empty());
    }

    #[test]
    fn who_waits_for_a_word_is_woken_once_it_is_said() {
        let mut holdings = Holdings::default();
        let heard = |holdings: &mut Holdings, who: &str| -> Vec<String> {
            let woken = holdings.heard(&name(who));
            woken.iter().map(ToString::to_string).collect()
        };
        holdings.awaits(&name("a"), [name("b"), name("c")]);
        holdings.awaits(&name("d"), [name("b")]);
        assert_eq!(heard(&mut holdings, "b"), ["acme/a", "acme/d"]);
        assert!(heard(&mut holdings, "b").is_empty());
        holdings.awaits(&name("a"), []);
        assert!(heard(&mut holdings, "c").is_empty());
        holdings.awaits(&name("a"), [name("b")]);
        holdings.forget(&name("a"));
        assert!(heard(&mut holdings, "b").is_empty());
    }

    #[test]
    fn a_second_owner_is_refused_where_it_does_the_most_harm() {
        let shared = |id: &str| Shared {
            id: id.parse().unwrap(),
            with: With::Named(name("other")),
        };
        let namespace = [shared("_acme__Namespace"), shared("acme_a__ConfigMap")];
        let why = refusal(&namespace, &Inventory::default()).unwrap();
        assert_eq!(
            why.message,
            "also in the manifests of others: Namespace/acme (Kustomization acme/other)"
        );
        assert_eq!(why.reason, Reason::OwnershipConflict);
        assert_eq!(refusal(&namespace, &inventory(&["_acme__Namespace"])), None);
        assert_eq!(
            refusal(&[shared("acme_a__ConfigMap")], &Inventory::default()),
            None
        );
        assert_eq!(words(&[]), "");
        let unnamed = Shared {
            with: With::Unnamed,
            ..shared("_a__Namespace")
        };
        assert_eq!(
            words(&[unnamed]),
            "also in the manifests of others: Namespace/a (a Kustomization of somebody else)"
        );
    }

    #[test]
    fn the_same_is_told_once() {
        let (mut holdings, who) = (Holdings::default(), name("web"));
        let mut news = |message| holdings.is_news(&who, message);
        assert_eq!(
            [news(""), news("a"), news("a"), news("b")],
            [false, true, false, true]
        );
        assert_eq!([news(""), news("b")], [true, true]);
    }
}
