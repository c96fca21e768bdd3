//! Which request stands for which archive, and what of it is still wanted.
//!
//! One small file a record, so that putting one doesn't rewrite the others, and a torn one loses only itself. Requests
//! are looked up by the hash of their whole path: how far a guess was right takes no measurable time to tell, because
//! nothing of the path itself is compared. What it deliberately doesn't: open an archive, but to see whether it is whole.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use reeve_api::name::NamespacedName;
use reeve_core::artifact::{Digest, Revision};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::Retention;
use super::archive::{file_name, is_whole, parse_file_name};
use crate::disk::{Disk, Thing};

/// One artifact of one object.
#[derive(Clone)]
pub(super) struct Record {
    pub(super) kind: String,
    pub(super) id: NamespacedName,
    /// Whose it is.
    pub(super) tenant: String,
    pub(super) path: String,
    pub(super) revision: Revision,
    pub(super) tree: String,
    pub(super) digest: Digest,
    pub(super) size: u64,
    pub(super) written: Timestamp,
}

/// All records and archives.
pub(super) struct Index {
    dir: PathBuf,
    blob_dir: PathBuf,
    records: HashMap<[u8; 32], Record>,
    /// How many records each tenant has of each tree.
    users: BTreeMap<String, BTreeMap<String, usize>>,
    blobs: BTreeMap<String, (Digest, u64)>,
    /// Those of them that an earlier process has left, as long as nobody has read them.
    unread: BTreeSet<String>,
    disk: Disk,
}

/// An archive that an earlier process has left.
pub(super) struct Left {
    tree: String,
    digest: Digest,
    path: PathBuf,
}

impl Left {
    /// Whether it is what its name says: a crash of the machine may have torn it. Reads all of it.
    pub(super) fn is_whole(&self) -> bool {
        is_whole(&self.path, &self.digest)
    }
}

impl Index {
    /// Reads what an earlier process left. Records without an archive and unreadable ones are dropped.
    pub(super) fn open(dir: &Path, blob_dir: &Path, disk: Disk) -> io::Result<Self> {
        fs::create_dir_all(dir)?;
        let mut blobs = BTreeMap::new();
        for entry in fs::read_dir(blob_dir)? {
            let entry = entry?;
            match entry.file_name().to_str().and_then(parse_file_name) {
                Some((tree, digest)) => {
                    blobs.insert(tree, (digest, entry.metadata()?.len()));
                }
                None => fs::remove_file(entry.path())?,
            }
        }
        let mut records = HashMap::new();
        for entry in fs::read_dir(dir)? {
            let path = entry?.path();
            let record = fs::read(&path).ok().and_then(|bytes| decode(&bytes));
            match record.filter(|record| {
                blobs
                    .get(&record.tree)
                    .is_some_and(|b| b.0 == record.digest)
            }) {
                Some(record) => {
                    records.insert(key(&record.path), record);
                }
                None => fs::remove_file(path)?,
            }
        }
        let mut users = BTreeMap::new();
        for record in records.values() {
            count(&mut users, record);
        }
        let opened = Self {
            dir: dir.to_owned(),
            blob_dir: blob_dir.to_owned(),
            records,
            users,
            unread: blobs.keys().cloned().collect(),
            blobs,
            disk,
        };
        opened.blobs.keys().for_each(|tree| opened.tell(tree));
        Ok(opened)
    }

    /// Tells the books of the disk who has the archive of a tree.
    fn tell(&self, tree: &str) {
        let thing = Thing::Archive(tree.to_owned());
        let Some((_, size)) = self.blobs.get(tree) else {
            return self.disk.gone(&thing);
        };
        let users = self.users.get(tree);
        let users = users.into_iter().flat_map(BTreeMap::keys).cloned();
        self.disk.set_users(thing, *size, users.collect());
    }

    /// The archive of those files, if an earlier process has left it and nobody has read it since.
    pub(super) fn left(&self, tree: &str) -> Option<Left> {
        let tree = self.unread.get(tree)?;
        let (digest, _) = *self.blobs.get(tree)?;
        Some(Left {
            tree: tree.clone(),
            digest,
            path: self.blob_dir.join(file_name(tree, &digest)),
        })
    }

    /// It was read. One that is torn is not here: the next of those files takes its place.
    pub(super) fn looked_at(&mut self, left: &Left, is_whole: bool) {
        if self.unread.remove(&left.tree) && !is_whole {
            self.blobs.remove(&left.tree);
            let _gone = fs::remove_file(&left.path);
            self.tell(&left.tree);
        }
    }

    /// The digest and size of the archive of those files, if it is here, and known to be whole.
    pub(super) fn blob(&self, tree: &str) -> Option<(Digest, u64)> {
        let known = self.blobs.get(tree);
        let (digest, size) = *known.filter(|_| !self.unread.contains(tree))?;
        let path = self.blob_dir.join(file_name(tree, &digest));
        // The disk may have lost it since.
        let there = fs::metadata(path).is_ok_and(|found| found.len() == size);
        there.then_some((digest, size))
    }

