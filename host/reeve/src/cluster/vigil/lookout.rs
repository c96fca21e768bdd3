//! One watch a kind, namespace and account, shared by all who look out for objects there.
//!
//! A watch begins with what is there, so that nothing is missed when it begins anew, and ends when nobody looks out
//! any more. There are only so many, of one tenant and in all, and some of them are kept for tenants that have few. It
//! deliberately keeps of an object nothing but what its state amounts to.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use futures::StreamExt as _;
use kube::core::WatchEvent;
use reeve_api::name::TenantName;
use reeve_core::health::{Check, Seen};
use reeve_core::inventory::ObjectId;
use serde_json::Value;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::task::AbortHandle;

use crate::cluster::refusal::{CallError, Cause};
use crate::cluster::wire::{Address, Wire};

/// How many watches there may be: in all, of one tenant while fewer than so many are there, and of one in any case while
/// there is any room.
const HERE: Room = Room {
    most: 4096,
    of_one: 256,
    free: 2048,
    floor: 8,
};
/// The same on another cluster, which is one tenant's.
const ABROAD: Room = Room {
    most: 16,
    of_one: 16,
    free: 16,
    floor: 8,
};
/// How many objects are looked at at a time for one account.
const LOOKS_OF_ONE: usize = 4;
/// How many are in all.
const LOOKS: usize = 32;
/// And on another cluster.
const LOOKS_ABROAD: usize = 8;
/// How soon a watch that broke off begins anew.
const AGAIN: Duration = Duration::from_secs(2);

/// The watches there are, and whose turn it is to look.
#[derive(Debug)]
pub(in crate::cluster) struct Lookouts {
    watches: Mutex<BTreeMap<Key, Weak<Lookout>>>,
    turns: Mutex<BTreeMap<String, Weak<Semaphore>>>,
    looks: Semaphore,
    room: Room,
}

/// Whose, as whom, and the path and namespace of the kind.
type Key = (TenantName, String, String, Option<String>);

/// How many watches there may be.
#[derive(Debug, Clone, Copy)]
struct Room {
    most: usize,
    of_one: usize,
    free: usize,
    floor: usize,
}

/// Held while an object is looked at.
pub(super) struct Turn<'a> {
    _own: Option<OwnedSemaphorePermit>,
    _all: Option<tokio::sync::SemaphorePermit<'a>>,
}

/// One watch.
#[derive(Debug)]
pub(super) struct Lookout {
    readers: Arc<Readers>,
    task: AbortHandle,
}

/// A watch, if there may be one more.
pub(super) enum Over {
    /// There are too many already.
    None,
    /// It shows everything that is there, and then what becomes of it.
    Begun(Arc<Lookout>),
    /// It has begun already, and shows only what becomes of it from now on.
    Joined(Arc<Lookout>),
}

/// Who is told what a watch shows.
#[derive(Debug, Default)]
struct Readers {
    desks: Mutex<Vec<(Weak<Desk>, Vec<Check>)>>,
    /// Nothing is shown: it broke off, or the account may not watch. One that is just beginning is not blind.
    blind: AtomicBool,
}

/// Where what watches show is laid down for one vigil: of each object the latest.
#[derive(Debug, Default)]
pub(super) struct Desk {
    latest: Mutex<BTreeMap<ObjectId, Seen>>,
    bell: Notify,
}

impl Default for Lookouts {
    fn default() -> Self {
        Self {
            watches: Mutex::default(),
            turns: Mutex::default(),
            looks: Semaphore::new(LOOKS),
            room: HERE,
        }
    }
}

impl Lookouts {
    /// Those of another cluster: one that hangs holds up nobody's looks but its own.
    pub(in crate::cluster) fn abroad() -> Self {
        Self {
            looks: Semaphore::new(LOOKS_ABROAD),
            room: ABROAD,
            ..Self::default()
        }
    }

    /// The watch over objects beside the one at `at`, which lays what becomes of these down on `desk` from its beginning on, for
    /// as long as that is there.
    pub(super) fn over(
        &self,
        (tenant, account): (&TenantName, &str),
        wire: &Wire,
        at: Address,
        (desk, objects): (&Arc<Desk>, Vec<Check>),
    ) -> Over {
        let path = format!("{}/{}", at.resource.api_version, at.resource.plural);
        let namespace = at.namespace.clone();
        let key: Key = (tenant.clone(), account.to_owned(), path, namespace);
        let mut watches = lock(&self.watches);
        if let Some(there) = watches.get(&key).and_then(Weak::upgrade) {
            there.readers.tell(desk, objects);
            return Over::Joined(there);
        }
        watches.retain(|_, lookout| lookout.strong_count() > 0);
        let own = watches.keys().filter(|(whose, ..)| whose == tenant);
        if !self.room.has(own.count(), watches.len()) {
            return Over::None;
        }
        let readers = Arc::new(Readers::default());
        // Before it begins: what it shows first is what is there.
        readers.tell(desk, objects);
        let task = tokio::spawn(watch(wire.clone(), at, Arc::clone(&readers)));
        let task = task.abort_handle();
        let lookout = Arc::new(Lookout { readers, task });
        watches.insert(key, Arc::downgrade(&lookout));
        Over::Begun(lookout)
    }

