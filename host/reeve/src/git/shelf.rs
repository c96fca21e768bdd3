//! All mirrors: which there are, on whose account they are written, and which goes when there is no room.
//!
//! A mirror is a cache, so the one that was used least recently may go at any time, but never one in use: whose files a
//! snapshot reads, which includes everything that is in store of a source, or which somebody fetches into or pushes from. After a
//! start nobody may have come to read yet what the process before had; what is noted of it counts as read for a while.
//!
//! What it deliberately doesn't: know who a tenant is, or what one may have; that is in the account (`disk`).

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::mirror::{Generation, Mirror, bytes_in, numbers, written_in};
use super::{Remote, Snapshot};
use crate::disk::{Account, Disk, Over, Thing, Writing};
use crate::keyfile;

/// All mirrors of this process, and the threads that may work on them at once. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Mirrors {
    shelf: Arc<Shelf>,
    key: [u8; 32],
    permits: Permits,
    account: Option<Account>,
    /// Whether they are those of requests.
    of_requests: bool,
    /// What goes once what is fetched is there.
    instead: Vec<Thing>,
}

#[derive(Debug)]
struct Shelf {
    root: PathBuf,
    open: Mutex<HashMap<String, Arc<Mirror>>>,
    disk: Disk,
    since: Instant,
}

/// How many threads of the blocking pool git may hold at once: it must leave some for others.
#[derive(Debug, Clone)]
pub(super) struct Permits(Arc<Semaphore>);

/// How long after a start a mirror that is noted counts as read, whether anybody came for it or not.
const SETTLING: Duration = Duration::from_secs(10 * 60);

impl Mirrors {
    /// The mirrors under `<storage>/mirrors`, worked on by at most `threads` threads at once, as many bytes as it takes.
    ///
    /// # Errors
    /// When the directory can be neither read nor made.
    pub fn open(storage: &Path, threads: usize) -> std::io::Result<Self> {
        Self::open_on(storage, threads, Disk::default())
    }

    /// The same, told in the books of a disk.
    ///
    /// # Errors
    /// When the directory can be neither read nor made.
    pub fn open_on(storage: &Path, threads: usize, disk: Disk) -> std::io::Result<Self> {
        let root = storage.join("mirrors");
        std::fs::create_dir_all(&root)?;
        let key = keyfile::read_or_make(&storage.join("mirrors.key"))?;
        for entry in std::fs::read_dir(&root)? {
            let dir = entry?.path();
            for number in numbers(&dir) {
                let thing = Thing::Mirror(name_of(&dir), number);
                let inner = dir.join(number.to_string());
                disk.set(thing.clone(), bytes_in(&inner));
                disk.set_written(thing, written_in(&inner));
            }
        }
        let shelf = Shelf {
            root,
            open: Mutex::default(),
            disk: disk.clone(),
            since: Instant::now(),
        };
        let shelf = Arc::new(shelf);
        let weak = Arc::downgrade(&shelf);
        disk.room_by(move |alone| weak.upgrade().is_some_and(|shelf| shelf.make_room(alone)));
        Ok(Self {
            shelf,
            key,
            permits: Permits(Arc::new(Semaphore::new(threads.max(1)))),
            account: None,
            of_requests: false,
            instead: Vec::new(),
        })
    }

    /// This process is about to end: what somebody has now lies there for the next one.
    pub(crate) fn leave(&self) {
        self.shelf.disk.close();
    }

    /// The books that they are told in.
    pub(crate) fn disk(&self) -> Disk {
        self.shelf.disk.clone()
    }

    /// The same mirrors; what is written into them from now on is on that account.
    #[must_use]
    pub fn on(&self, account: Account) -> Self {
        Self {
            account: Some(account),
            ..self.clone()
        }
    }

    /// The same mirrors; what whoever fetches has in others goes once it has what it fetches, and does not count beside it: with
    /// another login or from another address the same files come into another mirror, and none is let go of before.
    #[must_use]
    pub(crate) fn instead_of(&self, things: impl IntoIterator<Item = Thing>) -> Self {
        Self {
            instead: things.into_iter().collect(),
            ..self.clone()
        }
    }

