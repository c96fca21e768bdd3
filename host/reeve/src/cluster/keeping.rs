//! What the controller keeps for itself: a Secret in its own namespace, and in its own webhook configuration whom the API
//! server trusts.
//!
//! Every replica may write both, whoever leads. A Secret is made only where there is none, and replaced only as it was read:
//! of several writers one wins, and the others are told.

use std::collections::BTreeMap;

use base64::Engine as _;
use kube::core::ApiResource;
use serde_json::{Value, json};

use super::Cluster;
use super::refusal::CallError;
use super::secret::{SecretData, data};
use super::wire::{Address, Format, Patch};

/// Under whose name the CA bundle is written.
const MANAGER: &str = "reeve";

/// A Secret of ours, as it was read.
pub(crate) struct Kept(Value);

impl Kept {
    /// What it holds.
    pub(crate) fn data(&self) -> SecretData {
        data(&self.0)
    }
}

impl Cluster {
    /// A Secret that the controller keeps, read with its own rights.
    pub(crate) async fn kept(
        &self,
        namespace: &str,
        name: &str,
    ) -> Result<Option<Kept>, CallError> {
        Ok(self.own.get(&secret(namespace, name)).await?.map(Kept))
    }

    /// Writes it: in the place of `before`, else anew. False: somebody else was quicker.
    pub(crate) async fn keep(
        &self,
        namespace: &str,
        name: &str,
        before: Option<Kept>,
        data: &BTreeMap<&str, String>,
    ) -> Result<bool, CallError> {
        let encoded = data.iter().map(|(key, text)| (*key, encode(text)));
        let encoded: BTreeMap<&str, String> = encoded.collect();
        let at = secret(namespace, name);
        let wire = self.own.unleashed();
        let written = match before {
            Some(Kept(mut object)) => {
                if let Some(fields) = object.as_object_mut() {
                    fields.insert("data".to_owned(), json!(encoded));
                }
                wire.replace(&at, &object).await
            }
            None => {
                let object = json!({
                    "apiVersion": "v1", "kind": "Secret",
                    "metadata": {"namespace": namespace, "name": name},
                    "type": "Opaque", "data": encoded,
                });
                wire.create(&at, &object).await
            }
        };
        match written {
            Ok(_) => Ok(true),
            Err(why) if why.is_conflict() || why.is_missing_object() => Ok(false),
            Err(why) => Err(why),
        }
    }

    /// Has the API server trust `bundle` (PEM) when it calls the webhooks of a ValidatingWebhookConfiguration. False: there
    /// is none of that name.
    pub(crate) async fn trust(&self, configuration: &str, bundle: &str) -> Result<bool, CallError> {
        let at = Address {
            resource: ApiResource {
                group: "admissionregistration.k8s.io".into(),
                version: "v1".into(),
                api_version: "admissionregistration.k8s.io/v1".into(),
                kind: "ValidatingWebhookConfiguration".into(),
                plural: "validatingwebhookconfigurations".into(),
            },
            namespace: None,
            name: configuration.to_owned(),
        };
        let Some(object) = self.own.get(&at).await? else {
            return Ok(false);
        };
        let changes = changes(&object, &encode(bundle));
        if changes.is_empty() {
            return Ok(true);
        }
        let how = Patch {
            format: Format::Json,
            manager: MANAGER,
            dry_run: false,
            subresource: None,
        };
        let body = Value::Array(changes).to_string().into_bytes();
        self.own.unleashed().patch(&at, how, body).await?;
        Ok(true)
    }
}

/// A JSON patch that puts the bundle where another is; nothing of it is done if a webhook has moved meanwhile.
fn changes(configuration: &Value, bundle: &str) -> Vec<Value> {
    let webhooks = configuration.pointer("/webhooks").and_then(Value::as_array);
    let mut changes = Vec::new();
    for (at, webhook) in webhooks.into_iter().flatten().enumerate() {
        let trusted = webhook.pointer("/clientConfig/caBundle");
        if trusted.and_then(Value::as_str) == Some(bundle) {
            continue;
        }
        let name = webhook.get("name");
        let (named, path) = (
            format!("/webhooks/{at}/name"),
            format!("/webhooks/{at}/clientConfig/caBundle"),
        );
        changes.push(json!({"op": "test", "path": named, "value": name}));
        changes.push(json!({"op": "add", "path": path, "value": bundle}));
    }
    changes
}

fn encode(text: &str) -> String {
    base64::engine::general_purpose::STANDARD.encode(text)
}

fn secret(namespace: &str, name: &str) -> Address {
    Address {
        resource: ApiResource {
            group: String::new(),
            version: "v1".into(),
            api_version: "v1".into(),
            kind: "Secret".into(),
            plural: "secrets".into(),
        },
        namespace: Some(namespace.to_owned()),
        name: name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_trusted_otherwise_is_changed() {
        let webhook = |name: &str, bundle: Option<&str>| json!({"name": name, "clientConfig": {"caBundle": bundle}});
        let object = json!({"webhooks": [
            webhook("a", Some("new")), webhook("b", Some("old")), webhook("c", None),
        ]});
        let paths: Vec<_> = changes(&object, "new")
            .iter()
            .map(|change| format!("{} {}", change["op"], change["path"]).replace('"', ""))
            .collect();
        let want = [
            "test /webhooks/1/name",
            "add /webhooks/1/clientConfig/caBundle",
            "test /webhooks/2/name",
            "add /webhooks/2/clientConfig/caBundle",
        ];
        assert_eq!(paths, want);
        assert!(changes(&json!({}), "new").is_empty());
    }
}
