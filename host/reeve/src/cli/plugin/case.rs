//! A case of a transformer: a folder with what a guest is given and what must come of it.
//!
//! `in/` or `in.{json,yaml}`, perhaps `config.{json,yaml}`, and one of: `want/` or `want.{json,yaml}` with the manifests that
//! must come back, or `error` with words that must be in the refusal or the error, be it the guest's or that of the schema of
//! its config. `{"refused": "…"}` as `want.json` is the whole text of the guest's own refusal: it is asked whatever its schema
//! says. What a guest made of a case is judged in `test`.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::{manifests, read, unreadable};
use crate::cli::ui::CommandError;

/// One case.
pub(super) struct Case {
    pub(super) name: String,
    /// JSON text each.
    pub(super) given: Vec<String>,
    pub(super) config: Value,
    pub(super) want: Want<Manifests>,
}

/// What must come of it.
pub(super) enum Want<T> {
    /// This.
    Made(T),
    /// A refusal of the guest's own, of exactly these words.
    Refused(String),
    /// A refusal or an error with these words in it.
    Error(String),
}

/// These manifests, in this order.
pub(super) struct Manifests {
    pub(super) objects: Vec<Value>,
    /// Whether the order of their keys counts too: in `want.json` it does.
    pub(super) keys: bool,
}

/// The folders of the cases below `directory`, by name.
pub(super) fn folders(directory: &Path) -> Result<Vec<PathBuf>, CommandError> {
    let entries = std::fs::read_dir(directory).map_err(|why| {
        unreadable(directory, &why)
            .hint("cases are folders in `case/`; --cases names another place")
    })?;
    let mut folders = Vec::new();
    for entry in entries {
        let path = entry.map_err(|why| unreadable(directory, &why))?.path();
        if path.is_dir() {
            folders.push(path);
        }
    }
    folders.sort();
    if folders.is_empty() {
        let message = format!("there is no case in {}", directory.display());
        return Err(CommandError::new(message)
            .hint("a case is a folder with in.yaml, perhaps config.yaml, and want.yaml or error"));
    }
    Ok(folders)
}

/// Reads the case in `folder`.
pub(super) fn open(folder: &Path) -> Result<Case, CommandError> {
    let name = folder.file_name().unwrap_or_default();
    let given = only(folder, &["in", "in.json", "in.yaml"])?.ok_or_else(|| {
        CommandError::new(format!(
            "{} has no in.yaml, in.json or in/",
            folder.display()
        ))
    })?;
    let config = match only(folder, &["config.json", "config.yaml"])? {
        Some(path) => manifests::one(&path)?,
        None => json!({}),
    };
    Ok(Case {
        name: name.to_string_lossy().into_owned(),
        given: manifests::at(&given)?
            .iter()
            .map(Value::to_string)
            .collect(),
        config,
        want: want(folder)?,
    })
}

fn want(folder: &Path) -> Result<Want<Manifests>, CommandError> {
    let found = only(folder, &["want", "want.json", "want.yaml", "error"])?;
    let found = found.ok_or_else(|| {
        let message = format!(
            "{} has no want.yaml, want.json, want/ or error",
            folder.display()
        );
        CommandError::new(message).hint("`error` holds words that must be in the refusal")
    })?;
    if let Some(words) = words(folder)? {
        return Ok(Want::Error(words));
    }
    let keys = found.ends_with("want.json");
    if keys && let Some(Value::String(words)) = manifests::one(&found)?.get("refused") {
        return Ok(Want::Refused(words.clone()));
    }
    Ok(Want::Made(Manifests {
        objects: manifests::at(&found)?,
        keys,
    }))
}

/// What is in `error`, if it is there.
pub(super) fn words(folder: &Path) -> Result<Option<String>, CommandError> {
    let Some(found) = only(folder, &["error"])? else {
        return Ok(None);
    };
    let words = String::from_utf8_lossy(&read(&found)?).trim().to_owned();
    match words.is_empty() {
        true => Err(CommandError::new(format!("{} is empty", found.display()))),
        false => Ok(Some(words)),
    }
}

/// The one of `names` that is in `folder`.
pub(super) fn only(folder: &Path, names: &[&str]) -> Result<Option<PathBuf>, CommandError> {
    let mut found = names
        .iter()
        .map(|name| folder.join(name))
        .filter(|path| path.exists());
    match (found.next(), found.next()) {
        (Some(one), Some(other)) => Err(CommandError::new(format!(
            "{} and {} are both there: which is meant?",
            one.display(),
            other.display()
        ))),
        (found, _) => Ok(found),
    }
}
