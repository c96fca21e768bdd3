//! A run keeps to the limits of its tenant: asked before it begins, before it writes, and told what it took.
//!
//! The platform's own namespaces have none, and what is being deleted may always go. What a limit means is `core::quota`'s
//! to say; who is told to wait holds no worker: the queue wakes it when its moment has come.

use std::collections::BTreeMap;

use jiff::Timestamp;
use reeve_api::kustomization::Kustomization;
use reeve_api::name::{NamespacedName, TenantName};
use reeve_core::failure::Explained;
use reeve_core::plan::Plan;
use reeve_core::quota::{Limit, Limits, Over};
use reeve_core::status::{Change, KustomizationOutcome};
use reeve_core::tenancy::Tenant;

use super::ownership::{self, within};
use super::{Wanted, entries};
use crate::context::Context;
use crate::index::Known;
use crate::observe::happening;

/// A run that was let begin, until it is dropped.
pub(super) struct Begun<'c> {
    ctx: &'c Context,
    tenant: TenantName,
    id: NamespacedName,
}

/// Lets a run begin, if its tenant's limits do.
pub(super) fn begin<'c>(
    ctx: &'c Context,
    id: &NamespacedName,
    object: &Kustomization,
) -> Result<Option<Begun<'c>>, Explained> {
    if object.spec.suspend || ctx.grounds.is_platform(&id.namespace) {
        return Ok(None);
    }
    let Ok((tenant, limits)) = limits(ctx, id) else {
        // What is nobody's is denied, and uses nothing of anybody's.
        return Ok(None);
    };
    let over = match Limit::Kustomizations.of(&limits) {
        Some(allowed) => one_too_many(ctx, &tenant, id, allowed),
        None => None,
    };
    ctx.quotas.too_many(&tenant.name, id, over.is_some());
    let now = ctx.clock.steady();
    let begun = match over {
        Some(over) => {
            // It is not worked on: nobody waits for it to plan, and nobody deletes what it may want either.
            ownership::over(ctx, id, object, ownership::state(ctx, id, object), false);
            Err(over)
        }
        None => ctx.quotas.begin(&tenant.name, id, &limits, now),
    };
    begun.map_err(|over| refused(ctx, &tenant.name, over))?;
    Ok(Some(Begun {
        ctx,
        tenant: tenant.name,
        id: id.clone(),
    }))
}

/// It is going: who has waited for a place may have its one. It would else be waited for, since nobody knows what it wants.
pub(super) fn makes_room(ctx: &Context, id: &NamespacedName) {
    if let Ok((tenant, _)) = limits(ctx, id) {
        let woken = ctx.quotas.makes_room(&tenant.name);
        ctx.queues.kustomizations.wake_all(woken);
    }
}

impl Begun<'_> {
    /// What it wrote counts.
    pub(super) fn wrote(&self, outcome: &KustomizationOutcome) {
        let none: &[Change] = &[];
        let (changes, pruned) = match outcome {
            KustomizationOutcome::Applied(done) => (&*done.changes, &*done.pruned),
            KustomizationOutcome::Settling(waits) => (&*waits.done.changes, &*waits.done.pruned),
            KustomizationOutcome::Failed(stopped) | KustomizationOutcome::Superseded(stopped) => {
                (&*stopped.changes, none)
            }
            KustomizationOutcome::Withdrawn { pruned } => (&**pruned, none),
            // Of the cluster's nothing was written.
            KustomizationOutcome::Delivered(_) | KustomizationOutcome::Suspended => (none, none),
        };
        let all = changes.iter().chain(pruned);
        let written = all.filter(|change| change.action.is_change()).count();
        let written = u64::try_from(written).unwrap_or(u64::MAX);
        let now = self.ctx.clock.steady();
        let (tenant, quotas) = (&self.tenant, &self.ctx.quotas);
        quotas.take(tenant, &self.id, (Limit::Writes, written), now);
    }
}

impl Drop for Begun<'_> {
    fn drop(&mut self) {
        self.ctx.quotas.end(&self.tenant, &self.id);
    }
}

/// Whether the tenant may have all objects of the plan. What makes them fewer is always let pass.
pub(super) fn objects<S>(ctx: &Context, wanted: &Wanted, plan: &Plan<S>) -> Result<(), Explained> {
    let id = &wanted.spec.id;
    if ctx.grounds.is_platform(&id.namespace) {
        return Ok(());
    }
    let (tenant, limits) = limits(ctx, id)?;
    let Some(allowed) = Limit::Objects.of(&limits) else {
        return Ok(());
    };
    let (before, after) = (wanted.inventory.len(), plan.inventory().len());
    if after <= before {
        return Ok(());
    }
    let count = |object: &Kustomization| u64::try_from(entries(object).count()).unwrap_or(u64::MAX);
    let others: BTreeMap<NamespacedName, u64> = ctx.index.read(|known| {
        of_tenant(known, &tenant)
            .filter(|(other, _)| *other != id)
            .map(|(other, object)| (other.clone(), count(object)))
            .collect()
    });
    let after = u64::try_from(after).unwrap_or(u64::MAX);
    let may = ctx.quotas.may_have(id, after, &others, allowed);
    may.map_err(|asked| {
        let over = Over {
            limit: Limit::Objects,
            allowed,
            asked,
            until: None,
        };
        refused(ctx, &tenant.name, over)
    })
}

fn limits(ctx: &Context, id: &NamespacedName) -> Result<(Tenant, Limits), Explained> {
    let tenant = ctx
        .index
        .read(|known| known.tenants.owner_of(&ctx.grounds, &id.namespace))?;
    let said = tenant.declared.as_ref().map(|declared| &declared.limits);
    let limits = ctx.quotas.limits(said);
    Ok((tenant, limits))
}

/// Whether so many of the tenant's Kustomizations are older than this one, without those that are going.
fn one_too_many(ctx: &Context, tenant: &Tenant, id: &NamespacedName, allowed: u64) -> Option<Over> {
    let age = |id: &NamespacedName, object: &Kustomization| {
        let created = object.metadata.creation_timestamp.as_ref();
        (created.map(|created| created.0), id.clone())
    };
    let older = ctx.index.read(|known| {
        let own = age(id, known.kustomizations.get(id)?);
        let all = of_tenant(known, tenant);
        Some(
            all.filter(|(_, object)| object.metadata.deletion_timestamp.is_none())
                .filter(|(other, object)| age(other, object) < own)
                .count(),
        )
    })?;
    let older = u64::try_from(older).unwrap_or(u64::MAX);
    (older >= allowed).then(|| Over {
        limit: Limit::Kustomizations,
        allowed,
        asked: older.saturating_add(1),
        until: None,
    })
}

/// All Kustomizations in the tenant's namespaces.
fn of_tenant<'k>(
    known: &'k Known,
    tenant: &'k Tenant,
) -> impl Iterator<Item = (&'k NamespacedName, &'k Kustomization)> {
    let namespaces = tenant.namespaces.iter();
    let all = namespaces.flat_map(|namespace| within(known, namespace));
    all.map(|(id, object)| (id, &**object))
}

fn refused(ctx: &Context, tenant: &TenantName, over: Over) -> Explained {
    ctx.metrics.tell(&happening::Limited {
        tenant: tenant.as_str(),
        limit: over.limit.as_str(),
    });
    // Counted in time that has passed, told by the time of day.
    let now = ctx.clock.now();
    let ahead = now.duration_since(ctx.clock.steady());
    let shown = |until: Timestamp| until.saturating_add(ahead).unwrap_or(until);
    let until = over.until.map(shown);
    Over { until, ..over }.explained(tenant, now)
}
