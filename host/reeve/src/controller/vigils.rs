//! What was applied and is waited for, while no worker is held.
//!
//! A vigil is a task that watches over the objects of one Kustomization until they are well, one has failed or time is
//! up; then the Kustomization is nudged, and its next run tells. Any other run ends it: what it applied may be something
//! else by then. Everything that has to survive the process stands in the status. It deliberately judges nothing
//! (`core::health` does) and writes nothing.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use reeve_api::name::NamespacedName;
use reeve_core::status::{Applied, Wait};
use reeve_core::veil::Veil;
use tokio::task::AbortHandle;

use crate::cluster::Vigil as End;
use crate::index::Edition;

/// The vigils there are.
#[derive(Debug, Clone, Default)]
pub(crate) struct Vigils(Arc<Mutex<Known>>);

#[derive(Debug, Default)]
struct Known {
    all: BTreeMap<NamespacedName, Kept>,
    begun: u64,
}

#[derive(Debug)]
struct Kept {
    number: u64,
    over: Over,
    task: AbortHandle,
    end: Option<End>,
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What is watched over.
#[derive(Debug, Clone)]
pub(super) struct Over {
    /// The object that asked for it.
    pub(super) edition: Edition,
    /// The request for a run that it answers.
    pub(super) requested: Option<String>,
    /// What was applied.
    pub(super) done: Applied,
    /// What is waited for, and since when.
    pub(super) wait: Wait,
    /// Whether a run goes on from there, and does not only tell.
    pub(super) goes_on: bool,
    /// What must not be told of it.
    pub(super) veil: Veil,
}

/// How far a vigil is.
pub(super) enum Course {
    /// There is none.
    Nothing,
    /// It goes on.
    Waiting,
    /// It has ended, and is over with this.
    Ended(Box<Over>, End),
}

/// The name under which a vigil's task ends it.
#[derive(Debug, Clone)]
pub(super) struct Ticket {
    vigils: Vigils,
    id: NamespacedName,
    number: u64,
}

impl Vigils {
    /// Begins one in the place of any other of `id`; `task` spawns it.
    pub(super) fn begin(
        &self,
        id: &NamespacedName,
        over: Over,
        task: impl FnOnce(Ticket) -> AbortHandle,
    ) {
        // Held while it is spawned: it cannot end before it is known.
        let mut known = self.lock();
        known.begun += 1;
        let number = known.begun;
        let task = task(Ticket {
            vigils: self.clone(),
            id: id.clone(),
            number,
        });
        let kept = Kept {
            number,
            over,
            task,
            end: None,
        };
        known.all.insert(id.clone(), kept);
    }

    /// Nobody waits for it any more. Returns what was waited for: whoever applies the same goes on with that wait.
    pub(super) fn end(&self, id: &NamespacedName) -> Option<Wait> {
        let ended = self.lock().all.remove(id)?;
        Some(ended.over.wait.clone())
    }

    /// How far the one of `id` is; one that has ended is told once, unless a run goes on from there: that ends it.
    pub(super) fn course(&self, id: &NamespacedName) -> Course {
        let mut known = self.lock();
        let Some(kept) = known.all.get_mut(id) else {
            return Course::Nothing;
        };
        let Some(end) = kept.end.take_if(|_| !kept.over.goes_on) else {
            return match kept.end {
                Some(_) => Course::Nothing,
                None => Course::Waiting,
            };
        };
        let over = Box::new(kept.over.clone());
        let _ended = known.all.remove(id);
        Course::Ended(over, end)
    }

    /// Ends all: who leads next begins anew.
    pub(super) fn clear(&self) {
        self.lock().all.clear();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ticket {
    /// The vigil has come to this; false: nobody waits for it any more.
    pub(super) fn ends(self, end: End) -> bool {
        let mut known = self.vigils.lock();
        match known.all.get_mut(&self.id) {
            Some(kept) if kept.number == self.number => {
                kept.end = Some(end);
                true
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use reeve_core::inventory::Inventory;
    use reeve_core::status::Health;

    fn over(revision: &str) -> Over {
        Over {
            edition: Edition::of(&kube::core::ObjectMeta::default()),
            requested: None,
            done: Applied {
                revision: revision.to_owned(),
                changes: Vec::new(),
                pruned: Vec::new(),
                inventory: Inventory::default(),
                course: Default::default(),
                digest: String::new(),
                recollected: None,
                remote_bases: Vec::new(),
                sync: None,
                health: Health::NotAsked,
                took: std::time::Duration::ZERO,
            },
            wait: Wait {
                generation: 1,
                revision: revision.to_owned(),
                wave: None,
                since: jiff::Timestamp::UNIX_EPOCH,
            },
            goes_on: false,
            veil: Veil::default(),
        }
    }

    /// Begins a vigil that goes on until it is ended from outside.
    fn begin(vigils: &Vigils, id: &NamespacedName, revision: &str) -> (Ticket, AbortHandle) {
        let mut given = None;
        vigils.begin(id, over(revision), |ticket| {
            let task = tokio::spawn(std::future::pending::<()>()).abort_handle();
            given = Some((ticket, task.clone()));
            task
        });
        given.unwrap()
    }

    #[tokio::test]
    async fn a_vigil_is_told_once_and_only_by_who_keeps_it() {
        let vigils = Vigils::default();
        let id: NamespacedName = "acme/web".parse().unwrap();
        assert!(matches!(vigils.course(&id), Course::Nothing));
        let (old, task) = begin(&vigils, &id, "old");
        let (new, _) = begin(&vigils, &id, "new");
        assert!(!old.ends(End::Well), "another has taken its place");
        tokio::task::yield_now().await;
        assert!(task.is_finished(), "its task was ended");
        assert!(matches!(vigils.course(&id), Course::Waiting));
        assert!(new.ends(End::Well));
        let Course::Ended(over, End::Well) = vigils.course(&id) else {
            panic!("it has ended");
        };
        assert_eq!(over.done.revision, "new");
        assert!(matches!(vigils.course(&id), Course::Nothing));
    }

    #[tokio::test]
    async fn who_ends_a_vigil_is_told_since_when_it_was_waited() {
        let vigils = Vigils::default();
        let id: NamespacedName = "acme/web".parse().unwrap();
        assert_eq!(vigils.end(&id), None);
        let _begun = begin(&vigils, &id, "a");
        assert_eq!(vigils.end(&id), Some(over("a").wait));
        assert_eq!(vigils.end(&id), None, "it is told once");
    }

    #[tokio::test]
    async fn a_wave_that_has_ended_is_told_to_the_run_that_goes_on() {
        let vigils = Vigils::default();
        let id: NamespacedName = "acme/web".parse().unwrap();
        let mut given = None;
        let goes_on = Over {
            goes_on: true,
            ..over("a")
        };
        vigils.begin(&id, goes_on, |ticket| {
            given = Some(ticket);
            tokio::spawn(std::future::pending::<()>()).abort_handle()
        });
        assert!(matches!(vigils.course(&id), Course::Waiting));
        assert!(given.unwrap().ends(End::Well));
        assert!(matches!(vigils.course(&id), Course::Nothing));
        assert_eq!(vigils.end(&id), Some(over("a").wait));
    }

    #[tokio::test]
    async fn nothing_is_watched_over_when_all_are_ended() {
        let vigils = Vigils::default();
        let id: NamespacedName = "acme/web".parse().unwrap();
        let (ticket, task) = begin(&vigils, &id, "a");
        vigils.clear();
        assert!(!ticket.ends(End::Well));
        tokio::task::yield_now().await;
        assert!(task.is_finished());
    }
}
