//! Waves: each is applied when the one before it is healthy, and nobody is held up meanwhile.

use anyhow::ensure;
use kube::api::{Api, DynamicObject, ListParams, Patch, PatchParams};
use reeve_tests::tenant::Tenant;
use reeve_tests::{Estate, objects, scenario, wait};
use serde_json::{Value, json};

/// The node label that a tenant's pods of this gate wait for.
pub(super) fn gate(tenant: &Tenant<'_>, name: &str) -> String {
    format!("gate.example.com/{}-{name}", tenant.name())
}

/// Lets the pods behind a gate run.
pub(super) async fn open(estate: &Estate, gate: &str) -> anyhow::Result<()> {
    let nodes = objects::api(estate.admin(), "v1", "Node", None);
    let label = Patch::Merge(json!({"metadata": {"labels": {gate: "open"}}}));
    for node in nodes.list(&ListParams::default()).await? {
        let name = node.metadata.name.unwrap_or_default();
        let how = PatchParams::default();
        nodes.patch(&name, &how, &label).await?;
    }
    Ok(())
}

/// A Deployment in a wave, behind a gate.
pub(super) fn deployment(name: &str, wave: &str, gate: Option<&str>) -> String {
    let behind = gate.map(|gate| json!({gate: "open"})).unwrap_or_default();
    let labels = json!({"app": name});
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": name, "annotations": {"argocd.argoproj.io/sync-wave": wave}},
        "spec": {"replicas": 1, "selector": {"matchLabels": labels}, "template": {
            "metadata": {"labels": labels},
            "spec": {"nodeSelector": behind, "containers": [
                {"name": name, "image": "registry.local/web:1"}]},
        }},
    })
    .to_string()
}

/// A ConfigMap in a wave.
pub(super) fn map(name: &str, wave: &str) -> String {
    json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": name, "annotations": {"reeve.dev/sync-wave": wave}},
        "data": {"wave": wave},
    })
    .to_string()
}

/// Waits until the Kustomization says that it waits for this.
pub(super) async fn waits(tenant: &Tenant<'_>, words: &str) -> anyhow::Result<DynamicObject> {
    let what = format!("it says that it is {words}");
    wait::for_object(&tenant.kustomizations(), tenant.name(), &what, |ks| {
        objects::condition(&ks.data, "Ready")
            .is_some_and(|ready| ready.status == "Unknown" && ready.message.contains(words))
    })
    .await
}

pub(super) fn sync(ks: &DynamicObject) -> Option<&Value> {
    ks.data.pointer("/status/sync")
}

async fn is_there(api: &Api<DynamicObject>, name: &str) -> anyhow::Result<bool> {
    Ok(api.get_opt(name).await?.is_some())
}

#[test]
fn each_wave_is_applied_when_the_one_before_it_is_healthy() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = estate.healthy_tenant("waves").await?;
        let plain = tenant.kustomizations().get(tenant.name()).await?;
        ensure!(
            sync(&plain).is_none(),
            "nothing is said of waves that are not there"
        );
        let (first, second) = (gate(&tenant, "first"), gate(&tenant, "second"));
        let commit = tenant.commit([
            ("db.yaml", Some(deployment("db", "-1", Some(&first)))),
            ("web.yaml", Some(deployment("web", "1", Some(&second)))),
            ("late.yaml", Some(map("late", "2"))),
        ])?;
        tenant.call_hook().await?;
        let name = tenant.name();
        let (deployments, maps) = (
            tenant.api("apps/v1", "Deployment"),
            tenant.api("v1", "ConfigMap"),
        );
        let words =
            format!("waiting for wave -1 of Sync: Deployment/{name}/db status: 'InProgress'");
        let ks = waits(&tenant, &words).await?;
        let told = sync(&ks).cloned().unwrap_or_default();
        ensure!(
            told["phase"] == "Sync" && told["wave"] == -1 && told.get("hooks").is_none(),
            "{told}"
        );
        ensure!(!is_there(&deployments, "web").await? && !is_there(&maps, "late").await?);
        open(estate, &first).await?;
        let words =
            format!("waiting for wave 1 of Sync: Deployment/{name}/web status: 'InProgress'");
        waits(&tenant, &words).await?;
        ensure!(!is_there(&maps, "late").await?);
        open(estate, &second).await?;
        let told = tenant.applied(&commit).await?;
        ensure!(is_there(&maps, "late").await?);
        let left = told.kustomization.pointer("/status/sync/wave");
        ensure!(left.is_none(), "{left:?}: nothing is waited for any more");
        Ok(())
    });
}

#[test]
fn a_push_between_two_waves_ends_the_wait_for_the_first() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = estate.healthy_tenant("overtaken").await?;
        let never = gate(&tenant, "never");
        tenant.commit([
            ("db.yaml", Some(deployment("db", "-1", Some(&never)))),
            ("late.yaml", Some(map("late", "2"))),
        ])?;
        tenant.call_hook().await?;
        waits(&tenant, "waiting for wave -1 of Sync").await?;
        let commit = tenant.commit([("db.yaml", Some(deployment("db", "-1", None)))])?;
        tenant.call_hook().await?;
        tenant.applied(&commit).await?;
        ensure!(is_there(&tenant.api("v1", "ConfigMap"), "late").await?);
        Ok(())
    });
}

#[test]
fn a_controller_that_is_killed_between_two_waves_goes_on_where_it_was() {
    scenario(async {
        let estate = Estate::start().await?;
        let tenant = estate.healthy_tenant("reborn").await?;
        let first = gate(&tenant, "first");
        let commit = tenant.commit([
            ("db.yaml", Some(deployment("db", "-1", Some(&first)))),
            ("late.yaml", Some(map("late", "2"))),
            ("service.yaml", None),
        ])?;
        tenant.call_hook().await?;
        waits(&tenant, "waiting for wave -1 of Sync").await?;
        estate.controller.kill();
        let service = tenant.api("v1", "Service");
        ensure!(
            is_there(&service, "web").await?,
            "what is no longer wanted goes last"
        );
        open(&estate, &first).await?;
        estate.controller.restart().await?;
        tenant.applied(&commit).await?;
        ensure!(is_there(&tenant.api("v1", "ConfigMap"), "late").await?);
        ensure!(!is_there(&service, "web").await?);
        Ok(())
    });
}

#[test]
fn a_wave_that_cannot_be_read_is_told_with_its_object() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = estate.healthy_tenant("illegible").await?;
        let told = tenant
            .after(|draft| draft.commit("late.yaml", map("late", "soon")))
            .await?;
        let want = format!(
            "ConfigMap/{}/late: annotation reeve.dev/sync-wave is no whole number",
            tenant.name()
        );
        ensure!(
            told.ready.reason == "BuildFailed" && told.ready.message.contains(&want),
            "{:?}",
            told.ready
        );
        Ok(())
    });
}
