//! Whose turn it is to write an archive: so many are written at once, and never all of them for one tenant.
//!
//! A turn is held by whoever writes, to the end, whether anybody still waits for it or not. What it deliberately doesn't: know how
//! long somebody may wait; whoever asks has a deadline of its own, and asks no more when that is over.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The turns of all tenants.
pub(super) struct Turns {
    all: Arc<Semaphore>,
    /// How many of them one tenant may have.
    share: usize,
    /// Of each tenant that has one, or waits for one.
    own: Mutex<HashMap<String, Weak<Semaphore>>>,
}

/// A turn, until this is dropped.
pub(super) struct Held {
    _own: Option<OwnedSemaphorePermit>,
    _all: Option<OwnedSemaphorePermit>,
}

impl Turns {
    /// So many at once, and of them so many for one tenant.
    pub(super) fn new(all: usize, share: usize) -> Self {
        Self {
            all: Arc::new(Semaphore::new(all)),
            share,
            own: Mutex::default(),
        }
    }

    /// Waits for a turn of a tenant: for its own others first, so that they don't stand before everybody else's.
    pub(super) async fn of(&self, tenant: &str) -> Held {
        // Closed never, so an error cannot be.
        let own = self.share_of(tenant).acquire_owned().await.ok();
        let all = Arc::clone(&self.all).acquire_owned().await.ok();
        Held {
            _own: own,
            _all: all,
        }
    }

    fn share_of(&self, tenant: &str) -> Arc<Semaphore> {
        let mut own = self.own.lock().unwrap_or_else(PoisonError::into_inner);
        // Who holds or awaits a turn holds what it is of.
        own.retain(|_, share| share.strong_count() > 0);
        if let Some(share) = own.get(tenant).and_then(Weak::upgrade) {
            return share;
        }
        let share = Arc::new(Semaphore::new(self.share));
        own.insert(tenant.to_owned(), Arc::downgrade(&share));
        share
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    #[test]
    fn one_tenant_never_has_all_turns_and_what_it_gives_back_is_its_next_ones() {
        let turns = Turns::new(3, 2);
        let now = |tenant: &str| turns.of(tenant).now_or_never();
        let first = now("acme").expect("a turn");
        let _second = now("acme").expect("a turn");
        assert!(now("acme").is_none());
        let other = now("other").expect("a turn that acme cannot have");
        assert!(now("third").is_none(), "all are taken");
        drop(other);
        assert!(now("acme").is_none());
        drop(first);
        assert!(now("acme").is_some());
        assert!(now("third").is_some());
    }

    #[test]
    fn who_has_none_and_waits_for_none_is_not_remembered() {
        let turns = Turns::new(1, 1);
        for tenant in ["a", "b", "c"] {
            drop(turns.of(tenant).now_or_never().expect("a turn"));
        }
        let _held = turns.of("d").now_or_never().expect("a turn");
        let own = turns.own.lock().unwrap();
        assert_eq!(own.keys().collect::<Vec<_>>(), ["d"]);
    }
}
