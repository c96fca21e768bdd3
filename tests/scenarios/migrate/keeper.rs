//! What source-controller does, as far as anybody beside it sees: it lays an archive of a branch's newest commit where others fetch
//! it, and tells of it. The real one is not to be had (`tests/cluster/README.md`).
//!
//! It follows whom the real one is told to follow, takes what is suspended for nothing but requests to answer, and reads the
//! repositories with git in their own directories, so that nobody's server has to be asked.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use kube::Client;
use kube::api::{Api, DynamicObject, ListParams, Patch, PatchParams};
use reeve_tests::git::git;
use reeve_tests::{Estate, objects};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use super::SHARD;
use super::flux::SOURCE;
use crate::elsewhere::shelf::{Shelf, archive, digest};

const BRANCH: &str = "refs/heads/main";
const REQUESTED: &str = "reconcile.fluxcd.io/requestedAt";

/// What keeps, until it is dropped.
pub(super) struct Keeper {
    task: JoinHandle<()>,
}

/// What it keeps from, and where.
struct Room {
    client: Client,
    /// What the addresses of all repositories begin with.
    address: String,
    repositories: PathBuf,
    shelf: Shelf,
}

impl Keeper {
    /// For all GitRepositories of the estate's own git server.
    pub(super) async fn start(estate: &Estate) -> anyhow::Result<Self> {
        let room = Room {
            client: estate.admin(),
            address: estate.git.url(""),
            repositories: estate.repositories().to_owned(),
            shelf: Shelf::start().await?,
        };
        let task = tokio::spawn(async move {
            let mut ticks = tokio::time::interval(Duration::from_millis(250));
            loop {
                ticks.tick().await;
                // What fails is done again in the next round.
                drop(room.round().await);
            }
        });
        Ok(Self { task })
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Room {
    async fn round(&self) -> anyhow::Result<()> {
        let all = objects::api(self.client.clone(), SOURCE, "GitRepository", None);
        for object in all.list(&ListParams::default()).await? {
            let labels = object.metadata.labels.as_ref();
            let is_anothers = labels.is_some_and(|all| all.contains_key(SHARD));
            if !is_anothers {
                drop(self.keep(&object).await);
            }
        }
        Ok(())
    }

    async fn keep(&self, object: &DynamicObject) -> anyhow::Result<()> {
        let meta = &object.metadata;
        let (namespace, name) = meta
            .namespace
            .as_deref()
            .zip(meta.name.as_deref())
            .context("an object has a name")?;
        let api = objects::api(
            self.client.clone(),
            SOURCE,
            "GitRepository",
            Some(namespace),
        );
        if meta.deletion_timestamp.is_some() {
            let none = json!({"metadata": {"finalizers": null}});
            let (how, none) = (PatchParams::default(), Patch::Merge(&none));
            api.patch(name, &how, &none).await?;
            return Ok(());
        }
        let annotations = meta.annotations.as_ref();
        let handled = annotations.and_then(|all| all.get(REQUESTED));
        if object.data.pointer("/spec/suspend") == Some(&json!(true)) {
            return tell(&api, name, json!({"lastHandledReconcileAt": handled})).await;
        }
        let url = objects::text(&object.data, "/spec/url").unwrap_or_default();
        let path = url.strip_prefix(&self.address).context("another server")?;
        let repository = self.repositories.join(path);
        let commit = git(&repository, ["rev-parse", BRANCH])?;
        let revision = format!("main@sha1:{commit}");
        let artifact = object.data.pointer("/status/artifact");
        let at = format!("gitrepository/{namespace}/{name}/{commit}.tar.gz");
        let is_kept = |artifact: &&Value| artifact["url"] == self.shelf.url(&at);
        let artifact = match artifact.filter(is_kept) {
            Some(artifact) => artifact.clone(),
            None => self.lay(&repository, &at, &revision)?,
        };
        let generation = meta.generation;
        let done = |kind: &str| {
            json!({
                "type": kind, "status": "True", "reason": "Succeeded",
                "message": format!("stored artifact for revision '{revision}'"),
                "observedGeneration": generation, "lastTransitionTime": "2026-01-01T00:00:00Z",
            })
        };
        let status = json!({
            "artifact": artifact, "observedGeneration": generation,
            "lastHandledReconcileAt": handled,
            "conditions": [done("Ready"), done("ArtifactInStorage")],
        });
        tell(&api, name, status).await
    }

    /// Puts an archive of the branch there.
    fn lay(&self, repository: &Path, at: &str, revision: &str) -> anyhow::Result<Value> {
        let mut files = Vec::new();
        for path in git(repository, ["ls-tree", "-r", "--name-only", BRANCH])?.lines() {
            let text = git(repository, ["show", &format!("{BRANCH}:{path}")])?;
            files.push((path.to_owned(), text));
        }
        let files: Vec<(&str, &str)> = files
            .iter()
            .map(|(path, text)| (path.as_str(), text.as_str()))
            .collect();
        let bytes = archive(&files);
        Ok(json!({
            "url": self.shelf.lay(at, &bytes), "path": at, "revision": revision,
            "digest": digest(&bytes), "size": bytes.len(),
            "lastUpdateTime": "2026-01-01T00:00:00Z",
        }))
    }
}

async fn tell(api: &Api<DynamicObject>, name: &str, status: Value) -> anyhow::Result<()> {
    let change = json!({"status": status});
    let (how, change) = (PatchParams::default(), Patch::Merge(&change));
    api.patch_status(name, &how, &change).await?;
    Ok(())
}
