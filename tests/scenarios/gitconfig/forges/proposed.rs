//! What a Tenant has delivered by request: opened as whom git configuration names for the repository, with the labels and for the
//! reviewers that the Tenant names.

use reeve_tests::git::git;

use super::*;

#[test]
fn a_delivery_that_a_tenant_has_proposed_asks_the_reviewers_and_has_the_labels_that_it_names() {
    scenario(async {
        let played = async |path: &str| Fake::github(&[path]).await;
        let mut shop = Shop::without_login("given-pull", "github", played).await?;
        git(shop.repo.bare(), ["config", "http.receivepack", "true"])?;
        let (auth, password) = basic("ada");
        shop.http = private(estate().await?, auth).await?;
        let own = shop.tenant.name();
        let (level, login) = (format!("{own}-level"), format!("{own}-login"));
        let file = files(&level, &shop.level()?.to_string());
        shop.tenant.apply(&file).await?;
        let data = [("username", "ada"), ("password", password.as_str())];
        shop.tenant.apply(&secret(&login, &data)).await?;
        let git_delivery = json!({
            "url": shop.http.url(&shop.path), "branch": shop.repo.branch(), "pathPrefix": "live",
            "secretRef": {"name": login},
            "propose": {"labels": ["reeve", "clusters"], "reviewers": ["ada", "acme/platform"]},
        });
        let spec = json!({
            "gitConfig": {"kind": "Secret", "name": level}, "deliver": {"git": git_delivery},
        });
        declare(&shop.tenant, &spec).await?;
        let told = shop
            .tenant
            .told_of(Reason::DeliveryProposed, "Proposed revision")
            .await?;
        let pulls = shop.forge.has(&shop.path, "pulls");
        let [pull] = pulls.as_slice() else {
            anyhow::bail!("{pulls:?}");
        };
        ensure!(pull["labels"] == json!(["reeve", "clusters"]), "{pull}");
        ensure!(pull["reviewers"] == json!(["ada"]), "{pull}");
        ensure!(pull["team_reviewers"] == json!(["platform"]), "{pull}");
        ensure!(pull["base"] == shop.repo.branch(), "{pull}");
        let proposal = &told.kustomization["status"]["delivered"]["proposal"];
        ensure!(pull["head"] == proposal["branch"], "{pull}, {proposal}");
        let branch = pull["head"].as_str().unwrap_or_default();
        let at = format!("{branch}:live/{own}/{own}/{own}/configmap-settings.yaml");
        let text = git(shop.repo.bare(), ["show", at.as_str()])?;
        ensure!(text.contains("colour: green"), "{text}");
        let map = shop.api("v1", "ConfigMap").get("settings").await?;
        ensure!(
            map.data["data"]["colour"] == "green",
            "it stays where it is"
        );
        shop.forge.faults()
    });
}
