//! Files of other snapshots, laid beside those of a commit: `spec.include`.
//!
//! Laid as Flux moves them: before anything is ignored, one after the other, never onto something that is there already but
//! a file onto a file. Contents stay in the mirrors that they were fetched into. What it deliberately doesn't: say whose
//! files may be laid where; they were asked for by name in the same namespace, and are what is in store of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use reeve_core::source::Include;
use reeve_kustomize::Tree as _;

use super::listing::{Listing, MAX_IGNORE_BYTES, MAX_LEFT_OUT, Raw, is_not_whole};
use super::{Depot, Node, Snapshot};
use crate::git::name::{LONGEST_PATH, hostile};
use crate::git::submodules::Origins;
use crate::git::wire::in_bytes;
use crate::git::{Cause, Limits, ignore};

/// Which files of a commit are wanted, and with which others.
#[derive(Debug, Clone, Default)]
pub struct Content {
    /// The rules of `spec.ignore`.
    pub ignore: Option<String>,
    /// The directories that are taken; all when there are none.
    pub sparse: Vec<String>,
    /// The submodules that are there, by their paths: each of the commit that is wanted there, or it counts for none.
    pub submodules: BTreeMap<String, Snapshot>,
    /// Whether submodules are yet to come: a directory that is taken may be in one of them.
    pub incomplete: bool,
    /// Where those are from.
    pub origins: Origins,
    /// What is laid beside them, in this order.
    pub laid: Vec<Laid>,
}

/// Files of another snapshot.
#[derive(Debug, Clone)]
pub struct Laid {
    /// Which, and where to.
    pub include: Include,
    /// Where they are.
    pub snapshot: Snapshot,
}

/// What could not be laid beside a commit's files.
#[derive(Debug, thiserror::Error)]
#[error("failed to copy '{name}' include from ./{from} to ./{to}: {why}")]
pub struct NotLaid {
    name: String,
    from: String,
    to: String,
    why: String,
}

impl Laid {
    /// Adds them to a listing. Contents are read from `depots`, which grow by those that are needed.
    pub(super) fn lay(
        &self,
        onto: &mut Listing,
        depots: &mut Vec<Arc<Depot>>,
        limits: &Limits,
    ) -> Result<(), Cause> {
        let source = self.snapshot.kind(&self.include.from);
        let is_dir = match source {
            Some(kind) => kind == reeve_kustomize::Kind::Dir,
            None => return Err(self.refused(self.why_missing())),
        };
        // Each directory that leads there is made, under its whole path.
        if self.include.to.len() > LONGEST_PATH {
            return Err(self.refused("the path is longer than 4096 bytes".to_owned()));
        }
        self.make_room(onto, is_dir)?;
        let mut moved = BTreeMap::new();
        for (path, node) in &self.snapshot.0.entries {
            let Some(target) = self.target(path) else {
                continue;
            };
            if target.is_empty() {
                continue;
            }
            if target.rsplit('/').next() == Some(ignore::FILE) && matches!(node, Node::File { .. })
            {
                let dir = target.rsplit_once('/').map_or("", |(dir, _)| dir);
                onto.obey(dir.to_owned(), self.rules_in(path, &target)?, limits)?;
            }
            let node = self.moved(*node, depots, &mut moved);
            let path = target.into_bytes();
            let raw = Raw {
                path,
                node,
                tree: None,
            };
            onto.hold(raw, limits)?;
        }
        for (path, why) in &self.snapshot.0.left_out {
            if let Some(target) = self.target(path)
                && onto.left_out.len() < MAX_LEFT_OUT
            {
                onto.left_out.insert(target, *why);
            }
        }
        Ok(())
    }

    fn why_missing(&self) -> String {
        let from = &self.include.from;
        match self.snapshot.left_out(from) {
            Some(why) => format!("{from} {why}"),
            None => "no such file or directory".to_owned(),
        }
    }

    /// Where a path of theirs comes to lie, if it is among what is laid.
    fn target(&self, path: &str) -> Option<String> {
        let Include { from, to, .. } = &self.include;
        let rest = match path.strip_prefix(from.as_str())? {
            rest if from.is_empty() => rest,
            "" => "",
            rest => rest.strip_prefix('/')?,
        };
        Some(match (to.as_str(), rest) {
            ("", rest) => rest.to_owned(),
            (to, "") => to.to_owned(),
            (to, rest) => format!("{to}/{rest}"),
        })
    }

