//! What the cluster changed, carried over to what the files give: three objects in, the wanted one out.
//!
//! What the server filled in is in both the defaulted and the live object, so it is no change. What stands between the
//! build and the cluster (variables, plugins) shows as a difference between the built and the applied object: a change of
//! such a value is refused.

use reeve_kustomize::{Id, Object};
use serde_json::{Map, Value};

use crate::Change;
use crate::create::without_server_fields;
use crate::difference::{differences, key_of};
use crate::refused::{Reason, Refused};

/// The built object `built` with what `change` says.
pub(crate) fn wanted(built: &Object, change: &Change) -> Result<Value, Refused> {
    let id = built.id();
    let refuse = |reason: Reason, field: String| reason.of(Some(id.clone()), field);
    if is_secret(&id) || is_secret(&change.live.id()) {
        return Err(refuse(Reason::Secret, String::new()));
    }
    let defaulted = change.defaulted.as_ref().unwrap_or(&change.applied);
    if change.live.id() != change.applied.id() || defaulted.id() != change.applied.id() {
        return Err(refuse(Reason::Identity, String::new()));
    }
    let plain = |object: &Object| Value::from(without_server_fields(object));
    let (applied, defaulted) = (plain(&change.applied), plain(defaulted));
    let live = plain(&change.live);
    let carried = carried(Some(&applied), Some(&defaulted), Some(&live), "");
    let changed = differences(0, &applied, &carried.unwrap_or_default());
    let mut out = Value::from(built.clone());
    let replaced = differences(0, &plain(built), &applied);
    for one in &changed {
        if replaced.iter().any(|other| other.path.overlaps(&one.path)) {
            return Err(refuse(Reason::Replaced, one.path.to_string()));
        }
        let done = match &one.new {
            Some(new) => one.path.set(&mut out, new.clone(), one.at),
            None => one.path.remove(&mut out),
        };
        if !done {
            return Err(refuse(Reason::Replaced, one.path.to_string()));
        }
    }
    Ok(out)
}

impl Change {
    /// The change of single fields of what was applied, by JSON pointers; no value removes a field, `-` is the end of a list.
    /// Nothing if what a field would be part of is not there.
    #[must_use]
    pub fn of_fields(applied: Object, fields: &[(&str, Option<Value>)]) -> Option<Self> {
        let mut live = Value::from(applied.clone());
        for (pointer, new) in fields {
            let (parent, last) = pointer.rsplit_once('/')?;
            let last = last.replace("~1", "/").replace("~0", "~");
            match (live.pointer_mut(parent)?, new) {
                (Value::Object(map), Some(new)) => {
                    map.insert(last, new.clone());
                }
                (Value::Object(map), None) => {
                    map.shift_remove(&last)?;
                }
                (Value::Array(items), Some(new)) if last == "-" => items.push(new.clone()),
                (Value::Array(items), Some(new)) => {
                    *items.get_mut(last.parse::<usize>().ok()?)? = new.clone();
                }
                (Value::Array(items), None) => {
                    let at = last.parse::<usize>().ok()?;
                    items.get(at)?;
                    items.remove(at);
                }
                _ => return None,
            }
        }
        Some(Self {
            live: Object::try_from(live).ok()?,
            defaulted: None,
            applied,
        })
    }
}

/// Whether the objects of this identity are Secrets.
#[must_use]
pub fn is_secret(id: &Id) -> bool {
    id.group.is_empty() && id.kind == "Secret"
}

/// `from` with what leads from `before` to `after`.
fn carried(
    from: Option<&Value>,
    before: Option<&Value>,
    after: Option<&Value>,
    field: &str,
) -> Option<Value> {
    if before == after {
        return from.cloned();
    }
    let after = after?;
    match (from, before, after) {
        (Some(Value::Object(_)) | None, Some(Value::Object(before)), Value::Object(after)) => {
            let none = Map::new();
            let map = from.and_then(Value::as_object).unwrap_or(&none);
            let mut out = Map::new();
            let more = after.keys().filter(|name| !map.contains_key(*name));
            for name in map.keys().chain(more) {
                let value = carried(map.get(name), before.get(name), after.get(name), name);
                out.extend(value.map(|value| (name.clone(), value)));
            }
            (from.is_some() || !out.is_empty()).then_some(Value::Object(out))
        }
        (Some(Value::Array(list)), Some(Value::Array(before)), Value::Array(after)) => {
            Some(Value::Array(carried_list(list, before, after, field)))
        }
        _ => Some(after.clone()),
    }
}

