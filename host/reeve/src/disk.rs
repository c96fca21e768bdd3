//! Who has how much of this machine's disk: of mirrors what was written for it, each archive for all who use it, and
//! what was opened of an archive that another controller keeps for whoever it was opened for.
//!
//! A mirror is shared by whoever fetches the same with the same login, and whoever makes it grow pays for that, nobody else.
//! What one had written and has no use for any more, others going on with it, is counted for nobody.
//!
//! What is about to be written is set aside first, in steps: whoever would have more than it may is stopped while it writes,
//! and not after. What lies there already is never taken from anybody for its quota; only what would come beside it is
//! refused. What it deliberately doesn't: write or remove anything; `git` and `store` do, and tell what there is.

mod over;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub use over::Over;

/// The books of one disk. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Disk(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// Bytes that all mirrors may have.
    most: u64,
    books: Mutex<Books>,
    /// Whether this process is about to end.
    closed: AtomicBool,
    /// What makes room, one after the other.
    makers: Mutex<Vec<Arc<Maker>>>,
}

/// Removes a cache that nobody uses, of this tenant alone or of anybody. Whether there was one.
type Make = dyn Fn(Option<&str>) -> bool + Send + Sync;

struct Maker(Box<Make>);

impl fmt::Debug for Maker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Maker")
    }
}

#[derive(Debug, Default)]
struct Books {
    things: BTreeMap<Thing, Entry>,
    /// What is being written.
    writing: BTreeMap<u64, Aside>,
    next: u64,
}

/// What lies on the disk.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Thing {
    /// One repository of a mirror, by the mirror's name and its number.
    Mirror(String, u64),
    /// The archive of a tree.
    Archive(String),
    /// What was opened of an archive that another controller keeps.
    Opened(u64),
}

impl Thing {
    /// Whether it goes once what comes in the place of `last` is there: it is that one, or one before it of the same mirror.
    fn goes_with(&self, last: &Self) -> bool {
        match (self, last) {
            (Self::Mirror(name, number), Self::Mirror(of, last)) => name == of && number <= last,
            _ => self == last,
        }
    }
}

/// How often what somebody may have lies there beside it, of what goes as soon as nobody reads it any more.
const PARTING: u64 = 2;

#[derive(Debug, Default)]
struct Entry {
    bytes: u64,
    /// Who uses it.
    users: BTreeSet<String>,
    /// Of a mirror: the bytes that were written for each.
    written: Written,
}

/// Bytes that were written for each.
pub(crate) type Written = BTreeMap<String, u64>;

#[derive(Debug)]
struct Aside {
    tenant: Option<String>,
    is_mirror: bool,
    bytes: u64,
}

/// On whose account something is written.
#[derive(Debug, Clone)]
pub struct Account {
    /// Whose it is.
    pub tenant: String,
    /// The bytes that it may have; None: as much as it takes.
    pub allowed: Option<u64>,
}

/// What others than the tenant may have fetched for it: it may have a quarter of what the tenant may, and never takes room from
/// what the tenant applies.
const REQUESTS: &str = " (requests)";

impl Account {
    /// That of the heads of requests, which anybody may have opened.
    #[must_use]
    pub fn of_requests(self) -> Self {
        Self {
            tenant: self.tenant + REQUESTS,
            allowed: self.allowed.map(|allowed| allowed / 4),
        }
    }
}

/// Set aside at once while something is written.
const STEP: u64 = 1 << 20;

impl Default for Disk {
    /// Without a bound.
    fn default() -> Self {
        Self::new(u64::MAX)
    }
}

impl Disk {
    /// Books of a disk of which all mirrors may have so many bytes.
    pub fn new(most: u64) -> Self {
        Self(Arc::new(Inner {
            most,
            books: Mutex::default(),
            closed: AtomicBool::new(false),
            makers: Mutex::default(),
        }))
    }

    /// This process is about to end: what lies on the disk is the next one's.
    pub(crate) fn close(&self) {
        self.0.closed.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.0.closed.load(Ordering::Relaxed)
    }

