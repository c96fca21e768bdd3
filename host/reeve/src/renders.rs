//! Renders: a few at a time, and the last one of each Kustomization kept, so that an unchanged tree is not built again.
//!
//! Kept are the objects as they were built, [`packed`], up to a bound over all ([`kept`]). A tree is
//! unchanged for a build when it is in what that build asked of it ([`footprint`]): of a repository with many directories, a
//! push has one built. Of a large build only that it was large is kept: the next one is not begun as a small one. What a build
//! makes is `core::render`'s, which tree is built `controller::kustomization`'s.

mod footprint;
mod kept;
mod packed;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reeve_api::name::NamespacedName;
use reeve_api::reason::Reason;
use reeve_core::bundle::{Bundle, Rendered};
use reeve_core::failure::{Explained, Turn};
use reeve_core::render::{Rendering, Size, render};
use reeve_core::spec::Spec;
use reeve_kustomize::{Remotes, Stop, Wanted};
use tokio::time::Instant;

use crate::bases::Lots;
use crate::functions::{Functions, Used};
use crate::observe::happening::RenderResult;
use crate::places::Places;
use footprint::{Footprint, Marked, Traced};
use kept::{Build, Kept, Key, LARGEST};
pub(crate) use packed::Packed;

/// Builds at once, each of another tenant: a tenant whose builds take long waits for itself, while the system shares the
/// cores among the tenants. More would only take memory.
const PLACES: usize = 8;
/// How long a build may compute, whatever spec.timeout says: most take milliseconds.
const LONGEST: Duration = Duration::from_secs(60);

/// Where builds run, and what they made.
pub(crate) struct Renders {
    places: Places,
    kept: Mutex<Kept>,
}

/// What became of a build.
pub(crate) enum Made {
    /// The objects.
    Bundle(Bundle<Rendered>),
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
        let build = kept.last(&spec.id);
        let build = build.filter(|build| build.is_but_for_remotes(&key, source));
        build.map_or_else(Vec::new, |build| build.wanted.clone())
    }

    /// How large a build of `id` is to be begun.
    pub(crate) fn size(&self, id: &NamespacedName) -> Size {
        match self.kept().is_known_as_large(id) {
            true => Size::Any,
            false => Size::Small,
        }
    }

    /// What was built last of `id`, without its variables, if that is kept.
    pub(crate) fn last(&self, id: &NamespacedName) -> Option<Arc<Packed>> {
        let kept = self.kept();
        kept.last(id).map(|build| Arc::clone(&build.packed))
    }

    /// The Kustomization is gone.
    pub(crate) fn forget(&self, id: &NamespacedName) {
        self.kept().forget(id);
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
        let kept = match order.kept {
            true => self.kept().get(&spec.id, &key, &source, same),
            false => None,
        };
        if let Some(packed) = kept
            && let Some(bundle) = unpacked(packed).await
        {
            return Ok((Made::Bundle(bundle), RenderResult::Kept));
        }
        let built = self.build(source, lots.remotes().clone(), order, Arc::clone(functions));
        let built = built.await?;
        if let (true, Some(large)) = (order.kept, built.is_large()) {
            self.kept().is_large(&spec.id, large);
        }
        let made = match built.made {
            Rendering::Large => Made::Large,
            Rendering::Wants(wanted) => Made::Wants(wanted),
            Rendering::Bundle(bundle) => Made::Bundle(bundle),
        };
        if order.kept && matches!(made, Made::Bundle(_)) {
            match built.packed {
                None => self.kept().remove(&spec.id),
                Some(packed) => {
                    let build = Build {
                        key,
                        footprint: built.footprint,
                        wanted: lots.asked().to_vec(),
                        used: functions.used(),
                        packed: Arc::new(packed),
                        asked: 0,
                    };
                    self.kept().put(spec.id.clone(), build);
                }
            }
        }
        Ok((made, RenderResult::Built))
    }

    /// Rendering computes; it must not hold a thread that others' watches and answers need.
    async fn build<T: Marked + Send + 'static>(
        &self,
        source: T,
        remotes: Remotes,
        order: Order<'_>,
        functions: Arc<Functions>,
    ) -> Result<Built, Explained> {
        let Order {
            size,
            deadline,
            kept,
            ..
        } = order;
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
        let building =
            tokio::task::spawn_blocking(move || -> Result<Built, reeve_core::render::Error> {
                // Held by the thread: a run that gives up does not let the next one in beside it.
                let _place = place;
                let source = Traced::new(source);
                let called = Arc::clone(&functions);
                let made = render(&source, &remotes, &spec, Some(functions), size, &stop)?;
                let made = match made {
                    // What is kept is not asked of the functions again.
                    Rendering::Bundle(bundle) => Rendering::Bundle(bundle.under(&called.shown())),
                    other => other,
                };
                Ok(Built {
                    packed: kept.then(|| packed(&made)).flatten(),
                    footprint: source.asked(),
                    made,
                })
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

/// What a build made, and what is kept of it.
struct Built {
    made: Rendering,
    footprint: Footprint,
    packed: Option<Packed>,
}

impl Built {
    /// Whether it was large, if that is known by now.
    fn is_large(&self) -> Option<bool> {
        match &self.made {
            Rendering::Large => Some(true),
            Rendering::Wants(_) => None,
            Rendering::Bundle(bundle) => Some(bundle.is_large()),
        }
    }
}

/// What is kept of a build: nothing of a large one, which would push out all the others.
fn packed(made: &Rendering) -> Option<Packed> {
    let Rendering::Bundle(bundle) = made else {
        return None;
    };
    let is_small = !bundle.is_large() && bundle.weight() <= LARGEST as u64;
    is_small.then(|| Packed::of(bundle)).flatten()
}

/// What was kept, read: of a long one on a thread that nobody else waits for.
async fn unpacked(packed: Arc<Packed>) -> Option<Bundle<Rendered>> {
    if !packed.is_long() {
        return packed.bundle();
    }
    let reading = tokio::task::spawn_blocking(move || packed.bundle());
    reading.await.ok().flatten()
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use reeve_api::kustomization::Kustomization;
    use reeve_kustomize::MemoryTree;
    use serde_json::json;

    use super::*;

    pub(super) fn spec(name: &str, prefix: &str) -> Spec {
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
    async fn what_was_kept_is_what_was_built_and_a_build_larger_than_the_bound_is_not_kept() {
        let renders = Renders::new();
        let web = spec("web", "");
        let mut both = Vec::new();
        for want in [RenderResult::Built, RenderResult::Kept] {
            let source = (map(100_000), Size::Any);
            let (made, result) = made(&renders, "1", &web, source).await;
            assert_eq!(result, want);
            let Made::Bundle(bundle) = made else {
                panic!("it is one");
            };
            both.push(bundle);
        }
        assert!(both[0] == both[1]);
        let last = renders.last(&web.id).and_then(|packed| packed.bundle());
        assert!(last.is_some_and(|last| last == both[0]));
        ask(&renders, "2", &web, LARGEST).await;
        assert!(renders.last(&web.id).is_none());
        assert_eq!(ask(&renders, "2", &web, LARGEST).await, RenderResult::Built);
    }
}
