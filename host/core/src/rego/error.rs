//! What can be wrong with a policy, or with asking it.
//!
//! It deliberately quotes nothing of the input: regorus does, and so its words are told only of what stands in a source.

use std::time::Duration;

use super::patience::Silence;
use super::place::located;
use super::{Place, builtins};

/// What is told where the engine's words may be those of the input.
const UNTOLD: &str =
    "why may quote the input and is not told; reeve policy explain shows how far it came";

/// A policy that cannot be used, or a question it could not answer. Never holds a value of the input.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The source is no policy we run.
    #[error("{place}: {why}")]
    Compile {
        /// Where in the source.
        place: Place,
        /// What is wrong there.
        why: String,
    },
    /// The input is larger than a policy is asked to read.
    #[error("the document for policies has {bytes} bytes, at most {limit} are read")]
    Input {
        /// How large it is.
        bytes: usize,
        /// How large it may be.
        limit: usize,
    },
    /// The input could not be converted.
    #[error("the document for policies cannot be read")]
    Unreadable,
    /// The policy thought for too long.
    #[error("policy {policy} did not answer within {limit:?}")]
    Deadline {
        /// Which policy.
        policy: String,
        /// How long it had.
        limit: Duration,
    },
    /// The policy could not even be stopped.
    #[error(
        "policy {policy} did not answer within {limit:?} and did not end: it is not asked again until it changes or this \
         process ends"
    )]
    Endless {
        /// Which policy.
        policy: String,
        /// How long it had.
        limit: Duration,
    },
    /// It is not asked, because of others.
    #[error(
        "policy {policy} is not asked: so many policies did not end that none is asked until this process is restarted"
    )]
    Crowded {
        /// Which policy.
        policy: String,
    },
    /// There was no thread for it, or it ended the one it had.
    #[error("policy {policy} could not be evaluated: no thread came to an end with it")]
    Unheard {
        /// Which policy.
        policy: String,
    },
    /// The policy failed while it was evaluated. What regorus says of it may quote the input: told is what does not.
    #[error("policy {policy} could not be evaluated: it failed at {place}: {why}")]
    Evaluate {
        /// Which policy.
        policy: String,
        /// Where in its source.
        place: Place,
        /// Why, as far as that may be told.
        why: String,
    },
    /// What a function was asked for would take too much time or memory.
    #[error("policy {policy} asks for more at {place} than a function may take")]
    Expense {
        /// Which policy.
        policy: String,
        /// Where in its source.
        place: Place,
    },
    /// What a function was asked for OPA does, and this engine does not.
    #[error("policy {policy} asks at {place} for what is not done here: {what}")]
    Undone {
        /// Which policy.
        policy: String,
        /// Where in its source.
        place: Place,
        /// What it is.
        what: &'static str,
    },
    /// The answer is not a set of violations.
    #[error("policy {policy} gave no usable answer: {why}")]
    Shape {
        /// Which policy.
        policy: String,
        /// What is wrong with it.
        why: String,
    },
}

impl Error {
    pub(super) fn at(place: Place, why: String) -> Self {
        Self::Compile { place, why }
    }

    /// Why a question has no answer, where nothing is said of it.
    pub(super) fn unheard(policy: &str, silence: Silence, limit: Duration) -> Self {
        let policy = policy.to_owned();
        match silence {
            Silence::Endless => Self::Endless { policy, limit },
            Silence::Crowded => Self::Crowded { policy },
            Silence::Failed => Self::Unheard { policy },
        }
    }

    /// Why a question has no answer, by what regorus says of it.
    pub(super) fn failed(policy: String, said: &str, limit: Duration) -> Self {
        if said.contains("exceeded time limit") {
            return Self::Deadline { policy, limit };
        }
        let (place, why) = located(&policy, said);
        if why.contains(builtins::TOO_MUCH) {
            return Self::Expense { policy, place };
        }
        match builtins::asked_in_vain(&why) {
            Some(what) => Self::Undone {
                policy,
                place,
                what,
            },
            None => {
                let why = builtins::told(said, &why);
                let why = why.unwrap_or_else(|| UNTOLD.to_owned());
                Self::Evaluate { policy, place, why }
            }
        }
    }
}

/// What regorus says of a module that it cannot take.
pub(super) fn uncompiled(file: &str, error: &impl std::fmt::Display) -> Error {
    let (place, why) = located(file, &format!("{error:#}"));
    let why = clearer(why);
    Error::Compile { place, why }
}

/// What regorus says, and what to do where its words don't tell.
fn clearer(why: String) -> String {
    let hint = if why.contains("used before definition below") {
        "; or a name that `some` declares is that of a variable around it: give one of them another name"
    } else if why.contains("incompatible destructuring patterns") {
        "; where two values are compared, write =="
    } else {
        ""
    };
    format!("{why}{hint}")
}
