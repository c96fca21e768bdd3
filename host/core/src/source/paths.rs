//! Paths that a GitRepository's spec names: what it includes of others, and which directories it takes of its own repository.
//!
//! A path is read once and never leads out: `..` is refused wherever it stands. Whether it is there, and what lies there
//! already, is found out by the shell's `git`, which has the files; so is which file names are refused.

use reeve_api::name::ObjectName;
use reeve_api::source::GitRepositoryInclude;

use super::Error;

/// Other sources that one may include.
const MOST_INCLUDES: usize = 32;
/// Directories that one may name.
const MOST_DIRECTORIES: usize = 256;
/// The longest path, in bytes.
const LONGEST: usize = 1024;

/// Another GitRepository of the same namespace, whose files are laid beside its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Include {
    /// Its name.
    pub repository: ObjectName,
    /// From where in its artifact; empty for all of it.
    pub from: String,
    /// To where in this one's; empty for the root.
    pub to: String,
}

/// Reads `spec.include`.
pub(super) fn includes(set: &[GitRepositoryInclude]) -> Result<Vec<Include>, Error> {
    if set.len() > MOST_INCLUDES {
        let why = format_args!("it has {} entries, more than {MOST_INCLUDES}", set.len());
        return Err(Error::invalid("spec.include", why));
    }
    let read = |set: &GitRepositoryInclude| {
        let name = &set.repository.name;
        let repository = name.parse::<ObjectName>();
        let repository =
            repository.map_err(|why| Error::invalid("spec.include.repository.name", why))?;
        let to = set.to_path.as_deref().filter(|to| !to.is_empty());
        let from = set.from_path.as_deref().unwrap_or_default();
        Ok(Include {
            from: path("spec.include.fromPath", from)?,
            to: path("spec.include.toPath", to.unwrap_or(name))?,
            repository,
        })
    };
    set.iter().map(read).collect()
}

/// Reads `spec.sparseCheckout`.
pub(super) fn directories(set: &[String]) -> Result<Vec<String>, Error> {
    const FIELD: &str = "spec.sparseCheckout";
    if set.len() > MOST_DIRECTORIES {
        let why = format_args!("it has {} entries, more than {MOST_DIRECTORIES}", set.len());
        return Err(Error::invalid(FIELD, why));
    }
    set.iter().map(|text| path(FIELD, text)).collect()
}

/// The path without what doesn't move: a slash at either end, `.` and empty parts. As in Flux it begins at the root.
fn path(field: &'static str, text: &str) -> Result<String, Error> {
    if text.len() > LONGEST {
        return Err(Error::invalid(field, "it is longer than 1024 bytes"));
    }
    if text.contains(|c: char| c.is_control() || c == '\\') {
        let why = "it holds a backslash or a control character";
        return Err(Error::invalid(field, why));
    }
    let parts = || text.split('/').filter(|part| !matches!(*part, "" | "."));
    if parts().any(|part| part == "..") {
        return Err(Error::invalid(field, "it leads out by '..'"));
    }
    Ok(parts().collect::<Vec<_>>().join("/"))
}
