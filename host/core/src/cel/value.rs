//! What an expression works with: JSON as it was shown, and what is made of it.
//!
//! Lists and maps that were shown are borrowed, never copied. It deliberately knows no operation but to be looked into.

use std::ops::Deref;
use std::rc::Rc;

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::{Error, time};

/// A value.
#[derive(Debug, Clone)]
pub(super) enum Val<'v> {
    Null,
    Bool(bool),
    Int(i64),
    Double(f64),
    Text(Text<'v>),
    /// A point in time.
    Time(Timestamp),
    /// A length of time, in nanoseconds.
    Span(i64),
    /// A list or a map, as it was shown.
    Shown(&'v Value),
    List(Rc<Vec<Self>>),
    Map(Rc<Vec<(Text<'v>, Self)>>),
    /// What may be missing.
    Maybe(Option<Rc<Self>>),
    /// What a step of a loop came to that failed; whoever names it fails.
    Failed(Rc<Error>),
}

/// A text, as it was shown or as it was made.
#[derive(Debug, Clone)]
pub(super) enum Text<'v> {
    Shown(&'v str),
    Made(Rc<str>),
}

impl Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        match self {
            Self::Shown(text) => text,
            Self::Made(text) => text,
        }
    }
}

impl<'v> Val<'v> {
    pub(super) fn of(value: &'v Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(is) => Self::Bool(*is),
            Value::String(text) => Self::Text(Text::Shown(text)),
            Value::Number(number) => match (number.as_i64(), number.as_f64()) {
                (Some(whole), _) => Self::Int(whole),
                (None, Some(real)) => Self::Double(real),
                (None, None) => Self::Null,
            },
            Value::Array(_) | Value::Object(_) => Self::Shown(value),
        }
    }

    /// A text that was made here.
    pub(super) fn text(text: impl Into<Rc<str>>) -> Self {
        Self::Text(Text::Made(text.into()))
    }

    /// What it is, in a word.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a bool",
            Self::Int(_) => "an int",
            Self::Double(_) => "a double",
            Self::Text(_) => "a string",
            Self::Time(_) => "a timestamp",
            Self::Span(_) => "a duration",
            Self::Shown(Value::Array(_)) | Self::List(_) => "a list",
            Self::Shown(_) | Self::Map(_) => "a map",
            Self::Maybe(_) => "an optional value",
            Self::Failed(_) => "nothing",
        }
    }

    /// The field of a map; None: it has none of that name.
    pub(super) fn field(&self, name: &str) -> Result<Option<Self>, Error> {
        match self {
            Self::Shown(Value::Object(map)) => Ok(map.get(name).map(Self::of)),
            Self::Map(map) => {
                let found = map.iter().find(|(key, _)| **key == *name);
                Ok(found.map(|(_, value)| value.clone()))
            }
            Self::Maybe(None) => Ok(None),
            Self::Maybe(Some(inner)) => inner.field(name),
            other => Err(Error::Failed(format!(
                "{} has no field '{name}'",
                other.kind()
            ))),
        }
    }

    /// The elements of a list, or the keys of a map.
    pub(super) fn items(&self) -> Result<Vec<Self>, Error> {
        match self {
            Self::Shown(Value::Array(list)) => Ok(list.iter().map(Self::of).collect()),
            Self::Shown(Value::Object(map)) => {
                Ok(map.keys().map(|key| Self::Text(Text::Shown(key))).collect())
            }
            Self::List(list) => Ok(list.to_vec()),
            Self::Map(map) => Ok(map.iter().map(|(key, _)| Self::Text(key.clone())).collect()),
            other => Err(Error::Failed(format!("{} has no elements", other.kind()))),
        }
    }

    /// How many elements it has, or characters.
    pub(super) fn size(&self) -> Option<usize> {
        match self {
            Self::Text(text) => Some(text.chars().count()),
            Self::Shown(Value::Array(list)) => Some(list.len()),
            Self::Shown(Value::Object(map)) => Some(map.len()),
            Self::List(list) => Some(list.len()),
            Self::Map(map) => Some(map.len()),
            _ => None,
        }
    }

    /// The value as JSON, every part of it paid for.
    pub(super) fn json(
        &self,
        pay: &mut dyn FnMut(usize) -> Result<(), Error>,
    ) -> Result<Value, Error> {
        pay(1)?;
        Ok(match self {
            Self::Null | Self::Maybe(None) => Value::Null,
            Self::Bool(is) => Value::Bool(*is),
            Self::Int(number) => Value::from(*number),
            Self::Double(number) => Value::from(*number),
            Self::Text(text) => {
                pay(text.len() / 16)?;
                Value::String(text.to_string())
            }
            Self::Shown(value) => copied(value, pay)?,
            Self::List(list) => {
                let items = list.iter().map(|one| one.json(pay));
                Value::Array(items.collect::<Result<_, _>>()?)
            }
            Self::Map(map) => {
                let mut made = Map::new();
                for (key, value) in map.iter() {
                    made.insert(key.to_string(), value.json(pay)?);
                }
                Value::Object(made)
            }
            Self::Maybe(Some(inner)) => inner.json(pay)?,
            Self::Time(_) | Self::Span(_) => time::told(self).map_or(Value::Null, Value::String),
            Self::Failed(why) => return Err((**why).clone()),
        })
    }

    pub(super) fn is_list(&self) -> bool {
        matches!(self, Self::List(_) | Self::Shown(Value::Array(_)))
    }

    pub(super) fn is_map(&self) -> bool {
        matches!(self, Self::Map(_) | Self::Shown(Value::Object(_)))
    }
}

/// A copy, every part of it paid for.
fn copied(value: &Value, pay: &mut dyn FnMut(usize) -> Result<(), Error>) -> Result<Value, Error> {
    match value {
        Value::String(text) => pay(text.len() / 16 + 1)?,
        Value::Array(list) => {
            let items = list.iter().map(|one| copied(one, pay));
            return Ok(Value::Array(items.collect::<Result<_, _>>()?));
        }
        Value::Object(map) => {
            let mut made = Map::new();
            for (key, value) in map {
                made.insert(key.clone(), copied(value, pay)?);
            }
            return Ok(Value::Object(made));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => pay(1)?,
    }
    Ok(value.clone())
}

/// A count as expressions have it.
pub(super) fn int(count: usize) -> Val<'static> {
    Val::Int(i64::try_from(count).unwrap_or(i64::MAX))
}
