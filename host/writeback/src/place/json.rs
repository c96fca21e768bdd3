//! JSON6902 patches of kustomization files, in files of their own or inline.

use serde_json::{Value, json};

use super::patch::{is_only, names, patches};
use super::{Seen, rewritten};
use crate::Place;
use crate::difference::Difference;
use crate::kustomization::Kustomization;
use crate::path::{Path, Step};
use crate::work::{Candidate, Work};

/// Edits of operations that set the value, or that remove it.
pub(super) fn sources(work: &Work<'_>, difference: &Difference, seen: &mut Seen) -> Vec<Candidate> {
    let mut found = Vec::new();
    for kustomization in work.kustomizations() {
        for patch in patches(&kustomization) {
            for (number, value) in patch.text.values(work) {
                let operations = value.as_array().cloned().unwrap_or_default();
                for at in (0..operations.len()).rev() {
                    for operations in edited(&operations, at, difference) {
                        let file = patch.text.file.clone();
                        let place = Place::Patch { file };
                        let value = Value::Array(operations);
                        found.extend(rewritten(work, &patch.text, number, &value, place, seen));
                    }
                }
            }
        }
    }
    found
}

/// The operations with that of this number changed so that it may give the new value.
fn edited(operations: &[Value], at: usize, difference: &Difference) -> Vec<Vec<Value>> {
    let text = |field: &str| operations.get(at)?.get(field)?.as_str();
    let (Some(op), Some(path)) = (text("op"), text("path")) else {
        return Vec::new();
    };
    let Some(rest) = rest(path, &difference.path) else {
        return Vec::new();
    };
    let with = |change: &dyn Fn(&mut Value) -> bool| {
        let mut operations = operations.to_vec();
        let done = operations.get_mut(at).is_some_and(change);
        done.then_some(operations)
    };
    let without = || {
        let mut operations = operations.to_vec();
        operations.remove(at);
        (!operations.is_empty()).then_some(operations)
    };
    let value = Path::of_fields(&["value"]).join(&rest);
    let exact = rest.steps().is_empty();
    let all = match (op, &difference.new) {
        ("add" | "replace", Some(new)) => {
            let set = |one: &mut Value| {
                let known = value.get(one).is_some() || difference.old.is_none();
                known && value.set(one, new.clone(), difference.at)
            };
            vec![with(&set)]
        }
        ("add" | "replace", None) if exact => {
            let remove = |one: &mut Value| {
                *one = json!({"op": "remove", "path": path});
                true
            };
            vec![without(), with(&remove)]
        }
        ("add" | "replace", None) => vec![with(&|one| value.remove(one))],
        ("remove", Some(_)) if exact => vec![without()],
        _ => Vec::new(),
    };
    all.into_iter().flatten().collect()
}

/// The way on from where a JSON pointer leads; nothing if it leads elsewhere. Any number stands for any item.
fn rest(pointer: &str, path: &Path) -> Option<Path> {
    let pointer = pointer.strip_prefix('/')?;
    let mut steps = path.steps().iter();
    for part in pointer.split('/') {
        let part = part.replace("~1", "/").replace("~0", "~");
        let fits = match steps.next()? {
            Step::Field(name) => *name == part,
            _ => part == "-" || part.parse::<usize>().is_ok(),
        };
        if !fits {
            return None;
        }
    }
    Some(
        steps
            .cloned()
            .fold(Path::default(), |path, step| path.child(step)),
    )
}

/// Further operations in patches that the outermost kustomization has for this object.
pub(super) fn overlays(
    work: &Work<'_>,
    difference: &Difference,
    seen: &mut Seen,
) -> Vec<Candidate> {
    let Some(outermost) = Kustomization::read(work.tree(), work.root()) else {
        return Vec::new();
    };
    let Some(more) = operations(work, difference) else {
        return Vec::new();
    };
    let kind = work
        .object(difference.object)
        .map_or("", |object| object.kind());
    let names = names(work, difference.object);
    let mut found = Vec::new();
    for patch in patches(&outermost) {
        if !is_only(patch.target.as_ref(), kind, &names) {
            continue;
        }
        for (number, value) in patch.text.values(work) {
            if let Value::Array(mut operations) = value {
                operations.extend(more.iter().cloned());
                let file = patch.text.file.clone();
                let place = Place::Patch { file };
                let value = Value::Array(operations);
                found.extend(rewritten(work, &patch.text, number, &value, place, seen));
            }
        }
    }
    found
}

/// The operations that make the difference: a test of the name of each item on the way, for its number may be another's some
/// day, and then the change.
pub(super) fn operations(work: &Work<'_>, difference: &Difference) -> Option<Vec<Value>> {
    let object = Value::from(work.object(difference.object)?.clone());
    let mut operations = Vec::new();
    let mut way = Path::default();
    for step in difference.path.steps() {
        way = way.child(step.clone());
        if let Step::Item { key, value } = step
            && way.get(&object).is_some()
        {
            let path = way.field(key).pointer(&object);
            operations.push(json!({"op": "test", "path": path, "value": value}));
        }
    }
    let mut path = difference.path.pointer(&object);
    if let (Some(at), true) = (difference.at, path.ends_with("/-")) {
        let items = path
            .strip_suffix("/-")
            .and_then(|list| object.pointer(list));
        let count = items.and_then(Value::as_array).map_or(0, Vec::len);
        if at < count {
            path = format!("{}{at}", path.strip_suffix('-')?);
        }
    }
    operations.push(match (&difference.old, &difference.new) {
        (_, None) => json!({"op": "remove", "path": path}),
        (Some(_), Some(new)) => json!({"op": "replace", "path": path, "value": new}),
        (None, Some(new)) => json!({"op": "add", "path": path, "value": new}),
    });
    Some(operations)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pointer_leads_to_a_value_or_past_it() {
        let name = Step::Item {
            key: "name",
            value: json!("web"),
        };
        let path = Path::of_fields(&["spec", "a/b"]).child(name).field("image");
        assert_eq!(rest("/spec/a~1b/0", &path).unwrap().to_string(), "image");
        assert_eq!(rest("/spec/a~1b/-/image", &path).unwrap().to_string(), "");
        assert!(rest("/spec/a~1b/0/name", &path).is_none());
        assert!(rest("/spec/a~1b/0/image/x", &path).is_none());
    }
}
