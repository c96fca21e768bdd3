//! Pull requests of a source: what each would change is found out, and told at it.
//!
//! The forge is asked which are open when it calls for one, or may have while nobody heard it, as often as the source looks for
//! changes, when something else is applied, and, one source after the other (`turns`), when policies or plugins are others. A head is fetched, rendered, judged and
//! dry-run as the accounts that would apply it (`kustomization::preview`), and that is told in a comment, which is changed in place,
//! and in a mark beside the head. Which requests, and what is told, `core::proposal` says. It is done beside the runs: nothing that is
//! proposed comes into the store, into a status, or to anybody else than the request. Only for sources of tenants: the platform's
//! accounts see more than whoever proposes something to it may be told.

mod desk;
mod rules;
mod turns;

use std::sync::Arc;
use std::time::Duration;

use reeve_api::kustomization::Kustomization;
use reeve_api::name::NamespacedName;
use reeve_api::reason::Reason;
use reeve_api::source::GitRepository;
use reeve_core::failure::{Explained, Turn};
use reeve_core::index::Target;
use reeve_core::mark::Mark;
use reeve_core::proposal::{self, Live, Part, Plans, Request, Seen, Wish};
use reeve_core::schedule::{Next, backoff, jittered};
use reeve_core::source::{Reference, Wanted};
use sha2::{Digest as _, Sha256};

use super::{heard, kustomization, marks, provider, report, source};
use crate::context::Context;
use crate::forge::words::{Comment, Done, OpenPullRequest, Task};
use crate::index::{Known, Stored};
pub(crate) use desk::Desk;
use desk::Due;
use rules::rules;
pub(crate) use turns::Turns;

/// How many plans are made in one run, before others have their turn.
const A_RUN: usize = 10;
/// How long one may take.
const PATIENCE: Duration = Duration::from_secs(5 * 60);
/// How soon a run goes on that left something for the next.
const BREATH: Duration = Duration::from_secs(1);

/// All that one run works with.
struct Case<'a> {
    ctx: &'a Arc<Context>,
    id: &'a NamespacedName,
    object: Arc<GitRepository>,
    provider: String,
    plans: Plans,
    /// Where the repository is, without a user.
    repository: String,
    /// The host of that.
    forge: String,
    branch: String,
    interval: Duration,
    /// What is applied now, and what that was fetched for.
    stored: Stored,
    appliers: Vec<(NamespacedName, Arc<Kustomization>)>,
}

/// One run.
pub(super) async fn reconcile(ctx: &Arc<Context>, id: &NamespacedName) -> Next {
    let Some((object, wish)) = ctx.index.read(|known| asked(known, id)) else {
        ctx.index.write(|known| known.desks.remove(id));
        return Next::Watch;
    };
    let Some(plans) = wish.plans else {
        ctx.index.write(|known| known.desks.remove(id));
        return Next::Watch;
    };
    // First of all, so that whatever changes from here on is news.
    ctx.index.write(|known| {
        let lives = lives(known, id);
        let desk = known.desks.entry(id.clone()).or_default();
        (desk.lives, desk.turn) = (lives, false);
    });
    let case = Case::open(ctx, id, &object, wish.provider.to_string(), plans);
    let worked = match case {
        Ok(Some(case)) => case.work().await,
        // It is woken when something of it is applied.
        Ok(None) => return Next::Watch,
        Err(why) => Err(why),
    };
    let (next, trouble) = match worked {
        Ok(Worked { next, trouble }) => (Some(next), trouble),
        Err(why) => (None, Some(why)),
    };
    let failed = ctx.index.write(|known| {
        let desk = known.desks.entry(id.clone()).or_default();
        desk.worked(trouble.as_ref())
    });
    if let Some(why) = trouble.as_ref().filter(|_| failed.is_news) {
        report::untold(ctx, &*object, why);
    }
    match next {
        Some(next) => next,
        None if trouble.is_some_and(|why| why.turn.stalls()) => Next::Watch,
        None => Next::After(marks::pause(failed.times)),
    }
}

/// Nobody knows what this was called for: that may have been a request, and then nothing of what it follows has moved.
pub(super) fn may_be_called(ctx: &Context, target: &Target) {
    let Target::Source(id) = target else {
        return;
    };
    if ctx.index.read(|known| known.desks.contains_key(id)) {
        ctx.queues.proposals.wake(id.clone());
    }
}

