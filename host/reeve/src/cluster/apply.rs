//! Server-side apply of an admitted plan, stage by stage, as the tenant.
//!
//! In each stage every object is read and dry-run first ([`finding`](super::finding)), several at a time, but for one that
//! [leads](super::lead); only when all of them would pass, and policy has seen every body that is sent, is the first one written,
//! and only those that would change are, one after the other. Roles are written only when what comes [after them](super::ahead) would
//! pass, too. Field conflicts are won (git wins), old claims of `kubectl` are taken over first. What a WriteBack
//! is to commit is written only in the state in which it was read: what somebody changes in between is read anew. What makes
//! way for an object is waited for only a moment ([`leaving`](super::leaving)): then the wave is to be waited for. It
//! deliberately knows no unadmitted plan and no identity but the [`TenantClient`]'s; what is no longer wanted is
//! [`prune`](super::prune)'s, stages that must settle [`settle`](super::settle)'s.

use std::collections::BTreeMap;

use futures::StreamExt as _;
use reeve_core::admit::Altered;
use reeve_core::drift::Sight;
use reeve_core::failure::Explained;
use reeve_core::inventory::{Inventory, ObjectId};
use reeve_core::plan::{Admitted, Phase, Plan, Planned, Stage, StageKind, Step};
use reeve_core::status::Action;
use reeve_core::writeback::Leave;
use serde_json::Value;

use super::applied::{Applied, ApplyError};
use super::body::{Body, State};
use super::compare::MANAGER;
use super::error::{Failures, ObjectError};
use super::finding::{Expected, Finding, Write};
use super::lead::is_overtaken;
use super::leaving::{Awaited, Blocked};
use super::refusal::Attempt;
use super::tenant_client::{Located, TenantClient};
use super::until::{Cut, Until};
use super::wire::{Format, Patch};
use super::witness::{Progress, Witness, unjudged};

/// How often an object is read anew that others write to meanwhile.
const CONFLICTS: usize = 5;

/// What must be done to the live object before it is applied.
pub(super) enum First {
    Nothing,
    /// Take over old claims on its fields, but for those on what is left to write-back.
    Takeover(Value, Leave),
    /// Delete the one with this uid; only when it is gone anything is applied.
    Delete(String),
}

/// A write whose body policy has seen.
struct Ready<'w> {
    object: &'w Planned,
    write: Box<Write>,
    body: Body,
}

/// What differs, and what is there and not ready.
type Sorted<'w> = (Vec<(&'w Planned, Box<Write>)>, Vec<&'w Planned>);

