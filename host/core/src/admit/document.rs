//! The document that policies read; `policies/README.md` describes it to those who write them.
//!
//! It holds what a rule may depend on and nothing else: of the Kustomization no status and no managed fields, and of a
//! Secret its keys but no value, so that no message of a policy can give one away.

mod shape;

use std::borrow::Cow;
use std::collections::BTreeMap;

use jiff::Timestamp;
use reeve_api::kustomization::Kustomization;
use reeve_api::policy::ObjectSelector;
use serde_json::{Map, Value, json};

use super::{Phase, Recollection};
use crate::inventory::{Entry, ObjectId};
use crate::plan::{Plan, Planned};
use crate::signature::{Signature, Signed};
use crate::spec::Spec;
use crate::tenancy::{Grounds, Tenant};
use crate::veil::Veil;
use shape::{Action, Platform, Source};
pub use shape::{Document, schema};
pub(super) use shape::{Shown, Target};

/// What policies are told beside the Kustomization and its objects.
#[derive(Debug, Clone, Copy)]
pub struct Circumstances<'a> {
    /// Whose it is.
    pub tenant: &'a Tenant,
    /// The platform's ground.
    pub grounds: &'a Grounds,
    /// What is known of its source; none when it does not exist.
    pub source: Option<&'a SourceFacts>,
    /// When it is judged. No rule sees it: exceptions end by it.
    pub now: Timestamp,
    /// What must not be told of what rules see: no answer that leaves `admit` holds any of it.
    pub veil: &'a Veil,
}

/// What is known of a source.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SourceFacts {
    /// Where it is fetched from.
    pub url: String,
    /// What it has in store; none before the first fetch.
    pub revision: Option<String>,
    /// What of that is signed as it must be, and by which keys; None when it is not, or nobody asks.
    pub verified: Option<Vec<Signature>>,
}

/// What stands for a value that policies don't see.
const HIDDEN: &str = "***";

/// The Kustomization as policies see it, if it is the very one that `spec` was parsed from: what is judged is what
/// will be done.
pub(super) fn shown(kustomization: &Value, spec: &Spec) -> Option<Shown> {
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
    Some(Shown {
        api_version: kustomization.get("apiVersion").cloned().unwrap_or_default(),
        kind: "Kustomization",
        metadata: kept,
        spec: fields.clone(),
    })
}

pub(super) fn of_spec<'a>(shown: &'a Shown, around: &Circumstances<'a>) -> Document<'a> {
    document(Phase::Spec, shown, around, Vec::new())
}

pub(super) fn of_plan<'a, Standing>(
    shown: &'a Shown,
    around: &Circumstances<'a>,
    plan: &'a Plan<Standing>,
) -> Document<'a> {
    of_objects(shown, around, plan, Planned::manifest)
}

/// The same where other manifests are sent of some of its objects.
pub(super) fn of_altered<'a, Standing>(
    shown: &'a Shown,
    around: &Circumstances<'a>,
    plan: &'a Plan<Standing>,
    sent: &'a BTreeMap<ObjectId, Value>,
) -> Document<'a> {
    let manifest =
        |planned: &'a Planned| sent.get(planned.id()).unwrap_or_else(|| planned.manifest());
    of_objects(shown, around, plan, manifest)
}

fn of_objects<'a, Standing>(
    shown: &'a Shown,
    around: &Circumstances<'a>,
    plan: &'a Plan<Standing>,
    manifest: impl Fn(&'a Planned) -> &'a Value,
) -> Document<'a> {
    let objects = plan.objects();
    let applied = objects.map(|planned| applied(planned, manifest(planned)));
    let pruned = plan.prune().iter().map(pruned);
    document(Phase::Plan, shown, around, applied.chain(pruned).collect())
}

