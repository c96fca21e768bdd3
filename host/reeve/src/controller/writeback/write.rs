//! What was read is decided about on the newest commit of the branch, and pushed on top of it.
//!
//! First on the files that the source has, which costs no server anything: mostly there is nothing to write, since it was we who
//! applied what was seen. Then on those of the branch as it is, and again on what somebody pushes meanwhile: nothing of theirs is
//! undone. What decides is `core::writeback`; how a branch moves is `git::push`'s; and what is different where somebody is asked to
//! merge it, `propose` says.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use reeve_api::meta::Time;
use reeve_api::reason::Reason;
use reeve_api::writeback::{WriteBackCommit, WrittenObject};
use reeve_core::artifact::Revision;
use reeve_core::failure::{Explained, Turn};
use reeve_core::inventory::ObjectId;
use reeve_core::status::Requested;
use reeve_core::veil::Veil;
use reeve_core::ward::Work;
use reeve_core::writeback::{
    About, Allowed, Build, Decision, Elsewhere, Head, Proposal, Propose, Remembered, Rules, Seen,
    Settled, compose, decide,
};
use reeve_kustomize::{Options, Remotes, Stop, Tree};

use super::beside::Beside;
use super::lean::Agreed;
use super::look::{Built, Found};
use super::paused::out;
use super::told::{lost, made, settled, written};
use super::whole::Whole;
use super::{Case, Taken};
use crate::controller::report;
use crate::git::commit::Edits;
use crate::git::push::{Absent, Outcome, Push, push};
use crate::git::{self, Snapshot};
use crate::observe::writeback::WrittenBack;

/// The longest message: more of it is left out.
const MESSAGE: usize = 60_000;

/// What a run has written.
#[derive(Default)]
pub(super) struct Wrote {
    pub(super) head: Option<String>,
    pub(super) commit: Option<WriteBackCommit>,
    pub(super) objects: Vec<WrittenObject>,
    pub(super) lost: Vec<String>,
    pub(super) request: Requested,
    /// What is in files of its own; None: as before.
    pub(super) made: Option<Vec<String>>,
    /// What somebody has taken out; None: as before.
    pub(super) taken_out: Option<Vec<String>>,
    /// When which of those files were as their objects; None: as before.
    pub(super) agreed: Option<Remembered>,
    /// What could not be read: it is left for later.
    pub(super) trouble: Option<Explained>,
}

impl Wrote {
    /// The same, but for what could not be read: it is left for later.
    pub(super) fn but_for(
        mut self,
        taken: &mut Taken<'_>,
        later: Work,
        trouble: Option<Explained>,
    ) -> Self {
        if self.trouble.is_none() {
            taken.settle(later);
        }
        self.trouble = trouble.or(self.trouble);
        self
    }
}

/// What was read, to be decided about.
pub(super) struct Sight {
    pub(super) ids: Vec<ObjectId>,
    pub(super) material: Arc<Material>,
    _given_up: GivenUp,
}

/// What is decided about, on whatever files.
pub(super) struct Material {
    by: String,
    /// The branch that it is proposed on, where it is.
    request: Option<String>,
    rules: Rules,
    allowed: Allowed,
    pub(super) path: String,
    pub(super) template: String,
    builds: Vec<Owned>,
    others: Vec<String>,
    elsewhere: Vec<Elsewhere>,
    /// What is known of files of their own, and when they were as their objects.
    pub(super) agreed: Agreed,
    pub(super) memory: Remembered,
    pub(super) seen: Vec<Seen>,
    veil: Veil,
    limits: git::Limits,
    deadline: Instant,
}

/// A directory that is built.
struct Owned {
    path: String,
    remotes: Remotes,
    options: Options,
    others: Vec<String>,
    base: Snapshot,
}

/// What was decided last, and on which commit.
pub(super) struct Decided {
    pub(super) head: Revision,
    pub(super) decision: Decision,
    /// What is remembered of files of their own, as it is told of that commit, and what came of those that were decided about.
    memory: Remembered,
    settled: Settled,
    /// What is to be proposed, where anything is to be written.
    pub(super) proposal: Option<Proposal>,
}

