//! The listing of a commit's tree, before and after the ignore rules.
//!
//! Only the directories that are asked for are walked; where a submodule is, that goes on in the mirror which has its commit.
//! What the ignore rules leave of the listing is looked for in the mirrors, so that nothing is promised that isn't here. What
//! it deliberately doesn't: read contents, but of `.sourceignore`, or fetch a submodule.

mod bounds;

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use gix::ObjectId;
use gix::objs::tree::EntryKind;
use sha2::{Digest as _, Sha256};

use self::bounds::{Taken, shown, too_many};
use super::{Content, Depot, Node, OWN, Snapshot, root_of};
use crate::git::ignore::{self, Rules, Sieve};
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
    /// Where submodules are, and at which commits, of those that were not given.
    pub(super) submodules: BTreeMap<String, ObjectId>,
    /// The trees of the commit's own mirror that were walked.
    pub(super) trees: Vec<Walked>,
    taken: Taken,
}

/// One entry of it.
pub(super) struct Raw {
    pub(super) path: Vec<u8>,
    pub(super) node: Node,
    /// Which of the trees it is in, if that is in the commit's own mirror.
    pub(super) tree: Option<usize>,
}

/// A tree that was walked.
pub(super) struct Walked {
    id: ObjectId,
    /// Whether all files right in it were seen to be here when another commit with it was listed.
    known: bool,
    /// Whether all of them are looked for this time.
    whole: bool,
}

/// What lists a tree.
pub(super) struct Walk<'a> {
    content: &'a Content,
    /// Where contents are read from: the commit's own, and those of its submodules.
    depots: &'a mut Vec<Arc<Depot>>,
    limits: &'a Limits,
    terms: &'a Terms,
    /// Whether `.sourceignore` is read: not while it may still have to come.
    rules: bool,
    /// Trees of the commit's own mirror, all of whose files are here.
    seen: Arc<HashSet<ObjectId>>,
    listing: Listing,
}

/// Where a walk is.
struct Place {
    repository: gix::Repository,
    depot: usize,
}

impl<'a> Walk<'a> {
    pub(super) fn of(
        content: &'a Content,
        depots: &'a mut Vec<Arc<Depot>>,
        limits: &'a Limits,
        terms: &'a Terms,
    ) -> Self {
        Self {
            content,
            depots,
            limits,
            terms,
            rules: true,
            seen: Arc::default(),
            listing: Listing::default(),
        }
    }

    /// The same; of these trees nothing need be looked for.
    pub(super) fn having_seen(self, seen: Arc<HashSet<ObjectId>>) -> Self {
        Self { seen, ..self }
    }

    /// The same, but no file is read.
    pub(super) fn of_names(self) -> Self {
        Self {
            rules: false,
            ..self
        }
    }

    /// Lists the tree, which is in `repository`; each directory that is asked for must be in it.
    pub(super) fn whole(
        mut self,
        repository: gix::Repository,
        root: ObjectId,
    ) -> Result<Listing, Cause> {
        let place = Place {
            repository,
            depot: OWN,
        };
        self.dir(&place, root, "", 0)?;
        let is_there = |dir: &&String| {
            let mut found = self.listing.found.iter();
            dir.is_empty() || found.any(|raw| raw.path == dir.as_bytes()) || self.may_come(dir)
        };
        match self.content.sparse.iter().find(|dir| !is_there(dir)) {
            Some(missing) => Err(Cause::NoDirectory(missing.clone())),
            None => Ok(self.listing),
        }
    }

    /// Whether a directory is one, or is in one, that is yet to come.
    fn may_come(&self, dir: &str) -> bool {
        let mut submodules = self.listing.submodules.keys();
        let within = |submodule: &String| {
            let rest = dir.strip_prefix(submodule.as_str());
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        self.content.incomplete && submodules.any(within)
    }
}

pub(super) const LINK: &str =
    "is a symbolic link: sources hold none, as in Flux; commit a copy or name what it leads to";
const SUBMODULE: &str =
    "is a submodule, which is fetched only where spec.recurseSubmodules says so";
/// How many entries that are left out can be told as such.
pub(super) const MAX_LEFT_OUT: usize = 1_000;
/// How many trees are remembered as seen.
const MOST_SEEN: usize = 100_000;
/// Of one `.sourceignore`.
pub(super) const MAX_IGNORE_BYTES: u64 = 256 << 10;

impl Walk<'_> {
    fn dir(
        &mut self,
        place: &Place,
        tree: ObjectId,
        prefix: &str,
        depth: usize,
    ) -> Result<(), Cause> {
        self.may_go_on(depth)?;
        let walked = (place.depot == OWN).then(|| self.walks(tree));
        let tree = place.repository.find_object(tree).map_err(lost)?;
        let tree = tree.try_into_tree().map_err(malformed)?;
        for entry in tree.iter() {
            let entry = entry.map_err(malformed)?;
            let name: &[u8] = entry.filename();
            let path = join(prefix.as_bytes(), name);
            if let Some(why) = hostile(name) {
                return Err(Cause::Hostile {
                    path: shown(&path),
                    why,
                });
            }
            let id = entry.object_id();
            let kind = entry.mode().kind();
            let leads = matches!(kind, EntryKind::Tree | EntryKind::Commit);
            if !is_asked_for(&self.content.sparse, &path, leads) {
                is_not_whole(&mut self.listing.trees, walked);
                continue;
            }
            let node = match kind {
                EntryKind::Tree => Node::Dir,
                EntryKind::Blob | EntryKind::BlobExecutable => Node::File {
                    id,
                    executable: kind == EntryKind::BlobExecutable,
                    depot: place.depot,
                },
                EntryKind::Link => {
                    self.leave_out(&path, LINK);
                    continue;
                }
                EntryKind::Commit => {
                    self.submodule(path, id, depth)?;
                    continue;
                }
            };
            let raw = Raw {
                path,
                node,
                tree: walked,
            };
            self.add(place, prefix, raw, id, depth)?;
        }
        Ok(())
    }

