//! What rules would say: to a document that somebody wrote, or to a Kustomization and manifests on a laptop.
//!
//! The same functions are asked as for what is to be carried out, and nothing comes of it but the answers: neither an
//! admitted spec nor an admitted plan leaves this file.

use reeve_api::kustomization::Kustomization;
use reeve_kustomize::Object;
use serde_json::Value;

use super::{Answers, Circumstances, Denied, Document, Passed, Phase, Rules, document};
use crate::bundle::{Bundle, Rendered};
use crate::failure::{Explained, Failure, Turn};
use crate::plan::{Inventory, Plan, Scope, Scopes};
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
}

/// What the rules say to a document, whole as it is.
pub fn of_document(rules: &Rules, document: Value) -> Trial {
    let phase = document.get("phase").and_then(Value::as_str);
    Trial {
        answers: rules.answer(&document),
        phase: Some(phase.unwrap_or_default().to_owned()),
        document,
    }
}

/// What the rules say to a Kustomization and, when that passes, to the manifests that were rendered for it. What was
/// applied before is not known, so nothing is pruned.
pub fn of_manifests(
    rules: &Rules,
    around: &Circumstances<'_>,
    kustomization: &Value,
    manifests: Vec<Object>,
) -> Result<Trial, Failure> {
    let object: Kustomization = serde_json::from_value(kustomization.clone()).map_err(|why| {
        let message = format!("the Kustomization cannot be read: {why}");
        Explained::new(Reason::InvalidSpec, Turn::Owner, message)
    })?;
    let spec = Spec::parse(&object).map_err(|why| Explained::of(&why))?;
    let judged = !around.grounds.is_platform(&spec.id.namespace);
    let scopes = scopes(&manifests);
    let bundle = Bundle::<Rendered>::built(manifests).map_err(|why| Explained::of(&why))?;
    let plan = Plan::propose(bundle.settled(), &scopes, &Inventory::default(), &spec)
        .map_err(|why| Explained::of(&why))?;
    let shown = document::shown(kustomization, &spec);
    let (document, phase, ended) = match super::spec(rules, around, kustomization, spec, None) {
        Err(denied) => {
            let shown = shown.map(|shown| value(&document::of_spec(&shown, around)));
            (shown.unwrap_or_default(), Phase::Spec, Err(denied))
        }
        Ok((admitted, _)) => {
            let document = value(&document::of_plan(&admitted.shown, around, &plan));
            let judged = super::plan(rules, around, &admitted, plan, None, None);
            (document, Phase::Plan, judged.map(|(_, passed)| passed))
        }
    };
    Ok(Trial {
        document,
        answers: answers(ended),
        phase: judged.then(|| phase.as_str().to_owned()),
    })
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
