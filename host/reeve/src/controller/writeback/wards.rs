//! What WriteBacks watch: one watch a kind and namespace of each, as its account, of nothing but metadata.
//!
//! What the watches show goes into `core::ward`, one for each WriteBack, and wakes it once nothing changes for a while. There are
//! only so many, of one WriteBack and in all: a connection each. Which are wanted its runs say. What an account may not watch is
//! told, and tried again. It deliberately reads no object.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use reeve_api::name::NamespacedName;
use reeve_api::writeback::SyncTo;
use reeve_core::inventory::ObjectId;
use reeve_core::ward::{Left, Realm, Shown, Ward, Work};
use reeve_core::writeback::{Rules, Subject};
use serde_json::Value;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use crate::cluster::{Glance, Scene};
use crate::context::Context;

/// How many watches there are at most of all WriteBacks, and of one.
const MOST: usize = 256;
const MOST_OF_ONE: usize = 32;
/// How soon it is tried again to watch what was refused: rights come and go.
const AGAIN: Duration = Duration::from_secs(600);

/// What all WriteBacks watch. Its clones are one.
#[derive(Debug, Clone, Default)]
pub(crate) struct Wards(Arc<Mutex<BTreeMap<NamespacedName, Kept>>>);

/// What one does.
#[derive(Debug)]
struct Kept {
    ward: Ward,
    watches: BTreeMap<Realm, Watch>,
    wanted: Wanted,
    begun: Instant,
    /// When it was last looked at what could not be written.
    looked: Instant,
    /// Whether somebody waits for quiet.
    waits: bool,
}

/// What is to be watched, and by which rules.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Wanted {
    /// As whom.
    pub(super) account: String,
    pub(super) rules: Rules,
    pub(super) debounce: Duration,
    /// The kinds, with the word for each in rules.
    pub(super) realms: BTreeMap<Realm, String>,
}

#[derive(Debug)]
struct Watch {
    task: AbortHandle,
    refused: Option<String>,
}

