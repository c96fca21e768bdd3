//! An object that somebody has made anew with what cannot be changed: it is committed where its manifest is, and `force` does not make
//! it anew before that.

use anyhow::ensure;
use kube::api::{DeleteParams, PostParams};
use reeve_tests::{objects, scenario, wait};
use serde_json::json;

use super::*;
use crate::outage::rough;

const FROZEN: &str = "# Never changed.\napiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: frozen\nimmutable: true # made anew, or not at all\ndata:\n  colour: green\n  shape: round\n";

#[test]
fn what_is_made_anew_while_nobody_watches_is_committed_in_its_file_and_stays() {
    scenario(async {
        let (_turn, estate) = rough().await?;
        for (name, force) in [("wb-forced", true), ("wb-unforced", false)] {
            let tenant = tenant(estate, name).await?;
            tenant
                .after(|draft| {
                    draft.commit("frozen.yaml", FROZEN);
                    draft.set("force", json!(force));
                })
                .await?;
            begin(&tenant, &writeback(&tenant, "back", &everything())).await?;

            estate.controller.kill();
            let maps = tenant.api("v1", "ConfigMap");
            maps.delete("frozen", &DeleteParams::default()).await?;
            wait::until_gone(&maps, "frozen").await?;
            let red: DynamicObject = serde_json::from_value(json!({
                "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "frozen"}, "immutable": true,
                "data": {"colour": "red", "shape": "round"},
            }))?;
            let how = PostParams {
                field_manager: Some("kubectl-create".to_owned()),
                ..PostParams::default()
            };
            let uid = maps.create(&how, &red).await?.metadata.uid;
            estate.controller.restart().await?;

            let text = written(&tenant, "frozen.yaml", "colour: red").await?;
            ensure!(
                text.trim_end() == FROZEN.replace("green", "red").trim_end(),
                "more was written: {text}"
            );
            applied(&tenant).await?;
            let now = maps.get("frozen").await?;
            ensure!(now.metadata.uid == uid, "{name}: it was made anew");
            let colour = objects::text(&now.data, "/data/colour");
            ensure!(colour == Some("red"), "{name}: {:?}", now.data);
        }
        Ok(())
    });
}
