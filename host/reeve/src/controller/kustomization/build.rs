//! From a source's files to a bundle, with what the build wants from elsewhere.
//!
//! The engine is pure: it says what it lacks, that is fetched here if the platform allows it, and it builds again. What
//! the last build wanted is fetched first, so that nothing is built twice, and nothing at all where nothing has moved.
//! Fetched repositories lie in the mirrors that sources use: a commit comes over the network once. Functions in registries are
//! fetched the same way (`images`).

use std::sync::Arc;

use reeve_api::kustomization::RemoteBase;
use reeve_api::name::NamespacedName;
use reeve_api::reason::Reason;
use reeve_core::bundle::{Bundle, Rendered};
use reeve_core::failure::{Explained, Turn, chain};
use reeve_core::plugin::PluginId;
use reeve_core::quota::Limit;
use reeve_core::remote;
use reeve_core::render::Size;
use reeve_kustomize::Remotes;
use tokio::time::Instant;

use super::{Wanted, substitute};
use crate::bases::{EVERYTHING, Fetched, Fetcher, Lots};
use crate::context::Context;
use crate::functions::Functions;
use crate::images::{Image, Way};
use crate::observe::happening::{self, RenderResult};
use crate::places::Room;
use crate::renders::{Made, Order};

/// How often a build may find that it wants more: a base on a forge that names one on another, and so on.
const ROUNDS: usize = 10;

/// A build that reached its end.
pub(super) struct Done {
    pub(super) bundle: Bundle<Rendered>,
    /// What was fetched for it.
    pub(super) remotes: Remotes,
    /// What it used from elsewhere.
    pub(super) remote_bases: Vec<RemoteBase>,
}

/// The bundle of `wanted`; there is `room` for it if it turns out to be large.
pub(super) async fn build(
    ctx: &Context,
    wanted: &Wanted,
    room: &Room,
    deadline: Instant,
) -> Result<Done, Explained> {
    let functions = Arc::new(functions(ctx, wanted));
    // Whatever comes of it: one that could not be called may be, later.
    let _told = Told(ctx, &wanted.spec.id, &functions);
    let done = with(ctx, wanted, &functions, room, deadline).await;
    let done = done.map_err(|why| functions.shown().over(why))?;
    Ok(Done {
        bundle: substitute::variables(ctx, wanted, done.bundle, deadline).await?,
        ..done
    })
}

/// The bundle of a revision that is not the one to be applied: nobody is woken for what it called. Of one that is only looked at
/// nothing is kept either.
pub(super) async fn again(
    ctx: &Context,
    wanted: &Wanted,
    room: &Room,
    deadline: Instant,
) -> Result<Bundle<Rendered>, Explained> {
    let (done, _) = anew(ctx, wanted, room, deadline).await?;
    Ok(done.bundle)
}

/// The same, with what a build of other files in its place is made with.
pub(super) async fn anew(
    ctx: &Context,
    wanted: &Wanted,
    room: &Room,
    deadline: Instant,
) -> Result<(Done, Arc<Functions>), Explained> {
    let functions = Arc::new(functions(ctx, wanted));
    let done = with(ctx, wanted, &functions, room, deadline).await;
    let done = done.map_err(|why| functions.shown().over(why))?;
    let done = Done {
        bundle: substitute::variables(ctx, wanted, done.bundle, deadline).await?,
        ..done
    };
    Ok((done, functions))
}

