//! What came of a run: status, event, log line, metric, and when the next one is. The only writer of status.
//!
//! What to say is `core::status`'s; here it is written, once, and what was written is put into the index at once, so
//! that the next run never starts from a status older than its own. A status that cannot be written is tried again with
//! the whole run: runs are idempotent.

mod bad;
mod drift;
mod kind;
mod run;
mod source;
mod writeback;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use kube::core::object::HasStatus;
use reeve_api::kustomization::{Kustomization, SyncStatus};
use reeve_api::name::{NamespacedName, PolicyName, TenantName};
use reeve_api::plugin::PluginStatus;
use reeve_api::policy::{Mode, Policy, Replayed};
use reeve_api::reason::Reason;
use reeve_api::tenant::{Project, Tenant};
use reeve_core::admit::{self, Answers, Denied, Rules};
use reeve_core::depend;
use reeve_core::failure::{Explain as _, Explained, Turn, chain};
use reeve_core::index::Target;
use reeve_core::inventory::{self, Inventory};
use reeve_core::plugin::PluginId;
use reeve_core::schedule::Next;
use reeve_core::spec;
use reeve_core::status::{
    self, Change, Frame, KustomizationOutcome, PluginOutcome, PolicyOutcome, TenantOutcome, Told,
};

pub(super) use bad::{undecodable, unreadable as unreadable_object};
pub(super) use drift::{drifted, fought};
pub(super) use kind::{Reported, adopt, farewell, is_adopted};
pub(super) use run::{Announced, Run};
pub(super) use source::{left_behind, note, receiver, source};
pub(super) use writeback::{writeback, written_back};

use crate::cluster;
use crate::context::Context;
use crate::observe::happening::{self, Ending, ReconcileEnded, Verdict};
use crate::observe::{Force, span};

/// How long a run goes on before it says what it is doing. Most are over sooner, and cost one write of their status.
const QUIET: Duration = Duration::from_secs(1);
/// How soon a run is made again whose status could not be written.
const WRITE_AGAIN: Duration = Duration::from_secs(2);
/// How soon a plugin is loaded again that could not be, when nothing tells of a change.
const RETRY_PLUGIN: Duration = Duration::from_secs(60);

/// Tells what came of a run of a Kustomization.
pub(super) async fn kustomization(
    ctx: &Context,
    object: &Kustomization,
    run: &Run,
    outcome: KustomizationOutcome,
) -> Next {
    let previous = object.status.clone().unwrap_or_default();
    let wanted = &object.spec;
    let interval = wanted.interval.get();
    let retry = wanted.retry_interval.as_ref();
    let retry = retry.map(reeve_api::duration::Duration::get);
    let timeout = spec::timeout(wanted);
    let frame = run.frame(ctx, interval, retry);
    let told = status::tell_kustomization(&previous, &frame, timeout, &outcome);
    let (ending, revision) = match &outcome {
        KustomizationOutcome::Applied(done) => (Ending::Succeeded, Some(done.revision.as_str())),
        KustomizationOutcome::Settling(waits) => {
            let message = "what was applied is not healthy yet";
            (
                Ending::Waiting { message },
                Some(waits.done.revision.as_str()),
            )
        }
        KustomizationOutcome::Delivered(done) => (Ending::Succeeded, Some(done.revision.as_str())),
        KustomizationOutcome::Withdrawn { .. } => (Ending::Succeeded, None),
        KustomizationOutcome::Suspended => (Ending::Suspended, None),
        KustomizationOutcome::Superseded(stopped) => {
            let message = stopped.why.message.as_str();
            (Ending::Waiting { message }, stopped.attempted.as_deref())
        }
        KustomizationOutcome::Failed(stopped) => {
            (failed(&stopped.why), stopped.attempted.as_deref())
        }
    };
    let news = depend::has_news(object.status.as_ref(), Some(&told.status));
    let next = finish(ctx, object, run, told, ending, revision).await;
    if let Some(Target::Kustomization(id)) = run.target().filter(|_| news) {
        wake_waiting_for(ctx, id);
    }
    next
}

/// Wakes the Kustomizations that wait for this one to be ready.
pub(super) fn wake_waiting_for(ctx: &Context, id: &NamespacedName) {
    let waiting: Vec<NamespacedName> = ctx
        .index
        .read(|known| known.touch.waiting_for(id).cloned().collect());
    for id in waiting {
        span::wakes(&Target::Kustomization(id.clone()));
        ctx.queues.kustomizations.wake(id);
    }
}