    /// The same, of the mirror that the commit of a snapshot lies in.
    #[must_use]
    pub fn in_place_of(&self, snapshot: &Snapshot) -> Self {
        self.instead_of(snapshot.lies_in())
    }

    /// Mirrors of the same remotes for what others propose there: none of it comes into a mirror that something is applied from,
    /// and it has room of its own.
    #[must_use]
    pub fn of_requests(&self) -> Self {
        Self {
            account: self.account.clone().map(Account::of_requests),
            of_requests: true,
            instead: Vec::new(),
            ..self.clone()
        }
    }

    /// Whose account this is has no use for a mirror any more. It goes, if nobody else has one: at once, or with whoever reads it.
    pub(crate) fn left(&self, mirror: &str) {
        let Some(account) = &self.account else {
            return;
        };
        self.shelf.disk.left(mirror, &account.tenant);
        let mut open = self.shelf.open();
        // Whoever works with it may be about to use it; and so may somebody else who had something in it before this process.
        let is_held = open.get(mirror).is_none_or(|it| Arc::strong_count(it) > 1);
        let noted = self.shelf.noted().into_iter();
        let is_awaited = noted.filter(|name| name == mirror).count() > 1;
        if !is_held && !is_awaited && self.shelf.disk.is_nobodys(mirror) {
            self.shelf.drop_mirror(&mut open, mirror).ok();
        }
    }

    /// Forgets mirrors that nobody reads, and that nobody asked for since `idle`.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn collect(&self, idle: Duration) -> std::io::Result<usize> {
        let mut dropped = 0;
        let mut open = self.shelf.open();
        for entry in std::fs::read_dir(&self.shelf.root)? {
            let path = entry?.path();
            let name = name_of(&path);
            let used = match open.get(&name) {
                Some(mirror) if is_in_use(mirror) => continue,
                Some(mirror) => mirror.used(),
                None => modified(&path),
            };
            if used.elapsed().unwrap_or_default() < idle {
                continue;
            }
            self.shelf.drop_mirror(&mut open, &name)?;
            dropped += 1;
        }
        if self.shelf.since.elapsed() > SETTLING {
            open.values().for_each(|mirror| mirror.settle());
        }
        let all = open.values();
        all.for_each(|mirror| mirror.give_up_what_was_left());
        drop(open);
        self.collect_notes()?;
        Ok(dropped)
    }

    pub(super) fn permits(&self) -> &Permits {
        &self.permits
    }

    /// The directory that all of them lie in.
    pub(super) fn root(&self) -> &Path {
        &self.shelf.root
    }

    /// What pays for what is written.
    pub(super) fn purse(&self) -> Purse {
        Purse {
            shelf: Arc::clone(&self.shelf),
            account: self.account.clone(),
            instead: self.instead.clone(),
        }
    }

    /// The mirror of `remote`, which may still be empty.
    pub(super) fn of(&self, remote: &Remote) -> Arc<Mirror> {
        self.named(self.keyed(&self.what(remote)))
    }

    /// The mirror of `remote` that has all directories of its commits, and only some of their files; it may still be empty.
    pub(super) fn partial_of(&self, remote: &Remote) -> Arc<Mirror> {
        let what = [&self.what(remote)[..], b"partial"].concat();
        self.named(self.keyed(&what))
    }

    /// What tells a mirror from all others.
    fn what(&self, remote: &Remote) -> Vec<u8> {
        let mut what = remote.fingerprint().to_vec();
        if self.of_requests {
            what.extend_from_slice(b"requests");
        }
        what
    }

    /// Keyed, so that a file's name says nothing about a weak password.
    pub(super) fn keyed(&self, what: &[u8]) -> String {
        let mac = Hmac::<Sha256>::new_from_slice(&self.key).expect("because any length is a key");
        hex::encode(mac.chain_update(what).finalize().into_bytes())
    }

    /// The mirror that is called so.
    pub(super) fn named(&self, name: String) -> Arc<Mirror> {
        let mut open = self.shelf.open();
        let mirror = open.entry(name).or_insert_with_key(|name| {
            let dir = self.shelf.root.join(name);
            Arc::new(Mirror::of(dir, self.shelf.disk.clone()))
        });
        mirror.touch();
        Arc::clone(mirror)
    }
}

