//! OPA's `json.filter` and `json.remove`: an object with only, or without, what lies at paths.
//!
//! A path is a list of keys, or a JSON pointer with its escapes; an array's keys are its positions as text. It
//! deliberately refuses paths of more than a thousand steps: no value is nested as deep.

use std::collections::{BTreeMap, BTreeSet};

use regorus::Value;

use super::Refusal;

/// The most steps of a path.
const STEPS: usize = 1_000;
/// What a step costs beside its text, in bytes.
const STEP: u64 = 160;

/// What is meant of a collection, by key.
type Parts = BTreeMap<Value, Meant>;

/// What is meant of a value.
enum Meant {
    Whole,
    Parts(Parts),
}

/// The object with only what lies at the paths.
pub(super) fn filter(arguments: &[Value]) -> Result<Value, Refusal> {
    read(arguments).map(|(object, parts)| chosen(object, &parts, false))
}

/// The object without what lies at the paths.
pub(super) fn remove(arguments: &[Value]) -> Result<Value, Refusal> {
    read(arguments).map(|(object, parts)| chosen(object, &parts, true))
}

fn read(arguments: &[Value]) -> Result<(&Value, Parts), Refusal> {
    let [object @ Value::Object(_), paths] = arguments else {
        return Err(Refusal::Argument(1, "an object"));
    };
    let paths: Vec<&Value> = match paths {
        Value::Array(items) => items.iter().collect(),
        Value::Set(items) => items.iter().collect(),
        _ => return Err(Refusal::Argument(2, "an array or a set of paths")),
    };
    let mut parts = Parts::new();
    for path in paths {
        put(&mut parts, &steps(path)?);
    }
    Ok((object, parts))
}

/// The keys on a path's way.
fn steps(path: &Value) -> Result<Vec<Value>, Refusal> {
    let steps: Vec<Value> = match path {
        Value::String(text) if text.is_empty() => Vec::new(),
        Value::String(text) => {
            let parts = text.trim_start_matches('/').split('/').take(STEPS + 1);
            let plain = |part: &str| part.replace("~1", "/").replace("~0", "~");
            parts.map(|part| plain(part).into()).collect()
        }
        Value::Array(items) => items.iter().take(STEPS + 1).cloned().collect(),
        _ => return Err(Refusal::Argument(2, "of texts and of arrays of keys")),
    };
    if steps.len() > STEPS {
        return Err(Refusal::TooMuch);
    }
    let count = u64::try_from(steps.len()).unwrap_or(u64::MAX);
    super::spend(count.saturating_mul(STEP))?;
    Ok(steps)
}

/// What is meant wholly stays so, whatever else is said of what is in it.
fn put(parts: &mut Parts, steps: &[Value]) {
    let Some((step, rest)) = steps.split_first() else {
        return;
    };
    if rest.is_empty() {
        parts.insert(step.clone(), Meant::Whole);
        return;
    }
    let inner = parts.entry(step.clone());
    match inner.or_insert_with(|| Meant::Parts(Parts::new())) {
        Meant::Whole => {}
        Meant::Parts(inner) => put(inner, rest),
    }
}

fn chosen(value: &Value, parts: &Parts, is_removed: bool) -> Value {
    let kept = |key: &Value, one: &Value| match (parts.get(key), is_removed) {
        (None, true) | (Some(Meant::Whole), false) => Some(one.clone()),
        (None, false) | (Some(Meant::Whole), true) => None,
        (Some(Meant::Parts(inner)), _) => Some(chosen(one, inner, is_removed)),
    };
    match value {
        Value::Object(fields) => {
            let fields = fields.iter();
            let fields = fields.filter_map(|(key, one)| Some((key.clone(), kept(key, one)?)));
            Value::from(fields.collect::<BTreeMap<Value, Value>>())
        }
        Value::Set(items) => {
            let items = items.iter().filter_map(|item| kept(item, item));
            Value::from(items.collect::<BTreeSet<Value>>())
        }
        Value::Array(items) => {
            let items = items.iter().enumerate();
            let items = items.filter_map(|(at, item)| kept(&at.to_string().into(), item));
            Value::from(items.collect::<Vec<Value>>())
        }
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(json: &str) -> Value {
        Value::from_json_str(json).unwrap()
    }

    #[test]
    fn a_path_may_be_a_json_pointer_or_a_list_of_keys() {
        super::super::begin();
        let object = value(r#"{"a/b": 1, "~": 2, "c": [1, {"d": 3, "e": 4}], "": 5}"#);
        for (paths, only, without) in [
            (
                r#"["/a~1b", "~0"]"#,
                r#"{"a/b": 1, "~": 2}"#,
                r#"{"c": [1, {"d": 3, "e": 4}], "": 5}"#,
            ),
            (
                r#"["//c/1/d"]"#,
                r#"{"c": [{"d": 3}]}"#,
                r#"{"a/b": 1, "~": 2, "c": [1, {"e": 4}], "": 5}"#,
            ),
            (
                r#"[["c", "0"], "c"]"#,
                r#"{"c": [1, {"d": 3, "e": 4}]}"#,
                r#"{"a/b": 1, "~": 2, "": 5}"#,
            ),
            (
                r#"["", "/"]"#,
                r#"{"": 5}"#,
                r#"{"a/b": 1, "~": 2, "c": [1, {"d": 3, "e": 4}]}"#,
            ),
            (
                r#"[["c", 0]]"#,
                r#"{"c": []}"#,
                r#"{"a/b": 1, "~": 2, "c": [1, {"d": 3, "e": 4}], "": 5}"#,
            ),
        ] {
            let arguments = [object.clone(), value(paths)];
            assert_eq!(filter(&arguments).unwrap(), value(only), "{paths}");
            assert_eq!(remove(&arguments).unwrap(), value(without), "{paths}");
        }
    }

    #[test]
    fn what_is_no_path_and_what_is_too_long_a_one_is_an_error() {
        super::super::begin();
        let long = Value::from(vec![Value::from("/a".repeat(STEPS + 1))]);
        for (object, paths) in [
            ("[1]", value(r#"["0"]"#)),
            ("{}", value(r#""a""#)),
            ("{}", value("[1]")),
            ("{}", long),
        ] {
            assert!(remove(&[value(object), paths]).is_err(), "{object}");
        }
    }
}
