//! What one run would do to the cluster: the objects to apply, wave by wave and stage by stage, and those to prune.
//!
//! Every object gets its namespace, its owner's labels and Flux's normal form here; what is left is exactly what will
//! be sent. It deliberately doesn't compare with the cluster (that takes a client) and judges nothing: a
//! `Plan<Proposed>` becomes a `Plan<Admitted>` in `admit` alone, and the shell applies nothing else.
//!
//! ```
//! use reeve_core::plan::{Admitted, Plan};
//! fn apply(plan: &Plan<Admitted>) -> usize {
//!     plan.stages().count()
//! }
//! ```
//!
//! A plan that no rule has seen cannot be taken for one that was admitted, and cannot be made one:
//!
//! ```compile_fail
//! use reeve_core::plan::{Admitted, Plan, Proposed};
//! fn forge(plan: Plan<Proposed>) -> Plan<Admitted> {
//!     plan
//! }
//! ```
//!
//! ```compile_fail
//! use reeve_core::plan::{Admitted, Plan, Proposed};
//! fn forge(plan: Plan<Proposed>) -> Plan<Admitted> {
//!     plan.advance()
//! }
//! ```
//!
//! ```compile_fail
//! use reeve_core::plan::{Admitted, Plan, Proposed};
//! fn forge(plan: Plan<Proposed>) -> Plan<Admitted> {
//!     Plan { waves: vec![], skipped: vec![], prune: vec![], inventory: Default::default(), sync: None, standing: Default::default() }
//! }
//! ```

mod former;
mod hook;
mod normalise;
mod order;
mod scope;
mod wave;

use std::collections::BTreeMap;
use std::marker::PhantomData;

use reeve_api::reason::Reason;
use reeve_kustomize::Object;
use serde_json::Value;

use crate::admit::Seen;
use crate::bundle::{Bundle, Transformed};
use crate::drift;
use crate::failure::{Explain, Turn};
pub use crate::inventory::{Entry, Inventory, ObjectId};
use crate::spec::Spec;
pub use former::former;
use hook::{Hook, Role, When};
pub use hook::{MARK, is_hook};
pub use order::StageKind;
pub use scope::{Scope, Scopes};
use wave::Wave;
pub use wave::{Phase, Place, Step};

/// How many hooks a plan may have, each counted once for each phase that it runs in: what became of all of them stands in
/// the status.
const MOST_HOOKS: usize = 100;

/// Nobody has judged it yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proposed {}
/// Every object in it, applied or pruned, was shown to every rule over its tenant, and none denied it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admitted {}

/// What one run would do. `Standing` records whether policy has seen it.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan<Standing> {
    waves: Vec<Wave>,
    skipped: Vec<ObjectId>,
    prune: Vec<Entry>,
    inventory: Inventory,
    /// Which sync it is, where that matters.
    sync: Option<String>,
    standing: PhantomData<Standing>,
}

/// Objects that are applied together, before any object of the next stage.
#[derive(Debug, Clone, PartialEq)]
pub struct Stage {
    kind: StageKind,
    objects: Vec<Planned>,
}

/// One object as it will be sent.
#[derive(Clone, PartialEq)]
pub struct Planned {
    id: ObjectId,
    version: String,
    manifest: Value,
    ignored: Vec<String>,
    hook: Option<Box<Hook>>,
}

/// A bundle that cannot be planned. Never holds a value of a manifest but its identity.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Two manifests are the same object.
    #[error("{subject} is there twice: as manifest {first} and as manifest {second} of the build")]
    Twice {
        /// The object.
        subject: String,
        /// Where it is, from 1.
        first: usize,
        /// Where it is again.
        second: usize,
    },
    /// A Secret that was encrypted with SOPS.
    #[error("{subject} is SOPS encrypted; decryption is not supported yet")]
    Encrypted {
        /// The object.
        subject: String,
    },
    /// A part of its identity or metadata cannot be used.
    #[error("{subject}: {field} {why}")]
    Malformed {
        /// The object.
        subject: String,
        /// Which field.
        field: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// An annotation that says when it is applied cannot be read.
    #[error("{subject}: annotation {annotation} {why}")]
    Annotation {
        /// The object.
        subject: String,
        /// Which annotation.
        annotation: String,
        /// What is wrong with it.
        why: String,
    },
    /// There are more hooks than can be kept account of.
    #[error("{found} hooks are in the build; at most {MOST_HOOKS} can be run in one sync")]
    Hooks {
        /// How many.
        found: usize,
    },
}

impl Explain for Error {
    fn reason(&self) -> Reason {
        Reason::BuildFailed
    }

