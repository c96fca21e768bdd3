//! A case of a transformer: a folder with what a guest is given and what must come of it.
//!
//! `in/` or `in.{json,yaml}`, perhaps `config.{json,yaml}`, and one of: `want/` or `want.{json,yaml}` with the manifests that
//! must come back, or `error` with words that must be in the refusal or the error, be it the guest's or that of the schema of
//! its config. `{"refused": "…"}` as `want.json` is the whole text of the guest's own refusal: it is asked whatever its schema
//! says. What a guest made of a case is judged in `test`.
//!
//! A case may be a stranger's: nothing is read but plain files in its folder.

use std::fs::FileType;
use std::os::unix::fs::FileTypeExt as _;
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
        let entry = entry.map_err(|why| unreadable(directory, &why))?;
        let (path, kind) = (entry.path(), entry.file_type());
        let kind = kind.map_err(|why| unreadable(&path, &why))?;
        if kind.is_dir() {
            plain(&path)?;
            folders.push(path);
        } else if kind.is_symlink() {
            return Err(not_plain(&path, kind));
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

/// Everything below `folder` is a plain file: a pipe would be waited for, a link could lead to anything.
fn plain(folder: &Path) -> Result<(), CommandError> {
    for entry in std::fs::read_dir(folder).map_err(|why| unreadable(folder, &why))? {
        let entry = entry.map_err(|why| unreadable(folder, &why))?;
        let (path, kind) = (entry.path(), entry.file_type());
        let kind = kind.map_err(|why| unreadable(&path, &why))?;
        if kind.is_dir() {
            plain(&path)?;
        } else if !kind.is_file() {
            return Err(not_plain(&path, kind));
        }
    }
    Ok(())
}

fn not_plain(path: &Path, kind: FileType) -> CommandError {
    let what = match kind {
        kind if kind.is_symlink() => "a symbolic link",
        kind if kind.is_fifo() => "a pipe",
        kind if kind.is_socket() => "a socket",
        _ => "a device",
    };
    let message = format!("{} is {what}, not a plain file", path.display());
    CommandError::new(message).hint("a case holds its files itself")
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

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::process::Command;

    use super::*;

    #[test]
    fn what_is_no_plain_file_in_a_case_is_named_and_not_opened() {
        type Make = fn(&Path);
        let makes: [(&str, &str, Make); 5] = [
            ("a/in.yaml", "a symbolic link", |at| {
                symlink("/etc/hostname", at).unwrap();
            }),
            ("a/want", "a symbolic link", |at| {
                symlink("/etc", at).unwrap();
            }),
            ("link", "a symbolic link", |at| {
                symlink("/etc", at).unwrap();
            }),
            ("a/in/x.yaml", "a pipe", |at| {
                assert!(Command::new("mkfifo").arg(at).status().unwrap().success());
            }),
            ("a/error", "a socket", |at| {
                std::os::unix::net::UnixListener::bind(at).unwrap();
            }),
        ];
        for (name, what, make) in makes {
            let cases = tempfile::tempdir().unwrap();
            std::fs::create_dir_all(cases.path().join("a/in")).unwrap();
            assert_eq!(folders(cases.path()).unwrap().len(), 1);
            let at = cases.path().join(name);
            make(&at);
            let told = folders(cases.path()).unwrap_err().to_string();
            let want = format!("{} is {what}, not a plain file", at.display());
            assert!(told.contains(&want), "{told}");
        }
    }
}
