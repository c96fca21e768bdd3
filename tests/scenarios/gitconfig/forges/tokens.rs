//! Tokens of an App come and go: what was fetched with one is there for the next, and one that somebody ends is replaced. Who
//! fetches is never given one that may push.

use reeve_core::deliver::{DELIVER, TO};
use reeve_tests::git::git;

use super::*;

#[test]
fn what_was_fetched_with_one_token_of_an_app_is_not_fetched_again_with_the_next() {
    scenario(async {
        let shop = Shop::at_github("next-token").await?;
        for name in ["one.txt", "two.txt", "three.txt"] {
            shop.repo.publish(name, format!("Text of {name}.\n"))?;
        }
        let url = shop.http.url(&shop.path);
        shop.apply_source(&url, &json!({}), &json!({})).await?;
        let first = shop.source_says("Ready", "True", "stored artifact").await?;
        let came = |source: &DynamicObject| {
            let fetch = &source.data["status"]["upstream"]["fetch"];
            fetch["objects"].as_u64().unwrap_or_default()
        };
        ensure!(came(&first) > 4, "{first:?}");
        let token = shop.forge.tokens();

        shop.forge.end_tokens();
        let commit = shop.repo.publish("four.txt", "Another text.\n")?;
        shop.ask("next").await?;
        shop.until_fetched(&commit).await?;
        let sources = shop.api(SOURCE_API, "GitRepository");
        let source = sources.get("shop").await?;
        // The commit, its directory and the new file.
        ensure!(came(&source) == 3, "{source:?}");
        let next = shop.forge.tokens();
        ensure!(next.len() == 1 && next != token, "one token was made");
        shop.forge.faults()
    });
}

#[test]
fn an_app_pushes_with_a_token_that_may_and_fetches_with_one_that_may_not() {
    scenario(async {
        let shop = Shop::at_github("app-pushes").await?;
        git(shop.repo.bare(), ["config", "http.receivepack", "true"])?;
        let url = shop.http.url(&shop.path);
        shop.apply_source(&url, &json!({}), &json!({})).await?;
        shop.source_says("Ready", "True", "stored artifact").await?;
        let (fetching, pushing) = (shop.forge.tokens(), shop.forge.pushing());
        ensure!(fetching.len() == 1 && pushing.is_empty(), "{pushing:?}");

        let asks = json!({"metadata": {"annotations": {DELIVER: "git", TO: "shop"}}});
        let (own, how) = (shop.tenant.name(), PatchParams::default());
        shop.tenant
            .kustomizations()
            .patch_metadata(own, &how, &Patch::Merge(&asks))
            .await?;
        shop.tenant.told_of(Reason::Delivered, "to http").await?;
        let head = shop.repo.branch();
        let files = git(shop.repo.bare(), ["ls-tree", "-r", "--name-only", head])?;
        let file = format!("{own}/{own}/{own}/service-web.yaml");
        ensure!(files.lines().any(|one| one == file), "{files}");
        ensure!(
            shop.forge.pushing().len() == 1,
            "one token was made to push"
        );

        // Who fetches what was pushed has the token that it had.
        shop.ask("pushed").await?;
        let commit = git(shop.repo.bare(), ["rev-parse", head])?;
        shop.until_fetched(commit.trim()).await?;
        let (all, pushing) = (shop.forge.tokens(), shop.forge.pushing());
        ensure!(all.len() == 2 && pushing.len() == 1, "{}", all.len());
        shop.forge.faults()
    });
}
