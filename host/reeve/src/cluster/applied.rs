//! What became of an apply: each object, and why it stopped if it did.

use std::collections::BTreeMap;

use reeve_api::reason::Reason;
use reeve_core::failure::{Explain, Explained, Turn};
use reeve_core::inventory::ObjectId;
pub use reeve_core::status::Action;

use super::error::Failures;
use super::leaving::{Awaited, told};

/// What became of each object, in the order it was done.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Applied {
    /// Object by object.
    pub entries: Vec<(ObjectId, Action)>,
    /// Of those that were another on the cluster, which fields were, as far as they are told.
    pub fields: BTreeMap<ObjectId, Vec<String>>,
}

impl Applied {
    /// These fields of it were another on the cluster.
    pub(super) fn differed(&mut self, id: &ObjectId, fields: &[String]) {
        if !fields.is_empty() {
            self.fields.insert(id.clone(), fields.to_vec());
        }
    }

    /// The objects that were written, a line each as Flux tells them: `Service/acme/web created`. Empty: nothing was.
    pub fn changes(&self) -> Vec<String> {
        let entries = self.entries.iter().filter(|(_, action)| action.is_change());
        entries
            .map(|(id, action)| format!("{} {}", id.subject(), action.as_str()))
            .collect()
    }
}

/// A run that did not apply everything. What was done before is `done`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApplyError {
    /// Objects were refused. Those of their stage were not written, unless the refusal came with the write itself.
    #[error("{failures}")]
    Refused {
        /// Which, and why.
        failures: Failures,
        /// What was done before.
        done: Applied,
    },
    /// What a stage applied is not ready for the next yet, or what it replaces has not gone yet.
    #[error("timeout waiting for: [{}]", told(awaited))]
    NotReady {
        /// What is missing, object by object.
        awaited: Vec<Awaited>,
        /// What was done before.
        done: Applied,
    },
    /// Time ran out.
    #[error("not everything was applied in time; {} objects were", done.entries.len())]
    Deadline {
        /// What was done before.
        done: Applied,
    },
    /// The object was changed or deleted while it was applied.
    #[error("what is wanted has changed meanwhile; {} objects were applied", done.entries.len())]
    Superseded {
        /// What was done before.
        done: Applied,
    },
    /// The witness said no before the first write of a stage, so nothing of that was written.
    #[error("{source}")]
    Unrecorded {
        /// Why not.
        source: Explained,
        /// What was found unchanged before.
        done: Applied,
    },
}

impl ApplyError {
    /// The objects that were refused, when that is what stopped it.
    pub fn failures(&self) -> Option<&Failures> {
        match self {
            Self::Refused { failures, .. } => Some(failures),
            _ => None,
        }
    }

    /// What has to be waited for until it can go on, when that is what stopped it and objects show it.
    pub fn awaited(&self) -> impl Iterator<Item = &Awaited> {
        let awaited = match self {
            Self::NotReady { awaited, .. } => awaited.as_slice(),
            _ => &[],
        };
        awaited.iter().filter(|one| one.check().is_some())
    }

    /// What was done before it failed.
    pub fn done(&self) -> &Applied {
        match self {
            Self::Refused { done, .. }
            | Self::NotReady { done, .. }
            | Self::Deadline { done }
            | Self::Superseded { done }
            | Self::Unrecorded { done, .. } => done,
        }
    }
}

impl Explain for ApplyError {
    fn reason(&self) -> Reason {
        match self {
            Self::Unrecorded { source, .. } => source.reason,
            Self::Superseded { .. } => Reason::Progressing,
            Self::Refused { failures, .. } if failures.are_not_onboarded() => Reason::AccessDenied,
            Self::Refused { .. } | Self::NotReady { .. } | Self::Deadline { .. } => {
                Reason::ReconciliationFailed
            }
        }
    }

    fn turn(&self) -> Turn {
        match self {
            Self::Refused { failures, .. } => failures.turn(),
            Self::Superseded { .. } => Turn::Ours,
            Self::NotReady { .. } | Self::Deadline { .. } => Turn::Retry,
            Self::Unrecorded { source, .. } => source.turn,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Refused { failures, .. } => failures.hint(),
            Self::NotReady { .. } | Self::Superseded { .. } => None,
            Self::Deadline { .. } => {
                Some("raise spec.timeout if it is short for this much".to_owned())
            }
            Self::Unrecorded { source, .. } => source.hint.clone(),
        }
    }
}
