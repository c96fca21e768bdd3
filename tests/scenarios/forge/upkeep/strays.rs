//! Keys at the forge that bear our cluster's name and that of a source which is nowhere: its finalizer was forced away.

use tokio::sync::OnceCell;

use super::*;

/// What the cluster is called.
const CLUSTER: &str = "strays";

async fn own() -> anyhow::Result<&'static Estate> {
    static OWN: OnceCell<Estate> = OnceCell::const_new();
    let flag = format!("--cluster-name={CLUSTER}");
    OWN.get_or_try_init(|| async { Estate::start_with(&[&*flag]).await })
        .await
}

impl Shop {
    async fn key_called(&self, title: &str) -> anyhow::Result<()> {
        let dir = tempfile::tempdir()?;
        let (_, public) = keypair(&dir.path().join("key"), KeyKind::Ed25519, "")?;
        let wanted = json!({"title": title, "key": public.trim(), "read_only": true});
        self.by_hand("keys", wanted).await
    }

    async fn titles(&self) -> anyhow::Result<BTreeSet<String>> {
        let keys = self.keys().await?.into_iter();
        Ok(keys.map(|(title, _)| title).collect())
    }
}

#[test]
fn a_key_of_a_source_that_is_nowhere_is_taken_away_and_no_other() {
    scenario(async {
        let shop = Shop::open_on(own().await?, "strays").await?;
        let name = shop.tenant.name();
        let gone = format!("reeve {CLUSTER} {name}/gone SHA256:abc");
        let nowhere = format!("reeve {CLUSTER} no-such-namespace/gone SHA256:abc");
        let stays = [
            format!("reeve {name}/gone SHA256:abc"),
            format!("reeve another {name}/gone SHA256:abc"),
            format!("reeve {CLUSTER} {name}/shop SHA256:abc"),
            format!("reeve {CLUSTER} {name}/gone by hand"),
        ];
        for title in stays.iter().chain([&gone, &nowhere]) {
            shop.key_called(title).await?;
        }
        shop.apply_known_hosts("shop-key").await?;
        let asks = json!({"reeve.dev/generate-key": "ed25519", "reeve.dev/provider": "forge"});
        shop.apply_source(&shop.ssh(), &asks, Some("shop-key"))
            .await?;
        shop.source_says("DeployKeyReady", "True", "").await?;
        let left = || async {
            let titles = shop.titles().await.ok()?;
            let are_gone = !titles.contains(&gone) && !titles.contains(&nowhere);
            are_gone.then_some(titles)
        };
        let titles = wait::until(wait::PATIENCE, "what is nobody's goes", left).await?;
        ensure!(
            stays.iter().all(|title| titles.contains(title)),
            "{titles:?}"
        );
        ensure!(titles.len() == stays.len() + 1, "{titles:?}");
        Ok(())
    });
}
