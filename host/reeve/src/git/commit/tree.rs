//! The trees of a commit, with some files changed: only what leads to those is made anew.
//!
//! Nothing is gone through but directories, and nothing is written over but files: a symbolic link, a submodule, or a
//! directory in the way is told. What it deliberately doesn't: read a file, or where trees come from; it is given a way to
//! read one.

use std::collections::BTreeMap;

use gix::objs::tree::{Entry, EntryKind};
use gix::objs::{Kind, Tree, WriteTo as _};
use gix::{ObjectId, hash};

use super::{Change, Edits, Error, Object};
use crate::git::name::{LONGEST_PATH, hostile};
use crate::git::wire::in_bytes;
use crate::git::{Cause, Limits};

/// Files that one commit may change.
const MAX_EDITS: usize = 1000;

/// Trees that can be read, and what was made on top of them.
pub(in crate::git) struct Trees<'a> {
    hash: hash::Kind,
    read: &'a dyn Fn(ObjectId) -> Result<Vec<Entry>, Cause>,
    limits: &'a Limits,
    made: BTreeMap<ObjectId, Object>,
}

/// What is to change in one directory, name by name.
type Names = BTreeMap<String, Node>;

enum Node {
    File(Change),
    Dir(Names),
}

impl<'a> Trees<'a> {
    pub(in crate::git) fn new(
        hash: hash::Kind,
        limits: &'a Limits,
        read: &'a dyn Fn(ObjectId) -> Result<Vec<Entry>, Cause>,
    ) -> Self {
        Self {
            hash,
            read,
            limits,
            made: BTreeMap::new(),
        }
    }

    /// The tree that `edits` make of `root` (nothing, if there is none), and the objects that are new; nothing if nothing
    /// changes.
    pub(in crate::git) fn edit(
        mut self,
        root: Option<ObjectId>,
        edits: Edits,
    ) -> Result<Option<(ObjectId, Vec<Object>)>, Error> {
        let names = plan(edits, self.limits)?;
        let edited = self.dir(root, names, "")?;
        if edited == root {
            return Ok(None);
        }
        let root = match edited {
            Some(root) => root,
            None => self.keep(Kind::Tree, Vec::new())?,
        };
        Ok(Some((root, self.made.into_values().collect())))
    }

    /// The directory `tree` with `names` changed; nothing if nothing is left in it.
    fn dir(
        &mut self,
        tree: Option<ObjectId>,
        names: Names,
        prefix: &str,
    ) -> Result<Option<ObjectId>, Error> {
        let before = match tree {
            Some(tree) => (self.read)(tree)?,
            None => Vec::new(),
        };
        let mut after = before.clone();
        for (name, node) in names {
            let path = format!("{prefix}{name}");
            let at = after
                .iter()
                .position(|entry| entry.filename == name.as_bytes());
            let old = at.and_then(|at| after.get(at)).cloned();
            let new = match node {
                Node::File(change) => self.file(old.as_ref(), change, &name, &path)?,
                Node::Dir(names) => self.subdir(old.as_ref(), names, &name, &path)?,
            };
            match (at.and_then(|at| after.get_mut(at)), new) {
                (Some(place), Some(new)) => *place = new,
                (None, Some(new)) => after.push(new),
                (_, None) => after.retain(|entry| entry.filename != name.as_bytes()),
            }
        }
        if tree.is_some() && after == before {
            return Ok(tree);
        }
        if after.is_empty() {
            return Ok(None);
        }
        after.sort();
        let mut data = Vec::new();
        let written = Tree { entries: after }.write_to(&mut data);
        written.map_err(|_| Cause::Internal)?;
        self.keep(Kind::Tree, data).map(Some)
    }

    fn file(
        &mut self,
        old: Option<&Entry>,
        change: Change,
        name: &str,
        path: &str,
    ) -> Result<Option<Entry>, Error> {
        let mode = match old.map(|old| (old.mode, old.mode.kind())) {
            None => EntryKind::Blob.into(),
            Some((mode, EntryKind::Blob | EntryKind::BlobExecutable)) => mode,
            Some((_, kind)) => return Err(in_the_way(kind, path)),
        };
        let Change::Write(content) = change else {
            return Ok(None);
        };
        let oid = match old {
            // Not to be sent when it is there already.
            Some(old) if self.id(&content)? == old.oid => old.oid,
            _ => self.keep(Kind::Blob, content)?,
        };
        Ok(Some(Entry {
            mode,
            filename: name.into(),
            oid,
        }))
    }