    /// Remembers a record of files whose archive is already here; nothing if it no longer is.
    pub(super) fn refer(&mut self, record: Record) -> io::Result<Option<Record>> {
        match self.blob(&record.tree) {
            Some(_) => self.insert(record).map(Some),
            None => Ok(None),
        }
    }

    /// Remembers a record and its archive, with the time it was first written.
    pub(super) fn insert(&mut self, mut record: Record) -> io::Result<Record> {
        let key = key(&record.path);
        let known = self.records.get(&key);
        if let Some(known) = known.filter(|known| known.digest == record.digest) {
            record.written = known.written;
        }
        let path = self.dir.join(hex::encode(key));
        let fresh = path.with_extension("new");
        write_private(&fresh, encode(&record).as_bytes())?;
        fs::rename(fresh, path)?;
        let archive = (record.digest, record.size);
        self.blobs.insert(record.tree.clone(), archive);
        self.unread.remove(&record.tree);
        count(&mut self.users, &record);
        if let Some(before) = self.records.insert(key, record.clone()) {
            discount(&mut self.users, &before);
        }
        self.tell(&record.tree);
        Ok(record)
    }

    /// The name of the archive that a request's path stands for.
    pub(super) fn file(&self, path: &str) -> Option<String> {
        let record = self.records.get(&key(path))?;
        Some(file_name(&record.tree, &record.digest))
    }

    pub(super) fn used(&self) -> u64 {
        self.blobs.values().map(|(_, size)| size).sum()
    }

    pub(super) fn collect(
        &mut self,
        kind: &str,
        live: &BTreeSet<NamespacedName>,
        retention: Retention,
        now: Timestamp,
    ) -> io::Result<usize> {
        let mut newest: BTreeMap<&NamespacedName, Vec<(Timestamp, [u8; 32])>> = BTreeMap::new();
        for (key, record) in self
            .records
            .iter()
            .filter(|(_, record)| record.kind == kind)
        {
            newest
                .entry(&record.id)
                .or_default()
                .push((record.written, *key));
        }
        let mut doomed = Vec::new();
        for (id, mut records) in newest {
            records.sort_unstable_by(|a, b| b.cmp(a));
            let keep = if live.contains(id) {
                retention.records.max(1)
            } else {
                0
            };
            let old = |written: &Timestamp| {
                let age = now.duration_since(*written);
                !live.contains(id)
                    || age
                        > jiff::SignedDuration::try_from(retention.ttl)
                            .unwrap_or(jiff::SignedDuration::MAX)
            };
            doomed.extend(
                records
                    .iter()
                    .skip(keep)
                    .filter(|(written, _)| old(written))
                    .map(|(_, key)| *key),
            );
        }
        self.drop_records(doomed)
    }

    /// Forgets everything of one object.
    pub(super) fn remove(&mut self, kind: &str, id: &NamespacedName) -> io::Result<usize> {
        let of_it = |record: &Record| record.kind == kind && record.id == *id;
        let doomed = self.records.iter().filter(|(_, record)| of_it(record));
        let doomed = doomed.map(|(key, _)| *key).collect();
        self.drop_records(doomed)
    }

    /// Drops records, and the archives that no other refers to.
    fn drop_records(&mut self, doomed: Vec<[u8; 32]>) -> io::Result<usize> {
        let mut touched = BTreeSet::new();
        for key in doomed {
            if let Some(record) = self.records.remove(&key) {
                discount(&mut self.users, &record);
                touched.insert(record.tree);
            }
            remove(&self.dir.join(hex::encode(key)))?;
        }
        let all = self.blobs.keys();
        let unwanted = all.filter(|tree| !self.users.contains_key(*tree));
        let unwanted: Vec<_> = unwanted.cloned().collect();
        for tree in &unwanted {
            self.unread.remove(tree);
            if let Some((digest, _)) = self.blobs.remove(tree) {
                // Whoever is reading it goes on reading: the file goes with its last reader.
                remove(&self.blob_dir.join(file_name(tree, &digest)))?;
            }
        }
        touched.extend(unwanted.iter().cloned());
        touched.iter().for_each(|tree| self.tell(tree));
        Ok(unwanted.len())
    }
}

/// One more record of its tree.
fn count(users: &mut BTreeMap<String, BTreeMap<String, usize>>, record: &Record) {
    let of_it = users.entry(record.tree.clone()).or_default();
    *of_it.entry(record.tenant.clone()).or_default() += 1;
}

