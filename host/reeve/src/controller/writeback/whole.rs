//! All files of a commit, those that its source leaves out, too: who else uses a file may lie among them.
//!
//! Read when somebody asks for any of them, since mostly nobody does. Who decides by them has to ask for the trouble afterwards: a tree
//! cannot say of a directory that it could not be read.

use std::sync::{Arc, OnceLock};
use std::time::Instant;

use reeve_kustomize::{Kind, ReadError, Tree};

use crate::git::{Cause, Limits, Snapshot};

/// The files of a commit.
pub(super) struct Whole<'s> {
    seen: &'s Snapshot,
    limits: &'s Limits,
    deadline: Instant,
    all: OnceLock<Result<Snapshot, Cause>>,
}

impl<'s> Whole<'s> {
    /// All files of the commit that these are of.
    pub(super) fn of(seen: &'s Snapshot, limits: &'s Limits, deadline: Instant) -> Self {
        Self {
            seen,
            limits,
            deadline,
            all: OnceLock::new(),
        }
    }

    /// Why they could not be read, if somebody asked for them.
    pub(super) fn trouble(&self) -> Option<&Cause> {
        self.all.get().and_then(|all| all.as_ref().err())
    }

    /// All of them, if they can be read.
    pub(super) fn all(&self) -> Option<&Snapshot> {
        let read = || self.seen.whole(self.limits, self.deadline);
        self.all.get_or_init(read).as_ref().ok()
    }
}

impl Tree for Whole<'_> {
    fn kind(&self, path: &str) -> Option<Kind> {
        self.all()?.kind(path)
    }

    fn read(&self, path: &str) -> Result<Arc<[u8]>, ReadError> {
        let Some(all) = self.all() else {
            let (path, why) = (path.to_owned(), "it could not be looked at".to_owned());
            return Err(ReadError { path, why });
        };
        all.read(path)
    }

    fn list(&self, dir: &str) -> Vec<String> {
        self.all().map(|all| all.list(dir)).unwrap_or_default()
    }

    fn left_out(&self, path: &str) -> Option<&'static str> {
        self.all()?.left_out(path)
    }
}
