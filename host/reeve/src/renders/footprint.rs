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

/// What may be asked of a path.
const KIND: u8 = 1;
const CONTENT: u8 = 2;
const NAMES: u8 = 4;
const LEFT_OUT: u8 = 8;
const REAL: u8 = 16;
const ALL: [u8; 5] = [KIND, CONTENT, NAMES, LEFT_OUT, REAL];

/// All that one build asked; none: too much.
///
/// There is one for each build that is kept, so it is small: a path is there once whatever was asked of it, and of all answers
/// there is one hash.
#[derive(Debug, Default)]
pub(super) struct Footprint(Option<Small>);

#[derive(Debug)]
struct Small {
    /// What was asked of each path, how long that is, and the path.
    asked: Box<[u8]>,
    answers: [u8; 32],
}

impl Footprint {
    fn of<T: Marked>(asked: &BTreeMap<String, u8>, tree: &T) -> Self {
        let mut small = Vec::new();
        for (path, questions) in asked {
            let Ok(length) = u32::try_from(path.len()) else {
                return Self(None);
            };
            small.push(*questions);
            small.extend(length.to_be_bytes());
            small.extend(path.as_bytes());
        }
        let answers = answers(paths(&small), tree);
        let asked = small.into_boxed_slice();
        Self(Some(Small { asked, answers }))
    }

    /// Whether `tree` answers all of it the same.
    pub(super) fn is_of<T: Marked>(&self, tree: &T) -> bool {
        let same = |all: &Small| answers(paths(&all.asked), tree) == all.answers;
        self.0.as_ref().is_some_and(same)
    }

    /// Bytes that it takes beside itself.
    pub(super) fn size(&self) -> usize {
        self.0.as_ref().map_or(0, |all| all.asked.len())
    }
}

/// What was asked, path by path.
fn paths(mut asked: &[u8]) -> impl Iterator<Item = (u8, &str)> {
    std::iter::from_fn(move || {
        let (questions, rest) = asked.split_first()?;
        let (length, rest) = rest.split_first_chunk()?;
        let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
        let (path, rest) = rest.split_at_checked(length)?;
        asked = rest;
        Some((*questions, std::str::from_utf8(path).ok()?))
    })
}

/// The hash of all that the tree says. Each answer says how long it is, so no two series of them read the same.
fn answers<'p, T: Marked>(asked: impl Iterator<Item = (u8, &'p str)>, tree: &T) -> [u8; 32] {
    let mut hash = Sha256::new();
    let mut add = |answer: Option<&[u8]>| match answer {
        None => hash.update([0]),
        Some(answer) => {
            hash.update([1]);
            hash.update(answer.len().to_be_bytes());
            hash.update(answer);
        }
    };
    for (questions, path) in asked {
        for question in ALL {
            match questions & question {
                KIND => add(tree.kind(path).map(|kind| match kind {
                    Kind::File => b"file".as_slice(),
                    Kind::Dir => b"dir".as_slice(),
                })),
                CONTENT => add(tree.mark(path).as_deref()),
                // No name holds a slash, so no two lists of names read the same.
                NAMES => add(Some(tree.list(path).join("/").as_bytes())),
                LEFT_OUT => add(tree.left_out(path).map(str::as_bytes)),
                REAL => add(tree.real(path).as_deref().map(str::as_bytes)),
                _ => {}
            }
        }
    }
    hash.finalize().into()
}

/// A tree that remembers what it is asked.
pub(super) struct Traced<T> {
    tree: T,
    asked: Mutex<Asked>,
}

/// What was asked of each path, and how much that is.
#[derive(Default)]
struct Asked {
    paths: BTreeMap<String, u8>,
    questions: usize,
}

impl<T: Marked> Traced<T> {
    pub(super) fn new(tree: T) -> Self {
        Self {
            tree,
            asked: Mutex::default(),
        }
    }

    /// What it was asked. It says the same as it did then: no tree changes.
    pub(super) fn asked(self) -> Footprint {
        let asked = self.asked.into_inner();
        let asked = asked.unwrap_or_else(PoisonError::into_inner);
        match asked.questions > MOST {
            true => Footprint(None),
            false => Footprint::of(&asked.paths, &self.tree),
        }
    }

    fn remember(&self, question: u8, path: &str) {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        if asked.questions > MOST {
            // That much is all that is known of it.
            asked.paths.clear();
            return;
        }
        let before = asked.paths.get(path).copied().unwrap_or_default();
        if before & question == 0 {
            asked.paths.insert(path.to_owned(), before | question);
            asked.questions += 1;
        }
    }
}

impl<T: Marked> Tree for Traced<T> {
    fn kind(&self, path: &str) -> Option<Kind> {
        self.remember(KIND, path);
        self.tree.kind(path)
    }

    fn read(&self, path: &str) -> Result<Arc<[u8]>, ReadError> {
        self.remember(CONTENT, path);
        self.tree.read(path)
    }

    fn list(&self, dir: &str) -> Vec<String> {
        self.remember(NAMES, dir);
        self.tree.list(dir)
    }

    fn left_out(&self, path: &str) -> Option<&'static str> {
        self.remember(LEFT_OUT, path);
        self.tree.left_out(path)
    }

    fn real(&self, path: &str) -> Option<String> {
        self.remember(REAL, path);
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
