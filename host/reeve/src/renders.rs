//! Renders: a few at a time, and the last one of each Kustomization kept, so that an unchanged tree is not built again.
//!
//! Kept are the objects as they were built, up to a bound over all; whoever was not asked for longest goes first. What a
//! build makes is `core::render`'s, which tree is built `controller::kustomization`'s.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reeve_api::name::NamespacedName;
use reeve_api::reason::Reason;
use reeve_core::bundle::{Bundle, Rendered};
use reeve_core::failure::{Explained, Turn};
use reeve_core::render::{Rendering, Size, render};
use reeve_core::spec::Spec;
use reeve_kustomize::{Overlay, Remotes, Source, Stop, Tree, Wanted};
use tokio::time::Instant;

use crate::bases::Lots;
use crate::functions::{Functions, Used};
use crate::observe::happening::RenderResult;
use crate::places::Places;

/// Builds at once, each of another tenant: a tenant whose builds take long waits for itself, while the system shares the
/// cores among the tenants. More would only take memory.
const PLACES: usize = 8;
/// How long a build may compute, whatever spec.timeout says: most take milliseconds.
const LONGEST: Duration = Duration::from_secs(60);
/// Bytes that all that is kept may take in memory.
const KEPT: u64 = 32 << 20;
/// A build larger than this is not kept: it would push out all the others.
const LARGEST: u64 = KEPT / 4;

/// Where builds run, and what they made.
pub(crate) struct Renders {
    places: Places,
    kept: Mutex<Kept>,
}

/// What became of a build.
pub(crate) enum Made {
    /// The objects.
    Bundle(Arc<Bundle<Rendered>>),
    /// What must be fetched first.
    Wants(Vec<Wanted>),
    /// Nothing: it is large, and was not to be.
    Large,
}

/// What is to be built, and how long and how large it may become.
#[derive(Clone, Copy)]
pub(crate) struct Order<'o> {
    pub(crate) spec: &'o Spec,
    pub(crate) size: Size,
    pub(crate) deadline: Instant,
}

impl Renders {
    pub(crate) fn new() -> Self {
        Self {
            places: Places::new(PLACES),
            kept: Mutex::default(),
        }
    }

    /// What the build that is kept wanted from elsewhere, if it was of this `tree`.
    pub(crate) fn wants(&self, spec: &Spec, tree: &str) -> Vec<Wanted> {
        let kept = self.kept();
        let key = Key::of(tree, spec, Vec::new());
        let build = kept.builds.get(&spec.id);
        let build = build.filter(|build| build.key.is_but_for_remotes(&key));
        build.map_or_else(Vec::new, |build| build.wanted.clone())
    }

