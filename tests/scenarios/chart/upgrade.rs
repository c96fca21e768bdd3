//! An upgrade as the chart's Deployment does it: the next pod is ready before the last one is told to stop.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use kube::api::{ListParams, Patch, PatchParams};
use reeve_tests::controller::Controller;
use reeve_tests::install::CONFIG;
use reeve_tests::tenant::Tenant;
use reeve_tests::{Estate, objects, scenario};
use serde_json::{Value, json};

use super::release::settings;

/// Asks for a fetch, and waits for nothing.
async fn ask(tenant: &Tenant<'_>, token: &str) -> anyhow::Result<()> {
    let annotations = json!({"reconcile.fluxcd.io/requestedAt": token});
    let patch = Patch::Merge(json!({"metadata": {"annotations": annotations}}));
    let how = PatchParams::default();
    let sources = tenant.sources();
    sources.patch_metadata(tenant.name(), &how, &patch).await?;
    Ok(())
}

/// As it was written last: whoever writes it, also without a change of its own, makes it another.
async fn version(tenant: &Tenant<'_>) -> anyhow::Result<String> {
    let service = tenant.api("v1", "Service").get("web").await?;
    let version = service.metadata.resource_version;
    version.context("an object has a version")
}

/// What was told of failures, of the tenant's Kustomization and of its source.
async fn warnings(estate: &Estate, tenant: &Tenant<'_>) -> anyhow::Result<Vec<Value>> {
    let (mut found, warns) = (Vec::new(), ListParams::default().fields("type=Warning"));
    for namespace in [tenant.name(), CONFIG] {
        let events = objects::api(estate.admin(), "v1", "Event", Some(namespace));
        let events = events.list(&warns).await?.items.into_iter();
        found.extend(events.map(|event| event.data));
    }
    // A Receiver that was looked at before its source was known tells that once, when both are made.
    found.retain(|event| objects::text(event, "/involvedObject/kind") != Some("Receiver"));
    Ok(found)
}

#[test]
fn an_upgrade_under_pushes_fails_no_reconcile_and_writes_nothing_that_did_not_change() {
    scenario(async {
        let estate = Estate::start_with(&[]).await?;
        let tenant = estate.healthy_tenant("upgraded").await?;
        let before = version(&tenant).await?;
        let mut last: Option<Controller> = None;
        for name in ["reeve-second", "reeve-third", "reeve-fourth"] {
            let next = Controller::start_as(name, &estate.plane, &[]).await?;
            let commit = tenant.commit([("settings.yaml", Some(settings(name)))])?;
            ask(&tenant, name).await?;
            let going = last.as_ref().unwrap_or(&estate.controller);
            let ended = going.stop(Duration::from_secs(35));
            let ended = ended.with_context(|| format!("before {name} nobody ran"))?;
            ensure!(ended.success(), "before {name}: {ended}");
            tenant.applied(&commit).await?;
            last = Some(next);
        }
        let warnings = warnings(&estate, &tenant).await?;
        ensure!(warnings.is_empty(), "{warnings:#?}");
        ensure!(version(&tenant).await? == before, "the Service was written");
        Ok(())
    });
}
