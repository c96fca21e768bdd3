//! Archives of sources that other controllers keep: fetched, held against their digest, and opened as trees that builds read.
//!
//! Where one may lie is `core::others`'s to say. What is opened lies on the disk, in a file without a name: what is in memory is
//! the list of it, and a crash leaves nothing behind. The newest of each source is kept up to a bound over all; whoever was not
//! asked for longest goes first, of whoever has most, and is fetched again when it is needed. What is opened is on the account of the
//! source's tenant (`disk`), and makes room for what else that one has fetched when nobody has asked for it for a while. What it
//! deliberately doesn't: watch, or know who applies what; `controller::follow` and `controller::kustomization` do.

mod error;
mod fetch;
mod tree;
mod unpack;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reeve_core::artifact::Digest;
use reeve_core::failure::{Explained, Turn};
use reeve_core::others::{Hosts, Offer, gone};
use reeve_core::spec::SourceRef;
use tokio::time::Instant;

use crate::disk::{Account, Disk, Thing};
use crate::places::Places;
use error::Error;
pub(crate) use tree::{Archive, Files};

/// How many are fetched and opened at once, each for another tenant.
const PLACES: usize = 4;
/// How long one may take.
const LONGEST: Duration = Duration::from_secs(60);
/// When one is asked for again that was not there.
const AGAIN: Duration = Duration::from_secs(30);
/// How long one is kept that nobody asks for, where its tenant has no room for another.
const SPARED: Duration = Duration::from_secs(60 * 60);

/// What one archive may take, and all of them.
#[derive(Debug, Clone)]
struct Limits {
    /// Bytes of one, compressed.
    archive_bytes: u64,
    /// Bytes of one, uncompressed.
    content_bytes: u64,
    /// Bytes of one file that is read.
    file_bytes: u64,
    /// Files and directories of one.
    entries: usize,
    /// Directories within each other.
    depth: usize,
    /// Bytes of all paths of one.
    path_bytes: usize,
    /// Bytes of all that are kept, uncompressed.
    kept_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            archive_bytes: 256 << 20,
            content_bytes: 1 << 30,
            file_bytes: 50 << 20,
            entries: 100_000,
            depth: 100,
            path_bytes: 64 << 20,
            kept_bytes: 2 << 30,
        }
    }
}

/// What was fetched.
pub(crate) struct Others {
    dir: PathBuf,
    hosts: Hosts,
    limits: Limits,
    places: Places,
    disk: Disk,
    kept: Arc<Mutex<Kept>>,
}

#[derive(Default)]
struct Kept {
    all: BTreeMap<SourceRef, Held>,
    size: u64,
    /// Counts what was asked for.
    asked: u64,
}

struct Held {
    digest: Digest,
    archive: Archive,
    /// On whose account it lies.
    tenant: String,
    asked: u64,
    /// When that was.
    at: Instant,
}

impl Others {
    /// Nothing yet; what is fetched, from these hosts alone, lies in `dir` and is told in the books of a disk.
    ///
    /// # Errors
    /// When the directory cannot be made.
    pub(crate) fn open(dir: PathBuf, hosts: Hosts, disk: Disk) -> io::Result<Self> {
        std::fs::create_dir_all(&dir)?;
        let kept: Arc<Mutex<Kept>> = Arc::default();
        let weak = Arc::downgrade(&kept);
        disk.room_by(move |alone| {
            // Of all mirrors together there are no more or fewer for it.
            let (Some(tenant), Some(kept)) = (alone, weak.upgrade()) else {
                return false;
            };
            let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
            kept.make_room(tenant, Instant::now())
        });
        Ok(Self {
            dir,
            hosts,
            limits: Limits::default(),
            places: Places::new(PLACES),
            disk,
            kept,
        })
    }

    /// The hosts that are fetched from.
    pub(crate) fn hosts(&self) -> &Hosts {
        &self.hosts
    }

    /// The files of `source` as it offers them, for the tenant `whose`; from what is kept, or else from where they lie. What is
    /// fetched is on that account.
    pub(crate) async fn get(
        &self,
        source: &SourceRef,
        offer: &Offer,
        whose: &str,
        account: &Account,
    ) -> Result<Archive, Explained> {
        let deadline = Instant::now() + LONGEST;
        let have = self.have(source, offer, whose, account, deadline);
        match have.await {
            Ok(archive) => Ok(archive),
            // As Flux: what was collected there has a successor, or will have.
            Err(Error::Gone { .. }) => Err(Explained {
                turn: Turn::Later(AGAIN),
                ..gone(source)
            }),
            Err(why) => Err(Explained::of(&why)),
        }
    }

