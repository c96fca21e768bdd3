//! What was applied before, for policies that ask for it, and for what a WriteBack has left alone: found where it is kept, or made
//! anew.
//!
//! A digest of it stands in the status; what it names is brought to the disk when the run is told, so that a process that ends in
//! between has lost it. When the disk has lost it, what is wanted now may be the very same; else the
//! revision that was applied last is rendered once more, if the source still has it. Whatever comes of that counts only
//! when it has that digest: another spec, another plugin or a run that stopped half-way give another, and then there is
//! none, for which policies do without. Told is nobody of it: it is nobody's fault. What is to be written back may count without
//! the digest, too, which `core::writeback::past` says; that is kept nowhere, and no policy sees it.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use kube::ResourceExt as _;
use reeve_api::kustomization::{Kustomization, SourceKind};
use reeve_api::name::NamespacedName;
use reeve_core::admit::{AdmittedSpec, Recollection};
use reeve_core::artifact::{Digest, Revision};
use reeve_core::inventory::Inventory;
use reeve_core::plan::{Admitted, Plan, Proposed};
use reeve_core::spec::Spec;
use reeve_core::status::{Action, Applied, Change};
use reeve_core::writeback::past::{self, Sure};
use tokio::time::Instant;

use super::{Wanted, build, transformed};
use crate::context::Context;
use crate::controller::source;
use crate::index::{Kept, Stored};
use crate::observe::Stage;
use crate::others::Files;
use crate::places::Room;
use crate::recollections::Owner;

/// How long making it anew may take: a run has better to do.
const PATIENCE: Duration = Duration::from_secs(30);

fn owner(object: &Kustomization, spec: &Spec) -> Owner {
    Owner::of(&spec.id, object.uid().as_deref())
}

/// The digest of what is kept, if that is still what was applied last: another process may have led since it was written.
pub(super) fn digest(ctx: &Context, object: &Kustomization, spec: &Spec) -> Option<Digest> {
    let lies_there = ctx.recollections.digest(&owner(object, spec))?;
    let written = ctx.index.read(|known| known.passed.get(&spec.id)?.kept);
    let own = written.is_some_and(|kept| kept.digest == lies_there);
    (own || told(object) == Some(lies_there)).then_some(lies_there)
}

/// What the status says of it.
fn told(object: &Kustomization) -> Option<Digest> {
    let digest = object.status.as_ref()?.last_applied_digest.as_deref()?;
    Digest::parse(digest).ok()
}

/// What was applied before `proposed`; `wanted` is what the run works from, where it renders anything.
pub(super) async fn find(
    ctx: &Arc<Context>,
    object: &Kustomization,
    spec: &AdmittedSpec,
    proposed: &Plan<Proposed>,
    wanted: Option<(&Wanted, Instant)>,
) -> Option<Recollection> {
    if let Some(found) = read(ctx, object, spec).await {
        return Some(found);
    }
    let digest = told(object)?;
    let same = Some(Recollection::of_plan(proposed)).filter(|now| now.digest() == digest);
    let found = match (same, wanted) {
        (Some(same), _) => same,
        (None, Some((wanted, deadline))) => {
            let status = object.status.as_ref()?;
            let revision = status.last_applied_revision.as_deref()?;
            let deadline = deadline.min(Instant::now() + PATIENCE);
            let made = tokio::time::timeout_at(deadline, render(ctx, wanted, revision, deadline));
            made.await
                .ok()
                .flatten()
                .filter(|made| made.digest() == digest)?
        }
        (None, None) => return None,
    };
    write(ctx, &owner(object, spec), found.clone()).await;
    Some(found)
}

/// What is known of what was applied before, for what is to be written back.
pub(super) enum Past {
    /// This, or nothing; or nobody will ever know.
    Known(Option<Recollection>),
    /// A revision cannot be had or rendered now, and may be soon.
    Unknown,
}

