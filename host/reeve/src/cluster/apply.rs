//! Server-side apply of an admitted plan, stage by stage, as the tenant.
//!
//! In each stage every object is read and dry-run first, several at a time; only when all of them would pass is the
//! first one written, and only those that would change are, one after the other. Field conflicts are won (git wins),
//! old claims of `kubectl` are taken over first. An object is deleted and made anew only if the spec or the object says
//! so and a field of it cannot be changed. It deliberately knows no unadmitted plan and no identity but the
//! [`TenantClient`]'s; what is no longer wanted is [`prune`](super::prune)'s, stages that must settle
//! [`settle`](super::settle)'s.

use std::time::Duration;

use futures::StreamExt as _;
use reeve_core::drift::Sight;
use reeve_core::health::verdict;
use reeve_core::inventory::{Inventory, ObjectId};
use reeve_core::plan::{Admitted, Phase, Plan, Planned, Stage, Step, left_alone};
use reeve_core::status::Action;
use serde_json::Value;

use super::applied::{Applied, ApplyError};
use super::compare::{self, MANAGER};
use super::drift;
use super::error::{Failures, ObjectError};
use super::refusal::{Attempt, CallError, Cause};
use super::tenant_client::{Located, TenantClient};
use super::until::{Cut, Until};
use super::wire::{Format, Patch};
use super::witness::{Difference, Progress, Witness};

/// What comparing found out about one object.
enum Finding {
    /// There is nothing to write; whether the live object is as good as it gets, and how a watch shows it if it is ours.
    Settled(Action, bool, Option<Sight>),
    Differs(Box<Write>),
}

/// A write that has passed its dry run.
struct Write {
    at: Located,
    body: Vec<u8>,
    action: Action,
    first: First,
    difference: Difference,
}

/// What must be done to the live object before it is applied.
pub(super) enum First {
    Nothing,
    /// Take over old claims on its fields.
    Takeover(Value),
    /// Delete the one with this uid, and wait until it is gone.
    Delete(String),
}

/// Where a run stands.
struct Run<'a, W> {
    until: Until,
    witness: &'a W,
    inventory: Inventory,
    witnessed: bool,
    done: Applied,
    /// What was written, or was not seen to be well.
    unsettled: Vec<ObjectId>,
}

impl TenantClient {
    /// Makes the cluster what the plan's stages say, whatever their waves, and returns what became of each object. Runs no
    /// hook, and prunes nothing.
    pub async fn apply<W: Witness>(
        &self,
        plan: &Plan<Admitted>,
        until: impl Into<Until>,
        witness: &W,
    ) -> Result<Applied, ApplyError> {
        let skipped = plan.skipped().iter();
        let mut done = Applied {
            entries: skipped.map(|id| (id.clone(), Action::Skipped)).collect(),
        };
        let until = until.into();
        for step in plan.steps(Phase::Sync) {
            done = self.apply_step(plan, step, done, &until, witness).await?.0;
        }
        Ok(done)
    }

    /// The same with one wave, after what was `done`; returned is also what was written, or is not well.
    pub async fn apply_step<W: Witness>(
        &self,
        plan: &Plan<Admitted>,
        step: Step<'_, Admitted>,
        done: Applied,
        until: &Until,
        witness: &W,
    ) -> Result<(Applied, Vec<ObjectId>), ApplyError> {
        let pruned: Inventory = plan.prune().iter().cloned().collect();
        let mut run = Run {
            until: until.clone(),
            witness,
            inventory: plan.inventory().union(&pruned),
            witnessed: false,
            done,
            unsettled: Vec::new(),
        };
        for stage in step.stages() {
            if let Err(why) = self.apply_stage(stage, &mut run).await {
                return Err(self.with_rights(plan, why).await);
            }
        }
        Ok((run.done, run.unsettled))
    }

