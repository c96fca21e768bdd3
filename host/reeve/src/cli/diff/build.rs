//! The manifests of a Kustomization, from a directory or from its source: built by the engine with all that the spec lays over
//! them, as the controller builds them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use reeve_api::kustomization::SourceKind;
use reeve_api::source::GitRepository;
use reeve_core::bundle::{Bundle, Rendered};
use reeve_core::failure::Explained;
use reeve_core::render::{Rendering, Size, render};
use reeve_core::spec::Spec;
use reeve_kustomize::{Functions, Remotes, Stop, Tree};

use super::{Asked, KustomizationArgs, explained};
use crate::cli::build::disk::{self, Disk};
use crate::cli::build::laptop::Laptop;
use crate::cli::build::remote::Remote;
use crate::cli::ui::{CommandError, Ui};

/// How often a build may find that it wants more.
const ROUNDS: usize = 10;

/// What was built.
pub(in crate::cli::diff) struct Built {
    pub(in crate::cli::diff) bundle: Bundle<Rendered>,
    /// From what, for people.
    pub(in crate::cli::diff) from: String,
    /// The revision of the source, where it is one.
    pub(in crate::cli::diff) revision: Option<String>,
}

pub(in crate::cli::diff) fn build(
    args: &KustomizationArgs,
    asked: &Asked,
    ui: &mut Ui,
) -> Result<Built, CommandError> {
    let mut spec = asked.spec.clone();
    if let Some(path) = &args.path {
        let (disk, below) = directory(path)?;
        spec.path = below;
        let bundle = made(&disk, &spec, ui)?;
        return Ok(Built {
            bundle,
            from: path.display().to_string(),
            revision: None,
        });
    }
    let id = asked.spec.source.key();
    let Some(source) = &asked.source else {
        let kind = asked.spec.source.kind;
        let why = match kind {
            SourceKind::GitRepository => format!("there is no GitRepository {id}"),
            _ => format!(
                "{} {id} is another controller's, and is not fetched from here",
                kind.as_str()
            ),
        };
        let why = CommandError::new(why);
        return Err(why.hint("--path builds a directory of yours"));
    };
    let reference = match &args.source {
        Some(reference) => reference.clone(),
        None => in_store(source).ok_or_else(|| {
            let why = CommandError::new(format!("GitRepository {id} has nothing in store"));
            why.hint("--path builds a directory of yours, --source another revision")
        })?,
    };
    let remote = Remote::open(&[])?;
    let ignore = source.spec.ignore.as_deref();
    let (tree, revision) = remote.source(source.spec.url.as_str(), &reference, ignore)?;
    Ok(Built {
        bundle: made(tree.as_ref(), &spec, ui)?,
        from: format!("GitRepository/{id} at {revision}"),
        revision: Some(revision),
    })
}

/// The commit that the source has in store.
fn in_store(source: &GitRepository) -> Option<String> {
    let status = source.status.as_ref()?;
    let revision = &status.artifact.as_ref()?.revision;
    let (_, commit) = revision.rsplit_once(':')?;
    Some(commit.to_owned())
}

/// The git work tree around a directory, and where in it the directory is.
pub(in crate::cli) fn directory(path: &Path) -> Result<(Disk, String), CommandError> {
    let directory = disk::directory(path)?;
    let root = disk::work_tree(&directory).unwrap_or_else(|| PathBuf::from("/"));
    let below = directory.strip_prefix(&root).unwrap_or(&directory);
    let below = below.to_string_lossy().into_owned();
    Ok((Disk::new(root), below))
}

/// Builds, fetches what that wants, and builds again.
pub(in crate::cli) fn made(
    tree: &dyn Tree,
    spec: &Spec,
    ui: &mut Ui,
) -> Result<Bundle<Rendered>, CommandError> {
    let functions: Arc<dyn Functions> = Arc::new(Laptop::new(true));
    made_with(tree, spec, &functions, ui).map(|(bundle, _)| bundle)
}

/// The same, with what was fetched for it.
pub(in crate::cli) fn made_with(
    tree: &dyn Tree,
    spec: &Spec,
    functions: &Arc<dyn Functions>,
    ui: &mut Ui,
) -> Result<(Bundle<Rendered>, Remotes), CommandError> {
    let mut remotes = Remotes::wanted();
    let mut open: Option<Remote> = None;
    for _round in 0..ROUNDS {
        let (functions, stop) = (Some(Arc::clone(functions)), Stop::default());
        let built = render(tree, &remotes, spec, functions, Size::Any, &stop);
        let wanted = match built.map_err(|why| explained(Explained::of(&why)))? {
            Rendering::Bundle(bundle) => return Ok((bundle, remotes)),
            Rendering::Wants(wanted) => wanted,
            Rendering::Large => return Err(CommandError::new("the build is too large")),
        };
        let remote = match open.take() {
            Some(remote) => remote,
            None => Remote::open(&[])?,
        };
        for one in wanted {
            let tree = remote.fetch(&one.reference, &one.place.to_string(), ui)?;
            remotes.insert(one.reference.source, tree);
        }
        open = Some(remote);
    }
    let message = format!("remote resources lead to others more than {ROUNDS} times");
    Err(CommandError::new(message))
}
