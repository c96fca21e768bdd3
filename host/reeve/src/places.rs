//! Places for work of which a few go on at once, and of each tenant only one, or some of them: whoever's takes long waits for
//! itself.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The places for one kind of work.
pub(crate) struct Places {
    shared: Arc<Semaphore>,
    each: usize,
    /// Of each tenant that works or waits to.
    own: Mutex<BTreeMap<String, Weak<Semaphore>>>,
}

/// A place, until it is dropped.
pub(crate) struct Place {
    _own: OwnedSemaphorePermit,
    _shared: OwnedSemaphorePermit,
}

impl Places {
    pub(crate) fn new(places: usize) -> Self {
        Self::sharing(places, 1)
    }

    /// Of which each tenant may have so many.
    pub(crate) fn sharing(places: usize, each: usize) -> Self {
        Self {
            shared: Arc::new(Semaphore::new(places)),
            each,
            own: Mutex::default(),
        }
    }

    /// A place for work of the tenant: first its own, lest its work fill the places of others.
    pub(crate) async fn take(&self, whose: &str) -> Option<Place> {
        self.take_many(whose, 1).await
    }

    /// The same for work that takes so many of the places, and one of the tenant's own.
    pub(crate) async fn take_many(&self, whose: &str, many: u32) -> Option<Place> {
        let own = {
            let mut own = self.own.lock().unwrap_or_else(PoisonError::into_inner);
            own.retain(|_, places| places.strong_count() > 0);
            let known = own.get(whose).and_then(Weak::upgrade);
            known.unwrap_or_else(|| {
                let fresh = Arc::new(Semaphore::new(self.each));
                own.insert(whose.to_owned(), Arc::downgrade(&fresh));
                fresh
            })
        };
        Some(Place {
            _own: own.acquire_owned().await.ok()?,
            _shared: Arc::clone(&self.shared)
                .acquire_many_owned(many)
                .await
                .ok()?,
        })
    }

    /// How many are free.
    #[cfg(test)]
    pub(crate) fn free(&self) -> usize {
        self.shared.available_permits()
    }
}

/// A place that is taken when it turns out to be needed, and held until this is dropped.
pub(crate) struct Room(Option<Mutex<Option<Place>>>);

impl Room {
    /// For a run.
    pub(crate) fn of_a_run() -> Self {
        Self(Some(Mutex::default()))
    }

    /// For what a run does beside its own work, which holds a place already if it needs one.
    pub(crate) fn beside_a_run() -> Self {
        Self(None)
    }

    /// Waits for a place of the tenant's, if there is none yet.
    pub(crate) async fn take(&self, places: &Places, whose: &str) {
        let Some(room) = &self.0 else { return };
        let held = || room.lock().unwrap_or_else(PoisonError::into_inner);
        if held().is_some() {
            return;
        }
        let place = places.take(whose).await;
        *held() = place;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn a_tenant_that_works_waits_for_itself_and_others_do_not() {
        let places = Places::new(2);
        let held = places.take("slow").await;
        assert!(held.is_some());
        let soon = Duration::from_millis(20);
        let again = tokio::time::timeout(soon, places.take("slow")).await;
        assert!(again.is_err(), "its own place is taken");
        assert!(places.take("quick").await.is_some());
        drop(held);
        assert!(places.take("slow").await.is_some());
        assert_eq!(places.own.lock().unwrap().len(), 1, "none is kept for ever");
    }

    #[tokio::test]
    async fn a_tenant_that_may_have_several_never_has_all() {
        let places = Places::sharing(3, 2);
        let soon = Duration::from_millis(20);
        let first = places.take("slow").await;
        let _second = places.take("slow").await;
        let third = tokio::time::timeout(soon, places.take("slow")).await;
        assert!(third.is_err(), "its own places are taken");
        assert!(places.take("quick").await.is_some());
        drop(first);
        assert!(places.take("slow").await.is_some());
    }

    #[tokio::test]
    async fn room_is_taken_once_and_held() {
        let places = Places::new(2);
        let room = Room::of_a_run();
        room.take(&places, "large").await;
        room.take(&places, "large").await;
        Room::beside_a_run().take(&places, "large").await;
        let soon = Duration::from_millis(20);
        let again = tokio::time::timeout(soon, places.take("large")).await;
        assert!(again.is_err(), "it is held");
        drop(room);
        assert!(places.take("large").await.is_some());
    }
}
