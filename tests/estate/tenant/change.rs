//! One change to a tenant, and waiting for what is told about it, however long the way there is.
//!
//! `after` asks for a reconcile and reads the answer; what is here only watches, so that a scenario
//! also sees that nobody had to ask.

use std::time::Duration;

use kube::api::{Api, DynamicObject, Patch, PatchParams};
use reeve_api::reason::Reason;
use serde_json::{Value, json};

use super::{Draft, Tenant, Told};
use crate::install::CONFIG;
use crate::objects::{self, Condition};
use crate::{secrecy, wait};

impl Tenant<'_> {
    /// Makes one change and returns the commit, if it made one. Asks for nothing.
    pub async fn change(&self, change: impl FnOnce(&mut Draft)) -> anyhow::Result<Option<String>> {
        self.make(change).await
    }

    /// Annotates the Kustomization; `None` takes the annotation away.
    pub async fn annotate(&self, key: &str, value: Option<&str>) -> anyhow::Result<()> {
        let patch = json!({"metadata": {"annotations": {key: value}}});
        let (how, patch) = (PatchParams::default(), Patch::Merge(&patch));
        self.kustomizations()
            .patch_metadata(&self.name, &how, &patch)
            .await?;
        Ok(())
    }

    /// Fetches from `url` from now on, with this Secret of the source's namespace.
    pub async fn fetch_from(&self, url: &str, credential: &[(&str, &str)]) -> anyhow::Result<()> {
        self.give_credential(credential).await?;
        let (url, secret) = (json!(url), json!({"name": self.credential()}));
        self.change(|draft| {
            draft.set_source("url", url);
            draft.set_source("secretRef", secret);
        })
        .await?;
        Ok(())
    }

    /// Writes the Secret that [`Self::fetch_from`] names. What is in it must never be told anywhere.
    pub async fn give_credential(&self, credential: &[(&str, &str)]) -> anyhow::Result<()> {
        let public = ["username", "known_hosts", "identity.pub"];
        for (key, value) in credential {
            if !public.contains(key) {
                secrecy::used(value);
            }
        }
        let data: serde_json::Map<String, Value> = credential
            .iter()
            .map(|(key, value)| ((*key).to_owned(), json!(value)))
            .collect();
        self.apply(&json!({
            "apiVersion": "v1", "kind": "Secret",
            "metadata": {"name": self.credential(), "namespace": CONFIG}, "stringData": data,
        }))
        .await
    }

    /// The name of that Secret.
    #[must_use]
    pub fn credential(&self) -> String {
        format!("{}-git", self.name)
    }

    /// Waits until the Kustomization's `Ready` is about its newest spec, for this reason and with
    /// these words in its message.
    pub async fn told_of(&self, reason: Reason, words: &str) -> anyhow::Result<Told> {
        self.told_within(wait::PATIENCE, reason, words).await
    }

    /// As [`Self::told_of`], with another deadline.
    pub async fn told_within(
        &self,
        patience: Duration,
        reason: Reason,
        words: &str,
    ) -> anyhow::Result<Told> {
        let seen = says(patience, &self.kustomizations(), &self.name, reason, words).await?;
        self.told(seen).await
    }

    /// Waits until the commit is applied.
    pub async fn applied(&self, commit: &str) -> anyhow::Result<Told> {
        self.told_of(Reason::ReconciliationSucceeded, commit).await
    }

    /// Waits until the GitRepository's `Ready` is about its newest spec, for this reason and with
    /// these words in its message.
    pub async fn source_told_of(&self, reason: Reason, words: &str) -> anyhow::Result<Condition> {
        let seen = says(wait::PATIENCE, &self.sources(), &self.name, reason, words).await?;
        Ok(objects::condition(&seen.data, "Ready").unwrap_or_default())
    }
}

/// Waits until an object's `Ready`, about its newest spec, has this reason and these words.
pub async fn says(
    patience: Duration,
    api: &Api<DynamicObject>,
    name: &str,
    reason: Reason,
    words: &str,
) -> anyhow::Result<DynamicObject> {
    let what = format!("Ready says {reason} and \"{words}\"");
    wait::within(patience, api, name, &what, |object| {
        let ready = objects::condition(&object.data, "Ready").unwrap_or_default();
        is_about_newest(object) && ready.reason == reason.as_str() && ready.message.contains(words)
    })
    .await
}

/// A failure that will be tried again does not count as observed, but the condition says what it is
/// about.
fn is_about_newest(object: &DynamicObject) -> bool {
    let conditions = object
        .data
        .pointer("/status/conditions")
        .and_then(Value::as_array);
    let ready = conditions
        .into_iter()
        .flatten()
        .find(|condition| condition.get("type").and_then(Value::as_str) == Some("Ready"));
    let observed = ready
        .and_then(|ready| ready.get("observedGeneration"))
        .and_then(Value::as_i64);
    observed.is_some() && observed == object.metadata.generation
}
