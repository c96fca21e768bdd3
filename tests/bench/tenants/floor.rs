//! The least that any controller must do for a push to every tenant: for each a request to reconcile, a look at its branch,
//! one object applied as the tenant, and two statuses.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use kube::api::{Patch, PatchParams};
use serde_json::json;

use super::estate::{Many, ask, map, name};
use crate::floor::ls_remote;

impl Many<'_> {
    /// How long it takes, several at once.
    pub(super) async fn floor(&self) -> anyhow::Result<Duration> {
        let web = reqwest::Client::new();
        let begun = Instant::now();
        self.each(async |at| self.least(&web, at).await).await?;
        Ok(begun.elapsed())
    }

    async fn least(&self, web: &reqwest::Client, at: usize) -> anyhow::Result<()> {
        let name = name(at);
        ask(self.source(), &name, "floor").await?;
        ls_remote(web, &self.estate.git.url(&name)).await?;
        self.apply_as_tenant(at).await?;
        for api in [self.source(), self.kustomization(at)] {
            // A key that the kind knows and that nobody waits for.
            let status = json!({"status": {"lastHandledReconcileAt": "floor"}});
            let how = PatchParams::default();
            api.patch_status(&name, &how, &Patch::Merge(&status))
                .await
                .context("a status")?;
        }
        Ok(())
    }

    async fn apply_as_tenant(&self, at: usize) -> anyhow::Result<()> {
        let name = name(at);
        let path = format!(
            "/api/v1/namespaces/{name}/configmaps/app?fieldManager=kustomize-controller&force=true"
        );
        let request = http::Request::patch(path)
            .header("Content-Type", "application/apply-patch+yaml")
            .header(
                "Impersonate-User",
                format!("system:serviceaccount:{name}:flux"),
            )
            .body(map(at, usize::MAX).to_string().into_bytes())?;
        let client = self.estate.plane.admin();
        client
            .request_text(request)
            .await
            .context("applying as the tenant")?;
        Ok(())
    }
}
