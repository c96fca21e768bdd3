//! A Kustomization becomes running objects, or files for another agent to make them of.
//!
//! One bundle, one direction. Each line of `deliver` is one stage and takes what the line before returned; nothing here
//! decides, writes a condition or sleeps. Decisions live in `core`, the outcome is told by `report`.

mod above;
mod abroad;
mod applied;
mod apply;
mod build;
mod caution;
mod commit;
mod cover;
mod depend;
mod drift;
mod foretell;
mod health;
mod judge;
mod ownership;
mod preview;
mod proven;
mod quota;
mod recall;
mod record;
mod replay;
mod stop;
mod substitute;
mod supply;
mod walk;
mod withdraw;
mod yielding;

use std::sync::Arc;
use std::time::Duration;

use kube::ResourceExt as _;
use reeve_api::RECONCILE_REQUEST;
use reeve_api::kustomization::{Kustomization, KustomizationStatus, RemoteBase, SourceKind};
use reeve_api::name::NamespacedName;
use reeve_api::reason::Reason;
use reeve_core::admit::AdmittedSpec;
use reeve_core::bundle::{Bundle, Rendered, Transformed};
use reeve_core::caution::Left;
use reeve_core::deliver::Place;
use reeve_core::failure::{Explained, Turn};
use reeve_core::index::Target;
use reeve_core::inventory::Inventory;
use reeve_core::ownership::Unheard;
use reeve_core::plan::{Admitted, Plan, Proposed};
use reeve_core::schedule::Next;
use reeve_core::spec::Spec;
use reeve_core::status::{self, Failed, Frame, KustomizationOutcome, KustomizationProgress};
use reeve_core::tenancy::{self, Tenant};
use reeve_core::veil::Veil;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

pub(super) use self::above::truth;
pub(super) use self::applied::{AsApplied, as_applied};
use self::cover::Cover;
use self::judge::Awaited;
pub(super) use self::judge::rule;
pub(super) use self::preview::preview;
pub(super) use self::proven::proof_of;
pub(super) use self::replay::replay;
use self::stop::{Stopped, early, stopped};
use self::supply::Supply;
pub(super) use self::supply::source;
pub(super) use self::yielding::wake as wake_for_write_back;
use super::report::{self, Announced, Run};
use super::{Drift, Review, proposals};
use crate::cluster::{TenantClient, Until};
use crate::context::Context;
use crate::index::{Known, Stored};
use crate::observe::Stage;
use crate::others::Files;
use crate::places::Room;
use crate::renders::Packed;
use crate::transform::{Caller, transform};

/// How soon a run is made again that began before all Projects were known.
const SOON: Duration = Duration::from_millis(500);

/// One run.
pub(super) async fn reconcile(ctx: &Arc<Context>, id: &NamespacedName) -> Next {
    let target = Target::Kustomization(id.clone());
    let course = ctx.underway.begin(target.clone());
    let _watched = Drift::begin(ctx, id);
    // What was waited for is applied anew, or something else is.
    let ended = ctx.vigils.end(id);
    let Some(object) = ctx
        .index
        .read(|known| known.kustomizations.get(id).cloned())
    else {
        return Next::Watch;
    };
    let waits = judge::awaits_policies(ctx, id, &object);
    if let Some(Awaited::Silently(next)) = waits {
        return next;
    }
    let run = Arc::new(Run::begin(ctx, target.clone(), &*object).ending(ended));
    if let Some(Awaited::Aloud(why)) = waits {
        ownership::over(ctx, id, &object, ownership::state(ctx, id, &object), false);
        let outcome = early(ctx, &run, why);
        return report::kustomization(ctx, &object, &run, outcome).await;
    }
    if object.metadata.deletion_timestamp.is_some() {
        ctx.drift.forget(&target);
        quota::makes_room(ctx, id);
        return withdraw::reconcile(ctx, &object, &run).await;
    }
    if let Some(next) = awaited(ctx, id, &object).await {
        return next;
    }
    let state = ownership::state(ctx, id, &object);
    let begun = match quota::begin(ctx, id, &object) {
        Ok(begun) => begun,
        Err(why) => {
            let outcome = early(ctx, &run, why);
            return report::kustomization(ctx, &object, &run, outcome).await;
        }
    };
    let outcome = match report::adopt(ctx, &*object, &run).await {
        Ok(()) => deliver(ctx, &object, &run, course.over()).await,
        Err(why) => early(ctx, &run, why),
    };
    begun.iter().for_each(|begun| begun.wrote(&outcome));
    let lets_go = matches!(outcome, KustomizationOutcome::Delivered(_));
    ownership::over(ctx, id, &object, state, lets_go);
    proposals::look_again(ctx, id);
    if let Some(next) = yielding::waits(&outcome) {
        return next;
    }
    if supply::awaits_first_look(ctx, &object, &outcome) {
        return Next::Watch;
    }
    let mut stages = ctx.metrics.stages();
    let next = report::kustomization(ctx, &object, &run, outcome).await;
    stages.end(Stage::Report);
    recall::settle(ctx, id, &object).await;
    judge::no_later(ctx, &object, next)
}