/// Something that is not watched, and why.
pub(super) struct Unwatched {
    pub(super) realm: Realm,
    pub(super) resource: String,
    /// None: there are too many.
    pub(super) why: Option<String>,
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Wards {
    /// Nothing is watched for it any more.
    pub(crate) fn forget(&self, id: &NamespacedName) {
        self.lock().remove(id);
    }

    /// Nothing is watched for anybody any more.
    pub(crate) fn clear(&self) {
        self.lock().clear();
    }

    /// Watches that for it from now on; what is watched as somebody else, or by other rules, is begun anew. `retry`: what was
    /// refused is tried again now.
    pub(super) fn align(
        &self,
        ctx: &Arc<Context>,
        id: &NamespacedName,
        wanted: Wanted,
        retry: bool,
    ) -> Vec<Unwatched> {
        let mut all = self.lock();
        let others: usize = all
            .iter()
            .filter(|(other, _)| *other != id)
            .map(|(_, kept)| kept.watches.len())
            .sum();
        let is_same = |kept: &Kept| {
            kept.wanted.account == wanted.account && kept.wanted.rules == wanted.rules
        };
        if !all.get(id).is_some_and(is_same) {
            let kept = Kept {
                ward: Ward::default(),
                watches: BTreeMap::new(),
                wanted: wanted.clone(),
                begun: Instant::now(),
                looked: Instant::now(),
                waits: false,
            };
            all.insert(id.clone(), kept);
        }
        let Some(kept) = all.get_mut(id) else {
            return Vec::new();
        };
        kept.wanted = wanted;
        kept.align(ctx, id, MOST.saturating_sub(others), retry)
    }

    /// Takes what there is to look at for it.
    pub(super) fn take(&self, id: &NamespacedName, most: usize) -> Work {
        self.with(id, |kept| kept.ward.take(most))
            .unwrap_or_default()
    }

    /// Gives back what came to nothing.
    pub(super) fn give_back(&self, id: &NamespacedName, work: Work) {
        self.with(id, |kept| kept.ward.give_back(work));
    }

    /// What came of looking at objects.
    pub(super) fn looked_at(&self, id: &NamespacedName, looked: Vec<(ObjectId, Left)>) {
        self.with(id, |kept| {
            for (object, left) in looked {
                kept.ward.looked_at(&object, left);
            }
        });
    }

    /// Looks at everything, or once in an interval at what could not be written.
    pub(super) fn look_again(&self, id: &NamespacedName, interval: Duration, everything: bool) {
        self.with(id, |kept| {
            // Intervals are moved by some of themselves either way.
            if everything || kept.looked.elapsed() >= interval.mul_f64(0.9) {
                kept.ward.look_again(everything);
                kept.looked = Instant::now();
            }
        });
    }

    /// What is not settled.
    pub(super) fn left(&self, id: &NamespacedName) -> Vec<Left> {
        let left = self.with(id, |kept| kept.ward.left().cloned().collect());
        left.unwrap_or_default()
    }

    fn with<T>(&self, id: &NamespacedName, work: impl FnOnce(&mut Kept) -> T) -> Option<T> {
        self.lock().get_mut(id).map(work)
    }

    /// When what was seen is to be looked at; None: now, or never.
    fn due(&self, id: &NamespacedName) -> Option<Instant> {
        let due = self.with(id, |kept| {
            let due = kept.ward.due(kept.wanted.debounce);
            let due = due.map(|due| kept.begun + due);
            let due = due.filter(|at| *at > Instant::now());
            kept.waits = due.is_some();
            due
        });
        due.flatten()
    }

    fn refuse(&self, id: &NamespacedName, realm: &Realm, why: Option<String>) {
        self.with(id, |kept| {
            if let Some(watch) = kept.watches.get_mut(realm) {
                watch.refused = why;
            }
        });
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<NamespacedName, Kept>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn align(
        &mut self,
        ctx: &Arc<Context>,
        id: &NamespacedName,
        room: usize,
        retry: bool,
    ) -> Vec<Unwatched> {
        let realms = &self.wanted.realms;
        self.watches.retain(|realm, watch| {
            realms.contains_key(realm) && !(retry && watch.refused.is_some())
        });
        let watched: BTreeSet<Realm> = realms.keys().take(room.min(MOST_OF_ONE)).cloned().collect();
        self.ward.watch_only(&watched);
        self.watches.retain(|realm, _| watched.contains(realm));
        let mut unwatched = Vec::new();
        for (realm, resource) in realms {
            let told = |why| Unwatched {
                realm: realm.clone(),
                resource: resource.clone(),
                why,
            };
            match self.watches.get(realm) {
                Some(watch) => {
                    let refused = watch.refused.clone();
                    unwatched.extend(refused.map(|why| told(Some(why))));
                }
                None if !watched.contains(realm) => unwatched.push(told(None)),
                None => {
                    let eye = Eye {
                        ctx: Arc::clone(ctx),
                        id: id.clone(),
                        realm: realm.clone(),
                        resource: resource.clone(),
                        rules: self.wanted.rules.clone(),
                        account: self.wanted.account.clone(),
                    };
                    let task = tokio::spawn(eye.watch()).abort_handle();
                    let refused = None;
                    self.watches.insert(realm.clone(), Watch { task, refused });
                }
            }
        }
        unwatched
    }
}

/// One watch.
struct Eye {
    ctx: Arc<Context>,
    id: NamespacedName,
    realm: Realm,
    resource: String,
    rules: Rules,
    account: String,
}

impl Eye {
    async fn watch(self) {
        let scene = Scene {
            account: Some(self.account.clone()),
            namespace: self.realm.namespace.clone(),
            group: self.realm.group.clone(),
            kind: self.realm.kind.clone(),
            labels: String::new(),
        };
        loop {
            let see = |glance: Glance| self.see(&glance);
            let why = self.ctx.cluster.glance_at(&scene, see).await;
            let why = Some(why.to_string());
            self.ctx.wards.refuse(&self.id, &self.realm, why);
            // It tells what cannot be seen.
            self.ctx.queues.writebacks.wake(self.id.clone());
            tokio::time::sleep(AGAIN).await;
            self.ctx.wards.refuse(&self.id, &self.realm, None);
        }
    }

    fn see(&self, glance: &Glance) {
        let shown = match glance {
            Glance::Begin => Shown::Begin,
            Glance::There(object) => Shown::There(object, self.is_meant(object)),
            Glance::Gone(object) => Shown::Gone(object),
            Glance::Listed(_) => Shown::Listed,
            Glance::Alive | Glance::Lost => return,
        };
        let begin = self.ctx.wards.with(&self.id, |kept| {
            let now = kept.begun.elapsed();
            let news = kept.ward.show(&self.realm, shown, now);
            news && !std::mem::replace(&mut kept.waits, true)
        });
        if begin == Some(true) {
            tokio::spawn(quiet(Arc::clone(&self.ctx), self.id.clone()));
        }
    }

    /// Whether its changes are to be committed, by the first rule that is for it.
    fn is_meant(&self, object: &Value) -> bool {
        let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str);
        let labels = object.pointer("/metadata/labels");
        let subject = Subject {
            group: &self.realm.group,
            resource: &self.resource,
            namespace: text("/metadata/namespace").unwrap_or_default(),
            name: text("/metadata/name").unwrap_or_default(),
            labels: labels.and_then(Value::as_object),
        };
        let rule = self.rules.first(&subject);
        rule.is_some_and(|rule| rule.sync_to() == SyncTo::Git)
    }
}

/// Waits until nothing changes any more for a while, and has it looked at.
async fn quiet(ctx: Arc<Context>, id: NamespacedName) {
    while let Some(due) = ctx.wards.due(&id) {
        tokio::time::sleep_until(due).await;
    }
    ctx.queues.writebacks.wake(id);
}
