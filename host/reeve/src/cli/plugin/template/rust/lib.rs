//! Puts the annotations of its config on every manifest.

use serde_json::{Map, Value, json};

use exports::reeve::plugin::transform::{Guest, Refusal};
use reeve::plugin::log::{Level, log};

wit_bindgen::generate!({ path: "wit", world: "transformer" });

struct Plugin;

impl Guest for Plugin {
    fn transform(manifests: Vec<String>, config: String) -> Result<Vec<String>, Refusal> {
        let annotations = annotations(&config).ok_or_else(|| {
            refuse(r#"the config must be {"annotations": {"key": "value"}}"#)
        })?;
        log(Level::Info, &format!("annotating {} manifests", manifests.len()));
        manifests
            .iter()
            .map(|manifest| annotate(manifest, &annotations))
            .collect()
    }
}

/// The annotations of the config, if it is as it must be.
fn annotations(config: &str) -> Option<Map<String, Value>> {
    let config: Value = serde_json::from_str(config).ok()?;
    let annotations = config.get("annotations")?.as_object()?;
    annotations.values().all(Value::is_string).then(|| annotations.clone())
}

/// One manifest with the annotations on it.
fn annotate(manifest: &str, annotations: &Map<String, Value>) -> Result<String, Refusal> {
    let mut object: Value =
        serde_json::from_str(manifest).map_err(|why| refuse(&format!("a manifest is not JSON: {why}")))?;
    let metadata = object.get_mut("metadata").and_then(Value::as_object_mut);
    let present = metadata.map(|metadata| metadata.entry("annotations").or_insert_with(|| json!({})));
    match present {
        Some(Value::Object(present)) => present.extend(annotations.clone()),
        Some(empty @ Value::Null) => *empty = Value::Object(annotations.clone()),
        _ => return Err(refuse("a manifest has no metadata, or annotations that are no mapping")),
    }
    Ok(object.to_string())
}

fn refuse(message: &str) -> Refusal {
    Refusal {
        message: message.to_owned(),
        objects: Vec::new(),
    }
}

export!(Plugin);
