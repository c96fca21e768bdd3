//! Where the real programs are: `KUBEBUILDER_ASSETS`, then `PATH`, else built from `tests/cluster`.
//!
//! A program found on the way counts only when it is the version that `tests/cluster/versions` pins
//! (for the control plane: the same minor), so that a scenario never runs against a stranger.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use anyhow::{Context as _, bail, ensure};

/// The directory that holds what `tests/cluster/build.sh` built, building what is missing.
fn built() -> anyhow::Result<&'static Path> {
    static BUILT: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let built = BUILT.get_or_init(|| build(&[]).map_err(|why| format!("{why:#}")));
    match built {
        Ok(path) => Ok(path),
        Err(why) => bail!("{why}"),
    }
}

/// The forge, which is not among the others because few need it and it is large, and the directory
/// of what it reads.
pub fn gitea() -> anyhow::Result<(PathBuf, PathBuf)> {
    static BUILT: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let built = BUILT.get_or_init(|| build(&["gitea"]).map_err(|why| format!("{why:#}")));
    match built {
        Ok(dir) => Ok((dir.join("gitea"), dir.join("../gitea"))),
        Err(why) => bail!("{why}"),
    }
}

/// Flux's own kustomize-controller, which takes minutes to build and which only those scenarios need that `REEVE_SOAK` asks for, and
/// the directory of Flux's definitions.
pub fn kustomize_controller() -> anyhow::Result<(PathBuf, PathBuf)> {
    static BUILT: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let name = "kustomize-controller";
    let built = BUILT.get_or_init(|| build(&[name]).map_err(|why| format!("{why:#}")));
    match built {
        Ok(dir) => Ok((dir.join(name), dir.join("../definitions"))),
        Err(why) => bail!("{why}"),
    }
}

fn build(tools: &[&str]) -> anyhow::Result<PathBuf> {
    let script = crate::root().join("tests/cluster/build.sh");
    let out = Command::new(&script)
        .args(tools)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("{} cannot be run", script.display()))?;
    ensure!(
        out.status.success(),
        "tests/cluster/build.sh failed: {}",
        out.status
    );
    let path = String::from_utf8(out.stdout).context("build.sh prints one path")?;
    Ok(PathBuf::from(path.trim()))
}

/// The path of `name`, which is one of the tools of `tests/cluster/versions`.
pub fn find(name: &str) -> anyhow::Result<PathBuf> {
    static FOUND: OnceLock<std::sync::Mutex<BTreeMap<String, PathBuf>>> = OnceLock::new();
    let found = FOUND.get_or_init(Default::default);
    if let Some(path) = found.lock().ok().and_then(|found| found.get(name).cloned()) {
        return Ok(path);
    }
    let path = match installed(name) {
        Some(path) => path,
        None => built()?.join(name),
    };
    ensure!(
        path.is_file(),
        "{name} was not built: see tests/cluster/README.md"
    );
    if let Ok(mut found) = found.lock() {
        found.insert(name.to_owned(), path.clone());
    }
    Ok(path)
}

/// KWOK's stage files lie beside the built programs.
pub fn kwok_stages() -> anyhow::Result<PathBuf> {
    let given = std::env::var_os("KUBEBUILDER_ASSETS").map(|dir| Path::new(&dir).join("../stages"));
    match given.filter(|dir| dir.is_dir()) {
        Some(dir) => Ok(dir),
        None => Ok(built()?.join("../stages")),
    }
}

/// `name` in `KUBEBUILDER_ASSETS` or on `PATH`, when it is the pinned version.
fn installed(name: &str) -> Option<PathBuf> {
    let want = pinned(name)?;
    let mut dirs: Vec<PathBuf> = std::env::var_os("KUBEBUILDER_ASSETS")
        .map(PathBuf::from)
        .into_iter()
        .collect();
    dirs.extend(std::env::split_paths(
        &std::env::var_os("PATH").unwrap_or_default(),
    ));
    dirs.into_iter()
        .map(|dir| dir.join(name))
        .find(|path| path.is_file() && says(path, name, &want))
}

/// The version of `name` in `tests/cluster/versions`, without a leading `v`.
fn pinned(name: &str) -> Option<String> {
    let text = std::fs::read_to_string(crate::root().join("tests/cluster/versions")).ok()?;
    text.lines()
        .filter_map(|line| line.split_once(' '))
        .find(|(tool, _)| *tool == name)
        .map(|(_, version)| version.trim().trim_start_matches('v').to_owned())
}

fn says(path: &Path, name: &str, want: &str) -> bool {
    let args: &[&str] = match name {
        "kubectl" => &["version", "--client"],
        "kustomize" | "helm" | "opa" | "crane" => &["version"],
        _ => &["--version"],
    };
    let out = Command::new(path).args(args).stdin(Stdio::null()).output();
    out.is_ok_and(|out| {
        let text = [out.stdout, out.stderr].concat();
        String::from_utf8_lossy(&text).contains(want)
    })
}