    /// From now on, whoever would have more than it may asks this, too, to remove what nobody uses: of that tenant alone, or of
    /// anybody.
    pub(crate) fn room_by(&self, make: impl Fn(Option<&str>) -> bool + Send + Sync + 'static) {
        self.makers().push(Arc::new(Maker(Box::new(make))));
    }

    fn make_room(&self, over: &Over) -> bool {
        // They tell these books what they remove.
        let makers = self.makers().clone();
        let alone = match over {
            Over::Tenant { tenant, .. } => Some(tenant.as_str()),
            Over::Mirrors { .. } => None,
        };
        makers.iter().any(|maker| (maker.0)(alone))
    }

    fn makers(&self) -> MutexGuard<'_, Vec<Arc<Maker>>> {
        self.0.makers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins to write on an account, a mirror or an archive. What is `replaced` by it does not count beside it.
    pub(crate) fn write(
        &self,
        account: Option<&Account>,
        is_mirror: bool,
        replaced: impl IntoIterator<Item = Thing>,
    ) -> Writing {
        let mut books = self.books();
        let id = books.next;
        books.next += 1;
        let aside = Aside {
            tenant: account.map(|account| account.tenant.clone()),
            is_mirror,
            bytes: 0,
        };
        books.writing.insert(id, aside);
        Writing {
            disk: self.clone(),
            id,
            account: account.cloned(),
            is_mirror,
            replaced: replaced.into_iter().collect(),
            written: 0,
            aside: 0,
        }
    }

    /// So large it is. Who uses it stays as it was.
    pub(crate) fn set(&self, thing: Thing, bytes: u64) {
        self.books().things.entry(thing).or_default().bytes = bytes;
    }

    /// These use it, and nobody else.
    pub(crate) fn set_users(&self, thing: Thing, bytes: u64, users: BTreeSet<String>) {
        let written = Written::new();
        let entry = Entry {
            bytes,
            users,
            written,
        };
        self.books().things.insert(thing, entry);
    }

    /// So much of it was written for each by a process before.
    pub(crate) fn set_written(&self, thing: Thing, written: Written) {
        self.books().things.entry(thing).or_default().written = written;
    }

    /// So many bytes more were written for somebody, who uses it. Returns how many were for each by now.
    pub(crate) fn wrote(&self, thing: &Thing, tenant: &str, bytes: u64) -> Written {
        let mut books = self.books();
        let entry = books.things.entry(thing.clone()).or_default();
        entry.users.insert(tenant.to_owned());
        let written = entry.written.entry(tenant.to_owned()).or_default();
        *written = written.saturating_add(bytes);
        entry.written.clone()
    }

    /// Somebody uses it, from now on.
    pub(crate) fn used_by(&self, thing: &Thing, tenant: &str) {
        if let Some(entry) = self.books().things.get_mut(thing)
            && !entry.users.contains(tenant)
        {
            entry.users.insert(tenant.to_owned());
        }
    }

    /// It is gone.
    pub(crate) fn gone(&self, thing: &Thing) {
        self.books().things.remove(thing);
    }

    /// Somebody has no use for a mirror any more.
    pub(crate) fn left(&self, name: &str, tenant: &str) {
        for (thing, entry) in &mut self.books().things {
            if matches!(thing, Thing::Mirror(mirror, _) if mirror == name) {
                entry.users.remove(tenant);
            }
        }
    }

    /// All of a mirror is gone.
    pub(crate) fn mirror_gone(&self, name: &str) {
        let is_of_it = |thing: &Thing| matches!(thing, Thing::Mirror(mirror, _) if mirror == name);
        self.books().things.retain(|thing, _| !is_of_it(thing));
    }

    /// Whether a mirror is this tenant's, and nobody else's: of those who use it, or if nobody does, of those it was written for.
    pub(crate) fn is_only_of(&self, name: &str, tenant: &str) -> bool {
        let books = self.books();
        let is_of_it = |thing: &Thing| matches!(thing, Thing::Mirror(mirror, _) if mirror == name);
        let entries = books.things.iter().filter(|(thing, _)| is_of_it(thing));
        let entries: Vec<&Entry> = entries.map(|(_, entry)| entry).collect();
        let users = entries.iter().flat_map(|entry| &entry.users);
        let mut whose: BTreeSet<&String> = users.collect();
        if whose.is_empty() {
            whose.extend(entries.iter().flat_map(|entry| entry.written.keys()));
        }
        !whose.is_empty() && whose.iter().all(|user| *user == tenant)
    }

