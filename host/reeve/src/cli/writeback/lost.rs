//! What is gone and is not settled yet: a write-back that stands alone knows it for one round more.
//!
//! Refused, taken out by somebody, beyond what a round decides about, or of a kind that could not be listed: as soon as that is another
//! it is decided about as what was deleted. It deliberately knows nothing of a process before this one.

use std::collections::BTreeSet;

use reeve_api::WRITE_BACK;
use reeve_core::inventory::ObjectId;
use reeve_core::writeback::{Decision, Seen, State, is_paused};
use reeve_kustomize::Object;
use serde_json::Value;

use super::round::Known;

/// What of `before` is still to be known beside what is there now.
pub(super) fn unsettled(before: Known, now: &Known, seen: &[Seen], decision: &Decision) -> Known {
    let decided = ids(seen.iter().map(Seen::object));
    let gone = seen.iter();
    let gone = gone.filter(|one| matches!(one.state, State::Gone { .. }));
    let gone = ids(gone.map(Seen::object));
    let written = ids(decision.written.iter().map(|one| &one.object));
    let mut held = ids(decision.paused.iter());
    held.extend(decision.refused.iter().map(|one| one.id.clone()));
    let is_beyond = |id: &ObjectId| decision.left > 0 && !written.contains(id);
    let stays = |id: &ObjectId| match decided.contains(id) {
        true => gone.contains(id) && (held.contains(id) || is_beyond(id)),
        // Nobody could say what became of it.
        false => true,
    };
    let before = before.into_iter();
    before
        .filter(|(id, _)| !now.contains_key(id) && stays(id))
        .collect()
}

fn ids<'o>(objects: impl Iterator<Item = &'o Object>) -> BTreeSet<ObjectId> {
    objects.map(ObjectId::of).collect()
}

/// The manifest of what is gone, taken out if the object was.
pub(super) fn as_it_was(manifest: Object, known: Option<&(String, Object)>) -> Object {
    let was_out = known.is_some_and(|(_, was)| is_paused(&Value::from(was.clone())));
    let mut object = manifest;
    if was_out {
        let (key, value) = WRITE_BACK;
        object
            .annotations_mut()
            .insert(key.to_owned(), value.into());
    }
    object
}

#[cfg(test)]
mod tests {
    use reeve_core::writeback::Refusal;
    use serde_json::json;

    use super::*;

    fn map(name: &str, annotations: &Value) -> Object {
        let map = json!({"apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": name, "namespace": "acme", "annotations": annotations}});
        Object::try_from(map).unwrap()
    }

    fn known(names: &[&str]) -> Known {
        let maps = names.iter().map(|name| map(name, &json!({})));
        maps.map(|map| (ObjectId::of(&map), ("configmaps".to_owned(), map)))
            .collect()
    }

    fn gone(name: &str) -> Seen {
        Seen {
            resource: "configmaps".to_owned(),
            state: State::Gone {
                build: None,
                object: Box::new(map(name, &json!({}))),
            },
        }
    }

    #[test]
    fn a_deletion_is_known_until_it_is_decided_and_not_refused() {
        let before = known(&["there", "refused", "paused", "done", "unlisted"]);
        let now = known(&["there"]);
        let seen = ["refused", "paused", "done"].map(gone);
        let refused = Refusal {
            id: ObjectId::of(&map("refused", &json!({}))),
            object: String::new(),
            field: String::new(),
            reason: String::new(),
            hint: String::new(),
        };
        let decision = Decision {
            refused: vec![refused],
            paused: vec![map("paused", &json!({}))],
            ..Decision::default()
        };
        let left = unsettled(before.clone(), &now, &seen, &decision);
        assert_eq!(left, known(&["refused", "paused", "unlisted"]));
        let beyond = Decision {
            left: 1,
            ..decision
        };
        let left = unsettled(before, &now, &seen, &beyond);
        assert_eq!(left, known(&["refused", "paused", "done", "unlisted"]));
    }

    #[test]
    fn what_was_out_is_out_when_it_is_gone() {
        let out = map("web", &json!({"reeve.dev/write-back": "disabled"}));
        let of = |known: Option<Object>| {
            let known = known.map(|object| ("configmaps".to_owned(), object));
            let was = as_it_was(map("web", &json!({})), known.as_ref());
            is_paused(&Value::from(was))
        };
        assert!(of(Some(out)));
        assert!(!of(Some(map("web", &json!({})))));
        assert!(!of(None));
    }
}
