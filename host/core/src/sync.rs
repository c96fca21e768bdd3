//! How far a sync is: which hooks were begun for it, and what became of them.
//!
//! A sync is what one revision, one plan and one request for a run come to; its hooks run once. All that must survive a kill
//! is in the status: a hook is written down before it is created, and how it ended before it is deleted. A run that finds
//! another sync there begins anew. Which objects are out of sync or unhealthy is deliberately not remembered: the cluster
//! says so at each run.

use std::collections::BTreeSet;

use reeve_api::kustomization::{HookOutcome, HookStatus, SyncStatus};

use crate::health::{Check, Seen};
use crate::inventory::{Entry, Inventory, ObjectId};
use crate::plan::{Phase, Place, Plan, Planned, Step};
use crate::status::bounded;
use crate::veil::Veil;

/// How much of what a hook or a sync says when it fails is kept, in bytes.
const MOST_WORDS: usize = 400;

/// How far a sync is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sync {
    digest: String,
    on_deletion: bool,
    /// The wave that is waited for, or failed.
    pub at: Option<Place>,
    /// Why it failed, as long as the hooks for that run.
    pub failure: Option<String>,
    ran: Vec<Ran>,
}

/// A hook that was begun.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Ran {
    entry: Entry,
    phase: Phase,
    uid: Option<String>,
    end: Option<End>,
    deleted: bool,
}

/// How a hook ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// It is complete.
    Succeeded,
    /// It will not be; why.
    Failed(String),
}

/// A hook that has ended and is to be deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leaver {
    /// The object.
    pub entry: Entry,
    /// Only this very one.
    pub uid: String,
    phase: Phase,
}

impl Sync {
    /// The sync of `plan`, as far as the status has it; none where everything is applied at once.
    pub fn of<S>(plan: &Plan<S>, status: Option<&SyncStatus>) -> Option<Self> {
        let digest = plan.sync()?;
        let on_deletion = plan.steps(Phase::PostDelete).next().is_some();
        let known = status.filter(|status| status.digest == digest);
        Some(Self {
            digest: digest.to_owned(),
            on_deletion,
            at: known.and_then(place),
            failure: known.and_then(|status| status.failure.clone()),
            ran: known.map(ran).unwrap_or_default(),
        })
    }

    /// As the status holds it.
    pub fn told(&self) -> SyncStatus {
        SyncStatus {
            digest: self.digest.clone(),
            failure: self.failure.clone(),
            hooks: self.ran.iter().map(Ran::told).collect(),
            on_deletion: self.on_deletion,
            phase: self.at.map(|at| at.phase),
            wave: self.at.map(|at| at.wave),
        }
    }

