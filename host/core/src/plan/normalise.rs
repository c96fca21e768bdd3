//! An object in the form in which it will be sent.
//!
//! Identity first (a usable name, a namespace where there must be one and none where there can't), then Flux's normal
//! form of native kinds (no `status`, `stringData` in `data`, protocol TCP), then everybody's labels. No other default
//! is filled in: the API server fills them, and what it fills is not ours.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reeve_api::KUSTOMIZE_GROUP;
use reeve_api::name::NamespaceName;
use reeve_kustomize::Object;
use serde_json::{Map, Value};

use super::{Error, Scope, Scopes};
use crate::inventory::ObjectId;
use crate::spec::Spec;

/// Settles where the object lives, and that each part of its identity is one and fits into a path of the API.
pub(super) fn identity(object: &mut Object, scopes: &Scopes, spec: &Spec) -> Result<(), Error> {
    let subject = ObjectId::of(object).subject();
    let malformed = |field: &str, why| {
        Err(Error::Malformed {
            subject: subject.clone(),
            field: field.to_owned(),
            why,
        })
    };
    let letters = |text: &str, more: &str| {
        let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || more.contains(c);
        text.len() <= 253 && text.chars().all(fits)
    };
    let version = object.version();
    if version.is_empty() || !letters(version, "") || !letters(object.group(), ".-") {
        return malformed("apiVersion", "is neither <version> nor <group>/<version>");
    }
    let kind = object.kind();
    if kind.is_empty() || kind.len() > 63 || !kind.chars().all(|c| c.is_ascii_alphanumeric()) {
        return malformed("kind", "is not made of letters and digits");
    }
    let name = object.name();
    if name.is_empty() {
        return malformed("metadata.name", "is missing");
    }
    if name.len() > 253 || matches!(name, "." | "..") || name.contains(['/', '%']) {
        return malformed(
            "metadata.name",
            "is longer than 253 bytes, `.`, `..`, or holds / or %",
        );
    }
    for field in ["labels", "annotations"] {
        let set = object.get(&format!("/metadata/{field}"));
        if !matches!(set, None | Some(Value::Null | Value::Object(_))) {
            return malformed(&format!("metadata.{field}"), "is not a mapping");
        }
    }
    let home = home(object, scopes, spec);
    if !home.is_empty() && home.parse::<NamespaceName>().is_err() {
        return malformed("metadata.namespace", "is not a namespace's name");
    }
    object.set_namespace(&home);
    let id = ObjectId::of(object);
    if !id.is_recordable() {
        let field = "metadata.name".to_owned();
        let why = "cannot be told apart from another in the inventory";
        return Err(Error::Malformed {
            subject: id.subject(),
            field,
            why,
        });
    }
    Ok(())
}

/// The namespace the object belongs into; none for a kind that lives in none.
fn home(object: &Object, scopes: &Scopes, spec: &Spec) -> String {
    let written = object.namespace();
    let target = spec
        .target_namespace
        .as_ref()
        .map_or("", NamespaceName::as_str);
    let chosen = if written.is_empty() { target } else { written };
    let home = match scopes.scope(object.group(), object.kind()) {
        Some(Scope::Cluster) => "",
        Some(Scope::Namespaced) if chosen.is_empty() => "default",
        // A kind that nobody knows is taken for what the manifest makes of it.
        Some(Scope::Namespaced) | None => chosen,
    };
    home.to_owned()
}

