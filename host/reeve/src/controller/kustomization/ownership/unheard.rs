//! Who has not said whether they want what is about to be deleted.
//!
//! Neighbours whose manifests of now nobody has planned; Kustomizations that are in somebody's plan and not in the cluster as
//! they are there; and who applies the neighbours, since they may be about to make others of them. Who could not be planned is
//! not waited for within the run, and not passed over either. What is told of them is `core::ownership`'s to say, what waits
//! for them `core::caution`'s.
//!
//! Only whose word counts is looked at: nobody holds up another tenant by naming its Kustomizations in manifests or labels.

use std::collections::BTreeSet;
use std::time::Duration;

use reeve_api::condition::{self, Type};
use reeve_api::kustomization::{Kustomization, SourceKind};
use reeve_api::name::{NamespaceName, NamespacedName};
use reeve_core::depend;
use reeve_core::drift::{OWNER, OWNER_NAMESPACE};
use reeve_core::ownership::{How, Shape, State, Unheard, Word};
use reeve_core::spec::SourceRef;
use tokio::time::Instant;

use super::super::{abroad, entries};
use super::{is_beside, namespaces_beside, state_of, stays, within};
use crate::context::Context;
use crate::index::Known;

/// How long a run waits for its neighbours before it leaves its deletions to the next one. They take milliseconds.
const PATIENCE: Duration = Duration::from_secs(2);
/// How many Kustomizations are followed from one to what it depends on.
const MOST_FOLLOWED: usize = 1000;

/// Somebody who has not said it yet.
struct Missing {
    unheard: Unheard,
    /// Whose plan says it.
    planner: NamespacedName,
    /// Whether only a run of the Kustomization that deletes can bring it about.
    own: bool,
}

/// Waits a moment for all whose word counts for `id` to have said what they hold, and returns who has not; when they have, it is
/// woken.
pub(super) async fn acquaint(ctx: &Context, id: &NamespacedName) -> Vec<Unheard> {
    let end = Instant::now() + PATIENCE;
    let bell = ctx.planned.listen(&ctx.grounds, &id.namespace);
    let soon = |one: &Missing| one.unheard.is_soon() && !one.own;
    loop {
        // Before the look: whoever says so in between is heard.
        let rings = bell.notified();
        let waits = ctx
            .index
            .read(|known| missing(ctx, known, id).iter().any(soon));
        if !waits || tokio::time::timeout_at(end, rings).await.is_err() {
            break;
        }
    }
    // In one look with noting who waits: nobody says it in between.
    ctx.index.write(|known| {
        let missing = missing(ctx, known, id);
        let planners = missing.iter().map(|one| one.planner.clone());
        known.holdings.awaits(id, planners);
        missing.into_iter().map(|one| one.unheard).collect()
    })
}

/// All of them, each once, in order.
fn missing(ctx: &Context, known: &Known, id: &NamespacedName) -> Vec<Missing> {
    let mut all = Vec::new();
    for namespace in &namespaces_beside(known, id) {
        let neighbours = within(known, namespace).filter(|(other, _)| is_beside(known, id, other));
        all.extend(neighbours.filter_map(|(other, object)| {
            let how = match how(known, other, object)? {
                How::Silent if depends(known, other, id) => How::Dependent,
                how => how,
            };
            Some(Missing::new(other, how, other))
        }));
        all.extend(coming(ctx, known, id, namespace));
        all.extend(above(known, id, namespace));
    }
    all.sort_by(|one, other| one.unheard.cmp(&other.unheard));
    all.dedup_by(|one, other| one.unheard == other.unheard);
    all
}

impl Missing {
    fn new(who: &NamespacedName, how: How, planner: &NamespacedName) -> Self {
        let who = who.clone();
        Self {
            unheard: Unheard { who, how },
            planner: planner.clone(),
            own: false,
        }
    }
}

/// Why nobody knows what a Kustomization holds now; None: it is known.
fn how(known: &Known, id: &NamespacedName, object: &Kustomization) -> Option<How> {
    let (state, holdings) = (state_of(known, id, object), &known.holdings);
    let as_applied = is_as_applied(object, &state);
    if object.spec.suspend {
        let planned = holdings.was_planned_at(id, state.revision.as_deref());
        return (!as_applied && !planned).then_some(How::Suspended);
    }
    match holdings.word(id, &state) {
        Word::Said => None,
        // Its inventory is what it holds.
        Word::Silent if as_applied => None,
        Word::Silent if state.revision.is_some() || !is_being_fetched(known, id) => {
            Some(How::Silent)
        }
        Word::Silent | Word::Pending => Some(How::Pending),
    }
}

