//! How much one listing may hold: entries, their paths, and ignore rules, each counted before it is kept.
//!
//! A few objects can be a tree of any size, since directories may be one and the same: what came from the server says nothing of
//! what is listed. What it deliberately doesn't: walk.

use super::{Listing, Raw};
use crate::git::name::LONGEST_PATH;
use crate::git::wire::in_bytes;
use crate::git::{Cause, Limits};

/// What was taken of what there may be.
#[derive(Default)]
pub(super) struct Taken {
    paths: usize,
    rules: usize,
}

impl Listing {
    /// Keeps an entry.
    pub(in crate::git::snapshot) fn hold(
        &mut self,
        raw: Raw,
        limits: &Limits,
    ) -> Result<(), Cause> {
        if self.found.len() >= limits.listed() {
            return Err(too_many(limits.listed()));
        }
        let length = raw.path.len();
        if length > LONGEST_PATH {
            return Err(more("a path in the commit has more bytes", LONGEST_PATH));
        }
        self.taken.paths = self.taken.paths.saturating_add(length);
        if self.taken.paths > limits.path_bytes {
            let what = "the paths in the commit have more bytes together";
            return Err(more(what, limits.path_bytes));
        }
        self.found.push(raw);
        Ok(())
    }

    /// Keeps the ignore rules of a directory.
    pub(in crate::git::snapshot) fn obey(
        &mut self,
        dir: String,
        text: String,
        limits: &Limits,
    ) -> Result<(), Cause> {
        self.taken.rules = self.taken.rules.saturating_add(text.len());
        if self.taken.rules > limits.rules_bytes {
            let what = "the .sourceignore files of the commit have more bytes together";
            return Err(more(what, limits.rules_bytes));
        }
        self.rules.push((dir, text));
        Ok(())
    }
}

pub(super) fn too_many(cap: usize) -> Cause {
    Cause::TooMuch {
        what: "the commit has more files",
        cap: cap.to_string(),
    }
}

fn more(what: &'static str, cap: usize) -> Cause {
    let cap = in_bytes(u64::try_from(cap).unwrap_or(u64::MAX));
    Cause::TooMuch { what, cap }
}

/// As much of a path as is enough to recognise it by.
pub(super) fn shown(path: &[u8]) -> String {
    String::from_utf8_lossy(path).chars().take(200).collect()
}
