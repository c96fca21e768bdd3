//! Why something stopped: for which reason, whose turn it is now, and what they can do.
//!
//! Every error of every room answers these three questions through [`Explain`]; nothing else decides when to try again.
//! What it deliberately doesn't: write a condition or pick a time. `status` turns an [`Explained`] into what the world
//! reads, `schedule` into when the next run is.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use reeve_api::reason::Reason;

/// An error that knows its reason, whose turn it is, and what to do about it.
///
/// Its `Display` is one lower-case clause; what led to it is chained through [`Error::source`]. Neither may hold a
/// secret.
pub trait Explain: Error {
    /// The reason on the `Ready` condition.
    fn reason(&self) -> Reason;

    /// Who has to act before another try can end differently.
    fn turn(&self) -> Turn;

    /// One sentence on what to do about it, when there is something its reader can do.
    fn hint(&self) -> Option<String> {
        None
    }
}

/// Who has to act before another try can end differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Turn {
    /// The object's owner: stalled until the object itself changes.
    Owner,
    /// The object's owner or whoever writes the rules over it: until either changes.
    OwnerOrPolicy,
    /// The source it refers to: its watch wakes us.
    Source,
    /// What it depends on: that wakes us when it is ready.
    Dependency,
    /// The next commit: what is in git cannot be used as it is.
    NextRevision,
    /// Ours: something that may pass by itself; again with backoff.
    Ours,
    /// Nobody's in particular: again after the object's own retry interval, or with backoff if it has none.
    Retry,
    /// Nobody's: again after so long, since whoever refused it says when.
    Later(Duration),
}

impl Turn {
    /// Whether no run is worth its cost until the object (or the policy over it) changes: the condition `Stalled`.
    pub fn stalls(self) -> bool {
        match self {
            Self::Owner | Self::OwnerOrPolicy => true,
            Self::Source
            | Self::Dependency
            | Self::NextRevision
            | Self::Ours
            | Self::Retry
            | Self::Later(_) => false,
        }
    }
}

/// The common carrier: any [`Explain`] with its chain of causes written out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explained {
    /// The reason on the `Ready` condition.
    pub reason: Reason,
    /// Who has to act next.
    pub turn: Turn,
    /// What happened, the chain of causes included.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

/// What a stage of core returns where the carrier itself is all there is to say.
pub type Failure = Explained;

impl Explained {
    /// A failure told in one message, without a hint.
    pub fn new(reason: Reason, turn: Turn, message: impl Into<String>) -> Self {
        Self {
            reason,
            turn,
            message: message.into(),
            hint: None,
        }
    }

    /// The same with a hint.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Carries `error` on, with its causes in the message.
    pub fn of<E: Explain>(error: &E) -> Self {
        Self {
            reason: error.reason(),
            turn: error.turn(),
            message: chain(error),
            hint: error.hint(),
        }
    }
}

impl fmt::Display for Explained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for Explained {}

impl Explain for Explained {
    fn reason(&self) -> Reason {
        self.reason
    }

    fn turn(&self) -> Turn {
        self.turn
    }

    fn hint(&self) -> Option<String> {
        self.hint.clone()
    }
}

/// `error` and what led to it, outermost first: `building apps/web failed: kustomization.yaml:3:1: …`.
///
/// A cause that the clause before it already quotes is not said twice.
pub fn chain(error: &dyn Error) -> String {
    let mut told = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        let clause = next.to_string();
        if !clause.is_empty() && !told.contains(&clause) {
            told.push_str(": ");
            told.push_str(&clause);
        }
        cause = next.source();
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("line 3 is not YAML")]
    struct Inner;

    #[derive(Debug, thiserror::Error)]
    #[error("building {path} failed")]
    struct Outer {
        path: &'static str,
        source: Inner,
    }

    #[derive(Debug, thiserror::Error)]
    #[error("giving up: {0}")]
    struct Quoting(#[source] Inner);

    impl Explain for Outer {
        fn reason(&self) -> Reason {
            Reason::BuildFailed
        }
        fn turn(&self) -> Turn {
            Turn::NextRevision
        }
        fn hint(&self) -> Option<String> {
            Some("fix line 3".into())
        }
    }

    #[test]
    fn a_carried_error_keeps_its_causes_reason_turn_and_hint() {
        let told = Explained::of(&Outer {
            path: "apps/web",
            source: Inner,
        });
        assert_eq!(
            told.to_string(),
            "building apps/web failed: line 3 is not YAML"
        );
        assert_eq!(told.reason(), Reason::BuildFailed);
        assert_eq!(told.turn(), Turn::NextRevision);
        assert_eq!(told.hint().as_deref(), Some("fix line 3"));
    }

    #[test]
    fn a_cause_is_not_said_twice() {
        assert_eq!(chain(&Quoting(Inner)), "giving up: line 3 is not YAML");
    }

    #[test]
    fn only_what_its_owner_must_change_stalls() {
        let stalls = [Turn::Owner, Turn::OwnerOrPolicy];
        let waits = [
            Turn::Source,
            Turn::Dependency,
            Turn::NextRevision,
            Turn::Ours,
            Turn::Retry,
            Turn::Later(Duration::ZERO),
        ];
        assert!(stalls.iter().all(|turn| turn.stalls()));
        assert!(!waits.iter().any(|turn| turn.stalls()));
    }
}