    /// Whether most of it was written for those who have left it to others, and so counts for nobody.
    pub(crate) fn is_mostly_nobodys(&self, thing: &Thing) -> bool {
        let books = self.books();
        let Some(entry) = books.things.get(thing) else {
            return false;
        };
        let written = entry.written.iter();
        let left = written.filter(|(tenant, _)| !entry.users.contains(*tenant));
        let left: u64 = left.map(|(_, bytes)| *bytes).sum();
        !entry.users.is_empty() && left > entry.bytes / 2
    }

    /// Whether nobody uses a mirror.
    pub(crate) fn is_nobodys(&self, name: &str) -> bool {
        let books = self.books();
        let is_of_it = |thing: &Thing| matches!(thing, Thing::Mirror(mirror, _) if mirror == name);
        let mut entries = books.things.iter().filter(|(thing, _)| is_of_it(thing));
        entries.all(|(_, entry)| entry.users.is_empty())
    }

    /// Bytes of all mirrors.
    pub fn mirrors(&self) -> u64 {
        self.books().mirrors()
    }

    /// Bytes of all that a tenant has.
    pub fn used(&self, tenant: &str) -> u64 {
        self.books().of(tenant, &[])
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        self.0.books.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    /// The bytes of it that a tenant has.
    fn of(&self, thing: &Thing, tenant: &str) -> u64 {
        let uses = self.users.contains(tenant);
        match thing {
            Thing::Mirror(..) if uses || self.users.is_empty() => {
                self.written.get(tenant).copied().unwrap_or_default()
            }
            Thing::Archive(_) | Thing::Opened(_) if uses => self.bytes,
            Thing::Mirror(..) | Thing::Archive(_) | Thing::Opened(_) => 0,
        }
    }
}

impl Books {
    fn of(&self, tenant: &str, without: &[Thing]) -> u64 {
        let goes = |thing: &Thing| without.iter().any(|last| thing.goes_with(last));
        let others = self.things.iter().filter(|(thing, _)| !goes(thing));
        let theirs = others.map(|(thing, entry)| entry.of(thing, tenant));
        theirs.fold(0, u64::saturating_add)
    }

    fn mirrors(&self) -> u64 {
        let things = self.things.iter();
        let mirrors = things.filter(|(thing, _)| matches!(thing, Thing::Mirror(..)));
        mirrors.map(|(_, entry)| entry.bytes).sum()
    }

    /// What others are writing just now.
    fn beside(&self, id: u64, counts: impl Fn(&Aside) -> bool) -> u64 {
        let others = self.writing.iter().filter(|(other, _)| **other != id);
        let others = others.filter(|(_, aside)| counts(aside));
        others.map(|(_, aside)| aside.bytes).sum()
    }

    /// Whether so many bytes may be written in all by one who writes.
    fn may_have(&self, who: &Writing, most: u64, wanted: u64) -> Result<(), Over> {
        if let Some(account) = &who.account
            && let Some(allowed) = account.allowed
        {
            let all = self.of(&account.tenant, &[]);
            let used = self.of(&account.tenant, &who.replaced);
            let parting = all.saturating_sub(used);
            let used = used + parting.saturating_sub(allowed.saturating_mul(PARTING));
            let is_theirs = |aside: &Aside| aside.tenant.as_ref() == Some(&account.tenant);
            let beside = self.beside(who.id, is_theirs);
            if used.saturating_add(beside).saturating_add(wanted) > allowed {
                return Err(Over::Tenant {
                    tenant: account.tenant.clone(),
                    allowed,
                    used: all,
                });
            }
        }
        if who.is_mirror {
            let used = self.mirrors();
            let beside = self.beside(who.id, |aside| aside.is_mirror);
            if used.saturating_add(beside).saturating_add(wanted) > most {
                let allowed = most;
                return Err(Over::Mirrors { allowed, used });
            }
        }
        Ok(())
    }
}

/// Something that is being written. What was set aside for it is given back when it is dropped: by then what there is has
/// been told.
#[derive(Debug)]
pub(crate) struct Writing {
    disk: Disk,
    id: u64,
    account: Option<Account>,
    is_mirror: bool,
    replaced: Vec<Thing>,
    written: u64,
    aside: u64,
}

impl Writing {
    /// So many bytes more are about to be written. What nobody uses goes first, if there is no room: of a tenant that has all it may
    /// have, its own.
    pub(crate) fn more(&mut self, bytes: u64) -> Result<(), Over> {
        self.written = self.written.saturating_add(bytes);
        loop {
            let Err(over) = self.set_aside() else {
                return Ok(());
            };
            if !self.disk.make_room(&over) {
                return Err(over);
            }
        }
    }

