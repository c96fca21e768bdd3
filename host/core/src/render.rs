//! A source's tree and a spec become objects.
//!
//! Calls the engine with what the spec lays over the kustomization, and nothing else: variables are not substituted.
//! It deliberately reads nothing but the tree it is given. The next stage is the shell's `transform`, then `plan`.

use std::sync::Arc;

use reeve_api::reason::Reason;
use reeve_kustomize::{Built, Functions, Kind, Limits, Options, Remotes, Stop, Tree, Wanted, Why};

use crate::bundle::{self, Bundle, Rendered};
use crate::failure::{Explain, Turn};
use crate::spec::Spec;

/// A build that failed; the cause names file, line, column and field.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Error {
    /// The directory is not in the source.
    #[error(
        "kustomization path not found: {} {}",
        shown(.path), .left_out.unwrap_or("is not a directory of the source")
    )]
    Path {
        /// The directory.
        path: String,
        /// What keeps it out of the source, if it is in the repository.
        left_out: Option<&'static str>,
    },
    /// The kustomization cannot be built.
    #[error("kustomize build of {} failed", shown(.path))]
    Build {
        /// The directory.
        path: String,
        /// Where and why.
        source: Box<reeve_kustomize::Error>,
    },
    /// What was built cannot be applied.
    #[error("kustomize build of {} made no usable manifests", shown(.path))]
    Bundle {
        /// The directory.
        path: String,
        /// Which manifest and why.
        source: bundle::Error,
    },
}

impl Explain for Error {
    fn reason(&self) -> Reason {
        match self {
            // Flux: a path that is not there is an artifact that cannot be used.
            Self::Path { .. } => Reason::ArtifactFailed,
            Self::Build { source, .. } if matches!(source.why(), Why::Function(_)) => {
                Reason::PluginFailed
            }
            Self::Build { .. } | Self::Bundle { .. } => Reason::BuildFailed,
        }
    }

    fn turn(&self) -> Turn {
        match self {
            Self::Path { .. } | Self::Build { .. } | Self::Bundle { .. } => Turn::NextRevision,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Path { .. } => {
                Some("correct spec.path, or commit the directory to the source".to_owned())
            }
            Self::Build { .. } | Self::Bundle { .. } => None,
        }
    }
}

/// What became of a build.
#[derive(Debug)]
pub enum Rendering {
    /// The objects.
    Bundle(Bundle<Rendered>),
    /// What must be fetched first.
    Wants(Vec<Wanted>),
    /// It is large, and only a small one was asked for: nothing of it is left.
    Large,
}

/// How much a build may take.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Size {
    /// As much as many builds may take at once.
    Small,
    /// As much as any build may.
    #[default]
    Any,
}

/// With more YAML nodes than this, copies of them included, a build is large: none that makes a small bundle needs as many.
const SMALL_NODES: u64 = 75_000;
/// And with more bytes read than this.
const SMALL_BYTES: u64 = 8 << 20;

impl Size {
    fn limits(self) -> Limits {
        let any = Limits::default();
        match self {
            Self::Any => any,
            Self::Small => Limits {
                nodes: SMALL_NODES,
                bytes: SMALL_BYTES,
                ..any
            },
        }
    }

    /// Whether `why` is that a small build was asked for.
    fn is_exceeded(self, why: &reeve_kustomize::Error) -> bool {
        let Why::Limit { limit, .. } = why.why() else {
            return false;
        };
        self == Self::Small && [SMALL_NODES, SMALL_BYTES].contains(limit)
    }
}

/// Builds the directory that `spec` names in `tree`, with the `remotes` that were fetched for it and the `functions` that
/// it may call, until `stop` says no.
pub fn render(
    tree: &dyn Tree,
    remotes: &Remotes,
    spec: &Spec,
    functions: Option<Arc<dyn Functions>>,
    size: Size,
    stop: &Stop,
) -> Result<Rendering, Error> {
    let path = spec.path.clone();
    if tree.kind(&path) != Some(Kind::Dir) {
        let left_out = tree.left_out(&path);
        return Err(Error::Path { path, left_out });
    }
    let options = Options {
        overlay: spec.overlay.clone(),
        generate: true,
        limits: size.limits(),
        stop: stop.clone(),
        functions,
        ..Options::default()
    };
    match reeve_kustomize::build_with(tree, remotes, &path, &options) {
        Ok(Built::Objects(objects)) => match Bundle::built(objects.collect()) {
            Ok(bundle) if size == Size::Small && bundle.is_large() => Ok(Rendering::Large),
            Ok(bundle) => Ok(Rendering::Bundle(bundle)),
            Err(source) => Err(Error::Bundle { path, source }),
        },
        Ok(Built::Wants(wanted)) => Ok(Rendering::Wants(wanted)),
        Err(why) if size.is_exceeded(&why) => Ok(Rendering::Large),
        Err(why) => {
            let source = Box::new(why);
            Err(Error::Build { path, source })
        }
    }
}

