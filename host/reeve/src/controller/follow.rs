//! The watches: what is there, told to the index, and who that wakes.
//!
//! An object that cannot be decoded is told so on itself and leaves the others alone; what was known of it is forgotten,
//! so that nothing is done by a spec that nobody can read, but for what holds others back: what a Policy or a Tenant said
//! stays. Nothing is deleted from a cluster because of what a watch says or doesn't: pruning goes by inventories.

mod defined;
mod elsewhere;
mod forges;
mod kustomization;
mod levels;
mod marks;
mod others;
mod plugin;
mod policy;
mod receiver;
mod worth;
mod writeback;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures::StreamExt as _;
use kube::Resource as _;
use reeve_api::kustomization::Kustomization;
use reeve_api::name::{NamespaceName, NamespacedName, ObjectName, TenantName};
use reeve_api::plugin::{ClusterPlugin, Plugin};
use reeve_api::policy::Policy;
use reeve_api::receiver::Receiver;
use reeve_api::source::GitRepository;
use reeve_api::tenant::{Project, Tenant};
use reeve_api::writeback::WriteBack;
use reeve_core::drift::Place;
use reeve_core::index::{Configured, Sake, Source, Target};
use reeve_core::levels::is_another;
use serde::de::DeserializeOwned;
use tokio::task::JoinSet;

use super::report::Reported;
use super::tenant::wake_namesake;
use crate::cluster::{Change, Id, Selection};
use crate::context::Context;
use crate::{index, shards};
use defined::Defined;
pub(super) use levels::{asks_levels, watch_source};
use worth::{is_news, is_superseded, worth_a_run};

/// Begins every watch, as a task each.
pub(super) fn all(ctx: &Arc<Context>, watches: &mut JoinSet<()>) {
    watches.spawn(marks::follow(Arc::clone(ctx)));
    watches.spawn(follow::<Tenant>(Arc::clone(ctx)));
    watches.spawn(follow::<Project>(Arc::clone(ctx)));
    watches.spawn(follow::<Policy>(Arc::clone(ctx)));
    watches.spawn(follow::<Plugin>(Arc::clone(ctx)));
    watches.spawn(follow::<ClusterPlugin>(Arc::clone(ctx)));
    watches.spawn(follow::<GitRepository>(Arc::clone(ctx)));
    watches.spawn(follow::<Kustomization>(Arc::clone(ctx)));
    watches.spawn(follow::<Receiver>(Arc::clone(ctx)));
    watches.spawn(follow::<WriteBack>(Arc::clone(ctx)));
    let (told, definitions) = tokio::sync::watch::channel(None);
    others::all(ctx, watches, &definitions);
    let ctx = Arc::clone(ctx);
    watches.spawn(async move { ctx.cluster.follow_definitions(&told).await });
}

/// Begins the watches of what a replica has to know that takes calls of hooks, and answers API servers if that is `wanted`.
pub(super) fn some(ctx: &Arc<Context>, wanted: bool, watches: &mut JoinSet<()>) {
    watches.spawn(marks::follow(Arc::clone(ctx)));
    watches.spawn(follow::<Tenant>(Arc::clone(ctx)));
    watches.spawn(follow::<Project>(Arc::clone(ctx)));
    watches.spawn(follow::<GitRepository>(Arc::clone(ctx)));
    watches.spawn(follow::<Kustomization>(Arc::clone(ctx)));
    watches.spawn(follow::<Receiver>(Arc::clone(ctx)));
    if wanted {
        watches.spawn(follow::<Policy>(Arc::clone(ctx)));
    }
}

/// A kind that is watched: what the index learns of it.
pub(super) trait Followed: Reported {
    /// Whether its objects keep others from doing things: then they are not taken for deleted when their kind is.
    const HOLDS_BACK: bool = false;
    /// It is there, or changed.
    fn put(ctx: &Context, object: Arc<Self>);
    /// It is gone.
    fn gone(ctx: &Context, id: &Id);
    /// It is there, and nobody can read it: nothing is done by what it said before.
    fn bad(ctx: &Context, id: &Id) {
        Self::gone(ctx, id);
    }
    /// All there are have been put.
    fn listed(_ctx: &Context) {}
}

