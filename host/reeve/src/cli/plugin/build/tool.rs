//! Programs that a build calls: whether they are there, and what they said when they failed.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::cli::ui::{CommandError, Ui};

/// The program `name`, in one of `places` or where PATH leads.
pub(super) fn find(name: &str, places: &[PathBuf]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let all = places.iter().cloned().chain(std::env::split_paths(&path));
    all.map(|place| place.join(name))
        .find(|file| file.is_file())
}

/// Runs a program to its end. What it prints goes to our stderr.
pub(super) fn run(command: &mut Command, ui: &mut Ui) -> Result<(), CommandError> {
    let name = Path::new(command.get_program())
        .file_name()
        .unwrap_or_default();
    let name = name.to_string_lossy().into_owned();
    let output = command
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|why| CommandError::of(&format!("starting {name} failed"), &why))?;
    if output.status.success() {
        return Ok(());
    }
    ui.line(String::from_utf8_lossy(&output.stdout).trim_end());
    Err(CommandError::new(format!(
        "{name} failed: {}",
        output.status
    )))
}

/// What a program prints, without the end of its last line; none when it fails.
pub(super) fn ask(program: impl AsRef<Path>, arguments: &[&str]) -> Option<String> {
    let mut command = Command::new(program.as_ref());
    command
        .args(arguments)
        .stdin(Stdio::null())
        .stderr(Stdio::null());
    let output = command
        .output()
        .ok()
        .filter(|output| output.status.success())?;
    Some(
        String::from_utf8_lossy(&output.stdout)
            .trim_end()
            .to_owned(),
    )
}
