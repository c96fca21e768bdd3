//! All of it together: a cluster, git servers, and the controller, installed as a platform would.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context as _, anyhow};
use kube::Client;
use tokio::sync::OnceCell;

use crate::chart::Release;
use crate::controller::{Controller, Surroundings};
use crate::git::{HttpServer, Repo, Served};
use crate::install;
use crate::plane::Plane;
use crate::tenant::Tenant;

/// A cluster with reeve on it, and a git server that both can reach.
pub struct Estate {
    /// The cluster.
    pub plane: Plane,
    /// A git server: smart http, without authentication.
    pub git: HttpServer,
    /// The controller.
    pub controller: Controller,
    system: String,
    repositories: PathBuf,
    tenants: AtomicUsize,
}

impl Estate {
    /// Starts an estate of one's own: for scenarios that stop, cut or kill parts of it.
    pub async fn start() -> anyhow::Result<Self> {
        Self::start_with(&["--leader-elect=false"]).await
    }

    /// As [`Estate::start`], with these flags of the controller.
    pub async fn start_with(flags: &[&str]) -> anyhow::Result<Self> {
        Self::start_from(Release::estate().await?, flags).await
    }

    /// As [`Estate::start`], with the controller elsewhere.
    pub async fn start_in(around: Surroundings) -> anyhow::Result<Self> {
        let release = Release::estate().await?;
        Self::start_of((release, around), &["--leader-elect=false"]).await
    }

    /// As [`Estate::start_with`], of another release of the chart.
    pub async fn start_from(release: &Release, flags: &[&str]) -> anyhow::Result<Self> {
        Self::start_of((release, Surroundings::default()), flags).await
    }

    async fn start_of(
        (release, around): (&Release, Surroundings),
        flags: &[&str],
    ) -> anyhow::Result<Self> {
        let plane = Plane::start().await.context("starting a control plane")?;
        let repositories = plane.room("git")?;
        let git = HttpServer::start(&repositories, Served::default())
            .await
            .context("starting a git server")?;
        install::install_release(&plane, release).await?;
        let controller = Controller::start_of((release, around), "reeve", &plane, flags).await?;
        Ok(Self {
            plane,
            git,
            controller,
            system: release.namespace().to_owned(),
            repositories,
            tenants: AtomicUsize::new(0),
        })
    }

    /// The estate that the scenarios of this process share; it ends with the process.
    pub async fn shared() -> anyhow::Result<&'static Self> {
        static SHARED: OnceCell<Result<Estate, String>> = OnceCell::const_new();
        let made = SHARED
            .get_or_init(|| async { Self::start().await.map_err(|why| format!("{why:?}")) })
            .await;
        made.as_ref().map_err(|why| anyhow!("{why}"))
    }

    /// A client with all rights.
    #[must_use]
    pub fn admin(&self) -> Client {
        self.plane.admin()
    }

    /// The namespace of the controller.
    #[must_use]
    pub fn system(&self) -> &str {
        &self.system
    }

    /// The directory of the repositories, for another server that is to serve the same.
    #[must_use]
    pub fn repositories(&self) -> &Path {
        &self.repositories
    }

    /// A new, empty repository on the git server, at `git.url(path)`.
    pub fn repo(&self, path: &str) -> anyhow::Result<Repo> {
        Repo::create(&self.repositories, path)
    }

    /// The same with a first branch that is not `main`.
    pub fn repo_on(&self, path: &str, branch: &str) -> anyhow::Result<Repo> {
        Repo::create_with(&self.repositories, path, branch, &[])
    }

    /// A namespace name that no other scenario has.
    #[must_use]
    pub fn unique(&self, name: &str) -> String {
        format!("{name}-{}", self.tenants.fetch_add(1, Ordering::Relaxed))
    }

    /// A tenant whose repository is applied and Ready; its namespace begins with `name`.
    pub async fn healthy_tenant(&self, name: &str) -> anyhow::Result<Tenant<'_>> {
        let name = self.unique(name);
        Tenant::healthy(self, &name)
            .await
            .with_context(|| format!("a healthy tenant {name}"))
    }
}
