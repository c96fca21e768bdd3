//! What is said of a commit at its forge: what became of it where a Kustomization applies it.
//!
//! One mark for each Kustomization, by a context that names it, and only when a run has come to its end: what is under way
//! changes too often to be told. It deliberately asks no forge and counts no tries; the shell does.

use reeve_api::condition::Type;
use reeve_api::kustomization::Kustomization;
use reeve_api::name::NamespacedName;
use reeve_api::reason::Reason;

use crate::artifact::Revision;
use crate::status::bounded;
use crate::text;

/// The longest description, in bytes: GitHub takes so many characters.
pub const LONGEST: usize = 140;

/// How it went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It waits for something else.
    Pending,
    /// It is applied.
    Success,
    /// It is not, or is not to be.
    Failure,
    /// Nobody can say.
    Error,
}

/// What stands beside a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// The commit, in hexadecimal.
    pub commit: String,
    /// How it went.
    pub state: State,
    /// One line on it.
    pub description: String,
}

impl Mark {
    /// What the status of a Kustomization says of a commit; None: nothing, yet.
    pub fn of(object: &Kustomization) -> Option<Self> {
        if object.spec.suspend {
            return None;
        }
        let status = object.status.as_ref()?;
        let mut conditions = status.conditions.iter();
        let ready = conditions.find(|one| one.type_ == Type::Ready.as_str())?;
        let (revision, state, said) = match ready.status.as_str() {
            "True" => {
                let revision = status.last_applied_revision.as_deref()?;
                (revision, State::Success, format!("applied {revision}"))
            }
            "False" => {
                let state = match Reason::named(&ready.reason) {
                    // Of the source, and not of what is in it.
                    Some(Reason::ArtifactFailed) => return None,
                    Some(Reason::DependencyNotReady) => State::Pending,
                    _ => State::Failure,
                };
                let revision = status.last_attempted_revision.as_deref()?;
                let said = format!("{}: {}", ready.reason, ready.message);
                (revision, state, said)
            }
            _ => return None,
        };
        let revision = Revision::parse(revision).ok()?;
        Some(Self {
            commit: revision.commit().to_owned(),
            state,
            description: line(&said),
        })
    }
}

/// What the marks of an object are called: `reeve/prod/acme/web`, of a cluster that has a name.
pub fn context(cluster: Option<&str>, id: &NamespacedName) -> String {
    match cluster {
        Some(cluster) => format!("reeve/{cluster}/{id}"),
        None => format!("reeve/{id}"),
    }
}

/// On one line, as long as every forge takes it.
pub(crate) fn line(said: &str) -> String {
    bounded(text::line(said).trim(), LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    const COMMIT: &str = "4b825dc642cb6eb9a060e54bf8d69288fbee4904";

    fn object(ready: Value) -> Kustomization {
        let revision = format!("main@sha1:{COMMIT}");
        let mut condition = json!({
            "type": "Ready", "message": "m", "lastTransitionTime": "2026-11-22T00:00:00Z",
        });
        let fields = ready.as_object().unwrap().clone();
        condition.as_object_mut().unwrap().extend(fields);
        serde_json::from_value(json!({
            "apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization",
            "metadata": {"name": "web", "namespace": "acme"},
            "spec": {
                "interval": "5m", "prune": true, "sourceRef": {"kind": "GitRepository", "name": "app"},
            },
            "status": {
                "conditions": [condition],
                "lastAppliedRevision": revision, "lastAttemptedRevision": revision,
            },
        }))
        .unwrap()
    }

    #[test]
    fn a_commit_is_marked_when_a_run_of_it_has_come_to_its_end() {
        let said = |state, description: &str| {
            Some(Mark {
                commit: COMMIT.to_owned(),
                state,
                description: description.to_owned(),
            })
        };
        let applied = format!("applied main@sha1:{COMMIT}");
        for (ready, want) in [
            (
                json!({"status": "True", "reason": "ReconciliationSucceeded"}),
                said(State::Success, &applied),
            ),
            (
                json!({"status": "False", "reason": "BuildFailed", "message": "no\nfile"}),
                said(State::Failure, "BuildFailed: no file"),
            ),
            (
                json!({"status": "False", "reason": "DependencyNotReady"}),
                said(State::Pending, "DependencyNotReady: m"),
            ),
            (json!({"status": "False", "reason": "ArtifactFailed"}), None),
            (json!({"status": "Unknown", "reason": "Progressing"}), None),
        ] {
            assert_eq!(Mark::of(&object(ready.clone())), want, "{ready}");
        }
        let mut parked = object(json!({"status": "True", "reason": "ReconciliationSucceeded"}));
        parked.spec.suspend = true;
        assert_eq!(Mark::of(&parked), None);
    }

    #[test]
    fn a_description_is_no_longer_than_every_forge_takes_it() {
        let long = json!({"status": "False", "reason": "BuildFailed", "message": "ä".repeat(500)});
        let mark = Mark::of(&object(long)).unwrap();
        assert!(mark.description.len() <= LONGEST, "{}", mark.description);
        assert!(mark.description.ends_with('…'));
    }

    #[test]
    fn clusters_are_told_apart_by_the_context() {
        let id = NamespacedName::new("acme", "web").unwrap();
        assert_eq!(context(None, &id), "reeve/acme/web");
        assert_eq!(context(Some("prod"), &id), "reeve/prod/acme/web");
    }
}
