//! Which sources are laid into which others.
//!
//! What is in store of one wakes those that include it. Whoever leads back to itself would change with each of its own
//! changes, so that is found out before anything is fetched. It deliberately doesn't know paths; `core::source` does.

use std::collections::{BTreeMap, BTreeSet};

use reeve_api::name::{NamespacedName, ObjectName};

use super::{Index, beside, unlink};

impl Index {
    /// The sources that include this one, in order.
    pub fn includers_of(&self, source: &NamespacedName) -> impl Iterator<Item = &NamespacedName> {
        self.by_included.get(source).into_iter().flatten()
    }

    /// The way on which a source includes itself, if it does: the names from one of those that it includes back to its own.
    pub fn loop_of(&self, source: &NamespacedName) -> Option<Vec<ObjectName>> {
        // Whence each was reached, so that the way can be told; it is also what was seen.
        let mut whence: BTreeMap<&ObjectName, &ObjectName> = BTreeMap::new();
        let mut next = vec![&source.name];
        while let Some(name) = next.pop() {
            let Some(known) = self.sources.get(&beside(source, name)) else {
                continue;
            };
            for included in &known.includes {
                if *included == source.name {
                    return Some(way(&whence, &source.name, name));
                }
                if !whence.contains_key(included) {
                    whence.insert(included, name);
                    next.push(included);
                }
            }
        }
        None
    }

    pub(super) fn link_included(&mut self, id: &NamespacedName, includes: &BTreeSet<ObjectName>) {
        for name in includes {
            let includers = self.by_included.entry(beside(id, name)).or_default();
            includers.insert(id.clone());
        }
    }

    pub(super) fn unlink_included(&mut self, id: &NamespacedName, includes: &BTreeSet<ObjectName>) {
        for name in includes {
            unlink(&mut self.by_included, &beside(id, name), id);
        }
    }
}

/// The names from `begin` to `last` and back to `begin`.
fn way(
    whence: &BTreeMap<&ObjectName, &ObjectName>,
    begin: &ObjectName,
    last: &ObjectName,
) -> Vec<ObjectName> {
    let mut way = vec![begin.clone()];
    let mut at = last;
    while at != begin {
        way.push(at.clone());
        match whence.get(at) {
            Some(before) => at = before,
            None => break,
        }
    }
    way.reverse();
    way
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::Source;

    fn id(name: &str) -> NamespacedName {
        NamespacedName::new("acme", name).unwrap()
    }

    fn index(sources: &[(&str, &[&str])]) -> Index {
        let mut index = Index::default();
        for (name, includes) in sources {
            let source = Source {
                includes: includes.iter().map(|name| name.parse().unwrap()).collect(),
                ..Source::default()
            };
            index.apply_source(&id(name), source);
        }
        index
    }

    fn includers(index: &Index, name: &str) -> Vec<String> {
        let included = id(name);
        let found = index.includers_of(&included);
        found.map(|id| id.name.to_string()).collect()
    }

    #[test]
    fn a_source_touches_those_that_include_it_as_long_as_they_do() {
        let mut index = index(&[("web", &["base", "more"]), ("db", &["base"])]);
        assert_eq!(includers(&index, "base"), ["db", "web"]);
        index.apply_source(&id("web"), Source::default());
        assert_eq!(includers(&index, "base"), ["db"]);
        assert!(includers(&index, "more").is_empty());
        index.remove_source(&id("db"));
        assert!(includers(&index, "base").is_empty());
    }

    #[test]
    fn a_way_back_to_a_source_is_found_and_told() {
        for (sources, way) in [
            (&[("a", &["a"][..])][..], Some("a")),
            (
                &[("a", &["x", "b"]), ("b", &["c"]), ("c", &["y", "a"])],
                Some("b c a"),
            ),
            // Into a loop of others leads no way back.
            (&[("a", &["b"]), ("b", &["c"]), ("c", &["b"])], None),
            (&[("a", &["b", "c"]), ("b", &["c"]), ("c", &[])], None),
        ] {
            let found = index(sources).loop_of(&id("a"));
            let told = found.map(|way| way.iter().map(ToString::to_string).collect::<Vec<_>>());
            assert_eq!(told.map(|way| way.join(" ")), way.map(str::to_owned));
        }
    }
}
