//! A Receiver has another token, and so another path: a forge calls the old one for a while, and nobody hears it.

use super::*;

impl Shop {
    /// Waits until the source says that calls tell what is new, or that it is asked itself.
    async fn is_told(&self, told: bool) -> anyhow::Result<()> {
        let says = |source: &DynamicObject| {
            let announced = &source.data["status"]["upstream"]["announced"];
            announced.as_bool().unwrap_or_default() == told
        };
        let what = format!("calls tell what is new: {told}");
        wait::for_object(&self.sources(), "shop", &what, says).await?;
        Ok(())
    }
}

#[test]
fn a_source_whose_hook_moves_is_asked_until_its_forge_calls_where_it_is_now() {
    scenario(async {
        let shop = Shop::open("moved-hook").await?;
        let logs_in = json!({"reeve.dev/provider": "forge"});
        shop.apply_source(&shop.desk.url(), &logs_in, None).await?;
        shop.source_says("Ready", "True", "stored artifact").await?;
        let (receivers, url) = receiver(&shop).await?;
        shop.push("news.txt", false).await?;
        shop.is_told(true).await?;

        let token = format!("{:032x}", rand::random::<u128>());
        secrecy::used(&token);
        let secrets = shop.tenant.api("v1", "Secret");
        change(&secrets, "hook", &json!({"stringData": {"token": token}})).await?;
        change(&receivers, "hook", &annotated(ASKED, "moved")).await?;
        url_of(shop.estate, &receivers, &url).await?;
        shop.is_told(false).await?;

        // Its interval is an hour: it is Gitea that says so.
        shop.push("more.txt", false).await?;
        shop.is_told(true).await
    });
}
