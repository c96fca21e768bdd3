//! Where a component's bytes come from: a file that came with the controller, one of a GitRepository, a registry.
//!
//! Every read is bounded. What is read is held against the pin and inspected by the caller.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use reeve_api::kustomization::SourceKind;
use reeve_api::name::{NamespaceName, NamespacedName};
use reeve_api::plugin::{Component, GitSource, OciSource};
use reeve_api::reason::Reason;
use reeve_core::failure::{Explained, Turn};
use reeve_core::plugin::PluginId;
use reeve_core::spec::SourceRef;
use reeve_core::tenancy;
use reeve_kustomize::pointer;
use reeve_wasm::Error;
use tokio::io::AsyncReadExt as _;

use super::registry;
use crate::context::Context;
use crate::git::Snapshot;

/// The largest component that is read, in bytes; the sandbox may admit less.
pub(super) const LARGEST: u64 = 64 << 20;

/// A component.
pub(super) struct Read {
    pub(super) bytes: Vec<u8>,
    /// For people.
    pub(super) place: String,
    /// Who mends it when it is broken.
    pub(super) turn: Turn,
}

impl Read {
    /// It cannot be loaded.
    pub(super) fn failed(&self, why: &Error) -> Explained {
        let turn = match why.is_ours() {
            true => Turn::Ours,
            false => self.turn,
        };
        let message = format!("loading component {} failed: {why}", self.place);
        Explained::new(Reason::PluginFailed, turn, message)
    }
}

/// Reads a plugin's component.
pub(super) async fn read(
    ctx: &Context,
    id: &PluginId,
    component: &Component,
) -> Result<Read, Explained> {
    match origin(component)? {
        Origin::Shipped(path) => shipped(ctx, path).await,
        Origin::Git(git) => from_git(ctx, id, git).await,
        Origin::Registry(oci) => registry::read(ctx, id, oci).await,
    }
}

/// What [`read`] would say before it reads anything.
pub(super) fn review(ctx: &Context, id: &PluginId, component: &Component) -> Result<(), Explained> {
    match origin(component)? {
        Origin::Shipped(path) => place(ctx, path).map(drop),
        Origin::Git(git) => granted(ctx, id, git).map(drop),
        Origin::Registry(oci) => registry::parse(ctx, oci).map(drop),
    }
}

