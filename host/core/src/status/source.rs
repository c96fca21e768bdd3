//! The story of one run of a GitRepository.
//!
//! What it deliberately doesn't: know how a repository is fetched or where an artifact lies; the outcome says. What is
//! written goes through the shell's `controller::report`.

use std::collections::BTreeMap;

use reeve_api::SOURCE_GROUP;
use reeve_api::condition::{self, Status, Type};
use reeve_api::meta::{Artifact as TypedArtifact, Time};
use reeve_api::reason::Reason;
use reeve_api::source::{GitRepositoryInclude, GitRepositoryStatus};

use super::{
    Event, Frame, Memory, Next, Page, Told, after, asked_for, handled, observed, remember_failure,
    words, worth_a_warning,
};
use crate::artifact::Artifact;
use crate::failure::Explained;
use crate::schedule;
use crate::signature::Verified;

/// How much of a commit's subject an event repeats, in characters.
const SUBJECT: usize = 50;

/// What an artifact was made with, as the spec says it.
#[derive(Debug, Clone, Default)]
pub struct Made {
    /// `spec.ignore`.
    pub ignore: Option<String>,
    /// `spec.sparseCheckout`.
    pub sparse: Vec<String>,
    /// `spec.include`.
    pub include: Vec<GitRepositoryInclude>,
    /// `spec.recurseSubmodules`.
    pub submodules: bool,
    /// The artifacts that were included, in the same order.
    pub included: Vec<Artifact>,
}

/// What came of a run.
#[derive(Debug, Clone)]
pub enum SourceOutcome {
    /// The artifact is in the store, be it new or the same as before.
    Stored {
        /// The artifact.
        artifact: Box<Artifact>,
        /// The first line of the commit's message.
        subject: String,
        /// What it was made with.
        made: Box<Made>,
        /// Who signed it, where that is asked for.
        verified: Option<Verified>,
    },
    /// The upstream is where it was: nothing was fetched, the artifact stands.
    Unchanged {
        /// The revision upstream.
        revision: String,
        /// Who signed it, where that is asked for.
        verified: Option<Verified>,
    },
    /// `spec.suspend` is set: nothing was looked at.
    Suspended,
    /// It stopped somewhere. An artifact of an earlier run stands.
    Failed {
        /// Why, and whose turn it is.
        why: Explained,
        /// The revision upstream, if it is known and newer than the artifact.
        newer: Option<String>,
    },
}

/// How far a run has come. Announced while it lasts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SourceProgress {
    /// The upstream is being asked.
    Asking,
    /// There is no artifact yet.
    First,
    /// The artifact that the status names is no longer in the store.
    Disappeared,
    /// The upstream has a revision that isn't the artifact's.
    NewRevision(String),
}

/// The status while a run lasts.
///
/// The request and the generation it answers are not reported as handled yet.
pub fn announce_source(
    previous: &GitRepositoryStatus,
    frame: &Frame<'_>,
    progress: &SourceProgress,
) -> GitRepositoryStatus {
    let mut status = previous.clone();
    let mut page = Page::new(&previous.conditions, frame);
    let observed = previous.observed_generation.unwrap_or(-1);
    let doing = match progress {
        SourceProgress::Asking if observed != frame.generation => {
            format!(
                "processing object: new generation {observed} -> {}",
                frame.generation
            )
        }
        SourceProgress::Asking => "reconciliation in progress".to_owned(),
        SourceProgress::First => "building artifact".to_owned(),
        SourceProgress::Disappeared => "building artifact: disappeared from storage".to_owned(),
        SourceProgress::NewRevision(revision) => {
            format!("building artifact: new upstream revision '{revision}'")
        }
    };
    match progress {
        // as long as it isn't known that the artifact is outdated, what was said about it holds
        SourceProgress::Asking => {
            if condition::find(&page.conditions, Type::Ready).is_none() {
                page.mark(Type::Ready, Status::Unknown, Reason::Progressing, &doing);
            }
        }
        SourceProgress::First => {
            page.mark(Type::Ready, Status::Unknown, Reason::Progressing, &doing);
        }
        SourceProgress::Disappeared => {
            status.artifact = None;
            page.remove(&[Type::ArtifactInStorage]);
            page.mark(Type::Ready, Status::Unknown, Reason::Progressing, &doing);
        }
        SourceProgress::NewRevision(revision) => {
            if previous.artifact.is_some() {
                outdated(&mut page, revision);
            }
            page.mark(Type::Ready, Status::Unknown, Reason::Progressing, &doing);
        }
    }
    page.remove(&[Type::Stalled]);
    page.mark(Type::Reconciling, Status::True, Reason::Progressing, &doing);
    status.conditions = page.conditions;
    status
}

