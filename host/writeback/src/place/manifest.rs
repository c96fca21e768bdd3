//! The object's own manifest.

use serde_json::Value;

use super::{Seen, Text, rewritten};
use crate::Place;
use crate::difference::Difference;
use crate::path::Path;
use crate::work::{Candidate, Work};

/// A manifest that may be the object's: a document of its file, or an item of a list in it.
#[derive(Clone, Debug)]
pub(crate) struct Unit {
    pub(crate) file: String,
    /// The number of the document.
    pub(crate) number: usize,
    /// The whole document.
    pub(crate) document: Value,
    /// The way to the manifest in it.
    pub(crate) path: Path,
}

impl Unit {
    fn metadata(&self, field: &str) -> &str {
        let manifest = self.path.get(&self.document);
        let value = manifest.and_then(|manifest| manifest.get("metadata")?.get(field)?.as_str());
        value.unwrap_or_default()
    }

    /// The name before the build changes it.
    pub(crate) fn name(&self) -> &str {
        self.metadata("name")
    }

    /// The namespace before the build changes it.
    pub(crate) fn namespace(&self) -> &str {
        self.metadata("namespace")
    }
}

/// The manifests in the object's file that may be its own, the likeliest first.
pub(crate) fn units(work: &Work<'_>, number: usize) -> Vec<Unit> {
    let (Some(object), Some(file)) = (work.object(number), work.trace(number).file) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for (number, document) in Text::of_file(file.as_str()).values(work) {
        let items = document.get("items").and_then(Value::as_array);
        let is_list = document
            .get("kind")
            .and_then(Value::as_str)
            .is_some_and(|kind| kind.ends_with("List"));
        let items = items.filter(|_| is_list).map_or(0, Vec::len);
        let paths: Vec<Path> = match items {
            0 => vec![Path::default()],
            items => {
                let list = Path::of_fields(&["items"]);
                (0..items).map(|at| list.index(at)).collect()
            }
        };
        found.extend(paths.into_iter().map(|path| Unit {
            file: file.clone(),
            number,
            document: document.clone(),
            path,
        }));
    }
    found.retain(|unit| {
        let kind = unit.path.field("kind");
        let kind = kind.get(&unit.document).and_then(Value::as_str);
        let name = unit.name();
        kind == Some(object.kind()) && !name.is_empty() && object.name().contains(name)
    });
    // The longest name is the one that lacks least.
    found.sort_by_key(|unit| std::cmp::Reverse(unit.name().len()));
    found
}

/// Edits of the manifest.
pub(super) fn sources(work: &Work<'_>, difference: &Difference, seen: &mut Seen) -> Vec<Candidate> {
    let units = units(work, difference.object);
    let file = work.trace(difference.object).file;
    if let (true, Some(file)) = (units.is_empty(), file) {
        let text = Text::of_file(file);
        seen.unwritable = seen.unwritable.take().or_else(|| text.fault(work));
    }
    let edit = |unit: Unit| {
        let path = unit.path.join(&difference.path);
        let mut document = unit.document;
        if difference.old.is_some() && path.get(&document).is_none() {
            return None;
        }
        let done = match &difference.new {
            Some(new) => path.set(&mut document, new.clone(), difference.at),
            None => path.remove(&mut document),
        };
        let place = Place::Manifest {
            file: unit.file.clone(),
        };
        let text = Text::of_file(unit.file);
        done.then(|| rewritten(work, &text, unit.number, &document, place, seen))?
    };
    units.into_iter().filter_map(edit).collect()
}
