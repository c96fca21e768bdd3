//! Where the contents of a snapshot are read from: a mirror that stays, and is open only while it is read.
//!
//! What it deliberately doesn't: say which files are there; the listing does.

use std::sync::Arc;

use gix::ThreadSafeRepository;

use crate::git::mirror::Generation;
use crate::git::opened::Opened;
use crate::git::{Cause, Limits};

/// Where contents are read from. The mirror stays while it is in use.
pub(super) struct Depot {
    /// What it is called among those that are open.
    name: u64,
    /// As in [`Limits`].
    object_bytes: u64,
    pub(super) generation: Arc<Generation>,
}

/// As many as are read at once: builds, archives, and who lists what was fetched.
static OPENED: Opened<ThreadSafeRepository> = Opened::new(32);

impl Depot {
    pub(super) fn of(generation: Arc<Generation>, limits: &Limits) -> Self {
        Self {
            name: OPENED.name(),
            object_bytes: limits.object_bytes,
            generation,
        }
    }

    /// The mirror, opened if it is not any more.
    pub(super) fn repository(&self) -> Result<gix::Repository, Cause> {
        let limits = || Limits {
            object_bytes: self.object_bytes,
            ..Limits::default()
        };
        let opened = OPENED.get(self.name, || self.generation.open(&limits()));
        opened.map(|opened| opened.to_thread_local())
    }
}

impl Drop for Depot {
    fn drop(&mut self) {
        // Before the mirror, which may go with its last reader.
        OPENED.close(self.name);
    }
}
