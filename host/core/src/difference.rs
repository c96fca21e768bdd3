//! What applying would change of an object, for people: both sides, and field by field.
//!
//! What the server keeps itself is no part of it, and no value of a Secret is: only whether it would be another. It
//! deliberately asks nobody what applying would do; the shell has asked the API server.

use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::{Map, Value};

/// How many fields of an object are told.
const FIELDS: usize = 100;
/// What stands for a value that must not be told.
const HIDDEN: &str = "***";
/// What kubectl leaves behind: the whole object once more, a Secret's values with it.
const LEFT_BEHIND: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// An object before and after.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sides {
    /// As it is; None: it is not there.
    pub before: Option<Value>,
    /// As it would be; None: it would be deleted.
    pub after: Option<Value>,
}

/// A field that would be another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Field {
    /// Where it is: `spec.containers[0].image`.
    pub path: String,
    /// What it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<Value>,
    /// What it would be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<Value>,
}

impl Sides {
    /// Of an object as it is and as it would be.
    pub fn of(before: Option<Value>, after: Option<Value>) -> Self {
        let (mut before, mut after) = (before, after);
        [&mut before, &mut after]
            .into_iter()
            .flatten()
            .for_each(strip);
        for place in ["data", "stringData"] {
            hide(place, before.as_mut(), after.as_mut());
        }
        Self { before, after }
    }

    /// The fields that differ; none of an object that comes or goes, which is another as a whole.
    pub fn fields(&self) -> Vec<Field> {
        let mut fields = Vec::new();
        if let (Some(before), Some(after)) = (&self.before, &self.after) {
            compare("", Some(before), Some(after), &mut fields);
        }
        fields
    }
}

fn strip(object: &mut Value) {
    let Some(fields) = object.as_object_mut() else {
        return;
    };
    fields.shift_remove("status");
    if let Some(meta) = fields.get_mut("metadata").and_then(Value::as_object_mut) {
        strip_metadata(meta);
    }
}

/// Takes what the server keeps by itself, and what kubectl leaves behind, out of an object's metadata.
pub fn strip_metadata(meta: &mut Map<String, Value>) {
    for own in [
        "managedFields",
        "resourceVersion",
        "generation",
        "creationTimestamp",
        "uid",
        "selfLink",
    ] {
        meta.shift_remove(own);
    }
    if let Some(annotations) = meta.get_mut("annotations").and_then(Value::as_object_mut) {
        annotations.shift_remove(LEFT_BEHIND);
        if annotations.is_empty() {
            meta.shift_remove("annotations");
        }
    }
}

fn is_secret(object: &Value) -> bool {
    let is = |field: &str, want: &str| object.get(field).and_then(Value::as_str) == Some(want);
    is("kind", "Secret") && is("apiVersion", "v1")
}

fn values<'v>(place: &str, side: Option<&'v mut Value>) -> Option<&'v mut Value> {
    side.filter(|object| is_secret(object))?.get_mut(place)
}

/// Hides the values of a Secret: what would be another shows as that.
fn hide(place: &str, before: Option<&mut Value>, after: Option<&mut Value>) {
    let (mut before, mut after) = (values(place, before), values(place, after));
    let of = |side: &Option<&mut Value>| -> Map<String, Value> {
        let map = side.as_deref().and_then(Value::as_object);
        map.cloned().unwrap_or_default()
    };
    let (was, is) = (of(&before), of(&after));
    let covered = |own: &Map<String, Value>, other: &Map<String, Value>, when: &str| {
        let cover = |(key, value): (&String, &Value)| {
            let shown = match other.get(key) {
                Some(other) if other != value => format!("{HIDDEN} ({when})"),
                _ => HIDDEN.to_owned(),
            };
            (key.clone(), Value::String(shown))
        };
        Value::Object(own.iter().map(cover).collect())
    };
    if let Some(side) = &mut before {
        **side = covered(&was, &is, "before");
    }
    if let Some(side) = &mut after {
        **side = covered(&is, &was, "after");
    }
}

