//! What is sent otherwise than git has it, since `spec.ignore` or a WriteBack keeps fields as they are on the cluster: judged like
//! the plan.
//!
//! The rules see the whole plan with these manifests in the place of its own, under the same tolerance: they don't count as
//! what was applied last unless that had the very form. What a WriteBack leaves alone they see as it is there, and it is not sent. The only way to an [`AdmittedManifest`]. It deliberately doesn't
//! say what is kept; the shell, which has read the cluster, does.
//!
//! ```compile_fail
//! use reeve_core::admit::AdmittedManifest;
//! fn forge(manifest: serde_json::Value) -> AdmittedManifest {
//!     AdmittedManifest { id: "acme_web_apps_Deployment".parse().unwrap(), manifest }
//! }
//! ```

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value;

use super::tolerance::Against;
use super::{AdmittedSpec, Circumstances, Denied, Passed, Phase, Recollection, Rules, document};
use crate::inventory::ObjectId;
use crate::plan::{Admitted, Plan};
use crate::writeback::Leave;

/// The manifests that may be sent instead of those of a plan.
#[derive(Debug, Default)]
pub struct Altered {
    manifests: BTreeMap<ObjectId, AdmittedManifest>,
}

/// A manifest that every rule has seen in the place of the plan's, and none denied.
pub struct AdmittedManifest {
    id: ObjectId,
    manifest: Value,
}

/// What is sent of an object instead of what git has.
#[derive(Clone)]
pub struct Sent {
    shown: Value,
    left: Leave,
}

/// Shows a plan to every rule over the tenant as it is `sent`, and lets that pass, or says who objected.
pub fn altered(
    rules: &Rules,
    around: &Circumstances<'_>,
    spec: &AdmittedSpec,
    plan: &Plan<Admitted>,
    sent: BTreeMap<ObjectId, Sent>,
    applied: Option<&Recollection>,
) -> Result<(Altered, Passed), Denied> {
    let (mut shown, mut left) = (BTreeMap::new(), BTreeMap::new());
    for (id, one) in sent {
        left.insert(id.clone(), one.left);
        shown.insert(id, one.shown);
    }
    if let Some(id) = shown.iter().find(|one| !is_of(plan, one)).map(|(id, _)| id) {
        let why = format!("{} would be sent as another object", id.subject());
        return Err(Denied::refused(Phase::Plan, why));
    }
    let mut passed = Passed::default();
    if spec.judged {
        let document = document::of_altered(&spec.shown, around, plan, &shown);
        let on = Against::new(&document, applied, &spec.id, around);
        passed = rules.judge(Phase::Plan, &on, None)?;
    }
    let manifests = shown.into_iter().map(|(id, shown)| {
        let left = left.remove(&id).unwrap_or_default();
        let admitted = AdmittedManifest {
            id: id.clone(),
            // It brings nothing that was not shown.
            manifest: left.without(&shown).into_owned(),
        };
        (id, admitted)
    });
    let manifests = manifests.collect();
    Ok((Altered { manifests }, passed))
}

/// Whether it is another form of an object that the plan applies.
fn is_of(plan: &Plan<Admitted>, (id, manifest): &(&ObjectId, &Value)) -> bool {
    let identity = [
        "/apiVersion",
        "/kind",
        "/metadata/namespace",
        "/metadata/name",
    ];
    plan.steady().any(|planned| {
        let same =
            |pointer: &&str| manifest.pointer(pointer) == planned.manifest().pointer(pointer);
        planned.id() == *id && identity.iter().all(same)
    })
}

impl Sent {
    /// What is made of `wanted` by `kept`, the manifest as `spec.ignore` has it, and by what is left to WriteBacks; nothing where
    /// that is the same.
    pub fn of(wanted: &Value, live: &Value, kept: &Value, left: Leave) -> Option<Self> {
        let is_other = kept != wanted || !left.is_nothing();
        is_other.then(|| Self {
            shown: left.shown(kept, live),
            left,
        })
    }

    /// What would be sent.
    pub fn manifest(&self) -> Value {
        self.left.without(&self.shown).into_owned()
    }

    /// Whether a WriteBack has something of it left alone.
    pub fn is_left(&self) -> bool {
        !self.left.is_nothing()
    }
}

impl From<Value> for Sent {
    fn from(shown: Value) -> Self {
        let left = Leave::default();
        Self { shown, left }
    }
}

impl Altered {
    /// What may be sent of that object; none where nobody has asked for it.
    pub fn take(&mut self, id: &ObjectId) -> Option<AdmittedManifest> {
        self.manifests.remove(id)
    }
}

impl AdmittedManifest {
    /// Which object.
    pub fn id(&self) -> &ObjectId {
        &self.id
    }

    /// What is sent.
    pub fn manifest(&self) -> &Value {
        &self.manifest
    }
}

impl fmt::Debug for AdmittedManifest {
    // It may be a Secret: only who it is is shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.id)
    }
}
