//! Artifacts on disk: the files of a commit as Flux's tar.gz, for consumers other than us.
//!
//! An archive is named by what is in it, so the same files are archived once, whoever asks and however often. What a
//! consumer asks for is a path with an unguessable segment; it is looked up whole in an index and never used to reach
//! into the file system, and nothing lists. The index survives a restart.
//!
//! An archive is written by a thread that holds a turn (`places`) and looks whether somebody still waits: what is written for nobody
//! stops, and nothing of it stays. It is a cache, and not synced: what an earlier process left may have been torn by a crash of the
//! machine, so that is read once, and counts only if it is what its name says.
//!
//! What it deliberately doesn't: serve (`http::artifact` does), or keep an old archive that nobody refers to:
//! [`Store::collect`] drops it.

mod archive;
mod archived;
mod index;
mod waits;

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::Timestamp;
use reeve_api::name::NamespacedName;
use reeve_api::reason::Reason;
use reeve_core::artifact::{Artifact, Digest};
use reeve_core::failure::{Explain, Turn};
use sha2::Sha256;

use crate::disk::{self, Account, Disk, Thing};
use crate::git::Snapshot;
use crate::keyfile;
use crate::places::{Place, Places};
use archive::Written;
pub(crate) use archived::{Archived, Archiving};
use index::{Index, Record};
use waits::Waits;

/// The store of this process. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
    account: Option<Account>,
    /// What goes once what is written is there.
    instead: Vec<Thing>,
}

struct Inner {
    blobs: PathBuf,
    base: String,
    key: [u8; 32],
    limits: Limits,
    index: Mutex<Index>,
    /// Archives that may be written at once: a large one must not stop all others.
    turns: Places,
    /// Bytes of archives that are being written, so that they fit together too.
    underway: AtomicU64,
    disk: Disk,
}

/// What the store may take.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Bytes of all archives together.
    pub total_bytes: u64,
    /// Bytes of one archive, compressed.
    pub archive_bytes: u64,
    /// Bytes of all files of one archive, uncompressed.
    pub content_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            total_bytes: 20 << 30,
            archive_bytes: 1 << 30,
            content_bytes: 4 << 30,
        }
    }
}

/// Archives written at once.
const WRITERS: usize = 3;
/// Of them, for one tenant.
const OF_ONE: usize = 2;

/// How long archives stay that are no longer the newest of their object: someone may be about to fetch one.
#[derive(Debug, Clone, Copy)]
pub struct Retention {
    /// Younger ones stay.
    pub ttl: Duration,
    /// This many of each object stay.
    pub records: usize,
}

impl Default for Retention {
    fn default() -> Self {
        // Flux's --artifact-retention-ttl and --artifact-retention-records.
        Self {
            ttl: Duration::from_secs(60),
            records: 2,
        }
    }
}

/// Why there is no artifact.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file of the commit can't be archived.
    #[error("failed to archive the artifact")]
    File {
        /// Which file, and why.
        source: reeve_kustomize::ReadError,
    },
    /// The archive is larger than one may be.
    #[error("failed to archive the artifact: {what} than the {cap} bytes that are accepted")]
    TooLarge {
        /// What is too large.
        what: &'static str,
        /// The cap.
        cap: u64,
    },
    /// The store is full.
    #[error("the artifact store is full: {used} of {cap} bytes are taken")]
    Full {
        /// Bytes in it.
        used: u64,
        /// Bytes it may hold.
        cap: u64,
    },
    /// Whoever it is for has all it may have.
    #[error("failed to archive the artifact")]
    Quota {
        /// How much that is.
        source: disk::Over,
    },
    /// The disk said no.
    #[error("the artifact could not be {doing}")]
    Disk {
        /// What was tried.
        doing: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// Nobody waits for it any more.
    #[error("the archiving stopped: nobody waits for it any more")]
    Abandoned,
    /// A fault of ours.
    #[error("an internal fault stopped the archiving")]
    Internal,
}

impl Explain for Error {
    fn reason(&self) -> Reason {
        match self {
            Self::File { .. } | Self::TooLarge { .. } | Self::Abandoned | Self::Internal => {
                Reason::ArchiveOperationFailed
            }
            Self::Quota { source } => source.reason(),
            Self::Full { .. } | Self::Disk { .. } => Reason::StatOperationFailed,
        }
    }

    fn turn(&self) -> Turn {
        match self {
            Self::File { .. } | Self::TooLarge { .. } => Turn::NextRevision,
            Self::Quota { source } => source.turn(),
            Self::Full { .. } | Self::Disk { .. } | Self::Abandoned | Self::Internal => Turn::Ours,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::File { .. } | Self::TooLarge { .. } => {
                Some("leave large files out with spec.ignore or a .sourceignore file".to_owned())
            }
            Self::Quota { source } => source.hint(),
            Self::Full { .. } => Some("the platform gives the store a larger volume".to_owned()),
            Self::Disk { .. } | Self::Abandoned | Self::Internal => None,
        }
    }
}

