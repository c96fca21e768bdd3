//! An earlier version: the program built from its commit, with the chart that it had. An upgrade begins with it.
//!
//! Which one `REEVE_OLD_COMMIT` says; without it, it is the last release before this commit, or where there is none, what lay twenty
//! changes back. What was built stays in `target/older`, by its commit, and is built in a directory of its own: nothing of the
//! program under test is built anew for it. It needs a checkout with its history.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use tokio::process::Command;

use crate::chart::Release;
use crate::{controller, root};

/// Longer than a release takes that is built from nothing, on a small machine beside others.
const BUILD: Duration = Duration::from_secs(5400);
/// Longer than git takes to look at its history, or to unpack a commit.
const GIT: Duration = Duration::from_secs(120);
/// So many changes lie between two versions where none was released.
const BACK: &str = "--skip=20";

/// An earlier version.
pub struct Older {
    /// Its commit.
    pub commit: String,
    /// What was built of it.
    pub program: PathBuf,
    /// Its chart, as the estate installs it.
    pub release: Release,
}

impl Older {
    /// Builds it, if that was not done before.
    pub async fn build() -> anyhow::Result<Self> {
        let commit = commit().await?;
        let room = root().join("target/older").join(&commit);
        let (source, program) = (room.join("source"), room.join("reeve"));
        if !program.is_file() {
            unpack(&commit, &source).await?;
            compile(&source, &program).await?;
        }
        Ok(Self {
            release: Release::estate_of(&source).await?,
            commit,
            program,
        })
    }
}

/// Which it is.
async fn commit() -> anyhow::Result<String> {
    let named = std::env::var("REEVE_OLD_COMMIT").ok();
    let released = || async {
        let before = ["describe", "--tags", "--abbrev=0", "--match=v*", "HEAD^"];
        git(&before).await.ok()
    };
    let name = match named {
        Some(name) => name,
        None => match released().await {
            Some(tag) => tag,
            None => {
                let back = ["rev-list", "--first-parent", BACK, "--max-count=1", "HEAD"];
                git(&back).await?
            }
        },
    };
    ensure!(
        !name.is_empty(),
        "the history is too short for an earlier version: name one by REEVE_OLD_COMMIT, or its program by REEVE_OLD_BIN"
    );
    git(&["rev-parse", "--verify", &format!("{name}^{{commit}}")]).await
}

async fn git(args: &[&str]) -> anyhow::Result<String> {
    let mut command = Command::new("git");
    command.args(args).current_dir(root());
    run(command, GIT).await
}

/// Puts the files of a commit there, whole or not at all.
async fn unpack(commit: &str, source: &Path) -> anyhow::Result<()> {
    if source.is_dir() {
        return Ok(());
    }
    let part = source.with_extension("part");
    if part.is_dir() {
        std::fs::remove_dir_all(&part)?;
    }
    std::fs::create_dir_all(&part)?;
    let archive = source.with_extension("tar");
    let into = format!("--output={}", archive.display());
    git(&["archive", "--format=tar", &into, commit]).await?;
    let mut command = Command::new("tar");
    command.arg("-xf").arg(&archive).arg("-C").arg(&part);
    run(command, GIT).await?;
    std::fs::remove_file(&archive)?;
    std::fs::rename(&part, source)?;
    Ok(())
}

/// Builds the program as the one under test is built.
async fn compile(source: &Path, program: &Path) -> anyhow::Result<()> {
    let ours = tokio::task::spawn_blocking(controller::program).await??;
    let is_release = ours.parent().is_some_and(|dir| dir.ends_with("release"));
    let target = root().join("target/older/build");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["build", "--quiet", "--workspace", "--bin", "reeve"]);
    if is_release {
        command.arg("--release");
    }
    command
        .current_dir(source)
        .env("CARGO_TARGET_DIR", &target)
        .env("CARGO_INCREMENTAL", "0");
    run(command, BUILD).await?;
    let profile = if is_release { "release" } else { "debug" };
    let part = program.with_extension("part");
    std::fs::copy(target.join(profile).join("reeve"), &part)?;
    std::fs::rename(&part, program)?;
    Ok(())
}

/// What it prints, without the end of the line.
async fn run(mut command: Command, limit: Duration) -> anyhow::Result<String> {
    command.stdin(Stdio::null()).kill_on_drop(true);
    let shown = format!("{:?}", command.as_std());
    let out = tokio::time::timeout(limit, command.output());
    let out = out
        .await
        .with_context(|| format!("{shown} does not end"))?
        .with_context(|| shown.clone())?;
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    ensure!(out.status.success(), "{shown}: {}\n{said}", out.status);
    Ok(String::from_utf8_lossy(&out.stdout).trim().to_owned())
}
