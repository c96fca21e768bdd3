//! The files of one commit, without what is ignored: the tree that is rendered and archived.
//!
//! The listing is made once and held; contents are read from the mirror's object database when asked for, each up to a
//! cap. Symbolic links and submodules are left out, as Flux leaves them out; entries with hostile names are refused, and
//! with them the commit. What it deliberately doesn't: write a file. The next stages are `store` and `render`.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{Cursor, Read};
use std::sync::Arc;

use gix::objs::tree::EntryKind;
use gix::{ObjectId, ThreadSafeRepository};
use reeve_core::artifact::Revision;
use reeve_kustomize::{Kind, ReadError, Tree};
use sha2::{Digest as _, Sha256};

use super::blob;
use super::ignore::{self, Rules};
use super::mirror::Generation;
use super::name::hostile;
use super::verify::NamedTag;
use super::wire::{Terms, in_bytes};
use super::{Cause, Limits};

/// The files of one commit. Cheap to clone; keeps the mirror it reads from alive.
#[derive(Clone)]
pub struct Snapshot(Arc<Inner>);

struct Inner {
    revision: Revision,
    subject: String,
    digest: String,
    entries: BTreeMap<String, Node>,
    names: BTreeMap<String, Vec<String>>,
    left_out: BTreeMap<String, &'static str>,
    repository: ThreadSafeRepository,
    file_bytes: u64,
    generation: Arc<Generation>,
    commit: ObjectId,
    tag: Option<NamedTag>,
}

#[derive(Clone, Copy)]
enum Node {
    Dir,
    File { id: ObjectId, executable: bool },
}

/// A file or directory of a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry<'a> {
    /// Its path, `/`-separated, from the root.
    pub path: &'a str,
    /// Whether it is a directory.
    pub dir: bool,
    /// Whether it is a file that may be run.
    pub executable: bool,
}

/// Where a snapshot is read from.
pub(super) struct Source {
    pub(super) generation: Arc<Generation>,
    pub(super) revision: Revision,
    pub(super) commit: ObjectId,
    /// The tag that it was reached by, if that was asked for.
    pub(super) tag: Option<NamedTag>,
}

impl Snapshot {
    /// The revision it is of.
    pub fn revision(&self) -> &Revision {
        &self.0.revision
    }

    /// The first line of the commit's message, at most 50 characters of it, as Flux tells it.
    pub fn subject(&self) -> &str {
        &self.0.subject
    }

    /// Names the listing and, through the ids of its files, all contents: equal digests are equal files.
    pub fn tree_digest(&self) -> &str {
        &self.0.digest
    }

    /// The mirror that it is read from, with the commit and all its trees.
    pub(super) fn repository(&self) -> gix::Repository {
        self.0.repository.to_thread_local()
    }

    /// Where the objects lie that may be signed: the commit, and the tag that it was reached by.
    pub(super) fn signable(&self) -> (&ThreadSafeRepository, ObjectId, Option<&NamedTag>) {
        (&self.0.repository, self.0.commit, self.0.tag.as_ref())
    }

    /// What names the content of the file at `path`; nothing where there is none.
    pub(crate) fn mark(&self, path: &str) -> Option<&[u8]> {
        match self.0.entries.get(path)? {
            Node::File { id, .. } => Some(id.as_slice()),
            Node::Dir => None,
        }
    }

    /// All files and directories, sorted by path, so that a directory comes before what is in it.
    pub fn entries(&self) -> impl Iterator<Item = Entry<'_>> {
        self.0.entries.iter().map(|(path, node)| match node {
            Node::Dir => Entry {
                path,
                dir: true,
                executable: false,
            },
            Node::File { executable, .. } => Entry {
                path,
                dir: false,
                executable: *executable,
            },
        })
    }
}

/// Files up to this size are read at once; most are far smaller, and then it is cheaper.
const SMALL: u64 = 1 << 20;

