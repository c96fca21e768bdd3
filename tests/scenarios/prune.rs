//! What pruning deletes, and what it leaves: only ours, only what does not ask to stay, and nothing is forgotten.

use anyhow::{Context as _, ensure};
use kube::api::{Patch, PatchParams};
use reeve_core::failure::Explain as _;
use reeve_tests::scenario;
use serde_json::json;

use crate::ground::{Ground, Wish, config_map};

#[test]
fn what_asks_to_stay_stays() {
    scenario(async {
        let ground = Ground::new("stays").await?;
        let files: Vec<_> = ["a", "b", "c", "d"]
            .iter()
            .map(|name| (format!("{name}.yaml"), config_map(name, "1")))
            .collect();
        let files: Vec<_> = files
            .iter()
            .map(|(file, text)| (file.as_str(), text.as_str()))
            .collect();
        let wish = Wish::of(&files);
        ground.apply(&wish).await?;
        for (name, key, value) in [
            ("a", "reconcile", "disabled"),
            ("b", "prune", "Disabled"),
            ("c", "ssa", "ignore"),
        ] {
            let key = format!("kustomize.toolkit.fluxcd.io/{key}");
            ground.annotate(name, &key, value).await?;
        }
        let pruned = ground
            .prune(&wish, &Wish::of(&[("z.yaml", &config_map("z", "1"))]))
            .await?;
        let deleted = [format!("ConfigMap/{}/d deleted", ground.namespace)];
        ensure!(pruned.done.changes() == deleted, "{pruned:?}");
        for name in ["a", "b", "c"] {
            ensure!(ground.get("ConfigMap", name).await?.is_some(), "{name}");
        }
        Ok(())
    });
}

#[test]
fn only_what_still_bears_our_labels_is_pruned() {
    scenario(async {
        let ground = Ground::new("labels").await?;
        let wish = Wish::of(&[
            ("a.yaml", &config_map("a", "1")),
            ("b.yaml", &config_map("b", "1")),
        ]);
        ground.apply(&wish).await?;
        let moved =
            json!({"metadata": {"labels": {"kustomize.toolkit.fluxcd.io/name": "another"}}});
        ground
            .api("ConfigMap")
            .await?
            .patch("a", &PatchParams::default(), &Patch::Merge(&moved))
            .await?;
        let pruned = ground
            .prune(&wish, &Wish::of(&[("z.yaml", &config_map("z", "1"))]))
            .await?;
        ensure!(
            pruned.done.changes() == [format!("ConfigMap/{}/b deleted", ground.namespace)],
            "{pruned:?}"
        );
        ensure!(ground.get("ConfigMap", "a").await?.is_some());
        Ok(())
    });
}

#[test]
fn what_may_not_be_deleted_stays_in_the_inventory() {
    scenario(async {
        let ground = Ground::new("undeletable").await?;
        let wish = Wish::of(&[("a.yaml", &config_map("a", "1"))]);
        ground.apply(&wish).await?;
        ground.forbid_deleting().await?;
        let why = ground
            .prune(&wish, &Wish::of(&[("z.yaml", &config_map("z", "1"))]))
            .await
            .unwrap_err();
        ensure!(
            why.to_string().contains("/a delete failed (Forbidden)"),
            "{why}"
        );
        ensure!(
            why.left().len() == 1 && why.hint().context("a hint")?.contains("`delete`"),
            "{why:?}"
        );
        ensure!(ground.get("ConfigMap", "a").await?.is_some());
        Ok(())
    });
}
