//! What policy has let pass becomes files of a repository, for another agent to apply.
//!
//! One look at where the branch is, first: a bundle that is there already costs no more. Then a commit on top of what is there,
//! made anew whenever somebody else was faster, or the same on a branch of ours with a pull request from it. Which files, and
//! whose they are, is `core::deliver`'s to say, which takes nothing but an admitted plan. What it deliberately doesn't: apply,
//! prune, look at the health of anything, or remove what an earlier place of the same Kustomization holds.

mod bounds;
mod edit;
mod proposed;

use std::sync::Arc;

use kube::ResourceExt as _;
use reeve_api::PROVIDER;
use reeve_api::deliver::Delivered;
use reeve_api::kustomization::{Kustomization, SourceKind};
use reeve_api::name::NamespacedName;
use reeve_api::reason::Reason;
use reeve_core::admit::AdmittedSpec;
use reeve_core::deliver::{self, Files, Owner, Place, Settled, Target, Told};
use reeve_core::failure::{Explain, Explained, Turn};
use reeve_core::source::{Reference, Wanted as Followed};
use reeve_core::spec::SourceRef;
use reeve_core::status::{Delivery, Failed, FileChange, KustomizationOutcome};
use reeve_core::writeback::is_same_repository;

use self::edit::{Seen, Work};
use super::{Prepared, Stopped, Wanted};
use crate::cluster::Until;
use crate::context::Context;
use crate::controller::report::Run;
use crate::controller::source::{Writable, of_platform, writable};
use crate::git::commit::Identity;
use crate::git::push::{self, Absent, Outcome, Push};
use crate::git::resolve;
use crate::observe::Stage;

/// How many commits one delivery may take: each has a thousand files at most.
const COMMITS: usize = 60;

/// Delivers what is prepared, and says where it is.
pub(super) async fn commit(
    ctx: &Arc<Context>,
    object: &Kustomization,
    wanted: &Wanted,
    place: &Place,
    prepared: &Prepared,
    until: &Until,
    run: &Run,
) -> Result<KustomizationOutcome, Box<Failed>> {
    let mut stages = ctx.metrics.stages();
    let revision = wanted.stored.artifact.revision.to_string();
    let done = async {
        let owner = Owner::new(&wanted.spec.id, ctx.cluster_name.as_deref());
        let files = Files::of(&prepared.plan, &owner, wanted.veil());
        let courier = Courier {
            ctx,
            spec: &wanted.spec,
            place,
            files: Arc::new(files.map_err(|why| Explained::of(&why))?),
            revision: &revision,
            before: before(object),
            provider: object.annotations().get(PROVIDER).map(String::as_str),
            until,
            repository: reach(ctx, wanted, place).await?,
        };
        courier.deliver().await
    };
    let done = done.await;
    stages.end(Stage::Apply);
    match done {
        Ok((delivered, change)) => Ok(KustomizationOutcome::Delivered(Box::new(Delivery {
            revision,
            delivered,
            change,
            digest: prepared.digest.clone(),
            remote_bases: prepared.remote_bases.clone(),
            took: run.took(ctx),
        }))),
        Err(why) => Err(Box::new(Failed {
            attempted: Some(revision),
            digest: Some(prepared.digest.clone()),
            ..Failed::early(why, run.took(ctx))
        })),
    }
}

fn before(object: &Kustomization) -> Option<&Delivered> {
    object.status.as_ref()?.delivered.as_ref()
}

/// Where it is written to.
struct Repository {
    writable: Writable,
    /// Its address, without a user.
    address: String,
    branch: String,
    /// Who commits.
    author: Identity,
}

impl Repository {
    /// A failure, with whose login it was.
    fn said(&self, why: &impl Explain) -> Explained {
        self.writable.said(&Explained::of(why))
    }
}