    /// Sees that nothing is in the way, and makes the directories that lead there.
    fn make_room(&self, onto: &mut Listing, is_dir: bool) -> Result<(), Cause> {
        let to = &self.include.to;
        let mut parts = to.split('/').filter(|part| !part.is_empty());
        if let Some(why) = parts.find_map(|part| hostile(part.as_bytes())) {
            return Err(self.refused(format!("a part of the path is refused: {why}")));
        }
        let ends = to.match_indices('/').map(|(at, _)| at);
        let leading: Vec<&str> = ends.filter_map(|end| to.get(..end)).collect();
        let mut all = leading.iter().copied().chain([to.as_str()]);
        let link = |path| onto.left_out.get(path).map(|why| (path, *why));
        if let Some((path, why)) = all.find_map(link) {
            return Err(self.refused(format!("{path} {why}")));
        }
        let inside = |raw: &Raw| {
            let rest = raw.path.strip_prefix(to.as_bytes());
            rest.is_some_and(|rest| !rest.is_empty() && (to.is_empty() || rest.starts_with(b"/")))
        };
        if onto.found.iter().any(inside) {
            return Err(self.refused("file exists".to_owned()));
        }
        let mut there: BTreeMap<&[u8], bool> = BTreeMap::new();
        let known = leading.iter().copied().chain([to.as_str()]);
        let known: Vec<&[u8]> = known.map(str::as_bytes).collect();
        for raw in &onto.found {
            if let Some(path) = known.iter().find(|path| ***path == *raw.path) {
                there.insert(path, matches!(raw.node, Node::Dir));
            }
        }
        if let Some(file) = leading
            .iter()
            .find(|dir| there.get(dir.as_bytes()) == Some(&false))
        {
            return Err(self.refused(format!("{file} is not a directory")));
        }
        match there.get(to.as_bytes()) {
            Some(true) if !is_dir => return Err(self.refused("file exists".to_owned())),
            Some(false) if is_dir => return Err(self.refused("not a directory".to_owned())),
            _ => {}
        }
        let Listing { found, trees, .. } = onto;
        found.retain(|raw| {
            let stays = raw.path != to.as_bytes();
            if !stays {
                is_not_whole(trees, raw.tree);
            }
            stays
        });
        let made = leading
            .iter()
            .filter(|dir| !there.contains_key(dir.as_bytes()));
        let made = made
            .copied()
            .chain((is_dir && !to.is_empty()).then_some(to.as_str()));
        let made = made.map(|dir| Raw {
            path: dir.as_bytes().to_vec(),
            node: Node::Dir,
            tree: None,
        });
        onto.found.extend(made.collect::<Vec<_>>());
        Ok(())
    }

    /// The same entry, read from where it is.
    fn moved(
        &self,
        node: Node,
        depots: &mut Vec<Arc<Depot>>,
        moved: &mut BTreeMap<usize, usize>,
    ) -> Node {
        let Node::File {
            id,
            executable,
            depot,
        } = node
        else {
            return Node::Dir;
        };
        let depot = *moved.entry(depot).or_insert_with(|| {
            let Some(theirs) = self.snapshot.0.depots.get(depot) else {
                // Where nothing is: reading it says so.
                return usize::MAX;
            };
            let known = depots.iter().position(|ours| Arc::ptr_eq(ours, theirs));
            known.unwrap_or_else(|| {
                depots.push(Arc::clone(theirs));
                depots.len() - 1
            })
        });
        Node::File {
            id,
            executable,
            depot,
        }
    }

    fn rules_in(&self, path: &str, target: &str) -> Result<String, Cause> {
        let lost = |why: String| Cause::Mirror { doing: "read", why };
        let found = self.snapshot.find(path);
        let (_, repository, id, size) = found.map_err(|why| lost(why.to_string()))?;
        if size > MAX_IGNORE_BYTES {
            let why = format!("it is larger than {}", in_bytes(MAX_IGNORE_BYTES));
            let file = target.to_owned();
            return Err(ignore::Error::Pattern { file, why }.into());
        }
        let object = repository.find_object(id);
        let object = object.map_err(|why| lost(why.to_string()))?;
        Ok(String::from_utf8_lossy(&object.data).into_owned())
    }

    fn refused(&self, why: String) -> Cause {
        let Include {
            repository,
            from,
            to,
        } = &self.include;
        Cause::NotLaid(Box::new(NotLaid {
            name: repository.to_string(),
            from: from.clone(),
            to: to.clone(),
            why,
        }))
    }
}
