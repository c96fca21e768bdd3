//! Whether the two kinds of controllers pass over each other's objects, and whether ours reads what stays with Flux.
//!
//! Read from the arguments of their Deployments, once these are all that runs: Flux elects a leader for each selector, so that a
//! pod of before works on beside the new one, on everything, until it is stopped. What a process really does is deliberately not
//! guessed: before an object is given away it is held and watched until nobody writes to it.

use reeve_api::name::NamespaceName;
use serde_json::Value;

use super::{Finding, Found, Is, last};
use crate::labelled::Labelled;
use crate::others::Hosts;
use crate::tenancy::Grounds;

/// The controllers of Flux that work on kinds of ours.
const CONTROLLERS: [&str; 3] = [
    "source-controller",
    "kustomize-controller",
    "notification-controller",
];
/// The flag that says whom a controller follows.
const FLAG: &str = "--watch-label-selector";
/// Those that say from where ours fetches what others keep.
const NAMESPACES: &str = "--platform-namespaces";
const HOSTS: &str = "--allow-artifact-hosts";

/// Flux's.
pub(super) fn flux(deployments: &[Value]) -> Vec<Finding> {
    let found: Vec<Finding> = theirs(deployments).map(one_of_flux).collect();
    if found.is_empty() {
        let says = "no Deployment of Flux's controllers was found";
        return vec![Finding::new("Flux", Is::Note, says).next(format!(
            "if they run elsewhere, start them with {}",
            wanted()
        ))];
    }
    found
}

/// Those of Flux's that work on kinds of ours.
pub(super) fn theirs(deployments: &[Value]) -> impl Iterator<Item = &Value> {
    deployments.iter().filter(|one| {
        let name = text(one, "/metadata/name");
        CONTROLLERS.iter().any(|start| name.starts_with(start))
    })
}

/// Those that run and would work on what ours work on: all, unless each of ours follows one label and they pass over what has it.
pub(super) fn colliding<'d>(flux: &'d [Value], ours: &[Value]) -> Vec<&'d Value> {
    let labels = ours
        .iter()
        .map(|one| selector(one)?.parse::<Labelled>().ok());
    let labels: Option<Vec<Labelled>> = labels.collect();
    let labels = labels.unwrap_or_default();
    let passes_over = |one: &Value| {
        let theirs = selector(one).unwrap_or_default();
        !labels.is_empty() && labels.iter().all(|label| label.is_passed_over_by(&theirs))
    };
    theirs(flux)
        .filter(|one| !is_stopped(one) && !passes_over(one))
        .collect()
}

/// Ours.
pub(super) fn ours(found: &Found) -> Vec<Finding> {
    let deployments = &found.ours;
    if deployments.is_empty() {
        let says = "no Deployment of reeve's controller was found";
        let next = format!(
            "if it runs elsewhere, start it with {FLAG}={}",
            Labelled::ours()
        );
        return vec![Finding::new("reeve", Is::Note, says).next(next)];
    }
    let all = deployments.iter();
    all.flat_map(|deployment| one_of_ours(deployment, found))
        .collect()
}

fn one_of_ours(deployment: &Value, found: &Found) -> Vec<Finding> {
    if is_rolling(deployment) {
        return vec![rolling(deployment)];
    }
    let (subject, label) = (subject(deployment), Labelled::ours().to_string());
    let selector = selector(deployment).filter(|selector| !selector.is_empty());
    if selector.as_ref() == Some(&label) {
        let says = "follows what is handed over, and nothing else";
        let follows = Finding::new(subject.as_str(), Is::Note, says);
        return vec![follows, last::note(subject, found)];
    }
    if selector.is_none() && last::is_over(found) {
        let says = "follows everything, and nothing of Flux's is left that it would work on, too";
        return vec![Finding::new(subject, Is::Note, says)];
    }
    let says = "would work on objects that are Flux's";
    let next = format!(
        "`helm upgrade reeve … --reset-then-reuse-values --set watchLabelSelector={label}`"
    );
    vec![Finding::new(subject, Is::InTheWay, says).next(next)]
}

