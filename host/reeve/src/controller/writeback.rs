//! What changes on the cluster is committed: read as the account of its WriteBack, decided by rule, pushed.
//!
//! One direction, each step takes what the one before returned: what watches have seen (`wards`) is read (`look`), `core::writeback`
//! decides on the files of the branch's newest commit, and that is pushed (`write`), or asked for (`propose`). Nothing that was seen
//! is lost: what a run could not do it gives back, and the next one does it. Our own applies change nothing that is not in git
//! already, so that none comes back. It deliberately applies nothing: what was committed comes to the cluster as any commit does.

mod author;
mod beside;
mod changed;
mod folded;
mod forbidden;
mod lean;
mod lent;
mod look;
mod partners;
mod paused;
mod propose;
mod real;
mod realm;
mod refusal;
mod rehearse;
mod replaced;
mod request;
mod since;
mod told;
mod unlearnt;
mod unseen;
mod veiled;
mod wards;
mod was;
mod whole;
mod whose;
mod write;
mod written;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use kube::ResourceExt as _;
use reeve_api::RECONCILE_REQUEST;
use reeve_api::name::{NamespaceName, NamespacedName, ServiceAccountName};
use reeve_api::reason::Reason;
use reeve_api::writeback::{WriteBack, WriteBackCommit, WriteBackRefusal, WriteBackRequest};
use reeve_core::failure::{Explained, Turn};
use reeve_core::gitconfig::Place;
use reeve_core::index::Target;
use reeve_core::schedule::Next;
use reeve_core::status::{Looked, Requested, WriteBackOutcome};
use reeve_core::tenancy::{Grounds, Tenant};
use reeve_core::ward::{Left, Work};
use reeve_core::writeback::{Allowed, Propose, Remembered, Spec};
use tokio::time::Instant;

use super::report::{self, Run};
use super::source::{Writable, writable};
use crate::cluster::{Meant, Persisting};
use crate::context::Context;
use crate::index::Known;
pub(super) use real::is_read;
use realm::Reach;
use wards::Wanted;
pub(crate) use wards::Wards;
use write::Wrote;

/// How many objects one run looks at; others are the next one's.
const A_RUN: usize = 100;
/// How long a run may take.
const PATIENCE: Duration = Duration::from_secs(120);
/// How soon a run is made again that began before all tenants were known.
const SOON: Duration = Duration::from_millis(500);

/// One run.
pub(super) async fn reconcile(ctx: &Arc<Context>, id: &NamespacedName) -> Next {
    let course = ctx.underway.begin(Target::WriteBack(id.clone()));
    let object = ctx.index.read(|known| known.writebacks.get(id).cloned());
    let Some(object) = object.filter(|object| object.metadata.deletion_timestamp.is_none()) else {
        ctx.wards.forget(id);
        return Next::Watch;
    };
    let known = |known: &Known| {
        let above = known.tenants_listed && known.projects_listed;
        above && known.kustomizations_listed && known.sources_listed
    };
    if !ctx.index.read(known) {
        // Whose the namespace is decides what may be read, and with whose login it is written; what was applied, what was deleted
        // while nobody watched; and who has the same repository, where it may be written.
        return Next::After(SOON);
    }
    let run = Run::begin(ctx, Target::WriteBack(id.clone()), &*object);
    let outcome = tokio::select! {
        biased;
        outcome = work(ctx, id, &object) => outcome,
        // What was taken is given back when it is dropped. What wakes the next run tells the rest.
        () = course.over().cancelled() => return Next::Watch,
    };
    report::writeback(ctx, &object, &run, outcome).await
}

/// It is another replica's: nothing is watched for it here.
pub(super) fn leave(ctx: &Arc<Context>, id: &NamespacedName) -> std::future::Ready<Next> {
    ctx.wards.forget(id);
    std::future::ready(Next::Watch)
}

/// Where a WriteBack of this namespace looks: in these namespaces of its tenant; None: everywhere.
pub(super) fn watched(
    grounds: &Grounds,
    tenant: &Tenant,
    own: &NamespaceName,
) -> Option<BTreeSet<String>> {
    match grounds.is_platform(own) {
        true => None,
        false => Some(namespaces(grounds, tenant, own)),
    }
}