impl Sight {
    /// The same without these objects.
    pub(super) fn without(mut self, objects: &[ObjectId]) -> Self {
        // Nobody decides about it just now, so that it is in no other hands.
        if let Some(material) = Arc::get_mut(&mut self.material) {
            let seen = std::mem::take(&mut material.seen);
            let all = std::mem::take(&mut self.ids).into_iter().zip(seen);
            let (ids, seen) = all.filter(|(id, _)| !objects.contains(id)).unzip();
            (self.ids, material.seen) = (ids, seen);
        }
        self
    }
}

/// Stops what still builds when nobody waits for it any more.
struct GivenUp(Stop);

impl Drop for GivenUp {
    fn drop(&mut self) {
        self.0.now();
    }
}

impl Case<'_> {
    /// Reads what was taken, and writes what of it is to be written.
    pub(super) async fn write(&self, taken: &mut Taken<'_>) -> Result<Wrote, Explained> {
        let Found {
            seen,
            builds,
            later,
            trouble,
            agreed,
            ..
        } = self.look(&taken.work).await;
        let mut wrote = Wrote::default();
        if !seen.is_empty() {
            let sight = self.sight(builds, seen, agreed);
            let (decided, pushed) = self.carry_out(&sight.material).await?;
            self.settle(&sight, &decided.decision);
            wrote = self.told(&sight, &decided, pushed.as_ref());
            if pushed.is_some() {
                self.ctx.queues.sources.wake(self.spec.source.key());
            }
        }
        Ok(wrote.but_for(taken, later, trouble))
    }

    /// What was read, put together.
    pub(super) fn sight(
        &self,
        builds: Vec<Built>,
        seen: Vec<(ObjectId, Seen)>,
        agreed: Agreed,
    ) -> Sight {
        let (ids, seen): (Vec<ObjectId>, Vec<Seen>) = seen.into_iter().unzip();
        let seen = self.ctx.wards.unsaid(self.id, seen);
        let stop = Stop::default();
        Sight {
            ids,
            material: Arc::new(Material {
                agreed,
                ..self.material(builds, seen, &stop)
            }),
            _given_up: GivenUp(stop),
        }
    }

    /// What was decided is remembered of each object.
    pub(super) fn settle(&self, sight: &Sight, decision: &Decision) {
        let settled = settled(&sight.ids, decision);
        self.ctx.wards.looked_at(self.id, settled);
        self.wake_makers(sight, decision);
    }

    fn material(&self, builds: Vec<Built>, seen: Vec<Seen>, stop: &Stop) -> Material {
        let veil = self.veil(&builds);
        let namespaces = seen.iter().map(|one| one.object().namespace().to_owned());
        let beside = Beside::of(self, &builds, &seen);
        let builds = builds.into_iter().map(|built| Owned {
            path: built.applied.path.clone(),
            remotes: built.applied.remotes.clone(),
            options: Options {
                stop: stop.clone(),
                ..built.applied.options.clone()
            },
            others: built.others,
            base: built.base,
        });
        Material {
            by: self.id.to_string(),
            request: match &self.spec.propose {
                Propose::Request(request) => Some(request.branch.clone()),
                Propose::Commit => None,
            },
            rules: self.spec.rules.clone(),
            allowed: self.allowed(namespaces.filter(|name| !name.is_empty())),
            path: self.spec.path.clone(),
            template: self.spec.template.clone(),
            builds: builds.collect(),
            others: beside.others,
            elsewhere: beside.elsewhere,
            agreed: Agreed::default(),
            memory: self.memory.clone(),
            seen,
            veil,
            limits: self.ctx.limits.clone(),
            deadline: self.deadline.into_std(),
        }
    }

    /// What is decided, and what was pushed, if anything was.
    async fn carry_out(
        &self,
        material: &Arc<Material>,
    ) -> Result<(Decided, Option<Revision>), Explained> {
        if let Some(decided) = self.on_what_is_here(material).await?
            && decided.decision.edits.files.is_empty()
        {
            return Ok((decided, None));
        }
        self.send(material, self.branch.clone(), Absent::Refuse)
            .await
    }

    /// What was decided on what the branch is to hold, and the commit of that, if there was one to make.
    pub(super) async fn send(
        &self,
        material: &Arc<Material>,
        branch: String,
        absent: Absent,
    ) -> Result<(Decided, Option<Revision>), Explained> {
        let decided: Arc<Mutex<Option<Decided>>> = Arc::default();
        let edit = {
            let (material, decided) = (Arc::clone(material), Arc::clone(&decided));
            move |head: Option<&Snapshot>| material.edit(head, &decided)
        };
        let what = self.push(branch, absent).await?;
        let mirrors = self.repository.onto(&self.ctx.mirrors_of(self.id));
        let pushed = push(
            &mirrors,
            &self.repository.remote,
            what,
            edit,
            &self.ctx.clock,
            self.deadline.into_std(),
            &self.ctx.limits,
        );
        let pushed = pushed.await.map_err(|why| self.unpushed(&why))?;
        let last = decided
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let last = last.ok_or_else(|| {
            let message = "nothing was decided about what was pushed; this is a fault of reeve's";
            Explained::new(Reason::GitOperationFailed, Turn::Ours, message)
        })?;
        Ok(match pushed {
            Outcome::Pushed { revision, .. } => (last, Some(revision)),
            Outcome::Unchanged => (last, None),
        })
    }

    /// What would be decided on the files that the source has; nothing where it has none of that branch.
    pub(super) async fn on_what_is_here(
        &self,
        material: &Arc<Material>,
    ) -> Result<Option<Decided>, Explained> {
        if self.repository.branch.as_ref() != Some(&self.branch) {
            return Ok(None);
        }
        let Ok(stored) = self.ctx.in_store(&self.spec.source.key()) else {
            return Ok(None);
        };
        self.on(material, stored.snapshot.clone()).await.map(Some)
    }

    /// What would be decided on these files.
    pub(super) async fn on(
        &self,
        material: &Arc<Material>,
        files: Snapshot,
    ) -> Result<Decided, Explained> {
        let material = Arc::clone(material);
        let work = tokio::task::spawn_blocking(move || material.decided(&files));
        let late = |_| {
            let message = "finding out where a change goes took too long";
            Explained::new(Reason::BuildFailed, Turn::Retry, message)
        };
        let done = tokio::time::timeout_at(self.deadline, work).await;
        let crashed = |_| {
            let message =
                "deciding what is written crashed; this is a fault of reeve's, the log has where";
            Explained::new(Reason::BuildFailed, Turn::Retry, message)
        };
        done.map_err(late)?.map_err(crashed)?
    }

    async fn push(&self, branch: String, absent: Absent) -> Result<Push, Explained> {
        let who = self.author()?;
        Ok(Push {
            branch,
            absent,
            ignore: self.repository.ignore.clone(),
            author: who.clone(),
            committer: who,
            message: format!("Write back by WriteBack {}", self.id),
            signer: self.signer().await?,
            options: Vec::new(),
            spread: rand::random(),
        })
    }

    pub(super) fn unpushed(&self, why: &git::push::Error) -> Explained {
        self.repository.said(&Explained::of(why))
    }

    /// What the world is told of what was decided and pushed.
    pub(super) fn told(
        &self,
        sight: &Sight,
        decided: &Decided,
        pushed: Option<&Revision>,
    ) -> Wrote {
        let Decided {
            head,
            decision,
            memory,
            settled,
            ..
        } = decided;
        let cover = |text: String| sight.material.veil.cover(text);
        let lost = decision.conflicts.iter().map(lost).map(cover);
        let objects = (&sight.ids[..], &sight.material.seen[..]);
        let proposed = matches!(self.spec.propose, Propose::Request(_));
        // What is proposed is not in it yet.
        let at = pushed.filter(|_| !proposed).unwrap_or(head).to_string();
        let memory = memory.after(decision, settled, &at, proposed);
        let mut wrote = Wrote {
            head: Some(head.to_string()),
            lost: lost.collect(),
            made: made(&self.made, objects, decision, &self.spec.rules, proposed),
            taken_out: out(&self.taken_out, &sight.ids, decision),
            agreed: (memory != self.memory).then_some(memory),
            ..Wrote::default()
        };
        let objects = u64::try_from(decision.written.len()).unwrap_or(u64::MAX);
        self.ctx.metrics.tell(&WrittenBack {
            tenant: self.tenant.name.as_str(),
            committed: pushed.is_some(),
            written: if pushed.is_some() { objects } else { 0 },
            refused: u64::try_from(decision.refused.len()).unwrap_or(u64::MAX),
            conflicts: u64::try_from(decision.conflicts.len()).unwrap_or(u64::MAX),
        });
        if let Some(revision) = pushed {
            let commit = revision.commit();
            let objects = decision.written.iter().map(|one| written(one, commit));
            wrote.objects = objects.collect();
            wrote.commit = Some(WriteBackCommit {
                branch: revision.pointer().unwrap_or_default().to_owned(),
                request_url: None,
                revision: revision.to_string(),
                time: Time(self.ctx.clock.now()),
            });
            report::written_back(self.ctx, revision, &decision.written);
            // What is proposed is said once more whenever something else is proposed with it.
            if !proposed {
                self.ctx.wards.remember(self.id, &decision.written);
            }
        }
        wrote
    }
}

