//! What another revision of a Kustomization's source would change: built, transformed, judged, and asked of the API server as the
//! account that would apply it. Nothing is written, and nothing of it is remembered.
//!
//! For what anybody may propose (`proposals`): so it is by the same rules as a run, variables are read by the same account, and
//! what policy denies is not even asked about. Plugins and policies are those that are in force, and none that is proposed. Its build
//! and its rules take turns beside those of the tenant's runs. What is told of it is `core::preview`'s.

use std::sync::Arc;

use reeve_api::kustomization::{Kustomization, SubstituteKind};
use reeve_api::reason::Reason;
use reeve_core::bundle::{Bundle, Rendered};
use reeve_core::caution::Left;
use reeve_core::failure::{Explained, Turn};
use reeve_core::plan::{Admitted, Plan};
use reeve_core::preview::{self, Preview, Waits};
use reeve_core::spec::Spec;
use reeve_core::veil::Veil;
use tokio::time::Instant;

use super::cover::Cover;
use super::{Wanted, abroad, build, caution, judge, owner, ownership, parse, quota, recorded};
use crate::cluster::Onlooker;
use crate::context::Context;
use crate::index::{Stored, Veils};
use crate::places::Room;
use crate::transform::{Caller, transform};

/// What applying `stored` would do, which is beside what the source has in store of the revision `live`.
pub(in crate::controller) async fn preview(
    ctx: &Arc<Context>,
    object: &Kustomization,
    stored: Stored,
    live: &str,
    deadline: Instant,
) -> Result<Preview, Explained> {
    let spec = parse(object)?.ok_or_else(|| {
        let message = "it is suspended, and nothing is applied";
        Explained::new(Reason::Suspended, Turn::Owner, message)
    })?;
    let tenant = owner(ctx, &spec)?;
    let inventory = recorded(object)?;
    let known = known(ctx, &spec)?;
    let revision = stored.artifact.revision.to_string();
    let mut told = Preview::new(&spec.id, revision, Veil::default());
    let admitted = match judge::aside::spec(ctx, object, &tenant, spec, &stored).await? {
        Ok(admitted) => admitted,
        Err(denied) => {
            told.denied = preview::verdicts(&denied);
            return Ok(told);
        }
    };
    let client = ctx.cluster.as_tenant(&admitted).await;
    let client = client.map_err(|why| Explained::of(&why))?;
    let (inventory, left) = Left::part(inventory, abroad::recorded(object), client.cluster());
    let wanted = Wanted {
        spec: admitted,
        tenant,
        stored,
        inventory,
        client,
        left,
        cover: Cover::aside(known),
    };
    let looked =
        tokio::time::timeout_at(deadline, look(ctx, object, &wanted, live, told, deadline));
    let looked = looked.await.unwrap_or_else(|_| Err(late()));
    looked.map_err(|why| wanted.veil().over(why))
}

/// What must not be told of what is applied now, and so is on the cluster.
fn known(ctx: &Context, spec: &Spec) -> Result<Veil, Explained> {
    let known = ctx
        .index
        .read(|known| known.veils.get(&spec.id).map(Veils::both));
    let mut from = spec.substitution.from.iter();
    match known {
        Some(veil) => Ok(veil),
        None if from.any(|from| from.kind == SubstituteKind::Secret) => {
            let message = "what of it comes from Secrets is not known before it was built since the last start";
            Err(Explained::new(Reason::Progressing, Turn::Ours, message))
        }
        None => Ok(Veil::default()),
    }
}

async fn look(
    ctx: &Arc<Context>,
    object: &Kustomization,
    wanted: &Wanted,
    live: &str,
    mut told: Preview,
    deadline: Instant,
) -> Result<Preview, Explained> {
    let room = Room::of_a_run();
    let bundle = build::again(ctx, wanted, &room, deadline).await?;
    // Whoever proposes something may have it refused by somebody who quotes it.
    told.veil = wanted.veil().and(&bundle.shown());
    let planned = plan(ctx, object, wanted, (&room, live), bundle, &mut told).await;
    let Some(plan) = planned.map_err(|why| told.veil.over(why))? else {
        return Ok(told);
    };
    let there = Onlooker::of_tenant(&wanted.client);
    told.cluster = there.cluster().map(str::to_owned);
    for (object, rehearsed) in there.rehearse(&plan).await {
        told.add_covered(object.id(), rehearsed.map_err(|why| why.to_string()));
    }
    for (entry, rehearsed) in there.rehearse_prune(&plan).await {
        told.add_pruned(&entry.id, rehearsed.map_err(|why| why.to_string()));
    }
    let status = object.status.as_ref().filter(|_| wanted.left.is_none());
    told.hooks = preview::hooks(&plan, status.and_then(|status| status.sync.as_ref()));
    told.waits = match caution::judge(object, wanted, &plan, &caution::origin(wanted)) {
        Ok(None) => None,
        Ok(Some(why)) => Some(Waits::of(&plan, false, why)),
        Err(why) => Some(Waits::of(&plan, true, why)),
    };
    Ok(told)
}

/// The plan that policy lets pass; None: it denies that, and `told` says so.
async fn plan(
    ctx: &Arc<Context>,
    object: &Kustomization,
    wanted: &Wanted,
    (room, live): (&Room, &str),
    bundle: Bundle<Rendered>,
    told: &mut Preview,
) -> Result<Option<Plan<Admitted>>, Explained> {
    let caller = Caller {
        kustomization: &wanted.spec.id,
        tenant: &wanted.tenant.name,
        source: &wanted.spec.source.key(),
        // A plugin of the same repository is the one that is in force, not the one that is proposed.
        revision: live,
        requested: None,
        room,
        veil: &told.veil,
        aside: true,
    };
    let transformed = transform(ctx, caller, bundle).await?;
    told.veil = told.veil.and(transformed.secret());
    let scopes = wanted.client.scopes().await;
    let proposed = Plan::propose(transformed, &scopes, &wanted.inventory, &wanted.spec);
    let revision = wanted.stored.artifact.revision.to_string();
    let proposed = proposed
        .map_err(|why| Explained::of(&why))?
        .on(&revision, None);
    quota::objects(ctx, wanted, &proposed)?;
    let (id, cluster) = (&wanted.spec.id, wanted.client.cluster());
    let proposed = ownership::hand_over(ctx, id, cluster, proposed);
    match judge::aside::plan(ctx, object, wanted, proposed, &told.veil).await {
        Ok(plan) => Ok(Some(plan)),
        Err(denied) => {
            told.denied = preview::verdicts(&denied);
            Ok(None)
        }
    }
}

fn late() -> Explained {
    let message = "finding out what it would change took too long";
    Explained::new(Reason::BuildFailed, Turn::Retry, message)
        .with_hint("split the Kustomization, or use fewer patches")
}