    /// It is written, and so large. It lies there until what is given is dropped.
    pub(crate) fn lies(&self, bytes: u64) -> Lying {
        let tenant = self.account.as_ref().map(|account| account.tenant.clone());
        let mut books = self.disk.books();
        let thing = Thing::Opened(books.next);
        books.next += 1;
        let entry = Entry {
            bytes,
            users: tenant.into_iter().collect(),
            written: Written::new(),
        };
        books.things.insert(thing.clone(), entry);
        Lying {
            disk: self.disk.clone(),
            thing,
        }
    }

    fn set_aside(&mut self) -> Result<(), Over> {
        if self.written <= self.aside {
            return Ok(());
        }
        let disk = self.disk.clone();
        let mut books = disk.books();
        let ahead = self.written.saturating_add(STEP);
        let wanted = match books.may_have(self, disk.0.most, ahead) {
            Ok(()) => ahead,
            Err(_) => {
                books.may_have(self, disk.0.most, self.written)?;
                self.written
            }
        };
        self.aside = wanted;
        if let Some(aside) = books.writing.get_mut(&self.id) {
            aside.bytes = wanted;
        }
        Ok(())
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        self.disk.books().writing.remove(&self.id);
    }
}

/// Something that lies on the disk as long as somebody holds it.
#[derive(Debug)]
pub(crate) struct Lying {
    disk: Disk,
    thing: Thing,
}

impl Lying {
    /// What it is in the books.
    pub(crate) fn thing(&self) -> &Thing {
        &self.thing
    }
}

impl Drop for Lying {
    fn drop(&mut self) {
        self.disk.gone(&self.thing);
    }
}

#[cfg(test)]
mod tests {
    use reeve_api::reason::Reason;
    use reeve_core::failure::{Explain as _, Turn};

    use super::*;

    fn account(tenant: &str, allowed: u64) -> Account {
        Account {
            tenant: tenant.to_owned(),
            allowed: Some(allowed),
        }
    }

    fn mirror(name: &str) -> Thing {
        Thing::Mirror(name.to_owned(), 1)
    }

    #[test]
    fn who_would_have_more_than_it_may_is_stopped_at_the_byte() {
        let disk = Disk::default();
        let acme = account("acme", 1000);
        let mut writing = disk.write(Some(&acme), true, None);
        writing.more(999).unwrap();
        writing.more(1).unwrap();
        let over = writing.more(1).unwrap_err();
        assert_eq!(over.reason(), Reason::StorageQuotaExceeded);
        assert!(over.to_string().contains("may have 1000 bytes"), "{over}");
        // What it has is told, not what it was about to have.
        assert!(over.to_string().contains("has 0 bytes"), "{over}");
    }

    #[test]
    fn a_mirror_counts_for_whoever_had_it_written_however_many_use_it() {
        let disk = Disk::default();
        let (acme, other) = (account("acme", 100), account("other", 100));
        disk.set(mirror("m"), 95);
        disk.wrote(&mirror("m"), "acme", 80);
        disk.used_by(&mirror("m"), "other");
        assert_eq!((disk.used("acme"), disk.used("other")), (80, 0));
        // However much another makes it grow.
        disk.wrote(&mirror("m"), "other", 15);
        assert!(disk.write(Some(&acme), true, None).more(21).is_err());
        disk.write(Some(&acme), true, None).more(20).unwrap();
        assert!(disk.write(Some(&other), true, None).more(86).is_err());
        disk.write(Some(&other), true, None).more(85).unwrap();
    }

