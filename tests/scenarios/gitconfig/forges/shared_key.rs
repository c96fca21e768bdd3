//! Two sources of one repository that log in with one key: it lies at the forge once.

use super::*;

#[test]
fn two_sources_with_one_key_keep_its_title_until_the_last_of_them_goes() {
    scenario(async {
        let shop = Shop::at_github("one-key").await?;
        let hosts = shop.ssh.known_hosts(&[KeyKind::Ed25519])?;
        let key = shop.ssh.user_key(KeyKind::Ed25519, "")?;
        secrecy::used(&key);
        let secret = json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": shop.named("shop-key", &json!({})),
            "stringData": {"known_hosts": hosts, "identity": key},
        });
        shop.tenant.apply(&secret).await?;
        let keys = || shop.forge.has(&shop.path, "keys");
        let kept = |name: &'static str| {
            let source = (SOURCE_API, "GitRepository", name);
            shop.says(source, "DeployKeyReady", "True", "")
        };
        shop.shares("shop").await?;
        kept("shop").await?;
        let first = keys();
        ensure!(first.len() == 1, "{first:?}");
        shop.shares("other").await?;
        let other = kept("other").await?;
        let at_forge = &other.data["status"]["deployKey"]["atForge"][0]["title"];
        ensure!(*at_forge == first[0]["title"], "{at_forge}");
        for name in ["shop", "other"] {
            let asked =
                json!({"metadata": {"annotations": {"reconcile.fluxcd.io/requestedAt": "again"}}});
            let sources = shop.api(SOURCE_API, "GitRepository");
            sources
                .patch(name, &PatchParams::default(), &Patch::Merge(&asked))
                .await?;
            let looked = |object: &DynamicObject| {
                text(&object.data, "/status/lastHandledReconcileAt") == Some("again")
            };
            wait::for_object(&sources, name, "it is looked at again", looked).await?;
        }
        ensure!(keys() == first, "nobody fights over it: {:?}", keys());
        shop.delete(SOURCE_API, "GitRepository", "shop").await?;
        ensure!(keys() == first, "the other wants it still: {:?}", keys());
        shop.delete(SOURCE_API, "GitRepository", "other").await?;
        ensure!(keys().is_empty(), "{:?}", keys());
        shop.forge.faults()
    });
}
