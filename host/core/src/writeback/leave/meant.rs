//! Which fields of an object may be left alone, by the rules of all WriteBacks that are in effect for it.
//!
//! It deliberately doesn't say who has changed them: whether one is left depends on that, too, and is `leave`'s to say.

use reeve_api::writeback::SyncTo;
use serde_json::{Map, Value};

use super::super::following::Following;
use super::plain;

/// The fields that may be left.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Meant {
    /// What the rules of each WriteBack say of them.
    pub(super) by: Vec<Following>,
    /// Whether what no rule covers is left, too.
    pub(super) alone: bool,
}

impl Meant {
    /// Whether no field can be left.
    pub(super) fn is_nothing(&self) -> bool {
        match self.alone {
            true => self.by.iter().any(Following::keeps_all),
            false => !self.by.iter().any(|one| one.commits() || one.ignores()),
        }
    }

    /// Whether a field is left: what one WriteBack is to commit, even if another would have it put right; and what one ignores,
    /// unless another would.
    pub(super) fn is_left(&self, steps: &[String]) -> bool {
        let (mut is_ignored, mut is_kept) = (self.alone, false);
        for side in self.by.iter().filter_map(|one| one.of_steps(steps)) {
            match side {
                SyncTo::Git => return true,
                SyncTo::Ignore => is_ignored = true,
                SyncTo::Kubernetes => is_kept = true,
            }
        }
        is_ignored && !is_kept
    }

    /// Whether changes of a field are committed by any.
    pub(super) fn is_committed(&self, steps: &[String]) -> bool {
        let mut sides = self.by.iter().filter_map(|one| one.of_steps(steps));
        sides.any(|side| side == SyncTo::Git)
    }
}

/// Both sides, so that what differs is told field by field where fields of one mapping may have different sides: one that only the
/// other has is there, and empty.
pub(super) fn comparable(meant: &Meant, live: &Value, dry: &Value) -> (Value, Value) {
    let (mut is, mut would) = (plain(live), plain(dry));
    if meant.by.iter().any(Following::is_parted) {
        fill_mappings(&mut is, &would);
        fill_mappings(&mut would, &is);
    }
    (is, would)
}

fn fill_mappings(into: &mut Value, other: &Value) {
    let (Value::Object(into), Value::Object(other)) = (into, other) else {
        return;
    };
    for (key, other) in other.iter().filter(|(_, other)| other.is_object()) {
        let here = into.entry(key.clone());
        fill_mappings(here.or_insert_with(|| Value::Object(Map::new())), other);
    }
}