/// What came of a run whose forge said which requests are open.
struct Worked {
    next: Next,
    /// What went wrong with one of them.
    trouble: Option<Explained>,
}

/// How long to wait after so many tries of one request: what it waits for is mostly there in a moment.
fn soon(failures: u32) -> Duration {
    backoff(failures.saturating_add(2), rand::random())
}

/// The source, and what it has told; None: nothing, now.
fn asked(known: &Known, id: &NamespacedName) -> Option<(Arc<GitRepository>, Wish)> {
    let object = known.sources.get(id)?;
    let wish = Wish::parse(object).ok().flatten()?;
    let rests = object.spec.suspend || object.metadata.deletion_timestamp.is_some();
    (!rests).then(|| (Arc::clone(object), wish))
}

/// What of a source is applied, as far as it is known.
fn lives(known: &Known, source: &NamespacedName) -> Vec<Live> {
    let all = known.touch.kustomizations_of(source);
    let live = all.filter_map(|id| Some(live(known, id, known.kustomizations.get(id)?)));
    live.collect()
}

fn live(known: &Known, id: &NamespacedName, object: &Kustomization) -> Live {
    Live::of(id, object, rules(known, id, object))
}

/// Those who would apply what is proposed.
fn appliers(
    ctx: &Context,
    known: &Known,
    source: &NamespacedName,
) -> Vec<(NamespacedName, Arc<Kustomization>)> {
    let all = known.touch.kustomizations_of(source);
    let found = all.filter_map(|id| {
        let object = known.kustomizations.get(id)?;
        let works = !object.spec.suspend && object.metadata.deletion_timestamp.is_none();
        let own = marks::is_of_one(ctx, known, source, id);
        (works && own).then(|| (id.clone(), Arc::clone(object)))
    });
    found.collect()
}

impl<'a> Case<'a> {
    /// None: there is nothing yet that it could be compared with.
    fn open(
        ctx: &'a Arc<Context>,
        id: &'a NamespacedName,
        object: &Arc<GitRepository>,
        provider: String,
        plans: Plans,
    ) -> Result<Option<Self>, Explained> {
        let wanted = Wanted::parse(object).map_err(|why| Explained::of(&why))?;
        let (interval, url) = (heard::interval(ctx, object), wanted.url);
        let Reference::Branch(branch) = wanted.reference else {
            return Err(unfit(
                "it follows no branch, and so nobody proposes what it is to be next",
            ));
        };
        let namespace = &id.namespace;
        if ctx.grounds.is_platform(namespace) || ctx.grounds.is_config(namespace) {
            return Err(unfit(
                "its namespace is the platform's, and plans are made for sources of tenants",
            ));
        }
        let _a_tenants = ctx
            .index
            .read(|known| known.tenants.owner_of(&ctx.grounds, namespace))?;
        let appliers = ctx.index.read(|known| appliers(ctx, known, id));
        let Ok(stored) = ctx.in_store(id) else {
            return Ok(None);
        };
        Ok((!appliers.is_empty()).then(|| Self {
            ctx,
            id,
            object: Arc::clone(object),
            provider,
            plans,
            repository: url.without_userinfo(),
            forge: url.host().to_owned(),
            branch,
            interval,
            stored,
            appliers,
        }))
    }

    async fn work(&self) -> Result<Worked, Explained> {
        let (requests, left) = self.requests().await?;
        self.tell_left(left);
        let live: Vec<Live> = self.ctx.index.read(|known| {
            let all = self.appliers.iter();
            all.map(|(id, object)| live(known, id, object)).collect()
        });
        let (mut planned, mut trouble) = (0, None);
        let interval = jittered(self.interval, rand::random());
        let mut next = self.ctx.clock.instant() + interval;
        self.desk(|desk| desk.keep_only(&requests));
        for request in requests {
            let seen = Seen {
                request,
                live: live.clone(),
            };
            match self.due(&seen) {
                Due::Done => continue,
                Due::At(then) => {
                    next = next.min(then);
                    continue;
                }
                Due::Now if planned == A_RUN => {
                    next = self.ctx.clock.instant() + BREATH;
                    break;
                }
                Due::Now => planned += 1,
            }
            let again: Option<fn(u32) -> Duration> = match self.plan(&seen).await {
                Ok(true) => None,
                Ok(false) => Some(soon),
                Err(why) => {
                    trouble = trouble.or(Some(why));
                    Some(soon)
                }
            };
            let now = self.ctx.clock.instant();
            let then = self.desk(|desk| desk.planned(seen, now, again));
            next = then.map_or(next, |then| next.min(then));
        }
        let wait = next.saturating_duration_since(self.ctx.clock.instant());
        let next = Next::After(wait);
        Ok(Worked { next, trouble })
    }

