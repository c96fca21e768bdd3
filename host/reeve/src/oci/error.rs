//! Why something was not fetched, pushed or believed. No secret is ever in it, and no address that may hold one.

/// What went wrong with a registry, or with what lies there.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// It may not, or cannot, be reached.
    #[error("registry {host} cannot be reached")]
    Reach {
        /// The registry.
        host: String,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Time was over.
    #[error("registry {host} was not done in time")]
    Late {
        /// The registry.
        host: String,
    },
    /// It answered with something else than what was asked for.
    #[error("registry {host} answered {status} for {what}")]
    Status {
        /// The registry.
        host: String,
        /// What was asked for.
        what: String,
        /// HTTP's number.
        status: u16,
    },
    /// It has no such thing.
    #[error("registry {host} does not have {what}")]
    Missing {
        /// The registry.
        host: String,
        /// What was asked for.
        what: String,
    },
    /// It wants to know who we are, or does not want us.
    #[error("registry {host} refuses {what}: {why}")]
    Login {
        /// The registry.
        host: String,
        /// What was asked for.
        what: String,
        /// What is wrong with our login.
        why: &'static str,
    },
    /// More than may be read.
    #[error("{what} is larger than {most} bytes")]
    TooLarge {
        /// What was read.
        what: String,
        /// How much may be.
        most: usize,
    },
    /// It is not what its digest says.
    #[error("{what} has the digest {got}, not {want}")]
    Digest {
        /// What was read.
        what: String,
        /// The digest it was asked for by.
        want: String,
        /// The digest it has.
        got: String,
    },
    /// It is something else than a plugin.
    #[error("{what} is no plugin: {why}")]
    NoPlugin {
        /// What was read.
        what: String,
        /// What it is or lacks.
        why: String,
    },
    /// Nobody who is believed signed it.
    #[error("{digest} is not signed by a key that is believed: {why}")]
    Unsigned {
        /// The artifact.
        digest: String,
        /// What was found instead.
        why: String,
    },
    /// A key that is none.
    #[error("the key cannot be used: {0}")]
    Key(&'static str),
    /// A file of logins that is none.
    #[error("the logins of Docker's config cannot be read: {0}")]
    Logins(&'static str),
}

impl Error {
    /// Whether it may pass by itself.
    #[must_use]
    pub fn passes(&self) -> bool {
        match self {
            Self::Reach { .. } | Self::Late { .. } => true,
            Self::Status { status, .. } => *status == 429 || *status >= 500,
            _ => false,
        }
    }
}
