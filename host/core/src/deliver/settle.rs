//! What lies in the directory, and what is to become of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use reeve_kustomize::{Object, parse_yaml};
use serde_json::Value;

use super::files::{Files, digest};
use super::listing::{is_listing, listing};
use super::{MARK, Refused};
use crate::artifact::Digest;
use crate::inventory::ObjectId;
use crate::text::line;

/// How much of a directory is read: files, and bytes in all.
const MOST_FILES: usize = 20_000;
const MOST_BYTES: u64 = 128 << 20;

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settled {
    /// What is to be in which file, from the directory. What is there already is not among them.
    pub write: BTreeMap<String, String>,
    /// Which files are to go.
    pub remove: BTreeSet<String>,
    /// What others had written and is taken over.
    pub adopted: Vec<Adopted>,
    /// Names the files that are ours already, as they are.
    pub there: Digest,
}

/// A file of somebody else's that holds one of the objects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Adopted {
    /// Which file.
    pub path: String,
    /// Which object.
    pub subject: String,
    /// Whether it is another there.
    pub differs: bool,
}

/// How much was found in a directory.
#[derive(Debug, Default)]
pub struct Size {
    files: usize,
    bytes: u64,
}

impl Size {
    /// One more file of so many bytes.
    ///
    /// # Errors
    /// When there is more than is read.
    pub fn and(&mut self, bytes: u64) -> Result<(), Refused> {
        self.files += 1;
        self.bytes = self.bytes.saturating_add(bytes);
        let most = match (self.files > MOST_FILES, self.bytes > MOST_BYTES) {
            (true, _) => "20,000 manifests",
            (_, true) => "128 MiB of manifests",
            _ => return Ok(()),
        };
        Err(Refused::TooMuch { most })
    }
}

impl Settled {
    /// Whether all is as it should be.
    pub fn is_nothing(&self) -> bool {
        self.write.is_empty() && self.remove.is_empty()
    }
}

/// Whether a file of that name may hold manifests; of others nothing is read.
pub fn is_read(path: &str) -> bool {
    let end = path.rsplit_once('.').map(|(_, end)| end);
    let name = path.rsplit('/').next().unwrap_or_default();
    is_listing(name) || end.is_some_and(|end| ["yaml", "yml", "json"].contains(&end))
}

/// What makes `there` (paths from the directory, with what is in them) what `files` are.
///
/// # Errors
/// When a file is in the way that is not ours to write.
pub fn settle(files: &Files, there: &BTreeMap<String, Arc<[u8]>>) -> Result<Settled, Refused> {
    let paths: BTreeMap<&ObjectId, &str> = files
        .all
        .iter()
        .map(|(path, file)| (&file.id, path.as_str()))
        .collect();
    let (mut remove, mut adopted, mut ours) = (BTreeSet::new(), Vec::new(), BTreeMap::new());
    for (path, content) in there {
        match whose(files, content) {
            Whose::Ours if files.kept.contains(path) => {}
            Whose::Ours => {
                ours.insert(path.as_str(), &**content);
                if !files.all.contains_key(path) {
                    remove.insert(path.clone());
                }
            }
            Whose::Another(whose) if files.all.contains_key(path) => {
                let path = path.clone();
                return Err(Refused::Held { path, whose });
            }
            Whose::Another(_) => {}
            Whose::Nobody => {
                let Some(found) = take_over(files, &paths, path, content)? else {
                    continue;
                };
                let moves = !files.all.contains_key(path);
                remove.extend(moves.then(|| path.clone()));
                adopted.push(found);
            }
        }
    }
    let is_there = |path: &str, text: &str| {
        let content = there.get(path).map(|content| &**content);
        content == Some(text.as_bytes())
    };
    let lacking = files.all.iter();
    let lacking = lacking.filter(|(path, file)| !is_there(path, &file.text));
    let lacking = lacking.map(|(path, file)| (path.clone(), file.text.clone()));
    let wanted: Vec<&str> = files.all.keys().map(String::as_str).collect();
    let listing = listing(there, &wanted, &remove)?;
    Ok(Settled {
        write: lacking.chain(listing).collect(),
        remove,
        adopted,
        there: digest(ours.into_iter()),
    })
}

enum Whose {
    Ours,
    /// What its first line says.
    Another(String),
    Nobody,
}

fn whose(files: &Files, content: &[u8]) -> Whose {
    let first = content.split(|byte| *byte == b'\n').next();
    let first = first.unwrap_or_default();
    // An editor may have changed the ends of lines.
    let first = first.strip_suffix(b"\r").unwrap_or(first);
    if first == files.owner.line.as_bytes() {
        return Whose::Ours;
    }
    match first.strip_prefix(MARK.as_bytes()) {
        None => Whose::Nobody,
        Some(rest) => {
            let rest = rest.get(..rest.len().min(300)).unwrap_or_default();
            let said = line(&String::from_utf8_lossy(rest));
            let said = said
                .split_once(". ")
                .map_or(said.as_str(), |(whose, _)| whose);
            Whose::Another(format!("of Kustomization {said}"))
        }
    }
}

/// Takes over a file that bears nobody's name, if it holds one of the objects and nothing else.
fn take_over(
    files: &Files,
    paths: &BTreeMap<&ObjectId, &str>,
    path: &str,
    content: &[u8],
) -> Result<Option<Adopted>, Refused> {
    // What cannot be read is no manifest of anybody's.
    let documents = parse_yaml(content, path).unwrap_or_default();
    let alone = documents.len() == 1;
    for document in documents {
        let Some((id, object)) = identified(document) else {
            continue;
        };
        let Some(home) = paths.get(&id) else {
            continue;
        };
        let subject = id.subject();
        let path = path.to_owned();
        if !alone {
            return Err(Refused::Mixed { path, subject });
        }
        if files.all.get(&path).is_some_and(|file| file.id != id) {
            break;
        }
        let wanted = files.all.get(*home).map(|file| &file.manifest);
        return Ok(Some(Adopted {
            differs: wanted != Some(&object),
            path,
            subject,
        }));
    }
    match files.all.get(path) {
        None => Ok(None),
        Some(file) => Err(Refused::InTheWay {
            path: path.to_owned(),
            subject: file.id.subject(),
        }),
    }
}

/// Which object a document is, if it is one.
fn identified(document: Value) -> Option<(ObjectId, Value)> {
    let object = Object::try_from(document).ok()?;
    let id = ObjectId::of(&object);
    let is_one = !id.kind.is_empty() && !id.name.is_empty();
    is_one.then(|| (id, object.into()))
}