/// Tells a Tenant what it has.
pub(super) async fn tenant(ctx: &Context, object: &Tenant, outcome: TenantOutcome) -> Next {
    let run = Run::of_platform(ctx, object);
    let previous = object.status.clone().unwrap_or_default();
    let told = status::tell_tenant(
        &previous,
        &run.frame(ctx, Duration::MAX, Duration::MAX),
        &outcome,
    );
    let ending = outcome.wrong.as_ref().map_or(Ending::Succeeded, failed);
    finish(ctx, object, &run, told, ending, None).await
}

/// Tells a Project who names it.
pub(super) async fn project(ctx: &Context, object: &Project, members: Vec<TenantName>) {
    let run = Run::of_platform(ctx, object);
    let previous = object.status.clone().unwrap_or_default();
    let frame = run.frame(ctx, Duration::MAX, Duration::MAX);
    let told = status::tell_project(&previous, &frame, members);
    let _next = finish(ctx, object, &run, told, Ending::Succeeded, None).await;
}

/// Tells whether a plugin may be called, and how its calls went. It is looked at again after `every`.
pub(super) async fn plugin<K>(
    ctx: &Context,
    object: &K,
    run: &Run,
    id: &PluginId,
    outcome: PluginOutcome,
    every: Duration,
) -> Next
where
    K: Reported + HasStatus<Status = PluginStatus>,
{
    let previous = object.status().cloned().unwrap_or_default();
    let tally = ctx.index.write(|known| {
        known.calls.untold.remove(id);
        known.calls.tallies.get(id).cloned().unwrap_or_default()
    });
    let retry = every.min(RETRY_PLUGIN);
    let told = status::tell_plugin(&previous, &run.frame(ctx, every, retry), &outcome, &tally);
    let ending = match &outcome {
        PluginOutcome::Loaded { .. } => Ending::Succeeded,
        PluginOutcome::Failed(why) | PluginOutcome::Kept { why, .. } => failed(why),
    };
    finish(ctx, object, run, told, ending, None).await
}

/// An inventory, and on which cluster it is; None: on this one.
pub(super) struct Placed<'i> {
    pub(super) cluster: Option<&'i str>,
    pub(super) all: &'i Inventory,
    /// What of it is deleted to be made anew, by the ids.
    pub(super) replacing: BTreeSet<String>,
}

/// Writes the inventory of a run that is about to leave more on the cluster than the last one did, and how far its sync is.
pub(super) async fn record(
    ctx: &Context,
    object: &Kustomization,
    run: &Run,
    inventory: Placed<'_>,
    sync: Option<SyncStatus>,
) -> Result<(), Explained> {
    let mut status = object.status.clone().unwrap_or_default();
    status.inventory = Some(status::typed_inventory(inventory.all));
    status.inventory_cluster = inventory.cluster.map(str::to_owned);
    status.replacing = status::typed_replacing(&inventory.replacing);
    status.sync = sync.or(status.sync);
    run.write(ctx, object, &status)
        .await
        .map_err(|why| Explained::of(&why))
}

