//! What the loader writes into policies, where regorus would not wait (`rego/order.rs`). No policy may call these.

use regorus::Value;

pub(in crate::rego) const LOOKUP: &str = "reeve_lookup";
pub(in crate::rego) const AFTER: &str = "reeve_after";

type Function = fn(&[Value]) -> Value;

/// Both, which take two arguments.
pub(super) const WRITTEN: [(&str, Function); 2] = [(LOOKUP, looked_up), (AFTER, after)];

/// What a collection has at a path; no value where it has nothing there.
fn looked_up(arguments: &[Value]) -> Value {
    let [collection, Value::Array(path)] = arguments else {
        return Value::Undefined;
    };
    let mut found = collection.clone();
    for step in path.iter() {
        let next = match &found {
            Value::Object(fields) => fields.get(step).cloned(),
            Value::Set(items) => items.get(step).cloned(),
            Value::Array(items) => {
                let at = step.as_u64().ok().and_then(|at| usize::try_from(at).ok());
                at.and_then(|at| items.get(at)).cloned()
            }
            _ => None,
        };
        let Some(next) = next else {
            return Value::Undefined;
        };
        found = next;
    }
    found
}

/// The first of two.
fn after(arguments: &[Value]) -> Value {
    arguments.first().cloned().unwrap_or(Value::Undefined)
}
