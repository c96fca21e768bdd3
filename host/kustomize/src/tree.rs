//! A read-only tree of files: the only "file system" there is.
//!
//! Paths are `/`-separated, relative to the tree's root and already clean (`""` is the root). Whether a path may be
//! reached at all is decided before it comes here, in `path.rs`; who has symbolic links leaves them out, or follows those
//! that stay below its root. The next stage is `accumulate.rs`, which walks it.

use std::collections::BTreeMap;
use std::sync::Arc;

/// What lies at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Dir,
}

/// A file that is there (or ought to be) could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {why}")]
pub struct ReadError {
    /// The path that was asked for.
    pub path: String,
    /// What went wrong, as one lower-case clause.
    pub why: String,
}

/// Where the files come from: a commit, an archive, a directory, a map.
pub trait Tree: Send + Sync {
    /// What lies at `path`, or nothing.
    fn kind(&self, path: &str) -> Option<Kind>;
    /// The bytes of the file at `path`. The implementation bounds how large a file may be.
    fn read(&self, path: &str) -> Result<Arc<[u8]>, ReadError>;
    /// The names in the directory `dir`, sorted; nothing when it is no directory.
    fn list(&self, dir: &str) -> Vec<String>;
    /// What keeps from this tree what its author may see at `path`, as in "is a submodule": for an error.
    fn left_out(&self, _path: &str) -> Option<&'static str> {
        None
    }
    /// The path of what lies at `path` without symbolic links on the way, or nothing where they lead out of the tree.
    /// Only who has links need say more than that it is the same.
    fn real(&self, path: &str) -> Option<String> {
        Some(path.to_owned())
    }
}

/// A tree held in memory.
#[derive(Clone, Debug, Default)]
pub struct MemoryTree {
    files: BTreeMap<String, Arc<[u8]>>,
}

impl<P: Into<String>, B: Into<Vec<u8>>> FromIterator<(P, B)> for MemoryTree {
    /// Paths lose a leading `./` or `/`; the last of two files of one path wins.
    fn from_iter<I: IntoIterator<Item = (P, B)>>(files: I) -> Self {
        let files = files.into_iter().map(|(path, bytes)| {
            let path: String = path.into();
            let path = path
                .strip_prefix("./")
                .unwrap_or(&path)
                .trim_start_matches('/');
            (path.to_owned(), Arc::from(bytes.into()))
        });
        Self {
            files: files.collect(),
        }
    }
}

impl MemoryTree {
    /// The paths below `dir` (every path when it is the root), each without the prefix.
    fn below(&self, dir: &str) -> impl Iterator<Item = &str> {
        let prefix = if dir.is_empty() {
            String::new()
        } else {
            format!("{dir}/")
        };
        let start = prefix.clone();
        self.files
            .range(start..)
            .map_while(move |(path, _)| path.strip_prefix(prefix.as_str()))
    }
}

impl Tree for MemoryTree {
    fn kind(&self, path: &str) -> Option<Kind> {
        if self.files.contains_key(path) {
            return Some(Kind::File);
        }
        (path.is_empty() || self.below(path).next().is_some()).then_some(Kind::Dir)
    }

    fn read(&self, path: &str) -> Result<Arc<[u8]>, ReadError> {
        self.files.get(path).cloned().ok_or_else(|| ReadError {
            path: path.to_owned(),
            why: "no such file".to_owned(),
        })
    }

    fn list(&self, dir: &str) -> Vec<String> {
        let mut names: Vec<String> = self
            .below(dir)
            .map(|rest| {
                rest.split_once('/')
                    .map_or(rest, |(first, _)| first)
                    .to_owned()
            })
            .collect();
        names.sort();
        names.dedup();
        names
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_exists_when_a_file_lies_below_it() {
        let tree: MemoryTree = [("a/b/c.yaml", "x"), ("a/d.yaml", "y"), ("ab/e.yaml", "z")]
            .into_iter()
            .collect();
        assert_eq!(tree.kind(""), Some(Kind::Dir));
        assert_eq!(tree.kind("a"), Some(Kind::Dir));
        assert_eq!(tree.kind("a/d.yaml"), Some(Kind::File));
        assert_eq!(tree.kind("a/d"), None);
        assert_eq!(tree.list("a"), ["b", "d.yaml"]);
        assert_eq!(tree.list(""), ["a", "ab"]);
    }
}
