//! Watching over what was applied until it is well, as the tenant.
//!
//! Each object is looked at once, and from then on its watch says when it changes; where the account may not watch,
//! too much is watched already, a watch has broken off, or a look has come to nothing, it is looked at again, less and
//! less often; and now and then whatever its watch says ([`rounds`]). What a watch shows may be old: that all is
//! well, or that one has failed, is only believed when a look of its own shows it. It deliberately knows no
//! Kustomization and writes nothing; what an object's state means is `core::health`'s to say.

mod lookout;
mod rounds;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use reeve_core::health::{self, Check, Seen, Standing, Verdict};
use reeve_core::inventory::{Inventory, ObjectId};
use tokio::time::Instant;

use super::error::ObjectError;
use super::refusal::CallError;
use super::tenant_client::{Located, TenantClient};
use super::until::Until;
use lookout::{Desk, Lookout, Over};
pub(super) use lookout::{Lookouts, is_final};
use rounds::{Rounds, Sight};

/// How many objects of one vigil are looked at at a time.
const AT_ONCE: usize = 4;
/// How long one look may take: an API server that hangs is asked again rather than waited for.
const LOOK: Duration = Duration::from_secs(10);
/// How long the last look may take, when time is up.
const LAST_LOOK: Duration = Duration::from_secs(5);

/// What a vigil came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Vigil {
    /// All are well.
    Well,
    /// They are not, and won't be by waiting longer; what is said of them.
    Unwell(String),
}

/// What each object was when it was last looked at.
#[derive(Debug, Clone)]
pub struct Looks(Vec<(Check, Seen)>);

impl Looks {
    /// Of what nobody has looked at yet.
    pub(crate) fn unseen(checks: impl IntoIterator<Item = Check>) -> Self {
        let unseen = |check| (check, Seen::Unknown("nobody has looked yet".to_owned()));
        Self(checks.into_iter().map(unseen).collect())
    }

    /// What they come to, if that is more than that some are not well yet.
    pub fn end(&self) -> Option<Vigil> {
        match health::standing(self.each()) {
            Standing::Well => Some(Vigil::Well),
            Standing::Stalled => Some(Vigil::Unwell(health::stalled(self.each()))),
            Standing::Waiting => None,
        }
    }

    /// What they come to when there is no more time.
    pub fn late(&self) -> Vigil {
        self.end()
            .unwrap_or_else(|| Vigil::Unwell(health::late(self.each())))
    }

    /// Those that are there and nobody has deleted, and those that are on their way out.
    pub fn remaining(&self) -> (Inventory, Inventory) {
        let (mut there, mut going) = (Inventory::default(), Inventory::default());
        for (check, seen) in self.each() {
            match seen {
                Seen::NotFound => {}
                Seen::Is(Verdict::Terminating) => going.insert(check.entry.clone()),
                Seen::Is(_) | Seen::Unknown(_) => there.insert(check.entry.clone()),
            }
        }
        (there, going)
    }

    /// Each object, and what was seen of it.
    pub fn each(&self) -> impl Iterator<Item = (&Check, &Seen)> {
        self.0.iter().map(|(check, seen)| (check, seen))
    }

    /// Takes what a watch or another look has shown.
    fn take(&mut self, news: &BTreeMap<ObjectId, Seen>) {
        for (check, seen) in &mut self.0 {
            if let Some(now) = news.get(&check.entry.id) {
                seen.clone_from(now);
            }
        }
    }

    fn pending(&self) -> Vec<Check> {
        let unwell = self.each().filter(|(check, seen)| !seen.is_well(check));
        unwell.map(|(check, _)| check.clone()).collect()
    }

    /// Whether the last look at one of them came to nothing.
    fn has_unknown(&self) -> bool {
        let mut all = self.each();
        all.any(|(_, seen)| matches!(seen, Seen::Unknown(_)))
    }
}

impl TenantClient {
    /// Looks at each object once; what could not be looked at within that time is not known.
    pub async fn look(&self, checks: Vec<Check>, until: &Until) -> Looks {
        let looking = futures::stream::iter(checks.clone())
            .map(|check| async move {
                let seen = self.look_at(&check).await;
                (check, seen)
            })
            .buffered(AT_ONCE)
            .collect();
        let unknown = |check| (check, Seen::Unknown("there was no time to look".to_owned()));
        let looks = until.hold(looking).await;
        Looks(looks.unwrap_or_else(|_| checks.into_iter().map(unknown).collect()))
    }

    /// Waits until all are well, one has failed, or time is up.
    pub async fn watch_over(&self, mut looks: Looks, deadline: Instant) -> Vigil {
        let desk = Arc::new(Desk::default());
        let mut watched = Watched::default();
        let mut rounds = Rounds::begin(Instant::now());
        loop {
            let pending = looks.pending();
            if self.watch_more(&looks, &pending, &desk, &mut watched).await {
                rounds.owe();
            }
            let sight = match looks.has_unknown() || !watched.sees_all(&pending) {
                true => Sight::Poor,
                false => Sight::Good,
            };
            let now = tokio::select! {
                () = tokio::time::sleep_until(deadline) => {
                    let news = self.look_again(pending, deadline).await;
                    looks.take(&news);
                    return looks.late();
                }
                () = desk.rung() => desk.taken(),
                () = tokio::time::sleep_until(rounds.due(sight)) => {
                    let news = self.look_again(pending, deadline).await;
                    rounds.made(Instant::now());
                    news
                }
            };
            looks.take(&now);
            if looks.end().is_some() {
                // What the watch showed may be what was before the last apply, or have changed again.
                let all = looks.each().map(|(check, _)| check.clone()).collect();
                let now = self.look_again(all, deadline).await;
                looks.take(&now);
                if let Some(end) = looks.end() {
                    return end;
                }
            }
        }
    }

