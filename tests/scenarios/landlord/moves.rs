//! Namespaces of a Tenant that change their order, or go: what delivers stays or moves, and no workload is deleted by it.

use anyhow::{Context as _, ensure};
use reeve_tests::{objects, scenario, wait};
use serde_json::json;

use super::{KUSTOMIZE, Manor};

/// The Tenant, told that all is made of it, has these namespaces.
async fn named(manor: &Manor, namespaces: &[&str]) -> anyhow::Result<()> {
    let url = manor.estate.git.url("acme");
    let spec = json!({"namespaces": namespaces, "source": {"url": url}});
    manor.tenant("acme", spec).await?;
    manor.told("acme", "Succeeded").await?;
    Ok(())
}

#[test]
fn what_delivers_moves_only_out_of_a_namespace_that_is_lost_and_deletes_nothing() {
    scenario(async {
        let manor = Manor::open().await?;
        let _repo = manor.repository("acme")?;
        named(&manor, &["acme"]).await?;
        manor
            .ready("acme", "ReconciliationSucceeded", "Applied revision")
            .await?;
        let before = manor.api(KUSTOMIZE, "Kustomization", Some("acme"));
        let after = manor.api(KUSTOMIZE, "Kustomization", Some("later"));
        let first = before.get("acme").await?;
        let maps = manor.api("v1", "ConfigMap", Some("acme"));
        let applied = maps.get("settings").await?;

        named(&manor, &["later", "acme"]).await?;
        let same = before.get("acme").await?;
        ensure!(same.metadata.uid == first.metadata.uid, "it was made anew");
        ensure!(same.metadata.deletion_timestamp.is_none(), "it goes");
        let second = after.get_opt("acme").await?;
        ensure!(second.is_none(), "it delivers twice: {second:?}");

        named(&manor, &["later"]).await?;
        wait::for_object(&after, "acme", "it delivers there", |one| {
            let ready = objects::condition(&one.data, "Ready").unwrap_or_default();
            ready.reason == "ReconciliationSucceeded"
        })
        .await?;
        let later = manor.api("v1", "ConfigMap", Some("later"));
        later.get("settings").await?;
        wait::until_gone(&before, "acme").await?;
        let stays = maps.get_opt("settings").await?;
        let stays = stays.context("what was applied went with it")?;
        ensure!(stays.metadata.uid == applied.metadata.uid, "{stays:?}");
        ensure!(stays.metadata.deletion_timestamp.is_none(), "{stays:?}");
        Ok(())
    });
}
