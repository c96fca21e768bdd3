//! Deleting what is no longer wanted, as the tenant.
//!
//! An object goes only if the Kustomization's labels are still on it (whoever applied it last owns it) and it does not
//! ask to stay; and only that very object, by its uid. One whose deletion is refused stays in the inventory, so that it
//! is tried again and never forgotten. It deliberately doesn't decide what is no longer wanted: `core::plan` does.

use super::applied::{Action, Applied};
use super::compare;
use super::error::{Failures, ObjectError};
use super::refusal::Attempt;
use super::tenant_client::{Located, TenantClient};
use super::until::{Cut, Until};
use futures::StreamExt as _;
use reeve_api::reason::Reason;
use reeve_core::failure::{Explain, Explained, Turn};
use reeve_core::inventory::{Entry, Inventory};
use reeve_core::plan::{Admitted, Plan};
use serde_json::Value;
use tokio::time::Instant;

/// What became of what was no longer wanted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Pruned {
    /// Object by object: deleted, or skipped because it belongs to somebody else or asks to stay.
    pub done: Applied,
}

/// A run that did not delete everything it should have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PruneError {
    /// Deletions were refused.
    #[error("{failures}")]
    Refused {
        /// Which, and why.
        failures: Failures,
        /// What was deleted.
        done: Applied,
        /// What is still there and must stay in the inventory.
        left: Inventory,
    },
    /// Deleting waits for somebody to say yes.
    #[error("{why}")]
    Held {
        /// For what.
        why: Explained,
        /// Nothing.
        done: Applied,
        /// What is still there and must stay in the inventory.
        left: Inventory,
    },
    /// The object was changed or deleted while it was pruned for.
    #[error("what is wanted has changed meanwhile; {} objects are left to prune", left.len())]
    Superseded {
        /// What was deleted.
        done: Applied,
        /// What is still there and must stay in the inventory.
        left: Inventory,
    },
    /// Time ran out.
    #[error("not everything was pruned in time; {} objects are left", left.len())]
    Deadline {
        /// What was deleted.
        done: Applied,
        /// What is, or may be, still there and must stay in the inventory.
        left: Inventory,
    },
}

impl PruneError {
    /// The objects whose deletion was refused, when that is what stopped it.
    pub fn failures(&self) -> Option<&Failures> {
        match self {
            Self::Refused { failures, .. } => Some(failures),
            Self::Held { .. } | Self::Superseded { .. } | Self::Deadline { .. } => None,
        }
    }

    /// What must stay in the inventory.
    pub fn left(&self) -> &Inventory {
        match self {
            Self::Refused { left, .. }
            | Self::Held { left, .. }
            | Self::Superseded { left, .. }
            | Self::Deadline { left, .. } => left,
        }
    }

    /// What was deleted before it failed.
    pub fn done(&self) -> &Applied {
        match self {
            Self::Refused { done, .. }
            | Self::Held { done, .. }
            | Self::Superseded { done, .. }
            | Self::Deadline { done, .. } => done,
        }
    }
}

impl Explain for PruneError {
    fn reason(&self) -> Reason {
        match self {
            Self::Superseded { .. } => Reason::Progressing,
            Self::Held { why, .. } => why.reason,
            Self::Refused { .. } | Self::Deadline { .. } => Reason::PruneFailed,
        }
    }

    fn turn(&self) -> Turn {
        match self {
            Self::Refused { failures, .. } => failures.turn(),
            Self::Superseded { .. } => Turn::Ours,
            Self::Held { why, .. } => why.turn,
            Self::Deadline { .. } => Turn::Retry,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Refused { failures, .. } => failures.hint(),
            Self::Held { why, .. } => why.hint.clone(),
            Self::Superseded { .. } | Self::Deadline { .. } => None,
        }
    }
}

/// Whether it is done, or only asked what would come of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Deed {
    Done,
    Rehearsed,
}

impl TenantClient {
    /// Asks whether all that the plan deletes may be deleted, several at a time, and deletes nothing.
    pub async fn rehearse_prune(
        &self,
        plan: &Plan<Admitted>,
        until: impl Into<Until>,
    ) -> Result<(), PruneError> {
        let until = until.into();
        let trying: Vec<_> = plan
            .prune()
            .iter()
            .map(|entry| self.delete(entry, Deed::Rehearsed))
            .collect();
        let tried = futures::stream::iter(trying)
            .buffered(self.concurrency)
            .collect::<Vec<_>>();
        let (done, left) = (Applied::default(), plan.prune().iter().cloned().collect());
        let tried = match until.hold(tried).await {
            Ok(tried) => tried,
            Err(Cut::Late) => return Err(PruneError::Deadline { done, left }),
            Err(Cut::Superseded) => return Err(PruneError::Superseded { done, left }),
        };
        let failed = tried.into_iter().filter_map(Result::err).collect();
        let Some(failures) = Failures::of(failed) else {
            return Ok(());
        };
        let why = PruneError::Refused {
            failures,
            done,
            left,
        };
        Err(self.with_rights_to_prune(plan, why).await)
    }