async fn work(ctx: &Arc<Context>, id: &NamespacedName, object: &WriteBack) -> WriteBackOutcome {
    if object.spec.suspend {
        ctx.wards.forget(id);
        return WriteBackOutcome::Suspended;
    }
    let opened = Case::open(ctx, id, object).await;
    let case = match opened.and_then(Case::at_home) {
        Ok(case) => case,
        Err(why) => {
            if why.turn.stalls() {
                ctx.wards.forget(id);
            }
            return WriteBackOutcome::Failed(why, left(ctx, id, Vec::new()));
        }
    };
    let watched = case.watch();
    let (outcome, more) = case.run(watched).await;
    if more {
        ctx.queues.writebacks.wake(id.clone());
    }
    outcome
}

/// Whether somebody has asked for a run that has not answered yet: then everything is looked at.
fn asks_for_everything(object: &WriteBack) -> bool {
    let asked = object.annotations().get(RECONCILE_REQUEST);
    let status = object.status.as_ref();
    let handled = status.and_then(|status| status.last_handled_reconcile_at.as_ref());
    asked.is_some() && asked != handled
}

/// What is told whatever else came of a run: what is not settled.
fn left(ctx: &Context, id: &NamespacedName, unwatched: Vec<WriteBackRefusal>) -> Looked {
    let mut left = ctx.wards.left(id);
    if !unwatched.is_empty() {
        left.push(Left {
            refused: unwatched,
            ..Left::default()
        });
    }
    Looked {
        left,
        ..Looked::default()
    }
}

/// All that one run works with.
struct Case<'a> {
    ctx: &'a Arc<Context>,
    id: &'a NamespacedName,
    spec: Spec,
    tenant: Tenant,
    /// Whether it is the platform's.
    platform: bool,
    /// As whom the cluster is read.
    client: Persisting,
    kinds: BTreeMap<(String, String), Meant>,
    repository: Writable,
    /// The same, however its address is written.
    place: Place,
    /// The branch that is written to, or that requests are made against.
    branch: String,
    /// Whether somebody has asked for this run.
    asked: bool,
    /// What was pushed last.
    last: Option<WriteBackCommit>,
    /// The request, as it was told last.
    known: Option<WriteBackRequest>,
    /// One that the WriteBack does not want any more.
    former: Option<WriteBackRequest>,
    /// What is in files of its own that go with it.
    made: Vec<String>,
    /// What somebody has taken out.
    taken_out: Vec<String>,
    /// When files of their own were as their objects.
    memory: Remembered,
    deadline: Instant,
}

/// What came of watching.
struct Watched {
    /// What cannot be.
    unwatched: Vec<WriteBackRefusal>,
    /// What is only listed once in an interval.
    listed: Vec<String>,
    /// Whether it is time to look at more than what was seen.
    is_time: bool,
}

