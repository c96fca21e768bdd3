//! What `reeve git configure` writes: a level's file, the Secrets that it names, and which Tenant or Project names the file.
//!
//! Written with the rights of whoever asks. A file, a Tenant and a Project are written only as they were read: of two who change
//! one at a time the second is told. It deliberately doesn't judge what is written; `cli::git::configure` has proven it before.

use std::collections::BTreeMap;

use base64::Engine as _;
use kube::core::ApiResource;
use reeve_api::name::{NamespaceName, ObjectName, Secret, TenantName};
use reeve_api::plugin::ConfigKind;
use reeve_api::tenant::{GitConfigReference, Project, Tenant};
use reeve_core::drift::WATCHED;
use serde_json::{Value, json};

use super::Cluster;
use super::refusal::CallError;
use super::secret::data;
use super::wire::{Address, Patch};

/// Under whose name the references are written.
const MANAGER: &str = "reeve-cli";
/// What says that a Secret was made here, and for which file.
const MADE_FOR: &str = "reeve.dev/git-config";

/// A file of git configuration as it was read, or that there is none.
pub(crate) struct Kept {
    at: Address,
    kind: ConfigKind,
    key: String,
    object: Option<Value>,
}

impl Kept {
    /// Whether the object that is to hold it is there.
    pub(crate) fn is_there(&self) -> bool {
        self.object.is_some()
    }

    /// What stands in it.
    pub(crate) fn text(&self) -> Option<Vec<u8>> {
        let object = self.object.as_ref()?;
        match self.kind {
            ConfigKind::Secret => data(object).into_inner().remove(&self.key),
            ConfigKind::ConfigMap => {
                let text = object.get("data")?.get(&self.key)?.as_str()?;
                Some(text.as_bytes().to_vec())
            }
        }
    }
}