    #[test]
    fn what_others_go_on_with_is_not_counted_for_who_has_left_and_what_nobody_uses_is() {
        let disk = Disk::default();
        disk.set(mirror("m"), 80);
        disk.wrote(&mirror("m"), "acme", 80);
        disk.used_by(&mirror("m"), "other");
        disk.left("m", "acme");
        assert_eq!((disk.used("acme"), disk.used("other")), (0, 0));
        // It still lies there, for whoever comes back.
        disk.left("m", "other");
        assert_eq!(disk.used("acme"), 80);
        // Nobody has come yet after a start.
        let again = Disk::default();
        let written = disk.wrote(&mirror("m"), "acme", 0);
        again.set(mirror("m"), 80);
        again.set_written(mirror("m"), written);
        assert_eq!(again.used("acme"), 80);
        again.used_by(&mirror("m"), "other");
        assert_eq!(again.used("acme"), 0);
        again.used_by(&mirror("m"), "acme");
        assert_eq!(again.used("acme"), 80);
    }

    #[test]
    fn what_one_has_left_to_others_is_seen_where_it_is_most_of_it() {
        let disk = Disk::default();
        disk.set(mirror("m"), 100);
        disk.wrote(&mirror("m"), "acme", 60);
        disk.wrote(&mirror("m"), "other", 40);
        assert!(!disk.is_mostly_nobodys(&mirror("m")));
        disk.left("m", "other");
        assert!(!disk.is_mostly_nobodys(&mirror("m")));
        disk.used_by(&mirror("m"), "other");
        disk.left("m", "acme");
        assert!(disk.is_mostly_nobodys(&mirror("m")));
        // Nobody goes on with it: it counts for whom it was written for.
        disk.left("m", "other");
        assert!(!disk.is_mostly_nobodys(&mirror("m")));
    }

    #[test]
    fn an_archive_counts_for_each_who_uses_it() {
        let disk = Disk::default();
        let archive = Thing::Archive("t".to_owned());
        let users = ["acme", "other"].map(str::to_owned).into();
        disk.set_users(archive.clone(), 90, users);
        assert_eq!((disk.used("acme"), disk.used("other")), (90, 90));
        disk.gone(&archive);
        assert_eq!(disk.used("acme"), 0);
    }

    #[test]
    fn what_was_opened_counts_as_long_as_somebody_holds_it() {
        let disk = Disk::default();
        let acme = account("acme", 100);
        let lying = disk.write(Some(&acme), false, None).lies(60);
        assert_eq!((disk.used("acme"), disk.used("other")), (60, 0));
        assert!(disk.write(Some(&acme), false, None).more(41).is_err());
        // What takes its place does not count beside it.
        let instead = Some(lying.thing().clone());
        let mut writing = disk.write(Some(&acme), false, instead);
        writing.more(100).unwrap();
        drop(writing);
        drop(lying);
        assert_eq!(disk.used("acme"), 0);
    }

    #[test]
    fn who_makes_room_is_asked_one_after_the_other() {
        let disk = Disk::default();
        let acme = account("acme", 100);
        let lying = disk.write(Some(&acme), false, None).lies(60);
        let left = Mutex::new(Some(lying));
        disk.room_by(|_| false);
        disk.room_by(move |_| left.lock().unwrap().take().is_some());
        disk.write(Some(&acme), true, None).more(100).unwrap();
        assert_eq!(disk.used("acme"), 0);
    }

    #[test]
    fn requests_have_a_quarter_and_take_none_of_what_the_tenant_has() {
        let disk = Disk::default();
        let requests = account("acme", 100).of_requests();
        disk.set(mirror("m"), 20);
        disk.wrote(&mirror("m"), &requests.tenant, 20);
        let over = disk.write(Some(&requests), true, None).more(6).unwrap_err();
        let hint = over.hint().unwrap_or_default();
        assert!(hint.contains("of Tenant acme, of which"), "{hint}");
        let acme = account("acme", 100);
        disk.write(Some(&acme), true, None).more(100).unwrap();
    }