    /// What they are now; nothing if that cannot be seen until a moment after the deadline.
    async fn look_again(&self, checks: Vec<Check>, deadline: Instant) -> BTreeMap<ObjectId, Seen> {
        let looking = futures::stream::iter(checks).map(|check| async move {
            let seen = self.look_at(&check).await;
            (check.entry.id, seen)
        });
        let looks = looking.buffer_unordered(AT_ONCE).collect();
        let looks = tokio::time::timeout_at(deadline + LAST_LOOK, looks).await;
        looks.unwrap_or_default()
    }

    async fn look_at(&self, check: &Check) -> Seen {
        let at = match self.place(check).await {
            Ok(Some(at)) => at,
            Ok(None) => return Seen::NotFound,
            Err(why) => return Seen::Unknown(why.source.to_string()),
        };
        let _turn = self.lookouts.turn(self.account()).await;
        match tokio::time::timeout(LOOK, self.wire.get(&at.address)).await {
            Ok(Ok(Some(live))) => check.seen(&live),
            Ok(Ok(None)) => Seen::NotFound,
            Ok(Err(why)) => Seen::Unknown(why.to_string()),
            Err(_) => Seen::Unknown(CallError::Slow(LOOK).to_string()),
        }
    }

    /// Where the object is read: in its own version, or in any other that is served.
    async fn place(&self, check: &Check) -> Result<Option<Located>, ObjectError> {
        let (id, version) = (&check.entry.id, &check.entry.version);
        self.locate(id, Some(version)).await
    }

    /// Begins to watch those that are not watched yet and may be, and with them what is well already of their kinds: it may not
    /// stay so. Whether one of the watches had begun before: it does not show once more what became of them since they were
    /// looked at.
    async fn watch_more(
        &self,
        looks: &Looks,
        pending: &[Check],
        desk: &Arc<Desk>,
        watched: &mut Watched,
    ) -> bool {
        let mut joined = false;
        for check in pending {
            let id = &check.entry.id;
            if watched.lookouts.contains_key(&kind_of(id)) {
                continue;
            }
            let Ok(Some(at)) = self.place(check).await else {
                continue;
            };
            let wire = self.wire.impatient();
            let all = looks.each().map(|(check, _)| check);
            let beside = all.filter(|other| kind_of(&other.entry.id) == kind_of(id));
            let objects = beside.cloned().collect();
            let whose = (&self.tenant, self.account());
            let over = self
                .lookouts
                .over(whose, &wire, at.address, (desk, objects));
            joined |= matches!(over, Over::Joined(_));
            let lookout = match over {
                Over::Begun(lookout) | Over::Joined(lookout) => Some(lookout),
                Over::None => None,
            };
            watched.lookouts.insert(kind_of(id), lookout);
        }
        joined
    }
}

/// What is watched for one vigil, by group, kind and namespace; None: it may not be.
#[derive(Default)]
struct Watched {
    lookouts: BTreeMap<(String, String, String), Option<Arc<Lookout>>>,
}

impl Watched {
    fn sees_all(&self, checks: &[Check]) -> bool {
        checks.iter().all(|check| {
            let lookout = self.lookouts.get(&kind_of(&check.entry.id));
            lookout.is_some_and(|one| one.as_ref().is_some_and(|one| one.sees()))
        })
    }
}

fn kind_of(id: &ObjectId) -> (String, String, String) {
    (id.group.clone(), id.kind.clone(), id.namespace.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use reeve_core::inventory::Entry;

    fn check(name: &str) -> Check {
        let id = ObjectId {
            namespace: "acme".into(),
            name: name.into(),
            group: "apps".into(),
            kind: "Deployment".into(),
        };
        let version = "v1".into();
        Check {
            entry: Entry { id, version },
            may_vanish: false,
            ends: false,
            leaves: None,
            judge: None,
        }
    }

    #[test]
    fn a_look_replaces_what_was_seen_and_only_what_is_not_well_is_pending() {
        let waiting = Seen::Is(Verdict::InProgress("0 of 1".into()));
        let mut looks = Looks(vec![
            (check("a"), waiting.clone()),
            (check("b"), Seen::Is(Verdict::Current)),
        ]);
        assert_eq!(looks.end(), None);
        assert_eq!(looks.pending(), [check("a")]);
        let late = "timeout waiting for: [Deployment/acme/a status: 'InProgress': 0 of 1]";
        assert_eq!(looks.late(), Vigil::Unwell(late.into()));
        let well = Seen::Is(Verdict::Current);
        looks.take(&[(check("a").entry.id, well)].into());
        assert_eq!(looks.end(), Some(Vigil::Well));
        looks.take(&[(check("b").entry.id, waiting)].into());
        assert_eq!(looks.pending(), [check("b")]);
    }
}
