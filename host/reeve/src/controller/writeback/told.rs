//! What is remembered and told of what was decided, object by object.
//!
//! No value of a field, but in what is told of a conflict.

use std::collections::BTreeMap;

use reeve_api::writeback::{WriteBackConflict, WriteBackRefusal, WrittenObject};
use reeve_core::inventory::ObjectId;
use reeve_core::ward::Left;
use reeve_core::writeback::{Conflict, Decision, Seen, Written, subject};
use serde_json::Value;

/// The most fields and files that are told of an object.
const TOLD: usize = 10;
/// The longest value that is told of a conflict.
const VALUE: usize = 200;

/// What each object is called where it is told.
pub(super) fn named(ids: &[ObjectId], seen: &[Seen]) -> BTreeMap<String, ObjectId> {
    let all = ids.iter().zip(seen);
    all.map(|(id, seen)| (subject(seen.object()), id.clone()))
        .collect()
}

/// What is to be remembered of each object that was decided about.
pub(super) fn settled(
    ids: &[ObjectId],
    names: &BTreeMap<String, ObjectId>,
    decision: &Decision,
) -> Vec<(ObjectId, Left)> {
    let nothing = ids.iter().map(|id| (id.clone(), Left::default()));
    let mut left: BTreeMap<ObjectId, Left> = nothing.collect();
    for one in &decision.refused {
        let of = names.get(&one.object).and_then(|id| left.get_mut(id));
        let refusal = WriteBackRefusal {
            field: Some(one.field.clone()).filter(|field| !field.is_empty()),
            hint: Some(one.hint.clone()).filter(|hint| !hint.is_empty()),
            object: one.object.clone(),
            reason: one.reason.clone(),
        };
        of.into_iter()
            .for_each(|left| left.refused.push(refusal.clone()));
    }
    for one in &decision.conflicts {
        let object = subject(&one.object);
        let of = names.get(&object).and_then(|id| left.get_mut(id));
        let conflict = WriteBackConflict {
            field: one.field.clone(),
            object,
            winner: one.winner.as_str().to_owned(),
        };
        of.into_iter()
            .for_each(|left| left.conflicts.push(conflict.clone()));
    }
    for one in &decision.paused {
        if let Some(left) = names.get(one).and_then(|id| left.get_mut(id)) {
            left.paused = Some(one.clone());
        }
    }
    left.into_iter().collect()
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
    use serde_json::json;

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
        let names = BTreeMap::from([
            ("Deployment acme/web".to_owned(), id("web")),
            ("Deployment acme/api".to_owned(), id("api")),
        ]);
        let decision = Decision {
            refused: vec![Refusal {
                object: "Deployment acme/api".to_owned(),
                field: String::new(),
                reason: "is shared".to_owned(),
                hint: String::new(),
            }],
            conflicts: vec![conflict()],
            paused: vec!["Deployment acme/gone".to_owned()],
            ..Decision::default()
        };
        let left = settled(&[id("api"), id("old"), id("web")], &names, &decision);
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