/// From where each of ours fetches what others keep: as it is told, or else as it is on this ground.
pub(super) fn hosts(deployments: &[Value], ground: &Grounds) -> Vec<Hosts> {
    let one = |deployment: &Value| {
        let told = listed(deployment, NAMESPACES);
        let told = told.iter().filter_map(|name| name.parse().ok());
        let mut namespaces: Vec<NamespaceName> = told.collect();
        if namespaces.is_empty() {
            namespaces.extend(ground.platform_namespaces.iter().cloned());
        }
        // Its own is the platform's, too.
        namespaces.extend(text(deployment, "/metadata/namespace").parse::<NamespaceName>());
        Hosts::new(&namespaces, listed(deployment, HOSTS))
    };
    match deployments {
        [] => vec![Hosts::new(&ground.platform_namespaces, [])],
        some => some.iter().map(one).collect(),
    }
}

fn one_of_flux(deployment: &Value) -> Finding {
    let subject = subject(deployment);
    if is_stopped(deployment) {
        return Finding::new(subject, Is::Note, "is scaled to nothing");
    }
    let passes = selector(deployment).is_some_and(|it| Labelled::ours().is_passed_over_by(&it));
    match passes {
        true if is_rolling(deployment) => rolling(deployment),
        true => Finding::new(subject, Is::Note, "passes over what is handed over"),
        false => Finding::new(subject, Is::InTheWay, "would go on working on what is handed over")
            .next(format!(
                "start it with {}, where Flux's own manifests are kept; that is its option for sharding and changes nothing else",
                wanted()
            )),
    }
}

fn is_stopped(deployment: &Value) -> bool {
    deployment.pointer("/spec/replicas").and_then(Value::as_i64) == Some(0)
}

/// Whether a pod may still run that was started with other arguments. What says nothing of a generation was not read from a cluster.
fn is_rolling(deployment: &Value) -> bool {
    let number = |pointer: &str| {
        let number = deployment.pointer(pointer).and_then(Value::as_i64);
        number.unwrap_or_default()
    };
    number("/status/observedGeneration") < number("/metadata/generation")
        || number("/status/updatedReplicas") < number("/status/replicas")
}

fn rolling(deployment: &Value) -> Finding {
    let says = "is being rolled out: a pod with other arguments may still run";
    let (namespace, name) = (
        text(deployment, "/metadata/namespace"),
        text(deployment, "/metadata/name"),
    );
    let next = format!("`kubectl -n {namespace} rollout status deployment/{name}`, then again");
    Finding::new(subject(deployment), Is::InTheWay, says).next(next)
}

fn wanted() -> String {
    format!("{FLAG}=!{}", reeve_api::SHARD)
}

/// What the last such flag of any container says.
fn selector(deployment: &Value) -> Option<String> {
    values(deployment, FLAG).pop()
}

/// All that a flag names whose values have commas between them.
fn listed(deployment: &Value, flag: &str) -> Vec<String> {
    let values = values(deployment, flag);
    let parts = values.iter().flat_map(|value| value.split(','));
    parts
        .filter(|part| !part.is_empty())
        .map(str::to_owned)
        .collect()
}

/// What such a flag says, in any container, as often as it is there.
fn values(deployment: &Value, flag: &str) -> Vec<String> {
    let containers = deployment.pointer("/spec/template/spec/containers");
    let containers = containers.and_then(Value::as_array).into_iter().flatten();
    let mut found = Vec::new();
    for container in containers {
        let words = ["command", "args"].map(|key| container.get(key).and_then(Value::as_array));
        let words = words.into_iter().flatten().flatten();
        let mut words = words.filter_map(Value::as_str);
        while let Some(word) = words.next() {
            match word.strip_prefix(flag) {
                Some("") => found.extend(words.next().map(str::to_owned)),
                Some(rest) => found.extend(rest.strip_prefix('=').map(str::to_owned)),
                None => {}
            }
        }
    }
    found
}

/// As findings name it.
pub(super) fn subject(deployment: &Value) -> String {
    let (namespace, name) = (
        text(deployment, "/metadata/namespace"),
        text(deployment, "/metadata/name"),
    );
    format!("Deployment/{namespace}/{name}")
}

fn text<'v>(object: &'v Value, pointer: &str) -> &'v str {
    let text = object.pointer(pointer).and_then(Value::as_str);
    text.unwrap_or_default()
}
