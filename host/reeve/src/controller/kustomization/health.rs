//! What was applied becomes healthy, or doesn't; and no worker is held meanwhile.
//!
//! A run looks once. When all is well then, it ends as ever; else it ends with what is waited for in the status, a vigil
//! watches over the objects, and a run that only tells comes when that has ended. What is healthy is `core::health`'s to
//! say.

use std::sync::Arc;
use std::time::Duration;

use kube::ResourceExt as _;
use reeve_api::RECONCILE_REQUEST;
use reeve_api::duration::Duration as GoDuration;
use reeve_api::kustomization::Kustomization;
use reeve_api::name::NamespacedName;
use reeve_api::reason::Reason;
use reeve_core::admit::AdmittedSpec;
use reeve_core::failure::{Explained, Turn};
use reeve_core::health;
use reeve_core::index::Target;
use reeve_core::plan::{Admitted, Plan};
use reeve_core::schedule::{self, Next};
use reeve_core::status::{Applied, Failed, Health, KustomizationOutcome, Settling, Wait};
use tokio::time::Instant;

use super::walk::Pause;
use super::{Wanted, judge};
use crate::cluster::{Looks, TenantClient, Until, Vigil};
use crate::context::Context;
use crate::controller::report::{self, Run};
use crate::controller::vigils::{Course, Over, Ticket};
use crate::index::Edition;
use crate::observe::span;

/// How long the look takes at most that a run makes itself; what it didn't come to is looked at by the vigil.
pub(super) const FIRST_LOOK: Duration = Duration::from_secs(5);
/// How soon a vigil is asked after that has not ended.
const LATER: Duration = Duration::from_secs(60);

/// Looks at what was applied, and begins to watch over it if it is not all well.
pub(super) async fn settle(
    ctx: &Arc<Context>,
    object: &Kustomization,
    wanted: &Wanted,
    plan: &Plan<Admitted>,
    done: Applied,
    until: &Until,
    run: &Run,
) -> Result<KustomizationOutcome, Box<Failed>> {
    let spec = &wanted.spec;
    let scopes = wanted.client.scopes().await;
    let changes = [done.changes.as_slice(), &done.pruned].concat();
    let took = run.took(ctx);
    let Some(checks) = health::checks(spec, plan, &changes, &scopes) else {
        return Ok(KustomizationOutcome::Applied(Applied { took, ..done }));
    };
    let client = wanted.client.clone();
    let soon = Until {
        deadline: until.deadline.min(Instant::now() + FIRST_LOOK),
        over: until.over.clone(),
    };
    let begun = ctx.clock.instant();
    let looks = client.look(checks, &soon).await;
    span::took("health", begun.elapsed(), Vec::new);
    let wait = wait_for(ctx, object, &done, run);
    let over = Over {
        edition: Edition::of(&object.metadata),
        requested: object.annotations().get(RECONCILE_REQUEST).cloned(),
        done: Applied { took, ..done },
        wait,
        goes_on: false,
        veil: wanted.veil().clone(),
    };
    match looks.end() {
        Some(end) => match ended(ctx, over, end) {
            KustomizationOutcome::Failed(failed) => Err(Box::new(failed)),
            well => Ok(well),
        },
        None => {
            let mut over = over;
            let settling = Settling {
                done: over.done.clone(),
                since: over.wait.since,
                wave: None,
            };
            // They are told now, not once more when all is well.
            over.done.changes.clear();
            over.done.pruned.clear();
            watch(ctx, spec, client, looks, over);
            Ok(KustomizationOutcome::Settling(settling))
        }
    }
}

/// Begins to watch over a wave; the next run goes on when it is well, has failed, or time is up.
pub(super) fn wait(
    ctx: &Arc<Context>,
    object: &Kustomization,
    wanted: &Wanted,
    pause: Pause,
    done: Applied,
) -> Settling {
    let spec = &wanted.spec;
    let Pause { looks, wait, words } = pause;
    let since = wait.since;
    let over = Over {
        edition: Edition::of(&object.metadata),
        requested: object.annotations().get(RECONCILE_REQUEST).cloned(),
        done: done.clone(),
        wait,
        goes_on: true,
        veil: wanted.veil().clone(),
    };
    watch(ctx, spec, wanted.client.clone(), looks, over);
    Settling {
        done,
        since,
        wave: Some(words),
    }
}

