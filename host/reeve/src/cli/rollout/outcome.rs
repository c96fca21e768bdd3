//! What becomes of a rollout that is committed: fetched, applied, and healthy, or why not.
//!
//! The source is asked to fetch, where whoever asks may; then the Kustomization is watched until it has applied the commit or one
//! that was made on top of it, and the object until it is well. It deliberately changes nothing but the annotations that ask.

use std::time::{Duration, Instant};

use reeve_api::RECONCILE_REQUEST;
use reeve_api::name::NamespacedName;
use reeve_core::artifact::Revision;
use reeve_core::failure::chain;
use reeve_core::health::{Check, Seen, unwell};
use reeve_core::inventory::Entry;
use reeve_kustomize::Object;
use serde_json::Value;

use super::subject::Subject;
use crate::cli::operate::{answered, ready, request, text, token};
use crate::cli::ui::{CommandError, Sign, Ui};
use crate::cluster::Operated;

/// How often the object is looked at.
const LOOK: Duration = Duration::from_secs(1);

/// A rollout whose commit is on its branch.
pub(super) struct Rollout<'s> {
    pub(super) subject: &'s Subject,
    /// The commit that is waited for.
    pub(super) revision: Revision,
    pub(super) deadline: Instant,
}

/// What a look at the Kustomization shows.
#[derive(Debug, PartialEq, Eq)]
enum Look {
    /// It has applied this revision.
    Applied(String),
    /// It has tried this revision, in vain.
    Failed(String, String),
}

