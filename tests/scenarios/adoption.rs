//! Objects that are on the cluster before git has them: taken over as they are, and told first where that is asked for.

use anyhow::{Context as _, ensure};
use reeve_api::reason::Reason;
use reeve_core::adoption::ADOPT;
use reeve_tests::{Estate, scenario};
use serde_json::json;

#[test]
fn what_is_there_already_is_reported_first_and_taken_over_without_being_made_anew() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = estate.healthy_tenant("adopts").await?;
        tenant
            .apply(&json!({"apiVersion": "v1", "kind": "ConfigMap",
                "metadata": {"name": "by-hand", "namespace": tenant.name()},
                "data": {"kept": "as it is", "colour": "grey"}}))
            .await?;
        let maps = tenant.api("v1", "ConfigMap");
        let before = maps.get("by-hand").await?;
        tenant.annotate(ADOPT, Some("report")).await?;
        let told = tenant
            .after(|draft| {
                let map = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: NAME\ndata:\n  colour: green\n";
                draft.commit("by-hand.yaml", map.replace("NAME", "by-hand"));
                draft.commit("new.yaml", map.replace("NAME", "new"));
            })
            .await?;
        ensure!(
            told.ready.reason == Reason::AdoptionReported.as_str(),
            "{:?}",
            told.ready
        );
        let words = format!(
            "ConfigMap/{}/by-hand (data.colour, metadata.labels",
            tenant.name()
        );
        ensure!(
            told.ready.message.contains(&words),
            "{}",
            told.ready.message
        );
        let now = maps.get("by-hand").await?;
        ensure!(now.metadata.resource_version == before.metadata.resource_version);
        ensure!(
            maps.get_opt("new").await?.is_none(),
            "nothing at all is written"
        );

        tenant.annotate(ADOPT, None).await?;
        tenant
            .told_of(Reason::ReconciliationSucceeded, "Applied revision")
            .await?;
        let now = maps.get("by-hand").await?;
        ensure!(now.metadata.uid == before.metadata.uid, "made anew");
        ensure!(now.data["data"] == json!({"kept": "as it is", "colour": "green"}));
        maps.get_opt("new")
            .await?
            .context("the rest is applied too")?;

        // What is taken over once is ours: nothing is reported any more.
        tenant.annotate(ADOPT, Some("report")).await?;
        let told = tenant.after(|_| {}).await?;
        ensure!(told.ready.status == "True", "{:?}", told.ready);
        Ok(())
    });
}
