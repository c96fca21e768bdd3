//! What stays at a forge of an object that goes: it is told, and taken away later where somebody wanted that.

use std::time::Duration;

use super::*;

/// An object waits half a minute for a provider that is gone, and what it left is tried again each minute.
const LATER: Duration = Duration::from_secs(180);

impl Shop {
    /// Waits until an event says this of what stays at the forge.
    async fn tells_of_what_stays(&self, words: &str) -> anyhow::Result<()> {
        let events = self.tenant.api("v1", "Event");
        let told = || async {
            let all = events.list(&Default::default()).await.ok()?;
            let says = |event: &DynamicObject| {
                let note = text(&event.data, "/message");
                note.is_some_and(|note| note.contains(words))
            };
            all.items.iter().any(says).then_some(())
        };
        wait::until(wait::PATIENCE, "what is left is told", told).await
    }
}

#[test]
fn a_suspended_object_is_let_go_at_once_and_says_what_it_leaves_at_its_forge() {
    scenario(async {
        let shop = Shop::open("left-behind").await?;
        shop.first_key().await?;
        let suspend = json!({"spec": {"suspend": true}});
        change(&shop.sources(), "shop", &suspend).await?;
        shop.delete_source().await?;
        ensure!(shop.keys().await?.len() == 1, "nobody was asked");
        shop.tells_of_what_stays("remove by hand: deploy key 'reeve ")
            .await?;
        Ok(())
    });
}

#[test]
fn what_is_left_at_a_forge_that_nobody_could_ask_goes_once_somebody_can() {
    scenario(async {
        let shop = Shop::open("left-for-later").await?;
        shop.elses_key().await?;
        shop.first_key().await?;
        let plugins = shop.tenant.api(OURS, "Plugin");
        let provider = plugins.get("forge").await?.data["spec"].clone();
        plugins.delete("forge", &DeleteParams::default()).await?;
        wait::until_gone(&plugins, "forge").await?;
        let sources = shop.sources();
        sources.delete("shop", &DeleteParams::default()).await?;
        let gone = || async { sources.get_opt("shop").await.ok()?.is_none().then_some(()) };
        wait::until(LATER, "the source waits no longer", gone).await?;
        ensure!(shop.keys().await?.len() == 1, "nobody was asked");
        shop.tells_of_what_stays("tried again for a month: deploy key 'reeve ")
            .await?;

        let provider = json!({
            "apiVersion": OURS, "kind": "Plugin", "metadata": shop.named("forge"), "spec": provider,
        });
        shop.tenant.apply(&provider).await?;
        let taken = || async { shop.keys().await.ok()?.is_empty().then_some(()) };
        wait::until(LATER, "what was left is taken away", taken).await?;
        let all = shop.desk.gitea("keys").await?;
        ensure!(all[0]["title"] == ELSES, "{all}");
        Ok(())
    });
}