    /// Those that are open and planned, and what is said of those that are not, if there are too many.
    async fn requests(&self) -> Result<(Vec<Request>, Option<String>), Explained> {
        let task = Task::PullRequestsOpen(self.branch.clone());
        let (done, said) = provider::inquire(self.ctx, self.asked(), task, None).await?;
        let Done::PullRequests(all) = done else {
            // The forge room lets no other end pass.
            return Ok((Vec::new(), None));
        };
        let all = all.into_iter().map(request).collect();
        let (planned, left) = proposal::chosen(all, &self.branch, self.plans);
        // What a provider says of forks matters to nobody who does not let them in.
        let matters = |line: &str| match line.strip_prefix("info: ") {
            Some(said) => self.plans.forks.then(|| said.to_owned()),
            None => line.strip_prefix("warn: ").map(str::to_owned),
        };
        let mut words: Vec<String> = said.iter().filter_map(|line| matters(line)).collect();
        if left > 0 {
            let most = proposal::MOST;
            let more = format!("{left} more are open than the {most} that are planned at a time");
            words.insert(0, more);
        }
        Ok((planned, (!words.is_empty()).then(|| words.join("; "))))
    }

    /// Says, once, that not all open requests are planned.
    fn tell_left(&self, left: Option<String>) {
        if self.desk(|desk| desk.leaves(left.as_ref()))
            && let Some(left) = left
        {
            let message = format!("not all pull requests are planned: {left}");
            let why = Explained::new(Reason::QuotaExceeded, Turn::Ours, message);
            report::untold(self.ctx, &*self.object, &why);
        }
    }

    /// Finds out what a request would change, and tells it. Whether that is all there is to say, or more may be said later.
    async fn plan(&self, seen: &Seen) -> Result<bool, Explained> {
        let parts = self.parts(&seen.request).await?;
        let cluster = self.ctx.cluster_name.as_deref();
        // The mark first: it is what keeps a head from being merged, whatever becomes of the comment.
        let mark = proposal::verdict(&seen.request.head, &parts);
        let marker = proposal::marker(cluster, self.id);
        let body = proposal::comment(&marker, self.id, seen, &parts);
        let number = seen.request.number;
        let (settled, what) = (!parts.iter().any(Part::may_pass), told(&mark, &body));
        if self.desk(|desk| desk.has_told(number, &what)) {
            return Ok(settled);
        }
        self.desk(|desk| desk.tells(number, None));
        let status = marks::status(proposal::context(cluster, self.id), &mark);
        provider::carry_out(self.ctx, self.asked(), Task::CommitStatus(status), None).await?;
        let comment = Comment {
            number,
            body,
            marker,
        };
        provider::carry_out(self.ctx, self.asked(), Task::CommentPresent(comment), None).await?;
        self.desk(|desk| desk.tells(number, Some(what)));
        Ok(settled)
    }