/// The same for a run that has rendered nothing yet, as the first one of a process.
pub(super) async fn past(
    ctx: &Arc<Context>,
    object: &Kustomization,
    wanted: &Wanted,
    deadline: Instant,
) -> Past {
    if let Some(found) = read(ctx, object, &wanted.spec).await {
        return Past::Known(Some(found));
    }
    // What was on another cluster was not on this one.
    let is_here = wanted.place.is_none() && wanted.left.is_none();
    let status = object.status.as_ref();
    let Some(status) = status.filter(|_| is_here && !wanted.inventory.is_empty()) else {
        return Past::Known(None);
    };
    let now = wanted.stored.artifact.revision.to_string();
    // Of what others keep only the newest is there.
    let is_kept = wanted.spec.source.kind == SourceKind::GitRepository;
    let revisions = past::revisions(status).into_iter();
    let mut is_unknown = false;
    for revision in revisions.filter(|revision| is_kept || **revision == now) {
        let made = async {
            match revision == now {
                true => rendered(ctx, &beside(wanted, wanted.stored.clone()), deadline).await,
                false => render(ctx, wanted, revision, deadline).await,
            }
        };
        let made = tokio::time::timeout_at(deadline, made).await.ok().flatten();
        let sure = made.as_ref().map(|made| past::sure(object, revision, made));
        match (made, sure) {
            (Some(made), Some(Sure::ByDigest)) => {
                write(ctx, &owner(object, &wanted.spec), made.clone()).await;
                return Past::Known(Some(made));
            }
            (Some(made), Some(Sure::ByRevision)) => {
                return Past::Known(Some(made.within(&wanted.inventory)));
            }
            (Some(_), _) => {}
            (None, _) => is_unknown = true,
        }
    }
    match is_unknown {
        true => Past::Unknown,
        false => Past::Known(None),
    }
}

/// What a revision would be applied as now.
async fn render(
    ctx: &Arc<Context>,
    wanted: &Wanted,
    revision: &str,
    deadline: Instant,
) -> Option<Recollection> {
    if wanted.spec.source.kind != SourceKind::GitRepository {
        // Of what others keep only the newest is there.
        return None;
    }
    let now = &wanted.stored.artifact;
    let then = Revision::parse(revision).ok()?;
    if then == now.revision {
        // It is what is proposed.
        return None;
    }
    let source = wanted.spec.source.key();
    let snapshot = source::earlier(ctx, &source, &then, deadline).await?;
    let mut artifact = now.clone();
    artifact.revision = then;
    snapshot.tree_digest().clone_into(&mut artifact.tree);
    let stored = Stored {
        artifact,
        snapshot: Files::Commit(snapshot),
        wanted: wanted.stored.wanted.clone(),
        verified: None,
        archived: wanted.stored.archived.clone(),
    };
    rendered(ctx, &beside(wanted, stored), deadline).await
}

/// The same, of these files: nothing that is learnt of it is taken for the run's own.
fn beside(wanted: &Wanted, stored: Stored<Files>) -> Wanted {
    Wanted {
        spec: wanted.spec.clone(),
        tenant: wanted.tenant.clone(),
        inventory: Inventory::default(),
        client: wanted.client.clone(),
        left: None,
        cover: wanted.cover.clone(),
        place: None,
        stored,
    }
}

async fn rendered(ctx: &Arc<Context>, wanted: &Wanted, deadline: Instant) -> Option<Recollection> {
    let room = Room::beside_a_run();
    let bundle = build::again(ctx, wanted, &room, deadline).await.ok()?;
    let bundle = transformed(ctx, wanted, &room, None, bundle).await.ok()?;
    let scopes = wanted.client.scopes().await;
    let plan = Plan::propose(bundle, &scopes, &wanted.inventory, &wanted.spec).ok()?;
    Some(Recollection::of_plan(&plan))
}