impl Permits {
    pub(super) async fn one(&self) -> Option<OwnedSemaphorePermit> {
        // Closed never, so an error cannot be; a missing permit would only mean one thread more.
        Arc::clone(&self.0).acquire_owned().await.ok()
    }
}

impl Shelf {
    fn open(&self) -> MutexGuard<'_, HashMap<String, Arc<Mirror>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Drops what nobody reads of a mirror. As long as somebody reads the rest of it, it stays known, and the rest goes with them.
    fn drop_mirror(
        &self,
        open: &mut HashMap<String, Arc<Mirror>>,
        name: &str,
    ) -> std::io::Result<()> {
        let dir = self.root.join(name);
        match open.get(name) {
            Some(mirror) => {
                mirror.retire();
                mirror.settle();
                if !mirror.is_read() {
                    open.remove(name);
                    std::fs::remove_dir(dir).ok();
                }
            }
            None => {
                std::fs::remove_dir_all(dir)?;
                self.disk.mirror_gone(name);
            }
        }
        Ok(())
    }

    /// Drops the mirror that was used least recently of those that nobody uses now, and that are used by this tenant alone. Whether
    /// there was one.
    fn make_room(&self, alone: Option<&str>) -> bool {
        let awaited = self.awaited();
        let mut open = self.open();
        let entries = std::fs::read_dir(&self.root).into_iter().flatten();
        let mut idle: Vec<(SystemTime, String)> = Vec::new();
        for entry in entries.flatten() {
            let name = name_of(&entry.path());
            let mirror = open.get(&name);
            let is_known = mirror.is_some_and(|mirror| mirror.is_known());
            if !is_known && awaited.contains(&name) {
                continue;
            }
            let used = match mirror {
                Some(mirror) if is_in_use(mirror) => continue,
                Some(mirror) => mirror.used(),
                None => modified(&entry.path()),
            };
            let fits = alone.is_none_or(|tenant| self.disk.is_only_of(&name, tenant));
            if fits && !numbers(&entry.path()).is_empty() {
                idle.push((used, name));
            }
        }
        idle.sort();
        let mut oldest = idle.into_iter();
        let dropped = oldest.find(|(_, name)| self.drop_mirror(&mut open, name).is_ok());
        if let Some((_, mirror)) = &dropped {
            tracing::info!(%mirror, "a mirror that nobody uses made room for another");
        }
        dropped.is_some()
    }

    /// The mirrors that somebody had something in before this process, and may not have come for yet.
    fn awaited(&self) -> BTreeSet<String> {
        self.noted().into_iter().collect()
    }

    /// The same, as often as somebody had.
    fn noted(&self) -> Vec<String> {
        if self.since.elapsed() > SETTLING {
            return Vec::new();
        }
        let notes = std::fs::read_dir(super::kept::notes(&self.root));
        let notes = notes.into_iter().flatten().flatten();
        let texts = notes.filter_map(|note| std::fs::read_to_string(note.path()).ok());
        let names = texts.filter_map(|text| text.split_once(' ').map(|(name, _)| name.to_owned()));
        names.collect()
    }
}

/// What pays for what is written into mirrors.
#[derive(Debug, Clone)]
pub(super) struct Purse {
    shelf: Arc<Shelf>,
    account: Option<Account>,
    instead: Vec<Thing>,
}

impl Purse {
    /// Whose it is; nobody's is one's.
    pub(super) fn whose(&self) -> &str {
        let account = self.account.as_ref();
        account.map_or("", |account| &account.tenant)
    }

    /// Something is about to be written into it.
    pub(super) fn begin(&self, generation: &Generation) -> Payment {
        let account = self.account.as_ref();
        // What is in the same mirror stays where it is, unless it was given up.
        let is_elsewhere = |thing: &&Thing| match thing {
            Thing::Mirror(name, _) => Some(name.as_str()) != generation.mirror(),
            Thing::Archive(_) | Thing::Opened(_) => false,
        };
        let elsewhere = self.instead.iter().filter(is_elsewhere).cloned();
        let replaced = elsewhere.chain(generation.replaces());
        Payment(self.shelf.disk.write(account, true, replaced))
    }

