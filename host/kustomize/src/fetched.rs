//! What was fetched for a build, laid beside its own tree.
//!
//! Each fetched tree gets a directory of its own whose name no path can be written with, so that a build reads it as it
//! reads everything else, and nothing in it leads out of it.

use std::sync::Arc;

use indexmap::IndexMap;

use crate::remote::{Reference, Source};
use crate::tree::{Kind, ReadError, Tree};

/// What begins the name of a fetched tree's directory: no path that is written holds it.
const MARK: char = '\0';

/// The remote content that a build may use.
#[derive(Clone, Default)]
pub struct Remotes {
    allowed: bool,
    trees: IndexMap<Source, Arc<dyn Tree>>,
}

impl Remotes {
    /// None at all: a build that names some is refused. The default.
    #[must_use]
    pub fn refused() -> Self {
        Self::default()
    }

    /// None yet: a build says what it wants.
    #[must_use]
    pub fn wanted() -> Self {
        Self {
            allowed: true,
            trees: IndexMap::new(),
        }
    }

    /// Adds what was fetched. A file is the only one of its tree.
    pub fn insert(&mut self, source: Source, tree: Arc<dyn Tree>) {
        self.trees.insert(source, tree);
    }

    /// What there is.
    pub fn sources(&self) -> impl Iterator<Item = &Source> {
        self.trees.keys()
    }

    pub(crate) fn are_allowed(&self) -> bool {
        self.allowed
    }

    /// Where in the build's tree lies what `reference` names, if it is there.
    pub(crate) fn path(&self, reference: &Reference) -> Option<String> {
        let (index, _, tree) = self.trees.get_full(&reference.source)?;
        let inner = match &reference.source {
            Source::Repository { .. } => reference.path.clone(),
            Source::File { .. } => tree.list("").into_iter().next()?,
        };
        let slash = if inner.is_empty() { "" } else { "/" };
        Some(format!("{MARK}{index}{slash}{inner}"))
    }

    /// `text` with the addresses of fetched trees in the place of their directories.
    pub(crate) fn named(&self, text: &str) -> String {
        let mut parts = text.split(MARK);
        let mut out = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let end = part
                .find(|c: char| !c.is_ascii_digit())
                .unwrap_or(part.len());
            let (index, rest) = part.split_at_checked(end).unwrap_or((part, ""));
            let source = index.parse().ok().and_then(|i| self.trees.get_index(i));
            out.push_str(&source.map(|(source, _)| source.shown()).unwrap_or_default());
            if rest.starts_with('/') {
                out.push('/');
            }
            out.push_str(rest);
        }
        out
    }

    /// From what a path was fetched, and its path in there.
    pub(crate) fn origin<'a>(&self, path: &'a str) -> Option<(&Source, &'a str)> {
        let rest = path.strip_prefix(MARK)?;
        let (index, inner) = rest.split_once('/').unwrap_or((rest, ""));
        let (source, _) = self.trees.get_index(index.parse().ok()?)?;
        Some((source, inner))
    }

    /// The fetched tree that a path leads into, and the path in it.
    fn split<'a>(&self, path: &'a str) -> Option<(&Arc<dyn Tree>, &'a str)> {
        let rest = path.strip_prefix(MARK)?;
        let (index, inner) = rest.split_once('/').unwrap_or((rest, ""));
        let (_, tree) = self.trees.get_index(index.parse().ok()?)?;
        Some((tree, inner))
    }
}

/// Whether a name is that of a fetched tree's directory.
pub(crate) fn is_top(name: &str) -> bool {
    name.starts_with(MARK)
}

/// A build's own tree with the fetched ones beside it.
pub(crate) struct Joined<'a> {
    pub(crate) own: &'a dyn Tree,
    pub(crate) remotes: &'a Remotes,
}

impl Tree for Joined<'_> {
    fn kind(&self, path: &str) -> Option<Kind> {
        match self.remotes.split(path) {
            Some((tree, inner)) => tree.kind(inner),
            None => self.own.kind(path),
        }
    }

    fn read(&self, path: &str) -> Result<Arc<[u8]>, ReadError> {
        match self.remotes.split(path) {
            Some((tree, inner)) => tree.read(inner).map_err(|e| ReadError {
                path: path.to_owned(),
                why: e.why,
            }),
            None => self.own.read(path),
        }
    }

    fn list(&self, dir: &str) -> Vec<String> {
        match self.remotes.split(dir) {
            Some((tree, inner)) => tree.list(inner),
            None => self.own.list(dir),
        }
    }

    fn left_out(&self, path: &str) -> Option<&'static str> {
        match self.remotes.split(path) {
            Some((tree, inner)) => tree.left_out(inner),
            None => self.own.left_out(path),
        }
    }

    fn real(&self, path: &str) -> Option<String> {
        match self.remotes.split(path) {
            Some((tree, inner)) => {
                let top = path.split('/').next().unwrap_or_default();
                let slash = if inner.is_empty() { "" } else { "/" };
                tree.real(inner).map(|real| format!("{top}{slash}{real}"))
            }
            None => self.own.real(path),
        }
    }
}