impl Material {
    fn decided(&self, head: &Snapshot) -> Result<Decided, Explained> {
        let all = Whole::of(head, &self.limits, self.deadline);
        let decision = self.decide(head, &all);
        let settled = self.settled(&all, &decision);
        let memory = self.folded(&all, head.revision(), &decision);
        if let Some(why) = all.trouble() {
            let message = format!("not all files of the branch can be looked at: {why}");
            return Err(Explained::new(Reason::BuildFailed, Turn::Retry, message));
        }
        Ok(Decided {
            head: head.revision().clone(),
            proposal: Proposal::of(&decision, head),
            decision,
            memory,
            settled,
        })
    }

    fn decide(&self, head: &Snapshot, all: &dyn Tree) -> Decision {
        let now = head.revision().commit();
        let builds = self.builds.iter().map(|one| Build {
            path: &one.path,
            remotes: &one.remotes,
            options: &one.options,
            others: &one.others,
            base: match one.base.revision().commit() == now {
                true => None,
                false => Some(&one.base as &dyn Tree),
            },
            compared: None,
        });
        let builds: Vec<Build<'_>> = builds.collect();
        let head = Head {
            tree: head,
            all,
            path: &self.path,
            template: &self.template,
            builds: &builds,
            others: &self.others,
            elsewhere: &self.elsewhere,
            agreed: &self.agreed.files,
            forgotten: &self.agreed.forgotten,
        };
        decide(&self.rules, &self.allowed, &head, &self.seen)
    }

