//! Why there is no commit. What it deliberately doesn't: speak of sending it; `push` has errors of its own.

use reeve_api::reason::Reason;
use reeve_core::failure::{Explain, Turn};

use crate::git::Cause;

/// Why there is no commit.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A path that no file of a repository may have.
    #[error("{path:?} may not be written: {why}")]
    Path {
        /// The path.
        path: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The commit below has something at the path that is not to be written over, or gone through.
    #[error("{path:?} cannot be written: {why}")]
    InTheWay {
        /// Where it is.
        path: String,
        /// What it is.
        why: &'static str,
    },
    /// More than one commit may hold.
    #[error("{what} than the {cap} that one commit may have")]
    TooMuch {
        /// What there is more of.
        what: &'static str,
        /// How much may be.
        cap: String,
    },
    /// Text that a commit cannot hold.
    #[error("the commit's {what} cannot be used: {why}")]
    Words {
        /// Which text.
        what: &'static str,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The key cannot be read; of its content nothing is told.
    #[error("the key that signs commits is not {0}")]
    Key(&'static str),
    /// The key cannot sign.
    #[error("the commit could not be signed by the {0}")]
    Sign(String),
    /// The mirror.
    #[error("the commit below it could not be read")]
    Read(#[from] Cause),
}

impl Explain for Error {
    fn reason(&self) -> Reason {
        match self {
            Self::Key(_) | Self::Sign(_) => Reason::AuthenticationFailed,
            Self::Read(cause) => cause.reason(),
            Self::Path { .. }
            | Self::InTheWay { .. }
            | Self::TooMuch { .. }
            | Self::Words { .. } => Reason::GitOperationFailed,
        }
    }

    fn turn(&self) -> Turn {
        match self {
            Self::Path { .. } | Self::Words { .. } => Turn::Owner,
            Self::InTheWay { .. } | Self::TooMuch { .. } => Turn::NextRevision,
            // The Secret is another object.
            Self::Key(_) | Self::Sign(_) => Turn::Ours,
            Self::Read(cause) => cause.turn(),
        }
    }

    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Path { .. } => "name a file by its path from the repository's root",
            Self::InTheWay { .. } => {
                "name another path, or remove what is there from the repository"
            }
            Self::TooMuch { .. } => "change less at once",
            Self::Words { .. } => return None,
            Self::Key(_) => "correct the Secret that holds the signing key",
            Self::Sign(_) => {
                "sign with a key of type ed25519, ecdsa or rsa, which has not expired and is for signing"
            }
            Self::Read(cause) => return cause.hint(),
        };
        Some(hint.to_owned())
    }
}
