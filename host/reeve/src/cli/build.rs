//! `reeve build`: render a directory as the controller does.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;
use reeve_kustomize::{MemoryTree, Options};

use super::ui::{CommandError, Ui};

/// The most bytes of files that are read: those of the whole directory, whatever of it is used.
const LARGEST: u64 = 512 << 20;

/// Render a directory, as `kustomize build` does
///
/// With the engine of the controller. Nothing outside of the directory is read, remote resources are refused, and a
/// directory without a kustomization file is rendered as all the manifests in it.
#[derive(Args)]
pub(super) struct BuildArgs {
    /// The directory
    #[arg(default_value = ".")]
    directory: PathBuf,
    /// The directory that files may be read from, when it is not DIRECTORY itself: bases may lie beside it
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,
}

pub(super) fn run(args: &BuildArgs, ui: &mut Ui) -> Result<(), CommandError> {
    let directory = real(&args.directory)?;
    let root = match &args.root {
        Some(root) => real(root)?,
        None => directory.clone(),
    };
    let Ok(below) = directory.strip_prefix(&root) else {
        let message = format!("{} is not below {}", directory.display(), root.display());
        return Err(
            CommandError::new(message).hint("--root names a directory that holds DIRECTORY")
        );
    };
    let tree = read_tree(&root)?;
    let path = below.to_string_lossy();
    let options = Options {
        generate: true,
        ..Options::default()
    };
    let objects = reeve_kustomize::build(&tree, &path, &options).map_err(|why| {
        CommandError::of(
            &format!("building {} failed", args.directory.display()),
            &why,
        )
    })?;
    ui.data(reeve_kustomize::to_yaml(&objects).as_bytes())
}

fn real(path: &Path) -> Result<PathBuf, CommandError> {
    let real = path.canonicalize().map_err(|why| failed(path, &why))?;
    if real.is_dir() {
        return Ok(real);
    }
    Err(CommandError::new(format!(
        "{} is not a directory",
        path.display()
    )))
}

fn failed(path: &Path, why: &std::io::Error) -> CommandError {
    CommandError::of(&format!("reading {} failed", path.display()), why)
}

/// Every file below `root`; symbolic links are left out, as they are in an artifact.
fn read_tree(root: &Path) -> Result<MemoryTree, CommandError> {
    let mut files: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    let mut open = vec![root.to_owned()];
    let mut total = 0;
    while let Some(dir) = open.pop() {
        for entry in fs::read_dir(&dir).map_err(|why| failed(&dir, &why))? {
            let entry = entry.map_err(|why| failed(&dir, &why))?;
            let (path, kind) = (
                entry.path(),
                entry.file_type().map_err(|why| failed(&dir, &why))?,
            );
            if kind.is_dir() && entry.file_name() != ".git" {
                open.push(path);
            } else if kind.is_file() {
                let bytes = fs::read(&path).map_err(|why| failed(&path, &why))?;
                total += bytes.len() as u64;
                if total > LARGEST {
                    return Err(CommandError::new(format!(
                        "{} holds more than 512 MiB",
                        root.display()
                    )));
                }
                let name = path
                    .strip_prefix(root)
                    .unwrap_or(&path)
                    .to_string_lossy()
                    .into_owned();
                files.insert(name, bytes);
            }
        }
    }
    Ok(files.into_iter().collect())
}
