//! The files of one commit, without what is ignored: the tree that is rendered and archived.
//!
//! The listing is made once and held; contents are read from the mirror's object database when asked for, each up to a
//! cap. Symbolic links are left out, as Flux leaves them out, and submodules that were not given; entries with hostile names
//! are refused, and with them the commit. Files of other snapshots may be laid beside them, before anything is ignored. What
//! it deliberately doesn't: write a file, or fetch a submodule. The next stages are `store` and `render`.

mod depot;
mod laying;
mod listing;
mod parent;
mod place;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io::{Cursor, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use gix::ObjectId;
use gix::objs::tree::EntryKind;
use jiff::Timestamp;
use reeve_core::artifact::Revision;
use reeve_kustomize::{Kind, ReadError, Tree};

use self::depot::Depot;
use self::listing::{LINK, Listing, Walk, digest, keep, malformed};
pub(super) use self::listing::{is_asked_for, lost};
use super::blob;
use super::ignore::Rules;
use super::mirror::Generation;
use super::submodules::Origins;
use super::verify::NamedTag;
use super::wire::{Terms, in_bytes};
use super::{Cause, Limits};
use crate::listed;
pub use laying::{Content, Laid, NotLaid};

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
    /// Where submodules are, and at which commits, of those that were not given.
    submodules: BTreeMap<String, ObjectId>,
    /// Where those that were given are from.
    origins: Origins,
    /// The commit's own first, then those of its submodules, then those of what is laid beside its files.
    depots: Vec<Arc<Depot>>,
    /// How many of them are its own and its submodules'.
    own: usize,
    file_bytes: u64,
    commit: ObjectId,
    tag: Option<NamedTag>,
    received: Option<Received>,
    /// Whether it was said already that what it reads was given up.
    moved: AtomicBool,
}

/// What a commit says of itself. Nobody has proved it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// Name and address of who says to have written it.
    pub author: String,
    /// When, as far as that is a time.
    pub at: Option<Timestamp>,
    /// The beginning of its message.
    pub subject: String,
}

/// What came from the server for a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Received {
    /// Bytes.
    pub bytes: u64,
    /// Objects of the packs.
    pub objects: u64,
    /// How long that took.
    pub took: Duration,
}

impl Received {
    fn and(self, more: Self) -> Self {
        Self {
            bytes: self.bytes.saturating_add(more.bytes),
            objects: self.objects.saturating_add(more.objects),
            took: self.took.saturating_add(more.took),
        }
    }
}

#[derive(Clone, Copy)]
enum Node {
    Dir,
    File {
        id: ObjectId,
        executable: bool,
        /// Which of the depots has its content.
        depot: usize,
    },
}

