//! One entry of a kubeconfig's lists, and its fields by their names.
//!
//! A field that is null, false or empty counts as not set, as it does for Kubernetes' own clients.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use super::Error;

/// A mapping, and where it stands.
pub(super) struct Entry<'k> {
    place: String,
    fields: &'k Map<String, Value>,
}

impl<'k> Entry<'k> {
    /// The whole kubeconfig.
    pub(super) fn root(fields: &'k Map<String, Value>) -> Self {
        let place = String::new();
        Self { place, fields }
    }

    /// What is called `name` in a list of the kubeconfig.
    pub(super) fn find(
        whole: &'k Map<String, Value>,
        list: &'static str,
        holds: &'static str,
        name: &str,
    ) -> Result<Self, Error> {
        let all = whole.get(list).and_then(Value::as_array);
        let called = |one: &Value| one.get("name").and_then(Value::as_str) == Some(name);
        let all = all.into_iter().flatten().enumerate();
        let mut found = all.filter(|(_, one)| called(one));
        match (found.next(), found.next()) {
            (Some((at, one)), None) => {
                let place = format!("{list}[{at}].{holds}");
                match one.get(holds) {
                    Some(Value::Object(fields)) => Ok(Self { place, fields }),
                    _ => Err(Error::new(place, "is not a mapping")),
                }
            }
            (Some(_), Some(_)) => Err(Error::new(list, "has two entries of the name that is used")),
            (None, _) => Err(Error::new(list, "has no entry of the name that is used")),
        }
    }

    /// A text that has to be there.
    pub(super) fn needs(&self, field: &str) -> Result<&'k str, Error> {
        let set = self.text(field)?;
        set.ok_or_else(|| self.wrong(field, "is not set"))
    }

    /// A text, if it is set.
    pub(super) fn text(&self, field: &str) -> Result<Option<&'k str>, Error> {
        match self.fields.get(field) {
            Some(Value::String(text)) => Ok(Some(text.as_str()).filter(|text| !text.is_empty())),
            None | Some(Value::Null) => Ok(None),
            Some(_) => Err(self.wrong(field, "is no text: put it in quotes")),
        }
    }

    /// What is written as base64 of PEM.
    pub(super) fn pem(&self, field: &str) -> Result<Option<String>, Error> {
        let Some(text) = self.text(field)? else {
            return Ok(None);
        };
        let packed: String = text.split_ascii_whitespace().collect();
        let bytes = STANDARD.decode(packed).ok();
        let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
        let text = text.filter(|text| text.contains("-----BEGIN "));
        let wrong = || self.wrong(field, "is not base64 of PEM");
        text.ok_or_else(wrong).map(Some)
    }

    /// Refuses whatever is set and not `known`: what is in `refused` with its own words.
    pub(super) fn holds_only(
        &self,
        known: &[&str],
        refused: &[(&str, &'static str)],
    ) -> Result<(), Error> {
        for (field, value) in self.fields {
            if known.contains(&field.as_str()) || is_unset(value) {
                continue;
            }
            let why = refused.iter().find(|(name, _)| name == field);
            let why = why.map_or(
                "is not known, so nobody says what it would do",
                |(_, why)| why,
            );
            return Err(self.wrong(field, why));
        }
        Ok(())
    }

    /// An error about a field; its name may be anything.
    pub(super) fn wrong(&self, field: &str, why: &'static str) -> Error {
        let shown = field.chars().filter(|c| !c.is_control()).take(64);
        let dot = if self.place.is_empty() { "" } else { "." };
        let field = format!("{}{dot}{}", self.place, shown.collect::<String>());
        Error::new(field, why)
    }
}

fn is_unset(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::String(text) => text.is_empty(),
        Value::Array(all) => all.is_empty(),
        Value::Object(all) => all.is_empty(),
        Value::Bool(true) | Value::Number(_) => false,
    }
}
