//! The seam between a bundle and the sandbox: plugins are called in order, each with what the one before returned.
//!
//! What a guest returns is parsed again, capped and checked in `core::bundle`; policy sees it like any other manifest.
//! One that fails fails its Kustomization and no other, and rests when it fails again and again. Which plugins are
//! called is `core::index`'s to say, how a call is bounded `reeve_wasm`'s.

use std::sync::Arc;
use std::time::Duration;

use reeve_api::meta::Time;
use reeve_api::name::{NamespacedName, TenantName};
use reeve_api::plugin::FailedCall;
use reeve_api::reason::Reason;
use reeve_core::bundle::{Bundle, Rendered, Transformed, are_large};
use reeve_core::failure::{Explained, Turn};
use reeve_core::plugin::{Input, PluginId, REST_AFTER};
use reeve_core::veil::Veil;
use reeve_wasm::Error;

use crate::context::Context;
use crate::index::{Callable, Known, Loaded};
use crate::observe::happening::PluginCalled;
use crate::observe::span;
use crate::places::Room;

/// For whom plugins are called.
#[derive(Clone, Copy)]
pub(crate) struct Caller<'a> {
    pub(crate) kustomization: &'a NamespacedName,
    pub(crate) tenant: &'a TenantName,
    /// The GitRepository that is applied, if it is one, and the revision of what is.
    pub(crate) source: Option<&'a NamespacedName>,
    pub(crate) revision: &'a str,
    /// The request for a run now, if there is one: it ends a rest.
    pub(crate) requested: Option<&'a str>,
    /// Where there is room for what is large, until the run ends.
    pub(crate) room: &'a Room,
    /// What must not be told of what they are shown, beside what they are shown of Secrets.
    pub(crate) veil: &'a Veil,
    /// Whether what comes of it is only looked at: then nobody counts how the calls went.
    pub(crate) aside: bool,
}

/// Calls every plugin that is chosen for the Kustomization.
pub(crate) async fn transform(
    ctx: &Arc<Context>,
    caller: Caller<'_>,
    mut bundle: Bundle<Rendered>,
) -> Result<Bundle<Transformed>, Explained> {
    if bundle.is_large() {
        make_room(ctx, caller).await;
    }
    for (id, plugin) in choose(ctx, caller)? {
        bundle = call(ctx, caller, &id, &plugin, bundle).await?;
    }
    Ok(bundle.settled())
}

/// A tenant's large bundles take turns, from here until they are applied: all at once they would take the memory of others.
async fn make_room(ctx: &Context, caller: Caller<'_>) {
    caller.room.take(&ctx.large, caller.tenant.as_str()).await;
}

/// A plugin to call.
type Chosen = (PluginId, Arc<Callable>);

/// The plugins to call, in order. One that is yet to be loaded wakes the Kustomization then.
fn choose(ctx: &Context, caller: Caller<'_>) -> Result<Vec<Chosen>, Explained> {
    match ctx.index.read(|known| chosen(known, caller)) {
        Err(Hindrance::Loading(_)) => {}
        Err(Hindrance::Broken(why)) => return Err(why),
        Ok(chosen) => return Ok(chosen),
    }
    // Looked at again under the lock that its load takes too.
    ctx.index.write(|known| match chosen(known, caller) {
        Ok(chosen) => Ok(chosen),
        Err(Hindrance::Broken(why)) => Err(why),
        Err(Hindrance::Loading(id)) => {
            let message = format!("plugin {id} is being loaded");
            let waiting = known.waiting.entry(id).or_default();
            waiting.insert(caller.kustomization.clone());
            Err(Explained::new(Reason::Progressing, Turn::Ours, message))
        }
    })
}

/// Why plugins cannot be called.
enum Hindrance {
    /// This one is yet to be loaded.
    Loading(PluginId),
    /// One is broken.
    Broken(Explained),
}

fn chosen(known: &Known, caller: Caller<'_>) -> Result<Vec<Chosen>, Hindrance> {
    let mut chosen = Vec::new();
    for id in known.touch.plugins_of(caller.kustomization) {
        // One that comes from the same repository is of the same commit.
        let from = known.touch.source_of_plugin(&id);
        let own = from.is_some() && from == caller.source;
        let current = |loaded: &&Loaded| {
            let same = loaded.revision.as_deref() == Some(caller.revision);
            !loaded.superseded && (same || !own)
        };
        let Some(loaded) = known.loaded.get(&id).filter(current) else {
            return Err(Hindrance::Loading(id));
        };
        match &loaded.ready {
            Ok(ready) => chosen.push((id, Arc::clone(ready))),
            Err(why) => {
                let message = format!("plugin {id} cannot be called: {}", why.message);
                // The plugin wakes us when it is loaded after all.
                let why = Explained::new(Reason::PluginFailed, Turn::Retry, message);
                return Err(Hindrance::Broken(why.with_hint(id.hint())));
            }
        }
    }
    Ok(chosen)
}