fn compare(path: &str, before: Option<&Value>, after: Option<&Value>, fields: &mut Vec<Field>) {
    if before == after || fields.len() >= FIELDS {
        return;
    }
    match (before, after) {
        (Some(Value::Object(before)), Some(Value::Object(after))) => {
            let keys: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
            for key in keys {
                let path = format!("{path}.{key}");
                compare(&path, before.get(key), after.get(key), fields);
            }
        }
        (Some(Value::Array(before)), Some(Value::Array(after))) if before.len() == after.len() => {
            for (at, (before, after)) in before.iter().zip(after).enumerate() {
                let path = format!("{path}[{at}]");
                compare(&path, Some(before), Some(after), fields);
            }
        }
        _ => fields.push(Field {
            path: path.trim_start_matches('.').to_owned(),
            before: before.cloned(),
            after: after.cloned(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn told(sides: &Sides) -> Vec<String> {
        let side = |side: &Option<Value>| {
            side.as_ref()
                .map_or_else(|| "-".to_owned(), Value::to_string)
        };
        let told = |one: &Field| format!("{} {} {}", one.path, side(&one.before), side(&one.after));
        sides.fields().iter().map(told).collect()
    }

    #[test]
    fn each_field_is_told_with_what_it_is_and_would_be_but_for_what_the_server_keeps() {
        let live = json!({"kind": "Thing", "metadata": {"name": "a", "uid": "1", "resourceVersion": "7",
            "annotations": {LEFT_BEHIND: "{}"}, "managedFields": [{}]},
            "spec": {"replicas": 1, "list": [{"image": "a:1"}], "args": ["x"], "gone": true}, "status": {"seen": 1}});
        let applied = json!({"kind": "Thing", "metadata": {"name": "a", "uid": "2", "labels": {"new": "1"}},
            "spec": {"replicas": 2, "list": [{"image": "a:2"}], "args": ["x", "y"]}, "status": {"seen": 2}});
        let sides = Sides::of(Some(live), Some(applied));
        let want = [
            "metadata.labels - {\"new\":\"1\"}",
            "spec.args [\"x\"] [\"x\",\"y\"]",
            "spec.gone true -",
            "spec.list[0].image \"a:1\" \"a:2\"",
            "spec.replicas 1 2",
        ];
        assert_eq!(told(&sides), want);
        assert_eq!(sides.before.unwrap()["metadata"], json!({"name": "a"}));
    }

    #[test]
    fn no_value_of_a_secret_is_told_on_either_side() {
        let secret = |data: Value| {
            json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a", "annotations":
                {LEFT_BEHIND: data.to_string()}}, "data": data, "stringData": {"more": "hunter2"}})
        };
        let live = secret(json!({"same": "hunter2", "other": "hunter2", "gone": "hunter2"}));
        let applied = secret(json!({"same": "hunter2", "other": "hunter3", "new": "hunter2"}));
        let both = Sides::of(Some(live.clone()), Some(applied));
        let want = [
            "data.gone \"***\" -",
            "data.new - \"***\"",
            "data.other \"*** (before)\" \"*** (after)\"",
        ];
        assert_eq!(told(&both), want);
        let anew = Sides::of(None, Some(live.clone()));
        let gone = Sides::of(Some(live), None);
        for sides in [both, anew, gone] {
            assert!(!format!("{sides:?}").contains("hunter"), "{sides:?}");
        }
    }

    #[test]
    fn what_comes_or_goes_is_another_as_a_whole_and_many_fields_are_told_in_part() {
        let map = |value: &str| {
            let keys = (0..500).map(|at| (format!("k{at}"), json!(value)));
            Some(json!({"data": Value::Object(keys.collect())}))
        };
        assert!(Sides::of(None, map("a")).fields().is_empty());
        assert_eq!(Sides::of(map("a"), map("b")).fields().len(), FIELDS);
    }
}
