//! An admitted plan as files: one an object, without what says that we apply it.

use std::collections::{BTreeMap, BTreeSet};

use reeve_api::KUSTOMIZE_GROUP;
use reeve_kustomize::{Object, to_yaml};
use serde_json::Value;

use super::path::file;
use super::{Owner, Refused};
use crate::artifact::Digest;
use crate::plan::{Admitted, ObjectId, Plan, Planned};
use crate::veil::Veil;

/// The files of a plan that every rule has let pass. Only such a plan makes them.
#[derive(Clone, PartialEq)]
pub struct Files {
    pub(super) owner: Owner,
    pub(super) all: BTreeMap<String, File>,
    /// Where those lie that are to be left as they are.
    pub(super) kept: BTreeSet<String>,
}

/// One file.
#[derive(Clone, PartialEq)]
pub(super) struct File {
    pub(super) id: ObjectId,
    /// What it holds, as data.
    pub(super) manifest: Value,
    /// The same as it is written.
    pub(super) text: String,
}

impl Files {
    /// Writes a plan; what is under `veil` is in none of its files.
    ///
    /// # Errors
    /// When something of a Secret would be written, or two objects would be one file.
    pub fn of(plan: &Plan<Admitted>, owner: &Owner, veil: &Veil) -> Result<Self, Refused> {
        let mut all: BTreeMap<String, File> = BTreeMap::new();
        for planned in plan.objects() {
            let id = planned.id();
            if id.group.is_empty() && id.kind == "Secret" {
                return Err(Refused::Secret(id.subject()));
            }
            let written = write(planned, owner);
            if tells(veil, &written) {
                return Err(Refused::Veiled(id.subject()));
            }
            let path = file(id);
            let other = all.insert(path.clone(), written);
            // A hook is there once for each phase that it runs in.
            if let Some(other) = other.filter(|other| other.id != *id) {
                return Err(Refused::Twice {
                    path,
                    one: other.id.subject(),
                    other: id.subject(),
                });
            }
        }
        Ok(Self {
            owner: owner.clone(),
            all,
            kept: plan.skipped().iter().map(file).collect(),
        })
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Names all of them, and what is in each.
    pub fn digest(&self) -> Digest {
        let texts = self.all.iter();
        digest(texts.map(|(path, file)| (path.as_str(), file.text.as_bytes())))
    }
}

impl std::fmt::Debug for Files {
    /// Their names; what is in a manifest is nobody else's business.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.all.keys()).finish()
    }
}

/// Whether anything that is covered stands in it, below the line that says whose it is: as data, since YAML folds and quotes what is
/// written, and as text, for what spans more than one field.
fn tells(veil: &Veil, file: &File) -> bool {
    let body = file.text.split_once('\n').map_or("", |(_, body)| body);
    !veil.is_nothing()
        && (veil.replace(&mut file.manifest.clone()) || veil.cover(body.to_owned()) != body)
}

/// Names files, in their order.
pub(super) fn digest<'f>(files: impl Iterator<Item = (&'f str, &'f [u8])>) -> Digest {
    let mut all = Vec::new();
    for (path, content) in files {
        all.extend_from_slice(path.as_bytes());
        all.push(0);
        all.extend_from_slice(Digest::of(content).hex().as_bytes());
    }
    Digest::of(&all)
}

/// The object without the labels that say which Kustomization applies it: nobody does, and the other agent has its own.
fn write(planned: &Planned, owner: &Owner) -> File {
    let fields = planned.manifest().as_object().cloned().unwrap_or_default();
    let mut object = Object::from(fields);
    let own = [
        ("name", owner.id.name.as_str()),
        ("namespace", owner.id.namespace.as_str()),
    ];
    let labels = object.labels_mut();
    for (key, value) in own {
        let key = format!("{KUSTOMIZE_GROUP}/{key}");
        if labels.get(&key).and_then(Value::as_str) == Some(value) {
            labels.shift_remove(&key);
        }
    }
    if labels.is_empty() {
        object.metadata_mut().shift_remove("labels");
    }
    let text = format!("{owner}\n{}", to_yaml(std::slice::from_ref(&object)));
    File {
        id: planned.id().clone(),
        manifest: object.into(),
        text,
    }
}