async fn call(
    ctx: &Context,
    caller: Caller<'_>,
    id: &PluginId,
    plugin: &Callable,
    bundle: Bundle<Rendered>,
) -> Result<Bundle<Rendered>, Explained> {
    let manifests = bundle.to_manifests();
    // Its words may hold what it is shown, and its status is not the tenant's alone.
    let veil = caller.veil.and(&bundle.shown());
    // Whoever proposes something is told what comes of it.
    let hidden = plugin.hidden.as_ref().filter(|_| caller.aside);
    let config = hidden.unwrap_or(&plugin.config);
    let input = Input::of(
        plugin.module.digest(),
        config,
        &bundle.digest().to_string(),
        caller.requested,
    );
    if !caller.aside {
        rest(ctx, caller, id, input)?;
    }
    let begun = ctx.clock.instant();
    let answer = plugin
        .module
        .transform(caller.tenant.as_str(), manifests, config, &plugin.budget)
        .await;
    let took = begun.elapsed();
    let log = answer.as_ref().map_or(&[][..], |done| &*done.log);
    let said: Vec<String> = log.iter().map(|line| veil.cover(line.clone())).collect();
    // A refusal is an answer, and waits for the next revision anyway; a full sandbox is no fault of the plugin's.
    let strikes = |why: &Error| !why.is_ours() && !matches!(why, Error::Refused(_));
    let strikes = answer.as_ref().err().is_none_or(strikes);
    let told = match answer {
        Ok(done) => {
            if are_large(&done.manifests) {
                make_room(ctx, caller).await;
            }
            bundle.replaced(done.manifests).map_err(|why| {
                let message = format!("plugin {id} returned what cannot be used: {why}");
                Explained::new(Reason::PluginFailed, Turn::Ours, message)
            })
        }
        Err(why) => Err(failed(id, &why)),
    };
    let told = told.map_err(|why| veil.over(why));
    ctx.metrics.tell(&PluginCalled {
        plugin: &id.to_string(),
        tenant: caller.tenant.as_str(),
        error: told.as_ref().err().map(|why| &*why.message),
        said: &said,
        took,
    });
    if caller.aside {
        return told;
    }
    record(ctx, caller, id, strikes.then_some(input), took, told)
}

/// Refuses when the plugin rests.
fn rest(ctx: &Context, caller: Caller<'_>, id: &PluginId, input: Input) -> Result<(), Explained> {
    let why = ctx.index.read(|known| {
        let strikes = &known.calls.strikes;
        let why = strikes.resting(id, caller.kustomization, input);
        why.map(str::to_owned)
    });
    why.map_or(Ok(()), |why| Err(resting(id, why)))
}

fn resting(id: &PluginId, why: String) -> Explained {
    let hint = format!(
        "it failed {REST_AFTER} times in a row and rests until the manifests, the plugin or its config change, or `flux reconcile` asks; {}",
        id.hint()
    );
    Explained::new(Reason::PluginFailed, Turn::NextRevision, why).with_hint(hint)
}

/// Remembers how a call went. What failed too often with the same input rests.
fn record<T>(
    ctx: &Context,
    caller: Caller<'_>,
    id: &PluginId,
    input: Option<Input>,
    took: Duration,
    told: Result<T, Explained>,
) -> Result<T, Explained> {
    span::inside("plugin", took, told.is_err(), || {
        vec![("plugin", id.to_string())]
    });
    let of = caller.kustomization;
    let error = told.as_ref().err().map(|why| FailedCall {
        at: Time(ctx.clock.now()),
        called_for: of.to_string(),
        message: why.message.clone(),
    });
    ctx.index.write(|known| {
        let calls = &mut known.calls;
        let tally = calls.tallies.entry(id.clone()).or_default();
        tally.count(took, error);
        calls.untold.insert(id.clone());
        match told {
            Ok(done) => {
                calls.strikes.worked(id, of);
                Ok(done)
            }
            Err(why) => {
                let failed = |input| calls.strikes.failed(id, of, input, &why.message);
                match input.is_some_and(failed) {
                    true => Err(resting(id, why.message)),
                    false => Err(why),
                }
            }
        }
    })
}

fn failed(id: &PluginId, why: &Error) -> Explained {
    let turn = match why {
        // It is a function of its input: the same input is refused the same way.
        Error::Refused(_) => Turn::NextRevision,
        _ => Turn::Ours,
    };
    let message = format!("plugin {id} failed: {why}");
    let explained = Explained::new(Reason::PluginFailed, turn, message);
    match why {
        Error::Refused(_) => explained,
        _ => explained.with_hint(id.hint()),
    }
}