/// What is remembered, as if it were to be applied now; None when it holds what is no object.
pub(super) fn of_recollection<'a>(
    shown: &'a Shown,
    around: &Circumstances<'a>,
    remembered: &'a Recollection,
) -> Option<Document<'a>> {
    let objects = remembered.objects();
    let objects = objects.map(|(id, manifest)| recalled(id, manifest));
    let objects = objects.collect::<Option<Vec<_>>>()?;
    Some(document(Phase::Plan, shown, around, objects))
}

/// A manifest as policies see it.
pub(super) fn manifest(planned: &Planned) -> Cow<'_, Value> {
    veiled(planned.id(), planned.manifest())
}

fn veiled<'a>(id: &ObjectId, manifest: &'a Value) -> Cow<'a, Value> {
    if id.group.is_empty() && id.kind == "Secret" {
        let mut manifest = manifest.clone();
        hide(&mut manifest);
        return Cow::Owned(manifest);
    }
    Cow::Borrowed(manifest)
}

impl Document<'_> {
    /// The same with those objects only that one of the selectors picks, or all without any; and with what was applied
    /// before, for who reads it.
    pub(super) fn view<'d>(
        &'d self,
        selectors: &[ObjectSelector],
        before: Option<&'d Recollection>,
    ) -> Document<'d> {
        let picked = self
            .objects
            .iter()
            .filter(|target| selectors.is_empty() || target.is_picked(selectors));
        let shown = |target: &'d Target<'_>| Target {
            id: Cow::Borrowed(&*target.id),
            object: target.object.as_deref().map(Cow::Borrowed),
            previous: before.and_then(|before| before.get(&target.id)),
            ..*target
        };
        Document {
            phase: self.phase,
            kustomization: Cow::Borrowed(&*self.kustomization),
            source: self.source.clone(),
            tenant: self.tenant.clone(),
            platform: self.platform.clone(),
            objects: picked.map(shown).collect(),
        }
    }

    /// The same with something else in the place of what must not be told of its manifests; None when there is nothing of it.
    pub(super) fn without(&self, veil: &Veil) -> Option<Value> {
        let mut hidden = false;
        let mut shown = serde_json::to_value(self).expect("because every key is a text");
        let objects = shown.get_mut("objects").and_then(Value::as_array_mut);
        for target in objects.into_iter().flatten() {
            for part in ["object", "previous"] {
                if let Some(manifest) = target.get_mut(part) {
                    hidden |= veil.replace(manifest);
                }
            }
        }
        hidden.then_some(shown)
    }

    /// The objects that a rule may mean by `subject`: `Kind/namespace/name`, or `Kind/name` in no namespace.
    pub(super) fn named<'d>(&'d self, subject: &str) -> Vec<&'d Target<'d>> {
        let mut parts = subject.split('/');
        let (kind, rest) = (parts.next(), [parts.next(), parts.next()]);
        let (namespace, name) = match rest {
            [Some(namespace), Some(name)] => (namespace, name),
            [Some(name), None] => ("", name),
            _ => return Vec::new(),
        };
        if parts.next().is_some() {
            return Vec::new();
        }
        let is = |one: &&Target<'_>| {
            Some(one.kind) == kind && one.namespace == namespace && one.name == name
        };
        self.objects.iter().filter(is).collect()
    }
}

impl Target<'_> {
    /// Whether it is applied in the very form in which it was applied last.
    pub(super) fn is_as(&self, before: &Recollection) -> bool {
        let previous = before.get(&self.id);
        self.action == Action::Apply && previous.is_some() && previous == self.object.as_deref()
    }

    /// Whether one of these picks it.
    pub(super) fn is_picked(&self, selectors: &[ObjectSelector]) -> bool {
        let labels = self.labels();
        selectors
            .iter()
            .any(|one| one.picks(self.group, self.kind, self.namespace, labels.as_ref()))
    }

    pub(super) fn name(&self) -> &str {
        self.name
    }

    /// None for one whose labels nobody knows. A label that is no text is no label that could be wanted.
    fn labels(&self) -> Option<BTreeMap<String, String>> {
        let labels = self.object.as_ref()?.pointer("/metadata/labels");
        let labels = labels.and_then(Value::as_object).into_iter().flatten();
        let text =
            labels.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())));
        Some(text.collect())
    }
}