async fn with(
    ctx: &Context,
    wanted: &Wanted,
    functions: &Arc<Functions>,
    room: &Room,
    deadline: Instant,
) -> Result<Done, Explained> {
    let stored = &wanted.stored;
    let before = ctx
        .renders
        .wants(&stored.snapshot, &stored.artifact.tree, &wanted.spec);
    // What cannot be had need not be wanted any more.
    let gathered = gather(ctx, wanted, Lots::wanted(), before, deadline).await;
    let mut lots = gathered.unwrap_or_else(|_| Lots::wanted());
    let mut passes = false;
    let mut order = order(ctx, wanted, room, deadline).await?;
    for _round in 0..ROUNDS {
        let lacking = match once(ctx, wanted, &lots, functions, order).await {
            Err(why) => match functions.lacking() {
                Some(image) => {
                    passes |= fetch_image(ctx, wanted, functions, image, deadline).await;
                    continue;
                }
                // What a registry does not have now it may have without a commit.
                None if passes => {
                    return Err(Explained {
                        turn: Turn::Retry,
                        ..why
                    });
                }
                None => return Err(why),
            },
            Ok(Made::Large) => {
                make_room(ctx, wanted, room, deadline).await?;
                order.size = Size::Any;
                continue;
            }
            Ok(Made::Wants(lacking)) => lacking,
            Ok(Made::Bundle(bundle)) => {
                return Ok(Done {
                    bundle,
                    remotes: lots.remotes().clone(),
                    remote_bases: lots.told(),
                });
            }
        };
        lots = gather(ctx, wanted, lots, lacking, deadline).await?;
    }
    let message = format!(
        "remote resources and functions in registries lead to others more than {ROUNDS} times"
    );
    Err(Explained::new(
        Reason::BuildFailed,
        Turn::NextRevision,
        message,
    ))
}

/// A small build, or if the last one was large, one for which there is room from the beginning.
async fn order<'w>(
    ctx: &Context,
    wanted: &'w Wanted,
    room: &Room,
    deadline: Instant,
) -> Result<Order<'w>, Explained> {
    let kept = !wanted.cover.is_aside();
    let size = match kept {
        true => ctx.renders.size(&wanted.spec.id),
        false => Size::Small,
    };
    if size == Size::Any {
        make_room(ctx, wanted, room, deadline).await?;
    }
    Ok(Order {
        spec: &wanted.spec,
        size,
        deadline,
        kept,
    })
}

/// A tenant's large bundles take turns, from before they are built until they are applied: all at once they would take the
/// memory of others.
async fn make_room(
    ctx: &Context,
    wanted: &Wanted,
    room: &Room,
    deadline: Instant,
) -> Result<(), Explained> {
    let whose = wanted.whose();
    let place = room.take(&ctx.large, &whose);
    tokio::time::timeout_at(deadline, place).await.map_err(|_| {
        let message = "waiting for room for a large bundle took longer than spec.timeout";
        Explained::new(Reason::BuildFailed, Turn::Retry, message)
            .with_hint("split the Kustomization: of a tenant's large ones one is applied at a time")
    })
}

/// Adds what is lacking.
async fn gather(
    ctx: &Context,
    wanted: &Wanted,
    mut lots: Lots,
    lacking: Vec<reeve_kustomize::Wanted>,
    deadline: Instant,
) -> Result<Lots, Explained> {
    for one in lacking {
        let fetched = fetch(ctx, wanted, &one, deadline).await?;
        lots.add(one, fetched);
    }
    Ok(lots)
}

/// Fetches a function, and has the build say what came of it where it is named. Whether it failed in a way that may pass.
async fn fetch_image(
    ctx: &Context,
    wanted: &Wanted,
    functions: &Functions,
    image: Image,
    deadline: Instant,
) -> bool {
    let way = Way {
        egress: Arc::clone(&ctx.egress),
        login: None,
        plain: ctx.plain_http,
    };
    let whose = wanted.tenant.name.as_str();
    let fetched = ctx.images.get(&image, whose, way, deadline.into_std());
    let fetched = fetched.await;
    let passes = fetched.as_ref().is_err_and(|why| why.passes());
    functions.fetched(image, fetched.map_err(|why| chain(&why)));
    passes
}

/// What the build may call.
fn functions(ctx: &Context, wanted: &Wanted) -> Functions {
    let namespace = &wanted.spec.id.namespace;
    let known = ctx.index.read(|known| {
        let callable = |id: PluginId| {
            let loaded = known.loaded.get(&id);
            let ready = loaded.and_then(|loaded| loaded.ready.as_ref().ok().cloned());
            (id, ready)
        };
        let platforms = known.cluster_plugins.keys();
        let platforms = platforms.map(|name| (name.to_string(), PluginId::Platform(name.clone())));
        let own = known.plugins.keys().filter(|id| id.namespace == *namespace);
        let own = own.map(|id| (id.name.to_string(), PluginId::Tenant(id.clone())));
        // A tenant's own comes later, and stays.
        let both = platforms.chain(own);
        both.map(|(name, id)| (name, callable(id))).collect()
    });
    Functions::new(ctx.sandbox.clone(), &wanted.whose(), known).within(namespace)
}

