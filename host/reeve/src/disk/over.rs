//! Who would have more of the disk than there may be, and what to do about it.
//!
//! What it deliberately doesn't: count; the books do.

use reeve_api::reason::Reason;
use reeve_core::failure::{Explain, Turn};

use super::REQUESTS;

/// There would be more than there may be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Over {
    /// Of one tenant.
    #[error(
        "tenant {tenant} may have {} of the controller's disk and has {}: what came beside that would have been more, so it was stopped",
        shown(.allowed),
        shown(.used)
    )]
    Tenant {
        /// Which.
        tenant: String,
        /// Bytes that it may have.
        allowed: u64,
        /// Bytes that it has.
        used: u64,
    },
    /// Of all mirrors.
    #[error(
        "all mirrors of repositories may have {} of the controller's disk together, and those in use have {}",
        shown(.allowed),
        shown(.used)
    )]
    Mirrors {
        /// Bytes that they may have.
        allowed: u64,
        /// Bytes that they have.
        used: u64,
    },
}

impl Explain for Over {
    fn reason(&self) -> Reason {
        match self {
            Self::Tenant { .. } => Reason::StorageQuotaExceeded,
            Self::Mirrors { .. } => Reason::StatOperationFailed,
        }
    }

    fn turn(&self) -> Turn {
        match self {
            // Another object may go, or the platform give more; neither is in this object.
            Self::Tenant { .. } => Turn::Retry,
            Self::Mirrors { .. } => Turn::Ours,
        }
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Tenant { tenant, .. } if tenant.ends_with(REQUESTS) => {
                let tenant = tenant.trim_end_matches(REQUESTS);
                format!(
                    "make what the request brings smaller, or ask the platform to raise spec.limits.storageMebibytes of Tenant \
                     {tenant}, of which requests have a quarter"
                )
            }
            Self::Tenant { tenant, .. } => format!(
                "delete sources that nobody needs, make the repository smaller or take parts of it with spec.sparseCheckout, \
                 or ask the platform to raise spec.limits.storageMebibytes of Tenant {tenant}"
            ),
            Self::Mirrors { .. } => {
                "the platform gives the mirrors a larger volume and raises --mirror-limit"
                    .to_owned()
            }
        })
    }
}

/// Bytes as people read them.
fn shown(bytes: &u64) -> String {
    const MEBIBYTE: u64 = 1 << 20;
    match *bytes {
        b if b < MEBIBYTE => format!("{b} bytes"),
        b if b % MEBIBYTE == 0 => format!("{} MiB", b / MEBIBYTE),
        b => format!("{}.{} MiB", b / MEBIBYTE, b % MEBIBYTE * 10 / MEBIBYTE),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_told_as_people_read_them() {
        for (bytes, want) in [
            (5, "5 bytes"),
            (1 << 20, "1 MiB"),
            ((5 << 20) + (1 << 19), "5.5 MiB"),
        ] {
            assert_eq!(shown(&bytes), want);
        }
    }
}