    /// The source is gone.
    pub(crate) fn forget(&self, source: &SourceRef) {
        self.kept().remove(source);
    }

    async fn have(
        &self,
        source: &SourceRef,
        offer: &Offer,
        whose: &str,
        account: &Account,
        deadline: Instant,
    ) -> Result<Archive, Error> {
        if let Some(archive) = self.kept().get(source, &offer.digest) {
            return Ok(archive);
        }
        let place = tokio::time::timeout_at(deadline, self.places.take(whose)).await;
        let place = place.ok().flatten().ok_or(Error::Busy)?;
        // Whoever held the place before may have fetched it.
        if let Some(archive) = self.kept().get(source, &offer.digest) {
            return Ok(archive);
        }
        let replaced = self.kept().thing(source);
        let mut writing = self.disk.write(Some(account), false, replaced);
        let fetched = fetch::fetch(offer, &self.dir, self.limits.archive_bytes, &mut writing);
        let late = |_| Error::Late { within: LONGEST };
        let packed = tokio::time::timeout_at(deadline, fetched)
            .await
            .map_err(late)??;
        let (dir, limits) = (self.dir.clone(), self.limits.clone());
        let opening = tokio::task::spawn_blocking(move || {
            // Held by the thread: a run that gives up does not let the next one in beside it.
            let _place = place;
            unpack::unpack(packed, &dir, &limits, deadline.into_std(), &mut writing)
        });
        let archive = opening.await.map_err(|_| Error::Internal)??;
        let held = Held {
            digest: offer.digest,
            archive: archive.clone(),
            tenant: account.tenant.clone(),
            asked: 0,
            at: Instant::now(),
        };
        self.kept()
            .put(source.clone(), held, self.limits.kept_bytes);
        Ok(archive)
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn get(&mut self, source: &SourceRef, digest: &Digest) -> Option<Archive> {
        self.asked += 1;
        let held = self.all.get_mut(source)?;
        held.asked = self.asked;
        held.at = Instant::now();
        (held.digest == *digest).then(|| held.archive.clone())
    }

    fn put(&mut self, source: SourceRef, held: Held, cap: u64) {
        self.remove(&source);
        self.asked += 1;
        self.size += held.archive.bytes();
        let asked = self.asked;
        self.all.insert(source, Held { asked, ..held });
        while self.size > cap {
            let Some(source) = self.next_to_go() else {
                return;
            };
            self.remove(&source);
        }
    }

    /// What the archive that is kept of a source is in the books.
    fn thing(&self, source: &SourceRef) -> Option<Thing> {
        self.all.get(source).map(|held| held.archive.thing())
    }

    /// Of whoever has most, the one that was asked for longest ago: who has many throws out its own.
    fn next_to_go(&self) -> Option<SourceRef> {
        let mut sizes: BTreeMap<&str, u64> = BTreeMap::new();
        for held in self.all.values() {
            *sizes.entry(&held.tenant).or_default() += held.archive.bytes();
        }
        let (most, _) = sizes.into_iter().max_by_key(|(_, size)| *size)?;
        self.oldest(|held| held.tenant == most)
    }

    /// Drops what a tenant has and nobody has asked for lately. Whether there was any.
    fn make_room(&mut self, tenant: &str, now: Instant) -> bool {
        let idle = |held: &Held| {
            let since = now.saturating_duration_since(held.at);
            held.tenant == tenant && since > SPARED && !held.archive.is_read()
        };
        let oldest = self.oldest(idle);
        if let Some(source) = &oldest {
            self.remove(source);
        }
        oldest.is_some()
    }

    /// The one of these that was asked for longest ago.
    fn oldest(&self, is_one: impl Fn(&Held) -> bool) -> Option<SourceRef> {
        let these = self.all.iter().filter(|(_, held)| is_one(held));
        let oldest = these.min_by_key(|(_, held)| held.asked);
        oldest.map(|(source, _)| source.clone())
    }

    fn remove(&mut self, source: &SourceRef) {
        let gone = self.all.remove(source);
        self.size -= gone.map_or(0, |held| held.archive.bytes());
    }
}

/// A file without a name.
fn blank(dir: &Path) -> Result<std::fs::File, Error> {
    tempfile::tempfile_in(dir).map_err(|source| Error::Disk {
        doing: "made",
        source,
    })
}

#[cfg(test)]
mod tests;
