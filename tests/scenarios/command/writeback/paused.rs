//! An object that the command takes out of write-back and lets in again, beside a WriteBack that the controller works by.

use anyhow::ensure;
use kube::api::DynamicObject;
use reeve_tests::install::CONFIG;
use reeve_tests::tenant::Tenant;
use reeve_tests::{Estate, objects, scenario, wait};
use serde_json::{Value, json};

use super::*;

/// A tenant whose settings are committed as they are on the cluster.
async fn written_back(estate: &Estate) -> anyhow::Result<Tenant<'_>> {
    let tenant = estate.healthy_tenant("wbpause").await?;
    git(tenant.repo().bare(), ["config", "http.receivepack", "true"])?;
    let name = tenant.name();
    tenant
        .apply(&json!({
            "apiVersion": "reeve.dev/v1alpha1", "kind": "WriteBack", "metadata": {"name": "back", "namespace": name},
            "spec": {
                "interval": "1h", "debounce": "100ms", "serviceAccountName": "flux",
                "rules": [{"resources": ["configmaps"], "names": ["settings"], "syncTo": "git"}],
                "sourceRef": {"name": name, "namespace": CONFIG},
            },
        }))
        .await?;
    let backs = tenant.api("reeve.dev/v1alpha1", "WriteBack");
    wait::for_object(&backs, "back", "it looks", |back| {
        objects::condition(&back.data, "Ready").is_some_and(|ready| ready.status == "True")
    })
    .await?;
    tenant.reconcile(None).await?;
    Ok(tenant)
}

/// Waits until the WriteBack says that an object is taken out of it, or that none is.
async fn is_paused(tenant: &Tenant<'_>, out: bool) -> anyhow::Result<()> {
    let backs = tenant.api("reeve.dev/v1alpha1", "WriteBack");
    let settings = format!("ConfigMap {}/settings", tenant.name());
    wait::for_object(&backs, "back", &format!("paused: {out}"), |back| {
        let all = back.data.pointer("/status/paused");
        let mut all = all.and_then(Value::as_array).into_iter().flatten();
        all.any(|one| one == settings.as_str()) == out
    })
    .await?;
    Ok(())
}

#[test]
fn a_paused_object_is_put_right_and_not_committed_until_it_is_resumed() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = written_back(estate).await?;
        let (here, name, repo) = (std::env::temp_dir(), tenant.name(), tenant.repo());
        let says = async |verb: &str, object: &str| {
            let line = ["writeback", verb, object, "-n", name];
            said(&asked(estate, &here, &line).await?, 0)
        };
        let (before, maps) = (commits(repo)?, tenant.api("v1", "ConfigMap"));
        says("pause", "configmap/settings").await?;
        paint(&maps, "settings", "blue").await?;
        colour(&maps, "settings", "green").await?;
        is_paused(&tenant, true).await?;
        let told = says("status", "back").await?;
        has_line(&told, &[&format!("ConfigMap {name}/settings"), "paused"])?;
        ensure!(commits(repo)? == before, "it was committed");

        says("resume", "configmap/settings").await?;
        is_paused(&tenant, false).await?;
        tenant.reconcile(None).await?;
        paint(&maps, "settings", "black").await?;
        let is_black = |text: Option<&str>| text.is_some_and(|text| text.contains("black"));
        committed(repo, "settings.yaml", is_black).await?;
        colour(&maps, "settings", "black").await?;
        ensure!(commits(repo)? == before + 1, "one commit, and no other");
        let head = git(repo.bare(), ["rev-parse", "main"])?;
        let backs = tenant.api("reeve.dev/v1alpha1", "WriteBack");
        let is_told = |back: &DynamicObject| {
            let revision = objects::text(&back.data, "/status/lastCommit/revision");
            revision.is_some_and(|revision| revision.ends_with(&head))
        };
        wait::for_object(&backs, "back", "the commit is told", is_told).await?;
        // What was: which object, by whom, which field, in which file and commit.
        let told = says("status", "back").await?;
        let object = format!("ConfigMap {name}/settings");
        has_line(
            &told,
            &[&object, "written", "data.colour", "settings.yaml in", &head],
        )?;
        Ok(())
    });
}
