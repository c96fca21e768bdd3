//! A pack is written beside the others as it comes, with an index of what is in it.
//!
//! Nothing that a server sends may take more than its share of memory: an entry is held whole, and to learn what a
//! difference makes, what it is a difference to is held, with all above it that others still wait for. So each object is weighed as
//! it comes, before the first difference is applied, and the rest of a large one is held only once it has come (`ahead`), so that
//! nobody keeps memory from others by being slow. What it deliberately doesn't: judge what is in the objects.

mod ahead;
mod memory;
mod weight;

use std::cell::{Cell, RefCell};
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use gix::ObjectId;
use gix::odb::pack::data::input::{
    BytesToEntriesIter, EntriesToBytesIter, Entry, EntryDataMode, LookupRefDeltaObjectsIter, Mode,
};
use gix::odb::pack::{bundle, data, index};
use gix::progress::DynNestedProgress;
use tempfile::{NamedTempFile, TempPath};

use self::ahead::Ahead;
use self::memory::MEMORY;
use self::weight::{Heavy, Scale};
use crate::git::mirror::Generation;
use crate::git::wire::{Wire, in_bytes};
use crate::git::{Cause, Limits};
use crate::places::Place;

/// What writes a pack into a generation.
pub(super) struct Press<'a> {
    pub(super) generation: &'a Generation,
    /// Where that is which the pack was told without.
    pub(super) repository: &'a gix::Repository,
    pub(super) limits: &'a Limits,
    pub(super) wire: &'a Wire,
    pub(super) flag: &'a AtomicBool,
    /// For whom.
    pub(super) whose: &'a str,
    /// Bytes that are paid for beside those that came.
    pub(super) paid: Cell<u64>,
}

/// What comes slowly is held up to this size; what more there is of it waits on the disk.
const SMALL: u64 = 8 << 20;
/// Read at a time.
const CHUNK: usize = 64 << 10;

impl Press<'_> {
    /// Writes it. Returns its files: none if there is nothing in it.
    pub(super) fn write(
        &self,
        pack: &mut dyn Read,
        progress: &mut dyn DynNestedProgress,
    ) -> gix::error::Result<Vec<PathBuf>> {
        let (dir, hash) = (self.generation.packs(), self.generation.hash());
        let (file, at) = fresh(&dir)?.into_parts();
        let coming = Coming::default();
        let metered = BufReader::with_capacity(CHUNK, Metered::of(pack, self, &coming));
        let keep = EntryDataMode::KeepAndCrc32;
        let entries = BytesToEntriesIter::new_from_header(metered, Mode::Verify, keep, hash)?;
        let version = entries.version();
        let known = self.repository.objects.clone();
        let compression = bundle::write::Options::default().compression;
        let entries = LookupRefDeltaObjectsIter::new(entries, known, compression);
        let weighed = Weighed {
            inner: entries,
            scale: Some(Scale::new(self.limits)),
            press: self,
            coming: &coming,
            taken: None,
            listed: 0,
        };
        let spool = Spool(BufWriter::with_capacity(CHUNK, file));
        let mut entries = EntriesToBytesIter::new(weighed, spool, version, hash);
        let most = usize::try_from(self.limits.object_bytes).unwrap_or(usize::MAX);
        let mut listed = fresh(&dir)?;
        let outcome = index::write_data_iter_to_stream(
            index::Version::default(),
            || {
                let pack = data::File::at(&at, hash);
                let pack = pack.map_err(|why| io::Error::other(why.to_string()))?;
                Ok((bytes_of, pack))
            },
            &mut entries,
            Some(1),
            progress,
            &mut listed,
            self.flag,
            hash,
            Some(most),
            version,
        )?;
        drop(entries);
        match outcome.num_objects {
            0 => Ok(Vec::new()),
            _ => self.keep(at, listed, outcome.data_hash),
        }
    }

    /// Pays for so many bytes in all, before they are written. What came was paid for when it came; the rest is what the pack was
    /// told without since it is here already, and the index.
    pub(super) fn pay_for(&self, written: u64) -> io::Result<()> {
        let beside = written.saturating_sub(self.wire.taken());
        let due = beside.saturating_sub(self.paid.get());
        if due > 0 {
            self.wire.pay(due)?;
            self.paid.set(beside);
        }
        Ok(())
    }

    /// What the index has of each object: its name, where it is, and a sum.
    fn line(&self) -> u64 {
        self.generation.hash().len_in_bytes() as u64 + 8
    }

    fn keep(
        &self,
        pack: TempPath,
        index: NamedTempFile,
        hash: ObjectId,
    ) -> gix::error::Result<Vec<PathBuf>> {
        let dir = self.generation.packs();
        let named = |kind| dir.join(format!("pack-{hash}.{kind}"));
        let files = vec![named("pack"), named("idx")];
        // The index last: whoever sees it finds the pack.
        pack.persist(named("pack"))
            .map_err(|why| gix::Error::from_error(why.error))?;
        index
            .persist(named("idx"))
            .map_err(|why| gix::Error::from_error(why.error))?;
        Ok(files)
    }

    /// It is more than may be.
    fn refused(&self, heavy: Heavy) -> gix::Error {
        let (what, cap) = match heavy {
            Heavy::Object => ("an object in the pack has more bytes", self.object()),
            Heavy::Depth(most) => (
                "objects of the pack are differences to differences deeper",
                most.to_string(),
            ),
            Heavy::Held => (
                "putting the pack's objects together takes more memory",
                in_bytes(self.limits.unpacking_bytes),
            ),
            Heavy::All => (
                "the pack has more bytes unpacked",
                in_bytes(self.limits.unpacked_bytes),
            ),
            Heavy::Torn => {
                let why = "a difference in the pack does not say how large its object is";
                return gix::Error::from_error(io::Error::other(why));
            }
        };
        gix::Error::from_error(self.wire.fail(Cause::TooMuch { what, cap }))
    }

    fn object(&self) -> String {
        in_bytes(self.limits.object_bytes)
    }

    /// Waits for the memory that it takes.
    fn memory(&self, bytes: u64) -> io::Result<Option<Place>> {
        let asked = MEMORY.take(self.whose, bytes);
        self.wire
            .wait("waiting for memory to unpack the pack in", asked)
    }
}