fn outdated(page: &mut Page<'_>, revision: &str) {
    let message = format!("new upstream revision '{revision}'");
    page.mark(
        Type::ArtifactOutdated,
        Status::True,
        Reason::NewRevision,
        &message,
    );
}

/// What the world reads about a run of a GitRepository that began with `previous` and came to `outcome`.
pub fn tell_source(
    previous: &GitRepositoryStatus,
    frame: &Frame<'_>,
    outcome: &SourceOutcome,
) -> Told<GitRepositoryStatus> {
    let mut told = match outcome {
        SourceOutcome::Stored {
            artifact,
            subject,
            made,
            verified,
        } => {
            let mut told = stored(previous, frame, artifact, subject, made);
            vouched(&mut told, previous, frame, verified.as_ref());
            told
        }
        SourceOutcome::Unchanged { revision, verified } => {
            let mut told = unchanged(previous, frame, revision);
            vouched(&mut told, previous, frame, verified.as_ref());
            told
        }
        SourceOutcome::Suspended => Told {
            status: previous.clone(),
            events: Vec::new(),
            next: Next::Watch,
            memory: frame.memory,
        },
        SourceOutcome::Failed { why, newer } => failed(previous, frame, why, newer.as_deref()),
    };
    let status = &mut told.status;
    status.last_handled_reconcile_at = handled(previous.last_handled_reconcile_at.as_ref(), frame);
    status.observed_generation = match outcome {
        // as Flux: nothing more is to be done for a suspended object
        SourceOutcome::Suspended => Some(frame.generation),
        _ => observed(&status.conditions, previous.observed_generation, frame),
    };
    told
}

fn stored(
    previous: &GitRepositoryStatus,
    frame: &Frame<'_>,
    artifact: &Artifact,
    subject: &str,
    made: &Made,
) -> Told<GitRepositoryStatus> {
    let mut status = previous.clone();
    let artifact = typed(artifact);
    let message = format!("stored artifact for commit '{}'", short(subject));
    let is_new = previous
        .artifact
        .as_ref()
        .is_none_or(|old| old.digest != artifact.digest || old.revision != artifact.revision);
    let metadata = metadata(&artifact);
    let mut events = Vec::new();
    if is_new {
        events.push(Event::normal(Reason::NewArtifact, &message, &metadata));
    } else if had_failed(previous) {
        events.push(Event::normal(Reason::Succeeded, &message, &metadata));
    }
    status.conditions = in_storage(previous, frame, &artifact.revision);
    status.artifact = Some(artifact);
    status.observed_ignore.clone_from(&made.ignore);
    status.observed_sparse_checkout.clone_from(&made.sparse);
    status.observed_include.clone_from(&made.include);
    status.observed_recurse_submodules = made.submodules;
    status.included_artifacts = made.included.iter().map(typed).collect();
    Told {
        status,
        events,
        next: at_interval(frame),
        memory: Memory::default(),
    }
}

