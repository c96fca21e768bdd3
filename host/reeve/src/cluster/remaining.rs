//! What stays at forges of objects that are gone, written down in a ConfigMap of the controller's own namespace.
//!
//! The chart makes it, since whoever may make one may make any. Each entry is written by itself, so that several replicas write
//! theirs beside each other. What it deliberately doesn't: know what an entry says; `core::upkeep::remains` does.

use std::collections::BTreeMap;

use kube::core::ApiResource;
use reeve_api::name::NamespaceName;
use serde_json::{Value, json};

use super::Cluster;
use super::refusal::CallError;
use super::wire::{Address, Patch};

/// What it is called.
const NAME: &str = "reeve-left-at-forges";
/// Under whose name it is written.
const MANAGER: &str = "reeve";

impl Cluster {
    /// What is written down; None: there is nowhere to write, or it may not be.
    pub(crate) async fn left_at_forges(
        &self,
        home: &NamespaceName,
    ) -> Result<Option<BTreeMap<String, String>>, CallError> {
        let object = match self.own.get(&at(home)).await {
            Err(why) if why.is_forbidden() => None,
            read => read?,
        };
        let entries = |object: Value| {
            let data = object.get("data").and_then(Value::as_object);
            let entries = data.into_iter().flatten();
            let text = |text: &Value| text.as_str().map(str::to_owned);
            let texts = entries.filter_map(|(key, value)| Some((key.clone(), text(value)?)));
            texts.collect()
        };
        Ok(object.map(entries))
    }

    /// Writes entries, and takes those away that have no text. False: there is nowhere to write, or it may not be.
    pub(crate) async fn leave_at_forges(
        &self,
        home: &NamespaceName,
        entries: &BTreeMap<String, Option<String>>,
    ) -> Result<bool, CallError> {
        let body = json!({"data": entries}).to_string().into_bytes();
        match self.own.patch(&at(home), Patch::merge(MANAGER), body).await {
            Ok(_) => Ok(true),
            Err(why) if why.is_missing_object() || why.is_forbidden() => Ok(false),
            Err(why) => Err(why),
        }
    }
}

fn at(home: &NamespaceName) -> Address {
    Address {
        resource: ApiResource {
            group: String::new(),
            version: "v1".into(),
            api_version: "v1".into(),
            kind: "ConfigMap".into(),
            plural: "configmaps".into(),
        },
        namespace: Some(home.to_string()),
        name: NAME.to_owned(),
    }
}