fn fresh(dir: &std::path::Path) -> gix::error::Result<NamedTempFile> {
    NamedTempFile::new_in(dir).map_err(gix::Error::from_error)
}

fn bytes_of(range: data::EntryRange, pack: &data::File) -> Option<&[u8]> {
    pack.entry_slice(range)
}

/// The object that is just coming.
#[derive(Default)]
struct Coming {
    /// Bytes that came since the last object was whole.
    since: Cell<u64>,
    /// The memory that it is held in, if it is a large one.
    taken: RefCell<Option<Place>>,
}

impl Coming {
    /// It is whole; the next one begins.
    fn is_whole(&self) {
        self.since.set(0);
        self.taken.take();
    }
}

/// What comes, no more of it for one object than one may have.
struct Metered<'a, R> {
    inner: R,
    press: &'a Press<'a>,
    coming: &'a Coming,
    /// Once a large object has come.
    ahead: Option<Ahead>,
    /// Bytes that were waiting on the disk at most.
    waited: u64,
}

impl<'a, R: Read> Metered<'a, R> {
    fn of(inner: R, press: &'a Press<'a>, coming: &'a Coming) -> Self {
        Self {
            inner,
            press,
            coming,
            ahead: None,
            waited: 0,
        }
    }

    /// The bytes that may come for one object.
    fn most(&self) -> u64 {
        let most = self.press.limits.object_bytes;
        // What doesn't compress grows a little, and what comes next was read with it.
        most.saturating_add(most / 1000)
            .saturating_add(4 * CHUNK as u64)
    }

    /// Has the rest of a large object come, as far as there is one, before more of it is held; and waits for the memory.
    fn wait_for_all(&mut self) -> io::Result<()> {
        let since = self.coming.since.get();
        if since <= SMALL || self.coming.taken.borrow().is_some() {
            return Ok(());
        }
        // One byte more tells who sends too much.
        let (most, rest) = (self.most(), self.most().saturating_sub(since) + 1);
        let mut ahead = match self.ahead.take() {
            Some(ahead) => ahead,
            None => Ahead::of(tempfile::tempfile_in(self.press.generation.packs())?, most),
        };
        ahead.fill(&mut self.inner, rest)?;
        let (left, press) = (ahead.left(), self.press);
        self.ahead = Some(ahead);
        press.wire.pay(left.saturating_sub(self.waited))?;
        self.waited = self.waited.max(left);
        *self.coming.taken.borrow_mut() = press.memory(since + left.min(rest))?;
        Ok(())
    }
}

impl<R: Read> Read for Metered<'_, R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.press.flag.load(Ordering::Relaxed) {
            return Err(io::Error::other("interrupted"));
        }
        self.wait_for_all()?;
        let read = match &mut self.ahead {
            Some(ahead) if ahead.left() > 0 || ahead.has_ended() => ahead.take(into)?,
            _ => self.inner.read(into)?,
        };
        let since = self.coming.since.get().saturating_add(read as u64);
        self.coming.since.set(since);
        if since > self.most() {
            let what = "an object in the pack has more bytes";
            let cap = self.press.object();
            return Err(self.press.wire.fail(Cause::TooMuch { what, cap }));
        }
        Ok(read)
    }
}

