//! What a plugin is configured with: several objects' content and its own, one over the other.
//!
//! Mappings are merged key by key, everything else is replaced. No value is in an error: it may be a secret's.

use reeve_kustomize::parse_yaml;
use serde_json::{Map, Value};

use crate::veil::INSTEAD;

/// The largest config, in bytes of JSON.
const LARGEST: usize = 256 << 10;
/// How deep a config may be nested.
const DEPTH: usize = 64;

/// Config of one object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// The value of one key: a mapping, in YAML or JSON.
    Document {
        /// Where it is, for people: `ConfigMap acme/stamp, key config.yaml`.
        place: String,
        /// The text.
        text: String,
    },
    /// Every key of an object, with its value as text.
    Entries(Vec<(String, String)>),
}

impl Part {
    /// The same with one and the same word for every value, for those who may not know them.
    #[must_use]
    pub fn hidden(&self) -> Self {
        match self {
            Self::Entries(entries) => {
                let entries = entries.iter();
                Self::Entries(
                    entries
                        .map(|(key, _)| (key.clone(), INSTEAD.to_owned()))
                        .collect(),
                )
            }
            Self::Document { place, text } => {
                // What cannot be read is no config, and was refused.
                let mut whole = Value::Object(parse(place.clone(), text).unwrap_or_default());
                hide(&mut whole);
                Self::Document {
                    place: place.clone(),
                    text: whole.to_string(),
                }
            }
        }
    }
}

fn hide(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(hide),
        Value::Object(map) => map.values_mut().for_each(hide),
        _ => *value = INSTEAD.into(),
    }
}

/// A config that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// The text is not YAML.
    #[error("{place} is not YAML: {why}")]
    Unreadable {
        /// Where.
        place: String,
        /// Why not, without any of it.
        why: String,
    },
    /// It is something else.
    #[error("{0} is not a mapping")]
    NoMapping(String),
    /// Together they are too much.
    #[error("the config is larger than {} KiB", LARGEST >> 10)]
    TooLarge,
    /// It is nested too deeply.
    #[error("the config is nested deeper than {DEPTH} levels")]
    TooDeep,
}

/// The parts, a later one over an earlier one, and `own` over them all. As JSON text.
pub fn combine(parts: Vec<Part>, own: &Map<String, Value>) -> Result<String, ConfigError> {
    let mut whole = Map::new();
    for part in parts {
        match part {
            Part::Document { place, text } => lay(&mut whole, parse(place, &text)?),
            Part::Entries(entries) => {
                let entries = entries.into_iter();
                lay(&mut whole, entries.map(|(k, v)| (k, v.into())).collect());
            }
        }
    }
    lay(&mut whole, own.clone());
    let whole = Value::Object(whole);
    if deeper_than(&whole, DEPTH) {
        return Err(ConfigError::TooDeep);
    }
    let text = whole.to_string();
    if text.len() > LARGEST {
        return Err(ConfigError::TooLarge);
    }
    Ok(text)
}

fn parse(place: String, text: &str) -> Result<Map<String, Value>, ConfigError> {
    if text.len() > LARGEST {
        return Err(ConfigError::TooLarge);
    }
    let mut documents = match parse_yaml(text.as_bytes(), "config") {
        Ok(documents) => documents,
        Err(why) => {
            let why = why.to_string();
            return Err(ConfigError::Unreadable { place, why });
        }
    };
    match (documents.pop(), documents.is_empty()) {
        (None | Some(Value::Null), true) => Ok(Map::new()),
        (Some(Value::Object(map)), true) => Ok(map),
        _ => Err(ConfigError::NoMapping(place)),
    }
}

/// Lays `over` over `under`. Both are as deep as a parser lets them be.
fn lay(under: &mut Map<String, Value>, over: Map<String, Value>) {
    for (key, value) in over {
        match (under.get_mut(&key), value) {
            (Some(Value::Object(below)), Value::Object(above)) => lay(below, above),
            (_, value) => {
                under.insert(key, value);
            }
        }
    }
}

fn deeper_than(value: &Value, levels: usize) -> bool {
    let Some(left) = levels.checked_sub(1) else {
        return true;
    };
    match value {
        Value::Array(items) => items.iter().any(|item| deeper_than(item, left)),
        Value::Object(map) => map.values().any(|item| deeper_than(item, left)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn document(text: &str) -> Part {
        Part::Document {
            place: "ConfigMap acme/stamp, key config.yaml".to_owned(),
            text: text.to_owned(),
        }
    }

    #[test]
    fn what_is_hidden_is_one_word_wherever_it_stands() {
        let one = document("token: abc\nnested: {list: [1, true, null], text: abc}\n");
        let other = document("token: xyz\nnested: {list: [7, false, a], text: q}\n");
        assert_eq!(one.hidden(), other.hidden());
        let entries = |value: &str| Part::Entries(vec![("token".to_owned(), value.to_owned())]);
        assert_eq!(entries("abc").hidden(), entries("").hidden());
        let told = combine(vec![one.hidden(), entries("abc").hidden()], &Map::new()).unwrap();
        assert!(!told.contains("abc") && told.contains(INSTEAD), "{told}");
    }

    fn own(value: Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn a_later_part_lies_over_an_earlier_one_and_its_own_over_all() {
        let parts = vec![
            document("labels: {team: web, tier: a}\nlist: [1, 2]\n"),
            Part::Entries(vec![("token".into(), "t".into())]),
            document(r#"{"labels": {"tier": "b"}, "list": [3]}"#),
            document(""),
        ];
        let told = combine(parts, &own(json!({"labels": {"env": "prod"}}))).unwrap();
        let told: Value = serde_json::from_str(&told).unwrap();
        let want = json!({"labels": {"team": "web", "tier": "b", "env": "prod"}, "list": [3], "token": "t"});
        assert_eq!(told, want);
    }

    #[test]
    fn what_is_no_config_is_refused_by_place_without_its_content() {
        for (text, want) in [
            ("- a", "is not a mapping"),
            ("a: 1\n---\nb: 2\n", "is not a mapping"),
            ("hunter2", "is not a mapping"),
            ("a: [hunter2", "is not YAML"),
        ] {
            let told = combine(vec![document(text)], &Map::new()).unwrap_err();
            let told = told.to_string();
            assert!(
                told.starts_with("ConfigMap acme/stamp, key config.yaml ") && told.contains(want),
                "{told}"
            );
            assert!(!told.contains("hunter2"), "{told}");
        }
    }

    #[test]
    fn a_config_is_bounded() {
        let large = format!("a: {}", "x".repeat(LARGEST));
        assert_eq!(
            combine(vec![document(&large)], &Map::new()),
            Err(ConfigError::TooLarge)
        );
        let half = "x".repeat(LARGEST / 2);
        let parts = vec![Part::Entries(vec![
            ("a".into(), half.clone()),
            ("b".into(), half),
        ])];
        assert_eq!(combine(parts, &Map::new()), Err(ConfigError::TooLarge));
        let deep = (0..DEPTH).fold(json!(1), |inner, _| json!([inner]));
        assert_eq!(
            combine(Vec::new(), &own(json!({"a": deep}))),
            Err(ConfigError::TooDeep)
        );
    }
}