impl Store {
    /// The store in `dir`, whose archives are reached under `base_url`.
    ///
    /// # Errors
    /// When the directory can be neither read nor made.
    pub fn open(dir: &Path, base_url: &str, limits: Limits) -> io::Result<Self> {
        Self::open_on(dir, base_url, limits, Disk::default())
    }

    /// The same, told in the books of a disk.
    ///
    /// # Errors
    /// When the directory can be neither read nor made.
    pub fn open_on(dir: &Path, base_url: &str, limits: Limits, disk: Disk) -> io::Result<Self> {
        let blobs = dir.join("blobs");
        std::fs::create_dir_all(&blobs)?;
        let key = keyfile::read_or_make(&dir.join("store.key"))?;
        let index = Index::open(&dir.join("index"), &blobs, disk.clone())?;
        let base = base_url.trim_end_matches('/').to_owned();
        let (index, underway) = (Mutex::new(index), AtomicU64::new(0));
        let turns = Places::sharing(WRITERS, OF_ONE);
        let inner = Arc::new(Inner {
            blobs,
            base,
            key,
            limits,
            index,
            turns,
            underway,
            disk,
        });
        Ok(Self {
            inner,
            account: None,
            instead: Vec::new(),
        })
    }

    /// The same store; what is written into it from now on is on that account.
    #[must_use]
    pub fn on(&self, account: Account) -> Self {
        Self {
            account: Some(account),
            ..self.clone()
        }
    }

    /// The same store; what whoever writes has elsewhere on the disk goes once it has what it writes, and does not count beside it.
    #[must_use]
    pub(crate) fn instead_of(&self, things: impl IntoIterator<Item = Thing>) -> Self {
        Self {
            instead: things.into_iter().collect(),
            ..self.clone()
        }
    }

    /// The artifact of `snapshot` for the source `id` of a `kind` (`gitrepository`), archived unless its files are
    /// already there. `now` is when it counts as written. Whoever drops this ends the work, and keeps nothing of it.
    ///
    /// # Errors
    /// When a file or the whole is too large, or the disk refuses.
    pub async fn put(
        &self,
        kind: &str,
        id: &NamespacedName,
        snapshot: &Snapshot,
        now: Timestamp,
    ) -> Result<Artifact, Error> {
        let account = self.account.as_ref();
        let tenant = account.map_or(id.namespace.as_str(), |account| &account.tenant);
        let wanted = Wanted {
            kind: kind.to_owned(),
            id: id.clone(),
            tenant: tenant.to_owned(),
            path: self.path(kind, id, snapshot),
            snapshot: snapshot.clone(),
            now,
        };
        // What is there needs no turn, however many are waiting for one.
        if let Some(kept) = self.refer(&wanted)? {
            return Ok(self.artifact(kept));
        }
        let turn = self.inner.turns.take(tenant).await;
        let turn = self.look_at_what_was_left(&wanted, turn).await?;
        // Somebody else may have written it meanwhile.
        let record = match self.refer(&wanted)? {
            Some(kept) => kept,
            None => self.archive(wanted, turn).await?,
        };
        Ok(self.artifact(record))
    }

    /// What the artifact of `snapshot` is going to be called. Of its digest and its size nothing is known before it is
    /// [put](Self::put): it is told to nobody.
    pub(crate) fn announced(
        &self,
        kind: &str,
        id: &NamespacedName,
        snapshot: &Snapshot,
        now: Timestamp,
    ) -> Artifact {
        let path = self.path(kind, id, snapshot);
        Artifact {
            revision: snapshot.revision().clone(),
            digest: Digest::from_sha256([0; 32]),
            tree: snapshot.tree_digest().to_owned(),
            url: format!("{}/{path}", self.inner.base),
            path,
            size: 0,
            last_update_time: now,
        }
    }

    /// The archive that `path` (of a request, without the leading slash) stands for, and its length.
    pub fn open_path(&self, path: &str) -> Option<(File, u64)> {
        let file = self.index().file(path)?;
        let file = File::open(self.inner.blobs.join(file)).ok()?;
        let length = file.metadata().ok()?.len();
        Some((file, length))
    }

    /// Whether the archive that `artifact` describes is still here.
    pub fn has(&self, artifact: &Artifact) -> bool {
        self.open_path(&artifact.path)
            .is_some_and(|(_, length)| length == artifact.size)
    }