impl Rollout<'_> {
    /// Waits until it is applied and well.
    pub(super) async fn wait(&self, wanted: &Object, ui: &mut Ui) -> Result<(), CommandError> {
        let token = self.fetch(ui).await?;
        let applied = self.applied(token.as_deref(), ui).await?;
        ui.step(Sign::Done, &format!("applied revision {applied}"));
        self.well(wanted, ui).await?;
        self.as_wanted(wanted).await
    }

    fn left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    /// Asks for a fetch, and waits for it; None: whoever asks may not.
    async fn fetch(&self, ui: &mut Ui) -> Result<Option<String>, CommandError> {
        let (cluster, id) = (&self.subject.cluster, &self.subject.source.id);
        let (kind, token) = (Operated::GitRepository, token());
        ui.step(
            Sign::Doing,
            &format!("asking for a fetch of GitRepository {id}"),
        );
        if let Err(why) = cluster.operate(kind, id, &request(&token)).await {
            ui.note(&format!(
                "you may not ask for it, so it is fetched when its webhook calls or its interval is over: {}",
                chain(&why)
            ));
            return Ok(None);
        }
        answered(cluster, kind, id, &token, self.left(), ui).await?;
        Ok(Some(token))
    }

    /// Waits until the Kustomization has applied the commit, or one on top of it; gives the revision.
    async fn applied(&self, token: Option<&str>, ui: &mut Ui) -> Result<String, CommandError> {
        let (cluster, id) = (&self.subject.cluster, &self.subject.spec.id);
        let kind = Operated::Kustomization;
        ui.step(Sign::Waiting, &format!("waiting for Kustomization {id}"));
        let mut passed = self.subject.applied.clone();
        loop {
            let mut last = String::new();
            let look = |object: Option<&Value>| {
                let Some(object) = object else {
                    return Some(Err("it was deleted meanwhile".to_owned()));
                };
                last = text(ready(object), "message").to_owned();
                said(object, passed.as_deref(), &self.revision.to_string()).map(Ok)
            };
            let found = cluster.look_until(kind, id, self.left(), look).await;
            let found = found.map_err(|why| {
                CommandError::of(&format!("watching Kustomization {id} failed"), &why)
            })?;
            let failed = |why: &str| CommandError::new(format!("Kustomization {id}: {why}"));
            let (revision, why) = match found {
                None => return Err(self.late(id, &last)),
                Some(Err(why)) => return Err(failed(&why)),
                Some(Ok(Look::Applied(revision))) => (revision, None),
                Some(Ok(Look::Failed(revision, why))) => (revision, Some(why)),
            };
            match (self.is_after(&revision, token).await, why) {
                (false, _) => passed = Some(revision),
                (true, None) => return Ok(revision),
                (true, Some(why)) => {
                    return Err(failed(&why).hint(
                        "the commit stays; `git revert` takes it back, and `reeve why` says more",
                    ));
                }
            }
        }
    }

    /// Whether a revision holds the commit: it is this commit, or what was fetched after it was there.
    async fn is_after(&self, revision: &str, token: Option<&str>) -> bool {
        if revision == self.revision.to_string() {
            return true;
        }
        let (cluster, id) = (&self.subject.cluster, &self.subject.source.id);
        let (Some(token), Ok(Some(source))) =
            (token, cluster.operated(Operated::GitRepository, id).await)
        else {
            return false;
        };
        holds(&source, revision, token)
    }

    /// Waits until the object is well.
    async fn well(&self, wanted: &Object, ui: &mut Ui) -> Result<(), CommandError> {
        let id = self.subject.id();
        let subject = id.subject();
        ui.step(Sign::Waiting, &format!("waiting for {subject}"));
        let entry = Entry {
            id,
            version: wanted.version().to_owned(),
        };
        let check = Check::of(entry.clone());
        let onlooker = self.subject.cluster.onlooker(&self.subject.spec.id, false);
        loop {
            let looks = onlooker.look(vec![entry.clone()]).await;
            let seen = looks.into_iter().next().unwrap_or(Seen::NotFound);
            let missing = unwell([(&check, &seen)]);
            ui.progress(&missing);
            if seen.is_well(&check) {
                ui.progress("");
                ui.step(Sign::Done, &format!("{subject} is healthy"));
                return Ok(());
            }
            if seen.failure().is_some() || self.left().is_zero() {
                ui.progress("");
                let message = match seen.failure() {
                    Some(_) => format!("it is applied and has failed: {missing}"),
                    None => format!("it is applied and not healthy yet: {missing}"),
                };
                return Err(CommandError::new(message)
                    .hint("the commit stays; --timeout waits longer, `reeve rollout` to what it was goes back"));
            }
            tokio::time::sleep(LOOK.min(self.left())).await;
        }
    }

    /// Whether the cluster has what git has: `spec.ignore`, a plugin or somebody else may have made it another.
    async fn as_wanted(&self, wanted: &Object) -> Result<(), CommandError> {
        let subject = self.subject.sought.subject();
        let live = self.subject.cluster.whole(&self.subject.sought).await;
        let live =
            live.map_err(|why| CommandError::of(&format!("reading {subject} failed"), &why))?;
        let spec = |object: &Value| object.get("spec").cloned().unwrap_or_default();
        let (wanted, live) = (
            spec(&Value::from(wanted.clone())),
            spec(&live.unwrap_or_default()),
        );
        match other(&wanted, &live, "spec") {
            None => Ok(()),
            Some(field) => Err(CommandError::new(format!(
                "{subject} is applied, but its {field} is not what git says"
            ))
            .hint("spec.ignore, a plugin, an autoscaler or a webhook may set it; `kubectl get --show-managed-fields` says who")),
        }
    }

    fn late(&self, id: &NamespacedName, last: &str) -> CommandError {
        let revision = &self.revision;
        let said = match last {
            "" => String::new(),
            last => format!("; the last word was: {last}"),
        };
        CommandError::new(format!(
            "Kustomization {id} has not applied {revision} in time{said}"
        ))
        .hint("the commit stays and is applied when it is fetched; --timeout waits longer")
    }
}

/// What the status says, unless it is about what was there before.
fn said(object: &Value, passed: Option<&str>, ours: &str) -> Option<Look> {
    let ready = ready(object)?;
    let revision = |name: &str| {
        let found = object.get("status")?.get(name)?.as_str()?;
        Some(found).filter(|found| *found == ours || Some(*found) != passed)
    };
    match text(Some(ready), "status") {
        "True" => revision("lastAppliedRevision").map(|one| Look::Applied(one.to_owned())),
        "False" => {
            let why = text(Some(ready), "message").to_owned();
            revision("lastAttemptedRevision").map(|one| Look::Failed(one.to_owned(), why))
        }
        _ => None,
    }
}

/// Whether the source has that revision in store, and fetched it after it was asked to.
fn holds(source: &Value, revision: &str, token: &str) -> bool {
    let at = |pointer: &str| source.pointer(pointer).and_then(Value::as_str);
    let asked = source.pointer("/metadata/annotations");
    let asked = asked.and_then(|all| all.get(RECONCILE_REQUEST)?.as_str());
    at("/status/artifact/revision") == Some(revision)
        && at("/status/lastHandledReconcileAt") == Some(token)
        && asked == Some(token)
}