    fn turn(&self) -> Turn {
        Turn::NextRevision
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Twice { .. } => Some("remove one of the two manifests".to_owned()),
            Self::Encrypted { .. } => {
                Some("commit a SealedSecret or an ExternalSecret instead".to_owned())
            }
            Self::Hooks { .. } => Some("split the Kustomization".to_owned()),
            Self::Malformed { .. } | Self::Annotation { .. } => None,
        }
    }
}

impl Plan<Proposed> {
    /// What it takes to make the cluster hold `bundle`, after `inventory` was applied last time.
    pub fn propose(
        bundle: Bundle<Transformed>,
        scopes: &Scopes,
        inventory: &Inventory,
        spec: &Spec,
    ) -> Result<Self, Error> {
        let mut objects = bundle.into_objects();
        let scopes = scopes.with_definitions(&objects);
        let mut seen: BTreeMap<ObjectId, usize> = BTreeMap::new();
        let mut planned = Vec::with_capacity(objects.len());
        for (at, object) in (1..).zip(&mut objects) {
            normalise::identity(object, &scopes, spec)?;
            let id = ObjectId::of(object);
            if let Some(first) = seen.insert(id.clone(), at) {
                return Err(Error::Twice {
                    subject: id.subject(),
                    first,
                    second: at,
                });
            }
            normalise::content(object, &id)?;
            normalise::metadata(object, spec);
            let when = hook::read(object, &id.subject())?;
            let ignored = spec.ignored.of(object);
            planned.push((Planned::new(id, std::mem::take(object), ignored), when));
        }
        planned.sort_by_cached_key(|(planned, _)| order::key(&planned.id));
        let (mut after, mut hooks) = (Inventory::default(), Inventory::default());
        for (planned, when) in &planned {
            match when.role {
                Role::Hook(..) => hooks.insert(planned.entry()),
                Role::Steady | Role::Skip => after.insert(planned.entry()),
            }
        }
        let (skipped, wanted): (Vec<_>, Vec<_>) = planned
            .into_iter()
            .partition(|(planned, when)| when.role == Role::Skip || left_alone(&planned.manifest));
        let gone = match spec.prune {
            true => inventory.minus(&after).minus(&hooks),
            false => Inventory::default(),
        };
        let waves = waves_of(wanted)?;
        Ok(Self {
            waves,
            skipped: skipped.into_iter().map(|(planned, _)| planned.id).collect(),
            prune: in_deletion_order(&gone),
            inventory: after,
            sync: None,
            standing: PhantomData,
        })
    }

    /// What it takes to remove everything that was ever applied.
    pub fn withdraw(inventory: &Inventory) -> Self {
        Self {
            waves: Vec::new(),
            skipped: Vec::new(),
            prune: in_deletion_order(inventory),
            inventory: Inventory::default(),
            sync: None,
            standing: PhantomData,
        }
    }

    /// What takes a cluster from one inventory to another, without anything that could be sent.
    #[cfg(test)]
    pub(crate) fn of_inventory(before: &Inventory, after: &Inventory) -> Self {
        let object = |entry: &Entry| {
            let planned = Planned {
                id: entry.id.clone(),
                version: entry.version.clone(),
                manifest: Value::Null,
                ignored: Vec::new(),
                hook: None,
            };
            let (wave, role) = (0, Role::Steady);
            (planned, When { wave, role })
        };
        Self {
            waves: wave::waves(after.entries().map(object).collect()),
            skipped: Vec::new(),
            prune: in_deletion_order(&before.minus(after)),
            inventory: after.clone(),
            sync: None,
            standing: PhantomData,
        }
    }

    /// The same without deleting what another holds. What it has taken over (`true`) is forgotten; what it is about to
    /// take over stays in the inventory until then.
    #[must_use]
    pub fn hand_over(mut self, held: impl Fn(&ObjectId) -> Option<bool>) -> Self {
        for entry in std::mem::take(&mut self.prune) {
            match held(&entry.id) {
                None => self.prune.push(entry),
                Some(true) => {}
                Some(false) => self.inventory.insert(entry),
            }
        }
        self
    }

    /// Every rule has seen it: only `admit` can say so.
    pub(crate) fn advance(self, _: Seen) -> Plan<Admitted> {
        let Self {
            waves,
            skipped,
            prune,
            inventory,
            sync,
            standing: _,
        } = self;
        Plan {
            waves,
            skipped,
            prune,
            inventory,
            sync,
            standing: PhantomData,
        }
    }
}

impl<Standing> Plan<Standing> {
    /// What to apply and to leave there, in order; none is empty.
    pub fn stages(&self) -> impl Iterator<Item = &Stage> {
        self.waves.iter().flat_map(Wave::stages)
    }