    #[test]
    fn two_that_write_at_once_do_not_both_get_what_is_left() {
        let disk = Disk::default();
        let acme = account("acme", 10 << 20);
        let mut first = disk.write(Some(&acme), true, None);
        first.more(6 << 20).unwrap();
        let mut second = disk.write(Some(&acme), false, None);
        assert!(second.more(5 << 20).is_err());
        drop(first);
        second.more(0).unwrap();
    }

    #[test]
    fn what_takes_the_place_of_another_does_not_count_beside_it() {
        let disk = Disk::default();
        let acme = account("acme", 100);
        disk.set(mirror("m"), 80);
        disk.wrote(&mirror("m"), "acme", 80);
        assert!(disk.write(Some(&acme), true, None).more(60).is_err());
        let mut writing = disk.write(Some(&acme), true, Some(mirror("m")));
        writing.more(60).unwrap();
        assert!(writing.more(41).is_err());
    }

    #[test]
    fn all_that_a_mirror_was_before_goes_with_its_readers_and_only_so_much_of_it_may_wait_for_them()
    {
        let disk = Disk::default();
        let acme = account("acme", 100);
        let written = |number: u64| {
            let thing = Thing::Mirror("m".to_owned(), number);
            disk.set(thing.clone(), 90);
            disk.wrote(&thing, "acme", 90);
            thing
        };
        let (_, second) = (written(1), written(2));
        let mut third = disk.write(Some(&acme), true, Some(second));
        third.more(100).unwrap();
        drop(third);
        let third = written(3);
        // 70 more than waits for its readers.
        let mut fourth = disk.write(Some(&acme), true, Some(third));
        fourth.more(30).unwrap();
        assert!(fourth.more(1).is_err());
        // Another mirror's count.
        assert!(
            disk.write(Some(&acme), true, Some(mirror("other")))
                .more(1)
                .is_err()
        );
    }

    #[test]
    fn all_mirrors_together_are_bounded_for_those_without_a_quota_too() {
        let disk = Disk::new(100);
        disk.set(mirror("m"), 60);
        disk.set(Thing::Archive("t".to_owned()), 1000);
        let mut writing = disk.write(None, true, None);
        writing.more(40).unwrap();
        let over = writing.more(1).unwrap_err();
        assert_eq!(over.turn(), Turn::Ours);
        // Archives have a bound of their own.
        disk.write(None, false, None).more(1000).unwrap();
    }

    #[test]
    fn a_mirror_is_somebodys_alone_when_nobody_else_uses_it() {
        let disk = Disk::default();
        disk.set(mirror("m"), 1);
        assert!(!disk.is_only_of("m", "acme"));
        disk.used_by(&mirror("m"), "acme");
        assert!(disk.is_only_of("m", "acme"));
        disk.used_by(&mirror("m"), "other");
        assert!(!disk.is_only_of("m", "acme"));
        assert!(!disk.is_nobodys("m"));
    }

    #[test]
    fn what_nobody_uses_is_that_of_whom_it_was_written_for() {
        let disk = Disk::default();
        disk.set(mirror("m"), 80);
        disk.wrote(&mirror("m"), "acme", 80);
        disk.left("m", "acme");
        assert!(disk.is_nobodys("m") && disk.is_only_of("m", "acme"));
        disk.wrote(&mirror("m"), "other", 1);
        disk.left("m", "other");
        assert!(disk.is_nobodys("m") && !disk.is_only_of("m", "acme"));
    }

    #[test]
    fn whatever_is_written_asks_for_room_first_and_only_while_some_is_made() {
        let disk = Disk::default();
        let acme = account("acme", 100);
        for name in ["a", "b"] {
            disk.set(mirror(name), 40);
            disk.wrote(&mirror(name), "acme", 40);
        }
        let (books, left) = (disk.clone(), Mutex::new(vec!["b", "a"]));
        disk.room_by(move |alone| {
            assert_eq!(alone, Some("acme"));
            let name = left.lock().unwrap().pop();
            name.is_some_and(|name| {
                books.mirror_gone(name);
                true
            })
        });
        // An archive, and no more goes than has to.
        let mut writing = disk.write(Some(&acme), false, None);
        writing.more(60).unwrap();
        assert_eq!(disk.used("acme"), 40);
        writing.more(40).unwrap();
        assert_eq!(disk.used("acme"), 0);
        assert!(writing.more(1).is_err());
    }
}
