//! A snapshot as Flux's tar.gz: the same files give the same bytes, on every machine.
//!
//! Owners, times and names of users are zero; a file is 0600, one that may be run 0700, a directory 0750. It streams:
//! a large file is in memory only if its pack holds it as a difference to another. What it deliberately doesn't:
//! symbolic links, which a snapshot has none of.

use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use flate2::Compression;
use flate2::write::GzEncoder;
use reeve_core::artifact::Digest;
use sha2::{Digest as _, Sha256};
use tar::{Builder, EntryType, Header};
use tempfile::NamedTempFile;

use super::{Error, Limits};
use crate::disk::{Over, Writing};
use crate::git::Snapshot;

/// What there is room for.
pub(super) struct Room<'a> {
    /// Bytes of all archives that are there.
    pub(super) used: u64,
    /// Bytes of those that are being written.
    pub(super) underway: &'a AtomicU64,
    /// Whoever it is for may have no more than it may.
    pub(super) writing: &'a mut Writing,
    /// Set when nobody waits for it any more.
    pub(super) stop: &'a AtomicBool,
}

/// An archive that is written, and has no name yet; unless it gets one, it goes with this.
pub(super) struct Written {
    file: NamedTempFile,
    tree: String,
    pub(super) digest: Digest,
    pub(super) size: u64,
}

impl Written {
    /// Gives it the name [`file_name`] in `blobs`, where it lies from now on. Returns where that is.
    pub(super) fn persist(self, blobs: &Path) -> Result<PathBuf, Error> {
        let path = blobs.join(file_name(&self.tree, &self.digest));
        let kept = self.file.persist(&path);
        kept.map_err(|error| unwritten(error.error))?;
        Ok(path)
    }
}

/// Writes the archive into a file in `blobs`, and stops when nobody waits for it any more.
pub(super) fn write(
    blobs: &Path,
    snapshot: &Snapshot,
    limits: &Limits,
    room: Room<'_>,
) -> Result<Written, Error> {
    let (used, stop) = (room.used, room.stop);
    let fresh = NamedTempFile::new_in(blobs).map_err(unwritten)?;
    let counted = Counted {
        file: fresh.as_file(),
        hash: Sha256::new(),
        size: 0,
        cap: limits.archive_bytes,
        room: limits.total_bytes.saturating_sub(used),
        underway: room.underway,
        writing: room.writing,
        stop,
    };
    let gzip = GzEncoder::new(
        BufWriter::with_capacity(64 << 10, counted),
        Compression::default(),
    );
    let mut archive = Builder::new(gzip);
    let added = add_all(&mut archive, snapshot, limits, stop);
    let finished = added.and_then(|()| {
        let gzip = archive.into_inner().map_err(unwritten)?;
        let buffer = gzip.finish().map_err(unwritten)?;
        buffer
            .into_inner()
            .map_err(|error| unwritten(error.into_error()))
    });
    let counted = finished.map_err(|error| match error {
        _ if stop.load(Ordering::Relaxed) => Error::Abandoned,
        Error::Disk { source, .. } if source.kind() == io::ErrorKind::FileTooLarge => {
            Error::TooLarge {
                what: "it is larger when compressed",
                cap: limits.archive_bytes,
            }
        }
        Error::Disk { source, .. } if source.kind() == io::ErrorKind::StorageFull => Error::Full {
            used,
            cap: limits.total_bytes,
        },
        Error::Disk { doing, source } => match source.downcast::<Over>() {
            Ok(source) => Error::Quota { source },
            Err(source) => Error::Disk { doing, source },
        },
        error => error,
    })?;
    let digest = Digest::from_sha256(counted.hash.clone().finalize().into());
    let size = counted.size;
    drop(counted);
    // Not synced: what a crash tears is not what its name says, and is found out before it is used.
    let (file, tree) = (fresh, snapshot.tree_digest().to_owned());
    Ok(Written {
        file,
        tree,
        digest,
        size,
    })
}

/// Whether the file's content is what its name says.
pub(super) fn is_whole(path: &Path, digest: &Digest) -> bool {
    let read = || -> io::Result<Digest> {
        let (mut file, mut hash) = (File::open(path)?, Sha256::new());
        let mut some = vec![0; 64 << 10];
        loop {
            match file.read(&mut some)? {
                0 => return Ok(Digest::from_sha256(hash.finalize().into())),
                count => hash.update(some.get(..count).unwrap_or_default()),
            }
        }
    };
    read().is_ok_and(|found| found == *digest)
}

