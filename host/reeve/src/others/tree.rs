//! An archive as a tree: a list in memory, and contents in a file without a name, each read when it is asked for.
//!
//! What it deliberately doesn't: write a file under the name that an entry has. The next stage is `renders`.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use reeve_kustomize::{Kind, ReadError, Tree};

use crate::disk::{Lying, Thing};
use crate::git::Snapshot;
use crate::listed;

/// What a Kustomization is built from.
#[derive(Debug, Clone)]
pub(crate) enum Files {
    /// Of a GitRepository.
    Commit(Snapshot),
    /// Of a source that another controller keeps.
    Archive(Archive),
}

/// The files of an archive. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Archive(Arc<Inner>);

struct Inner {
    contents: File,
    entries: BTreeMap<String, Node>,
    names: BTreeMap<String, Vec<String>>,
    left_out: BTreeMap<String, &'static str>,
    bytes: u64,
    file_bytes: u64,
    /// What it is in the books, until nobody reads it any more.
    lying: Lying,
}

/// What lies at a path.
#[derive(Debug, Clone, Copy)]
pub(super) enum Node {
    Dir,
    File {
        /// Where in the contents it begins.
        at: u64,
        size: u64,
        /// The SHA-256 of what is in it.
        mark: [u8; 32],
    },
}

impl Archive {
    /// Of these entries, whose contents lie one after another in a file; `file_bytes` of one are read.
    pub(super) fn new(
        contents: File,
        entries: BTreeMap<String, Node>,
        left_out: BTreeMap<String, &'static str>,
        (bytes, file_bytes): (u64, u64),
        lying: Lying,
    ) -> Self {
        let names = listed::names(&entries);
        Self(Arc::new(Inner {
            contents,
            entries,
            names,
            left_out,
            bytes,
            file_bytes,
            lying,
        }))
    }

    /// How many bytes it takes on the disk.
    pub(crate) fn bytes(&self) -> u64 {
        self.0.bytes
    }

    /// What it is in the books of the disk.
    pub(super) fn thing(&self) -> Thing {
        self.0.lying.thing().clone()
    }

    /// Whether anybody reads it beside whoever asks.
    pub(super) fn is_read(&self) -> bool {
        Arc::strong_count(&self.0) > 1
    }

    /// What names the content of the file at `path`; nothing where there is none.
    pub(crate) fn mark(&self, path: &str) -> Option<&[u8]> {
        match self.0.entries.get(path)? {
            Node::File { mark, .. } => Some(mark),
            Node::Dir => None,
        }
    }
}

impl Tree for Archive {
    fn kind(&self, path: &str) -> Option<Kind> {
        match self.0.entries.get(path) {
            Some(Node::Dir) => Some(Kind::Dir),
            Some(Node::File { .. }) => Some(Kind::File),
            None => path.is_empty().then_some(Kind::Dir),
        }
    }

    fn read(&self, path: &str) -> Result<Arc<[u8]>, ReadError> {
        let failed = |why: String| ReadError {
            path: path.to_owned(),
            why,
        };
        let (at, size) = match self.0.entries.get(path) {
            Some(Node::File { at, size, .. }) => (*at, *size),
            Some(Node::Dir) => return Err(failed("is a directory".to_owned())),
            None => return Err(failed("no such file".to_owned())),
        };
        let cap = self.0.file_bytes;
        let length = usize::try_from(size).ok().filter(|_| size <= cap);
        let length = length.ok_or_else(|| {
            failed(format!(
                "it has {size} bytes, more than the {cap} a file may have"
            ))
        })?;
        let mut content = vec![0; length];
        let read = self.0.contents.read_exact_at(&mut content, at);
        read.map_err(|why| {
            failed(format!(
                "its content could not be read from the disk: {why}"
            ))
        })?;
        Ok(Arc::from(content))
    }

    fn left_out(&self, path: &str) -> Option<&'static str> {
        listed::left_out(&self.0.left_out, path)
    }

    fn list(&self, dir: &str) -> Vec<String> {
        self.0.names.get(dir).cloned().unwrap_or_default()
    }
}

impl fmt::Debug for Archive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Archive")
            .field("entries", &self.0.entries.len())
            .field("bytes", &self.0.bytes)
            .finish_non_exhaustive()
    }
}

impl Tree for Files {
    fn kind(&self, path: &str) -> Option<Kind> {
        match self {
            Self::Commit(files) => files.kind(path),
            Self::Archive(files) => files.kind(path),
        }
    }

    fn read(&self, path: &str) -> Result<Arc<[u8]>, ReadError> {
        match self {
            Self::Commit(files) => files.read(path),
            Self::Archive(files) => files.read(path),
        }
    }

    fn list(&self, dir: &str) -> Vec<String> {
        match self {
            Self::Commit(files) => files.list(dir),
            Self::Archive(files) => files.list(dir),
        }
    }

    fn left_out(&self, path: &str) -> Option<&'static str> {
        match self {
            Self::Commit(files) => files.left_out(path),
            Self::Archive(files) => files.left_out(path),
        }
    }

    fn real(&self, path: &str) -> Option<String> {
        match self {
            Self::Commit(files) => files.real(path),
            Self::Archive(files) => files.real(path),
        }
    }
}