/// The first field of `wanted` that is another; lists are compared item by item, by name where they have one.
fn other(wanted: &Value, live: &Value, at: &str) -> Option<String> {
    match (wanted, live) {
        (Value::Object(wanted), Value::Object(live)) => wanted.iter().find_map(|(name, wanted)| {
            let live = live.get(name).unwrap_or(&Value::Null);
            other(wanted, live, &format!("{at}.{name}"))
        }),
        (Value::Array(wanted), Value::Array(live)) => {
            let mut all = wanted.iter().enumerate();
            all.find_map(|(number, wanted)| {
                let name = wanted.get("name").filter(|name| name.is_string());
                let same = |one: &&Value| one.get("name") == name;
                let found = match name {
                    Some(_) => live.iter().find(same),
                    None => live.get(number),
                };
                let at = format!("{at}[{number}]");
                other(wanted, found.unwrap_or(&Value::Null), &at)
            })
        }
        // The server leaves out what is empty, and writes some values in another way: quantities.
        (Value::Object(_) | Value::Array(_) | Value::Null, _) => None,
        (Value::String(wanted), Value::String(live)) if is_image(at) => {
            (wanted != live).then(|| at.to_owned())
        }
        (Value::Number(wanted), Value::Number(live)) if at == "spec.replicas" => {
            (wanted != live).then(|| at.to_owned())
        }
        _ => None,
    }
}

fn is_image(at: &str) -> bool {
    at.ends_with(".image") && at.contains("ontainers[")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn kustomization(status: &str, applied: &str, attempted: &str) -> Value {
        json!({"status": {
            "conditions": [{"type": "Ready", "status": status, "message": "why"}],
            "lastAppliedRevision": applied, "lastAttemptedRevision": attempted,
        }})
    }

    #[test]
    fn what_was_there_before_is_no_answer() {
        let applied = |revision: &str| Some(Look::Applied(revision.to_owned()));
        let failed = |revision: &str| Some(Look::Failed(revision.to_owned(), "why".to_owned()));
        for (object, want) in [
            (kustomization("True", "old", "old"), None),
            (kustomization("False", "old", "old"), None),
            (kustomization("Unknown", "ours", "ours"), None),
            (kustomization("True", "ours", "ours"), applied("ours")),
            (kustomization("True", "next", "next"), applied("next")),
            (kustomization("False", "old", "ours"), failed("ours")),
            (json!({}), None),
        ] {
            assert_eq!(said(&object, Some("old"), "ours"), want, "{object}");
        }
        let ours = kustomization("True", "ours", "ours");
        assert_eq!(said(&ours, Some("ours"), "ours"), applied("ours"));
    }

    #[test]
    fn a_later_revision_holds_the_commit_if_it_was_fetched_after_it() {
        let source = |asked: &str, handled: &str| {
            json!({
                "metadata": {"annotations": {(RECONCILE_REQUEST): asked}},
                "status": {"artifact": {"revision": "next"}, "lastHandledReconcileAt": handled},
            })
        };
        assert!(holds(&source("t", "t"), "next", "t"));
        assert!(!holds(&source("t", "before"), "next", "t"));
        assert!(!holds(&source("t", "t"), "other", "t"));
    }

    #[test]
    fn an_image_or_a_number_of_replicas_that_is_another_is_found() {
        let spec = |image: &str, replicas: u32| {
            json!({"replicas": replicas, "template": {"spec": {"containers": [
                {"name": "side", "image": "side:1"}, {"name": "web", "image": image, "resources": {"limits": {"cpu": "1000m"}}},
            ]}}})
        };
        let mut live = spec("web:2", 2);
        live["template"]["spec"]["containers"][1]["resources"]["limits"]["cpu"] = json!("1");
        assert_eq!(other(&spec("web:2", 2), &live, "spec"), None);
        let field = "spec.template.spec.containers[1].image";
        assert_eq!(
            other(&spec("web:3", 2), &live, "spec").as_deref(),
            Some(field)
        );
        assert_eq!(
            other(&spec("web:2", 3), &live, "spec").as_deref(),
            Some("spec.replicas")
        );
    }
}
