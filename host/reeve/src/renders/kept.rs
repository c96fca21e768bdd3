//! The last build of each Kustomization, as long as there is room for it.
//!
//! Whoever was not asked for longest goes first. What it takes is counted with all that lies beside the objects: of a small build
//! that is the most. What a build is, and whether one is to be kept at all, is [`super`]'s to say.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use reeve_api::name::NamespacedName;
use reeve_core::spec::Spec;
use reeve_kustomize::{Overlay, Source, Wanted};

use super::footprint::{Footprint, Marked};
use super::packed::Packed;
use crate::functions::Used;

/// Bytes that all that is kept may take in memory.
pub(super) const KEPT: usize = 32 << 20;
/// A build larger than this is not kept: it would push out all the others.
pub(super) const LARGEST: usize = KEPT / 4;
/// Of how many Kustomizations it is remembered that they are large.
const LARGE_ONES: usize = 4096;
/// What a build takes beside its texts: its place in the map, its name, and the allocator's rounding.
const EACH: usize = size_of::<Build>() + 256;
/// What a patch, a base or a plugin takes beside its texts.
const PIECE: usize = 256;

/// Everything that a build depends on.
pub(super) struct Key {
    tree: String,
    path: String,
    overlay: Overlay,
    /// What was fetched from elsewhere, and which revision of it.
    remotes: Vec<(Source, String)>,
}

impl Key {
    pub(super) fn of(tree: &str, spec: &Spec, remotes: Vec<(Source, String)>) -> Self {
        Self {
            tree: tree.to_owned(),
            path: spec.path.clone(),
            overlay: spec.overlay.clone(),
            remotes,
        }
    }

    /// Bytes that it takes beside itself.
    fn size(&self) -> usize {
        let overlay = &self.overlay;
        let patches = overlay.patches.iter().chain(&overlay.operations);
        let patches = patches.map(|patch| patch.patch.len());
        let texts = overlay.merges.iter().chain(&overlay.components);
        let texts = patches.chain(texts.map(String::len));
        let images = overlay.images.iter().map(|_| 0);
        let pieces = texts.chain(images).map(|text| text + PIECE);
        self.tree.len() + self.path.len() + pieces.sum::<usize>() + self.remotes.len() * PIECE
    }
}

/// The last build of each.
#[derive(Default)]
pub(super) struct Kept {
    builds: BTreeMap<NamespacedName, Build>,
    size: usize,
    /// Counts what was asked for.
    asked: u64,
    /// Those whose last build was large.
    large: BTreeSet<NamespacedName>,
}

/// What a build made, and what of.
pub(super) struct Build {
    pub(super) key: Key,
    /// What it asked of its tree.
    pub(super) footprint: Footprint,
    /// What was wanted from elsewhere.
    pub(super) wanted: Vec<Wanted>,
    /// The plugins that were called as functions.
    pub(super) used: Used,
    pub(super) packed: Arc<Packed>,
    pub(super) asked: u64,
}

impl Build {
    /// Whether nothing else has changed of what it depends on than what was fetched for it.
    pub(super) fn is_but_for_remotes<T: Marked>(&self, key: &Key, source: &T) -> bool {
        let Key { path, overlay, .. } = key;
        self.key.path == *path
            && self.key.overlay == *overlay
            && (self.key.tree == key.tree || self.footprint.is_of(source))
    }

    /// Bytes that it takes in memory.
    fn weight(&self) -> usize {
        let beside = (self.wanted.len() + self.used.len()) * PIECE;
        EACH + self.key.size() + self.footprint.size() + beside + self.packed.weight()
    }
}

impl Kept {
    /// The build that is kept of `id`.
    pub(super) fn last(&self, id: &NamespacedName) -> Option<&Build> {
        self.builds.get(id)
    }

    pub(super) fn get<T: Marked>(
        &mut self,
        id: &NamespacedName,
        key: &Key,
        source: &T,
        same: impl FnOnce(&Used) -> bool,
    ) -> Option<Arc<Packed>> {
        self.asked += 1;
        let build = self.builds.get_mut(id)?;
        let unchanged = build.key.remotes == key.remotes
            && build.is_but_for_remotes(key, source)
            && same(&build.used);
        if !unchanged {
            return None;
        }
        // The next time nothing has to be asked. Trees have names of one length.
        build.key.tree.clone_from(&key.tree);
        build.asked = self.asked;
        Some(Arc::clone(&build.packed))
    }

    pub(super) fn put(&mut self, id: NamespacedName, mut build: Build) {
        self.remove(&id);
        let weight = build.weight();
        if weight > LARGEST {
            return;
        }
        self.size += weight;
        self.asked += 1;
        build.asked = self.asked;
        self.builds.insert(id, build);
        while self.size > KEPT {
            let oldest = self.builds.iter().min_by_key(|(_, build)| build.asked);
            let Some(id) = oldest.map(|(id, _)| id.clone()) else {
                return;
            };
            self.remove(&id);
        }
    }

