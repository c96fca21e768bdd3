//! Whose an object is when the manifests of several Kustomizations hold it.
//!
//! Neighbours are those of the same namespace, or of the platform's. Before anything is deleted, each neighbour has said what
//! it holds of what its source has now: a push that moves an object from one to another wakes both, and nobody knows which
//! runs first. Who is whose is `core::ownership`'s to say.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use reeve_api::kustomization::Kustomization;
use reeve_api::name::{NamespaceName, NamespacedName};
use reeve_api::reason::Reason;
use reeve_core::failure::{Explained, Turn};
use reeve_core::inventory::ObjectId;
use reeve_core::ownership::{self, Shared, State};
use reeve_core::plan::{Plan, Proposed};
use tokio::time::Instant;

use super::{Wanted, abroad, entries};
use crate::context::Context;
use crate::controller::report;
use crate::index::{self, Known};

/// How long a run waits for its neighbours before it leaves its deletions to the next one. They take milliseconds.
const PATIENCE: Duration = Duration::from_secs(2);

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
    ctx.index.write(|known| {
        if lets_go {
            known.holdings.forget(id);
        }
        known.holdings.over(id, state, cluster, inventory);
    });
    ctx.planned.tell(&ctx.grounds, &id.namespace);
}

/// The plan without what others hold by now, and why nothing of the rest is deleted yet, if so.
pub(super) async fn settle(
    ctx: &Context,
    object: &Kustomization,
    wanted: &Wanted,
    proposed: Plan<Proposed>,
) -> Result<(Plan<Proposed>, Option<Explained>), Explained> {
    let id = &wanted.spec.id;
    let state = State {
        generation: object.metadata.generation,
        revision: Some(wanted.stored.artifact.revision.to_string()),
    };
    let cluster = wanted.client.cluster();
    ctx.index
        .write(|known| known.holdings.plan(id, state, cluster, &proposed));
    ctx.planned.tell(&ctx.grounds, &id.namespace);
    let shares = || shared(ctx, id, cluster, &proposed);
    let matters = !proposed.prune().is_empty() || !shares().is_empty();
    let unknown = match matters {
        true => acquaint(ctx, id).await,
        false => None,
    };
    let shared = shares();
    if !wanted.spec.shares
        && let Some(why) = ownership::refusal(&shared, &wanted.inventory)
    {
        tell(ctx, id, object, &shared);
        return Err(why);
    }
    // Whom nobody knows yet may just be about to give something up.
    if unknown.is_none() {
        tell(ctx, id, object, &shared);
    }
    let hold = unknown.filter(|_| !proposed.prune().is_empty());
    let proposed = hand_over(ctx, id, cluster, proposed);
    Ok((proposed, hold.map(|one| waits(&one))))
}

/// The same for a Kustomization that goes.
pub(super) async fn part(
    ctx: &Context,
    id: &NamespacedName,
    cluster: Option<&str>,
    proposed: Plan<Proposed>,
) -> Result<Plan<Proposed>, Explained> {
    ctx.index.write(|known| known.holdings.forget(id));
    match acquaint(ctx, id).await {
        Some(unknown) => Err(waits(&unknown)),
        None => Ok(hand_over(ctx, id, cluster, proposed)),
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
            let neighbour = others(known, id, cluster, object).next()?;
            // Once its status has it, it is not ours to remember.
            let has = known
                .kustomizations
                .get(neighbour)
                .is_some_and(|neighbour| {
                    let object = object.to_string();
                    abroad::recorded(neighbour) == cluster
                        && entries(neighbour).any(|(id, _)| id == object)
                });
            Some(has)
        })
    })
}

fn others<'k>(
    known: &'k Known,
    id: &'k NamespacedName,
    cluster: Option<&str>,
    object: &ObjectId,
) -> impl Iterator<Item = &'k NamespacedName> {
    let others = known.holdings.others(cluster, object, id);
    others.filter(|other| is_beside(known, id, other))
}

