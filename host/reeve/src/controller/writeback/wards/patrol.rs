//! What has no watch is listed: one kind after another, each once in an interval of its WriteBack.
//!
//! So nothing is left out where there cannot be as many watches as are wanted: it is only seen later. What a watch shows by now a
//! list says nothing of any more, however far it has come. It deliberately hurries only with what nobody has seen yet.

use std::sync::Arc;
use std::time::Duration;

use reeve_api::name::NamespacedName;
use reeve_core::inventory::ObjectId;
use reeve_core::ward::Realm;
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use super::eye::{agreed, scene};
use super::{All, Kept, Wards, quiet};
use crate::cluster::{Glance, Unlisted};
use crate::context::Context;

/// What there is between two lists, so that they cost little in whatever interval.
const PAUSE: Duration = Duration::from_millis(100);
/// How soon it is tried again to list what could not be.
const AGAIN: Duration = Duration::from_secs(30);

/// Who lists for one WriteBack.
#[derive(Debug)]
pub(super) struct Patrol {
    task: AbortHandle,
    bell: Arc<Notify>,
    serial: u64,
}

impl Drop for Patrol {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Patrol {
    pub(super) fn begin(ctx: &Arc<Context>, id: &NamespacedName, serial: u64) -> Self {
        let bell = Arc::new(Notify::new());
        let walk = Walk {
            ctx: Arc::clone(ctx),
            id: id.clone(),
            serial,
            bell: Arc::clone(&bell),
        };
        Self {
            task: tokio::spawn(walk.go()).abort_handle(),
            bell,
            serial,
        }
    }

    /// There may be something to list before its time.
    pub(super) fn wake(&self) {
        self.bell.notify_one();
    }
}

/// What is to be listed.
enum Beat {
    /// This, as that account. Whether that was listed before.
    Now(String, Realm, bool),
    /// Nothing for so long.
    Rest(Duration),
}

struct Walk {
    ctx: Arc<Context>,
    id: NamespacedName,
    serial: u64,
    bell: Arc<Notify>,
}

impl Walk {
    async fn go(self) {
        let at = (&self.id, self.serial);
        while let Some(beat) = self.ctx.wards.beat(at, Instant::now()) {
            match beat {
                Beat::Now(account, realm, again) => {
                    if again {
                        tokio::time::sleep(PAUSE).await;
                    }
                    self.list(&account, &realm).await;
                }
                Beat::Rest(wait) => tokio::select! {
                    () = tokio::time::sleep(wait) => {}
                    () = self.bell.notified() => {}
                },
            }
        }
    }

    async fn list(&self, account: &str, realm: &Realm) {
        let see = |glance: Glance| self.see(realm, &glance);
        let place = scene(account, realm);
        let done = self.ctx.cluster.list_at(&place, see).await;
        if let Err(Unlisted::Later(why)) = &done {
            tracing::debug!(error = %why, "listing broke off, it is tried again");
        }
        let (at, now) = ((&self.id, self.serial), Instant::now());
        if self.ctx.wards.listed(at, now, realm, done) {
            // It tells what cannot be seen.
            self.ctx.queues.writebacks.wake(self.id.clone());
        }
    }

    fn see(&self, realm: &Realm, glance: &Glance) {
        // Asked of the index before what is watched is locked.
        let agreed = agreed(&self.ctx, realm, glance);
        let (wards, at) = (&self.ctx.wards, (&self.id, self.serial));
        if wards.see_listed(at, realm, glance, agreed.as_ref()) {
            tokio::spawn(quiet(Arc::clone(&self.ctx), self.id.clone()));
        }
    }
}

impl Wards {
    /// What is to be listed for one now; None: somebody else does by now.
    fn beat(&self, (id, serial): (&NamespacedName, u64), now: Instant) -> Option<Beat> {
        let all = self.lock();
        let kept = all.kept.get(id).filter(|kept| kept.is_by(serial))?;
        let mut next = now + kept.wanted.interval;
        for realm in all.posts.beyond(id, &kept.wanted) {
            match kept.due.get(&realm) {
                Some(due) if *due > now => next = next.min(*due),
                _ => {
                    let again = kept.ward.is_listed(&realm);
                    return Some(Beat::Now(kept.wanted.account.clone(), realm, again));
                }
            }
        }
        Some(Beat::Rest(next - now))
    }

    /// A list shows something. Whether somebody has to wait for quiet from now on.
    fn see_listed(
        &self,
        (id, serial): (&NamespacedName, u64),
        realm: &Realm,
        glance: &Glance,
        agreed: Option<&(ObjectId, String)>,
    ) -> bool {
        let mut all = self.lock();
        let All { kept, posts } = &mut *all;
        let Some(kept) = kept.get_mut(id).filter(|kept| kept.is_by(serial)) else {
            return false;
        };
        if matches!(glance, Glance::Begin) && posts.is_beyond(id, &kept.wanted, realm) {
            kept.listing = Some(realm.clone());
        }
        // What was begun before a watch showed the same would count as all there is.
        kept.listing.as_ref() == Some(realm) && kept.see(realm, glance, agreed)
    }

