//! Places that are taken in turn: a tenant with a thousand calls waiting delays another by one.
//!
//! Whose turn it is is decided in `line`; here is the waiting. What a place is for (a call, a
//! compilation) is the caller's to know.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

use crate::error::Error;

mod line;

use line::Line;

/// A number of places, shared by the tenants.
#[derive(Debug, Clone)]
pub(crate) struct Places {
    shared: Arc<Mutex<Shared>>,
}

#[derive(Debug)]
struct Shared {
    line: Line,
    waiting: BTreeMap<u64, oneshot::Sender<Place>>,
    last: u64,
}

/// A place that is held; dropping it lets the next one in.
#[derive(Debug)]
pub(crate) struct Place {
    places: Places,
    tenant: String,
}

impl Places {
    /// `all` places, of which one tenant holds at most `each`.
    pub(crate) fn new(all: usize, each: usize) -> Self {
        Self {
            shared: Arc::new(Mutex::new(Shared {
                line: Line::new(all, each),
                waiting: BTreeMap::new(),
                last: 0,
            })),
        }
    }

    /// A place for `tenant`, as soon as it is its turn.
    ///
    /// May be cancelled at any point.
    pub(crate) async fn take(&self, tenant: &str, patience: Duration) -> Result<Place, Error> {
        let mut turn = self.join(tenant);
        // The usual case, without a timer.
        if let Ok(place) = turn.given.try_recv() {
            return Ok(place);
        }
        match tokio::time::timeout(patience, &mut turn.given).await {
            Ok(Ok(place)) => Ok(place),
            // The sender is dropped with its places only, and we hold those.
            Ok(Err(_)) => Err(Error::Engine("it is being shut down".to_owned())),
            Err(_) => Err(Error::Busy(patience)),
        }
    }

    fn join(&self, tenant: &str) -> Turn {
        let (give, given) = oneshot::channel();
        let ticket = self.change(|shared| {
            shared.last += 1;
            let ticket = shared.last;
            shared.line.join(tenant, ticket);
            shared.waiting.insert(ticket, give);
            ticket
        });
        self.serve();
        Turn {
            places: self.clone(),
            ticket,
            tenant: tenant.to_owned(),
            given,
        }
    }

    /// Lets in whose turn it is.
    fn serve(&self) {
        while let Some((give, tenant)) = self.change(Shared::next) {
            let place = Place {
                places: self.clone(),
                tenant,
            };
            // Who is gone does not take it; it comes back, outside of the lock, when it is dropped
            // here, and that serves the next one.
            drop(give.send(place));
        }
    }

    fn change<T>(&self, how: impl FnOnce(&mut Shared) -> T) -> T {
        how(&mut self.shared.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Shared {
    fn next(&mut self) -> Option<(oneshot::Sender<Place>, String)> {
        loop {
            let (ticket, tenant) = self.line.next()?;
            if let Some(give) = self.waiting.remove(&ticket) {
                return Some((give, tenant));
            }
            // It left the line between the two; it cannot, but its place must not be lost for it.
            self.line.leave(&tenant);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.change(|shared| shared.line.leave(&self.tenant));
        self.places.serve();
    }
}

/// Somebody who waits, and leaves the line when it goes away.
struct Turn {
    places: Places,
    ticket: u64,
    tenant: String,
    given: oneshot::Receiver<Place>,
}

impl Drop for Turn {
    fn drop(&mut self) {
        let (ticket, tenant) = (self.ticket, &self.tenant);
        self.places.change(|shared| {
            if shared.waiting.remove(&ticket).is_some() {
                shared.line.forget(tenant, ticket);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_secs(60);

    async fn take(places: &Places, tenant: &str) -> Place {
        places.take(tenant, SOON).await.expect("a place")
    }

    #[tokio::test]
    async fn a_place_that_is_given_back_goes_to_the_tenant_whose_turn_it_is() {
        let places = Places::new(1, 1);
        let held = take(&places, "a").await;
        let order = Arc::new(Mutex::new(Vec::new()));
        let mut calls = tokio::task::JoinSet::new();
        for tenant in ["a", "a", "a", "b"] {
            let (places, order) = (places.clone(), order.clone());
            calls.spawn(async move {
                let _place = take(&places, tenant).await;
                order.lock().expect("unpoisoned").push(tenant);
            });
            tokio::task::yield_now().await;
        }
        drop(held);
        calls.join_all().await;
        assert_eq!(*order.lock().expect("unpoisoned"), ["a", "b", "a", "a"]);
    }

    #[tokio::test]
    async fn one_who_goes_away_is_forgotten_and_its_place_is_not_lost() {
        let places = Places::new(1, 1);
        for polls in 0..3 {
            let held = take(&places, "a").await;
            let waits = tokio::spawn({
                let places = places.clone();
                async move { take(&places, "b").await }
            });
            for _ in 0..polls {
                tokio::task::yield_now().await;
            }
            waits.abort();
            drop(held);
            assert!(waits.await.is_err_and(|why| why.is_cancelled()) || polls == 0);
        }
        drop(take(&places, "c").await);
        let (line, waiting) =
            places.change(|shared| (shared.line.is_empty(), shared.waiting.len()));
        assert_eq!((line, waiting), (true, 0));
    }

    #[tokio::test]
    async fn who_waits_too_long_is_told_so() {
        let places = Places::new(1, 1);
        let _held = take(&places, "a").await;
        let told = places.take("b", Duration::from_millis(1)).await;
        assert!(matches!(told, Err(Error::Busy(_))), "{told:?}");
    }
}
