//! The connections there are to other clusters: of each tenant its own, so many and no more.
//!
//! One that nobody has used for a while is dropped; so is the one that was idle for longest where there is no room for
//! another. A cluster that did not answer is left alone for a moment, whoever asks for it: of many runs that want it, one
//! finds out. It deliberately keeps no kubeconfig: whoever wants to be connected brings it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use reeve_api::name::TenantName;
use reeve_core::kubeconfig::Kubeconfig;
use tokio::time::Instant;

use super::{Means, Site, Unreached};
use crate::git::egress::Denied;

/// How many one tenant has at a time, and all have together.
const MOST_OF_ONE: usize = 8;
const MOST: usize = 128;
/// How long one is kept that nobody uses.
const IDLE: Duration = Duration::from_secs(600);
/// How long it may take until a cluster is known to answer. A worker is held meanwhile.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long one that does not answer is left alone.
const REST: Duration = Duration::from_secs(5);

/// The connections there are.
pub(in crate::cluster) struct Sites {
    means: Means,
    all: Arc<Mutex<Book>>,
}

#[derive(Default)]
struct Book(BTreeMap<Key, Slot>);

/// Whose it is, and which.
type Key = (TenantName, [u8; 32]);

struct Slot {
    place: Place,
    used: Instant,
}

/// Held while it is found out whether the cluster answers.
type Place = Arc<tokio::sync::Mutex<State>>;

#[derive(Default)]
struct State {
    site: Option<Arc<Site>>,
    /// Until when it is left alone, and why.
    rests: Option<(Instant, String)>,
}

impl Sites {
    pub(in crate::cluster) fn new(means: Means) -> Self {
        let all = Arc::default();
        Self { means, all }
    }

    pub(super) fn means(&self) -> &Means {
        &self.means
    }

    /// The cluster, once it answers.
    pub(super) async fn reach(
        &self,
        tenant: &TenantName,
        kubeconfig: &Kubeconfig,
    ) -> Result<Arc<Site>, Unreached> {
        let server = &kubeconfig.server;
        // Where the name leads now; each connection asks again, and goes nowhere else.
        let looked = self.means.egress.lookup(server.host(), server.port());
        let looked = tokio::time::timeout(PATIENCE, looked).await;
        // What else is wrong with it is found when it is connected to.
        if let Ok(Err(source @ (Denied::Address { .. } | Denied::Resolved { .. }))) = looked {
            let server = server.to_string();
            return Err(Unreached::Egress { server, source });
        }
        let place = self.place(tenant, kubeconfig.digest())?;
        let mut state = place.lock().await;
        if let Some((until, why)) = &state.rests
            && *until > Instant::now()
        {
            let (server, why) = (server.to_string(), why.clone());
            return Err(Unreached::Unanswered { server, why });
        }
        let known = state.site.clone();
        let tried = tokio::time::timeout(PATIENCE, self.open(known, kubeconfig)).await;
        let tried = tried.unwrap_or_else(|_| {
            let why = format!("no answer within {PATIENCE:?}");
            let server = server.to_string();
            Err(Unreached::Unanswered { server, why })
        });
        state.rests = match &tried {
            Err(Unreached::Unanswered { why, .. }) => Some((Instant::now() + REST, why.clone())),
            _ => None,
        };
        let site = tried?;
        state.site = Some(Arc::clone(&site));
        Ok(site)
    }

    async fn open(
        &self,
        known: Option<Arc<Site>>,
        kubeconfig: &Kubeconfig,
    ) -> Result<Arc<Site>, Unreached> {
        match known {
            Some(open) => open.answers(kubeconfig).await.map(|()| open),
            None => Ok(Arc::new(Site::open(&self.means, kubeconfig).await?)),
        }
    }

    /// Where the connection is kept.
    fn place(&self, tenant: &TenantName, digest: [u8; 32]) -> Result<Place, Unreached> {
        let mut all = lock(&self.all);
        let was_empty = all.0.is_empty();
        let place = all.place((tenant.clone(), digest), Instant::now())?;
        drop(all);
        if was_empty {
            tokio::spawn(keep_swept(Arc::downgrade(&self.all)));
        }
        Ok(place)
    }
}

/// Drops what is idle for as long as there is anything.
async fn keep_swept(all: Weak<Mutex<Book>>) {
    loop {
        tokio::time::sleep(IDLE).await;
        let Some(all) = all.upgrade() else { return };
        let mut all = lock(&all);
        all.sweep(Instant::now());
        if all.0.is_empty() {
            return;
        }
    }
}

