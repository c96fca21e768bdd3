//! What each Kustomization applied last, and what was rendered of one that was denied since, on disk: one small file each,
//! named by whose it is and by what is in it.
//!
//! Read when a policy asks for it and somebody has something new to apply; which digest lies there is known without
//! reading. A file whose content is not what its name says is none. What a run has applied is held in memory until that run is
//! told, which need not wait for the disk, and counts as lying there meanwhile. It deliberately promises nothing: who finds
//! nothing renders it anew or does without (`controller::kustomization::recall`). Only the process that leads writes here.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, DirBuilder};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use reeve_core::admit::Recollection;
use reeve_core::artifact::Digest;
use sha2::{Digest as _, Sha256};

/// The largest one, before it is compressed: no policy reads more.
const LARGEST: usize = 64 << 20;
/// Bytes of all files.
const ALL: u64 = 1 << 30;
const ENDING: &str = ".json.gz";

/// All that is kept.
pub(crate) struct Recollections {
    dir: PathBuf,
    room: u64,
    files: Mutex<BTreeMap<Owner, File>>,
    /// What is not on the disk yet.
    held: Mutex<BTreeMap<Owner, Arc<Recollection>>>,
}

/// Whose one is: an object that is deleted and made again is another.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Owner(String);

impl Owner {
    pub(crate) fn of(id: &reeve_api::name::NamespacedName, uid: Option<&str>) -> Self {
        // No part holds a slash.
        let digest = Sha256::digest(format!("{id}/{}", uid.unwrap_or_default()));
        Self(hex::encode(digest))
    }

    /// The same Kustomization, as the owner of what was denied of it.
    pub(crate) fn of_denied(&self) -> Self {
        Self(hex::encode(Sha256::digest(format!("{}/denied", self.0))))
    }
}

#[derive(Debug, Clone, Copy)]
struct File {
    digest: Digest,
    size: u64,
}

