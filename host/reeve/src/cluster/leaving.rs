//! Objects that make way for others of their names, and whatever else a wave waits for before it can go on.
//!
//! What `force` or a hook replaces is deleted, and as a rule gone at once. What is not (a finalizer keeps it, or it ends
//! gracefully) is not waited for here: the run ends as a wait, and a later one finds it gone and makes it anew. Until then the
//! object itself says what it was deleted for, whatever git has by then and whichever process looks. It deliberately watches
//! nothing: [`vigil`](super::vigil) does.

use std::fmt;
use std::time::Duration;

use reeve_api::REPLACED;
use reeve_core::health::{self, Check, Seen, Verdict};
use reeve_core::inventory::Entry;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::apply::First;
use super::body::State;
use super::compare::MANAGER;
use super::error::ObjectError;
use super::refusal::{Attempt, CallError};
use super::settle::{LATEST, SOONEST};
use super::tenant_client::{Located, TenantClient};
use super::until::Until;
use super::wire::Patch;

/// How long a run looks itself whether what it has deleted is gone.
const BRIEF: Duration = Duration::from_secs(1);

/// What has to be waited for before a wave goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Awaited {
    words: String,
    check: Option<Check>,
}

/// Why an object has not made way.
pub(super) enum Blocked {
    /// It is deleted, and not gone yet.
    Leaving,
    Late,
    Failed(ObjectError),
}

impl Awaited {
    /// What others build on and is not ready. When it is gone there is nothing to wait for either: it is made once more.
    pub(super) fn ready(entry: Entry, why: &str) -> Self {
        let words = format!("{} {why}", entry.id.subject());
        let check = Check {
            may_vanish: true,
            ..Check::of(entry)
        };
        Self {
            words,
            check: Some(check),
        }
    }

    /// What no object shows.
    pub(super) fn unseen(words: String) -> Self {
        Self { words, check: None }
    }

    /// The object with this uid is to be gone; how it is, where that is known.
    pub(super) fn gone(entry: Entry, uid: &str, live: Option<&Value>) -> Self {
        let check = Check::until_gone(entry, uid);
        let leaves = || Seen::Is(Verdict::Terminating);
        let seen = live.map_or_else(leaves, |live| check.seen(live));
        Self {
            words: health::unwell([(&check, &seen)]),
            check: Some(check),
        }
    }

    /// What shows when it need not be waited for any more; None: no object does.
    pub fn check(&self) -> Option<&Check> {
        self.check.as_ref()
    }
}

impl fmt::Display for Awaited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words)
    }
}

/// All of it, as it is told.
pub(super) fn told(awaited: &[Awaited]) -> String {
    let words: Vec<&str> = awaited.iter().map(|one| one.words.as_str()).collect();
    words.join(", ")
}

impl TenantClient {
    /// Deletes what has to make way, if anything has, and waits until it is gone. `only`: if that is not its state, it is not
    /// deleted.
    pub(super) async fn make_way(
        &self,
        at: &Located,
        first: &First,
        only: Option<&State>,
        until: &Until,
    ) -> Result<(), Blocked> {
        let First::Delete(uid) = first else {
            return Ok(());
        };
        // Neither is dropped for being superseded: most is gone at once, and then it is made anew at once.
        let deleting = self.replace(at, uid, only);
        let deleted = tokio::time::timeout_at(until.deadline, deleting).await;
        deleted
            .map_err(|_| Blocked::Late)?
            .map_err(Blocked::Failed)?;
        let soon = until.deadline.min(Instant::now() + BRIEF);
        let gone = tokio::time::timeout_at(soon, self.until_gone(at, uid)).await;
        gone.map_err(|_| Blocked::Leaving)?.map_err(Blocked::Failed)
    }

    async fn replace(
        &self,
        at: &Located,
        uid: &str,
        only: Option<&State>,
    ) -> Result<(), ObjectError> {
        let marked = self.mark(at, uid, only).await;
        let is_marked = matches!(marked, Ok(Some(_)));
        let deleted = match (marked, only) {
            (Ok(Some(now)), Some(_)) => {
                let version = now.version();
                self.wire.delete_as_read(&at.address, uid, version).await
            }
            (Ok(None), Some(read)) => {
                let version = read.version();
                self.wire.delete_as_read(&at.address, uid, version).await
            }
            (Ok(_), None) => self.wire.delete(&at.address, uid).await,
            (Err(why), _) => Err(why),
        };
        if deleted.is_err() && is_marked {
            self.unmark(at, uid).await;
        }
        deleted
            .map(drop)
            .map_err(|why| self.failed(at, Attempt::Delete, why))
    }

