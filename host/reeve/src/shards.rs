//! Which part of the work is this replica's, when several share it, and what of it runs.
//!
//! Holds `core::shard`'s standing and map behind a lock, and counts what is under way: a part that is given up is let go of
//! when nothing of it runs any more. Where the work is not shared, all of it is ours. It deliberately knows no objects and
//! no index: who asks says where something belongs.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use reeve_api::name::{NamespaceName, NamespacedName, ObjectName, TenantName};
use reeve_core::index::Target;
use reeve_core::shard::{Claim, Map, PLATFORM, Standing};
use reeve_core::tenancy::{Grounds, Tenants};

use crate::cluster::Seen;

/// Which part of the work is ours. Its clones are one.
#[derive(Debug, Clone)]
pub(crate) struct Shards {
    /// Where the work is shared.
    state: Option<Arc<Mutex<State>>>,
    /// Whether this replica stands by: nothing is its own then.
    rests: Arc<AtomicBool>,
}

#[derive(Debug)]
struct State {
    standing: Standing,
    map: Map,
    /// What the others have followed the Tenants to, of those who claim anything.
    others: Vec<u64>,
    /// Whether the map has changed since it was compared with that.
    stale: bool,
    /// What was said last.
    said: Claim,
    passes: BTreeMap<u64, (Place, Option<Target>)>,
    next: u64,
    /// What came too early, and waits for whoever had it.
    soon: BTreeMap<Target, Place>,
}

/// Where something belongs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// To nobody's tenant.
    Platform,
    /// To whoever has the namespace.
    Namespace(NamespaceName),
    /// To whom a source of the configuration namespaces is for.
    Source(ObjectName),
    /// To that tenant.
    Tenant(TenantName),
}

/// Whose something is now.
#[derive(Debug)]
pub(crate) enum Part {
    /// Ours, for as long as this is held.
    Mine(Pass),
    /// Ours as soon as whoever had it has let go of it.
    Soon,
    /// Another replica's.
    Others,
}

/// Something of ours that is under way, until it is dropped.
#[derive(Debug)]
pub(crate) struct Pass(Option<(Shards, u64)>);

impl Drop for Pass {
    fn drop(&mut self) {
        if let Some((shards, id)) = self.0.take()
            && let Some(mut state) = shards.lock()
        {
            state.passes.remove(&id);
        }
    }
}

impl Place {
    /// That of an object in a namespace.
    pub(crate) fn within(grounds: &Grounds, namespace: &NamespaceName) -> Self {
        match grounds.belongs_to_platform(namespace) {
            true => Self::Platform,
            false => Self::Namespace(namespace.clone()),
        }
    }

    /// That of a source: in a configuration namespace they lie side by side, each for somebody else.
    pub(crate) fn of_source(grounds: &Grounds, id: &NamespacedName) -> Self {
        match grounds.is_config(&id.namespace) {
            true => Self::Source(id.name.clone()),
            false => Self::within(grounds, &id.namespace),
        }
    }
}

impl Shards {
    /// The work is shared, or all ours.
    pub(crate) fn new(shared: bool) -> Self {
        let state = || Arc::new(Mutex::new(State::of(0)));
        Self {
            state: shared.then(state),
            rests: Arc::default(),
        }
    }

    /// Whether the work is shared.
    pub(crate) fn are_shared(&self) -> bool {
        self.state.is_some()
    }

    /// This replica stands by from now on, or works.
    pub(crate) fn rest(&self, rests: bool) {
        self.rests.store(rests, Ordering::Relaxed);
    }

    /// Whether it stands by.
    pub(crate) fn stands_by(&self) -> bool {
        self.rests.load(Ordering::Relaxed)
    }

    /// A place is ours: nothing is known, and nothing may be begun yet.
    pub(crate) fn begin(&self, place: u16) {
        if let Some(mut state) = self.lock() {
            let next = state.next;
            *state = State::of(place);
            // What an earlier term has left behind ends under its own number.
            state.next = next;
        }
    }

    /// Whose this is now. What is begun on it holds the pass until it is over.
    pub(crate) fn enter(&self, place: &Place, target: Option<Target>) -> Part {
        let Some(mut state) = self.lock() else {
            return Part::Mine(Pass(None));
        };
        let state = &mut *state;
        if !state.standing.is_wanted(&state.share(place)) {
            return Part::Others;
        }
        if !state.may_begin(place) {
            state
                .soon
                .extend(target.map(|target| (target, place.clone())));
            return Part::Soon;
        }
        if let Some(target) = &target {
            state.soon.remove(target);
        }
        let id = state.next;
        state.next += 1;
        state.passes.insert(id, (place.clone(), target));
        Part::Mine(Pass(Some((self.clone(), id))))
    }

