//! What was read is decided about on the newest commit of the branch, and pushed on top of it.
//!
//! First on the files that the source has, which costs no server anything: mostly there is nothing to write, since it was we who
//! applied what was seen. Then on those of the branch as it is, and again on what somebody pushes meanwhile: nothing of theirs is
//! undone. What decides is `core::writeback`; how a branch moves is `git::push`'s.

use std::sync::{Arc, Mutex, PoisonError};

use reeve_api::meta::Time;
use reeve_api::reason::Reason;
use reeve_api::writeback::{WriteBackCommit, WrittenObject};
use reeve_core::artifact::Revision;
use reeve_core::failure::{Explained, Turn};
use reeve_core::inventory::ObjectId;
use reeve_core::veil::Veil;
use reeve_core::writeback::{
    About, Allowed, Build, Decision, Head, Propose, Rules, Seen, compose, decide,
};
use reeve_kustomize::{Options, Remotes, Stop, Tree};

use super::look::{Built, Found};
use super::told::{lost, named, settled, written};
use super::{Case, Taken, request};
use crate::controller::report;
use crate::git::commit::{Edits, Identity, Signer};
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
    /// What could not be read: it is left for later.
    pub(super) trouble: Option<Explained>,
}

/// What is decided about, on whatever files.
struct Material {
    by: String,
    rules: Rules,
    allowed: Allowed,
    path: String,
    template: String,
    builds: Vec<Owned>,
    seen: Vec<Seen>,
    veil: Veil,
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
struct Decided {
    head: Revision,
    decision: Decision,
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
        let found = self.look(&taken.work).await;
        let Found {
            seen,
            builds,
            left,
            later,
            trouble,
        } = found;
        self.ctx.wards.looked_at(self.id, left);
        let mut wrote = Wrote::default();
        if !seen.is_empty() {
            let (ids, seen): (Vec<ObjectId>, Vec<Seen>) = seen.into_iter().unzip();
            let names = named(&ids, &seen);
            let stop = Stop::default();
            let _given_up = GivenUp(stop.clone());
            let material = Arc::new(self.material(builds, seen, &stop));
            let done = self.carry_out(&material).await?;
            self.ctx
                .wards
                .looked_at(self.id, settled(&ids, &names, &done.0.decision));
            wrote = self.told(&material, done).await;
        }
        if wrote.trouble.is_none() {
            taken.settle(later);
        }
        wrote.trouble = trouble.or(wrote.trouble);
        Ok(wrote)
    }

