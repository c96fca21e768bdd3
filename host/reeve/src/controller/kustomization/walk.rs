//! A run goes through its plan wave by wave, until one has to be waited for.
//!
//! Without waves and hooks there is one wave, and nothing is waited for. Else each run begins at the first wave: what is there
//! and healthy costs a comparison, hooks that have ended cost nothing, and the first wave with anything out of sync or unhealthy
//! is where it gets to. It ends there, a vigil watches over that wave, and the next run goes on; so whatever ends a process,
//! the next one finds its place. What became of hooks is `core::sync`'s to say, and stands in the status.

mod held;
mod hooks;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use reeve_api::duration::Duration as GoDuration;
use reeve_api::kustomization::{Kustomization, SyncStatus};
use reeve_api::reason::Reason;
use reeve_core::failure::{Explain, Explained, Turn};
use reeve_core::health;
use reeve_core::inventory::{Inventory, ObjectId};
use reeve_core::plan::{Admitted, Phase, Place, Planned, Step};
use reeve_core::schedule;
use reeve_core::status::{Action, Applied, Change, Course, Failed, Health, Wait};
use reeve_core::sync::{End, Sync};
use reeve_core::veil::Veil;
use tokio::time::Instant;

use super::health::FIRST_LOOK;
use super::record::{Recorder, changes};
use super::{Prepared, Wanted, abroad, caution};
use crate::cluster::{self, ApplyError, Awaited, Failures, Looks, TenantClient, Until, Vigil};
use crate::context::Context;
use crate::controller::report::{self, Run};
use crate::observe::span;

/// How far a run got.
pub(super) enum Walked {
    /// To the end.
    Through(Applied),
    /// To a wave that has to be waited for.
    Waits(Pause, Applied),
}

/// A wave that has to be waited for.
pub(super) struct Pause {
    /// What of it was seen.
    pub(super) looks: Looks,
    /// Since when it is waited for.
    pub(super) wait: Wait,
    /// What is said of it.
    pub(super) words: String,
}

/// A run on its way through its plan.
pub(super) struct Walk<'a> {
    ctx: &'a Arc<Context>,
    object: &'a Arc<Kustomization>,
    wanted: &'a Wanted,
    prepared: &'a Prepared,
    until: &'a Until,
    run: &'a Arc<Run>,
    client: &'a TenantClient,
    recorder: Recorder<'a>,
    /// What the last run left on the cluster.
    before: Inventory,
    /// How far the sync was when this run began, and is now.
    resumed: Option<Sync>,
    sync: Option<Sync>,
    done: cluster::Applied,
    pruned: cluster::Applied,
    /// What pruning has left; none before it.
    left: Option<Inventory>,
    /// What the wave has to wait for in its middle.
    awaited: Vec<Awaited>,
}

/// Applies what is wanted and prunes what no longer is, as far as that goes now.
pub(super) async fn walk(
    ctx: &Arc<Context>,
    object: &Arc<Kustomization>,
    wanted: &Wanted,
    prepared: &Prepared,
    until: &Until,
    run: &Arc<Run>,
) -> Result<Walked, Box<Failed>> {
    let mut walk = Walk::new(ctx, object, wanted, prepared, until, run);
    let came = match walk.forward().await {
        Ok(None) => walk.arrive().await,
        Ok(Some(pause)) => Ok(Some(pause)),
        Err(why) => walk.fail(why).await.map(Some),
    };
    walk.recorder.tell();
    let came = came.map_err(|why| walk.stopped(why))?;
    let applied = walk.applied();
    report::applied(ctx, object, &applied.changes, &applied.pruned);
    Ok(match came {
        None => Walked::Through(applied),
        Some(pause) => Walked::Waits(pause, applied),
    })
}

/// Why a walk ended.
pub(super) struct Stop {
    why: Explained,
    /// What is not healthy, when that is why.
    unhealthy: Option<String>,
}

impl From<Explained> for Stop {
    fn from(why: Explained) -> Self {
        let unhealthy = None;
        Self { why, unhealthy }
    }
}

