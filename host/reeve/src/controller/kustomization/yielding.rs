//! What a run leaves alone, since a WriteBack is to commit it first.
//!
//! Which WriteBacks those are follows from the index: of the same tenant, about the same repository, the same branch and a
//! directory in it above that of the Kustomization, and not suspended. What such a one does not watch it never writes: that is
//! drift as ever. Which fields of which objects is `core::writeback`'s to say. One that cannot be read leaves nothing alone, and one
//! that cannot push does: what it is to write is not lost meanwhile. Where it is said which side is right, that goes before all of
//! them.
//!
//! What is gone from the cluster is somebody's change only if it was applied before. A process that has just begun may not know that
//! (its disk is another one, or another replica has led since): then it is made anew before anything is compared, and where that
//! cannot be done now the run waits, for so long and no longer.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use reeve_api::kustomization::{Kustomization, SourceKind};
use reeve_api::name::{NamespaceName, NamespacedName};
use reeve_api::reason::Reason;
use reeve_api::tenant::SourceOfTruth;
use reeve_api::writeback::WriteBack;
use reeve_core::admit::Recollection;
use reeve_core::failure::{Explained, Turn};
use reeve_core::index::Target;
use reeve_core::inventory::ObjectId;
use reeve_core::schedule::Next;
use reeve_core::source::{Reference, Wanted as Followed};
use reeve_core::spec::SourceRef;
use reeve_core::status::{Failed, KustomizationOutcome};
use reeve_core::tenancy::{self, Tenant};
use reeve_core::truth;
use reeve_core::writeback::{Rules, Spec, Yielding, is_same_repository};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::recall::Past;
use super::{Asked, SOON, Stopped, Wanted, above, abroad, recall};
use crate::context::Context;
use crate::controller::writeback::watched;
use crate::index::Known;

/// How long a process that has just begun waits for the list of WriteBacks, and for what was applied before it began.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long it is looked for at least, whoever has waited for it.
const GLANCE: Duration = Duration::from_secs(5);
/// How soon it is looked for again.
const AGAIN: Duration = Duration::from_secs(2);

/// The cluster of what is asked for, leaving that alone.
pub(super) async fn reach(
    ctx: &Arc<Context>,
    object: &Kustomization,
    asked: Asked,
    over: &CancellationToken,
) -> Result<Wanted, Explained> {
    let wanted = abroad::reach(ctx, object, asked, over).await?;
    // What lies on another cluster is nobody's to write back from here.
    if wanted.spec.kube_config.is_some() {
        return Ok(wanted);
    }
    let replacing = replaced(object, &wanted);
    let wanted = Wanted {
        client: wanted.client.replacing(replacing),
        ..wanted
    };
    let rules = ctx.index.read(|known| in_effect(ctx, known, &wanted));
    if rules.is_empty() {
        return Ok(wanted);
    }
    let before = tokio::select! {
        biased;
        () = over.cancelled() => return Err(Stopped::superseded().why),
        before = before(ctx, object, &wanted) => before?,
    };
    let yielding = Yielding::new(rules, before)
        .after_leaving(left(object, &wanted))
        .without(taken_out(ctx, &wanted));
    Ok(Wanted {
        client: wanted.client.yielding_to(yielding),
        ..wanted
    })
}

/// What was applied before; none where nobody can say so, even after a while. It is an error until that is over: nothing is
/// written by then, since it might be put right what is yet to be committed.
async fn before(
    ctx: &Arc<Context>,
    object: &Kustomization,
    wanted: &Wanted,
) -> Result<Option<Recollection>, Explained> {
    let id = &wanted.spec.id;
    let waited = ctx.index.read(|known| known.recalled.get(id).copied());
    let since = waited.unwrap_or_else(|| ctx.clock.now());
    let rest = || PATIENCE.saturating_sub(ctx.clock.passed(since));
    let deadline = Instant::now() + rest().max(GLANCE);
    match recall::past(ctx, object, wanted, deadline).await {
        Past::Known(before) => {
            if waited.is_some() {
                ctx.index.write(|known| known.recalled.remove(id));
            }
            Ok(before)
        }
        Past::Unknown if !rest().is_zero() => {
            ctx.index
                .write(|known| known.recalled.insert(id.clone(), since));
            let message = "what it had applied before this process began cannot be said yet, so that a WriteBack cannot be asked";
            tracing::debug!(kustomization = %id, "{message}");
            let turn = Turn::Later(rest().min(AGAIN));
            Err(Explained::new(Reason::Progressing, turn, message))
        }
        Past::Unknown => {
            tracing::warn!(kustomization = %id, "what it had applied before this process began cannot be said: what is gone since is put right");
            Ok(None)
        }
    }
}

/// When a run is made again that has left off since it is not known yet what was applied before; nobody is told of it.
pub(super) fn waits(outcome: &KustomizationOutcome) -> Option<Next> {
    match outcome {
        KustomizationOutcome::Superseded(Failed {
            why:
                Explained {
                    turn: Turn::Later(pause),
                    ..
                },
            ..
        }) => Some(Next::After(*pause)),
        _ => None,
    }
}

/// What the last run has left alone of what it had, by the objects' ids: all of that was there once.
fn left(object: &Kustomization, wanted: &Wanted) -> Vec<String> {
    let left = object.status.iter().flat_map(|status| &status.left_alone);
    let is_had = |id: &&String| {
        let id = id.parse::<ObjectId>();
        id.is_ok_and(|id| wanted.inventory.contains(&id))
    };
    left.map(|one| &one.id).filter(is_had).cloned().collect()
}

