//! A tree with edits over it.
//!
//! Links are followed: an edit is of the file that a link leads to.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use reeve_kustomize::{Kind, ReadError, Tree};

/// A tree and the edits that are made of it so far.
#[derive(Clone)]
pub struct Overlaid<'a> {
    tree: &'a dyn Tree,
    /// Shared by all copies, until one of them gets more.
    edits: Arc<BTreeMap<String, Option<Arc<[u8]>>>>,
}

impl<'a> Overlaid<'a> {
    /// The tree as it is.
    #[must_use]
    pub fn new(tree: &'a dyn Tree) -> Self {
        Self {
            tree,
            edits: Arc::default(),
        }
    }

    /// The same with more edits.
    #[must_use]
    pub fn with(&self, files: &[(String, Option<Vec<u8>>)]) -> Self {
        let mut more = self.clone();
        let files = files.iter();
        more.put(files.map(|(path, bytes)| (path.as_str(), bytes.as_deref())));
        more
    }

    /// Makes more edits.
    pub fn put<'f>(&mut self, files: impl IntoIterator<Item = (&'f str, Option<&'f [u8]>)>) {
        let edits = Arc::make_mut(&mut self.edits);
        for (path, bytes) in files {
            edits.insert(path.to_owned(), bytes.map(Arc::from));
        }
    }

    /// The path without links on the way; nothing where they lead out of the tree.
    pub(crate) fn home(&self, path: &str) -> Option<String> {
        match self.edits.contains_key(path) {
            true => Some(path.to_owned()),
            false => self.tree.real(path),
        }
    }

    /// All edits that change something.
    #[must_use]
    pub fn into_files(self) -> BTreeMap<String, Option<Vec<u8>>> {
        let before = |path: &str| match self.tree.kind(path) {
            Some(Kind::File) => self.tree.read(path).ok(),
            _ => None,
        };
        let edits = self.edits.iter();
        let changed = edits.filter(|(path, bytes)| **bytes != before(path));
        changed
            .map(|(path, bytes)| (path.clone(), bytes.as_ref().map(|bytes| bytes.to_vec())))
            .collect()
    }

    fn edit(&self, path: &str) -> Option<&Option<Arc<[u8]>>> {
        if self.edits.is_empty() {
            return None;
        }
        let real = || self.edits.get(&self.tree.real(path)?);
        self.edits.get(path).or_else(real)
    }

    /// The edits below a directory, by the paths from there: whether a file is there then.
    fn below(&self, dir: &str) -> impl Iterator<Item = (&str, bool)> {
        let prefix = match dir {
            "" => String::new(),
            dir => format!("{dir}/"),
        };
        let begin = prefix.clone();
        self.edits.range(begin..).map_while(move |(file, bytes)| {
            let rest = file.strip_prefix(prefix.as_str())?;
            Some((rest, bytes.is_some()))
        })
    }
}

impl Tree for Overlaid<'_> {
    fn kind(&self, path: &str) -> Option<Kind> {
        let is_dir = || !path.is_empty() && self.below(path).any(|(_, is_there)| is_there);
        match self.edit(path) {
            Some(Some(_)) => Some(Kind::File),
            Some(None) => None,
            None if is_dir() => Some(Kind::Dir),
            None => self.tree.kind(path),
        }
    }

    fn read(&self, path: &str) -> Result<Arc<[u8]>, ReadError> {
        match self.edit(path) {
            Some(Some(bytes)) => Ok(bytes.clone()),
            Some(None) => Err(ReadError {
                path: path.to_owned(),
                why: "was removed".to_owned(),
            }),
            None => self.tree.read(path),
        }
    }

    fn list(&self, dir: &str) -> Vec<String> {
        let mut names: BTreeSet<String> = self.tree.list(dir).into_iter().collect();
        for (rest, is_there) in self.below(dir) {
            let first = rest.split('/').next().unwrap_or_default();
            match is_there {
                true => {
                    names.insert(first.to_owned());
                }
                false if first == rest => {
                    names.remove(first);
                }
                false => {}
            }
        }
        names.into_iter().collect()
    }

    fn left_out(&self, path: &str) -> Option<&'static str> {
        self.tree.left_out(path)
    }

    fn real(&self, path: &str) -> Option<String> {
        self.home(path)
    }
}

#[cfg(test)]
mod tests {
    use reeve_kustomize::MemoryTree;

    use super::*;

    #[test]
    fn edits_lie_over_the_tree() {
        let tree: MemoryTree = [("a/x.yaml", "1"), ("b.yaml", "2")].into_iter().collect();
        let edits = [
            ("a/y/z.yaml".to_owned(), Some(b"3".to_vec())),
            ("b.yaml".to_owned(), None),
            ("a/x.yaml".to_owned(), Some(b"1".to_vec())),
        ];
        let over = Overlaid::new(&tree).with(&edits);
        assert_eq!(over.list("a"), ["x.yaml", "y"]);
        assert_eq!(over.list(""), ["a"]);
        assert_eq!(over.kind("a/y"), Some(Kind::Dir));
        assert_eq!(over.kind("b.yaml"), None);
        assert_eq!(&*over.read("a/y/z.yaml").unwrap(), b"3");
        // What is as it was is no edit.
        let files: Vec<String> = over.into_files().into_keys().collect();
        assert_eq!(files, ["a/y/z.yaml", "b.yaml"]);
    }
}