/// When to look again, where what it goes by is not all there yet.
async fn awaited(ctx: &Context, id: &NamespacedName, object: &Kustomization) -> Option<Next> {
    if supply::awaits_source(ctx, object) {
        return Some(Next::Watch);
    }
    if above::is_awaited(ctx, id) {
        return Some(Next::After(SOON));
    }
    yielding::are_awaited(ctx).await.map(Next::After)
}

/// A run that only tells what became of what the last one applied; if anything else has changed since, a whole one.
pub(super) async fn tell(ctx: &Arc<Context>, id: &NamespacedName) -> Next {
    match health::told(ctx, id).await {
        Some(next) => next,
        None => reconcile(ctx, id).await,
    }
}

async fn deliver(
    ctx: &Arc<Context>,
    object: &Arc<Kustomization>,
    run: &Arc<Run>,
    over: &CancellationToken,
) -> KustomizationOutcome {
    // read: what is wanted, by whom, and whether it may be
    let asked = match read(ctx, object).await {
        Ok(Some(asked)) => asked,
        Ok(None) => return KustomizationOutcome::Suspended,
        Err(why) => return early(ctx, run, why),
    };
    let wanted = match reach(ctx, object, asked, over).await {
        Ok(wanted) => wanted,
        Err(why) => return early(ctx, run, why),
    };
    let revision = wanted.stored.artifact.revision.to_string();
    let until = Until {
        deadline: Instant::now() + wanted.spec.timeout,
        over: over.clone(),
    };
    let progress = Announced::new(KustomizationProgress::Fetching);
    let room = Room::of_a_run();
    let page = |previous: &KustomizationStatus, frame: &Frame<'_>, at| {
        let timeout = wanted.spec.timeout;
        status::announce_kustomization(previous, frame, at, &revision, timeout)
    };
    let work = async {
        // decide: nothing below this line and above the next reaches the cluster but to ask what kinds it serves
        progress.at(KustomizationProgress::Building);
        let prepared = tokio::select! {
            biased;
            () = over.cancelled() => return Err(Stopped::superseded()),
            prepared = ready(ctx, object, &wanted, &room, until.deadline) => prepared?,
        };
        // write: as the tenant, or to where another agent finds it
        progress.at(KustomizationProgress::DetectingDrift);
        Ok::<_, Stopped>(match &wanted.place {
            None => apply::apply(ctx, object, &wanted, prepared, &until, run, &progress).await,
            Some(place) => {
                commit::commit(ctx, object, &wanted, place, &prepared, &until, run).await
            }
        })
    };
    let outcome = report::announcing(ctx, &**object, run, &progress, page, work).await;
    match outcome {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(failed)) => wanted.stopped(Failed {
            took: run.took(ctx),
            ..*failed
        }),
        Err(Stopped { why, digest }) => wanted.stopped(Failed {
            attempted: Some(revision),
            digest,
            ..Failed::early(why, run.took(ctx))
        }),
    }
}

/// What is asked for: an admitted spec, what its source has in store, and what the last runs left somewhere.
struct Asked {
    spec: AdmittedSpec,
    tenant: Tenant,
    stored: Stored<Files>,
    inventory: Inventory,
    place: Option<Place>,
}

/// What a run works from: the same, and the cluster that it is carried out on.
struct Wanted {
    spec: AdmittedSpec,
    tenant: Tenant,
    stored: Stored<Files>,
    /// What the last runs left on that cluster.
    inventory: Inventory,
    client: TenantClient,
    /// What they left on another.
    left: Option<Left>,
    /// What of it must not be told.
    cover: Cover,
    /// Where it is delivered to; None: it is applied.
    place: Option<Place>,
}

impl Wanted {
    /// By whose turn it is built: what is only looked at waits for others that are, and keeps nothing that is applied.
    fn whose(&self) -> String {
        let tenant = &self.tenant.name;
        match self.cover.is_aside() {
            true => format!("{tenant}, looking"),
            false => tenant.to_string(),
        }
    }