impl Snapshot {
    /// The content of the file at `path` as a reader, and its length; a large one is not held in memory if its pack
    /// allows it.
    ///
    /// # Errors
    /// When there is no such file, it is too large, or the mirror has lost it.
    pub(crate) fn open(&self, path: &str) -> Result<(u64, Box<dyn Read>), ReadError> {
        let (repository, id, size) = self.find(path)?;
        if size > SMALL {
            let (packs, hash) = (self.0.generation.packs(), self.0.generation.hash());
            let streamed = blob::stream(&packs, hash, id).map_err(|_| lost_file(path))?;
            if let Some((size, content)) = streamed {
                return Ok((size, Box::new(content)));
            }
        }
        let object = repository.find_object(id).map_err(|_| lost_file(path))?;
        Ok((size, Box::new(Cursor::new(object.detach().data))))
    }

    /// Where the content of a file is, and how long it is: no longer than one may be.
    fn find(&self, path: &str) -> Result<(gix::Repository, ObjectId, u64), ReadError> {
        let failed = |why: String| ReadError {
            path: path.to_owned(),
            why,
        };
        let id = match self.0.entries.get(path) {
            Some(Node::File { id, .. }) => *id,
            Some(Node::Dir) => return Err(failed("is a directory".to_owned())),
            None => return Err(failed("no such file".to_owned())),
        };
        let repository = self.0.repository.to_thread_local();
        let header = repository.find_header(id).map_err(|_| lost_file(path))?;
        let size = header.size();
        if size > self.0.file_bytes {
            let cap = in_bytes(self.0.file_bytes);
            return Err(failed(format!(
                "it has {size} bytes, more than the {cap} a file may have"
            )));
        }
        Ok((repository, id, size))
    }
}

/// What gix says here is about a pack's bytes; the reader can only try again.
fn lost_file(path: &str) -> ReadError {
    ReadError {
        path: path.to_owned(),
        why: "its content could not be read from the mirror".to_owned(),
    }
}

impl Tree for Snapshot {
    fn kind(&self, path: &str) -> Option<Kind> {
        match self.0.entries.get(path) {
            Some(Node::Dir) => Some(Kind::Dir),
            Some(Node::File { .. }) => Some(Kind::File),
            None => path.is_empty().then_some(Kind::Dir),
        }
    }

    fn read(&self, path: &str) -> Result<Arc<[u8]>, ReadError> {
        let (repository, id, _) = self.find(path)?;
        let object = repository.find_object(id).map_err(|_| lost_file(path))?;
        Ok(Arc::from(&*object.data))
    }

    /// Of the path, or of the first directory of it that is left out.
    fn left_out(&self, path: &str) -> Option<&'static str> {
        let ends = path.match_indices('/').map(|(at, _)| at);
        let mut parts = ends.chain([path.len()]).filter_map(|end| path.get(..end));
        parts.find_map(|part| self.0.left_out.get(part).copied())
    }

    fn list(&self, dir: &str) -> Vec<String> {
        self.0.names.get(dir).cloned().unwrap_or_default()
    }
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot")
            .field("revision", &self.0.revision)
            .field("entries", &self.0.entries.len())
            .finish_non_exhaustive()
    }
}

/// Lists the files of a commit.
pub(super) fn read(
    source: Source,
    ignore: Option<&str>,
    limits: &Limits,
    terms: &Terms,
) -> Result<Snapshot, Cause> {
    let shared = source.generation.open(limits)?;
    let repository = shared.to_thread_local();
    let (root, subject) = commit(&repository, source.commit)?;
    let mut walk = Walk {
        repository: &repository,
        limits,
        terms,
        found: Vec::new(),
        rules: Vec::new(),
        left_out: BTreeMap::new(),
    };
    walk.dir(root, "", 0)?;
    let Walk {
        found,
        mut rules,
        left_out,
        ..
    } = walk;
    rules.sort();
    let rules = Rules::new(ignore, &rules)?;
    let entries = keep(found, &rules, &repository, limits)?;
    Ok(Snapshot(Arc::new(Inner {
        revision: source.revision,
        subject,
        digest: digest(&entries),
        names: names(&entries),
        left_out,
        entries,
        repository: shared,
        file_bytes: limits.file_bytes,
        generation: source.generation,
        commit: source.commit,
        tag: source.tag,
    })))
}

