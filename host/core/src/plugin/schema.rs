//! The JSON Schema that a component carries for its config.
//!
//! A stranger wrote it. So patterns match in linear time, nothing is fetched, references lead to parts of the document
//! itself and not in circles, and the work that it asks for is weighed before it is begun.

use std::collections::BTreeMap;

use jsonschema::{Draft, PatternOptions, Validator};
use serde_json::Value;

/// The largest schema, counted with everything that is referred to written out.
const WEIGHT: u64 = 20_000;
/// How many steps looking at a config may take: the schema's weight for each of its values.
const WORK: u64 = 20_000_000;
/// How deep a schema may be nested.
const DEPTH: usize = 64;
/// How many violations are told.
const TOLD: usize = 5;

/// A schema that can be held against configs.
#[derive(Debug)]
pub struct Schema {
    validator: Validator,
    weight: u64,
}

/// A schema, or a config, that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SchemaError {
    /// The component's schema is at fault.
    #[error("the schema of its config cannot be used: {0}")]
    Unusable(String),
    /// The config is not what the schema asks for.
    #[error("the config is not what the component asks for: {0}")]
    Mismatch(String),
    /// Both are so large that nobody can wait for it.
    #[error("the config and its schema are too large to be held against each other")]
    TooMuch,
}

impl Schema {
    /// Reads a schema.
    pub fn parse(document: &Value) -> Result<Self, SchemaError> {
        let mut scales = Scales {
            document,
            known: BTreeMap::new(),
        };
        let weight = scales.weigh(document, DEPTH)?;
        let validator = jsonschema::options()
            .with_draft(Draft::Draft202012)
            .with_pattern_options(PatternOptions::regex().size_limit(1 << 20))
            .build(document)
            .map_err(|why| SchemaError::Unusable(shortened(&why.masked().to_string())))?;
        Ok(Self { validator, weight })
    }

    /// Holds a config against it. No value of the config is in an error.
    pub fn check(&self, config: &Value) -> Result<(), SchemaError> {
        if self.weight.saturating_mul(size(config)) > WORK {
            return Err(SchemaError::TooMuch);
        }
        let mut told = Vec::new();
        for wrong in self.validator.iter_errors(config).take(TOLD) {
            let place = wrong.instance_path().to_string();
            let place = if place.is_empty() { "/" } else { &place };
            let words = wrong.masked().to_string();
            told.push(format!("{}: {}", shortened(place), shortened(&words)));
        }
        match told.is_empty() {
            true => Ok(()),
            false => Err(SchemaError::Mismatch(told.join("; "))),
        }
    }
}

/// How many values there are in it.
fn size(value: &Value) -> u64 {
    1 + match value {
        Value::Array(items) => items.iter().map(size).sum(),
        Value::Object(map) => map.values().map(size).sum(),
        _ => 0,
    }
}

fn shortened(words: &str) -> String {
    let mut line: String = words
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(200)
        .collect();
    if words.chars().nth(200).is_some() {
        line.push('…');
    }
    line
}

/// Weighs a schema with what it refers to, each reference as often as it is used.
struct Scales<'d> {
    document: &'d Value,
    /// What references weigh; None while one is being weighed.
    known: BTreeMap<&'d str, Option<u64>>,
}

impl<'d> Scales<'d> {
    fn weigh(&mut self, part: &'d Value, depth: usize) -> Result<u64, SchemaError> {
        let Some(left) = depth.checked_sub(1) else {
            return Err(unusable(format!("it is nested deeper than {DEPTH} levels")));
        };
        let mut weight: u64 = 1;
        match part {
            Value::Array(items) => {
                for item in items {
                    weight = weight.saturating_add(self.weigh(item, left)?);
                }
            }
            Value::Object(map) => {
                for (key, value) in map {
                    let more = match (key.as_str(), value) {
                        ("$ref", Value::String(to)) => self.follow(to, left)?,
                        (
                            "$dynamicRef" | "$recursiveRef" | "$id" | "$anchor" | "$dynamicAnchor",
                            Value::String(_),
                        ) => {
                            let why =
                                format!("'{key}' is not supported, only '$ref' to a part of it");
                            return Err(unusable(why));
                        }
                        // Definitions weigh where they are used.
                        ("$defs", Value::Object(_)) if std::ptr::eq(part, self.document) => 1,
                        _ => self.weigh(value, left)?,
                    };
                    weight = weight.saturating_add(more);
                }
            }
            _ => {}
        }
        if weight > WEIGHT {
            return Err(unusable("it is too large".to_owned()));
        }
        Ok(weight)
    }

