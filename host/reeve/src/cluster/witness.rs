//! Who is told what a run does while it does it, and asked before it does what cannot be undone.

use std::collections::BTreeMap;
use std::future::ready;

use reeve_api::reason::Reason;
use reeve_core::admit::{Altered, Sent};
use reeve_core::drift::{Sight, Stood};
use reeve_core::failure::{Explained, Turn};
use reeve_core::inventory::{Inventory, ObjectId};
use reeve_core::plan::{Planned, reports_drift};
use serde_json::Value;

/// How far a run is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// The objects of a stage are compared with the cluster.
    Comparing {
        /// How many.
        objects: usize,
    },
    /// Those that differ are written.
    Writing {
        /// How many.
        objects: usize,
    },
    /// What the next stage needs is not ready yet.
    Waiting {
        /// For which objects, as `Kind/name`.
        subjects: Vec<String>,
    },
}

/// Who must know what a run is about to do, before it does it.
pub trait Witness: Send + Sync {
    /// Called before the first write of each wave that writes at all; the run goes on only when it returns Ok.
    ///
    /// `inventory` is everything the run may leave on the cluster: what it will apply and what it will prune. Once it is
    /// recorded, a process killed between two writes orphans nothing.
    fn before_first_write(
        &self,
        inventory: &Inventory,
    ) -> impl Future<Output = Result<(), Explained>> + Send;

    /// Called before the first write of a stage of which `spec.ignore` or a WriteBack keeps fields as they are on the cluster,
    /// with what would be sent of those objects: policy has seen them only as git has them. Who has no policy to ask says no.
    fn judge_kept(
        &self,
        _kept: BTreeMap<ObjectId, Sent>,
    ) -> impl Future<Output = Result<Altered, Explained>> + Send {
        ready(Err(unjudged()))
    }

    /// Called as the run proceeds; must not block.
    fn progress(&self, progress: Progress);

    /// How an object looks if it need not be compared again as long as it looks so; where a watch would have shown any change,
    /// it need not even be read.
    fn stood(&self, _object: &Planned) -> Option<Stood> {
        None
    }

    /// Whether nothing is known of an object, so that it is most likely not there yet.
    fn is_new(&self, _object: &Planned) -> bool {
        false
    }

    /// Whether another manifest of an object was applied last than is wanted now.
    fn is_changed(&self, _object: &Planned) -> bool {
        false
    }

    /// How an object looks that nobody has touched since a run has left it, as far as a watch has shown, and which manifest it was left
    /// as; None: that is not known.
    fn former(&self, _object: &Planned) -> Option<Former> {
        None
    }

    /// The first write was refused, and nothing is written yet: what [`before_first_write`](Self::before_first_write) was told may
    /// be left behind is not.
    fn nothing_written(&self) {}

    /// An object was compared and is as it is wanted, and this is how a watch shows it.
    fn stands(&self, _object: &Planned, _sight: Sight) {}

    /// Called before an object is deleted to be made anew whose deletion by anybody else would take it out of git; an error deletes
    /// nothing. What a run is about to leave behind is that `inventory`.
    fn before_replacing(
        &self,
        _inventory: &Inventory,
    ) -> impl Future<Output = Result<(), Explained>> + Send {
        ready(Ok(()))
    }

    /// An object is about to be deleted to be made anew.
    fn replaces(&self, _object: &Planned) {}

    /// An object is another than it is wanted: whether it stays as it is.
    fn leaves(&self, _object: &Planned, _difference: &Difference) -> bool {
        false
    }
}

/// An object as a run has left it.
pub struct Former {
    /// How it looks, in an exact state.
    pub sight: Sight,
    /// The manifest that it was applied as, or found to be as.
    pub manifest: Value,
}

/// What nobody has judged is not sent.
pub(super) fn unjudged() -> Explained {
    let message = "spec.ignore or a WriteBack keeps fields as they are on the cluster, and policy was not asked about what would be sent";
    Explained::new(Reason::PolicyDenied, Turn::Retry, message)
}

/// What is another on the cluster than it is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The fields, as far as they are told; none: the object is not there.
    pub fields: Vec<String>,
    /// Whether the object itself asks to have that told and nothing else.
    pub reported: bool,
    /// How a watch shows it.
    pub sight: Sight,
}

impl Difference {
    /// Of these fields, between what is wanted and what is there.
    pub(super) fn of(object: &Planned, live: Option<&Value>, fields: Vec<String>) -> Self {
        Self {
            fields,
            reported: object.reports_drift() || live.is_some_and(reports_drift),
            sight: live.map_or(Sight::GONE, Sight::of),
        }
    }
}