impl<'a> Case<'a> {
    async fn open(
        ctx: &'a Arc<Context>,
        id: &'a NamespacedName,
        object: &WriteBack,
    ) -> Result<Self, Explained> {
        let spec = Spec::parse(object).map_err(|why| Explained::of(&why))?;
        let namespace = &id.namespace;
        let platform = ctx.grounds.is_platform(namespace);
        let tenant = ctx
            .index
            .read(|known| known.tenants.owner_of(&ctx.grounds, namespace))?;
        let account = account(ctx, &spec, platform)?;
        let repository = writable(ctx, namespace, &tenant, &spec.source).await?;
        let place = Place::of(&repository.url).map_err(|why| {
            let message = format!("the address of GitRepository {} {why}", spec.source.key());
            Explained::new(Reason::UrlInvalid, Turn::Source, message)
        })?;
        let followed = || repository.branch.clone();
        let branch = spec.branch.clone().or_else(followed);
        let branch = branch.ok_or_else(|| no_branch(&spec))?;
        if let Propose::Request(request) = &spec.propose
            && request.branch == branch
        {
            return Err(onto_itself(&branch));
        }
        if repository.signed && spec.signing.is_none() {
            return Err(unsigned(&spec));
        }
        let means = |group: &str, resource: &str| realm::means(&spec.rules, group, resource);
        let kinds = ctx.cluster.kinds_meant(means).await.into_iter();
        let kinds = kinds.map(|kind| ((kind.group.clone(), kind.kind.clone()), kind));
        let status = object.status.clone().unwrap_or_default();
        let is_wanted = |request: &WriteBackRequest| match &spec.propose {
            Propose::Request(wanted) => wanted.branch == request.branch,
            Propose::Commit => false,
        };
        let former = status.request.clone().filter(|one| !is_wanted(one));
        let memory = Remembered::of(&status, &branch);
        Ok(Self {
            ctx,
            id,
            tenant,
            platform,
            client: ctx.cluster.persisting(namespace, &account),
            kinds: kinds.collect(),
            repository,
            place,
            branch,
            asked: asks_for_everything(object),
            last: status.last_commit,
            known: status.request.filter(is_wanted),
            former,
            made: status.made,
            taken_out: status.taken_out,
            memory,
            deadline: Instant::now() + PATIENCE,
            spec,
        })
    }

    /// Has watched what is to be.
    fn watch(&self) -> Watched {
        let rules = &self.spec.rules;
        let reach = self.reach();
        let kinds: Vec<Meant> = self.kinds.values().cloned().collect();
        let wanted = Wanted {
            tenant: self.tenant.name.clone(),
            account: self.client.account().to_owned(),
            rules: rules.clone(),
            debounce: self.spec.debounce,
            interval: self.spec.interval,
            realms: realm::realms(rules, &reach, &kinds),
        };
        let wards = &self.ctx.wards;
        let remembered = || self.remembered(&self.made);
        let sights = wards.align(self.ctx, self.id, wanted, self.asked, remembered);
        let is_time = wards.look_again(self.id, self.spec.interval, self.asked);
        let account = self.client.account();
        let told = sights.unseen.into_iter();
        let told = told.map(|one| realm::told(one, account));
        let unserved = realm::unserved(rules, &reach, &kinds);
        Watched {
            unwatched: told.chain(unserved).collect(),
            listed: realm::listed(&sights.listed),
            is_time,
        }
    }

    /// Looks at what was seen and writes what is to be written. Whether there is more of it.
    async fn run(&self, watched: Watched) -> (WriteBackOutcome, bool) {
        let is_left = self.leave_former().await;
        let (done, more) = match &is_left {
            Ok(()) => self.look_and_write(watched.is_time).await,
            Err(_) => (Ok(None), false),
        };
        let mut looked = left(self.ctx, self.id, watched.unwatched);
        looked.listed = Some(watched.listed);
        if let Err(why) = is_left {
            return (WriteBackOutcome::Failed(why, looked), false);
        }
        if self.former.is_some() {
            looked.request = Requested::Nothing;
        }
        let wrote = match done {
            Ok(None) => return (WriteBackOutcome::Looked(looked), more),
            Ok(Some(wrote)) => wrote,
            Err(why) => return (WriteBackOutcome::Failed(why, looked), false),
        };
        looked.head = wrote.head;
        looked.commit = wrote.commit;
        looked.written = wrote.objects;
        looked.lost = wrote.lost;
        looked.made = wrote.made;
        looked.taken_out = wrote.taken_out;
        looked.agreed = wrote.agreed;
        if wrote.request != Requested::Same {
            looked.request = wrote.request;
        }
        match wrote.trouble {
            None => (WriteBackOutcome::Looked(looked), more),
            Some(why) => (WriteBackOutcome::Failed(why, looked), false),
        }
    }

