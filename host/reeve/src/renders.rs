//! Renders: a few at a time, and the last one of each Kustomization kept, so that an unchanged tree is not built again.
//!
//! Kept are the objects as they were built, up to a bound over all; whoever was not asked for longest goes first. A tree is
//! unchanged for a build when it is in what that build asked of it ([`footprint`]): of a repository with many directories, a
//! push has one built. Of a large build only that it was large is kept: the next one is not begun as a small one. What a build
//! makes is `core::render`'s, which tree is built `controller::kustomization`'s.

mod footprint;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reeve_api::name::NamespacedName;
use reeve_api::reason::Reason;
use reeve_core::bundle::{Bundle, Rendered};
use reeve_core::failure::{Explained, Turn};
use reeve_core::render::{Rendering, Size, render};
use reeve_core::spec::Spec;
use reeve_kustomize::{Overlay, Remotes, Source, Stop, Wanted};
use tokio::time::Instant;

use crate::bases::Lots;
use crate::functions::{Functions, Used};
use crate::observe::happening::RenderResult;
use crate::places::Places;
use footprint::{Footprint, Marked, Traced};

/// Builds at once, each of another tenant: a tenant whose builds take long waits for itself, while the system shares the
/// cores among the tenants. More would only take memory.
const PLACES: usize = 8;
/// How long a build may compute, whatever spec.timeout says: most take milliseconds.
const LONGEST: Duration = Duration::from_secs(60);
/// Bytes that all that is kept may take in memory.
const KEPT: u64 = 32 << 20;
/// A build larger than this is not kept: it would push out all the others.
const LARGEST: u64 = KEPT / 4;
/// Of how many Kustomizations it is remembered that they are large.
const LARGE_ONES: usize = 4096;

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
    /// Whether what is built of it is kept: not of what is only looked at.
    pub(crate) kept: bool,
}

impl Renders {
    pub(crate) fn new() -> Self {
        Self {
            places: Places::new(PLACES),
            kept: Mutex::default(),
        }
    }

    /// What the build that is kept wanted from elsewhere, if it asked the same of this `tree`.
    pub(crate) fn wants<T: Marked>(&self, source: &T, tree: &str, spec: &Spec) -> Vec<Wanted> {
        let kept = self.kept();
        let key = Key::of(tree, spec, Vec::new());
        let build = kept.builds.get(&spec.id);
        let build = build.filter(|build| build.is_but_for_remotes(&key, source));
        build.map_or_else(Vec::new, |build| build.wanted.clone())
    }

    /// How large a build of `id` is to be begun.
    pub(crate) fn size(&self, id: &NamespacedName) -> Size {
        match self.kept().large.contains(id) {
            true => Size::Any,
            false => Size::Small,
        }
    }

    /// What was built last of `id`, without its variables, if that is kept.
    pub(crate) fn last(&self, id: &NamespacedName) -> Option<Arc<Bundle<Rendered>>> {
        let kept = self.kept();
        kept.builds.get(id).map(|build| Arc::clone(&build.bundle))
    }

    /// The Kustomization is gone.
    pub(crate) fn forget(&self, id: &NamespacedName) {
        let mut kept = self.kept();
        kept.large.remove(id);
        kept.remove(id);
    }

