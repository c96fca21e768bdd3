//! The least that any controller must do between a hook and the changed object's report: ask the git
//! server where the branch is, apply the object as the tenant, and write two statuses.
//!
//! Done one after the other by a bare client with warm connections; nothing is fetched, built or judged.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use kube::Client;
use kube::api::{Api, DynamicObject, Patch, PatchParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use reeve_tests::tenant::Tenant;
use reeve_tests::{Estate, objects};
use serde_json::json;

pub(crate) struct Floor {
    web: reqwest::Client,
    repository: String,
    maps: Api<DynamicObject>,
    probes: [Api<DynamicObject>; 2],
    name: String,
}

impl Floor {
    pub(crate) async fn new(estate: &Estate, tenant: &Tenant<'_>) -> anyhow::Result<Self> {
        let name = tenant.name().to_owned();
        let read = Kubeconfig::read_from(estate.plane.kubeconfig())?;
        let mut config =
            kube::Config::from_custom_kubeconfig(read, &KubeConfigOptions::default()).await?;
        config.auth_info.impersonate = Some(format!("system:serviceaccount:{name}:flux"));
        let client = Client::try_from(config)?;
        let floor = Self {
            web: reqwest::Client::new(),
            repository: estate.git.url(&name),
            maps: objects::api(client, "v1", "ConfigMap", Some(&name)),
            probes: [tenant.sources(), tenant.kustomizations()],
            name,
        };
        Ok(floor)
    }

    /// Does it once, and says how long it took.
    pub(crate) async fn measure(&self, round: usize) -> anyhow::Result<Duration> {
        let begun = Instant::now();
        ls_remote(&self.web, &self.repository).await?;
        let map = json!({
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "floor"},
            "data": {"round": round.to_string()},
        });
        let params = PatchParams::apply("bench").force();
        self.maps
            .patch("floor", &params, &Patch::Apply(&map))
            .await
            .context("applying")?;
        for probe in &self.probes {
            // A key that the kind knows and that nobody waits for.
            let status = json!({"status": {"lastHandledReconcileAt": format!("bench-{round}")}});
            let params = PatchParams::default();
            probe
                .patch_status(&self.name, &params, &Patch::Merge(&status))
                .await
                .context("a status")?;
        }
        Ok(begun.elapsed())
    }
}

/// What `git ls-remote` of one branch asks over http: two requests of protocol version 2.
pub(crate) async fn ls_remote(web: &reqwest::Client, repository: &str) -> anyhow::Result<()> {
    let url = format!("{repository}/info/refs?service=git-upload-pack");
    let greeting = web
        .get(url)
        .header("Git-Protocol", "version=2")
        .send()
        .await?;
    greeting.error_for_status()?.bytes().await?;
    let url = format!("{repository}/git-upload-pack");
    let ask = "0014command=ls-refs\n0001001bref-prefix refs/heads/\n0000";
    let call = web.post(url).header("Git-Protocol", "version=2");
    let call = call
        .header("Content-Type", "application/x-git-upload-pack-request")
        .body(ask);
    let answer = call.send().await?.error_for_status()?.bytes().await?;
    let found = answer.windows(15).any(|text| text == b"refs/heads/main");
    ensure!(
        found,
        "the git server lists no main: {}",
        String::from_utf8_lossy(&answer)
    );
    Ok(())
}