/// Where a run stands.
struct Run<'a, W> {
    until: Until,
    witness: &'a W,
    inventory: Inventory,
    witnessed: bool,
    /// Whether anything was written.
    wrote: bool,
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
            ..Applied::default()
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
            wrote: false,
            done,
            unsettled: Vec::new(),
        };
        let stages = step.stages();
        for (nth, stage) in stages.iter().enumerate() {
            let next = stages.get(nth + 1);
            if let Err(why) = self.apply_stage(stage, next, &mut run).await {
                return Err(self.with_rights(plan, why).await);
            }
        }
        Ok((run.done, run.unsettled))
    }

    async fn apply_stage<W: Witness>(
        &self,
        stage: &Stage,
        next: Option<&Stage>,
        run: &mut Run<'_, W>,
    ) -> Result<(), ApplyError> {
        let objects = stage.objects();
        run.witness.progress(Progress::Comparing {
            objects: objects.len(),
        });
        // read: every object, as it is and as it would be
        let findings = self.findings(objects, run).await?;
        let (writes, mut unsettled) = run.sorted(objects, findings)?;
        if stage.kind() == StageKind::Roles
            && !writes.is_empty()
            && let Some(next) = next
        {
            let refused = self.refused_ahead(next, &run.until, run.witness).await;
            let refused = refused.map_err(|cut| run.cut(cut))?;
            run.failed(refused)?;
        }
        // write: what differs, one after the other
        let writes = run.judged(writes).await?;
        unsettled.extend(writes.iter().map(|ready| ready.object));
        let unwell = unsettled.iter().map(|object| object.id().clone());
        run.unsettled.extend(unwell);
        if !writes.is_empty() {
            run.witness.progress(Progress::Writing {
                objects: writes.len(),
            });
        }
        for ready in writes {
            if run.until.over.is_cancelled() {
                return Err(run.cut(Cut::Superseded));
            }
            run.announce().await?;
            self.write(ready, run).await?;
        }
        self.settle(unsettled, &run.until, run.witness)
            .await
            .map_err(|why| why.after(std::mem::take(&mut run.done)))
    }

    /// What is to be done about each object of a stage.
    async fn findings<W: Witness>(
        &self,
        objects: &[Planned],
        run: &mut Run<'_, W>,
    ) -> Result<Vec<Result<Finding, ObjectError>>, ApplyError> {
        let mut expected: Vec<_> = objects
            .iter()
            .map(|object| Expected::of(object, run.witness))
            .collect();
        let lead = self.lead(objects, &expected, run.witness);
        let leads = lead.and_then(|lead| objects.get(lead).zip(expected.get_mut(lead)));
        if let Some((object, expected)) = leads {
            expected.leads = true;
            expected.former = run.witness.former(object);
        }
        // Made before they are buffered: a closure over borrowed objects would keep the whole from being `Send`.
        let comparing: Vec<_> = objects
            .iter()
            .zip(&expected)
            .map(|(object, expected)| self.compare(object, expected))
            .collect();
        let findings = futures::stream::iter(comparing)
            .buffered(self.concurrency)
            .collect::<Vec<_>>();
        let findings = run.until.hold(findings).await;
        let mut findings = findings.map_err(|cut| run.cut(cut))?;
        let overtaken = lead.filter(|lead| is_overtaken(&findings, *lead));
        let overtaken = overtaken.and_then(|lead| objects.get(lead).zip(findings.get_mut(lead)));
        if let Some((object, finding)) = overtaken {
            let expected = Expected::of(object, run.witness);
            let compared = self.compare(object, &expected);
            let again = run.until.hold(compared).await;
            *finding = again.map_err(|cut| run.cut(cut))?;
        }
        Ok(findings)
    }

    async fn write<W: Witness>(
        &self,
        mut ready: Ready<'_>,
        run: &mut Run<'_, W>,
    ) -> Result<(), ApplyError> {
        let mut conflicts = 0;
        loop {
            let Ready { object, write, .. } = &ready;
            match self.write_once(&ready, run).await? {
                Ok(now) => {
                    let (action, fields) = write.came(object.manifest(), &now);
                    run.wrote = true;
                    self.replacing.over(object.id());
                    run.witness.stands(object, Sight::of(&now));
                    run.done.entries.push((object.id().clone(), action));
                    run.done.differed(object.id(), &fields);
                    return Ok(());
                }
                Err(why) if write.may_be_compared(&why.source) => run.nothing_written(),
                Err(why)
                    if write.only.is_some()
                        && conflicts < CONFLICTS
                        && why.source.is_conflict() =>
                {
                    conflicts += 1;
                }
                Err(why) => return run.failed(vec![why]),
            }
            match self.read_anew(ready.object, run).await? {
                Some(again) => {
                    ready = again;
                    run.announce().await?;
                }
                None => return Ok(()),
            }
        }
    }

    /// Writes one object, once what has to make way for it has; an error of the whole: it has not.
    async fn write_once<W: Witness>(
        &self,
        ready: &Ready<'_>,
        run: &mut Run<'_, W>,
    ) -> Result<Result<Value, ObjectError>, ApplyError> {
        let Ready {
            object,
            write,
            body,
        } = ready;
        let (first, only) = (&write.first, write.only.as_ref());
        if let First::Delete(_) = first {
            self.begin_replacing(object, &write.at, run).await?;
        }
        let way = self.make_way(&write.at, first, only, &run.until);
        match way.await {
            Ok(()) => {}
            Err(Blocked::Failed(why)) => return Ok(Err(why)),
            Err(why) => return Err(run.blocked(object, first, &why)),
        }
        // Never dropped for being superseded: an object that is deleted to be made anew is made anew.
        let written = self.write_now(&write.at, body, first, only);
        let written = tokio::time::timeout_at(run.until.deadline, written).await;
        written.map_err(|_| run.cut(Cut::Late))
    }

    /// An object is about to be deleted to be made anew. Where a rule takes out of git what is deleted, that is written down first:
    /// whoever finds it gone knows then that nobody has deleted it but us.
    async fn begin_replacing<W: Witness>(
        &self,
        object: &Planned,
        at: &Located,
        run: &mut Run<'_, W>,
    ) -> Result<(), ApplyError> {
        if self.goes_from_git(object, at) && self.replacing.begin(object.id()) {
            let recorded = run.witness.before_replacing(&run.inventory).await;
            recorded.map_err(|why| run.refused(why))?;
        }
        run.witness.replaces(object);
        run.wrote = true;
        Ok(())
    }

    /// What is to be written of an object that somebody has changed since it was read, or that was refused without a dry run; None:
    /// nothing.
    async fn read_anew<'w, W: Witness>(
        &self,
        object: &'w Planned,
        run: &mut Run<'_, W>,
    ) -> Result<Option<Ready<'w>>, ApplyError> {
        let expected = Expected::default();
        let compared = self.compare(object, &expected);
        let found = run.until.hold(compared).await;
        match found.map_err(|cut| run.cut(cut))? {
            Ok(Finding::Settled(action, _, sight)) => {
                if let Some(sight) = sight {
                    run.witness.stands(object, sight);
                }
                run.done.entries.push((object.id().clone(), action));
                Ok(None)
            }
            Ok(Finding::Differs(write)) => Ok(run.judged(vec![(object, write)]).await?.pop()),
            Ok(Finding::Leaves(one)) => Err(run.waits(vec![*one])),
            Err(why) => run.failed(vec![why]).map(|()| None),
        }
    }

    /// The object as it is then, once nothing is in its way. `only`: it is refused if that is not its state.
    pub(super) async fn write_now(
        &self,
        at: &Located,
        body: &Body,
        first: &First,
        only: Option<&State>,
    ) -> Result<Value, ObjectError> {
        let patch = |format| Patch {
            format,
            manager: MANAGER,
            dry_run: false,
            subresource: None,
        };
        let mut only = only.cloned();
        match first {
            First::Nothing => {}
            // It has made way; what is made in its place has a state of its own.
            First::Delete(_) => only = None,
            First::Takeover(claims, left) => {
                let (sent, claims) = (body.bytes(), claims.to_string());
                let again = only.is_none();
                let taken = self.take_over(at, sent, claims, left, again).await?;
                let now = taken.as_ref().and_then(State::of);
                only = only.and(now);
            }
        }
        let sent = match &only {
            Some(state) => body.only_for(state),
            None => body.bytes().to_vec(),
        };
        let applied = self
            .wire
            .patch(&at.address, patch(Format::Apply), sent)
            .await;
        applied.map_err(|why| self.failed(at, Attempt::Apply, why))
    }
}