/// Does `work`, and says on the object how far it is when it takes long.
pub(super) async fn announcing<K: Reported, P: Clone, T>(
    ctx: &Context,
    object: &K,
    run: &Run,
    announced: &Announced<P>,
    page: impl Fn(&K::Status, &Frame<'_>, P) -> K::Status,
    work: impl Future<Output = T>,
) -> T {
    let mut work = std::pin::pin!(work);
    let mut ticks = tokio::time::interval_at(tokio::time::Instant::now() + QUIET, QUIET);
    loop {
        tokio::select! {
            biased;
            done = &mut work => return done,
            _ = ticks.tick() => {
                let Some(progress) = announced.news() else { continue };
                let frame = run.frame(ctx, Duration::MAX, Duration::MAX);
                let page = |before: &K::Status| page(before, &frame, progress);
                run.write_if_free(ctx, object, page).await;
            }
        }
    }
}

/// Counts and logs what policy denied, objection by objection.
pub(super) fn denied(ctx: &Context, why: &Denied) {
    for objection in why.objections() {
        ctx.metrics.tell(&happening::Denied {
            policy: &objection.policy,
            message: &objection.message,
        });
    }
}

/// Counts and times every rule that was asked.
pub(super) fn judged(ctx: &Context, rules: &Rules, answers: &Answers) {
    for rule in rules.iter() {
        let Some(took) = answers.took.get(&rule.name) else {
            continue;
        };
        let of = answers.findings.iter();
        let findings = || of.clone().filter(|one| one.objection.policy == rule.name);
        let is = |verdict: fn(&admit::Verdict) -> bool| {
            let mut all = findings();
            all.any(|one| verdict(&one.verdict))
        };
        let verdict = if findings().any(|one| one.objection.broken) {
            Verdict::Broken
        } else if is(|one| *one == admit::Verdict::Denied) {
            Verdict::Denied
        } else if is(|one| matches!(one, admit::Verdict::Tolerated(_))) {
            Verdict::Tolerated
        } else if findings().next().is_some() {
            Verdict::Warned
        } else {
            Verdict::Allowed
        };
        ctx.metrics.tell(&happening::Judged {
            policy: &rule.name,
            mode: rule.mode,
            verdict,
            took: *took,
        });
    }
}

/// What policies warn a tenant of.
pub(super) fn warnings(answers: &Answers) -> Vec<String> {
    let told = answers.findings.iter();
    let told = told.filter(|one| one.mode != Mode::Audit && !one.stops());
    let told = told.map(|one| {
        let (policy, message) = (&one.objection.policy, &one.objection.message);
        match &one.verdict {
            admit::Verdict::Tolerated(why) => {
                format!("policy {policy} tolerates: {message} ({why})")
            }
            _ => format!("policy {policy} warns: {message}"),
        }
    });
    told.collect()
}

/// Tells a tenant, in one event, what policies warn it of.
pub(super) fn warned(ctx: &Context, object: &Kustomization, answers: &Answers) {
    let message = warnings(answers).join("; ");
    if message.is_empty() {
        return;
    }
    let event = status::Event {
        type_: status::EventType::Warning,
        reason: Reason::PolicyWarning,
        message: status::bounded(&message, status::MAX_EVENT_MESSAGE),
        metadata: Default::default(),
    };
    kind::tell::<Kustomization>(ctx, &object.metadata, event);
}

/// The policy that this one is to stand in for.
pub(super) fn compared_with(object: &Policy) -> Option<PolicyName> {
    object.spec.compared_with.as_ref()?.parse().ok()
}

/// Tells which rules of a Policy are in force, and what they say.
pub(super) async fn policy(
    ctx: &Context,
    object: &Policy,
    run: &Run,
    name: &PolicyName,
    outcome: PolicyOutcome,
) -> Next {
    let previous = object.status.clone().unwrap_or_default();
    let instead = compared_with(object);
    let said = ctx.index.write(|known| {
        let instead = instead.filter(|name| known.policies.contains_key(name));
        known.said.tell(name, object.spec.mode, instead.as_ref())
    });
    let frame = run.frame(ctx, Duration::MAX, RETRY_PLUGIN);
    let told = status::tell_policy(&previous, &frame, &outcome, said);
    let force = Force {
        any: !matches!(outcome, PolicyOutcome::Failed(_)),
        failed: !matches!(outcome, PolicyOutcome::InForce(_)),
    };
    ctx.metrics.policy(name.as_str(), object.spec.mode, force);
    let ending = match &outcome {
        PolicyOutcome::InForce(_) => Ending::Succeeded,
        PolicyOutcome::Failed(why) | PolicyOutcome::Kept { why, .. } => failed(why),
    };
    finish(ctx, object, run, told, ending, None).await
}

/// Tells what rules would change that are replayed, or why nobody can say so.
pub(super) async fn replay(
    ctx: &Context,
    object: &Policy,
    run: &Run,
    outcome: Result<Replayed, Explained>,
) -> Next {
    let previous = object.status.clone().unwrap_or_default();
    let frame = run.frame(ctx, Duration::MAX, RETRY_PLUGIN);
    let told = status::tell_replay(&previous, &frame, &outcome);
    let ending = outcome.as_ref().err().map_or(Ending::Succeeded, failed);
    finish(ctx, object, run, told, ending, None).await
}

/// Counts and logs what was written.
pub(super) fn applied(
    ctx: &Context,
    _object: &Kustomization,
    changes: &[Change],
    pruned: &[Change],
) {
    for changes in [changes, pruned] {
        ctx.metrics.tell(&happening::Applied { changes });
    }
}

/// Says what stays behind when a Kustomization is let go without its objects being deleted.
pub(super) fn orphaned(ctx: &Context, object: &Kustomization, why: &Explained, left: &Inventory) {
    let subjects: Vec<String> = left
        .entries()
        .take(20)
        .map(|entry| entry.id.subject())
        .collect();
    let subjects = subjects.join(", ");
    let message = format!("let go without pruning, since {why}; left as they are: {subjects}");
    warn(ctx, object, Reason::PruneFailed, &message);
}

/// Says which objects others hold too.
pub(super) fn shares(ctx: &Context, object: &Kustomization, message: &str) {
    warn(ctx, object, Reason::OwnershipConflict, message);
}

/// Says what was still on its way out when a Kustomization was let go.
pub(super) fn lingering(ctx: &Context, object: &Kustomization, going: &Inventory) {
    let subjects = going.entries().take(20).map(|entry| entry.id.subject());
    let subjects: Vec<String> = subjects.collect();
    let message = format!(
        "failed to wait for resources termination: {}",
        subjects.join(", ")
    );
    warn(ctx, object, Reason::PruneFailed, &message);
}

/// Says that hooks that run at the end have not done what they are there for.
pub(super) fn unparted(ctx: &Context, object: &Kustomization, why: &str) {
    let message = format!("let go without its hooks for PostDelete: {why}");
    warn(ctx, object, Reason::HealthCheckFailed, &message);
}

/// Says what could not even be named when a Kustomization is let go.
pub(super) fn unreadable(ctx: &Context, object: &Kustomization, entries: &[inventory::Error]) {
    let told: Vec<String> = entries.iter().take(20).map(ToString::to_string).collect();
    if !told.is_empty() {
        let message = format!("let go, but not all of it was pruned: {}", told.join(", "));
        warn(ctx, object, Reason::PruneFailed, &message);
    }
}

/// Says what could not be told at a forge about an object.
pub(super) fn untold<K: Reported>(ctx: &Context, object: &K, why: &Explained) {
    warn(ctx, object, why.reason, &status::words(why));
}

fn warn<K: Reported>(ctx: &Context, object: &K, reason: Reason, message: &str) {
    tracing::warn!("{message}");
    let event = status::Event {
        type_: status::EventType::Warning,
        reason,
        message: status::bounded(message, status::MAX_EVENT_MESSAGE),
        metadata: Default::default(),
    };
    kind::tell::<K>(ctx, object.meta(), event);
}

fn failed(why: &Explained) -> Ending<'_> {
    Ending::Failed {
        reason: why.reason.as_str(),
        message: &why.message,
    }
}

