//! Fields of one object that follow different sides, kept so without a controller.

use anyhow::ensure;
use kube::api::{Patch, PatchParams};
use reeve_tests::{Estate, objects, scenario};
use serde_json::json;

use super::*;

/// A configuration by which fields of one ConfigMap have different sides.
fn by_fields(namespace: &str) -> String {
    let rule = |rest: &str| {
        format!(
            "- {{resources: [configmaps], namespaces: [{namespace}], names: [parted], {rest}}}\n"
        )
    };
    let colour = rule("filters: [/data/colour], syncTo: git");
    let size = rule("filters: [/data/size], syncTo: ignore");
    let all = rule("syncTo: kubernetes");
    format!("branch: main\nrules:\n{colour}{size}{all}")
}

#[test]
fn each_field_of_an_object_goes_by_the_first_rule_that_covers_it() {
    scenario(async {
        let estate = Estate::shared().await?;
        let (name, repo) = ground(estate, "parted").await?;
        let text = placed(&config_map("parted", "green"), &name);
        let text = format!("{text}  size: small\n  shape: round\n");
        repo.publish("parted.yaml", &text)?;
        let (url, config) = (estate.git.url(&name), by_fields(&name));
        // It is made as a whole, as the rule without filters says.
        once(estate, &config, &[&url], 0).await?;
        let api = objects::api(estate.admin(), "v1", "ConfigMap", Some(&name));
        colour(&api, "parted", "green").await?;

        let by_hand = json!({"data": {"colour": "blue", "size": "big", "shape": "square"}});
        let how = PatchParams::default();
        api.patch("parted", &how, &Patch::Merge(by_hand)).await?;
        // Policy is asked about what is sent, too.
        let dir = tempfile::tempdir()?;
        files(dir.path(), &[("colours/policy.rego", &minds("red"))])?;
        let policy = dir.path().join("colours").display().to_string();
        once(estate, &config, &[&url, "--policies", &policy], 0).await?;
        let is = api.get("parted").await?.data;
        let want = json!({"colour": "blue", "size": "big", "shape": "round"});
        ensure!(is["data"] == want, "{is:#}");
        let want = text.trim_end().replace(": green", ": blue");
        ensure!(at_head(&repo, "parted.yaml")? == want);
        // And nothing more comes of it.
        once(estate, &config, &[&url], 0).await?;
        ensure!(commits(&repo)? == 2);
        let after = api.get("parted").await?.data;
        ensure!(after["data"] == is["data"], "{after:#}");
        Ok(())
    });
}
