//! What a proposed head names comes where nothing is applied from: on the account of requests, and into mirrors of their own.

use anyhow::ensure;
use reeve_tests::gitea::OWNER;
use reeve_tests::{objects, scenario};
use serde_json::json;

use super::super::{OURS, Shop, change};

const KUSTOMIZATION: &str = "deploy/kustomization.yaml";

impl Shop {
    /// On whose accounts the mirrors were written that have this commit.
    pub(super) fn written_for(&self, commit: &str) -> anyhow::Result<Vec<String>> {
        let storage = self.estate.plane.room("storage-reeve")?;
        let mut accounts = Vec::new();
        for mirror in std::fs::read_dir(storage.join("mirrors"))? {
            // Whatever goes while it is looked at has not what was brought last.
            let generations = std::fs::read_dir(mirror?.path()).into_iter().flatten();
            for generation in generations.flatten() {
                let text = |name: &str| {
                    std::fs::read_to_string(generation.path().join(name)).unwrap_or_default()
                };
                if text("reeve-tips").lines().any(|tip| tip == commit) {
                    let written = text("reeve-written");
                    let lines = written.lines().filter_map(|line| line.split_once(' '));
                    accounts.extend(lines.map(|(_, account)| account.to_owned()));
                }
            }
        }
        Ok(accounts)
    }

    /// The account of what is proposed to its tenant.
    pub(super) fn requests(&self) -> String {
        format!("{} (requests)", self.tenant.name())
    }
}

#[test]
fn a_base_that_a_request_names_comes_on_its_account_and_into_no_mirror_that_is_applied_from() {
    scenario(async {
        let shop = Shop::open("named-plans").await?;
        let name = shop.tenant.name();
        let tenants = objects::api(shop.estate.admin(), OURS, "Tenant", None);
        let named = json!({"spec": {"remoteBases": ["127.0.0.1"]}});
        change(&tenants, name, &named).await?;
        let asks = json!({"reeve.dev/pull-request-plan": "enabled"});
        let applied = shop.open_for_business("2s", &asks).await?;
        ensure!(
            shop.written_for(&applied)? == [name],
            "what is applied is its own"
        );

        let path = format!("bases/{name}");
        let bases = shop.estate.repo(&path)?;
        bases.write("base/kustomization.yaml", "resources: [map.yaml]\n")?;
        let map = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: from-a-base\n";
        bases.write("base/map.yaml", map)?;
        bases.commit("A base")?;
        bases.push()?;
        let base = bases.run(["rev-parse", "HEAD"])?;
        let url = shop.estate.git.url(&path);
        let names = format!("resources:\n- settings.yaml\n- {url}/base?ref=main\n");
        let (number, _) = shop.propose("names", KUSTOMIZATION, &names).await?;
        shop.planned(number, &["from-a-base"]).await?;
        let accounts = shop.written_for(base.trim())?;
        ensure!(accounts == [shop.requests()], "{accounts:?}");

        // Once it is applied, it is the tenant's own.
        let gitea = &shop.desk.forge.gitea;
        let merged = gitea
            .put(&shop.desk.name, "main", KUSTOMIZATION, &names, OWNER)
            .await?;
        shop.applied(&merged).await?;
        let accounts = shop.written_for(base.trim())?;
        ensure!(accounts.iter().any(|of| of == name), "{accounts:?}");
        Ok(())
    });
}
