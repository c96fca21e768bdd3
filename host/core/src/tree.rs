//! What a Kustomization has on the cluster, object by object: what the last run did with it, and how it is now.
//!
//! Put together from what stands in the status, so that whoever may read that sees what the controller saw; how an object is
//! now is looked at by whoever asks. It deliberately reads nothing: which objects to look at is said here, and what was seen
//! is put in.

use std::collections::BTreeMap;

use reeve_api::condition::{self, Type};
use reeve_api::kustomization::{Kustomization, LastRun, ObjectChange};
use reeve_api::name::NamespacedName;
use reeve_api::{KUSTOMIZE_GROUP, RECONCILE_REQUEST};
use serde::Serialize;

use crate::health::{Seen, Verdict};
use crate::inventory::{Entry, Error, Inventory, ObjectId};

/// How deep Kustomizations in Kustomizations are followed.
pub const DEPTH: usize = 16;
/// Nothing is known of what was done with it.
const UNKNOWN: &str = "unknown";

/// A Kustomization and what it has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Tree {
    /// `namespace/name`.
    pub kustomization: String,
    /// `True`, `False` or `Unknown`.
    pub ready: String,
    /// What stands behind that.
    pub message: String,
    /// What was applied last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// What was asked for and is not answered yet.
    #[serde(skip_serializing_if = "is_false")]
    pub reconcile_requested: bool,
    /// What it has, in the order in which it was applied; after that what the last run did away with.
    pub objects: Vec<Leaf>,
}

/// One object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Leaf {
    /// `Kind/namespace/name`.
    pub object: String,
    /// `group/version`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_version: Option<String>,
    /// What the last run did with it: created, configured, unchanged, deleted, skipped or reported.
    pub action: &'static str,
    /// Which of its fields were another.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<String>,
    /// How it is.
    pub health: Health,
    /// What it has, if it is a Kustomization.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tree: Option<Box<Tree>>,
}

/// How an object is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Health {
    /// In Flux's words: Current, InProgress, Failed, Terminating, NotFound or Unknown.
    pub status: &'static str,
    /// What is missing.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub message: String,
}

/// An object that is to be looked at, and what is known of it before that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// Which.
    pub id: ObjectId,
    /// In which version to speak of it; None: it was deleted.
    pub version: Option<String>,
    action: &'static str,
    fields: Vec<String>,
}

fn is_false(value: &bool) -> bool {
    !value
}

/// All objects that `object` has, or had until its last run.
pub fn known(object: &Kustomization) -> Result<Vec<Known>, Error> {
    let Some(status) = &object.status else {
        return Ok(Vec::new());
    };
    let entries = status.inventory.iter().flat_map(|all| &all.entries);
    let inventory = Inventory::parse(entries.map(|one| (one.id.as_str(), one.version.as_str())))?;
    let run = status.last_run.as_ref();
    let changes: BTreeMap<&str, &ObjectChange> = run
        .into_iter()
        .flat_map(|run| &run.changes)
        .map(|change| (change.id.as_str(), change))
        .collect();
    let has_run = !status.history.is_empty();
    let rest = unlisted(run, has_run);
    let mut all: Vec<Known> = inventory
        .entries()
        .map(|entry| Known::of(entry, changes.get(&*entry.id.to_string()).copied(), rest))
        .collect();
    for change in run.into_iter().flat_map(|run| &run.changes) {
        let id: ObjectId = change.id.parse()?;
        if !inventory.contains(&id) {
            all.push(Known {
                id,
                version: None,
                action: change.action.as_str(),
                fields: change.fields.clone(),
            });
        }
    }
    Ok(all)
}

/// What was done with those that the last run does not list.
fn unlisted(run: Option<&LastRun>, has_run: bool) -> &'static str {
    match run {
        Some(run) if run.more.is_some() => UNKNOWN,
        None if !has_run => UNKNOWN,
        _ => "unchanged",
    }
}

impl Known {
    fn of(entry: &Entry, change: Option<&ObjectChange>, rest: &'static str) -> Self {
        Self {
            id: entry.id.clone(),
            version: Some(entry.version.clone()),
            action: change.map_or(rest, |change| change.action.as_str()),
            fields: change
                .map(|change| change.fields.clone())
                .unwrap_or_default(),
        }
    }

    /// As an inventory has it; None: there is nothing to look at.
    pub fn entry(&self) -> Option<Entry> {
        Some(Entry {
            id: self.id.clone(),
            version: self.version.clone()?,
        })
    }

    /// The Kustomization that it is, if it is one.
    pub fn kustomization(&self) -> Option<NamespacedName> {
        let is_one = self.id.group == KUSTOMIZE_GROUP && self.id.kind == "Kustomization";
        let id = NamespacedName::new(self.id.namespace.as_str(), self.id.name.as_str());
        id.ok().filter(|_| is_one && self.version.is_some())
    }

    /// With what was seen of it, and what it has itself.
    pub fn seen(self, seen: &Seen, tree: Option<Tree>) -> Leaf {
        let (status, message) = seen.words();
        Leaf {
            object: self.id.subject(),
            api_version: self.entry().map(|entry| entry.api_version()),
            action: self.action,
            fields: self.fields,
            health: Health {
                status,
                message: message.to_owned(),
            },
            tree: tree.map(Box::new),
        }
    }
}