    fn subdir(
        &mut self,
        old: Option<&Entry>,
        names: Names,
        name: &str,
        path: &str,
    ) -> Result<Option<Entry>, Error> {
        let (mode, tree) = match old.map(|old| (old.mode, old.mode.kind())) {
            None => (EntryKind::Tree.into(), None),
            Some((mode, EntryKind::Tree)) => (mode, old.map(|old| old.oid)),
            Some((_, kind)) => return Err(in_the_way(kind, path)),
        };
        let edited = self.dir(tree, names, &format!("{path}/"))?;
        Ok(edited.map(|oid| Entry {
            mode,
            filename: name.into(),
            oid,
        }))
    }

    fn id(&self, content: &[u8]) -> Result<ObjectId, Error> {
        let id = gix::objs::compute_hash(self.hash, Kind::Blob, content);
        Ok(id.map_err(|_| Cause::Internal)?)
    }

    fn keep(&mut self, kind: Kind, data: Vec<u8>) -> Result<ObjectId, Error> {
        let object = Object::new(self.hash, kind, data)?;
        let id = object.id;
        self.made.insert(id, object);
        Ok(id)
    }
}

fn in_the_way(kind: EntryKind, path: &str) -> Error {
    let why = match kind {
        EntryKind::Tree => "a directory is there",
        EntryKind::Link => "a symbolic link is there, and those are not followed",
        EntryKind::Commit => "a submodule is there, which is another repository",
        EntryKind::Blob | EntryKind::BlobExecutable => {
            "a file is there, where a directory would have to be"
        }
    };
    Error::InTheWay {
        path: path.to_owned(),
        why,
    }
}

/// The changes, directory by directory.
fn plan(edits: Edits, limits: &Limits) -> Result<Names, Error> {
    if edits.changes.len() > MAX_EDITS {
        return Err(Error::TooMuch {
            what: "more files change",
            cap: MAX_EDITS.to_string(),
        });
    }
    let mut root = Names::new();
    for (path, change) in edits.changes {
        check(&path, &change, limits)?;
        let refuse = |why| Error::Path {
            path: path.clone(),
            why,
        };
        let (dirs, name) = path.rsplit_once('/').unwrap_or(("", &path));
        let mut names = &mut root;
        for dir in dirs.split('/').filter(|dir| !dir.is_empty()) {
            let node = names
                .entry(dir.to_owned())
                .or_insert_with(|| Node::Dir(Names::new()));
            names = match node {
                Node::Dir(names) => names,
                Node::File(_) => {
                    return Err(refuse("it leads through a file that changes as well"));
                }
            };
        }
        // Nothing is lost: whatever lies below a path comes after it.
        names.insert(name.to_owned(), Node::File(change));
    }
    Ok(root)
}

fn check(path: &str, change: &Change, limits: &Limits) -> Result<(), Error> {
    let refuse = |why| Error::Path {
        path: path.chars().take(200).collect(),
        why,
    };
    if path.len() > LONGEST_PATH {
        return Err(refuse("it is longer than 4096 bytes"));
    }
    if path.starts_with('/') {
        return Err(refuse("it is absolute"));
    }
    if path.split('/').count() > limits.depth {
        return Err(refuse("it is nested too deep"));
    }
    if let Some(why) = path.split('/').find_map(|name| hostile(name.as_bytes())) {
        return Err(refuse(why));
    }
    match change {
        Change::Write(content) if !fits(content, limits) => Err(Error::TooMuch {
            what: "a file is larger",
            cap: in_bytes(limits.file_bytes),
        }),
        Change::Write(_) | Change::Remove => Ok(()),
    }
}