    async fn apply_stage<W: Witness>(
        &self,
        stage: &Stage,
        run: &mut Run<'_, W>,
    ) -> Result<(), ApplyError> {
        let objects = stage.objects();
        run.witness.progress(Progress::Comparing {
            objects: objects.len(),
        });
        // read: every object, as it is and as it would be
        // Made before they are buffered: a closure over borrowed objects would keep the whole from being `Send`.
        let comparing: Vec<_> = objects
            .iter()
            .map(|object| self.compare(object, run.witness.stood(object)))
            .collect();
        let findings = futures::stream::iter(comparing)
            .buffered(self.concurrency)
            .collect::<Vec<_>>();
        let findings = run.until.hold(findings).await;
        let findings = findings.map_err(|cut| run.cut(cut))?;
        let (mut failed, mut writes, mut unsettled) = (Vec::new(), Vec::new(), Vec::new());
        for (object, finding) in objects.iter().zip(findings) {
            match finding {
                Ok(Finding::Settled(action, current, sight)) => {
                    if let Some(sight) = sight {
                        run.witness.stands(object, sight);
                    }
                    run.done.entries.push((object.id().clone(), action));
                    unsettled.extend((!current).then_some(object));
                }
                Ok(Finding::Differs(write)) => writes.push((object, write)),
                Err(why) => failed.push(why),
            }
        }
        if let Some(failures) = Failures::of(failed) {
            return Err(ApplyError::Refused {
                failures,
                done: std::mem::take(&mut run.done),
            });
        }
        // write: what differs, one after the other
        let writes = run.without_left(writes);
        unsettled.extend(writes.iter().map(|(object, _)| *object));
        let unwell = unsettled.iter().map(|object| object.id().clone());
        run.unsettled.extend(unwell);
        if !writes.is_empty() {
            run.witness.progress(Progress::Writing {
                objects: writes.len(),
            });
        }
        for (object, write) in writes {
            if run.until.over.is_cancelled() {
                return Err(run.cut(Cut::Superseded));
            }
            run.announce().await?;
            self.write(object, &write, run).await?;
        }
        self.settle(unsettled, &run.until, run.witness)
            .await
            .map_err(|why| why.after(std::mem::take(&mut run.done)))
    }

    /// Reads and dry-runs one object. Writes nothing.
    ///
    /// One that still looks as it `stood` is not dry-run again.
    async fn compare(
        &self,
        object: &Planned,
        stood: Option<Sight>,
    ) -> Result<Finding, ObjectError> {
        // Of several API servers the one that answers may not serve a new kind yet, although another lists it.
        for pause in [100, 200, 400, 800, 1600] {
            match self.compare_once(object, stood).await {
                Err(why) if why.is_unserved() => {
                    tokio::time::sleep(Duration::from_millis(pause)).await;
                }
                told => return told,
            }
        }
        self.compare_once(object, stood).await
    }

    async fn compare_once(
        &self,
        object: &Planned,
        stood: Option<Sight>,
    ) -> Result<Finding, ObjectError> {
        let Some(at) = self.locate(object.id(), Some(object.version())).await? else {
            return Err(self.unlocated(object.id(), unknown_kind(object)));
        };
        if let Some(stood) = stood
            && let Some(live) = self.read(&at).await?
            && stood.is_like(Sight::of(&live))
        {
            // Nobody has changed what is ours of it, and nothing else is wanted: a dry run would say what it said.
            let current = verdict(&live).is_current();
            return Ok(Finding::Settled(Action::Unchanged, current, None));
        }
        self.compare_in_full(object, at).await
    }

    async fn compare_in_full(&self, object: &Planned, at: Located) -> Result<Finding, ObjectError> {
        let wanted = object.manifest();
        let settled = |action, live: &Value| {
            let sight = self.owns(live).then(|| Sight::of(live));
            Finding::Settled(action, verdict(live).is_current(), sight)
        };
        if compare::only_if_absent(wanted)
            && let Some(live) = self.read(&at).await?
        {
            return Ok(settled(Action::Skipped, &live));
        }
        let body = wanted.to_string().into_bytes();
        // Both at once: most of a run that changes nothing is waiting for these two answers.
        let (live, dry) = tokio::join!(self.read(&at), self.dry_run(&at, body.clone()));
        let live = live?;
        if let Some(live) = live.as_ref().filter(|live| left_alone(live)) {
            return Ok(settled(Action::Skipped, live));
        }
        let write = |action, first, body, fields| {
            Finding::Differs(Box::new(Write {
                at: at.clone(),
                body,
                action,
                first,
                difference: Difference::of(object, live.as_ref(), fields),
            }))
        };
        let differs = |first, fields| write(Action::Created, first, body.clone(), fields);
        let dry = match (dry, &live) {
            (Ok(dry), _) => dry,
            (Err(why), Some(live)) if self.may_recreate(&why, wanted, live) => {
                let uid = live.pointer("/metadata/uid").and_then(Value::as_str);
                let uid = uid.unwrap_or_default().to_owned();
                self.rehearse_delete(&at, &uid).await?;
                let fields = vec!["what cannot be changed".to_owned()];
                return Ok(differs(First::Delete(uid), fields));
            }
            (Err(why), _) => return Err(self.failed(&at, Attempt::DryRun, why)),
        };
        let Some(live) = &live else {
            return Ok(differs(First::Nothing, Vec::new()));
        };
        let first = match compare::takeover(wanted, live) {
            Some(patch) => First::Takeover(patch),
            None if drift::differs(live, &dry, object.ignored()) => First::Nothing,
            None => return Ok(settled(Action::Unchanged, live)),
        };
        let sent = drift::kept(wanted, live, &dry, object.ignored());
        let mut fields = drift::fields(live, &dry, object.ignored());
        if fields.is_empty() {
            // Nothing but who claims it.
            fields.push("metadata.managedFields".to_owned());
        }
        let body = sent.to_string().into_bytes();
        Ok(write(Action::Configured, first, body, fields))
    }