impl Book {
    /// The one of that key, or room for it.
    fn place(&mut self, key: Key, now: Instant) -> Result<Place, Unreached> {
        if let Some(slot) = self.0.get_mut(&key) {
            slot.used = now;
            return Ok(Arc::clone(&slot.place));
        }
        let (tenant, _) = &key;
        let own = |(whose, _): &Key| whose == tenant;
        self.make_room(MOST_OF_ONE, own)
            .map_err(|most| Unreached::Crowded {
                whose: format!("{most} other clusters of tenant {tenant} are"),
            })?;
        self.make_room(MOST, |_| true)
            .map_err(|most| Unreached::Crowded {
                whose: format!("{most} other clusters of all tenants are"),
            })?;
        let place = Place::default();
        let slot = Slot {
            place: Arc::clone(&place),
            used: now,
        };
        self.0.insert(key, slot);
        Ok(place)
    }

    fn sweep(&mut self, now: Instant) {
        let idle = |slot: &Slot| now.saturating_duration_since(slot.used);
        self.0.retain(|_, slot| slot.is_used() || idle(slot) < IDLE);
    }

    /// Drops the one that was idle for longest, if there are `most` already; an error says how many are in use.
    fn make_room(&mut self, most: usize, of: impl Fn(&Key) -> bool) -> Result<(), usize> {
        let those = || self.0.iter().filter(|(key, _)| of(key));
        if those().count() < most {
            return Ok(());
        }
        let idle = those().filter(|(_, slot)| !slot.is_used());
        let oldest = idle.min_by_key(|(_, slot)| slot.used);
        let oldest = oldest.map(|(key, _)| key.clone()).ok_or(most)?;
        self.0.remove(&oldest);
        Ok(())
    }
}

impl Slot {
    /// Whether a run or a vigil works with it, or somebody is about to.
    fn is_used(&self) -> bool {
        let works = |site: &Arc<Site>| Arc::strong_count(site) > 1;
        match self.place.try_lock() {
            Ok(state) => {
                Arc::strong_count(&self.place) > 1 || state.site.as_ref().is_some_and(works)
            }
            Err(_) => true,
        }
    }
}

fn lock<T>(what: &Mutex<T>) -> MutexGuard<'_, T> {
    what.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(whose: &str, at: u8) -> Key {
        (whose.parse().unwrap(), [at; 32])
    }

    fn secs(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_tenant_has_so_many_and_the_one_idle_for_longest_makes_room() {
        let (mut book, now) = (Book::default(), Instant::now());
        book.place(key("other", 0), now).unwrap();
        for at in 0..8 {
            book.place(key("acme", at), now + secs(u64::from(at)))
                .unwrap();
        }
        book.place(key("acme", 0), now + secs(10)).unwrap();
        book.place(key("acme", 9), now + secs(11)).unwrap();
        assert_eq!(book.0.len(), 9);
        assert!(!book.0.contains_key(&key("acme", 1)), "idle for longest");
        assert!(book.0.contains_key(&key("acme", 0)), "it was used again");
        assert!(book.0.contains_key(&key("other", 0)), "it is another's");

        let keys: Vec<Key> = book.0.keys().cloned().collect();
        let busy: Vec<Place> = keys
            .into_iter()
            .map(|key| book.place(key, now + secs(12)).unwrap())
            .collect();
        let Err(why) = book.place(key("acme", 10), now + secs(13)) else {
            panic!("all are in use")
        };
        let told = why.to_string();
        assert!(told.contains("8 other clusters of tenant acme"), "{told}");
        assert!(book.place(key("other", 10), now).is_ok());
        drop(busy);
        assert!(book.place(key("acme", 10), now + secs(14)).is_ok());
    }

    #[test]
    fn what_nobody_uses_is_dropped_after_a_while() {
        let (mut book, now) = (Book::default(), Instant::now());
        book.place(key("acme", 1), now).unwrap();
        let used = book.place(key("acme", 2), now).unwrap();
        book.sweep(now + IDLE / 2);
        assert_eq!(book.0.len(), 2);
        book.sweep(now + IDLE);
        assert_eq!(book.0.keys().collect::<Vec<_>>(), [&key("acme", 2)]);
        drop(used);
        book.sweep(now + IDLE);
        assert!(book.0.is_empty());
    }
}
