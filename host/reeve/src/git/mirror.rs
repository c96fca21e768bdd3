//! One bare repository on disk, of one remote, that makes the next fetch small.
//!
//! A mirror is a cache: what is in it came from the server under the very credential that keys it, and it can be thrown
//! away at any time. It grows by a pack with every fetch; past a bound a new generation begins, and the old one goes
//! when the last snapshot that reads it does. One fetch at a time in each; reading needs no lock.
//!
//! Whoever takes parts of a repository, from a server that can send parts, has another mirror than whoever takes all of it: the
//! server is told which commits are here, and must not leave out of the one what only the other has. All who take parts share
//! theirs, whichever these are: a commit that is in it has all its directories there, and files are asked for by their ids.
//!
//! What it deliberately doesn't: share objects between credentials, hold anything a tenant writes as configuration, or know of
//! other mirrors: `shelf` has all of them.

mod notes;

use std::collections::{BTreeSet, HashSet};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant, SystemTime};

use gix::{ObjectId, hash, open};

pub(super) use self::notes::written_in;
use super::transport::Lines;
use super::{Cause, Limits, Remote, client};
use crate::disk::{Disk, Thing};

/// The mirror of one remote.
#[derive(Debug)]
pub(super) struct Mirror {
    dir: PathBuf,
    /// Held while fetching.
    fetching: Arc<tokio::sync::Mutex<()>>,
    /// Held while pushing: who would only outrun each other wait for their turn.
    pushing: Arc<tokio::sync::Mutex<()>>,
    /// Looked for on disk once; then it is known whether there is one.
    current: Mutex<Option<Option<Arc<Generation>>>>,
    /// What an earlier process had given up, for whoever had something in it.
    older: Mutex<Vec<Arc<Generation>>>,
    /// All that this process has made or found and somebody may read, given up or not.
    known: Mutex<Vec<Weak<Generation>>>,
    /// Keeps connections open between polls.
    lines: Mutex<Lines>,
    used: Mutex<SystemTime>,
    disk: Disk,
}

/// One bare repository. Its directory goes when it is retired and nobody reads it any more.
#[derive(Debug)]
pub(super) struct Generation {
    dir: PathBuf,
    hash: hash::Kind,
    retired: AtomicBool,
    thing: Thing,
    disk: Disk,
    seen: Mutex<Seen>,
    /// Since when this process knows it.
    since: Instant,
}

/// What of it was looked at file by file.
#[derive(Debug, Clone, Default)]
pub(super) struct Seen {
    /// The packs that were there.
    packs: BTreeSet<OsString>,
    /// The trees, all of whose files were.
    trees: Arc<HashSet<ObjectId>>,
}

impl Seen {
    pub(super) fn trees(&self) -> Arc<HashSet<ObjectId>> {
        Arc::clone(&self.trees)
    }

    /// The same packs, and these trees.
    pub(super) fn with(self, trees: HashSet<ObjectId>) -> Self {
        let trees = Arc::new(trees);
        Self { trees, ..self }
    }
}

/// Packs after which a new generation is cheaper than looking into all of them; fewer than tips that are remembered.
const MAX_PACKS: usize = 50;
/// For how long a generation that several use is not given up for one of them that has all it may have.
const SHARED_FOR: Duration = Duration::from_secs(60 * 60);
/// Marks a generation that is given up, with the process that did so and may still be reading it.
const RETIRED: &str = "reeve-retired";

impl Mirror {
    /// The mirror in a directory, which need not be there.
    pub(super) fn of(dir: PathBuf, disk: Disk) -> Self {
        Self {
            dir,
            fetching: Arc::default(),
            pushing: Arc::default(),
            current: Mutex::default(),
            older: Mutex::default(),
            known: Mutex::default(),
            lines: Mutex::default(),
            used: Mutex::new(SystemTime::now()),
            disk,
        }
    }

    /// Somebody asked for it.
    pub(super) fn touch(&self) {
        *self.used.lock().unwrap_or_else(PoisonError::into_inner) = SystemTime::now();
    }

