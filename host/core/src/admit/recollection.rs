//! What a Kustomization applied last, object by object, in the form in which policies see it.
//!
//! An object counts as applied when applying it succeeded, whatever became of the rest of its run: of a run that failed
//! half-way the memory holds the new form of what it wrote and the old form of the others. Hooks come and go, and are not
//! remembered. It deliberately knows no disk: the shell keeps it, by its digest, and may have lost it. Then there is none, and
//! whoever asks for it does without.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde_json::Value;

use super::document;
use crate::artifact::Digest;
use crate::inventory::{Inventory, ObjectId};
use crate::plan::{Admitted, Plan, Proposed};
use crate::status::{Action, Change};
use crate::veil::Veil;

/// What was applied last.
#[derive(Clone, PartialEq, Eq)]
pub struct Recollection {
    /// By the object's id, as an inventory writes it.
    objects: BTreeMap<String, Value>,
    digest: Digest,
}

impl Recollection {
    fn of(objects: BTreeMap<String, Value>) -> Self {
        let digest = Digest::of(&json(&objects));
        Self { objects, digest }
    }

    /// What [`to_json`](Self::to_json) wrote; none for anything else.
    pub fn parse(json: &[u8]) -> Option<Self> {
        let objects = serde_json::from_slice(json).ok()?;
        let digest = Digest::of(json);
        Some(Self { objects, digest })
    }

    /// What it would be when all of `plan`, applied as it is, were there.
    pub fn of_plan(plan: &Plan<Proposed>) -> Self {
        let shown = plan.steady().map(|planned| {
            let manifest = document::manifest(planned).into_owned();
            (planned.id().to_string(), manifest)
        });
        Self::of(shown.collect())
    }

    /// After a run of `plan` that did these `changes` and left `inventory` on the cluster.
    ///
    /// What was left alone is as it was before; what is in the inventory no more is forgotten.
    pub fn after(
        before: Option<&Self>,
        plan: &Plan<Admitted>,
        changes: &[Change],
        inventory: &Inventory,
    ) -> Self {
        let mut objects = before.map_or_else(BTreeMap::new, |before| before.objects.clone());
        let done: BTreeMap<&ObjectId, Action> = changes
            .iter()
            .map(|change| (&change.id, change.action))
            .collect();
        for planned in plan.steady() {
            if done
                .get(planned.id())
                .is_some_and(|action| is_applied(*action))
            {
                let manifest = document::manifest(planned).into_owned();
                objects.insert(planned.id().to_string(), manifest);
            }
        }
        for (id, action) in done {
            if action == Action::Deleted {
                objects.remove(&id.to_string());
            }
        }
        let left: BTreeMap<String, Value> = inventory
            .entries()
            .filter_map(|entry| objects.remove_entry(&entry.id.to_string()))
            .collect();
        Self::of(left)
    }

    /// Whether [`after`](Self::after) depends on what was before: not when everything that is there was applied.
    pub fn depends_on_before(changes: &[Change], inventory: &Inventory) -> bool {
        let applied = changes.iter().filter(|change| is_applied(change.action));
        let applied: BTreeSet<_> = applied.map(|change| &change.id).collect();
        inventory
            .entries()
            .any(|entry| !applied.contains(&entry.id))
    }

    /// The same with something else in the place of what must not be told, for rules whose verdict is told to somebody else.
    #[must_use]
    pub fn without(mut self, veil: &Veil) -> Self {
        for manifest in self.objects.values_mut() {
            veil.replace(manifest);
        }
        Self::of(self.objects)
    }

    /// The same of what is in that inventory.
    #[must_use]
    pub fn within(mut self, inventory: &Inventory) -> Self {
        let had: BTreeSet<String> = inventory
            .entries()
            .map(|entry| entry.id.to_string())
            .collect();
        self.objects.retain(|id, _| had.contains(id));
        Self::of(self.objects)
    }

    /// The digest of all of it.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// To be kept.
    pub fn to_json(&self) -> Vec<u8> {
        json(&self.objects)
    }

    /// All of it, by the objects' ids.
    pub(super) fn objects(&self) -> impl Iterator<Item = (&str, &Value)> {
        let all = self.objects.iter();
        all.map(|(id, manifest)| (id.as_str(), manifest))
    }

    /// Whether an object was applied.
    pub fn has(&self, id: &ObjectId) -> bool {
        self.objects.contains_key(&id.to_string())
    }

    /// The form in which an object was applied.
    pub(crate) fn get(&self, id: &str) -> Option<&Value> {
        self.objects.get(id)
    }
}

fn json(objects: &BTreeMap<String, Value>) -> Vec<u8> {
    serde_json::to_vec(objects).expect("because every key is a text")
}

fn is_applied(action: Action) -> bool {
    matches!(
        action,
        Action::Created | Action::Configured | Action::Unchanged
    )
}

impl fmt::Debug for Recollection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} objects, {}", self.objects.len(), self.digest)
    }
}
