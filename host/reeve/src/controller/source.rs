//! A GitRepository becomes an artifact.
//!
//! ls-remote first: what hasn't moved is not fetched. What has come wakes the Kustomizations that use it before it is archived
//! and its status is written, since they need not wait for that to begin (`ahead`). Deciding what the world reads is `core::status`'s.

mod ahead;
mod along;
mod bring;
pub(super) mod given;
mod included;
mod kept;
mod keys;
mod login;
pub(super) mod polling;
mod proposed;
mod replaced;
mod said;
mod signed;
mod submodules;
mod users;
mod writable;

use std::sync::Arc;
use std::time::Duration;

use reeve_api::meta::Artifact;
use reeve_api::name::{NamespacedName, Scheme};
use reeve_api::reason::Reason;
use reeve_api::source::{GitRepository, GitRepositoryStatus};
use reeve_core::artifact::Revision;
use reeve_core::failure::{Explained, Turn};
use reeve_core::index::Target;
use reeve_core::proposal::Wish;
use reeve_core::schedule::Next;
use reeve_core::signature;
use reeve_core::source::Wanted;
use reeve_core::status::{
    self, Frame, KeyOutcome, KeyStanding, Made, SourceOutcome, SourceProgress,
};
use tokio::time::Instant;

pub(super) use self::along::{fetch_ahead, fetch_along, learn};
use self::bring::{bring, take};
use self::included::Included;
pub(super) use self::kept::{all_of, earlier, is_nowhere};
use self::kept::{move_on, restore, restore_unasked};
use self::login::{refused, remote};
pub(super) use self::proposed::proposed;
use self::signed::Asked;
pub(super) use self::submodules::Applied;
use self::users::Users;
pub(super) use self::writable::{Writable, of_platform, writable};
use super::provider;
use super::report::{self, Announced, Run};
use crate::context::Context;
use crate::git::{self, Remote};
use crate::index::{self, Stored};
use crate::observe::happening::{FetchResult, Fetched};
use crate::observe::span;

/// One run.
pub(super) async fn reconcile(ctx: &Arc<Context>, id: &NamespacedName) -> Next {
    let course = ctx.underway.begin(Target::Source(id.clone()));
    let Some(object) = ctx.index.read(|known| known.sources.get(id).cloned()) else {
        return Next::Watch;
    };
    if object.metadata.deletion_timestamp.is_some() {
        let had = ctx.index.write(|known| known.stored.remove(id));
        super::housekeeping::leave(ctx, id, had.as_ref());
        super::housekeeping::remove(ctx, id).await;
        return match keys::part(ctx, id, &object).await {
            Some(pause) => Next::After(pause),
            None => report::farewell(ctx, &*object).await,
        };
    }
    if given::waits(ctx, &object) || said::waits(ctx, &object) {
        return Next::Watch;
    }
    if let Some(next) = included::waits(ctx, id, &object) {
        return next;
    }
    let run = Run::begin(ctx, Target::Source(id.clone()), &*object);
    let (outcome, key) = match said::adopt(ctx, id, &object, &run).await {
        Ok(()) => {
            tokio::select! {
                biased;
                told = deliver(ctx, id, &object, &run) => told,
                // The fetch is dropped, and with it its connection. What wakes the next run tells the rest.
                () = course.over().cancelled() => {
                    tracing::info!("fetching stops: the object was changed or deleted meanwhile");
                    return Next::Watch;
                }
            }
        }
        Err(why) => (failed(why), None),
    };
    look_at(ctx, id);
    report::source(ctx, &object, run, outcome, key).await
}

/// From now on what is in store is all there is: those that waited for the first look are woken.
fn look_at(ctx: &Context, id: &NamespacedName) {
    let waiting = ctx.index.write(|known| {
        let first = known.looked_at.insert(id.clone());
        first.then(|| Users::of(known, id))
    });
    if let Some(waiting) = waiting {
        waiting.wake(ctx);
    }
}

async fn deliver(
    ctx: &Arc<Context>,
    id: &NamespacedName,
    object: &GitRepository,
    run: &Run,
) -> (SourceOutcome, Option<KeyOutcome>) {
    // First of all, since a key that was taken back ends what it signed whatever becomes of the rest.
    let asked_for = signed::review(ctx, id, object).await;
    let wanted = match parse(object) {
        Ok(Some(wanted)) => wanted,
        Ok(None) => return (SourceOutcome::Suspended, None),
        Err(why) => return (failed(why), None),
    };
    let key = keys::tend(ctx, object, &wanted, run).await;
    let outcome = obtain(ctx, object, &wanted, run, asked_for).await;
    let outcome = match (&key.standing, outcome) {
        // There is no key to fetch with, and this is why.
        (KeyStanding::Failed(why), SourceOutcome::Failed { newer, .. })
            if key.record.public_key.is_none() =>
        {
            let why = why.clone();
            SourceOutcome::Failed { why, newer }
        }
        (_, outcome) => outcome,
    };
    (outcome, Some(key))
}