    /// When somebody asked for it last.
    pub(super) fn used(&self) -> SystemTime {
        *self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a snapshot reads what is fetched into now or, where that was given up, anything that there was before.
    pub(super) fn is_in_use(&self) -> bool {
        let current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let looked = current.as_ref();
        let looked = looked.map(|it| it.as_ref().map(|it| Arc::strong_count(it) > 1));
        drop(current);
        match looked {
            Some(Some(is_read)) => is_read,
            Some(None) => self.is_read(),
            // Not looked for yet, so nobody has it.
            None => false,
        }
    }

    /// Whether a snapshot reads anything of it, given up or not.
    pub(super) fn is_read(&self) -> bool {
        // In the order in which they are taken while it is looked for.
        let current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let older = self.older.lock().unwrap_or_else(PoisonError::into_inner);
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let current = current.as_ref().and_then(Option::as_ref);
        known.iter().any(|one| {
            let ours = older.iter().chain(current);
            let ours = ours.filter(|it| std::ptr::eq(Arc::as_ptr(it), one.as_ptr()));
            one.strong_count() > ours.count()
        })
    }

    /// Whether it was looked for on the disk.
    pub(super) fn is_known(&self) -> bool {
        let current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        current.is_some()
    }

    pub(super) async fn lock(&self) -> tokio::sync::OwnedMutexGuard<()> {
        Arc::clone(&self.fetching).lock_owned().await
    }

    pub(super) async fn turn_to_push(&self) -> tokio::sync::OwnedMutexGuard<()> {
        Arc::clone(&self.pushing).lock_owned().await
    }

    /// What is kept between conversations: an HTTP client, made when first needed, or an ssh login.
    pub(super) fn lines(&self, remote: &Remote) -> Result<Lines, Cause> {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.http.is_none() && remote.url.scheme() != reeve_api::name::Scheme::Ssh {
            lines.http = Some(client::build(remote)?);
        }
        Ok(lines.clone())
    }

    /// The repository, opened or found on disk; nothing if there is none yet.
    pub(super) fn current(&self) -> Option<Arc<Generation>> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        current.get_or_insert_with(|| self.find()).clone()
    }

    /// What was given up before this process, and may be all there is of what somebody had.
    pub(super) fn older(&self) -> Vec<Arc<Generation>> {
        let _looked_for = self.current();
        let older = self.older.lock().unwrap_or_else(PoisonError::into_inner);
        older.clone()
    }

    /// Whoever had something in what was given up has come for it, or has it from elsewhere by now.
    pub(super) fn settle(&self) {
        let mut older = self.older.lock().unwrap_or_else(PoisonError::into_inner);
        older.clear();
    }

    /// Gives up what counts for nobody: whoever goes on with it takes what it needs into what comes next, on its own account.
    pub(super) fn give_up_what_was_left(&self) {
        // Let go of at once: giving up locks it too.
        let current = self.current.lock().map(|current| current.clone());
        let current = current.ok().flatten().flatten();
        let is_left = |it: &Arc<Generation>| {
            it.may_be_given_up(false) && self.disk.is_mostly_nobodys(it.thing())
        };
        if current.is_some_and(|it| is_left(&it)) {
            self.retire();
        }
    }

    /// A repository of that hash to fetch into: the current one, or a new one when that is full or of another hash.
    pub(super) fn writable(&self, hash: hash::Kind) -> Result<Arc<Generation>, Cause> {
        let failed = |error: std::io::Error| Cause::Mirror {
            doing: "made",
            why: error.to_string(),
        };
        if let Some(current) = self.current() {
            if current.hash == hash && current.tidy().map_err(failed)? <= MAX_PACKS {
                return Ok(current);
            }
            self.retire();
        }
        let last = self.numbers().last().copied();
        let number = last.map_or(1, |last| last + 1);
        let place = Place {
            dir: self.dir.join(number.to_string()),
            thing: self.thing(number),
            disk: self.disk.clone(),
        };
        let made = self.know(Generation::create(place, hash)?);
        *self.current.lock().unwrap_or_else(PoisonError::into_inner) =
            Some(Some(Arc::clone(&made)));
        Ok(made)
    }