    /// Asks whether this very object could be deleted.
    pub(super) async fn rehearse_delete(&self, at: &Located, uid: &str) -> Result<(), ObjectError> {
        let asked = self.wire.rehearse_delete(&at.address, uid).await;
        asked
            .map(drop)
            .map_err(|why| self.failed(at, Attempt::Delete, why))
    }

    /// Deletes what the plan says is no longer wanted, in its order; dependents go in the background.
    pub async fn prune(
        &self,
        plan: &Plan<Admitted>,
        until: impl Into<Until>,
    ) -> Result<Pruned, PruneError> {
        let until = until.into();
        let mut done = Applied::default();
        let mut failed = Vec::new();
        let mut left = Inventory::default();
        let mut entries = plan.prune().iter();
        while let Some(entry) = entries.next() {
            if until.over.is_cancelled() {
                left.insert(entry.clone());
                entries.for_each(|entry| left.insert(entry.clone()));
                return Err(PruneError::Superseded { done, left });
            }
            let deleting = self.delete(entry, Deed::Done);
            match tokio::time::timeout_at(until.deadline, deleting).await {
                Ok(Ok(action)) => done.entries.push((entry.id.clone(), action)),
                Ok(Err(why)) => {
                    failed.push(why);
                    left.insert(entry.clone());
                }
                Err(_) => {
                    left.insert(entry.clone());
                    entries
                        .by_ref()
                        .for_each(|entry| left.insert(entry.clone()));
                    return Err(PruneError::Deadline { done, left });
                }
            }
        }
        match Failures::of(failed) {
            Some(failures) => Err(PruneError::Refused {
                failures,
                done,
                left,
            }),
            None => Ok(Pruned { done }),
        }
    }

    /// Asks what deleting it would do.
    pub(super) async fn rehearse_one(&self, entry: &Entry) -> Result<Action, ObjectError> {
        self.delete(entry, Deed::Rehearsed).await
    }

    async fn delete(&self, entry: &Entry, deed: Deed) -> Result<Action, ObjectError> {
        match self.delete_known(entry, deed).await {
            // Its kind went away since the last listing, and it with its kind: look once more.
            Err(why) if why.is_unserved() || why.is_elsewhere() => {
                let listed = self.discovery.refresh(Instant::now()).await;
                listed.map_err(|why| self.unlocated(&entry.id, why))?;
                match self.delete_known(entry, deed).await {
                    // What the kind is now was just asked: no object of it can have this id, so it is gone with the
                    // definition that it was of.
                    Err(why) if why.is_elsewhere() => Ok(Action::Deleted),
                    told => told,
                }
            }
            told => told,
        }
    }

    async fn delete_known(&self, entry: &Entry, deed: Deed) -> Result<Action, ObjectError> {
        // The version it was applied in may not be served any more; any other shows the same object.
        let at = match self.locate(&entry.id, Some(&entry.version)).await? {
            Some(at) => Some(at),
            None => self.locate(&entry.id, None).await?,
        };
        // Without its kind the object is gone too.
        let Some(at) = at else {
            return Ok(Action::Deleted);
        };
        let live = self.wire.get(&at.address).await;
        let live = live.map_err(|why| self.failed(&at, Attempt::Delete, why))?;
        let Some(live) = live else {
            return Ok(Action::Deleted);
        };
        if !self.owns(&live) || compare::kept(&live) {
            return Ok(Action::Skipped);
        }
        let uid = live
            .pointer("/metadata/uid")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let deleted = match deed {
            Deed::Done => self.wire.delete(&at.address, uid).await,
            Deed::Rehearsed => self.wire.rehearse_delete(&at.address, uid).await,
        };
        match deleted {
            Ok(_) => Ok(Action::Deleted),
            // Somebody deleted it and made another under its name since we looked: not ours any more.
            Err(why) if why.is_another_object() => Ok(Action::Skipped),
            Err(why) => Err(self.failed(&at, Attempt::Delete, why)),
        }
    }
}
