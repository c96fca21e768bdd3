//! One object that could not be applied: whose turn it is, and what to do.
//!
//! It deliberately repeats no value of a Secret: of a refusal about one, only fields and causes are told. What a refusal
//! means is [`refusal`](super::refusal)'s; who writes what is said here into a status is `controller::report`.

use std::fmt;

use reeve_api::reason::Reason;
use reeve_core::failure::{Explain, Turn};

use super::refusal::{Attempt, CallError, Cause, MESSAGE_LIMIT, clipped, onboard};
use super::rights::Lacking;

/// One object that could not be read, applied or deleted, told as Flux tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectError {
    /// `Kind/namespace/name`.
    pub subject: String,
    /// What was being done.
    pub attempt: Attempt,
    /// As whom: `system:serviceaccount:<namespace>:<name>`.
    pub account: String,
    /// The resource as RBAC names it: `deployments.apps`.
    pub resource: String,
    /// Where; None for a cluster-scoped object.
    pub namespace: Option<String>,
    /// Why not.
    pub source: Box<CallError>,
}

impl ObjectError {
    /// Whether the API server does not know the path that it listed itself a moment ago.
    pub(super) fn is_unserved(&self) -> bool {
        matches!(&*self.source, CallError::Refused(refusal) if refusal.cause() == Cause::UnknownKind)
    }

    /// Whether no object of the kind can have the id: it lies in a namespace, and the kind does not, or the other way.
    pub(super) fn is_elsewhere(&self) -> bool {
        matches!(*self.source, CallError::OtherScope)
    }

    fn is_secret(&self) -> bool {
        self.subject.starts_with("Secret/")
    }

    fn words(&self) -> String {
        match &*self.source {
            CallError::Refused(refusal) | CallError::Waking(refusal) if self.is_secret() => {
                clipped(&refusal.without_values(), MESSAGE_LIMIT)
            }
            other => other.to_string(),
        }
    }

    /// The verb of RBAC that is missing, as the server says it.
    fn verb(&self) -> &str {
        let said = match &*self.source {
            CallError::Refused(refusal) => verb_in(&refusal.message),
            _ => None,
        };
        said.unwrap_or(match self.attempt {
            Attempt::Get | Attempt::Wait => "get",
            Attempt::DryRun | Attempt::Apply | Attempt::Patch => "patch",
            Attempt::Create => "create",
            Attempt::Replace => "update",
            Attempt::Delete => "delete",
        })
    }

    /// One sentence on what to do about it.
    pub fn hint(&self) -> Option<String> {
        let Self {
            account, resource, ..
        } = self;
        let here = self
            .namespace
            .as_ref()
            .map(|at| format!(" -n {at}"))
            .unwrap_or_default();
        let verb = self.verb();
        Some(match self.source.cause() {
            Cause::Forbidden if self.is_by_rbac() => format!(
                "grant {account} the verb `{verb}` on {resource}; check with `kubectl auth can-i {verb} {resource}{here} --as {account}`"
            ),
            Cause::Forbidden => return None,
            Cause::NotOnboarded => onboard(account),
            Cause::Escalation => {
                format!("an account can grant only what it holds: give {account} those rights first, or let the platform create the role")
            }
            Cause::Quota => format!("see `kubectl describe quota{here}`; ask for more, or use less"),
            Cause::Terminating => "wait until it is gone; it is tried again".to_owned(),
            Cause::Missing => "create the namespace first, or let a Kustomization before this one do it".to_owned(),
            Cause::UnknownKind => {
                "install the CustomResourceDefinition first; it is tried again".to_owned()
            }
            Cause::Immutable => {
                "set spec.force, or annotate the object with `kustomize.toolkit.fluxcd.io/force: Enabled`, to have it deleted and created anew".to_owned()
            }
            // What is to be deleted is not in git any more.
            Cause::Invalid if self.attempt == Attempt::Delete => format!(
                "see why with `kubectl delete {resource} {}{here} --as {account} --dry-run=server`; it is tried again",
                self.name()
            ),
            Cause::Invalid => format!("correct it in git; `kubectl explain {resource}` shows its fields"),
            Cause::TooLarge => "split it: the API server takes at most 3 MiB, etcd 1.5 MiB".to_owned(),
            Cause::Conflict | Cause::Unauthorized | Cause::Unavailable => return None,
        })
    }

    /// The object's name: the last part of what it is called.
    fn name(&self) -> &str {
        self.subject.rsplit('/').next().unwrap_or_default()
    }

    pub(super) fn is_by_rbac(&self) -> bool {
        matches!(&*self.source, CallError::Refused(refusal) if refusal.message.contains(" cannot "))
    }
}