    /// Gives the current repository up; the next fetch begins afresh.
    pub(super) fn retire(&self) {
        let current = self.current();
        *self.current.lock().unwrap_or_else(PoisonError::into_inner) = Some(None);
        if let Some(current) = current {
            // If that fails, it may be found again by a later process; it is whole.
            std::fs::write(current.dir.join(RETIRED), process()).ok();
            current.retired.store(true, Ordering::Relaxed);
        }
    }

    /// It is known for as long as somebody has it.
    fn know(&self, generation: Generation) -> Arc<Generation> {
        let generation = Arc::new(generation);
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|one| one.strong_count() > 0);
        known.push(Arc::downgrade(&generation));
        generation
    }

    fn numbers(&self) -> Vec<u64> {
        numbers(&self.dir)
    }

    fn thing(&self, number: u64) -> Thing {
        let name = self.dir.file_name().unwrap_or_default();
        Thing::Mirror(name.to_string_lossy().into_owned(), number)
    }

    fn remove(&self, number: u64) {
        remove(&self.dir.join(number.to_string()));
        self.disk.gone(&self.thing(number));
    }

    /// The newest generation that an earlier process left. Others, given up or not, are kept for a while: somebody may have had a
    /// commit there that was fetched before the newest began, and its server be gone.
    fn find(&self) -> Option<Arc<Generation>> {
        let (mut whole, mut older) = (Vec::new(), Vec::new());
        for number in self.numbers() {
            let dir = self.dir.join(number.to_string());
            match std::fs::read_to_string(dir.join(RETIRED)) {
                Err(_) => whole.push(number),
                // A snapshot of ours reads it, and takes it along when it goes.
                Ok(by) if by == process() => {}
                Ok(_) => older.push(number),
            }
        }
        let newest = whole.pop();
        older.extend(whole);
        let older = older
            .into_iter()
            .filter_map(|number| self.left(number, true));
        *self.older.lock().unwrap_or_else(PoisonError::into_inner) = older.collect();
        self.left(newest?, false)
    }

    /// A generation that an earlier process left; one that is retired goes with whoever reads it.
    fn left(&self, number: u64, retired: bool) -> Option<Arc<Generation>> {
        let dir = self.dir.join(number.to_string());
        let found = open_repository(&dir, &Limits::default()).map(|repository| Generation {
            dir,
            hash: repository.to_thread_local().object_hash(),
            retired: retired.into(),
            thing: self.thing(number),
            disk: self.disk.clone(),
            seen: Mutex::default(),
            since: Instant::now(),
        });
        match found {
            Ok(found) if found.tidy().is_ok() => {
                found.measure();
                Some(self.know(found))
            }
            // Whatever it is, it is no mirror: a crash may have come between making it and its first file.
            _ => {
                self.remove(number);
                None
            }
        }
    }
}

/// Where a generation is made, and what it is in the books.
struct Place {
    dir: PathBuf,
    thing: Thing,
    disk: Disk,
}

impl Generation {
    fn create(place: Place, hash: hash::Kind) -> Result<Self, Cause> {
        let Place { dir, thing, disk } = place;
        let failed = |why: String| Cause::Mirror { doing: "made", why };
        std::fs::create_dir_all(&dir).map_err(|error| failed(error.to_string()))?;
        let options = gix::create::Options {
            object_hash: Some(hash),
            ..Default::default()
        };
        let kind = gix::create::Kind::Bare;
        gix::ThreadSafeRepository::init_opts(&dir, kind, options, open::Options::isolated())
            .map_err(|error| failed(error.to_string()))?;
        let made = Self {
            dir,
            hash,
            retired: false.into(),
            thing,
            disk,
            seen: Mutex::default(),
            since: Instant::now(),
        };
        made.measure();
        Ok(made)
    }

    /// What it is in the books of the disk.
    pub(super) fn thing(&self) -> &Thing {
        &self.thing
    }

    /// The last one that it takes the place of: those before it go when nobody reads them any more.
    pub(super) fn replaces(&self) -> Option<Thing> {
        match &self.thing {
            Thing::Mirror(name, number) => {
                let before = number.checked_sub(1)?;
                Some(Thing::Mirror(name.clone(), before))
            }
            Thing::Archive(_) | Thing::Opened(_) => None,
        }
    }