fn unwritten(source: io::Error) -> Error {
    Error::Disk {
        doing: "written",
        source,
    }
}

/// What an archive is called on disk: by its content, before and after compression.
pub(super) fn file_name(tree: &str, digest: &Digest) -> String {
    format!("{tree}-{}.tar.gz", digest.hex())
}

/// The tree and the digest in a [`file_name`].
pub(super) fn parse_file_name(name: &str) -> Option<(String, Digest)> {
    let (tree, digest) = name.strip_suffix(".tar.gz")?.split_once('-')?;
    Some((
        tree.to_owned(),
        Digest::parse(&format!("sha256:{digest}")).ok()?,
    ))
}

fn add_all<W: Write>(
    archive: &mut Builder<W>,
    snapshot: &Snapshot,
    limits: &Limits,
    stop: &AtomicBool,
) -> Result<(), Error> {
    let mut left = limits.content_bytes;
    for entry in snapshot.entries() {
        if stop.load(Ordering::Relaxed) {
            return Err(Error::Abandoned);
        }
        let mut header = Header::new_gnu();
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        if entry.dir {
            header.set_entry_type(EntryType::Directory);
            header.set_mode(0o750);
            header.set_size(0);
            let path = format!("{}/", entry.path);
            archive
                .append_data(&mut header, path, io::empty())
                .map_err(unwritten)?;
            continue;
        }
        let failed = |source| Error::File { source };
        let (size, content) = snapshot.open(entry.path).map_err(failed)?;
        let what = "the files are larger together";
        let too_large = Error::TooLarge {
            what,
            cap: limits.content_bytes,
        };
        left = left.checked_sub(size).ok_or(too_large)?;
        header.set_entry_type(EntryType::Regular);
        header.set_mode(if entry.executable { 0o700 } else { 0o600 });
        header.set_size(size);
        archive
            .append_data(&mut header, entry.path, Whole::of(content, size, stop))
            .map_err(unwritten)?;
    }
    Ok(())
}

/// Content of which exactly so much has to come: the archive has announced it.
struct Whole<'a, R> {
    content: R,
    left: u64,
    stop: &'a AtomicBool,
}

impl<'a, R: Read> Whole<'a, R> {
    fn of(content: R, size: u64, stop: &'a AtomicBool) -> Self {
        Self {
            content,
            left: size,
            stop,
        }
    }
}

impl<R: Read> Read for Whole<'_, R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        // What compresses well writes little, and is read for a long time.
        if self.stop.load(Ordering::Relaxed) {
            return Err(abandoned());
        }
        let count = self.content.read(into)?;
        let came = u64::try_from(count).unwrap_or(u64::MAX);
        let left = self.left.checked_sub(came);
        match left {
            Some(left) if count > 0 || left == 0 || into.is_empty() => self.left = left,
            _ => {
                return Err(io::Error::other(
                    "a file of the mirror is not as long as it says",
                ));
            }
        }
        Ok(count)
    }
}

/// Hashes and counts what is written, up to a cap, and up to what the store has room for with all that are written at
/// the same time.
struct Counted<'a> {
    file: &'a File,
    hash: Sha256,
    size: u64,
    cap: u64,
    room: u64,
    underway: &'a AtomicU64,
    writing: &'a mut Writing,
    stop: &'a AtomicBool,
}

/// Seen by nobody: that it stopped is looked up where it is told.
fn abandoned() -> io::Error {
    io::Error::other("nobody waits for the archive any more")
}

impl Write for Counted<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.stop.load(Ordering::Relaxed) {
            return Err(abandoned());
        }
        let written = self.file.write(bytes)?;
        self.hash.update(bytes.get(..written).unwrap_or_default());
        let count = u64::try_from(written).unwrap_or(u64::MAX);
        self.size += count;
        let underway = self.underway.fetch_add(count, Ordering::Relaxed) + count;
        if self.size > self.cap {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        if underway > self.room {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.writing.more(count).map_err(io::Error::other)?;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.underway.fetch_sub(self.size, Ordering::Relaxed);
    }
}
