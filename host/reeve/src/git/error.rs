//! What can go wrong between a URL and its files, in words and with the turn it gives.
//!
//! The outermost clause is Flux's, so that the chain reads as Flux's messages do. No secret is in any of it: URLs are
//! told without userinfo, credentials not at all. What it deliberately doesn't: pick when to try again.

use std::time::Duration;

use reeve_api::reason::Reason;
use reeve_core::failure::{Explain, Turn};

use super::snapshot::NotLaid;
use super::{credential, egress, ignore, known_hosts};
use crate::disk;

/// Why there is no revision, or no files.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The Secret cannot be used.
    #[error("failed to configure authentication options")]
    Credential(#[from] credential::Error),
    /// The server could not be asked, or what it said is of no use.
    #[error("failed to checkout and determine revision")]
    Checkout(#[source] Cause),
    /// What is included does not fit.
    #[error(transparent)]
    Include(Box<NotLaid>),
    /// The server has the repository, and there is nothing in it.
    #[error("git repository is empty")]
    Empty,
}

/// What went wrong while asking and fetching.
#[derive(Debug, thiserror::Error)]
pub enum Cause {
    /// The host may not be reached, or has no address.
    #[error("{url} may not be fetched from")]
    Egress {
        /// The URL.
        url: String,
        /// Which rule.
        source: egress::Denied,
    },
    /// The URL holds something that no git server is asked for.
    #[error("{url} cannot be used: {why}")]
    Url {
        /// The URL.
        url: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// No connection, or it broke.
    #[error("{url} could not be reached: {why}")]
    Unreachable {
        /// The URL.
        url: String,
        /// What the network said.
        why: String,
    },
    /// The server wants a credential and there is none.
    #[error("authentication required for {0}")]
    AuthenticationRequired(String),
    /// The server refused the credential.
    #[error("authentication failed for {url}: {why}")]
    AuthenticationRefused {
        /// The URL.
        url: String,
        /// What the server said.
        why: String,
    },
    /// The private key cannot be read.
    #[error("authentication is not possible")]
    Identity(#[from] credential::Error),
    /// The server is not the one it should be.
    #[error("{url} was not trusted")]
    HostKey {
        /// The URL.
        url: String,
        /// Which key it offered.
        source: known_hosts::Refused,
    },
    /// The server knows us, and does not let us write.
    #[error("{url} may not be written to: {said}")]
    Forbidden {
        /// The URL.
        url: String,
        /// What the server said.
        said: String,
    },
    /// There is no such repository, or it isn't ours to see.
    #[error("repository not found: {0}")]
    NotFound(String),
    /// The server sends us to another host.
    #[error("{url} redirects to {to}, which is not followed")]
    Redirect {
        /// The URL.
        url: String,
        /// Scheme and host it points to.
        to: String,
    },
    /// The server answered with an error.
    #[error("{url} answered {status}")]
    Http {
        /// The URL.
        url: String,
        /// The status, in digits and words.
        status: String,
    },
    /// The server said something that isn't git's protocol, or reported an error in it.
    #[error("{url} did not answer as a git server should: {why}")]
    Protocol {
        /// The URL.
        url: String,
        /// What was wrong.
        why: String,
    },
    /// The server began to send, and said why it does not go on.
    #[error("{url} gave up: {said}")]
    GaveUp {
        /// The URL.
        url: String,
        /// What it said.
        said: String,
    },
    /// Time ran out.
    #[error("timed out after {after:?} while {doing}")]
    Deadline {
        /// What was being waited for.
        doing: &'static str,
        /// The time given.
        after: Duration,
    },
    /// More came than is taken.
    #[error("{what} than the {cap} that are accepted")]
    TooMuch {
        /// What there is more of.
        what: &'static str,
        /// How much is taken.
        cap: String,
    },
    /// There is no more room for what comes.
    #[error(transparent)]
    Storage(Box<disk::Over>),
    /// The server does not have the reference.
    #[error("couldn't find remote ref {0:?}")]
    NoRef(String),
    /// The server does not have the commit.
    #[error("unable to resolve commit object for '{0}': object not found")]
    NoCommit(String),
    /// The commit is somewhere else than spec.ref says.
    #[error("commit '{commit}' is not on branch {branch:?}")]
    NotOnBranch {
        /// Which commit.
        commit: String,
        /// Where it was looked for.
        branch: String,
    },
    /// What the reference means is no commit.
    #[error("{0:?} does not lead to a commit")]
    NotACommit(String),
    /// No tag is in the range.
    #[error("no match found for semver: {0}")]
    NoMatch(String),
    /// An entry of the commit's tree that nobody means well with.
    #[error("the commit holds an entry named {path:?}, which is refused: {why}")]
    Hostile {
        /// Its path.
        path: String,
        /// Why.
        why: &'static str,
    },
    /// An object that came whole, and is none that git writes.
    #[error("an object of the commit is not as git writes it: {0}")]
    Malformed(String),
    /// A submodule that nobody means well with, or nobody can find.
    #[error("{place} is refused: {why}")]
    Submodule {
        /// Which entry of which file.
        place: String,
        /// Why.
        why: String,
    },
    /// A directory that is asked for is not in the commit.
    #[error("sparse checkout dir '{0}' does not exist in repository")]
    NoDirectory(String),
    /// What is included does not fit.
    #[error(transparent)]
    NotLaid(Box<NotLaid>),
    /// The ignore rules cannot be used.
    #[error("the ignore rules cannot be used")]
    Ignore(#[from] ignore::Error),
    /// Our own disk.
    #[error("the mirror could not be {doing}: {why}")]
    Mirror {
        /// What was tried.
        doing: &'static str,
        /// What the system said.
        why: String,
    },
    /// Whoever asked no longer waits.
    #[error("cancelled")]
    Cancelled,
    /// A fault of ours.
    #[error("an internal fault stopped the fetch")]
    Internal,
}

const INCLUDE: &str = "correct spec.include: fromPath must be there, and toPath must not be";

impl From<Cause> for Error {
    fn from(cause: Cause) -> Self {
        match cause {
            Cause::Identity(error) => Self::Credential(error),
            Cause::NotLaid(error) => Self::Include(error),
            cause => Self::Checkout(cause),
        }
    }
}

impl Error {
    /// The whole operation took longer than it may.
    pub fn late(after: Duration) -> Self {
        Self::Checkout(Cause::Deadline {
            doing: "fetching",
            after,
        })
    }

    /// Whether the server did not let us in, or says that there is nothing, as it does to whom it does not let in.
    pub(crate) fn is_of_the_login(&self) -> bool {
        matches!(
            self,
            Self::Checkout(
                Cause::AuthenticationRequired(_)
                    | Cause::AuthenticationRefused { .. }
                    | Cause::NotFound(_)
            )
        )
    }
}

impl Explain for Error {
    fn reason(&self) -> Reason {
        match self {
            Self::Credential(_) => Reason::AuthenticationFailed,
            Self::Include(_) => Reason::CopyFailure,
            Self::Empty => Reason::EmptyGitRepository,
            Self::Checkout(cause) => cause.reason(),
        }
    }

    fn turn(&self) -> Turn {
        match self {
            // The Secret is another object: its change wakes us, and a retry costs little.
            Self::Credential(_) | Self::Empty => Turn::Ours,
            // What is included wakes us too when it changes.
            Self::Include(_) => Turn::NextRevision,
            Self::Checkout(cause) => cause.turn(),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Credential(credential::Error::Missing {
                key: "known_hosts", ..
            }) => Some(
                "compare the fingerprints that `ssh-keyscan` prints for this host with the server's, and put its output into \
                 the Secret's known_hosts; the platform may name hosts for all in --known-hosts-file"
                    .to_owned(),
            ),
            Self::Include(_) => Some(INCLUDE.to_owned()),
            Self::Credential(_) => Some("correct the Secret that spec.secretRef names".to_owned()),
            Self::Empty => Some("push a first commit".to_owned()),
            Self::Checkout(cause) => cause.hint(),
        }
    }
}

impl Cause {
    pub(super) fn reason(&self) -> Reason {
        match self {
            Self::Egress {
                source: egress::Denied::Address { .. },
                ..
            }
            | Self::Url { .. } => Reason::UrlInvalid,
            Self::AuthenticationRequired(_)
            | Self::AuthenticationRefused { .. }
            | Self::Identity(_)
            | Self::HostKey { .. } => Reason::AuthenticationFailed,
            Self::Egress { .. }
            | Self::Unreachable { .. }
            | Self::Forbidden { .. }
            | Self::NotFound(_)
            | Self::Redirect { .. }
            | Self::Http { .. }
            | Self::Protocol { .. }
            | Self::GaveUp { .. }
            | Self::Deadline { .. }
            | Self::TooMuch { .. }
            | Self::NoRef(_)
            | Self::NoCommit(_)
            | Self::NotOnBranch { .. }
            | Self::NotACommit(_)
            | Self::NoMatch(_)
            | Self::Hostile { .. }
            | Self::Malformed(_)
            | Self::Submodule { .. }
            | Self::NoDirectory(_)
            | Self::Ignore(_)
            | Self::Mirror { .. }
            | Self::Cancelled
            | Self::Internal => Reason::GitOperationFailed,
            Self::NotLaid(_) => Reason::CopyFailure,
            Self::Storage(over) => over.reason(),
        }
    }

    pub(super) fn turn(&self) -> Turn {
        match self {
            Self::Egress {
                source: egress::Denied::Address { .. },
                ..
            }
            | Self::Url { .. } => Turn::Owner,
            Self::TooMuch { .. }
            | Self::Hostile { .. }
            | Self::Malformed(_)
            | Self::Submodule { .. }
            | Self::Ignore(_)
            | Self::NoDirectory(_)
            | Self::NotLaid(_)
            | Self::NotACommit(_) => Turn::NextRevision,
            Self::Storage(over) => over.turn(),
            Self::Egress { .. }
            | Self::Unreachable { .. }
            | Self::AuthenticationRequired(_)
            | Self::AuthenticationRefused { .. }
            | Self::Identity(_)
            | Self::HostKey { .. }
            | Self::Forbidden { .. }
            | Self::NotFound(_)
            | Self::Redirect { .. }
            | Self::Http { .. }
            | Self::Protocol { .. }
            | Self::GaveUp { .. }
            | Self::Deadline { .. }
            | Self::NoRef(_)
            | Self::NoCommit(_)
            | Self::NotOnBranch { .. }
            | Self::NoMatch(_)
            | Self::Mirror { .. }
            | Self::Cancelled
            | Self::Internal => Turn::Ours,
        }
    }

    pub(super) fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Egress {
                source: egress::Denied::Lookup { .. } | egress::Denied::NoAddress(_),
                ..
            } => "check the host in spec.url",
            Self::Egress { .. } => "the platform names private git hosts in --allow-source-hosts",
            Self::AuthenticationRequired(_) => "name a Secret with credentials in spec.secretRef",
            Self::AuthenticationRefused { .. } => {
                "check the Secret that spec.secretRef names; a token may have expired"
            }
            Self::HostKey { .. } => {
                "compare the fingerprint with the server's; if it is right, put the output of \
                 `ssh-keyscan` for this host into the Secret's known_hosts"
            }
            Self::Forbidden { .. } => {
                "give the credential the right to write, or name another that has it"
            }
            Self::NotFound(_) => "check spec.url; private repositories need spec.secretRef",
            Self::Redirect { .. } => "put the address it redirects to into spec.url",
            Self::GaveUp { .. } => "ask who runs the git server: its repository may be damaged",
            Self::Deadline { .. } => "spec.timeout may be raised",
            Self::TooMuch { .. } => "split the repository, or leave files out with spec.ignore",
            Self::NoRef(_) | Self::NoCommit(_) | Self::NoMatch(_) => "check spec.ref",
            Self::NotOnBranch { .. } => {
                "correct spec.ref.branch, or leave it out: the commit is then taken from wherever it is"
            }
            Self::Url { .. } => "correct spec.url",
            Self::Hostile { .. } => "remove the entry from the repository",
            Self::Malformed(_) => "`git fsck` names it; commit what is in it anew",
            Self::Submodule { .. } => "correct the submodule in the repository",
            Self::NoDirectory(_) => "correct spec.sparseCheckout, or commit the directory",
            Self::NotLaid(_) => INCLUDE,
            Self::Storage(over) => return over.hint(),
            Self::Identity(_)
            | Self::Unreachable { .. }
            | Self::Http { .. }
            | Self::Protocol { .. }
            | Self::NotACommit(_)
            | Self::Ignore(_)
            | Self::Mirror { .. }
            | Self::Cancelled
            | Self::Internal => return None,
        };
        Some(hint.to_owned())
    }
}
