//! When deleting waits until somebody has said yes.
//!
//! Much of what is on the cluster going at once, a build that has become empty, and a Kustomization that points elsewhere
//! than it did are as a rule mistakes; and what somebody may want who has not said so yet is not ours to delete. What would be
//! deleted is listed with a digest of the list; an annotation with that digest confirms exactly that list, after the revision
//! that was applied last and for these places: the same list at another time waits again. Kustomizations that are deleted
//! themselves wait only for who may want what they had. It deliberately deletes nothing and knows no cluster: what is on it
//! stands in the inventory.

use std::collections::BTreeMap;

use reeve_api::reason::Reason;
use sha2::{Digest as _, Sha256};

use crate::failure::{Explained, Turn};
use crate::inventory::{Inventory, ObjectId};
use crate::list;
use crate::ownership::{self, Unheard};
use crate::plan::Plan;
use crate::spec::Spec;

/// The annotation with how much may be deleted at once: a number of objects, or a percentage of them.
pub const BUDGET: &str = "reeve.dev/prune-budget";
/// The annotation with the digest of the list that may be deleted.
pub const CONFIRM: &str = "reeve.dev/confirm-prune";

/// What may always go at once, where the budget is not set; and the most that an empty build deletes.
const FEW: usize = 10;
/// How many objects are named.
const NAMED: usize = 60;

/// What the object says about deleting.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Caution {
    budget: Budget,
    confirmed: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
enum Budget {
    /// Half of all, or a few.
    #[default]
    Unset,
    Objects(usize),
    Percent(usize),
    /// Nobody can say what is meant.
    Unreadable(String),
}

/// Where manifests come from, as far as another place means other manifests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origins<'a> {
    /// At the last run that applied everything; none if there was none, or nobody wrote it down.
    pub before: Option<&'a str>,
    /// Now.
    pub now: &'a str,
    /// The revision that everything was applied of last: it stays the same while deleting waits.
    pub applied: Option<&'a str>,
}

/// A cluster that a Kustomization was carried out on, and no longer is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Left {
    /// Which: its address, or none for the cluster of the Kustomization itself.
    pub cluster: Option<String>,
    /// What was left there.
    pub objects: Inventory,
}

impl Left {
    /// Of an inventory that is on the cluster `before`: what of it is on the one where it goes on `now`, and what is left
    /// elsewhere.
    pub fn part(
        inventory: Inventory,
        before: Option<&str>,
        now: Option<&str>,
    ) -> (Inventory, Option<Self>) {
        if inventory.is_empty() || before == now {
            return (inventory, None);
        }
        let left = Self {
            cluster: before.map(str::to_owned),
            objects: inventory,
        };
        (Inventory::default(), Some(left))
    }
}

/// What may be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Everything.
    Go,
    /// Everything but deleting.
    KeepAll(Explained),
    /// Nothing.
    Wait(Explained),
}

/// Where the manifests of `spec` come from: its source, of which repository, and where in it the next version is looked for
/// (`source::Reference::place`), and the path. The version of a tag or a commit is none of it: another one is the next of the same.
pub fn origin(spec: &Spec, url: &str, place: Option<&str>) -> String {
    let repository = hex::encode(Sha256::digest(url));
    let repository = repository.get(..8).unwrap_or_default();
    let place = place.map(|place| format!(", {place}"));
    let (source, path) = (&spec.source, &spec.path);
    let place = place.unwrap_or_default();
    format!("{source} (repository {repository}{place}), path ./{path}")
}

impl Caution {
    /// Reads an object's annotations.
    pub fn of(annotations: &BTreeMap<String, String>) -> Self {
        let budget = annotations.get(BUDGET).map(|text| budget(text.trim()));
        Self {
            budget: budget.unwrap_or_default(),
            confirmed: annotations.get(CONFIRM).cloned(),
        }
    }