async fn follow<K>(ctx: Arc<Context>)
where
    K: Followed + DeserializeOwned + Send + Sync + 'static,
{
    let which = Selection {
        labels: ctx.follows(K::KIND).map(ToString::to_string),
        ..Selection::default()
    };
    let mut changes = ctx.cluster.watch::<K>(&which);
    let mut known: BTreeSet<Id> = BTreeSet::new();
    let mut listed: BTreeSet<Id> = BTreeSet::new();
    let mut defined = Defined::<K>::default();
    while let Some(change) = changes.next().await {
        match change {
            Change::Begin => listed.clear(),
            Change::Put(object) => {
                let id = Id::of(object.meta());
                listed.insert(id.clone());
                known.insert(id);
                defined.saw(&ctx, object.meta()).await;
                K::put(&ctx, object);
            }
            Change::Bad(bad) => {
                let id = Id::of(&bad.meta);
                listed.insert(id.clone());
                known.insert(id.clone());
                K::bad(&ctx, &id);
                elsewhere::tell_bad::<K>(&ctx, id, bad).await;
            }
            Change::Gone(id) => {
                known.remove(&id);
                if defined.still_is(&ctx).await {
                    K::gone(&ctx, &id);
                }
            }
            Change::Synced => {
                let gone: Vec<&Id> = known.difference(&listed).collect();
                if !gone.is_empty() && defined.still_is(&ctx).await {
                    gone.into_iter().for_each(|id| K::gone(&ctx, id));
                }
                known.clone_from(&listed);
                defined.learn(&ctx).await;
                K::listed(&ctx);
            }
        }
    }
}

/// The id of a namespaced object. The API server admits no other names.
fn named(meta: &kube::core::ObjectMeta) -> Option<NamespacedName> {
    let id = Id::of(meta);
    NamespacedName::new(id.namespace, id.name).ok()
}

fn identified(id: &Id) -> Option<NamespacedName> {
    NamespacedName::new(id.namespace.clone(), id.name.clone()).ok()
}

fn labels(meta: &kube::core::ObjectMeta) -> BTreeMap<String, String> {
    meta.labels.clone().unwrap_or_default()
}

fn object_names<'a>(names: impl IntoIterator<Item = &'a str>) -> BTreeSet<ObjectName> {
    names
        .into_iter()
        .filter_map(|name| name.parse().ok())
        .collect()
}

/// The Secrets that it names are watched as whom they are read, if they say that they are to wake who names them.
fn watch_secrets(
    ctx: &Context,
    target: Target,
    namespace: &NamespaceName,
    secrets: &BTreeSet<ObjectName>,
) {
    let mut places = BTreeSet::new();
    if !secrets.is_empty() {
        let account = ctx.secret_owner(namespace).account();
        let place = Place::of_named(account.as_deref(), namespace.as_str(), "Secret");
        places.insert(place);
    }
    ctx.drift.names(target, places);
}

impl Followed for GitRepository {
    fn put(ctx: &Context, object: Arc<Self>) {
        let Some(id) = named(object.meta()) else {
            return;
        };
        let source = Source {
            labels: labels(object.meta()),
            secrets: levels::secrets(&object),
            includes: levels::includes(&object),
        };
        let target = Target::Source(id.clone());
        watch_source(ctx, &id, &object);
        let (before, wake) = ctx.index.write(|known| {
            known.touch.apply_source(&id, source);
            if !asks_levels(&object) {
                for sake in [Sake::Own, Sake::Submodules] {
                    known
                        .touch
                        .configure_source(&id, sake, Configured::default());
                }
            }
            let before = known.sources.insert(id.clone(), Arc::clone(&object));
            let wake = worth_a_run(before.as_ref(), &object);
            (before, wake)
        });
        if is_superseded(before.as_ref(), &object) {
            ctx.underway.supersede(&target);
        }
        // What Receivers have their forges call for.
        let called_for = |source: &Self| (source.spec.url.clone(), forges::plans(source));
        if before.as_deref().map(called_for) != Some(called_for(&object)) {
            wake_receivers_naming(ctx, &target);
        }
        if before.is_none() {
            wake_namesake(ctx, &id.namespace);
        }
        if wake {
            let place = shards::Place::of_source(&ctx.grounds, &id);
            elsewhere::go_on(ctx, (&target, &place), before.as_ref(), &*object);
            forges::source(ctx, &id, &object);
            ctx.queues.sources.wake(id);
        } else if elsewhere::has_told(ctx, &id, before.as_deref(), &object) {
            ctx.queues.sources.wake(id);
        }
    }

