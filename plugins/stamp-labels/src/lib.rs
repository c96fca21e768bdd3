//! Puts the labels of its config on every manifest: `{"labels": {"cost-centre": "4711"}}`.
//!
//! Only `metadata.labels`, never a pod template's: a changed template would restart the pods. What
//! the config says wins over what the manifest says, because a stamp that can be written over by
//! hand is none.

use serde_json::{Map, Value, json};

use exports::reeve::plugin::transform::{Guest, Refusal};
use reeve::plugin::log::{Level, log};

wit_bindgen::generate!({ path: "../../wit", world: "transformer" });

struct StampLabels;

impl Guest for StampLabels {
    fn transform(manifests: Vec<String>, config: String) -> Result<Vec<String>, Refusal> {
        let labels = labels(&config).map_err(refuse)?;
        let stamped: Result<Vec<String>, Refusal> = manifests
            .iter()
            .map(|manifest| stamp(manifest, &labels).map_err(refuse))
            .collect();
        log(
            Level::Info,
            &format!(
                "stamped {} labels on {} manifests",
                labels.len(),
                manifests.len()
            ),
        );
        stamped
    }
}

/// The labels of the config, or what is wrong with it.
fn labels(config: &str) -> Result<Map<String, Value>, String> {
    let mut config: Value =
        serde_json::from_str(config).map_err(|why| format!("the config is not JSON: {why}"))?;
    match config.get_mut("labels").map(Value::take) {
        Some(Value::Object(labels)) if labels.values().all(Value::is_string) => Ok(labels),
        _ => Err(
            r#"the config must be {"labels": {"key": "value", ..}}; quote numbers and booleans"#
                .into(),
        ),
    }
}

/// One manifest with the labels on it; everything else, and the order of its keys, stays.
fn stamp(manifest: &str, labels: &Map<String, Value>) -> Result<String, String> {
    let mut object: Value =
        serde_json::from_str(manifest).map_err(|why| format!("a manifest is not JSON: {why}"))?;
    let metadata = object
        .as_object_mut()
        .map(|object| object.entry("metadata").or_insert_with(|| json!({})));
    let Some(Value::Object(metadata)) = metadata else {
        return Err("a manifest has no metadata".into());
    };
    let present = metadata.entry("labels").or_insert_with(|| json!({}));
    if present.is_null() {
        *present = json!({});
    }
    let Value::Object(present) = present else {
        return Err("metadata.labels of a manifest is no mapping".into());
    };
    present.extend(labels.clone());
    Ok(object.to_string())
}

fn refuse(message: String) -> Refusal {
    Refusal {
        message,
        objects: Vec::new(),
    }
}

export!(StampLabels);
