//! What is deleted while no controller runs: it goes from its file at the next start, by rule, and only if it was there once.

use anyhow::ensure;
use kube::api::{DeleteParams, PostParams};
use reeve_tests::{Estate, objects, scenario, wait};
use serde_json::json;

use super::*;
use crate::outage::rough;
use crate::ratchet::lose_the_disk;

const SETTINGS: &str =
    "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: settings\ndata:\n  colour: green\n";

/// A ConfigMap that nobody's manifests have.
pub(super) async fn make(tenant: &Tenant<'_>, name: &str) -> anyhow::Result<()> {
    let map = json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "labels": {"goes": name}}, "data": {"a": "b"},
    });
    let map: DynamicObject = serde_json::from_value(map)?;
    let maps = tenant.api("v1", "ConfigMap");
    maps.create(&PostParams::default(), &map).await?;
    Ok(())
}

/// Waits until a file is gone from the server.
pub(super) async fn is_gone(tenant: &Tenant<'_>, path: &str) -> anyhow::Result<()> {
    let gone = || async { file(tenant, path).is_none().then_some(()) };
    wait::until(wait::PATIENCE, &format!("{path} is gone"), gone).await
}

/// A tenant that builds `app`, whose new objects lie beside that; and a WriteBack which takes some out with what is deleted.
async fn beside<'a>(estate: &'a Estate, name: &str) -> anyhow::Result<Tenant<'a>> {
    let tenant = tenant(estate, name).await?;
    // Nobody has ever seen it on the cluster: it is no evidence that it was deleted.
    let ghost = SETTINGS.replace("name: settings", "name: ghost");
    let ghost_file = made(&tenant, "ghost");
    build_app(&tenant, |draft| {
        draft.commit("app/settings.yaml", SETTINGS);
        draft.commit(&ghost_file, &ghost);
    })
    .await?;
    let rules = json!([
        {"resources": ["configmaps"], "names": ["settings", "ghost"], "syncTo": "git", "onDelete": "delete"},
        {"resources": ["configmaps"], "labels": "goes=made", "syncTo": "git", "onDelete": "delete"},
        {"resources": ["configmaps"], "names": ["stays"], "syncTo": "git"},
        {"resources": ["deployments"], "syncTo": "git"},
    ]);
    let mut back = writeback(&tenant, "back", &rules);
    back["spec"]["newObjects"] = json!({"path": "made/{namespace}/{kind}.{group}-{name}.yaml"});
    begin(&tenant, &back).await?;
    Ok(tenant)
}

/// The file of a ConfigMap that nobody builds.
fn made(tenant: &Tenant<'_>, name: &str) -> String {
    format!("made/{}/configmap-{name}.yaml", tenant.name())
}

#[test]
fn what_is_deleted_while_nobody_watches_goes_from_its_file_at_the_next_start_by_rule() {
    scenario(async {
        let (_turn, estate) = rough().await?;
        let tenant = beside(estate, "wb-away").await?;
        let made = |name: &str| made(&tenant, name);
        for name in ["made", "stays"] {
            make(&tenant, name).await?;
            written(&tenant, &made(name), "a: b").await?;
        }
        let known = format!("{}_made__ConfigMap", tenant.name());
        wait::for_object(
            &writebacks(&tenant),
            "back",
            "what was made is remembered",
            |back| back.data.pointer("/status/made") == Some(&json!([known])),
        )
        .await?;
        applied(&tenant).await?;

        estate.controller.kill();
        let (maps, webs) = (
            tenant.api("v1", "ConfigMap"),
            tenant.api("apps/v1", "Deployment"),
        );
        for name in ["settings", "made", "stays"] {
            maps.delete(name, &DeleteParams::default()).await?;
        }
        webs.delete("web", &DeleteParams::default()).await?;
        estate.controller.restart().await?;
        is_gone(&tenant, "app/settings.yaml").await?;
        is_gone(&tenant, &made("made")).await?;
        wait::for_object(&webs, "web", "what is kept is made again", |_| true).await?;
        applied(&tenant).await?;
        looked(&tenant, "back").await?;
        for kept in [made("stays"), made("ghost"), "app/web.yaml".to_owned()] {
            ensure!(file(&tenant, &kept).is_some(), "{kept} is gone");
        }
        ensure!(maps.get_opt("settings").await?.is_none(), "it stays away");
        let told = writebacks(&tenant).get("back").await?;
        ensure!(
            told.data.pointer("/status/made").is_none(),
            "{:?}",
            told.data
        );
        let none = objects::text(&told.data, "/status/refused/0/object");
        ensure!(none.is_none(), "{:?}", told.data);
        Ok(())
    });
}

#[test]
fn what_is_deleted_goes_from_its_file_though_who_begins_has_lost_its_disk() {
    scenario(async {
        let (_turn, estate) = rough().await?;
        let tenant = beside(estate, "wb-away-lost").await?;
        applied(&tenant).await?;
        lose_the_disk(estate)?;
        let (maps, webs) = (
            tenant.api("v1", "ConfigMap"),
            tenant.api("apps/v1", "Deployment"),
        );
        maps.delete("settings", &DeleteParams::default()).await?;
        webs.delete("web", &DeleteParams::default()).await?;
        estate.controller.restart().await?;
        wait::for_object(&webs, "web", "what is kept is made again", |_| true).await?;
        is_gone(&tenant, "app/settings.yaml").await?;
        applied(&tenant).await?;
        ensure!(maps.get_opt("settings").await?.is_none(), "it stays away");
        ensure!(
            file(&tenant, "app/web.yaml").is_some(),
            "what is kept is gone"
        );
        Ok(())
    });
}
