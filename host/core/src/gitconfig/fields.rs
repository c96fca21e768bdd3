//! A mapping of a configuration file, its fields by their names, and where each was written.
//!
//! A field that is null counts as not set. No error quotes a value: any of them may be a secret in the wrong place.

use std::time::Duration;

use reeve_api::name::Secret;
use reeve_kustomize::Marks;
use serde_json::{Map, Value};

use super::{Error, Hidden, Holds};
use crate::strict::{self, NO_MAPPING};

/// The longest text, which is a key or a list of host keys.
const LONGEST: usize = 64 << 10;
/// The most entries of a list.
const MOST: usize = 1000;

/// A mapping, and where it stands.
#[derive(Clone)]
pub(super) struct Fields<'f> {
    at: String,
    map: &'f Map<String, Value>,
    marks: &'f Marks,
    holds: Holds,
}

impl<'f> Fields<'f> {
    /// The whole document.
    pub(super) fn root(
        value: &'f Value,
        marks: &'f Marks,
        holds: Holds,
    ) -> Result<Option<Self>, Error> {
        match value {
            Value::Null => Ok(None),
            Value::Object(map) => Ok(Some(Self {
                at: String::new(),
                map,
                marks,
                holds,
            })),
            _ => Err(Error::of_file(Some(1), NO_MAPPING)),
        }
    }

    /// Refuses whatever is not `known`.
    pub(super) fn only(&self, known: &[&str]) -> Result<(), Error> {
        strict::only(self.marks, &self.at, self.map, known)
    }

    /// Whether a field is there, with or without a value.
    pub(super) fn has(&self, field: &str) -> bool {
        self.map.contains_key(field)
    }

    /// A mapping, if it is set.
    pub(super) fn below(&self, field: &str) -> Result<Option<Self>, Error> {
        match self.map.get(field) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => self.mapping(field, value).map(Some),
        }
    }

    /// A list of mappings.
    pub(super) fn list(&self, field: &str) -> Result<Vec<Self>, Error> {
        let items = match self.map.get(field) {
            None | Some(Value::Null) => return Ok(Vec::new()),
            Some(Value::Array(items)) => items,
            Some(_) => return Err(self.wrong(field, "is no list")),
        };
        if items.len() > MOST {
            return Err(self.wrong(field, format!("has more than {MOST} entries")));
        }
        let items = items.iter().enumerate();
        items
            .map(|(index, item)| self.mapping(&format!("{field}[{index}]"), item))
            .collect()
    }

    fn mapping(&self, field: &str, value: &'f Value) -> Result<Self, Error> {
        let map = value.as_object();
        let map = map.ok_or_else(|| self.wrong(field, "is no mapping"))?;
        Ok(Self {
            at: self.path(field),
            map,
            marks: self.marks,
            holds: self.holds,
        })
    }

    /// A text, if it is set.
    pub(super) fn text(&self, field: &str) -> Result<Option<&'f str>, Error> {
        match self.map.get(field) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) if text.is_empty() => Err(self.wrong(field, "is empty")),
            Some(Value::String(text)) if text.len() > LONGEST => {
                Err(self.wrong(field, "is longer than 64 KiB"))
            }
            Some(Value::String(text)) if text.contains('\0') => {
                Err(self.wrong(field, "holds what no text may hold"))
            }
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(self.wrong(field, "is no text: put it in quotes")),
        }
    }

    /// A text that has to be there.
    pub(super) fn needs(&self, field: &str) -> Result<&'f str, Error> {
        self.text(field)?
            .ok_or_else(|| self.wrong(field, "is not set"))
    }

    /// A number from 1, if it is set.
    pub(super) fn number(&self, field: &str) -> Result<Option<u64>, Error> {
        match self.map.get(field) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => {
                let number = value.as_u64().filter(|number| *number > 0);
                let wrong = || self.wrong(field, "is no whole number from 1");
                number.ok_or_else(wrong).map(Some)
            }
        }
    }

    /// A length of time that was read, if it is one to wait for.
    pub(super) fn wait(&self, field: &str, read: Duration) -> Result<Duration, Error> {
        match (1..=86_400).contains(&read.as_secs()) {
            true => Ok(read),
            false => Err(self.wrong(field, "is not between 1s and 24h")),
        }
    }

    /// A secret, if it is set: the text itself, or a reference to it.
    pub(super) fn hidden(&self, field: &str) -> Result<Option<Hidden>, Error> {
        if let Some(Value::Object(_)) = self.map.get(field) {
            let from = self.below(field)?;
            return from.map(|from| from.reference()).transpose();
        }
        let Some(text) = self.text(field)? else {
            return Ok(None);
        };
        if self.holds == Holds::References {
            let why = "stands in the clear in a ConfigMap: put the file into a Secret, or name one by valueFrom.secretKeyRef";
            return Err(self.wrong(field, why));
        }
        Ok(Some(Hidden::Text(Secret::new(text))))
    }

    /// A private key, if it is set; it may be a path.
    pub(super) fn key(&self, field: &str) -> Result<Option<Hidden>, Error> {
        let path = self.map.get(field).and_then(Value::as_str);
        // No key begins so.
        let Some(path) = path.filter(|text| text.starts_with('/')) else {
            return self.hidden(field);
        };
        let parts = path.split('/');
        let plain = path.len() <= 4096 && !path.chars().any(char::is_control);
        match plain && !parts.into_iter().any(|part| part == "..") {
            true => Ok(Some(Hidden::Path(path.to_owned()))),
            false => Err(self.wrong(field, "is no path: it holds `..` or control characters")),
        }
    }

    /// `valueFrom: {secretKeyRef: {name, key}}`, of which this is the mapping.
    fn reference(&self) -> Result<Hidden, Error> {
        self.only(&["valueFrom"])?;
        let from = self.below("valueFrom")?;
        let from = from.ok_or_else(|| self.wrong("valueFrom", "is not set"))?;
        from.only(&["secretKeyRef"])?;
        let named = from.below("secretKeyRef")?;
        let named = named.ok_or_else(|| from.wrong("secretKeyRef", "is not set"))?;
        named.only(&["name", "key"])?;
        let secret = named.needs("name")?.parse();
        let secret = secret.map_err(|_| named.wrong("name", "is no name of a Secret"))?;
        let key = named.needs("key")?.to_owned();
        Ok(Hidden::Key { secret, key })
    }

    /// An error about a field.
    pub(super) fn wrong(&self, field: &str, why: impl Into<String>) -> Error {
        Error::of_field(self.marks, &self.path(field), why)
    }

    fn path(&self, field: &str) -> String {
        strict::path(&self.at, field)
    }
}
