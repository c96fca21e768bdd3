//! The hooks of a walk: begun once, written down before they are created, and deleted as they ask for.

use super::{
    Admitted, End, Explained, Pause, Phase, Planned, Reason, Step, Stop, Turn, Walk, explained,
};
use crate::cluster::{Action, ApplyError, HookFound, HookWrite};

/// The hooks of a wave that have not ended yet, and what there is of each.
pub(super) type Found<'p> = Vec<(&'p Planned, HookFound)>;

impl Walk<'_> {
    /// The hooks of a wave, tried before anything of it is written: one that is refused leaves no half of it behind. None: it may
    /// be the wave itself that lets them in.
    pub(super) async fn find_early<'p>(
        &self,
        step: Step<'p, Admitted>,
    ) -> Result<Option<Found<'p>>, Stop> {
        if step.stages().is_empty() || step.decides_on_others() {
            return Ok(None);
        }
        match self.find(step).await {
            Ok(found) => Ok(Some(found)),
            // Whom they have to ask may be what the wave mends.
            Err(stop) if matches!(stop.why.turn, Turn::Ours | Turn::Later(_)) => Ok(None),
            Err(stop) => Err(stop),
        }
    }

    /// The hooks of a wave that have not ended yet, tried where they are not there. Writes nothing.
    pub(super) async fn find<'p>(&self, step: Step<'p, Admitted>) -> Result<Found<'p>, Stop> {
        let Some(sync) = &self.sync else {
            return Ok(Vec::new());
        };
        if sync.failed(step).is_some() {
            // Beside one that has failed nothing more is begun.
            return Ok(Vec::new());
        }
        let open = sync.unfinished(step);
        if open.is_empty() {
            return Ok(Vec::new());
        }
        let wanted = open.iter().map(|(hook, seen)| (hook.id().clone(), *seen));
        let wanted: Vec<_> = wanted.collect();
        let plan = &self.prepared.plan;
        let found = self
            .client
            .find_hooks(plan, step, &wanted, self.until)
            .await;
        let found = match found {
            Ok(found) => found,
            Err(why) => return Err(self.refused(&why).await),
        };
        let each = open.into_iter().zip(found);
        Ok(each.map(|((hook, _), (_, found))| (hook, found)).collect())
    }

    /// Has the hooks run that were found of a wave, and returns those.
    pub(super) async fn begin<'p>(
        &mut self,
        step: Step<'p, Admitted>,
        found: Found<'p>,
    ) -> Result<Vec<&'p Planned>, Stop> {
        let (mut hooks, mut there, mut writes) = (Vec::new(), Vec::new(), Vec::new());
        for (hook, found) in found {
            hooks.push(hook);
            match found {
                HookFound::There(uid) => there.push((hook, uid)),
                // It is looked at, and found to be gone.
                HookFound::Gone => {}
                HookFound::Blocked(one) => self.awaited.push(one),
                HookFound::Lacks(write) => writes.push((hook, write)),
            }
        }
        if !writes.is_empty() {
            // Before what stays is applied nothing of that is compared either.
            let is_shown = step.place().phase > Phase::PreSync;
            self.recorder.foresee(is_shown).await?;
        }
        if let Some(sync) = &mut self.sync {
            there
                .into_iter()
                .for_each(|(hook, uid)| sync.is_there(hook, uid));
            writes.iter().for_each(|(hook, _)| sync.begin(hook));
        }
        self.create(writes).await?;
        Ok(hooks)
    }

    /// Creates hooks, once it is written down that they may be there.
    async fn create(&mut self, writes: Vec<(&Planned, HookWrite)>) -> Result<(), Stop> {
        if writes.is_empty() {
            return Ok(());
        }
        self.record().await?;
        for (hook, write) in writes {
            if self.until.over.is_cancelled() {
                let message = "what is wanted has changed meanwhile";
                return Err(Explained::new(Reason::Progressing, Turn::Ours, message).into());
            }
            match self.client.create_hook(write, self.until).await {
                Ok(uid) => {
                    if let Some(sync) = &mut self.sync {
                        sync.is_there(hook, uid);
                    }
                    let created = (hook.id().clone(), Action::Created);
                    self.done.entries.push(created);
                }
                Err(why) if why.awaited().next().is_some() => {
                    self.done.entries.extend(why.done().entries.iter().cloned());
                    self.awaited.extend(why.awaited().cloned());
                }
                Err(why) => return Err(self.refused(&why).await),
            }
        }
        Ok(())
    }

    async fn refused(&self, why: &ApplyError) -> Stop {
        let why = explained(self.ctx, self.wanted, why, why.failures()).await;
        why.into()
    }

    /// Writes down how far the sync is.
    async fn record(&self) -> Result<(), Stop> {
        match self.told() {
            Some(told) => Ok(self.recorder.sync(told, &self.inventory()).await?),
            None => Ok(()),
        }
    }

    /// Everything is as it is wanted: the sync is over.
    pub(super) async fn arrive(&mut self) -> Result<Option<Pause>, Stop> {
        if let Some(sync) = &mut self.sync {
            (sync.at, sync.failure) = (None, None);
        }
        self.tidy().await?;
        Ok(None)
    }

    /// The sync has failed: the hooks for that run, and when they have ended it is told.
    pub(super) async fn fail(&mut self, stop: Stop) -> Result<Pause, Stop> {
        let counts = match stop.why.reason {
            Reason::HealthCheckFailed => true,
            // An API server that is away, or has too much to do, is no failure of what is applied.
            Reason::ReconciliationFailed => !matches!(stop.why.turn, Turn::Ours | Turn::Later(_)),
            _ => false,
        };
        // It is kept in the status, cut short: covered before that.
        let veil = self.wanted.veil();
        let stop = stop.under(veil);
        let Some(sync) = self.sync.as_mut().filter(|_| counts) else {
            return Err(stop);
        };
        sync.fail(&stop.why.message);
        let prepared = self.prepared;
        let mut steps = prepared.plan.steps(Phase::SyncFail).peekable();
        while let Some(step) = steps.next() {
            let more = steps.peek().is_some();
            match self.step(step, more).await {
                Ok(None) => {}
                Ok(Some(mut pause)) => {
                    pause.words = format!("{}, since {}", pause.words, stop.why.message);
                    return Ok(pause);
                }
                Err(why) => {
                    self.give_up(step, &why.under(veil));
                    break;
                }
            }
        }
        if let Some(sync) = &mut self.sync {
            sync.failure = None;
        }
        // Why the sync failed is worth more than why a hook stays.
        if let Err(why) = self.tidy().await {
            let why = why.under(veil);
            tracing::debug!(error = %why.why, "a hook could not be deleted");
        }
        Err(stop)
    }

    /// The Kustomization was deleted: whether the hooks for that have all ended.
    pub(in super::super) async fn part(mut self) -> Result<bool, Explained> {
        let prepared = self.prepared;
        for step in prepared.plan.steps(Phase::PostDelete) {
            // Nothing else is left to be waited for.
            let came = self.step(step, false).await;
            let waits = came.map_err(|stop| stop.why)?.is_some();
            if waits {
                self.record().await.map_err(|stop| stop.why)?;
                return Ok(false);
            }
        }
        self.tidy().await.map_err(|stop| stop.why)?;
        Ok(true)
    }

    /// Hooks for a failed sync that do not end in time have failed: they are not waited for once more.
    fn give_up(&mut self, step: Step<'_, Admitted>, why: &Stop) {
        tracing::debug!(error = %why.why, "a hook for a failed sync has failed");
        let late = why.why.reason == Reason::HealthCheckFailed;
        let Some(sync) = self.sync.as_mut().filter(|_| late) else {
            return;
        };
        for (hook, seen) in sync.unfinished(step) {
            if seen {
                sync.end(hook, End::Failed(why.why.message.clone()));
            }
        }
    }

    /// Deletes the hooks that asked for it, once it is written down how they ended.
    async fn tidy(&mut self) -> Result<(), Stop> {
        let Some(sync) = &self.sync else {
            return Ok(());
        };
        let leavers = sync.leavers(&self.prepared.plan);
        if leavers.is_empty() {
            return Ok(());
        }
        self.record().await?;
        for leaver in leavers {
            let deleted = self.client.delete_hook(&leaver.entry, &leaver.uid).await;
            deleted.map_err(|why| Explained::of(&why))?;
            if let Some(sync) = &mut self.sync {
                sync.is_gone(&leaver);
            }
            let deleted = (leaver.entry.id, Action::Deleted);
            self.pruned.entries.push(deleted);
        }
        Ok(())
    }
}
