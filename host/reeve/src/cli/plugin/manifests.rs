//! Manifests in files, and as text for people: YAML or JSON, one object a document.

use std::path::{Path, PathBuf};

use reeve_kustomize::{Object, parse_yaml, to_yaml};
use serde_json::Value;

use super::{read, unreadable};
use crate::cli::ui::CommandError;

/// The objects of a file, or of all files below a directory in the order of their paths.
pub(super) fn at(path: &Path) -> Result<Vec<Value>, CommandError> {
    let mut objects = Vec::new();
    for file in files(path)? {
        objects.extend(parse(&read(&file)?, &file.display().to_string())?);
    }
    Ok(objects)
}

/// The objects of a text: documents of YAML, or an object or a list of objects in JSON.
pub(super) fn parse(bytes: &[u8], name: &str) -> Result<Vec<Value>, CommandError> {
    let values = match documents(bytes, name)? {
        // Only JSON is read as one list: in YAML it is a document that is no object.
        values if !is_json(name) => values,
        values => match <[Value; 1]>::try_from(values) {
            Ok([Value::Array(list)]) => list,
            Ok([value]) => vec![value],
            Err(values) => values,
        },
    };
    match values.iter().position(|value| !value.is_object()) {
        None => Ok(values),
        Some(at) => Err(CommandError::new(format!(
            "{name}: document {} is no object",
            at + 1
        ))),
    }
}

/// The one document of a file, whatever it is.
pub(super) fn one(path: &Path) -> Result<Value, CommandError> {
    let name = path.display().to_string();
    let mut documents = documents(&read(path)?, &name)?;
    match (documents.pop(), documents.is_empty()) {
        (Some(document), true) => Ok(document),
        _ => Err(CommandError::new(format!("{name} is not one document"))),
    }
}

/// The objects as YAML, keys sorted.
pub(super) fn yaml(values: Vec<Value>) -> Result<String, CommandError> {
    let objects: Result<Vec<Object>, Value> = values.into_iter().map(Object::try_from).collect();
    match objects {
        Ok(objects) => Ok(to_yaml(&objects)),
        Err(value) => Err(CommandError::new(format!("{value} is no object"))),
    }
}

fn is_json(name: &str) -> bool {
    name.ends_with(".json")
}

fn documents(bytes: &[u8], name: &str) -> Result<Vec<Value>, CommandError> {
    if is_json(name) {
        let value = serde_json::from_slice(bytes);
        return match value {
            Ok(value) => Ok(vec![value]),
            Err(why) => Err(CommandError::of(&format!("reading {name} failed"), &why)),
        };
    }
    parse_yaml(bytes, name).map_err(|why| CommandError::of("reading YAML failed", &why))
}

/// The file itself, or the YAML and JSON files below a directory, sorted by path.
fn files(path: &Path) -> Result<Vec<PathBuf>, CommandError> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut found = Vec::new();
    for entry in std::fs::read_dir(path).map_err(|why| unreadable(path, &why))? {
        let entry = entry.map_err(|why| unreadable(path, &why))?.path();
        let ours = |kind: &str| entry.extension().is_some_and(|end| end == kind);
        if entry.is_dir() {
            found.extend(files(&entry)?);
        } else if ours("yaml") || ours("yml") || ours("json") {
            found.push(entry);
        }
    }
    found.sort();
    Ok(found)
}
