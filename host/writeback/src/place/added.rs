//! A new patch in the outermost kustomization, in a file of its own.
//!
//! A strategic merge patch where one can say it, else JSON6902 operations.

use reeve_kustomize::{Object, Tree as _, to_yaml};
use serde_json::{Map, Value, json};

use super::json::operations;
use super::patch::{lay, names};
use super::{Seen, Text, rewritten, units};
use crate::Place;
use crate::create::name::check_path;
use crate::difference::Difference;
use crate::kustomization::{Kustomization, join};
use crate::path::Path;
use crate::work::{Candidate, Work};

/// How many names are tried for the file.
const NUMBERS: usize = 9;

/// Patches to add.
pub(super) fn patches(work: &Work<'_>, difference: &Difference, seen: &mut Seen) -> Vec<Candidate> {
    let Some(outermost) = Kustomization::read(work.tree(), work.root()) else {
        seen.no_overlay = true;
        return Vec::new();
    };
    let Some(object) = work.object(difference.object) else {
        return Vec::new();
    };
    let names = names(work, difference.object);
    let name = names.first().map_or_else(|| object.name(), String::as_str);
    let Some((shown, file)) = free_file(work, &outermost.dir, object.kind(), name) else {
        return Vec::new();
    };
    let mut texts = Vec::new();
    for name in &names {
        texts.extend(strategic(work, difference, object, name).map(|text| (text, None)));
    }
    if let Some(operations) = operations(work, difference) {
        let text: String = operations.iter().map(item).collect();
        let target = |name: &String| Some((text.clone(), Some(target(object, name))));
        texts.extend(names.iter().filter_map(target));
    }
    let mut add = |(text, target): (String, Option<Value>)| {
        // A target that meets nothing is passed over, another patch is refused.
        let meets = target.is_none();
        let mut entry = Map::new();
        entry.insert("path".to_owned(), Value::from(shown.as_str()));
        entry.extend(target.map(|target| ("target".to_owned(), target)));
        let mut value = outermost.value.clone();
        let mut patches = outermost.items("patches").to_vec();
        patches.push(Value::Object(entry));
        let list = Path::of_fields(&["patches"]);
        list.set(&mut value, Value::Array(patches), None);
        let own = Text::of_file(outermost.file.as_str());
        let place = Place::NewPatch { file: file.clone() };
        let mut listed = rewritten(work, &own, outermost.number, &value, place, seen)?;
        listed.files.push((file.clone(), Some(text.into_bytes())));
        listed.meets = meets;
        Some(listed)
    };
    texts.into_iter().filter_map(&mut add).collect()
}

/// A name for the file that is not taken, as seen from the directory and in the tree.
fn free_file(work: &Work<'_>, dir: &str, kind: &str, name: &str) -> Option<(String, String)> {
    let stem = format!("patch-{}-{name}", kind.to_lowercase());
    (1..=NUMBERS).find_map(|number| {
        let shown = match number {
            1 => format!("{stem}.yaml"),
            number => format!("{stem}-{number}.yaml"),
        };
        check_path(&shown).ok()?;
        let taken = work.tree().list(dir);
        let is_taken = taken.iter().any(|name| name.eq_ignore_ascii_case(&shown));
        (!is_taken).then_some((shown.clone(), join(dir, &shown)?))
    })
}

fn strategic(
    work: &Work<'_>,
    difference: &Difference,
    object: &Object,
    name: &str,
) -> Option<String> {
    let mut metadata = Map::new();
    metadata.insert("name".to_owned(), Value::from(name));
    let units = units(work, difference.object);
    let unit = units.iter().find(|unit| unit.name() == name);
    if let Some(namespace) = unit
        .map(super::Unit::namespace)
        .filter(|text| !text.is_empty())
    {
        metadata.insert("namespace".to_owned(), Value::from(namespace));
    }
    let mut patch = json!({
        "apiVersion": object.api_version(),
        "kind": object.kind(),
        "metadata": metadata,
    });
    let done = lay(&mut patch, work, difference);
    let patch = Object::try_from(patch).ok().filter(|_| done)?;
    Some(to_yaml(&[patch]))
}

fn target(object: &Object, name: &str) -> Value {
    let mut target = Map::new();
    for (field, text) in [
        ("group", object.group()),
        ("version", object.version()),
        ("kind", object.kind()),
        ("name", name),
    ] {
        if !text.is_empty() {
            target.insert(field.to_owned(), Value::from(text));
        }
    }
    Value::Object(target)
}

/// A mapping as the item of a list.
fn item(value: &Value) -> String {
    let Value::Object(map) = value else {
        return String::new();
    };
    let text = to_yaml(&[Object::from(map.clone())]);
    let mut out = String::new();
    for (number, line) in text.lines().enumerate() {
        let lead = match (number, line) {
            (0, _) => "- ",
            (_, "") => "",
            _ => "  ",
        };
        out.push_str(&format!("{lead}{line}\n"));
    }
    out
}
