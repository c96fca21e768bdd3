//! What the next run of a Kustomization would change, for people and for machines.
//!
//! `reeve diff` prints it, and it is what is told at a pull request (`proposal`). No value of a Secret is in it; what else must
//! not be told of it is under its veil, which whoever writes it down puts over it. It deliberately asks nobody what applying would do:
//! the shell has asked the API server.

use reeve_api::kustomization::SyncStatus;
use reeve_api::name::NamespacedName;
use reeve_kustomize::{Object, to_yaml};
use serde::Serialize;
use serde_json::Value;

use crate::admit::Denied;
use crate::difference::{Field, Sides};
use crate::failure::Explained;
use crate::inventory::ObjectId;
use crate::lines::diff;
use crate::plan::Plan;
use crate::status::Action;
use crate::sync::Sync;
use crate::text::{self, counted};
use crate::veil::Veil;

/// What came of it.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Preview {
    /// The Kustomization.
    pub kustomization: String,
    /// What was built.
    pub from: String,
    /// The other cluster that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
    /// The objects that would be changed.
    pub changes: Vec<Change>,
    /// How many objects are as they would be.
    pub unchanged: usize,
    /// The hooks that would run.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hooks: Vec<Hook>,
    /// What would wait for a confirmation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waits: Option<Waits>,
    /// What policies deny of it: then nothing of it would be applied.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub denied: Vec<String>,
    /// Of which objects it could not be said.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub failed: Vec<String>,
    /// What is not compared with what is on the cluster, and why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub not_compared: Vec<String>,
    /// The plugins that a run would call, and nobody has called here.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub plugins_not_called: Vec<String>,
    /// What must not be told of it.
    #[serde(skip)]
    pub veil: Veil,
}

/// What applying one object would do.
#[derive(Debug)]
pub struct Rehearsed {
    /// In a word.
    pub action: Action,
    /// As it is, where that is another.
    pub live: Option<Value>,
    /// As it would be, where that is another.
    pub applied: Option<Value>,
    /// Why the API server could not say it: what it needs is to come with it.
    pub unasked: Option<String>,
}

/// One hook that would run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Hook {
    /// When.
    pub phase: &'static str,
    /// The object.
    pub object: String,
}

/// What would wait until somebody confirms it.
#[derive(Debug, Clone, Serialize)]
pub struct Waits {
    /// How many objects would be pruned.
    pub pruned: usize,
    /// Whether nothing at all would be done until then, and not only nothing pruned.
    pub everything: bool,
    /// Why.
    pub message: String,
    /// How it is confirmed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// One object that would be changed.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Change {
    /// Which.
    pub object: String,
    /// What would be done with it.
    pub action: &'static str,
    /// Field by field.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<Field>,
    /// Why the API server could not be asked about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unasked: Option<String>,
    /// Line by line: those that go behind `-`, those that come behind `+`.
    #[serde(skip)]
    pub lines: String,
}

/// What the rules deny, a line each.
pub fn verdicts(denied: &Denied) -> Vec<String> {
    let objections = denied.objections().map(|one| {
        let object = one.object.as_deref().map(|object| format!("{object}: "));
        let hint = one.hint.as_deref().map(|hint| format!("; hint: {hint}"));
        format!(
            "policy {}: {}{}{}",
            one.policy,
            object.unwrap_or_default(),
            one.message,
            hint.unwrap_or_default()
        )
    });
    objections.collect()
}

/// The hooks that would run, in order, after what the status has of the last sync. Those for a sync that fails are not among
/// them.
pub fn hooks<S>(plan: &Plan<S>, before: Option<&SyncStatus>) -> Vec<Hook> {
    let Some(sync) = Sync::of(plan, before) else {
        return Vec::new();
    };
    let open = plan.course().flat_map(|step| {
        let phase = step.place().phase;
        let open = sync.unfinished(step).into_iter();
        open.map(move |(hook, _)| Hook {
            phase: phase.as_str(),
            object: hook.id().subject(),
        })
    });
    open.collect()
}

