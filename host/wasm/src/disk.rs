//! Machine code on disk, so that a start does not compile what was compiled before.
//!
//! ```text
//! DIR/                       0700, ours
//!   key                      0600, ours: 32 random bytes, made once
//!   <component>-<engine>     0600: machine code, then its HMAC-SHA256 over component, engine and code
//!   new-…                    being written; renamed when it is whole
//! ```
//!
//! Loading machine code is running it: an entry is loaded only if it was made with the key of this
//! directory, for this component, by this version with these settings. Whatever else lies there is
//! not looked at, and what is damaged is thrown away. A directory that others may read or write is
//! not used at all. It deliberately keeps no refusals, and no locks: two controllers may share it, and
//! at worst both compile.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::hash::{Hash as _, Hasher};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use hmac::{Hmac, KeyInit as _, Mac as _};
use rand::Rng as _;
use sha2::{Digest as _, Sha256};
use wasmtime::Engine;

/// Bytes of the code at the end of an entry.
const TAG: usize = 32;
/// How old something half-written is when nobody writes it any more.
const ABANDONED: Duration = Duration::from_secs(3600);

/// A directory of machine code.
#[derive(Debug)]
pub(crate) struct Disk {
    directory: PathBuf,
    key: [u8; 32],
    /// What code depends on besides the component: version, settings, processor.
    engine: String,
    most: u64,
    written: AtomicU64,
}

impl Disk {
    /// The cache in `directory`, made if there is none, holding at most `most` bytes of code for
    /// `engine`.
    pub(crate) fn open(directory: &Path, engine: &Engine, most: u64) -> io::Result<Self> {
        match DirBuilder::new().mode(0o700).create(directory) {
            Err(why) if why.kind() != io::ErrorKind::AlreadyExists => return Err(why),
            _ => {}
        }
        let mut disk = Self {
            directory: directory.to_owned(),
            key: [0; 32],
            engine: fingerprint(engine),
            most,
            written: AtomicU64::new(0),
        };
        disk.key = disk.key()?;
        Ok(disk)
    }

    /// The machine code of the component with `digest`, if it is there and ours. The file holds the
    /// code and, after it, what nobody reads.
    pub(crate) fn get(&self, digest: &str) -> Option<File> {
        let path = self.path(digest);
        let mut file = open(&path).ok()?;
        if self.holds(digest, &mut file).unwrap_or(false) {
            // The one that was used last goes last. If it cannot be said, it goes earlier.
            let _said = file.set_modified(SystemTime::now());
            return Some(file);
        }
        tracing::warn!(path = %path.display(), "this entry of the plugin cache is damaged or foreign: it is thrown away");
        let _gone = fs::remove_file(&path);
        None
    }

    /// Keeps `code` for the component with `digest`.
    pub(crate) fn put(&self, digest: &str, code: &[u8]) -> io::Result<()> {
        let size = code.len() as u64;
        if size > self.most {
            return Ok(());
        }
        self.trim(size);
        let mut tag = self.begin(digest, size);
        tag.update(code);
        let (mut file, fresh) = self.fresh()?;
        let kept = (file.write_all(code))
            .and_then(|()| file.write_all(&tag.finalize().into_bytes()))
            // No fsync: what a crash leaves torn fails its test and is compiled again.
            .and_then(|()| fs::rename(&fresh, self.path(digest)));
        if kept.is_err() {
            let _gone = fs::remove_file(&fresh);
        }
        kept
    }

    fn path(&self, digest: &str) -> PathBuf {
        let component = digest.strip_prefix("sha256:").unwrap_or(digest);
        self.directory.join(format!("{component}-{}", self.engine))
    }