impl Stop {
    /// The same, with what must not be told covered.
    fn under(self, veil: &Veil) -> Self {
        Self {
            why: veil.over(self.why),
            unhealthy: self.unhealthy.map(|why| veil.cover(why)),
        }
    }
}

impl<'a> Walk<'a> {
    pub(super) fn new(
        ctx: &'a Arc<Context>,
        object: &'a Arc<Kustomization>,
        wanted: &'a Wanted,
        prepared: &'a Prepared,
        until: &'a Until,
        run: &'a Arc<Run>,
    ) -> Self {
        let (before, client) = (wanted.inventory.clone(), &wanted.client);
        // What ran on another cluster has not run on this one.
        let status = object.status.as_ref().filter(|_| wanted.left.is_none());
        let sync = Sync::of(
            &prepared.plan,
            status.and_then(|status| status.sync.as_ref()),
        );
        let leavers = sync.iter();
        let leavers = leavers.flat_map(|sync| sync.may_delete(&prepared.plan, &before));
        let leavers = leavers.collect();
        let skipped = prepared.plan.skipped().iter();
        Self {
            ctx,
            object,
            wanted,
            prepared,
            until,
            run,
            client,
            recorder: Recorder::new(ctx, object, run, wanted, prepared, leavers),
            before,
            resumed: sync.clone(),
            sync,
            done: cluster::Applied {
                entries: skipped.map(|id| (id.clone(), Action::Skipped)).collect(),
                ..cluster::Applied::default()
            },
            pruned: cluster::Applied::default(),
            left: None,
            awaited: Vec::new(),
        }
    }

    /// Wave by wave; what is no longer wanted goes after the last of the phase Sync.
    async fn forward(&mut self) -> Result<Option<Pause>, Stop> {
        let prepared = self.prepared;
        let mut steps = prepared.plan.course().peekable();
        while let Some(step) = steps.next() {
            if step.place().phase > Phase::Sync && self.left.is_none() {
                self.prune().await?;
            }
            let more = steps.peek().is_some();
            if let Some(pause) = self.step(step, more).await? {
                return Ok(Some(pause));
            }
        }
        if self.left.is_none() {
            self.prune().await?;
        }
        Ok(None)
    }

    /// One wave: what it has to be is made of it, and it is looked at if `more` comes after it.
    async fn step(&mut self, step: Step<'_, Admitted>, more: bool) -> Result<Option<Pause>, Stop> {
        let place = step.place();
        if let Some(sync) = self.sync.as_mut().filter(|_| is_forward(place)) {
            sync.at = Some(place);
        }
        let early = self.find_early(step).await?;
        let unsettled = self.apply(step).await?;
        if let Some(pause) = self.held(place)? {
            return Ok(Some(pause));
        }
        let known = self.done.entries.iter();
        let skipped: BTreeSet<&ObjectId> = known
            .filter(|(_, action)| *action == Action::Skipped)
            .map(|(id, _)| id)
            .collect();
        let mut unsettled: BTreeSet<&ObjectId> = unsettled.iter().collect();
        unsettled.retain(|id| more && !skipped.contains(id));
        let found = match early {
            Some(found) => found,
            None => self.find(step).await?,
        };
        let hooks = self.begin(step, found).await?;
        if let Some(why) = self.sync.as_ref().and_then(|sync| sync.failed(step)) {
            return Err(unwell(&why, None));
        }
        if let Some(pause) = self.held(place)? {
            return Ok(Some(pause));
        }
        let spec = &self.wanted.spec;
        let judged = more && !spec.health.judges.is_empty();
        if unsettled.is_empty() && hooks.is_empty() && !judged {
            return Ok(None);
        }
        let mut checks = health::wave_checks(spec, step, &unsettled, hooks.into_iter());
        if !more {
            checks.retain(|check| check.ends);
        }
        match checks.is_empty() {
            true => Ok(None),
            false => self.look(step, checks).await,
        }
    }

