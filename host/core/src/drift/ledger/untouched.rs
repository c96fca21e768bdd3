//! What of an object is exactly known, though another manifest of it is wanted by now.

use std::time::Duration;

use reeve_api::name::NamespacedName;

use super::super::{Seen, Sight};
use super::Ledger;
use crate::inventory::ObjectId;

/// An object as it was left, in a state that the API server can be asked to confirm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Untouched {
    /// How it looks: in an exact state.
    pub sight: Sight,
    /// By which digest its manifest goes.
    pub wanted: u64,
}

impl Ledger {
    /// The state of an object of `id` that nobody but its status' controllers has touched since it was compared in full, after `then`,
    /// and on which nobody asks for anything. A watch shows what happens to it; whether it has shown all by now the API server says.
    pub fn untouched(
        &self,
        id: &NamespacedName,
        object: &ObjectId,
        then: Duration,
        now: Duration,
    ) -> Option<Untouched> {
        let known = self.known.get(object)?;
        let is_known = *known.holder == *id && known.told.is_none() && !known.changed;
        let is_recent = known.compared.is_some_and(|at| at >= then);
        if !is_known || !is_recent || !self.is_watched(id, object, now) {
            return None;
        }
        let mut sight = known.sight;
        // What came during this run is judged when it is over.
        match self.holders.get(id)?.pending.get(object) {
            Some(Seen::There { sight: later, .. }) if later.is_after(sight) => {
                sight = sight.moved_to(*later);
                if !sight.is_like(known.sight) {
                    return None;
                }
            }
            Some(Seen::Gone { .. }) => return None,
            Some(Seen::There { .. }) | None => {}
        }
        sight.exact()?;
        Some(Untouched {
            sight,
            wanted: known.wanted,
        })
    }
}
