//! What a Kustomization has applied, made anew, for who compares the cluster with it (`writeback`).
//!
//! The revision that was applied last is built, its variables put in, transformed and planned as by its runs, with the values of
//! Secrets, since these are on the cluster too. So what comes of it is under a veil and not to be told. It deliberately
//! asks policy about the spec alone, by whose account everything is read, and writes nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use reeve_api::kustomization::{Kustomization, SourceKind};
use reeve_api::name::NamespacedName;
use reeve_api::reason::Reason;
use reeve_core::artifact::Revision;
use reeve_core::failure::{Explained, Turn};
use reeve_core::inventory::{Inventory, ObjectId};
use reeve_core::plan::{Plan, Proposed};
use reeve_core::spec::Spec;
use reeve_core::veil::Veil;
use reeve_kustomize::{Options, Remotes};
use serde_json::Value;
use tokio::time::Instant;

use super::cover::Cover;
use super::{Wanted, build, judge, late, owner, parse, transformed};
use crate::context::Context;
use crate::controller::source;
use crate::git::Snapshot;
use crate::index::Stored;
use crate::places::Room;

/// What a Kustomization has applied.
pub(in crate::controller) struct AsApplied {
    /// The source.
    pub(in crate::controller) source: NamespacedName,
    /// The directory that is built.
    pub(in crate::controller) path: String,
    /// The files of the revision that was applied last.
    pub(in crate::controller) files: Snapshot,
    /// How other files in their place are built.
    pub(in crate::controller) options: Options,
    /// The version and the manifest of each object, as it was sent.
    pub(in crate::controller) manifests: BTreeMap<ObjectId, (String, Value)>,
    /// The same as a run would apply it.
    pub(super) plan: Plan<Proposed>,
    /// What was fetched to build it.
    pub(in crate::controller) remotes: Remotes,
    /// Whether variables are put in behind the build.
    pub(in crate::controller) substitutes: bool,
    /// What of it must not be told.
    pub(in crate::controller) veil: Veil,
}

/// What `object` has applied on this cluster.
pub(in crate::controller) async fn as_applied(
    ctx: &Arc<Context>,
    object: &Kustomization,
    deadline: Instant,
) -> Result<AsApplied, Explained> {
    let spec = parse(object)?.ok_or_else(|| {
        let message = "it is suspended, and what it applies with it";
        Explained::new(Reason::Suspended, Turn::Dependency, message)
    })?;
    if spec.kube_config.is_some() {
        let message = "it is carried out on another cluster";
        return Err(Explained::new(Reason::Unsupported, Turn::Owner, message));
    }
    if spec.source.kind != SourceKind::GitRepository {
        let message = "its source is kept by another controller, and is no repository";
        return Err(Explained::new(Reason::Unsupported, Turn::Owner, message));
    }
    let tenant = owner(ctx, &spec)?;
    let status = object.status.as_ref();
    if status.is_some_and(|status| status.delivered.is_some()) {
        let message = "it is delivered to git, and another agent applies it";
        return Err(Explained::new(Reason::Unsupported, Turn::Owner, message));
    }
    let revision = status.and_then(|status| status.last_applied_revision.as_deref());
    let revision = revision.and_then(|revision| Revision::parse(revision).ok());
    let revision = revision.ok_or_else(|| yet_to_come("it has applied nothing yet"))?;
    let stored = stored_at(ctx, &spec, revision, deadline).await?;
    let (files, stored) = (stored.snapshot.clone(), stored.files());
    let admitted = judge::aside::spec(ctx, object, &tenant, spec, &stored).await?;
    let admitted = admitted.map_err(|denied| Explained::of(&denied))?;
    let client = ctx.cluster.as_tenant(&admitted).await;
    let client = client.map_err(|why| Explained::of(&why))?;
    let wanted = Wanted {
        spec: admitted,
        tenant,
        stored,
        inventory: Inventory::default(),
        client,
        left: None,
        cover: Cover::default(),
        place: None,
    };
    let rendered = render(ctx, &wanted, files, deadline).await;
    rendered.map_err(|why| wanted.veil().over(why))
}

async fn render(
    ctx: &Arc<Context>,
    wanted: &Wanted,
    files: Snapshot,
    deadline: Instant,
) -> Result<AsApplied, Explained> {
    let room = Room::of_a_run();
    let (done, functions) = build::anew(ctx, wanted, &room, deadline).await?;
    let transformed = transformed(ctx, wanted, &room, None, done.bundle);
    let transformed = tokio::time::timeout_at(deadline, transformed).await;
    let transformed = transformed.unwrap_or_else(|_| Err(late()))?;
    let scopes = wanted.client.scopes().await;
    let plan = Plan::propose(transformed, &scopes, &wanted.inventory, &wanted.spec);
    let plan = plan.map_err(|why| Explained::of(&why))?;
    let manifests = plan.steady().map(|object| {
        let manifest = object.manifest().clone();
        (object.id().clone(), (object.version().to_owned(), manifest))
    });
    Ok(AsApplied {
        manifests: manifests.collect(),
        plan,
        source: wanted.spec.source.key(),
        path: wanted.spec.path.clone(),
        files,
        options: Options {
            overlay: wanted.spec.overlay.clone(),
            generate: true,
            functions: Some(functions),
            ..Options::default()
        },
        remotes: done.remotes,
        substitutes: !wanted.spec.substitution.is_none(),
        veil: wanted.veil().clone(),
    })
}

/// What the source had at that revision.
async fn stored_at(
    ctx: &Context,
    spec: &Spec,
    revision: Revision,
    deadline: Instant,
) -> Result<Stored, Explained> {
    let now = ctx.applicable(&spec.source)?;
    if now.artifact.revision == revision {
        return Ok(now);
    }
    let then = source::earlier(ctx, &spec.source.key(), &revision, deadline).await;
    let snapshot = then.ok_or_else(|| {
        let message = "what it has applied last cannot be had from its source any more";
        yet_to_come(message)
    })?;
    let mut artifact = now.artifact;
    artifact.revision = revision;
    snapshot.tree_digest().clone_into(&mut artifact.tree);
    Ok(Stored {
        artifact,
        snapshot,
        wanted: now.wanted,
        verified: None,
        archived: now.archived,
    })
}

/// The next run of the Kustomization may mend that.
fn yet_to_come(message: &str) -> Explained {
    Explained::new(Reason::DependencyNotReady, Turn::Dependency, message)
}