    pub(super) async fn read(&self, at: &Located) -> Result<Option<Value>, ObjectError> {
        self.wire
            .get(&at.address)
            .await
            .map_err(|why| self.failed(at, Attempt::Get, why))
    }

    pub(super) async fn dry_run(&self, at: &Located, body: Vec<u8>) -> Result<Value, CallError> {
        let how = Patch {
            format: Format::Apply,
            manager: MANAGER,
            dry_run: true,
            subresource: None,
        };
        self.wire.patch(&at.address, how, body).await
    }

    fn may_recreate(&self, why: &CallError, wanted: &Value, live: &Value) -> bool {
        let allowed =
            self.force || compare::may_be_recreated(wanted) || compare::may_be_recreated(live);
        allowed && is_immutable(why)
    }

    async fn write<W: Witness>(
        &self,
        object: &Planned,
        write: &Write,
        run: &mut Run<'_, W>,
    ) -> Result<(), ApplyError> {
        // Never dropped for being superseded: an object that is deleted to be made anew is made anew.
        let written = self.write_now(&write.at, &write.body, &write.first);
        match tokio::time::timeout_at(run.until.deadline, written).await {
            Ok(Ok(now)) => {
                run.witness.stands(object, Sight::of(&now));
                run.done.entries.push((object.id().clone(), write.action));
                Ok(())
            }
            Ok(Err(why)) => match Failures::of(vec![why]) {
                Some(failures) => Err(ApplyError::Refused {
                    failures,
                    done: std::mem::take(&mut run.done),
                }),
                None => Ok(()),
            },
            Err(_) => Err(run.cut(Cut::Late)),
        }
    }

    /// The object as it is then.
    pub(super) async fn write_now(
        &self,
        at: &Located,
        body: &[u8],
        first: &First,
    ) -> Result<Value, ObjectError> {
        let patch = |format| Patch {
            format,
            manager: MANAGER,
            dry_run: false,
            subresource: None,
        };
        match first {
            First::Nothing => {}
            First::Takeover(claims) => self.take_over(at, body, claims.to_string()).await?,
            First::Delete(uid) => {
                let deleted = self.wire.delete(&at.address, uid).await;
                deleted.map_err(|why| self.failed(at, Attempt::Delete, why))?;
                self.until_gone(at, uid).await?;
            }
        }
        let applied = self
            .wire
            .patch(&at.address, patch(Format::Apply), body.to_vec())
            .await;
        applied.map_err(|why| self.failed(at, Attempt::Apply, why))
    }
}

impl<W: Witness> Run<'_, W> {
    fn cut(&mut self, cut: Cut) -> ApplyError {
        cut.after(std::mem::take(&mut self.done))
    }

    /// Those that do not stay as others made them.
    fn without_left<'w>(
        &mut self,
        writes: Vec<(&'w Planned, Box<Write>)>,
    ) -> Vec<(&'w Planned, Box<Write>)> {
        let stays = |(object, write): &(&Planned, Box<Write>)| {
            self.witness.leaves(object, &write.difference)
        };
        let (left, writes): (Vec<_>, Vec<_>) = writes.into_iter().partition(stays);
        let left = left.iter().map(|(object, _)| object.id().clone());
        let left = left.map(|id| (id, Action::Skipped));
        self.done.entries.extend(left);
        writes
    }

    /// Before the first write, what may be left behind is recorded.
    async fn announce(&mut self) -> Result<(), ApplyError> {
        if self.witnessed {
            return Ok(());
        }
        match self.witness.before_first_write(&self.inventory).await {
            Ok(()) => {
                self.witnessed = true;
                Ok(())
            }
            Err(source) => Err(ApplyError::Unrecorded {
                source,
                done: std::mem::take(&mut self.done),
            }),
        }
    }
}

/// As Flux and kubectl do: an Invalid or Conflict of something that exists may be an immutable field.
pub(super) fn is_immutable(why: &CallError) -> bool {
    match why {
        CallError::Refused(refusal) => {
            refusal.cause() == Cause::Immutable || matches!(refusal.code, 409 | 422)
        }
        _ => false,
    }
}

/// kubectl's words for a kind nobody serves.
pub(super) fn unknown_kind(object: &Planned) -> CallError {
    CallError::UnknownKind {
        kind: object.id().kind.clone(),
        api_version: object.api_version(),
    }
}
