//! The API server's no, and what it means.
//!
//! Codes alone mislead: a misspelt field is a 500, a namespace on its way out a 403, a kind whose definition is missing
//! a 404. So [`Cause`] is found from code, reason and words together, in one pure function. It deliberately knows no
//! object: which one it was and what its owner can do is [`error`](super::error)'s to say.

use std::fmt;
use std::time::Duration;

use reeve_api::reason::Reason;
use reeve_core::failure::{Explain, Turn};

use super::throttle::PATIENCE;

/// What was being done when it failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attempt {
    /// Reading it.
    Get,
    /// Asking what applying it would do.
    DryRun,
    /// Applying it.
    Apply,
    /// Patching its metadata or status.
    Patch,
    /// Creating it.
    Create,
    /// Replacing it.
    Replace,
    /// Deleting it.
    Delete,
    /// Waiting until it is established or active.
    Wait,
}

/// Why the API server refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// The account may not do this.
    Forbidden,
    /// The controller may not act as the account: nobody has onboarded its namespace with it.
    NotOnboarded,
    /// The account may not grant what it does not hold.
    Escalation,
    /// The namespace's quota is used up.
    Quota,
    /// The namespace is being deleted.
    Terminating,
    /// The credentials are not accepted.
    Unauthorized,
    /// The object, or its namespace, does not exist.
    Missing,
    /// Nothing serves this kind.
    UnknownKind,
    /// A field that cannot be changed would change.
    Immutable,
    /// It was changed by somebody else in between.
    Conflict,
    /// It does not fit the kind's schema or rules.
    Invalid,
    /// It is larger than the API server takes.
    TooLarge,
    /// The API server is overloaded, restarting or broken.
    Unavailable,
}

/// The API server's answer when it is not yes.
#[derive(Clone, PartialEq, Eq)]
pub struct Refusal {
    pub(super) code: u16,
    pub(super) reason: String,
    pub(super) message: String,
    /// Field and reason of each cause.
    pub(super) causes: Vec<(String, String)>,
    /// Whether the answer names the object that is missing.
    pub(super) names_object: bool,
    pub(super) retry_after: Option<Duration>,
    pub(super) attempt: Attempt,
}

/// A request that did not do what was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The API server said no.
    #[error("{0}")]
    Refused(Box<Refusal>),
    /// It has just started, and may not have read its roles yet.
    #[error("the API server has just started, and refuses: {0}")]
    Waking(Box<Refusal>),
    /// It has asked this account to come again later: nothing was sent.
    #[error("the API server has asked this account to wait for {0:?} more")]
    Throttled(Duration),
    /// It did not answer in time.
    #[error("the API server did not answer within {0:?}")]
    Slow(Duration),
    /// There was no connection, or it broke.
    #[error("the API server cannot be reached: {0}")]
    Unreachable(String),
    /// Its answer was cut off.
    #[error("the API server's answer is larger than {0} bytes")]
    TooLarge(usize),
    /// Its answer is not what an API server says.
    #[error("the API server's answer cannot be read: {0}")]
    Garbled(String),
    /// Nothing serves the kind.
    #[error("no matches for kind {kind:?} in version {api_version:?}")]
    UnknownKind {
        /// The kind.
        kind: String,
        /// The group and version it was looked for in.
        api_version: String,
    },
    /// Whether anything serves the kind is not known: the server behind its group does not answer.
    #[error("what the API group {0:?} serves is not known at the moment")]
    UnknownGroup(String),
    /// The kind lives elsewhere than the plan was made for: a plan that policy has not seen like this.
    #[error("the kind's scope is not what it was when this was planned")]
    OtherScope,
    /// What is there is not to be replaced by a hook.
    #[error(
        "an object of this name is there already, and neither this Kustomization's nor a hook; rename the hook"
    )]
    InTheWay,
    /// The lease is not this process's, or may no longer be: nothing was sent.
    #[error("nothing was written: this replica does not hold the lease")]
    NotLeading,
    /// The name cannot be that of an object.
    #[error("{0:?} cannot be the name of an object or namespace")]
    Name(String),
}

impl Explain for CallError {
    fn reason(&self) -> Reason {
        Reason::ReconciliationFailed
    }

    fn turn(&self) -> Turn {
        // Only the controller's own calls are told like this: whatever is wrong with them, a tenant can't mend it.
        self.later().unwrap_or(Turn::Ours)
    }
}

