//! What would change, for people and for machines.

use reeve_api::name::NamespacedName;
use reeve_core::difference::{Field, Sides};
use reeve_core::inventory::ObjectId;
use reeve_core::status::Action;
use reeve_core::text;
use reeve_core::veil::Veil;
use reeve_kustomize::{Object, to_yaml};
use serde::Serialize;
use serde_json::Value;

use crate::cli::lines::diff;
use crate::cluster::{ObjectError, Rehearsed};

/// What came of it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Answer {
    kustomization: String,
    /// What was built.
    from: String,
    changes: Vec<Change>,
    /// How many objects are as they would be.
    unchanged: usize,
    /// What policies deny of it: then nothing of it would be applied.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) denied: Vec<String>,
    /// Of which objects it could not be said.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    failed: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) plugins_not_called: Vec<String>,
    /// What must not be told of it.
    #[serde(skip)]
    pub(super) veil: Veil,
}

/// One object that would be changed.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Change {
    object: String,
    action: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    fields: Vec<Field>,
    /// Why the API server could not be asked about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    unasked: Option<String>,
    #[serde(skip)]
    lines: String,
}

impl Answer {
    pub(super) fn new(id: &NamespacedName, from: String, veil: Veil) -> Self {
        Self {
            kustomization: id.to_string(),
            from,
            changes: Vec::new(),
            unchanged: 0,
            denied: Vec::new(),
            failed: Vec::new(),
            plugins_not_called: Vec::new(),
            veil,
        }
    }

    /// What applying an object would do.
    pub(super) fn add(&mut self, id: &ObjectId, rehearsed: Result<Rehearsed, ObjectError>) {
        match rehearsed {
            Err(why) => self.failed.push(why.to_string()),
            Ok(done) if !done.action.is_change() => self.unchanged += 1,
            Ok(done) => {
                let sides = Sides::of(done.live, done.applied);
                self.changes.push(Change {
                    object: id.subject(),
                    action: done.action.as_str(),
                    lines: diff(&yaml(sides.before.as_ref()), &yaml(sides.after.as_ref())),
                    fields: sides.fields(),
                    unasked: done.unasked,
                });
            }
        }
    }

    /// What deleting an object would do.
    pub(super) fn add_pruned(&mut self, id: &ObjectId, rehearsed: Result<Action, ObjectError>) {
        match rehearsed {
            Err(why) => self.failed.push(why.to_string()),
            Ok(action) if !action.is_change() => self.unchanged += 1,
            Ok(action) => self.changes.push(Change {
                object: id.subject(),
                action: action.as_str(),
                fields: Vec::new(),
                unasked: None,
                lines: String::new(),
            }),
        }
    }

    /// How many objects would be changed.
    pub(super) fn changes(&self) -> usize {
        self.changes.len()
    }

    /// Why it is not what would happen.
    pub(super) fn trouble(&self) -> Option<String> {
        if !self.denied.is_empty() {
            let all = self.denied.join("\n");
            return Some(format!(
                "nothing of it would be applied, it is denied by {all}"
            ));
        }
        let all = self.failed.join("\n");
        (!self.failed.is_empty()).then(|| format!("of some objects it cannot be said: {all}"))
    }

    /// Each object with its lines, those that go behind `-` and those that come behind `+`.
    pub(super) fn table(&self) -> String {
        let mut out = String::new();
        for change in &self.changes {
            out.push_str(&format!(
                "{} {}\n",
                text::line(&change.object),
                change.action
            ));
            if let Some(why) = &change.unasked {
                out.push_str(&format!("  as git has it, since {}\n", text::line(why)));
            }
            for line in change.lines.lines() {
                out.push_str(&format!("  {}\n", text::line(line)));
            }
        }
        let count = |action: &str| {
            let all = self.changes.iter();
            all.filter(|change| change.action == action).count()
        };
        out.push_str(&format!(
            "{} from {}: {} created, {} configured, {} deleted, {} unchanged\n",
            self.kustomization,
            text::line(&self.from),
            count(Action::Created.as_str()),
            count(Action::Configured.as_str()),
            count(Action::Deleted.as_str()),
            self.unchanged
        ));
        out
    }
}

fn yaml(object: Option<&Value>) -> String {
    let object = object.and_then(|object| Object::try_from(object.clone()).ok());
    object.map_or_else(String::new, |object| to_yaml(&[object]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn id(name: &str) -> ObjectId {
        ObjectId {
            namespace: "acme".to_owned(),
            name: name.to_owned(),
            group: String::new(),
            kind: "ConfigMap".to_owned(),
        }
    }

    fn done(action: Action, live: Option<Value>, applied: Option<Value>) -> Rehearsed {
        Rehearsed {
            action,
            live,
            applied,
            unasked: None,
        }
    }

    fn map(colour: &str) -> Value {
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings", "uid": "1"},
            "data": {"colour": colour}})
    }

    #[test]
    fn each_object_is_told_with_the_lines_that_go_and_come() {
        let web = NamespacedName::new("acme", "web").unwrap();
        let mut answer = Answer::new(&web, "./deploy".to_owned(), Veil::default());
        answer.add(&id("same"), Ok(done(Action::Unchanged, None, None)));
        let changed = done(
            Action::Configured,
            Some(map("blue")),
            Some(map("red\u{1b}")),
        );
        answer.add(&id("settings"), Ok(changed));
        answer.add_pruned(&id("old"), Ok(Action::Deleted));
        answer.add_pruned(&id("kept"), Ok(Action::Skipped));
        let table = answer.table();
        for words in [
            "ConfigMap/acme/settings configured\n",
            "  - ",
            "ConfigMap/acme/old deleted\n",
            "acme/web from ./deploy: 0 created, 1 configured, 1 deleted, 2 unchanged\n",
        ] {
            assert!(table.contains(words), "{words}: {table}");
        }
        assert!(!table.contains('\u{1b}'), "{table:?}");
        assert!(!table.contains("uid"), "{table}");
        assert_eq!((answer.changes(), answer.trouble()), (2, None));
        let told = serde_json::to_value(&answer).unwrap();
        let fields = json!([{"path": "data.colour", "before": "blue", "after": "red\u{1b}"}]);
        assert_eq!(told["changes"][0]["fields"], fields);
    }

    #[test]
    fn what_is_denied_is_no_answer() {
        let web = NamespacedName::new("acme", "web").unwrap();
        let mut answer = Answer::new(&web, "./deploy".to_owned(), Veil::default());
        answer.denied.push("policy pods: no".to_owned());
        let why = answer.trouble().unwrap();
        assert!(why.contains("denied by policy pods: no"), "{why}");
    }
}
