//! Whom a change of git configuration's levels wakes: the sources that have no login of their own, or no interval.
//!
//! What the files hold is watched like every Secret that is named. Here it is Tenants and Projects, which say whose levels are
//! above whom.

use std::collections::BTreeSet;
use std::sync::Arc;

use reeve_api::name::{NamespaceName, NamespacedName, ObjectName};
use reeve_api::source::GitRepository;
use reeve_api::upkeep::GENERATE_KEY;
use reeve_api::{GIT_CONFIG, POLLING, PROVIDER, tenant::Tenant};
use reeve_core::drift::Place;
use reeve_core::index::Target;
use reeve_core::landlord;

use super::object_names;
use crate::context::Context;
use crate::index::Known;

/// Whether levels are asked for it: it names no login itself, or has them say how often it is asked, or wants submodules, which may
/// lie where its login is not for.
pub(in crate::controller) fn asks_levels(object: &GitRepository) -> bool {
    let annotations = object.metadata.annotations.as_ref();
    let said = |name: &str| annotations.and_then(|all| all.get(name));
    let brought = said(PROVIDER).is_some_and(|name| name != GIT_CONFIG);
    let names_one = object.spec.secret_ref.is_some() || brought || said(GENERATE_KEY).is_some();
    !names_one || said(POLLING).is_some() || object.spec.recurse_submodules
}

/// What a source names, and what it is configured by, is watched as whom it is read, where it is to wake who names it.
pub(in crate::controller) fn watch_source(
    ctx: &Context,
    id: &NamespacedName,
    object: &GitRepository,
) {
    let mut places = BTreeSet::new();
    if !secrets(object).is_empty() {
        let account = ctx.secret_owner(&id.namespace).account();
        let namespace = id.namespace.as_str();
        places.insert(Place::of_named(account.as_deref(), namespace, "Secret"));
    }
    let kinds = ctx.index.read(|known| known.touch.configuring_kinds(id));
    for kind in kinds {
        places.insert(Place::of_named(None, ctx.home.as_str(), kind));
    }
    ctx.drift.names(Target::Source(id.clone()), places);
}

/// The Secrets of its namespace that it names.
pub(super) fn secrets(object: &GitRepository) -> BTreeSet<ObjectName> {
    let spec = &object.spec;
    let keys = spec.verify.as_ref().map(|verify| &verify.secret_ref);
    let secrets = spec.secret_ref.iter().chain(&spec.proxy_secret_ref);
    let secrets = secrets.chain(keys);
    object_names(secrets.map(|secret| secret.name.as_str()))
}

/// The sources that one includes.
pub(super) fn includes(object: &GitRepository) -> BTreeSet<ObjectName> {
    let included = object.spec.include.iter();
    object_names(included.map(|include| include.repository.name.as_str()))
}

/// All Tenants or all Projects are known. Those that have waited for both, or for the Tenant of which they were made, are woken.
pub(super) fn listed(ctx: &Context) {
    let waiting: Vec<NamespacedName> = ctx.index.read(|known| {
        if !known.tenants_listed || !known.projects_listed {
            return Vec::new();
        }
        let waits = |(id, object): &(&NamespacedName, &Arc<GitRepository>)| {
            let asks = asks_levels(object) || landlord::is_made(object);
            asks && !known.looked_at.contains(*id)
        };
        let all = known.sources.iter();
        all.filter(waits).map(|(id, _)| id.clone()).collect()
    });
    wake(ctx, waiting);
}

/// Tenants are another than they were: the sources that the platform keeps for them are woken.
pub(super) fn wake_kept_for<'t>(ctx: &Context, tenants: impl IntoIterator<Item = &'t Arc<Tenant>>) {
    let tenants: Vec<&Arc<Tenant>> = tenants.into_iter().collect();
    let found = ctx.index.read(|known| kept_for(ctx, known, &tenants));
    wake(ctx, found);
}

/// A Project is another than it was: the sources of its tenants are woken.
pub(super) fn wake_project(ctx: &Context, name: &ObjectName) {
    let found = ctx.index.read(|known| {
        let all = known.tenant_objects.values();
        let members: Vec<&Arc<Tenant>> = all
            .filter(|tenant| tenant.spec.project.as_ref() == Some(name))
            .collect();
        let mut found = kept_for(ctx, known, &members);
        let within = |id: &NamespacedName| {
            let mut all = members.iter();
            all.any(|tenant| tenant.spec.namespaces.contains(&id.namespace))
        };
        let own = known.sources.iter();
        let own = own.filter(|(id, object)| within(id) && asks_levels(object));
        found.extend(own.map(|(id, _)| id.clone()));
        found
    });
    wake(ctx, found);
}

/// A Project says something else of where its tenants are delivered to, or which side is right for them: runs of theirs that were
/// begun before leave off, and all are made again.
pub(super) fn wake_members(ctx: &Context, name: &ObjectName) {
    let ids: Vec<NamespacedName> = ctx.index.read(|known| {
        let all = known.tenant_objects.values();
        let members = all.filter(|tenant| tenant.spec.project.as_ref() == Some(name));
        let namespaces = members.flat_map(|tenant| &tenant.spec.namespaces);
        let namespaces: BTreeSet<&NamespaceName> = namespaces.collect();
        let all = known.kustomizations.keys();
        let within = all.filter(|id| namespaces.contains(&id.namespace));
        within.cloned().collect()
    });
    for id in &ids {
        let target = Target::Kustomization(id.clone());
        ctx.underway.supersede(&target);
    }
    ctx.queues.kustomizations.wake_all(ids);
}

fn kept_for(ctx: &Context, known: &Known, tenants: &[&Arc<Tenant>]) -> Vec<NamespacedName> {
    let names = tenants.iter().flat_map(|tenant| &tenant.spec.sources);
    let names: BTreeSet<&ObjectName> = names.collect();
    let mut found = Vec::new();
    for namespace in &ctx.grounds.config_namespaces {
        for name in &names {
            let id = NamespacedName {
                namespace: namespace.clone(),
                name: (*name).clone(),
            };
            let object = known.sources.get(&id);
            if object.is_some_and(|object| asks_levels(object)) {
                found.push(id);
            }
        }
    }
    found
}

fn wake(ctx: &Context, ids: Vec<NamespacedName>) {
    ctx.queues.sources.wake_all(ids);
}
