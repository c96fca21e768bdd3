//! What a caller may say about a build: what to lay over it, and how large it may become.
//!
//! How the overlay is merged into the kustomization is `overlay.rs`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::function::Functions;
use crate::order::Sort;

/// How to build.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Laid over the kustomization at the path.
    pub overlay: Overlay,
    /// When there is no kustomization file at the path, make one over all manifests below it, as Flux does.
    pub generate: bool,
    /// The order of the objects, unless the kustomization says its own with `sortOptions`.
    pub order: Order,
    /// Label every object with who built it, as `buildMetadata: [managedByLabel]` does.
    pub managed_by_label: bool,
    /// From where files may be read.
    pub loads: Loads,
    /// Annotate every object with where it came from and what went over it, as `buildMetadata` with both annotations does.
    pub provenance: bool,
    /// How large the build may become.
    pub limits: Limits,
    /// Ends the build from outside.
    pub stop: Stop,
    /// Runs functions; without it they are refused.
    pub functions: Option<Arc<dyn Functions>>,
}

/// Ends a build from outside: its caller keeps a clone and says when. The engine has no clock, so whoever has a deadline
/// needs this; the build looks at it whenever it counts what it uses up.
#[derive(Clone, Debug, Default)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Ends every build that was given a clone: soon, with [`crate::Why::Stopped`].
    pub fn now(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_asked(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// From where files may be read. Directories with a kustomization of their own may lie anywhere in the tree.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Loads {
    /// From the whole tree: what Flux and `--load-restrictor LoadRestrictionsNone` do.
    #[default]
    Tree,
    /// From the directory of the kustomization that names them and below: what a plain `kustomize build` does.
    Kustomization,
}

/// The order in which objects come out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// As they were read: what Flux and `kustomize build --reorder none` do.
    #[default]
    Fifo,
    /// Kinds that others need first: what a plain `kustomize build` does.
    Legacy,
}

impl Order {
    pub(crate) fn sort(self) -> Sort {
        match self {
            Self::Fifo => Sort::Fifo,
            Self::Legacy => Sort::legacy(),
        }
    }
}

/// What is laid over the kustomization at the path: merged into it as Flux merges a Kustomization's spec into the
/// `kustomization.yaml`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overlay {
    /// Replaces `namespace`.
    pub namespace: Option<String>,
    /// Replaces `namePrefix`.
    pub name_prefix: Option<String>,
    /// Replaces `nameSuffix`.
    pub name_suffix: Option<String>,
    /// Appended to `patches`.
    pub patches: Vec<OverlayPatch>,
    /// Merged into `images` by name: `new_name` on its own, `new_tag` and `digest` as one unit.
    pub images: Vec<OverlayImage>,
    /// Appended to `patchesStrategicMerge`, each as YAML or JSON.
    pub merges: Vec<String>,
    /// Appended to `patchesJson6902`.
    pub operations: Vec<OverlayPatch>,
    /// Appended to `components`.
    pub components: Vec<String>,
    /// Whether those of `components` that are not there are left out.
    pub ignore_missing_components: bool,
    /// Asks for `buildMetadata: [originAnnotations]`.
    pub origins: bool,
    /// Asks for `buildMetadata: [transformerAnnotations]`.
    pub transformers: bool,
}

/// One patch of an [`Overlay`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OverlayPatch {
    /// A strategic merge patch or a JSON6902 patch, as YAML or JSON.
    pub patch: String,
    /// Which objects; without it, those that the strategic merge patch names.
    pub target: Option<Selector>,
}

/// One image of an [`Overlay`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OverlayImage {
    /// The image's name without tag and digest.
    pub name: String,
    /// The name that replaces it, empty to keep it.
    pub new_name: String,
    /// The tag that replaces it, empty to keep it.
    pub new_tag: String,
    /// The digest that replaces the tag, empty to keep it.
    pub digest: String,
}

/// Which objects a patch is for: every field that is not empty must match. `group`, `version`, `kind`, `name` and
/// `namespace` are anchored regular expressions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selector {
    /// The API group.
    pub group: String,
    /// The version.
    pub version: String,
    /// The kind.
    pub kind: String,
    /// The name.
    pub name: String,
    /// The namespace.
    pub namespace: String,
    /// A Kubernetes label selector.
    pub label_selector: String,
    /// The same over annotations.
    pub annotation_selector: String,
}

/// The bounds of one build. Reaching one is an error that names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Files read, each reading counted.
    pub files: u64,
    /// Bytes read.
    pub bytes: u64,
    /// How deep kustomizations may include each other.
    pub depth: u64,
    /// How deep a YAML value may be nested.
    pub nesting: u64,
    /// YAML nodes made, aliases expanded, over the whole build.
    pub nodes: u64,
    /// Objects.
    pub objects: u64,
    /// Elementary steps of patches and references over the whole build.
    pub steps: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            files: 20_000,
            bytes: 64 << 20,
            depth: 100,
            nesting: 200,
            nodes: 1_000_000,
            objects: 50_000,
            steps: 200_000_000,
        }
    }
}
