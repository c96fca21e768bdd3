//! The command line: `reeve build` and `reeve edit` beside the real `kustomize`, `reeve plugin` beside toolchains and a registry,
//! `reeve policy` beside `opa` and the API server, `reeve get`, `reeve diff`, `reeve rollout`, `reeve writeback` and what
//! operators do on a cluster.

mod build;
mod cases;
mod check;
mod diff;
mod edit;
pub(crate) mod get;
mod operate;
mod plugin;
mod policy;
pub(crate) mod registry;
mod replay;
mod rollout;
mod scope;
mod support;
mod trace;
mod vap;
mod why;
pub(crate) mod writeback;

use std::path::Path;
use std::process::{Command, Output, Stdio};

use anyhow::Context as _;
use reeve_tests::{binaries, controller};

/// One of the two programs.
type Tool = fn(&[&str], &Path) -> anyhow::Result<Output>;

/// Runs a program in a directory of its own making, with nothing of this environment but PATH.
fn run(program: &Path, arguments: &[&str], directory: &Path) -> anyhow::Result<Output> {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(directory);
    command.env_clear().stdin(Stdio::null());
    command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command
        .output()
        .with_context(|| program.display().to_string())
}

pub(crate) fn reeve(arguments: &[&str], directory: &Path) -> anyhow::Result<Output> {
    run(&controller::program()?, arguments, directory)
}

fn kustomize(arguments: &[&str], directory: &Path) -> anyhow::Result<Output> {
    run(&binaries::find("kustomize")?, arguments, directory)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Writes files below a directory.
fn files(root: &Path, files: &[(&str, &str)]) -> anyhow::Result<()> {
    for (path, content) in files {
        let path = root.join(path);
        let dir = path.parent().context("a file lies in a directory")?;
        std::fs::create_dir_all(dir)?;
        std::fs::write(path, content)?;
    }
    Ok(())
}
