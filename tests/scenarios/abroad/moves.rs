//! From one cluster to another and back: each way waits until somebody has confirmed it, and takes nothing along.

use anyhow::ensure;
use kube::ResourceExt as _;
use reeve_api::reason::Reason;
use reeve_core::caution::CONFIRM;
use reeve_tests::tenant::{Tenant, Told};
use reeve_tests::{Estate, objects, scenario};
use serde_json::{Value, json};

use super::edge::Edge;
use super::jobs::{hook, uid};
use super::{DONE, colour, digest, guest, settings};
use crate::waves::waits;

async fn here(tenant: &Tenant<'_>) -> anyhow::Result<Option<String>> {
    let job = tenant.api("batch/v1", "Job").get_opt("before").await?;
    Ok(job.and_then(|job| job.uid()))
}

/// It is to be carried out elsewhere, which waits, and is confirmed.
async fn points(tenant: &Tenant<'_>, to: Value, words: &str) -> anyhow::Result<()> {
    tenant.change(|draft| draft.set("kubeConfig", to)).await?;
    let told = tenant.told_of(Reason::PruneHeld, words).await?;
    let message = told.ready.message;
    ensure!(message.contains("stays there"), "{message}");
    tenant.annotate(CONFIRM, Some(digest(&message)?)).await
}

fn inventory(told: &Told) -> (Option<&str>, usize) {
    let entries = told.kustomization.pointer("/status/inventory/entries");
    let entries = entries.and_then(Value::as_array).map_or(0, Vec::len);
    let cluster = objects::text(&told.kustomization, "/status/inventoryCluster");
    (cluster, entries)
}

#[test]
fn what_moves_to_another_cluster_and_back_is_confirmed_each_way_and_runs_no_hook_twice() {
    scenario(async {
        let (estate, edge) = (Estate::shared().await?, Edge::shared().await?);
        let tenant = guest(estate, &edge, "abroad-back").await?;
        super::edge::retries_soon(&tenant).await?;
        let commit = tenant.commit([("before.yaml", Some(hook("before", "PreSync")))])?;
        tenant.call_hook().await?;
        tenant.applied(&commit).await?;
        let ran_here = here(&tenant).await?;
        ensure!(ran_here.is_some(), "the hook ran here");

        let away = format!(
            "the cluster at {} and no longer at this cluster",
            edge.url()
        );
        let to = json!({"secretRef": {"name": "edge"}});
        points(&tenant, to, &away).await?;
        // Nobody asks for a run.
        waits(&tenant, "waiting for wave 0 of PreSync").await?;
        let maps = edge.api(&tenant, "v1", "ConfigMap");
        ensure!(maps.get_opt("settings").await?.is_none(), "not before it");
        edge.finishes(&tenant, "before").await?;
        let told = tenant.told_of(DONE, "Applied revision").await?;
        ensure!(inventory(&told) == (Some(edge.url().as_str()), 3));
        ensure!(colour(&maps.get("settings").await?) == "green");
        let ran_there = uid(&tenant, &edge, "before").await?;
        ensure!(here(&tenant).await? == ran_here, "what is here stays here");

        let home = format!(
            "this cluster and no longer at the cluster at {}",
            edge.url()
        );
        points(&tenant, Value::Null, &home).await?;
        let told = tenant.told_of(DONE, "Applied revision").await?;
        ensure!(inventory(&told) == (None, 3), "{:#}", told.kustomization);
        ensure!(here(&tenant).await? == ran_here, "it ran here before");
        ensure!(uid(&tenant, &edge, "before").await? == ran_there);

        // It is looked after here again, and there no more.
        let red = settings("red");
        tenant
            .push(&[("settings.yaml", Some(&red)), ("service.yaml", None)])
            .await?;
        let now = tenant.api("v1", "ConfigMap").get("settings").await?;
        ensure!(colour(&now) == "red", "it is applied here");
        let web = tenant.api("v1", "Service").get_opt("web").await?;
        ensure!(web.is_none(), "it is pruned here");
        let stays = edge.api(&tenant, "v1", "Service").get_opt("web").await?;
        ensure!(stays.is_some() && colour(&maps.get("settings").await?) == "green");
        ensure!(
            here(&tenant).await? != ran_here,
            "another push runs it again"
        );
        Ok(())
    });
}
