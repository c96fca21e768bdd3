//! Which paths are free for new files: each directory is listed once, and what is made is remembered.
//!
//! A name that differs from another in case only is taken, since some file systems take both for one; so is what lies below a file or
//! a link. It deliberately asks nothing of who builds what.

use std::collections::{BTreeMap, BTreeSet};

use reeve_kustomize::{Kind, Tree};

use crate::kustomization::{below, join};
use crate::refused::Reason;

/// Names by how they are written in small letters.
type Names = BTreeMap<String, BTreeSet<String>>;

/// What is taken in a tree.
pub(super) struct Free<'a> {
    tree: &'a dyn Tree,
    root: String,
    /// By directory.
    names: BTreeMap<String, Names>,
    /// Directories on the way that new files may lie below.
    open: BTreeSet<String>,
    /// What was taken.
    made: BTreeSet<String>,
}

impl<'a> Free<'a> {
    /// That of the tree; new files lie below `root`.
    pub(super) fn new(tree: &'a dyn Tree, root: String) -> Self {
        Self {
            tree,
            root,
            names: BTreeMap::new(),
            open: BTreeSet::new(),
            made: BTreeSet::new(),
        }
    }

    /// Takes a path for a file, if nothing is in its way.
    pub(super) fn take(&mut self, file: &str) -> Result<(), Reason> {
        let mut steps: Vec<(String, &str)> = Vec::new();
        let mut dir = self.root.clone();
        for part in below(&self.root, file).unwrap_or(file).split('/') {
            let path = join(&dir, part).ok_or_else(|| occupied(file))?;
            if let Some(other) = self.alike(&dir, part) {
                return Err(occupied(&join(&dir, &other).unwrap_or_default()));
            }
            if !self.is_open(&path, path == file) {
                return Err(occupied(&path));
            }
            steps.push((dir, part));
            dir = path;
        }
        for (dir, part) in steps {
            let names = self.names_in(&dir);
            let alike = names.entry(part.to_ascii_lowercase()).or_default();
            alike.insert(part.to_owned());
            self.open.insert(dir);
        }
        self.made.insert(file.to_owned());
        Ok(())
    }

    /// Another name there that differs in case only.
    fn alike(&mut self, dir: &str, name: &str) -> Option<String> {
        let alike = self.names_in(dir).get(&name.to_ascii_lowercase())?;
        alike.iter().find(|other| *other != name).cloned()
    }

    fn names_in(&mut self, dir: &str) -> &mut Names {
        let tree = self.tree;
        self.names.entry(dir.to_owned()).or_insert_with(|| {
            let mut names = Names::new();
            for name in tree.list(dir) {
                let alike = names.entry(name.to_ascii_lowercase()).or_default();
                alike.insert(name);
            }
            names
        })
    }

    /// Whether nothing is there, or a directory on the way.
    fn is_open(&self, path: &str, is_file: bool) -> bool {
        if self.made.contains(path) {
            return false;
        }
        if self.open.contains(path) {
            return !is_file;
        }
        match self.tree.kind(path) {
            Some(Kind::File) => false,
            Some(Kind::Dir) => !is_file && self.tree.real(path).as_deref() == Some(path),
            // A link or a submodule is there, though nobody sees it.
            None => self.tree.left_out(path).is_none(),
        }
    }
}

fn occupied(file: &str) -> Reason {
    Reason::Occupied {
        file: file.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use reeve_kustomize::MemoryTree;

    use super::*;

    #[test]
    fn what_is_made_is_in_the_way_of_what_comes_later() {
        let tree: MemoryTree = [("made/acme/a.yaml", "")].into_iter().collect();
        let mut free = Free::new(&tree, "made".to_owned());
        let mut is_free = |file: &str| free.take(file).is_ok();
        assert!(!is_free("made/acme/a.yaml"));
        assert!(!is_free("made/acme/A.yaml"));
        assert!(!is_free("made/Acme/b.yaml"));
        assert!(!is_free("made/acme/a.yaml/b.yaml"));
        assert!(!is_free("made/acme"));
        assert!(is_free("made/acme/b.yaml"));
        assert!(is_free("made/new/c.yaml"));
        assert!(!is_free("made/acme/b.yaml"));
        assert!(!is_free("made/acme/B.yaml"));
        assert!(!is_free("made/NEW/d.yaml"));
        assert!(!is_free("made/new"));
        assert!(is_free("made/new/d.yaml"));
    }
}
