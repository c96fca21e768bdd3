//! Edits of `configMapGenerator` and `secretGenerator`.

use serde_json::{Map, Value, json};

use super::fields::Fields;
use crate::error::Error;

/// Which generator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DataKind {
    /// `configMapGenerator`
    ConfigMap,
    /// `secretGenerator`
    Secret,
}

/// What is said about one generated object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataEdit {
    /// Which generator.
    pub kind: DataKind,
    /// The object's name.
    pub name: String,
    /// Its namespace, empty for the default one.
    pub namespace: String,
    /// The namespace that it gets, or empty.
    pub new_namespace: String,
    /// What is added, or for the keys that are there set anew.
    pub sources: DataSources,
    /// The type of a Secret that is new, or empty.
    pub secret_type: String,
    /// `create`, `merge` or `replace`, or empty.
    pub behavior: String,
    /// Whether the name gets no hash.
    pub disable_name_suffix_hash: bool,
}

/// Where keys and values come from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DataSources {
    /// `key=value`.
    pub literals: Vec<String>,
    /// `path` or `key=path`.
    pub files: Vec<String>,
    /// Paths of files of `key=value` lines.
    pub envs: Vec<String>,
}

impl DataKind {
    fn field(self) -> &'static str {
        match self {
            Self::ConfigMap => "configMapGenerator",
            Self::Secret => "secretGenerator",
        }
    }
}

/// `default` and nothing are the same namespace.
fn is_of(generator: &Value, name: &str, namespace: &str) -> bool {
    let text = |field: &str| generator.get(field).and_then(Value::as_str);
    let space = |text: &str| if text.is_empty() { "default" } else { text }.to_owned();
    text("name") == Some(name) && space(text("namespace").unwrap_or_default()) == space(namespace)
}

pub(super) fn add(fields: &mut Fields<'_>, edit: &DataEdit) -> Result<(), Error> {
    let field = edit.kind.field();
    let mut list = fields.list(field)?;
    let there = |one: &Value| is_of(one, &edit.name, &edit.namespace);
    let at = list.iter().position(there).unwrap_or_else(|| {
        let mut new = json!({ "name": edit.name });
        for (key, text) in [("namespace", &edit.namespace), ("type", &edit.secret_type)] {
            if let Some(map) = new.as_object_mut().filter(|_| !text.is_empty()) {
                map.insert(key.to_owned(), Value::from(text.as_str()));
            }
        }
        list.push(new);
        list.len() - 1
    });
    let Some(generator) = list.get_mut(at).and_then(Value::as_object_mut) else {
        return Ok(());
    };
    for (key, more) in [
        ("literals", &edit.sources.literals),
        ("files", &edit.sources.files),
        ("envs", &edit.sources.envs),
    ] {
        extend(fields, field, generator, key, more)?;
    }
    if edit.disable_name_suffix_hash {
        let options = generator.entry("options").or_insert_with(|| json!({}));
        if let Some(options) = options.as_object_mut() {
            options.insert("disableNameSuffixHash".to_owned(), Value::Bool(true));
        }
    }
    if !edit.behavior.is_empty() {
        let behavior = Value::from(edit.behavior.as_str());
        generator.insert("behavior".to_owned(), behavior);
    }
    check_keys(fields, field, generator)?;
    fields.set(field, list);
    Ok(())
}

fn extend(
    fields: &Fields<'_>,
    field: &str,
    generator: &mut Map<String, Value>,
    key: &str,
    more: &[String],
) -> Result<(), Error> {
    if more.is_empty() {
        return Ok(());
    }
    let list = generator.entry(key).or_insert_with(|| json!([]));
    if list.is_null() {
        *list = json!([]);
    }
    let Some(list) = list.as_array_mut() else {
        return Err(fields.invalid(field, format!("{key} must be a list")));
    };
    list.extend(more.iter().map(|one| Value::from(one.as_str())));
    Ok(())
}

/// A key may be there once, as when the object is made.
fn check_keys(
    fields: &Fields<'_>,
    field: &str,
    generator: &Map<String, Value>,
) -> Result<(), Error> {
    let mut keys: Vec<&str> = Vec::new();
    for list in ["literals", "files"] {
        let items = generator.get(list).and_then(Value::as_array);
        for item in items.into_iter().flatten().filter_map(Value::as_str) {
            let key = match item.split_once('=') {
                Some(("", _)) => None,
                Some((key, _)) => Some(key),
                None if list == "files" => item.rsplit('/').next(),
                None => None,
            };
            let Some(key) = key else {
                return Err(fields.invalid(
                    field,
                    format!("an entry of {list} has no key: write KEY=VALUE"),
                ));
            };
            if keys.contains(&key) {
                return Err(fields.invalid(field, format!("key {key} is there twice")));
            }
            keys.push(key);
        }
    }
    Ok(())
}

pub(super) fn set(fields: &mut Fields<'_>, edit: &DataEdit) -> Result<(), Error> {
    let field = edit.kind.field();
    let mut list = fields.list(field)?;
    let generator = list
        .iter_mut()
        .find(|one| is_of(one, &edit.name, &edit.namespace))
        .and_then(Value::as_object_mut);
    let Some(generator) = generator else {
        return Err(fields.invalid(field, format!("{} is not there", edit.name)));
    };
    for literal in &edit.sources.literals {
        let (key, _) = literal
            .split_once('=')
            .filter(|(_, value)| !value.contains('='))
            .ok_or_else(|| fields.invalid(field, "a literal must be KEY=VALUE"))?;
        let literals = generator.get_mut("literals").and_then(Value::as_array_mut);
        let mut all = literals.into_iter().flatten();
        let old = all.find(|one| {
            let text = one.as_str().unwrap_or_default();
            text.split_once('=').is_some_and(|(own, _)| own == key)
        });
        match old {
            Some(old) => *old = Value::from(literal.as_str()),
            None => return Err(fields.invalid(field, format!("key {key} is not there"))),
        }
    }
    if !edit.new_namespace.is_empty() {
        let namespace = Value::from(edit.new_namespace.as_str());
        generator.insert("namespace".to_owned(), namespace);
    }
    fields.set(field, list);
    Ok(())
}

pub(super) fn remove(
    fields: &mut Fields<'_>,
    kind: DataKind,
    names: &[String],
    namespace: &str,
    notes: &mut Vec<String>,
) -> Result<(), Error> {
    let field = kind.field();
    let mut list = fields.list(field)?;
    let (found, missing): (Vec<_>, Vec<_>) = names
        .iter()
        .partition(|name| list.iter().any(|one| is_of(one, name, namespace)));
    if found.is_empty() {
        return Err(fields.invalid(field, format!("{} is not there", names.join(", "))));
    }
    notes.extend(
        missing
            .iter()
            .map(|name| format!("{name} is not in {field}")),
    );
    list.retain(|one| !found.iter().any(|name| is_of(one, name, namespace)));
    fields.set(field, list);
    Ok(())
}
