//! Why an archive of another's is not there. No address is ever in it: one may hold what grants access.

use std::io;
use std::time::Duration;

use reeve_api::reason::Reason;
use reeve_core::artifact::Digest;
use reeve_core::failure::{Explain, Turn};

use crate::disk::Over;

/// What went wrong on the way, or with what came.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// No answer came.
    #[error("failed to fetch the artifact from {host}")]
    Reach {
        host: String,
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Another answer came.
    #[error("failed to fetch the artifact: {host} answered {status}")]
    Status { host: String, status: u16 },
    /// It is not there any more.
    #[error("the artifact is not at {host} any more")]
    Gone { host: String },
    /// It took too long.
    #[error("failed to fetch the artifact within {within:?}")]
    Late { within: Duration },
    /// Others were first.
    #[error("failed to fetch the artifact: others of the tenant are still being fetched")]
    Busy,
    /// More than may be.
    #[error("the artifact is refused: {what} than the {cap} that are accepted")]
    TooMuch { what: &'static str, cap: u64 },
    /// It is not what its source says.
    #[error("the artifact is refused: its digest is {got}, and its source says {want}")]
    Digest { want: Digest, got: Digest },
    /// Nobody means well with this entry.
    #[error("the artifact is refused: its entry {path:?}: {why}")]
    Hostile { path: String, why: &'static str },
    /// It is no archive.
    #[error("the artifact is refused: it is no tar.gz")]
    Unreadable { source: io::Error },
    /// Whoever it is for has all it may have.
    #[error("failed to keep the artifact")]
    Quota { source: Over },
    /// The disk said no.
    #[error("the artifact could not be {doing}")]
    Disk {
        doing: &'static str,
        source: io::Error,
    },
    /// A fault of ours.
    #[error("an internal fault stopped the opening of the artifact")]
    Internal,
}

impl Explain for Error {
    fn reason(&self) -> Reason {
        match self {
            Self::Quota { source } => source.reason(),
            Self::Reach { .. }
            | Self::Status { .. }
            | Self::Gone { .. }
            | Self::Late { .. }
            | Self::Busy
            | Self::TooMuch { .. }
            | Self::Digest { .. }
            | Self::Hostile { .. }
            | Self::Unreadable { .. }
            | Self::Disk { .. }
            | Self::Internal => Reason::ArtifactFailed,
        }
    }

    fn turn(&self) -> Turn {
        match self {
            Self::Reach { .. }
            | Self::Status { .. }
            | Self::Gone { .. }
            | Self::Late { .. }
            | Self::Busy
            | Self::Digest { .. } => Turn::Retry,
            Self::TooMuch { .. } | Self::Hostile { .. } | Self::Unreadable { .. } => Turn::Source,
            Self::Quota { source } => source.turn(),
            Self::Disk { .. } | Self::Internal => Turn::Ours,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Reach { .. } => Some(
                "see whether a NetworkPolicy lets reeve reach who serves it: Flux's lets only its own namespace in"
                    .to_owned(),
            ),
            Self::TooMuch { .. } => Some("put less into it".to_owned()),
            Self::Quota {
                source: Over::Tenant { tenant, .. },
            } => Some(format!(
                "put less into it, delete sources that nobody needs, or ask the platform to raise \
                 spec.limits.storageMebibytes of Tenant {tenant}"
            )),
            Self::Quota { source } => source.hint(),
            Self::Status { .. }
            | Self::Gone { .. }
            | Self::Late { .. }
            | Self::Busy
            | Self::Digest { .. }
            | Self::Hostile { .. }
            | Self::Unreadable { .. }
            | Self::Disk { .. }
            | Self::Internal => None,
        }
    }
}
