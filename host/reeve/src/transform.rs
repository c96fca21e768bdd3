//! The seam between a bundle and the sandbox: plugins are called in order, each with what the one before returned.
//!
//! What a guest returns is parsed again, capped and checked in `core::bundle`; policy sees it like any other manifest.
//! One that fails fails its Kustomization and no other. Which plugins are called is `core::index`'s to say, how a call
//! is bounded `reeve_wasm`'s.

use std::sync::Arc;

use reeve_api::name::{NamespacedName, PluginName};
use reeve_api::plugin::ClusterPluginSpec;
use reeve_api::reason::Reason;
use reeve_core::bundle::{Bundle, Rendered, Transformed};
use reeve_core::failure::{Explained, Turn};
use reeve_wasm::{Budget, Error};

use crate::context::Context;
use crate::index::Plugin;
use crate::observe::happening::PluginCalled;

/// Calls every plugin that is chosen for `kustomization`.
pub(crate) async fn transform(
    ctx: &Arc<Context>,
    kustomization: &NamespacedName,
    mut bundle: Bundle<Rendered>,
) -> Result<Bundle<Transformed>, Explained> {
    let plugins: Vec<(PluginName, Option<Plugin>)> = ctx.index.read(|known| {
        let names = known.touch.plugins_of(kustomization).into_iter();
        names
            .map(|name| (name.clone(), known.plugins.get(&name).cloned()))
            .collect()
    });
    for (name, plugin) in plugins {
        bundle = call(ctx, kustomization, &name, plugin, bundle).await?;
    }
    Ok(bundle.settled())
}

async fn call(
    ctx: &Context,
    kustomization: &NamespacedName,
    name: &PluginName,
    plugin: Option<Plugin>,
    bundle: Bundle<Rendered>,
) -> Result<Bundle<Rendered>, Explained> {
    let Some(Plugin {
        object,
        loaded: Some(loaded),
    }) = plugin
    else {
        let message = format!("plugin {name} is not loaded yet");
        return Err(Explained::new(Reason::PluginFailed, Turn::Ours, message));
    };
    let module = loaded.map_err(|why| {
        let message = format!("plugin {name} cannot be called: {}", why.message);
        let hint = format!("the platform's: `kubectl describe clusterplugin {name}`");
        // The plugin wakes us when it is loaded after all.
        Explained::new(Reason::PluginFailed, Turn::Retry, message).with_hint(hint)
    })?;
    let config = serde_json::Value::Object(object.spec.config.clone()).to_string();
    let begun = ctx.clock.instant();
    let answer = module
        .transform(
            kustomization.namespace.as_str(),
            bundle.to_manifests(),
            &config,
            &budget(&object.spec),
        )
        .await;
    let words = answer.as_ref().err().map(ToString::to_string);
    let said: &[String] = match &answer {
        Ok(done) => &done.log,
        Err(_) => &[],
    };
    ctx.metrics.tell(&PluginCalled {
        plugin: name.as_str(),
        error: words.as_deref(),
        said,
        took: begun.elapsed(),
    });
    let answer = answer.map_err(|why| failed(name, &why))?;
    bundle.replaced(answer.manifests).map_err(|why| {
        let message = format!("plugin {name} returned what cannot be used: {why}");
        Explained::new(Reason::PluginFailed, Turn::NextRevision, message)
    })
}

/// The plugin's own limits where it has them, the defaults elsewhere.
fn budget(spec: &ClusterPluginSpec) -> Budget {
    let bytes = |size: &reeve_api::size::Size| usize::try_from(size.bytes()).unwrap_or(usize::MAX);
    let defaults = Budget::default();
    Budget {
        memory: spec.limits.memory.as_ref().map_or(defaults.memory, bytes),
        deadline: spec
            .limits
            .deadline
            .as_ref()
            .map_or(defaults.deadline, |set| set.get()),
        output: spec.limits.output.as_ref().map_or(defaults.output, bytes),
        ..defaults
    }
}

fn failed(name: &PluginName, why: &Error) -> Explained {
    let turn = match why {
        // It is a function of its input: the same input fails the same way.
        Error::Refused(_) => Turn::NextRevision,
        Error::Busy(_) => Turn::Ours,
        _ => Turn::Retry,
    };
    Explained::new(
        Reason::PluginFailed,
        turn,
        format!("plugin {name} failed: {why}"),
    )
}
