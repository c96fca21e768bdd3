//! Files of configuration that are read strictly: what is wrong, in which field of which line.
//!
//! A field that nobody knows is an error, since nobody says what it would do. No error quotes a value, which may be a secret in
//! the wrong place. Which fields there are is the reader's.

use reeve_kustomize::{Marks, nearest, parse_marked};
use serde_json::{Map, Value};

/// The largest file, in bytes.
const LARGEST: usize = 512 << 10;
/// What is said of a file whose root is something else.
pub(crate) const NO_MAPPING: &str = "the configuration is no mapping";

/// A file that cannot be used: the line, the field and what is wrong with it, never what stands there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", told(*.line, .field, .why))]
pub struct Error {
    /// The line, from 1, if it is known.
    pub line: Option<u32>,
    /// The field, as `auths[0].url`; empty for the file as a whole.
    pub field: String,
    /// What is wrong.
    pub why: String,
}

impl Error {
    /// About the file as a whole.
    pub(crate) fn of_file(line: Option<u32>, why: &str) -> Self {
        Self {
            line,
            field: String::new(),
            why: why.to_owned(),
        }
    }

    /// About a field by its whole path; what is not there is told at what lacks it.
    pub(crate) fn of_field(marks: &Marks, field: &str, why: impl Into<String>) -> Self {
        let mut at = field;
        let line = loop {
            if let Some((line, _)) = marks.get(at) {
                break Some(*line);
            }
            match at.rfind(['.', '[']) {
                Some(end) => at = at.get(..end).unwrap_or_default(),
                None => break None,
            }
        };
        Self {
            line,
            field: crate::text::line(field).chars().take(128).collect(),
            why: why.into(),
        }
    }
}

/// What a file says, and where. What a parser says of it may quote it, and is not told.
pub(crate) fn read(bytes: &[u8], name: &str) -> Result<(Value, Marks), Error> {
    if bytes.len() > LARGEST {
        let why = "the configuration is larger than 512 KiB";
        return Err(Error::of_file(None, why));
    }
    let broken =
        |why: reeve_kustomize::Error| Error::of_file(why.place().line, "this is not valid YAML");
    parse_marked(bytes, name).map_err(broken)
}

/// Refuses whatever of the mapping at `at` is not `known`.
pub(crate) fn only(
    marks: &Marks,
    at: &str,
    fields: &Map<String, Value>,
    known: &[&str],
) -> Result<(), Error> {
    let unknown = |field: &&String| !known.contains(&field.as_str());
    let Some(field) = fields.keys().find(unknown) else {
        return Ok(());
    };
    let why = match nearest(field, known.iter().copied()) {
        Some(meant) => format!("is not known: is it {meant}?"),
        None => format!("is not known: here stand {}", known.join(", ")),
    };
    Err(Error::of_field(marks, &path(at, field), why))
}

/// The path of a field of the mapping at `at`.
pub(crate) fn path(at: &str, field: &str) -> String {
    match at.is_empty() {
        true => field.to_owned(),
        false => format!("{at}.{field}"),
    }
}

fn told(line: Option<u32>, field: &str, why: &str) -> String {
    let line = line.map(|line| format!("line {line}: "));
    let space = if field.is_empty() { "" } else { " " };
    format!("{}{field}{space}{why}", line.unwrap_or_default())
}