impl<W: Witness> Run<'_, W> {
    /// What differs, and what is there and not ready; an error if any may not be written, or not yet.
    fn sorted<'w>(
        &mut self,
        objects: &'w [Planned],
        findings: Vec<Result<Finding, ObjectError>>,
    ) -> Result<Sorted<'w>, ApplyError> {
        let (mut failed, mut writes, mut unsettled) = (Vec::new(), Vec::new(), Vec::new());
        let mut awaited = Vec::new();
        for (object, finding) in objects.iter().zip(findings) {
            match finding {
                Ok(Finding::Settled(action, current, sight)) => {
                    if let Some(sight) = sight {
                        self.witness.stands(object, sight);
                    }
                    self.done.entries.push((object.id().clone(), action));
                    unsettled.extend((!current).then_some(object));
                }
                Ok(Finding::Differs(write)) => writes.push((object, write)),
                Ok(Finding::Leaves(one)) => awaited.push(*one),
                Err(why) => failed.push(why),
            }
        }
        self.failed(failed)?;
        match awaited.is_empty() {
            true => Ok((writes, unsettled)),
            // What it will be like made anew cannot be asked before it is gone: nothing of the stage is written.
            false => Err(self.waits(awaited)),
        }
    }

    /// An error if any was refused.
    fn failed(&mut self, all: Vec<ObjectError>) -> Result<(), ApplyError> {
        match Failures::of(all) {
            Some(failures) => Err(ApplyError::Refused {
                failures,
                done: std::mem::take(&mut self.done),
            }),
            None => Ok(()),
        }
    }

    /// What was to make way for it has not.
    fn blocked(&mut self, object: &Planned, first: &First, why: &Blocked) -> ApplyError {
        let (Blocked::Leaving, First::Delete(uid)) = (why, first) else {
            return self.cut(Cut::Late);
        };
        let deleted = (object.id().clone(), Action::Deleted);
        self.done.entries.push(deleted);
        match self.until.over.is_cancelled() {
            true => self.cut(Cut::Superseded),
            false => self.waits(vec![Awaited::gone(object.entry(), uid, None)]),
        }
    }

    /// It cannot go on yet.
    fn waits(&mut self, awaited: Vec<Awaited>) -> ApplyError {
        let done = std::mem::take(&mut self.done);
        ApplyError::NotReady { awaited, done }
    }

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
        for (object, write) in left {
            let id = object.id();
            self.done.entries.push((id.clone(), Action::Skipped));
            self.done.differed(id, &write.difference.fields);
        }
        writes
    }

    /// What is sent of those that do not stay as others made them, once policy has seen what `spec.ignore` and WriteBacks have
    /// made of it. Nobody is asked where that is nothing.
    async fn judged<'w>(
        &mut self,
        writes: Vec<(&'w Planned, Box<Write>)>,
    ) -> Result<Vec<Ready<'w>>, ApplyError> {
        let writes = self.without_left(writes);
        let kept = |(object, write): &(&Planned, Box<Write>)| {
            let kept = write.kept.clone()?;
            Some((object.id().clone(), kept))
        };
        let kept: BTreeMap<_, _> = writes.iter().filter_map(kept).collect();
        let mut admitted = match kept.is_empty() {
            true => Altered::default(),
            false => {
                let asked = self.witness.judge_kept(kept).await;
                asked.map_err(|source| self.refused(source))?
            }
        };
        let mut ready = Vec::with_capacity(writes.len());
        for (object, write) in writes {
            let body = match (&write.kept, admitted.take(object.id())) {
                (None, _) => Body::of(object),
                (Some(_), Some(admitted)) => Body::altered(&admitted),
                (Some(_), None) => return Err(self.refused(unjudged())),
            };
            ready.push(Ready {
                object,
                write,
                body,
            });
        }
        Ok(ready)
    }

    /// The witness has said no.
    fn refused(&mut self, source: Explained) -> ApplyError {
        ApplyError::Unrecorded {
            source,
            done: std::mem::take(&mut self.done),
        }
    }

    /// What led the stage was refused: if it was the first write, nothing is left behind yet.
    fn nothing_written(&mut self) {
        if !self.wrote {
            self.witness.nothing_written();
            self.witnessed = false;
        }
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
            Err(source) => Err(self.refused(source)),
        }
    }
}