fn unchanged(
    previous: &GitRepositoryStatus,
    frame: &Frame<'_>,
    revision: &str,
) -> Told<GitRepositoryStatus> {
    let mut status = previous.clone();
    let kept = previous.artifact.as_ref();
    let revision = kept.map_or(revision, |artifact| artifact.revision.as_str());
    status.conditions = in_storage(previous, frame, revision);
    let metadata = kept.map(metadata).unwrap_or_default();
    let news = had_failed(previous)
        || asked_for(
            &previous.conditions,
            previous.last_handled_reconcile_at.as_ref(),
            frame,
        );
    let events = if news {
        let message =
            format!("no changes since last reconciliation: observed revision '{revision}'");
        vec![Event::normal(
            Reason::GitOperationSucceeded,
            &message,
            &metadata,
        )]
    } else {
        Vec::new()
    };
    Told {
        status,
        events,
        next: at_interval(frame),
        memory: Memory::default(),
    }
}

/// Adds who signed what is in storage: a condition, and an event when that is news.
fn vouched(
    told: &mut Told<GitRepositoryStatus>,
    previous: &GitRepositoryStatus,
    frame: &Frame<'_>,
    verified: Option<&Verified>,
) {
    let status = &mut told.status;
    let mut page = Page::new(&status.conditions, frame);
    status.source_verification_mode = verified.map(|by| by.mode().as_str().to_owned());
    match verified {
        None => page.remove(&[Type::SourceVerified]),
        Some(by) => {
            let message = by.to_string();
            page.mark(
                Type::SourceVerified,
                Status::True,
                Reason::Succeeded,
                &message,
            );
            let same = condition::find(&previous.conditions, Type::SourceVerified)
                .is_some_and(|known| known.message == message);
            if !same {
                let metadata = status.artifact.as_ref().map(metadata).unwrap_or_default();
                let event = Event::normal(Reason::Succeeded, &message, &metadata);
                told.events.push(event);
            }
        }
    }
    status.conditions = page.conditions;
}

/// The conditions of a source whose artifact is what the upstream has.
fn in_storage(
    previous: &GitRepositoryStatus,
    frame: &Frame<'_>,
    revision: &str,
) -> Vec<condition::Condition> {
    let mut page = Page::new(&previous.conditions, frame);
    let message = format!("stored artifact for revision '{revision}'");
    page.remove(&[
        Type::FetchFailed,
        Type::StorageOperationFailed,
        Type::IncludeUnavailable,
        Type::ArtifactOutdated,
    ]);
    page.mark(
        Type::ArtifactInStorage,
        Status::True,
        Reason::Succeeded,
        &message,
    );
    page.ready(Reason::Succeeded, &message);
    page.conditions
}

