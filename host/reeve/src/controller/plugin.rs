//! A Plugin or a ClusterPlugin is loaded: its bytes read, its digest held against the pin, compiled once, its config put
//! together and held against the component's schema.
//!
//! Calling it is `transform`'s. One that cannot be loaded stops every Kustomization it is called for: what is to be done
//! to every manifest must not be skipped because a file is missing. If something was loaded before that is still
//! wanted, that goes on being called.

mod bytes;
mod config;
mod registry;

use std::sync::Arc;
use std::time::Duration;

use kube::ResourceExt as _;
use kube::core::object::HasStatus;
use reeve_api::RECONCILE_REQUEST;
use reeve_api::name::{NamespacedName, PluginName};
use reeve_api::plugin::{Component, Limits, PluginStatus, World};
use reeve_api::reason::Reason;
use reeve_core::failure::{Explained, Turn};
use reeve_core::index::Target;
use reeve_core::plugin::{PluginId, grant};
use reeve_core::schedule::Next;
use reeve_core::status::PluginOutcome;
use reeve_wasm::Budget;
use sha2::{Digest as _, Sha256};

use super::report::{self, Reported, Run};
use super::sharing;
use crate::context::Context;
use crate::index::{Callable, Edition, Loaded};

/// How often what nobody watches is looked at again: a tag of a registry, a ConfigMap.
const LOOK_AGAIN: Duration = Duration::from_secs(10 * 60);
/// How soon one is loaded again that could not be, by who doesn't tell of it.
const HAVE_AGAIN: Duration = Duration::from_secs(60);
/// The longest that a call of a tenant's plugin may take, and the most that it may return.
const TENANT_DEADLINE: Duration = Duration::from_secs(30);
const TENANT_OUTPUT: usize = 32 << 20;

/// One run of a ClusterPlugin.
pub(super) async fn reconcile_platforms(ctx: &Arc<Context>, name: &PluginName) -> Next {
    let object = ctx
        .index
        .read(|known| known.cluster_plugins.get(name).cloned());
    match object {
        None => Next::Watch,
        Some(object) => {
            let id = PluginId::Platform(name.clone());
            reconcile(ctx, id, object.spec.component(), &*object).await
        }
    }
}

/// One run of a Plugin.
pub(super) async fn reconcile_tenants(ctx: &Arc<Context>, id: &NamespacedName) -> Next {
    match ctx.index.read(|known| known.plugins.get(id).cloned()) {
        None => Next::Watch,
        Some(object) => {
            let id = PluginId::Tenant(id.clone());
            reconcile(ctx, id, object.spec.component(), &*object).await
        }
    }
}

async fn reconcile<K>(ctx: &Arc<Context>, id: PluginId, component: Component, object: &K) -> Next
where
    K: Reported + HasStatus<Status = PluginStatus>,
{
    if bytes::awaits_source(ctx, &id) {
        return Next::Watch;
    }
    let run = Run::begin(ctx, Target::Plugin(id.clone()), object);
    let Some(loaded) = ready(ctx, &id, &component, object).await else {
        return Next::Watch;
    };
    let every = match is_watched(&component) {
        true => Duration::MAX,
        false => LOOK_AGAIN,
    };
    report::plugin(ctx, object, &run, &id, outcome(&loaded), every).await
}

/// A run of a replica that works too, but doesn't tell of the platform's plugins: it has them loaded as the one that does.
pub(super) async fn have_platforms(ctx: &Arc<Context>, name: &PluginName) -> Next {
    let object = ctx
        .index
        .read(|known| known.cluster_plugins.get(name).cloned());
    let id = PluginId::Platform(name.clone());
    let Some(object) = object else {
        return Next::Watch;
    };
    if bytes::awaits_source(ctx, &id) {
        let source = ctx
            .index
            .read(|known| known.touch.source_of_plugin(&id).cloned());
        sharing::fetch_for(ctx, source);
        return Next::Watch;
    }
    let component = object.spec.component();
    match ready(ctx, &id, &component, &*object).await {
        None => Next::Watch,
        Some(loaded) if loaded.trouble.is_some() => Next::After(HAVE_AGAIN),
        Some(_) if is_watched(&component) => Next::Watch,
        Some(_) => Next::After(LOOK_AGAIN),
    }
}

/// The plugin as it is loaded; None where it has changed meanwhile, and its next run is under way.
async fn ready<K: Reported>(
    ctx: &Arc<Context>,
    id: &PluginId,
    component: &Component,
    object: &K,
) -> Option<Loaded> {
    config::watch(ctx, id, component);
    let wanted = Wanted {
        id,
        component,
        edition: Edition::of(object.meta()),
        requested: object.annotations().get(RECONCILE_REQUEST).cloned(),
    };
    match known(ctx, &wanted) {
        Some(loaded) => Some(loaded),
        None => {
            let loaded = load(ctx, &wanted).await;
            keep(ctx, &wanted, loaded)
        }
    }
}