async fn obtain(
    ctx: &Arc<Context>,
    object: &GitRepository,
    wanted: &Wanted,
    run: &Run,
    asked_for: Result<Option<Asked>, Explained>,
) -> SourceOutcome {
    let deadline = Instant::now() + wanted.timeout;
    let progress = Announced::new(SourceProgress::Asking);
    let page = |previous: &GitRepositoryStatus, frame: &Frame<'_>, at| {
        status::announce_source(previous, frame, &at)
    };
    let had = object
        .status
        .as_ref()
        .and_then(|told| told.artifact.as_ref());
    let at =
        |upstream: &Revision, standing: &Standing| progress.at(proceeding(had, upstream, standing));
    let work = fetch(ctx, object, wanted, asked_for, deadline, at);
    let work = tokio::time::timeout_at(deadline + Duration::from_secs(1), work);
    match report::announcing(ctx, object, run, &progress, page, work).await {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(Stopped { why, newer })) => SourceOutcome::Failed { why, newer },
        Err(_) => failed(Explained::of(&git::Error::late(wanted.timeout))),
    }
}

/// What is wanted; None: suspended.
pub(super) fn parse(object: &GitRepository) -> Result<Option<Wanted>, Explained> {
    if object.spec.suspend {
        return Ok(None);
    }
    let wanted = Wanted::parse(object).map_err(|why| Explained::of(&why))?;
    let over_ssh = wanted.url.scheme() == Scheme::Ssh;
    if wanted.provider.is_some() && wanted.secret.is_none() && over_ssh {
        let message = "a provider has logins for https; spec.url is of ssh";
        let hint = "name the Secret with the key in spec.secretRef, or have one made: reeve.dev/generate-key: ed25519";
        let why = Explained::new(Reason::InvalidSpec, Turn::Owner, message);
        return Err(why.with_hint(hint));
    }
    // What cannot be told at the forge is said here.
    Wish::parse(object).map_err(|why| Explained::of(&why))?;
    if let Some(verify) = &wanted.verify {
        let fits = verify.mode.fits(&wanted.reference);
        fits.map_err(|why| Explained::of(&why))?;
    }
    Ok(Some(wanted))
}

/// What is told about an upstream that is known by now.
fn proceeding(had: Option<&Artifact>, upstream: &Revision, standing: &Standing) -> SourceProgress {
    match had {
        None => SourceProgress::First,
        Some(had) if had.revision != upstream.to_string() => {
            SourceProgress::NewRevision(upstream.to_string())
        }
        Some(_) if *standing == Standing::Lost => SourceProgress::Disappeared,
        Some(_) => SourceProgress::Asking,
    }
}

fn failed(why: Explained) -> SourceOutcome {
    SourceOutcome::Failed { why, newer: None }
}

/// A run that stopped, and the revision upstream if it was known by then.
struct Stopped {
    why: Explained,
    newer: Option<String>,
}

impl From<Explained> for Stopped {
    fn from(why: Explained) -> Self {
        Self { why, newer: None }
    }
}

async fn fetch(
    ctx: &Arc<Context>,
    object: &GitRepository,
    wanted: &Wanted,
    asked_for: Result<Option<Asked>, Explained>,
    deadline: Instant,
    at: impl Fn(&Revision, &Standing),
) -> Result<SourceOutcome, Stopped> {
    let id = &wanted.id;
    let begun = ctx.clock.instant();
    let tell = |revision: &str, result| told(ctx, revision, result, begun.elapsed());
    // read: what is included, credentials, and where the reference points
    let asked_for = asked_for?;
    let included = included::read(ctx, wanted)?;
    let want = Want {
        wanted,
        included: &included,
        asked_for: asked_for.as_ref(),
        deadline,
    };
    let (remote, from) = reach(ctx, &want).await?;
    let until = deadline.into_std();
    let asked = git::resolve(&ctx.mirrors, &remote, &wanted.reference, until, &ctx.limits).await;
    let resolved = match asked {
        Ok(resolved) => resolved,
        Err(why) => {
            forget_login(ctx, id, &remote, &why);
            restore(ctx, &want, &remote).await;
            return Err(refused(&Explained::of(&why), from.as_deref()).into());
        }
    };
    let revision = resolved.revision().clone();
    let standing = standing(ctx, &want, &revision);
    at(&revision, &standing);
    if let Standing::Stored(verified) = standing {
        tell(&revision.to_string(), FetchResult::Unchanged);
        move_on(ctx, &want, &remote, resolved).await;
        let unchanged = SourceOutcome::Unchanged {
            revision: revision.to_string(),
            verified,
        };
        return Ok(untold(ctx, id, object, &included).unwrap_or(unchanged));
    }
    // write: the mirror and the store, both of this machine
    let stored = match ahead::bring(ctx, &want, &remote, resolved).await {
        Ok(stored) => stored,
        Err(why) => {
            restore(ctx, &want, &remote).await;
            let newer = Some(revision.to_string());
            return Err(Stopped { why, newer });
        }
    };
    let bytes = stored.artifact.size;
    tell(&revision.to_string(), FetchResult::Stored { bytes });
    Ok(stored_for(object, &included, &stored))
}

