//! The edit of one attempt: what lies in the directory is read, and what `core::deliver` makes of it is what changes.
//!
//! Asked again for each attempt, on a thread that may block; what the last one found is kept for whoever tells of it. What it
//! deliberately doesn't: look outside of the directory, or at files that hold no manifests.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use reeve_api::reason::Reason;
use reeve_core::deliver::{self, Files, Settled, Size};
use reeve_core::failure::{Explained, Turn};
use reeve_kustomize::Tree as _;

use crate::git::Snapshot;
use crate::git::commit::Edits;

/// Rules of what is left out that leave out nothing.
pub(super) const ALL: &str = "!*\n";
/// Files that one commit may change.
const MOST: usize = 1000;

/// What an attempt found.
#[derive(Clone)]
pub(super) struct Seen {
    /// Where the branch was.
    pub(super) head: String,
    /// What was to be done.
    pub(super) settled: Settled,
    /// Whether it was more than one commit holds.
    pub(super) more: bool,
}

/// What is wanted in a directory, and what the last attempt found there.
pub(super) struct Work {
    files: Arc<Files>,
    directory: Arc<str>,
    seen: Arc<Mutex<Option<Seen>>>,
}

impl Work {
    pub(super) fn new(files: &Arc<Files>, directory: &str) -> Self {
        Self {
            files: Arc::clone(files),
            directory: Arc::from(directory),
            seen: Arc::default(),
        }
    }

    /// What to change in the files of a branch.
    pub(super) fn edit(
        &self,
    ) -> impl Fn(Option<&Snapshot>) -> Result<Edits, Explained> + Send + Sync + 'static + use<>
    {
        let (files, directory) = (Arc::clone(&self.files), Arc::clone(&self.directory));
        let seen = Arc::clone(&self.seen);
        move |below| {
            let head = below.map(|below| below.revision().commit().to_owned());
            let settled = settle(&files, &directory, below)?;
            let (edits, more) = edits(&settled, &directory);
            *seen.lock().unwrap_or_else(PoisonError::into_inner) = Some(Seen {
                head: head.unwrap_or_default(),
                settled,
                more,
            });
            Ok(edits)
        }
    }

    /// What the last attempt found.
    pub(super) fn seen(&self) -> Option<Seen> {
        self.seen
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }
}

/// What is to be done in the directory. Reads: for a thread that may block.
pub(super) fn settle(
    files: &Files,
    directory: &str,
    below: Option<&Snapshot>,
) -> Result<Settled, Explained> {
    let there = match below {
        Some(below) => lying(below, directory)?,
        None => BTreeMap::new(),
    };
    deliver::settle(files, &there).map_err(|why| Explained::of(&why))
}

/// The manifests that lie in the directory, by their paths from there.
fn lying(snapshot: &Snapshot, directory: &str) -> Result<BTreeMap<String, Arc<[u8]>>, Explained> {
    let mut size = Size::default();
    let mut there = BTreeMap::new();
    for entry in snapshot.entries().filter(|entry| !entry.dir) {
        let Some(path) = below(entry.path, directory).filter(|path| deliver::is_read(path)) else {
            continue;
        };
        let content = snapshot.read(entry.path).map_err(|why| {
            let message = format!("{}: {}", why.path, why.why);
            Explained::new(Reason::DeliveryFailed, Turn::Retry, message)
        })?;
        let bytes = u64::try_from(content.len()).unwrap_or(u64::MAX);
        size.and(bytes).map_err(|why| Explained::of(&why))?;
        there.insert(path.to_owned(), content);
    }
    Ok(there)
}

/// The path from the directory, if it is below it.
fn below<'p>(path: &'p str, directory: &str) -> Option<&'p str> {
    match directory {
        "" => Some(path),
        directory => path.strip_prefix(directory)?.strip_prefix('/'),
    }
}

/// As much as one commit holds, what is written before what is removed; and whether there is more. Between the two is the file that
/// lists them: so at no commit anything is listed that is not there.
fn edits(settled: &Settled, directory: &str) -> (Edits, bool) {
    let at = |path: &str| match directory {
        "" => path.to_owned(),
        directory => format!("{directory}/{path}"),
    };
    let (listing, written): (Vec<_>, Vec<_>) = settled
        .write
        .iter()
        .partition(|(path, _)| deliver::is_listing(path));
    let written = written.into_iter().chain(listing);
    let written = written.map(|(path, text)| (path, Some(text)));
    let gone = settled.remove.iter().map(|path| (path, None));
    let more = settled.write.len() + settled.remove.len() > MOST;
    let all = written.chain(gone).take(MOST);
    let edits = all.fold(Edits::new(), |edits, (path, text)| match text {
        Some(text) => edits.write(at(path), text.as_bytes()),
        None => edits.remove(at(path)),
    });
    (edits, more)
}

#[cfg(test)]
mod tests {
    use reeve_core::artifact::Digest;

    use super::*;

    #[test]
    fn a_path_is_below_a_directory_and_not_beside_it() {
        for (path, directory, want) in [
            ("a/b.yaml", "", Some("a/b.yaml")),
            ("a/b.yaml", "a", Some("b.yaml")),
            ("ab/b.yaml", "a", None),
            ("a", "a", None),
            ("x/a/b.yaml", "a", None),
        ] {
            assert_eq!(below(path, directory), want, "{path} {directory}");
        }
    }

    #[test]
    fn what_is_more_than_a_commit_holds_is_left_for_the_next() {
        let settled = |count: usize| Settled {
            write: (0..count)
                .map(|at| (format!("{at}.yaml"), String::new()))
                .collect(),
            remove: ["gone.yaml".to_owned()].into(),
            adopted: Vec::new(),
            there: Digest::of(b""),
        };
        let (edits, more) = super::edits(&settled(1), "dir");
        assert!(!more);
        assert_eq!(format!("{edits:?}"), r#"{"dir/0.yaml", "dir/gone.yaml"}"#);
        let (edits, more) = super::edits(&settled(1000), "dir");
        assert!(more && !format!("{edits:?}").contains("gone"));
        // What is listed is there before the list is.
        let mut listed = settled(1000);
        let list = "Kustomization".to_owned();
        listed.write.insert(list, String::new());
        let (edits, more) = super::edits(&listed, "dir");
        assert!(more && !format!("{edits:?}").contains("Kustomization"));
    }
}