impl Preview {
    /// Of nothing yet.
    pub fn new(id: &NamespacedName, from: String, veil: Veil) -> Self {
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
            not_compared: Vec::new(),
            plugins_not_called: Vec::new(),
            veil,
        }
    }

    /// What applying an object would do.
    pub fn add(&mut self, id: &ObjectId, rehearsed: Result<Rehearsed, String>) {
        match rehearsed {
            Err(why) => self.failed.push(why),
            Ok(done) if !done.action.is_change() => self.unchanged += 1,
            Ok(done) => {
                let sides = Sides::of(done.live, done.applied);
                self.put(id, done.action, &sides, done.unasked);
            }
        }
    }

    /// What two builds make of an object, of what is applied now and of what would be, without what is on the cluster, and `why`
    /// without. What is under the veil is covered field by field, the shortest too, which no text could be searched for.
    pub fn add_built(&mut self, id: &ObjectId, before: Option<&Value>, after: &Value, why: &str) {
        let action = match before {
            Some(before) if before == after => {
                self.unchanged += 1;
                return;
            }
            Some(_) => Action::Configured,
            None => Action::Created,
        };
        let mut sides = Sides::of(before.cloned(), Some(after.clone()));
        let both = [&mut sides.before, &mut sides.after];
        for side in both.into_iter().flatten() {
            self.veil.hide(side);
        }
        self.put(id, action, &sides, Some(why.to_owned()));
    }

    /// Nobody looks what is there of an object, or says so: the answer would tell what may not be told.
    pub fn pass_over(&mut self, id: &ObjectId, why: &str) {
        self.not_compared.push(format!("{}: {why}", id.subject()));
    }

    fn put(&mut self, id: &ObjectId, action: Action, sides: &Sides, unasked: Option<String>) {
        self.changes.push(Change {
            object: id.subject(),
            action: action.as_str(),
            lines: diff(&yaml(sides.before.as_ref()), &yaml(sides.after.as_ref())),
            fields: sides.fields(),
            unasked,
        });
    }

    /// What deleting an object would do.
    pub fn add_pruned(&mut self, id: &ObjectId, rehearsed: Result<Action, String>) {
        match rehearsed {
            Err(why) => self.failed.push(why),
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
    pub fn news(&self) -> Option<String> {
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
    pub fn trouble(&self) -> Option<String> {
        if !self.denied.is_empty() {
            let all = self.denied.join("\n");
            return Some(format!(
                "nothing of it would be applied, it is denied by {all}"
            ));
        }
        let all = self.failed.join("\n");
        (!self.failed.is_empty()).then(|| format!("of some objects it cannot be said: {all}"))
    }

    /// Where it is carried out, if that is another cluster.
    pub fn place(&self) -> String {
        let cluster = self.cluster.as_deref();
        let at = cluster.map(|at| format!(" on the cluster at {}", text::line(at)));
        at.unwrap_or_default()
    }

    /// Each object with its lines, those that go behind `-` and those that come behind `+`.
    pub fn table(&self) -> String {
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
        out.push_str(&format!(
            "{} from {}{}: {}\n",
            self.kustomization,
            text::line(&self.from),
            self.place(),
            self.counts()
        ));
        out
    }

    /// How many objects would be what.
    pub fn counts(&self) -> String {
        let count = |action: Action| {
            let all = self.changes.iter();
            all.filter(|change| change.action == action.as_str())
                .count()
        };
        let not_compared = match self.not_compared.len() {
            0 => String::new(),
            some => format!(", {some} not compared"),
        };
        format!(
            "{} created, {} configured, {} deleted, {} unchanged{not_compared}",
            count(Action::Created),
            count(Action::Configured),
            count(Action::Deleted),
            self.unchanged
        )
    }
}

impl Waits {
    /// Why the objects that a plan would prune wait, or everything does.
    pub fn of<S>(plan: &Plan<S>, everything: bool, why: Explained) -> Self {
        Self {
            pruned: plan.prune().len(),
            everything,
            message: why.message,
            hint: why.hint,
        }
    }

    /// In one line.
    pub fn words(&self) -> String {
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
        let mut answer = Preview::new(&web, "./deploy".to_owned(), Veil::default());
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
        let mut answer = Preview::new(&web, "./deploy".to_owned(), Veil::default());
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
        let nothing = Preview::new(&web, "./deploy".to_owned(), Veil::default());
        assert_eq!(nothing.news(), None);
    }

    #[test]
    fn what_is_denied_is_no_answer() {
        let web = NamespacedName::new("acme", "web").unwrap();
        let mut answer = Preview::new(&web, "./deploy".to_owned(), Veil::default());
        answer.denied.push("policy pods: no".to_owned());
        let why = answer.trouble().unwrap();
        assert!(why.contains("denied by policy pods: no"), "{why}");
    }

    #[test]
    fn of_what_must_not_be_told_two_builds_are_compared_or_nothing() {
        let web = NamespacedName::new("acme", "web").unwrap();
        let veil = Veil::of(["nottobetold".to_owned()]);
        let mut answer = Preview::new(&web, "./deploy".to_owned(), veil);
        let hidden = map("nottobetold");
        answer.add_built(&id("same"), Some(&hidden), &hidden, "it is built");
        answer.add_built(&id("other"), Some(&hidden), &map("red"), "it is built");
        answer.add_built(&id("new"), None, &hidden, "it is built");
        answer.pass_over(&id("settings"), "it is not compared");
        let table = answer.table();
        let counts = "1 created, 1 configured, 0 deleted, 1 unchanged, 1 not compared";
        for words in ["***", "+   colour: red", "since it is built", counts] {
            assert!(table.contains(words), "{words}: {table}");
        }
        assert!(!table.contains("nottobetold"), "{table}");
        let told = ["ConfigMap/acme/settings: it is not compared"];
        assert_eq!(answer.not_compared, told);
    }
}