fn failed(
    previous: &GitRepositoryStatus,
    frame: &Frame<'_>,
    why: &Explained,
    newer: Option<&str>,
) -> Told<GitRepositoryStatus> {
    let mut status = previous.clone();
    let mut page = Page::new(&previous.conditions, frame);
    let message = match why.reason {
        Reason::GitOperationFailed if !why.message.starts_with("failed to ") => {
            format!("failed to checkout and determine revision: {}", words(why))
        }
        _ => words(why),
    };
    page.remove(&[
        Type::FetchFailed,
        Type::StorageOperationFailed,
        Type::IncludeUnavailable,
    ]);
    if !condition::is_true(&page.conditions, Type::SourceVerified) {
        // As Flux: what was verified before stays so; what was not is to be found out again.
        page.remove(&[Type::SourceVerified]);
    }
    match failing(why.reason) {
        Some(Type::SourceVerified) => {
            page.mark(Type::SourceVerified, Status::False, why.reason, &message);
        }
        Some(r#type) => page.mark(r#type, Status::True, why.reason, &message),
        None => {}
    }
    if let (Some(revision), Some(_)) = (newer, &previous.artifact) {
        outdated(&mut page, revision);
    }
    let progress = newer.map_or_else(
        || "reconciliation in progress".to_owned(),
        |revision| format!("building artifact: new upstream revision '{revision}'"),
    );
    page.failed(why, &message, Some(&progress));
    status.conditions = page.conditions;

    let metadata = previous.artifact.as_ref().map(metadata).unwrap_or_default();
    let warn = asked_for(
        &previous.conditions,
        previous.last_handled_reconcile_at.as_ref(),
        frame,
    ) || worth_a_warning(&previous.conditions, why, &message, frame);
    let events = if warn {
        vec![Event::warning(why.reason, &message, &metadata)]
    } else {
        Vec::new()
    };
    let memory = remember_failure(frame, why.turn, warn);
    Told {
        status,
        events,
        next: after(why.turn, memory.failures, frame),
        memory,
    }
}

/// The condition that tells of a failure for this reason; none for what is wrong with the spec itself.
fn failing(reason: Reason) -> Option<Type> {
    match reason {
        Reason::GitOperationFailed
        | Reason::AuthenticationFailed
        | Reason::UrlInvalid
        | Reason::EmptyGitRepository
        | Reason::InvalidProviderConfiguration
        | Reason::FeatureGateDisabled
        | Reason::AccessDenied => Some(Type::FetchFailed),
        Reason::NotFound | Reason::NoArtifact => Some(Type::IncludeUnavailable),
        Reason::VerificationError
        | Reason::InvalidVerificationMode
        | Reason::InvalidGitObject
        | Reason::InvalidTagSignature
        | Reason::InvalidCommitSignature => Some(Type::SourceVerified),
        Reason::DirectoryCreationFailed
        | Reason::StatOperationFailed
        | Reason::StorageQuotaExceeded
        | Reason::InvalidPath
        | Reason::ArchiveOperationFailed
        | Reason::IllegalPath
        | Reason::CopyFailure
        | Reason::SymlinkUpdateFailed
        | Reason::AcquireLockFailed
        | Reason::ReadOperationFailed
        | Reason::PatchOperationFailed
        | Reason::CacheOperationFailed => Some(Type::StorageOperationFailed),
        _ => None,
    }
}

fn had_failed(previous: &GitRepositoryStatus) -> bool {
    let failed = [
        Type::FetchFailed,
        Type::IncludeUnavailable,
        Type::StorageOperationFailed,
    ];
    let verified = condition::find(&previous.conditions, Type::SourceVerified);
    failed
        .into_iter()
        .any(|r#type| condition::is_true(&previous.conditions, r#type))
        || verified.is_some_and(|known| known.status == Status::False.as_str())
}

fn at_interval(frame: &Frame<'_>) -> Next {
    Next::After(schedule::jittered(frame.interval, frame.spread))
}

fn typed(artifact: &Artifact) -> TypedArtifact {
    TypedArtifact {
        digest: artifact.digest.to_string(),
        last_update_time: Time(artifact.last_update_time),
        metadata: BTreeMap::new(),
        path: artifact.path.clone(),
        revision: artifact.revision.to_string(),
        size: i64::try_from(artifact.size).ok(),
        url: artifact.url.clone(),
    }
}

fn metadata(artifact: &TypedArtifact) -> BTreeMap<String, String> {
    BTreeMap::from([
        (
            format!("{SOURCE_GROUP}/revision"),
            artifact.revision.clone(),
        ),
        (format!("{SOURCE_GROUP}/digest"), artifact.digest.clone()),
    ])
}

/// The first line of a commit's message, cut as Flux cuts it; whoever wrote the commit chose it, so nothing that could
/// move a terminal's cursor stays in.
fn short(subject: &str) -> String {
    let line = subject.lines().next().unwrap_or_default();
    let mut shown: String = line
        .chars()
        .filter(|c| !c.is_control())
        .take(SUBJECT + 1)
        .collect();
    if shown.chars().count() > SUBJECT {
        shown = shown.chars().take(SUBJECT).collect();
        shown.push_str("...");
    }
    shown
}
