//! Strategic merge patches of kustomization files, in files of their own or inline.

use serde_json::{Map, Value};

use super::{Seen, Text, rewritten, units};
use crate::Place;
use crate::difference::Difference;
use crate::kustomization::{Kustomization, join};
use crate::path::{Path, Step};
use crate::work::{Candidate, Work};

/// A patch of a kustomization file: where its text is, and whom it is for.
pub(super) struct Patch {
    pub(super) text: Text,
    pub(super) target: Option<Value>,
}

/// The patches of a kustomization, the last that is applied first.
pub(super) fn patches(kustomization: &Kustomization) -> Vec<Patch> {
    let mut found = Vec::new();
    for field in ["patchesStrategicMerge", "patches", "patchesJson6902"] {
        for (at, entry) in kustomization.items(field).iter().enumerate() {
            let here = Path::of_fields(&[field]).index(at);
            let file = |path: &str| join(&kustomization.dir, path).map(Text::of_file);
            let inline = |path: Path| Text {
                file: kustomization.file.clone(),
                inside: Some((kustomization.number, path)),
            };
            let text = match entry {
                Value::String(text) if text.contains('\n') || text.contains(": ") => {
                    Some(inline(here))
                }
                Value::String(path) => file(path),
                entry => match entry.get("path").and_then(Value::as_str) {
                    Some(path) => file(path),
                    None => entry.get("patch").map(|_| inline(here.field("patch"))),
                },
            };
            let target = entry.get("target").cloned();
            found.extend(text.map(|text| Patch { text, target }));
        }
    }
    found.reverse();
    found
}

/// Edits of patches that set the value.
pub(super) fn sources(work: &Work<'_>, difference: &Difference, seen: &mut Seen) -> Vec<Candidate> {
    let kind = work
        .object(difference.object)
        .map_or("", |object| object.kind());
    let mut found = Vec::new();
    for kustomization in work.kustomizations() {
        for patch in patches(&kustomization) {
            for (number, mut value) in patch.text.values(work) {
                let written = value.get("kind").and_then(Value::as_str);
                let fits = written == Some(kind) || patch.target.is_some() && value.is_object();
                if !fits || difference.path.get(&value).is_none() {
                    continue;
                }
                let done = match &difference.new {
                    Some(new) => difference.path.set(&mut value, new.clone(), difference.at),
                    None => difference.path.remove(&mut value),
                };
                let file = patch.text.file.clone();
                let place = Place::Patch { file };
                if done {
                    found.extend(rewritten(work, &patch.text, number, &value, place, seen));
                }
            }
        }
    }
    found
}

/// The same value put into patches that the outermost kustomization has for this object.
pub(super) fn overlays(
    work: &Work<'_>,
    difference: &Difference,
    seen: &mut Seen,
) -> Vec<Candidate> {
    let Some(outermost) = Kustomization::read(work.tree(), work.root()) else {
        return Vec::new();
    };
    let kind = work
        .object(difference.object)
        .map_or("", |object| object.kind());
    let names = names(work, difference.object);
    let mut found = Vec::new();
    for patch in patches(&outermost) {
        for (number, mut value) in patch.text.values(work) {
            let name = value.pointer("/metadata/name").and_then(Value::as_str);
            let written = value.get("kind").and_then(Value::as_str);
            let known = name.is_some_and(|name| names.iter().any(|known| known == name));
            let meant = patch.target.is_none() && known && written == Some(kind)
                || is_only(patch.target.as_ref(), kind, &names) && value.is_object();
            if meant && lay(&mut value, work, difference) {
                let file = patch.text.file.clone();
                let place = Place::Patch { file };
                found.extend(rewritten(work, &patch.text, number, &value, place, seen));
            }
        }
    }
    found
}

/// Whether a target names one object by kind and name, and it is this one.
pub(super) fn is_only(target: Option<&Value>, kind: &str, names: &[String]) -> bool {
    let text = |field: &str| target?.get(field)?.as_str();
    let selects = ["labelSelector", "annotationSelector"];
    text("kind") == Some(kind)
        && text("name").is_some_and(|name| names.iter().any(|known| known == name))
        && selects.iter().all(|field| text(field).is_none())
}

/// The names that a patch of the outermost kustomization may call the object by.
pub(super) fn names(work: &Work<'_>, number: usize) -> Vec<String> {
    let own = work.object(number).map(|object| object.name().to_owned());
    let mut names: Vec<String> = units(work, number)
        .iter()
        .map(|unit| unit.name().to_owned())
        .collect();
    if work.trace(number).is_generated {
        // Before the digest was put behind it.
        let all = work.kustomizations();
        let entries = all.iter().flat_map(|one| one.items("configMapGenerator"));
        let generated = entries.filter_map(|entry| entry.get("name")?.as_str());
        let is_own = |name: &&str| own.as_ref().is_some_and(|own| own.contains(*name));
        names.extend(generated.filter(is_own).map(str::to_owned));
    }
    names.extend(own);
    names.dedup();
    names
}

/// Puts the difference into a strategic merge patch.
pub(super) fn lay(patch: &mut Value, work: &Work<'_>, difference: &Difference) -> bool {
    let Some(wanted) = work.wanted(difference.object) else {
        return false;
    };
    if let Some(list) = difference.path.to_list_without_keys() {
        // Such a list is replaced as a whole.
        let new = list.get(wanted).cloned().unwrap_or_default();
        return list.set(patch, new, None);
    }
    match (&difference.new, difference.path.steps().last()) {
        (Some(new), _) => difference.path.set(patch, new.clone(), None),
        (None, Some(Step::Item { key, value })) => {
            let mut item = Map::new();
            item.insert((*key).to_owned(), value.clone());
            item.insert("$patch".to_owned(), Value::from("delete"));
            difference.path.set(patch, Value::Object(item), None)
        }
        (None, _) => difference.path.set(patch, Value::Null, None),
    }
}