    /// What to delete, in order.
    pub fn prune(&self) -> &[Entry] {
        &self.prune
    }

    /// What is neither applied nor deleted, because its manifest says so.
    pub fn skipped(&self) -> &[ObjectId] {
        &self.skipped
    }

    /// What will be on the cluster when all is done: what is applied, and what is left alone. Not the hooks: they come and
    /// go.
    pub fn inventory(&self) -> &Inventory {
        &self.inventory
    }

    /// Everything to apply, in order; a hook once for each phase that it runs in.
    pub fn objects(&self) -> impl Iterator<Item = &Planned> {
        self.waves.iter().flat_map(|wave| {
            let steady = wave.stages().iter().flat_map(Stage::objects);
            steady.chain(wave.hooks())
        })
    }

    /// Everything that is to be there from then on, in order.
    pub fn steady(&self) -> impl Iterator<Item = &Planned> {
        self.stages().flat_map(|stage| &stage.objects)
    }
}

impl Stage {
    /// Which stage.
    pub fn kind(&self) -> StageKind {
        self.kind
    }

    /// Its objects, in order.
    pub fn objects(&self) -> &[Planned] {
        &self.objects
    }
}

impl Planned {
    fn new(id: ObjectId, object: Object, ignored: Vec<String>) -> Self {
        Self {
            id,
            version: object.version().to_owned(),
            manifest: object.into(),
            ignored,
            hook: None,
        }
    }

    /// Which object.
    pub fn id(&self) -> &ObjectId {
        &self.id
    }

    /// The API version without its group.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// `group/version`, or `version` in the core group.
    pub fn api_version(&self) -> String {
        self.entry().api_version()
    }

    /// What will be sent.
    pub fn manifest(&self) -> &Value {
        &self.manifest
    }

    /// JSON pointers to those of its fields that are left as they are on the cluster.
    pub fn ignored(&self) -> &[String] {
        &self.ignored
    }

    /// Whether a change that others make of it is only told.
    pub fn reports_drift(&self) -> bool {
        reports_drift(&self.manifest)
    }

    /// Tells whether the same is wanted of it as before.
    pub fn digest(&self) -> u64 {
        drift::digest(&self.manifest)
    }

    /// Its line in the inventory.
    pub fn entry(&self) -> Entry {
        Entry {
            id: self.id.clone(),
            version: self.version.clone(),
        }
    }
}

impl std::fmt::Debug for Planned {
    // It may be a Secret: only who it is is shown.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.id)
    }
}

/// Whether the object's labels or annotations say that it is not to be applied or pruned.
///
/// As Flux: in either of the two places, and whatever the case of the value.
pub fn left_alone(manifest: &Value) -> bool {
    says(
        manifest,
        "kustomize.toolkit.fluxcd.io/reconcile",
        "disabled",
    ) || says(manifest, "kustomize.toolkit.fluxcd.io/ssa", "ignore")
}

/// Whether the object says that a change that others make of it is only told.
pub fn reports_drift(object: &Value) -> bool {
    says(object, drift::DRIFT, "report")
}

/// Whether a label or annotation of the object says so; values are compared without case, as Flux does.
pub fn says(manifest: &Value, key: &str, wanted: &str) -> bool {
    let places = ["/metadata/labels", "/metadata/annotations"];
    let said = places
        .iter()
        .filter_map(|place| manifest.pointer(place)?.get(key)?.as_str());
    said.into_iter()
        .any(|value| value.eq_ignore_ascii_case(wanted))
}

/// Sorted objects, wave by wave.
fn waves_of(objects: Vec<(Planned, When)>) -> Result<Vec<Wave>, Error> {
    let waves = wave::waves(objects);
    let found = waves.iter().map(|wave| wave.hooks().len()).sum();
    match found {
        0..=MOST_HOOKS => Ok(waves),
        _ => Err(Error::Hooks { found }),
    }
}

/// Sorted objects, stage by stage.
fn staged(objects: Vec<Planned>) -> Vec<Stage> {
    let mut stages: BTreeMap<StageKind, Vec<Planned>> = BTreeMap::new();
    for planned in objects {
        stages
            .entry(StageKind::of(&planned.id))
            .or_default()
            .push(planned);
    }
    stages
        .into_iter()
        .map(|(kind, objects)| Stage { kind, objects })
        .collect()
}

/// The reverse of the order in which they are applied.
fn in_deletion_order(inventory: &Inventory) -> Vec<Entry> {
    let mut entries: Vec<Entry> = inventory.entries().cloned().collect();
    entries.sort_by_cached_key(|entry| std::cmp::Reverse(order::key(&entry.id)));
    entries
}

#[cfg(test)]
mod tests;