/// Remembers, when the build ends, which plugins it called: their changes wake the Kustomization.
struct Told<'t>(&'t Context, &'t NamespacedName, &'t Functions);

impl Drop for Told<'_> {
    fn drop(&mut self) {
        let Self(ctx, id, functions) = self;
        let used = functions.used();
        if used.is_empty() {
            return;
        }
        let changed = ctx.index.write(|known| {
            let now = |id: &PluginId| {
                let ready = known.loaded.get(id)?.ready.as_ref().ok()?;
                Some(ready.module.digest().to_owned())
            };
            let changed = used.iter().any(|(id, then)| now(id) != *then);
            // What the build before it named is over.
            known.users.retain(|_, users| {
                users.remove(*id);
                !users.is_empty()
            });
            for plugin in used.into_keys() {
                known.users.entry(plugin).or_default().insert((*id).clone());
            }
            changed
        });
        if changed {
            // While it was built: whoever loaded it did not know yet that it is used.
            ctx.queues.kustomizations.wake((*id).clone());
        }
    }
}

async fn once(
    ctx: &Context,
    wanted: &Wanted,
    lots: &Lots,
    functions: &Arc<Functions>,
    order: Order<'_>,
) -> Result<Made, Explained> {
    let (snapshot, tree) = (wanted.stored.snapshot.clone(), &wanted.stored.artifact.tree);
    let begun = ctx.clock.instant();
    let answer = ctx
        .renders
        .render(snapshot, tree, lots, order, functions)
        .await;
    ctx.metrics.tell(&happening::Rendered {
        result: match &answer {
            Ok((_, result)) => *result,
            // As for what it lacks otherwise: it stopped, and is built again.
            Err(_) if functions.lacks() => RenderResult::Built,
            Err(_) => RenderResult::Failed,
        },
        took: ctx.clock.instant() - begun,
    });
    if !matches!(answer, Ok((_, RenderResult::Kept))) {
        let took = u64::try_from((ctx.clock.instant() - begun).as_millis());
        let took = (Limit::Render, took.unwrap_or(u64::MAX));
        let (tenant, id) = (&wanted.tenant.name, &wanted.spec.id);
        ctx.quotas.take(tenant, id, took, ctx.clock.steady());
    }
    answer.map(|(made, _)| made)
}

/// Asks whether it may be, then fetches.
async fn fetch(
    ctx: &Context,
    wanted: &Wanted,
    one: &reeve_kustomize::Wanted,
    deadline: Instant,
) -> Result<Fetched, Explained> {
    let (tenant, namespace) = (&wanted.tenant, &wanted.spec.id.namespace);
    remote::may_fetch(&ctx.grounds, tenant, namespace, one)?;
    let mirrors = ctx.mirrors_of(&wanted.spec.id);
    // What somebody proposes may name any base.
    let mirrors = match wanted.cover.is_aside() {
        true => mirrors.of_requests(),
        false => mirrors,
    };
    let fetcher = Fetcher {
        mirrors: &mirrors,
        egress: &ctx.egress,
        limits: &ctx.limits,
        rewrites: &ctx.base_mirrors,
        hops: Some(remote::patterns(&ctx.grounds, tenant, namespace)),
        ssh: None,
        ignore: EVERYTHING,
    };
    let fetched = fetcher.fetch(&one.reference, deadline.into_std()).await;
    fetched.map_err(|why| {
        let message = format!("kustomize build failed: {}{}", one.place, chain(&why));
        Explained::new(Reason::BuildFailed, Turn::Retry, message)
            .with_hint("look whether the address is right and its server answers")
    })
}