    /// What came of listing. Whether that is to be told.
    fn listed(
        &self,
        (id, serial): (&NamespacedName, u64),
        now: Instant,
        realm: &Realm,
        done: Result<(), Unlisted>,
    ) -> bool {
        let mut all = self.lock();
        let All { kept, posts } = &mut *all;
        let Some(kept) = kept.get_mut(id).filter(|kept| kept.is_by(serial)) else {
            return false;
        };
        kept.listing = None;
        if !posts.is_beyond(id, &kept.wanted, realm) {
            return false;
        }
        let interval = kept.wanted.interval;
        let (wait, why) = match done {
            Ok(()) => (interval, None),
            Err(Unlisted::Refused(why)) => (interval, Some(why.to_string())),
            Err(Unlisted::Later(_)) => (interval.min(AGAIN), None),
        };
        kept.due.insert(realm.clone(), now + wait);
        let before = match &why {
            Some(why) => kept.unlisted.insert(realm.clone(), why.clone()),
            None => kept.unlisted.remove(realm),
        };
        before != why
    }
}

impl Kept {
    /// Whether the one with this number lists for it.
    fn is_by(&self, serial: u64) -> bool {
        let patrol = self.patrol.as_ref();
        patrol.is_some_and(|one| one.serial == serial)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use reeve_core::writeback::Rules;
    use serde_json::json;

    use super::super::{Wanted, Word};
    use super::*;
    use crate::cluster::CallError;

    const SERIAL: u64 = 7;

    fn id() -> NamespacedName {
        NamespacedName::new("acme", "back").unwrap()
    }

    fn realm(kind: &str) -> Realm {
        Realm {
            namespace: Some("acme".to_owned()),
            group: String::new(),
            kind: kind.to_owned(),
        }
    }

    /// Somebody lists these kinds for a WriteBack.
    fn wards(kinds: &[&str]) -> Wards {
        let rules: Vec<_> = serde_json::from_value(json!([{"syncTo": "git"}])).unwrap();
        let word = |kind: &str| Word {
            resource: kind.to_lowercase(),
            named: false,
        };
        let wanted = Wanted {
            tenant: "acme".parse().unwrap(),
            account: "system:serviceaccount:acme:flux".to_owned(),
            rules: Rules::parse(&rules).unwrap(),
            debounce: Duration::ZERO,
            interval: Duration::from_secs(600),
            realms: kinds.iter().map(|kind| (realm(kind), word(kind))).collect(),
        };
        let mut kept = Kept::new(wanted, BTreeSet::new());
        kept.patrol = Some(Patrol {
            task: tokio::spawn(std::future::pending::<()>()).abort_handle(),
            bell: Arc::default(),
            serial: SERIAL,
        });
        let wards = Wards::default();
        wards.lock().kept = BTreeMap::from([(id(), kept)]);
        wards
    }

    /// What is listed next; None: nothing for now.
    fn next(wards: &Wards, now: Instant) -> Option<Realm> {
        match wards.beat((&id(), SERIAL), now) {
            Some(Beat::Now(_, realm, _)) => Some(realm),
            Some(Beat::Rest(_)) => None,
            None => panic!("nobody lists"),
        }
    }

    fn map(name: &str) -> Glance {
        Glance::There(
            json!({"metadata": {"name": name, "namespace": "acme", "uid": name, "resourceVersion": "1"}}),
        )
    }

    #[tokio::test]
    async fn each_kind_is_listed_once_in_an_interval_and_sooner_where_it_could_not_be() {
        let wards = wards(&["ConfigMap", "Pod"]);
        let (maps, pods, id) = (realm("ConfigMap"), realm("Pod"), id());
        let (at, mut now) = ((&id, SERIAL), Instant::now());
        assert_eq!(next(&wards, now).as_ref(), Some(&maps));
        assert!(!wards.listed(at, now, &maps, Ok(())));
        assert_eq!(next(&wards, now).as_ref(), Some(&pods));
        let broken = || Err(Unlisted::Later(CallError::NotLeading));
        assert!(!wards.listed(at, now, &pods, broken()));
        assert_eq!(next(&wards, now), None);
        now += AGAIN;
        assert_eq!(next(&wards, now).as_ref(), Some(&pods));
        let refused = || Err(Unlisted::Refused(CallError::NotLeading));
        assert!(wards.listed(at, now, &pods, refused()), "it is told");
        assert!(!wards.listed(at, now, &pods, refused()), "once");
        assert_eq!(next(&wards, now), None);
        now += Duration::from_secs(600);
        assert_eq!(next(&wards, now), Some(maps));
        let other = wards.beat((&id, SERIAL + 1), now);
        assert!(other.is_none(), "somebody else does by now");
    }

    #[tokio::test]
    async fn what_was_begun_to_be_listed_before_it_was_watched_is_not_taken_for_all_there_is() {
        let wards = wards(&["ConfigMap"]);
        let (maps, id) = (realm("ConfigMap"), id());
        let see = |glance: Glance| wards.see_listed((&id, SERIAL), &maps, &glance, None);
        assert!(!see(Glance::Begin) && see(map("a")));
        see(map("b"));
        see(Glance::Listed(None));
        let work = wards.take(&id, 10);
        assert_eq!((work.there.len(), work.gone.len()), (2, 0));

        see(Glance::Begin);
        see(map("a"));
        wards.with(&id, |kept| kept.is_shown(&maps));
        see(Glance::Listed(None));
        assert_eq!(wards.take(&id, 10).gone, [], "nobody has deleted b");
    }
}
