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
use crate::cli::text::counted;
use crate::cluster::{ObjectError, Rehearsed};

/// What came of it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Answer {
    kustomization: String,
    /// What was built.
    from: String,
    /// The other cluster that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) cluster: Option<String>,
    changes: Vec<Change>,
    /// How many objects are as they would be.
    unchanged: usize,
    /// The hooks that would run.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) hooks: Vec<Hook>,
    /// What would wait for a confirmation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) waits: Option<Waits>,
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

/// One hook that would run.
#[derive(Serialize)]
pub(super) struct Hook {
    pub(super) phase: &'static str,
    pub(super) object: String,
}

/// What would wait until somebody confirms it.
#[derive(Serialize)]
pub(super) struct Waits {
    /// How many objects would be pruned.
    pub(super) pruned: usize,
    /// Whether nothing at all would be done until then, and not only nothing pruned.
    pub(super) everything: bool,
    pub(super) message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) hint: Option<String>,
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
            cluster: None,
            changes: Vec::new(),
            unchanged: 0,
            hooks: Vec::new(),
            waits: None,
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

    /// What would happen, in short; None: nothing would.
    pub(super) fn news(&self) -> Option<String> {
        let changed = (!self.changes.is_empty())
            .then(|| format!("{} would be changed", objects(self.changes.len())));
        let hooks = counted(self.hooks.len(), "hook", "hooks");
        let run = (!self.hooks.is_empty()).then(|| format!("{hooks} would run"));
        let waits = self
            .waits
            .as_ref()
            .map(|_| "it waits for confirmation".to_owned());
        let all: Vec<String> = [changed, run, waits].into_iter().flatten().collect();
        (!all.is_empty()).then(|| all.join(", "))
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

    fn place(&self) -> String {
        let cluster = self.cluster.as_deref();
        let at = cluster.map(|at| format!(" on the cluster at {}", text::line(at)));
        at.unwrap_or_default()
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
        for hook in &self.hooks {
            let object = text::line(&hook.object);
            out.push_str(&format!("hook {} {object} would run\n", hook.phase));
        }
        if let Some(waits) = &self.waits {
            out.push_str(&format!("{}\n", text::line(&waits.words())));
        }
        let count = |action: &str| {
            let all = self.changes.iter();
            all.filter(|change| change.action == action).count()
        };
        out.push_str(&format!(
            "{} from {}{}: {} created, {} configured, {} deleted, {} unchanged\n",
            self.kustomization,
            text::line(&self.from),
            self.place(),
            count(Action::Created.as_str()),
            count(Action::Configured.as_str()),
            count(Action::Deleted.as_str()),
            self.unchanged
        ));
        out
    }
}

impl Waits {
    fn words(&self) -> String {
        let what = match (self.everything, self.pruned) {
            (true, 0) => "everything".to_owned(),
            (true, pruned) => format!("everything, and {} would be pruned", objects(pruned)),
            (false, pruned) => format!("{} would be pruned", objects(pruned)),
        };
        let hint = self.hint.as_deref().map(|hint| format!("; hint: {hint}"));
        let hint = hint.unwrap_or_default();
        format!("waits for confirmation: {what}: {}{hint}", self.message)
    }
}

fn objects(number: usize) -> String {
    counted(number, "object", "objects")
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
        let news = "2 objects would be changed".to_owned();
        assert_eq!((answer.news(), answer.trouble()), (Some(news), None));
        let told = serde_json::to_value(&answer).unwrap();
        let fields = json!([{"path": "data.colour", "before": "blue", "after": "red\u{1b}"}]);
        assert_eq!(told["changes"][0]["fields"], fields);
    }

    #[test]
    fn hooks_that_would_run_and_what_would_wait_are_told() {
        let web = NamespacedName::new("acme", "web").unwrap();
        let mut answer = Answer::new(&web, "./deploy".to_owned(), Veil::default());
        answer.cluster = Some("https://edge.example:6443".to_owned());
        answer.hooks.push(Hook {
            phase: "PreSync",
            object: "Job/acme/migrate".to_owned(),
        });
        answer.waits = Some(Waits {
            pruned: 24,
            everything: false,
            message: "deleting 24 of 26 objects waits".to_owned(),
            hint: Some("annotate it".to_owned()),
        });
        let table = answer.table();
        for words in [
            "hook PreSync Job/acme/migrate would run\n",
            "waits for confirmation: 24 objects would be pruned: deleting 24 of 26 objects waits; hint: annotate it\n",
            "acme/web from ./deploy on the cluster at https://edge.example:6443: 0 created",
        ] {
            assert!(table.contains(words), "{words}: {table}");
        }
        let told = serde_json::to_value(&answer).unwrap();
        assert_eq!(told["hooks"][0]["phase"], "PreSync");
        assert_eq!(told["waits"]["pruned"], 24);
        let news = "1 hook would run, it waits for confirmation".to_owned();
        assert_eq!(answer.news(), Some(news));
        let nothing = Answer::new(&web, "./deploy".to_owned(), Veil::default());
        assert_eq!(nothing.news(), None);
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
