//! Which objects have to be healthy before a Kustomization is ready.
//!
//! With `wait` all that was applied, but what its owner asked to leave alone; else what `healthChecks` names. Never the
//! Kustomization itself, which would wait for its own end. What it deliberately doesn't: look at any of them.

use std::collections::BTreeSet;
use std::sync::Arc;

use reeve_api::KUSTOMIZE_GROUP;
use reeve_api::name::NamespacedName;
use serde_json::Value;

use super::{Judge, Seen, Verdict, completion, judge};
use crate::inventory::{Entry, ObjectId};
use crate::plan::{Plan, Planned, Scope, Scopes, Step};
use crate::spec::{Named, Spec};
use crate::status::{Action, Change};

/// One object whose health is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// Which, and in which version it is read.
    pub entry: Entry,
    /// Whether it is well when it is gone: a Job that is deleted some time after it has finished.
    pub may_vanish: bool,
    /// Whether it is well only when it has come to its end: a hook.
    pub ends: bool,
    /// The uid of the one that is well only when it is gone.
    pub leaves: Option<String>,
    /// What its owner says about its health, if anything.
    pub judge: Option<Arc<Judge>>,
}

impl Check {
    /// A look at nothing but whether it is there.
    pub fn of(entry: Entry) -> Self {
        Self {
            entry,
            may_vanish: false,
            ends: false,
            leaves: None,
            judge: None,
        }
    }

    /// A look at whether the object with this uid is gone.
    pub fn until_gone(entry: Entry, uid: &str) -> Self {
        Self {
            may_vanish: true,
            leaves: Some(uid.to_owned()),
            ..Self::of(entry)
        }
    }

    /// What is asked of an object that was just applied.
    fn of_planned(spec: &Spec, planned: &Planned) -> Self {
        Self {
            entry: planned.entry(),
            // Whether a hook that is gone has done its work nobody knows.
            may_vanish: !planned.is_hook() && removes_itself(planned.manifest()),
            ends: planned.is_hook(),
            leaves: None,
            judge: judge_of(spec, planned.id()),
        }
    }

    /// What a look at the object has shown.
    pub fn seen(&self, object: &Value) -> Seen {
        if let Some(uid) = &self.leaves {
            return Seen::Is(departure(object, uid));
        }
        match self.ends && self.judge.is_none() {
            true => Seen::Is(completion(object)),
            false => judge::seen(self.judge.as_deref(), object),
        }
    }
}

/// What has to be healthy now that `plan` was applied, with these `changes`; None: nothing is asked for.
///
/// What is well as soon as it is there, and was just seen to be there, is left out.
pub fn checks<S>(
    spec: &Spec,
    plan: &Plan<S>,
    changes: &[Change],
    scopes: &Scopes,
) -> Option<Vec<Check>> {
    if !spec.health.is_asked_for() || (spec.health.wait && plan.steady().next().is_none()) {
        return None;
    }
    let judge = |id: &ObjectId| judge_of(spec, id);
    let vanishing: BTreeSet<&ObjectId> = plan
        .steady()
        .filter(|planned| removes_itself(planned.manifest()))
        .map(|planned| planned.id())
        .collect();
    let wanted: Vec<Entry> = match spec.health.wait {
        true => {
            let skipped = |change: &&Change| change.action == Action::Skipped;
            let skipped: BTreeSet<&ObjectId> =
                changes.iter().filter(skipped).map(|c| &c.id).collect();
            let asked = plan.steady().map(|planned| planned.entry());
            let asked = asked.filter(|one| {
                !skipped.contains(&one.id)
                    && (judge(&one.id).is_some() || !is_well_once_there(&one.id))
            });
            asked.collect()
        }
        false => {
            let named = spec.health.checks.iter();
            named.map(|one| entry(one, &spec.id, scopes)).collect()
        }
    };
    let wanted = wanted.into_iter().filter(|one| !is(&one.id, &spec.id));
    let check = |entry: Entry| Check {
        may_vanish: vanishing.contains(&entry.id),
        ends: false,
        leaves: None,
        judge: judge(&entry.id),
        entry,
    };
    Some(wanted.map(check).collect())
}