    /// Drops what `retention` doesn't keep of the objects in `live`, and everything of all others. Gives the number of
    /// archives dropped.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn collect(
        &self,
        kind: &str,
        live: &BTreeSet<NamespacedName>,
        retention: Retention,
        now: Timestamp,
    ) -> io::Result<usize> {
        self.index().collect(kind, live, retention, now)
    }

    /// Drops everything of one object. Gives the number of archives dropped.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn remove(&self, kind: &str, id: &NamespacedName) -> io::Result<usize> {
        self.index().remove(kind, id)
    }

    /// Bytes of all archives.
    pub fn used(&self) -> u64 {
        self.index().used()
    }

    /// Remembers that somebody has what is archived already; None: it is not.
    fn refer(&self, wanted: &Wanted) -> Result<Option<Record>, Error> {
        let mut index = self.index();
        let known = index.blob(wanted.snapshot.tree_digest());
        let kept = known.map(|known| index.refer(wanted.record(known)));
        Ok(kept.transpose().map_err(unremembered)?.flatten())
    }

    /// Reads the archive that an earlier process has left of those files, if nobody has since. The thread holds the turn meanwhile.
    async fn look_at_what_was_left(
        &self,
        wanted: &Wanted,
        turn: Option<Place>,
    ) -> Result<Option<Place>, Error> {
        let left = self.index().left(wanted.snapshot.tree_digest());
        let Some(left) = left else { return Ok(turn) };
        let inner = Arc::clone(&self.inner);
        let looked = tokio::task::spawn_blocking(move || {
            let is_whole = left.is_whole();
            inner.index().looked_at(&left, is_whole);
            turn
        });
        looked.await.map_err(|_| Error::Internal)
    }

    fn artifact(&self, record: Record) -> Artifact {
        Artifact {
            revision: record.revision,
            digest: record.digest,
            tree: record.tree,
            url: format!("{}/{}", self.inner.base, record.path),
            path: record.path,
            size: record.size,
            last_update_time: record.written,
        }
    }

    /// Archives on the blocking pool: reading, compressing and hashing a large tree takes a while. The turn is held by the thread:
    /// a caller who gives up doesn't let the next one in beside it.
    async fn archive(&self, wanted: Wanted, turn: Option<Place>) -> Result<Record, Error> {
        let used = self.used();
        if used >= self.inner.limits.total_bytes {
            return Err(Error::Full {
                used,
                cap: self.inner.limits.total_bytes,
            });
        }
        let (waits, stop) = Waits::new();
        let inner = Arc::clone(&self.inner);
        let replaced = self.instead.iter().cloned();
        let mut writing = inner.disk.write(self.account.as_ref(), false, replaced);
        let done = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            let room = archive::Room {
                used,
                underway: &inner.underway,
                writing: &mut writing,
                stop: &stop,
            };
            let written = archive::write(&inner.blobs, &wanted.snapshot, &inner.limits, room)?;
            // Set aside until it is told.
            let _writing = writing;
            inner.keep(written, &wanted, &stop)
        });
        let done = done.await;
        drop(waits);
        done.map_err(|_| Error::Internal)?
    }

    fn index(&self) -> MutexGuard<'_, Index> {
        self.inner.index()
    }

    /// `<kind>/<namespace>/<name>/<unguessable>/<commit>.tar.gz`. The segment is the access token: whoever may read the
    /// object's status may fetch the archive. It is derived, so that it needs no memory, and differs per revision, so
    /// that an old one gives nothing new.
    fn path(&self, kind: &str, id: &NamespacedName, snapshot: &Snapshot) -> String {
        let commit = snapshot.revision().commit();
        let stem = format!("{kind}/{}/{}", id.namespace, id.name);
        let mac =
            Hmac::<Sha256>::new_from_slice(&self.inner.key).expect("because any length is a key");
        // No part holds a slash, so no two lists of parts read the same; the tree is in it because an ignore rule
        // changes the files of one commit.
        let text = format!("{stem}/{commit}/{}", snapshot.tree_digest());
        let token = hex::encode(mac.chain_update(text).finalize().into_bytes());
        format!("{stem}/{token}/{commit}.tar.gz")
    }
}

impl Inner {
    fn index(&self) -> MutexGuard<'_, Index> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives what was written its name, and remembers it: both or neither, so that no file lies there that nobody knows of.
    fn keep(&self, written: Written, wanted: &Wanted, stop: &AtomicBool) -> Result<Record, Error> {
        let mut index = self.index();
        if stop.load(Ordering::Relaxed) {
            return Err(Error::Abandoned);
        }
        let record = wanted.record((written.digest, written.size));
        let file = written.persist(&self.blobs)?;
        let kept = index.insert(record).map_err(unremembered);
        let is_known = kept.is_ok() || index.blob(wanted.snapshot.tree_digest()).is_some();
        if !is_known {
            std::fs::remove_file(file).ok();
        }
        kept
    }
}

/// What is to be archived, and for whom.
struct Wanted {
    kind: String,
    id: NamespacedName,
    tenant: String,
    path: String,
    snapshot: Snapshot,
    now: Timestamp,
}

impl Wanted {
    fn record(&self, (digest, size): (Digest, u64)) -> Record {
        Record {
            kind: self.kind.clone(),
            id: self.id.clone(),
            tenant: self.tenant.clone(),
            path: self.path.clone(),
            revision: self.snapshot.revision().clone(),
            tree: self.snapshot.tree_digest().to_owned(),
            digest,
            size,
            written: self.now,
        }
    }
}

fn unremembered(source: io::Error) -> Error {
    Error::Disk {
        doing: "remembered",
        source,
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store")
            .field("limits", &self.inner.limits)
            .finish_non_exhaustive()
    }
}