    /// Writes on it what it is deleted for, and returns the state that it has then; None: that could not be written. An error: it
    /// is not in the state alone in which it may be deleted.
    async fn mark(
        &self,
        at: &Located,
        uid: &str,
        only: Option<&State>,
    ) -> Result<Option<State>, CallError> {
        let mut mark = json!({"metadata": {"uid": uid, "annotations": {REPLACED: "true"}}});
        if let (Some(read), Some(Value::Object(metadata))) = (only, mark.get_mut("metadata")) {
            metadata.insert("resourceVersion".to_owned(), read.version().into());
        }
        let mark = mark.to_string().into_bytes();
        let marked = self.wire.patch(&at.address, Patch::merge(MANAGER), mark);
        match marked.await {
            Ok(now) => Ok(State::of(&now)),
            Err(why) if only.is_some() && why.is_conflict() => Err(why),
            Err(why) => {
                // An object that cannot be changed at all any more may still be made anew.
                tracing::debug!(error = %why, "what is about to be replaced could not be marked");
                Ok(None)
            }
        }
    }

    /// It was not deleted after all: should somebody else delete it, that is theirs.
    async fn unmark(&self, at: &Located, uid: &str) {
        let mark = json!({"metadata": {"uid": uid, "annotations": {REPLACED: null}}});
        let mark = mark.to_string().into_bytes();
        let unmarked = self.wire.patch(&at.address, Patch::merge(MANAGER), mark);
        if let Err(why) = unmarked.await {
            tracing::debug!(error = %why, "what was not replaced is still marked");
        }
    }

    /// Whether it was deleted to be made anew, and is not gone yet.
    pub(super) fn makes_way(&self, id: &str, live: &Value) -> bool {
        let known = self.replacing.has(id) || is_replaced(live.get("metadata"));
        known && is_leaving(live) && self.owns(live)
    }

    async fn until_gone(&self, at: &Located, uid: &str) -> Result<(), ObjectError> {
        let mut pause = SOONEST;
        loop {
            let live = self.wire.get(&at.address).await;
            let live = live.map_err(|why| self.failed(at, Attempt::Get, why))?;
            let now = live
                .as_ref()
                .and_then(|live| live.pointer("/metadata/uid")?.as_str());
            if now != Some(uid) {
                return Ok(());
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LATEST);
        }
    }
}

/// Whether an object with such metadata was deleted, if it was, to be made anew.
pub(crate) fn is_replaced(meta: Option<&Value>) -> bool {
    let annotations = meta.and_then(|meta| meta.get("annotations"));
    annotations.and_then(|all| all.get(REPLACED)).is_some()
}

/// Whether somebody has deleted it.
pub(super) fn is_leaving(live: &Value) -> bool {
    live.pointer("/metadata/deletionTimestamp").is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_waited_for_is_told_with_what_keeps_it() {
        let entry = || Entry {
            id: "acme_data__PersistentVolumeClaim".parse().unwrap(),
            version: "v1".to_owned(),
        };
        let live = json!({"metadata": {"uid": "u", "deletionTimestamp": "2026-01-01T00:00:00Z",
            "finalizers": ["kubernetes.io/pvc-protection"]}});
        let all = [
            Awaited::gone(entry(), "u", Some(&live)),
            Awaited::gone(entry(), "u", None),
            Awaited::ready(entry(), "status: 'NotFound'"),
            Awaited::unseen("Thing.v1.example.com status: 'not served yet'".to_owned()),
        ];
        let claim = "PersistentVolumeClaim/acme/data status:";
        assert_eq!(
            told(&all),
            format!(
                "{claim} 'InProgress': it is being deleted, and kept by kubernetes.io/pvc-protection, \
                 {claim} 'Terminating', {claim} 'NotFound', Thing.v1.example.com status: 'not served yet'"
            )
        );
        let checks = all.iter().filter_map(Awaited::check);
        assert!(checks.into_iter().all(|check| check.may_vanish));
    }
}
