//! What can go wrong between an operation and its outcome: which plugin, which operation, what, whose turn, what to do.
//!
//! No secret is in any of it, nor more of a URL than its host: what a guest puts into the rest is its own affair.

use std::time::Duration;

use reeve_api::reason::Reason;
use reeve_core::failure::{Explain, Turn};

use super::words::Task;
use crate::git::egress;

/// An operation that came to nothing.
#[derive(Debug, thiserror::Error)]
#[error("provider {plugin} failed at {task}")]
pub struct Error {
    /// Which provider.
    pub plugin: String,
    /// What was wanted.
    pub task: &'static str,
    /// What the guest logged until then.
    pub log: Vec<String>,
    /// What happened.
    pub source: Cause,
}

/// What happened.
#[derive(Debug, thiserror::Error)]
pub enum Cause {
    /// The guest was stopped, or the sandbox had no place.
    #[error("{message}")]
    Guest {
        /// What the sandbox says.
        message: String,
        /// Whether it is no fault of the plugin's.
        ours: bool,
    },
    /// The guest said no: in its own words.
    #[error("{0}")]
    Refused(String),
    /// The URL of a request is none that is asked.
    #[error("it asks for a URL that cannot be used: {0}")]
    Url(&'static str),
    /// The component's own manifest does not name the host.
    #[error("it asks {host}, which its own manifest does not name")]
    NotAsked {
        /// The host.
        host: String,
    },
    /// The platform does not grant the host.
    #[error("it asks {host}, which is not granted to it")]
    NotGranted {
        /// The host.
        host: String,
    },
    /// Plain `http`, where it is not allowed.
    #[error("it asks {host} over plain http, which is not granted to it")]
    Plain {
        /// The host.
        host: String,
    },
    /// The address is one that nobody is to reach from here.
    #[error("{host} may not be asked")]
    Egress {
        /// The host.
        host: String,
        /// Which rule.
        source: egress::Denied,
    },
    /// A method, header or body that is not sent.
    #[error("it asks for a request that is not made: {0}")]
    Request(String),
    /// A slot that is not filled.
    #[error("it names the secret slot {slot:?}, which is not filled")]
    NoSlot {
        /// Its name.
        slot: String,
    },
    /// A slot that may not go there.
    #[error("it would send the secret slot {slot:?} to {host}, for which that is not granted")]
    SlotElsewhere {
        /// Its name.
        slot: String,
        /// Where to.
        host: String,
    },
    /// An answer would overwrite a secret of the platform's.
    #[error("it would put an answer into the secret slot {slot:?}, which the platform filled")]
    SlotTaken {
        /// Its name.
        slot: String,
    },
    /// A name that no slot has.
    #[error("it names a secret slot {slot:?}: a name has 1 to 64 letters, digits, `-`, `_` or `.`")]
    NotASlot {
        /// The name.
        slot: String,
    },
    /// A secret that is too short to be hidden, or too long to be one.
    #[error("the secret slot {slot:?} must hold {least} to {most} bytes")]
    SlotSize {
        /// Its name.
        slot: String,
        /// At least.
        least: usize,
        /// At most.
        most: usize,
    },
    /// The key in a slot cannot sign.
    #[error("the secret slot {slot:?} cannot sign: {why}")]
    Key {
        /// Its name.
        slot: String,
        /// Why not.
        why: &'static str,
    },
    /// More than is allowed.
    #[error("it goes over its limit of {most} {what}")]
    TooMuch {
        /// Of what.
        what: &'static str,
        /// How much is allowed.
        most: usize,
    },
    /// No connection, or it broke.
    #[error("{host} could not be reached: {why}")]
    Unreachable {
        /// The host.
        host: String,
        /// What the network said.
        why: String,
    },
    /// The answer is more than is read.
    #[error("{host} answered with more than {most} bytes")]
    Large {
        /// The host.
        host: String,
        /// What is read.
        most: usize,
    },
    /// The answer cannot be given to a guest.
    #[error("{host} gave an answer that cannot be used: {why}")]
    Answer {
        /// The host.
        host: String,
        /// Why not.
        why: &'static str,
    },
    /// A request took too long.
    #[error("{host} did not answer within {after:?}")]
    Late {
        /// The host.
        host: String,
        /// The time it had.
        after: Duration,
    },
    /// It has asked us to wait, in an answer before.
    #[error("{host} asked us to wait, {} s more", wait.as_secs().max(1))]
    Limited {
        /// The host.
        host: String,
        /// How long.
        wait: Duration,
    },
    /// The operation took too long.
    #[error("not done after {after:?}")]
    Deadline {
        /// The time it had.
        after: Duration,
    },
    /// It ended with something else than what was wanted.
    #[error("it ended with what was not asked: {0}")]
    Ending(&'static str),
    /// A fault of ours.
    #[error("the client for the forge cannot be made: {0}")]
    Client(String),
}

impl Explain for Error {
    fn reason(&self) -> Reason {
        match &self.source {
            Cause::Unreachable { .. } | Cause::Late { .. } | Cause::Deadline { .. } => {
                Reason::GitOperationFailed
            }
            _ => Reason::PluginFailed,
        }
    }

    fn turn(&self) -> Turn {
        match &self.source {
            Cause::Limited { wait, .. } => Turn::Later(*wait),
            Cause::Unreachable { .. }
            | Cause::Late { .. }
            | Cause::Deadline { .. }
            | Cause::Client(_)
            | Cause::Guest { ours: true, .. }
            | Cause::Egress {
                source: egress::Denied::Lookup { .. } | egress::Denied::NoAddress(_),
                ..
            } => Turn::Ours,
            // A grant, a secret, the plugin or the forge's settings have to change, and none of them is in the object.
            Cause::Refused(_)
            | Cause::Guest { ours: false, .. }
            | Cause::Url(_)
            | Cause::NotAsked { .. }
            | Cause::NotGranted { .. }
            | Cause::Plain { .. }
            | Cause::Egress { .. }
            | Cause::Request(_)
            | Cause::NoSlot { .. }
            | Cause::SlotElsewhere { .. }
            | Cause::SlotTaken { .. }
            | Cause::NotASlot { .. }
            | Cause::SlotSize { .. }
            | Cause::Key { .. }
            | Cause::TooMuch { .. }
            | Cause::Large { .. }
            | Cause::Answer { .. }
            | Cause::Ending(_) => Turn::Retry,
        }
    }

    fn hint(&self) -> Option<String> {
        let hint = match &self.source {
            Cause::NotGranted { host } => {
                return Some(format!(
                    "the platform grants hosts: add {host} to the hosts of this provider's grants"
                ));
            }
            Cause::NotAsked { .. } => {
                "the plugin's author lists its hosts in its manifest.json; build it again with this one"
            }
            Cause::Plain { .. } => "use https, or let the platform allow http to this provider",
            Cause::Egress {
                source: egress::Denied::Lookup { .. } | egress::Denied::NoAddress(_),
                ..
            } => "check the host in the repository's URL and in the plugin's config",
            Cause::Egress { .. } => "the platform names private git hosts in --allow-source-hosts",
            Cause::NoSlot { .. } => {
                "fill the slot from a Secret, and see that the plugin's manifest asks for it"
            }
            Cause::SlotElsewhere { .. } => {
                "grant the slot for this host, if it is to be sent there"
            }
            Cause::SlotSize { .. } => "put the whole secret into the slot, and nothing else",
            Cause::Key { .. } => "put an RSA private key of at least 2048 bits into it, in PEM",
            Cause::Unreachable { .. } | Cause::Late { .. } | Cause::Deadline { .. } => {
                "it is tried again; look whether the forge is up"
            }
            Cause::Limited { .. } => {
                "nothing is asked until then; fewer things asked of it, or a token of its own, keep one below its limits"
            }
            Cause::Guest { .. }
            | Cause::Refused(_)
            | Cause::Url(_)
            | Cause::Request(_)
            | Cause::SlotTaken { .. }
            | Cause::NotASlot { .. }
            | Cause::TooMuch { .. }
            | Cause::Large { .. }
            | Cause::Answer { .. }
            | Cause::Ending(_)
            | Cause::Client(_) => return None,
        };
        Some(hint.to_owned())
    }
}

/// What a task is called, for people.
pub(super) fn name(task: &Task) -> &'static str {
    match task {
        Task::GitCredential(_) => "the git credential",
        Task::DeployKeyPresent(_) => "adding the deploy key",
        Task::DeployKeyAbsent(_) => "removing the deploy key",
        Task::WebhookPresent(_) => "adding the webhook",
        Task::WebhookAbsent(_) => "removing the webhook",
        Task::WebhookCheck(_) => "checking the webhook",
        Task::CommitStatus(_) => "the commit status",
        Task::PullRequest(_) => "the pull request",
        Task::PullRequestAbsent(_) => "closing the pull request",
        Task::PullRequestsOpen(_) => "listing the pull requests",
        Task::CommentPresent(_) => "the comment",
        Task::DeployKeysTitled(_) => "listing the deploy keys",
    }
}