/// Where it was refused, a login that was made may have been taken back at the forge: the next try asks for another.
fn forget_login(ctx: &Context, id: &NamespacedName, remote: &Remote, why: &git::Error) {
    if !why.is_of_the_login() {
        return;
    }
    provider::forget(ctx, id);
    if let Some(made) = remote.credential.maker() {
        provider::entry::forget(ctx, made);
    }
}

/// What is wanted, and with what.
struct Want<'a> {
    wanted: &'a Wanted,
    included: &'a Included,
    asked_for: Option<&'a Asked>,
    deadline: Instant,
}

/// What is in store and was never told: the status could not be written when it came.
fn untold(
    ctx: &Context,
    id: &NamespacedName,
    object: &GitRepository,
    included: &Included,
) -> Option<SourceOutcome> {
    let status = object.status.as_ref();
    let told = status.and_then(|status| status.artifact.as_ref());
    ctx.index.read(|known| {
        let stored = known.stored.get(id)?;
        let revision = stored.artifact.revision.to_string();
        // It may have been told by another replica, which has served it from elsewhere.
        let is_told =
            told.is_some_and(|told| told.revision == revision && told.url == stored.artifact.url);
        (!is_told).then(|| stored_for(object, included, stored))
    })
}

/// What is told of what came into the store.
fn stored_for(object: &GitRepository, included: &Included, stored: &Stored) -> SourceOutcome {
    let spec = &object.spec;
    SourceOutcome::Stored {
        artifact: Box::new(stored.artifact.clone()),
        subject: stored.snapshot.subject().to_owned(),
        made: Box::new(Made {
            ignore: spec.ignore.clone(),
            sparse: spec.sparse_checkout.clone(),
            include: spec.include.clone(),
            submodules: spec.recurse_submodules,
            included: included.artifacts(),
        }),
        verified: stored.verified.as_ref().map(|verified| verified.by.clone()),
    }
}

/// Who we are to the repository. While nobody can say, what is there is taken up.
async fn reach(ctx: &Context, want: &Want<'_>) -> Result<(Arc<Remote>, Option<String>), Explained> {
    let reached = remote(ctx, want.wanted).await;
    if reached.is_err() {
        restore_unasked(ctx, want).await;
    }
    reached
}

/// What there is of a revision.
#[derive(PartialEq, Eq)]
enum Standing {
    /// It is in the store, signed by whom it must be.
    Stored(Option<signature::Verified>),
    /// It was, and somebody removed it from the disk.
    Lost,
    /// It is yet to be fetched, as far as this process knows.
    Unknown,
}

fn standing(ctx: &Context, want: &Want<'_>, revision: &Revision) -> Standing {
    let fetched_for = fetched_for(want.wanted, want.included);
    let asked_for = want.asked_for;
    let known = ctx.index.read(|known| {
        let stored = known.stored.get(&want.wanted.id)?;
        let verified = stored.verified.as_ref();
        let same = stored.wanted == fetched_for
            && stored.artifact.revision == *revision
            && asked_for.is_none_or(|asked_for| asked_for.is_met_by(verified));
        let verified = verified.filter(|_| asked_for.is_some());
        same.then(|| (stored.artifact.clone(), verified.map(|it| it.by.clone())))
    });
    match known {
        Some((artifact, verified)) if ctx.store.has(&artifact) => Standing::Stored(verified),
        Some(_) => Standing::Lost,
        None => Standing::Unknown,
    }
}

fn told(ctx: &Context, revision: &str, result: FetchResult, took: Duration) {
    span::took("fetch", took, || {
        let came = match result {
            FetchResult::Unchanged => "unchanged",
            FetchResult::Stored { .. } => "stored",
            FetchResult::Failed => "failed",
        };
        vec![
            ("revision", revision.to_owned()),
            ("result", came.to_owned()),
        ]
    });
    let revision = Some(revision);
    ctx.metrics.tell(&Fetched {
        revision,
        result,
        took,
    });
}

/// What makes another fetch of the same revision necessary when it changes.
fn fetched_for(wanted: &Wanted, included: &Included) -> index::Wanted {
    index::Wanted {
        url: wanted.url.to_string(),
        place: wanted.reference.place(),
        ignore: wanted.ignore.clone(),
        sparse: wanted.sparse.clone(),
        included: included.marks(),
        submodules: wanted.submodules,
    }
}

/// Which files of its commit it wants, and with which others.
fn content(wanted: &Wanted, included: &Included) -> git::Content {
    git::Content {
        ignore: wanted.ignore.clone(),
        sparse: wanted.sparse.clone(),
        laid: included.laid(),
        incomplete: wanted.submodules,
        ..git::Content::default()
    }
}

/// Puts what is in store where runs find it. Returns who uses it.
fn keep(ctx: &Context, id: &NamespacedName, stored: Stored) -> Users {
    let (had, users, planned) = ctx.index.write(|known| {
        let had = known.stored.insert(id.clone(), stored);
        (had, Users::of(known, id), known.desks.contains_key(id))
    });
    // With another login or from another address it is in another mirror.
    super::housekeeping::leave(ctx, id, had.as_ref());
    if planned {
        // What is proposed is compared with what is in store.
        ctx.queues.proposals.wake(id.clone());
    }
    users
}
