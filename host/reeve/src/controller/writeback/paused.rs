//! What somebody has taken out of write-back stays out when it is deleted: its manifest is kept, and the object is put right.
//!
//! The annotation goes with the object. So what a watch has shown of it last counts, and for what goes while nobody watches the status
//! has the ids. The Kustomization that applies it is woken to make it again: it may have looked before anybody had told it. It
//! deliberately decides nothing: that an object is out is said in its annotation, as ever.

use std::collections::{BTreeMap, BTreeSet};

use reeve_api::WRITE_BACK;
use reeve_core::inventory::ObjectId;
use reeve_core::ward::Work;
use reeve_core::writeback::{Decision, State, is_paused};
use reeve_kustomize::Object;
use serde_json::{Value, json};

use super::Case;
use super::write::Sight;

/// Of how many objects it is remembered that they are out.
const OUT: usize = 1000;

impl Case<'_> {
    /// An object that is gone, taken out if it was.
    pub(super) fn as_taken_out(&self, id: &ObjectId, meta: &Value, object: Object) -> Object {
        let out = match meta.is_null() {
            true => self.taken_out.contains(&id.to_string()),
            false => is_paused(&json!({"metadata": meta})),
        };
        match out {
            true => taken_out(object),
            false => object,
        }
    }

    /// What was deleted and is out is its Kustomization's to make again.
    pub(super) fn wake_makers(&self, sight: &Sight, decision: &Decision) {
        let paused: BTreeSet<ObjectId> = decision.paused.iter().map(ObjectId::of).collect();
        if paused.is_empty() {
            return;
        }
        let all = sight.ids.iter().zip(&sight.material.seen);
        let gone = all.filter(|(id, seen)| {
            paused.contains(id) && matches!(seen.state, State::Gone { build: Some(_), .. })
        });
        let work = Work {
            there: gone.map(|(id, _)| id.clone()).collect(),
            ..Work::default()
        };
        if !work.there.is_empty() {
            let makers = self.holders(&work).into_values();
            let makers: BTreeSet<_> = makers.collect();
            self.ctx.queues.kustomizations.wake_all(makers);
        }
    }
}

fn taken_out(mut object: Object) -> Object {
    let (key, value) = WRITE_BACK;
    object
        .annotations_mut()
        .insert(key.to_owned(), value.into());
    object
}

/// What is out after what was decided about these; nothing where that is as before. What was refused may be out as it was.
pub(super) fn out(
    previous: &[String],
    ids: &[ObjectId],
    decision: &Decision,
) -> Option<Vec<String>> {
    let paused = decision.paused.iter().map(|one| (ObjectId::of(one), true));
    let refused = decision.refused.iter().map(|one| (one.id.clone(), false));
    // One that is both is out.
    let said: BTreeMap<ObjectId, bool> = refused.chain(paused).collect();
    let mut all: BTreeSet<String> = previous.iter().cloned().collect();
    for id in ids {
        match said.get(id) {
            Some(true) if all.len() < OUT => {
                all.insert(id.to_string());
            }
            Some(_) => {}
            None => {
                all.remove(&id.to_string());
            }
        }
    }
    let all: Vec<String> = all.into_iter().collect();
    (all != previous).then_some(all)
}

#[cfg(test)]
mod tests {
    use reeve_core::writeback::Refusal;

    use super::*;

    fn map(name: &str) -> Object {
        let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "acme"}});
        Object::try_from(map).unwrap()
    }

    fn refusal(object: &Object) -> Refusal {
        Refusal {
            id: ObjectId::of(object),
            object: String::new(),
            field: String::new(),
            reason: String::new(),
            hint: String::new(),
        }
    }

    #[test]
    fn what_is_gone_and_was_out_is_out_as_if_it_could_still_say_so() {
        let out = taken_out(map("web"));
        assert!(is_paused(&Value::from(out)));
    }

    #[test]
    fn what_is_out_is_known_until_it_is_seen_to_be_in_again() {
        let [web, api, other] = ["web", "api", "other"].map(map);
        let ids = [&web, &api].map(ObjectId::of);
        let [web_id, api_id, other_id] =
            [&web, &api, &other].map(|one| ObjectId::of(one).to_string());
        let paused = Decision {
            paused: vec![web.clone()],
            ..Decision::default()
        };
        let refused = Decision {
            refused: vec![refusal(&web)],
            ..Decision::default()
        };
        let nothing = Decision::default();
        let both = vec![other_id.clone(), web_id.clone()];
        assert_eq!(out(&[], &ids, &paused), Some(vec![web_id.clone()]));
        assert_eq!(out(&both, &ids, &paused), None);
        assert_eq!(out(&both, &ids, &refused), None);
        assert_eq!(out(&both, &ids, &nothing), Some(vec![other_id.clone()]));
        assert_eq!(out(&[api_id], &ids, &nothing), Some(Vec::new()));
        assert_eq!(out(&[other_id], &[], &nothing), None);
    }
}
