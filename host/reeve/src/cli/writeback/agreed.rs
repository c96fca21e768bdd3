//! When which object was the same on the cluster and in the files, as long as the process runs.
//!
//! Without it each commit of a person to an object that follows the cluster would be taken back in the next round. A process that has
//! just begun knows of none, but what the history of the branch tells (`past`): what differs beyond that is written as the cluster
//! has it. It deliberately keeps nothing beyond itself.

use std::collections::{BTreeMap, BTreeSet};

use reeve_core::inventory::ObjectId;
use reeve_core::writeback::{Decision, Seen, State};

use super::round::Known;
use crate::git::Snapshot;

/// The files that gave each object as it was.
#[derive(Default)]
pub(super) struct Agreed(BTreeMap<ObjectId, Snapshot>);

/// What came of a look.
#[derive(Clone, Copy)]
pub(super) struct Outcome<'o> {
    /// What was decided about.
    pub(super) seen: &'o [Seen],
    /// What builds gave and was compared with that.
    pub(super) compared: &'o BTreeSet<ObjectId>,
    /// What was there.
    pub(super) known: &'o Known,
    pub(super) decision: &'o Decision,
}

impl Agreed {
    /// What was seen beside the files that gave it last as it was: these as builds that stand behind so many others, by the numbers of
    /// the builds that they are. What somebody has taken out of the files and the cluster still has is left out.
    pub(super) fn since(
        &self,
        seen: Vec<Seen>,
        builds: usize,
        head: &Snapshot,
    ) -> (Vec<Seen>, Vec<(usize, Snapshot)>) {
        let mut since: Vec<(usize, Snapshot)> = Vec::new();
        let mut all = Vec::new();
        for mut one in seen {
            let agreed = self.0.get(&ObjectId::of(one.object()));
            let agreed = agreed.filter(|agreed| agreed.revision() != head.revision());
            let Some(agreed) = agreed else {
                all.push(one);
                continue;
            };
            match &mut one.state {
                State::Made { .. } => continue,
                State::Held { build, .. }
                | State::Gone {
                    build: Some(build), ..
                } => {
                    let is = |(number, files): &(usize, Snapshot)| {
                        *number == *build && files.revision() == agreed.revision()
                    };
                    let at = since.iter().position(is).unwrap_or(since.len());
                    if at == since.len() {
                        since.push((*build, agreed.clone()));
                    }
                    *build = builds + at;
                }
                State::Gone { build: None, .. } => {}
            }
            all.push(one);
        }
        (all, since)
    }

    /// What is known from before the process began.
    pub(super) fn begin(&mut self, known: BTreeMap<ObjectId, Snapshot>) {
        for (id, files) in known {
            self.0.entry(id).or_insert(files);
        }
    }

    /// What both sides have alike is remembered to have been so in these files.
    pub(super) fn settle(&mut self, came: Outcome<'_>, files: &Snapshot) {
        let decision = came.decision;
        let refused = decision.refused.iter().map(|one| one.id.clone());
        let paused = decision.paused.iter().map(ObjectId::of);
        let ahead = decision.ahead.iter().cloned();
        let left: BTreeSet<ObjectId> = refused.chain(paused).chain(ahead).collect();
        let seen = came.seen.iter().map(|one| ObjectId::of(one.object()));
        let differ = seen.filter(|id| decision.left > 0 || left.contains(id));
        let differ: BTreeSet<ObjectId> = differ.collect();
        for id in came.compared.difference(&differ) {
            self.0.insert(id.clone(), files.clone());
        }
        // Who makes it anew has made another one.
        let is_gone = |one: &&Seen| matches!(one.state, State::Gone { .. });
        for one in came.seen.iter().filter(is_gone) {
            self.0.remove(&ObjectId::of(one.object()));
        }
        self.prune(came);
    }

    /// The same, of what was as it was in the files that were compared: what was decided about came upon others.
    pub(super) fn settle_unseen(&mut self, came: Outcome<'_>, files: &Snapshot) {
        let seen = came.seen.iter().map(|one| ObjectId::of(one.object()));
        let seen: BTreeSet<ObjectId> = seen.collect();
        for id in came.compared.difference(&seen) {
            self.0.insert(id.clone(), files.clone());
        }
        self.prune(came);
    }

    fn prune(&mut self, came: Outcome<'_>) {
        self.0
            .retain(|id, _| came.compared.contains(id) || came.known.contains_key(id));
    }
}