    /// What is to change in the files at `head`, and what the commit says.
    fn edit(
        &self,
        head: Option<&Snapshot>,
        decided: &Mutex<Option<Decided>>,
    ) -> Result<Edits, Explained> {
        let Some(head) = head else {
            let message = "the branch has no commit to build upon";
            return Err(Explained::new(
                Reason::EmptyGitRepository,
                Turn::Retry,
                message,
            ));
        };
        let last = self.decided(head)?;
        let files = last.decision.edits.files.iter();
        let edits = files.fold(Edits::new(), |edits, (path, bytes)| match bytes {
            Some(bytes) => edits.write(path, bytes.clone()),
            None => edits.remove(path),
        });
        let edits = edits.saying(self.message(&last));
        *decided.lock().unwrap_or_else(PoisonError::into_inner) = Some(last);
        Ok(edits)
    }

    /// What the commit says.
    pub(super) fn message(&self, decided: &Decided) -> String {
        let Decided { head, decision, .. } = decided;
        let revision = head.to_string();
        let about = About {
            by: &self.by,
            revision: &revision,
            request: self.request.as_deref(),
        };
        let (mut written, mut conflicts) = (&decision.written[..], &decision.conflicts[..]);
        loop {
            let message = compose(&about, written, conflicts, &decision.edits);
            if message.len() <= MESSAGE || written.len() <= 1 {
                return self.veil.cover(message);
            }
            let (some, _) = written.split_at(written.len() / 2);
            let (few, _) = conflicts.split_at(conflicts.len() / 2);
            (written, conflicts) = (some, few);
        }
    }
}
