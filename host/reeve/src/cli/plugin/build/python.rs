//! Python: componentize-py puts CPython, the standard library and `plugin.py` into one component.
//!
//! With `--stub-wasi`: what asks for a file or a clock at run time crashes. The interpreter is started while it is built, so
//! what a module does when it is imported is done once and for all.

use std::process::Command;

use super::{Project, tool};
use crate::cli::plugin::{read, wit};
use crate::cli::ui::{CommandError, Ui};

pub(super) fn build(project: &Project<'_>, ui: &mut Ui) -> Result<Vec<u8>, CommandError> {
    let places = [project.directory.join(".venv/bin")];
    let program = tool::find("componentize-py", &places).ok_or_else(|| {
        CommandError::new("there is no componentize-py here")
            .hint("in the plugin's directory: `python3 -m venv .venv && .venv/bin/pip install -r requirements.txt`")
    })?;
    let output = project.scratch.join("component.wasm");
    let mut command = Command::new(program);
    command
        .arg("--wit-path")
        .arg(project.wit)
        .args([
            "--world",
            wit::WORLD,
            "--quiet",
            "componentize",
            "plugin",
            "--stub-wasi",
        ])
        .arg("--python-path")
        .arg(project.directory)
        .arg("--output")
        .arg(&output)
        // Sets and dictionaries in the order of every other run.
        .env("PYTHONHASHSEED", "0")
        // Nothing of the caller's own environment is taken in.
        .env_remove("VIRTUAL_ENV")
        .current_dir(project.scratch);
    tool::run(&mut command, ui)?;
    read(&output)
}
