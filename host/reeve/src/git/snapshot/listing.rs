//! The listing of a commit's tree, before and after the ignore rules.
//!
//! Only the directories that are asked for are walked. What the ignore rules leave of the listing is looked for in the
//! mirror, so that nothing is promised that isn't here. What it deliberately doesn't: read contents, but of `.sourceignore`.

use std::collections::BTreeMap;

use gix::ObjectId;
use gix::objs::tree::EntryKind;
use sha2::{Digest as _, Sha256};

use super::{Node, OWN};
use crate::git::ignore::{self, Rules};
use crate::git::name::hostile;
use crate::git::wire::{Terms, in_bytes};
use crate::git::{Cause, Limits};

/// A tree before the ignore rules, which may stand in any directory, are applied.
#[derive(Default)]
pub(super) struct Listing {
    pub(super) found: Vec<Raw>,
    /// The directory of each `.sourceignore`, and its text.
    pub(super) rules: Vec<(String, String)>,
    pub(super) left_out: BTreeMap<String, &'static str>,
}

/// One entry of it.
pub(super) struct Raw {
    pub(super) path: Vec<u8>,
    pub(super) node: Node,
}

/// What lists a tree.
pub(super) struct Walk<'a> {
    repository: &'a gix::Repository,
    /// The directories that are asked for; all when there are none.
    sparse: &'a [String],
    limits: &'a Limits,
    terms: &'a Terms,
    listing: Listing,
}

impl<'a> Walk<'a> {
    pub(super) fn of(
        repository: &'a gix::Repository,
        sparse: &'a [String],
        limits: &'a Limits,
        terms: &'a Terms,
    ) -> Self {
        Self {
            repository,
            sparse,
            limits,
            terms,
            listing: Listing::default(),
        }
    }

    /// Lists the tree; each directory that is asked for must be in it.
    pub(super) fn whole(mut self, root: ObjectId) -> Result<Listing, Cause> {
        self.dir(root, "", 0)?;
        let is_there = |dir: &&String| {
            let mut found = self.listing.found.iter();
            dir.is_empty() || found.any(|raw| raw.path == dir.as_bytes())
        };
        match self.sparse.iter().find(|dir| !is_there(dir)) {
            Some(missing) => Err(Cause::NoDirectory(missing.clone())),
            None => Ok(self.listing),
        }
    }
}

const LINK: &str =
    "is a symbolic link: sources hold none, as in Flux; commit a copy or name what it leads to";
const SUBMODULE: &str = "is a submodule, which is not fetched";
/// How many entries that are left out can be told as such.
pub(super) const MAX_LEFT_OUT: usize = 1_000;
/// Of one `.sourceignore`.
pub(super) const MAX_IGNORE_BYTES: u64 = 256 << 10;

impl Walk<'_> {
    /// Whether something is in what is asked for, or is a directory that leads to it.
    fn is_asked_for(&self, path: &[u8], is_dir: bool) -> bool {
        let within = |dir: &[u8], path: &[u8]| {
            let rest = path.strip_prefix(dir);
            rest.is_some_and(|rest| dir.is_empty() || rest.is_empty() || rest.starts_with(b"/"))
        };
        let mut sparse = self.sparse.iter().map(String::as_bytes);
        self.sparse.is_empty() || sparse.any(|dir| within(dir, path) || is_dir && within(path, dir))
    }

    fn dir(&mut self, tree: ObjectId, prefix: &str, depth: usize) -> Result<(), Cause> {
        if let Some(cause) = self.terms.expired("listing the files") {
            return Err(cause);
        }
        if depth > self.limits.depth {
            let cap = self.limits.depth.to_string();
            return Err(Cause::TooMuch {
                what: "directories are nested deeper",
                cap,
            });
        }
        let tree = self.repository.find_object(tree).map_err(lost)?;
        let tree = tree.try_into_tree().map_err(|error| Cause::Mirror {
            doing: "read",
            why: error.to_string(),
        })?;
        for entry in tree.iter() {
            let entry = entry.map_err(lost)?;
            let name = entry.filename().to_vec();
            let path = join(prefix.as_bytes(), &name);
            if let Some(why) = hostile(&name) {
                let path = String::from_utf8_lossy(&path).into_owned();
                return Err(Cause::Hostile { path, why });
            }
            let id = entry.object_id();
            let kind = entry.mode().kind();
            if !self.is_asked_for(&path, kind == EntryKind::Tree) {
                continue;
            }
            let node = match kind {
                EntryKind::Tree => Node::Dir,
                EntryKind::Blob => Node::File {
                    id,
                    executable: false,
                    depot: OWN,
                },
                EntryKind::BlobExecutable => Node::File {
                    id,
                    executable: true,
                    depot: OWN,
                },
                EntryKind::Link => {
                    self.leave_out(&path, LINK);
                    continue;
                }
                EntryKind::Commit => {
                    self.leave_out(&path, SUBMODULE);
                    continue;
                }
            };
            self.add(prefix, &name, Raw { path, node }, id, depth)?;
        }
        Ok(())
    }

    fn leave_out(&mut self, path: &[u8], why: &'static str) {
        if self.listing.left_out.len() < MAX_LEFT_OUT {
            let path = String::from_utf8_lossy(path).into_owned();
            self.listing.left_out.insert(path, why);
        }
    }

    fn add(
        &mut self,
        prefix: &str,
        name: &[u8],
        raw: Raw,
        id: ObjectId,
        depth: usize,
    ) -> Result<(), Cause> {
        if self.listing.found.len() >= self.limits.listed() {
            return Err(too_many(self.limits.listed()));
        }
        let (is_dir, path) = (matches!(raw.node, Node::Dir), raw.path.clone());
        self.listing.found.push(raw);
        match String::from_utf8(path) {
            Ok(path) if is_dir => self.dir(id, &path, depth + 1),
            // Its name decides later whether that is an error; what is in it isn't needed for that.
            Err(_) => Ok(()),
            Ok(path) if name == ignore::FILE.as_bytes() => {
                let text = self.rules_in(id, &path)?;
                self.listing.rules.push((prefix.to_owned(), text));
                Ok(())
            }
            Ok(_) => Ok(()),
        }
    }

    fn rules_in(&self, id: ObjectId, path: &str) -> Result<String, Cause> {
        if self.repository.find_header(id).map_err(lost)?.size() > MAX_IGNORE_BYTES {
            let why = format!("it is larger than {}", in_bytes(MAX_IGNORE_BYTES));
            return Err(ignore::Error::Pattern {
                file: path.to_owned(),
                why,
            }
            .into());
        }
        let bytes = self.repository.find_object(id).map_err(lost)?.detach().data;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}