    async fn parts(&self, request: &Request) -> Result<Vec<Part>, Explained> {
        let ctx = self.ctx;
        let deadline = tokio::time::Instant::now() + PATIENCE;
        let reference = &request.reference;
        let applied = source::Applied {
            origins: self.stored.snapshot.origins(),
            to_fork: request.fork,
        };
        let fetched = source::proposed(ctx, self.id, &self.object, reference, &applied, deadline);
        let (snapshot, verified) = match fetched.await {
            Ok(fetched) => fetched,
            Err(why) if is_its_own(&why) => {
                let part = |(id, _): &(NamespacedName, _)| Part {
                    id: id.clone(),
                    told: Err(why.clone()),
                };
                return Ok(self.appliers.iter().map(part).collect());
            }
            Err(why) => return Err(why),
        };
        if snapshot.revision().commit() != request.head {
            let message = format!("the head of request {} moves just now", request.number);
            return Err(Explained::new(Reason::Progressing, Turn::Ours, message));
        }
        let live = &self.stored;
        let mut artifact = self.stored.artifact.clone();
        artifact.revision = snapshot.revision().clone();
        snapshot.tree_digest().clone_into(&mut artifact.tree);
        let stored = Stored {
            artifact,
            snapshot,
            wanted: self.stored.wanted.clone(),
            verified,
            archived: self.stored.archived.clone(),
        };
        let mut parts = Vec::new();
        for (id, object) in &self.appliers {
            let told = kustomization::preview(ctx, object, stored.clone(), live, deadline).await;
            let id = id.clone();
            parts.push(Part { id, told });
        }
        Ok(parts)
    }

    fn asked(&self) -> provider::Asked<'_> {
        provider::Asked {
            whose: self.id,
            plugin: &self.provider,
            repository: &self.repository,
        }
    }

    fn due(&self, seen: &Seen) -> Due {
        let now = self.ctx.clock.instant();
        self.ctx.index.write(|known| {
            let desk = known.desks.entry(self.id.clone()).or_default();
            desk.due(seen, now, || known.turns.next(&self.forge, now))
        })
    }

    fn desk<T>(&self, work: impl FnOnce(&mut Desk) -> T) -> T {
        self.ctx
            .index
            .write(|known| work(known.desks.entry(self.id.clone()).or_default()))
    }
}

fn request(open: OpenPullRequest) -> Request {
    Request {
        number: open.number,
        head: open.head,
        reference: open.reference,
        base: open.base,
        fork: open.fork,
    }
}

/// Whether it is the proposal's own fault that nothing of it was looked at: nobody has signed it, or it has submodules that it
/// may not have.
fn is_its_own(why: &Explained) -> bool {
    match why.reason {
        Reason::InvalidCommitSignature | Reason::InvalidTagSignature | Reason::InvalidGitObject => {
            true
        }
        Reason::AccessDenied => why.turn == Turn::NextRevision,
        _ => false,
    }
}

fn unfit(why: &str) -> Explained {
    let message = format!("metadata.annotations[reeve.dev/pull-request-plan]: {why}");
    Explained::new(Reason::InvalidSpec, Turn::Owner, message)
}

/// Whether somebody who applies a source is another than when its requests were looked at, under whatever rules.
pub(super) fn is_news(
    known: &Known,
    source: &NamespacedName,
    id: &NamespacedName,
    object: &Kustomization,
) -> bool {
    let desk = known.desks.get(source);
    desk.is_some_and(|desk| {
        let live = live(known, id, object);
        !desk.lives.iter().any(|seen| seen.is_but_for_rules(&live))
    })
}

/// A run of a Kustomization is over, which each change of its rules brings about: the requests of its source are looked at again
/// when it is their turn, if the rules are others by now.
pub(super) fn look_again(ctx: &Context, id: &NamespacedName) {
    let now = ctx.clock.instant();
    let found = ctx.index.write(|known| {
        let source = known.touch.source_of(id)?.clone();
        let live = live(known, id, known.kustomizations.get(id)?);
        if known.desks.get(&source)?.lives.contains(&live) {
            return None;
        }
        let url = known.sources.get(&source)?.spec.url.parse().ok()?;
        let forge = url.host().to_owned();
        let desk = known.desks.get_mut(&source)?;
        let waits = std::mem::replace(&mut desk.turn, true);
        (!waits).then(|| (source, known.turns.next(&forge, now)))
    });
    if let Some((source, then)) = found {
        let queue = ctx.queues.proposals.clone();
        let wait = then.saturating_duration_since(now);
        tokio::spawn(async move {
            tokio::time::sleep(wait).await;
            queue.wake(source);
        });
    }
}

/// What is told, in one digest.
fn told(mark: &Mark, comment: &str) -> [u8; 32] {
    let mut all = Sha256::new();
    let state = format!("{:?}", mark.state);
    for part in [&*mark.commit, &*state, &*mark.description, comment] {
        all.update(part.len().to_le_bytes());
        all.update(part);
    }
    all.finalize().into()
}