/// The entries as they come, each paid for before it is written; the last of them only once there is memory to put all of them
/// together.
struct Weighed<'a, I> {
    inner: I,
    /// Until all were seen.
    scale: Option<Scale>,
    press: &'a Press<'a>,
    coming: &'a Coming,
    taken: Option<Place>,
    /// Bytes that the index has of them.
    listed: u64,
}

impl<I: Iterator<Item = gix::error::Result<Entry>>> Weighed<'_, I> {
    fn weigh(&mut self, entry: &Entry) -> gix::error::Result<()> {
        self.coming.is_whole();
        let weighed = self.scale.as_mut().map_or(Ok(()), |scale| scale.put(entry));
        weighed.map_err(|heavy| self.press.refused(heavy))?;
        self.listed = self.listed.saturating_add(self.press.line());
        let end = entry.pack_offset.saturating_add(entry.bytes_in_pack());
        let paid = self.press.pay_for(end.saturating_add(self.listed));
        paid.map_err(gix::Error::from_error)
    }

    /// All have come.
    fn settle(&mut self) -> gix::error::Result<()> {
        let Some(scale) = self.scale.take() else {
            return Ok(());
        };
        let weight = scale.weight().map_err(|heavy| self.press.refused(heavy))?;
        self.taken = self.press.memory(weight).map_err(gix::Error::from_error)?;
        Ok(())
    }
}

impl<I: Iterator<Item = gix::error::Result<Entry>>> Iterator for Weighed<'_, I> {
    type Item = gix::error::Result<Entry>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.inner.next() {
            Some(Ok(entry)) => Some(self.weigh(&entry).map(|()| entry)),
            Some(Err(why)) => Some(Err(why)),
            None => self.settle().err().map(Err),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.inner.size_hint()
    }
}

/// What is written, which is read once more for its digest.
struct Spool(BufWriter<File>);

impl Write for Spool {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl Read for Spool {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.0.flush()?;
        self.0.get_mut().read(into)
    }
}

impl Seek for Spool {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.0.seek(to)
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;
    use crate::disk::{Account, Disk, Over};
    use crate::git::Mirrors;
    use crate::git::mirror::Mirror;
    use crate::git::shelf::Purse;
    use crate::git::wire::Terms;

