//! Which files there are: the kustomization file of this directory, and what a pattern matches.

use std::fs;
use std::path::Path;

use reeve_kustomize::edit::matches;
use reeve_kustomize::{KUSTOMIZATION_FILES, parse_reference};

use crate::cli::ui::{CommandError, Ui};

/// The one kustomization file of this directory.
pub(super) fn kustomization() -> Result<&'static str, CommandError> {
    let mut found = KUSTOMIZATION_FILES
        .into_iter()
        .filter(|name| Path::new(name).is_file());
    match (found.next(), found.next()) {
        (Some(name), None) => Ok(name),
        (Some(name), Some(other)) => Err(CommandError::new(format!(
            "{name} and {other} are both there: a directory has one kustomization file"
        ))),
        (None, _) => Err(CommandError::new("there is no kustomization file here")
            .hint("`cd` to its directory, or create kustomization.yaml")),
    }
}

/// What `patterns` match; of one without a match, that is said.
pub(super) fn expand(patterns: &[String], ui: &mut Ui) -> Result<Vec<String>, CommandError> {
    let mut all = Vec::new();
    for pattern in patterns {
        let found = glob(pattern)?;
        if found.is_empty() {
            ui.note(&format!("{pattern} has no match"));
        }
        all.extend(found);
    }
    Ok(all)
}

/// What `patterns` match; one without a match must be the address of something remote, which is not fetched.
pub(super) fn expand_or_remote(patterns: Vec<String>) -> Result<Vec<String>, CommandError> {
    let mut all = Vec::new();
    for pattern in patterns {
        let found = glob(&pattern)?;
        match (found.is_empty(), parse_reference(&pattern)) {
            (false, _) => all.extend(found),
            (true, Ok(Some(_))) => all.push(pattern),
            (true, Ok(None)) => {
                return Err(CommandError::new(format!("{pattern} has no match"))
                    .hint("--no-verify adds a resource that is not there yet"));
            }
            (true, Err(why)) => return Err(CommandError::new(format!("{pattern} {why}"))),
        }
    }
    Ok(all)
}

/// The paths that a pattern matches, sorted, without hidden ones unless they are meant.
fn glob(pattern: &str) -> Result<Vec<String>, CommandError> {
    if matches(pattern, "").is_none() {
        return Err(CommandError::new(format!("{pattern} is no pattern")));
    }
    let hidden = |path: &str| path.rsplit('/').next().is_some_and(is_hidden);
    let mut found = below(pattern);
    if !hidden(pattern.trim_end_matches('/')) {
        found.retain(|path| !hidden(path));
    }
    Ok(found)
}

fn is_hidden(name: &str) -> bool {
    name.starts_with('.') && name != ".."
}

fn is_pattern(text: &str) -> bool {
    text.contains(['*', '?', '[', '\\'])
}

fn below(pattern: &str) -> Vec<String> {
    if !is_pattern(pattern) {
        let there = fs::symlink_metadata(pattern).is_ok();
        return there.then(|| pattern.to_owned()).into_iter().collect();
    }
    let (dirs, last) = match pattern.rsplit_once('/') {
        Some((dir, last)) => (below(if dir.is_empty() { "/" } else { dir }), last),
        None => (vec![String::new()], pattern),
    };
    let mut found = Vec::new();
    for dir in dirs {
        let listed = fs::read_dir(if dir.is_empty() { "." } else { &dir });
        let names = listed.into_iter().flatten().flatten();
        let names = names.filter_map(|entry| entry.file_name().into_string().ok());
        let mut names: Vec<String> = names
            .filter(|name| matches(last, name) == Some(true))
            .collect();
        names.sort();
        let slash = if dir.is_empty() || dir.ends_with('/') {
            ""
        } else {
            "/"
        };
        found.extend(names.into_iter().map(|name| format!("{dir}{slash}{name}")));
    }
    found
}