    /// Whether `plan` may do what it says after `before` was left on the cluster; `unheard` may want what it deletes.
    pub fn judge<S>(
        &self,
        origins: Origins<'_>,
        unheard: &[Unheard],
        before: &Inventory,
        plan: &Plan<S>,
    ) -> Verdict {
        let gone: Vec<&ObjectId> = plan.dropped().map(|entry| &entry.id).collect();
        let unheard: &[Unheard] = if gone.is_empty() { &[] } else { unheard };
        let moved = origins.before.filter(|then| *then != origins.now);
        let new: Vec<&ObjectId> = match moved.filter(|_| !before.is_empty()) {
            Some(_) => {
                let objects = plan.steady().map(|planned| planned.id());
                objects.filter(|id| !before.contains(id)).collect()
            }
            None => Vec::new(),
        };
        let asked = Asked {
            gone: &gone,
            new: &new,
            around: origins.bound(unheard),
        };
        let digest = asked.digest();
        if self.has_confirmed(&digest) {
            return Verdict::Go;
        }
        let awaits = (!unheard.is_empty()).then(|| awaited(unheard, &gone, &digest));
        if self.budget.is_all() {
            return awaits.map_or(Verdict::Go, Verdict::KeepAll);
        }
        if let Some(then) = moved.filter(|_| !gone.is_empty() || !new.is_empty()) {
            let now = origins.now;
            let what = format!(
                "it points at {now} and no longer at {then}, which waits for {CONFIRM}: {digest}{}{}{}",
                also(unheard),
                listed("would be deleted", &gone),
                listed("was never applied and would be", &new),
            );
            return Verdict::Wait(held(what));
        }
        match self.too_many(&gone, before, plan) {
            Some(why) => Verdict::KeepAll(held(format!(
                "deleting {} of {} objects ({why}) waits for {CONFIRM}: {digest}{}{}",
                gone.len(),
                before.len(),
                also(unheard),
                listed("would be deleted", &gone),
            ))),
            None => awaits.map_or(Verdict::Go, Verdict::KeepAll),
        }
    }

    /// Why that much may not go at once, if it may not.
    fn too_many<S>(
        &self,
        gone: &[&ObjectId],
        before: &Inventory,
        plan: &Plan<S>,
    ) -> Option<String> {
        let is_empty = plan.inventory().is_empty();
        let allowed = self.budget.of(before.len(), is_empty);
        if gone.len() <= allowed {
            return None;
        }
        Some(match &self.budget {
            Budget::Unreadable(text) => format!("{BUDGET} {text:?} is no number and no percentage"),
            _ if is_empty => {
                format!(
                    "nothing is left in git, and more than {allowed} objects are not deleted for that"
                )
            }
            _ => format!("more than the {allowed} that may go at once"),
        })
    }

    fn has_confirmed(&self, digest: &str) -> bool {
        self.confirmed.as_deref() == Some(digest)
    }
}

impl Caution {
    /// Why a Kustomization that is itself deleted does not delete yet what `plan` says: `unheard` may want it. `applied` is what
    /// it has applied last.
    pub fn judge_parting<S>(
        &self,
        applied: Option<&str>,
        unheard: &[Unheard],
        plan: &Plan<S>,
    ) -> Option<Explained> {
        let gone: Vec<&ObjectId> = plan.prune().iter().map(|entry| &entry.id).collect();
        if gone.is_empty() || unheard.is_empty() {
            return None;
        }
        let mut around = vec!["for good".to_owned(), after(applied)];
        around.extend(unheard.iter().map(without));
        let asked = Asked {
            gone: &gone,
            new: &[],
            around,
        };
        let digest = asked.digest();
        let waits = !self.has_confirmed(&digest);
        waits.then(|| {
            let why = awaited(unheard, &gone, &digest);
            let hint = why.hint.clone().unwrap_or_default();
            why.with_hint(format!(
                "{hint}; or set spec.deletionPolicy to Orphan to leave what is there"
            ))
        })
    }

