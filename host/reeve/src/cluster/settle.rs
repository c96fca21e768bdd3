//! Waiting between stages: definitions established, namespaces active.
//!
//! The next stage holds objects of kinds and in namespaces that this one brought, so it cannot even be dry-run before.
//! Objects are asked for again, sooner at first: the account may read what it may apply, but need not be allowed to
//! watch it. As a rule they are ready within moments; what takes longer is told, and the run ends as a wait. It deliberately
//! doesn't judge: `core::health` does; nor wait for workloads.

use std::time::Duration;

use reeve_core::health::{Verdict, verdict};
use reeve_core::plan::Planned;
use serde_json::Value;
use tokio::time::Instant;

use super::applied::{Applied, ApplyError};
use super::error::{Failures, ObjectError};
use super::leaving::Awaited;
use super::refusal::Attempt;
use super::tenant_client::TenantClient;
use super::until::{Cut, Until};
use super::witness::{Progress, Witness};

/// How long a run waits itself until objects are ready.
const BRIEF: Duration = Duration::from_secs(5);
/// How long, from then on, until what they define is served: no object shows that.
const PATIENCE: Duration = Duration::from_secs(60);
pub(super) const SOONEST: Duration = Duration::from_millis(25);
pub(super) const LATEST: Duration = Duration::from_secs(1);

/// Why a stage did not settle.
pub(super) enum Unsettled {
    Late(Vec<Awaited>),
    Cut(Cut),
    Failed(ObjectError),
}

impl Unsettled {
    pub(super) fn after(self, done: Applied) -> ApplyError {
        match self {
            Self::Late(awaited) => ApplyError::NotReady { awaited, done },
            Self::Cut(cut) => cut.after(done),
            Self::Failed(why) => match Failures::of(vec![why]) {
                Some(failures) => ApplyError::Refused { failures, done },
                None => ApplyError::Deadline { done },
            },
        }
    }
}

impl TenantClient {
    /// Waits until what the next stage builds on is there.
    pub(super) async fn settle<W: Witness>(
        &self,
        waiting: Vec<&Planned>,
        until: &Until,
        witness: &W,
    ) -> Result<(), Unsettled> {
        let settled = until
            .hold(self.settle_by(waiting, until.deadline, witness))
            .await;
        settled.unwrap_or_else(|cut| Err(Unsettled::Cut(cut)))
    }

    async fn settle_by<W: Witness>(
        &self,
        mut waiting: Vec<&Planned>,
        deadline: Instant,
        witness: &W,
    ) -> Result<(), Unsettled> {
        waiting.retain(|object| needed_by_others(object));
        let definitions: Vec<_> = waiting
            .iter()
            .copied()
            .filter(|one| is_definition(one))
            .collect();
        let soon = deadline.min(Instant::now() + BRIEF);
        let mut pause = SOONEST;
        let mut told = false;
        while !waiting.is_empty() {
            let mut late = Vec::new();
            let mut awaited = Vec::new();
            for object in waiting {
                if let Some(why) = self.not_yet(object).await? {
                    awaited.push(Awaited::ready(object.entry(), &why));
                    late.push(object);
                }
            }
            waiting = late;
            if waiting.is_empty() {
                break;
            }
            if Instant::now() + pause > soon {
                return Err(Unsettled::Late(awaited));
            }
            if !told {
                told = true;
                let subjects = waiting.iter().map(|object| object.id().subject()).collect();
                witness.progress(Progress::Waiting { subjects });
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LATEST);
        }
        let deadline = deadline.min(Instant::now() + PATIENCE);
        self.until_served(&definitions, deadline).await
    }

    /// What is missing, or None if it is ready.
    async fn not_yet(&self, object: &Planned) -> Result<Option<String>, Unsettled> {
        let id = object.id();
        let located = self
            .locate(id, Some(object.version()))
            .await
            .map_err(Unsettled::Failed)?;
        let Some(at) = located else { return Ok(None) };
        match self.wire.get(&at.address).await {
            Ok(Some(live)) => Ok(match verdict(&live) {
                Verdict::Current => None,
                Verdict::InProgress(why) | Verdict::Failed(why) => Some(format!("status: '{why}'")),
                Verdict::Terminating => Some("status: 'Terminating'".to_owned()),
            }),
            Ok(None) => Ok(Some("status: 'NotFound'".to_owned())),
            Err(why) => Err(Unsettled::Failed(self.failed(&at, Attempt::Wait, why))),
        }
    }

    /// An established definition is served a moment later; only then do its objects have a path.
    async fn until_served(
        &self,
        definitions: &[&Planned],
        deadline: Instant,
    ) -> Result<(), Unsettled> {
        let kinds: Vec<_> = definitions
            .iter()
            .flat_map(|one| defined(one.manifest()))
            .collect();
        let mut pause = SOONEST;
        loop {
            let mut missing = Vec::new();
            for (group, version, kind) in &kinds {
                if !self.discovery.knows(group, version, kind) {
                    let words = format!("{kind}.{version}.{group} status: 'not served yet'");
                    missing.push(Awaited::unseen(words));
                }
            }
            if missing.is_empty() {
                return Ok(());
            }
            if Instant::now() + pause > deadline {
                return Err(Unsettled::Late(missing));
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LATEST);
            if let Err(why) = self.discovery.refresh(Instant::now()).await {
                tracing::debug!(error = %why, "listing what is served failed, trying again");
            }
        }
    }
}

fn is_definition(object: &Planned) -> bool {
    object.id().kind == "CustomResourceDefinition" && object.id().group == "apiextensions.k8s.io"
}

pub(super) fn needed_by_others(object: &Planned) -> bool {
    is_definition(object) || (object.id().kind == "Namespace" && object.id().group.is_empty())
}

/// Group, version and kind of everything a definition has served.
fn defined(definition: &Value) -> Vec<(String, String, String)> {
    let text = |pointer: &str| definition.pointer(pointer).and_then(Value::as_str);
    let (Some(group), Some(kind)) = (text("/spec/group"), text("/spec/names/kind")) else {
        return Vec::new();
    };
    let versions = definition
        .pointer("/spec/versions")
        .and_then(Value::as_array);
    let served = versions
        .into_iter()
        .flatten()
        .filter(|version| version.get("served").and_then(Value::as_bool) == Some(true));
    let names = served.filter_map(|version| version.get("name")?.as_str());
    names
        .map(|version| (group.to_owned(), version.to_owned(), kind.to_owned()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_definition_is_waited_for_in_every_version_it_serves() {
        let definition = serde_json::json!({"spec": {"group": "x.io", "names": {"kind": "Thing"}, "versions": [
            {"name": "v1", "served": true}, {"name": "v1alpha1", "served": false}, {"name": "v1beta1", "served": true},
        ]}});
        let of = |version: &str| ("x.io".to_owned(), version.to_owned(), "Thing".to_owned());
        assert_eq!(defined(&definition), [of("v1"), of("v1beta1")]);
        assert!(defined(&serde_json::json!({})).is_empty());
    }
}
