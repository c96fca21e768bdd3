//! The tree that a document becomes: mappings keep their order, scalars their text.
//!
//! Everything between reading and the final [`crate::Object`] works on it.

use serde_json::{Map, Value};

use super::mapping::Mapping;
use super::scalar::{CONTROL, Scalar, Style, Tag, Unprintable, holds_control};

/// One value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Node {
    Scalar(Scalar),
    Seq(Vec<Self>),
    Map(Mapping),
}

impl Default for Node {
    fn default() -> Self {
        Self::null()
    }
}

impl Node {
    pub(crate) fn null() -> Self {
        Self::Scalar(Scalar::default())
    }

    pub(crate) fn string(text: impl Into<String>) -> Self {
        Self::Scalar(Scalar::string(text))
    }

    /// A text that is set in a field, as kustomize sets it.
    pub(crate) fn set(text: impl Into<String>) -> Self {
        let text = Scalar::string(text);
        let style = Style::when_set(&text.text);
        Self::Scalar(Scalar { style, ..text })
    }

    pub(crate) fn boolean(value: bool) -> Self {
        Self::Scalar(Scalar::new(Tag::Bool, value.to_string()))
    }

    pub(crate) fn mapping(map: Mapping) -> Self {
        Self::Map(map)
    }

    pub(crate) fn empty_mapping() -> Self {
        Self::mapping(Mapping::new())
    }

    pub(crate) fn is_null(&self) -> bool {
        matches!(self, Self::Scalar(s) if s.tag == Tag::Null)
    }

    pub(crate) fn is_text(&self) -> bool {
        matches!(self, Self::Scalar(s) if s.tag == Tag::Str)
    }

    pub(crate) fn is_scalar(&self) -> bool {
        matches!(self, Self::Scalar(_))
    }

    pub(crate) fn map(&self) -> Option<&Mapping> {
        match self {
            Self::Map(map) => Some(map),
            _ => None,
        }
    }

    pub(crate) fn map_mut(&mut self) -> Option<&mut Mapping> {
        match self {
            Self::Map(map) => Some(map),
            _ => None,
        }
    }

    pub(crate) fn seq(&self) -> Option<&Vec<Self>> {
        match self {
            Self::Seq(seq) => Some(seq),
            _ => None,
        }
    }

    /// The text of a scalar that is not null; empty for everything else, as kustomize has it.
    pub(crate) fn text(&self) -> &str {
        match self {
            Self::Scalar(s) if s.tag != Tag::Null => &s.text,
            _ => "",
        }
    }

    /// The text of a scalar as it was written, null included; empty for everything else.
    pub(crate) fn raw_text(&self) -> &str {
        match self {
            Self::Scalar(s) => &s.text,
            _ => "",
        }
    }

    /// The field `key` of a mapping.
    pub(crate) fn get(&self, key: &str) -> Option<&Self> {
        self.map()?.get(key)
    }

    /// The field `key` of a mapping.
    pub(crate) fn get_mut(&mut self, key: &str) -> Option<&mut Self> {
        self.map_mut()?.get_mut(key)
    }

    /// The value at a path of mapping fields.
    pub(crate) fn at(&self, path: &[&str]) -> Option<&Self> {
        path.iter().try_fold(self, |node, key| node.get(key))
    }

    /// Gives every scalar that shares its value by this number the value of `new`.
    ///
    /// kustomize writes one and the same node into all places that a label or an annotation goes to. Who later changes
    /// one of them changes all; repositories depend on it, so it is so here.
    pub(crate) fn share(&mut self, number: u32, new: &Scalar) {
        match self {
            Self::Scalar(scalar) if scalar.shared == number => {
                *scalar = new.clone().over(scalar);
            }
            Self::Scalar(_) => {}
            Self::Seq(seq) => seq.iter_mut().for_each(|node| node.share(number, new)),
            Self::Map(map) => map.values_mut().for_each(|node| node.share(number, new)),
        }
    }