    /// Whether `plan` may be applied to the cluster at `to` after the one that it `left`, where `applied` was applied last. What
    /// is there stays there: nobody deletes it, and nobody looks after it.
    pub fn judge_move<S>(
        &self,
        left: &Left,
        to: Option<&str>,
        applied: Option<&str>,
        plan: &Plan<S>,
    ) -> Verdict {
        let stays: Vec<&ObjectId> = left.objects.entries().map(|entry| &entry.id).collect();
        let new: Vec<&ObjectId> = plan.steady().map(|planned| planned.id()).collect();
        let [from, to] = [left.cluster.as_deref(), to].map(called);
        let asked = Asked {
            gone: &stays,
            new: &new,
            around: vec![format!("from {from}"), format!("@{to}"), after(applied)],
        };
        let digest = asked.digest();
        if self.budget.is_all() || self.has_confirmed(&digest) {
            return Verdict::Go;
        }
        let what = format!(
            "it points at {to} and no longer at {from}, which waits for {CONFIRM}: {digest}{}{}",
            listed("stays there and is not looked after any more", &stays),
            listed("was never applied and would be", &new),
        );
        let hint = format!(
            "nothing is deleted on {from}: to have that done, point it there again, empty it in git or delete it, and then move. To leave all there, annotate the Kustomization with {CONFIRM} and this digest"
        );
        Verdict::Wait(held(what).with_hint(hint))
    }
}

impl Origins<'_> {
    /// What a confirmation is for beside the lists.
    fn bound(&self, unheard: &[Unheard]) -> Vec<String> {
        let mut around = vec![
            format!("from {}", self.before.unwrap_or_default()),
            format!("to {}", self.now),
            after(self.applied),
        ];
        around.extend(unheard.iter().map(without));
        around
    }
}

fn after(applied: Option<&str>) -> String {
    format!("after {}", applied.unwrap_or_default())
}

/// Whoever it is: why nobody knows may change from one moment to the next.
fn without(unheard: &Unheard) -> String {
    format!("without {}", unheard.who)
}

/// Somebody may want what would be deleted.
fn awaited(unheard: &[Unheard], gone: &[&ObjectId], digest: &str) -> Explained {
    let what = format!(
        "deleting {} objects waits for {}, whose manifests may hold them now, or for {CONFIRM}: {digest}{}",
        gone.len(),
        ownership::unheard_words(unheard),
        listed("would be deleted", gone),
    );
    let hint = format!(
        "have those that are named planned: mend, resume or delete them. If none of them wants these objects, annotate the Kustomization with {CONFIRM} and this digest"
    );
    Explained::new(Reason::PruneHeld, ownership::turn(unheard), what).with_hint(hint)
}

/// The same beside another reason to wait.
fn also(unheard: &[Unheard]) -> String {
    if unheard.is_empty() {
        return String::new();
    }
    let words = ownership::unheard_words(unheard);
    format!("; it is not known whether they are wanted by {words}")
}

/// A cluster as it is spoken of.
fn called(cluster: Option<&str>) -> String {
    match cluster {
        Some(at) => format!("the cluster at {at}"),
        None => "this cluster".to_owned(),
    }
}

impl Budget {
    fn is_all(&self) -> bool {
        matches!(self, Self::Percent(100..))
    }

    /// How many of `all` may go.
    fn of(&self, all: usize, emptied: bool) -> usize {
        let share = |percent: usize| all.saturating_mul(percent) / 100;
        let allowed = match self {
            Self::Unset => share(50).max(FEW),
            Self::Objects(number) => *number,
            Self::Percent(percent) => share(*percent),
            Self::Unreadable(_) => 0,
        };
        match emptied {
            true => allowed.min(FEW),
            false => allowed,
        }
    }
}

fn budget(text: &str) -> Budget {
    let percent = text.strip_suffix('%').map(str::trim_end);
    let number = percent.unwrap_or(text).parse();
    match (number, percent) {
        (Ok(number), None) => Budget::Objects(number),
        (Ok(number), Some(_)) => Budget::Percent(number),
        (Err(_), _) => Budget::Unreadable(text.chars().take(40).collect()),
    }
}

fn held(what: String) -> Explained {
    let hint = format!(
        "annotate the Kustomization with {CONFIRM} and this digest to confirm exactly this list, or with {BUDGET}: 100% to never wait"
    );
    Explained::new(Reason::PruneHeld, Turn::Retry, what).with_hint(hint)
}

