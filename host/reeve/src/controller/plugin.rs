//! A ClusterPlugin is loaded: its bytes read, its digest held against the pin, compiled once.
//!
//! Calling it is `transform`'s. One that cannot be loaded stops every Kustomization it is called for: what the platform
//! wants done to every manifest must not be skipped because a file is missing.

use std::path::Path;
use std::sync::Arc;

use reeve_api::name::PluginName;
use reeve_api::plugin::ClusterPlugin;
use reeve_api::reason::Reason;
use reeve_core::failure::{Explained, Turn};
use reeve_core::schedule::Next;
use reeve_core::status::PluginOutcome;
use reeve_wasm::{Module, World};
use tokio::io::AsyncReadExt as _;

use super::report;
use crate::context::Context;

/// The largest component that is read, in bytes; the sandbox may admit less.
const LARGEST: u64 = 64 << 20;

/// One run.
pub(super) async fn reconcile(ctx: &Arc<Context>, name: &PluginName) -> Next {
    let Some(plugin) = ctx.index.read(|known| known.plugins.get(name).cloned()) else {
        return Next::Watch;
    };
    let object = plugin.object;
    let loaded = load(ctx, &object).await;
    let outcome = match &loaded {
        Ok(module) => PluginOutcome::Loaded {
            digest: module.digest().to_owned(),
        },
        Err(why) => PluginOutcome::Failed(why.clone()),
    };
    let touched: Vec<_> = ctx.index.write(|known| {
        match known.plugins.get_mut(name) {
            // It may have changed while it was loaded; then its next run is under way.
            Some(now) if now.object.metadata.generation == object.metadata.generation => {
                now.loaded = Some(loaded);
            }
            _ => return Vec::new(),
        }
        let all = known.kustomizations.keys();
        all.filter(|id| known.touch.plugins_of(id).contains(name))
            .cloned()
            .collect()
    });
    touched
        .into_iter()
        .for_each(|id| ctx.queues.kustomizations.wake(id));
    report::plugin(ctx, &object, outcome).await
}

async fn load(ctx: &Context, object: &ClusterPlugin) -> Result<Module, Explained> {
    let path = &object.spec.source.path;
    let failed = |reason, message: String| Explained::new(reason, Turn::Owner, message);
    let Some(dir) = &ctx.plugins_dir else {
        let message = "the controller was started without --plugins-dir, so no component can be found by its path";
        return Err(failed(Reason::PluginNotFound, message.to_owned()));
    };
    if !is_clean(path) {
        let message = format!("spec.source.path '{path}' leads out of the plugins directory");
        return Err(failed(Reason::InvalidSpec, message));
    }
    let bytes = read(&dir.join(path)).await.map_err(|why| {
        failed(
            Reason::PluginNotFound,
            format!("reading component {path} failed: {why}"),
        )
        .with_hint("build it with plugins/build.sh and put it into the controller's --plugins-dir")
    })?;
    // The platform's own: nobody else's turn is taken for it.
    let module = ctx.sandbox.load("", &bytes, World::Transformer).await;
    let module = module.map_err(|why| {
        failed(
            Reason::PluginFailed,
            format!("loading component {path} failed: {why}"),
        )
    })?;
    match &object.spec.sha256 {
        Some(pin) if module.digest() != format!("sha256:{pin}") => {
            let message = format!("component {path} is {}, not sha256:{pin}", module.digest());
            Err(failed(Reason::DigestMismatch, message)
                .with_hint("pin the digest of the component that you trust"))
        }
        _ => Ok(module),
    }
}

/// The API server's pattern says so too, for objects that were stored under it.
fn is_clean(path: &str) -> bool {
    let part = |part: &str| !part.is_empty() && !part.starts_with('.');
    path.split('/').all(part) && !path.contains(['\\', '\0'])
}

async fn read(path: &Path) -> std::io::Result<Vec<u8>> {
    let file = tokio::fs::File::open(path).await?;
    let mut bytes = Vec::new();
    let read = file.take(LARGEST + 1).read_to_end(&mut bytes).await?;
    if read as u64 > LARGEST {
        return Err(std::io::Error::other("it is larger than 64 MiB"));
    }
    Ok(bytes)
}
