//! The files of a policy, told apart: modules, tests, and data at the path of its directory.
//!
//! What `opa eval --data DIR` makes of a directory: `a/b/limits.yaml` lies at `data.a.b`, whatever the file is called,
//! dates in it are text, and two files that say the same key are refused, not merged. It deliberately reads no directory: paths and bytes come
//! in, all of them bounded, and files of other kinds are left alone.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use super::{Error, PARAMETERS, Place, exceptions};

/// The most files that a policy has, tests and data among them.
pub(super) const FILE_LIMIT: usize = 1_000;
/// The most bytes that all of them have.
pub(super) const TOTAL_LIMIT: usize = 8 << 20;
/// The largest module, in bytes.
pub(super) const SOURCE_LIMIT: usize = 256 << 10;
/// The most bytes that all modules have, tests among them: looking at what they say takes a hundred times as much memory.
pub(super) const RULES_LIMIT: usize = 1 << 20;
/// The deepest path of a file, in directories: data lies as deep.
const DEPTH_LIMIT: usize = 32;

/// A policy's files by what they are for.
#[derive(Debug, Default)]
pub(super) struct Sources {
    /// Path and source of each module.
    pub(super) modules: Vec<(String, String)>,
    /// Path and source of each `*_test.rego`.
    pub(super) tests: Vec<(String, String)>,
    /// The data of all files, an object.
    pub(super) data: Map<String, Value>,
    /// Path and content of each file of exceptions.
    pub(super) exceptions: Vec<(String, Vec<u8>)>,
}

impl Sources {
    /// Tells the files apart, or says what is wrong with each that cannot be read.
    pub(super) fn sort(files: &BTreeMap<String, Vec<u8>>) -> Result<Self, Vec<Error>> {
        let total: usize = files.values().map(Vec::len).sum();
        if files.len() > FILE_LIMIT || total > TOTAL_LIMIT {
            let why = format!(
                "a policy has at most {FILE_LIMIT} files with {TOTAL_LIMIT} bytes together, and this has {} with {total}",
                files.len()
            );
            return Err(vec![Error::at(Place::of("the policy"), why)]);
        }
        let rules = files.iter().filter(|(path, _)| path.ends_with(".rego"));
        let rules: usize = rules.map(|(_, bytes)| bytes.len()).sum();
        if rules > RULES_LIMIT {
            let why = format!(
                "its modules and tests have {rules} bytes together, at most {RULES_LIMIT} are read: make several policies of them"
            );
            return Err(vec![Error::at(Place::of("the policy"), why)]);
        }
        let mut sources = Self::default();
        let mut errors = Vec::new();
        for (path, bytes) in files {
            if let Err(error) = sources.add(path, bytes) {
                errors.push(error);
            }
        }
        if errors.is_empty() {
            Ok(sources)
        } else {
            Err(errors)
        }
    }

    fn add(&mut self, path: &str, bytes: &[u8]) -> Result<(), Error> {
        let refused = |why: &str| Error::at(Place::of(path), why.to_owned());
        let mut directories: Vec<&str> = path.split('/').collect();
        let name = directories.pop().unwrap_or_default();
        if directories.len() > DEPTH_LIMIT {
            return Err(refused("it lies too deep"));
        }
        if name == exceptions::FILE {
            self.exceptions.push((path.to_owned(), bytes.to_vec()));
            return Ok(());
        }
        match name.rsplit_once('.').map(|(_, ending)| ending) {
            Some("rego") => {
                if bytes.len() > SOURCE_LIMIT {
                    let bytes = bytes.len();
                    let why = format!("it has {bytes} bytes, at most {SOURCE_LIMIT} are read");
                    return Err(refused(&why));
                }
                let source = str::from_utf8(bytes).map_err(|_| refused("it is not UTF-8"))?;
                let source = (path.to_owned(), source.to_owned());
                if name.ends_with("_test.rego") {
                    self.tests.push(source);
                } else {
                    self.modules.push(source);
                }
                Ok(())
            }
            Some("json") => {
                let value = serde_json::from_slice(bytes).map_err(|error| {
                    let place = Place {
                        file: path.to_owned(),
                        line: u64::try_from(error.line()).unwrap_or(0),
                        column: u64::try_from(error.column()).unwrap_or(0),
                    };
                    Error::at(place, "it is not JSON".to_owned())
                })?;
                self.place(path, &directories, value)
            }
            Some("yaml" | "yml") => {
                let documents = reeve_kustomize::parse_data(bytes, path).map_err(|error| {
                    let line = error.place().line.map_or(0, u64::from);
                    let place = Place {
                        line,
                        ..Place::of(path)
                    };
                    Error::at(place, format!("it is not YAML: {}", error.why()))
                })?;
                match <[Value; 1]>::try_from(documents) {
                    Ok([value]) => self.place(path, &directories, value),
                    Err(_) => Err(refused("it is not one document of data")),
                }
            }
            _ => Ok(()),
        }
    }

    /// Puts a file's value where its directories say.
    fn place(&mut self, path: &str, directories: &[&str], value: Value) -> Result<(), Error> {
        let refused = |why: String| Error::at(Place::of(path), why);
        let whole = directories.iter().rev().fold(value, |inner, directory| {
            Value::Object(Map::from_iter([((*directory).to_owned(), inner)]))
        });
        let Value::Object(whole) = whole else {
            return Err(refused(
                "data beside a policy is an object: its keys are the names under data".to_owned(),
            ));
        };
        if whole.contains_key(PARAMETERS) {
            let why = format!("data.{PARAMETERS} is what the Policy gives: use another name");
            return Err(refused(why));
        }
        merge(&mut self.data, whole, "data").map_err(|at| {
            refused(format!(
                "{at} is in another file as well: each name is said once"
            ))
        })
    }
}

/// Puts `more` into `data`, or says which name both have.
fn merge(data: &mut Map<String, Value>, more: Map<String, Value>, at: &str) -> Result<(), String> {
    for (key, value) in more {
        let path = format!("{at}.{key}");
        match (data.get_mut(&key), value) {
            (None, value) => {
                data.insert(key, value);
            }
            (Some(Value::Object(known)), Value::Object(more)) => merge(known, more, &path)?,
            (Some(_), _) => return Err(path),
        }
    }
    Ok(())
}

/// `sha256:<hex>` of the files and their names.
pub(super) fn digest(files: &BTreeMap<String, Vec<u8>>) -> String {
    let mut digest = Sha256::new();
    for (path, content) in files {
        for part in [path.as_bytes(), content] {
            digest.update((part.len() as u64).to_le_bytes());
            digest.update(part);
        }
    }
    format!("sha256:{}", hex::encode(digest.finalize()))
}
