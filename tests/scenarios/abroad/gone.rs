//! A Kustomization that is deleted while its cluster is down: it says so and waits for it, unless it is told to leave all there.

use anyhow::ensure;
use kube::api::{DeleteParams, DynamicObject};
use reeve_api::reason::Reason;
use reeve_tests::tenant::Tenant;
use reeve_tests::{Estate, scenario, wait};
use serde_json::json;

use super::edge::{Edge, moves};
use super::{DONE, guest};

/// Deleted, it is told that its cluster does not answer, and what would let it go.
async fn deleted(tenant: &Tenant<'_>) -> anyhow::Result<()> {
    let kustomizations = tenant.kustomizations();
    let how = DeleteParams::default();
    kustomizations.delete(tenant.name(), &how).await?;
    let failed = Reason::ReconciliationFailed;
    let told = tenant.told_of(failed, "does not answer").await?;
    let message = &told.ready.message;
    ensure!(
        message.contains("set spec.deletionPolicy to Orphan"),
        "{message}"
    );
    let events = tenant.api("v1", "Event");
    wait::until(wait::PATIENCE, "an event warns of it", || async {
        let all = events.list(&Default::default()).await.ok()?;
        let warns = |event: &DynamicObject| {
            event.data["type"] == "Warning"
                && event.data["message"]
                    .to_string()
                    .contains("does not answer")
        };
        all.items.iter().any(warns).then_some(())
    })
    .await
}

#[test]
fn one_that_is_deleted_while_its_cluster_is_down_stays_until_that_answers_or_it_is_let_go() {
    scenario(async {
        let (estate, edge) = (Estate::shared().await?, Edge::alone().await?);
        let waits = guest(estate, &edge, "abroad-leaves").await?;
        let leaves = guest(estate, &edge, "abroad-orphans").await?;
        for tenant in [&waits, &leaves] {
            moves(tenant).await?;
            tenant.told_of(DONE, "Applied revision").await?;
        }
        edge.0.stop_api();
        deleted(&waits).await?;
        deleted(&leaves).await?;

        leaves
            .change(|draft| draft.set("deletionPolicy", json!("Orphan")))
            .await?;
        wait::until_gone(&leaves.kustomizations(), leaves.name()).await?;
        let stays = waits.kustomizations().get(waits.name()).await?;
        ensure!(stays.metadata.finalizers.is_some_and(|all| !all.is_empty()));

        edge.0.restart_api().await?;
        wait::until_gone(&waits.kustomizations(), waits.name()).await?;
        let maps = edge.api(&waits, "v1", "ConfigMap");
        ensure!(maps.get_opt("settings").await?.is_none(), "it went before");
        let maps = edge.api(&leaves, "v1", "ConfigMap");
        ensure!(maps.get_opt("settings").await?.is_some(), "it was left");
        Ok(())
    });
}
