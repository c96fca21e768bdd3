//! Which commit wrote a file of its own, as history tells it, for who remembers nothing of that file.
//!
//! What a commit of ours wrote was so on the cluster; what a person has made there first is the cluster's to follow. A process that was
//! killed between its push and its status has written what it does not remember, and a person may have changed that since. Commit by
//! commit, from the newest one on: whoever asks brings them, and as many as they like. It deliberately fetches nothing.

use std::collections::{BTreeMap, BTreeSet};

use reeve_kustomize::Tree;

use super::message::trailers;

/// Who wrote a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wrote {
    /// This WriteBack, and what was in it then.
    Ours(Vec<u8>),
    /// Somebody else has made it, and nobody but others has written it since.
    Others,
}

/// What is looked for.
pub struct Search<'s> {
    by: &'s str,
    open: BTreeSet<String>,
    found: BTreeMap<String, Wrote>,
}

impl<'s> Search<'s> {
    /// These files; `by` is whose commits are ours.
    pub fn new(by: &'s str, files: BTreeSet<String>) -> Self {
        Self {
            by,
            open: files,
            found: BTreeMap::new(),
        }
    }

    /// Whether all of them are found.
    pub fn is_over(&self) -> bool {
        self.open.is_empty()
    }

    /// The next commit, by its files and its message, and what was before it; None: it is the first.
    pub fn look(&mut self, (files, message): (&dyn Tree, Option<&str>), before: Option<&dyn Tree>) {
        let is_ours = message
            .and_then(trailers)
            .is_some_and(|said| said.by == self.by);
        let found = &mut self.found;
        self.open.retain(|file| {
            let now = files.read(file).ok();
            let was = before.and_then(|before| before.read(file).ok());
            let wrote = match (now, was) {
                (now, was) if now == was => return true,
                (Some(now), _) if is_ours => Wrote::Ours(now.to_vec()),
                // Somebody has changed what was there already.
                (Some(_), Some(_)) => return true,
                (Some(_), None) | (None, _) => Wrote::Others,
            };
            found.insert(file.clone(), wrote);
            false
        });
    }

    /// What was found, and of which files nobody knows.
    pub fn end(self) -> (BTreeMap<String, Wrote>, BTreeSet<String>) {
        (self.found, self.open)
    }
}

#[cfg(test)]
mod tests {
    use reeve_kustomize::MemoryTree;

    use super::*;

    const OURS: &str = "Add it\n\nReeve-Write-Back: acme/back\nReeve-Digest: sha256:1\n";
    const ANOTHERS: &str = "Add it\n\nReeve-Write-Back: acme/other\nReeve-Digest: sha256:1\n";
    const PERSON: &str = "I know better";

    fn tree(text: Option<&str>) -> MemoryTree {
        let files = text.map(|text| ("made/a.yaml".to_owned(), text.to_owned()));
        files.into_iter().collect()
    }

    /// Who wrote the file in a history from the newest commit on: its message, and what the file held; nothing where there was none.
    fn wrote(history: &[(&str, Option<&str>)], is_all: bool) -> Option<Wrote> {
        let mut search = Search::new("acme/back", ["made/a.yaml".to_owned()].into());
        let trees: Vec<MemoryTree> = history.iter().map(|(_, text)| tree(*text)).collect();
        for (at, (message, _)) in history.iter().enumerate() {
            let before = trees.get(at + 1).map(|tree| tree as &dyn Tree);
            if before.is_some() || is_all {
                search.look((&trees[at], Some(message)), before);
            }
        }
        let (mut found, open) = search.end();
        assert_eq!(found.is_empty(), !open.is_empty());
        found.remove("made/a.yaml")
    }

    #[test]
    fn a_file_is_as_it_was_when_a_commit_of_ours_wrote_it_whoever_came_after() {
        let ours = |text: &str| Some(Wrote::Ours(text.as_bytes().to_vec()));
        for (about, history, is_all, want) in [
            (
                "a person has changed what we made",
                vec![(PERSON, Some("2")), (OURS, Some("1")), (PERSON, None)],
                true,
                ours("1"),
            ),
            (
                "we came last",
                vec![(PERSON, Some("2")), (OURS, Some("2")), (PERSON, Some("1"))],
                true,
                ours("2"),
            ),
            (
                "a person has made it, and changed it",
                vec![(PERSON, Some("2")), (PERSON, Some("1")), (OURS, None)],
                true,
                Some(Wrote::Others),
            ),
            (
                "the first commit has it",
                vec![(OURS, Some("1")), (PERSON, Some("1"))],
                true,
                Some(Wrote::Others),
            ),
            (
                "another WriteBack has made it",
                vec![(ANOTHERS, Some("1")), (PERSON, None)],
                true,
                Some(Wrote::Others),
            ),
            (
                "nobody has looked far enough",
                vec![(PERSON, Some("2")), (PERSON, Some("1"))],
                false,
                None,
            ),
        ] {
            assert_eq!(wrote(&history, is_all), want, "{about}");
        }
    }
}