    /// What a server sends, and how much of an object was held at most while it was waited for.
    struct Server<'a> {
        left: usize,
        coming: &'a Coming,
        held: &'a Cell<u64>,
    }

    impl Read for Server<'_> {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            self.held.set(self.held.get().max(self.coming.since.get()));
            let read = into.len().min(self.left);
            self.left -= read;
            Ok(read)
        }
    }

    fn runtime() -> tokio::runtime::Runtime {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        runtime.enable_all().build().unwrap()
    }

    /// A conversation, and what ends it.
    fn wire(runtime: &tokio::runtime::Runtime) -> (Wire, tokio_util::sync::DropGuard) {
        let (terms, guard) = Terms::new(Instant::now() + Duration::from_secs(60));
        let url = "https://git.example/x".to_owned();
        (Wire::new(runtime.handle().clone(), url, terms), guard)
    }

    #[test]
    fn little_of_a_large_object_is_held_while_a_server_sends_it_and_memory_is_given_back() {
        let dir = tempfile::tempdir().unwrap();
        let mirror = Mirror::of(dir.path().join("m"), Disk::default());
        let generation = mirror.writable(gix::hash::Kind::Sha1).unwrap();
        let limits = Limits::default();
        let repository = generation.open(&limits).unwrap().to_thread_local();
        let runtime = runtime();
        let (wire, _guard) = wire(&runtime);
        let press = Press {
            generation: &generation,
            repository: &repository,
            limits: &limits,
            wire: &wire,
            flag: &AtomicBool::new(false),
            whose: "acme",
            paid: Cell::default(),
        };
        let (coming, held) = (Coming::default(), Cell::new(0));
        let server = Server {
            left: 24 << 20,
            coming: &coming,
            held: &held,
        };
        let mut metered = Metered::of(server, &press, &coming);
        let came = io::copy(&mut metered, &mut io::sink()).unwrap();
        assert_eq!(came, 24 << 20);
        assert!(held.get() <= SMALL + CHUNK as u64, "{}", held.get());
        // Nothing else of this process's tests unpacks anything.
        assert_eq!(MEMORY.taken(), 24);
        coming.is_whole();
        assert_eq!(MEMORY.taken(), 0);
    }

    const SHA1: gix::hash::Kind = gix::hash::Kind::Sha1;
    /// How large an object is that another differs from.
    const BASE: usize = 512 << 10;

    /// Objects that nothing makes smaller, and none of which is like another.
    fn bases() -> Vec<Vec<u8>> {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut next = || {
            // xorshift64: the same each time.
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state as u8
        };
        let mut one = || (0..BASE).map(|_| next()).collect::<Vec<u8>>();
        (0..8).map(|_| one()).collect()
    }

    fn entry(content: &[u8]) -> Entry {
        let blob = gix::objs::Data::new(content, gix::objs::Kind::Blob, SHA1);
        let compression = bundle::write::Options::default().compression;
        Entry::from_data_obj(&blob, 0, compression).unwrap()
    }

    /// What differs from this in all there is of it, and names it. It is another for each.
    fn difference(base: &[u8], number: u8) -> Entry {
        let base_id = gix::objs::compute_hash(SHA1, gix::objs::Kind::Blob, base).unwrap();
        // How large the one and the other are, seven bits a byte, and the two bytes that it is.
        let (low, middle, high) = (BASE & 0x7f, (BASE >> 7) & 0x7f, BASE >> 14);
        let size = [low as u8 | 0x80, middle as u8 | 0x80, high as u8];
        let content = [&size[..], &[2, 2, b'd', number]].concat();
        let header = data::entry::Header::RefDelta { base_id };
        Entry {
            header,
            ..entry(&content)
        }
    }

    fn packed(entries: impl Iterator<Item = Entry>) -> Vec<u8> {
        let mut bytes = io::Cursor::new(Vec::new());
        let entries = entries.map(Ok);
        let mut writing = EntriesToBytesIter::new(entries, &mut bytes, data::Version::V2, SHA1);
        assert!(writing.all(|written| written.is_ok()));
        bytes.into_inner()
    }

    /// Has a pack come into a generation for a tenant that may have so many bytes; what it paid beside what came.
    fn press(generation: &Generation, purse: &Purse, pack: &[u8]) -> Result<u64, (u64, Cause)> {
        let limits = Limits::default();
        let repository = generation.open(&limits).unwrap().to_thread_local();
        let runtime = runtime();
        let (wire, _guard) = wire(&runtime);
        wire.accept("the pack is larger", limits.pack_bytes);
        wire.pay_with(Some(purse.begin(generation)));
        wire.received(pack.len()).unwrap();
        let press = Press {
            generation,
            repository: &repository,
            limits: &limits,
            wire: &wire,
            flag: &AtomicBool::new(false),
            whose: "acme",
            paid: Cell::default(),
        };
        let written = press.write(&mut &pack[..], &mut gix::progress::Discard);
        let files = written.map_err(|why| (press.paid.get(), wire.cause("writing", &why)))?;
        let bytes: u64 = files.iter().map(|it| it.metadata().unwrap().len()).sum();
        press.pay_for(bytes).unwrap();
        generation.measure();
        purse.wrote(generation, bytes);
        Ok(press.paid.get())
    }

    #[test]
    fn what_a_thin_pack_is_told_without_is_paid_for_as_it_is_written_again() {
        let dir = tempfile::tempdir().unwrap();
        let disk = Disk::default();
        let mirrors = Mirrors::open_on(dir.path(), 1, disk.clone()).unwrap();
        let purse = |mebibytes: u64| {
            let tenant = "acme".to_owned();
            let allowed = Some(mebibytes << 20);
            mirrors.on(Account { tenant, allowed }).purse()
        };
        let generation = mirrors.named("m".to_owned()).writable(SHA1).unwrap();
        let bases = bases();
        let whole = packed(bases.iter().map(|base| entry(base)));
        // Nothing is beside what came but the index, of which there are 1 KiB and a line for each.
        let beside = press(&generation, &purse(6), &whole).unwrap();
        assert!((1 << 10..2 << 10).contains(&beside), "{beside}");
        let before = disk.used("acme");
        assert!((4 << 20..5 << 20).contains(&before), "{before}");

        let thin = (0u8..).zip(&bases).map(|(n, base)| difference(base, n));
        let thin = packed(thin);
        assert!(thin.len() < 1 << 10, "{}", thin.len());
        let (paid, cause) = press(&generation, &purse(6), &thin).unwrap_err();
        let is_full =
            matches!(&cause, Cause::Storage(over) if matches!(**over, Over::Tenant { .. }));
        assert!(is_full, "{cause}");
        // Three were written, and the fourth was not.
        let base = BASE as u64;
        assert_eq!((paid + base / 2) / base, 3, "{paid}");
        let files = std::fs::read_dir(generation.packs()).unwrap();
        assert_eq!(files.count(), 2);
        assert_eq!(disk.used("acme"), before);

        // With room for all of it, it is paid for once.
        let paid = press(&generation, &purse(10), &thin).unwrap();
        assert!((4 << 20..5 << 20).contains(&paid), "{paid}");
        assert_eq!(disk.used("acme"), before + paid + thin.len() as u64);
    }
}
