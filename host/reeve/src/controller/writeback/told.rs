//! What is remembered and told of what was decided, object by object.
//!
//! No value of a field, but in what is told of a conflict.

use std::collections::{BTreeMap, BTreeSet};

use reeve_api::writeback::{OnDelete, SyncTo, WriteBackConflict, WriteBackRefusal, WrittenObject};
use reeve_core::inventory::ObjectId;
use reeve_core::ward::Left;
use reeve_core::writeback::{
    Conflict, Decision, Rule, Rules, Seen, State, Subject, Written, subject,
};
use serde_json::{Value, json};

/// The most fields and files that are told of an object.
const TOLD: usize = 10;
/// The longest value that is told of a conflict.
const VALUE: usize = 200;
/// Of how many objects it is remembered that they are in files of their own, and how many bytes of the status they may take.
const MADE: usize = 1000;
const MADE_BYTES: usize = 128 << 10;

/// What is to be remembered of each object that was decided about.
pub(super) fn settled(ids: &[ObjectId], decision: &Decision) -> Vec<(ObjectId, Left)> {
    // What was not decided about is as it was.
    let decided = ids.iter().filter(|id| !decision.over.contains(id));
    let nothing = decided.map(|id| (id.clone(), Left::default()));
    let mut left: BTreeMap<ObjectId, Left> = nothing.collect();
    for one in &decision.refused {
        let refusal = WriteBackRefusal {
            field: Some(one.field.clone()).filter(|field| !field.is_empty()),
            hint: Some(one.hint.clone()).filter(|hint| !hint.is_empty()),
            object: one.object.clone(),
            reason: one.reason.clone(),
        };
        if let Some(left) = left.get_mut(&one.id) {
            left.refused.push(refusal);
        }
    }
    for one in &decision.conflicts {
        let conflict = WriteBackConflict {
            field: one.field.clone(),
            object: subject(&one.object),
            winner: one.winner.as_str().to_owned(),
        };
        if let Some(left) = left.get_mut(&ObjectId::of(&one.object)) {
            left.conflicts.push(conflict);
        }
    }
    for one in &decision.paused {
        if let Some(left) = left.get_mut(&ObjectId::of(one)) {
            left.paused = Some(subject(one));
        }
    }
    left.into_iter().collect()
}

/// What is in files of its own that go with it, after what was decided; nothing where that is as before. `proposed`: what is to be
/// written is not yet.
pub(super) fn made(
    previous: &[String],
    objects: (&[ObjectId], &[Seen]),
    decision: &Decision,
    rules: &Rules,
    proposed: bool,
) -> Option<Vec<String>> {
    let refused = decision.refused.iter().map(|one| one.id.clone());
    let paused = decision.paused.iter().map(ObjectId::of);
    let over = decision.over.iter().cloned();
    let left: BTreeSet<ObjectId> = refused.chain(paused).chain(over).collect();
    let written = decision.written.iter().map(|one| ObjectId::of(&one.object));
    let written: BTreeSet<ObjectId> = written.filter(|_| proposed).collect();
    let mut all: BTreeSet<String> = previous.iter().cloned().collect();
    let mut bytes: usize = all.iter().map(String::len).sum();
    for (id, seen) in objects.0.iter().zip(objects.1) {
        if left.contains(id) {
            continue;
        }
        let rule = rules.whole(&Subject::of(seen.object(), &seen.resource));
        let is_written = written.contains(id);
        let id = id.to_string();
        match &seen.state {
            State::Made { .. } if rule.is_some_and(takes_out) => {
                let size = id.len();
                if all.len() < MADE && bytes + size <= MADE_BYTES && all.insert(id) {
                    bytes += size;
                }
            }
            // The file is there until somebody has merged that it is not.
            State::Gone { .. } if is_written => {}
            // What is applied by a Kustomization is in the inventory of that.
            State::Gone { .. } | State::Made { .. } | State::Held { .. } => {
                all.remove(&id);
            }
        }
    }
    let all: Vec<String> = all.into_iter().collect();
    (all != previous).then_some(all)
}

/// Whether a rule takes the file of an object out with it.
fn takes_out(rule: &Rule) -> bool {
    rule.sync_to() == SyncTo::Git && rule.on_delete() == OnDelete::Delete
}

/// What is to be proposed of these objects, and what is known of those that are gone.
pub(super) fn proposed(
    ids: &[ObjectId],
    seen: &[Seen],
    decision: &Decision,
) -> BTreeMap<ObjectId, Option<Value>> {
    let written = decision.written.iter().map(|one| ObjectId::of(&one.object));
    let written: BTreeSet<ObjectId> = written.collect();
    let known = |seen: &Seen| match &seen.state {
        State::Gone { object, .. } => {
            let metadata = Value::from((**object).clone());
            let of = |key: &str| metadata.pointer(&format!("/metadata/{key}")).cloned();
            Some(json!({"labels": of("labels"), "annotations": of("annotations")}))
        }
        State::Made { .. } | State::Held { .. } => None,
    };
    let all = ids.iter().zip(seen);
    let all = all.filter(|(id, _)| written.contains(id));
    all.map(|(id, seen)| (id.clone(), known(seen))).collect()
}

