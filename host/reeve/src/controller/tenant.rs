//! What a Tenant and a Project are told about themselves.
//!
//! Whose a namespace is follows from the index at once; a run here only writes it where the platform team reads it, with what
//! the tenant may use and does.
//! Namespaces, accounts and roles are made by another process under another account, the `landlord`: what it says of them is
//! told here, since status has one writer of conditions.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use reeve_api::name::{NamespaceName, NamespacedName, TenantName};
use reeve_api::reason::Reason;
use reeve_api::tenant::Tenant;
use reeve_core::failure::{Explained, Turn};
use reeve_core::schedule::Next;
use reeve_core::status::{TenantOutcome, not_onboarded};
use reeve_core::tenancy::Lost;
use tokio::time::MissedTickBehavior;

use super::report;
use crate::context::Context;
use crate::index::{Known, within};
use crate::shards::{Part, Place};

/// How often what tenants use may be told.
const TELL_USAGE: Duration = Duration::from_secs(60);

/// One run.
pub(super) async fn reconcile(ctx: &Arc<Context>, name: &TenantName) -> Next {
    let Some(object) = ctx
        .index
        .read(|known| known.tenant_objects.get(name).cloned())
    else {
        return Next::Watch;
    };
    let (namespaces, lost, project) = ctx.index.read(|known| {
        let project = object.spec.project.as_ref();
        let project = project.map(|name| (name.clone(), known.projects.get(name).cloned()));
        (
            known.tenants.namespaces_of(name),
            known.tenants.lost_by(&ctx.grounds, name),
            project,
        )
    });
    let missing = project.as_ref().filter(|(_, object)| object.is_none());
    let wrong = lost
        .first()
        .map(|first| taken(first, lost.len()))
        .or_else(|| missing.map(|(name, _)| no_project(name)))
        .or_else(|| {
            let said = object.status.as_ref()?.onboarding.as_ref();
            not_onboarded(said, object.metadata.generation.unwrap_or_default())
        });
    let outcome = TenantOutcome {
        namespaces: namespaces.into_iter().collect(),
        wrong,
        namesake: namesake(ctx, name),
        limits: ctx.quotas.limits(object.spec.limits.as_ref()),
        usage: ctx.quotas.told(name),
    };
    let next = report::tenant(ctx, &object, outcome).await;
    if ctx.shards.are_mine(&Place::Platform) {
        tell_project(ctx, &object).await;
    }
    next
}

/// A run of a replica that doesn't work for the tenant: the one that works for the platform tells its Project.
pub(super) async fn beside(ctx: &Arc<Context>, name: &TenantName) -> Next {
    if let Part::Mine(_pass) = ctx.shards.enter(&Place::Platform, None) {
        let object = ctx
            .index
            .read(|known| known.tenant_objects.get(name).cloned());
        if let Some(object) = object {
            tell_project(ctx, &object).await;
        }
    }
    Next::Watch
}

/// Tells the Project that a Tenant names, if there is one, who does.
async fn tell_project(ctx: &Context, object: &Tenant) {
    let Some(name) = &object.spec.project else {
        return;
    };
    let found = ctx.index.read(|known| {
        let members: Vec<TenantName> = known.tenants.members_of(name).cloned().collect();
        Some((known.projects.get(name).cloned()?, members))
    });
    if let Some((project, members)) = found {
        report::project(ctx, &project, members).await;
    }
}

/// Why the namespace that is called like it is nobody's, if there is anything in it.
fn namesake(ctx: &Context, name: &TenantName) -> Option<Explained> {
    let namespace: NamespaceName = name.as_str().parse().ok()?;
    ctx.index.read(|known| {
        let used = is_used(&known.kustomizations, &namespace)
            || is_used(&known.sources, &namespace)
            || is_used(&known.receivers, &namespace)
            || is_used(&known.plugins, &namespace);
        match used {
            true => known.tenants.namesake(&ctx.grounds, &namespace),
            false => None,
        }
    })
}

fn is_used<V>(all: &BTreeMap<NamespacedName, V>, namespace: &NamespaceName) -> bool {
    within(all, namespace).next().is_some()
}

/// Something came to a namespace, or went: a Tenant that is called like it may have to say so.
pub(super) fn wake_namesake(ctx: &Context, namespace: &NamespaceName) {
    let name = TenantName::from(namespace.clone());
    let outside = ctx.index.read(|known| {
        known.tenant_objects.contains_key(&name)
            && known.tenants.namesake(&ctx.grounds, namespace).is_some()
    });
    if outside {
        ctx.queues.tenants.wake(name);
    }
}

/// Tells in the status of Tenants what they use, for as long as it is polled: once a minute at most, and only what is another
/// than it was told.
pub(super) async fn tell_usage(ctx: Arc<Context>) {
    let mut ticks = tokio::time::interval(TELL_USAGE);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // At the first nothing is known yet.
    ticks.tick().await;
    loop {
        ticks.tick().await;
        ctx.index
            .read(|known| uses(&ctx, known))
            .into_iter()
            .for_each(|name| ctx.queues.tenants.wake(name));
    }
}

/// Counts what all use, and returns whose Tenant has to tell it.
fn uses(ctx: &Context, known: &Known) -> Vec<TenantName> {
    let now = ctx.clock.steady();
    let mut counts: BTreeMap<&TenantName, (usize, usize)> = BTreeMap::new();
    for (id, object) in &known.kustomizations {
        let Some(owner) = known.tenants.declared(&id.namespace) else {
            continue;
        };
        let inventory = object
            .status
            .as_ref()
            .and_then(|status| status.inventory.as_ref());
        let (kustomizations, objects) = counts.entry(owner).or_default();
        *kustomizations += 1;
        *objects += inventory.map_or(0, |inventory| inventory.entries.len());
    }
    let has_news = |(name, object): &(&TenantName, &Arc<Tenant>)| {
        let counted = counts.get(name).copied().unwrap_or_default();
        let status = object.status.as_ref();
        let told = status.and_then(|status| status.usage.as_ref());
        let limits = ctx.quotas.limits(object.spec.limits.as_ref());
        ctx.quotas.uses(name, counted, told, &limits, now)
    };
    let all = known.tenant_objects.iter();
    let news = all.filter(has_news).map(|(name, _)| name.clone());
    let news = news.collect();
    ctx.quotas
        .keep(|name| known.tenant_objects.contains_key(name));
    news
}

fn taken(first: &Lost, count: usize) -> Explained {
    let owner = match &first.owner {
        Some(owner) => format!("Tenant {owner}, which is older"),
        None => "the platform".to_owned(),
    };
    let more = match count {
        1 => String::new(),
        n => format!(", and {} more namespaces are others' too", n - 1),
    };
    let message = format!("namespace {} belongs to {owner}{more}", first.namespace);
    Explained::new(Reason::NamespaceTaken, Turn::OwnerOrPolicy, message)
        .with_hint("remove it from spec.namespaces, or from the other Tenant")
}

fn no_project(name: &reeve_api::name::ObjectName) -> Explained {
    let message = format!("Project {name} not found");
    Explained::new(Reason::ProjectNotFound, Turn::OwnerOrPolicy, message)
        .with_hint(format!("create Project {name}, or remove spec.project"))
}
