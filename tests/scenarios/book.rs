//! The commands of the book in `docs/`, run as they stand and in the order of its pages.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use reeve_tests::book::{self, Page};
use reeve_tests::git::git;
use reeve_tests::install::{self, SYSTEM};
use reeve_tests::landlord::Landlord;
use reeve_tests::tenant::MANIFESTS;
use reeve_tests::{Estate, binaries, controller, root, scenario};
use tokio::process::Command;

/// Longer than a page takes, whose own waits have deadlines.
const PATIENCE: Duration = Duration::from_secs(300);

/// What is not as on a reader's cluster: the controller runs already, by the same chart and beside the cluster, so that helm takes
/// over what is there, no pod answers at the admission port, and nobody waits for one. Nor are the controller and the landlord told
/// of a label that they are to keep to, and so they are not held to it.
const PRELUDE: &str = r#"set -euo pipefail
helm() {
    case "$1 $*" in
        "install "*charts/reeve\ * | "upgrade "*charts/reeve\ *)
            command helm "$@" --take-ownership --force-conflicts --set admission.enabled=false
            case "$*" in *watchLabelSelector=?*) kubectl delete validatingadmissionpolicybinding reeve-delivery reeve-landlord ;; esac ;;
        "install "* | "upgrade "*) command helm "$@" --take-ownership --force-conflicts ;;
        *) command helm "$@" ;;
    esac
}
"#;

/// The programs that the pages name, in one directory.
fn programs(into: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(into)?;
    symlink(controller::program()?, into.join("reeve"))?;
    for name in ["helm", "kubectl", "flux"] {
        symlink(binaries::find(name)?, into.join(name))?;
    }
    Ok(())
}

/// What a reader has: a checkout to stand in. What commands write stays out of the real one.
fn checkout(at: &Path) -> anyhow::Result<()> {
    for room in ["charts", "docs", "plugins", "policies", "target"] {
        symlink(root().join(room), at.join(room))?;
    }
    Ok(())
}

/// Runs all blocks of a page in one shell, which ends at the first that fails.
async fn follow(estate: &Estate, page: &Page, repository: &str) -> anyhow::Result<()> {
    let room = estate.plane.room("book")?;
    let script = [PRELUDE, "set -x\n", &page.commands().concat()].concat();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let programs = room.join("bin");
    let path = std::env::join_paths(std::iter::once(programs).chain(std::env::split_paths(&path)))?;
    let mut command = Command::new("bash");
    command
        .args(["-c", &script])
        .current_dir(room.join("checkout"))
        .env("PATH", path)
        .env("HOME", estate.plane.room("home")?)
        .env("KUBECONFIG", estate.plane.kubeconfig())
        .env("REPOSITORY", repository)
        .env("HOOKS", estate.controller.hook_url(""))
        .stdin(Stdio::null())
        .kill_on_drop(true);
    let out = tokio::time::timeout(PATIENCE, command.output())
        .await
        .context("it does not end")??;
    let told = [out.stdout, out.stderr].concat();
    let told = String::from_utf8_lossy(&told).into_owned();
    ensure!(out.status.success(), "{}\n{told}", out.status);
    Ok(())
}

#[test]
fn every_command_of_the_book_does_what_its_page_says() {
    scenario(async {
        let estate = Estate::start().await?;
        let _landlord = Landlord::start(&estate.plane).await?;
        let room = estate.plane.room("book")?;
        std::fs::create_dir_all(room.join("checkout"))?;
        checkout(&room.join("checkout"))?;
        let bin = room.join("bin");
        tokio::task::spawn_blocking(move || programs(&bin)).await??;
        let repo = estate.repo("acme/app")?;
        git(repo.bare(), ["config", "http.receivepack", "true"])?;
        for (path, content) in MANIFESTS {
            repo.write(path, content)?;
        }
        repo.commit("What the tenant has")?;
        repo.push()?;
        let mut blocks = 0;
        for page in book::pages()? {
            blocks += page.commands().len();
            let done = follow(&estate, &page, &estate.git.url("acme/app")).await;
            done.with_context(|| page.file.clone())?;
        }
        ensure!(blocks > 20, "{blocks} blocks were run");
        uninstalled(&estate).await
    });
}

/// Of what reeve made for itself nothing lies in its namespace once its page on that is followed.
async fn uninstalled(estate: &Estate) -> anyhow::Result<()> {
    let line = ["get", "secrets,leases", "--output=name", "--namespace"];
    let left = install::kubectl(&estate.plane, &[&line[..], &[SYSTEM]].concat()).await?;
    let starts = ["secret/reeve-", "lease.coordination.k8s.io/reeve-"];
    let is_ours = |name: &&str| starts.iter().any(|start| name.starts_with(start));
    let ours: Vec<&str> = left.lines().filter(is_ours).collect();
    ensure!(ours.is_empty(), "{ours:?}");
    Ok(())
}
