//! What rules would say: to a document that somebody wrote, to a Kustomization and manifests on a laptop, or to what was
//! rendered last.
//!
//! The same functions are asked as for what is to be carried out, and nothing comes of it but the answers: neither an
//! admitted spec nor an admitted plan leaves this file.

use std::collections::BTreeSet;

use reeve_api::kustomization::Kustomization;
use reeve_kustomize::Object;
use serde_json::Value;

use super::tolerance::Against;
use super::{
    Answers, Circumstances, Denied, Document, Passed, Phase, Recollection, Rules, document,
};
use crate::bundle::{Bundle, Rendered};
use crate::failure::{Explained, Failure, Turn};
use crate::plan::{Inventory, Plan, Proposed, Scope, Scopes};
use crate::spec::Spec;
use reeve_api::reason::Reason;

/// How a trial ended.
#[derive(Debug, Clone)]
pub struct Trial {
    /// What the rules were shown last.
    pub document: Value,
    /// What they said to it.
    pub answers: Answers,
    /// `spec` or `plan`: when they were asked. None where no rule over tenants is, in a namespace of the platform.
    pub phase: Option<String>,
    /// The kinds of which nobody here knows whether they live in a namespace, and what the rules were shown.
    pub assumed: BTreeSet<Assumed>,
}

/// A kind that is taken for what its manifests make of it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Assumed {
    /// `Widget.acme.example`.
    pub kind: String,
    /// Whether an object of it is shown as one in a namespace.
    pub in_a_namespace: bool,
}

/// What the rules say to a document, whole as it is.
pub fn of_document(rules: &Rules, document: Value) -> Trial {
    let phase = document.get("phase").and_then(Value::as_str);
    Trial {
        answers: rules.answer(&document),
        phase: Some(phase.unwrap_or_default().to_owned()),
        document,
        assumed: BTreeSet::new(),
    }
}

/// What the rules say to a Kustomization and, when that passes, to the manifests that were rendered for it, after those in
/// `previous` were applied. Nothing is pruned when nobody knows what was.
pub fn of_manifests(
    rules: &Rules,
    around: &Circumstances<'_>,
    kustomization: &Value,
    manifests: Vec<Object>,
    previous: Option<Vec<Object>>,
) -> Result<Trial, Failure> {
    let object: Kustomization = serde_json::from_value(kustomization.clone()).map_err(|why| {
        let message = format!("the Kustomization cannot be read: {why}");
        Explained::new(Reason::InvalidSpec, Turn::Owner, message)
    })?;
    let spec = Spec::parse(&object).map_err(|why| Explained::of(&why))?;
    let assumed = assumed(&manifests, &spec);
    let judged = !around.grounds.is_platform(&spec.id.namespace);
    let before = previous.map(|before| proposed(before, &Inventory::default(), &spec));
    let before = before.transpose()?;
    let nothing = Inventory::default();
    let left = before.as_ref().map_or(&nothing, Plan::inventory);
    let plan = proposed(manifests, left, &spec)?;
    let applied = before.as_ref().map(Recollection::of_plan);
    let shown = document::shown(kustomization, &spec);
    let (document, phase, ended) = match super::spec(rules, around, kustomization, spec, None) {
        Err(denied) => {
            let shown = shown.map(|shown| value(&document::of_spec(&shown, around)));
            (shown.unwrap_or_default(), Phase::Spec, Err(denied))
        }
        Ok((admitted, _)) => {
            let document = document::of_plan(&admitted.shown, around, &plan);
            let document = value(&document.view(&[], applied.as_ref()));
            let judged = super::plan(rules, around, &admitted, plan, applied.as_ref(), None);
            (document, Phase::Plan, judged.map(|(_, passed)| passed))
        }
    };
    Ok(Trial {
        document,
        answers: answers(ended),
        phase: judged.then(|| phase.as_str().to_owned()),
        assumed,
    })
}

/// What the rules say to a Kustomization and to what was rendered for it last, after `applied` was applied: both are asked
/// for, whatever is denied of the spec. None when the object is not what `spec` says, or what is remembered no objects.
pub fn of_recollection(
    rules: &Rules,
    around: &Circumstances<'_>,
    (kustomization, spec): (&Value, &Spec),
    rendered: &Recollection,
    applied: Option<&Recollection>,
) -> Option<Answers> {
    let shown = document::shown(kustomization, spec)?;
    let asked = [
        (Phase::Spec, document::of_spec(&shown, around), None),
        (
            Phase::Plan,
            document::of_recollection(&shown, around, rendered)?,
            applied,
        ),
    ];
    let mut all = Answers::default();
    for (phase, document, applied) in asked {
        let on = Against::new(&document, applied, &spec.id, around);
        for finding in answers(rules.judge(phase, &on, None)).findings {
            // Many say the same to both.
            if !all.findings.contains(&finding) {
                all.findings.push(finding);
            }
        }
    }
    Some(all)
}

fn proposed(
    manifests: Vec<Object>,
    left: &Inventory,
    spec: &Spec,
) -> Result<Plan<Proposed>, Failure> {
    let scopes = scopes(&manifests);
    let bundle = Bundle::<Rendered>::built(manifests).map_err(|why| Explained::of(&why))?;
    let plan = Plan::propose(bundle.settled(), &scopes, left, spec);
    plan.map_err(|why| Explained::of(&why))
}

fn value(document: &Document<'_>) -> Value {
    serde_json::to_value(document).expect("because every key is a text")
}

fn answers(ended: Result<Passed, Denied>) -> Answers {
    match ended {
        Ok(passed) => passed.answers().clone(),
        Err(denied) => denied.answers().clone(),
    }
}

/// Kinds that Kubernetes has in no namespace. Where others live, definitions and the manifests themselves say.
fn scopes(manifests: &[Object]) -> Scopes {
    let known = manifests.iter().filter(|object| object.is_cluster_scoped());
    known
        .map(|object| {
            (
                (object.group().to_owned(), object.kind().to_owned()),
                Scope::Cluster,
            )
        })
        .collect()
}

/// The kinds that are neither Kubernetes' own nor defined beside them.
fn assumed(manifests: &[Object], spec: &Spec) -> BTreeSet<Assumed> {
    let defined = Scopes::default().with_definitions(manifests);
    let unknown = manifests.iter().filter(|object| {
        !object.is_builtin() && defined.scope(object.group(), object.kind()).is_none()
    });
    let assumed = unknown.map(|object| Assumed {
        kind: [object.kind(), object.group()].join("."),
        in_a_namespace: !object.namespace().is_empty() || spec.target_namespace.is_some(),
    });
    assumed.collect()
}