    /// The objects of `order` in `source`, whose content the git id `tree` names, with the `lots` that it wanted, for
    /// the tenant whose `functions` it may call.
    pub(crate) async fn render<T: Tree + Send + 'static>(
        &self,
        source: T,
        tree: &str,
        lots: &Lots,
        order: Order<'_>,
        functions: &Arc<Functions>,
    ) -> Result<(Made, RenderResult), Explained> {
        let spec = order.spec;
        let key = Key::of(tree, spec, lots.key());
        let same = |used: &Used| used.iter().all(|(id, digest)| functions.is(id, digest));
        if let Some(bundle) = self.kept().get(&spec.id, &key, same) {
            return Ok((Made::Bundle(bundle), RenderResult::Kept));
        }
        let built = self.build(source, lots.remotes().clone(), order, Arc::clone(functions));
        let made = match built.await? {
            Rendering::Large => Made::Large,
            Rendering::Wants(wanted) => Made::Wants(wanted),
            Rendering::Bundle(bundle) => {
                let bundle = Arc::new(bundle);
                let build = Build {
                    key,
                    wanted: lots.asked().to_vec(),
                    used: functions.used(),
                    bundle: Arc::clone(&bundle),
                    asked: 0,
                };
                self.kept().put(spec.id.clone(), build);
                Made::Bundle(bundle)
            }
        };
        Ok((made, RenderResult::Built))
    }

    /// Rendering computes; it must not hold a thread that others' watches and answers need.
    async fn build<T: Tree + Send + 'static>(
        &self,
        source: T,
        remotes: Remotes,
        order: Order<'_>,
        functions: Arc<Functions>,
    ) -> Result<Rendering, Explained> {
        let Order { size, deadline, .. } = order;
        let spec = order.spec.clone();
        let place = tokio::time::timeout_at(deadline, self.places.take(functions.tenant()))
            .await
            .map_err(|_| late("waiting to build", "spec.timeout"))?
            .ok_or_else(crashed)?;
        let (deadline, bound) = match Instant::now() + LONGEST {
            longest if longest < deadline => (longest, "the minute that a build may take"),
            _ => (deadline, "spec.timeout"),
        };
        let stop = Stop::default();
        // Until this run is over.
        let _given_up = GivenUp(stop.clone());
        let building = tokio::task::spawn_blocking(move || {
            // Held by the thread: a run that gives up does not let the next one in beside it.
            let _place = place;
            render(&source, &remotes, &spec, Some(functions), size, &stop)
        });
        tokio::time::timeout_at(deadline, building)
            .await
            .map_err(|_| late("building", bound))?
            .map_err(|_| crashed())?
            .map_err(|why| Explained::of(&why))
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Stops a build whose run no longer waits for it, whatever ended the run: nobody can interrupt a thread from outside,
/// and it holds one of few places.
struct GivenUp(Stop);

impl Drop for GivenUp {
    fn drop(&mut self) {
        self.0.now();
    }
}

fn late(doing: &str, bound: &str) -> Explained {
    let message = format!("{doing} took longer than {bound}");
    Explained::new(Reason::BuildFailed, Turn::Retry, message)
        .with_hint("build less at a time: split the Kustomization, or use fewer patches")
}

fn crashed() -> Explained {
    let message = "building crashed; this is a fault of reeve's, the log has where";
    Explained::new(Reason::BuildFailed, Turn::NextRevision, message)
}

/// Everything that a build depends on.
#[derive(PartialEq)]
struct Key {
    tree: String,
    path: String,
    overlay: Overlay,
    /// What was fetched from elsewhere, and which revision of it.
    remotes: Vec<(Source, String)>,
}

impl Key {
    fn of(tree: &str, spec: &Spec, remotes: Vec<(Source, String)>) -> Self {
        Self {
            tree: tree.to_owned(),
            path: spec.path.clone(),
            overlay: spec.overlay.clone(),
            remotes,
        }
    }

    fn is_but_for_remotes(&self, other: &Self) -> bool {
        self.tree == other.tree && self.path == other.path && self.overlay == other.overlay
    }
}

/// The last build of each.
#[derive(Default)]
struct Kept {
    builds: BTreeMap<NamespacedName, Build>,
    size: u64,
    /// Counts what was asked for.
    asked: u64,
}

struct Build {
    key: Key,
    /// What was wanted from elsewhere.
    wanted: Vec<Wanted>,
    /// The plugins that were called as functions.
    used: Used,
    bundle: Arc<Bundle<Rendered>>,
    asked: u64,
}

impl Kept {
    fn get(
        &mut self,
        id: &NamespacedName,
        key: &Key,
        same: impl FnOnce(&Used) -> bool,
    ) -> Option<Arc<Bundle<Rendered>>> {
        self.asked += 1;
        let build = self.builds.get_mut(id).filter(|build| build.key == *key)?;
        if !same(&build.used) {
            return None;
        }
        build.asked = self.asked;
        Some(Arc::clone(&build.bundle))
    }

    fn put(&mut self, id: NamespacedName, mut build: Build) {
        self.remove(&id);
        if build.bundle.is_large() || build.bundle.weight() > LARGEST {
            return;
        }
        self.size += build.bundle.weight();
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

    fn remove(&mut self, id: &NamespacedName) {
        if let Some(build) = self.builds.remove(id) {
            self.size = self.size.saturating_sub(build.bundle.weight());
        }
    }
}

#[cfg(test)]
mod tests {
    use reeve_api::kustomization::Kustomization;
    use reeve_kustomize::MemoryTree;
    use serde_json::json;

    use super::*;

    fn spec(name: &str, prefix: &str) -> Spec {
        let object: Kustomization = serde_json::from_value(json!({
            "apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization",
            "metadata": {"name": name, "namespace": "acme"},
            "spec": {
                "interval": "5m", "prune": true, "namePrefix": prefix,
                "sourceRef": {"kind": "GitRepository", "name": "app"},
            },
        }))
        .unwrap();
        Spec::parse(&object).unwrap()
    }

    fn map(bytes: usize) -> MemoryTree {
        let text = "x".repeat(bytes);
        let map =
            format!("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\ndata:\n  a: {text}\n");
        [("a.yaml", map.as_str())].into_iter().collect()
    }

    fn functions() -> Arc<Functions> {
        let settings = reeve_wasm::Settings {
            pool: false,
            ..reeve_wasm::Settings::default()
        };
        let sandbox = reeve_wasm::Sandbox::new(settings).unwrap();
        Arc::new(Functions::new(sandbox, "acme", BTreeMap::new()))
    }

    async fn ask(renders: &Renders, tree: &str, spec: &Spec, bytes: usize) -> RenderResult {
        let deadline = Instant::now() + Duration::from_secs(60);
        let none = Lots::wanted();
        let order = Order {
            spec,
            size: Size::Any,
            deadline,
        };
        let answer = renders
            .render(map(bytes), tree, &none, order, &functions())
            .await;
        answer.unwrap().1
    }

    #[tokio::test]
    async fn an_unchanged_tree_is_not_built_again_but_a_changed_tree_or_spec_is() {
        let renders = Renders::new();
        let (web, other) = (spec("web", ""), spec("web", "dev-"));
        for (tree, spec, want) in [
            ("1", &web, RenderResult::Built),
            ("1", &web, RenderResult::Kept),
            ("2", &web, RenderResult::Built),
            ("2", &other, RenderResult::Built),
            ("2", &other, RenderResult::Kept),
            // Only the last one is kept.
            ("2", &web, RenderResult::Built),
        ] {
            assert_eq!(ask(&renders, tree, spec, 1).await, want, "{tree}");
        }
    }

    #[tokio::test]
    async fn what_is_kept_is_bounded_and_the_one_not_asked_for_longest_goes_first() {
        let renders = Renders::new();
        let size = usize::try_from(LARGEST).unwrap() - 10_000;
        let specs: Vec<Spec> = (0..5).map(|n| spec(&format!("web-{n}"), "")).collect();
        for spec in &specs[..4] {
            ask(&renders, "1", spec, size).await;
        }
        assert_eq!(
            ask(&renders, "1", &specs[0], size).await,
            RenderResult::Kept
        );
        ask(&renders, "1", &specs[4], size).await;
        assert!(renders.kept().size <= KEPT);
        assert_eq!(
            ask(&renders, "1", &specs[0], size).await,
            RenderResult::Kept
        );
        assert_eq!(
            ask(&renders, "1", &specs[1], size).await,
            RenderResult::Built
        );
        let large = usize::try_from(LARGEST).unwrap();
        let spec = spec("large", "");
        ask(&renders, "1", &spec, large).await;
        assert_eq!(ask(&renders, "1", &spec, large).await, RenderResult::Built);
    }
}
