//! The kinds that are served, all objects of one, and word of any change of them: for commands that keep git and the cluster
//! alike.
//!
//! With the rights of whoever is connected. What a watch shows is not looked at: that something has changed is all that is told,
//! and who is told looks for himself. It deliberately reads no Secret but its metadata.

use std::time::Duration;

use futures::StreamExt as _;
use kube::core::{ApiResource, WatchEvent};
use reeve_core::plan::Scope;
use serde_json::{Value, json};

use super::Cluster;
use super::onlooker::METADATA;
use super::refusal::CallError;
use super::wire::{Address, WATCHED};

/// How soon a watch that ended is begun again.
const AGAIN: Duration = Duration::from_secs(1);
/// The most objects of a kind that are read.
const MOST: usize = 50_000;

/// A kind that is served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Kind {
    resource: ApiResource,
    scope: Scope,
}

impl Kind {
    #[cfg(test)]
    pub(crate) fn of(group: &str, kind: &str, plural: &str, is_namespaced: bool) -> Self {
        let api_version = match group {
            "" => "v1".to_owned(),
            group => format!("{group}/v1"),
        };
        Self {
            resource: ApiResource {
                group: group.to_owned(),
                version: "v1".to_owned(),
                api_version,
                kind: kind.to_owned(),
                plural: plural.to_owned(),
            },
            scope: match is_namespaced {
                true => Scope::Namespaced,
                false => Scope::Cluster,
            },
        }
    }

    pub(crate) fn group(&self) -> &str {
        &self.resource.group
    }

    pub(crate) fn kind(&self) -> &str {
        &self.resource.kind
    }

    /// What it is called in paths and in rules: `deployments`.
    pub(crate) fn plural(&self) -> &str {
        &self.resource.plural
    }

    pub(crate) fn is_namespaced(&self) -> bool {
        self.scope == Scope::Namespaced
    }

    fn is_secret(&self) -> bool {
        self.resource.group.is_empty() && self.resource.kind == "Secret"
    }

    /// The path of all of them, or of those of one namespace.
    fn collection(&self, namespace: Option<&str>) -> Result<String, CallError> {
        let at = Address {
            resource: self.resource.clone(),
            namespace: namespace.map(str::to_owned),
            name: String::new(),
        };
        at.collection()
    }
}

impl Cluster {
    /// All kinds that are served, each in its preferred version.
    pub(crate) async fn kinds(&self) -> Vec<Kind> {
        let all = self.discovery.meant(|_, _| true).await;
        let all = all.into_iter();
        all.map(|(resource, scope)| Kind { resource, scope })
            .collect()
    }

    /// All objects of a kind, in all namespaces or in one. Of a Secret there is only what is not secret.
    pub(crate) async fn all_of(
        &self,
        kind: &Kind,
        namespace: Option<&str>,
    ) -> Result<Vec<Value>, CallError> {
        let path = kind.collection(namespace)?;
        let accept = match kind.is_secret() {
            true => "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1",
            false => "application/json",
        };
        let (mut all, mut more) = (Vec::new(), String::new());
        loop {
            let page = format!("{path}?limit=500{more}");
            let (items, next) = self.own.page_as(&page, accept).await?;
            all.extend(items);
            if all.len() > MOST {
                let why = format!("there are more than {MOST} {}", kind.plural());
                return Err(CallError::Garbled(why));
            }
            let Some(next) = next else { break };
            more = format!("&continue={next}");
        }
        // Items of lists do not say what they are.
        for object in all.iter_mut().filter_map(Value::as_object_mut) {
            object.insert("apiVersion".to_owned(), json!(kind.resource.api_version));
            object.insert("kind".to_owned(), json!(kind.resource.kind));
        }
        Ok(all)
    }

    /// Says so whenever an object of a kind may have changed, for as long as it is polled. An error: it may not be watched.
    pub(crate) async fn notice(&self, kind: &Kind, changed: &impl Fn()) -> Result<(), CallError> {
        let path = kind.collection(None)?;
        let uri = format!("{path}?watch=true&timeoutSeconds={WATCHED}");
        loop {
            match self.own.events(&uri, METADATA).await {
                Ok(events) => {
                    let mut events = std::pin::pin!(events);
                    while let Some(Ok(event)) = events.next().await {
                        match event {
                            WatchEvent::Bookmark(_) => {}
                            WatchEvent::Error(_) => break,
                            _ => changed(),
                        }
                    }
                }
                Err(why) if why.is_transient() => {}
                Err(why) => return Err(why),
            }
            tokio::time::sleep(AGAIN).await;
            changed();
        }
    }
}
