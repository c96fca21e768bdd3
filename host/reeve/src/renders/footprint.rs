//! What a build asked of its tree: in another tree that answers the same, it would make the same.
//!
//! Of a repository with many directories a push changes one; whoever builds another need not build again. Kept are paths and
//! what names the content that lay there, never the content, and only so many of them. What else a build depends on is
//! [`super`]'s to compare.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use reeve_kustomize::{Kind, ReadError, Tree};
use sha2::{Digest as _, Sha256};

use crate::git::Snapshot;
use crate::others::Files;

/// Of a build that asks more, nothing is known.
const MOST: usize = 2_000;

/// A tree that can name the content of its files.
pub(crate) trait Marked: Tree {
    /// What names the content of the file at `path`: equal marks are equal contents. Nothing where no file can be read.
    fn mark(&self, path: &str) -> Option<Vec<u8>>;
}

impl Marked for Snapshot {
    fn mark(&self, path: &str) -> Option<Vec<u8>> {
        Self::mark(self, path).map(<[u8]>::to_vec)
    }
}

impl Marked for Files {
    fn mark(&self, path: &str) -> Option<Vec<u8>> {
        match self {
            Self::Commit(files) => Marked::mark(files, path),
            Self::Archive(files) => files.mark(path).map(<[u8]>::to_vec),
        }
    }
}

/// A question to a tree.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Asked {
    Kind(String),
    Content(String),
    Names(String),
    LeftOut(String),
    Real(String),
}

/// What it said.
#[derive(Debug, PartialEq, Eq)]
enum Answer {
    Kind(Option<Kind>),
    Content(Option<Vec<u8>>),
    /// The hash of the names: a large directory has many.
    Names([u8; 32]),
    LeftOut(Option<&'static str>),
    Real(Option<String>),
}

impl Asked {
    fn of<T: Marked>(&self, tree: &T) -> Answer {
        match self {
            Self::Kind(path) => Answer::Kind(tree.kind(path)),
            Self::Content(path) => Answer::Content(tree.mark(path)),
            Self::Names(dir) => Answer::Names(hash(&tree.list(dir))),
            Self::LeftOut(path) => Answer::LeftOut(tree.left_out(path)),
            Self::Real(path) => Answer::Real(tree.real(path)),
        }
    }
}

/// No name holds a slash, so no two lists of names read the same.
fn hash(names: &[String]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for name in names {
        hash.update(name);
        hash.update(b"/");
    }
    hash.finalize().into()
}

/// All that one build asked; none: too much.
#[derive(Debug, Default)]
pub(super) struct Footprint(Option<BTreeMap<Asked, Answer>>);

impl Footprint {
    /// Whether `tree` answers all of it the same.
    pub(super) fn is_of<T: Marked>(&self, tree: &T) -> bool {
        let Some(all) = &self.0 else {
            return false;
        };
        all.iter().all(|(asked, answer)| asked.of(tree) == *answer)
    }
}

/// A tree that remembers what it is asked.
pub(super) struct Traced<T> {
    tree: T,
    asked: Mutex<Footprint>,
}

impl<T: Marked> Traced<T> {
    pub(super) fn new(tree: T) -> Self {
        Self {
            tree,
            asked: Mutex::new(Footprint(Some(BTreeMap::new()))),
        }
    }

    /// What it was asked.
    pub(super) fn asked(self) -> Footprint {
        let asked = self.asked.into_inner();
        asked.unwrap_or_else(PoisonError::into_inner)
    }

    fn remember(&self, asked: Asked) {
        let mut footprint = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(all) = &mut footprint.0 else {
            return;
        };
        if all.contains_key(&asked) {
            return;
        }
        if all.len() >= MOST {
            footprint.0 = None;
            return;
        }
        let answer = asked.of(&self.tree);
        all.insert(asked, answer);
    }
}

impl<T: Marked> Tree for Traced<T> {
    fn kind(&self, path: &str) -> Option<Kind> {
        self.remember(Asked::Kind(path.to_owned()));
        self.tree.kind(path)
    }

    fn read(&self, path: &str) -> Result<Arc<[u8]>, ReadError> {
        self.remember(Asked::Content(path.to_owned()));
        self.tree.read(path)
    }

    fn list(&self, dir: &str) -> Vec<String> {
        self.remember(Asked::Names(dir.to_owned()));
        self.tree.list(dir)
    }

    fn left_out(&self, path: &str) -> Option<&'static str> {
        self.remember(Asked::LeftOut(path.to_owned()));
        self.tree.left_out(path)
    }

    fn real(&self, path: &str) -> Option<String> {
        self.remember(Asked::Real(path.to_owned()));
        self.tree.real(path)
    }
}

#[cfg(test)]
mod tests {
    use reeve_kustomize::MemoryTree;

    use super::*;

    impl Marked for MemoryTree {
        fn mark(&self, path: &str) -> Option<Vec<u8>> {
            self.read(path).ok().map(|content| content.to_vec())
        }
    }

    fn tree(files: &[(&str, &str)]) -> MemoryTree {
        files.iter().copied().collect()
    }

    const FILES: [(&str, &str); 3] = [("a/x.yaml", "1"), ("a/y.yaml", "2"), ("b/z.yaml", "3")];

    #[test]
    fn a_tree_answers_the_same_until_something_changes_that_was_asked_for() {
        let traced = Traced::new(tree(&FILES));
        assert_eq!(traced.kind("a"), Some(Kind::Dir));
        assert_eq!(traced.list("a"), ["x.yaml", "y.yaml"]);
        assert_eq!(&*traced.read("a/x.yaml").unwrap(), b"1");
        assert!(traced.read("a/none.yaml").is_err());
        let footprint = traced.asked();
        assert!(footprint.is_of(&tree(&FILES)));
        let with = |more: &[(&str, &str)]| tree(&[&FILES, more].concat());
        for (says, tree, same) in [
            (
                "another directory",
                with(&[("b/z.yaml", "4"), ("c/z.yaml", "5")]),
                true,
            ),
            ("a file that was not read", with(&[("a/y.yaml", "3")]), true),
            ("a file that was read", with(&[("a/x.yaml", "2")]), false),
            ("a file more beside it", with(&[("a/v.yaml", "1")]), false),
            (
                "a file that was missed",
                with(&[("a/none.yaml", "1")]),
                false,
            ),
            ("a file less", tree(&FILES[..1]), false),
        ] {
            assert_eq!(footprint.is_of(&tree), same, "{says}");
        }
    }

    #[test]
    fn of_a_build_that_asks_for_too_much_nothing_is_known() {
        let traced = Traced::new(tree(&FILES));
        (0..=MOST).for_each(|n| assert_eq!(traced.kind(&format!("{n}")), None));
        let footprint = traced.asked();
        assert!(!footprint.is_of(&tree(&FILES)));
    }
}
