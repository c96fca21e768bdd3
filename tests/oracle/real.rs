//! The real kustomize, asked to build a directory on disk.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The program.
#[derive(Clone, Debug)]
pub(crate) struct Kustomize(pub(crate) PathBuf);

impl Kustomize {
    /// What it prints for `dir`, or why it refuses.
    pub(crate) fn build(&self, dir: &Path, flags: &[&str]) -> Result<String, String> {
        let mut command = Command::new(&self.0);
        command
            .args(["build", "--load-restrictor", "LoadRestrictionsNone"])
            .args(flags)
            .arg(dir)
            .stdin(Stdio::null());
        let output = command.output().expect("kustomize was found and runs");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if output.status.success() {
            Ok(text(&output.stdout))
        } else {
            Err(text(&output.stderr))
        }
    }
}

/// Writes a tree below `dir`.
pub(crate) fn write(dir: &Path, files: &[(String, String)]) {
    for (name, text) in files {
        let path = dir.join(name);
        let parent = path.parent().expect("a file lies in a directory");
        fs::create_dir_all(parent).expect("the directory can be made");
        fs::write(&path, text).expect("the file can be written");
    }
}