impl Refusal {
    /// What the refusal means.
    pub fn cause(&self) -> Cause {
        classify(self.code, &self.reason, &self.message, self.names_object)
    }

    /// Whether the version that was asked for is no longer known.
    pub(super) fn is_gone(&self) -> bool {
        self.code == 410
    }

    /// The refusal without anything that may have been in the object: its reason, fields and their causes.
    pub(super) fn without_values(&self) -> String {
        match self.cause() {
            // These are about the account or the server, and written before the object is looked at.
            Cause::Forbidden if !self.message.contains("admission webhook") => self.message.clone(),
            Cause::NotOnboarded
            | Cause::Terminating
            | Cause::Missing
            | Cause::UnknownKind
            | Cause::Unauthorized => self.message.clone(),
            cause => {
                let fields: Vec<_> = self
                    .causes
                    .iter()
                    .map(|(field, why)| format!("{field} ({why})"))
                    .collect();
                let base64 = self.message.contains("illegal base64 data");
                match (fields.is_empty(), base64) {
                    (false, _) => format!("{cause:?}: {}", fields.join(", ")),
                    (true, true) => format!("{cause:?}: a value of data is not base64"),
                    (true, false) => {
                        format!("{cause:?} (details withheld: they may hold the Secret's values)")
                    }
                }
            }
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&clipped(&self.message, MESSAGE_LIMIT))
    }
}

impl fmt::Debug for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the message: it may quote a Secret.
        write!(f, "{} {} on {:?}", self.code, self.reason, self.attempt)
    }
}

/// How much of the server's words about one object is kept.
pub(super) const MESSAGE_LIMIT: usize = 2000;

/// What to do when the controller may not act as an account, `system:serviceaccount:<namespace>:<name>`.
pub(super) fn onboard(account: &str) -> String {
    let mut parts = account.rsplit(':');
    let (name, namespace) = (parts.next(), parts.next());
    let (name, namespace) = (name.unwrap_or_default(), namespace.unwrap_or_default());
    format!(
        "ask the platform to have namespace {namespace} onboarded, with `reeve tenant adopt {namespace}`; if it is, name \
         the account of its Tenant instead of {name}"
    )
}

/// The text, or its beginning and its end.
pub(super) fn clipped(text: &str, limit: usize) -> String {
    if text.len() <= limit {
        return text.to_owned();
    }
    // What the API server says begins with what it was about and ends with what is wrong: the middle goes.
    let room = limit.saturating_sub('…'.len_utf8());
    let head = text.floor_char_boundary(room / 2);
    let tail = text.ceil_char_boundary(text.len() - (room - room / 2));
    let (head, tail) = (text.get(..head), text.get(tail..));
    format!("{}…{}", head.unwrap_or_default(), tail.unwrap_or_default())
}

/// What a refusal means, from everything it says.
fn classify(code: u16, reason: &str, message: &str, names_object: bool) -> Cause {
    let says = |words: &str| message.contains(words);
    if says("field is immutable") || says("is immutable") || says("immutable field") {
        return Cause::Immutable;
    }
    match code {
        401 => Cause::Unauthorized,
        403 if says("\" cannot impersonate") => Cause::NotOnboarded,
        403 if says("is attempting to grant RBAC permissions not currently held") => {
            Cause::Escalation
        }
        403 if says("exceeded quota") => Cause::Quota,
        403 if says("because it is being terminated") => Cause::Terminating,
        403 => Cause::Forbidden,
        404 if names_object => Cause::Missing,
        404 => Cause::UnknownKind,
        409 if says("object is being deleted") => Cause::Terminating,
        409 => Cause::Conflict,
        413 => Cause::TooLarge,
        429 => Cause::Unavailable,
        422 if reason == "RequestEntityTooLarge" => Cause::TooLarge,
        400..=499 => Cause::Invalid,
        // Apply with a field unknown to the schema, or a value of another type, is a 500.
        500 if says("failed to create typed patch object")
            || says("failed to create manager for existing fields")
            || says("field not declared in schema")
            || says("failed to convert new object")
            || says(".spec: schema error") =>
        {
            Cause::Invalid
        }
        _ => Cause::Unavailable,
    }
}

