//! Why a commit is not on its branch, in words and with the turn it gives.
//!
//! A server's own words are told, since nobody else knows its rules: in one line, not endless, and without what we showed it.
//! What it deliberately doesn't: pick when to try again.

use reeve_api::reason::Reason;
use reeve_core::failure::{Explain, Explained, Turn};

use crate::git::{self, Cause, Remote, commit};

use super::report::is_read_only;

/// Why a commit is not on its branch.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The branch that is to be built upon could not be had.
    #[error(transparent)]
    Fetch(#[from] git::Error),
    /// Whoever decides what changes could not.
    #[error(transparent)]
    Edit(Explained),
    /// There is no such commit.
    #[error(transparent)]
    Commit(#[from] commit::Error),
    /// What is asked for can be asked of no server.
    #[error("{what} {text:?} cannot be used: {why}")]
    Asked {
        /// What it is.
        what: &'static str,
        /// Its text.
        text: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The server could not be asked, or its answer did not come. Whether the commit is there shows with the next try.
    #[error("failed to push")]
    Transfer(#[source] Cause),
    /// There are push options, and the server has no use for them.
    #[error("{0} takes no push options")]
    NoOptions(String),
    /// The credential may read, and no more.
    #[error("{url} may not be written to: {said}")]
    ReadOnly {
        /// The URL.
        url: String,
        /// What the server said.
        said: String,
    },
    /// The branch is protected.
    #[error("branch {branch:?} is protected: {said}")]
    Protected {
        /// Which branch.
        branch: String,
        /// What the server said.
        said: String,
    },
    /// There is no room for the commit.
    #[error("{url} has no room for the commit: {said}")]
    Quota {
        /// The URL.
        url: String,
        /// What the server said.
        said: String,
    },
    /// A hook or a rule of the server refused it.
    #[error("{url} declined the commit for branch {branch:?}: {said}")]
    Declined {
        /// The URL.
        url: String,
        /// Which branch.
        branch: String,
        /// What the server said.
        said: String,
    },
    /// Others were faster each time.
    #[error("branch {branch:?} moved under each of {attempts} attempts, last: {why}")]
    Outrun {
        /// Which branch.
        branch: String,
        /// How often it was tried.
        attempts: u32,
        /// How the server told the last time.
        why: String,
    },
}

impl From<Cause> for Error {
    fn from(cause: Cause) -> Self {
        Self::Transfer(cause)
    }
}

impl Error {
    /// The same with what a server said about rights told as such, and nothing in it that we showed it.
    pub(super) fn tame(self, remote: &Remote) -> Self {
        let Self::Transfer(cause) = self else {
            return self;
        };
        let read_only = |url: String, said: &str| Self::ReadOnly {
            url,
            said: remote.tame(said),
        };
        match cause {
            Cause::Forbidden { url, said } => read_only(url, &said),
            Cause::Protocol { url, why: said } | Cause::GaveUp { url, said }
                if is_read_only(&said) =>
            {
                read_only(url, &said)
            }
            Cause::Protocol { url, why } => Self::Transfer(Cause::Protocol {
                url,
                why: remote.tame(&why),
            }),
            Cause::GaveUp { url, said } => Self::Transfer(Cause::GaveUp {
                url,
                said: remote.tame(&said),
            }),
            // What it is called when a request is larger than a server takes.
            Cause::Http { url, status } if status.starts_with("413") => {
                let said = format!("it answered {status}");
                Self::Quota { url, said }
            }
            cause => Self::Transfer(cause),
        }
    }
}

impl Explain for Error {
    fn reason(&self) -> Reason {
        match self {
            Self::Fetch(error) => error.reason(),
            Self::Edit(error) => error.reason(),
            Self::Commit(error) => error.reason(),
            Self::Transfer(cause) => cause.reason(),
            Self::ReadOnly { .. } => Reason::ReadOnly,
            Self::Protected { .. } | Self::Quota { .. } | Self::Declined { .. } => {
                Reason::PushRejected
            }
            Self::Asked { .. } | Self::NoOptions(_) | Self::Outrun { .. } => {
                Reason::GitOperationFailed
            }
        }
    }

    fn turn(&self) -> Turn {
        match self {
            Self::Fetch(error) => error.turn(),
            Self::Edit(error) => error.turn(),
            Self::Commit(error) => error.turn(),
            Self::Transfer(cause) => cause.turn(),
            Self::Asked { .. } | Self::NoOptions(_) => Turn::Owner,
            // Rules and rights of another system: nothing tells us when they change, and it is seldom soon.
            Self::ReadOnly { .. }
            | Self::Protected { .. }
            | Self::Quota { .. }
            | Self::Declined { .. } => Turn::Retry,
            Self::Outrun { .. } => Turn::Ours,
        }
    }

    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Fetch(error) => return error.hint(),
            Self::Edit(error) => return error.hint(),
            Self::Commit(error) => return error.hint(),
            Self::Transfer(cause) => return cause.hint(),
            Self::Asked { .. } | Self::Outrun { .. } => return None,
            Self::NoOptions(_) => {
                "leave the push options out, or let who runs the server set receive.advertisePushOptions"
            }
            Self::ReadOnly { .. } => {
                "give the deploy key or the token the right to write, or name another that has it"
            }
            Self::Protected { .. } => {
                "push to a branch of its own and open a pull request, or let this user past the protection"
            }
            Self::Quota { .. } => {
                "make room in the repository, or ask who runs the git server for more"
            }
            Self::Declined { .. } => {
                "a rule of the git server says so: change what is committed, or the rule"
            }
        };
        Some(hint.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use reeve_api::name::Secret;

    use super::*;
    use crate::git::{Credential, Tls};

    #[test]
    fn what_servers_say_of_rights_and_room_is_told_as_such_and_without_our_secrets() {
        let remote = Remote {
            url: "https://h/r.git".parse().unwrap(),
            credential: Credential::Bearer(Secret::new("hunter2")),
            tls: Tls::default(),
            proxy: None,
            egress: Arc::default(),
        };
        let url = || "https://h/r.git".to_owned();
        for (cause, want) in [
            (
                Cause::Protocol {
                    url: url(),
                    why: "ERROR: key hunter2 is READ ONLY".to_owned(),
                },
                "https://h/r.git may not be written to: ERROR: key *** is READ ONLY",
            ),
            (
                Cause::Forbidden {
                    url: url(),
                    said: "it answered 403 Forbidden".to_owned(),
                },
                "https://h/r.git may not be written to: it answered 403 Forbidden",
            ),
            (
                Cause::Http {
                    url: url(),
                    status: "413 Payload Too Large".to_owned(),
                },
                "https://h/r.git has no room for the commit: it answered 413 Payload Too Large",
            ),
            (
                Cause::GaveUp {
                    url: url(),
                    said: "out of hunter2".to_owned(),
                },
                "failed to push: https://h/r.git gave up: out of ***",
            ),
        ] {
            let told = Explained::of(&Error::from(cause).tame(&remote));
            assert_eq!(told.message, want);
        }
    }
}
