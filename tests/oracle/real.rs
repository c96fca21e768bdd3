//! The real programs, asked to build a directory on disk.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The program `kustomize`.
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
        printed(&mut command)
    }
}

/// The program `flux`.
#[derive(Clone, Debug)]
pub(crate) struct Flux(pub(crate) PathBuf);

impl Flux {
    /// What it writes on every object.
    pub(crate) const LABELS: [(&str, &str); 2] = [
        ("kustomize.toolkit.fluxcd.io/name", "case"),
        ("kustomize.toolkit.fluxcd.io/namespace", "flux-system"),
    ];

    /// What it prints for the directory `in` of `dir` with these lines in the spec, or why it refuses.
    pub(crate) fn build(&self, dir: &Path, spec: &str) -> Result<String, String> {
        let mut object = "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\n\
                          metadata: {name: case, namespace: flux-system}\nspec:\n  \
                          sourceRef: {kind: GitRepository, name: case}\n"
            .to_owned();
        let lines = spec.lines().filter(|line| *line != "{}");
        lines.for_each(|line| object += &format!("  {line}\n"));
        let file = dir.join("kustomization.yaml");
        fs::write(&file, object).expect("the file can be written");
        let path = spec.lines().find_map(|line| line.strip_prefix("path: "));
        let mut command = Command::new(&self.0);
        command
            .args(["build", "kustomization", "case", "--dry-run", "--path"])
            .arg(dir.join("in").join(path.unwrap_or_default()))
            .arg("--strict-substitute")
            .arg("--kustomization-file")
            .arg(file)
            .stdin(Stdio::null());
        let text = printed(&mut command)?;
        Ok(text.strip_suffix("---\n").unwrap_or(&text).to_owned())
    }
}

/// What a program prints, or why it fails.
fn printed(command: &mut Command) -> Result<String, String> {
    let output = command.output().expect("the program was found and runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() {
        Ok(text(&output.stdout))
    } else {
        Err(text(&output.stderr))
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