    /// Looks at what the next wave waits for.
    async fn look(
        &mut self,
        step: Step<'_, Admitted>,
        checks: Vec<health::Check>,
    ) -> Result<Option<Pause>, Stop> {
        let soon = Until {
            deadline: self.until.deadline.min(Instant::now() + FIRST_LOOK),
            over: self.until.over.clone(),
        };
        let place = step.place();
        let begun = self.ctx.clock.instant();
        let looks = self.client.look(checks, &soon).await;
        span::took("health", begun.elapsed(), || {
            vec![("wave", place.to_string())]
        });
        let wait = self.wait(place);
        let passed = self.passed(&wait);
        let late = passed >= self.wanted.spec.timeout;
        let Some(sync) = &mut self.sync else {
            return Ok(None);
        };
        let veil = self.wanted.veil();
        sync.learn(step, looks.each(), veil);
        if let Some(why) = sync.failed(step) {
            return Err(unwell(&why, None));
        }
        let resumed = self.resumed.as_ref();
        let given_up = resumed.is_some_and(|sync| sync.has_failed_at(place));
        let end = match looks.end() {
            Some(Vigil::Well) => return Ok(None),
            None if late || given_up => Some(looks.late()),
            end => end,
        };
        if let Some(Vigil::Unwell(why)) = end {
            let mut stop = unwell(&format!("{place}: {why}"), Some(passed));
            let told = resumed.and_then(|sync| sync.failure.clone());
            if let Some(told) = told.filter(|_| given_up) {
                // It is told as it was when it failed, not as if it had been waited for once more.
                stop.why.message = told;
            }
            return Err(stop);
        }
        if is_forward(place) {
            sync.failure = None;
        }
        let words = format!("waiting for {place}: {}", health::unwell(looks.each()));
        let words = veil.cover(words);
        Ok(Some(Pause { looks, wait, words }))
    }

    /// Applies what stays, as far as that goes now, and returns what was written or is not well.
    async fn apply(&mut self, step: Step<'_, Admitted>) -> Result<Vec<ObjectId>, Stop> {
        let plan = &self.prepared.plan;
        let done = std::mem::take(&mut self.done);
        self.recorder.at(step.place());
        let applied = self
            .client
            .apply_step(plan, step, done, self.until, &self.recorder)
            .await;
        let waits = |why: &ApplyError| why.awaited().next().is_some();
        self.recorder
            .over(applied.as_ref().is_err_and(|why| !waits(why)));
        match applied {
            Ok((done, unsettled)) => {
                self.done = done;
                Ok(unsettled)
            }
            Err(why) if waits(&why) => {
                self.done = why.done().clone();
                self.awaited.extend(why.awaited().cloned());
                Ok(Vec::new())
            }
            Err(why) => {
                self.done = why.done().clone();
                Err(explained(self.ctx, self.wanted, &why, why.failures())
                    .await
                    .into())
            }
        }
    }

    /// Everything that stays is there: what is no longer wanted goes.
    async fn prune(&mut self) -> Result<(), Stop> {
        let (id, plan) = (&self.wanted.spec.id, &self.prepared.plan);
        let account = self.client.account();
        self.ctx.drift.holds(id, account, plan.inventory());
        let pruned = caution::prune(self.client, self.prepared, self.until.clone()).await;
        match pruned {
            Ok(pruned) => {
                self.pruned = pruned.done;
                self.left = Some(Inventory::default());
                Ok(())
            }
            Err(why) => {
                self.pruned = why.done().clone();
                self.left = Some(why.left().clone());
                let why = explained(self.ctx, self.wanted, &why, why.failures()).await;
                Err(why.into())
            }
        }
    }

    /// Since when a wave is waited for: a run that changed nothing goes on with the wait of the last.
    fn wait(&self, place: Place) -> Wait {
        let wait = Wait {
            generation: self.object.metadata.generation.unwrap_or_default(),
            revision: self.wanted.stored.artifact.revision.to_string(),
            wave: Some(place),
            since: self.ctx.clock.now(),
        };
        let mut all = self.done.entries.iter().chain(&self.pruned.entries);
        let changed = all.any(|(_, action)| action.is_change());
        let fails = place.phase == Phase::SyncFail;
        let waited = self.resumed.as_ref().is_none_or(|sync| match fails {
            true => sync.failure.is_some(),
            false => sync.failure.is_none() && sync.at == Some(place),
        });
        // A status that does not know of the wave knows no wait for it.
        let status = self.object.status.as_ref().filter(|_| waited);
        match changed {
            true => wait,
            false => wait.resumed(self.run.ended(), status),
        }
    }

