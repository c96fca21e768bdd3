//! Hooks of what is carried out on another cluster: run there, each once, and nothing of them here.

use anyhow::ensure;
use kube::ResourceExt as _;
use kube::api::Patch;
use kube::api::PatchParams;
use reeve_api::reason::Reason;
use reeve_tests::tenant::Tenant;
use reeve_tests::{Estate, objects, scenario};
use serde_json::{Value, json};

use super::edge::{Edge, moves};
use super::{DONE, colour, guest, settings};
use crate::waves::waits;

/// A Job that is a hook.
pub(super) fn hook(name: &str, phase: &str) -> String {
    json!({"apiVersion": "batch/v1", "kind": "Job",
        "metadata": {"name": name, "annotations": {"argocd.argoproj.io/hook": phase}},
        "spec": {"template": {"spec": {"restartPolicy": "Never",
            "containers": [{"name": "job", "image": "registry.local/job:1"}]}}}})
    .to_string()
}

/// The uid of a Job there; none if there is none.
pub(super) async fn uid(
    tenant: &Tenant<'_>,
    edge: &Edge,
    name: &str,
) -> anyhow::Result<Option<String>> {
    let job = edge.api(tenant, "batch/v1", "Job").get_opt(name).await?;
    Ok(job.and_then(|job| job.uid()))
}

#[test]
fn hooks_run_there_before_and_after_what_is_applied_there_and_each_once() {
    scenario(async {
        let (estate, edge) = (Estate::shared().await?, Edge::shared().await?);
        let tenant = guest(estate, &edge, "abroad-hooks").await?;
        moves(&tenant).await?;
        tenant.told_of(DONE, "Applied revision").await?;
        let maps = edge.api(&tenant, "v1", "ConfigMap");
        let commit = tenant.commit([
            ("before.yaml", Some(hook("before", "PreSync"))),
            ("after.yaml", Some(hook("after", "PostSync"))),
            ("settings.yaml", Some(settings("red"))),
        ])?;
        tenant.call_hook().await?;
        let name = tenant.name();
        let first =
            format!("waiting for wave 0 of PreSync: Job/{name}/before status: 'InProgress'");
        waits(&tenant, &first).await?;
        ensure!(colour(&maps.get("settings").await?) == "green", "not yet");
        ensure!(uid(&tenant, &edge, "after").await?.is_none());
        edge.finishes(&tenant, "before").await?;
        let last = format!("waiting for wave 0 of PostSync: Job/{name}/after status: 'InProgress'");
        waits(&tenant, &last).await?;
        ensure!(colour(&maps.get("settings").await?) == "red");
        edge.finishes(&tenant, "after").await?;
        let told = tenant.applied(&commit).await?;
        let hooks = told.kustomization.pointer("/status/sync/hooks");
        let hooks = hooks.and_then(Value::as_array).cloned().unwrap_or_default();
        let ended = |hook: &Value| hook["outcome"] == "Succeeded";
        ensure!(hooks.len() == 2 && hooks.iter().all(ended), "{hooks:?}");

        let ran = (
            uid(&tenant, &edge, "before").await?,
            uid(&tenant, &edge, "after").await?,
        );
        tenant
            .change(|draft| draft.set("interval", json!("2h")))
            .await?;
        tenant.applied(&commit).await?;
        let now = (
            uid(&tenant, &edge, "before").await?,
            uid(&tenant, &edge, "after").await?,
        );
        ensure!(ran.0.is_some() && ran == now, "{ran:?} {now:?}");
        let here = tenant.changes().await?;
        let jobs = here.iter().any(|change| change.contains("Job."));
        ensure!(!jobs, "nothing of them here: {here:?}");
        Ok(())
    });
}

/// A Deployment that has been there for long, and has given up.
fn given_up(tenant: &Tenant<'_>) -> Value {
    json!({"apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "web", "namespace": tenant.name()},
        "spec": {"replicas": 1, "selector": {"matchLabels": {"app": "web"}}, "template": {
            "metadata": {"labels": {"app": "web"}},
            "spec": {"containers": [{"name": "web", "image": "registry.local/web:1"}]}}}})
}

#[test]
fn a_first_run_there_that_fails_at_once_says_where_its_objects_are() {
    scenario(async {
        let (estate, edge) = (Estate::shared().await?, Edge::shared().await?);
        let tenant = guest(estate, &edge, "abroad-fails").await?;
        edge.put(&given_up(&tenant)).await?;
        let status = json!({"status": {"observedGeneration": 1, "replicas": 1, "updatedReplicas": 1,
            "conditions": [{"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}]}});
        let how = PatchParams::default();
        let webs = edge.api(&tenant, "apps/v1", "Deployment");
        webs.patch_status("web", &how, &Patch::Merge(&status))
            .await?;
        // The revision is there before it is the first one that goes there.
        tenant
            .change(|draft| draft.set("suspend", json!(true)))
            .await?;
        let commit = tenant.commit([("web.yaml", Some(given_up(&tenant).to_string()))])?;
        tenant.call_hook().await?;
        tenant.source_told_of(Reason::Succeeded, &commit).await?;
        moves(&tenant).await?;
        tenant
            .change(|draft| {
                draft.set("wait", json!(true));
                draft.set("suspend", Value::Null);
            })
            .await?;
        let why = "failed early due to stalled resources";
        let told = tenant.told_of(Reason::HealthCheckFailed, why).await?;
        let at = objects::text(&told.kustomization, "/status/inventoryCluster");
        ensure!(at == Some(&edge.url()), "{:#}", told.kustomization);
        let entries = told.kustomization.pointer("/status/inventory/entries");
        let entries = entries.and_then(Value::as_array).map(Vec::len);
        ensure!(entries == Some(3), "{entries:?}");
        Ok(())
    });
}