    fn gone(ctx: &Context, id: &Id) {
        let Some(id) = identified(id) else { return };
        let target = Target::Source(id.clone());
        ctx.drift.forget(&target);
        let (appliers, includers): (Vec<_>, Vec<_>) = ctx.index.write(|known| {
            known.touch.remove_source(&id);
            known.sources.remove(&id);
            known.stored.remove(&id);
            known.heard.remove(&id);
            known.relays.remove(&id);
            known.looked_at.remove(&id);
            known.logins.remove(&id);
            known.desks.remove(&id);
            known.memory.remove(&target);
            let appliers = known.touch.kustomizations_of(&id).cloned();
            let includers = known.touch.includers_of(&id).cloned();
            (appliers.collect(), includers.collect())
        });
        ctx.underway.supersede(&target);
        wake_receivers_naming(ctx, &target);
        wake_namesake(ctx, &id.namespace);
        ctx.queues.sources.wake_all(includers);
        ctx.queues.kustomizations.wake_all(appliers);
    }

    /// Those whose source is none of these have waited for it.
    fn listed(ctx: &Context) {
        let orphans: Vec<NamespacedName> = ctx.index.write(|known| {
            if std::mem::replace(&mut known.sources_listed, true) {
                return Vec::new();
            }
            let is_orphan = |object: &Kustomization| {
                let source = super::kustomization::source(object);
                source.is_some_and(|id| !known.sources.contains_key(&id))
            };
            let all = known.kustomizations.iter();
            all.filter(|(_, object)| is_orphan(object))
                .map(|(id, _)| id.clone())
                .collect()
        });
        ctx.queues.kustomizations.wake_all(orphans);
    }
}

impl Followed for Tenant {
    const HOLDS_BACK: bool = true;

    fn put(ctx: &Context, object: Arc<Self>) {
        let Some(name) = object
            .metadata
            .name
            .as_deref()
            .and_then(|name| name.parse().ok())
        else {
            return;
        };
        let touched = ctx.index.write(|known| {
            let before = known.tenant_objects.insert(name, Arc::clone(&object));
            let news = is_news(before.as_ref(), &object);
            news.then(|| {
                let touched = known.tenants.apply(&object);
                ctx.shards.follow(&known.tenants, &touched);
                (before, touched)
            })
        });
        let Some((before, touched)) = touched else {
            return;
        };
        wake_within(ctx, &touched);
        elsewhere::wake_sources(ctx, &touched);
        levels::wake_kept_for(ctx, before.iter().chain([&object]));
        let project = |tenant: &Arc<Self>| tenant.spec.project.clone();
        let left = before.as_ref().and_then(project);
        let left = left.filter(|left| Some(left) != object.spec.project.as_ref());
        wake_concerned(ctx, &touched, left.as_ref());
    }

    fn gone(ctx: &Context, id: &Id) {
        let Ok(name) = id.name.parse() else { return };
        let (before, touched) = ctx.index.write(|known| {
            let before = known.tenant_objects.remove(&name);
            let touched = known.tenants.remove(&name);
            ctx.shards.follow(&known.tenants, &touched);
            (before, touched)
        });
        wake_within(ctx, &touched);
        elsewhere::wake_sources(ctx, &touched);
        levels::wake_kept_for(ctx, &before);
        let left = before.as_ref();
        let left = left.and_then(|before| before.spec.project.as_ref());
        wake_concerned(ctx, &touched, left);
    }