/// Whether it waits for what it depends on, and that is `on` or leads there.
fn depends(known: &Known, id: &NamespacedName, on: &NamespacedName) -> bool {
    let (mut seen, mut left) = (BTreeSet::new(), Vec::new());
    left.extend(known.touch.waits(id).then(|| id.clone()));
    while let Some(next) = left.pop() {
        let object = known.kustomizations.get(&next);
        let named = object.map(|object| depend::named(&object.spec, &next));
        for one in named.unwrap_or_default() {
            if one == *on {
                return true;
            }
            if seen.len() < MOST_FOLLOWED && seen.insert(one.clone()) {
                left.push(one);
            }
        }
    }
    false
}

/// Whether all of this state was applied by a run, and so stands in the status.
fn is_as_applied(object: &Kustomization, state: &State) -> bool {
    object.status.as_ref().is_some_and(|status| {
        let applied = status.last_applied_revision.as_deref();
        // To suspend it makes another generation.
        let same = object.spec.suspend || status.observed_generation == state.generation;
        let now = state.revision.as_deref();
        same && applied.is_some_and(|applied| now.is_none_or(|now| now == applied))
            && condition::is_true(&status.conditions, Type::Ready)
    })
}

/// Whether its source is being fetched for the first time: what comes of it wakes it.
fn is_being_fetched(known: &Known, id: &NamespacedName) -> bool {
    match known.touch.applied_by(id) {
        Some((SourceKind::GitRepository, source)) => {
            known.may_be_listed(source) || known.is_looked_at_first(source)
        }
        Some((kind, source)) => known.elsewhere.may_be_listed(&SourceRef::of(kind, source)),
        None => false,
    }
}

/// Those that are in a plan, and not in the cluster as they are there.
fn coming<'k>(
    ctx: &'k Context,
    known: &'k Known,
    id: &'k NamespacedName,
    namespace: &'k NamespaceName,
) -> impl Iterator<Item = Missing> {
    let wanted = known.holdings.wanted_in(namespace);
    let counts = move |planner: &NamespacedName| {
        let object = known.kustomizations.get(planner);
        stays(known, planner)
            && object.is_some_and(|object| !object.spec.suspend)
            && may_apply_in(ctx, known, planner, namespace)
    };
    wanted.filter_map(move |(one, planner, shape)| {
        let there = known.kustomizations.get(one).filter(|_| stays(known, one));
        let is_so =
            |there: &Kustomization| shape.is_none_or(|shape| *shape == Shape::of(one, &there.spec));
        if one == id || there.is_some_and(|there| is_so(there)) || !counts(planner) {
            return None;
        }
        // It says what it holds once it is there.
        Some(Missing {
            own: planner == id,
            ..Missing::new(one, How::Coming, one)
        })
    })
}

/// Whether who is planned there is for the Kustomization to say: its own namespace, one of the same tenant, or any for the
/// platform.
fn may_apply_in(
    ctx: &Context,
    known: &Known,
    planner: &NamespacedName,
    namespace: &NamespaceName,
) -> bool {
    let same_tenant = || {
        let owner = known.tenants.owner_of(&ctx.grounds, namespace);
        owner.is_ok_and(|tenant| tenant.namespaces.contains(&planner.namespace))
    };
    planner.namespace == *namespace || known.platform.contains(&planner.namespace) || same_tenant()
}

/// Those elsewhere who apply the Kustomizations of a namespace, as far as it is known that they do: what these are from now on
/// they say. One that cannot be planned counts where it has the same source, so that one push may have moved an object through
/// it.
fn above(known: &Known, id: &NamespacedName, namespace: &NamespaceName) -> Vec<Missing> {
    let (mut seen, mut all) = (BTreeSet::new(), Vec::new());
    for (child, object) in within(known, namespace) {
        let Some(parent) = owner(object) else {
            continue;
        };
        if parent == *id || is_beside(known, id, &parent) || seen.contains(&parent) {
            continue;
        }
        let Some(object) = known.kustomizations.get(&parent) else {
            continue;
        };
        if !stays(known, &parent) || !has_applied(object, child) {
            continue;
        }
        let same_source = || known.touch.applied_by(&parent) == known.touch.applied_by(id);
        let how = match how(known, &parent, object) {
            Some(How::Pending) => Some(How::Above),
            Some(How::Silent) if same_source() => Some(How::SilentAbove),
            _ => None,
        };
        all.extend(how.map(|how| Missing::new(child, how, &parent)));
        seen.insert(parent);
    }
    all
}

/// The Kustomization that the labels of one name.
fn owner(object: &Kustomization) -> Option<NamespacedName> {
    let labels = object.metadata.labels.as_ref()?;
    let label = |key: &str| labels.get(key).map(String::as_str);
    NamespacedName::new(label(OWNER_NAMESPACE)?, label(OWNER)?).ok()
}

/// Whether its inventory has the Kustomization: labels alone anybody may write.
fn has_applied(parent: &Kustomization, child: &NamespacedName) -> bool {
    let (namespace, name) = (&child.namespace, &child.name);
    let group = reeve_api::KUSTOMIZE_GROUP;
    let id = format!("{namespace}_{name}_{group}_Kustomization");
    abroad::recorded(parent).is_none() && entries(parent).any(|(entry, _)| entry == id)
}