/// What an earlier run has deleted of what it had, to make it anew, and has not made anew yet.
fn replaced(object: &Kustomization, wanted: &Wanted) -> Vec<String> {
    let all = object.status.iter().flat_map(|status| &status.replacing);
    let is_had = |id: &&String| {
        let id = id.parse::<ObjectId>();
        id.is_ok_and(|id| wanted.inventory.contains(&id))
    };
    all.filter(is_had).cloned().collect()
}

/// How long to wait when WriteBacks, or the repositories that they are about, are not listed yet, unless that wakes us: what they
/// are to commit must not be put right before anybody has heard of them. An API server without the kind has none, and who is not
/// told of them for long goes on.
pub(super) async fn are_awaited(ctx: &Context) -> Option<Duration> {
    let (all, repositories) = ctx.index.read(|known| {
        let repositories = known.sources_listed || known.writebacks.is_empty();
        (known.writebacks_listed, repositories)
    });
    if all && repositories {
        return None;
    }
    let now = ctx.clock.now();
    let since = ctx
        .index
        .write(|known| *known.writebacks_awaited.get_or_insert(now));
    let rest = PATIENCE.checked_sub(ctx.clock.passed(since));
    let rest = rest.filter(|rest| !rest.is_zero())?;
    if all {
        // What they are about is not known yet, and nobody wakes us for that.
        return Some(rest.min(SOON));
    }
    let kind = ctx.cluster.definition::<WriteBack>().await;
    (!matches!(kind, Ok(None))).then_some(rest)
}

/// A WriteBack of that namespace is there, is gone, or says something else: what its tenant applies is compared once more, and
/// runs that were begun before leave off, which would put right what they are to leave alone by now.
pub(in crate::controller) fn wake(ctx: &Context, namespace: &NamespaceName) {
    let ids: Vec<NamespacedName> = ctx.index.read(|known| {
        let Ok(tenant) = known.tenants.owner_of(&ctx.grounds, namespace) else {
            return Vec::new();
        };
        let all = known.kustomizations.keys();
        all.filter(|id| tenant.namespaces.contains(&id.namespace))
            .cloned()
            .collect()
    });
    for id in &ids {
        ctx.underway.supersede(&Target::Kustomization(id.clone()));
    }
    ctx.queues.kustomizations.wake_all(ids);
}

/// The rules of the WriteBacks that are in effect.
fn in_effect(ctx: &Context, known: &Known, wanted: &Wanted) -> Vec<Rules> {
    let Wanted { spec, tenant, .. } = wanted;
    // Where it cannot be said a run ends before it writes anything.
    match above::truth(known, spec.truth, tenant).ok().flatten() {
        // Whatever is to be committed: what is changed on the cluster is wrong, or is right without it.
        Some(SourceOfTruth::Git) => return Vec::new(),
        Some(SourceOfTruth::Cluster) => return vec![truth::everything()],
        None => {}
    }
    let of_tenant = of_tenant(known, tenant);
    let is_about = |one: &Spec| {
        one.reaches(&spec.path)
            && is_same_source(known, &one.source, &spec.source)
            && is_same_branch(known, one, &spec.source)
            && tenancy::may_use_source(&ctx.grounds, tenant, &one.id.namespace, &one.source).is_ok()
    };
    let specs = of_tenant.filter_map(|(_, object)| read(object));
    let about = specs.filter(is_about);
    about
        .map(|one| {
            let namespaces = watched(&ctx.grounds, tenant, &one.id.namespace);
            one.rules.watched(namespaces)
        })
        .collect()
}

/// The WriteBacks of a tenant.
fn of_tenant<'k>(
    known: &'k Known,
    tenant: &'k Tenant,
) -> impl Iterator<Item = (&'k NamespacedName, &'k Arc<WriteBack>)> {
    tenant.namespaces.iter().flat_map(move |namespace| {
        let from = NamespacedName::first_of(namespace);
        let all = known.writebacks.range(from..);
        all.take_while(move |(id, _)| id.namespace == *namespace)
    })
}

/// What somebody has taken out of write-back, by the ids: as a WriteBack of the tenant has seen it last, or told it before.
fn taken_out(ctx: &Context, wanted: &Wanted) -> BTreeSet<String> {
    let (mut out, ids) = ctx.index.read(|known| {
        let all = of_tenant(known, &wanted.tenant).filter(|(_, one)| !one.spec.suspend);
        let (mut out, mut ids) = (BTreeSet::new(), Vec::new());
        for (id, one) in all {
            let told = one.status.iter().flat_map(|status| &status.taken_out);
            out.extend(told.cloned());
            ids.push(id.clone());
        }
        (out, ids)
    });
    let seen = ids.iter().flat_map(|id| ctx.wards.taken_out(id));
    out.extend(seen.map(|id| id.to_string()));
    out
}

fn read(object: &WriteBack) -> Option<Spec> {
    let is_over = object.spec.suspend || object.metadata.deletion_timestamp.is_some();
    if is_over {
        None
    } else {
        Spec::parse(object).ok()
    }
}

fn is_same_source(known: &Known, one: &SourceRef, other: &SourceRef) -> bool {
    // What another controller keeps is no repository, whatever it is called.
    if other.kind != SourceKind::GitRepository {
        return false;
    }
    let url = |source: &SourceRef| Some(&known.sources.get(&source.key())?.spec.url);
    one == other
        || url(one)
            .zip(url(other))
            .is_some_and(|(one, other)| is_same_repository(one.as_str(), other.as_str()))
}

/// Whether what is written comes to where the other is applied from.
fn is_same_branch(known: &Known, one: &Spec, other: &SourceRef) -> bool {
    let branch = |source: &SourceRef| {
        let found = known.sources.get(&source.key())?;
        match Followed::parse(found).ok()?.reference {
            Reference::Branch(branch) => Some(branch),
            _ => None,
        }
    };
    let written = one.branch.clone().or_else(|| branch(&one.source));
    written.is_some() && written == branch(other)
}