    /// Whether this is ours, now or soon.
    pub(crate) fn are_mine(&self, place: &Place) -> bool {
        if self.stands_by() {
            return false;
        }
        let state = self.lock();
        state.is_none_or(|state| state.standing.is_wanted(&state.share(place)))
    }

    /// By which name a part is known to all.
    pub(crate) fn share(&self, place: &Place) -> String {
        let state = self.lock();
        state.map_or_else(String::new, |state| state.share(place))
    }

    /// Tenants have changed: these are the namespaces, and the sources of configuration namespaces, that they bear on.
    pub(crate) fn follow<'n>(
        &self,
        tenants: &Tenants,
        touched: impl IntoIterator<Item = &'n NamespaceName>,
    ) {
        let Some(mut state) = self.lock() else {
            return;
        };
        for name in touched {
            let owner = tenants.declared(name).map(ToString::to_string);
            let moved = state.map.put(&namespace(name), owner);
            let source = name.as_str().parse::<ObjectName>();
            let named = source.is_ok_and(|source| {
                let mut naming = tenants.naming(&source);
                let share = match (naming.next(), naming.next()) {
                    (None, _) => None,
                    (Some(one), None) => Some(one.to_string()),
                    // Several share it.
                    (Some(_), Some(_)) => Some(PLATFORM.to_owned()),
                };
                state.map.put(&self::source(&source), share)
            });
            state.stale |= moved || named;
        }
    }

    /// All Tenants are known.
    pub(crate) fn tenants_are_known(&self) {
        if let Some(mut state) = self.lock() {
            state.map.listed();
            state.stale = true;
        }
    }

    /// Whether they are.
    pub(crate) fn know_tenants(&self) -> bool {
        self.lock().is_none_or(|state| state.map.is_listed())
    }

    /// What was seen of the others. How it stood before and stands now, where another part is to be ours.
    pub(crate) fn saw(&self, seen: &Seen) -> Option<(Standing, Standing)> {
        let mut state = self.lock()?;
        let before = state.standing.clone();
        let works = !seen.led && state.map.is_listed();
        state
            .standing
            .saw(&seen.published.view, &seen.others, works);
        // Who claims nothing works for nobody by any map.
        let others = seen.others.iter().map(|one| &one.claim);
        let others = others.filter(|claim| !claim.view.is_empty());
        state.others = others.map(|claim| claim.tenants).collect();
        state.stale = true;
        let now = state.standing.clone();
        (before.wanted() != now.wanted()).then_some((before, now))
    }

    /// What is to be published: None while it is what was said last, or while something runs that it would give up.
    pub(crate) fn to_say(&self) -> Option<Claim> {
        let mut state = self.lock()?;
        let view = state.standing.to_publish();
        let view = view.unwrap_or_else(|| state.standing.claimed()).clone();
        let tenants = state.map.digest();
        let claim = Claim { view, tenants };
        if claim == state.said || !state.map.is_listed() || !state.leaving(&claim).is_empty() {
            return None;
        }
        if claim.view != *state.standing.claimed() {
            state.standing.sending(claim.view.clone());
        }
        state.said = claim.clone();
        Some(claim)
    }

    /// What came too early and may begin by now, each once.
    pub(crate) fn ripe(&self) -> Vec<Target> {
        let Some(mut state) = self.lock() else {
            return Vec::new();
        };
        let state = &mut *state;
        let mut ripe = Vec::new();
        for (target, place) in std::mem::take(&mut state.soon) {
            if state.may_begin(&place) {
                ripe.push(target);
            } else if state.standing.is_wanted(&state.share(&place)) {
                state.soon.insert(target, place);
            }
        }
        ripe
    }

    /// What runs although it is to be given up.
    pub(crate) fn leaving(&self) -> Vec<Option<Target>> {
        self.lock().map_or_else(Vec::new, |state| {
            let view = state.standing.wanted().clone();
            let claim = Claim { view, tenants: 0 };
            state.leaving(&claim)
        })
    }

    fn lock(&self) -> Option<MutexGuard<'_, State>> {
        let state = self.state.as_ref()?;
        Some(state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl State {
    fn of(place: u16) -> Self {
        Self {
            standing: Standing::new(place),
            map: Map::default(),
            others: Vec::new(),
            stale: true,
            said: Claim::default(),
            passes: BTreeMap::new(),
            next: 0,
            soon: BTreeMap::new(),
        }
    }

    fn share(&self, place: &Place) -> String {
        match place {
            Place::Platform => PLATFORM.to_owned(),
            Place::Tenant(name) => name.to_string(),
            Place::Namespace(name) => self.of_name(&namespace(name), name.as_str()),
            Place::Source(name) => {
                // One that no Tenant names is of the namespace that is called like it.
                let own = self.of_name(&format!("{NAMESPACE}{name}"), name.as_str());
                self.of_name(&source(name), &own)
            }
        }
    }

    fn of_name(&self, name: &str, own: &str) -> String {
        self.map.share_of(name).unwrap_or(own).to_owned()
    }

    fn may_begin(&mut self, place: &Place) -> bool {
        if std::mem::replace(&mut self.stale, false) {
            self.map.others_are_at(self.others.iter().copied());
        }
        let settled = match place {
            // Whose these are no Tenant changes.
            Place::Platform | Place::Tenant(_) => true,
            Place::Namespace(name) => self.map.is_settled(&[namespace(name).as_str()]),
            Place::Source(name) => {
                let names = [source(name), format!("{NAMESPACE}{name}")];
                self.map.is_settled(&names.each_ref().map(String::as_str))
            }
        };
        settled && self.standing.may_begin(&self.share(place))
    }

    /// What runs that would not be ours by that claim.
    fn leaving(&self, claim: &Claim) -> Vec<Option<Target>> {
        let all = self.passes.values();
        let leaving = all.filter(|(place, _)| {
            let share = self.share(place);
            !self.standing.survives(&claim.view, &share)
        });
        leaving.map(|(_, target)| target.clone()).collect()
    }
}

/// What namespaces are called in the map, so that no source is taken for one.
const NAMESPACE: &str = "namespace/";

fn namespace(name: &NamespaceName) -> String {
    format!("{NAMESPACE}{name}")
}

fn source(name: &ObjectName) -> String {
    format!("source/{name}")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use reeve_core::shard::{Member, Other, View};
    use serde_json::json;

    use super::*;

    fn name<T: std::str::FromStr<Err: std::fmt::Debug>>(text: &str) -> T {
        text.parse().unwrap()
    }

    fn claim(view: &[u16], tenants: u64) -> Claim {
        let view: View = view.iter().copied().collect();
        Claim { view, tenants }
    }

    fn other(place: u16, claim: Claim) -> Other {
        let member = Member { place, term: 1 };
        Other { member, claim }
    }

    fn seen(published: Claim, others: Vec<Other>) -> Seen {
        Seen {
            published,
            others,
            led: false,
        }
    }

    fn tenants(namespaces: &[&str]) -> (Tenants, BTreeSet<NamespaceName>) {
        let mut tenants = Tenants::default();
        let object = serde_json::from_value(json!({
            "apiVersion": "reeve.dev/v1alpha1", "kind": "Tenant",
            "metadata": {"name": "acme"},
            "spec": {"namespaces": namespaces, "sources": ["shared"]},
        }));
        let touched = tenants.apply(&object.unwrap());
        (tenants, touched)
    }

    fn is_mine(shards: &Shards, place: &Place) -> bool {
        matches!(shards.enter(place, None), Part::Mine(_))
    }

    /// One who is there alone, and has said so.
    fn alone() -> Shards {
        let shards = Shards::new(true);
        shards.begin(0);
        shards.tenants_are_known();
        shards.saw(&seen(Claim::default(), Vec::new()));
        let said = shards.to_say().unwrap();
        assert_eq!(said.view, View::from([0]));
        shards.saw(&seen(said, Vec::new()));
        shards
    }

    #[test]
    fn where_nothing_is_shared_all_of_it_is_ours_at_once() {
        let shards = Shards::new(false);
        assert!(is_mine(&shards, &Place::Platform) && shards.are_mine(&Place::Platform));
        assert!(shards.to_say().is_none() && !shards.are_shared());
        shards.rest(true);
        assert!(!shards.are_mine(&Place::Platform), "it stands by");
    }

    #[test]
    fn the_namespaces_of_a_tenant_and_the_sources_that_it_alone_names_are_of_one_share() {
        let shards = alone();
        let (tenants, touched) = tenants(&["a", "b"]);
        shards.follow(&tenants, &touched);
        let share = |place: Place| shards.share(&place);
        for namespace in ["a", "b"] {
            assert_eq!(share(Place::Namespace(name(namespace))), "acme");
        }
        assert_eq!(share(Place::Namespace(name("c"))), "c");
        assert_eq!(share(Place::Source(name("shared"))), "acme");
        assert_eq!(share(Place::Source(name("a"))), "acme");
        assert_eq!(share(Place::Source(name("c"))), "c");
        assert_eq!(share(Place::Tenant(name("acme"))), "acme");
    }

    #[test]
    fn a_part_is_given_up_when_nothing_of_it_runs_any_more() {
        let shards = alone();
        // All of it is the other's then, or not: one of these is.
        let all = ["a", "b", "c", "d", "e", "f"].map(|text| Place::Namespace(name(text)));
        let passes: Vec<Part> = all.iter().map(|place| shards.enter(place, None)).collect();
        assert!(passes.iter().all(|part| matches!(part, Part::Mine(_))));
        let comes = other(1, Claim::default());
        let first = shards.to_say();
        assert!(first.is_none(), "nothing has changed: {first:?}");
        let digest = Map::default().digest();
        let moved = shards.saw(&seen(claim(&[0], digest), vec![comes.clone()]));
        assert!(moved.is_some());
        assert!(!shards.leaving().is_empty());
        assert!(shards.to_say().is_none(), "what it gives up still runs");
        drop(passes);
        let said = shards.to_say().unwrap();
        assert_eq!(said.view, View::from([0, 1]));
        shards.saw(&seen(said, vec![comes]));
        let kept = all.iter().filter(|place| is_mine(&shards, place)).count();
        assert!(kept > 0 && kept < all.len(), "{kept}");
    }

    #[test]
    fn what_came_too_early_is_named_once_when_whoever_had_it_is_gone() {
        let shards = alone();
        let digest = Map::default().digest();
        let both = claim(&[0, 1], digest);
        shards.saw(&seen(claim(&[0], digest), vec![other(1, both.clone())]));
        let said = shards.to_say().unwrap();
        shards.saw(&seen(said, vec![other(1, both)]));
        let all = ["a", "b", "c", "d", "e", "f"].map(name::<NamespaceName>);
        let target = |name: &NamespaceName| {
            Target::Kustomization(NamespacedName::new(name.as_str(), "app").unwrap())
        };
        let enter = |name: &NamespaceName| {
            shards.enter(&Place::Namespace(name.clone()), Some(target(name)))
        };
        let others = all.iter().filter(|it| matches!(enter(it), Part::Others));
        let others: Vec<&NamespaceName> = others.collect();
        assert!(!others.is_empty() && shards.ripe().is_empty());
        // The other's place was ended: its part is ours, as soon as the rest could know.
        shards.saw(&seen(claim(&[0, 1], digest), Vec::new()));
        let soon = |name: &&NamespaceName| matches!(enter(name), Part::Soon);
        assert!(others.iter().all(soon));
        assert!(shards.ripe().is_empty(), "nobody could know yet");
        let said = shards.to_say().unwrap();
        assert_eq!(said.view, View::from([0]));
        shards.saw(&seen(said, Vec::new()));
        // One has tried again by itself meanwhile.
        let tried = others.first().unwrap();
        assert!(matches!(enter(tried), Part::Mine(_)));
        let rest = others.iter().skip(1).map(|name| target(name));
        assert_eq!(shards.ripe(), rest.collect::<Vec<_>>());
        assert!(shards.ripe().is_empty());
    }

    #[test]
    fn a_namespace_that_has_changed_hands_is_begun_when_the_others_know() {
        let shards = alone();
        let (tenants, touched) = tenants(&["a"]);
        let before = Map::default().digest();
        let both = |tenants| vec![other(1, claim(&[0, 1], tenants))];
        shards.saw(&seen(claim(&[0], before), both(before)));
        let said = shards.to_say().unwrap();
        shards.saw(&seen(said.clone(), both(before)));
        shards.follow(&tenants, &touched);
        let place = Place::Namespace(name("a"));
        assert!(!is_mine(&shards, &place));
        let said = shards.to_say().unwrap();
        assert_ne!(said.tenants, before);
        let after = said.tenants;
        shards.saw(&seen(said.clone(), both(before)));
        assert!(!is_mine(&shards, &place), "the other has not heard of it");
        shards.saw(&seen(said, both(after)));
        let mine = reeve_core::shard::owner(&View::from([0, 1]), "acme") == Some(0);
        assert_eq!(is_mine(&shards, &place), mine);
        let unmoved = ["x", "y", "z", "u", "v"].map(|text| Place::Namespace(name(text)));
        assert!(unmoved.iter().any(|place| is_mine(&shards, place)));
    }
}