    fn may_go_on(&self, depth: usize) -> Result<(), Cause> {
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
        Ok(())
    }

    fn walks(&mut self, id: ObjectId) -> usize {
        let known = self.seen.contains(&id);
        let whole = true;
        self.listing.trees.push(Walked { id, known, whole });
        self.listing.trees.len() - 1
    }

    /// Goes on in a submodule, if its commit was given.
    fn submodule(&mut self, path: Vec<u8>, commit: ObjectId, depth: usize) -> Result<(), Cause> {
        let text = String::from_utf8_lossy(&path).into_owned();
        let given = self.content.submodules.get(&text);
        let Some(given) = given.filter(|given| given.0.commit == commit) else {
            self.leave_out(&path, SUBMODULE);
            // One more than may be is enough to know that there are too many.
            if self.listing.submodules.len() <= self.limits.submodules {
                self.listing.submodules.insert(text, commit);
            }
            return Ok(());
        };
        self.graft(given, path, &text, depth)
    }

    fn graft(
        &mut self,
        given: &Snapshot,
        path: Vec<u8>,
        text: &str,
        depth: usize,
    ) -> Result<(), Cause> {
        let depot = given.0.depots.get(OWN).ok_or(Cause::Internal)?;
        let place = Place {
            repository: depot.repository()?,
            depot: self.depots.len(),
        };
        self.depots.push(Arc::clone(depot));
        let (root, _) = root_of(&place.repository, given.0.commit)?;
        let raw = Raw {
            path,
            node: Node::Dir,
            tree: None,
        };
        self.listing.hold(raw, self.limits)?;
        self.dir(&place, root, text, depth + 1)
    }

    fn leave_out(&mut self, path: &[u8], why: &'static str) {
        if self.listing.left_out.len() < MAX_LEFT_OUT {
            let path = String::from_utf8_lossy(path).into_owned();
            self.listing.left_out.insert(path, why);
        }
    }

    fn add(
        &mut self,
        place: &Place,
        prefix: &str,
        raw: Raw,
        id: ObjectId,
        depth: usize,
    ) -> Result<(), Cause> {
        let is_dir = matches!(raw.node, Node::Dir);
        let mut names = raw.path.rsplit(|byte| *byte == b'/');
        let is_rules = self.rules && names.next() == Some(ignore::FILE.as_bytes());
        let path = (is_dir || is_rules).then(|| raw.path.clone());
        self.listing.hold(raw, self.limits)?;
        // What is no UTF-8: its name decides later whether that is an error, and what is in it isn't needed for that.
        let Some(Ok(path)) = path.map(String::from_utf8) else {
            return Ok(());
        };
        if is_dir {
            return self.dir(place, id, &path, depth + 1);
        }
        let text = rules_in(&place.repository, id, &path)?;
        self.listing.obey(prefix.to_owned(), text, self.limits)
    }
}

/// Whether something is in the directories that are asked for, all if there are none, or leads to one as a directory does.
pub(in crate::git) fn is_asked_for(sparse: &[String], path: &[u8], leads: bool) -> bool {
    let within = |dir: &[u8], path: &[u8]| {
        let rest = path.strip_prefix(dir);
        rest.is_some_and(|rest| dir.is_empty() || rest.is_empty() || rest.starts_with(b"/"))
    };
    let mut dirs = sparse.iter().map(String::as_bytes);
    sparse.is_empty() || dirs.any(|dir| within(dir, path) || leads && within(path, dir))
}