    /// It is used by whoever this is for.
    pub(super) fn uses(&self, generation: &Generation) {
        if let Some(account) = &self.account {
            self.shelf.disk.used_by(generation.thing(), &account.tenant);
        }
    }

    /// So many bytes of it were written for whoever this is for.
    pub(super) fn wrote(&self, generation: &Generation, bytes: u64) {
        if let Some(account) = self.account.as_ref().filter(|_| bytes > 0) {
            let disk = &self.shelf.disk;
            let written = disk.wrote(generation.thing(), &account.tenant, bytes);
            // Where it cannot be kept it counts for nobody after a start: it lies there all the same.
            generation.remember_written(&written).ok();
        }
    }

    /// Whether nobody else uses the mirror that it is of.
    pub(super) fn is_alone_in(&self, generation: &Generation) -> bool {
        let account = self.account.as_ref().zip(generation.mirror());
        account.is_some_and(|(account, mirror)| self.shelf.disk.is_only_of(mirror, &account.tenant))
    }
}

/// What is paid for as it is written.
#[derive(Debug)]
pub(super) struct Payment(Writing);

impl Payment {
    /// So many bytes more.
    pub(super) fn pay(&mut self, bytes: u64) -> Result<(), Over> {
        self.0.more(bytes)
    }
}

/// Who works with it holds it; who reads its files holds what is in it.
fn is_in_use(mirror: &Arc<Mirror>) -> bool {
    Arc::strong_count(mirror) > 1 || mirror.is_in_use()
}