    pub(super) fn is_known_as_large(&self, id: &NamespacedName) -> bool {
        self.large.contains(id)
    }

    /// Of those beyond the bound it is found out at each build.
    pub(super) fn is_large(&mut self, id: &NamespacedName, large: bool) {
        if !large {
            self.large.remove(id);
        } else if self.large.len() < LARGE_ONES {
            self.large.insert(id.clone());
        }
    }

    pub(super) fn remove(&mut self, id: &NamespacedName) {
        if let Some(build) = self.builds.remove(id) {
            self.size = self.size.saturating_sub(build.weight());
        }
    }

    pub(super) fn forget(&mut self, id: &NamespacedName) {
        self.large.remove(id);
        self.remove(id);
    }
}

#[cfg(test)]
mod tests {
    use reeve_kustomize::{MemoryTree, Tree as _};
    use serde_json::{Value, json};

    use super::super::footprint::Traced;
    use super::super::packed::tests::bundle;
    use super::super::tests::spec;
    use super::*;

    fn id(number: usize) -> NamespacedName {
        spec(&format!("web-{number}"), "").id
    }

    /// As a build is kept that reads so many files.
    fn build(number: usize, files: usize, packed: &Arc<Packed>) -> Build {
        let spec = spec(&format!("web-{number}"), "");
        let names: Vec<String> = (0..files)
            .map(|n| format!("tenants/some/object-{n:02}.yaml"))
            .collect();
        let tree: MemoryTree = names.iter().map(|name| (name.as_str(), "")).collect();
        let traced = Traced::new(tree);
        for name in &names {
            traced.kind(name);
            traced.left_out(name);
            traced.real(name);
            assert!(traced.read(name).is_ok());
        }
        Build {
            key: Key::of(&"a".repeat(64), &spec, Vec::new()),
            footprint: traced.asked(),
            wanted: Vec::new(),
            used: Used::new(),
            packed: Arc::clone(packed),
            asked: 0,
        }
    }

    /// As tenants write them, with numbers that make each another's.
    fn deployment(number: u64) -> Value {
        let odd = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let name = format!("service-{odd:016x}");
        json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": name, "labels": {"app": name, "team": "payments"}},
            "spec": {"replicas": number, "selector": {"matchLabels": {"app": name}}, "template": {
                "metadata": {"labels": {"app": name, "team": "payments"}},
                "spec": {"serviceAccountName": name, "containers": [{
                    "name": name, "image": format!("registry.example.com/payments/{name}:{odd:x}"),
                    "ports": [{"name": "http", "containerPort": 8080}],
                    "env": [{"name": "LOG", "value": "info"}, {"name": "KEY", "value": format!("{odd:x}{odd:o}")}],
                    "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}, "limits": {"memory": "128Mi"}},
                    "readinessProbe": {"httpGet": {"path": "/ready", "port": "http"}, "periodSeconds": 5},
                }]},
            }},
        })
    }

    #[test]
    fn three_thousand_tenants_of_twenty_objects_are_kept_and_none_is_built_again_at_its_interval() {
        let twenty: Vec<Value> = (1..=20).map(deployment).collect();
        let bundle = bundle(&twenty);
        let packed = Arc::new(Packed::of(&bundle).unwrap());
        let mut kept = Kept::default();
        for number in 0..3000 {
            kept.put(id(number), build(number, 21, &packed));
        }
        // Round by round, which is the order in which what is too little has nothing of all.
        assert!((0..3000).all(|number| kept.last(&id(number)).is_some()));
        assert!(kept.size < KEPT, "{}", kept.size);
        let as_values = usize::try_from(bundle.weight()).unwrap();
        let each = kept.size / 3000;
        assert!(as_values > 8 * each, "{as_values} {each}");
    }

    #[test]
    fn what_is_kept_is_bounded_and_the_one_not_asked_for_longest_goes_first() {
        let text: String = (0..200_000_u64)
            .map(|n| format!("{:016x}", n.wrapping_mul(0x9e37_79b9_7f4a_7c15)))
            .collect();
        let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"a": text}});
        let packed = Arc::new(Packed::of(&bundle(&[map])).unwrap());
        let fit = KEPT / build(0, 1, &packed).weight();
        assert!((4..64).contains(&fit), "{fit}");
        let mut kept = Kept::default();
        for number in 0..fit {
            kept.put(id(number), build(number, 1, &packed));
        }
        let first = build(0, 1, &packed);
        let empty = MemoryTree::default();
        assert!(kept.get(&id(0), &first.key, &empty, |_| true).is_some());
        kept.put(id(fit), build(fit, 1, &packed));
        let is_kept = |number| kept.last(&id(number)).is_some();
        assert_eq!([0, 1, 2, fit].map(is_kept), [true, false, true, true]);
        assert!(kept.size <= KEPT);
        for number in 0..=fit {
            kept.forget(&id(number));
        }
        assert_eq!(kept.size, 0);
    }
}
