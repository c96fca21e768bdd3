//! `build [--reorder none|legacy] [--load-restrictor LoadRestrictionsNone] [--flux] DIR`: what the engine makes of a directory
//! on disk, as YAML.
//!
//! The tree's root is `--root`, else the file system's: symbolic links are followed as kustomize follows them, so this is
//! for comparing, not for untrusted input.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "an example talks to the terminal"
)]
#![expect(
    clippy::disallowed_methods,
    reason = "the engine reads no files, this example does"
)]

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use reeve_kustomize::{
    Built, Kind, Loads, Objects, Options, Order, ReadError, Remotes, Tree, build_with, to_yaml,
};

struct Disk(PathBuf);

impl Tree for Disk {
    fn kind(&self, path: &str) -> Option<Kind> {
        let meta = std::fs::metadata(self.0.join(path)).ok()?;
        Some(if meta.is_dir() { Kind::Dir } else { Kind::File })
    }

    fn read(&self, path: &str) -> Result<Arc<[u8]>, ReadError> {
        let fail = |e: std::io::Error| ReadError {
            path: path.to_owned(),
            why: e.to_string(),
        };
        std::fs::read(self.0.join(path))
            .map(Arc::from)
            .map_err(fail)
    }

    fn list(&self, dir: &str) -> Vec<String> {
        let entries = std::fs::read_dir(self.0.join(dir))
            .into_iter()
            .flatten()
            .flatten();
        let mut names: Vec<String> = entries
            .filter_map(|e| e.file_name().into_string().ok())
            .collect();
        names.sort();
        names
    }
}

fn main() -> ExitCode {
    let mut options = Options {
        order: Order::Legacy,
        loads: Loads::Kustomization,
        ..Options::default()
    };
    let mut root = PathBuf::from("/");
    let mut dir = PathBuf::from(".");
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--reorder" | "--reorder=none" | "--reorder=legacy" => {
                let value = arg
                    .strip_prefix("--reorder=")
                    .map(str::to_owned)
                    .or_else(|| args.next());
                options.order = if value.as_deref() == Some("none") {
                    Order::Fifo
                } else {
                    Order::Legacy
                };
            }
            "--flux" => {
                options.generate = true;
                options.loads = Loads::Tree;
                options.order = Order::Fifo;
            }
            "--enable-managedby-label" => options.managed_by_label = true,
            "--root" => root = PathBuf::from(args.next().unwrap_or_default()),
            flag if flag.starts_with("--load-restrictor") => {
                let value = match flag.split_once('=') {
                    Some((_, value)) => value.to_owned(),
                    None => args.next().unwrap_or_default(),
                };
                if value == "LoadRestrictionsNone" {
                    options.loads = Loads::Tree;
                }
            }
            flag if flag.starts_with("--") => {
                eprintln!("{flag} is not supported");
                return ExitCode::FAILURE;
            }
            path => dir = PathBuf::from(path),
        }
    }
    match run(&root, &dir, &options) {
        Ok(objects) => {
            for (index, object) in objects.enumerate() {
                let between = if index > 0 { "---\n" } else { "" };
                print!("{between}{}", to_yaml(&[object]));
            }
            ExitCode::SUCCESS
        }
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::FAILURE
        }
    }
}

fn run(root: &Path, dir: &Path, options: &Options) -> Result<Objects, String> {
    let text = |e: std::io::Error| format!("{}: {e}", dir.display());
    let root = root.canonicalize().map_err(text)?;
    let dir = dir.canonicalize().map_err(text)?;
    let path = dir
        .strip_prefix(&root)
        .map_err(|_| "the directory is not below the root".to_owned())?;
    let (disk, path) = (Disk(root.clone()), path.to_string_lossy());
    match build_with(&disk, &Remotes::refused(), &path, options) {
        Ok(Built::Objects(objects)) => Ok(objects),
        Ok(Built::Wants(_)) => Err("nothing is fetched here".to_owned()),
        Err(why) => Err(why.to_string()),
    }
}
