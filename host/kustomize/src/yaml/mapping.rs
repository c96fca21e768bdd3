//! A mapping: keys and values in the order in which they were written.
//!
//! Most mappings of manifests hold a handful of fields, and there are very many. Up to [`SMALL`] fields are a list that is
//! searched from its front, which needs half the room of an index and no more time. Above that there is an index.

use std::borrow::Borrow;
use std::fmt;
use std::ops::Deref;
use std::rc::Rc;

use indexmap::{IndexMap, IndexSet};

use super::node::Node;

/// How many fields are searched one by one.
const SMALL: usize = 16;

/// A key. Text, as kustomize compares keys; the many that are the same may be one and the same.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Key(Rc<str>);

impl Key {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl Deref for Key {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for Key {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Key {
    fn from(text: &str) -> Self {
        Self(Rc::from(text))
    }
}

impl From<String> for Key {
    fn from(text: String) -> Self {
        Self(Rc::from(text))
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Keys that were met, to be one and the same wherever they stand.
#[derive(Debug, Default)]
pub(super) struct Keys(IndexSet<Key>);

impl Keys {
    /// How many are remembered.
    const MOST: usize = 1_000;

    /// The key of this text. Beyond a bound each has its own.
    pub(super) fn shared(&mut self, text: &str) -> Key {
        if let Some(known) = self.0.get(text) {
            return known.clone();
        }
        let key = Key::from(text);
        if self.0.len() < Self::MOST {
            self.0.insert(key.clone());
        }
        key
    }
}

/// Keys and values in order, each key once.
#[derive(Clone, Debug)]
pub(crate) struct Mapping(Fields);

#[derive(Clone, Debug)]
enum Fields {
    Few(Vec<(Key, Node)>),
    /// Boxed, so that the many small ones stay small.
    Many(Box<IndexMap<Key, Node>>),
}

impl Default for Mapping {
    fn default() -> Self {
        Self::new()
    }
}

/// The order makes no difference.
impl PartialEq for Mapping {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len()
            && self
                .iter()
                .all(|(key, value)| other.get(key) == Some(value))
    }
}

impl Mapping {
    pub(crate) const fn new() -> Self {
        Self(Fields::Few(Vec::new()))
    }

    pub(crate) fn len(&self) -> usize {
        match &self.0 {
            Fields::Few(few) => few.len(),
            Fields::Many(many) => many.len(),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) fn contains_key(&self, key: &str) -> bool {
        self.get(key).is_some()
    }

    pub(crate) fn get(&self, key: &str) -> Option<&Node> {
        match &self.0 {
            Fields::Few(few) => {
                let mut few = few.iter();
                few.find(|(known, _)| **known == *key).map(|(_, node)| node)
            }
            Fields::Many(many) => many.get(key),
        }
    }

    pub(crate) fn get_mut(&mut self, key: &str) -> Option<&mut Node> {
        match &mut self.0 {
            Fields::Few(few) => {
                let mut few = few.iter_mut();
                few.find(|(known, _)| **known == *key).map(|(_, node)| node)
            }
            Fields::Many(many) => many.get_mut(key),
        }
    }

    /// Sets a field, at its place or behind all.
    pub(crate) fn insert(&mut self, key: impl Into<Key> + AsRef<str>, node: Node) {
        match self.get_mut(key.as_ref()) {
            Some(old) => *old = node,
            None => self.push(key.into(), node),
        }
    }

    /// The field, made behind all if it is not there.
    pub(crate) fn get_or_insert_with(
        &mut self,
        key: &str,
        make: impl FnOnce() -> Node,
    ) -> &mut Node {
        if !self.contains_key(key) {
            self.push(Key::from(key), make());
        }
        self.get_mut(key).expect("because it was just made")
    }

    /// Adds a field that is not there.
    fn push(&mut self, key: Key, node: Node) {
        match &mut self.0 {
            Fields::Few(few) if few.len() < SMALL => few.push((key, node)),
            Fields::Few(few) => {
                let few = std::mem::take(few).into_iter();
                self.0 = Fields::Many(Box::new(few.chain([(key, node)]).collect()));
            }
            Fields::Many(many) => {
                many.insert(key, node);
            }
        }
    }

    /// Takes a field out; the others keep their order.
    pub(crate) fn shift_remove(&mut self, key: &str) -> Option<Node> {
        match &mut self.0 {
            Fields::Few(few) => {
                let at = few.iter().position(|(known, _)| **known == *key)?;
                Some(few.remove(at).1)
            }
            Fields::Many(many) => many.shift_remove(key),
        }
    }

    pub(crate) fn retain(&mut self, mut keep: impl FnMut(&Key, &mut Node) -> bool) {
        match &mut self.0 {
            Fields::Few(few) => few.retain_mut(|(key, node)| keep(key, node)),
            Fields::Many(many) => many.retain(keep),
        }
    }

    /// Gives back what room there is for more.
    pub(crate) fn shrink_to_fit(&mut self) {
        match &mut self.0 {
            Fields::Few(few) => few.shrink_to_fit(),
            Fields::Many(many) => many.shrink_to_fit(),
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Key, &Node)> {
        let (few, many) = match &self.0 {
            Fields::Few(few) => (Some(few), None),
            Fields::Many(many) => (None, Some(many)),
        };
        let few = few.into_iter().flatten().map(|(key, node)| (key, node));
        few.chain(many.into_iter().flat_map(|many| many.iter()))
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (&Key, &mut Node)> {
        let (few, many) = match &mut self.0 {
            Fields::Few(few) => (Some(few), None),
            Fields::Many(many) => (None, Some(many)),
        };
        let few = few.into_iter().flatten().map(|(key, node)| (&*key, node));
        few.chain(many.into_iter().flat_map(|many| many.iter_mut()))
    }

    pub(crate) fn into_pairs(self) -> impl Iterator<Item = (Key, Node)> {
        let (few, many) = match self.0 {
            Fields::Few(few) => (Some(few), None),
            Fields::Many(many) => (None, Some(many)),
        };
        let few = few.into_iter().flatten();
        few.chain(many.into_iter().flat_map(|many| *many))
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = &Key> {
        self.iter().map(|(key, _)| key)
    }

    pub(crate) fn values(&self) -> impl Iterator<Item = &Node> {
        self.iter().map(|(_, node)| node)
    }

    pub(crate) fn values_mut(&mut self) -> impl Iterator<Item = &mut Node> {
        self.iter_mut().map(|(_, node)| node)
    }
}

impl<K: Into<Key> + AsRef<str>> FromIterator<(K, Node)> for Mapping {
    fn from_iter<I: IntoIterator<Item = (K, Node)>>(pairs: I) -> Self {
        let mut map = Self::new();
        map.extend(pairs);
        map
    }
}

impl<K: Into<Key> + AsRef<str>> Extend<(K, Node)> for Mapping {
    fn extend<I: IntoIterator<Item = (K, Node)>>(&mut self, pairs: I) {
        pairs
            .into_iter()
            .for_each(|(key, node)| self.insert(key, node));
    }
}

impl AsRef<str> for Key {
    fn as_ref(&self) -> &str {
        &self.0
    }
}