/// A provider that comes with the controller, by its name: no object asks for it, git configuration does.
pub(super) async fn shipped(ctx: &Context, name: &str) -> Result<Callable, Explained> {
    let read = bytes::shipped(ctx, &format!("{name}.wasm")).await;
    // The platform's to mend, not whose object needs it.
    let ours = |why: Explained| Explained {
        turn: Turn::Retry,
        ..why
    };
    let read = read.map_err(ours)?;
    let failed = |why: reeve_wasm::Error| ours(read.failed(&why));
    let facts = reeve_wasm::facts(&read.bytes, read.bytes.len()).map_err(failed)?;
    let world = reeve_wasm::World::Provider;
    let module = ctx.sandbox.load("", &read.bytes, world).await;
    Ok(Callable {
        module: module.map_err(failed)?,
        config: "{}".to_owned(),
        hidden: None,
        budget: Budget::default(),
        asks: facts.manifest,
    })
}

/// What a run would say about an object that is not there yet, before it reads a byte of the component.
pub(super) fn review(ctx: &Context, id: &PluginId, component: &Component) -> Result<(), Explained> {
    budget(id, &component.limits)?;
    bytes::review(ctx, id, component)
}

/// What a run works from.
struct Wanted<'a> {
    id: &'a PluginId,
    component: &'a Component,
    edition: Edition,
    requested: Option<String>,
}

/// Whether whatever the component is made of tells of its changes.
fn is_watched(component: &Component) -> bool {
    component.source.oci.is_none() && component.config_from.is_empty()
}

/// What is loaded already, where nothing can have changed: the run is for the status only.
fn known(ctx: &Context, wanted: &Wanted<'_>) -> Option<Loaded> {
    let revision = bytes::revision(ctx, wanted.id);
    let loaded = ctx
        .index
        .read(|known| known.loaded.get(wanted.id).cloned())?;
    let same = is_watched(wanted.component)
        && loaded.trouble.is_none()
        && loaded.edition == wanted.edition
        && bytes::may_be_used(ctx, wanted.id, wanted.component)
        && loaded.ready.as_ref().is_ok_and(|ready| {
            let digest = ready.module.digest();
            let digest = digest.strip_prefix("sha256:").unwrap_or(digest);
            allowed(ctx, wanted.id, digest).is_ok()
        })
        && loaded.requested == wanted.requested
        && loaded.revision == revision;
    same.then_some(loaded)
}

async fn load(ctx: &Context, wanted: &Wanted<'_>) -> Loaded {
    let revision = bytes::revision(ctx, wanted.id);
    let ready = callable(ctx, wanted).await.map(Arc::new);
    Loaded {
        edition: wanted.edition.clone(),
        superseded: false,
        requested: wanted.requested.clone(),
        revision,
        trouble: ready.as_ref().err().cloned(),
        ready,
    }
}

async fn callable(ctx: &Context, wanted: &Wanted<'_>) -> Result<Callable, Explained> {
    let Wanted { id, component, .. } = *wanted;
    let budget = budget(id, &component.limits)?;
    // read: the component, and what it is configured with
    let read = bytes::read(ctx, id, component).await?;
    let digest = hex::encode(Sha256::digest(&read.bytes));
    pinned(&read, &digest, component)?;
    allowed(ctx, id, &digest)?;
    let facts =
        reeve_wasm::facts(&read.bytes, read.bytes.len()).map_err(|why| read.failed(&why))?;
    let world = match component.world {
        World::Transformer => reeve_wasm::World::Transformer,
        World::Provider => reeve_wasm::World::Provider,
    };
    if !facts.worlds.contains(&world) {
        let message = format!("component {} is not of world {world}", read.place);
        let hint =
            "spec.world names the interface that it was built for: `reeve plugin inspect` tells";
        return Err(Explained::new(Reason::PluginFailed, Turn::Owner, message).with_hint(hint));
    }
    let turn = whose(ctx, id)?;
    let config = config::of(ctx, id, &turn, component, facts.schema.as_ref()).await?;
    // compile, or find it compiled
    let module = ctx.sandbox.load(&turn, &read.bytes, world).await;
    let module = module.map_err(|why| read.failed(&why))?;
    Ok(Callable {
        module,
        config: config.whole,
        hidden: config.hidden,
        budget,
        asks: facts.manifest,
    })
}

/// Whose turn is taken for its config and for compiling it; the platform's own takes nobody's.
fn whose(ctx: &Context, id: &PluginId) -> Result<String, Explained> {
    match id {
        PluginId::Platform(_) => Ok(String::new()),
        PluginId::Tenant(id) => {
            let owner = ctx
                .index
                .read(|known| known.tenants.owner_of(&ctx.grounds, &id.namespace))?;
            Ok(owner.name.to_string())
        }
    }
}

