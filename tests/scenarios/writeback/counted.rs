//! What is told of emergency changes beside the commit: by metrics and events, whether they were written, refused or in conflict.

use anyhow::ensure;
use kube::api::PostParams;
use reeve_tests::{Estate, objects, scenario, wait};
use serde_json::json;

use super::hands::conflict_is_told;
use super::*;

/// How many objects of the tenant's came to this, by the metrics.
async fn counted(estate: &Estate, tenant: &Tenant<'_>, result: &str) -> anyhow::Result<f64> {
    let (whose, what) = (
        format!("tenant=\"{}\"", tenant.name()),
        format!("result=\"{result}\""),
    );
    let words = ["reeve_writeback_objects_total", &whose, &what];
    estate.controller.sample(&words).await
}

/// Waits until an event about an object says this.
async fn event(
    tenant: &Tenant<'_>,
    kind: &str,
    reason: &str,
    words: &str,
) -> anyhow::Result<DynamicObject> {
    let events = tenant.api("v1", "Event");
    let told = || async {
        let all = events.list(&Default::default()).await.ok()?;
        all.items.into_iter().find(|event| {
            let text = |pointer| objects::text(&event.data, pointer).unwrap_or_default();
            text("/reason") == reason
                && text("/involvedObject/kind") == kind
                && text("/message").contains(words)
        })
    };
    let what = format!("an event {reason} at a {kind} that says {words:?}");
    wait::until(wait::PATIENCE, &what, told).await
}

#[test]
fn emergency_changes_are_counted_and_told_whatever_became_of_them() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = tenant(estate, "wb-counted").await?;
        let rules =
            json!([{"resources": ["deployments", "configmaps", "secrets"], "syncTo": "git"}]);
        let mut back = writeback(&tenant, "back", &rules);
        back["spec"]["debounce"] = json!("3s");
        begin(&tenant, &back).await?;
        let refused_before = counted(estate, &tenant, "refused").await?;
        let webs = tenant.api("apps/v1", "Deployment");
        let mut hot = image("hot");
        hot["metadata"] = json!({"annotations": {"reeve.dev/reason": "the release leaks"}});
        change(&webs, "web", "kubectl-edit", &hot).await?;
        // Nobody calls the hook: it is found when it is written.
        let cold = WEB.replace("web:1", "web:cold");
        tenant.commit([("web.yaml", Some(cold.as_str()))])?;
        let login = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "login"}, "stringData": {"user": "ann"}});
        let login: DynamicObject = serde_json::from_value(login)?;
        let secrets = tenant.api("v1", "Secret");
        secrets.create(&PostParams::default(), &login).await?;

        written(&tenant, "web.yaml", "web:hot").await?;
        let head = git(tenant.repo().bare(), ["rev-parse", "main"])?;
        let subject = format!("Secret {}/login", tenant.name());
        refused(&tenant, "back", &subject).await?;
        conflict_is_told(&tenant, "the other had registry.local/web:cold").await?;
        for kind in ["WriteBack", "Deployment"] {
            event(&tenant, kind, "WrittenBack", &head).await?;
        }
        let commits = ["reeve_writeback_commits_total", tenant.name()];
        let commits = estate.controller.sample(&commits).await?;
        ensure!(commits == 1.0, "{commits} commits");
        let is = counted(estate, &tenant, "written").await?;
        ensure!(is == 1.0, "{is} written");
        let is = counted(estate, &tenant, "conflict").await?;
        ensure!(is >= 1.0, "{is} in conflict");
        let is = counted(estate, &tenant, "refused").await?;
        ensure!(is > refused_before, "{is} refused");
        Ok(())
    });
}