/// Who names a file.
pub(crate) enum Namer<'n> {
    Tenant(&'n TenantName),
    Project(&'n ObjectName),
}

impl Cluster {
    /// A file of git configuration, as it is.
    pub(crate) async fn git_file(
        &self,
        namespace: &NamespaceName,
        from: &GitConfigReference,
    ) -> Result<Kept, CallError> {
        let at = settings(from.kind, namespace, &from.name);
        let object = self.own.get(&at).await?;
        Ok(Kept {
            at,
            kind: from.kind,
            key: from.key().to_owned(),
            object,
        })
    }

    /// Writes it, in the place of what was read. False: it is no longer what was read.
    pub(crate) async fn keep_git_file(&self, kept: Kept, text: &str) -> Result<bool, CallError> {
        let stored = match kept.kind {
            ConfigKind::Secret => encode(text),
            ConfigKind::ConfigMap => text.to_owned(),
        };
        let written = match kept.object {
            Some(mut object) => {
                put(&mut object, &kept.key, &stored);
                self.own.replace(&kept.at, &object).await
            }
            None => {
                let (watched, on) = WATCHED;
                let object = json!({
                    "apiVersion": "v1", "kind": kept.kind.as_str(),
                    "metadata": {
                        "name": kept.at.name, "namespace": kept.at.namespace,
                        "labels": {watched: on},
                    },
                    "data": {kept.key: stored},
                });
                self.own.create(&kept.at, &object).await
            }
        };
        match written {
            Ok(_) => Ok(true),
            Err(why) if why.is_conflict() || why.is_missing_object() => Ok(false),
            Err(why) => Err(why),
        }
    }

    /// Makes a Secret for a file.
    pub(crate) async fn make_git_secret(
        &self,
        namespace: &NamespaceName,
        name: &ObjectName,
        file: &ObjectName,
        values: &BTreeMap<&'static str, Secret>,
    ) -> Result<(), CallError> {
        let values = values.iter();
        let values: BTreeMap<&str, String> = values
            .map(|(key, value)| (*key, encode(value.expose())))
            .collect();
        let (watched, on) = WATCHED;
        let object = json!({
            "apiVersion": "v1", "kind": "Secret", "type": "Opaque",
            "metadata": {
                "name": name, "namespace": namespace,
                "labels": {watched: on}, "annotations": {MADE_FOR: file},
            },
            "data": values,
        });
        let at = settings(ConfigKind::Secret, namespace, name);
        self.own.create(&at, &object).await.map(drop)
    }

    /// Deletes a Secret that was made for that file and no other. False: it is gone, or was not.
    pub(crate) async fn drop_git_secret(
        &self,
        namespace: &NamespaceName,
        name: &ObjectName,
        file: &ObjectName,
    ) -> Result<bool, CallError> {
        let at = settings(ConfigKind::Secret, namespace, name);
        let Some(object) = self.own.get(&at).await? else {
            return Ok(false);
        };
        let annotations = object.pointer("/metadata/annotations");
        let made_for = annotations.and_then(|all| all.get(MADE_FOR)?.as_str());
        let uid = object.pointer("/metadata/uid").and_then(Value::as_str);
        match uid {
            Some(uid) if made_for == Some(file.as_str()) => self.own.delete(&at, uid).await,
            _ => Ok(false),
        }
    }

    /// Has a Tenant or a Project name files: a merge patch of its spec, made from that version of it. False: it is another by
    /// now.
    pub(crate) async fn name_git_file(
        &self,
        namer: &Namer<'_>,
        version: Option<&str>,
        spec: &Value,
    ) -> Result<bool, CallError> {
        let at = match namer {
            Namer::Tenant(name) => of_cluster(ApiResource::erase::<Tenant>(&()), name.as_str()),
            Namer::Project(name) => of_cluster(ApiResource::erase::<Project>(&()), name.as_str()),
        };
        let how = Patch::merge(MANAGER);
        let change = json!({"metadata": {"resourceVersion": version}, "spec": spec});
        let body = change.to_string().into_bytes();
        match self.own.patch(&at, how, body).await {
            Ok(_) => Ok(true),
            Err(why) if why.is_conflict() => Ok(false),
            Err(why) => Err(why),
        }
    }
}

/// Puts a text under a key of an object's data.
fn put(object: &mut Value, key: &str, text: &str) {
    let Some(fields) = object.as_object_mut() else {
        return;
    };
    let data = fields.entry("data").or_insert(Value::Null);
    if !data.is_object() {
        *data = json!({});
    }
    if let Some(data) = data.as_object_mut() {
        data.insert(key.to_owned(), json!(text));
    }
}

fn encode(text: &str) -> String {
    base64::engine::general_purpose::STANDARD.encode(text)
}

fn of_cluster(resource: ApiResource, name: &str) -> Address {
    Address {
        resource,
        namespace: None,
        name: name.to_owned(),
    }
}

fn settings(kind: ConfigKind, namespace: &NamespaceName, name: &ObjectName) -> Address {
    let plural = match kind {
        ConfigKind::Secret => "secrets",
        ConfigKind::ConfigMap => "configmaps",
    };
    Address {
        resource: ApiResource {
            group: String::new(),
            version: "v1".into(),
            api_version: "v1".into(),
            kind: kind.as_str().into(),
            plural: plural.into(),
        },
        namespace: Some(namespace.to_string()),
        name: name.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(kind: ConfigKind, object: Value) -> Kept {
        let (namespace, name) = ("home".parse().unwrap(), "git".parse().unwrap());
        Kept {
            at: settings(kind, &namespace, &name),
            kind,
            key: "git.yaml".to_owned(),
            object: Some(object),
        }
    }

    #[test]
    fn a_file_is_read_from_where_its_kind_keeps_it_and_put_beside_what_else_is_there() {
        let text = "auths: []\n";
        for (kind, stored) in [
            (ConfigKind::ConfigMap, text.to_owned()),
            (ConfigKind::Secret, encode(text)),
        ] {
            let object = json!({"data": {"git.yaml": stored}});
            assert_eq!(kept(kind, object).text().as_deref(), Some(text.as_bytes()));
            assert_eq!(kept(kind, json!({})).text(), None);
        }
        let mut object = json!({"data": {"other": "x"}});
        put(&mut object, "git.yaml", text);
        assert_eq!(object, json!({"data": {"other": "x", "git.yaml": text}}));
        let mut empty = json!({"data": null});
        put(&mut empty, "git.yaml", text);
        assert_eq!(empty, json!({"data": {"git.yaml": text}}));
    }
}
