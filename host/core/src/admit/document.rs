//! The document that policies read; `policies/README.md` describes it to those who write them.
//!
//! It holds what a rule may depend on and nothing else: of the Kustomization no status and no managed fields, and of a
//! Secret its keys but no value, so that no message of a policy can give one away.

use reeve_api::kustomization::Kustomization;
use reeve_api::policy::ObjectSelector;
use serde_json::{Map, Value, json};

use crate::inventory::Entry;
use crate::plan::{Plan, Planned, Proposed};
use crate::spec::Spec;
use crate::tenancy::{Grounds, Tenant};

/// What policies are told beside the Kustomization and its objects.
#[derive(Debug, Clone, Copy)]
pub struct Circumstances<'a> {
    /// Whose it is.
    pub tenant: &'a Tenant,
    /// The platform's ground.
    pub grounds: &'a Grounds,
    /// What is known of its source; none when it does not exist.
    pub source: Option<&'a SourceFacts>,
}

/// What is known of a source.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SourceFacts {
    /// Where it is fetched from.
    pub url: String,
    /// What it has in store; none before the first fetch.
    pub revision: Option<String>,
    /// Whether the signature of that was checked and is right.
    pub verified: bool,
}

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

pub(super) fn of_spec(shown: &Value, around: &Circumstances<'_>) -> Value {
    document("spec", shown, around, Vec::new())
}

pub(super) fn of_plan(shown: &Value, around: &Circumstances<'_>, plan: &Plan<Proposed>) -> Value {
    let applied = plan.objects().map(applied);
    let pruned = plan.prune().iter().map(|entry| target("prune", entry));
    document("plan", shown, around, applied.chain(pruned).collect())
}

/// The same with those objects only that one of the selectors picks.
pub(super) fn picked(document: &Value, selectors: &[ObjectSelector]) -> Value {
    let picks = |object: &Value| {
        let text = |field: &str| {
            object
                .get(field)
                .and_then(Value::as_str)
                .unwrap_or_default()
        };
        // A label that is no text is no label that could be wanted.
        let labels = object.get("object").map(|manifest| {
            let labels = manifest
                .pointer("/metadata/labels")
                .and_then(Value::as_object);
            let labels = labels.into_iter().flatten();
            let text =
                labels.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())));
            text.collect()
        });
        let of = |one: &ObjectSelector| {
            one.picks(
                text("group"),
                text("kind"),
                text("namespace"),
                labels.as_ref(),
            )
        };
        selectors.iter().any(of)
    };
    let Some(fields) = document.as_object() else {
        return document.clone();
    };
    let shown = |(key, value): (&String, &Value)| {
        let value = match (key.as_str(), value) {
            ("objects", Value::Array(objects)) => {
                objects.iter().filter(|one| picks(one)).cloned().collect()
            }
            _ => value.clone(),
        };
        (key.clone(), value)
    };
    Value::Object(fields.iter().map(shown).collect())
}

fn document(phase: &str, shown: &Value, around: &Circumstances<'_>, objects: Vec<Value>) -> Value {
    json!({
        "phase": phase,
        "kustomization": shown,
        "source": source(shown, around.source),
        "tenant": tenant(around.tenant),
        "platform": {
            "namespaces": names(&around.grounds.platform_namespaces),
            "configNamespaces": names(&around.grounds.config_namespaces),
        },
        "objects": objects,
    })
}

/// The source as the Kustomization names it, and what is known of it.
fn source(shown: &Value, facts: Option<&SourceFacts>) -> Value {
    let reference = shown.pointer("/spec/sourceRef");
    let field = |name: &str| {
        reference
            .and_then(|it| it.get(name))
            .filter(|it| !it.is_null())
    };
    let own = shown.pointer("/metadata/namespace");
    let named = field("namespace").filter(|it| it.as_str() != Some(""));
    let mut source = json!({
        "kind": field("kind"),
        "namespace": named.or(own),
        "name": field("name"),
    });
    if let (Some(fields), Some(facts)) = (source.as_object_mut(), facts) {
        fields.insert("url".to_owned(), facts.url.as_str().into());
        fields.insert("verified".to_owned(), facts.verified.into());
        if let Some(revision) = &facts.revision {
            fields.insert("revision".to_owned(), revision.as_str().into());
        }
    }
    source
}

fn tenant(tenant: &Tenant) -> Value {
    let mut shown = json!({
        "name": tenant.name.as_str(),
        "namespaces": names(&tenant.namespaces),
    });
    if let (Some(fields), Some(declared)) = (shown.as_object_mut(), &tenant.declared) {
        fields.insert("sources".to_owned(), names(&declared.sources).into());
        if let Some(project) = &declared.project {
            fields.insert("project".to_owned(), project.as_str().into());
        }
    }
    shown
}

fn names<'a, T: AsRef<str> + 'a>(names: impl IntoIterator<Item = &'a T>) -> Vec<&'a str> {
    names.into_iter().map(AsRef::as_ref).collect()
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
