//! Submodules of what somebody proposes: only from where what is applied has them, whatever the login would open.

use anyhow::ensure;
use reeve_tests::git::git;
use reeve_tests::gitea::OWNER;
use reeve_tests::scenario;
use serde_json::json;

use super::super::{Shop, change};

/// Where the submodule lies.
const PLACE: &str = "deploy/lib";
const FILE: &str = "words.yaml";

fn words(word: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: lent\ndata:\n  word: {word}\n")
}

impl Shop {
    /// Another private repository of the same owner, with one manifest; its name and commit.
    async fn lender(&self, of: &str, word: &str) -> anyhow::Result<(String, String)> {
        let gitea = &self.desk.forge.gitea;
        let name = format!("{}-{of}", self.desk.name);
        gitea.create_repo(&name).await?;
        let file = words(word);
        let commit = gitea.put(&name, "main", FILE, &file, OWNER).await?;
        Ok((name, commit))
    }

    /// Pushes a branch that begins at `main` and has this repository at this commit in the submodule's place.
    fn push_link(&self, branch: &str, from: &str, commit: &str) -> anyhow::Result<String> {
        let dir = tempfile::tempdir()?;
        let login = format!("http://{OWNER}:{}@", self.desk.token);
        let url = self.desk.url().replace("http://", &login);
        git(dir.path(), ["clone", "--quiet", &url, "."])?;
        git(dir.path(), ["checkout", "--quiet", "-B", branch])?;
        let named = format!("[submodule \"lib\"]\n\tpath = {PLACE}\n\turl = ../{from}.git\n");
        std::fs::write(dir.path().join(".gitmodules"), named)?;
        git(dir.path(), ["add", ".gitmodules"])?;
        let link = format!("160000,{commit},{PLACE}");
        git(dir.path(), ["update-index", "--add", "--cacheinfo", &link])?;
        git(dir.path(), ["commit", "--quiet", "-m", "Link"])?;
        git(dir.path(), ["push", "--quiet", "origin", branch])?;
        git(dir.path(), ["rev-parse", "HEAD"]).map(|id| id.trim().to_owned())
    }
}

#[test]
fn a_plan_has_submodules_only_from_where_what_is_applied_has_them() {
    scenario(async {
        let shop = Shop::open("lent-plans").await?;
        let asks = json!({"reeve.dev/pull-request-plan": "enabled"});
        shop.open_for_business("2s", &asks).await?;
        let (library, first) = shop.lender("library", "first").await?;
        let (private, hidden) = shop.lender("private", "h1dden-w0rd").await?;
        let recursing = json!({"spec": {"recurseSubmodules": true}});
        change(&shop.sources(), "shop", &recursing).await?;
        let linked = shop.push_link("main", &library, &first)?;
        shop.applied(&linked).await?;

        // Another commit of the same repository is what a request is for.
        let gitea = &shop.desk.forge.gitea;
        let second = gitea
            .put(&library, "main", FILE, &words("second"), OWNER)
            .await?;
        let head = shop.push_link("bump", &library, &second)?;
        let number = shop.request("bump", OWNER).await?;
        let (_, told) = shop.planned(number, &["+   word: second"]).await?;
        ensure!(told.contains("-   word: first"), "{told}");
        let context = shop.context(true);
        shop.marked(&head, &context, "success").await?;
        // It came into no mirror that anything is applied from.
        let own = shop.written_for(&first)?;
        ensure!(own.iter().any(|of| of == shop.tenant.name()), "{own:?}");
        let accounts = shop.written_for(&second)?;
        ensure!(accounts == [shop.requests()], "{accounts:?}");

        // The login of the source opens this one too; who proposes may not read it.
        let head = shop.push_link("theft", &private, &hidden)?;
        let number = shop.request("theft", OWNER).await?;
        let refused = "is from a repository that none of what is applied is from";
        let (_, told) = shop.planned(number, &[refused, PLACE]).await?;
        ensure!(!told.contains("h1dden"), "{told}");
        shop.marked(&head, &context, "failure").await?;
        let source = shop.sources().get("shop").await?;
        let ready = reeve_tests::objects::condition(&source.data, "Ready");
        ensure!(ready.is_some_and(|it| it.status == "True"), "{source:?}");
        Ok(())
    });
}
