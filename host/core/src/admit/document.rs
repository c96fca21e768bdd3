//! The document that policies read; `policies/README.md` describes it to those who write them.
//!
//! It holds what a rule may depend on and nothing else: of the Kustomization no status and no managed fields, and of a
//! Secret its keys but no value, so that no message of a policy can give one away.

use reeve_api::kustomization::Kustomization;
use serde_json::{Map, Value, json};

use crate::inventory::Entry;
use crate::plan::{Plan, Planned, Proposed};
use crate::spec::Spec;
use crate::tenancy::Tenant;

/// What stands for a value that policies don't see.
const HIDDEN: &str = "***";

/// The Kustomization as policies see it, if it is the very one that `spec` was parsed from: what is judged is what
/// will be done.
pub(super) fn shown(kustomization: &Value, spec: &Spec) -> Option<Value> {
    let metadata = kustomization.get("metadata")?;
    let fields = kustomization.get("spec")?;
    let object = json!({
        "apiVersion": kustomization.get("apiVersion"),
        "kind": "Kustomization",
        "metadata": metadata,
        "spec": fields,
    });
    let object: Kustomization = serde_json::from_value(object).ok()?;
    if Spec::parse(&object).ok()? != *spec {
        return None;
    }
    let mut kept = Map::new();
    for key in ["namespace", "name", "labels", "annotations", "generation"] {
        if let Some(value) = metadata.get(key) {
            kept.insert(key.to_owned(), value.clone());
        }
    }
    Some(json!({
        "apiVersion": kustomization.get("apiVersion"),
        "kind": "Kustomization",
        "metadata": kept,
        "spec": fields,
    }))
}

pub(super) fn of_spec(shown: &Value, tenant: &Tenant) -> Value {
    document("spec", shown, tenant, Vec::new())
}

pub(super) fn of_plan(shown: &Value, tenant: &Tenant, plan: &Plan<Proposed>) -> Value {
    let applied = plan.objects().map(applied);
    let pruned = plan.prune().iter().map(|entry| target("prune", entry));
    document("plan", shown, tenant, applied.chain(pruned).collect())
}

fn document(phase: &str, shown: &Value, tenant: &Tenant, objects: Vec<Value>) -> Value {
    let namespaces: Vec<&str> = tenant.namespaces.iter().map(|name| name.as_str()).collect();
    json!({
        "phase": phase,
        "kustomization": shown,
        "tenant": {"name": tenant.name.as_str(), "namespaces": namespaces},
        "objects": objects,
    })
}

fn applied(planned: &Planned) -> Value {
    let mut manifest = planned.manifest().clone();
    let id = planned.id();
    if id.group.is_empty() && id.kind == "Secret" {
        hide(&mut manifest);
    }
    let mut target = target("apply", &planned.entry());
    if let Some(fields) = target.as_object_mut() {
        fields.insert("object".to_owned(), manifest);
    }
    target
}

fn target(action: &str, entry: &Entry) -> Value {
    let id = &entry.id;
    json!({
        "action": action,
        "id": id.to_string(),
        "group": id.group,
        "version": entry.version,
        "kind": id.kind,
        "namespace": id.namespace,
        "name": id.name,
    })
}

fn hide(secret: &mut Value) {
    let data = secret.get_mut("data").and_then(Value::as_object_mut);
    for value in data.into_iter().flat_map(|data| data.values_mut()) {
        *value = HIDDEN.into();
    }
    // A copy of all of it, left there by `kubectl apply`.
    let annotations = secret
        .pointer_mut("/metadata/annotations")
        .and_then(Value::as_object_mut);
    if let Some(annotations) = annotations {
        annotations.shift_remove("kubectl.kubernetes.io/last-applied-configuration");
    }
}