/// What the rules leave, with the directories that lead to it, after a look whether all of it is really here.
pub(super) fn keep(
    found: Vec<Raw>,
    rules: &Rules,
    repository: &gix::Repository,
    limits: &Limits,
) -> Result<BTreeMap<String, Node>, Cause> {
    let mut kept = BTreeMap::new();
    let mut files = 0;
    for Raw { path, node } in found {
        let is_dir = matches!(node, Node::Dir);
        if rules.excluded(&String::from_utf8_lossy(&path), is_dir) {
            continue;
        }
        let path = String::from_utf8(path).map_err(|odd| Cause::Hostile {
            path: String::from_utf8_lossy(odd.as_bytes()).into_owned(),
            why: "it is not UTF-8",
        })?;
        if let Node::File { id, depot, .. } = node {
            files += 1;
            if files > limits.files {
                return Err(too_many(limits.files));
            }
            // What is laid beside it was looked for when it was listed itself.
            if depot == OWN && !repository.has_object(id) {
                let why = format!("the content of {path} is missing");
                return Err(Cause::Mirror { doing: "read", why });
            }
            // A file may come back from a directory that is left out.
            let parents = path.match_indices('/').filter_map(|(at, _)| path.get(..at));
            for parent in parents {
                if !kept.contains_key(parent) {
                    kept.insert(parent.to_owned(), Node::Dir);
                }
            }
        }
        kept.insert(path, node);
    }
    Ok(kept)
}

pub(super) fn too_many(cap: usize) -> Cause {
    Cause::TooMuch {
        what: "the commit has more files",
        cap: cap.to_string(),
    }
}

fn join(prefix: &[u8], name: &[u8]) -> Vec<u8> {
    if prefix.is_empty() {
        name.to_vec()
    } else {
        [prefix, b"/", name].concat()
    }
}

pub(super) fn names(entries: &BTreeMap<String, Node>) -> BTreeMap<String, Vec<String>> {
    let mut names: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for path in entries.keys() {
        let (dir, name) = path.rsplit_once('/').unwrap_or(("", path));
        names
            .entry(dir.to_owned())
            .or_default()
            .push(name.to_owned());
    }
    names.values_mut().for_each(|names| names.sort());
    names
}

pub(super) fn digest(entries: &BTreeMap<String, Node>) -> String {
    let mut hash = Sha256::new();
    for (path, node) in entries {
        // Another kind for what lies in another mirror, whose ids may be of another length.
        let kind = match node {
            Node::Dir => "d",
            Node::File {
                executable, depot, ..
            } => match (*depot == OWN, executable) {
                (true, false) => "f",
                (true, true) => "x",
                (false, false) => "F",
                (false, true) => "X",
            },
        };
        hash.update(kind);
        hash.update(path);
        // No path holds NUL, and the ids of one mirror have one length, which those of others come with: no two listings
        // read the same.
        hash.update([0]);
        if let Node::File { id, depot, .. } = node {
            if *depot != OWN {
                hash.update(id.as_bytes().len().to_be_bytes());
            }
            hash.update(id.as_bytes());
        }
    }
    hex::encode(hash.finalize())
}

pub(super) fn lost(error: gix::Error) -> Cause {
    Cause::Mirror {
        doing: "read",
        why: error.to_string(),
    }
}
