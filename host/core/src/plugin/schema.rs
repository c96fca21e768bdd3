//! The JSON Schema that a component carries for its config.
//!
//! A stranger wrote it. So patterns match in linear time, nothing is fetched, references lead to parts of the document
//! itself and not in circles, and the work that it asks for is weighed before it is begun. What it weighs, `scales` says.

use jsonschema::{Draft, PatternOptions, Validator};
use serde_json::Value;

use scales::{Scales, Weight};

mod pattern;
mod scales;

/// How many steps looking at a config may take: the schema's weight for each of its values.
const WORK: u64 = 20_000_000;
/// The same for patterns: the states of them all for each byte of text. Some of these steps take a nanosecond.
const MATCHING: u64 = 200_000_000;
/// Up to how many steps it is told what is wrong and where: each may find something, and all of it is in memory at once.
const TELLING: u64 = 200_000;
/// How many violations are told.
const TOLD: usize = 5;
/// How many bytes of text are as much work as a value.
const GRAIN: usize = 64;

/// A schema that can be held against configs.
#[derive(Debug)]
pub struct Schema {
    validator: Validator,
    weight: Weight,
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
        let weight = Scales::weigh(document)?;
        let mut document = document.clone();
        if let Value::Object(map) = &mut document {
            // Another draft has other keywords, that nobody weighed.
            map.shift_remove("$schema");
        }
        let patterns = PatternOptions::regex()
            .size_limit(pattern::COMPILED)
            .dfa_size_limit(pattern::CACHE);
        let validator = jsonschema::options()
            .with_draft(Draft::Draft202012)
            .with_pattern_options(patterns)
            // Notes for people, as the draft has it: some formats cost whatever a stranger likes.
            .should_validate_formats(false)
            .build(&document)
            .map_err(|why| SchemaError::Unusable(shortened(&why.masked().to_string())))?;
        Ok(Self { validator, weight })
    }

    /// Holds a config against it. No value of the config is in an error.
    pub fn check(&self, config: &Value) -> Result<(), SchemaError> {
        let size = Size::of(config);
        let steps = self.weight.nodes.saturating_mul(size.values);
        if steps > WORK || self.weight.states.saturating_mul(size.bytes) > MATCHING {
            return Err(SchemaError::TooMuch);
        }
        if self.validator.is_valid(config) {
            return Ok(());
        }
        if steps > TELLING {
            let why = "both are too large to tell where".to_owned();
            return Err(SchemaError::Mismatch(why));
        }
        let mut told = Vec::new();
        for wrong in self.validator.iter_errors(config).take(TOLD) {
            let place = wrong.instance_path().to_string();
            let place = if place.is_empty() { "/" } else { &place };
            let words = wrong.masked().to_string();
            told.push(format!("{}: {}", shortened(place), shortened(&words)));
        }
        Err(SchemaError::Mismatch(told.join("; ")))
    }
}

/// How much of a config there is.
#[derive(Clone, Copy, Default)]
struct Size {
    /// Values, long texts and names as several.
    values: u64,
    /// Bytes of text and of names.
    bytes: u64,
}

impl Size {
    fn of(value: &Value) -> Self {
        let mut size = Self::default();
        size.add(value);
        size
    }