/// Flux's normal form of what the object holds.
pub(super) fn content(object: &mut Object, id: &ObjectId) -> Result<(), Error> {
    let is_secret = id.group.is_empty() && id.kind == "Secret";
    let encrypted = match object.get("/sops") {
        Some(sops) => is_secret || sops.get("mac").is_some(),
        None => false,
    };
    if encrypted {
        return Err(Error::Encrypted {
            subject: id.subject(),
        });
    }
    object.fields_mut().shift_remove("status");
    // The API server's own: `kubectl create --dry-run -o yaml` writes the one, `kubectl get -o yaml` the other.
    object.metadata_mut().shift_remove("creationTimestamp");
    object.metadata_mut().shift_remove("managedFields");
    if is_secret {
        secret(object, id)?;
    }
    let fields = object.fields_mut();
    match (id.group.as_str(), id.kind.as_str()) {
        ("", "Service") => protocols(fields.get_mut("spec")),
        ("", "Pod") => pod(fields.get_mut("spec")),
        ("apps", "Deployment" | "StatefulSet" | "DaemonSet" | "ReplicaSet")
        | ("", "ReplicationController")
        | ("batch", "Job") => pod(within(fields, &["spec", "template", "spec"])),
        ("batch", "CronJob") => {
            pod(within(
                fields,
                &["spec", "jobTemplate", "spec", "template", "spec"],
            ));
        }
        _ => {}
    }
    Ok(())
}

/// Everybody's labels and annotations, and then the owner's: nobody can put another's name there.
pub(super) fn metadata(object: &mut Object, spec: &Spec) {
    let common = &spec.common_metadata;
    for (key, value) in &common.annotations {
        object
            .annotations_mut()
            .insert(key.clone(), value.clone().into());
    }
    for (key, value) in &common.labels {
        object
            .labels_mut()
            .insert(key.clone(), value.clone().into());
    }
    let owner = [
        ("name", spec.id.name.as_str()),
        ("namespace", spec.id.namespace.as_str()),
    ];
    for (key, value) in owner {
        object
            .labels_mut()
            .insert(format!("{KUSTOMIZE_GROUP}/{key}"), value.into());
    }
}

/// `stringData` becomes part of `data`, which it overrides: the API server would do the same, and then report a
/// difference for ever.
fn secret(object: &mut Object, id: &ObjectId) -> Result<(), Error> {
    let Some(texts) = object.fields_mut().shift_remove("stringData") else {
        return Ok(());
    };
    let malformed = |field: String, why| Error::Malformed {
        subject: id.subject(),
        field,
        why,
    };
    let texts = match texts {
        Value::Null => return Ok(()),
        Value::Object(texts) => texts,
        _ => return Err(malformed("stringData".to_owned(), "is not a mapping")),
    };
    let data = object.fields_mut().entry("data").or_insert(Value::Null);
    if data.is_null() {
        *data = Value::Object(Map::new());
    }
    let Some(data) = data.as_object_mut() else {
        return Err(malformed("data".to_owned(), "is not a mapping"));
    };
    for (key, text) in texts {
        let Value::String(text) = text else {
            return Err(malformed(
                format!("stringData.{key}"),
                "is not a text; put it in quotes",
            ));
        };
        data.insert(key, STANDARD.encode(text).into());
    }
    Ok(())
}

fn within<'a>(fields: &'a mut Map<String, Value>, path: &[&str]) -> Option<&'a mut Value> {
    let (first, rest) = path.split_first()?;
    rest.iter()
        .try_fold(fields.get_mut(*first)?, |value, key| value.get_mut(*key))
}

/// The protocol of every port of every container.
fn pod(spec: Option<&mut Value>) {
    let Some(spec) = spec else { return };
    for list in ["initContainers", "containers"] {
        let containers = spec.get_mut(list).and_then(Value::as_array_mut);
        for container in containers.into_iter().flatten() {
            protocols(Some(container));
        }
    }
}

/// `protocol: TCP` on each of the value's `ports` that has none: the key of a merge must not be missing.
fn protocols(value: Option<&mut Value>) {
    let ports = value
        .and_then(|value| value.get_mut("ports"))
        .and_then(Value::as_array_mut);
    for port in ports.into_iter().flatten().filter_map(Value::as_object_mut) {
        let protocol = port.entry("protocol").or_insert(Value::Null);
        if protocol.is_null() || protocol == "" {
            *protocol = "TCP".into();
        }
    }
}
