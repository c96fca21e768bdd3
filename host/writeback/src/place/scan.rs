//! Any other place in the files that are built and used by nobody else: found by its value, and only if it is the only one.
//!
//! This is how the configuration of transformers and the sources of replacements are found.

use serde_json::Value;

use super::{Seen, Text, rewritten};
use crate::Place;
use crate::difference::Difference;
use crate::path::Path;
use crate::refused::Refused;
use crate::work::{Candidate, Trial, Work};

/// How many equal values are looked at.
const MOST: usize = 64;

/// The only place where another value gives what is wanted.
pub(super) fn only(
    work: &mut Work<'_>,
    difference: &Difference,
    seen: &mut Seen,
) -> Result<Option<Place>, Refused> {
    let candidates = candidates(work, difference, seen);
    let mut fitting = Vec::new();
    for candidate in candidates {
        // An equal value that happens to stand elsewhere says nothing.
        if work.probe(difference, &candidate)? == Trial::Fits {
            fitting.push(candidate);
        }
    }
    match fitting.as_slice() {
        [one] => {
            work.try_one(difference, one)?;
            Ok(Some(one.place.clone()))
        }
        [] => Ok(None),
        _ => {
            seen.several = true;
            Ok(None)
        }
    }
}

fn candidates(work: &Work<'_>, difference: &Difference, seen: &mut Seen) -> Vec<Candidate> {
    let (Some(old), Some(new)) = (&difference.old, &difference.new) else {
        return Vec::new();
    };
    let is_scalar = |value: &Value| value.is_string() || value.is_number() || value.is_boolean();
    if !is_scalar(old) || !is_scalar(new) {
        return Vec::new();
    }
    let own = work.trace(difference.object).file;
    let mut found = Vec::new();
    for file in work.users().files() {
        // What others use shows as shared only where it is known to be the source.
        let skipped = own.as_ref() == Some(file) || work.users().other_user(file).is_some();
        if skipped
            || !file.ends_with(".yaml") && !file.ends_with(".yml") && !file.ends_with(".json")
        {
            continue;
        }
        let text = Text::of_file(file.as_str());
        for (number, value) in text.values(work) {
            let mut paths = Vec::new();
            equal(&value, old, &Path::default(), &mut paths);
            for path in paths {
                let mut value = value.clone();
                path.set(&mut value, new.clone(), None);
                let place = Place::Entry {
                    file: file.clone(),
                    field: path.to_string(),
                };
                found.extend(rewritten(work, &text, number, &value, place, seen));
                if found.len() > MOST {
                    return Vec::new();
                }
            }
        }
    }
    found
}

fn equal(value: &Value, old: &Value, path: &Path, found: &mut Vec<Path>) {
    match value {
        Value::Object(map) => {
            for (name, value) in map {
                equal(value, old, &path.field(name), found);
            }
        }
        Value::Array(items) => {
            for (at, value) in items.iter().enumerate() {
                equal(value, old, &path.index(at), found);
            }
        }
        value if value == old => found.push(path.clone()),
        _ => {}
    }
}
