//! A login that is for everybody: with it a tenant fetches and has keys put that read, and nothing is done to the neighbours. Nor
//! is anything where there is none.

use kube::api::ListParams;

use super::*;

/// At GitHub, with an entry of the platform's level.
async fn shop(name: &str) -> anyhow::Result<Shop> {
    let played = async |path: &str| Fake::github(&[path]).await;
    let shop = Shop::without_login(name, "github", played).await?;
    let level = shop.level()?;
    for entry in level["gitHubAuths"].as_array().into_iter().flatten() {
        everybody_has(estate().await?, "gitHubAuths", &format!("- {entry}\n")).await?;
    }
    declare(&shop.tenant, &json!({})).await?;
    Ok(shop)
}

#[test]
fn a_key_that_may_push_is_put_at_no_forge_with_a_login_that_is_for_everybody() {
    scenario(async {
        let shop = shop("for-all").await?;
        let hosts = shop.ssh.known_hosts(&[KeyKind::Ed25519])?;
        let secret = json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": shop.named("shop-key", &json!({})),
            "stringData": {"known_hosts": hosts},
        });
        shop.tenant.apply(&secret).await?;
        let mut asks = json!({
            "reeve.dev/generate-key": "ed25519", "reeve.dev/provider": "git-config",
            "reeve.dev/deploy-key": "read-write",
        });
        let more = json!({"secretRef": {"name": "shop-key"}});
        let url = shop.ssh.url(&shop.path);
        shop.apply_source(&url, &asks, &more).await?;
        let words = "no key that may push is put with it";
        let source = shop.source_says("DeployKeyReady", "False", words).await?;
        let told = condition(&source.data, "DeployKeyReady").context("it is told")?;
        ensure!(told.reason == Reason::AccessDenied.as_str(), "{told:?}");
        ensure!(shop.forge.asked().is_empty(), "{:?}", shop.forge.asked());

        asks["reeve.dev/deploy-key"] = json!("read-only");
        shop.apply_source(&url, &asks, &more).await?;
        shop.source_says("DeployKeyReady", "True", "").await?;
        let keys = shop.forge.has(&shop.path, "keys");
        ensure!(keys.len() == 1 && !pushes(&keys[0]), "{keys:?}");
        shop.delete(SOURCE_API, "GitRepository", "shop").await?;
        shop.forge.faults()
    });
}

#[test]
fn requests_are_looked_at_with_a_login_of_everybodys_only_where_the_tenant_is_at_home() {
    scenario(async {
        let shop = shop("not-mine").await?;
        let asks = json!({
            "reeve.dev/provider": "git-config", "reeve.dev/pull-request-plan": "enabled",
        });
        let url = shop.http.url(&shop.path);
        shop.apply_source(&url, &asks, &json!({})).await?;
        shop.source_says("Ready", "True", "stored artifact").await?;
        let name = shop.tenant.name();
        let kustomization = json!({
            "apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization",
            "metadata": shop.named("shop", &json!({})),
            "spec": {
                "interval": "1h", "prune": true, "targetNamespace": name,
                "sourceRef": {"kind": "GitRepository", "name": "shop"},
            },
        });
        shop.tenant.apply(&kustomization).await?;
        let words = "only where the Tenant names the repository as its own";
        let events = shop.api("v1", "Event");
        let told = || async {
            let all = events.list(&ListParams::default()).await.ok()?;
            let mut all = all.items.iter();
            let says = |event: &DynamicObject| {
                text(&event.data, "/message").is_some_and(|told| told.contains(words))
            };
            all.any(says).then_some(())
        };
        wait::until(wait::PATIENCE, "an event says so", told).await?;
        let pulls = |asked: &String| asked.ends_with("/pulls");
        let asked = shop.forge.asked();
        ensure!(!asked.iter().any(pulls), "{asked:?}");
        Ok(())
    });
}

#[test]
fn a_forge_that_no_level_has_a_login_for_is_asked_nothing() {
    scenario(async {
        let shop = Shop::at_github("no-entry").await?;
        let asks = json!({"reeve.dev/generate-key": "ed25519", "reeve.dev/provider": "git-config"});
        let url = shop.ssh.url("somebody-elses/shop");
        shop.apply_source(&url, &asks, &json!({})).await?;
        let words = "no level of git configuration has a login";
        shop.source_says("DeployKeyReady", "False", words).await?;
        ensure!(shop.forge.asked().is_empty(), "{:?}", shop.forge.asked());
        Ok(())
    });
}