    /// Whether it has so much history that a new generation may have room where it has none: whoever is `alone` in it may give it
    /// up at any time, and of several each only now and then, since all of them fetch anew.
    pub(super) fn may_be_given_up(&self, alone: bool) -> bool {
        !self.tips().is_empty() && (alone || self.since.elapsed() > SHARED_FOR)
    }

    /// Whether it was given up, and goes when nobody reads it any more.
    pub(super) fn is_retired(&self) -> bool {
        self.retired.load(Ordering::Relaxed)
    }

    /// Tells the books how large it is by now.
    pub(super) fn measure(&self) {
        self.disk.set(self.thing.clone(), bytes_in(&self.dir));
    }

    pub(super) fn open(&self, limits: &Limits) -> Result<gix::ThreadSafeRepository, Cause> {
        open_repository(&self.dir, limits)
    }

    pub(super) fn hash(&self) -> hash::Kind {
        self.hash
    }

    /// The name of the mirror that it is of.
    pub(super) fn mirror(&self) -> Option<&str> {
        self.dir.parent()?.file_name()?.to_str()
    }

    pub(super) fn packs(&self) -> PathBuf {
        self.dir.join("objects/pack")
    }

    pub(super) fn shallow_file(&self) -> PathBuf {
        self.dir.join("shallow")
    }

    /// Where nothing is written: no history is cut off.
    pub(super) fn no_shallow_file(&self) -> PathBuf {
        self.dir.join("reeve-no-shallow")
    }

    /// What was seen of it, as long as every pack is there that it was seen in.
    pub(super) fn seen(&self) -> Seen {
        let there = std::fs::read_dir(self.packs()).into_iter().flatten();
        let names = there.flatten().map(|entry| entry.file_name());
        let packs: BTreeSet<OsString> = names.collect();
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let trees = match seen.packs.is_subset(&packs) {
            true => seen.trees(),
            false => Arc::default(),
        };
        Seen { packs, trees }
    }

    /// Remembers what was seen of it.
    pub(super) fn saw(&self, seen: Seen) {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = seen;
    }

    /// Removes what an interrupted fetch left, and counts the packs. Only while holding the mirror's lock.
    fn tidy(&self) -> std::io::Result<usize> {
        let lock = self.dir.join("shallow.lock");
        if lock.exists() {
            std::fs::remove_file(lock)?;
        }
        let mut packs = 0;
        for entry in std::fs::read_dir(self.packs())? {
            let path = entry?.path();
            let name = path
                .file_name()
                .and_then(|name| name.to_str())
                .unwrap_or_default();
            let whole = match path.extension().and_then(|kind| kind.to_str()) {
                Some("idx") => path.with_extension("pack").exists(),
                Some("pack") => path.with_extension("idx").exists(),
                _ => false,
            };
            if whole && name.starts_with("pack-") {
                packs += usize::from(name.ends_with(".pack"));
            } else {
                std::fs::remove_file(path)?;
            }
        }
        Ok(packs)
    }
}

impl Drop for Generation {
    fn drop(&mut self) {
        // What somebody has at the end of this process the next one looks for.
        if *self.retired.get_mut() && !self.disk.is_closed() {
            remove(&self.dir);
            self.disk.gone(&self.thing);
        }
    }
}

/// The generations in a mirror's directory, the newest last.
pub(super) fn numbers(mirror: &Path) -> Vec<u64> {
    let entries = std::fs::read_dir(mirror).into_iter().flatten().flatten();
    let mut numbers: Vec<u64> = entries
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect();
    numbers.sort_unstable();
    numbers
}

/// The bytes of a generation: of its packs, and of what is beside its objects. No object lies outside of a pack.
pub(super) fn bytes_in(generation: &Path) -> u64 {
    let dirs = [generation.to_owned(), generation.join("objects/pack")];
    let files = dirs.iter().filter_map(|dir| std::fs::read_dir(dir).ok());
    let files = files.flatten().flatten();
    let sizes = files.filter_map(|file| file.metadata().ok());
    sizes.filter(|it| it.is_file()).map(|it| it.len()).sum()
}

