//! Where a snapshot lies on the disk: in which mirrors, by what they are in its books.
//!
//! What it deliberately doesn't: say what becomes of them; whoever counts or leaves one does.

use std::collections::BTreeSet;

use super::{Node, OWN, Snapshot};
use crate::disk::Thing;

impl Snapshot {
    /// The name of the mirror that its commit is read from.
    pub(crate) fn mirror(&self) -> Option<&str> {
        self.0.depots.get(OWN)?.generation.mirror()
    }

    /// Where its commit lies.
    pub(crate) fn lies_in(&self) -> Option<Thing> {
        let depot = self.0.depots.get(OWN)?;
        Some(depot.generation.thing().clone())
    }

    /// Where it lies with its submodules, and nothing of what is laid beside them.
    pub(crate) fn all_lies_in(&self) -> BTreeSet<Thing> {
        let own = self.0.depots.iter().take(self.0.own);
        own.map(|depot| depot.generation.thing().clone()).collect()
    }

    /// Where its submodules lie whose files are below a path.
    pub(crate) fn below_lies_in(&self, path: &str) -> BTreeSet<Thing> {
        let path = format!("{path}/");
        let below = self.0.entries.range(path.clone()..);
        let below = below.take_while(|(file, _)| file.starts_with(&path));
        let depots = below.filter_map(|(_, node)| match node {
            Node::File { depot, .. } if *depot != OWN && *depot < self.0.own => Some(*depot),
            Node::File { .. } | Node::Dir => None,
        });
        let depots: BTreeSet<usize> = depots.collect();
        let depots = depots.into_iter().filter_map(|at| self.0.depots.get(at));
        depots.map(|it| it.generation.thing().clone()).collect()
    }
}