fn document<'a>(
    phase: Phase,
    shown: &'a Shown,
    around: &Circumstances<'a>,
    objects: Vec<Target<'a>>,
) -> Document<'a> {
    Document {
        phase,
        kustomization: Cow::Borrowed(shown),
        source: source(shown, around.source),
        tenant: tenant(around.tenant),
        platform: Platform {
            namespaces: names(&around.grounds.platform_namespaces),
            config_namespaces: names(&around.grounds.config_namespaces),
        },
        objects,
    }
}

/// The source as the Kustomization names it, and what is known of it.
fn source<'a>(shown: &'a Shown, facts: Option<&'a SourceFacts>) -> Source<'a> {
    let reference = shown.spec.get("sourceRef");
    let field = |name: &str| reference.and_then(|it| it.get(name)?.as_str());
    let own = shown.metadata.get("namespace").and_then(Value::as_str);
    let named = field("namespace").filter(|it| !it.is_empty());
    Source {
        kind: field("kind"),
        namespace: named.or(own),
        name: field("name"),
        url: facts.map(|facts| facts.url.as_str()),
        verified: facts.map(|facts| facts.verified.is_some()),
        signatures: facts.map(|facts| signatures(facts.verified.as_deref().unwrap_or_default())),
        revision: facts.and_then(|facts| facts.revision.as_deref()),
    }
}

fn signatures(found: &[Signature]) -> Vec<shape::Signature<'_>> {
    let shown = found.iter().map(|signature| shape::Signature {
        object: match signature.object {
            Signed::Commit => shape::Signed::Commit,
            Signed::Tag => shape::Signed::Tag,
        },
        key: &signature.key,
    });
    shown.collect()
}

fn tenant(tenant: &Tenant) -> shape::Tenant<'_> {
    let declared = tenant.declared.as_ref();
    shape::Tenant {
        name: tenant.name.as_str(),
        namespaces: names(&tenant.namespaces),
        sources: match declared {
            Some(declared) => Some(names(&declared.sources)),
            // Not even the one that bears its name.
            None => tenant.source_taken.then(Vec::new),
        },
        domains: declared.map(|declared| names(&declared.domains)),
        registries: declared.map(|declared| names(&declared.registries)),
        project: declared.and_then(|declared| Some(declared.project.as_ref()?.as_str())),
    }
}

fn names<'a, T: AsRef<str> + 'a>(names: impl IntoIterator<Item = &'a T>) -> Vec<&'a str> {
    names.into_iter().map(AsRef::as_ref).collect()
}

fn applied<'a>(planned: &'a Planned, manifest: &'a Value) -> Target<'a> {
    let object = Some(veiled(planned.id(), manifest));
    Target {
        object,
        ..target(Action::Apply, planned.id(), planned.version())
    }
}

fn pruned(entry: &Entry) -> Target<'_> {
    target(Action::Prune, &entry.id, &entry.version)
}

fn recalled<'a>(id: &'a str, manifest: &'a Value) -> Option<Target<'a>> {
    let text = |pointer| manifest.pointer(pointer).and_then(Value::as_str);
    let api_version = text("/apiVersion")?;
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    Some(Target {
        action: Action::Apply,
        id: Cow::Borrowed(id),
        group,
        version,
        kind: text("/kind")?,
        namespace: text("/metadata/namespace").unwrap_or_default(),
        name: text("/metadata/name")?,
        object: Some(Cow::Borrowed(manifest)),
        previous: None,
    })
}

fn target<'a>(action: Action, id: &'a ObjectId, version: &'a str) -> Target<'a> {
    Target {
        action,
        id: Cow::Owned(id.to_string()),
        group: &id.group,
        version,
        kind: &id.kind,
        namespace: &id.namespace,
        name: &id.name,
        object: None,
        previous: None,
    }
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