    fn material(&self, builds: Vec<Built>, seen: Vec<Seen>, stop: &Stop) -> Material {
        let veil = builds
            .iter()
            .fold(Veil::default(), |veil, one| veil.and(&one.applied.veil));
        let namespaces = seen.iter().map(|one| one.object().namespace().to_owned());
        let builds = builds.into_iter().map(|built| Owned {
            path: built.applied.path,
            remotes: built.applied.remotes,
            options: Options {
                stop: stop.clone(),
                ..built.applied.options
            },
            others: built.others,
            base: built.applied.files,
        });
        Material {
            by: self.id.to_string(),
            rules: self.spec.rules.clone(),
            allowed: self.allowed(namespaces.filter(|name| !name.is_empty())),
            path: self.spec.path.clone(),
            template: self.spec.template.clone(),
            builds: builds.collect(),
            seen,
            veil,
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
        let decided: Arc<Mutex<Option<Decided>>> = Arc::default();
        let edit = {
            let (material, decided) = (Arc::clone(material), Arc::clone(&decided));
            move |head: Option<&Snapshot>| material.edit(head, &decided)
        };
        let (what, mirrors) = (self.push().await?, self.ctx.mirrors_of(self.id));
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
    async fn on_what_is_here(
        &self,
        material: &Arc<Material>,
    ) -> Result<Option<Decided>, Explained> {
        if self.repository.branch.as_ref() != Some(&self.branch) {
            return Ok(None);
        }
        let Ok(stored) = self.ctx.in_store(&self.spec.source.key()) else {
            return Ok(None);
        };
        let material = Arc::clone(material);
        let work = tokio::task::spawn_blocking(move || Decided {
            decision: material.decide(&stored.snapshot),
            head: stored.artifact.revision,
        });
        let late = || {
            let message = "finding out where a change goes took too long";
            Explained::new(Reason::BuildFailed, Turn::Retry, message)
        };
        let done = tokio::time::timeout_at(self.deadline, work).await;
        let done = done.map_err(|_| late())?;
        done.map(Some).map_err(|_| {
            let message =
                "deciding what is written crashed; this is a fault of reeve's, the log has where";
            Explained::new(Reason::BuildFailed, Turn::Retry, message)
        })
    }

    async fn push(&self) -> Result<Push, Explained> {
        let who = self.author()?;
        let (branch, absent) = match &self.spec.propose {
            Propose::Commit => (self.branch.clone(), Absent::Refuse),
            Propose::Request(request) => {
                let from = Absent::From(self.branch.clone());
                (request.branch.clone(), from)
            }
        };
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

    fn author(&self) -> Result<Identity, Explained> {
        let own = &self.spec.author;
        let (name, email) = (own.name.as_deref(), own.email.as_deref());
        self.repository.identity(name, email)
    }

    async fn signer(&self) -> Result<Option<Arc<Signer>>, Explained> {
        let Some(name) = &self.spec.signing else {
            return Ok(None);
        };
        let owner = self.ctx.secret_owner(&self.id.namespace);
        let data = self.ctx.cluster.secret(&owner, name).await;
        let data = data.map_err(|why| Explained::of(&why))?.into_inner();
        // Opening one takes its time, as its format intends.
        let read = tokio::task::spawn_blocking(move || Signer::from_secret(&data)).await;
        let crashed = |_| {
            let message = "reading the signing key crashed; the log has where";
            Explained::new(Reason::AuthenticationFailed, Turn::Retry, message)
        };
        let signer = read.map_err(crashed)?.map_err(|why| Explained::of(&why))?;
        Ok(Some(Arc::new(signer)))
    }

    fn unpushed(&self, why: &git::push::Error) -> Explained {
        self.repository.said(&Explained::of(why))
    }

    /// What the world is told of what was decided and pushed.
    async fn told(&self, material: &Material, done: (Decided, Option<Revision>)) -> Wrote {
        let (Decided { head, decision }, pushed) = done;
        let cover = |text: String| material.veil.cover(text);
        let lost = decision.conflicts.iter().map(lost).map(cover);
        let mut wrote = Wrote {
            head: Some(head.to_string()),
            lost: lost.collect(),
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
        if let Some(revision) = &pushed {
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
        }
        match &self.spec.propose {
            Propose::Commit if pushed.is_some() => {
                self.ctx.queues.sources.wake(self.spec.source.key());
            }
            Propose::Request(request) if pushed.is_some() || self.unrequested.is_some() => {
                let message = pushed.map(|_| material.message(&head, &decision));
                wrote.commit = wrote.commit.or_else(|| self.unrequested.clone());
                match request::open(self, request, message.as_deref()).await {
                    Ok(url) => wrote.commit.iter_mut().for_each(|commit| {
                        commit.request_url = Some(url.clone());
                    }),
                    Err(why) => wrote.trouble = Some(why),
                }
            }
            Propose::Commit | Propose::Request(_) => {}
        }
        wrote
    }
}

impl Material {
    fn decide(&self, head: &Snapshot) -> Decision {
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
        });
        let builds: Vec<Build<'_>> = builds.collect();
        let head = Head {
            tree: head,
            path: &self.path,
            template: &self.template,
            builds: &builds,
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
        let decision = self.decide(head);
        let files = decision.edits.files.iter();
        let edits = files.fold(Edits::new(), |edits, (path, bytes)| match bytes {
            Some(bytes) => edits.write(path, bytes.clone()),
            None => edits.remove(path),
        });
        let head = head.revision().clone();
        let edits = edits.saying(self.message(&head, &decision));
        let last = Decided { head, decision };
        *decided.lock().unwrap_or_else(PoisonError::into_inner) = Some(last);
        Ok(edits)
    }

    fn message(&self, head: &Revision, decision: &Decision) -> String {
        let revision = head.to_string();
        let about = About {
            by: &self.by,
            revision: &revision,
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
