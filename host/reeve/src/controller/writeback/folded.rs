//! What is remembered of files of their own after a decision, and folded where they are many.
//!
//! Folded onto the commit that was decided on: its files are all at hand. Those of the revision onto which they were folded before are
//! read beforehand (`lean`); while they cannot be had nothing is folded. Once they are nowhere any more, as after history was
//! rewritten, nobody knows how those files were, and that is what is remembered of them; so it is of such as had no room. It
//! deliberately counts nothing: what is many, and what that gains, is `core::writeback`'s to say.

use std::collections::BTreeMap;

use reeve_core::artifact::Revision;
use reeve_core::writeback::{Decision, Remembered, Settled, State, UNKNOWN, content_mark};
use reeve_kustomize::{Object, Tree as _};
use reeve_writeback::file_in;

use super::lean::gives;
use super::whole::Whole;
use super::whose::is_below;
use super::write::Material;
use crate::git::Snapshot;

impl Material {
    /// How the files are that were decided about, with what is to be written.
    pub(super) fn settled(&self, all: &Whole<'_>, decision: &Decision) -> Settled {
        let edits = &decision.edits.files;
        let agreed = decision.agreed.iter().map(|file| {
            let mark = match edits.get(file) {
                Some(Some(bytes)) => content_mark(bytes),
                _ => mark(all, file),
            };
            (file.clone(), mark)
        });
        let gone = self.seen.iter().filter_map(|seen| match &seen.state {
            State::Gone {
                build: None,
                object,
            } => self.own_file(object),
            State::Gone { .. } | State::Made { .. } | State::Held { .. } => None,
        });
        let is_gone = |file: &String| match edits.get(file) {
            Some(bytes) => bytes.is_none(),
            None => all.kind(file).is_none(),
        };
        Settled {
            agreed: agreed.collect(),
            gone: gone.filter(is_gone).collect(),
        }
    }

    /// What was remembered before that, folded onto this commit if there is too much of it.
    pub(super) fn folded(
        &self,
        all: &Whole<'_>,
        head: &Revision,
        decision: &Decision,
    ) -> Remembered {
        let as_it_is = || self.memory.clone();
        if !self.memory.is_many(decision.agreed.len()) {
            return as_it_is();
        }
        let Some(now) = all.all() else {
            return as_it_is();
        };
        let had_no_room = self.memory.had_no_room();
        let moved = match (self.memory.since(), &self.agreed.since) {
            (None, _) if !had_no_room => BTreeMap::new(),
            (Some(_), Some(since)) if !had_no_room => self.moved(since, now),
            (Some(_), Some(since)) => {
                let mut moved = self.moved(since, now);
                moved.extend(self.unknown(Some(since), now, decision));
                moved
            }
            (Some(_), None) if !self.agreed.is_since_nowhere => return as_it_is(),
            (Some(_) | None, _) => self.unknown(None, now, decision),
        };
        let folded = self
            .memory
            .folded(&head.to_string(), |file| mark(now, file), &moved);
        folded.unwrap_or_else(as_it_is)
    }

    fn own_file(&self, object: &Object) -> Option<String> {
        file_in(&self.path, &self.template, object).ok()
    }

    /// Whether a file is where what it gives has one of its own.
    fn is_own(&self, files: &Snapshot, file: &str) -> bool {
        let own = gives(files, file).and_then(|one| self.own_file(&one));
        own.as_deref() == Some(file)
    }

    /// Files of their own of which `since` says nothing, and nobody else: they came later, and had no room.
    fn unknown(
        &self,
        since: Option<&Snapshot>,
        now: &Snapshot,
        decision: &Decision,
    ) -> BTreeMap<String, String> {
        let entries = now.entries().filter(|one| !one.dir);
        let open = entries.map(|one| one.path).filter(|file| {
            is_below(file, &self.path)
                && !self.memory.has(file)
                && !decision.agreed.contains(*file)
                && since.is_none_or(|since| since.mark(file).is_none())
        });
        let own = open.filter(|file| self.is_own(now, file));
        own.map(|file| (file.to_owned(), UNKNOWN.to_owned()))
            .collect()
    }

    /// Files of their own that are not as they were, of all that are not remembered by themselves; and how they were.
    fn moved(&self, since: &Snapshot, now: &Snapshot) -> BTreeMap<String, String> {
        let entries = since.entries().filter(|one| !one.dir);
        let moved = entries.map(|one| one.path).filter(|file| {
            is_below(file, &self.path)
                && since.mark(file) != now.mark(file)
                && !self.memory.has(file)
        });
        let own = moved.filter(|file| self.is_own(since, file));
        own.map(|file| (file.to_owned(), mark(since, file)))
            .collect()
    }
}

/// What tells the content of a file; nothing where there is none.
fn mark(files: &dyn reeve_kustomize::Tree, file: &str) -> String {
    let bytes = files.read(file).ok();
    bytes.map(|bytes| content_mark(&bytes)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use reeve_kustomize::MemoryTree;

    use super::*;

    #[test]
    fn what_is_not_there_is_told_from_what_is_empty() {
        let tree: MemoryTree = [("empty", String::new())].into_iter().collect();
        assert_eq!(mark(&tree, "none"), "");
        assert_eq!(mark(&tree, "empty"), content_mark(b""));
        assert_ne!(content_mark(b""), "");
    }
}
