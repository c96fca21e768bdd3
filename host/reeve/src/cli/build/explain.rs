//! `--explain`: for each object, the file or generator it came from and what went over it.
//!
//! What the engine knows comes as kustomize's own annotations of `buildMetadata`; they are taken off and told apart.

use clap::ValueEnum;
use reeve_kustomize::{Object, parse_yaml};
use serde_json::{Value, json};

use crate::cli::ui::CommandError;

const ORIGIN: &str = "config.kubernetes.io/origin";
const TRANSFORMATIONS: &str = "alpha.config.kubernetes.io/transformations";

/// How it is told.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(in crate::cli::build) enum Form {
    /// Lines to read
    Text,
    /// A JSON list
    Json,
}

/// What there is to tell of `objects`, which were built with their provenance.
pub(in crate::cli::build) fn explain(
    objects: &[Object],
    form: Form,
) -> Result<String, CommandError> {
    let told = objects.iter().map(one).collect::<Result<Vec<_>, _>>()?;
    match form {
        Form::Text => Ok(told.iter().map(text).collect()),
        Form::Json => serde_json::to_string_pretty(&told)
            .map(|json| format!("{json}\n"))
            .map_err(|why| CommandError::of("writing JSON failed", &why)),
    }
}

/// Where an object came from, and what went over it, if it was built with that.
pub(in crate::cli) fn provenance(object: &Object) -> Result<(Value, Vec<Value>), CommandError> {
    let read = |name: &str| {
        let text = object.annotations().and_then(|all| all.get(name)?.as_str());
        let parsed = parse_yaml(text.unwrap_or_default().as_bytes(), name);
        let mut documents = parsed.map_err(|why| CommandError::of("reading failed", &why))?;
        Ok::<_, CommandError>(documents.pop().unwrap_or_default())
    };
    let changes = read(TRANSFORMATIONS)?;
    Ok((
        read(ORIGIN)?,
        changes.as_array().cloned().unwrap_or_default(),
    ))
}

/// Whether an annotation is one by which the engine says that.
pub(in crate::cli) fn is_provenance(key: &str) -> bool {
    matches!(key, ORIGIN | TRANSFORMATIONS)
}

fn one(object: &Object) -> Result<Value, CommandError> {
    let (origin, changes) = provenance(object)?;
    Ok(json!({
        "object": object.id().to_string(), "origin": origin, "changedBy": changes,
    }))
}

fn text(told: &Value) -> String {
    let object = told
        .get("object")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let mut out = format!("{object}\n");
    let origin = told.get("origin").unwrap_or(&Value::Null);
    out.push_str(&format!("  from {}\n", by(origin)));
    let changes = told.get("changedBy").and_then(Value::as_array);
    let mut changes: Vec<String> = changes.into_iter().flatten().map(by).collect();
    // A transformer that touches several kinds of field is noted for each.
    changes.dedup();
    for change in changes {
        out.push_str(&format!("  then {change}\n"));
    }
    out
}

/// `base/a.yaml`, `https://… at v1: base/a.yaml`, `ConfigMapGenerator in kustomization.yaml`.
pub(in crate::cli) fn by(what: &Value) -> String {
    let text = |name: &str| what.get(name).and_then(Value::as_str);
    let kind = what.pointer("/configuredBy/kind").and_then(Value::as_str);
    let place = text("path")
        .or_else(|| text("configuredIn"))
        .unwrap_or("somewhere");
    let mut place = match (text("repo"), text("ref")) {
        (Some(repo), Some(at)) => format!("{repo} at {at}: {place}"),
        (Some(repo), None) => format!("{repo}: {place}"),
        _ => place.to_owned(),
    };
    if let Some(kind) = kind {
        let name = what.pointer("/configuredBy/name").and_then(Value::as_str);
        let name = name.map(|name| format!(" {name}")).unwrap_or_default();
        place = format!("{kind}{name} in {place}");
    }
    place
}