fn shown(path: &str) -> String {
    if path.is_empty() {
        "./".to_owned()
    } else {
        path.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::{Explained, chain};
    use reeve_kustomize::MemoryTree;
    use serde_json::{Value, json};

    const MAP: &str =
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: settings\ndata:\n  a: b\n";
    const DEPLOYMENT: &str = "\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
spec:
  template:
    spec:
      containers:
      - name: web
        image: example.com/web:1
";

    fn spec(change: Value) -> Spec {
        let mut object = json!({
            "apiVersion": "kustomize.toolkit.fluxcd.io/v1",
            "kind": "Kustomization",
            "metadata": {"namespace": "acme", "name": "web"},
            "spec": {
                "interval": "10m",
                "prune": true,
                "sourceRef": {"kind": "GitRepository", "name": "web"},
            },
        });
        for (field, value) in change.as_object().unwrap() {
            object["spec"][field] = value.clone();
        }
        Spec::parse(&serde_json::from_value(object).unwrap()).unwrap()
    }

    fn tree(files: &[(&str, &str)]) -> MemoryTree {
        files.iter().copied().collect()
    }

    fn built(tree: &MemoryTree, change: Value) -> Result<Bundle<Rendered>, Error> {
        match render(
            tree,
            &Remotes::refused(),
            &spec(change),
            None,
            Size::Any,
            &Stop::default(),
        )? {
            Rendering::Bundle(bundle) => Ok(bundle),
            other => panic!("{other:?} where nothing is fetched and nothing is too large"),
        }
    }

    fn names(bundle: &Bundle<Rendered>) -> Vec<String> {
        bundle
            .objects()
            .iter()
            .map(|object| object.id().to_string())
            .collect()
    }

    #[test]
    fn a_directory_without_a_kustomization_is_built_from_all_its_manifests() {
        let tree = tree(&[
            ("deploy/a.yaml", MAP),
            ("deploy/sub/b.yaml", DEPLOYMENT),
            ("c.yaml", MAP),
        ]);
        let bundle = built(&tree, json!({"path": "./deploy"})).unwrap();
        assert_eq!(
            names(&bundle),
            ["ConfigMap settings", "apps/Deployment web"]
        );
    }

    #[test]
    fn what_the_spec_lays_over_it_is_in_the_objects() {
        let change = json!({
            "targetNamespace": "acme",
            "namePrefix": "dev-",
            "images": [{"name": "example.com/web", "newTag": "2"}],
            "patches": [{"patch": "- op: add\n  path: /metadata/labels\n  value: {team: web}\n",
                         "target": {"kind": "Deployment"}}],
        });
        let bundle = built(&tree(&[("web.yaml", DEPLOYMENT)]), change).unwrap();
        let [deployment] = bundle.objects() else {
            panic!("one object")
        };
        assert_eq!(deployment.id().to_string(), "apps/Deployment acme/dev-web");
        let image = deployment.get("/spec/template/spec/containers/0/image");
        assert_eq!(image, Some(&json!("example.com/web:2")));
        assert_eq!(
            deployment.get("/metadata/labels"),
            Some(&json!({"team": "web"}))
        );
    }

    #[test]
    fn components_and_the_older_patches_are_laid_over_it_as_well() {
        let component = "\
apiVersion: kustomize.config.k8s.io/v1alpha1
kind: Component
commonAnnotations: {part: of-it}
";
        let tree = tree(&[
            ("app/web.yaml", DEPLOYMENT),
            ("part/kustomization.yaml", component),
        ]);
        let change = json!({
            "path": "app",
            "components": ["../part", "../nowhere"],
            "ignoreMissingComponents": true,
            "buildMetadata": ["originAnnotations"],
            "patchesStrategicMerge": [{"apiVersion": "apps/v1", "kind": "Deployment",
                                       "metadata": {"name": "web"}, "spec": {"replicas": 2}}],
            "patchesJson6902": [{"target": {"kind": "Deployment", "name": "web"},
                                 "patch": [{"op": "add", "path": "/spec/paused", "value": true}]}],
        });
        let bundle = built(&tree, change.clone()).unwrap();
        let [deployment] = bundle.objects() else {
            panic!("one object")
        };
        assert_eq!(deployment.get("/spec/replicas"), Some(&json!(2)));
        assert_eq!(deployment.get("/spec/paused"), Some(&json!(true)));
        let annotations = deployment.get("/metadata/annotations").unwrap();
        assert_eq!(annotations["part"], json!("of-it"));
        assert_eq!(
            annotations["config.kubernetes.io/origin"],
            json!("path: web.yaml\n")
        );

        let mut strict = change;
        strict["ignoreMissingComponents"] = json!(false);
        let error = built(&tree, strict).unwrap_err();
        assert!(chain(&error).contains("components[1]"), "{}", chain(&error));
    }

    #[test]
    fn the_digest_is_that_of_the_yaml_and_the_same_for_the_same_tree() {
        let build = |files: &[(&str, &str)]| built(&tree(files), json!({})).unwrap();
        let one = build(&[("a.yaml", MAP)]);
        let again = build(&[("b.yaml", MAP)]);
        let other = build(&[("a.yaml", DEPLOYMENT)]);
        assert_eq!(
            one.digest(),
            crate::artifact::Digest::of(MAP_SORTED.as_bytes())
        );
        assert_eq!(one.digest(), again.digest());
        assert_ne!(one.digest(), other.digest());
    }

    const MAP_SORTED: &str =
        "apiVersion: v1\ndata:\n  a: b\nkind: ConfigMap\nmetadata:\n  name: settings\n";

    #[test]
    fn a_large_build_is_told_from_a_small_one_before_it_is_there() {
        let with = |keys: usize| {
            let values: String = (0..keys).map(|key| format!("  k{key}: v\n")).collect();
            format!("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\ndata:\n{values}")
        };
        let build = |text: &str, size| {
            let tree = tree(&[("a.yaml", text)]);
            let (none, stop) = (Remotes::refused(), Stop::default());
            render(&tree, &none, &spec(json!({})), None, size, &stop).unwrap()
        };
        let is_there = |made: Rendering| match made {
            Rendering::Bundle(bundle) => bundle.is_large(),
            other => panic!("{other:?} was built"),
        };
        assert!(!is_there(build(&with(20_000), Size::Small)));
        for keys in [60_000, 300_000] {
            let text = with(keys);
            assert!(matches!(build(&text, Size::Small), Rendering::Large));
            assert!(is_there(build(&text, Size::Any)), "{keys} keys");
        }
        let comments = with(1) + &format!("# {}\n", "x".repeat(1000)).repeat(9_000);
        assert!(matches!(build(&comments, Size::Small), Rendering::Large));
        assert!(!is_there(build(&comments, Size::Any)));
    }

    #[test]
    fn a_build_that_fails_says_where() {
        let broken = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: [\n";
        let listing = "resources: [a.yaml]\nreplacements: []\nhelmCharts: [{name: x}]\n";
        for (files, says) in [
            (
                vec![("a.yaml", broken)],
                "kustomize build of ./ failed: a.yaml:",
            ),
            (
                vec![("a.yaml", MAP), ("kustomization.yaml", listing)],
                "kustomize build of ./ failed: kustomization.yaml:3:1: helmCharts",
            ),
            (
                vec![("a.yaml", MAP), ("b.yaml", MAP)],
                "kustomize build of ./ failed: ",
            ),
        ] {
            let error = built(&tree(&files), json!({})).unwrap_err();
            assert!(chain(&error).starts_with(says), "{}", chain(&error));
            assert_eq!(
                (error.reason(), error.turn()),
                (Reason::BuildFailed, Turn::NextRevision)
            );
        }
    }

    #[test]
    fn a_path_that_is_not_a_directory_of_the_source_is_told_as_flux_tells_it() {
        let tree = tree(&[("a.yaml", MAP)]);
        for path in ["deploy", "a.yaml"] {
            let told = Explained::of(&built(&tree, json!({"path": path})).unwrap_err());
            let says =
                format!("kustomization path not found: {path} is not a directory of the source");
            assert_eq!((told.message, told.reason), (says, Reason::ArtifactFailed));
            assert!(told.hint.is_some());
        }
    }

    #[test]
    fn a_hook_whose_name_is_generated_is_built_and_nothing_else_without_a_name() {
        let job = |annotations: &str| {
            format!(
                "apiVersion: batch/v1\nkind: Job\nmetadata:\n  generateName: migrate-\n  annotations: {annotations}\n"
            )
        };
        for (annotations, built_as) in [
            ("{argocd.argoproj.io/hook: PreSync}", Some("a-migrate-")),
            ("{reeve.dev/hook: PreSync}", Some("a-migrate-")),
            ("{argocd.argoproj.io/sync-wave: \"1\"}", None),
        ] {
            let tree = tree(&[("job.yaml", &job(annotations))]);
            let built = built(&tree, json!({"namePrefix": "a-"})).ok();
            let name = built.map(|bundle| bundle.objects()[0].name().to_owned());
            assert_eq!(name.as_deref(), built_as, "{annotations}");
        }
    }
}