    /// The hooks of a wave that have not ended, and whether the object of each was seen.
    pub fn unfinished<'p, S>(&self, step: Step<'p, S>) -> Vec<(&'p Planned, bool)> {
        let hooks = step.hooks().iter().map(|hook| (hook, self.ran(hook)));
        let open = hooks.filter(|(_, ran)| ran.is_none_or(|ran| ran.end.is_none()));
        open.map(|(hook, ran)| (hook, ran.is_some_and(|ran| ran.uid.is_some())))
            .collect()
    }

    /// Why hooks of a wave have failed, if any has.
    pub fn failed<S>(&self, step: Step<'_, S>) -> Option<String> {
        let failed = step.hooks().iter().filter_map(|hook| {
            let Some(End::Failed(why)) = &self.ran(hook)?.end else {
                return None;
            };
            Some(format!("hook {} failed: {why}", hook.id().subject()))
        });
        let failed: Vec<String> = failed.collect();
        let place = step.place();
        (!failed.is_empty()).then(|| format!("{place}: {}", failed.join("; ")))
    }

    /// A hook is about to be created.
    pub fn begin(&mut self, hook: &Planned) {
        let Some(phase) = hook.phase() else { return };
        if self.ran(hook).is_none() {
            self.ran.push(Ran {
                entry: hook.entry(),
                phase,
                uid: None,
                end: None,
                deleted: false,
            });
        }
    }

    /// It is there.
    pub fn is_there(&mut self, hook: &Planned, uid: String) {
        self.begin(hook);
        if let Some(ran) = self.ran_mut(hook) {
            ran.uid = Some(uid);
        }
    }

    /// It has ended.
    pub fn end(&mut self, hook: &Planned, end: End) {
        if let Some(ran) = self.ran_mut(hook) {
            ran.end = Some(match end {
                End::Failed(why) => End::Failed(bounded(&why, MOST_WORDS)),
                End::Succeeded => End::Succeeded,
            });
        }
    }

    /// What a look has shown of the hooks of a wave, as far as it may be told.
    pub fn learn<'l, S>(
        &mut self,
        step: Step<'_, S>,
        looks: impl IntoIterator<Item = (&'l Check, &'l Seen)>,
        veil: &Veil,
    ) {
        for (check, seen) in looks {
            let hook = step
                .hooks()
                .iter()
                .find(|hook| *hook.id() == check.entry.id);
            let Some(hook) = hook else { continue };
            if let Some(why) = seen.failure_of(check) {
                // Before it is cut short.
                self.end(hook, End::Failed(veil.cover(why.to_owned())));
            } else if seen.is_well(check) {
                self.end(hook, End::Succeeded);
            }
        }
    }

    /// It failed here, for this.
    pub fn fail(&mut self, why: &str) {
        self.failure = Some(bounded(why, MOST_WORDS));
    }

    /// Whether it failed in this wave, and the hooks for that run.
    pub fn has_failed_at(&self, place: Place) -> bool {
        self.failure.is_some() && self.at == Some(place)
    }

    /// The hooks that may have to be deleted yet: those that ask for it at their end, and those that begin in the place of one
    /// that is there of an earlier sync, by what was there `before`, or is of an earlier phase.
    pub fn may_delete<'p, S>(&self, plan: &'p Plan<S>, before: &Inventory) -> Vec<&'p Planned> {
        let mut earlier: BTreeSet<&ObjectId> = BTreeSet::new();
        let mut all = Vec::new();
        for hook in plan.hooks() {
            let ran = self.ran(hook);
            let is_there = earlier.contains(hook.id()) || before.contains(hook.id());
            let replaces = ran.is_none() && is_there;
            let is_gone = ran.is_some_and(|ran| ran.deleted);
            let goes = !is_gone && (hook.goes(true) || hook.goes(false));
            earlier.insert(hook.id());
            if replaces || goes {
                all.push(hook);
            }
        }
        all
    }

    /// The hooks that have ended and asked to be deleted then.
    pub fn leavers<S>(&self, plan: &Plan<S>) -> Vec<Leaver> {
        let leaves = plan.hooks().filter_map(|hook| {
            let ran = self.ran(hook).filter(|ran| !ran.deleted)?;
            let well = *ran.end.as_ref()? == End::Succeeded;
            let leaver = Leaver {
                entry: ran.entry.clone(),
                uid: ran.uid.clone()?,
                phase: ran.phase,
            };
            hook.goes(well).then_some(leaver)
        });
        leaves.collect()
    }

    /// It is gone.
    pub fn is_gone(&mut self, leaver: &Leaver) {
        let of = |ran: &&mut Ran| ran.phase == leaver.phase && ran.entry.id == leaver.entry.id;
        if let Some(ran) = self.ran.iter_mut().find(of) {
            ran.deleted = true;
        }
    }

    /// `steady` with the hooks that are, or may be, on the cluster; `before` is what the last run left there.
    pub fn inventory<S>(&self, plan: &Plan<S>, steady: Inventory, before: &Inventory) -> Inventory {
        let named: BTreeSet<&ObjectId> = plan.hooks().map(Planned::id).collect();
        let mut gone = Inventory::default();
        for ran in self.ran.iter().filter(|ran| ran.deleted) {
            gone.insert(ran.entry.clone());
        }
        let mut all = steady;
        let stays = before.entries().filter(|entry| named.contains(&entry.id));
        stays.for_each(|entry| all.insert(entry.clone()));
        let mut all = all.minus(&gone);
        // One that runs in two phases may be there again.
        for ran in self.ran.iter().filter(|ran| !ran.deleted) {
            all.insert(ran.entry.clone());
        }
        all
    }

    fn ran(&self, hook: &Planned) -> Option<&Ran> {
        let of = |ran: &&Ran| Some(ran.phase) == hook.phase() && ran.entry.id == *hook.id();
        self.ran.iter().find(of)
    }

    fn ran_mut(&mut self, hook: &Planned) -> Option<&mut Ran> {
        let of = |ran: &&mut Ran| Some(ran.phase) == hook.phase() && ran.entry.id == *hook.id();
        self.ran.iter_mut().find(of)
    }
}

/// The hooks that a status says have been begun in a phase.
pub fn begun_in(status: Option<&SyncStatus>, phase: Phase) -> Inventory {
    let all = status.map(ran).unwrap_or_default();
    let of = all.into_iter().filter(|ran| ran.phase == phase);
    of.map(|ran| ran.entry).collect()
}

impl Ran {
    fn told(&self) -> HookStatus {
        let (outcome, message) = match &self.end {
            None => (None, None),
            Some(End::Succeeded) => (Some(HookOutcome::Succeeded), None),
            Some(End::Failed(why)) => (Some(HookOutcome::Failed), Some(why.clone())),
        };
        HookStatus {
            deleted: self.deleted,
            id: self.entry.id.to_string(),
            message,
            outcome,
            phase: self.phase,
            uid: self.uid.clone(),
            version: self.entry.version.clone(),
        }
    }
}

fn place(status: &SyncStatus) -> Option<Place> {
    let (phase, wave) = (status.phase?, status.wave?);
    Some(Place { phase, wave })
}

/// What somebody else wrote there that names no object is none of ours.
fn ran(status: &SyncStatus) -> Vec<Ran> {
    let read = |hook: &HookStatus| {
        let entry = Entry {
            id: hook.id.parse().ok()?,
            version: hook.version.clone(),
        };
        let why = || hook.message.clone().unwrap_or_default();
        Some(Ran {
            entry,
            phase: hook.phase,
            uid: hook.uid.clone(),
            end: hook.outcome.map(|outcome| match outcome {
                HookOutcome::Succeeded => End::Succeeded,
                HookOutcome::Failed => End::Failed(why()),
            }),
            deleted: hook.deleted,
        })
    };
    status.hooks.iter().filter_map(read).collect()
}

#[cfg(test)]
mod tests;