    /// Waits until an object may be looked at for this account.
    pub(super) async fn turn(&self, account: &str) -> Turn<'_> {
        let own = {
            let mut turns = lock(&self.turns);
            let known = turns.get(account).and_then(Weak::upgrade);
            known.unwrap_or_else(|| {
                turns.retain(|_, semaphore| semaphore.strong_count() > 0);
                let own = Arc::new(Semaphore::new(LOOKS_OF_ONE));
                turns.insert(account.to_owned(), Arc::downgrade(&own));
                own
            })
        };
        Turn {
            // Neither is ever closed.
            _own: own.acquire_owned().await.ok(),
            _all: self.looks.acquire().await.ok(),
        }
    }
}

impl Room {
    /// Whether a tenant that has so many may have one more, where there are so many in all.
    fn has(self, own: usize, all: usize) -> bool {
        let has_share = own < self.floor || (own < self.of_one && all < self.free);
        all < self.most && has_share
    }
}

impl Lookout {
    /// Whether it shows anything.
    pub(super) fn sees(&self) -> bool {
        !self.readers.blind.load(Ordering::Relaxed)
    }
}

impl Drop for Lookout {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Readers {
    fn tell(&self, desk: &Arc<Desk>, objects: Vec<Check>) {
        let mut desks = lock(&self.desks);
        desks.retain(|(desk, _)| desk.strong_count() > 0);
        desks.push((Arc::downgrade(desk), objects));
    }

    /// The object of that name is like this now; None: it is gone.
    fn show(&self, name: &str, object: Option<&Value>) {
        for (desk, objects) in lock(&self.desks).iter() {
            let Some(desk) = desk.upgrade() else { continue };
            for check in objects.iter().filter(|one| one.entry.id.name == name) {
                let seen = object.map_or(Seen::NotFound, |object| check.seen(object));
                lock(&desk.latest).insert(check.entry.id.clone(), seen);
                desk.bell.notify_one();
            }
        }
    }

    fn sees(&self) {
        self.blind.store(false, Ordering::Relaxed);
    }

    fn goes_blind(&self) {
        if self.blind.swap(true, Ordering::Relaxed) {
            return;
        }
        // Whoever relied on it looks again by itself.
        for (desk, _) in lock(&self.desks).iter() {
            if let Some(desk) = desk.upgrade() {
                desk.bell.notify_one();
            }
        }
    }
}

impl Desk {
    /// Waits until something was laid down.
    pub(super) async fn rung(&self) {
        self.bell.notified().await;
    }

    /// What was laid down.
    pub(super) fn taken(&self) -> BTreeMap<ObjectId, Seen> {
        std::mem::take(&mut lock(&self.latest))
    }
}

/// Tells what happens, until nobody looks out or the account may not.
async fn watch(wire: Wire, at: Address, readers: Arc<Readers>) {
    loop {
        match wire.watch(&at).await {
            Ok(events) => {
                readers.sees();
                let mut events = std::pin::pin!(events);
                while let Some(event) = events.next().await {
                    match event {
                        Ok(WatchEvent::Added(object) | WatchEvent::Modified(object)) => {
                            readers.show(name(&object), Some(&object));
                        }
                        Ok(WatchEvent::Deleted(object)) => {
                            readers.show(name(&object), None);
                        }
                        Ok(WatchEvent::Bookmark(_)) => {}
                        Ok(WatchEvent::Error(_)) | Err(_) => break,
                    }
                }
            }
            Err(why) if is_final(&why) => return readers.goes_blind(),
            Err(why) => tracing::debug!(error = %why, "watching broke off, it begins anew"),
        }
        readers.goes_blind();
        tokio::time::sleep(AGAIN).await;
    }
}

fn name(object: &Value) -> &str {
    let name = object.pointer("/metadata/name").and_then(Value::as_str);
    name.unwrap_or_default()
}

/// Whether watching again would be refused again: the account lacks the right, or the kind the verb.
pub(in crate::cluster) fn is_final(why: &CallError) -> bool {
    match why {
        CallError::Refused(refusal) => !matches!(
            refusal.cause(),
            Cause::Unavailable | Cause::Conflict | Cause::Unauthorized
        ),
        _ => false,
    }
}

fn lock<T>(what: &Mutex<T>) -> MutexGuard<'_, T> {
    what.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use reeve_core::health::verdict;
    use reeve_core::inventory::Entry;

