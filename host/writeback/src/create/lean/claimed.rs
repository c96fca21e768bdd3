//! What of an object somebody claims to have set, by its managed fields.
//!
//! What is filled in for who applies (server-side) nobody claims, nor what admission and the server itself add; who creates or updates
//! claims what was filled in for them as well. What is claimed as a whole stays as a whole, and so does an item of a list that cannot
//! be told from others. An object without any claims stays as it is.

use reeve_kustomize::Object;
use serde_json::{Map, Value};

/// A part of the claims of one manager.
type Claims<'c> = &'c Map<String, Value>;

/// What is claimed of the object, by the managed fields of `live`; all of its metadata.
pub(super) fn only(object: &Object, live: &Object) -> Object {
    let managed = live
        .get("/metadata/managedFields")
        .and_then(Value::as_array);
    let claims = managed.into_iter().flatten();
    let claims = claims.filter_map(|one| one.get("fieldsV1")?.as_object());
    let claims: Vec<Claims<'_>> = claims.filter(|one| !one.is_empty()).collect();
    let mut out = object.clone();
    if claims.is_empty() {
        return out;
    }
    out.fields_mut().retain(|name, value| {
        !super::is_content(name) || {
            let below = of_field(&claims, name);
            is_claimed(value, &below)
        }
    });
    out
}

fn of_field<'c>(claims: &[Claims<'c>], name: &str) -> Vec<Claims<'c>> {
    let name = format!("f:{name}");
    let all = claims.iter().filter_map(|one| one.get(&name)?.as_object());
    all.collect()
}

/// Whether anybody claims the value; what nobody claims below it is taken out of it.
fn is_claimed(value: &mut Value, claims: &[Claims<'_>]) -> bool {
    if claims.is_empty() {
        return false;
    }
    if claims.iter().any(|one| one.is_empty()) {
        return true;
    }
    match value {
        Value::Object(fields) => {
            fields.retain(|name, value| is_claimed(value, &of_field(claims, name)));
        }
        Value::Array(items) => {
            for item in items {
                less_of_item(item, claims);
            }
        }
        _ => {}
    }
    true
}

/// Takes what nobody claims out of an item of a list, but not what tells it from others.
fn less_of_item(item: &mut Value, claims: &[Claims<'_>]) {
    let mut keys = Map::new();
    let mut below: Vec<Claims<'_>> = Vec::new();
    for (name, claim) in claims.iter().flat_map(|one| one.iter()) {
        let Some(text) = name.strip_prefix("k:") else {
            continue;
        };
        let Ok(Value::Object(key)) = serde_json::from_str(text) else {
            continue;
        };
        let is_it = key
            .iter()
            .all(|(name, value)| item.get(name) == Some(value));
        if let (true, Some(claim)) = (is_it, claim.as_object()) {
            keys.extend(key);
            below.push(claim);
        }
    }
    if below.is_empty() {
        return;
    }
    is_claimed(item, &below);
    if let Value::Object(fields) = item {
        for (name, value) in keys {
            fields.entry(name).or_insert(value);
        }
    }
}