/// Writes, remembers, emits, logs, counts.
async fn finish<K: Reported>(
    ctx: &Context,
    object: &K,
    run: &Run,
    told: Told<K::Status>,
    ending: Ending<'_>,
    revision: Option<&str>,
) -> Next {
    let mut next = told.next;
    match run.write(ctx, object, &told.status).await {
        Ok(()) => {
            if let Some(target) = run.target() {
                ctx.index.remember(target, told.memory);
            }
            told.events
                .into_iter()
                .for_each(|event| kind::tell::<K>(ctx, object.meta(), event));
        }
        Err(why) => {
            tracing::warn!(
                error = chain(&why),
                "writing the status failed, the run is made again"
            );
            next = Next::After(match why.turn() {
                Turn::Later(wait) => wait.max(WRITE_AGAIN),
                _ => WRITE_AGAIN,
            });
        }
    }
    let after = match next {
        Next::After(wait) => Some(wait),
        Next::Watch => None,
    };
    let failed = match ending {
        Ending::Failed { reason, .. } => Some(reason),
        Ending::Succeeded | Ending::Suspended | Ending::Waiting { .. } => None,
    };
    span::came_to(revision, failed);
    let took = run.took(ctx);
    let object = kind::observed(object.meta());
    let object = object.of(K::KIND);
    ctx.metrics.tell(&ReconcileEnded {
        object,
        ending,
        revision,
        took,
        next: after,
    });
    next
}

/// What a write of a status came to.
type Wrote = Result<(), cluster::CallError>;

/// The status that a run wrote, put to the object that the index knows: its spec may be a newer one than the run's.
fn remember<K: Reported>(ctx: &Context, object: &K, version: String, status: &K::Status) {
    ctx.index.write(|known| {
        if let Some(slot) = K::slot(known, object)
            && slot.meta().uid == object.meta().uid
        {
            let now = Arc::make_mut(slot);
            now.meta_mut().resource_version = Some(version);
            *now.status_mut() = Some(status.clone());
        }
    });
}
