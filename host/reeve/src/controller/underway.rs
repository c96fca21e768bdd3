//! The runs under way, so that one that is no longer wanted ends early.
//!
//! A run whose object was changed, suspended or deleted works for nothing, and may go on for as long as `spec.timeout`
//! lets it. The watch says so here, and the run leaves off where that is safe. It deliberately ends nothing by force,
//! and begins nothing: the watch has woken the object as well.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use reeve_core::index::Target;
use tokio_util::sync::CancellationToken;

/// The runs under way.
#[derive(Debug, Clone, Default)]
pub(crate) struct Underway(Arc<Mutex<BTreeMap<Target, CancellationToken>>>);

/// One of them, until it is dropped.
#[derive(Debug)]
pub(super) struct Course {
    all: Underway,
    target: Target,
    over: CancellationToken,
}

impl Underway {
    /// A run of `target` begins. Before its object is looked up, so that no change of it is missed.
    pub(super) fn begin(&self, target: Target) -> Course {
        let over = CancellationToken::new();
        self.lock().insert(target.clone(), over.clone());
        Course {
            all: self.clone(),
            target,
            over,
        }
    }

    /// What a run of `target` works for is no longer wanted.
    pub(super) fn supersede(&self, target: &Target) {
        if let Some(over) = self.lock().get(target) {
            over.cancel();
        }
    }

    /// No policy is worth being read any more: the process is told to stop.
    pub(super) fn end_policies(&self) {
        for (target, over) in self.lock().iter() {
            if matches!(target, Target::Policy(_)) {
                over.cancel();
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<Target, CancellationToken>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Course {
    /// Cancelled when the run is no longer wanted.
    pub(super) fn over(&self) -> &CancellationToken {
        &self.over
    }
}

impl Drop for Course {
    fn drop(&mut self) {
        self.all.lock().remove(&self.target);
    }
}