/// Who we are to the repository, and which branch of it is written to.
async fn reach(ctx: &Context, wanted: &Wanted, place: &Place) -> Result<Repository, Explained> {
    let writable = match &place.target {
        Target::Given(git) => of_platform(ctx, git).await?,
        Target::Own(id) => own(ctx, wanted, id).await?,
    };
    let branch = writable.branch.clone().ok_or_else(|| {
        let message = "the GitRepository that this is delivered to follows no branch, and so there is none to write to";
        let why = Explained::new(Reason::InvalidSpec, Turn::Retry, message);
        why.with_hint("name the branch in its spec.ref.branch")
    })?;
    let repository = Repository {
        address: writable.url.without_userinfo(),
        branch,
        author: writable.identity(None, None)?,
        writable,
    };
    bounds::keep_to(ctx, wanted, place, &repository)?;
    if is_built_from(ctx, wanted, &repository) {
        deliver::apart(place, &wanted.spec.path)?;
    }
    Ok(repository)
}

/// Whether it is built from the branch that is written to.
fn is_built_from(ctx: &Context, wanted: &Wanted, repository: &Repository) -> bool {
    let Some(id) = wanted.git() else {
        return false;
    };
    let source = ctx.index.read(|known| known.sources.get(&id).cloned());
    let followed = source.and_then(|source| Followed::parse(&source).ok());
    followed.is_some_and(|followed| {
        let branch = Reference::Branch(repository.branch.clone());
        let address = followed.url.without_userinfo();
        followed.reference == branch && is_same_repository(&address, &repository.address)
    })
}

/// The repository of a GitRepository of the tenant's.
async fn own(ctx: &Context, wanted: &Wanted, id: &NamespacedName) -> Result<Writable, Explained> {
    if !ctx.index.read(|known| known.sources.contains_key(id)) {
        let message = format!("GitRepository {id}, which this is delivered to, not found");
        let hint = format!(
            "create GitRepository {} in namespace {}",
            id.name, id.namespace
        );
        return Err(Explained::new(Reason::NotFound, Turn::Retry, message).with_hint(hint));
    }
    let (namespace, source) = (
        &wanted.spec.id.namespace,
        SourceRef::of(SourceKind::GitRepository, id),
    );
    let writable = writable(ctx, namespace, &wanted.tenant, &source).await?;
    if !writable.as_somebody {
        let message = format!("GitRepository {id} names no Secret, and no login is given to it");
        let hint = "name a Secret in its spec.secretRef with a login that may push, or ask the platform for one in the git \
                    configuration of the Tenant";
        let why = Explained::new(Reason::AuthenticationFailed, Turn::Retry, message);
        return Err(why.with_hint(hint));
    }
    Ok(writable)
}

/// Where it is now, and what this run changed there.
type Done = (Delivered, Option<FileChange>);

/// One delivery.
struct Courier<'a> {
    ctx: &'a Arc<Context>,
    spec: &'a AdmittedSpec,
    place: &'a Place,
    files: Arc<Files>,
    revision: &'a str,
    /// What the last run told.
    before: Option<&'a Delivered>,
    /// The provider that the Kustomization names.
    provider: Option<&'a str>,
    until: &'a Until,
    repository: Repository,
}

