//! Which objects have a name, or had it: many patches for one object each need not look at all objects each.

use std::collections::BTreeMap;

use crate::object::Id;
use crate::resource::Resource;

/// An index over objects that patches go over, in whose list they keep their places.
#[derive(Default)]
pub(crate) struct Names {
    by_name: Option<BTreeMap<String, Vec<usize>>>,
    /// Whether two objects may have one identity.
    pub(super) doubtful: bool,
}

impl Names {
    /// For objects of which nobody has made sure yet that they differ.
    pub(crate) fn doubtful() -> Self {
        Self {
            doubtful: true,
            ..Self::default()
        }
    }

    /// The places of the objects that may have this name, or of all when none is given.
    pub(super) fn places(&mut self, name: Option<&str>, resources: &[Resource]) -> Vec<usize> {
        let Some(name) = name else {
            return (0..resources.len()).collect();
        };
        let by_name = self.by_name.get_or_insert_with(|| index(resources));
        by_name.get(name).cloned().unwrap_or_default()
    }

    /// Learns what became of the object at this place, which was `before`.
    pub(super) fn learn(&mut self, place: usize, before: &Id, resource: &Resource) {
        if resource.node.is_null() || *before == resource.key() {
            return;
        }
        self.doubtful = true;
        if let Some(by_name) = &mut self.by_name {
            add(by_name, place, resource);
        }
    }
}

fn index(resources: &[Resource]) -> BTreeMap<String, Vec<usize>> {
    let mut by_name = BTreeMap::new();
    for (place, resource) in resources.iter().enumerate() {
        add(&mut by_name, place, resource);
    }
    by_name
}

fn add(by_name: &mut BTreeMap<String, Vec<usize>>, place: usize, resource: &Resource) {
    let earlier = resource.previous().iter().map(|p| &*p.name);
    for name in earlier.chain([resource.name()]) {
        let places = by_name.entry(name.to_owned()).or_default();
        if let Err(at) = places.binary_search(&place) {
            places.insert(at, place);
        }
    }
}