    /// The GitRepository that it is built from, if it is one.
    fn git(&self) -> Option<NamespacedName> {
        let source = &self.spec.source;
        (source.kind == SourceKind::GitRepository).then(|| source.key())
    }

    /// What must not be told of what was built from it.
    fn veil(&self) -> &Veil {
        self.cover.veil()
    }

    fn stopped(&self, mut failed: Failed) -> KustomizationOutcome {
        let veil = self.veil();
        failed.why = veil.over(failed.why);
        failed.unhealthy = failed.unhealthy.map(|why| veil.cover(why));
        stopped(failed)
    }
}

/// Parses, asks policy about the spec before a byte of the source is opened, and finds the source. `None`: suspended.
async fn read(ctx: &Context, object: &Kustomization) -> Result<Option<Asked>, Explained> {
    let Some(spec) = parse(object)? else {
        return Ok(None);
    };
    let inventory = recorded(object)?;
    let tenant = owner(ctx, &spec)?;
    let source = spec.source.clone();
    let supply = supply::look(ctx, &source);
    let stored = supply.as_ref().ok().and_then(Supply::stored);
    let place = above::place(ctx, &spec, &tenant)?;
    // Who cannot say which side is right writes nothing.
    ctx.index.read(|known| truth(known, spec.truth, &tenant))?;
    let spec = judge::spec(ctx, object, &tenant, spec, stored).await?;
    Ok(Some(Asked {
        stored: supply?.bring(ctx, &source, &tenant).await?,
        spec,
        tenant,
        inventory,
        place,
    }))
}

/// What it depends on is ready, and the cluster that it is carried out on there.
async fn reach(
    ctx: &Arc<Context>,
    object: &Kustomization,
    asked: Asked,
    over: &CancellationToken,
) -> Result<Wanted, Explained> {
    if asked.place.is_some() {
        ownership::delivers(ctx, &asked.spec.id, object);
    }
    if let Err(why) = depend::check(ctx, object, &asked).await {
        foretell::foretell(ctx, object, asked, over).await;
        return Err(why);
    }
    yielding::reach(ctx, object, asked, over).await
}

/// What [`read`] would say about an object that is not there yet.
pub(super) fn review(ctx: &Context, object: &Kustomization) -> Result<Review, Explained> {
    let Some(spec) = parse(object)? else {
        return Ok(Review::default());
    };
    let all = |known: &Known| known.tenants_listed && known.policies_listed;
    if !ctx.index.read(all) {
        let says = "this replica has just started: tenants and policies are asked when the Kustomization is reconciled";
        return Ok(Review::warning(vec![says.to_owned()]));
    }
    let tenant = owner(ctx, &spec)?;
    judge::review(ctx, object, &tenant, spec)
}

/// `None`: suspended.
fn parse(object: &Kustomization) -> Result<Option<Spec>, Explained> {
    if object.spec.suspend {
        // Before anything else of it is looked at: whoever parks an object need not mend it first.
        return Ok(None);
    }
    let spec = Spec::parse(object).map_err(|why| Explained::of(&why))?;
    Ok(Some(spec))
}

/// Whose it is, if it is anybody's, and its source and the cluster are theirs to use.
fn owner(ctx: &Context, spec: &Spec) -> Result<Tenant, Explained> {
    let namespace = &spec.id.namespace;
    let tenant = ctx
        .index
        .read(|known| known.tenants.owner_of(&ctx.grounds, namespace))?;
    tenancy::may_use_source(&ctx.grounds, &tenant, namespace, &spec.source)?;
    reeve_core::abroad::may_leave(&ctx.grounds, &tenant, spec)?;
    Ok(tenant)
}

/// What the last runs left on the cluster. One that cannot be read stops everything: who cannot say what is there must
/// not prune.
fn recorded(object: &Kustomization) -> Result<Inventory, Explained> {
    Inventory::parse(entries(object)).map_err(|why| Explained::of(&why))
}

/// Id and version of each entry of the inventory in the status.
fn entries(object: &Kustomization) -> impl Iterator<Item = (&str, &str)> {
    let inventory = object
        .status
        .as_ref()
        .and_then(|status| status.inventory.as_ref());
    let entries = inventory
        .into_iter()
        .flat_map(|inventory| &inventory.entries);
    entries.map(|entry| (entry.id.as_str(), entry.version.as_str()))
}

/// A plan that policy has let pass, and what it was built from.
struct Prepared {
    plan: Plan<Admitted>,
    digest: String,
    remote_bases: Vec<RemoteBase>,
    /// Where its manifests come from.
    from: String,
    /// Why nothing is deleted yet, if so.
    hold: Option<Explained>,
    /// What was built before, if that is still kept.
    former: Option<Arc<Packed>>,
}