    fn add(&mut self, value: &Value) {
        self.values = self.values.saturating_add(1);
        match value {
            Value::String(text) => self.add_text(text),
            Value::Array(items) => items.iter().for_each(|item| self.add(item)),
            Value::Object(map) => {
                for (name, value) in map {
                    self.add_text(name);
                    self.add(value);
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    fn add_text(&mut self, text: &str) {
        self.values = self.values.saturating_add(grains(text));
        // There is something to match in an empty text too.
        let bytes = u64::try_from(text.len()).unwrap_or(u64::MAX);
        self.bytes = self.bytes.saturating_add(bytes).saturating_add(1);
    }
}

fn grains(text: &str) -> u64 {
    u64::try_from(text.len() / GRAIN).unwrap_or(u64::MAX)
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
        let deep = (0..64).fold(json!({}), |inner, _| json!({"not": inner}));
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

    #[test]
    fn a_reference_that_others_read_otherwise_is_refused_wherever_it_stands() {
        let doubling: serde_json::Map<String, Value> = (0..40)
            .flat_map(|n| {
                let next = json!({"$ref": format!("#/$defs/%61{}", n + 1)});
                [
                    (format!("a{n}"), json!({"allOf": [next, next]})),
                    (format!("%61{n}"), json!({"type": "object"})),
                ]
            })
            .chain([("%6140".to_owned(), json!({}))])
            .collect();
        for (schema, want) in [
            (
                json!({"$ref": "#/$defs/%610", "$defs": doubling}),
                "'#/$defs/%610' is not written plainly",
            ),
            (
                json!({"$ref": "#/$defs/a~2", "$defs": {"a~2": {}}}),
                "is not written plainly",
            ),
            (
                json!({"$defs": {"x": {"$ref": "#/$defs/ü"}, "ü": {}}}),
                "is not written plainly",
            ),
            (
                json!({"$defs": {"x": {"$ref": "file:///etc/passwd"}}}),
                "is not a part of it",
            ),
            (
                json!({"$defs": {"x": {"$id": "https://a.example/b"}}}),
                "'$id' is not supported",
            ),
            (
                json!({"$defs": {"x": {"not": {"$anchor": "a"}}}}),
                "'$anchor' is not supported",
            ),
            (
                json!({"not": {"$schema": "http://json-schema.org/draft-04/schema#"}}),
                "'$schema' is for the whole of it",
            ),
        ] {
            let told = Schema::parse(&schema).unwrap_err().to_string();
            assert!(told.contains(want), "{schema}: {told}");
        }
        let plain = json!({
            "$schema": "http://json-schema.org/draft-07/schema#",
            "$ref": "#/$defs/a~1b~0c",
            "$defs": {"a/b~c": {"type": "object", "format": "uri"}},
        });
        assert_eq!(Schema::parse(&plain).unwrap().check(&json!({})), Ok(()));
    }

    #[test]
    fn a_schema_cannot_be_deepened_by_references_to_what_was_weighed_before() {
        let links: serde_json::Map<String, Value> = (0..200)
            .map(|n| {
                (
                    format!("d{n}"),
                    json!({"items": {"$ref": format!("#/$defs/d{}", n + 1)}}),
                )
            })
            .chain([("d200".to_owned(), json!({}))])
            .collect();
        let known: Vec<Value> = (0..200)
            .rev()
            .map(|n| json!({"$ref": format!("#/$defs/d{n}")}))
            .collect();
        let told = Schema::parse(&json!({"prefixItems": known, "$defs": links})).unwrap_err();
        assert!(told.to_string().contains("nested deeper than"), "{told}");
    }

    #[test]
    fn patterns_that_expand_to_too_much_are_refused_before_they_are_compiled() {
        let many = |pattern: &dyn Fn(usize) -> String, count: usize| -> Vec<Value> {
            (0..count).map(|n| json!({"pattern": pattern(n)})).collect()
        };
        let names: serde_json::Map<String, Value> = (0..200)
            .map(|n| (format!("(\\pL{{{}}}){n}", 8 + n % 3), json!({})))
            .collect();
        for schema in [
            json!({"allOf": many(&|n| format!("(\\pL{{{}}}){n}", 8 + n % 3), 1000)}),
            json!({"allOf": many(&|n| format!("(a|b)*a(a|b){{3000}}{n}"), 12)}),
            json!({"allOf": many(&|n| format!("{}{n}", "(a)".repeat(250)), 20)}),
            json!({"pattern": "\\pL{1000}"}),
            json!({"pattern": "((a{1000}){1000}){1000}"}),
            json!({"pattern": "a".repeat(20_000)}),
            json!({"$defs": {"unused": {"pattern": "(a{1000}){1000}"}}}),
            json!({"patternProperties": names}),
            json!({"propertyNames": {"pattern": "(a{1000}){1000}"}}),
        ] {
            let told = Schema::parse(&schema).unwrap_err().to_string();
            assert!(told.contains("its patterns are too large"), "{told}");
        }
    }

    #[test]
    fn matching_a_long_text_by_large_patterns_is_refused() {
        let slow = json!({"properties": {"a": {"not": {"pattern": "(a|b)*a(a|b){1000}c"}}}});
        let slow = Schema::parse(&slow).unwrap();
        let text = "ab".repeat(100_000);
        assert_eq!(slow.check(&json!({"a": text})), Err(SchemaError::TooMuch));
        assert_eq!(
            slow.check(&json!({"b": [text, text]})),
            Err(SchemaError::TooMuch)
        );
        assert_eq!(slow.check(&json!({"a": "ab".repeat(2_000)})), Ok(()));
        let names = json!({"patternProperties": {"(a|b)*a(a|b){1000}c": {}}});
        let names = Schema::parse(&names).unwrap();
        assert_eq!(names.check(&json!({text: 1})), Err(SchemaError::TooMuch));
        let many: Vec<Value> = (0..1000)
            .map(|n| json!({"not": {"minLength": 300_000 + n}}))
            .collect();
        let long = Schema::parse(&json!({"properties": {"a": {"oneOf": many}}})).unwrap();
        let text = "a".repeat(250_000);
        assert_eq!(long.check(&json!({"a": text})), Err(SchemaError::TooMuch));
    }

    #[test]
    fn a_usual_schema_takes_a_large_config() {
        let name = json!({"type": "string", "pattern": "^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$"});
        let properties: serde_json::Map<String, Value> = (0..20)
            .map(|n| (format!("p{n}"), json!({"items": {"$ref": "#/$defs/name"}})))
            .collect();
        let schema = json!({"type": "object", "properties": properties, "$defs": {"name": name}});
        let schema = Schema::parse(&schema).unwrap();
        let config: Vec<Value> = (0..500).map(|n| json!(format!("team-{n}"))).collect();
        assert_eq!(schema.check(&json!({"p0": config, "p19": config})), Ok(()));
    }

    #[test]
    fn not_everything_that_is_wrong_is_kept() {
        let wrong: Vec<Value> = (0..1000).map(|_| json!({"type": "object"})).collect();
        let schema = Schema::parse(&json!({"items": {"items": {"allOf": wrong}}})).unwrap();
        let config: Vec<Value> = (0..4_000).map(Value::from).collect();
        let told = schema.check(&json!([config])).unwrap_err().to_string();
        assert!(told.ends_with("both are too large to tell where"), "{told}");
    }
}
