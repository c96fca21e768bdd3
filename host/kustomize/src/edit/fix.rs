//! What kustomize mends in every file it edits, and what `fix` mends besides.

use serde_json::{Map, Value, json};

use super::fields::Fields;
use crate::error::Error;
use crate::yaml::{Reader, Typing};

/// Where the deprecated fields go.
pub(super) const RENAMES: [(&str, &str); 4] = [
    ("bases", "resources"),
    ("imageTags", "images"),
    ("patchesJson6902", "patches"),
    ("patchesStrategicMerge", "patches"),
];

/// Gives the file a kind and a version, and moves the fields that kustomize always moves. Is done after the edit, which
/// has seen both places through [`merged`].
pub(super) fn complete(fields: &mut Fields<'_>, all: bool) -> Result<(), Error> {
    if fields.text("kind").is_empty() {
        fields.set("kind", "Kustomization");
    }
    if fields.text("apiVersion").is_empty() {
        let version = match fields.text("kind") {
            "Component" => "kustomize.config.k8s.io/v1alpha1",
            _ => "kustomize.config.k8s.io/v1beta1",
        };
        fields.set("apiVersion", version);
    }
    for name in ["resources", "images"] {
        let items = merged(fields, name)?;
        set_merged(fields, name, items);
    }
    for name in ["configMapGenerator", "secretGenerator"] {
        let generators = fields.list(name)?;
        if generators.iter().any(|one| one.get("env").is_some()) {
            fields.set(name, generators.into_iter().map(envs).collect::<Vec<_>>());
        }
    }
    if all {
        patches(fields)?;
        labels(fields)?;
    }
    Ok(())
}

/// The items of a list and of the deprecated field that goes into it.
pub(super) fn merged(fields: &Fields<'_>, name: &str) -> Result<Vec<Value>, Error> {
    let mut items = fields.list(name)?;
    for old in deprecated(name) {
        items.extend(fields.list(old)?);
    }
    Ok(items)
}

/// Sets a list and removes the deprecated field that is in it now.
pub(super) fn set_merged(fields: &mut Fields<'_>, name: &str, items: Vec<Value>) {
    let moved = deprecated(name).any(|old| fields.has(old));
    if moved || fields.has(name) || !items.is_empty() {
        fields.set(name, items);
    }
    deprecated(name).for_each(|old| {
        if fields.has(old) {
            fields.set(old, Value::Null);
        }
    });
}

fn deprecated(name: &str) -> impl Iterator<Item = &'static str> + use<> {
    let old = match name {
        "resources" => Some("bases"),
        "images" => Some("imageTags"),
        _ => None,
    };
    old.into_iter()
}

/// A generator whose `env` is one of its `envs`.
fn envs(mut generator: Value) -> Value {
    let Some(map) = generator.as_object_mut() else {
        return generator;
    };
    let env = map.shift_remove("env").filter(|env| *env != "");
    if let Some(env) = env {
        let envs = map.entry("envs").or_insert_with(|| json!([]));
        if let Some(envs) = envs.as_array_mut() {
            envs.push(env);
        }
    }
    generator
}

fn patches(fields: &mut Fields<'_>) -> Result<(), Error> {
    let mut patches = fields.list("patches")?;
    patches.extend(fields.list("patchesJson6902")?);
    for patch in fields.list("patchesStrategicMerge")? {
        let text = patch.as_str().unwrap_or_default();
        let field = if is_inline(text) { "patch" } else { "path" };
        patches.push(json!({ field: patch }));
    }
    for old in ["patchesJson6902", "patchesStrategicMerge"] {
        fields.set(old, Value::Null);
    }
    if !patches.is_empty() {
        fields.set("patches", patches);
    }
    Ok(())
}

/// Whether an entry of `patchesStrategicMerge` is a patch rather than the name of a file.
fn is_inline(text: &str) -> bool {
    let budget = crate::budget::Budget::new(crate::options::Limits::default());
    let reader = Reader {
        file: "",
        typing: Typing::Config,
        budget: &budget,
    };
    let first = reader.first(text.as_bytes(), None);
    matches!(first, Ok(Some(first)) if first.node.map().is_some())
}

fn labels(fields: &mut Fields<'_>) -> Result<(), Error> {
    let common = fields.mapping("commonLabels")?;
    if common.is_empty() {
        return Ok(());
    }
    let mut labels = fields.list("labels")?;
    let pairs = labels
        .iter()
        .filter_map(|label| label.get("pairs").and_then(Value::as_object));
    let twice = pairs
        .flat_map(Map::keys)
        .find(|key| common.contains_key(*key));
    if let Some(key) = twice {
        let why = format!("{key} is in commonLabels and in labels");
        return Err(fields.invalid("labels", why));
    }
    labels.push(json!({ "includeSelectors": true, "pairs": common }));
    fields.set("labels", labels);
    fields.set("commonLabels", Value::Null);
    Ok(())
}
