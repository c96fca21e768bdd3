//! What a Kustomization depends on is looked at before anything of its source is opened.
//!
//! Who waits is written down before the look, so that a change in between wakes it. What lies in another namespace is read
//! as the tenant's account, and only where the tenant may depend on it at all: nobody learns through a dependency what
//! they may not read. When one is ready is `core::depend`'s to say.

use std::sync::Arc;

use reeve_api::kustomization::Kustomization;
use reeve_api::name::NamespacedName;
use reeve_core::depend;
use reeve_core::failure::Explained;
use reeve_core::spec::Dependency;
use reeve_core::tenancy;
use serde_json::Value;

use super::{Asked, judge};
use crate::cluster::CallError;
use crate::context::Context;

/// Whether all that the Kustomization depends on is ready; who waits is woken when that changes.
pub(super) async fn check(
    ctx: &Context,
    object: &Kustomization,
    wanted: &Asked,
) -> Result<(), Explained> {
    let spec = &wanted.spec;
    if spec.depends_on.is_empty() {
        over(ctx, &spec.id);
        return Ok(());
    }
    for one in &spec.depends_on {
        let namespace = &spec.id.namespace;
        let may = tenancy::may_depend_on(&ctx.grounds, &wanted.tenant, namespace, &one.id);
        if let Err(why) = may {
            over(ctx, &spec.id);
            return Err(why);
        }
    }
    let all = spec.depends_on.iter().map(|one| one.id.clone()).collect();
    ctx.index
        .write(|known| known.touch.waits_for(&spec.id, all));
    let revision = wanted.stored.artifact.revision.to_string();
    for one in &spec.depends_on {
        let ready = match &one.ready {
            // An expression sees the whole object: only what the account may read is shown to it.
            Some(expression) => {
                let seen = seen(ctx, wanted, &one.id).await?;
                depend::ready_by(expression, &judge::shown(object)?, &one.id, seen.as_ref())
            }
            None => {
                let dependency = read(ctx, wanted, one).await?;
                depend::ready(spec, &revision, &one.id, dependency.as_deref())
            }
        };
        ready.map_err(|why| with_circle(ctx, &spec.id, why))?;
    }
    over(ctx, &spec.id);
    Ok(())
}

/// It waits for nobody.
fn over(ctx: &Context, id: &NamespacedName) {
    // Looked up first: of all that run, few have ever waited.
    if ctx.index.read(|known| known.touch.waits(id)) {
        ctx.index.write(|known| known.touch.waits_no_more(id));
    }
}

/// The dependency as it is now.
async fn read(
    ctx: &Context,
    wanted: &Asked,
    one: &Dependency,
) -> Result<Option<Arc<Kustomization>>, Explained> {
    let (spec, id) = (&wanted.spec, &one.id);
    if id.namespace == spec.id.namespace {
        return Ok(ctx
            .index
            .read(|known| known.kustomizations.get(id).cloned()));
    }
    let seen = seen(ctx, wanted, id).await?;
    let read = seen.map(|object| reeve_api::decode(&object));
    let read = read.transpose().map_err(|_| {
        depend::not_ready(format!(
            "dependency '{id}' is not ready: its spec cannot be read"
        ))
    })?;
    Ok(read.map(Arc::new))
}

/// The dependency as the tenant's account sees it.
async fn seen(
    ctx: &Context,
    wanted: &Asked,
    id: &NamespacedName,
) -> Result<Option<Value>, Explained> {
    let spec = &wanted.spec;
    let seen = ctx.cluster.kustomization(spec, id).await.map_err(|why| {
        if !matches!(why, CallError::Refused(_)) {
            return depend::not_ready(format!("dependency '{id}' cannot be read: {why}"));
        }
        // Not why: the answer may tell what the account may not know.
        let account = spec.account();
        let (namespace, name) = (account.namespace(), account.name());
        depend::not_ready(format!(
            "dependency '{id}' cannot be read by ServiceAccount {namespace}/{name}"
        ))
        .with_hint(format!(
            "let it get kustomizations.kustomize.toolkit.fluxcd.io in namespace {}",
            id.namespace
        ))
    })?;
    Ok(seen)
}

/// Whoever waits for itself is told so: nothing else would ever end it.
fn with_circle(ctx: &Context, id: &NamespacedName, why: Explained) -> Explained {
    let circle = ctx.index.read(|known| {
        depend::circle(id, |of| {
            let object = known.kustomizations.get(of);
            object
                .map(|object| depend::named(&object.spec, of))
                .unwrap_or_default()
        })
    });
    match circle {
        Some(circle) => depend::in_a_circle(why, &circle),
        None => why,
    }
}
