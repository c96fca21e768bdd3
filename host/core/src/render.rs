//! A source's tree and a spec become objects.
//!
//! Calls the engine with what the spec lays over the kustomization, and nothing else: variables are not substituted.
//! It deliberately reads nothing but the tree it is given. The next stage is the shell's `transform`, then `plan`.

use reeve_api::reason::Reason;
use reeve_kustomize::{Kind, Options, Tree};

use crate::bundle::{self, Bundle, Rendered};
use crate::failure::{Explain, Turn};
use crate::spec::Spec;

/// A build that failed; the cause names file, line, column and field.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Error {
    /// The directory is not in the source.
    #[error("kustomization path not found: {} is not a directory of the source", shown(.0))]
    Path(String),
    /// The kustomization cannot be built.
    #[error("kustomize build of {} failed", shown(.path))]
    Build {
        /// The directory.
        path: String,
        /// Where and why.
        source: reeve_kustomize::Error,
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
            Self::Path(_) => Reason::ArtifactFailed,
            Self::Build { .. } | Self::Bundle { .. } => Reason::BuildFailed,
        }
    }

    fn turn(&self) -> Turn {
        match self {
            Self::Path(_) | Self::Build { .. } | Self::Bundle { .. } => Turn::NextRevision,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Path(_) => {
                Some("correct spec.path, or commit the directory to the source".to_owned())
            }
            Self::Build { .. } | Self::Bundle { .. } => None,
        }
    }
}

/// Builds the directory that `spec` names in `tree`.
pub fn render(tree: &dyn Tree, spec: &Spec) -> Result<Bundle<Rendered>, Error> {
    let path = spec.path.clone();
    if tree.kind(&path) != Some(Kind::Dir) {
        return Err(Error::Path(path));
    }
    let options = Options {
        overlay: spec.overlay.clone(),
        generate: true,
        ..Options::default()
    };
    match reeve_kustomize::build(tree, &path, &options) {
        Ok(objects) => Bundle::built(objects).map_err(|source| Error::Bundle { path, source }),
        Err(source) => Err(Error::Build { path, source }),
    }
}

fn shown(path: &str) -> String {
    if path.is_empty() {
        "./".to_owned()
    } else {
        path.to_owned()
    }
}
