//! Whose an object is when the manifests of several Kustomizations hold it.
//!
//! Neighbours are those of the same namespace, or of the platform's. Before anything is deleted, each neighbour has said what
//! it holds of what its source has now: a push that moves an object from one to another wakes both, and nobody knows which
//! runs first. Who has not said it is looked for in `unheard`, and nothing is deleted that they may want.
//!
//! Beyond the neighbours whoever wants an object counts that has applied it, whatever its tenant: a name in manifests keeps
//! nobody from anything. Of another tenant's nobody is told the name. Who is whose is `core::ownership`'s to say.

mod unheard;

use std::collections::BTreeSet;
use std::sync::Arc;

use reeve_api::kustomization::Kustomization;
use reeve_api::name::{NamespaceName, NamespacedName};
use reeve_core::admit::AdmittedSpec;
use reeve_core::failure::Explained;
use reeve_core::inventory::ObjectId;
use reeve_core::ownership::{self, Shared, State, Unheard, With, Word};
use reeve_core::plan::{Plan, Proposed};
use reeve_core::tenancy::Tenant;

use super::{Wanted, abroad, entries};
use crate::context::Context;
use crate::controller::report;
use crate::index::{self, Known};

/// The state in which a run finds its object.
pub(super) fn state(ctx: &Context, id: &NamespacedName, object: &Kustomization) -> State {
    ctx.index.read(|known| state_of(known, id, object))
}

fn state_of(known: &Known, id: &NamespacedName, object: &Kustomization) -> State {
    State {
        generation: object.metadata.generation,
        revision: known.revision_for(id),
    }
}

/// A run that began in this state is over, whatever came of it. Who `lets_go` delivers to git, and holds nothing on a cluster
/// any more.
pub(super) fn over(
    ctx: &Context,
    id: &NamespacedName,
    object: &Kustomization,
    state: State,
    lets_go: bool,
) {
    let inventory = entries(object).filter(|_| !lets_go);
    let inventory = inventory.map(|(id, _)| id.to_owned());
    let cluster = abroad::recorded(object);
    let woken = ctx.index.write(|known| {
        let holdings = &mut known.holdings;
        if lets_go {
            holdings.forget(id);
        }
        holdings.over(id, state.clone(), cluster, inventory);
        if !lets_go {
            return BTreeSet::new();
        }
        holdings.wants_no_more(id, state);
        holdings.heard(id)
    });
    ctx.planned.tell(&ctx.grounds, &id.namespace);
    ctx.queues.kustomizations.wake_all(woken);
}

/// What it delivers to git it does not want on a cluster, whether that can be built or not: nobody waits for it.
pub(super) fn delivers(ctx: &Context, id: &NamespacedName, object: &Kustomization) {
    let inventory = entries(object).map(|(id, _)| id.to_owned());
    let cluster = abroad::recorded(object);
    let woken = ctx.index.write(|known| {
        let state = state_of(known, id, object);
        known.holdings.over(id, state.clone(), cluster, inventory);
        known.holdings.wants_no_more(id, state);
        known.holdings.heard(id)
    });
    ctx.planned.tell(&ctx.grounds, &id.namespace);
    ctx.queues.kustomizations.wake_all(woken);
}

/// Whether it is known what it holds as it is now.
pub(super) fn has_said(ctx: &Context, id: &NamespacedName, object: &Kustomization) -> bool {
    ctx.index.read(|known| {
        let state = state_of(known, id, object);
        known.holdings.word(id, &state) == Word::Said
    })
}

/// It says what it holds from now on: who waits for that looks again.
pub(super) fn say(
    ctx: &Context,
    object: &Kustomization,
    wanted: &Wanted,
    proposed: &Plan<Proposed>,
) {
    let (id, cluster) = (&wanted.spec.id, wanted.client.cluster());
    let state = State {
        generation: object.metadata.generation,
        revision: Some(wanted.stored.artifact.revision.to_string()),
    };
    let (woken, mut places) = ctx.index.write(|known| {
        let holdings = &mut known.holdings;
        let mut places = holdings.wanted_by(id);
        holdings.plan(id, state, cluster, proposed);
        places.append(&mut holdings.wanted_by(id));
        (holdings.heard(id), places)
    });
    places.insert(id.namespace.clone());
    for place in &places {
        ctx.planned.tell(&ctx.grounds, place);
    }
    ctx.queues.kustomizations.wake_all(woken);
}

/// The plan without what others hold by now, and who may want what it deletes and has not said so.
pub(super) async fn settle(
    ctx: &Context,
    object: &Kustomization,
    wanted: &Wanted,
    proposed: Plan<Proposed>,
) -> Result<(Plan<Proposed>, Vec<Unheard>), Explained> {
    let (id, cluster) = (&wanted.spec.id, wanted.client.cluster());
    say(ctx, object, wanted, &proposed);
    let shares = || shared(ctx, id, cluster, &proposed);
    let matters = !proposed.prune().is_empty() || !shares().is_empty();
    let unheard = match matters {
        true => unheard::acquaint(ctx, id).await,
        false => Vec::new(),
    };
    let shared = shares();
    if !wanted.spec.shares
        && let Some(why) = ownership::refusal(&told_to(ctx, id, &shared), &wanted.inventory)
    {
        tell(ctx, id, object, &shared);
        return Err(why);
    }
    // Whom nobody knows yet may just be about to give something up.
    if !unheard.iter().any(Unheard::is_soon) {
        tell(ctx, id, object, &shared);
    }
    let proposed = hand_over(ctx, id, cluster, proposed);
    if ownership::are_dependent(&unheard) {
        // They may need what this run brings, and it has to be ready for them first: what it deletes stays in its inventory,
        // and they wake it once they have said what they want of that.
        return Ok((proposed.hand_over(|_| Some(false)), Vec::new()));
    }
    Ok((proposed, unheard))
}