impl Tree {
    /// Of a Kustomization with these objects.
    pub fn of(id: &NamespacedName, object: &Kustomization, objects: Vec<Leaf>) -> Self {
        let status = object.status.as_ref();
        let conditions = status.map(|status| status.conditions.as_slice());
        let ready = conditions.and_then(|all| condition::find(all, Type::Ready));
        let annotations = object.metadata.annotations.as_ref();
        let requested = annotations.and_then(|all| all.get(RECONCILE_REQUEST));
        let handled = status.and_then(|status| status.last_handled_reconcile_at.as_ref());
        Self {
            kustomization: id.to_string(),
            ready: ready.map_or_else(|| "Unknown".to_owned(), |ready| ready.status.clone()),
            message: ready.map(|ready| ready.message.clone()).unwrap_or_default(),
            revision: status.and_then(|status| status.last_applied_revision.clone()),
            reconcile_requested: requested.is_some() && requested != handled,
            objects,
        }
    }
}

/// Of a Secret it is seen whether it is there, and nothing else of it.
pub fn there(deleted: bool) -> Seen {
    Seen::Is(match deleted {
        true => Verdict::Terminating,
        false => Verdict::Current,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn object(status: Value) -> Kustomization {
        serde_json::from_value(json!({
            "apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization",
            "metadata": {"namespace": "acme", "name": "web"},
            "spec": {"interval": "1h", "prune": true, "sourceRef": {"kind": "GitRepository", "name": "web"}},
            "status": status,
        }))
        .unwrap()
    }

    fn status(more: Option<i64>) -> Value {
        json!({
            "conditions": [{"type": "Ready", "status": "True", "reason": "x", "message": "Applied revision: main@sha1:1",
                "lastTransitionTime": "2026-01-01T00:00:00Z"}],
            "history": [{"digest": "sha256:1", "firstReconciled": "2026-01-01T00:00:00Z",
                "lastReconciled": "2026-01-01T00:00:00Z", "lastReconciledDuration": "1s",
                "lastReconciledStatus": "ReconciliationSucceeded", "totalReconciliations": 1}],
            "inventory": {"entries": [{"id": "acme_settings__ConfigMap", "v": "v1"},
                {"id": "acme_web_apps_Deployment", "v": "v1"},
                {"id": "acme_db_kustomize.toolkit.fluxcd.io_Kustomization", "v": "v1"}]},
            "lastAppliedRevision": "main@sha1:1",
            "lastRun": {"revision": "main@sha1:1", "more": more, "changes": [
                {"id": "acme_web_apps_Deployment", "action": "configured", "fields": ["spec.replicas"]},
                {"id": "acme_old__ConfigMap", "action": "deleted"}]},
        })
    }

    fn told(known: &[Known]) -> Vec<String> {
        let told = |one: &Known| format!("{} {} {:?}", one.id.subject(), one.action, one.fields);
        known.iter().map(told).collect()
    }

    #[test]
    fn each_object_of_the_inventory_is_told_and_then_what_the_last_run_did_away_with() {
        let all = known(&object(status(None))).unwrap();
        let want = [
            "ConfigMap/acme/settings unchanged []",
            "Deployment/acme/web configured [\"spec.replicas\"]",
            "Kustomization/acme/db unchanged []",
            "ConfigMap/acme/old deleted []",
        ];
        assert_eq!(told(&all), want);
        let nested: Vec<_> = all.iter().filter_map(Known::kustomization).collect();
        assert_eq!(nested, [NamespacedName::new("acme", "db").unwrap()]);
        let looked_at = all.iter().filter_map(Known::entry).count();
        assert_eq!(looked_at, 3, "what is deleted is not looked at");
    }

    #[test]
    fn what_nobody_knows_is_not_called_unchanged() {
        let all = known(&object(status(Some(3)))).unwrap();
        assert!(told(&all)[0].contains(" unknown "), "{all:?}");
        let mut never = status(None);
        never["history"] = json!([]);
        never["lastRun"] = Value::Null;
        let all = known(&object(never)).unwrap();
        assert!(told(&all)[0].contains(" unknown "), "{all:?}");
        let mut broken = status(None);
        broken["inventory"]["entries"][0]["id"] = json!("nonsense");
        assert!(known(&object(broken)).is_err());
    }

    #[test]
    fn a_tree_tells_what_was_done_with_each_object_and_how_it_is() {
        let web = object(status(None));
        let id = NamespacedName::new("acme", "web").unwrap();
        let waits = Seen::Is(Verdict::InProgress("0 of 1".to_owned()));
        let leaves = known(&web).unwrap().into_iter();
        let leaves = leaves.map(|one| match one.entry() {
            Some(_) => one.seen(&waits, None),
            None => one.seen(&Seen::NotFound, None),
        });
        let tree = Tree::of(&id, &web, leaves.collect());
        let told = serde_json::to_value(&tree).unwrap();
        assert_eq!(told["ready"], "True");
        assert_eq!(told["revision"], "main@sha1:1");
        let want = json!({"object": "Deployment/acme/web", "apiVersion": "apps/v1", "action": "configured",
            "fields": ["spec.replicas"], "health": {"status": "InProgress", "message": "0 of 1"}});
        assert_eq!(told["objects"][1], want);
        let want = json!({"object": "ConfigMap/acme/old", "action": "deleted", "health": {"status": "NotFound"}});
        assert_eq!(told["objects"][3], want);
        let secret = known(&web).unwrap().swap_remove(0).seen(&there(true), None);
        assert_eq!(secret.health.status, "Terminating");
    }
}