/// What of a wave is looked at before the next begins: those of its objects that were just written, or not seen to be well,
/// and these hooks. What only has to be there was just seen to be.
pub fn wave_checks<'p, S>(
    spec: &Spec,
    step: Step<'p, S>,
    unsettled: &BTreeSet<&ObjectId>,
    hooks: impl Iterator<Item = &'p Planned>,
) -> Vec<Check> {
    let steady = step.steady().filter(|planned| {
        let id = planned.id();
        let judged = judge_of(spec, id).is_some();
        (judged || (unsettled.contains(id) && !is_well_once_there(id))) && !is(id, &spec.id)
    });
    let all = steady.chain(hooks);
    all.map(|planned| Check::of_planned(spec, planned))
        .collect()
}

/// What the owner says about the health of an object.
fn judge_of(spec: &Spec, id: &ObjectId) -> Option<Arc<Judge>> {
    let mut judges = spec.health.judges.iter();
    judges.find(|judge| judge.is_for(id)).cloned()
}

/// Kinds that nothing acts on: to be there is all they can do.
fn is_well_once_there(id: &ObjectId) -> bool {
    matches!(
        (id.group.as_str(), id.kind.as_str()),
        (
            "",
            "ConfigMap" | "Secret" | "ServiceAccount" | "LimitRange" | "Endpoints"
        ) | (
            "rbac.authorization.k8s.io",
            "Role" | "ClusterRole" | "RoleBinding" | "ClusterRoleBinding"
        ) | ("networking.k8s.io", "NetworkPolicy")
            | ("scheduling.k8s.io", "PriorityClass")
    )
}

/// The object that is named, where it would be: one of a kind that lives in no namespace has none, whatever is said.
fn entry(named: &Named, of: &NamespacedName, scopes: &Scopes) -> Entry {
    let Named {
        group,
        version,
        kind,
        name,
        namespace,
    } = named;
    let namespace = match (scopes.scope(group, kind), namespace) {
        (Some(Scope::Cluster), _) => String::new(),
        (_, Some(set)) => set.to_string(),
        (_, None) => of.namespace.to_string(),
    };
    Entry {
        id: ObjectId {
            namespace,
            name: name.clone(),
            group: group.clone(),
            kind: kind.clone(),
        },
        version: version.clone(),
    }
}

/// Whether the object with this uid is gone, which it is when another is there; else what keeps it.
fn departure(object: &Value, uid: &str) -> Verdict {
    if object.pointer("/metadata/uid").and_then(Value::as_str) != Some(uid) {
        return Verdict::Current;
    }
    let kept = object.pointer("/metadata/finalizers");
    let kept = kept.and_then(Value::as_array).into_iter().flatten();
    let kept: Vec<&str> = kept.filter_map(Value::as_str).collect();
    match kept.is_empty() {
        true => Verdict::Terminating,
        false => {
            let kept = kept.join(", ");
            Verdict::InProgress(format!("it is being deleted, and kept by {kept}"))
        }
    }
}

fn is(id: &ObjectId, kustomization: &NamespacedName) -> bool {
    id.kind == "Kustomization"
        && id.group == KUSTOMIZE_GROUP
        && id.namespace == kustomization.namespace.as_str()
        && id.name == kustomization.name.as_str()
}

fn removes_itself(manifest: &Value) -> bool {
    let is = |key: &str, value: &str| manifest.get(key).and_then(Value::as_str) == Some(value);
    is("kind", "Job")
        && is("apiVersion", "batch/v1")
        && manifest.pointer("/spec/ttlSecondsAfterFinished").is_some()
}

#[cfg(test)]
mod tests;