fn lost(error: gix::Error) -> Cause {
    Cause::Mirror {
        doing: "read",
        why: error.to_string(),
    }
}

/// The root tree of a commit, and the beginning of its message.
fn commit(repository: &gix::Repository, id: ObjectId) -> Result<(ObjectId, String), Cause> {
    let object = repository.find_object(id).map_err(lost)?;
    let commit = object
        .try_into_commit()
        .map_err(|_| Cause::NotACommit(id.to_string()))?;
    let root = commit.tree_id().map_err(lost)?.detach();
    let message = commit.message_raw().map_err(lost)?.to_string();
    let subject = message.lines().next().unwrap_or_default();
    Ok((root, subject.chars().take(50).collect()))
}

/// One entry before the ignore rules, which may stand in any directory, are known.
struct Raw {
    path: Vec<u8>,
    node: Node,
}

struct Walk<'a> {
    repository: &'a gix::Repository,
    limits: &'a Limits,
    terms: &'a Terms,
    found: Vec<Raw>,
    rules: Vec<(String, String)>,
    left_out: BTreeMap<String, &'static str>,
}

const LINK: &str =
    "is a symbolic link: sources hold none, as in Flux; commit a copy or name what it leads to";
const SUBMODULE: &str = "is a submodule, which is not fetched";
/// How many entries that are left out can be told as such.
const MAX_LEFT_OUT: usize = 1_000;
/// What ignored files may add to the listing before it is given up.
const IGNORED_FACTOR: usize = 10;
/// Of one `.sourceignore`.
const MAX_IGNORE_BYTES: u64 = 256 << 10;

impl Walk<'_> {
    fn dir(&mut self, tree: ObjectId, prefix: &str, depth: usize) -> Result<(), Cause> {
        if let Some(cause) = self.terms.expired("listing the files") {
            return Err(cause);
        }
        if depth > self.limits.depth {
            let cap = self.limits.depth.to_string();
            return Err(Cause::TooMuch {
                what: "directories are nested deeper",
                cap,
            });
        }
        let tree = self.repository.find_object(tree).map_err(lost)?;
        let tree = tree.try_into_tree().map_err(|error| Cause::Mirror {
            doing: "read",
            why: error.to_string(),
        })?;
        for entry in tree.iter() {
            let entry = entry.map_err(lost)?;
            let name = entry.filename().to_vec();
            let path = join(prefix.as_bytes(), &name);
            if let Some(why) = hostile(&name) {
                let path = String::from_utf8_lossy(&path).into_owned();
                return Err(Cause::Hostile { path, why });
            }
            let id = entry.object_id();
            let node = match entry.mode().kind() {
                EntryKind::Tree => Node::Dir,
                EntryKind::Blob => Node::File {
                    id,
                    executable: false,
                },
                EntryKind::BlobExecutable => Node::File {
                    id,
                    executable: true,
                },
                EntryKind::Link => {
                    self.leave_out(&path, LINK);
                    continue;
                }
                EntryKind::Commit => {
                    self.leave_out(&path, SUBMODULE);
                    continue;
                }
            };
            self.add(prefix, &name, Raw { path, node }, id, depth)?;
        }
        Ok(())
    }

    fn leave_out(&mut self, path: &[u8], why: &'static str) {
        if self.left_out.len() < MAX_LEFT_OUT {
            let path = String::from_utf8_lossy(path).into_owned();
            self.left_out.insert(path, why);
        }
    }

    fn add(
        &mut self,
        prefix: &str,
        name: &[u8],
        raw: Raw,
        id: ObjectId,
        depth: usize,
    ) -> Result<(), Cause> {
        if self.found.len() >= self.limits.files.saturating_mul(IGNORED_FACTOR) {
            return Err(too_many(self.limits.files.saturating_mul(IGNORED_FACTOR)));
        }
        let (is_dir, path) = (matches!(raw.node, Node::Dir), raw.path.clone());
        self.found.push(raw);
        match String::from_utf8(path) {
            Ok(path) if is_dir => self.dir(id, &path, depth + 1),
            // Its name decides later whether that is an error; what is in it isn't needed for that.
            Err(_) => Ok(()),
            Ok(path) if name == ignore::FILE.as_bytes() => {
                self.rules
                    .push((prefix.to_owned(), self.rules_in(id, &path)?));
                Ok(())
            }
            Ok(_) => Ok(()),
        }
    }

    fn rules_in(&self, id: ObjectId, path: &str) -> Result<String, Cause> {
        if self.repository.find_header(id).map_err(lost)?.size() > MAX_IGNORE_BYTES {
            let why = format!("it is larger than {}", in_bytes(MAX_IGNORE_BYTES));
            return Err(ignore::Error::Pattern {
                file: path.to_owned(),
                why,
            }
            .into());
        }
        let bytes = self.repository.find_object(id).map_err(lost)?.detach().data;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}

