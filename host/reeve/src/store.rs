//! Artifacts on disk: the files of a commit as Flux's tar.gz, for consumers other than us.
//!
//! An archive is named by what is in it, so the same files are archived once, whoever asks and however often. What a
//! consumer asks for is a path with an unguessable segment; it is looked up whole in an index and never used to reach
//! into the file system, and nothing lists. The index survives a restart.
//!
//! What it deliberately doesn't: serve (`http::artifact` does), or keep an old archive that nobody refers to:
//! [`Store::collect`] drops it.

mod archive;
mod index;

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::Timestamp;
use reeve_api::name::NamespacedName;
use reeve_api::reason::Reason;
use reeve_core::artifact::{Artifact, Digest};
use reeve_core::failure::{Explain, Turn};
use sha2::Sha256;

use crate::disk::{self, Account, Disk, Writing};
use crate::git::Snapshot;
use crate::keyfile;
use index::{Index, Record};

/// The store of this process. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
    account: Option<Account>,
}

struct Inner {
    blobs: PathBuf,
    base: String,
    key: [u8; 32],
    limits: Limits,
    index: Mutex<Index>,
    /// Archives that may be written at once: a large one must not stop all others.
    writing: tokio::sync::Semaphore,
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
    /// A fault of ours.
    #[error("an internal fault stopped the archiving")]
    Internal,
}

impl Explain for Error {
    fn reason(&self) -> Reason {
        match self {
            Self::File { .. } | Self::TooLarge { .. } | Self::Internal => {
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
            Self::Full { .. } | Self::Disk { .. } | Self::Internal => Turn::Ours,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::File { .. } | Self::TooLarge { .. } => {
                Some("leave large files out with spec.ignore or a .sourceignore file".to_owned())
            }
            Self::Quota { source } => source.hint(),
            Self::Full { .. } => Some("the platform gives the store a larger volume".to_owned()),
            Self::Disk { .. } | Self::Internal => None,
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
        let writing = tokio::sync::Semaphore::new(WRITERS);
        let inner = Arc::new(Inner {
            blobs,
            base,
            key,
            limits,
            index,
            writing,
            underway,
            disk,
        });
        let account = None;
        Ok(Self { inner, account })
    }

    /// The same store; what is written into it from now on is on that account.
    #[must_use]
    pub fn on(&self, account: Account) -> Self {
        Self {
            account: Some(account),
            ..self.clone()
        }
    }

    /// The artifact of `snapshot` for the source `id` of a `kind` (`gitrepository`), archived unless its files are
    /// already there. `now` is when it counts as written.
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
        let path = self.path(kind, id, snapshot);
        let _turn = self.inner.writing.acquire().await;
        let known = self.index().blob(snapshot.tree_digest());
        let account = self.account.as_ref();
        let tenant = account.map_or(id.namespace.as_str(), |account| &account.tenant);
        let record = |(digest, size)| Record {
            kind: kind.to_owned(),
            id: id.clone(),
            tenant: tenant.to_owned(),
            path: path.clone(),
            revision: snapshot.revision().clone(),
            tree: snapshot.tree_digest().to_owned(),
            digest,
            size,
            written: now,
        };
        let failed = |source| Error::Disk {
            doing: "remembered",
            source,
        };
        let kept = known.map(|known| self.index().refer(record(known)));
        let record = match kept.transpose().map_err(failed)?.flatten() {
            Some(kept) => kept,
            // There was none, or it went a moment ago.
            None => {
                let (written, _until_it_is_told) = self.archive(snapshot).await?;
                self.index().insert(record(written)).map_err(failed)?
            }
        };
        Ok(Artifact {
            revision: record.revision,
            digest: record.digest,
            tree: record.tree,
            url: format!("{}/{path}", self.inner.base),
            path,
            size: record.size,
            last_update_time: record.written,
        })
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

    /// Archives on the blocking pool: reading, compressing and hashing a large tree takes a while.
    async fn archive(&self, snapshot: &Snapshot) -> Result<((Digest, u64), Writing), Error> {
        let used = self.used();
        if used >= self.inner.limits.total_bytes {
            return Err(Error::Full {
                used,
                cap: self.inner.limits.total_bytes,
            });
        }
        let (inner, files) = (Arc::clone(&self.inner), snapshot.clone());
        let mut writing = inner.disk.write(self.account.as_ref(), false, None);
        let done = tokio::task::spawn_blocking(move || {
            let room = archive::Room {
                used,
                underway: &inner.underway,
                writing: &mut writing,
            };
            let written = archive::write(&inner.blobs, &files, &inner.limits, room)?;
            Ok::<_, Error>((written, writing))
        });
        done.await.map_err(|_| Error::Internal)?
    }

    fn index(&self) -> std::sync::MutexGuard<'_, Index> {
        self.inner
            .index
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
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

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store")
            .field("limits", &self.inner.limits)
            .finish_non_exhaustive()
    }
}