/// Where a component comes from.
enum Origin<'a> {
    Shipped(&'a str),
    Git(&'a GitSource),
    Registry(&'a OciSource),
}

fn origin(component: &Component) -> Result<Origin<'_>, Explained> {
    let source = &component.source;
    match (&source.path, &source.git, &source.oci) {
        (Some(path), None, None) => Ok(Origin::Shipped(path)),
        (None, Some(git), None) => Ok(Origin::Git(git)),
        (None, None, Some(oci)) => Ok(Origin::Registry(oci)),
        _ => Err(Explained::new(
            Reason::InvalidSpec,
            Turn::Owner,
            "spec.source is exactly one of git, oci and path",
        )),
    }
}

/// The revision that the plugin's source has now; None where it comes from none, or that has nothing.
pub(super) fn revision(ctx: &Context, id: &PluginId) -> Option<String> {
    ctx.index.read(|known| {
        let source = known.touch.source_of_plugin(id)?;
        Some(known.stored.get(source)?.artifact.revision.to_string())
    })
}

/// Whether its source had an artifact before this process started and has not been looked at since: it is about to be,
/// and wakes us then.
pub(super) fn awaits_source(ctx: &Context, id: &PluginId) -> bool {
    ctx.index.read(|known| {
        let source = known.touch.source_of_plugin(id);
        source.is_some_and(|source| known.is_about_to_look_at(source))
    })
}

/// Whether what it comes from is still the owner's to use: that may be taken away while nothing else changes.
pub(super) fn may_be_used(ctx: &Context, id: &PluginId, component: &Component) -> bool {
    let git = component.source.git.as_ref();
    git.is_none_or(|git| granted(ctx, id, git).is_ok())
}

/// The file that came with the controller.
fn place(ctx: &Context, path: &str) -> Result<PathBuf, Explained> {
    let failed = |reason, message: String| Explained::new(reason, Turn::Owner, message);
    let Some(dir) = &ctx.plugins_dir else {
        let message = "the controller was started without --plugins-dir, so no component can be found by its path";
        return Err(failed(Reason::PluginNotFound, message.to_owned()));
    };
    if !is_clean(path) {
        let message = format!("spec.source.path '{path}' leads out of the plugins directory");
        return Err(failed(Reason::InvalidSpec, message));
    }
    Ok(dir.join(path))
}

/// Reads one that came with the controller.
pub(super) async fn shipped(ctx: &Context, path: &str) -> Result<Read, Explained> {
    let place = place(ctx, path)?;
    let bytes = file(&place).await.map_err(|why| {
        let message = format!("reading component {path} failed: {why}");
        Explained::new(Reason::PluginNotFound, Turn::Owner, message).with_hint(
            "build it with plugins/build.sh and put it into the controller's --plugins-dir",
        )
    })?;
    Ok(Read {
        bytes,
        place: path.to_owned(),
        turn: Turn::Owner,
    })
}

/// The API server's pattern says so too, for objects that were stored under it.
fn is_clean(path: &str) -> bool {
    let part = |part: &str| !part.is_empty() && !part.starts_with('.');
    path.split('/').all(part) && !path.contains(['\\', '\0'])
}

async fn file(path: &Path) -> std::io::Result<Vec<u8>> {
    let file = tokio::fs::File::open(path).await?;
    let mut bytes = Vec::new();
    let read = file.take(LARGEST + 1).read_to_end(&mut bytes).await?;
    if read as u64 > LARGEST {
        return Err(std::io::Error::other(too_large()));
    }
    Ok(bytes)
}

fn too_large() -> String {
    format!("it is larger than {} MiB", LARGEST >> 20)
}

async fn from_git(ctx: &Context, id: &PluginId, git: &GitSource) -> Result<Read, Explained> {
    let source = granted(ctx, id, git)?;
    let stored = ctx.stored(&source)?;
    let path = git.path.trim_start_matches("./").to_owned();
    let place = format!("{path} of GitRepository {source}");
    let snapshot = stored.snapshot;
    let read = tokio::task::spawn_blocking(move || content(&snapshot, &path)).await;
    let read = read.unwrap_or_else(|crash| Err(crash.to_string()));
    let bytes = read.map_err(|why| {
        let message = format!("reading component {place} failed: {why}");
        Explained::new(Reason::PluginNotFound, Turn::Source, message)
            .with_hint("spec.source.git.path names a file of the repository, from its root")
    })?;
    Ok(Read {
        bytes,
        place,
        // The next commit wakes it.
        turn: Turn::NextRevision,
    })
}

fn content(snapshot: &Snapshot, path: &str) -> Result<Vec<u8>, String> {
    let (size, reader) = snapshot.open(path).map_err(|why| why.to_string())?;
    if size > LARGEST {
        return Err(too_large());
    }
    let mut bytes = Vec::new();
    let read = reader.take(LARGEST + 1).read_to_end(&mut bytes);
    read.map_err(|why| why.to_string())?;
    if pointer::is_one(&bytes) {
        return Err(format!("it {}", pointer::WHY));
    }
    Ok(bytes)
}

/// The source, if the plugin may use it: as a Kustomization of its namespace might.
fn granted(ctx: &Context, id: &PluginId, git: &GitSource) -> Result<NamespacedName, Explained> {
    let invalid = |why: String| {
        let message = format!("spec.source.git.sourceRef: {why}");
        Explained::new(Reason::InvalidSpec, Turn::Owner, message)
    };
    let named = git.source_ref.namespace.as_deref();
    let namespace: NamespaceName = match named {
        Some(named) => named.parse().map_err(|why| invalid(format!("{why}")))?,
        None => ctx.home_of(id).clone(),
    };
    let name = git.source_ref.name.parse();
    let source = SourceRef {
        kind: SourceKind::GitRepository,
        namespace,
        name: name.map_err(|why| invalid(format!("{why}")))?,
    };
    match id {
        PluginId::Tenant(id) => {
            let tenant = ctx
                .index
                .read(|known| known.tenants.owner_of(&ctx.grounds, &id.namespace))?;
            tenancy::may_use_source(&ctx.grounds, &tenant, &id.namespace, &source)?;
        }
        PluginId::Platform(_) => {
            let grounds = &ctx.grounds;
            let namespace = &source.namespace;
            let own = *namespace == ctx.home
                || grounds.is_platform(namespace)
                || grounds.is_config(namespace);
            if !own {
                let message = format!(
                    "can't access '{source}': what a ClusterPlugin runs comes from the platform's own namespaces"
                );
                return Err(Explained::new(Reason::AccessDenied, Turn::Owner, message));
            }
        }
    }
    Ok(source.key())
}