/// `; would be deleted: …`, or nothing.
fn listed(what: &str, ids: &[&ObjectId]) -> String {
    if ids.is_empty() {
        return String::new();
    }
    let named = list::in_part(ids.iter().map(|id| id.subject()), NAMED, ", ");
    format!("; {what}: {named}")
}

/// What is to be confirmed.
struct Asked<'a> {
    gone: &'a [&'a ObjectId],
    new: &'a [&'a ObjectId],
    /// What else has to be as it was.
    around: Vec<String>,
}

impl Asked<'_> {
    /// The same for the same lists in whatever order; short enough to be typed.
    fn digest(&self) -> String {
        let gone = self.gone.iter().map(|id| format!("-{id}\n"));
        let new = self.new.iter().map(|id| format!("+{id}\n"));
        let mut lines: Vec<String> = gone.chain(new).collect();
        lines.sort();
        lines.extend(self.around.iter().map(|line| format!("{line}\n")));
        let mut digest = hex::encode(Sha256::digest(lines.concat()));
        digest.truncate(16);
        digest
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inventory::Entry;

    fn entry(name: String) -> Entry {
        let id = format!("acme_{name}__ConfigMap").parse().unwrap();
        let version = "v1".to_owned();
        Entry { id, version }
    }

    fn inventory(numbers: std::ops::Range<usize>) -> Inventory {
        numbers.map(|at| entry(format!("a{at}"))).collect()
    }

    fn caution(annotations: &[(&str, &str)]) -> Caution {
        let own = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        Caution::of(&annotations.iter().map(own).collect())
    }

    const HERE: Origins<'_> = Origins {
        before: Some("here"),
        now: "here",
        applied: Some("1"),
    };
    const ELSEWHERE: Origins<'_> = Origins {
        before: Some("here"),
        now: "there",
        applied: Some("1"),
    };

    /// What is said when of `before` objects only those in `left` stay.
    fn said(
        caution: &Caution,
        origins: Origins<'_>,
        before: usize,
        left: std::ops::Range<usize>,
    ) -> Verdict {
        let before = inventory(0..before);
        caution.judge(
            origins,
            &[],
            &before,
            &Plan::of_inventory(&before, &inventory(left)),
        )
    }

    fn waits(verdict: Verdict) -> String {
        match verdict {
            Verdict::KeepAll(why) => {
                assert_eq!((why.reason, why.turn), (Reason::PruneHeld, Turn::Retry));
                why.message
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn half_may_go_and_ten_always() {
        let unset = Caution::default();
        for (before, left, goes) in [
            (10, 1, true),
            (15, 5, true),
            (15, 4, false),
            (40, 20, true),
            (40, 19, false),
            (41, 21, true),
            (41, 20, false),
            (3, 3, true),
        ] {
            let told = said(&unset, HERE, before, 0..left);
            assert_eq!(told == Verdict::Go, goes, "{before} {left}: {told:?}");
        }
    }

    #[test]
    fn a_budget_is_a_number_or_a_percentage() {
        for (budget, gone, goes) in [
            ("3", 3, true),
            ("3", 4, false),
            ("0", 1, false),
            ("10%", 4, true),
            ("10 %", 5, false),
            ("0%", 1, false),
            ("100%", 39, true),
            ("half", 1, false),
            ("-1", 1, false),
        ] {
            let told = said(&caution(&[(BUDGET, budget)]), HERE, 40, 0..40 - gone);
            assert_eq!(told == Verdict::Go, goes, "{budget} {gone}: {told:?}");
        }
        let told = waits(said(&caution(&[(BUDGET, "half")]), HERE, 40, 0..39));
        assert!(told.contains("\"half\" is no number"), "{told}");
    }

    #[test]
    fn a_build_that_has_become_empty_deletes_ten_and_no_more() {
        let unset = Caution::default();
        assert_eq!(said(&unset, HERE, 10, 0..0), Verdict::Go);
        let told = waits(said(&unset, HERE, 11, 0..0));
        assert!(told.contains("nothing is left in git"), "{told}");
        assert_ne!(
            said(&caution(&[(BUDGET, "50")]), HERE, 11, 0..0),
            Verdict::Go
        );
        assert_eq!(
            said(&caution(&[(BUDGET, "100%")]), HERE, 11, 0..0),
            Verdict::Go
        );
    }

    #[test]
    fn a_confirmation_confirms_the_list_that_it_was_given_for() {
        let told = waits(said(&Caution::default(), HERE, 40, 0..5));
        let (_, digest) = told.split_once("confirm-prune: ").unwrap();
        let digest = digest.get(..16).unwrap();
        let confirmed = caution(&[(CONFIRM, digest)]);
        assert_eq!(said(&confirmed, HERE, 40, 0..5), Verdict::Go);
        assert_ne!(said(&confirmed, HERE, 40, 0..4), Verdict::Go);
        assert!(told.contains("ConfigMap/acme/a39"), "{told}");
        let many = waits(said(&Caution::default(), HERE, 200, 0..5));
        assert!(many.contains(" and 135 more"), "{many}");
    }

    #[test]
    fn a_confirmation_is_for_once_and_for_the_places_that_it_was_given_for() {
        let told = waits(said(&Caution::default(), HERE, 40, 0..5));
        let (_, digest) = told.split_once("confirm-prune: ").unwrap();
        let confirmed = caution(&[(CONFIRM, digest.get(..16).unwrap())]);
        let later = Origins {
            applied: Some("2"),
            ..HERE
        };
        let there = Origins {
            before: Some("there"),
            now: "there",
            ..HERE
        };
        for origins in [later, there] {
            waits(said(&confirmed, origins, 40, 0..5));
        }
        let moves = said(&confirmed, ELSEWHERE, 40, 0..5);
        assert!(matches!(moves, Verdict::Wait(_)), "{moves:?}");
    }

    fn unheard(name: &str, how: ownership::How) -> Unheard {
        let who = name.parse().unwrap();
        Unheard { who, how }
    }

    #[test]
    fn what_somebody_may_want_who_has_not_said_so_waits_for_them_or_a_confirmation() {
        use ownership::How::{Pending, Silent};
        let before = inventory(0..3);
        let plan = Plan::of_inventory(&before, &inventory(0..2));
        let judge =
            |caution: &Caution, unheard: &[Unheard]| caution.judge(HERE, unheard, &before, &plan);
        let (silent, other) = (unheard("acme/b", Silent), unheard("acme/c", Silent));
        let told = waits(judge(&Caution::default(), std::slice::from_ref(&silent)));
        for words in [
            "deleting 1 objects waits for Kustomization acme/b (",
            "; would be deleted: ConfigMap/acme/a2",
        ] {
            assert!(told.contains(words), "{told}");
        }
        let (_, digest) = told.split_once("confirm-prune: ").unwrap();
        let confirmed = caution(&[(CONFIRM, digest.get(..16).unwrap())]);
        assert_eq!(
            judge(&confirmed, std::slice::from_ref(&silent)),
            Verdict::Go
        );
        let two = judge(&confirmed, &[silent.clone(), other]);
        assert!(matches!(two, Verdict::KeepAll(_)), "another may want it");
        // Who never waits for a number waits for who may want it.
        let never = caution(&[(BUDGET, "100%")]);
        let never = judge(&never, &[silent]);
        assert!(matches!(never, Verdict::KeepAll(_)), "{never:?}");
        let Verdict::KeepAll(why) = judge(&Caution::default(), &[unheard("acme/b", Pending)])
        else {
            panic!("it waits")
        };
        assert_eq!(why.turn, Turn::Ours);
    }

    #[test]
    fn who_deletes_nothing_and_who_knows_everybody_waits_for_nobody() {
        let silent = [unheard("acme/b", ownership::How::Silent)];
        let (before, unset) = (inventory(0..3), Caution::default());
        let nothing = Plan::of_inventory(&before, &before);
        assert_eq!(unset.judge(HERE, &silent, &before, &nothing), Verdict::Go);
        let all = Plan::withdraw(&before);
        assert_eq!(unset.judge_parting(Some("1"), &[], &all), None);
        let why = unset.judge_parting(Some("1"), &silent, &all).unwrap();
        assert!(why.hint.unwrap().contains("deletionPolicy"));
        let (_, digest) = why.message.split_once("confirm-prune: ").unwrap();
        let confirmed = caution(&[(CONFIRM, digest.get(..16).unwrap())]);
        assert_eq!(confirmed.judge_parting(Some("1"), &silent, &all), None);
        assert_ne!(confirmed.judge_parting(Some("2"), &silent, &all), None);
    }

    #[test]
    fn what_points_elsewhere_waits_for_what_is_missing_there_and_what_is_new() {
        let unset = Caution::default();
        for (left, words) in [
            (0..2, "; would be deleted: ConfigMap/acme/a2"),
            (0..4, "; was never applied and would be: ConfigMap/acme/a3"),
        ] {
            let Verdict::Wait(why) = said(&unset, ELSEWHERE, 3, left.clone()) else {
                panic!("{left:?}")
            };
            assert!(why.message.contains(words), "{}", why.message);
            assert!(
                why.message
                    .contains("points at there and no longer at here")
            );
            let (_, digest) = why.message.split_once("confirm-prune: ").unwrap();
            let confirmed = caution(&[(CONFIRM, digest.get(..16).unwrap())]);
            assert_eq!(said(&confirmed, ELSEWHERE, 3, left), Verdict::Go);
        }
        assert_eq!(
            said(&unset, ELSEWHERE, 3, 0..3),
            Verdict::Go,
            "the same objects"
        );
        assert_eq!(
            said(&unset, ELSEWHERE, 0, 0..3),
            Verdict::Go,
            "nothing is there yet"
        );
        let unknown = Origins {
            before: None,
            now: "there",
            applied: None,
        };
        assert_eq!(said(&unset, unknown, 3, 0..2), Verdict::Go);
    }

    #[test]
    fn an_inventory_is_of_the_cluster_that_it_is_told_with() {
        let (edge, other) = (Some("https://edge.example"), Some("https://other.example"));
        for (before, now, stays) in [
            (None, None, true),
            (edge, edge, true),
            (None, edge, false),
            (edge, None, false),
            (edge, other, false),
        ] {
            let (here, left) = Left::part(inventory(0..2), before, now);
            assert_eq!(
                (here.len(), left.is_none()),
                (if stays { 2 } else { 0 }, stays)
            );
            let at = left.map(|left| (left.cluster, left.objects.len()));
            let want = (!stays).then(|| (before.map(str::to_owned), 2));
            assert_eq!(at, want, "{before:?} {now:?}");
        }
        let (_, left) = Left::part(Inventory::default(), None, edge);
        assert_eq!(left, None, "nothing was left anywhere");
    }

    #[test]
    fn another_cluster_waits_whatever_the_objects_are_and_each_is_confirmed_by_itself() {
        let (before, edge) = (inventory(0..2), Some("https://edge.example:6443"));
        let plan = Plan::of_inventory(&Inventory::default(), &before);
        let left = |cluster: Option<&str>| Left {
            cluster: cluster.map(str::to_owned),
            objects: before.clone(),
        };
        let applied = Some("1");
        let judged = Caution::default().judge_move(&left(None), edge, applied, &plan);
        let Verdict::Wait(why) = judged else {
            panic!("it waits")
        };
        let told = why.message;
        for words in [
            "points at the cluster at https://edge.example:6443 and no longer at this cluster",
            "; stays there and is not looked after any more: ConfigMap/acme/a0",
        ] {
            assert!(told.contains(words), "{told}");
        }
        let (_, digest) = told.split_once("confirm-prune: ").unwrap();
        let confirmed = caution(&[(CONFIRM, digest.get(..16).unwrap())]);
        let goes = |caution: &Caution, from, to, applied| {
            caution.judge_move(&left(from), to, applied, &plan) == Verdict::Go
        };
        assert!(goes(&confirmed, None, edge, applied));
        assert!(!goes(&confirmed, edge, None, applied));
        assert!(!goes(&confirmed, None, edge, Some("2")), "at another time");
        assert!(goes(&caution(&[(BUDGET, "100%")]), edge, None, applied));
    }
}
