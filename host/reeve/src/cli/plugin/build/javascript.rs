//! JavaScript: an engine and `plugin.js` in one component, with WASI stubbed.
//!
//! componentize-qjs (QuickJS) where it is installed, else componentize-js (SpiderMonkey: ten times the size, faster in long
//! loops only). Both run the module while it is built, so what it does when it is imported is done once and for all.

use std::process::Command;

use super::{Project, tool};
use crate::cli::plugin::{read, wit};
use crate::cli::ui::{CommandError, Ui};

pub(super) fn build(project: &Project<'_>, ui: &mut Ui) -> Result<Vec<u8>, CommandError> {
    let places = [project.directory.join("node_modules/.bin")];
    let source = project.directory.join("plugin.js");
    let output = project.scratch.join("component.wasm");
    let mut command;
    if let Some(quick) = tool::find("componentize-qjs", &places) {
        command = Command::new(quick);
        command
            .arg("--wit")
            .arg(project.wit)
            .arg("--js")
            .arg(source);
        command.arg("--module-root").arg(project.directory);
        command.args(["--world", wit::WORLD, "--sync", "--opt-size", "--stub-wasi"]);
    } else if let Some(spider) = tool::find("componentize-js", &places) {
        command = Command::new(spider);
        command.arg(source).arg("--wit").arg(project.wit);
        command.args(["--world-name", wit::WORLD]);
        command.args([
            "--disable",
            "stdio",
            "random",
            "clocks",
            "http",
            "fetch-event",
        ]);
    } else {
        return Err(
            CommandError::new("there is no componentize-qjs or componentize-js here")
                .hint("in the plugin's directory: `npm install`"),
        );
    }
    command.arg("-o").arg(&output).current_dir(project.scratch);
    tool::run(&mut command, ui)?;
    read(&output)
}