    /// Calls `change` on every scalar.
    pub(crate) fn each_scalar(&mut self, change: &mut dyn FnMut(&mut Scalar)) {
        match self {
            Self::Scalar(scalar) => change(scalar),
            Self::Seq(seq) => seq.iter_mut().for_each(|node| node.each_scalar(change)),
            Self::Map(map) => map.values_mut().for_each(|node| node.each_scalar(change)),
        }
    }

    /// The number by which a scalar shares its value, if it does.
    pub(crate) fn shared(&self) -> Option<u32> {
        match self {
            Self::Scalar(scalar) if scalar.shared != 0 => Some(scalar.shared),
            _ => None,
        }
    }

    /// In words, for a message.
    pub(crate) fn kind_name(&self) -> &'static str {
        match self {
            Self::Map(_) => "a mapping",
            Self::Seq(_) => "a list",
            Self::Scalar(s) => match s.printed() {
                Tag::Null => "null",
                Tag::Bool => "a boolean",
                Tag::Int | Tag::Float => "a number",
                Tag::Timestamp => "a time",
                Tag::Str => "a string",
            },
        }
    }

    /// How deep it is: 1 for a scalar.
    pub(crate) fn depth(&self) -> u64 {
        let below = match self {
            Self::Scalar(_) => return 1,
            Self::Seq(seq) => seq.iter().map(Self::depth).max(),
            Self::Map(map) => map.values().map(Self::depth).max(),
        };
        1 + below.unwrap_or(0)
    }

    /// How much it is, in the unit of [`crate::Limits::nodes`]: long text counts as more than one.
    pub(crate) fn cost(&self) -> u64 {
        match self {
            Self::Scalar(s) => text_cost(&s.text),
            Self::Seq(seq) => 1 + seq.iter().map(Self::cost).sum::<u64>(),
            Self::Map(map) => {
                1 + map
                    .iter()
                    .map(|(k, v)| text_cost(k) + v.cost())
                    .sum::<u64>()
            }
        }
    }

    /// How many values it is, with all in it.
    pub(crate) fn values(&self) -> u64 {
        1 + match self {
            Self::Scalar(_) => 0,
            Self::Seq(seq) => seq.iter().map(Self::values).sum(),
            Self::Map(map) => map.values().map(Self::values).sum::<u64>(),
        }
    }

    /// Whether it can be printed, or which value in it cannot.
    pub(crate) fn printable(&self) -> Result<(), Unprintable> {
        match self {
            Self::Scalar(scalar) => scalar.printable(),
            Self::Seq(seq) => seq.iter().enumerate().try_for_each(|(index, item)| {
                let item = item.printable();
                item.map_err(|error| error.below(&format!("[{index}]")))
            }),
            Self::Map(map) => map.iter().try_for_each(|(key, node)| {
                if holds_control(key) {
                    let (field, why) = ("a key".to_owned(), CONTROL);
                    return Err(Unprintable { field, why });
                }
                node.printable().map_err(|error| error.below(key))
            }),
        }
    }

    /// As JSON.
    pub(crate) fn into_value(self) -> Result<Value, Unprintable> {
        self.printable()?;
        Ok(self.value())
    }

    /// As JSON, if it is [`Self::printable`].
    pub(crate) fn value(self) -> Value {
        match self {
            Self::Scalar(scalar) => scalar.value(),
            // Not collected: that would leave room for items that never come, in every small mapping.
            Self::Seq(seq) => {
                let mut items = Vec::with_capacity(seq.len());
                items.extend(seq.into_iter().map(Self::value));
                Value::Array(items)
            }
            Self::Map(map) => {
                let mut fields = Map::with_capacity(map.len());
                fields.extend(
                    map.into_pairs()
                        .map(|(key, node)| (key.as_str().to_owned(), node.value())),
                );
                Value::Object(fields)
            }
        }
    }
}

/// What a text counts.
pub(crate) fn text_cost(text: &str) -> u64 {
    1 + (text.len() as u64) / 64
}