/// Whether it stands beside the Kustomization, and stays.
fn is_beside(known: &Known, id: &NamespacedName, other: &NamespacedName) -> bool {
    let stays = |other: &NamespacedName| {
        let object = known.kustomizations.get(other);
        object.is_some_and(|object| object.metadata.deletion_timestamp.is_none())
    };
    let platform = |id: &NamespacedName| known.platform.contains(&id.namespace);
    other != id
        && (other.namespace == id.namespace || (platform(id) && platform(other)))
        && stays(other)
}

fn shared(
    ctx: &Context,
    id: &NamespacedName,
    cluster: Option<&str>,
    plan: &Plan<Proposed>,
) -> Vec<Shared> {
    ctx.index.read(|known| {
        let held = plan.objects().map(|planned| planned.id());
        let both = held.filter_map(|object| {
            let with = others(known, id, cluster, object).next()?.clone();
            let id = object.clone();
            Some(Shared { id, with })
        });
        both.collect()
    })
}

/// Waits a moment for all neighbours to have said what they hold, and returns one that has not.
async fn acquaint(ctx: &Context, id: &NamespacedName) -> Option<NamespacedName> {
    let end = Instant::now() + PATIENCE;
    let bell = ctx.planned.listen(&ctx.grounds, &id.namespace);
    loop {
        // Before the look: whoever says so in between is heard.
        let rings = bell.notified();
        let unknown = ctx.index.read(|known| unknown_to(known, id))?;
        if tokio::time::timeout_at(end, rings).await.is_err() {
            return Some(unknown);
        }
    }
}

/// A neighbour that is about to say what it holds.
fn unknown_to(known: &Known, id: &NamespacedName) -> Option<NamespacedName> {
    let own = BTreeSet::from([id.namespace.clone()]);
    let namespaces = match known.platform.contains(&id.namespace) {
        true => &known.platform,
        false => &own,
    };
    let mut all = namespaces
        .iter()
        .flat_map(|namespace| within(known, namespace));
    let unknown = all.find(|(other, object)| {
        is_beside(known, id, other) && is_about_to_say(known, other, object)
    });
    unknown.map(|(other, _)| other.clone())
}

/// The Kustomizations of a namespace.
pub(super) fn within<'k>(
    known: &'k Known,
    namespace: &'k NamespaceName,
) -> impl Iterator<Item = (&'k NamespacedName, &'k Arc<Kustomization>)> {
    index::within(&known.kustomizations, namespace)
}

/// One that is suspended, or whose source has nothing, will not say more for now.
fn is_about_to_say(known: &Known, other: &NamespacedName, object: &Kustomization) -> bool {
    let state = state_of(known, other, object);
    !object.spec.suspend && state.revision.is_some() && !known.holdings.knows(other, &state)
}

fn waits(unknown: &NamespacedName) -> Explained {
    let message = format!(
        "deleting waits for Kustomization {unknown}, whose manifests may hold the objects now"
    );
    Explained::new(Reason::PruneHeld, Turn::Ours, message)
}

/// Both are told, each time that something else is shared.
fn tell(ctx: &Context, id: &NamespacedName, object: &Kustomization, shared: &[Shared]) {
    let words = ownership::words(shared);
    let news = ctx.index.write(|known| known.holdings.is_news(id, &words));
    if !news || words.is_empty() {
        return;
    }
    report::shares(ctx, object, &words);
    let with: BTreeSet<&NamespacedName> = shared.iter().map(|one| &one.with).collect();
    for other in with {
        let object = ctx
            .index
            .read(|known| known.kustomizations.get(other).cloned());
        let back = shared.iter().filter(|one| one.with == *other);
        let back: Vec<Shared> = back
            .map(|one| Shared {
                id: one.id.clone(),
                with: id.clone(),
            })
            .collect();
        if let Some(object) = object {
            report::shares(ctx, &object, &ownership::words(&back));
        }
    }
}