impl CallError {
    /// What the refusal means; everything but a refusal is the server's or the network's.
    pub fn cause(&self) -> Cause {
        match self {
            Self::Refused(refusal) => refusal.cause(),
            Self::TooLarge(_) => Cause::TooLarge,
            Self::Name(_) | Self::InTheWay => Cause::Invalid,
            Self::UnknownKind { .. } => Cause::UnknownKind,
            Self::Slow(_)
            | Self::Waking(_)
            | Self::Throttled(_)
            | Self::Unreachable(_)
            | Self::Garbled(_)
            | Self::UnknownGroup(_)
            | Self::NotLeading
            | Self::OtherScope => Cause::Unavailable,
        }
    }

    /// Whether the same request may be answered with yes a moment later, with nothing changed.
    pub(super) fn is_transient(&self) -> bool {
        match self {
            Self::Refused(refusal) => {
                matches!(refusal.code, 429 | 502..=504)
                    || (refusal.code == 500 && refusal.message.contains("etcdserver:"))
                    || (refusal.code == 403
                        && refusal.message.contains("not yet ready to handle request"))
            }
            Self::Unreachable(_) | Self::Waking(_) => true,
            Self::Slow(_)
            | Self::Throttled(_)
            | Self::TooLarge(_)
            | Self::Garbled(_)
            | Self::Name(_)
            | Self::InTheWay
            | Self::UnknownKind { .. }
            | Self::UnknownGroup(_)
            | Self::NotLeading
            | Self::OtherScope => false,
        }
    }

    /// Whether the server says that it has a fault, and nobody whom it asks: that may have passed a moment later, or not.
    pub(super) fn is_fault(&self) -> bool {
        match self {
            Self::Refused(refusal) => {
                let asked = ["webhook", "denied the request"];
                refusal.code == 500
                    && refusal.cause() == Cause::Unavailable
                    && !asked.iter().any(|words| refusal.message.contains(words))
            }
            _ => false,
        }
    }

    pub(super) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused(refusal) => refusal.retry_after,
            _ => None,
        }
    }

    /// Whether the account has asked for more than it may now.
    pub(super) fn is_throttling(&self) -> bool {
        matches!(self, Self::Refused(refusal) if refusal.code == 429)
    }

    /// Whether the API server has answered no: neither that it was asked too much, nor that it has given up half-way.
    pub(super) fn is_answer(&self) -> bool {
        matches!(self, Self::Refused(_)) && !self.is_throttling() && !self.is_too_late()
    }

    /// Whether the API server has given it up for having taken as long as it may.
    pub(super) fn is_too_late(&self) -> bool {
        matches!(self, Self::Refused(refusal) if refusal.code == 504)
    }

    /// When the API server says when. What is short was waited for before this was told, so that it is backed off from.
    fn later(&self) -> Option<Turn> {
        let wait = match self {
            Self::Throttled(left) => Some(*left),
            Self::Refused(_) => self.retry_after().filter(|wait| *wait > PATIENCE),
            _ => None,
        };
        wait.map(Turn::Later)
    }

    pub(super) fn is_missing_object(&self) -> bool {
        matches!(self, Self::Refused(refusal) if refusal.code == 404 && refusal.names_object)
    }

    /// Whether this account may not do that.
    pub(super) fn is_forbidden(&self) -> bool {
        matches!(self, Self::Refused(refusal) if refusal.code == 403)
    }

    /// Whether the object of that name is not the one that was meant.
    pub(super) fn is_another_object(&self) -> bool {
        matches!(self, Self::Refused(refusal) if refusal.code == 409 && refusal.message.contains("UID in precondition"))
    }

    pub(super) fn is_conflict(&self) -> bool {
        matches!(self, Self::Refused(refusal) if refusal.code == 409)
    }

    /// Whose turn it is when a tenant's object was refused like this.
    pub(super) fn turn_over_object(&self) -> Turn {
        match self.cause() {
            // What would let it pass (a role, a quota, a definition, a namespace) is not in the object itself:
            // a run is due again after the retry interval, not only when the object changes.
            Cause::Forbidden
            | Cause::NotOnboarded
            | Cause::Escalation
            | Cause::Quota
            | Cause::Terminating
            | Cause::Missing
            | Cause::UnknownKind => Turn::Retry,
            Cause::Immutable | Cause::Invalid | Cause::TooLarge => Turn::NextRevision,
            // Somebody wrote in between: soon again.
            Cause::Conflict | Cause::Unauthorized | Cause::Unavailable => {
                self.later().unwrap_or(Turn::Ours)
            }
        }
    }

    pub(super) fn reason_word(&self) -> Option<&str> {
        match self {
            Self::Refused(refusal) if !refusal.reason.is_empty() => Some(&refusal.reason),
            _ => None,
        }
    }
}
