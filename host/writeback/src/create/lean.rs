//! An object without what the API server fills in where nothing is said.
//!
//! Two things are left out: what Kubernetes documents as the default of a field of its own kinds (`known`), and what nobody claims
//! to have set (`claimed`). Whether the server does make the same object of what is left is its own to say: who can ask it puts back
//! what came otherwise ([`restored`]). Metadata are left as they are. It deliberately asks nobody.

mod claimed;
mod known;

use reeve_kustomize::Object;
use serde_json::{Map, Value};

use crate::difference::key_of;

/// The object without defaults of the API, which an API server of any cluster fills in.
#[must_use]
pub fn without_defaults(object: &Object) -> Object {
    let mut out = object.clone();
    let (version, kind) = (out.api_version().to_owned(), out.kind().to_owned());
    if let Some(Value::Object(spec)) = out.fields_mut().get_mut("spec") {
        known::take_out(&version, &kind, spec);
    }
    out
}

/// The object without what nobody claims to have set, by the managed fields of `live`.
#[must_use]
pub fn without_unclaimed(object: &Object, live: &Object) -> Object {
    match is_bound(live) {
        true => object.clone(),
        false => claimed::only(object, live),
    }
}

/// `lean`, which is `live` without some fields, with those of them that the server did not fill in the same: `made` is what it makes
/// of `lean`. What is equal to `lean` needs nothing more.
#[must_use]
pub fn restored(lean: &Object, made: &Object, live: &Object) -> Object {
    let mut out = live.clone();
    for (name, value) in live.fields().iter().filter(|(name, _)| is_content(name)) {
        let kept = put_back(lean.fields().get(name), made.fields().get(name), value);
        match kept {
            Some(kept) => drop(out.fields_mut().insert(name.clone(), kept)),
            None => drop(out.fields_mut().shift_remove(name)),
        }
    }
    out
}

/// The fields of `live` that `lean` or `file` has, all with the values of `live`: what is the same is said where somebody says it.
#[must_use]
pub fn as_said(live: &Object, lean: &Object, file: Option<&Object>) -> Object {
    let mut out = live.clone();
    for (name, value) in live.fields().iter().filter(|(name, _)| is_content(name)) {
        let (lean, file) = (
            lean.fields().get(name),
            file.and_then(|file| file.fields().get(name)),
        );
        match lean.is_none() && file.is_none() {
            true => drop(out.fields_mut().shift_remove(name)),
            false => {
                let kept = said(value, lean, file, name);
                drop(out.fields_mut().insert(name.clone(), kept));
            }
        }
    }
    out
}

/// Puts defaults of the API that `live` has where `value` has nothing: who claims them has added nothing.
pub fn with_defaults(value: &mut Value, live: &Value) {
    let Ok(object) = Object::try_from(live.clone()) else {
        return;
    };
    let lean = without_defaults(&object);
    for (name, live) in object.fields().iter().filter(|(name, _)| is_content(name)) {
        if let Some(value) = value.get_mut(name) {
            fill(value, live, lean.fields().get(name), name);
        }
    }
}

/// Whether an object is one of two that are bound to each other: which one is said by the other's maker, and is no default.
#[must_use]
pub fn is_bound(object: &Object) -> bool {
    let kind = object.kind();
    object.group() == "snapshot.storage.k8s.io"
        || (object.group().is_empty() && kind.starts_with("PersistentVolume"))
}

/// Whether a field is neither what names the object nor what tells how it is.
fn is_content(name: &str) -> bool {
    !matches!(name, "apiVersion" | "kind" | "metadata" | "status")
}

fn put_back(lean: Option<&Value>, made: Option<&Value>, live: &Value) -> Option<Value> {
    if made == Some(live) {
        return lean.cloned();
    }
    match (made, live) {
        (Some(Value::Object(made)), Value::Object(live_fields)) => {
            let more = made.keys().any(|name| !live_fields.contains_key(name));
            if lean.is_none() && more {
                // It is filled in otherwise unless it is said to be like this.
                return Some(live.clone());
            }
            let of = |name: &String| lean.and_then(|lean| lean.get(name));
            let fields = live_fields.iter().filter_map(|(name, live)| {
                let kept = put_back(of(name), made.get(name), live)?;
                Some((name.clone(), kept))
            });
            Some(Value::Object(fields.collect()))
        }
        (Some(Value::Array(made)), Value::Array(items)) => match lean {
            Some(Value::Array(lean)) if lean.len() == items.len() && made.len() == items.len() => {
                let all = lean.iter().zip(made).zip(items);
                let kept = all.map(|((lean, made), live)| {
                    put_back(Some(lean), Some(made), live).unwrap_or_else(|| live.clone())
                });
                Some(Value::Array(kept.collect()))
            }
            _ => Some(live.clone()),
        },
        _ => Some(live.clone()),
    }
}

fn said(live: &Value, lean: Option<&Value>, file: Option<&Value>, field: &str) -> Value {
    match live {
        Value::Object(fields) => {
            let mut out = Map::new();
            for (name, value) in fields {
                let lean = lean.and_then(|lean| lean.get(name));
                let file = file.and_then(|file| file.get(name));
                if lean.is_some() || file.is_some() {
                    out.insert(name.clone(), said(value, lean, file, name));
                }
            }
            Value::Object(out)
        }
        Value::Array(items) => {
            let all = items.iter().enumerate().map(|(at, item)| {
                match (
                    same(items, at, item, lean, field),
                    same(items, at, item, file, field),
                ) {
                    (None, None) => item.clone(),
                    (lean, file) => said(item, lean, file, ""),
                }
            });
            Value::Array(all.collect())
        }
        live => live.clone(),
    }
}

/// Puts what `live` has and `lean` does not have where `value` has nothing.
fn fill(value: &mut Value, live: &Value, lean: Option<&Value>, field: &str) {
    match (value, live) {
        (Value::Object(fields), Value::Object(live)) => {
            for (name, live) in live {
                let lean = lean.and_then(|lean| lean.get(name));
                match fields.get_mut(name) {
                    Some(value) => fill(value, live, lean, name),
                    None if lean.is_none() => drop(fields.insert(name.clone(), live.clone())),
                    None => {}
                }
            }
        }
        (Value::Array(items), live) => {
            let before = items.clone();
            for (at, item) in items.iter_mut().enumerate() {
                let found = same(&before, at, &item.clone(), Some(live), field);
                if let Some(live_item) = found {
                    let lean = of_item(live, live_item, lean);
                    // What was left out of a list as a whole is no item's.
                    if lean.is_some() {
                        fill(item, live_item, lean, "");
                    }
                }
            }
        }
        _ => {}
    }
}

/// The item of the other list that is the same as that of this one.
fn same<'o>(
    items: &[Value],
    at: usize,
    item: &Value,
    other: Option<&'o Value>,
    field: &str,
) -> Option<&'o Value> {
    let other = other?.as_array()?;
    match key_of(field, &[items, other]) {
        Some(key) => other.iter().find(|one| one.get(key) == item.get(key)),
        None if items.len() == other.len() => other.get(at),
        None => None,
    }
}

/// What is left of an item of a list of which no item was left out.
fn of_item<'l>(list: &Value, item: &Value, lean: Option<&'l Value>) -> Option<&'l Value> {
    let at = list.as_array()?.iter().position(|one| one == item)?;
    lean?.as_array()?.get(at)
}

#[cfg(test)]
mod tests;