fn verb_in(message: &str) -> Option<&str> {
    let verb = message
        .split_once("\" cannot ")?
        .1
        .split_once(" resource ")?
        .0;
    verb.chars().all(|c| c.is_ascii_lowercase()).then_some(verb)
}

impl fmt::Display for ObjectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { subject, .. } = self;
        let words = self.words();
        let reason = self
            .source
            .reason_word()
            .map(|word| format!(" ({word})"))
            .unwrap_or_default();
        match self.attempt {
            Attempt::DryRun if self.source.is_missing_object() => {
                write!(f, "{subject} not found: {words}")
            }
            Attempt::DryRun => write!(f, "{subject} dry-run failed{reason}: {words}"),
            Attempt::Get => write!(f, "{subject} query failed{reason}: {words}"),
            Attempt::Delete => write!(f, "{subject} delete failed{reason}: {words}"),
            Attempt::Wait => write!(f, "{subject} is not ready: {words}"),
            Attempt::Apply | Attempt::Create | Attempt::Replace | Attempt::Patch => {
                write!(f, "{subject} apply failed{reason}: {words}")
            }
        }
    }
}

impl std::error::Error for ObjectError {}

/// How many failing objects are named.
const NAMED: usize = 10;

/// How many kinds of advice are given.
const ADVICE: usize = 3;

/// The objects of a run that failed, at least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failures {
    each: Vec<ObjectError>,
    /// All that the account has no right to of what the whole run does, once that was asked for.
    lacking: Lacking,
}

impl Failures {
    /// None if there is nothing to tell.
    pub(super) fn of(failures: Vec<ObjectError>) -> Option<Self> {
        (!failures.is_empty()).then(|| Self {
            each: failures,
            lacking: Lacking::default(),
        })
    }

    /// The same with all that the account has no right to.
    pub(super) fn for_lack_of(self, lacking: Lacking) -> Self {
        Self { lacking, ..self }
    }

    /// Whether any was refused since the account has no right to it.
    pub fn are_by_rbac(&self) -> bool {
        let forbidden = |one: &ObjectError| one.source.cause() == Cause::Forbidden;
        self.each
            .iter()
            .any(|one| forbidden(one) && one.is_by_rbac())
    }

    /// Whether the controller may not act as the account at all.
    pub(super) fn are_not_onboarded(&self) -> bool {
        let mut causes = self.each.iter().map(|one| one.source.cause());
        causes.any(|cause| cause == Cause::NotOnboarded)
    }

    /// Each of them.
    pub fn each(&self) -> &[ObjectError] {
        &self.each
    }

    /// The soonest turn of all: what may pass by itself is tried again before the owner is waited for, but not before the
    /// API server wants to be asked again.
    pub(super) fn turn(&self) -> Turn {
        let turns = || self.each.iter().map(|one| one.source.turn_over_object());
        let later = turns().filter_map(|turn| match turn {
            Turn::Later(wait) => Some(wait),
            _ => None,
        });
        let has = |turn| turns().any(|one| one == turn);
        if let Some(wait) = later.max() {
            Turn::Later(wait)
        } else if has(Turn::Ours) {
            Turn::Ours
        } else if has(Turn::Retry) {
            Turn::Retry
        } else {
            Turn::NextRevision
        }
    }

    /// What to do about all of them: each advice once.
    pub(super) fn hint(&self) -> Option<String> {
        let mut told: Vec<String> = self.lacking.hint().into_iter().collect();
        let known = !told.is_empty();
        for one in &self.each {
            let said = known && one.is_by_rbac();
            if let Some(hint) = one.hint().filter(|hint| !said && !told.contains(hint)) {
                told.push(hint);
            }
        }
        told.truncate(ADVICE);
        (!told.is_empty()).then(|| told.join("; "))
    }
}

impl fmt::Display for Failures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.lacking.is_empty() {
            writeln!(f, "{}", self.lacking)?;
        }
        for (nth, failure) in self.each.iter().take(NAMED).enumerate() {
            if nth > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{failure}")?;
        }
        match self.each.len().saturating_sub(NAMED) {
            0 => Ok(()),
            more => write!(f, "\nand {more} more objects failed"),
        }
    }
}

/// A single object's failure is explained as a run's would be.
impl Explain for ObjectError {
    fn reason(&self) -> Reason {
        match self.attempt {
            Attempt::Delete => Reason::PruneFailed,
            _ => Reason::ReconciliationFailed,
        }
    }

    fn turn(&self) -> Turn {
        self.source.turn_over_object()
    }

    fn hint(&self) -> Option<String> {
        self.hint()
    }
}

#[cfg(test)]
mod tests;
