//! Values out of a kustomization file, with the place of each.
//!
//! A value of another type than kustomize's is refused as kustomize refuses it: a number is no string.

use std::collections::BTreeMap;

use indexmap::IndexMap;
use serde_json::Value;

use super::{Entry, Pairs};
use crate::error::{Error, Place, Why};
use crate::nearest::nearest;
use crate::yaml::{Key, Mapping, Marks, Node, Scalar, Tag};

/// One value and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Cursor<'a> {
    file: &'a str,
    marks: &'a Marks,
    path: String,
    node: &'a Node,
    /// The object the value is a part of, where it has no marks of its own.
    object: Option<&'a Place>,
    /// Whether scalars become text where text is wanted, and unknown fields are passed over.
    loose: bool,
}

/// The fields of a mapping that were not taken yet.
pub(super) struct Fields<'a> {
    rest: IndexMap<&'a str, Cursor<'a>>,
    /// Those without a value: nobody takes them, but they have to be known.
    nulls: IndexMap<&'a str, Cursor<'a>>,
    known: Vec<&'static str>,
    /// Whether fields that nobody knows are let pass.
    loose: bool,
}

/// Makes one of fields whose names differ in their letters' case only, as Go's JSON decoder does: they are read in the order
/// of their bytes into one and the same value, item by item and field by field.
pub(super) fn unite(node: &mut Node) {
    match node {
        Node::Map(map) => {
            unite_fields(map);
            let names = |key: &str, value: &Node| value.map().is_some() && is_free(key);
            let fields = map.iter_mut().filter(|(key, value)| !names(key, value));
            fields.for_each(|(_, value)| unite(value));
        }
        Node::Seq(items) => items.iter_mut().for_each(unite),
        Node::Scalar(_) => {}
    }
}

/// Whether the keys of a mapping are the author's, who may tell them apart by the case of their letters.
fn is_free(field: &str) -> bool {
    const FREE: [&str; 5] = [
        "labels",
        "annotations",
        "pairs",
        "commonLabels",
        "commonAnnotations",
    ];
    FREE.iter().any(|free| free.eq_ignore_ascii_case(field))
}

fn unite_fields(map: &mut Mapping) {
    let mut spellings: BTreeMap<String, Vec<Key>> = BTreeMap::new();
    for key in map.keys() {
        let known = spellings.entry(key.to_ascii_lowercase()).or_default();
        known.push(key.clone());
    }
    for (_, mut keys) in spellings.into_iter().filter(|(_, keys)| keys.len() > 1) {
        keys.sort();
        let mut values = keys.iter().filter_map(|key| map.shift_remove(key));
        let first = values.next().unwrap_or_default();
        let united = values.fold(first, written_over);
        map.extend(keys.pop().map(|last| (last, united)));
    }
}

/// `new` as it is when it is read into `old`.
fn written_over(old: Node, new: Node) -> Node {
    match (old, new) {
        (Node::Map(mut old), Node::Map(new)) => {
            for (key, value) in new.into_pairs() {
                let value = match old.get_mut(&key) {
                    Some(old) => written_over(std::mem::take(old), value),
                    None => value,
                };
                old.insert(key, value);
            }
            Node::Map(old)
        }
        (Node::Seq(old), Node::Seq(new)) => {
            let old = old
                .into_iter()
                .map(Some)
                .chain(std::iter::repeat_with(|| None));
            let both = new.into_iter().zip(old);
            Node::Seq(
                both.map(|(new, old)| written_over(old.unwrap_or_default(), new))
                    .collect(),
            )
        }
        (old @ Node::Scalar(_), new) if new.is_null() => old,
        (_, new) => new,
    }
}

impl<'a> Cursor<'a> {
    pub(super) fn root(file: &'a str, marks: &'a Marks, node: &'a Node) -> Self {
        Self {
            file,
            marks,
            path: String::new(),
            node,
            object: None,
            loose: false,
        }
    }

    /// An object that stands at `place`; fields that nobody knows are let pass in it.
    pub(super) fn loose(node: &'a Node, place: &'a Place) -> Self {
        static NONE: Marks = Marks::new();
        Self {
            file: &place.file,
            marks: &NONE,
            path: String::new(),
            node,
            object: Some(place),
            loose: true,
        }
    }

    /// The root of a file that kustomize reads less strictly than its own: scalars become text where text is wanted, and
    /// fields that nobody knows are let pass.
    pub(super) fn loose_root(file: &'a str, marks: &'a Marks, node: &'a Node) -> Self {
        Self {
            loose: true,
            ..Self::root(file, marks, node)
        }
    }

