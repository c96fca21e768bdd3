//! What it takes to hold anything against a schema.
//!
//! Each part counts as often as it is used: references are written out. What stands in one of some keywords is looked at
//! more than once, and counts so. What is weighed is all that there is, what nobody refers to as well: whoever compiles
//! the schema reads that too.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::pattern::Patterns;
use super::{SchemaError, grains, shortened, unusable};

/// The largest schema, counted with everything that is referred to written out.
const WEIGHT: u64 = 20_000;
/// How deep a schema may be nested, references written out.
const DEPTH: usize = 64;
/// What is in these is looked at twice: whether it fits, and what it made of the value.
const TWICE: &[&str] = &[
    "allOf",
    "anyOf",
    "oneOf",
    "not",
    "if",
    "then",
    "else",
    "dependentSchemas",
    "contains",
    "propertyNames",
];
/// Beside these everything is asked again, at each level.
const AGAIN: &[&str] = &["unevaluatedProperties", "unevaluatedItems"];
/// Keywords that change where references lead.
const UNSUPPORTED: &[&str] = &[
    "$dynamicRef",
    "$recursiveRef",
    "$id",
    "$anchor",
    "$dynamicAnchor",
];

/// What a part of a schema weighs.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Weight {
    /// Steps for each value.
    pub(super) nodes: u64,
    /// States of patterns: steps for each byte of text.
    pub(super) states: u64,
    /// Levels below it.
    height: usize,
}

impl Weight {
    fn add(&mut self, other: Self) {
        self.nodes = self.nodes.saturating_add(other.nodes);
        self.states = self.states.saturating_add(other.states);
        self.height = self.height.max(other.height.saturating_add(1));
    }

    fn times(self, times: u64) -> Self {
        Self {
            nodes: self.nodes.saturating_mul(times),
            states: self.states.saturating_mul(times),
            ..self
        }
    }

    fn nodes(nodes: u64) -> Self {
        Self {
            nodes,
            ..Self::default()
        }
    }

    fn states(states: u64) -> Self {
        Self {
            states,
            ..Self::default()
        }
    }
}

/// Weighs a schema with what it refers to, each reference as often as it is used.
pub(super) struct Scales<'d> {
    document: &'d Value,
    /// What references weigh; None while one is being weighed.
    known: BTreeMap<&'d str, Option<Weight>>,
    patterns: Patterns<'d>,
}

impl<'d> Scales<'d> {
    pub(super) fn weigh(document: &'d Value) -> Result<Weight, SchemaError> {
        let mut scales = Self {
            document,
            known: BTreeMap::new(),
            patterns: Patterns::default(),
        };
        let weight = scales.part(document, DEPTH)?;
        if let Some(Value::Object(definitions)) = document.get("$defs") {
            for definition in definitions.values() {
                scales.part(definition, DEPTH)?;
            }
        }
        Ok(weight)
    }

    fn part(&mut self, part: &'d Value, depth: usize) -> Result<Weight, SchemaError> {
        let left = depth.checked_sub(1).ok_or_else(too_deep)?;
        let mut weight = Weight::nodes(1);
        match part {
            Value::Array(items) => {
                for item in items {
                    weight.add(self.part(item, left)?);
                }
            }
            Value::Object(map) => {
                for (key, value) in map {
                    weight.nodes = weight.nodes.saturating_add(grains(key));
                    weight.add(self.keyword(part, key, value, left)?);
                }
                if AGAIN.iter().any(|key| map.contains_key(*key)) {
                    weight = weight.times(4);
                }
            }
            Value::String(text) => weight.nodes = weight.nodes.saturating_add(grains(text)),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
        if weight.nodes > WEIGHT {
            return Err(unusable("it is too large".to_owned()));
        }
        Ok(weight)
    }

    fn keyword(
        &mut self,
        whole: &Value,
        key: &str,
        value: &'d Value,
        left: usize,
    ) -> Result<Weight, SchemaError> {
        match (key, value) {
            ("$ref", Value::String(to)) => self.follow(to, left),
            (_, Value::String(_)) if UNSUPPORTED.contains(&key) => {
                let why = format!("'{key}' is not supported, only '$ref' to a part of it");
                Err(unusable(why))
            }
            ("$schema", Value::String(_)) if !std::ptr::eq(whole, self.document) => {
                Err(unusable("'$schema' is for the whole of it".to_owned()))
            }
            // Definitions weigh where they are used.
            ("$defs", Value::Object(_)) if std::ptr::eq(whole, self.document) => {
                Ok(Weight::nodes(1))
            }
            ("pattern", Value::String(pattern)) => {
                let mut weight = self.part(value, left)?;
                weight.add(Weight::states(self.patterns.states(pattern)?));
                Ok(weight)
            }
            ("patternProperties", Value::Object(map)) => {
                let mut weight = self.part(value, left)?;
                weight.add(Weight::states(self.names(map)?));
                Ok(weight)
            }
            _ if TWICE.contains(&key) => Ok(self.part(value, left)?.times(2)),
            _ => self.part(value, left),
        }
    }

    /// Patterns of names. `additionalProperties` and the like hold them against each name once more.
    fn names(&mut self, map: &'d Map<String, Value>) -> Result<u64, SchemaError> {
        let mut all: u64 = 0;
        for pattern in map.keys() {
            let states = self.patterns.states(pattern)?;
            all = all.saturating_add(states.saturating_mul(2));
        }
        Ok(all)
    }

    fn follow(&mut self, to: &'d str, depth: usize) -> Result<Weight, SchemaError> {
        match self.known.get(to) {
            Some(Some(weight)) if weight.height >= depth => return Err(too_deep()),
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
        if !is_plain(to) {
            let why = format!(
                "'{}' is not written plainly: '#/…' of letters, digits and '_$-./', '~0' and '~1'",
                shortened(to)
            );
            return Err(unusable(why));
        }
        self.known.insert(to, None);
        let weight = self.part(target, depth)?;
        self.known.insert(to, Some(weight));
        Ok(weight)
    }
}

/// Whether everybody reads this reference as the same place. Escapes of a URL, for one, some undo and others do not.
fn is_plain(to: &str) -> bool {
    let at = to.strip_prefix('#').unwrap_or(to);
    let tildes = at.split('~').skip(1);
    at.chars()
        .all(|c| c.is_ascii_alphanumeric() || "_$-./~".contains(c))
        && tildes.into_iter().all(|rest| rest.starts_with(['0', '1']))
}

fn too_deep() -> SchemaError {
    unusable(format!("it is nested deeper than {DEPTH} levels"))
}
