//! How long a run may go on: until a moment, and only while it is wanted.
//!
//! Reading may be dropped wherever it is. A write that was begun is finished: what it does must be told.

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::applied::{Applied, ApplyError};

/// How long a run may go on.
#[derive(Debug, Clone)]
pub struct Until {
    /// Nothing lasts longer than this.
    pub deadline: Instant,
    /// Cancelled when what the run does is no longer wanted: the write under way is finished, and no other is begun.
    pub over: CancellationToken,
}

impl From<Instant> for Until {
    /// Nothing but time ends it.
    fn from(deadline: Instant) -> Self {
        Self {
            deadline,
            over: CancellationToken::new(),
        }
    }
}

/// What ended something that had not come to its end.
pub(super) enum Cut {
    Late,
    Superseded,
}

impl Cut {
    pub(super) fn after(self, done: Applied) -> ApplyError {
        match self {
            Self::Late => ApplyError::Deadline { done },
            Self::Superseded => ApplyError::Superseded { done },
        }
    }
}

impl Until {
    /// Waits for what may be dropped at any moment.
    pub(super) async fn hold<T>(&self, work: impl Future<Output = T>) -> Result<T, Cut> {
        tokio::select! {
            biased;
            () = self.over.cancelled() => Err(Cut::Superseded),
            done = tokio::time::timeout_at(self.deadline, work) => done.map_err(|_| Cut::Late),
        }
    }
}