    pub(super) fn is_loose(&self) -> bool {
        self.loose
    }

    pub(super) fn file(&self) -> &'a str {
        self.file
    }

    pub(super) fn place(&self) -> Place {
        if let Some(object) = self.object {
            let both = [object.field.clone().unwrap_or_default(), self.path.clone()];
            let both: Vec<String> = both.into_iter().filter(|part| !part.is_empty()).collect();
            return Place {
                field: (!both.is_empty()).then(|| both.join(".")),
                ..object.clone()
            };
        }
        let mark = self.marks.get(&self.path);
        Place {
            file: self.file.to_owned(),
            line: mark.map(|m| m.0),
            column: mark.map(|m| m.1),
            field: (!self.path.is_empty()).then(|| self.path.clone()),
        }
    }

    fn wrong(&self, wanted: &str) -> Error {
        let hint = match self.node {
            Node::Scalar(s) if wanted == "a string" && s.tag != Tag::Null => ": quote it",
            _ => "",
        };
        let why = format!("must be {wanted}, not {}{hint}", self.node.kind_name());
        Error::in_place(&self.place(), Why::Invalid(why))
    }

    fn child(&self, step: &str, node: &'a Node) -> Self {
        let dot = if self.path.is_empty() || step.starts_with('[') {
            ""
        } else {
            "."
        };
        Self {
            path: format!("{}{dot}{step}", self.path),
            node,
            ..*self
        }
    }

    pub(super) fn fields(&self) -> Result<Fields<'a>, Error> {
        let map = self.node.map().ok_or_else(|| self.wrong("a mapping"))?;
        let all = map
            .iter()
            .map(|(key, node)| (key.as_str(), self.child(key, node)));
        let (nulls, rest) = all.partition(|(_, cursor)| cursor.node.is_null());
        Ok(Fields {
            rest,
            nulls,
            known: Vec::new(),
            loose: self.is_loose(),
        })
    }

    /// What `decode` makes of every item of a list.
    pub(super) fn list<T>(
        &self,
        decode: impl Fn(Self) -> Result<T, Error>,
    ) -> Result<Vec<T>, Error> {
        self.items()?.into_iter().map(decode).collect()
    }

    pub(super) fn items(&self) -> Result<Vec<Self>, Error> {
        let seq = self.node.seq().ok_or_else(|| self.wrong("a list"))?;
        let item = |(i, node): (usize, &'a Node)| self.child(&format!("[{i}]"), node);
        Ok(seq.iter().enumerate().map(item).collect())
    }

    pub(super) fn entry(&self) -> Result<Entry, Error> {
        match self.node {
            Node::Scalar(Scalar {
                tag: Tag::Str,
                text,
                ..
            }) => Ok(Entry {
                text: text.clone(),
                place: self.place(),
            }),
            Node::Scalar(scalar) if self.is_loose() && scalar.tag != Tag::Null => Ok(Entry {
                text: as_text(scalar),
                place: self.place(),
            }),
            _ => Err(self.wrong("a string")),
        }
    }

    fn flag(&self) -> Result<bool, Error> {
        match self.node {
            Node::Scalar(scalar) if scalar.tag == Tag::Bool => {
                Ok(scalar.clone().into_value().is_ok_and(|v| v == true))
            }
            _ => Err(self.wrong("a boolean")),
        }
    }

    fn integer(&self) -> Result<i64, Error> {
        match self.node {
            Node::Scalar(scalar) if scalar.tag == Tag::Int => {
                let value = scalar.clone().into_value().ok();
                value.and_then(|v| v.as_i64()).ok_or_else(|| {
                    Error::invalid_at(&self.place(), "is a number that is too large")
                })
            }
            _ => Err(self.wrong("a whole number")),
        }
    }

    fn pairs(&self) -> Result<Pairs, Error> {
        let map = self.node.map().ok_or_else(|| self.wrong("a mapping"))?;
        let mut pairs = Vec::with_capacity(map.len());
        for (key, node) in map.iter() {
            let text = if node.is_null() {
                String::new()
            } else {
                self.child(key, node).entry()?.text
            };
            pairs.push((key.as_str().to_owned(), text));
        }
        pairs.sort();
        Ok(Pairs {
            pairs,
            place: self.place(),
        })
    }
}

