//! One Kubernetes object that keeps the order of its keys, and the identity it has.
//!
//! No knowledge of any kind beyond `apiVersion`, `kind` and `metadata`; which kinds live in no namespace is known in
//! `schema.rs`.

use std::fmt;

use serde_json::{Map, Value};

/// An object: a mapping with `apiVersion`, `kind` and `metadata`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Object(Map<String, Value>);

/// Which object it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id {
    /// The API group, empty for the core group.
    pub group: String,
    /// The version.
    pub version: String,
    /// The kind.
    pub kind: String,
    /// The namespace, empty when none is written.
    pub namespace: String,
    /// The name.
    pub name: String,
}

impl fmt::Display for Id {
    /// `group/Kind namespace/name`, without the parts that are empty.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let slash = |part: &str| {
            if part.is_empty() {
                String::new()
            } else {
                format!("{part}/")
            }
        };
        write!(
            f,
            "{}{} {}{}",
            slash(&self.group),
            self.kind,
            slash(&self.namespace),
            self.name
        )
    }
}

impl From<Map<String, Value>> for Object {
    fn from(map: Map<String, Value>) -> Self {
        Self(map)
    }
}

impl From<Object> for Value {
    fn from(object: Object) -> Self {
        Self::Object(object.0)
    }
}

impl TryFrom<Value> for Object {
    /// The value, given back because it is no mapping.
    type Error = Value;

    fn try_from(value: Value) -> Result<Self, Value> {
        match value {
            Value::Object(map) => Ok(Self(map)),
            other => Err(other),
        }
    }
}

impl Object {
    /// `apiVersion`, empty when there is none.
    pub fn api_version(&self) -> &str {
        self.text("apiVersion")
    }

    /// `kind`, empty when there is none.
    pub fn kind(&self) -> &str {
        self.text("kind")
    }

    /// The group of `apiVersion`, empty for the core group.
    pub fn group(&self) -> &str {
        self.api_version()
            .split_once('/')
            .map_or("", |(group, _)| group)
    }

    /// The version of `apiVersion`.
    pub fn version(&self) -> &str {
        let all = self.api_version();
        all.split_once('/').map_or(all, |(_, version)| version)
    }

    /// `metadata.name`, empty when there is none.
    pub fn name(&self) -> &str {
        self.metadata("name")
    }

    /// `metadata.namespace`, empty when there is none.
    pub fn namespace(&self) -> &str {
        self.metadata("namespace")
    }

    /// Who it is.
    pub fn id(&self) -> Id {
        Id {
            group: self.group().to_owned(),
            version: self.version().to_owned(),
            kind: self.kind().to_owned(),
            namespace: self.namespace().to_owned(),
            name: self.name().to_owned(),
        }
    }

    /// Whether objects of its kind live in no namespace. Kinds that Kubernetes does not have are taken to live in one.
    #[must_use]
    pub fn is_cluster_scoped(&self) -> bool {
        crate::schema::Schemas::default().is_cluster_scoped(self.api_version(), self.kind())
    }

    /// Whether its kind is one of Kubernetes' own, so that it is known whether it lives in a namespace.
    #[must_use]
    pub fn is_builtin(&self) -> bool {
        crate::schema::Schemas::is_builtin(self.api_version(), self.kind())
    }

    /// Sets `metadata.namespace`; an empty one removes the field.
    pub fn set_namespace(&mut self, namespace: &str) {
        if namespace.is_empty() {
            self.metadata_mut().shift_remove("namespace");
        } else {
            self.metadata_mut()
                .insert("namespace".to_owned(), namespace.into());
        }
    }

    /// Sets `metadata.name`.
    pub fn set_name(&mut self, name: &str) {
        self.metadata_mut().insert("name".to_owned(), name.into());
    }

    /// `metadata.labels`, when there are any.
    pub fn labels(&self) -> Option<&Map<String, Value>> {
        self.get("/metadata/labels")?.as_object()
    }

    /// `metadata.annotations`, when there are any.
    pub fn annotations(&self) -> Option<&Map<String, Value>> {
        self.get("/metadata/annotations")?.as_object()
    }

    /// `metadata.labels`, made if it is not there.
    pub fn labels_mut(&mut self) -> &mut Map<String, Value> {
        mapping(self.metadata_mut(), "labels")
    }

    /// `metadata.annotations`, made if it is not there.
    pub fn annotations_mut(&mut self) -> &mut Map<String, Value> {
        mapping(self.metadata_mut(), "annotations")
    }

    /// `metadata`, made if it is not there.
    pub fn metadata_mut(&mut self) -> &mut Map<String, Value> {
        mapping(&mut self.0, "metadata")
    }

    /// The value at a JSON pointer (`/spec/replicas`; `""` is nothing here, see [`Object::fields`]).
    pub fn get(&self, pointer: &str) -> Option<&Value> {
        let (first, rest) = pointer.strip_prefix('/')?.split_once('/').map_or_else(
            || (pointer.get(1..).unwrap_or_default(), ""),
            |(first, _)| (first, pointer.get(1 + first.len()..).unwrap_or_default()),
        );
        self.0
            .get(&first.replace("~1", "/").replace("~0", "~"))?
            .pointer(rest)
    }

    /// All top-level fields.
    pub fn fields(&self) -> &Map<String, Value> {
        &self.0
    }

    /// All top-level fields.
    pub fn fields_mut(&mut self) -> &mut Map<String, Value> {
        &mut self.0
    }

    fn text(&self, key: &str) -> &str {
        self.0.get(key).and_then(Value::as_str).unwrap_or_default()
    }

    fn metadata(&self, key: &str) -> &str {
        self.0
            .get("metadata")
            .and_then(|m| m.get(key))
            .and_then(Value::as_str)
            .unwrap_or_default()
    }
}

/// The mapping at `key`, made if something else or nothing is there.
fn mapping<'a>(map: &'a mut Map<String, Value>, key: &str) -> &'a mut Map<String, Value> {
    let value = map.entry(key).or_insert(Value::Null);
    if !value.is_object() {
        *value = Value::Object(Map::new());
    }
    value
        .as_object_mut()
        .expect("because it was just made a mapping")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn accessors_read_what_is_there_and_nothing_else() {
        let mut object = Object::try_from(json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": "web", "annotations": {"a/b": "c"}},
        }))
        .unwrap();
        assert_eq!(
            (object.group(), object.version(), object.kind()),
            ("apps", "v1", "Deployment")
        );
        assert_eq!(object.namespace(), "");
        assert_eq!(object.get("/metadata/annotations/a~1b"), Some(&json!("c")));
        assert_eq!(object.get("/kind"), Some(&json!("Deployment")));
        object.set_namespace("acme");
        assert_eq!(object.id().to_string(), "apps/Deployment acme/web");
        object.labels_mut().insert("x".into(), "y".into());
        assert_eq!(object.labels().unwrap().len(), 1);
    }
}