    fn passed(&self, wait: &Wait) -> Duration {
        self.ctx.clock.passed(wait.since)
    }

    /// What is on the cluster by now, or may be.
    fn inventory(&self) -> Inventory {
        let plan = &self.prepared.plan;
        let steady = match &self.left {
            Some(left) => plan.inventory().union(left),
            None => self.before.union(&self.recorder.inventory()),
        };
        match &self.sync {
            Some(sync) => sync.inventory(plan, steady, &self.before),
            None => steady,
        }
    }

    fn told(&self) -> Option<SyncStatus> {
        self.sync.as_ref().map(Sync::told)
    }

    fn course(&self) -> Course {
        Course {
            from: self.prepared.from.clone(),
            cluster: self.client.cluster().map(str::to_owned),
            left: self.client.left(),
            replacing: self.client.replaced(),
        }
    }

    fn applied(&self) -> Applied {
        let prepared = self.prepared;
        Applied {
            revision: self.wanted.stored.artifact.revision.to_string(),
            changes: changes(&self.done, self.wanted.veil()),
            pruned: changes(&self.pruned, self.wanted.veil()),
            inventory: self.inventory(),
            course: self.course(),
            digest: prepared.digest.clone(),
            recollected: None,
            remote_bases: prepared.remote_bases.clone(),
            sync: self.told(),
            health: Health::NotAsked,
            took: self.run.took(self.ctx),
        }
    }

    fn stopped(&self, stop: Stop) -> Box<Failed> {
        let Stop { why, unhealthy } = stop;
        let veil = self.wanted.veil();
        let all = [&self.done, &self.pruned];
        let changes: Vec<Change> = all.into_iter().flat_map(|one| changes(one, veil)).collect();
        Box::new(Failed {
            attempted: Some(self.wanted.stored.artifact.revision.to_string()),
            changes,
            inventory: Some(self.inventory()),
            course: Some(self.course()),
            digest: Some(self.prepared.digest.clone()),
            sync: self.told(),
            unhealthy,
            ..Failed::early(why, self.run.took(self.ctx))
        })
    }
}

/// Whether it is on the way, and not what comes when that has failed.
fn is_forward(place: Place) -> bool {
    place.phase <= Phase::PostSync
}

/// A wave that is not healthy, and won't be by waiting; how long it was waited for, where that says anything.
fn unwell(why: &str, waited: Option<Duration>) -> Stop {
    let after = waited.map(|waited| {
        // Whole seconds: the same failure is told in the same words at the next try.
        let waited = match waited.as_secs() {
            0 => schedule::rounded(waited),
            seconds => Duration::from_secs(seconds),
        };
        format!(" after {}", GoDuration::from(waited))
    });
    let message = format!("health check failed{}: {why}", after.unwrap_or_default());
    Stop {
        why: Explained::new(Reason::HealthCheckFailed, Turn::Retry, message),
        unhealthy: Some(why.to_owned()),
    }
}

/// Why it failed. To the API server an account that does not exist is one that may do nothing: it is looked for.
pub(super) async fn explained<E: Explain>(
    ctx: &Context,
    wanted: &Wanted,
    why: &E,
    failures: Option<&Failures>,
) -> Explained {
    let account = wanted.spec.account();
    let forbidden = failures.is_some_and(Failures::are_by_rbac);
    // On another cluster an account need not exist to be bound to a role.
    let here = wanted.client.cluster().is_none();
    if !forbidden || !here || !ctx.cluster.lacks(account).await {
        return abroad::placed(&wanted.client, Explained::of(why));
    }
    let (namespace, name) = (account.namespace(), account.name());
    let message = format!("ServiceAccount {namespace}/{name} does not exist: {why}");
    Explained::new(why.reason(), Turn::Retry, message).with_hint(format!(
        "create ServiceAccount {name} in namespace {namespace}, or name another in spec.serviceAccountName"
    ))
}