/// What is waited for: a run that changed nothing goes on with the wait of the last.
fn wait_for(ctx: &Context, object: &Kustomization, done: &Applied, run: &Run) -> Wait {
    let wait = Wait {
        generation: object.metadata.generation.unwrap_or_default(),
        revision: done.revision.clone(),
        wave: None,
        since: ctx.clock.now(),
    };
    let mut all = done.changes.iter().chain(&done.pruned);
    match all.any(|change| change.action.is_change()) {
        true => wait,
        false => wait.resumed(run.ended(), object.status.as_ref()),
    }
}

/// Watches over what was looked at, in a task of its own.
fn watch(ctx: &Arc<Context>, spec: &AdmittedSpec, client: TenantClient, looks: Looks, over: Over) {
    let passed = ctx.clock.passed(over.wait.since);
    let deadline = Instant::now() + spec.timeout.saturating_sub(passed);
    let (id, queue) = (spec.id.clone(), ctx.queues.kustomizations.clone());
    let (trace, begun) = (span::branch(), ctx.clock.instant());
    let begin = |ticket: Ticket| {
        let id = id.clone();
        let task = async move {
            let end = client.watch_over(looks, deadline).await;
            let told = ticket.ends(end);
            if let Some(trace) = trace {
                trace.took("health", begun.elapsed(), Vec::new());
                if told {
                    trace.wakes(&Target::Kustomization(id.clone()));
                }
            }
            if told {
                queue.nudge(id);
            }
        };
        tokio::spawn(task).abort_handle()
    };
    ctx.vigils.begin(&spec.id, over, begin);
}

/// What became of what was watched over, told; None: there is nothing to tell, and something else to do.
pub(super) async fn told(ctx: &Arc<Context>, id: &NamespacedName) -> Option<Next> {
    let (over, end) = match ctx.vigils.course(id) {
        Course::Nothing => return None,
        Course::Waiting => return Some(Next::After(LATER)),
        Course::Ended(over, end) => (*over, end),
    };
    let object = ctx
        .index
        .read(|known| known.kustomizations.get(id).cloned())?;
    if !is_about(ctx, id, &object, &over) {
        return None;
    }
    let run = Run::begin(ctx, Target::Kustomization(id.clone()), &*object);
    let outcome = ended(ctx, over, end);
    let next = report::kustomization(ctx, &object, &run, outcome).await;
    Some(judge::no_later(ctx, &object, next))
}

/// Whether what was watched over is what is wanted now.
fn is_about(ctx: &Context, id: &NamespacedName, object: &Kustomization, over: &Over) -> bool {
    let meta = &object.metadata;
    let stored = || ctx.index.read(|known| known.revision_for(id));
    Edition::of(meta) == over.edition
        && meta.deletion_timestamp.is_none()
        && object.annotations().get(RECONCILE_REQUEST) == over.requested.as_ref()
        && stored().as_ref() == Some(&over.done.revision)
}

/// What a run came to whose objects have become healthy, or won't.
fn ended(ctx: &Context, over: Over, end: Vigil) -> KustomizationOutcome {
    let Over {
        done, wait, veil, ..
    } = over;
    let waited = ctx.clock.passed(wait.since);
    let took = done.took.saturating_add(waited);
    match end {
        Vigil::Well => KustomizationOutcome::Applied(Applied {
            health: Health::Passed(waited),
            took,
            ..done
        }),
        Vigil::Unwell(why) => {
            // An object tells what it likes of its manifest.
            let why = veil.cover(why);
            // Whole seconds: the same failure is told in the same words at the next try.
            let after = match waited.as_secs() {
                0 => schedule::rounded(waited),
                seconds => Duration::from_secs(seconds),
            };
            let after = GoDuration::from(after);
            let message = format!("health check failed after {after}: {why}");
            KustomizationOutcome::Failed(Failed {
                attempted: Some(done.revision),
                changes: [done.changes, done.pruned].concat(),
                inventory: Some(done.inventory),
                course: Some(done.course),
                digest: Some(done.digest),
                recollected: done.recollected,
                sync: done.sync,
                unhealthy: Some(why),
                ..Failed::early(
                    Explained::new(Reason::HealthCheckFailed, Turn::Retry, message),
                    took,
                )
            })
        }
    }
}
