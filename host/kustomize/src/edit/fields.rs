//! The fields of a kustomization file as values: found whatever the case of their names, of the type they must be.

use serde_json::{Map, Value};

use crate::error::{Error, Place, Why};
use crate::yaml::Marks;

/// The fields of a kustomization file, in the order in which kustomize writes new ones.
const KNOWN: [&str; 33] = [
    "apiVersion",
    "kind",
    "metadata",
    "sortOptions",
    "resources",
    "bases",
    "namePrefix",
    "nameSuffix",
    "namespace",
    "crds",
    "commonLabels",
    "labels",
    "commonAnnotations",
    "patchesStrategicMerge",
    "patchesJson6902",
    "patches",
    "configMapGenerator",
    "secretGenerator",
    "helmCharts",
    "helmChartInflationGenerator",
    "helmGlobals",
    "generatorOptions",
    "vars",
    "images",
    "imageTags",
    "replacements",
    "replicas",
    "configurations",
    "generators",
    "transformers",
    "validators",
    "components",
    "openapi",
];
const LAST: &str = "buildMetadata";

/// The fields of one file.
pub(super) struct Fields<'a> {
    file: &'a str,
    marks: &'a Marks,
    values: Map<String, Value>,
}

impl<'a> Fields<'a> {
    pub(super) fn new(file: &'a str, marks: &'a Marks, values: Map<String, Value>) -> Self {
        Self {
            file,
            marks,
            values,
        }
    }

    /// The values, new fields in kustomize's order behind those that were there.
    pub(super) fn into_values(self) -> Map<String, Value> {
        let rank = |name: &str| {
            let known = KNOWN
                .iter()
                .position(|known| known.eq_ignore_ascii_case(name));
            known.unwrap_or(KNOWN.len())
        };
        let (old, mut new): (Vec<_>, Vec<_>) = self
            .values
            .into_iter()
            .partition(|(name, _)| self.marks.contains_key(name));
        new.sort_by_key(|(name, _)| rank(name));
        old.into_iter().chain(new).collect()
    }

    /// Refuses what kustomize refuses: a field that it does not know.
    pub(super) fn check_known(&self) -> Result<(), Error> {
        let known = |name: &str| {
            let mut names = KNOWN.iter().chain([&LAST]);
            names.any(|known| known.eq_ignore_ascii_case(name))
        };
        match self.values.keys().find(|name| !known(name)) {
            None => Ok(()),
            Some(name) => {
                let suggestion = None;
                Err(self.error(name, Why::Unknown { suggestion }))
            }
        }
    }

    pub(super) fn place(file: &str, marks: &Marks, field: &str) -> Place {
        let mark = marks.get(field);
        Place {
            file: file.to_owned(),
            line: mark.map(|mark| mark.0),
            column: mark.map(|mark| mark.1),
            field: (!field.is_empty()).then(|| field.to_owned()),
        }
    }

    pub(super) fn error(&self, field: &str, why: Why) -> Error {
        Error::in_place(&Self::place(self.file, self.marks, field), why)
    }

    pub(super) fn invalid(&self, field: &str, why: impl Into<String>) -> Error {
        self.error(field, Why::Invalid(why.into()))
    }

    /// The name of a field as the file writes it.
    fn key(&self, name: &str) -> String {
        let mut keys = self.values.keys();
        let key = keys.find(|key| key.eq_ignore_ascii_case(name));
        key.cloned().unwrap_or_else(|| name.to_owned())
    }

    pub(super) fn has(&self, name: &str) -> bool {
        let value = self.values.get(&self.key(name));
        value.is_some_and(|value| !value.is_null())
    }

    pub(super) fn text(&self, name: &str) -> &str {
        let value = self.values.get(&self.key(name));
        value.and_then(Value::as_str).unwrap_or_default()
    }

    /// The items of a list, none where there is no such field.
    pub(super) fn list(&self, name: &str) -> Result<Vec<Value>, Error> {
        let key = self.key(name);
        match self.values.get(&key) {
            None | Some(Value::Null) => Ok(Vec::new()),
            Some(Value::Array(items)) => Ok(items.clone()),
            Some(_) => Err(self.invalid(&key, "must be a list")),
        }
    }

    /// The pairs of a mapping, none where there is no such field.
    pub(super) fn mapping(&self, name: &str) -> Result<Map<String, Value>, Error> {
        let key = self.key(name);
        match self.values.get(&key) {
            None | Some(Value::Null) => Ok(Map::new()),
            Some(Value::Object(map)) => Ok(map.clone()),
            Some(_) => Err(self.invalid(&key, "must be a mapping")),
        }
    }

    /// Sets a field; an empty value removes it.
    pub(super) fn set(&mut self, name: &str, value: impl Into<Value>) {
        let key = self.key(name);
        let value = value.into();
        let empty = match &value {
            Value::Null => true,
            Value::String(text) => text.is_empty(),
            Value::Array(items) => items.is_empty(),
            Value::Object(map) => map.is_empty(),
            Value::Bool(_) | Value::Number(_) => false,
        };
        if empty {
            self.values.shift_remove(&key);
        } else {
            self.values.insert(key, value);
        }
    }
}