    /// What it said before stays: its bounds go on. What is that of one that nobody has ever read is nobody's.
    fn bad(ctx: &Context, id: &Id) {
        let Ok(name) = id.name.parse() else { return };
        marks::hand_over(ctx, |tenants| tenants.cannot_read(&name));
    }

    fn listed(ctx: &Context) {
        marks::listed(ctx, |known| known.tenant_objects_listed = true);
    }
}

impl Followed for Project {
    fn put(ctx: &Context, object: Arc<Self>) {
        let name = object.metadata.name.as_deref();
        let Some(name) = name.and_then(|name| name.parse::<ObjectName>().ok()) else {
            return;
        };
        let (wake, says_else) = ctx.index.write(|known| {
            let before = known.projects.insert(name.clone(), Arc::clone(&object));
            let says_else = before.as_deref().is_none_or(|one| is_another(one, &object));
            // Until all are listed, those that need it wait.
            let says_else = says_else && known.projects_listed;
            (worth_a_run(before.as_ref(), &object), says_else)
        });
        if says_else {
            levels::wake_members(ctx, &name);
        }
        if wake {
            wake_tenants_of(ctx, &name);
            levels::wake_project(ctx, &name);
        }
    }

    fn gone(ctx: &Context, id: &Id) {
        let Ok(name) = id.name.parse() else { return };
        ctx.index.write(|known| known.projects.remove(&name));
        levels::wake_members(ctx, &name);
        wake_tenants_of(ctx, &name);
        levels::wake_project(ctx, &name);
    }

    fn listed(ctx: &Context) {
        ctx.index.write(|known| known.projects_listed = true);
        levels::listed(ctx);
    }
}

/// Receivers say in their status what they name in vain.
fn wake_receivers_naming(ctx: &Context, target: &Target) {
    let receivers = ctx.index.read(|known| known.touch.receivers_naming(target));
    ctx.queues.receivers.wake_all(receivers);
}

/// Something about these namespaces is another: Tenants that name one, or are called like one, may have to say so. A Project that
/// one of them has left tells it by a run of one that stays.
fn wake_concerned(ctx: &Context, touched: &BTreeSet<NamespaceName>, left: Option<&ObjectName>) {
    let names = ctx.index.read(|known| {
        let tenants = &known.tenants;
        let mut names = tenants.concerned(touched);
        let stays = left.and_then(|project| tenants.members_of(project).next());
        names.extend(stays.cloned());
        names
    });
    ctx.queues.tenants.wake_all(names);
}

/// A Project came, went or changed: who belongs to it says whether it is there, and tells it who does.
fn wake_tenants_of(ctx: &Context, project: &ObjectName) {
    let names: Vec<TenantName> = ctx
        .index
        .read(|known| known.tenants.members_of(project).cloned().collect());
    ctx.queues.tenants.wake_all(names);
}

/// Whose a namespace is decides what may be done in it, and as whom its Secrets are read.
fn wake_within(ctx: &Context, namespaces: &BTreeSet<NamespaceName>) {
    fn within<V>(
        all: &BTreeMap<NamespacedName, V>,
        namespaces: &BTreeSet<NamespaceName>,
    ) -> Vec<NamespacedName> {
        let found = namespaces.iter().flat_map(|one| index::within(all, one));
        found.map(|(id, _)| id.clone()).collect()
    }
    let (plugins, kustomizations, sources, receivers, writebacks) = ctx.index.read(|known| {
        (
            within(&known.plugins, namespaces),
            within(&known.kustomizations, namespaces),
            within(&known.sources, namespaces),
            within(&known.receivers, namespaces),
            within(&known.writebacks, namespaces),
        )
    });
    let queues = &ctx.queues;
    queues.plugins.wake_all(plugins);
    queues.kustomizations.wake_all(kustomizations);
    queues.sources.wake_all(sources);
    queues.receivers.wake_all(receivers);
    queues.writebacks.wake_all(writebacks);
}
