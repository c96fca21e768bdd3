//! Several values for a key, kept one by one: what is asked by the key costs what is found, and not what there is.
//!
//! It deliberately knows neither Tenants nor namespaces.

use std::collections::{BTreeMap, BTreeSet};

/// The values of each key. A key without any is not there.
#[derive(Debug, Clone)]
pub(super) struct Many<K, V>(BTreeMap<K, BTreeSet<V>>);

impl<K, V> Default for Many<K, V> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<K: Ord, V: Ord> Many<K, V> {
    pub(super) fn put(&mut self, key: K, value: V) {
        self.0.entry(key).or_default().insert(value);
    }

    pub(super) fn take(&mut self, key: &K, value: &V) {
        let Some(values) = self.0.get_mut(key) else {
            return;
        };
        values.remove(value);
        if values.is_empty() {
            self.0.remove(key);
        }
    }

    pub(super) fn of(&self, key: &K) -> Option<&BTreeSet<V>> {
        self.0.get(key)
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = &K> {
        self.0.keys()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_without_values_is_not_there() {
        let mut many = Many::default();
        many.put("a", 1);
        many.put("a", 2);
        many.take(&"a", &1);
        many.take(&"b", &1);
        assert_eq!(many.of(&"a"), Some(&BTreeSet::from([2])));
        many.take(&"a", &2);
        assert_eq!((many.of(&"a"), many.keys().next()), (None, None));
    }
}
