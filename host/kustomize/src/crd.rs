//! `crds`: the OpenAPI definitions of custom kinds, and what they say about their fields.
//!
//! Only kustomize's own marks count: which property is an annotation, a label selector, an identity, or the name of another
//! object. How lists of such a kind merge is not read from here but from `openapi` (`schema.rs`).

use std::sync::Arc;

use serde_json::{Map, Value};

use crate::budget::Budget;
use crate::config::{Config, List, References};
use crate::error::{Error, Why};
use crate::fieldspec::{self, FieldSpec, Gvk};

/// How deep definitions may lead into each other.
const DEPTH: usize = 64;

/// The fields that the definitions in `document`, the content of `file`, tell of.
pub(crate) fn config(document: &Value, file: &str, budget: &Budget) -> Result<Config, Error> {
    let wrong = |what: &str| {
        let why = format!("must hold OpenAPI definitions by name, and holds {what}");
        Err(Error::invalid(file, why).at_line(1))
    };
    let mut config = Config::default();
    let definitions = match document {
        Value::Null => return Ok(config),
        Value::Object(map) if map.values().all(|v| v.is_object() || v.is_null()) => map,
        Value::Object(map) if map.contains_key("kind") => {
            return wrong("an object: list a CustomResourceDefinition in resources");
        }
        _ => return wrong("something else: write a mapping of each name to its definition"),
    };
    for (name, definition) in definitions {
        if !is_kind(properties(definition)) {
            continue;
        }
        let kind = name.rsplit('.').next().unwrap_or(name);
        let mut walk = Walk {
            definitions,
            gvk: ("", "", kind),
            config: Config::default(),
            budget,
        };
        let found = walk.definition(name, &mut Vec::new());
        let found = found.and_then(|()| config.add(&walk.config, budget));
        found.map_err(|why| Error::new(file, why))?;
    }
    Ok(config)
}

fn properties(definition: &Value) -> Option<&Map<String, Value>> {
    field(definition, "Schema")?.get("properties")?.as_object()
}

/// A field by its name, regardless of case.
fn field<'a>(value: &'a Value, name: &str) -> Option<&'a Value> {
    let map = value.as_object()?;
    let by_case = || map.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
    map.get(name).or_else(|| by_case().map(|(_, value)| value))
}

fn is_kind(properties: Option<&Map<String, Value>>) -> bool {
    let needed = ["kind", "apiVersion", "metadata"];
    properties.is_some_and(|map| needed.iter().all(|key| map.contains_key(*key)))
}

/// One kind on the way through its definitions.
struct Walk<'a> {
    definitions: &'a Map<String, Value>,
    gvk: (&'a str, &'a str, &'a str),
    config: Config,
    budget: &'a Budget,
}

impl<'a> Walk<'a> {
    fn definition(&mut self, name: &str, path: &mut Vec<&'a str>) -> Result<(), Why> {
        let Some(properties) = self.definitions.get(name).and_then(properties) else {
            return Ok(());
        };
        if path.len() >= DEPTH {
            return Err(Why::Limit {
                what: "definitions inside of each other",
                limit: DEPTH as u64,
            });
        }
        for (key, property) in properties {
            self.budget.steps(1 + path.len() as u64)?;
            path.push(key);
            self.property(property, path)?;
            if let Some(reference) = property.get("$ref").and_then(Value::as_str) {
                self.definition(reference, path)?;
            }
            path.pop();
        }
        Ok(())
    }

    fn property(&mut self, property: &Value, path: &[&str]) -> Result<(), Why> {
        let lists = [
            ("x-kubernetes-annotation", List::CommonAnnotations),
            ("x-kubernetes-label-selector", List::CommonLabels),
            ("x-kubernetes-identity", List::NamePrefix),
        ];
        for (mark, list) in lists {
            if text(property, mark).is_some() {
                let spec = self.spec(path)?;
                self.budget.steps(self.config.list(list).len() as u64)?;
                fieldspec::merge(self.config.list_mut(list), &[spec]).map_err(Why::Conflict)?;
            }
        }
        let version = text(property, "x-kubernetes-object-ref-api-version");
        let kind = text(property, "x-kubernetes-object-ref-kind");
        if let (Some(version), Some(kind)) = (version, kind) {
            let key = text(property, "x-kubernetes-object-ref-name-key").unwrap_or("name");
            let mut path = path.to_vec();
            path.push(key);
            let references = References {
                target: Gvk::new("", version.to_owned(), kind.to_owned()),
                fields: vec![self.spec(&path)?],
            };
            self.config
                .add_references(&Arc::new(references), self.budget)?;
        }
        Ok(())
    }

    fn spec(&self, path: &[&str]) -> Result<FieldSpec, Why> {
        let path = path.join("/");
        self.budget.text(&path)?;
        let (group, version, kind) = self.gvk;
        let gvk = Gvk::new(group.to_owned(), version.to_owned(), kind.to_owned());
        Ok(FieldSpec::new(gvk, false, path))
    }
}

/// A mark of a property, which must be text.
fn text<'a>(property: &'a Value, mark: &str) -> Option<&'a str> {
    property.get(mark).and_then(Value::as_str)
}