    /// What was written, if there was anything to look at. Whether there is more of that.
    async fn look_and_write(&self, is_time: bool) -> (Result<Option<Wrote>, Explained>, bool) {
        let request = match &self.spec.propose {
            Propose::Commit => None,
            // What it is to propose is known once all is listed, which wakes it.
            Propose::Request(_) if !self.ctx.wards.is_whole(self.id) => return (Ok(None), false),
            Propose::Request(request) => Some(request),
        };
        let mut taken = Taken::of(self);
        let asks = request.is_some() && self.known.is_some() && is_time;
        let done = match request {
            _ if taken.is_empty() && !asks => Ok(None),
            None => self.write(&mut taken).await.map(Some),
            Some(request) => self.propose(&mut taken, request).await.map(Some),
        };
        let more = taken.work.more && done.is_ok();
        (done, more)
    }

    /// Where it looks.
    fn reach(&self) -> Reach {
        match watched(&self.ctx.grounds, &self.tenant, &self.id.namespace) {
            None => Reach::Platform,
            Some(namespaces) => Reach::Namespaces(namespaces),
        }
    }

    fn namespaces(&self) -> BTreeSet<String> {
        namespaces(&self.ctx.grounds, &self.tenant, &self.id.namespace)
    }

    /// What may be written whatever rules say, of these namespaces if it is the platform's.
    fn allowed(&self, seen: impl Iterator<Item = String>) -> Allowed {
        Allowed {
            namespaces: match self.platform {
                true => seen.collect(),
                false => self.namespaces(),
            },
            cluster_scoped: self.platform,
        }
    }
}

/// What was taken to be looked at. What is still in it when this is dropped is given back.
struct Taken<'a> {
    ctx: &'a Context,
    id: &'a NamespacedName,
    work: Work,
}

impl<'a> Taken<'a> {
    fn of(case: &Case<'a>) -> Self {
        Self {
            ctx: case.ctx,
            id: case.id,
            work: case.ctx.wards.take(case.id, A_RUN),
        }
    }

    fn is_empty(&self) -> bool {
        self.work.there.is_empty() && self.work.gone.is_empty()
    }

    /// This is all that is still to be done.
    fn settle(&mut self, later: Work) {
        self.work.there = later.there;
        self.work.gone = later.gone;
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        self.ctx
            .wards
            .give_back(self.id, std::mem::take(&mut self.work));
    }
}

/// The namespaces of its tenant: never one of the platform's by way of a Tenant that names it.
fn namespaces(grounds: &Grounds, tenant: &Tenant, own: &NamespaceName) -> BTreeSet<String> {
    let others = tenant.namespaces.iter();
    let others = others.filter(|one| !grounds.belongs_to_platform(one));
    let all = others.chain([own]);
    all.map(NamespaceName::to_string).collect()
}

/// As whom the cluster is read: by the rule of Kustomizations.
fn account(ctx: &Context, spec: &Spec, platform: bool) -> Result<ServiceAccountName, Explained> {
    let default = platform.then(|| ctx.grounds.platform_service_account.clone());
    spec.service_account.clone().or(default).ok_or_else(|| {
        let message = format!("WriteBack {} names no ServiceAccount", spec.id);
        let hint = "name the account in spec.serviceAccountName as which the cluster is read";
        Explained::new(Reason::InvalidSpec, Turn::Owner, message).with_hint(hint)
    })
}

fn no_branch(spec: &Spec) -> Explained {
    let message = format!("GitRepository {} follows no branch", spec.source.key());
    let hint = "name the branch that is written to in spec.branch";
    Explained::new(Reason::InvalidSpec, Turn::Owner, message).with_hint(hint)
}

fn onto_itself(branch: &str) -> Explained {
    let message = format!("branch {branch} is the one that requests are made against");
    let hint = "name another one in spec.pullRequest.branch";
    Explained::new(Reason::InvalidSpec, Turn::Owner, message).with_hint(hint)
}

fn unsigned(spec: &Spec) -> Explained {
    let source = spec.source.key();
    let message = format!("GitRepository {source} takes only what is signed, and nothing signs");
    let hint =
        "name the Secret with the key in spec.signing.secretRef, and have the source trust it";
    Explained::new(Reason::InvalidSpec, Turn::Owner, message).with_hint(hint)
}
