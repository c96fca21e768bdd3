//! What `reeve reconcile`, `suspend` and `resume` do to Flux's objects: a merge patch of one, and a look at what becomes of it.
//!
//! All of it with the rights of whoever runs the command; a replica that shares the work passes on calls in the same way. It deliberately doesn't judge what is seen: `cli::operate` does.

use std::pin::pin;
use std::time::Duration;

use futures::{Stream, StreamExt as _};
use kube::core::{ApiResource, WatchEvent};
use reeve_api::kustomization::Kustomization;
use reeve_api::name::NamespacedName;
use reeve_api::receiver::Receiver;
use reeve_api::source::GitRepository;
use reeve_api::{CALLED_AT, CALLED_BY, CALLED_FOR, CALLED_IN};
use serde_json::{Value, json};

use super::Cluster;
use super::refusal::CallError;
use super::wire::{Address, Patch, WATCHED};

/// Under whose name the changes are written.
const MANAGER: &str = "reeve-cli";
/// Under whose name calls of hooks are passed on.
const PASSED_ON: &str = "reeve-receiver";
/// How soon a watch that ended is begun again.
const AGAIN: Duration = Duration::from_secs(1);

/// A kind that can be asked to reconcile, and suspended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operated {
    GitRepository,
    Kustomization,
    Receiver,
}

impl Operated {
    /// The kind.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::GitRepository => "GitRepository",
            Self::Kustomization => "Kustomization",
            Self::Receiver => "Receiver",
        }
    }

    fn at(self, id: &NamespacedName) -> Address {
        let resource = match self {
            Self::GitRepository => ApiResource::erase::<GitRepository>(&()),
            Self::Kustomization => ApiResource::erase::<Kustomization>(&()),
            Self::Receiver => ApiResource::erase::<Receiver>(&()),
        };
        Address {
            resource,
            namespace: Some(id.namespace.to_string()),
            name: id.name.to_string(),
        }
    }
}

/// What is passed on of a call.
#[derive(Debug)]
pub(crate) struct Passed {
    /// When it came.
    pub(crate) at: String,
    /// Which Receiver was called, as `namespace/name`, if that is known by now.
    pub(crate) receiver: Option<String>,
    /// What it told, if anybody has read it.
    pub(crate) told: Option<String>,
    /// In which trace it is.
    pub(crate) trace: Option<String>,
}

impl Cluster {
    /// The object as it is; None: there is none.
    pub(crate) async fn operated(
        &self,
        kind: Operated,
        id: &NamespacedName,
    ) -> Result<Option<Value>, CallError> {
        self.own.get(&kind.at(id)).await
    }

    /// The names of all of a kind in a namespace.
    pub(crate) async fn names_of(
        &self,
        kind: Operated,
        namespace: &str,
    ) -> Result<Vec<String>, CallError> {
        let at = Some(namespace);
        Ok(match kind {
            Operated::GitRepository => names(self.all::<GitRepository>(at).await?),
            Operated::Kustomization => names(self.all::<Kustomization>(at).await?),
            Operated::Receiver => names(self.all::<Receiver>(at).await?),
        })
    }

    /// Says on the object that a hook has called for it: the replica that works for it sees that. It needs no Lease: who stands by
    /// is called, too, and it changes nothing that anybody works by.
    pub(crate) async fn call(
        &self,
        kind: Operated,
        id: &NamespacedName,
        passed: &Passed,
    ) -> Result<(), CallError> {
        let how = Patch::merge(PASSED_ON);
        // What there is not of this call goes, if it is there of an earlier one.
        let annotations = json!({
            (CALLED_AT): passed.at, (CALLED_BY): passed.receiver, (CALLED_FOR): passed.told,
            (CALLED_IN): passed.trace,
        });
        let change = json!({"metadata": {"annotations": annotations}});
        let body = change.to_string().into_bytes();
        let wire = self.own.unleashed();
        wire.patch(&kind.at(id), how, body).await.map(drop)
    }

    /// Changes it, by a merge patch.
    pub(crate) async fn operate(
        &self,
        kind: Operated,
        id: &NamespacedName,
        change: &Value,
    ) -> Result<(), CallError> {
        let how = Patch::merge(MANAGER);
        let body = change.to_string().into_bytes();
        self.own.patch(&kind.at(id), how, body).await.map(drop)
    }

    /// Looks at it whenever it changes, until `look` has found what it looks for; None: not within `limit`.
    /// `look` is shown nothing when the object is gone.
    pub(crate) async fn look_until<T>(
        &self,
        kind: Operated,
        id: &NamespacedName,
        limit: Duration,
        mut look: impl FnMut(Option<&Value>) -> Option<T>,
    ) -> Result<Option<T>, CallError> {
        let uri = format!(
            "{}?watch=true&timeoutSeconds={WATCHED}&fieldSelector=metadata.name%3D{}",
            kind.at(id).collection()?,
            id.name
        );
        let looking = async {
            loop {
                match self.own.events(&uri, "application/json").await {
                    Ok(events) => {
                        if let Some(found) = seen(events, &mut look).await {
                            return Ok(found);
                        }
                    }
                    Err(why) if why.is_transient() => {}
                    Err(why) => return Err(why),
                }
                tokio::time::sleep(AGAIN).await;
            }
        };
        match tokio::time::timeout(limit, looking).await {
            Ok(ended) => ended.map(Some),
            Err(_) => Ok(None),
        }
    }
}

fn names<K: kube::Resource>(all: Vec<K>) -> Vec<String> {
    let all = all.into_iter();
    all.filter_map(|one| one.meta().name.clone()).collect()
}

/// What is found in one watch; None: it ended before.
async fn seen<T>(
    events: impl Stream<Item = kube::Result<WatchEvent<Value>>>,
    look: &mut impl FnMut(Option<&Value>) -> Option<T>,
) -> Option<T> {
    let mut events = pin!(events);
    while let Some(Ok(event)) = events.next().await {
        let found = match &event {
            WatchEvent::Added(object) | WatchEvent::Modified(object) => look(Some(object)),
            WatchEvent::Deleted(_) => look(None),
            WatchEvent::Bookmark(_) => None,
            WatchEvent::Error(_) => return None,
        };
        if found.is_some() {
            return found;
        }
    }
    None
}
