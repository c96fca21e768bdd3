//! Whose an object is when the manifests of several Kustomizations hold it, now or one after the other.
//!
//! Of each Kustomization the ids in its last plan are known. An object that has left one plan and is in another's is handed
//! over: nobody deletes it. One that is in two is told to both, and refused where a second owner does the most harm. It
//! deliberately asks no cluster: what the manifests of another hold counts, whether it has been applied or not.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use reeve_api::name::NamespacedName;
use reeve_api::reason::Reason;

use crate::failure::{Explained, Turn};
use crate::inventory::{Inventory, ObjectId};
use crate::list;
use crate::plan::Plan;

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
    of: BTreeMap<NamespacedName, (State, BTreeSet<Arc<str>>)>,
    by: BTreeMap<Arc<str>, BTreeSet<NamespacedName>>,
    /// What each was told last to hold together with others.
    told: BTreeMap<NamespacedName, String>,
}

/// An object that two hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shared {
    /// The object.
    pub id: ObjectId,
    /// Who else holds it.
    pub with: NamespacedName,
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
        self.put(id, state, ids.collect());
    }

    /// A run is over. If it got to no plan, what the last one left there counts.
    pub fn over(
        &mut self,
        id: &NamespacedName,
        state: State,
        cluster: Option<&str>,
        inventory: impl IntoIterator<Item = String>,
    ) {
        let inventory = inventory.into_iter();
        match self.of.get_mut(id) {
            Some((known, _)) => *known = state,
            None => {
                let ids = inventory.map(|id| Arc::from(held_as(cluster, &id)));
                self.put(id, state, ids.collect());
            }
        }
    }

    /// A Kustomization is gone, or going.
    pub fn forget(&mut self, id: &NamespacedName) {
        self.told.remove(id);
        let Some((_, ids)) = self.of.remove(id) else {
            return;
        };
        for object in ids {
            if let Some(holders) = self.by.get_mut(&object) {
                holders.remove(id);
                if holders.is_empty() {
                    self.by.remove(&object);
                }
            }
        }
    }

    /// Whether what it holds in this state is known.
    pub fn knows(&self, id: &NamespacedName, state: &State) -> bool {
        self.of.get(id).is_some_and(|(known, _)| known == state)
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

    /// Whether it is news that it shares these.
    pub fn is_news(&mut self, id: &NamespacedName, message: &str) -> bool {
        match message.is_empty() {
            true => self.told.remove(id).is_some(),
            false => self.told.insert(id.clone(), message.to_owned()).as_deref() != Some(message),
        }
    }

    fn put(&mut self, id: &NamespacedName, state: State, ids: BTreeSet<Arc<str>>) {
        let same = self.of.get_mut(id).filter(|(_, known)| *known == ids);
        if let Some((known, _)) = same {
            *known = state;
            return;
        }
        let told = self.told.remove(id);
        self.forget(id);
        if let Some(told) = told {
            self.told.insert(id.clone(), told);
        }
        for object in &ids {
            let holders = self.by.entry(Arc::clone(object)).or_default();
            holders.insert(id.clone());
        }
        self.of.insert(id.clone(), (state, ids));
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
    let one = |one: &Shared| format!("{} (Kustomization {})", one.id.subject(), one.with);
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
    fn a_run_without_a_plan_leaves_what_was_known() {
        let mut holdings = Holdings::default();
        let (who, a) = (name("web"), "acme_a__ConfigMap");
        assert!(!holdings.knows(&who, &state("1")));
        holdings.over(&who, state("1"), None, [a.to_owned()]);
        assert!(holdings.knows(&who, &state("1")) && !holdings.knows(&who, &state("2")));
        assert_eq!(others(&holdings, a, "other"), ["acme/web"]);
        holdings.over(&who, state("2"), None, []);
        assert_eq!(others(&holdings, a, "other"), ["acme/web"]);
    }

    #[test]
    fn a_second_owner_is_refused_where_it_does_the_most_harm() {
        let shared = |id: &str| Shared {
            id: id.parse().unwrap(),
            with: name("other"),
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
