//! What a run leaves alone, since a WriteBack is to commit it first.
//!
//! Which WriteBacks those are follows from the index: of the same tenant, about the same repository, the same branch and a
//! directory in it above that of the Kustomization, and not suspended. What such a one does not watch it never writes: that is
//! drift as ever. Which fields of which objects is `core::writeback`'s to say. One that cannot be read leaves nothing alone, and one
//! that cannot push does: what it is to write is not lost meanwhile. Where it is said which side is right, that goes before all of
//! them.

use std::sync::Arc;
use std::time::Duration;

use reeve_api::kustomization::{Kustomization, SourceKind};
use reeve_api::name::{NamespaceName, NamespacedName};
use reeve_api::tenant::SourceOfTruth;
use reeve_api::writeback::WriteBack;
use reeve_core::index::Target;
use reeve_core::source::{Reference, Wanted as Followed};
use reeve_core::spec::SourceRef;
use reeve_core::tenancy;
use reeve_core::truth;
use reeve_core::writeback::{Rules, Spec, Yielding, is_same_repository};

use super::{Wanted, above, recall};
use crate::context::Context;
use crate::controller::writeback::watched;
use crate::index::Known;

/// How long a process that has just begun waits for the list of WriteBacks.
const PATIENCE: Duration = Duration::from_secs(30);

/// The same run, leaving that alone.
pub(super) async fn to_write_back(
    ctx: &Arc<Context>,
    object: &Kustomization,
    wanted: Wanted,
) -> Wanted {
    // What lies on another cluster is nobody's to write back from here.
    if wanted.spec.kube_config.is_some() {
        return wanted;
    }
    let rules = ctx.index.read(|known| in_effect(ctx, known, &wanted));
    if rules.is_empty() {
        return wanted;
    }
    let before = recall::read(ctx, object, &wanted.spec).await;
    Wanted {
        client: wanted.client.yielding_to(Yielding::new(rules, before)),
        ..wanted
    }
}

/// How long to wait when WriteBacks are not listed yet, unless that wakes us: what they are to commit must not be put right
/// before anybody has heard of them. An API server without the kind has none, and who is not told of them for long goes on.
pub(super) async fn are_awaited(ctx: &Context) -> Option<Duration> {
    if ctx.index.read(|known| known.writebacks_listed) {
        return None;
    }
    let now = ctx.clock.now();
    let since = ctx
        .index
        .write(|known| *known.writebacks_awaited.get_or_insert(now));
    let rest = PATIENCE.checked_sub(ctx.clock.passed(since));
    let rest = rest.filter(|rest| !rest.is_zero())?;
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
    let of_tenant = tenant.namespaces.iter().flat_map(|namespace| {
        let from = NamespacedName::first_of(namespace);
        let all = known.writebacks.range(from..);
        all.take_while(move |(id, _)| id.namespace == *namespace)
    });
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