impl Courier<'_> {
    async fn deliver(&self) -> Result<Done, Explained> {
        let (ctx, deadline) = (self.ctx, self.until.deadline.into_std());
        let remote = &self.repository.writable.remote;
        let reference = Reference::Branch(self.repository.branch.clone());
        let found = resolve(&ctx.mirrors, remote, &reference, deadline, &ctx.limits).await;
        let found = found.map_err(|why| self.repository.said(&why))?;
        let head = found.revision().commit().to_owned();
        let before = self.here();
        if let Some(before) = before.filter(|before| self.stands(before, &head)) {
            return Ok((before.clone(), None));
        }
        if self.until.over.is_cancelled() {
            return Err(Stopped::superseded().why);
        }
        match &self.place.propose {
            None => self.put(before).await,
            Some(how) => self.propose(how, found, before).await,
        }
    }

    /// What the last run told, if that was of the same place.
    fn here(&self) -> Option<&Delivered> {
        let Repository {
            address, branch, ..
        } = &self.repository;
        let directory = &self.place.directory;
        self.before.filter(|before| {
            before.url == *address && before.branch == *branch && before.path == *directory
        })
    }

    /// Whether nothing has changed since: neither what is wanted, nor where the branch is, nor by which way it goes there.
    fn stands(&self, before: &Delivered, head: &str) -> bool {
        before.head == head
            && before.digest == self.files.digest().to_string()
            && (self.place.propose.is_some() || before.proposal.is_none())
    }

    /// Commits to the branch itself.
    async fn put(&self, before: Option<&Delivered>) -> Result<Done, Explained> {
        let pushed = self.push(&self.repository.branch, Absent::Refuse).await?;
        // It was proposed before, and is there now.
        self.retract(before).await?;
        let commit = pushed.commit.clone();
        let delivered = Delivered {
            adopted: adopted(before, pushed.change.as_ref()),
            commit: commit
                .or_else(|| before?.commit.clone())
                .or_else(|| Some(pushed.head.clone())),
            ..self.delivered(pushed.head)
        };
        Ok((delivered, pushed.change))
    }

    fn delivered(&self, head: String) -> Delivered {
        Delivered {
            branch: self.repository.branch.clone(),
            digest: self.files.digest().to_string(),
            head,
            objects: i64::try_from(self.files.len()).unwrap_or(i64::MAX),
            path: self.place.directory.clone(),
            url: self.repository.address.clone(),
            ..Delivered::default()
        }
    }

    /// Commits to `branch`, until all is there.
    async fn push(&self, branch: &str, absent: Absent) -> Result<Pushed, Explained> {
        let (ctx, deadline) = (self.ctx, self.until.deadline.into_std());
        let told = self.told();
        let who = &self.repository.author;
        let mut pushed = Pushed::default();
        for _ in 0..COMMITS {
            let work = Work::new(&self.files, &self.place.directory);
            let what = Push {
                branch: branch.to_owned(),
                absent: absent.clone(),
                // All there is: a file that somebody else's rules leave out may be ours.
                ignore: Some(edit::ALL.to_owned()),
                author: who.clone(),
                committer: who.clone(),
                message: deliver::message(&told),
                signer: None,
                options: Vec::new(),
                spread: rand::random(),
            };
            let writable = &self.repository.writable;
            let mirrors = writable.onto(&ctx.mirrors_of(&self.spec.id));
            let sent = push::push(
                &mirrors,
                &self.repository.writable.remote,
                what,
                work.edit(),
                &ctx.clock,
                deadline,
                &ctx.limits,
            );
            let outcome = sent.await.map_err(|why| self.repository.said(&why))?;
            if !pushed.take(outcome, work.seen()) {
                return Ok(pushed);
            }
        }
        let message = format!("it takes more than {COMMITS} commits, each of a thousand files");
        Err(Explained::new(Reason::DeliveryFailed, Turn::Retry, message)
            .with_hint("split the Kustomization"))
    }

    fn told(&self) -> Told<'_> {
        Told {
            id: &self.spec.id,
            source: &self.spec.source,
            revision: self.revision,
            digest: self.files.digest(),
        }
    }
}

/// What pushing came to.
#[derive(Default)]
struct Pushed {
    /// Our last commit, if there was one.
    commit: Option<String>,
    /// Where the branch is now.
    head: String,
    /// All that was changed.
    change: Option<FileChange>,
}

impl Pushed {
    /// Whether there is more to send.
    fn take(&mut self, outcome: Outcome, seen: Option<Seen>) -> bool {
        let Some(seen) = seen else {
            return false;
        };
        let Outcome::Pushed { revision, .. } = outcome else {
            self.head = seen.head;
            return false;
        };
        self.head = revision.commit().to_owned();
        self.commit = Some(self.head.clone());
        if self.change.is_none() {
            self.change = Some(change(&seen.settled));
        }
        seen.more
    }
}

fn change(settled: &Settled) -> FileChange {
    FileChange {
        written: settled.write.len(),
        removed: settled.remove.len(),
        adopted: settled.adopted.clone(),
    }
}

/// How many files were taken over by now.
fn adopted(before: Option<&Delivered>, change: Option<&FileChange>) -> Option<i64> {
    let earlier = before.and_then(|before| before.adopted).unwrap_or_default();
    let now = change.map_or(0, |change| change.adopted.len());
    let all = earlier.saturating_add(i64::try_from(now).unwrap_or(i64::MAX));
    (all > 0).then_some(all)
}
