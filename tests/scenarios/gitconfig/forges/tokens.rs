//! Tokens of an App come and go: what was fetched with one is there for the next, and one that somebody ends is replaced.

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
