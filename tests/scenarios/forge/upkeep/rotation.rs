//! Another key takes the place of a deploy key while somebody pushes without end, and every push is fetched: not one fetch fails.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

/// How often another key takes the place of the one before.
const ROTATIONS: usize = 3;

impl Shop {
    /// What was warned of about the source, each as often as it was.
    async fn warnings(&self) -> anyhow::Result<BTreeSet<String>> {
        let events = self.tenant.api("v1", "Event");
        let all = events.list(&Default::default()).await?;
        let is_ours = |event: &&DynamicObject| {
            text(&event.data, "/type") == Some("Warning")
                && text(&event.data, "/involvedObject/name") == Some("shop")
        };
        let told = |event: &DynamicObject| {
            let count = event.data["count"].as_i64().unwrap_or(1);
            let (reason, note) = (text(&event.data, "/reason"), text(&event.data, "/message"));
            format!("{count} x {reason:?}: {note:?}")
        };
        Ok(all.items.iter().filter(is_ours).map(told).collect())
    }
}

#[test]
fn a_deploy_key_is_made_anew_under_pushes_without_end_and_no_fetch_fails() {
    scenario(async {
        let shop = Shop::open("busy-keys").await?;
        let mut key = shop.first_key().await?;
        receiver(&shop).await?;
        shop.push("first.txt", false).await?;
        let before = shop.warnings().await?;

        let pushed = AtomicUsize::new(0);
        let count = || pushed.load(Ordering::Relaxed);
        let pushes = async {
            loop {
                let file = format!("pushed-{}.txt", count());
                let gitea = &shop.desk.forge.gitea;
                if let Err(why) = gitea.write(&shop.desk.name, "main", &file).await {
                    break why;
                }
                pushed.fetch_add(1, Ordering::Relaxed);
            }
        };
        let rotations = async {
            for round in 0..ROTATIONS {
                let begun = count();
                key = shop.next_key(&key, &format!("round-{round}")).await?;
                // The second has begun after the rotation has.
                let more = || std::future::ready((count() >= begun + 2).then_some(()));
                wait::until(wait::PATIENCE, "pushes go on", more).await?;
            }
            anyhow::Ok(())
        };
        tokio::select! {
            done = rotations => done?,
            why = pushes => return Err(why),
        }
        eprintln!("{} pushes while {ROTATIONS} keys were replaced", count());

        shop.push("last.txt", false).await?;
        let after = shop.warnings().await?;
        ensure!(after == before, "{:#?}", &after - &before);
        shop.desk
            .fetch(key["identity"].as_str().unwrap_or_default())
    });
}
