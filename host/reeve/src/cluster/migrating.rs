//! What `reeve migrate flux` reads of a cluster, and the definitions that it adopts.
//!
//! All of it with the rights of whoever runs the command. Of applied objects only the metadata is read. Which objects are
//! given away is `operate`'s to write; what any of it means is deliberately not judged here: `core::migrate` does.

use futures::StreamExt as _;
use kube::core::ApiResource;
use reeve_core::inventory::Entry;
use reeve_core::migrate::proof::State;
use reeve_core::plan::Scope;
use serde_json::Value;

use super::Cluster;
use super::onlooker::METADATA;
use super::refusal::CallError;
use super::wire::{Address, Format, Patch};

/// Under whose name definitions are written.
const MANAGER: &str = "reeve-cli";
/// How the groups of all of Flux's kinds end.
const GROUPS: &str = "fluxcd.io";

impl Cluster {
    /// All objects of all of Flux's kinds, each with its kind, and what could not be listed.
    pub(crate) async fn flux_objects(&self) -> Result<(Vec<Value>, Vec<String>), CallError> {
        let (mut all, mut unread) = (Vec::new(), Vec::new());
        for resource in self.discovery.kinds_of(GROUPS).await? {
            let kind = resource.kind.clone();
            match self.pages(&collection(&resource)?).await {
                Ok(found) => all.extend(found.into_iter().map(|one| finished(one, &resource))),
                Err(why) => unread.push(format!("listing objects of kind {kind} failed: {why}")),
            }
        }
        Ok((all, unread))
    }

    /// The definitions of all of Flux's kinds.
    pub(crate) async fn flux_definitions(&self) -> Result<Vec<Value>, CallError> {
        let mut all = self.pages(&collection(&definitions())?).await?;
        all.retain(|one| {
            let group = one.pointer("/spec/group").and_then(Value::as_str);
            group.is_some_and(|group| group.ends_with(GROUPS))
        });
        Ok(all)
    }

    /// How each of these objects stands; None: it is not there.
    pub(crate) async fn states(&self, entries: &[Entry]) -> Vec<Result<Option<State>, CallError>> {
        let looking: Vec<_> = entries.iter().map(|entry| self.state(entry)).collect();
        let looking = futures::stream::iter(looking);
        looking.buffered(self.concurrency).collect().await
    }

    async fn state(&self, entry: &Entry) -> Result<Option<State>, CallError> {
        let id = &entry.id;
        let found = self
            .discovery
            .find(&id.group, Some(&entry.version), &id.kind);
        let Some((resource, scope)) = found.await? else {
            return Ok(None);
        };
        let at = Address {
            resource,
            namespace: (scope == Scope::Namespaced).then(|| id.namespace.clone()),
            name: id.name.clone(),
        };
        let live = self.own.get_as(&at, METADATA).await?;
        Ok(live.map(|live| State::of(&live)))
    }

    /// Makes a definition what it says, or asks whether that could be.
    pub(crate) async fn define(&self, definition: &Value, dry_run: bool) -> Result<(), CallError> {
        let how = Patch {
            format: Format::Apply,
            manager: MANAGER,
            dry_run,
            subresource: None,
        };
        let body = definition.to_string().into_bytes();
        let at = at(definition);
        self.own.patch(&at, how, body).await.map(drop)
    }

    /// Changes the metadata of the definition of that name, by a merge patch.
    pub(crate) async fn mark_definition(
        &self,
        name: &str,
        change: &Value,
    ) -> Result<(), CallError> {
        let how = Patch::merge(MANAGER);
        let at = Address {
            resource: definitions(),
            namespace: None,
            name: name.to_owned(),
        };
        let body = change.to_string().into_bytes();
        self.own.patch(&at, how, body).await.map(drop)
    }
}

fn collection(resource: &ApiResource) -> Result<String, CallError> {
    let at = Address {
        resource: resource.clone(),
        namespace: None,
        name: String::new(),
    };
    at.collection()
}

/// With its kind, which lists may leave out, and without what says who wrote which field.
fn finished(mut object: Value, resource: &ApiResource) -> Value {
    if let Some(fields) = object.as_object_mut() {
        fields.insert("kind".to_owned(), resource.kind.clone().into());
        fields.insert("apiVersion".to_owned(), resource.api_version.clone().into());
    }
    let meta = object.get_mut("metadata").and_then(Value::as_object_mut);
    if let Some(meta) = meta {
        meta.remove("managedFields");
    }
    object
}

fn at(definition: &Value) -> Address {
    let name = definition.pointer("/metadata/name").and_then(Value::as_str);
    Address {
        resource: definitions(),
        namespace: None,
        name: name.unwrap_or_default().to_owned(),
    }
}

fn definitions() -> ApiResource {
    ApiResource {
        group: "apiextensions.k8s.io".into(),
        version: "v1".into(),
        api_version: "apiextensions.k8s.io/v1".into(),
        kind: "CustomResourceDefinition".into(),
        plural: "customresourcedefinitions".into(),
    }
}
