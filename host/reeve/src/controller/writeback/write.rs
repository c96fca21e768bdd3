//! What was read is decided about on the newest commit of the branch, and pushed on top of it.
//!
//! First on the files that the source has, which costs no server anything: mostly there is nothing to write, since it was we who
//! applied what was seen. Then on those of the branch as it is, and again on what somebody pushes meanwhile: nothing of theirs is
//! undone. What decides is `core::writeback`; how a branch moves is `git::push`'s.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use reeve_api::meta::Time;
use reeve_api::reason::Reason;
use reeve_api::writeback::{
    WriteBackCommit, WriteBackConflict, WriteBackRefusal, WrittenObject,
};
use reeve_core::artifact::Revision;
use reeve_core::failure::{Explained, Turn};
use reeve_core::inventory::ObjectId;
use reeve_core::veil::Veil;
use reeve_core::ward::Left;
use reeve_core::writeback::{
    About, Allowed, Build, Conflict, Decision, Head, Propose, Rules, Seen, Written, compose,
    decide, subject,
};
use reeve_kustomize::{Options, Remotes, Stop, Tree};
use serde_json::Value;
use tokio::time::Instant;

use super::look::{Built, Found};
use super::{Case, Taken, request};
use crate::controller::report;
use crate::git::commit::{Edits, Identity, Signer};
use crate::git::push::{Absent, Outcome, Push, push};
use crate::git::{self, Snapshot};
use crate::observe::writeback::WrittenBack;