    fn check(name: &str) -> Check {
        Check {
            entry: Entry {
                id: id(name),
                version: "v1".into(),
            },
            may_vanish: false,
            ends: false,
            leaves: None,
            judge: None,
        }
    }

    fn id(name: &str) -> ObjectId {
        ObjectId {
            namespace: "acme".into(),
            name: name.into(),
            group: String::new(),
            kind: "Pod".into(),
        }
    }

    #[tokio::test]
    async fn a_desk_holds_the_latest_of_each_object_it_asked_for() {
        let (readers, desk) = (Readers::default(), Arc::new(Desk::default()));
        readers.tell(&desk, vec![check("a"), check("b")]);
        let pod = |phase: &str| serde_json::json!({"apiVersion": "v1", "kind": "Pod", "status": {"phase": phase}});
        for (name, phase) in [("a", "Pending"), ("other", "Pending"), ("a", "Succeeded")] {
            readers.show(name, Some(&pod(phase)));
        }
        readers.show("b", None);
        desk.rung().await;
        let done = Seen::Is(verdict(&pod("Succeeded")));
        let want = [(id("a"), done), (id("b"), Seen::NotFound)];
        assert_eq!(desk.taken(), want.into());
        assert!(desk.taken().is_empty());
        readers.goes_blind();
        desk.rung().await;
        assert!(desk.taken().is_empty());
    }

    /// An API server whose store is away for so many requests, and that then shows a Pod for a while.
    fn away(times: usize) -> Wire {
        let asked = std::sync::atomic::AtomicUsize::new(0);
        let service = tower::service_fn(move |_: http::Request<kube::client::Body>| {
            let code = match asked.fetch_add(1, Ordering::SeqCst) < times {
                true => 500,
                false => 200,
            };
            let said = match code {
                200 => serde_json::json!({"type": "ADDED", "object": {
                    "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}, "status": {"phase": "Succeeded"}}}),
                _ => {
                    serde_json::json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
                    "message": "etcdserver: request timed out", "reason": "InternalError", "code": code})
                }
            };
            let body = kube::client::Body::from(format!("{said}\n").into_bytes());
            let answer = http::Response::builder().status(code).body(body).unwrap();
            std::future::ready(Ok::<_, tower::BoxError>(answer))
        });
        let client = kube::Client::new(service, "default");
        Wire::own(client, Duration::ZERO, Default::default())
    }

    fn pods() -> Address {
        Address {
            resource: kube::core::ApiResource {
                group: String::new(),
                version: "v1".into(),
                api_version: "v1".into(),
                kind: "Pod".into(),
                plural: "pods".into(),
            },
            namespace: Some("acme".into()),
            name: "a".into(),
        }
    }

    #[tokio::test]
    async fn a_watch_that_breaks_off_says_that_it_shows_nothing_and_shows_all_when_it_begins_anew()
    {
        let (lookouts, desk) = (Lookouts::default(), Arc::new(Desk::default()));
        let whose = (&"acme".parse().unwrap(), "acme");
        let over = || lookouts.over(whose, &away(1), pods(), (&desk, vec![check("a")]));
        let Over::Begun(lookout) = over() else {
            panic!("nothing was watched before")
        };
        assert!(lookout.sees(), "it is about to");
        desk.rung().await;
        assert!(desk.taken().is_empty() && !lookout.sees(), "it broke off");
        desk.rung().await;
        assert_eq!(desk.taken().keys().collect::<Vec<_>>(), [&id("a")]);
        assert!(matches!(over(), Over::Joined(_)), "it shows nothing twice");
    }

    #[test]
    fn some_watches_are_kept_for_tenants_that_have_few() {
        for (own, all, has) in [
            (0, 0, true),
            (255, 255, true),
            (256, 256, false),
            (8, 2047, true),
            (8, 2048, false),
            (7, 2048, true),
            (0, 4095, true),
            (0, 4096, false),
        ] {
            assert_eq!(HERE.has(own, all), has, "{own} of {all}");
        }
        assert!(ABROAD.has(15, 15) && !ABROAD.has(0, 16));
    }

    #[tokio::test]
    async fn one_accounts_looks_wait_for_each_other_and_for_nobody_elses() {
        let lookouts = Lookouts::default();
        let mut held = Vec::new();
        for _ in 0..LOOKS_OF_ONE {
            held.push(lookouts.turn("a").await);
        }
        let waits = tokio::time::timeout(Duration::ZERO, lookouts.turn("a")).await;
        assert!(waits.is_err());
        let other = tokio::time::timeout(Duration::ZERO, lookouts.turn("b")).await;
        assert!(other.is_ok());
        held.pop();
        let next = tokio::time::timeout(Duration::ZERO, lookouts.turn("a")).await;
        assert!(next.is_ok());
    }
}
