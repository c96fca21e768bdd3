//! Which objects were deleted to be made anew, and are not made anew yet.
//!
//! Where a rule takes out of git what somebody deletes, such an object must not be taken for that: not by a run that finds it gone,
//! be it of another process, and not by a WriteBack. So it is known from before it is deleted until it is there again, and a status has
//! it as long. It deliberately asks nobody: `apply` says what is deleted, and `finding` what is there.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use reeve_core::inventory::ObjectId;

/// The objects, by their ids. Its clones are one.
#[derive(Debug, Clone, Default)]
pub(super) struct Replacing(Arc<Mutex<BTreeSet<String>>>);

impl Replacing {
    /// Those that are known from before.
    pub(super) fn of(ids: impl IntoIterator<Item = String>) -> Self {
        Self(Arc::new(Mutex::new(ids.into_iter().collect())))
    }

    /// One is about to be deleted. Whether that was not known.
    pub(super) fn begin(&self, id: &ObjectId) -> bool {
        self.lock().insert(id.to_string())
    }

    /// It is there again, or stays as it is.
    pub(super) fn over(&self, id: &ObjectId) {
        let mut all = self.lock();
        // Mostly nothing is replaced, and an id takes a string.
        if !all.is_empty() {
            all.remove(&id.to_string());
        }
    }

    pub(super) fn has(&self, id: &str) -> bool {
        self.lock().contains(id)
    }

    pub(super) fn all(&self) -> BTreeSet<String> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_being_replaced_until_it_is_there_again() {
        let id: ObjectId = "acme_web__ConfigMap".parse().unwrap();
        let other: ObjectId = "acme_api__ConfigMap".parse().unwrap();
        let replacing = Replacing::of([other.to_string()]);
        let run = replacing.clone();
        assert!(run.begin(&id), "that is new");
        assert!(!run.begin(&id), "it is known, and written down");
        assert!(replacing.has(&id.to_string()));
        run.over(&id);
        assert_eq!(replacing.all(), BTreeSet::from([other.to_string()]));
    }
}