/// Who commits where nobody says.
const AUTHOR: (&str, &str) = ("reeve", "reeve@reeve.dev");
/// The longest message: more of it is left out.
const MESSAGE: usize = 60_000;
/// The most fields and files that are told of an object.
const TOLD: usize = 10;
/// The longest value that is told of a conflict.
const VALUE: usize = 200;

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
            self.ctx.wards.looked_at(self.id, settled(&ids, &names, &done.0.decision));
            wrote = self.told(&material, done).await;
        }
        taken.settle(later);
        wrote.trouble = trouble.or(wrote.trouble);
        Ok(wrote)
    }

    fn material(&self, builds: Vec<Built>, seen: Vec<Seen>, stop: &Stop) -> Material {
        let veil = builds.iter().fold(Veil::default(), |veil, one| veil.and(&one.applied.veil));
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
        let what = self.push().await?;
        let pushed = push(
            &self.ctx.mirrors,
            &self.repository.remote,
            what,
            edit,
            &self.ctx.clock,
            self.deadline.into_std(),
            &self.ctx.limits,
        );
        let pushed = pushed.await.map_err(|why| self.unpushed(&why))?;
        let last = decided.lock().unwrap_or_else(PoisonError::into_inner).take();
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
            let message = "deciding what is written crashed; this is a fault of reeve's, the log has where";
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
        let (own, level) = (&self.spec.author, self.repository.author.as_ref());
        let given = level.and_then(|level| level.name.as_deref());
        let name = own.name.as_deref().or(given).unwrap_or(AUTHOR.0);
        let given = level.and_then(|level| level.email.as_deref());
        let email = own.email.as_deref().or(given).unwrap_or(AUTHOR.1);
        Identity::new(name, email).map_err(|why| Explained::of(&why))
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
        let Some(revision) = pushed else {
            return wrote;
        };
        let commit = revision.commit().to_owned();
        let objects = decision.written.iter().map(|one| written(one, &commit));
        wrote.objects = objects.collect();
        report::written_back(self.ctx, self.id, &revision, &decision.written);
        let (request_url, trouble) = match &self.spec.propose {
            Propose::Commit => {
                self.ctx.queues.sources.wake(self.spec.source.key());
                (None, None)
            }
            Propose::Request(request) => match request::open(self, request, &decision).await {
                Ok(url) => (url, None),
                Err(why) => (None, Some(why)),
            },
        };
        wrote.trouble = trouble;
        wrote.commit = Some(WriteBackCommit {
            branch: revision.pointer().unwrap_or_default().to_owned(),
            request_url,
            revision: revision.to_string(),
            time: Time(self.ctx.clock.now()),
        });
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
            return Err(Explained::new(Reason::EmptyGitRepository, Turn::Retry, message));
        };
        let decision = self.decide(head);
        let files = decision.edits.files.iter();
        let edits = files.fold(Edits::new(), |edits, (path, bytes)| match bytes {
            Some(bytes) => edits.write(path, bytes.clone()),
            None => edits.remove(path),
        });
        let edits = edits.saying(self.message(head, &decision));
        let head = head.revision().clone();
        let last = Decided { head, decision };
        *decided.lock().unwrap_or_else(PoisonError::into_inner) = Some(last);
        Ok(edits)
    }

    fn message(&self, head: &Snapshot, decision: &Decision) -> String {
        let revision = head.revision().to_string();
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

/// What each object is called where it is told.
fn named(ids: &[ObjectId], seen: &[Seen]) -> BTreeMap<String, ObjectId> {
    let all = ids.iter().zip(seen);
    all.map(|(id, seen)| (subject(seen.object()), id.clone()))
        .collect()
}

/// What is to be remembered of each object that was decided about.
fn settled(
    ids: &[ObjectId],
    names: &BTreeMap<String, ObjectId>,
    decision: &Decision,
) -> Vec<(ObjectId, Left)> {
    let nothing = ids.iter().map(|id| (id.clone(), Left::default()));
    let mut left: BTreeMap<ObjectId, Left> = nothing.collect();
    for one in &decision.refused {
        let of = names.get(&one.object).and_then(|id| left.get_mut(id));
        let refusal = WriteBackRefusal {
            field: Some(one.field.clone()).filter(|field| !field.is_empty()),
            hint: Some(one.hint.clone()).filter(|hint| !hint.is_empty()),
            object: one.object.clone(),
            reason: one.reason.clone(),
        };
        of.into_iter().for_each(|left| left.refused.push(refusal.clone()));
    }
    for one in &decision.conflicts {
        let object = subject(&one.object);
        let of = names.get(&object).and_then(|id| left.get_mut(id));
        let conflict = WriteBackConflict {
            field: one.field.clone(),
            object,
            winner: one.winner.as_str().to_owned(),
        };
        of.into_iter().for_each(|left| left.conflicts.push(conflict.clone()));
    }
    for one in &decision.paused {
        if let Some(left) = names.get(one).and_then(|id| left.get_mut(id)) {
            left.paused = Some(one.clone());
        }
    }
    left.into_iter().collect()
}

fn written(one: &Written, commit: &str) -> WrittenObject {
    let more = |all: usize| (all > TOLD).then(|| format!("and {} more", all - TOLD));
    let fields = one.fields.iter().take(TOLD).map(|field| field.field.clone());
    let files = one.files.iter().take(TOLD).cloned();
    WrittenObject {
        by: one.by.as_ref().map(|hand| hand.manager.clone()),
        commit: commit.to_owned(),
        fields: fields.chain(more(one.fields.len())).collect(),
        files: files.chain(more(one.files.len())).collect(),
        object: subject(&one.object),
    }
}

/// Which value counts of a field that both sides have changed, and which does not.
fn lost(one: &Conflict) -> String {
    let value = |value: Option<&Value>| match value {
        Some(Value::String(text)) => shortened(text),
        Some(value) => shortened(&value.to_string()),
        None => "nothing".to_owned(),
    };
    format!(
        "{} {}: {} counts ({}), the other had {}",
        subject(&one.object),
        one.field,
        one.winner.as_str(),
        value(one.kept.as_ref()),
        value(one.lost.as_ref()),
    )
}

fn shortened(text: &str) -> String {
    reeve_core::status::bounded(&reeve_core::text::line(text), VALUE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use reeve_core::writeback::{Refusal, Side, What};
    use reeve_kustomize::Object;
    use serde_json::json;

    fn web() -> Object {
        let web = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "namespace": "acme"}});
        Object::try_from(web).unwrap()
    }

    fn id(name: &str) -> ObjectId {
        ObjectId {
            namespace: "acme".to_owned(),
            name: name.to_owned(),
            group: "apps".to_owned(),
            kind: "Deployment".to_owned(),
        }
    }

    fn conflict() -> Conflict {
        Conflict {
            object: web(),
            field: "spec.replicas".to_owned(),
            winner: Side::Kubernetes,
            kept: Some(json!(3)),
            lost: Some(json!("a\nb")),
        }
    }

    #[test]
    fn what_was_decided_is_remembered_of_each_object_and_of_no_other() {
        let names = BTreeMap::from([
            ("Deployment acme/web".to_owned(), id("web")),
            ("Deployment acme/api".to_owned(), id("api")),
        ]);
        let decision = Decision {
            refused: vec![Refusal {
                object: "Deployment acme/api".to_owned(),
                field: String::new(),
                reason: "is shared".to_owned(),
                hint: String::new(),
            }],
            conflicts: vec![conflict()],
            paused: vec!["Deployment acme/gone".to_owned()],
            ..Decision::default()
        };
        let left = settled(&[id("api"), id("old"), id("web")], &names, &decision);
        let [(_, api), (_, old), (_, web)] = &left[..] else {
            panic!("{left:?}")
        };
        assert_eq!(api.refused.len(), 1);
        assert_eq!((&api.refused[0].field, &api.refused[0].hint), (&None, &None));
        assert!(old.is_nothing());
        assert_eq!(web.conflicts.len(), 1);
    }

    #[test]
    fn what_lost_is_told_in_one_line() {
        let want = "Deployment acme/web spec.replicas: kubernetes counts (3), the other had a b";
        assert_eq!(lost(&conflict()), want);
    }

    #[test]
    fn of_many_fields_some_are_told() {
        let field = reeve_core::writeback::Field {
            field: "spec.x".to_owned(),
            old: None,
            new: None,
            place: reeve_writeback::Place::Manifest {
                file: "a".to_owned(),
            },
            by: None,
        };
        let one = Written {
            object: web(),
            what: What::Changed,
            fields: vec![field; 30],
            files: vec!["a".to_owned()],
            by: None,
            why: None,
            user: None,
        };
        let told = written(&one, "abc");
        assert_eq!(told.fields.len(), TOLD + 1);
        assert_eq!(told.fields.last().map(String::as_str), Some("and 20 more"));
        assert_eq!(told.files, ["a"]);
    }
}