    fn fresh(&self) -> io::Result<(File, PathBuf)> {
        let number = self.written.fetch_add(1, Ordering::Relaxed);
        let name = format!(
            "new-{}-{number}-{:x}",
            std::process::id(),
            rand::random::<u64>()
        );
        let path = self.directory.join(name);
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)?;
        Ok((file, path))
    }

    fn begin(&self, digest: &str, size: u64) -> Hmac<Sha256> {
        let mut tag = Hmac::<Sha256>::new_from_slice(&self.key)
            .expect("because HMAC takes a key of any length");
        for part in [digest, &self.engine] {
            tag.update(&(part.len() as u64).to_le_bytes());
            tag.update(part.as_bytes());
        }
        tag.update(&size.to_le_bytes());
        tag
    }

    /// Whether `file` is what `put` once wrote for `digest`.
    fn holds(&self, digest: &str, file: &mut File) -> io::Result<bool> {
        let length = file.metadata()?.len();
        let Some(mut left) = length.checked_sub(TAG as u64) else {
            return Ok(false);
        };
        if left > self.most {
            return Ok(false);
        }
        let mut tag = self.begin(digest, left);
        let mut buffer = vec![0; 128 << 10];
        while left > 0 {
            let wanted = buffer
                .len()
                .min(usize::try_from(left).unwrap_or(usize::MAX));
            let Some(piece) = buffer.get_mut(..wanted) else {
                return Ok(false);
            };
            file.read_exact(piece)?;
            tag.update(piece);
            left -= wanted as u64;
        }
        let mut found = [0; TAG];
        file.read_exact(&mut found)?;
        file.rewind()?;
        Ok(tag.verify_slice(&found).is_ok())
    }

    /// Makes room for `more` bytes: who was used least recently goes first.
    fn trim(&self, more: u64) {
        let mut entries = self.entries();
        entries.sort();
        let mut held: u64 = entries.iter().map(|(_, size, _)| size).sum();
        for (_, size, path) in entries {
            if held.saturating_add(more) <= self.most {
                break;
            }
            // Another controller may have been faster.
            let _gone = fs::remove_file(path);
            held -= size;
        }
    }

    /// When each entry was used last, its size and its path; what was never finished goes on the way.
    fn entries(&self) -> Vec<(SystemTime, u64, PathBuf)> {
        let Ok(listing) = fs::read_dir(&self.directory) else {
            return Vec::new();
        };
        let mut entries = Vec::new();
        for entry in listing.filter_map(Result::ok) {
            let name = entry.file_name();
            let Some(about) = entry.metadata().ok().filter(fs::Metadata::is_file) else {
                continue;
            };
            let used = about.modified().unwrap_or(SystemTime::UNIX_EPOCH);
            if name == "key" {
                continue;
            }
            if name.to_string_lossy().starts_with("new-") {
                if used.elapsed().is_ok_and(|age| age > ABANDONED) {
                    let _gone = fs::remove_file(entry.path());
                }
                continue;
            }
            entries.push((used, about.len(), entry.path()));
        }
        entries
    }

    /// The key of the directory. Two that come at once agree on one: a link is made by the first only.
    fn key(&self) -> io::Result<[u8; 32]> {
        let path = self.directory.join("key");
        // Whoever makes a file here sees in it who we are.
        let (mut file, fresh) = self.fresh()?;
        let made = (|| {
            let us = file.metadata()?.uid();
            private(&fs::symlink_metadata(&self.directory)?, us, true)?;
            let mut key = [0; 32];
            rand::rng().fill_bytes(&mut key);
            file.write_all(&key)?;
            file.sync_all()?;
            match fs::hard_link(&fresh, &path) {
                Err(why) if why.kind() != io::ErrorKind::AlreadyExists => return Err(why),
                _ => {}
            }
            let mut kept = open(&path)?;
            let about = kept.metadata()?;
            private(&about, us, false)?;
            if about.len() != key.len() as u64 {
                return Err(io::Error::other("its key is damaged; remove it"));
            }
            kept.read_exact(&mut key)?;
            Ok(key)
        })();
        fs::remove_file(&fresh)?;
        made
    }
}

/// Opens what is a file, not what a link leads to.
fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NOFOLLOW)
        .open(path)
}

/// Nobody but us may have read or written it.
fn private(about: &fs::Metadata, us: u32, directory: bool) -> io::Result<()> {
    let right_kind = if directory {
        about.is_dir()
    } else {
        about.is_file()
    };
    let what = if directory {
        "the directory"
    } else {
        "its key"
    };
    if !right_kind {
        Err(io::Error::other(format!(
            "{what} is a link or something else"
        )))
    } else if about.uid() != us {
        Err(io::Error::other(format!("{what} belongs to somebody else")))
    } else if about.mode() & 0o077 != 0 {
        let mode = about.mode() & 0o777;
        Err(io::Error::other(format!(
            "{what} is open to others (mode {mode:o})"
        )))
    } else {
        Ok(())
    }
}

/// What wasmtime says that compiled code depends on, in short.
fn fingerprint(engine: &Engine) -> String {
    struct Sha(Sha256);
    impl Hasher for Sha {
        fn write(&mut self, bytes: &[u8]) {
            self.0.update(bytes);
        }
        fn finish(&self) -> u64 {
            0
        }
    }
    let mut hasher = Sha(Sha256::new());
    engine.precompile_compatibility_hash().hash(&mut hasher);
    let mut text = hex::encode(hasher.0.finalize());
    text.truncate(32);
    text
}

#[cfg(test)]
mod tests;
