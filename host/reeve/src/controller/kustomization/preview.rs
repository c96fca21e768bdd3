//! What another revision of a Kustomization's source would change: built, transformed, judged, and asked of the API server as the
//! account that would apply it. Nothing is written, and nothing of it is remembered.
//!
//! For what anybody may propose (`proposals`): so it is by the same rules as a run, variables are read by the same account, and
//! what policy denies is not even asked about. Plugins and policies are those that are in force, and none that is proposed. Its build
//! and its rules take turns beside those of the tenant's runs. What is told of it is `core::preview`'s.
//!
//! Whoever proposes something may not be told what is in a Secret, and could ask by proposing guesses. So no value of one takes part:
//! variables from Secrets stand for one and the same word, and what is compared with the cluster `guarded` says.

mod guarded;

use std::sync::Arc;

use reeve_api::kustomization::Kustomization;
use reeve_api::reason::Reason;
use reeve_core::bundle::{Bundle, Rendered};
use reeve_core::caution::Left;
use reeve_core::failure::{Explained, Turn};
use reeve_core::inventory::Inventory;
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

/// What applying `stored` would do, which is beside what the source has in store: `live`.
pub(in crate::controller) async fn preview(
    ctx: &Arc<Context>,
    object: &Kustomization,
    stored: Stored,
    live: &Stored,
    deadline: Instant,
) -> Result<Preview, Explained> {
    let spec = parse(object)?.ok_or_else(|| {
        let message = "it is suspended, and nothing is applied";
        Explained::new(Reason::Suspended, Turn::Owner, message)
    })?;
    let tenant = owner(ctx, &spec)?;
    let known = known(ctx, &spec)?;
    let inventory = nameable(recorded(object)?, &known);
    let stored = stored.files();
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
        cover: Cover::aside(Veil::default()),
        place: None,
    };
    let case = Case {
        ctx,
        object,
        wanted: &wanted,
        live,
        known: &known,
        deadline,
    };
    let looked = tokio::time::timeout_at(deadline, case.look(told));
    let looked = looked.await.unwrap_or_else(|_| Err(late()));
    looked.map_err(|why| wanted.veil().over(why))
}

/// What must not be told of what is applied now, and so is on the cluster.
fn known(ctx: &Context, spec: &Spec) -> Result<Veil, Explained> {
    let known = ctx
        .index
        .read(|known| known.veils.get(&spec.id).map(Veils::both));
    match known {
        Some(veil) => Ok(veil),
        None if guarded::reads_secrets(spec) => {
            let message = "what of it comes from Secrets is not known before it was built since the last start";
            Err(Explained::new(Reason::Progressing, Turn::Ours, message))
        }
        None => Ok(Veil::default()),
    }
}

/// Without what bears a name that came from a Secret: nobody is told that name, whatever becomes of the object.
fn nameable(inventory: Inventory, known: &Veil) -> Inventory {
    if known.is_nothing() {
        return inventory;
    }
    let mut nameable = Inventory::default();
    for entry in inventory.entries() {
        let name = entry.id.to_string();
        if known.cover(name.clone()) == name {
            nameable.insert(entry.clone());
        }
    }
    nameable
}

/// What is looked at, and beside what.
struct Case<'a> {
    ctx: &'a Arc<Context>,
    object: &'a Kustomization,
    wanted: &'a Wanted,
    live: &'a Stored,
    /// What must not be told of what is applied.
    known: &'a Veil,
    deadline: Instant,
}

impl Case<'_> {
    async fn look(&self, mut told: Preview) -> Result<Preview, Explained> {
        let Self {
            ctx,
            object,
            wanted,
            ..
        } = self;
        let room = Room::of_a_run();
        let bundle = build::again(ctx, wanted, &room, self.deadline).await?;
        // Whoever proposes something may have it refused by somebody who quotes it.
        told.veil = wanted.veil().and(&bundle.shown());
        let planned = self.plan(&room, bundle, &mut told).await;
        let Some(plan) = planned.map_err(|why| told.veil.over(why))? else {
            return Ok(told);
        };
        let there = Onlooker::of_tenant(&wanted.client);
        told.cluster = there.cluster().map(str::to_owned);
        self.compare(&there, &room, &plan, &mut told).await;
        for (entry, rehearsed) in there.rehearse_prune(&plan).await {
            told.add_pruned(&entry.id, rehearsed.map_err(|why| why.to_string()));
        }
        let status = object.status.as_ref().filter(|_| wanted.left.is_none());
        told.hooks = preview::hooks(&plan, status.and_then(|status| status.sync.as_ref()));
        // Whom a run would wait for shows when it runs.
        let from = caution::origin(object, wanted);
        told.waits = match caution::judge(object, wanted, &plan, &from, &[]) {
            Ok(None) => None,
            Ok(Some(why)) => Some(Waits::of(&plan, false, why)),
            Err(why) => Some(Waits::of(&plan, true, why)),
        };
        Ok(told)
    }

    /// The plan that policy lets pass; None: it denies that, and `told` says so.
    async fn plan(
        &self,
        room: &Room,
        bundle: Bundle<Rendered>,
        told: &mut Preview,
    ) -> Result<Option<Plan<Admitted>>, Explained> {
        let (ctx, wanted) = (self.ctx, self.wanted);
        let live = self.live.artifact.revision.to_string();
        let source = wanted.git();
        let caller = Caller {
            kustomization: &wanted.spec.id,
            tenant: &wanted.tenant.name,
            source: source.as_ref(),
            // A plugin of the same repository is the one that is in force, not the one that is proposed.
            revision: &live,
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
        let veils = (&told.veil, self.known);
        match judge::aside::plan(ctx, self.object, wanted, proposed, veils).await {
            Ok(plan) => Ok(Some(plan)),
            Err(denied) => {
                told.denied = preview::verdicts(&denied);
                Ok(None)
            }
        }
    }
}

fn late() -> Explained {
    let message = "finding out what it would change took too long";
    Explained::new(Reason::BuildFailed, Turn::Retry, message)
        .with_hint("split the Kustomization, or use fewer patches")
}