/// Removes a cache. What stays behind is removed when the mirror is next looked for on disk.
fn remove(dir: &Path) {
    std::fs::remove_dir_all(dir).ok();
}

/// Tells this process from every other.
fn process() -> &'static str {
    static NAME: LazyLock<String> = LazyLock::new(|| format!("{:032x}", rand::random::<u128>()));
    &NAME
}

fn open_repository(dir: &Path, limits: &Limits) -> Result<gix::ThreadSafeRepository, Cause> {
    // Isolated: no configuration but the repository's own, which is ours; no environment. The last two settings are for
    // the day on which someone asks gix to connect: it would refuse.
    let options = open::Options::isolated()
        .open_path_as_is(true)
        .with(gix::sec::Trust::Full)
        .config_overrides([
            format!("gitoxide.objects.allocLimit={}", limits.object_bytes),
            "protocol.allow=never".to_owned(),
        ]);
    gix::ThreadSafeRepository::open_opts(dir, options).map_err(|error| Cause::Mirror {
        doing: "opened",
        why: error.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mirror(dir: &Path) -> Mirror {
        Mirror::of(dir.join("m"), Disk::default())
    }

    #[test]
    fn a_retired_generation_stays_until_its_last_reader_is_gone() {
        let dir = tempfile::tempdir().unwrap();
        let mirror = mirror(dir.path());
        let first = mirror.writable(hash::Kind::Sha1).unwrap();
        mirror.retire();
        let second = mirror.writable(hash::Kind::Sha1).unwrap();
        assert_ne!(first.dir, second.dir);
        assert!(first.dir.exists());
        let gone = first.dir.clone();
        drop(first);
        assert!(!gone.exists() && second.dir.exists());
    }

    #[test]
    fn what_was_given_up_before_a_restart_is_kept_for_a_while_for_who_had_something_in_it() {
        let dir = tempfile::tempdir().unwrap();
        let before = mirror(dir.path());
        let first = before.writable(hash::Kind::Sha1).unwrap();
        before.retire();
        let second = before.writable(hash::Kind::Sha1).unwrap();
        // This process ends, and the next one is another.
        before.disk.close();
        let (gone, kept) = (first.dir.clone(), second.dir.clone());
        drop((first, second, before));
        std::fs::write(gone.join(RETIRED), "another").unwrap();
        let after = mirror(dir.path());
        let older = after.older();
        let older_dirs: Vec<_> = older.iter().map(|one| one.dir.clone()).collect();
        assert_eq!(older_dirs, std::slice::from_ref(&gone));
        assert_eq!(after.current().map(|one| one.dir.clone()), Some(kept));
        after.settle();
        assert!(gone.exists(), "somebody reads it");
        drop(older);
        assert!(!gone.exists());
    }

    #[test]
    fn a_repository_of_another_hash_is_a_new_generation() {
        let dir = tempfile::tempdir().unwrap();
        let mirror = mirror(dir.path());
        let first = mirror.writable(hash::Kind::Sha1).unwrap().dir.clone();
        assert_eq!(mirror.writable(hash::Kind::Sha1).unwrap().dir, first);
        let second = mirror.writable(hash::Kind::Sha256).unwrap();
        assert_eq!(
            second
                .open(&Limits::default())
                .unwrap()
                .to_thread_local()
                .object_hash(),
            hash::Kind::Sha256
        );
    }

    #[test]
    fn what_an_interrupted_fetch_left_does_not_stop_the_next() {
        let dir = tempfile::tempdir().unwrap();
        let first = mirror(dir.path());
        let generation = first.writable(hash::Kind::Sha1).unwrap();
        for rest in [
            "shallow.lock",
            "objects/pack/.tmpAbC",
            "objects/pack/pack-1.pack",
            "objects/pack/pack-2.keep",
        ] {
            std::fs::write(generation.dir.join(rest), "x").unwrap();
        }
        // As another process would find it.
        let found = mirror(dir.path()).current().unwrap();
        assert_eq!(found.dir, generation.dir);
        assert!(!generation.shallow_file().with_extension("lock").exists());
        assert_eq!(std::fs::read_dir(generation.packs()).unwrap().count(), 0);
    }
}