fn carried_list(list: &[Value], before: &[Value], after: &[Value], field: &str) -> Vec<Value> {
    if let Some(key) = key_of(field, &[list, before, after]) {
        let same = |items: &'_ [Value], item: &Value| {
            let one = items.iter().find(|one| one.get(key) == item.get(key));
            one.cloned()
        };
        let one = |item: &Value| {
            let (from, before) = (same(list, item), same(before, item));
            carried(from.as_ref(), before.as_ref(), Some(item), "")
        };
        return after.iter().filter_map(one).collect();
    }
    if list.len() == before.len() && list.len() == after.len() {
        let three = list.iter().zip(before).zip(after);
        let one = |((from, before), after)| carried(Some(from), Some(before), Some(after), "");
        return three.filter_map(one).collect();
    }
    after.to_vec()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(value: Value) -> Object {
        Object::try_from(value).unwrap()
    }

    fn web(spec: Value) -> Object {
        object(
            json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": spec}),
        )
    }

    #[test]
    fn what_the_server_filled_in_is_no_change() {
        let applied = web(json!({"replicas": 1, "containers": [{"name": "a"}]}));
        let defaulted = web(
            json!({"replicas": 1, "paused": false, "strategy": {"type": "R"}, "containers": [{"name": "a", "pull": "Always"}]}),
        );
        let live = web(
            json!({"replicas": 2, "paused": false, "strategy": {"type": "R"}, "containers": [{"name": "a", "pull": "Always", "image": "x"}]}),
        );
        let change = Change {
            applied: applied.clone(),
            defaulted: Some(defaulted),
            live,
        };
        let got = wanted(&applied, &change).unwrap();
        assert_eq!(
            got["spec"],
            json!({"replicas": 2, "containers": [{"name": "a", "image": "x"}]})
        );
    }

    #[test]
    fn a_default_that_was_changed_is_written_by_itself() {
        let applied = web(json!({"replicas": 1}));
        let change = Change {
            applied: applied.clone(),
            defaulted: Some(web(
                json!({"replicas": 1, "strategy": {"type": "R", "max": 1}}),
            )),
            live: web(json!({"replicas": 1, "strategy": {"type": "R", "max": 2}})),
        };
        let got = wanted(&applied, &change).unwrap();
        assert_eq!(got["spec"], json!({"replicas": 1, "strategy": {"max": 2}}));
    }

    #[test]
    fn a_value_that_was_replaced_after_the_build_is_refused() {
        let built = web(json!({"replicas": "${N}", "paused": true}));
        let applied = web(json!({"replicas": 1, "paused": true}));
        let change = |spec: Value| Change {
            applied: applied.clone(),
            defaulted: None,
            live: web(spec),
        };
        let refused = wanted(&built, &change(json!({"replicas": 2, "paused": true}))).unwrap_err();
        assert_eq!(
            (refused.reason, refused.field.as_str()),
            (Reason::Replaced, "spec.replicas")
        );
        let got = wanted(&built, &change(json!({"replicas": 1, "paused": false}))).unwrap();
        assert_eq!(got["spec"], json!({"replicas": "${N}", "paused": false}));
    }

    #[test]
    fn another_object_is_no_change() {
        let applied = web(json!({"replicas": 1}));
        let mut live = applied.clone();
        live.set_name("other");
        let change = Change {
            applied: applied.clone(),
            defaulted: None,
            live,
        };
        assert_eq!(
            wanted(&applied, &change).unwrap_err().reason,
            Reason::Identity
        );
    }

    #[test]
    fn single_fields_are_a_change() {
        let applied = web(json!({"replicas": 1, "paused": true, "args": ["a"]}));
        let fields = [
            ("/spec/replicas", Some(json!(2))),
            ("/spec/paused", None),
            ("/spec/args/-", Some(json!("b"))),
        ];
        let change = Change::of_fields(applied.clone(), &fields).unwrap();
        let want = web(json!({"replicas": 2, "args": ["a", "b"]}));
        assert_eq!(change.live, want);
        for nowhere in ["/spec/x/y", "replicas", "/spec/args/7", "/spec/replicas/x"] {
            let fields = [(nowhere, Some(json!(1)))];
            assert!(
                Change::of_fields(applied.clone(), &fields).is_none(),
                "{nowhere}"
            );
        }
    }
}