    /// The objects of `order` in `source`, whose content the git id `tree` names, with the `lots` that it wanted, for
    /// the tenant whose `functions` it may call.
    pub(crate) async fn render<T: Marked + Send + 'static>(
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
        if order.kept
            && let Some(bundle) = self.kept().get(&spec.id, &key, &source, same)
        {
            return Ok((Made::Bundle(bundle), RenderResult::Kept));
        }
        let built = self.build(source, lots.remotes().clone(), order, Arc::clone(functions));
        let (made, footprint) = built.await?;
        let made = match made {
            Rendering::Large if !order.kept => Made::Large,
            Rendering::Bundle(bundle) if !order.kept => {
                Made::Bundle(Arc::new(bundle.under(&functions.shown())))
            }
            Rendering::Large => {
                self.kept().is_large(&spec.id, true);
                Made::Large
            }
            Rendering::Wants(wanted) => Made::Wants(wanted),
            Rendering::Bundle(bundle) => {
                // What is kept is not asked of the functions again.
                let bundle = Arc::new(bundle.under(&functions.shown()));
                self.kept().is_large(&spec.id, bundle.is_large());
                let build = Build {
                    key,
                    footprint,
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
    async fn build<T: Marked + Send + 'static>(
        &self,
        source: T,
        remotes: Remotes,
        order: Order<'_>,
        functions: Arc<Functions>,
    ) -> Result<(Rendering, Footprint), Explained> {
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
            let source = Traced::new(source);
            let made = render(&source, &remotes, &spec, Some(functions), size, &stop);
            made.map(|made| (made, source.asked()))
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
}

/// The last build of each.
#[derive(Default)]
struct Kept {
    builds: BTreeMap<NamespacedName, Build>,
    size: u64,
    /// Counts what was asked for.
    asked: u64,
    /// Those whose last build was large.
    large: BTreeSet<NamespacedName>,
}

struct Build {
    key: Key,
    /// What it asked of its tree.
    footprint: Footprint,
    /// What was wanted from elsewhere.
    wanted: Vec<Wanted>,
    /// The plugins that were called as functions.
    used: Used,
    bundle: Arc<Bundle<Rendered>>,
    asked: u64,
}

impl Build {
    /// Whether nothing else has changed of what it depends on than what was fetched for it.
    fn is_but_for_remotes<T: Marked>(&self, key: &Key, source: &T) -> bool {
        let Key { path, overlay, .. } = key;
        self.key.path == *path
            && self.key.overlay == *overlay
            && (self.key.tree == key.tree || self.footprint.is_of(source))
    }
}

impl Kept {
    fn get<T: Marked>(
        &mut self,
        id: &NamespacedName,
        key: &Key,
        source: &T,
        same: impl FnOnce(&Used) -> bool,
    ) -> Option<Arc<Bundle<Rendered>>> {
        self.asked += 1;
        let build = self.builds.get_mut(id)?;
        let unchanged = build.key.remotes == key.remotes
            && build.is_but_for_remotes(key, source)
            && same(&build.used);
        if !unchanged {
            return None;
        }
        // The next time nothing has to be asked.
        build.key.tree.clone_from(&key.tree);
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

    /// Of those beyond the bound it is found out at each build.
    fn is_large(&mut self, id: &NamespacedName, large: bool) {
        if !large {
            self.large.remove(id);
        } else if self.large.len() < LARGE_ONES {
            self.large.insert(id.clone());
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
        made(renders, tree, spec, (map(bytes), Size::Any)).await.1
    }

    async fn made(
        renders: &Renders,
        tree: &str,
        spec: &Spec,
        (source, size): (MemoryTree, Size),
    ) -> (Made, RenderResult) {
        let deadline = Instant::now() + Duration::from_secs(60);
        let (none, functions) = (Lots::wanted(), functions());
        let order = Order {
            spec,
            size,
            deadline,
            kept: true,
        };
        let answer = renders.render(source, tree, &none, order, &functions);
        answer.await.unwrap()
    }

    /// A ConfigMap of so many keys.
    fn keys(count: usize) -> MemoryTree {
        let keys: String = (0..count).map(|key| format!("  k{key}: v\n")).collect();
        let map = format!("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\ndata:\n{keys}");
        [("a.yaml", map.as_str())].into_iter().collect()
    }

    #[tokio::test]
    async fn what_was_large_is_not_begun_as_a_small_one_until_it_is_small_again() {
        let renders = Renders::new();
        let (web, other) = (spec("web", ""), spec("other", ""));
        assert_eq!(renders.size(&web.id), Size::Small);
        for (tree, count, after) in [
            ("1", 60_000, Size::Any),
            ("2", 60_000, Size::Any),
            ("3", 10, Size::Small),
            ("4", 60_000, Size::Any),
        ] {
            let size = renders.size(&web.id);
            let (made, _) = made(&renders, tree, &web, (keys(count), size)).await;
            let in_vain = size == Size::Small && count > 10;
            assert_eq!(matches!(made, Made::Large), in_vain, "{tree}");
            assert_eq!(renders.size(&web.id), after, "{tree}");
        }
        assert_eq!(renders.size(&other.id), Size::Small);
        renders.forget(&web.id);
        assert_eq!(renders.size(&web.id), Size::Small);
    }

    #[tokio::test]
    async fn an_unchanged_tree_is_not_built_again_but_a_changed_tree_or_spec_is() {
        let renders = Renders::new();
        let (web, other) = (spec("web", ""), spec("web", "dev-"));
        for (tree, spec, bytes, want) in [
            ("1", &web, 1, RenderResult::Built),
            ("1", &web, 1, RenderResult::Kept),
            // Nothing has changed of what was asked for, whatever else has.
            ("2", &web, 1, RenderResult::Kept),
            ("3", &web, 2, RenderResult::Built),
            ("3", &other, 2, RenderResult::Built),
            ("3", &other, 2, RenderResult::Kept),
            // Only the last one is kept.
            ("3", &web, 2, RenderResult::Built),
        ] {
            assert_eq!(ask(&renders, tree, spec, bytes).await, want, "{tree}");
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