/// Whether its tenant may have this component. What its Tenant says may change while nothing else does.
fn allowed(ctx: &Context, id: &PluginId, digest: &str) -> Result<(), Explained> {
    let PluginId::Tenant(own) = id else {
        return Ok(());
    };
    let tenant = ctx
        .index
        .read(|known| known.tenants.owner_of(&ctx.grounds, &own.namespace))?;
    grant::component(id, digest, &tenant)
}

fn pinned(read: &bytes::Read, digest: &str, component: &Component) -> Result<(), Explained> {
    let Some(pin) = &component.sha256 else {
        return Ok(());
    };
    if digest == pin {
        return Ok(());
    }
    let message = format!(
        "component {} is sha256:{digest}, not sha256:{pin}",
        read.place
    );
    Err(
        Explained::new(Reason::DigestMismatch, Turn::Source, message)
            .with_hint("pin the digest of the component that you trust in spec.sha256"),
    )
}

/// The plugin's own limits where it has them, the defaults elsewhere.
fn budget(id: &PluginId, limits: &Limits) -> Result<Budget, Explained> {
    let bytes = |size: &reeve_api::size::Size| usize::try_from(size.bytes()).unwrap_or(usize::MAX);
    let defaults = Budget::default();
    let set = Budget {
        memory: limits.memory.as_ref().map_or(defaults.memory, bytes),
        deadline: limits
            .deadline
            .as_ref()
            .map_or(defaults.deadline, |set| set.get()),
        output: limits.output.as_ref().map_or(defaults.output, bytes),
        ..defaults
    };
    let too_much = |field: &str, most: String| {
        let message =
            format!("spec.limits.{field} is more than a tenant's plugin may have: {most}");
        Err(Explained::new(Reason::InvalidSpec, Turn::Owner, message))
    };
    match id {
        PluginId::Tenant(_) if set.deadline > TENANT_DEADLINE => {
            too_much("deadline", format!("{TENANT_DEADLINE:?}"))
        }
        PluginId::Tenant(_) if set.output > TENANT_OUTPUT => {
            too_much("output", format!("{}Mi", TENANT_OUTPUT >> 20))
        }
        _ => Ok(set),
    }
}

/// Puts what was loaded where runs find it, and wakes those it concerns. None when it is no longer wanted.
fn keep(ctx: &Context, wanted: &Wanted<'_>, mut loaded: Loaded) -> Option<Loaded> {
    let id = wanted.id;
    let (loaded, touched) = ctx.index.write(|known| {
        let meta = match id {
            PluginId::Tenant(id) => &known.plugins.get(id)?.metadata,
            PluginId::Platform(name) => &known.cluster_plugins.get(name)?.metadata,
        };
        if Edition::of(meta) != wanted.edition {
            return None;
        }
        let before = known.loaded.get(id).cloned();
        if let Some(good) = before
            .as_ref()
            .and_then(|before| before.ready.as_ref().ok())
        {
            retain(&mut loaded, good, wanted.component);
        }
        let news = before.is_none_or(|before| {
            before.edition != loaded.edition || differs(&before.ready, &loaded.ready)
        });
        known.loaded.insert(id.clone(), loaded.clone());
        let mut touched = known.waiting.remove(id).unwrap_or_default();
        if news {
            touched.extend(known.touch.called_for(id));
            touched.extend(known.users.remove(id).unwrap_or_default());
        }
        Some((loaded, touched))
    })?;
    ctx.queues.kustomizations.wake_all(touched);
    Some(loaded)
}

/// What was good before goes on being called when the newest is broken and nobody asked for another.
fn retain(loaded: &mut Loaded, good: &Arc<Callable>, component: &Component) {
    let Err(why) = &loaded.ready else { return };
    let wanted = match &component.sha256 {
        Some(pin) => good.module.digest() == format!("sha256:{pin}"),
        None => true,
    };
    // Whoever takes a right away, or asks for something else, means it at once.
    let passing = matches!(
        why.reason,
        Reason::PluginFailed | Reason::PluginNotFound | Reason::ArtifactFailed
    );
    if wanted && passing {
        loaded.ready = Ok(Arc::clone(good));
    }
}

fn differs(
    before: &Result<Arc<Callable>, Explained>,
    after: &Result<Arc<Callable>, Explained>,
) -> bool {
    match (before, after) {
        (Ok(before), Ok(after)) => !before.is(after),
        (Err(before), Err(after)) => before.message != after.message,
        _ => true,
    }
}

fn outcome(loaded: &Loaded) -> PluginOutcome {
    match (&loaded.ready, &loaded.trouble) {
        (Ok(ready), None) => PluginOutcome::Loaded {
            digest: ready.module.digest().to_owned(),
            revision: loaded.revision.clone(),
        },
        (Ok(ready), Some(why)) => PluginOutcome::Kept {
            digest: ready.module.digest().to_owned(),
            why: why.clone(),
        },
        (Err(why), _) => PluginOutcome::Failed(why.clone()),
    }
}
