//! Entries of kustomization files that set fields of objects: `images`, `replicas`, labels and annotations.

use reeve_kustomize::split_image;
use serde_json::{Map, Value};

use super::{Seen, Text, rewritten};
use crate::Place;
use crate::difference::Difference;
use crate::kustomization::Kustomization;
use crate::path::Path;
use crate::work::{Candidate, Work};

/// A kustomization file with another value.
fn edited(
    work: &Work<'_>,
    kustomization: &Kustomization,
    path: &Path,
    new: &Value,
    seen: &mut Seen,
) -> Option<Candidate> {
    let place = Place::Entry {
        file: kustomization.file.clone(),
        field: path.to_string(),
    };
    let text = Text::of_file(kustomization.file.as_str());
    rewritten(work, &text, kustomization.number, new, place, seen)
}

/// Edits of `images`.
pub(super) fn images(work: &Work<'_>, difference: &Difference, seen: &mut Seen) -> Vec<Candidate> {
    let (Some(Value::String(old)), Some(Value::String(new))) = (&difference.old, &difference.new)
    else {
        return Vec::new();
    };
    let (old, new) = (split_image(old), split_image(new));
    let mut found = Vec::new();
    for kustomization in work.kustomizations() {
        for (at, entry) in kustomization.items("images").iter().enumerate() {
            let text = |field: &str| entry.get(field).and_then(Value::as_str);
            let Some(name) = text("name") else { continue };
            if text("newName").unwrap_or(name) != old.0 {
                continue;
            }
            let path = Path::of_fields(&["images"]).index(at);
            let Value::Object(fields) = entry else {
                continue;
            };
            let entry = image_entry(fields.clone(), name, &old, &new);
            let mut value = kustomization.value.clone();
            if path.set(&mut value, Value::Object(entry), None) {
                found.extend(edited(work, &kustomization, &path, &value, seen));
            }
        }
    }
    found
}

/// Name, tag and digest of an image.
type Parts = (String, String, String);

/// The entry that gives `new` where it gave `old`: only what differs is touched.
fn image_entry(
    mut entry: Map<String, Value>,
    name: &str,
    (old_name, old_tag, old_digest): &Parts,
    (new_name, new_tag, new_digest): &Parts,
) -> Map<String, Value> {
    let mut set = |field: &str, text: &str| match text {
        "" => {
            entry.shift_remove(field);
        }
        text => {
            entry.insert(field.to_owned(), Value::from(text));
        }
    };
    if new_name != old_name {
        set("newName", if new_name == name { "" } else { new_name });
    }
    if new_digest != old_digest {
        set("digest", new_digest);
    }
    if new_tag != old_tag {
        set("newTag", new_tag);
    }
    entry
}

/// Edits of `replicas`.
pub(super) fn replicas(
    work: &Work<'_>,
    difference: &Difference,
    seen: &mut Seen,
) -> Vec<Candidate> {
    let (Some(Value::Number(old)), Some(new @ Value::Number(_))) =
        (&difference.old, &difference.new)
    else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for kustomization in work.kustomizations() {
        for (at, entry) in kustomization.items("replicas").iter().enumerate() {
            if entry.get("count").and_then(Value::as_number) != Some(old) {
                continue;
            }
            let path = Path::of_fields(&["replicas"]).index(at).field("count");
            let mut value = kustomization.value.clone();
            if path.set(&mut value, new.clone(), None) {
                found.extend(edited(work, &kustomization, &path, &value, seen));
            }
        }
    }
    found
}

/// Edits of `commonLabels`, `labels` and `commonAnnotations`.
pub(super) fn pairs(work: &Work<'_>, difference: &Difference, seen: &mut Seen) -> Vec<Candidate> {
    let (Some(key), Some(old)) = (difference.path.last_field(), &difference.old) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for kustomization in work.kustomizations() {
        let labels = Path::of_fields(&["labels"]);
        let lists = 0..kustomization.items("labels").len();
        let lists = lists.map(|at| labels.index(at).field("pairs"));
        let maps = ["commonAnnotations", "commonLabels"].map(|field| Path::of_fields(&[field]));
        for path in maps.into_iter().chain(lists) {
            let path = path.field(key);
            let mut value = kustomization.value.clone();
            // What is written as a number becomes text.
            let text = path.get(&value).map(|value| match value {
                Value::String(text) => text.clone(),
                other => other.to_string(),
            });
            if text.as_deref() != old.as_str() || text.is_none() {
                continue;
            }
            let done = match &difference.new {
                Some(new) => path.set(&mut value, new.clone(), None),
                None => path.remove(&mut value),
            };
            if done {
                found.extend(edited(work, &kustomization, &path, &value, seen));
            }
        }
    }
    found
}