    fn follow(&mut self, to: &'d str, depth: usize) -> Result<u64, SchemaError> {
        match self.known.get(to) {
            Some(Some(weight)) => return Ok(*weight),
            Some(None) => {
                return Err(unusable(format!(
                    "'{}' leads back to itself",
                    shortened(to)
                )));
            }
            None => {}
        }
        let target = to
            .strip_prefix('#')
            .and_then(|at| self.document.pointer(at));
        let Some(target) = target else {
            let why = format!("'{}' is not a part of it", shortened(to));
            return Err(unusable(why));
        };
        self.known.insert(to, None);
        let weight = self.weigh(target, depth)?;
        self.known.insert(to, Some(weight));
        Ok(weight)
    }
}

fn unusable(why: String) -> SchemaError {
    SchemaError::Unusable(why)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn labels() -> Schema {
        Schema::parse(&json!({
            "type": "object",
            "properties": {"labels": {"type": "object", "additionalProperties": {"$ref": "#/$defs/value"}}},
            "required": ["labels"],
            "additionalProperties": false,
            "$defs": {"value": {"type": "string", "pattern": "^[a-z]+$"}},
        }))
        .unwrap()
    }

    #[test]
    fn a_config_is_held_against_it_and_told_by_field() {
        let schema = labels();
        assert_eq!(schema.check(&json!({"labels": {"team": "web"}})), Ok(()));
        for (config, want) in [
            (json!({}), "/: \"labels\" is a required property"),
            (
                json!({"labels": {"team": 7}}),
                "/labels/team: value is not of type \"string\"",
            ),
            (
                json!({"labels": {"team": "HUNTER2"}}),
                "/labels/team: value does not match \"^[a-z]+$\"",
            ),
        ] {
            let told = schema.check(&config).unwrap_err().to_string();
            assert!(told.ends_with(want), "{told}");
            assert!(!told.contains("HUNTER2"), "{told}");
        }
    }

    #[test]
    fn a_schema_that_asks_for_endless_work_is_refused() {
        let doubling: serde_json::Map<String, Value> = (0..40)
            .map(|n| {
                let next = json!({"$ref": format!("#/$defs/d{}", n + 1)});
                (format!("d{n}"), json!({"allOf": [next, next]}))
            })
            .chain([("d40".to_owned(), json!({"type": "string"}))])
            .collect();
        let deep = (0..DEPTH).fold(json!({}), |inner, _| json!({"not": inner}));
        for (schema, want) in [
            (json!({"$ref": "#"}), "'#' leads back to itself"),
            (
                json!({"$ref": "#/$defs/a", "$defs": {"a": {"anyOf": [{"$ref": "#/$defs/b"}]}, "b": {"$ref": "#/$defs/a"}}}),
                "leads back to itself",
            ),
            (
                json!({"properties": {"$defs": {"allOf": [{"$ref": "#/properties/$defs"}]}}}),
                "leads back to itself",
            ),
            (
                json!({"$ref": "https://schemas.example/a.json"}),
                "is not a part of it",
            ),
            (json!({"$ref": "file:///etc/passwd"}), "is not a part of it"),
            (json!({"$dynamicRef": "#a"}), "is not supported"),
            (json!({"$ref": "#/$defs/d0", "$defs": doubling}), "it is "),
            (deep, "nested deeper than"),
            (
                json!({"type": "nothing"}),
                "the schema of its config cannot be used",
            ),
            (
                json!({"pattern": "(?=a)a"}),
                "the schema of its config cannot be used",
            ),
        ] {
            let told = Schema::parse(&schema).unwrap_err().to_string();
            assert!(told.contains(want), "{schema}: {told}");
        }
    }

    #[test]
    fn looking_at_a_large_config_by_a_large_schema_is_refused() {
        let any: Vec<Value> = (0..3000).map(|n| json!({"const": n})).collect();
        let schema = Schema::parse(&json!({"items": {"anyOf": any}})).unwrap();
        let config: Vec<Value> = (0..20_000).map(|_| json!("x")).collect();
        assert_eq!(schema.check(&config.into()), Err(SchemaError::TooMuch));
    }
}