fn rules_in(repository: &gix::Repository, id: ObjectId, path: &str) -> Result<String, Cause> {
    if repository.find_header(id).map_err(lost)?.size() > MAX_IGNORE_BYTES {
        let why = format!("it is larger than {}", in_bytes(MAX_IGNORE_BYTES));
        return Err(ignore::Error::Pattern {
            file: path.to_owned(),
            why,
        }
        .into());
    }
    let bytes = repository.find_object(id).map_err(lost)?.detach().data;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// What the rules leave, with the directories that lead to it, after a look whether all of it is really here.
pub(super) fn keep(
    found: Vec<Raw>,
    trees: &mut [Walked],
    rules: &Rules,
    depots: &[Arc<Depot>],
    (limits, terms): (&Limits, &Terms),
) -> Result<BTreeMap<String, Node>, Cause> {
    let depots = depots.iter().map(|depot| depot.repository());
    let depots: Vec<gix::Repository> = depots.collect::<Result<_, Cause>>()?;
    // One after the other, nearly in order: to be put in order at once is far cheaper than one by one.
    let (mut kept, mut leading) = (Vec::with_capacity(found.len()), HashSet::new());
    let (mut sieve, mut files, mut led_to) = (rules.sieve(), 0, String::new());
    for Raw { path, node, tree } in found {
        // Each may be held against thousands of patterns.
        if let Some(cause) = terms.expired("leaving out what is ignored") {
            return Err(cause);
        }
        let is_dir = matches!(node, Node::Dir);
        let Some(path) = sifted(path, is_dir, &mut sieve)? else {
            is_not_whole(trees, tree);
            continue;
        };
        if let Node::File { id, depot, .. } = node {
            files += 1;
            if files > limits.files {
                return Err(too_many(limits.files));
            }
            // What is in none of these is laid beside it, and was looked for when it was listed itself.
            let tree = tree.and_then(|tree| trees.get(tree));
            let here = depots
                .get(depot)
                .filter(|_| !tree.is_some_and(|it| it.known));
            if here.is_some_and(|here| !here.has_object(id)) {
                let why = format!("the content of {path} is missing");
                return Err(Cause::Mirror { doing: "read", why });
            }
            // A file may come back from a directory that is left out.
            let dir = path.rsplit_once('/').map_or("", |(dir, _)| dir);
            if dir != led_to {
                dir.clone_into(&mut led_to);
                let parents = path.match_indices('/').filter_map(|(at, _)| path.get(..at));
                for parent in parents {
                    if !leading.contains(parent) {
                        leading.insert(parent.to_owned());
                        kept.push((parent.to_owned(), Node::Dir));
                    }
                }
            }
        }
        kept.push((path, node));
    }
    Ok(kept.into_iter().collect())
}

/// The path, if the rules leave it.
fn sifted(path: Vec<u8>, is_dir: bool, sieve: &mut Sieve<'_>) -> Result<Option<String>, Cause> {
    let odd = match String::from_utf8(path) {
        Ok(path) => return Ok((!sieve.excluded(&path, is_dir)).then_some(path)),
        Err(odd) => odd,
    };
    let path = String::from_utf8_lossy(odd.as_bytes()).into_owned();
    if sieve.excluded(&path, is_dir) {
        return Ok(None);
    }
    let path = shown(path.as_bytes());
    let why = "it is not UTF-8";
    Err(Cause::Hostile { path, why })
}

/// Not all files of a tree are looked for.
pub(super) fn is_not_whole(trees: &mut [Walked], tree: Option<usize>) {
    if let Some(tree) = tree.and_then(|tree| trees.get_mut(tree)) {
        tree.whole = false;
    }
}

/// The trees all of whose files were seen to be here.
pub(super) fn seen(trees: &[Walked]) -> HashSet<ObjectId> {
    let whole = trees.iter().filter(|tree| tree.whole || tree.known);
    whole.map(|tree| tree.id).take(MOST_SEEN).collect()
}

fn join(prefix: &[u8], name: &[u8]) -> Vec<u8> {
    if prefix.is_empty() {
        name.to_vec()
    } else {
        [prefix, b"/", name].concat()
    }
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

/// It came whole, so that neither our disk nor the server is to blame: all that was fetched beside it stays.
pub(in crate::git) fn malformed(error: impl std::fmt::Display) -> Cause {
    Cause::Malformed(error.to_string())
}

pub(in crate::git) fn lost(error: gix::Error) -> Cause {
    Cause::Mirror {
        doing: "read",
        why: error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    #[test]
    fn patterns_are_held_against_paths_only_until_the_deadline() {
        let rules = Rules::new(Some(&"*a*b*c\n".repeat(5_000)), &[]).unwrap();
        let limits = Limits::default();
        let kept = |terms: &Terms| {
            let found = vec![Raw {
                path: b"deploy".to_vec(),
                node: Node::Dir,
                tree: None,
            }];
            keep(found, &mut [], &rules, &[], (&limits, terms))
        };
        let (terms, _guard) = Terms::new(Instant::now() + Duration::from_secs(60));
        assert_eq!(kept(&terms).unwrap().len(), 1);
        let (late, _guard) = Terms::new(Instant::now());
        let why = kept(&late).err();
        assert!(matches!(why, Some(Cause::Deadline { .. })), "{why:?}");
    }
}