/// The rules by which nothing is left out, whatever files of the repository say.
const NOTHING: &str = "!*\n";
/// The commit's own among the depots.
const OWN: usize = 0;
/// The file that says where submodules are from.
pub(super) const GITMODULES: &str = ".gitmodules";

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
    /// What came for it; None: it was here.
    pub(super) received: Option<Received>,
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

    /// What the commit says of itself; None: that cannot be read.
    pub fn told(&self) -> Option<Told> {
        let repository = self.repository().ok()?;
        let commit = repository
            .find_object(self.0.commit)
            .ok()?
            .try_into_commit()
            .ok()?;
        let author = commit.author().ok()?;
        let seconds = author.time().ok().map(|time| time.seconds);
        Some(Told {
            author: format!("{} <{}>", author.name, author.email),
            at: seconds.and_then(|seconds| Timestamp::from_second(seconds).ok()),
            subject: self.0.subject.clone(),
        })
    }

    /// All of the commit's message; None: it cannot be read. Nobody has proved it.
    pub fn message(&self) -> Option<String> {
        let repository = self.repository().ok()?;
        let commit = repository.find_object(self.0.commit).ok()?;
        let commit = commit.try_into_commit().ok()?;
        commit.message_raw().ok().map(ToString::to_string)
    }

    /// Names the listing and, through the ids of its files, all contents: equal digests are equal files.
    pub fn tree_digest(&self) -> &str {
        &self.0.digest
    }

    /// What came from the server for it; None: all of it was here.
    pub fn received(&self) -> Option<Received> {
        self.0.received
    }

    /// Whether a mirror that it reads was given up, so that another is wanted in its place. It is said once.
    pub fn moves(&self) -> bool {
        let mut depots = self.0.depots.iter();
        let is_left = depots.any(|depot| depot.generation.is_retired());
        is_left && !self.0.moved.swap(true, Ordering::Relaxed)
    }

    /// The same commit with all its files, those that are left out here, too; without submodules and what is laid beside them. Only for
    /// threads that may block.
    ///
    /// # Errors
    /// When it takes longer, is larger than the limits, or the mirror has lost it.
    pub(crate) fn whole(&self, limits: &Limits, deadline: Instant) -> Result<Self, Cause> {
        let own = self.0.depots.get(OWN).ok_or(Cause::Internal)?;
        let source = Source {
            generation: Arc::clone(&own.generation),
            revision: self.0.revision.clone(),
            commit: self.0.commit,
            tag: None,
            received: None,
        };
        let content = Content {
            ignore: Some(NOTHING.to_owned()),
            ..Content::default()
        };
        let (terms, _guard) = Terms::new(deadline);
        read(source, &content, limits, &terms)
    }

    /// Where submodules are, and at which commits, of those that were not given.
    pub(super) fn submodules(&self) -> &BTreeMap<String, ObjectId> {
        &self.0.submodules
    }

    /// Where its submodules are from, and theirs.
    pub fn origins(&self) -> &Origins {
        &self.0.origins
    }

    /// Whether a directory that leads to the path is a symbolic link.
    pub(super) fn leads_through_a_link(&self, path: &str) -> bool {
        let mut ends = path.match_indices('/').map(|(at, _)| at);
        let is_link = |part: &str| self.0.left_out.get(part) == Some(&LINK);
        ends.any(|end| path.get(..end).is_some_and(is_link))
    }

    /// The mirror that it is read from, with the commit and all its trees.
    pub(super) fn repository(&self) -> Result<gix::Repository, Cause> {
        let own = self.0.depots.get(OWN).ok_or(Cause::Internal)?;
        own.repository()
    }

    /// What the ids in that mirror are made with.
    pub(super) fn hash(&self) -> Result<gix::hash::Kind, Cause> {
        let own = self.0.depots.get(OWN).ok_or(Cause::Internal)?;
        Ok(own.generation.hash())
    }

    /// The objects that may be signed: the commit, and the tag that it was reached by.
    pub(super) fn signable(&self) -> (ObjectId, Option<&NamedTag>) {
        (self.0.commit, self.0.tag.as_ref())
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
        let (depot, repository, id, size) = self.find(path)?;
        if size > SMALL {
            let (packs, hash) = (depot.generation.packs(), depot.generation.hash());
            let streamed = blob::stream(&packs, hash, id).map_err(|_| lost_file(path))?;
            if let Some((size, content)) = streamed {
                return Ok((size, Box::new(content)));
            }
        }
        let object = repository.find_object(id).map_err(|_| lost_file(path))?;
        Ok((size, Box::new(Cursor::new(object.detach().data))))
    }

    /// Where the content of a file is, and how long it is: no longer than one may be.
    fn find(&self, path: &str) -> Result<(&Depot, gix::Repository, ObjectId, u64), ReadError> {
        let failed = |why: String| ReadError {
            path: path.to_owned(),
            why,
        };
        let (id, depot) = match self.0.entries.get(path) {
            Some(Node::File { id, depot, .. }) => (*id, *depot),
            Some(Node::Dir) => return Err(failed("is a directory".to_owned())),
            None => return Err(failed("no such file".to_owned())),
        };
        let depot = self.0.depots.get(depot).ok_or_else(|| lost_file(path))?;
        let repository = depot.repository().map_err(|_| lost_file(path))?;
        let header = repository.find_header(id).map_err(|_| lost_file(path))?;
        let size = header.size();
        if size > self.0.file_bytes {
            let cap = in_bytes(self.0.file_bytes);
            return Err(failed(format!(
                "it has {size} bytes, more than the {cap} a file may have"
            )));
        }
        Ok((depot, repository, id, size))
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
        let (_, repository, id, _) = self.find(path)?;
        let object = repository.find_object(id).map_err(|_| lost_file(path))?;
        Ok(Arc::from(&*object.data))
    }

    fn left_out(&self, path: &str) -> Option<&'static str> {
        listed::left_out(&self.0.left_out, path)
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