fn fits(content: &[u8], limits: &Limits) -> bool {
    u64::try_from(content.len()).is_ok_and(|length| length <= limits.file_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHA1: hash::Kind = hash::Kind::Sha1;

    /// Trees in memory, as a mirror without a single file holds them.
    #[derive(Default)]
    struct Store(BTreeMap<ObjectId, Vec<Entry>>);

    impl Store {
        fn tree(&mut self, entries: &[(EntryKind, &str, ObjectId)]) -> ObjectId {
            let entries = entries.iter().map(|(kind, name, oid)| Entry {
                mode: (*kind).into(),
                filename: (*name).into(),
                oid: *oid,
            });
            let mut entries: Vec<_> = entries.collect();
            entries.sort();
            let mut data = Vec::new();
            let tree = Tree {
                entries: entries.clone(),
            };
            tree.write_to(&mut data).unwrap();
            let id = gix::objs::compute_hash(SHA1, Kind::Tree, &data).unwrap();
            self.0.insert(id, entries);
            id
        }

        fn edit(
            &self,
            root: Option<ObjectId>,
            edits: Edits,
        ) -> Result<Option<(ObjectId, Vec<Object>)>, Error> {
            let read = |id| Ok(self.0.get(&id).expect("a tree of the store").clone());
            Trees::new(SHA1, &Limits::default(), &read).edit(root, edits)
        }
    }

    fn blob(content: &str) -> ObjectId {
        gix::objs::compute_hash(SHA1, Kind::Blob, content.as_bytes()).unwrap()
    }

    /// `app/{deploy.yaml,run.sh,link}`, `lib/` (a tree that is nowhere), `sub` (a submodule), `README.md`.
    fn project(store: &mut Store) -> ObjectId {
        let app = store.tree(&[
            (EntryKind::Blob, "deploy.yaml", blob("1")),
            (EntryKind::BlobExecutable, "run.sh", blob("#!")),
            (EntryKind::Link, "link", blob("../lib")),
        ]);
        store.tree(&[
            (EntryKind::Tree, "app", app),
            (EntryKind::Tree, "lib", blob("not here at all")),
            (EntryKind::Commit, "sub", blob("another repository")),
            (EntryKind::Blob, "README.md", blob("hello")),
        ])
    }

    #[test]
    fn only_what_leads_to_a_change_is_made_anew() {
        let mut store = Store::default();
        let root = project(&mut store);
        let edits = Edits::new().write("app/deploy.yaml", "2");
        let (edited, made) = store.edit(Some(root), edits).unwrap().unwrap();
        let mut kinds: Vec<_> = made.iter().map(|object| object.kind).collect();
        kinds.sort();
        assert_eq!(kinds, [Kind::Tree, Kind::Tree, Kind::Blob]);
        let app = store.tree(&[
            (EntryKind::Blob, "deploy.yaml", blob("2")),
            (EntryKind::BlobExecutable, "run.sh", blob("#!")),
            (EntryKind::Link, "link", blob("../lib")),
        ]);
        let want = store.tree(&[
            (EntryKind::Tree, "app", app),
            (EntryKind::Tree, "lib", blob("not here at all")),
            (EntryKind::Commit, "sub", blob("another repository")),
            (EntryKind::Blob, "README.md", blob("hello")),
        ]);
        assert_eq!(edited, want);
        assert!(made.iter().any(|object| object.id == want));
    }

    #[test]
    fn a_file_keeps_its_mode_and_a_new_one_cannot_be_run() {
        let mut store = Store::default();
        let root = project(&mut store);
        let edits = Edits::new().write("app/run.sh", "x").write("a/b/c", "y");
        let (edited, _) = store.edit(Some(root), edits).unwrap().unwrap();
        let app = store.tree(&[
            (EntryKind::Blob, "deploy.yaml", blob("1")),
            (EntryKind::BlobExecutable, "run.sh", blob("x")),
            (EntryKind::Link, "link", blob("../lib")),
        ]);
        let inner = store.tree(&[(EntryKind::Blob, "c", blob("y"))]);
        let outer = store.tree(&[(EntryKind::Tree, "b", inner)]);
        let want = store.tree(&[
            (EntryKind::Tree, "a", outer),
            (EntryKind::Tree, "app", app),
            (EntryKind::Tree, "lib", blob("not here at all")),
            (EntryKind::Commit, "sub", blob("another repository")),
            (EntryKind::Blob, "README.md", blob("hello")),
        ]);
        assert_eq!(edited, want);
    }

    #[test]
    fn what_is_as_it_should_be_makes_nothing() {
        let mut store = Store::default();
        let root = project(&mut store);
        for edits in [
            Edits::new(),
            Edits::new().write("app/deploy.yaml", "1"),
            Edits::new()
                .write("app/run.sh", "#!")
                .remove("nowhere/at/all"),
            Edits::new().remove("app/gone"),
        ] {
            assert_eq!(
                store.edit(Some(root), edits.clone()).unwrap(),
                None,
                "{edits:?}"
            );
        }
        assert_eq!(store.edit(None, Edits::new().remove("a/b")).unwrap(), None);
    }

    #[test]
    fn a_directory_goes_with_its_last_file() {
        let mut store = Store::default();
        let deep = store.tree(&[(EntryKind::Blob, "x", blob("x"))]);
        let mid = store.tree(&[(EntryKind::Tree, "deep", deep)]);
        let file = (EntryKind::Blob, "y", blob("y"));
        let root = store.tree(&[(EntryKind::Tree, "mid", mid), file]);
        let edits = Edits::new().remove("mid/deep/x");
        let (edited, _) = store.edit(Some(root), edits).unwrap().unwrap();
        assert_eq!(edited, store.tree(&[file]));
        let edits = Edits::new().remove("mid/deep/x").remove("y");
        let (empty, made) = store.edit(Some(root), edits).unwrap().unwrap();
        assert_eq!(empty, ObjectId::empty_tree(SHA1));
        assert_eq!(made.len(), 1);
    }

    #[test]
    fn a_root_commit_is_made_of_nothing() {
        let mut store = Store::default();
        let edits = Edits::new()
            .write("a/b", "x")
            .write("a.b", "x")
            .write("a0", "x");
        let (root, made) = store.edit(None, edits).unwrap().unwrap();
        let a = store.tree(&[(EntryKind::Blob, "b", blob("x"))]);
        // Git's order: a directory's name counts as if it ended in a slash.
        let want = store.tree(&[
            (EntryKind::Blob, "a.b", blob("x")),
            (EntryKind::Tree, "a", a),
            (EntryKind::Blob, "a0", blob("x")),
        ]);
        assert_eq!(root, want);
        assert_eq!(made.len(), 3, "the same content is sent once");
    }

    #[test]
    fn nothing_is_gone_through_but_directories_and_written_over_but_files() {
        let mut store = Store::default();
        let root = project(&mut store);
        for (path, told) in [
            ("app", "a directory is there"),
            ("app/link", "a symbolic link is there"),
            ("app/link/x", "a symbolic link is there"),
            ("sub", "a submodule is there"),
            ("sub/x", "a submodule is there"),
            ("README.md/x", "a file is there"),
        ] {
            for edits in [Edits::new().write(path, "x"), Edits::new().remove(path)] {
                let told_of = store.edit(Some(root), edits).unwrap_err().to_string();
                assert!(told_of.contains(told), "{path}: {told_of}");
            }
        }
    }

    #[test]
    fn a_path_that_leads_elsewhere_is_refused() {
        let store = Store::default();
        for path in [
            "",
            "/etc/passwd",
            "../x",
            "a/../b",
            "./a",
            "a//b",
            "a/",
            ".git/config",
            "a/.GIT/hooks/post-receive",
            "git~1/x",
            ".g\u{200c}it/x",
            "a\\b",
            "a\0b",
            "a\nb",
            &"a/".repeat(3000),
            &format!("{}x", "a/".repeat(100)),
        ] {
            let refused = store.edit(None, Edits::new().write(path, "x")).unwrap_err();
            assert!(matches!(refused, Error::Path { .. }), "{path:?}: {refused}");
            assert!(refused.to_string().len() < 1000);
        }
    }

    #[test]
    fn edits_that_contradict_each_other_or_are_too_many_are_refused() {
        let store = Store::default();
        for edits in [
            Edits::new().write("a", "x").write("a/b", "x"),
            Edits::new().remove("a").write("a/b/c", "x"),
            Edits::new()
                .write("a/b/c", "x")
                .write("a/b", "x")
                .write("a-b", "x"),
        ] {
            let refused = store.edit(None, edits.clone()).unwrap_err();
            assert!(
                matches!(refused, Error::Path { .. }),
                "{edits:?}: {refused}"
            );
        }
        let many = (0..=MAX_EDITS).fold(Edits::new(), |edits, n| edits.write(n.to_string(), "x"));
        let refused = store.edit(None, many).unwrap_err();
        assert!(matches!(refused, Error::TooMuch { .. }), "{refused}");
    }
}