impl Recollections {
    /// Those in `dir`, which nobody else may read.
    ///
    /// # Errors
    /// When the directory can be neither read nor made.
    pub(crate) fn open(dir: &Path) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
        let mut files = BTreeMap::new();
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            let size = entry.metadata()?.len();
            match entry.file_name().to_str().and_then(parse) {
                Some((owner, digest)) if !files.contains_key(&owner) => {
                    files.insert(owner, File { digest, size });
                }
                // Torn off while it was written, or one too many: nobody knows which is the newer.
                Some((owner, _)) => {
                    files.remove(&owner);
                    fs::remove_file(entry.path())?;
                }
                None => fs::remove_file(entry.path())?,
            }
        }
        Ok(Self {
            dir: dir.to_owned(),
            room: ALL,
            files: Mutex::new(files),
            held: Mutex::default(),
        })
    }

    /// What lies there, by its digest.
    pub(crate) fn digest(&self, owner: &Owner) -> Option<Digest> {
        let held = self.held().get(owner).map(|held| held.digest());
        held.or_else(|| self.files().get(owner).map(|file| file.digest))
    }

    /// What lies there. Waits for the disk.
    pub(crate) fn read(&self, owner: &Owner) -> Option<Recollection> {
        let held = self.held().get(owner).map(Arc::clone);
        if let Some(held) = held {
            return Some(Arc::unwrap_or_clone(held));
        }
        let digest = self.files().get(owner).map(|file| file.digest)?;
        let read = || -> io::Result<Vec<u8>> {
            let file = fs::File::open(self.path(owner, digest))?;
            let mut json = Vec::new();
            let most = u64::try_from(LARGEST).unwrap_or(u64::MAX);
            GzDecoder::new(file).take(most).read_to_end(&mut json)?;
            Ok(json)
        };
        let found = read().ok().and_then(|json| Recollection::parse(&json));
        let found = found.filter(|found| found.digest() == digest);
        if found.is_none() {
            self.forget(owner);
        }
        found
    }

    /// Keeps this instead of what was there, in memory until it is [settled](Self::settle).
    pub(crate) fn hold(&self, owner: &Owner, what: Recollection) {
        self.held().insert(owner.clone(), Arc::new(what));
    }

    /// Whether it is yet to be settled.
    pub(crate) fn holds(&self, owner: &Owner) -> bool {
        self.held().contains_key(owner)
    }

    /// Writes what is held. Waits for the disk.
    ///
    /// # Errors
    /// When the disk refuses, or it is too large. Then nothing is kept.
    pub(crate) fn settle(&self, owner: &Owner) -> io::Result<()> {
        let held = self.held().get(owner).map(Arc::clone);
        let Some(held) = held else { return Ok(()) };
        let written = self.store(owner, &held);
        let mut all = self.held();
        // Nobody has held another meanwhile, or that one is to be settled too.
        if all.get(owner).is_some_and(|now| Arc::ptr_eq(now, &held)) {
            all.remove(owner);
        }
        written
    }

    /// Keeps this instead of what was there. Waits for the disk.
    ///
    /// # Errors
    /// When the disk refuses, or it is too large. Then nothing is kept.
    pub(crate) fn write(&self, owner: &Owner, what: &Recollection) -> io::Result<()> {
        self.held().remove(owner);
        self.store(owner, what)
    }

    fn store(&self, owner: &Owner, what: &Recollection) -> io::Result<()> {
        let digest = what.digest();
        let written = self.put(owner, digest, &what.to_json());
        let stale = match &written {
            Ok(size) => {
                let file = File {
                    digest,
                    size: *size,
                };
                self.files().insert(owner.clone(), file)
            }
            Err(_) => self.files().remove(owner),
        };
        if let Some(stale) = stale.filter(|stale| written.is_err() || stale.digest != digest) {
            let _gone = fs::remove_file(self.path(owner, stale.digest));
        }
        self.make_room();
        written.map(|_| ())
    }

    /// Drops what is nobody's any more, and says how many that were.
    pub(crate) fn collect(&self, live: &BTreeSet<Owner>) -> usize {
        let mut known: BTreeSet<Owner> = self.files().keys().cloned().collect();
        known.extend(self.held().keys().cloned());
        let gone: Vec<_> = known.difference(live).collect();
        gone.iter().for_each(|owner| self.forget(owner));
        gone.len()
    }

    fn put(&self, owner: &Owner, digest: Digest, json: &[u8]) -> io::Result<u64> {
        if json.len() > LARGEST {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        let fresh = tempfile::NamedTempFile::new_in(&self.dir)?;
        let mut gzip = GzEncoder::new(&fresh, Compression::fast());
        gzip.write_all(json)?;
        gzip.finish()?;
        let size = fresh.as_file().metadata()?.len();
        // Not synced: what a crash tears is not what its name says.
        fresh.persist(self.path(owner, digest))?;
        Ok(size)
    }

    /// The largest go first: nobody's small one goes because somebody has many objects.
    fn make_room(&self) {
        loop {
            let largest = {
                let files = self.files();
                let used: u64 = files.values().map(|file| file.size).sum();
                if used <= self.room {
                    return;
                }
                let largest = files.iter().max_by_key(|(_, file)| file.size);
                largest.map(|(owner, _)| owner.clone())
            };
            match largest {
                Some(owner) => self.forget(&owner),
                None => return,
            }
        }
    }

    /// Drops what lies there.
    pub(crate) fn forget(&self, owner: &Owner) {
        self.held().remove(owner);
        let known = self.files().remove(owner);
        if let Some(file) = known {
            let _gone = fs::remove_file(self.path(owner, file.digest));
        }
    }

    fn path(&self, owner: &Owner, digest: Digest) -> PathBuf {
        self.dir
            .join(format!("{}-{}{ENDING}", owner.0, digest.hex()))
    }

    fn held(&self) -> MutexGuard<'_, BTreeMap<Owner, Arc<Recollection>>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn files(&self) -> MutexGuard<'_, BTreeMap<Owner, File>> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whose file it is, and what is in it.
fn parse(name: &str) -> Option<(Owner, Digest)> {
    let (owner, digest) = name.strip_suffix(ENDING)?.split_once('-')?;
    let digest = Digest::parse(&format!("sha256:{digest}")).ok()?;
    let is_hex = owner.len() == 64 && owner.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_hex.then(|| (Owner(owner.to_owned()), digest))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn recollection(text: &str) -> Recollection {
        Recollection::parse(format!("{{\"acme_a__ConfigMap\":\"{text}\"}}").as_bytes()).unwrap()
    }

    fn owner(name: &str) -> Owner {
        Owner::of(&format!("acme/{name}").parse().unwrap(), Some("1"))
    }

    #[test]
    fn what_is_kept_is_ours_alone_and_is_there_for_the_next_process() {
        let room = tempfile::tempdir().unwrap();
        let dir = room.path().join("applied");
        let kept = Recollections::open(&dir).unwrap();
        kept.write(&owner("web"), &recollection("one")).unwrap();
        kept.write(&owner("web"), &recollection("two")).unwrap();
        assert_eq!(fs::read_dir(&dir).unwrap().count(), 1);
        for entry in fs::read_dir(&dir).unwrap() {
            let mode = entry.unwrap().metadata().unwrap().permissions().mode();
            assert_eq!(mode & 0o077, 0);
        }
        assert_eq!(fs::metadata(&dir).unwrap().permissions().mode() & 0o077, 0);
        let next = Recollections::open(&dir).unwrap();
        assert_eq!(next.read(&owner("web")), Some(recollection("two")));
        assert_eq!(next.digest(&owner("other")), None);
        let again = Owner::of(&"acme/web".parse().unwrap(), Some("2"));
        assert_eq!(next.read(&again), None);
    }

    #[test]
    fn what_is_held_counts_as_kept_and_is_on_the_disk_once_it_is_settled() {
        let room = tempfile::tempdir().unwrap();
        let kept = Recollections::open(room.path()).unwrap();
        kept.write(&owner("web"), &recollection("one")).unwrap();
        kept.hold(&owner("web"), recollection("two"));
        assert_eq!(kept.read(&owner("web")), Some(recollection("two")));
        assert_eq!(
            kept.digest(&owner("web")),
            Some(recollection("two").digest())
        );
        let killed = Recollections::open(room.path()).unwrap();
        assert_eq!(killed.read(&owner("web")), Some(recollection("one")));

        kept.settle(&owner("web")).unwrap();
        assert!(!kept.holds(&owner("web")));
        kept.settle(&owner("web")).unwrap();
        let next = Recollections::open(room.path()).unwrap();
        assert_eq!(next.read(&owner("web")), Some(recollection("two")));
        assert_eq!(fs::read_dir(room.path()).unwrap().count(), 1);

        for gone in ["forgotten", "collected"] {
            kept.hold(&owner("web"), recollection(gone));
            match gone {
                "forgotten" => kept.forget(&owner("web")),
                _ => assert_eq!(kept.collect(&BTreeSet::new()), 1),
            }
            assert_eq!(kept.read(&owner("web")), None, "{gone}");
        }
    }

    #[test]
    fn what_was_changed_or_torn_on_the_disk_is_not_read() {
        let room = tempfile::tempdir().unwrap();
        let kept = Recollections::open(room.path()).unwrap();
        kept.write(&owner("web"), &recollection("one")).unwrap();
        kept.write(&owner("other"), &recollection("other")).unwrap();
        let path = |name, text: &str| kept.path(&owner(name), recollection(text).digest());
        fs::copy(path("other", "other"), path("web", "one")).unwrap();
        fs::write(path("other", "other"), "torn").unwrap();
        for name in ["web", "other"] {
            assert_eq!(kept.read(&owner(name)), None);
            assert_eq!(kept.digest(&owner(name)), None);
        }
        assert_eq!(fs::read_dir(room.path()).unwrap().count(), 0);
    }

    #[test]
    fn the_largest_goes_when_there_is_no_room_and_what_is_nobodys_is_dropped() {
        let room = tempfile::tempdir().unwrap();
        let mut kept = Recollections::open(room.path()).unwrap();
        kept.write(&owner("small"), &recollection("one")).unwrap();
        let text: String = (0..500).map(|n| format!("{}", n * 7919)).collect();
        kept.write(&owner("large"), &recollection(&text)).unwrap();
        kept.room = 300;
        kept.write(&owner("another"), &recollection("two")).unwrap();
        assert_eq!(kept.digest(&owner("large")), None);
        assert!(kept.digest(&owner("small")).is_some());
        assert_eq!(kept.collect(&[owner("another")].into()), 1);
        assert_eq!(kept.digest(&owner("small")), None);
        assert!(kept.read(&owner("another")).is_some());
    }
}