/// One less.
fn discount(users: &mut BTreeMap<String, BTreeMap<String, usize>>, record: &Record) {
    let Some(of_it) = users.get_mut(&record.tree) else {
        return;
    };
    if let Some(many) = of_it.get_mut(&record.tenant) {
        *many -= 1;
        if *many == 0 {
            of_it.remove(&record.tenant);
        }
    }
    if of_it.is_empty() {
        users.remove(&record.tree);
    }
}

/// Its path is what proves that somebody may fetch the archive: for nobody else on this machine.
fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut open = fs::OpenOptions::new();
    let mut file = open
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(bytes)
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn key(path: &str) -> [u8; 32] {
    Sha256::digest(path.as_bytes()).into()
}

fn encode(record: &Record) -> String {
    json!({
        "kind": record.kind,
        "namespace": record.id.namespace.as_str(),
        "name": record.id.name.as_str(),
        "tenant": record.tenant,
        "path": record.path,
        "revision": record.revision.to_string(),
        "tree": record.tree,
        "digest": record.digest.to_string(),
        "size": record.size,
        "written": record.written.to_string(),
    })
    .to_string()
}

fn decode(bytes: &[u8]) -> Option<Record> {
    let value: Value = serde_json::from_slice(bytes).ok()?;
    let text = |field: &str| value.get(field).and_then(Value::as_str);
    let namespace = text("namespace")?;
    Some(Record {
        kind: text("kind")?.to_owned(),
        tenant: text("tenant").unwrap_or(namespace).to_owned(),
        id: NamespacedName::new(namespace, text("name")?).ok()?,
        path: text("path")?.to_owned(),
        revision: Revision::parse(text("revision")?).ok()?,
        tree: text("tree")?.to_owned(),
        digest: Digest::parse(text("digest")?).ok()?,
        size: value.get("size")?.as_u64()?,
        written: text("written")?.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(tenant: &str, content: &[u8]) -> Record {
        let commit = "1".repeat(40);
        Record {
            kind: "gitrepository".to_owned(),
            id: NamespacedName::new(tenant, "web").unwrap(),
            tenant: tenant.to_owned(),
            path: format!("gitrepository/{tenant}/web/token/{commit}.tar.gz"),
            revision: Revision::new(Some("main"), &commit).unwrap(),
            tree: "2".repeat(40),
            digest: Digest::of(content),
            size: u64::try_from(content.len()).unwrap(),
            written: Timestamp::UNIX_EPOCH,
        }
    }

    #[test]
    fn what_a_crash_has_torn_is_archived_anew_and_what_is_whole_is_read_once() {
        for (lies, is_whole) in [
            (&b"whole"[..], true),
            (b"who", false),
            (b"\0\0\0\0\0", false),
        ] {
            let room = tempfile::tempdir().unwrap();
            let (dir, blobs) = (room.path().join("index"), room.path().join("blobs"));
            fs::create_dir(&blobs).unwrap();
            let record = record("acme", b"whole");
            let file = blobs.join(file_name(&record.tree, &record.digest));
            fs::write(&file, b"whole").unwrap();
            let mut first = Index::open(&dir, &blobs, Disk::default()).unwrap();
            first.insert(record.clone()).unwrap();
            assert!(first.left(&record.tree).is_none(), "it is its own");

            fs::write(&file, lies).unwrap();
            let mut next = Index::open(&dir, &blobs, Disk::default()).unwrap();
            assert!(next.refer(record.clone()).unwrap().is_none(), "unread");
            let left = next.left(&record.tree).unwrap();
            assert_eq!(left.is_whole(), is_whole);
            next.looked_at(&left, is_whole);
            assert!(next.left(&record.tree).is_none());
            let referred = next.refer(record.clone()).unwrap();
            assert_eq!((referred.is_some(), file.exists()), (is_whole, is_whole));
        }
    }

    #[test]
    fn an_archive_is_on_the_account_of_all_who_have_it_and_goes_with_the_last() {
        let room = tempfile::tempdir().unwrap();
        let (dir, blobs) = (room.path().join("index"), room.path().join("blobs"));
        fs::create_dir(&blobs).unwrap();
        let (acme, other) = (record("acme", b"whole"), record("other", b"whole"));
        let file = blobs.join(file_name(&acme.tree, &acme.digest));
        fs::write(&file, b"whole").unwrap();
        let disk = Disk::default();
        let mut index = Index::open(&dir, &blobs, disk.clone()).unwrap();
        for record in [&acme, &other, &acme] {
            index.insert(record.clone()).unwrap();
        }
        assert_eq!((disk.used("acme"), disk.used("other")), (5, 5));
        assert_eq!(index.remove("gitrepository", &acme.id).unwrap(), 0);
        assert_eq!((disk.used("acme"), disk.used("other")), (0, 5));
        assert_eq!(index.remove("gitrepository", &other.id).unwrap(), 1);
        assert!(!file.exists() && index.users.is_empty());
    }
}
