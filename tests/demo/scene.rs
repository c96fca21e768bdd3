//! Where the story plays: the cluster, a git server over ssh, the controller, and the tenant's own
//! working copy.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Instant;

use anyhow::{Context as _, ensure};
use kube::api::{Api, DynamicObject};
use reeve_tests::Plane;
use reeve_tests::controller::Controller;
use reeve_tests::git::{Repo, SshServer};
use reeve_tests::install::{self, CONFIG};
use reeve_tests::landlord::Landlord;
use reeve_tests::objects::{self, Stock};

/// The tenant of the story, and its namespace.
pub(crate) const TENANT: &str = "sample-tenant";
/// Whom the tenant must not reach.
pub(crate) const NEIGHBOUR: &str = "neighbour";
/// Under whom the tenant's repository lies at the git host.
pub(crate) const PROJECT: &str = "mikesir";

/// The four objects of the sample app: apiVersion and kind, all called `sample-app`.
pub(crate) const APP: [(&str, &str); 4] = [
    ("v1", "Service"),
    ("apps/v1", "Deployment"),
    ("cert-manager.io/v1", "Certificate"),
    ("networking.k8s.io/v1", "Ingress"),
];

/// Everything that plays a part.
pub(crate) struct Scene<'a> {
    pub(crate) plane: &'a Plane,
    pub(crate) host: SshServer,
    pub(crate) repo: Repo,
    pub(crate) controller: Controller,
    pub(crate) _landlord: Landlord,
}

impl Scene<'_> {
    /// Objects of one kind in the tenant's namespace.
    pub(crate) fn of_tenant(&self, api_version: &str, kind: &str) -> Api<DynamicObject> {
        objects::api(self.plane.admin(), api_version, kind, Some(TENANT))
    }

    pub(crate) fn sources(&self) -> Api<DynamicObject> {
        objects::api(
            self.plane.admin(),
            "source.toolkit.fluxcd.io/v1",
            "GitRepository",
            Some(CONFIG),
        )
    }

    pub(crate) fn receivers(&self) -> Api<DynamicObject> {
        objects::api(
            self.plane.admin(),
            "notification.toolkit.fluxcd.io/v1",
            "Receiver",
            Some(CONFIG),
        )
    }

    pub(crate) fn kustomizations(&self) -> Api<DynamicObject> {
        self.of_tenant("kustomize.toolkit.fluxcd.io/v1", "Kustomization")
    }

    /// A line as it is typed; no word of it may hold a space.
    pub(crate) async fn kubectl(&self, line: &str) -> anyhow::Result<String> {
        install::kubectl(self.plane, &words(line)).await
    }

    pub(crate) async fn apply(&self, manifests: &str) -> anyhow::Result<String> {
        install::apply(self.plane, manifests).await
    }

    /// A line as it is typed; no word of it may hold a space.
    pub(crate) async fn flux(&self, line: &str) -> anyhow::Result<String> {
        install::flux(self.plane, &words(line)).await
    }

    /// What the tenant and its neighbour hold.
    pub(crate) async fn stock(&self) -> anyhow::Result<[Stock; 2]> {
        let client = self.plane.admin();
        Ok([
            objects::stock(&client, TENANT).await?,
            objects::stock(&client, NEIGHBOUR).await?,
        ])
    }

    /// Calls the Receiver's hook with a plain GET, as a browser would; returns when it was called.
    pub(crate) async fn call_hook(&self) -> anyhow::Result<Instant> {
        let receiver = self.receivers().get(TENANT).await?;
        let path = objects::text(&receiver.data, "/status/url")
            .context("the Receiver has no status.url")?;
        let url = self.controller.hook_url(path);
        let called = Instant::now();
        let request = reqwest::Client::new()
            .get(url)
            .header("Host", "flux-webhooks.localhost");
        let answer = request.send().await.context("calling the hook")?;
        ensure!(
            answer.status().is_success(),
            "the hook answered {}",
            answer.status()
        );
        Ok(called)
    }

    /// The commit that the tenant's branch is at.
    pub(crate) fn head(&self) -> anyhow::Result<String> {
        self.repo.run(["rev-parse", "HEAD"])
    }

    /// Makes the tenant's deploy key and asks the host for its own, as an administrator would; returns
    /// the directory with `tenant-repo-key`, `tenant-repo-key.pub` and `known_hosts`.
    pub(crate) async fn deploy_key(&self) -> anyhow::Result<PathBuf> {
        let dir = self.plane.room("deploy-key")?;
        run(
            &dir,
            "ssh-keygen",
            &["-q", "-t", "rsa", "-f", "tenant-repo-key", "-N", ""],
        )
        .await?;
        let port = self.host.port().to_string();
        let known = run(&dir, "ssh-keyscan", &["-p", &port, "127.0.0.1"]).await?;
        ensure!(
            !known.is_empty(),
            "ssh-keyscan found no key of the git host"
        );
        std::fs::write(dir.join("known_hosts"), known)?;
        // What the git host's web page does with a deploy key.
        self.host
            .authorize(&std::fs::read_to_string(dir.join("tenant-repo-key.pub"))?)?;
        Ok(dir)
    }
}

fn words(line: &str) -> Vec<&str> {
    line.split_whitespace().collect()
}

async fn run(dir: &Path, program: &str, args: &[&str]) -> anyhow::Result<Vec<u8>> {
    let mut command = tokio::process::Command::new(program);
    command
        .args(args)
        .current_dir(dir)
        .stdin(Stdio::null())
        .kill_on_drop(true);
    let out = command
        .output()
        .await
        .with_context(|| format!("{program} cannot be run: `apt-get install openssh-client`"))?;
    ensure!(
        out.status.success(),
        "{program}: {}",
        String::from_utf8_lossy(&out.stderr)
    );
    Ok(out.stdout)
}
