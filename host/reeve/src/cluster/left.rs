//! Of which objects a run has left something alone, for whoever remembers it.
//!
//! What is compared more than once counts as it was the last time. It deliberately says nothing of objects that were not compared:
//! they are as they were.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// The objects that were compared, by their ids, and whether something of each is left alone. Its clones are one.
#[derive(Debug, Clone, Default)]
pub(super) struct Left(Arc<Mutex<BTreeMap<String, bool>>>);

impl Left {
    pub(super) fn note(&self, id: String, is_left: bool) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.insert(id, is_left);
    }

    pub(super) fn all(&self) -> BTreeMap<String, bool> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_compared_again_counts_as_it_is_by_then() {
        let left = Left::default();
        let clone = left.clone();
        for (id, is_left) in [("web", true), ("api", false), ("web", false), ("api", true)] {
            clone.note(id.to_owned(), is_left);
        }
        let want = [("api", true), ("web", false)].map(|(id, left)| (id.to_owned(), left));
        assert_eq!(left.all(), BTreeMap::from(want));
    }
}
