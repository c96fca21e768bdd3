//! The last step: whether Flux may go, and reeve follow every object and no more only those that were handed over.
//!
//! Both would work on whatever has no label as long as a controller of Flux's is there that knows the kind, and what Flux applies
//! itself from would be applied by both, too: so nothing of either may be left. One that is stopped counts as there, since
//! starting it takes one command. What stays with Flux is nothing that both would work on, but nobody would serve it any more. Controllers that bear none of Flux's labels are deliberately not guessed.

use serde_json::Value;

use super::{Finding, Found, Ground, Is, Served, Whose, controllers, id, judge};

const KINDS: [Served; 3] = [
    Served::GitRepository,
    Served::Kustomization,
    Served::Receiver,
];

/// Kinds of Flux's that its controllers serve which are in our way, or live on them: charts are source-controller's to fetch.
const THEIRS: [&str; 7] = [
    "Alert",
    "Bucket",
    "HelmChart",
    "HelmRelease",
    "HelmRepository",
    "OCIRepository",
    "Provider",
];

/// Whether nothing is left that Flux works on, or would.
pub(super) fn is_over(found: &Found) -> bool {
    let mut objects = KINDS.iter().flat_map(|kind| found.of(*kind));
    let is_theirs = |one: &Value| Whose::of(one) == Whose::Flux;
    found.unread.is_empty()
        && controllers::theirs(&found.flux).next().is_none()
        && !objects.any(is_theirs)
}

/// All that is left, each with what has to become of it.
pub(super) fn left(found: &Found, ground: Ground<'_>) -> Vec<Finding> {
    let controllers = controllers::theirs(&found.flux).map(running);
    let objects = KINDS.iter().flat_map(|kind| {
        let all = found.of(*kind).iter();
        let theirs = all.filter(|one| Whose::of(one) == Whose::Flux);
        theirs.filter_map(move |one| object(found, ground, *kind, one))
    });
    let others = found.others.iter().filter(|one| is_served_by_them(one));
    controllers
        .chain(objects)
        .chain(others.map(unserved))
        .collect()
}

/// What the report says of one of ours that follows what is handed over.
pub(super) fn note(subject: String, found: &Found) -> Finding {
    if is_over(found) {
        let says = "may follow everything: nothing is left that Flux would work on, too";
        return Finding::new(subject, Is::Note, says)
            .next("`helm upgrade reeve … --reset-then-reuse-values --set watchLabelSelector=`");
    }
    let says = "has to keep its selector: without it it would work on what is Flux's, too";
    Finding::new(subject, Is::Note, says)
        .next("`reeve migrate flux report --last-step` lists what has to be gone before")
}

fn running(deployment: &Value) -> Finding {
    let says =
        "is there, and works on each object without the label, as reeve would without its selector";
    Finding::new(controllers::subject(deployment), Is::InTheWay, says)
        .next("keep watchLabelSelector as long as Flux serves anything; then take it out of where Flux's manifests are kept, and delete it")
}

fn is_served_by_them(object: &Value) -> bool {
    let kind = object.get("kind").and_then(Value::as_str);
    kind.is_some_and(|kind| THEIRS.contains(&kind))
}

fn unserved(object: &Value) -> Finding {
    let stays = judge::other(object);
    let next = "keep Flux's controllers and watchLabelSelector for as long as it is there; or delete it, where nothing needs it";
    let is = Is::InTheWay;
    Finding { is, ..stays }.next(next)
}

fn object(found: &Found, ground: Ground<'_>, kind: Served, object: &Value) -> Option<Finding> {
    let id = id(object)?;
    if let Some(stays) = judge::stays(found, ground, kind, object) {
        let is = Is::InTheWay;
        return Some(Finding { is, ..stays });
    }
    let says = "was not handed over";
    let next = format!("`reeve migrate flux namespace {}`", id.namespace);
    Some(Finding::new(kind.subject(&id), Is::InTheWay, says).next(next))
}
