//! Which Kustomizations wait for others to be ready.
//!
//! Said by who begins to look, before it looks, so that no change falls in between; forgotten when all it waits for is
//! ready.

use std::collections::BTreeSet;

use reeve_api::name::NamespacedName;

use super::{Index, unlink};

impl Index {
    /// `id` waits for these, and for no others.
    pub fn waits_for(&mut self, id: &NamespacedName, these: BTreeSet<NamespacedName>) {
        self.waits_no_more(id);
        for one in &these {
            self.by_dependency
                .entry(one.clone())
                .or_default()
                .insert(id.clone());
        }
        if !these.is_empty() {
            self.waits.insert(id.clone(), these);
        }
    }

    /// `id` waits for nobody.
    pub fn waits_no_more(&mut self, id: &NamespacedName) {
        for one in self.waits.remove(id).unwrap_or_default() {
            unlink(&mut self.by_dependency, &one, id);
        }
    }

    /// Whether `id` waits for anybody.
    pub fn waits(&self, id: &NamespacedName) -> bool {
        self.waits.contains_key(id)
    }

    /// Those that wait for `id`, in order.
    pub fn waiting_for(&self, id: &NamespacedName) -> impl Iterator<Item = &NamespacedName> {
        self.by_dependency.get(id).into_iter().flatten()
    }
}