fn name_of(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

/// When something was last fetched into a mirror that this process has not opened.
fn modified(mirror: &Path) -> SystemTime {
    let inner = numbers(mirror).into_iter();
    let inner = inner.map(|number| mirror.join(number.to_string()));
    let times = inner.chain([mirror.to_owned()]).filter_map(|dir| {
        let about = std::fs::metadata(dir).ok()?;
        about.modified().ok()
    });
    times.max().unwrap_or(SystemTime::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(mirrors: &Mirrors, name: &str, bytes: usize) -> (Arc<Mirror>, Arc<Generation>) {
        let mirror = mirrors.named(name.to_owned());
        let generation = mirror.writable(gix::hash::Kind::Sha1).unwrap();
        for end in ["pack", "idx"] {
            let path = generation.packs().join(format!("pack-1.{end}"));
            std::fs::write(path, vec![0; bytes / 2]).unwrap();
        }
        generation.measure();
        mirrors.purse().wrote(&generation, bytes as u64);
        (mirror, generation)
    }

    fn tenant(name: &str, allowed: u64) -> Account {
        Account {
            tenant: name.to_owned(),
            allowed: Some(allowed),
        }
    }

    fn left(mirrors: &Mirrors) -> BTreeSet<String> {
        let dirs = std::fs::read_dir(mirrors.root()).unwrap();
        let dirs = dirs.map(|dir| dir.unwrap().path());
        let dirs = dirs.filter(|dir| !numbers(dir).is_empty());
        dirs.map(|dir| name_of(&dir)).collect()
    }

    fn names(all: &[&str]) -> BTreeSet<String> {
        all.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn the_least_recently_used_goes_first_and_none_that_is_in_use() {
        let dir = tempfile::tempdir().unwrap();
        let mirrors = Mirrors::open_on(dir.path(), 1, Disk::new(1 << 20)).unwrap();
        // A snapshot reads the first; the second and the third are there for nobody by now.
        let (_, _read) = fill(&mirrors, "read", 300 << 10);
        drop(fill(&mirrors, "older", 300 << 10));
        drop(fill(&mirrors, "newer", 300 << 10));
        mirrors.named("newer".to_owned()).touch();
        let (_held, into) = fill(&mirrors, "into", 0);
        let mut payment = mirrors.purse().begin(&into);
        payment.pay(100 << 10).unwrap();
        assert_eq!(left(&mirrors), names(&["read", "older", "newer", "into"]));
        payment.pay(200 << 10).unwrap();
        assert_eq!(left(&mirrors), names(&["read", "newer", "into"]));
        assert!(payment.pay(900 << 10).is_err());
        assert_eq!(left(&mirrors), names(&["read", "into"]));
    }

    #[test]
    fn what_somebody_reads_of_a_mirror_that_was_given_up_stays_however_often_it_is_looked_over() {
        let dir = tempfile::tempdir().unwrap();
        let mirrors = Mirrors::open_on(dir.path(), 1, Disk::new(1 << 20)).unwrap();
        let acme = mirrors.on(tenant("acme", 1 << 20));
        let (mirror, retired) = fill(&mirrors, "retired", 300 << 10);
        mirror.retire();
        drop(mirror);
        let (_, parted) = fill(&acme, "parted", 300 << 10);
        acme.left("parted");
        let (_, idle) = fill(&mirrors, "idle", 1 << 10);
        let (_held, into) = fill(&mirrors, "into", 0);
        for _ in 0..3 {
            assert!(mirrors.purse().begin(&into).pay(900 << 10).is_err());
            assert_eq!(mirrors.collect(Duration::ZERO).unwrap(), 0);
        }
        for read in [&retired, &parted, &idle] {
            assert!(read.packs().join("pack-1.pack").exists());
        }
        let was = [&retired, &parted, &idle].map(|read| read.packs());
        drop((retired, parted, idle));
        // What was given up goes with its reader, and the other when it is looked over.
        let there = |was: &[PathBuf; 3]| [0, 1, 2].map(|n| was[n].exists());
        assert_eq!(there(&was), [false, false, true]);
        mirrors.collect(Duration::ZERO).unwrap();
        assert_eq!(there(&was), [false; 3]);
        assert_eq!(left(&mirrors), names(&["into"]));
    }

    #[test]
    fn a_tenant_that_has_all_it_may_have_gives_up_what_it_alone_had_and_nobody_elses() {
        let dir = tempfile::tempdir().unwrap();
        let mirrors = Mirrors::open(dir.path(), 1).unwrap();
        let acme = mirrors.on(tenant("acme", 1 << 20));
        let other = mirrors.on(tenant("other", 1 << 20));
        drop(fill(&other, "others", 600 << 10));
        drop(fill(&acme, "own", 600 << 10));
        drop(fill(&acme, "shared", 300 << 10));
        drop(fill(&other, "shared", 300 << 10));
        let (_held, into) = fill(&acme, "into", 0);
        let mut payment = acme.purse().begin(&into);
        payment.pay(600 << 10).unwrap();
        assert_eq!(left(&mirrors), names(&["others", "shared", "into"]));
        let over = payment.pay(200 << 10).unwrap_err();
        assert!(matches!(over, Over::Tenant { .. }), "{over}");
        assert_eq!(left(&mirrors), names(&["others", "shared", "into"]));
    }

    #[test]
    fn what_its_last_user_has_left_goes_once_nobody_reads_it_and_what_another_uses_stays() {
        let dir = tempfile::tempdir().unwrap();
        let disk = Disk::default();
        let mirrors = Mirrors::open_on(dir.path(), 1, disk.clone()).unwrap();
        let acme = mirrors.on(tenant("acme", 1 << 20));
        let other = mirrors.on(tenant("other", 1 << 20));
        drop(fill(&acme, "gone", 300 << 10));
        let (_, read) = fill(&acme, "read", 300 << 10);
        drop(fill(&acme, "shared", 300 << 10));
        drop(fill(&other, "shared", 1 << 10));
        for name in ["gone", "read", "shared"] {
            acme.left(name);
        }
        assert_eq!(left(&mirrors), names(&["read", "shared"]));
        drop(read);
        assert_eq!(left(&mirrors), names(&["shared"]));
        assert_eq!(disk.used("acme"), 0);
        // Nor is what two had something in before this process, of whom one has not come yet.
        let notes = super::super::kept::notes(mirrors.root());
        std::fs::create_dir_all(&notes).unwrap();
        for note in ["own", "another's"] {
            std::fs::write(notes.join(note), "noted 1234\n").unwrap();
        }
        drop(fill(&acme, "noted", 1 << 10));
        acme.left("noted");
        assert_eq!(left(&mirrors), names(&["noted", "shared"]));
        std::fs::remove_file(notes.join("own")).unwrap();
        acme.left("noted");
        // Who fetches just now is not left without what it fetches into.
        let (held, _) = fill(&other, "held", 1 << 10);
        other.left("held");
        assert_eq!(left(&mirrors), names(&["held", "shared"]));
        drop(held);
    }

    #[test]
    fn an_archive_has_the_room_of_a_mirror_that_nobody_uses_any_more() {
        let dir = tempfile::tempdir().unwrap();
        let disk = Disk::default();
        let mirrors = Mirrors::open_on(dir.path(), 1, disk.clone()).unwrap();
        let account = tenant("acme", 1 << 20);
        let acme = mirrors.on(account.clone());
        drop(fill(&acme, "idle", 600 << 10));
        let (_, _read) = fill(&acme, "read", 300 << 10);
        let mut archive = disk.write(Some(&account), false, None);
        archive.more(600 << 10).unwrap();
        assert_eq!(left(&mirrors), names(&["read"]));
        assert!(archive.more(300 << 10).is_err());
        assert_eq!(left(&mirrors), names(&["read"]));
    }

    #[test]
    fn what_the_process_before_left_is_counted_and_awaited() {
        let dir = tempfile::tempdir().unwrap();
        let name = "a".repeat(64);
        let first = Mirrors::open(dir.path(), 1).unwrap();
        drop(fill(&first, &name, 300 << 10));
        let notes = super::super::kept::notes(first.root());
        std::fs::create_dir_all(&notes).unwrap();
        std::fs::write(notes.join("note"), format!("{name} 1234\n")).unwrap();
        let disk = Disk::new(400 << 10);
        let again = Mirrors::open_on(dir.path(), 1, disk.clone()).unwrap();
        assert!(disk.mirrors() >= 300 << 10);
        let (_held, into) = fill(&again, "into", 0);
        assert!(again.purse().begin(&into).pay(200 << 10).is_err());
        std::fs::remove_file(notes.join("note")).unwrap();
        again.purse().begin(&into).pay(200 << 10).unwrap();
        assert_eq!(left(&again), names(&["into"]));
    }

    #[test]
    fn what_is_fetched_with_another_login_does_not_count_beside_what_it_takes_the_place_of() {
        let dir = tempfile::tempdir().unwrap();
        let mirrors = Mirrors::open(dir.path(), 1).unwrap();
        let acme = mirrors.on(tenant("acme", 1 << 20));
        let (_, stored) = fill(&acme, "before", 800 << 10);
        let (_, others) = fill(&acme, "another's", 100 << 10);
        let (_held, next) = fill(&acme, "after", 0);
        assert!(acme.purse().begin(&next).pay(300 << 10).is_err());
        let instead = acme.instead_of([stored.thing().clone()]);
        // What else the tenant has counts as before, and what comes is no larger than all it may have.
        instead.purse().begin(&next).pay(900 << 10).unwrap();
        assert!(instead.purse().begin(&next).pay(930 << 10).is_err());
        // What comes into the very mirror comes beside what is in it.
        assert!(instead.purse().begin(&stored).pay(300 << 10).is_err());
        drop(others);
    }

    #[test]
    fn a_generation_that_replaces_another_does_not_count_beside_it() {
        let dir = tempfile::tempdir().unwrap();
        let mirrors = Mirrors::open(dir.path(), 1).unwrap();
        let acme = mirrors.on(tenant("acme", 1 << 20));
        let (mirror, read) = fill(&acme, "m", 800 << 10);
        mirror.retire();
        let next = mirror.writable(gix::hash::Kind::Sha1).unwrap();
        acme.purse().begin(&next).pay(900 << 10).unwrap();
        let commit = gix::ObjectId::null(gix::hash::Kind::Sha1);
        next.remember(commit).unwrap();
        // However much is whole in it: whoever reads the one before moves on to it.
        acme.purse().begin(&next).pay(900 << 10).unwrap();
        assert!(acme.purse().begin(&next).pay(1100 << 10).is_err());
        drop(read);
        acme.purse().begin(&next).pay(900 << 10).unwrap();
    }
}
