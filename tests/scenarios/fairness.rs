//! One tenant with everything that hangs and fails delays the others' pushes by little. How little exactly, `bench fair`
//! says on a quiet machine; here the bound is one that a busy machine keeps too.

use std::time::{Duration, Instant};

use anyhow::ensure;
use reeve_tests::crowd::Crowd;
use reeve_tests::tenant::Tenant;
use reeve_tests::{Estate, scenario};
use serde_json::json;

/// Kustomizations that hang or fail.
const CROWD: usize = 60;
const ROUNDS: usize = 11;

/// Half of the pushes took no longer, from the hook's call to the status.
async fn pushes(tenant: &Tenant<'_>, from: usize) -> anyhow::Result<Duration> {
    let mut all = Vec::new();
    for round in from..from + ROUNDS {
        let settings = json!({"apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": "settings"}, "data": {"colour": round.to_string()}});
        let commit = tenant.commit([("settings.yaml", Some(settings.to_string()))])?;
        let called = Instant::now();
        tenant.call_hook().await?;
        tenant.applied(&commit).await?;
        all.push(called.elapsed());
    }
    all.sort();
    Ok(all.get(ROUNDS / 2).copied().unwrap_or_default())
}

#[test]
fn a_tenant_of_whom_everything_hangs_or_fails_delays_another_by_little() {
    scenario(async {
        let estate = Estate::start().await?;
        let tenant = estate.healthy_tenant("orderly").await?;
        let hostile = estate.healthy_tenant("hostile").await?;
        pushes(&tenant, 0).await?;
        let alone = pushes(&tenant, ROUNDS).await?;
        let crowd = Crowd::gather(&hostile, Crowd::each_of(CROWD)).await?;
        let beside = pushes(&tenant, 2 * ROUNDS).await?;
        drop(crowd);
        ensure!(
            beside <= alone * 3 + Duration::from_secs(1),
            "{alone:?} alone, {beside:?} beside the crowd"
        );
        Ok(())
    });
}

#[test]
fn a_heavier_tenant_is_told_nothing_else_and_gets_no_less() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = estate.healthy_tenant("heavy").await?;
        let name = tenant.name();
        let heavier = json!({
            "apiVersion": "reeve.dev/v1alpha1", "kind": "Tenant", "metadata": {"name": name},
            "spec": {"namespaces": [name], "sources": [name], "weight": 3},
        });
        tenant.apply(&heavier).await?;
        let told = tenant.reconcile(None).await?;
        ensure!(told.ready.status == "True", "{:?}", told.ready);
        let absurd = json!({
            "apiVersion": "reeve.dev/v1alpha1", "kind": "Tenant", "metadata": {"name": name},
            "spec": {"namespaces": [name], "sources": [name], "weight": 101},
        });
        ensure!(tenant.apply(&absurd).await.is_err(), "weights are bounded");
        Ok(())
    });
}
