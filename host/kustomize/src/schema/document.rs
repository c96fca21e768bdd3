//! An OpenAPI document that a kustomization brings with `openapi.path`.
//!
//! Its definitions become types that refer to each other by index, so that a definition may lead back to itself. A reference
//! may lead to one of Kubernetes' own, if those count too.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{Field, NAMED, Of, Own, Shape, Type};

/// How many references may lead from one to the next.
const HOPS: usize = 64;

/// What a document says about kinds: of each apiVersion and kind.
#[derive(Debug, Default)]
pub(super) struct Document {
    types: Vec<Type>,
    kinds: BTreeMap<String, BTreeMap<String, usize>>,
    /// Whether a kind lives in a namespace.
    namespaced: BTreeMap<String, BTreeMap<String, bool>>,
}

impl Document {
    /// Reads a document. The error says what is wrong with it.
    pub(super) fn new(document: &Value, own: Own) -> Result<Self, &'static str> {
        let Some(document) = document.as_object() else {
            return Err("must be an OpenAPI document");
        };
        let none = Map::new();
        let definitions = match document.get("definitions") {
            None | Some(Value::Null) => &none,
            Some(Value::Object(definitions)) => definitions,
            Some(_) => return Err("definitions must be a mapping"),
        };
        let mut compiler = Compiler {
            own,
            definitions,
            indices: definitions.keys().map(String::as_str).zip(0..).collect(),
            types: definitions.keys().map(|_| Type::default()).collect(),
        };
        let mut read = Self::default();
        for (index, definition) in definitions.values().enumerate() {
            let of = compiler.fields(definition);
            if let Some(slot) = compiler.types.get_mut(index) {
                *slot = of;
            }
            for (api_version, kind) in kinds(definition) {
                read.kinds
                    .entry(api_version)
                    .or_default()
                    .insert(kind, index);
            }
        }
        read.types = compiler.types;
        read.read_scopes(document.get("paths"));
        Ok(read)
    }

    pub(super) fn shape(&self, api_version: &str, kind: &str) -> Option<Shape<'_>> {
        let index = self.kinds.get(api_version)?.get(kind)?;
        Some(Shape::Fields(&self.types, *index))
    }

    pub(super) fn is_cluster_scoped(&self, api_version: &str, kind: &str) -> bool {
        let kinds = self.namespaced.get(api_version);
        kinds.and_then(|kinds| kinds.get(kind)) == Some(&false)
    }

    /// What can be asked for below a namespace lives in one.
    fn read_scopes(&mut self, paths: Option<&Value>) {
        for (path, item) in paths.and_then(Value::as_object).into_iter().flatten() {
            let kind = item.get("get").and_then(|get| get.get(KIND));
            let Some((api_version, kind)) = kind.and_then(type_meta) else {
                continue;
            };
            let kinds = self.namespaced.entry(api_version).or_default();
            *kinds.entry(kind).or_default() |= path.contains("namespaces/{namespace}");
        }
    }
}

const KIND: &str = "x-kubernetes-group-version-kind";

/// The kinds that a definition is for.
fn kinds(definition: &Value) -> impl Iterator<Item = (String, String)> {
    let listed = definition.get(KIND).and_then(Value::as_array);
    listed.into_iter().flatten().filter_map(type_meta)
}

fn type_meta(kind: &Value) -> Option<(String, String)> {
    let text = |key: &str| kind.get(key).and_then(Value::as_str);
    let api_version = match text("group") {
        None | Some("") => text("version")?.to_owned(),
        Some(group) => format!("{group}/{}", text("version")?),
    };
    Some((api_version, text("kind")?.to_owned()))
}

struct Compiler<'v> {
    own: Own,
    definitions: &'v Map<String, Value>,
    indices: BTreeMap<&'v str, usize>,
    /// The definitions' types first, then those that have no name.
    types: Vec<Type>,
}

impl<'v> Compiler<'v> {
    fn fields(&mut self, schema: &'v Value) -> Type {
        let properties = schema.get("properties").and_then(Value::as_object);
        let mut of = Type::default();
        for (name, property) in properties.into_iter().flatten() {
            if let Some(field) = self.field(property) {
                of.fields.insert(name.clone().into(), field);
            }
        }
        let others = schema.get("additionalProperties");
        of.others = others
            .filter(|others| others.is_object())
            .and_then(|others| self.field(others));
        of
    }

    fn field(&mut self, schema: &'v Value) -> Option<Field> {
        match self.resolve(schema)? {
            Found::Schema(schema, _) if merges(schema) => {
                let items = schema.get("items").filter(|items| items.is_object());
                let items = items.filter(|_| is_list(schema));
                let item = items.and_then(|items| self.resolve(items));
                Some(Field::List(keys(schema), item.map(|item| self.of(item))))
            }
            found => Some(Field::One(self.of(found))),
        }
    }

    fn of(&mut self, found: Found<'v>) -> Of {
        match found {
            Found::Builtin(index) => Of::Builtin(index),
            Found::Schema(_, Some(index)) => Of::Same(index),
            Found::Schema(schema, None) => {
                let of = self.fields(schema);
                self.types.push(of);
                Of::Same(self.types.len() - 1)
            }
        }
    }

    /// What a schema stands for.
    fn resolve(&self, schema: &'v Value) -> Option<Found<'v>> {
        let (mut schema, mut definition) = (schema, None);
        for _ in 0..HOPS {
            let Some(reference) = schema.get("$ref").and_then(Value::as_str) else {
                return Some(Found::Schema(schema, definition));
            };
            let name = reference.strip_prefix("#/definitions/")?;
            let name = name.replace("~1", "/").replace("~0", "~");
            let builtin = NAMED.get(name.as_str());
            let builtin = builtin.filter(|_| self.own != Own::None);
            match (self.definitions.get(&name), builtin) {
                (Some(_), Some(index)) if self.own == Own::Above => {
                    return Some(Found::Builtin(*index));
                }
                (Some(own), _) => {
                    definition = self.indices.get(name.as_str()).copied();
                    schema = own;
                }
                (None, Some(index)) => return Some(Found::Builtin(*index)),
                (None, None) => return None,
            }
        }
        None
    }
}

/// What a reference leads to: a schema, which may be a definition, or one of Kubernetes' own types.
enum Found<'v> {
    Schema(&'v Value, Option<usize>),
    Builtin(usize),
}

/// Whether a list merges with another of its kind.
fn merges(schema: &Value) -> bool {
    let strategy = schema.get("x-kubernetes-patch-strategy");
    let strategy = strategy.and_then(Value::as_str).unwrap_or_default();
    strategy.split(',').any(|word| word == "merge")
}

/// The type may be written as a list of one.
fn is_list(schema: &Value) -> bool {
    match schema.get("type") {
        Some(Value::String(of)) => of == "array",
        Some(Value::Array(of)) => of.len() == 1 && of.first().is_some_and(|of| of == "array"),
        _ => false,
    }
}

fn keys(schema: &Value) -> Vec<String> {
    let texts = |value: &Value| value.as_str().map(str::to_owned);
    match schema.get("x-kubernetes-list-map-keys") {
        Some(Value::Array(keys)) => keys.iter().filter_map(texts).collect(),
        _ => {
            let key = schema.get("x-kubernetes-patch-merge-key").and_then(texts);
            key.into_iter().collect()
        }
    }
}