/// Lists the files of a commit, with what is laid beside them.
pub(super) fn read(
    source: Source,
    content: &Content,
    limits: &Limits,
    terms: &Terms,
) -> Result<Snapshot, Cause> {
    let generation = source.generation;
    let depot = Arc::new(Depot::of(Arc::clone(&generation), limits));
    let repository = depot.repository()?;
    let (root, subject) = root_of(&repository, source.commit)?;
    let mut depots = vec![depot];
    let seen = generation.seen();
    let walk = Walk::of(content, &mut depots, limits, terms).having_seen(seen.trees());
    let mut listing = walk.whole(repository, root)?;
    let own = depots.clone();
    for laid in &content.laid {
        laid.lay(&mut listing, &mut depots, limits)?;
    }
    let Listing {
        found,
        mut rules,
        left_out,
        submodules,
        mut trees,
        ..
    } = listing;
    rules.sort();
    let rules = Rules::new(content.ignore.as_deref(), &rules)?;
    let entries = keep(found, &mut trees, &rules, &own, (limits, terms))?;
    generation.saw(seen.with(listing::seen(&trees)));
    Ok(Snapshot(Arc::new(Inner {
        revision: source.revision,
        subject,
        digest: digest(&entries),
        names: listed::names(&entries),
        left_out,
        submodules,
        origins: content.origins.clone(),
        entries,
        depots,
        own: own.len(),
        file_bytes: limits.file_bytes,
        commit: source.commit,
        tag: source.tag,
        received: source.received,
        moved: AtomicBool::new(false),
    })))
}

/// The contents that `content` asks for of a commit and that are not here, where the commit is with all its directories;
/// what names its submodules among them.
pub(super) fn missing(
    generation: &Arc<Generation>,
    commit: ObjectId,
    content: &Content,
    limits: &Limits,
    terms: &Terms,
) -> Result<BTreeSet<ObjectId>, Cause> {
    let shared = generation.open(limits)?;
    let repository = shared.to_thread_local();
    let (root, _) = root_of(&repository, commit)?;
    let mut depots = Vec::new();
    let walk = Walk::of(content, &mut depots, limits, terms).of_names();
    let listing = walk.whole(shared.to_thread_local(), root)?;
    let mut missing = BTreeSet::new();
    for raw in listing.found {
        if let Node::File { id, .. } = raw.node
            && !repository.has_object(id)
        {
            missing.insert(id);
        }
    }
    if !listing.submodules.is_empty() {
        let named = names_of_submodules(&repository, root)?;
        let named = named.map(|(_, id)| id);
        missing.extend(named.filter(|id| !repository.has_object(id)));
    }
    Ok(missing)
}

/// What `.gitmodules` is at the root of a commit, if there is one.
pub(super) fn names_of_submodules(
    repository: &gix::Repository,
    root: ObjectId,
) -> Result<Option<(EntryKind, ObjectId)>, Cause> {
    let tree = repository.find_object(root).map_err(lost)?;
    let tree = tree.try_into_tree().map_err(malformed)?;
    for entry in tree.iter() {
        let entry = entry.map_err(malformed)?;
        if entry.filename() == GITMODULES {
            return Ok(Some((entry.mode().kind(), entry.object_id())));
        }
    }
    Ok(None)
}

/// Lists the same commit once more, with the submodules that are given by now. What came for these counts as having come for
/// it.
pub(super) fn read_again(
    snapshot: &Snapshot,
    content: &Content,
    limits: &Limits,
    terms: &Terms,
) -> Result<Snapshot, Cause> {
    let depot = snapshot.0.depots.get(OWN).ok_or(Cause::Internal)?;
    let given = content.submodules.values().map(|given| given.0.received);
    let came = given.chain([snapshot.0.received]).flatten();
    let source = Source {
        generation: Arc::clone(&depot.generation),
        revision: snapshot.0.revision.clone(),
        commit: snapshot.0.commit,
        tag: snapshot.0.tag.clone(),
        received: came.reduce(Received::and),
    };
    read(source, content, limits, terms)
}

/// The root tree of a commit, and the beginning of its message.
pub(super) fn root_of(
    repository: &gix::Repository,
    id: ObjectId,
) -> Result<(ObjectId, String), Cause> {
    let object = repository.find_object(id).map_err(lost)?;
    let commit = object
        .try_into_commit()
        .map_err(|_| Cause::NotACommit(id.to_string()))?;
    let root = commit.tree_id().map_err(malformed)?.detach();
    let message = commit.message_raw().map_err(malformed)?.to_string();
    let subject = message.lines().next().unwrap_or_default();
    Ok((root, subject.chars().take(50).collect()))
}