/// Keeps what has been applied by now, and returns its digest. Nothing where no rule is ever asked, be it a policy's or a
/// WriteBack's.
pub(super) async fn keep(
    ctx: &Arc<Context>,
    object: &Kustomization,
    wanted: &Wanted,
    plan: &Plan<Admitted>,
    changes: &[Change],
    inventory: &Inventory,
) -> Option<String> {
    let spec = &wanted.spec;
    if !spec.is_judged() && !wanted.client.is_yielding() {
        return None;
    }
    let known = digest(ctx, object, spec);
    let (now, kept) = ctx.index.read(|known| {
        let passages = known.passed.get(&spec.id);
        let now = passages.and_then(|passages| passages.plan.as_ref()?.of());
        (now, passages.and_then(|passages| passages.kept))
    });
    let still = |change: &Change| matches!(change.action, Action::Unchanged | Action::Skipped);
    let same = now.is_some() && kept.is_some_and(|kept| kept.of == now);
    if let Some(known) = known.filter(|_| same && changes.iter().all(still)) {
        return Some(known.to_string());
    }
    let before = match Recollection::depends_on_before(changes, inventory) {
        true => read(ctx, object, spec).await,
        false => None,
    };
    let made = Recollection::after(before.as_ref(), plan, changes, inventory);
    let digest = made.digest();
    if known != Some(digest) {
        ctx.recollections.hold(&owner(object, spec), made);
    }
    ctx.index.write(|known| {
        let kept = Kept { of: now, digest };
        known.passed.entry(spec.id.clone()).or_default().kept = Some(kept);
    });
    Some(digest.to_string())
}

/// Brings to the disk what the run of `object` has kept, once that run is told: nobody waits for it.
pub(super) async fn settle(ctx: &Arc<Context>, id: &NamespacedName, object: &Kustomization) {
    let owner = Owner::of(id, object.uid().as_deref());
    if !ctx.recollections.holds(&owner) {
        return;
    }
    let ctx = Arc::clone(ctx);
    on_disk(move || ctx.recollections.settle(&owner)).await;
}

/// The same after a run that came to its end, or to a wave that is waited for.
pub(super) async fn applied(
    ctx: &Arc<Context>,
    object: &Kustomization,
    wanted: &Wanted,
    plan: &Plan<Admitted>,
    done: &Applied,
) -> Option<String> {
    let changes = [done.changes.as_slice(), &done.pruned].concat();
    let mut stages = ctx.metrics.stages();
    let kept = keep(ctx, object, wanted, plan, &changes, &done.inventory).await;
    stages.end(Stage::Keep);
    kept
}

/// What was applied last, if it still lies on the disk.
pub(super) async fn read(
    ctx: &Arc<Context>,
    object: &Kustomization,
    spec: &Spec,
) -> Option<Recollection> {
    digest(ctx, object, spec)?;
    from_disk(ctx, owner(object, spec)).await
}

async fn from_disk(ctx: &Arc<Context>, owner: Owner) -> Option<Recollection> {
    let ctx = Arc::clone(ctx);
    let read = tokio::task::spawn_blocking(move || ctx.recollections.read(&owner));
    read.await.ok().flatten()
}

/// What was rendered last, if policy has denied that since this process leads.
pub(super) async fn read_denied(
    ctx: &Arc<Context>,
    object: &Kustomization,
    spec: &Spec,
) -> Option<Recollection> {
    let digest = ctx.index.read(|known| known.passed.get(&spec.id)?.denied)?;
    let found = from_disk(ctx, owner(object, spec).of_denied()).await;
    found.filter(|found| found.digest() == digest)
}

/// Keeps what policy has denied, for whoever asks what another policy would say to it.
pub(super) async fn keep_denied(
    ctx: &Arc<Context>,
    object: &Kustomization,
    spec: &Spec,
    rendered: &Recollection,
) {
    let owner = owner(object, spec).of_denied();
    if ctx.recollections.digest(&owner) != Some(rendered.digest()) {
        write(ctx, &owner, rendered.clone()).await;
    }
}

/// What passes is no longer denied.
pub(super) fn forget_denied(ctx: &Context, object: &Kustomization, spec: &Spec) {
    ctx.recollections.forget(&owner(object, spec).of_denied());
}

async fn write(ctx: &Arc<Context>, owner: &Owner, what: Recollection) {
    let (ctx, owner) = (Arc::clone(ctx), owner.clone());
    on_disk(move || ctx.recollections.write(&owner, &what)).await;
}

async fn on_disk(work: impl FnOnce() -> io::Result<()> + Send + 'static) {
    match tokio::task::spawn_blocking(work).await {
        Ok(Ok(())) => {}
        Ok(Err(why)) => {
            tracing::warn!(error = %why, "what was applied could not be kept for policies");
        }
        Err(why) => tracing::error!(error = %why, "keeping what was applied crashed"),
    }
}