impl<'a> Fields<'a> {
    /// The field `name`, if it is set.
    pub(super) fn take(&mut self, name: &'static str) -> Option<Cursor<'a>> {
        self.known.push(name);
        let key = self.rest.keys().copied().find(|k| *k == name);
        let key = key.or_else(|| {
            self.rest
                .keys()
                .copied()
                .find(|k| k.eq_ignore_ascii_case(name))
        })?;
        self.rest.shift_remove(key)
    }

    pub(super) fn skip(&mut self, name: &'static str) {
        drop(self.take(name));
    }

    pub(super) fn entry(&mut self, name: &'static str) -> Result<Entry, Error> {
        self.take(name)
            .map_or_else(|| Ok(Entry::default()), |c| c.entry())
    }

    pub(super) fn text(&mut self, name: &'static str) -> Result<String, Error> {
        Ok(self.entry(name)?.text)
    }

    pub(super) fn flag(&mut self, name: &'static str) -> Result<bool, Error> {
        self.take(name).map_or(Ok(false), |c| c.flag())
    }

    pub(super) fn integer(&mut self, name: &'static str) -> Result<i64, Error> {
        self.take(name).map_or(Ok(0), |c| c.integer())
    }

    pub(super) fn pairs(&mut self, name: &'static str) -> Result<Pairs, Error> {
        self.take(name)
            .map_or_else(|| Ok(Pairs::default()), |c| c.pairs())
    }

    pub(super) fn texts(&mut self, name: &'static str) -> Result<Vec<Entry>, Error> {
        self.list(name, |cursor| cursor.entry())
    }

    pub(super) fn list<T>(
        &mut self,
        name: &'static str,
        decode: impl Fn(Cursor<'a>) -> Result<T, Error>,
    ) -> Result<Vec<T>, Error> {
        self.take(name)
            .map_or_else(|| Ok(Vec::new()), |cursor| cursor.list(decode))
    }

    /// The same without the items that hold nothing, as kustomize reads it where such an item does nothing.
    pub(super) fn list_of_set<T>(
        &mut self,
        name: &'static str,
        decode: impl Fn(Cursor<'a>) -> Result<T, Error>,
    ) -> Result<Vec<T>, Error> {
        let Some(cursor) = self.take(name) else {
            return Ok(Vec::new());
        };
        let items = cursor.items()?.into_iter();
        items
            .filter(|item| !item.node.is_null())
            .map(decode)
            .collect()
    }

    /// Refuses the fields that are known but not acted on, unless they hold nothing.
    pub(super) fn refuse(
        &mut self,
        names: &[&'static str],
        why: impl Fn() -> Why,
    ) -> Result<(), Error> {
        for name in names {
            let Some(cursor) = self.take(name) else {
                continue;
            };
            let empty = match cursor.node {
                Node::Seq(items) => items.is_empty(),
                Node::Map(map) => map.is_empty(),
                Node::Scalar(_) => false,
            };
            if !empty {
                return Err(Error::in_place(&cursor.place(), why()));
            }
        }
        Ok(())
    }

    /// Refuses whatever was not taken.
    pub(super) fn finish(self) -> Result<(), Error> {
        let is_known = |name: &str| self.known.iter().any(|k| k.eq_ignore_ascii_case(name));
        let mut nulls = self.nulls.iter();
        let unknown = nulls.find(|(name, _)| !is_known(name));
        let first = self.rest.first().or(unknown);
        let Some((name, cursor)) = first.filter(|_| !self.loose) else {
            return Ok(());
        };
        let near = nearest(name, self.known.iter().copied());
        let suggestion = near.map(str::to_owned);
        Err(Error::in_place(
            &cursor.place(),
            Why::Unknown { suggestion },
        ))
    }
}

/// A value that is not quoted where a string is wanted, as Go's YAML packages write it.
fn as_text(scalar: &Scalar) -> String {
    match scalar.clone().into_value() {
        Ok(Value::Bool(value)) => value.to_string(),
        Ok(Value::Number(number)) => match number.as_f64() {
            Some(float) if number.is_f64() => go_float(float),
            _ => number.to_string(),
        },
        _ => scalar.text.clone(),
    }
}

/// The shortest text of a number: with an exponent below 1e-4 and from 1e6 on.
fn go_float(float: f64) -> String {
    let text = format!("{float:e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    match exponent.parse::<i32>() {
        Ok(exponent) if !(-4..6).contains(&exponent) => {
            let sign = if exponent < 0 { '-' } else { '+' };
            format!("{digits}e{sign}{:02}", exponent.abs())
        }
        _ => float.to_string(),
    }
}
