//! Why an object is not written, in words: which object, what stands in the way, and what to do about it.
//!
//! Those that need no rule to be asked, and what has to wait for a Kustomization. It deliberately knows nothing of what was read: no value of a manifest stands in any of them.

use reeve_api::KUSTOMIZE_GROUP;
use reeve_api::name::NamespacedName;
use reeve_api::reason::Reason;
use reeve_api::writeback::WriteBackRefusal;
use reeve_core::failure::{Explained, Turn};
use reeve_core::inventory::ObjectId;

/// One of the object as a whole.
pub(super) fn refusal(id: &ObjectId, reason: String, hint: String) -> WriteBackRefusal {
    let slash = if id.namespace.is_empty() { "" } else { "/" };
    WriteBackRefusal {
        field: None,
        hint: Some(hint).filter(|hint| !hint.is_empty()),
        object: format!("{} {}{slash}{}", id.kind, id.namespace, id.name),
        reason,
    }
}

/// That a file would be applied by somebody else.
pub(super) fn neighbours(id: &ObjectId, by: &NamespacedName) -> WriteBackRefusal {
    let reason =
        format!("would be a file that Kustomization {by} builds, which is not of this tenant");
    let hint = "choose another directory in spec.path or spec.newObjects.path";
    refusal(id, reason, hint.to_owned())
}

/// That a Kustomization which puts Secrets in is suspended, so that nobody can say whether something holds any of these.
pub(super) fn suspended(id: &ObjectId, holds: &str, by: &NamespacedName) -> WriteBackRefusal {
    let reason = format!(
        "{holds} a value of a Secret that Kustomization {by} puts in: that is suspended, and nobody knows which values these are"
    );
    let hint =
        "resume the Kustomization: once it was built again it is known what its Secrets hold";
    refusal(id, reason, hint.to_owned())
}

/// That something cannot be said before a Kustomization was built.
pub(super) fn unbuilt(turn: Turn, message: String, by: &NamespacedName) -> Explained {
    let hint = format!("see the status of Kustomization {by}");
    Explained::new(Reason::DependencyNotReady, turn, message).with_hint(hint)
}

/// That a value would be another once variables are put in.
pub(super) fn variables(id: &ObjectId) -> WriteBackRefusal {
    let reason = "holds ${ or $$, and its Kustomization puts variables in: it would be applied as something else";
    let hint = format!(
        "write it in git, with `$$` for each `$`, or annotate the object with {KUSTOMIZE_GROUP}/substitute: disabled, in git too"
    );
    refusal(id, reason.to_owned(), hint)
}

/// That an object bears the labels of a Kustomization and was never applied by any: whoever copies an object copies these.
pub(super) fn copied(id: &ObjectId) -> WriteBackRefusal {
    let reason =
        "has the labels of a Kustomization that has not applied it, as a copy of what it applies";
    let hint = format!(
        "take the labels {KUSTOMIZE_GROUP}/name and {KUSTOMIZE_GROUP}/namespace off: then it is an object of its own"
    );
    refusal(id, reason.to_owned(), hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_says_which_object_as_people_write_it() {
        let of = |kind: &str, namespace: &str| {
            copied(&ObjectId {
                namespace: namespace.to_owned(),
                name: "a".to_owned(),
                group: String::new(),
                kind: kind.to_owned(),
            })
        };
        assert_eq!(of("ConfigMap", "acme").object, "ConfigMap acme/a");
        assert_eq!(of("Namespace", "").object, "Namespace a");
        let hint = of("ConfigMap", "acme").hint.unwrap_or_default();
        assert!(
            hint.contains("kustomize.toolkit.fluxcd.io/namespace"),
            "{hint}"
        );
    }
}
