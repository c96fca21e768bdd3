//! What a plugin is shown of Secrets, and could put anywhere: into another object, into its refusal, into its log.
//!
//! A value that stood outside of Secrets before the plugin saw it is no news, as a whole text or as a word of one: a port, the
//! name of a database. Covering it would make what is told of other objects unreadable. It deliberately knows nothing of what
//! a plugin makes of a value, but for what [`Veil`] knows of how one is written.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use super::{SHORTEST, Veil};

/// An object's fields.
pub(crate) type Fields = Map<String, Value>;

/// A copy of all of it, left there by `kubectl apply`.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// The values of the Secrets that a plugin was shown, and of those that it made.
pub(crate) fn secrets<'o>(
    before: impl Iterator<Item = &'o Fields> + Clone,
    after: impl Iterator<Item = &'o Fields>,
) -> Veil {
    let mut values = BTreeSet::new();
    for secret in before.clone().chain(after).filter(|one| is_secret(one)) {
        values.extend(values_of(secret));
    }
    if values.is_empty() {
        return Veil::default();
    }
    for object in before {
        spare_in(object, is_secret(object), &mut values);
    }
    Veil::plainly(values)
}

fn is_secret(object: &Fields) -> bool {
    let is = |field: &str, wanted: &str| object.get(field).and_then(Value::as_str) == Some(wanted);
    is("kind", "Secret") && is("apiVersion", "v1")
}

/// As text, where it is one, and else as it is encoded.
fn values_of(secret: &Fields) -> Vec<String> {
    let texts = |field: &str| {
        let fields = secret.get(field).and_then(Value::as_object);
        let values = fields.into_iter().flat_map(Map::values);
        values.filter_map(Value::as_str)
    };
    let decoded = texts("data").map(|encoded| {
        let bare: String = encoded.split_whitespace().collect();
        let bytes = STANDARD.decode(&bare).ok();
        let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
        text.unwrap_or_else(|| bare.trim_end_matches('=').to_owned())
    });
    let plain = texts("stringData").map(str::to_owned);
    decoded.chain(plain).collect()
}

/// Spares what stands there in the clear.
fn spare_in(object: &Fields, is_secret: bool, values: &mut BTreeSet<String>) {
    for (key, value) in object {
        let is_hidden = is_secret && (key == "data" || key == "stringData");
        match value {
            // Its keys are told.
            Value::Object(hidden) if is_hidden => hidden.keys().for_each(|key| spare(key, values)),
            _ if is_hidden => {}
            value => {
                spare(key, values);
                spare_all(value, values);
            }
        }
    }
}

fn spare_all(value: &Value, values: &mut BTreeSet<String>) {
    match value {
        Value::String(text) => spare(text, values),
        Value::Number(number) => spare(&number.to_string(), values),
        Value::Bool(flag) => spare(&flag.to_string(), values),
        Value::Array(items) => items.iter().for_each(|item| spare_all(item, values)),
        Value::Object(fields) => {
            for (key, value) in fields.iter().filter(|(key, _)| *key != LAST_APPLIED) {
                spare(key, values);
                spare_all(value, values);
            }
        }
        Value::Null => {}
    }
}

fn spare(text: &str, values: &mut BTreeSet<String>) {
    values.remove(text);
    let words = text.split(|c: char| !c.is_alphanumeric());
    for word in words.filter(|word| word.len() >= SHORTEST) {
        values.remove(word);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn veil(before: &[Value], after: &[Value]) -> Veil {
        let fields = |all: &[Value]| -> Vec<Fields> {
            let fields = all.iter().map(|one| one.as_object().unwrap().clone());
            fields.collect()
        };
        secrets(fields(before).iter(), fields(after).iter())
    }

    fn secret(field: &str, values: Value) -> Value {
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "db"}, field: values})
    }

    fn map(data: Value) -> Value {
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "map"}, "data": data})
    }

    #[test]
    fn values_of_secrets_are_covered_plain_and_encoded_before_and_after() {
        let before = [
            secret(
                "data",
                json!({"password": "aHVudGVyMg==", "raw": "/////w=="}),
            ),
            secret("stringData", json!({"token": "sesame-open"})),
        ];
        let after = [secret("stringData", json!({"made": "mellon-speak"}))];
        let veil = veil(&before, &after);
        for told in [
            "hunter2",
            "aHVudGVyMg==",
            "/////w",
            "sesame-open",
            "c2VzYW1lLW9wZW4=",
            "mellon-speak",
        ] {
            let covered = veil.cover(format!("it is {told}"));
            assert_eq!(covered.trim_end_matches('='), "it is ***", "{told}");
        }
    }

    #[test]
    fn what_stood_in_the_clear_before_the_plugin_saw_it_is_spared() {
        let values = json!({
            "host": "postgres", "port": "5432", "user": "owner-of-it", "flag": "true",
            "password": "hunter2", "url": "postgres://db:5432",
        });
        let clear = map(
            json!({"image": "registry.example/postgres:16", "port": 5432, "owner-of-it": true}),
        );
        let copied = map(json!({"copied": "hunter2"}));
        let veil = veil(&[secret("stringData", values), clear], &[copied]);
        for (bare, told) in [
            (
                "postgres at 5432 is true for owner-of-it",
                "postgres at 5432 is true for owner-of-it",
            ),
            ("hunter2 at postgres://db:5432", "*** at ***"),
        ] {
            assert_eq!(veil.cover(bare.to_owned()), told);
        }
    }

    #[test]
    fn a_copy_that_kubectl_left_spares_nothing_and_other_kinds_have_no_values() {
        let mut own = secret("stringData", json!({"password": "hunter2"}));
        own["metadata"]["annotations"] = json!({LAST_APPLIED: "{\"password\":\"hunter2\"}"});
        assert_eq!(veil(&[own], &[]).cover("hunter2".to_owned()), "***");
        let mut other = secret("stringData", json!({"a": "hunter2"}));
        other["apiVersion"] = json!("acme.example/v1");
        assert!(veil(&[other], &[]).is_nothing());
    }
}