/// The same for a Kustomization that goes, and has applied `applied` last.
pub(super) async fn part(
    ctx: &Context,
    spec: &AdmittedSpec,
    applied: Option<&str>,
    cluster: Option<&str>,
    proposed: Plan<Proposed>,
) -> Result<Plan<Proposed>, Explained> {
    let id = &spec.id;
    let woken = ctx.index.write(|known| {
        known.holdings.forget(id);
        known.holdings.heard(id)
    });
    ctx.queues.kustomizations.wake_all(woken);
    if proposed.prune().is_empty() {
        return Ok(proposed);
    }
    let unheard = unheard::acquaint(ctx, id).await;
    let proposed = hand_over(ctx, id, cluster, proposed);
    match spec.caution.judge_parting(applied, &unheard, &proposed) {
        Some(why) => Err(why),
        None => Ok(proposed),
    }
}

/// The plan without what others hold by now.
pub(super) fn hand_over(
    ctx: &Context,
    id: &NamespacedName,
    cluster: Option<&str>,
    proposed: Plan<Proposed>,
) -> Plan<Proposed> {
    if proposed.prune().is_empty() {
        return proposed;
    }
    ctx.index.read(|known| {
        proposed.hand_over(|object| {
            let other = others(known, id, cluster, object).next()?;
            // Once its status has it, it is not ours to remember.
            Some(has(known, other, cluster, object))
        })
    })
}

fn others<'k>(
    known: &'k Known,
    id: &'k NamespacedName,
    cluster: Option<&'k str>,
    object: &'k ObjectId,
) -> impl Iterator<Item = &'k NamespacedName> {
    let others = known.holdings.others(cluster, object, id);
    others.filter(move |other| {
        is_beside(known, id, other) || (stays(known, other) && has(known, other, cluster, object))
    })
}

/// Whether the object is in the inventory of its last run on that cluster.
fn has(known: &Known, other: &NamespacedName, cluster: Option<&str>, object: &ObjectId) -> bool {
    known.kustomizations.get(other).is_some_and(|other| {
        let object = object.to_string();
        abroad::recorded(other) == cluster && entries(other).any(|(id, _)| id == object)
    })
}

/// Whether it stands beside the Kustomization, and stays.
fn is_beside(known: &Known, id: &NamespacedName, other: &NamespacedName) -> bool {
    let platform = |id: &NamespacedName| known.platform.contains(&id.namespace);
    other != id
        && (other.namespace == id.namespace || (platform(id) && platform(other)))
        && stays(known, other)
}

/// Whether it is there, and not on its way out.
fn stays(known: &Known, id: &NamespacedName) -> bool {
    let object = known.kustomizations.get(id);
    object.is_some_and(|object| object.metadata.deletion_timestamp.is_none())
}

/// The namespaces in which its neighbours are.
fn namespaces_beside(known: &Known, id: &NamespacedName) -> BTreeSet<NamespaceName> {
    match known.platform.contains(&id.namespace) {
        true => known.platform.clone(),
        false => BTreeSet::from([id.namespace.clone()]),
    }
}

/// An object, and who else holds it.
type Both = (ObjectId, NamespacedName);

fn shared(
    ctx: &Context,
    id: &NamespacedName,
    cluster: Option<&str>,
    plan: &Plan<Proposed>,
) -> Vec<Both> {
    ctx.index.read(|known| {
        let held = plan.objects().map(|planned| planned.id());
        let both = held.filter_map(|object| {
            let with = others(known, id, cluster, object).next()?.clone();
            Some((object.clone(), with))
        });
        both.collect()
    })
}

/// The same as it is told to `id`.
fn told_to(ctx: &Context, id: &NamespacedName, both: &[Both]) -> Vec<Shared> {
    ctx.index.read(|known| {
        let owner = known.tenants.owner_of(&ctx.grounds, &id.namespace);
        let may_know = |other: &NamespacedName| {
            let own = |tenant: &Tenant| tenant.namespaces.contains(&other.namespace);
            other.namespace == id.namespace
                || known.platform.contains(&id.namespace)
                || owner.as_ref().is_ok_and(own)
        };
        let told = both.iter().map(|(object, with)| Shared {
            id: object.clone(),
            with: match may_know(with) {
                true => With::Named(with.clone()),
                false => With::Unnamed,
            },
        });
        told.collect()
    })
}

/// The Kustomizations of a namespace.
pub(super) fn within<'k>(
    known: &'k Known,
    namespace: &'k NamespaceName,
) -> impl Iterator<Item = (&'k NamespacedName, &'k Arc<Kustomization>)> {
    index::within(&known.kustomizations, namespace)
}

/// Both are told, each time that something else is shared.
fn tell(ctx: &Context, id: &NamespacedName, object: &Kustomization, shared: &[Both]) {
    let words = ownership::words(&told_to(ctx, id, shared));
    let news = ctx.index.write(|known| known.holdings.is_news(id, &words));
    if !news || words.is_empty() {
        return;
    }
    report::shares(ctx, object, &words);
    let with: BTreeSet<&NamespacedName> = shared.iter().map(|(_, with)| with).collect();
    for other in with {
        let object = ctx
            .index
            .read(|known| known.kustomizations.get(other).cloned());
        let back = shared.iter().filter(|(_, with)| with == other);
        let back: Vec<Both> = back.map(|(one, _)| (one.clone(), id.clone())).collect();
        if let Some(object) = object {
            let words = ownership::words(&told_to(ctx, other, &back));
            report::shares(ctx, &object, &words);
        }
    }
}