pub(super) fn written(one: &Written, commit: &str) -> WrittenObject {
    let more = |all: usize| (all > TOLD).then(|| format!("and {} more", all - TOLD));
    let fields = one
        .fields
        .iter()
        .take(TOLD)
        .map(|field| field.field.clone());
    let files = one.files.iter().take(TOLD).cloned();
    WrittenObject {
        by: one.by.as_ref().map(|hand| hand.manager.clone()),
        commit: commit.to_owned(),
        fields: fields.chain(more(one.fields.len())).collect(),
        files: files.chain(more(one.files.len())).collect(),
        object: subject(&one.object),
    }
}

/// Which value counts of a field that both sides have changed, and which does not.
pub(super) fn lost(one: &Conflict) -> String {
    let value = |value: Option<&Value>| match value {
        Some(Value::String(text)) => shortened(text),
        Some(value) => shortened(&value.to_string()),
        None => "nothing".to_owned(),
    };
    format!(
        "{} {}: {} counts ({}), the other had {}",
        subject(&one.object),
        one.field,
        one.winner.as_str(),
        value(one.kept.as_ref()),
        value(one.lost.as_ref()),
    )
}

fn shortened(text: &str) -> String {
    reeve_core::status::bounded(&reeve_core::text::line(text), VALUE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use reeve_core::writeback::{Refusal, Side, What};
    use reeve_kustomize::Object;

    fn web() -> Object {
        let web = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "namespace": "acme"}});
        Object::try_from(web).unwrap()
    }

    fn id(name: &str) -> ObjectId {
        ObjectId {
            namespace: "acme".to_owned(),
            name: name.to_owned(),
            group: "apps".to_owned(),
            kind: "Deployment".to_owned(),
        }
    }

    fn conflict() -> Conflict {
        Conflict {
            object: web(),
            field: "spec.replicas".to_owned(),
            winner: Side::Kubernetes,
            kept: Some(json!(3)),
            lost: Some(json!("a\nb")),
        }
    }

    #[test]
    fn what_was_decided_is_remembered_of_each_object_and_of_no_other() {
        let decision = Decision {
            refused: vec![Refusal {
                id: id("api"),
                object: "Deployment acme/api".to_owned(),
                field: String::new(),
                reason: "is shared".to_owned(),
                hint: String::new(),
            }],
            conflicts: vec![conflict()],
            // Of another run's.
            paused: vec![service("serving.knative.dev/v1")],
            ..Decision::default()
        };
        let left = settled(&[id("api"), id("old"), id("web")], &decision);
        let [(_, api), (_, old), (_, web)] = &left[..] else {
            panic!("{left:?}")
        };
        assert_eq!(api.refused.len(), 1);
        assert_eq!(
            (&api.refused[0].field, &api.refused[0].hint),
            (&None, &None)
        );
        assert!(old.is_nothing());
        assert_eq!(web.conflicts.len(), 1);
    }

    #[test]
    fn what_was_not_decided_about_is_not_settled() {
        let decision = Decision {
            over: [id("old")].into(),
            left: 1,
            ..Decision::default()
        };
        let left = settled(&[id("old"), id("web")], &decision);
        assert_eq!(left, [(id("web"), Left::default())]);
    }

    fn service(api_version: &str) -> Object {
        let service = json!({"apiVersion": api_version, "kind": "Service", "metadata": {"name": "web", "namespace": "acme"}});
        Object::try_from(service).unwrap()
    }

    #[test]
    fn two_kinds_of_one_name_are_remembered_apart_and_told_alike() {
        let (core, knative) = (service("v1"), service("serving.knative.dev/v1"));
        let conflict = Conflict {
            object: core.clone(),
            ..conflict()
        };
        let refusal = Refusal {
            id: ObjectId::of(&knative),
            object: subject(&knative),
            field: String::new(),
            reason: "is shared".to_owned(),
            hint: String::new(),
        };
        let decision = Decision {
            refused: vec![refusal],
            conflicts: vec![conflict],
            ..Decision::default()
        };
        let left = settled(&[ObjectId::of(&core), ObjectId::of(&knative)], &decision);
        let left: BTreeMap<ObjectId, Left> = left.into_iter().collect();
        let (of_core, of_knative) = (&left[&ObjectId::of(&core)], &left[&ObjectId::of(&knative)]);
        assert_eq!((of_core.refused.len(), of_core.conflicts.len()), (0, 1));
        assert_eq!(
            (of_knative.refused.len(), of_knative.conflicts.len()),
            (1, 0)
        );
        assert_eq!(of_core.conflicts[0].object, "Service acme/web");
        assert_eq!(of_knative.refused[0].object, "Service acme/web");
        // So is what has a file of its own.
        let rules = json!([{"syncTo": "git", "onDelete": "delete"}]);
        let rules: Vec<_> = serde_json::from_value(rules).unwrap();
        let rules = Rules::parse(&rules).unwrap();
        let seen = [&core, &knative].map(|one| Seen {
            resource: "services".to_owned(),
            state: State::Made {
                live: Box::new(one.clone()),
                lean: None,
            },
        });
        let ids = [ObjectId::of(&core), ObjectId::of(&knative)];
        let told = made(&[], (&ids[..], &seen[..]), &decision, &rules, false);
        assert_eq!(told, Some(vec![ObjectId::of(&core).to_string()]));
    }

    fn seen(state: State) -> Seen {
        Seen {
            resource: "deployments".to_owned(),
            state,
        }
    }

    fn gone() -> Seen {
        seen(State::Gone {
            build: None,
            object: Box::new(web()),
        })
    }

    fn is_made() -> Seen {
        seen(State::Made {
            live: Box::new(web()),
            lean: None,
        })
    }

    fn is_held() -> Seen {
        seen(State::Held {
            build: 0,
            applied: Box::new(web()),
            defaulted: None,
            live: Box::new(web()),
        })
    }

    fn removal() -> Decision {
        Decision {
            written: vec![Written {
                object: web(),
                what: What::Deleted,
                fields: Vec::new(),
                files: vec!["web.yaml".to_owned()],
                by: None,
                why: None,
                user: None,
            }],
            ..Decision::default()
        }
    }

    #[test]
    fn it_is_remembered_what_has_a_file_that_goes_with_it_until_the_file_is_gone() {
        let by = |on_delete: &str| {
            let rules = json!([{"syncTo": "git", "onDelete": on_delete}]);
            let rules: Vec<_> = serde_json::from_value(rules).unwrap();
            Rules::parse(&rules).unwrap()
        };
        let (text, nothing) = (id("web").to_string(), Decision::default());
        let refused = Decision {
            paused: vec![web()],
            ..Decision::default()
        };
        let (known, none) = (vec![text.clone()], Vec::new());
        for (about, before, seen, decision, rule, proposed, want) in [
            (
                "made",
                &none,
                is_made(),
                &nothing,
                "delete",
                false,
                Some(&known),
            ),
            (
                "made once more",
                &known,
                is_made(),
                &nothing,
                "delete",
                false,
                None,
            ),
            (
                "its file stays",
                &known,
                is_made(),
                &nothing,
                "keep",
                false,
                Some(&none),
            ),
            (
                "applied by now",
                &known,
                is_held(),
                &nothing,
                "delete",
                false,
                Some(&none),
            ),
            (
                "gone",
                &known,
                gone(),
                &removal(),
                "delete",
                false,
                Some(&none),
            ),
            (
                "to be merged",
                &known,
                gone(),
                &removal(),
                "delete",
                true,
                None,
            ),
            (
                "merged",
                &known,
                gone(),
                &nothing,
                "delete",
                true,
                Some(&none),
            ),
            ("taken out", &known, gone(), &refused, "delete", false, None),
            (
                "taken out",
                &none,
                is_made(),
                &refused,
                "delete",
                false,
                None,
            ),
        ] {
            let objects = (&[id("web")][..], &[seen][..]);
            let told = made(before, objects, decision, &by(rule), proposed);
            assert_eq!(told.as_ref(), want, "{about}");
        }
    }

    #[test]
    fn what_is_proposed_is_known_by_its_object_and_what_is_gone_by_its_labels() {
        let ids = [id("web")];
        let told = proposed(&ids, &[gone()], &removal());
        let none = json!({"labels": null, "annotations": null});
        assert_eq!(told, BTreeMap::from([(id("web"), Some(none))]));
        let told = proposed(&ids, &[is_held()], &removal());
        assert_eq!(told, BTreeMap::from([(id("web"), None)]));
        assert!(proposed(&ids, &[is_held()], &Decision::default()).is_empty());
    }

    #[test]
    fn what_lost_is_told_in_one_line() {
        let want = "Deployment acme/web spec.replicas: kubernetes counts (3), the other had a b";
        assert_eq!(lost(&conflict()), want);
    }

    #[test]
    fn of_many_fields_some_are_told() {
        let field = reeve_core::writeback::Field {
            field: "spec.x".to_owned(),
            old: None,
            new: None,
            place: reeve_writeback::Place::Manifest {
                file: "a".to_owned(),
            },
            by: None,
        };
        let one = Written {
            object: web(),
            what: What::Changed,
            fields: vec![field; 30],
            files: vec!["a".to_owned()],
            by: None,
            why: None,
            user: None,
        };
        let told = written(&one, "abc");
        assert_eq!(told.fields.len(), TOLD + 1);
        assert_eq!(told.fields.last().map(String::as_str), Some("and 20 more"));
        assert_eq!(told.files, ["a"]);
    }
}