/// What plugins make of a bundle; whatever they were shown is not to be told from then on.
async fn transformed(
    ctx: &Arc<Context>,
    wanted: &Wanted,
    room: &Room,
    requested: Option<&str>,
    bundle: Bundle<Rendered>,
) -> Result<Bundle<Transformed>, Explained> {
    let source = wanted.git();
    let caller = Caller {
        kustomization: &wanted.spec.id,
        tenant: &wanted.tenant.name,
        source: source.as_ref(),
        revision: &wanted.stored.artifact.revision.to_string(),
        requested,
        room,
        veil: wanted.veil(),
        aside: false,
    };
    let transformed = transform(ctx, caller, bundle).await?;
    cover::transformed(ctx, wanted, transformed.secret());
    Ok(transformed)
}

/// What is prepared, once its source is archived: until then that may be taken back.
async fn ready(
    ctx: &Arc<Context>,
    object: &Kustomization,
    wanted: &Wanted,
    room: &Room,
    deadline: Instant,
) -> Result<Prepared, Stopped> {
    let prepared = prepare(ctx, object, wanted, room, deadline).await?;
    match wanted.stored.archived.wait().await {
        true => Ok(prepared),
        false => Err(Stopped::superseded()),
    }
}

/// Render, transform, plan, policy.
async fn prepare(
    ctx: &Arc<Context>,
    object: &Kustomization,
    wanted: &Wanted,
    room: &Room,
    deadline: Instant,
) -> Result<Prepared, Stopped> {
    let mut stages = ctx.metrics.stages();
    let former = ctx.renders.last(&wanted.spec.id);
    let built = build::build(ctx, wanted, room, deadline).await;
    stages.end(Stage::Build);
    let built = built.map_err(Stopped::early)?;
    let revision = wanted.stored.artifact.revision.to_string();
    let requested = object.annotations().get(RECONCILE_REQUEST).map(|it| &**it);
    let transformed = transformed(ctx, wanted, room, requested, built.bundle);
    let transformed = tokio::time::timeout_at(deadline, transformed).await;
    stages.end(Stage::Transform);
    let transformed = transformed
        .unwrap_or_else(|_| Err(late()))
        .map_err(Stopped::early)?;
    let digest = transformed.digest().to_string();
    let stop = |why| Stopped {
        why,
        digest: Some(digest.clone()),
    };
    let proposed = propose(ctx, object, wanted, transformed, (&revision, requested)).await;
    stages.end(Stage::Plan);
    let (proposed, unheard) = proposed.map_err(stop)?;
    quota::objects(ctx, wanted, &proposed).map_err(stop)?;
    let from = Some((wanted, deadline));
    let (tenant, veil) = (&wanted.tenant, wanted.veil());
    let plan = judge::plan(ctx, object, tenant, &wanted.spec, proposed, from, veil).await;
    stages.end(Stage::Judge);
    let plan = plan.map_err(stop)?;
    let from = caution::origin(object, wanted);
    let hold = caution::judge(object, wanted, &plan, &from, &unheard).map_err(stop)?;
    tracing::debug!(name = ?object.metadata.name, objects = plan.objects().count(), "admitted");
    Ok(Prepared {
        plan,
        digest,
        remote_bases: built.remote_bases,
        from,
        hold,
        former,
    })
}

/// What it would take, and who may want what it deletes and has not said so. What is delivered prunes nothing on a cluster, and
/// shares nothing there with anybody.
async fn propose(
    ctx: &Context,
    object: &Kustomization,
    wanted: &Wanted,
    bundle: Bundle<Transformed>,
    (revision, requested): (&str, Option<&str>),
) -> Result<(Plan<Proposed>, Vec<Unheard>), Explained> {
    let scopes = wanted.client.scopes().await;
    let before = match &wanted.place {
        None => wanted.inventory.clone(),
        Some(_) => Inventory::default(),
    };
    let proposed = Plan::propose(bundle, &scopes, &before, &wanted.spec);
    let proposed = proposed.map_err(|why| Explained::of(&why))?;
    let proposed = proposed.on(revision, requested);
    match wanted.place {
        None => ownership::settle(ctx, object, wanted, proposed).await,
        Some(_) => Ok((proposed, Vec::new())),
    }
}

fn late() -> Explained {
    let message = "plugins, and waiting for room for a large bundle, took longer than spec.timeout";
    Explained::new(Reason::PluginFailed, Turn::Retry, message)
        .with_hint("split the Kustomization: of a tenant's large ones one is applied at a time")
}
