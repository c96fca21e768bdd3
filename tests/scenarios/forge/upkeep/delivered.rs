//! A delivery that is proposed, at a real Gitea: one request, updated in place, merged by people, closed when nothing is left.

use anyhow::{Context as _, ensure};
use kube::api::{Patch, PatchParams};
use reeve_api::PROVIDER;
use reeve_api::reason::Reason;
use reeve_core::deliver::{DELIVER, PROPOSE, TO};
use reeve_tests::gitea::OWNER;
use reeve_tests::scenario;
use reqwest::Method;
use serde_json::{Value, json};

use super::{OURS, SOURCE, Shop};

fn settings(colour: &str) -> String {
    format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: settings\ndata:\n  colour: {colour}\n"
    )
}

impl Shop {
    /// Has the tenant's Kustomization proposed to the repository at Gitea.
    async fn proposes(&self) -> anyhow::Result<()> {
        let login = json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": self.named("login"),
            "stringData": {"username": OWNER, "password": self.desk.token},
        });
        let source = json!({
            "apiVersion": SOURCE, "kind": "GitRepository", "metadata": self.named("live"),
            "spec": {
                "interval": "1h", "url": self.desk.url(), "ref": {"branch": "main"}, "secretRef": {"name": "login"},
            },
        });
        let own = self.tenant.name();
        let tenant = json!({
            "apiVersion": OURS, "kind": "Tenant", "metadata": {"name": own},
            "spec": {
                "namespaces": [own], "sources": [own], "pluginHosts": [self.desk.forge.gitea.host()],
            },
        });
        for object in [tenant, login, source] {
            self.tenant.apply(&object).await?;
        }
        let asked = json!({DELIVER: "git", TO: "live", PROPOSE: "pull-request", PROVIDER: "forge"});
        let patch = json!({"metadata": {"annotations": asked}});
        let (all, how) = (self.tenant.kustomizations(), PatchParams::default());
        all.patch_metadata(self.tenant.name(), &how, &Patch::Merge(&patch))
            .await?;
        Ok(())
    }

    async fn open_requests(&self) -> anyhow::Result<Vec<Value>> {
        let all = self.desk.gitea("pulls?state=open").await?;
        Ok(all.as_array().cloned().unwrap_or_default())
    }

    /// Pushes settings of another colour to what is delivered, and waits for it to be told.
    async fn paint(&self, colour: &str, reason: Reason) -> anyhow::Result<()> {
        let text = settings(colour);
        let commit = self.tenant.commit([("settings.yaml", Some(&text))])?;
        self.tenant.call_hook().await?;
        self.tenant.told_of(reason, &commit).await?;
        Ok(())
    }

    /// Somebody merges a request: squashed, so that its branch is no ancestor of what is there then.
    async fn merge(&self, number: &Value) -> anyhow::Result<()> {
        let path = format!("repos/{OWNER}/{}/pulls/{number}/merge", self.desk.name);
        let how = json!({"Do": "squash"});
        let gitea = &self.desk.forge.gitea;
        let (status, said) = gitea.ask(Method::POST, &path, Some(how)).await?;
        ensure!(status.is_success(), "{status} {said}");
        Ok(())
    }

    /// Whether Gitea has the file on a branch, with this in it.
    async fn has(&self, branch: &str, words: &str) -> anyhow::Result<bool> {
        let own = self.tenant.name();
        let path = format!(
            "repos/{OWNER}/{}/raw/{own}/{own}/{own}/configmap-settings.yaml?ref={branch}",
            self.desk.name
        );
        let url = self.desk.forge.gitea.url(&format!("api/v1/{path}"));
        let asked = reqwest::Client::new().get(url);
        let asked = asked.header("authorization", format!("token {}", self.desk.token));
        let answer = asked.send().await?;
        let found = answer.status().is_success();
        Ok(found && answer.text().await?.contains(words))
    }
}

#[test]
fn a_delivery_is_proposed_by_one_request_which_is_updated_merged_and_closed() {
    scenario(async {
        let shop = Shop::open("proposes").await?;
        shop.proposes().await?;
        let told = shop
            .tenant
            .told_of(Reason::DeliveryProposed, "Proposed revision")
            .await?;
        let open = shop.open_requests().await?;
        ensure!(open.len() == 1, "{open:?}");
        let branch = open[0]["head"]["ref"]
            .as_str()
            .context("a branch")?
            .to_owned();
        let own = shop.tenant.name();
        ensure!(
            branch.starts_with(&format!("reeve/{own}/{own}-")),
            "{branch}"
        );
        let proposal = &told.kustomization["status"]["delivered"]["proposal"];
        ensure!(proposal["number"] == open[0]["number"], "{proposal}");
        ensure!(shop.has(&branch, "green").await? && !shop.has("main", "").await?);

        shop.paint("blue", Reason::DeliveryProposed).await?;
        let again = shop.open_requests().await?;
        ensure!(
            again.len() == 1 && again[0]["number"] == open[0]["number"],
            "{again:?}"
        );
        ensure!(again[0]["title"] != open[0]["title"], "{again:?}");
        ensure!(shop.has(&branch, "blue").await?);

        shop.merge(&open[0]["number"]).await?;
        let told = shop.tenant.reconcile(None).await?;
        ensure!(
            told.ready.reason == Reason::Delivered.as_str(),
            "{:?}",
            told.ready
        );
        ensure!(shop.has("main", "blue").await?);

        shop.paint("red", Reason::DeliveryProposed).await?;
        let next = shop.open_requests().await?;
        ensure!(
            next.len() == 1 && next[0]["number"] != open[0]["number"],
            "{next:?}"
        );
        // It begins where the merge left the branch: nothing of the first one is in it.
        let branch = next[0]["head"]["ref"].as_str().context("a branch")?;
        let ahead = shop.desk.gitea(&format!("compare/main...{branch}")).await?;
        ensure!(ahead["total_commits"] == 1, "{ahead}");
        shop.paint("blue", Reason::Delivered).await?;
        ensure!(
            shop.open_requests().await?.is_empty(),
            "nothing is left to propose"
        );
        Ok(())
    });
}