/// What the rules leave, with the directories that lead to it, after a look whether all of it is really here.
fn keep(
    found: Vec<Raw>,
    rules: &Rules,
    repository: &gix::Repository,
    limits: &Limits,
) -> Result<BTreeMap<String, Node>, Cause> {
    let mut kept = BTreeMap::new();
    let mut files = 0;
    for Raw { path, node } in found {
        let is_dir = matches!(node, Node::Dir);
        if rules.excluded(&String::from_utf8_lossy(&path), is_dir) {
            continue;
        }
        let path = String::from_utf8(path).map_err(|odd| Cause::Hostile {
            path: String::from_utf8_lossy(odd.as_bytes()).into_owned(),
            why: "it is not UTF-8",
        })?;
        if let Node::File { id, .. } = node {
            files += 1;
            if files > limits.files {
                return Err(too_many(limits.files));
            }
            if !repository.has_object(id) {
                let why = format!("the content of {path} is missing");
                return Err(Cause::Mirror { doing: "read", why });
            }
            // A file may come back from a directory that is left out.
            let parents = path.match_indices('/').filter_map(|(at, _)| path.get(..at));
            for parent in parents {
                if !kept.contains_key(parent) {
                    kept.insert(parent.to_owned(), Node::Dir);
                }
            }
        }
        kept.insert(path, node);
    }
    Ok(kept)
}

fn too_many(cap: usize) -> Cause {
    Cause::TooMuch {
        what: "the commit has more files",
        cap: cap.to_string(),
    }
}

fn join(prefix: &[u8], name: &[u8]) -> Vec<u8> {
    if prefix.is_empty() {
        name.to_vec()
    } else {
        [prefix, b"/", name].concat()
    }
}

fn names(entries: &BTreeMap<String, Node>) -> BTreeMap<String, Vec<String>> {
    let mut names: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for path in entries.keys() {
        let (dir, name) = path.rsplit_once('/').unwrap_or(("", path));
        names
            .entry(dir.to_owned())
            .or_default()
            .push(name.to_owned());
    }
    names.values_mut().for_each(|names| names.sort());
    names
}

fn digest(entries: &BTreeMap<String, Node>) -> String {
    let mut hash = Sha256::new();
    for (path, node) in entries {
        let kind = match node {
            Node::Dir => "d",
            Node::File {
                executable: false, ..
            } => "f",
            Node::File {
                executable: true, ..
            } => "x",
        };
        hash.update(kind);
        hash.update(path);
        // No path holds NUL, and ids have one length: no two listings read the same.
        hash.update([0]);
        if let Node::File { id, .. } = node {
            hash.update(id.as_bytes());
        }
    }
    hex::encode(hash.finalize())
}
