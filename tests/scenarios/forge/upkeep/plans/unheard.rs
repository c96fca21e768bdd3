//! A request that was opened while nobody heard the forge.

use super::*;

#[test]
fn a_request_that_is_opened_while_its_hook_lets_nobody_in_is_planned_once_it_does() {
    scenario(async {
        let shop = Shop::open("late-plans").await?;
        let asks = json!({"reeve.dev/pull-request-plan": "enabled"});
        shop.open_for_business("1h", &asks).await?;
        let (receivers, url) = receiver(&shop).await?;
        change(&receivers, "hook", &json!({"spec": {"suspend": true}})).await?;
        let client = reqwest::Client::builder().no_proxy().build()?;
        let is_shut = || async {
            let answer = client.post(&url).body("{}").send().await.ok()?;
            (answer.status().as_u16() == 503).then_some(())
        };
        wait::until(wait::PATIENCE, "nobody is let in", is_shut).await?;

        let (number, _) = shop.propose("paint", SETTINGS, &settings("blue")).await?;
        // Gitea calls, too, and does so once.
        is_shut().await.context("still nobody is let in")?;
        change(&receivers, "hook", &json!({"spec": {"suspend": false}})).await?;
        // What it follows has not moved, and nobody looks for an hour.
        shop.planned(number, &["+   colour: blue"]).await?;
        Ok(())
    });
}
