//! Where changes of an overlay go: into the entry, the patch or the file that each value is from, in one commit; and a base that
//! others use stays as it is.

use anyhow::ensure;
use reeve_tests::git::git;
use reeve_tests::{Estate, scenario, wait};
use serde_json::json;

use super::*;

const OVERLAY: &str = "# What runs in production.
resources:
  - ../base
images:
  - name: registry.local/web # ours
    newTag: \"1\" # by the pipeline
replicas:
  - {name: web, count: 1} # for the fair
configMapGenerator:
  - name: shop
    files: [shop.properties]
    options: {disableNameSuffixHash: true}
patches:
  - path: level.yaml # what it logs
";
const PATCH: &str = "apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
spec:
  template:
    spec:
      containers:
        - name: web
          env:
            - name: LEVEL # loud or not
              value: info
";
const PROPERTIES: &str = "# The shop.\ncolour=green\nsize=small\n";

/// A base of which two overlays are made; the tenant has one of them.
async fn overlaid<'a>(estate: &'a Estate, name: &str, base: &str) -> anyhow::Result<Tenant<'a>> {
    let tenant = tenant(estate, name).await?;
    all_may_go(&tenant).await?;
    tenant
        .after(|draft| {
            draft.commit("base/kustomization.yaml", "resources: [web.yaml]\n");
            draft.commit("base/web.yaml", base);
            draft.commit("stage/kustomization.yaml", "resources: [../base]\n");
            draft.commit("prod/kustomization.yaml", OVERLAY);
            draft.commit("prod/level.yaml", PATCH);
            draft.commit("prod/shop.properties", PROPERTIES);
            draft.delete("web.yaml");
            draft.set("path", json!("./prod"));
        })
        .await?;
    applied(&tenant).await?;
    Ok(tenant)
}

#[test]
fn each_change_goes_where_its_value_is_from_and_a_base_that_others_use_stays_as_it_is() {
    scenario(async {
        let estate = Estate::shared().await?;
        let base = WEB.replace(
            "    spec:\n      containers:",
            "    spec:\n      terminationGracePeriodSeconds: 30 # as ever\n      containers:",
        );
        let tenant = overlaid(estate, "wb-places", &base).await?;
        begin(&tenant, &writeback(&tenant, "back", &everything())).await?;
        let bare = tenant.repo().bare();
        let before = git(bare, ["rev-parse", "main"])?;
        let webs = tenant.api("apps/v1", "Deployment");
        let env = json!([{"name": "LEVEL", "value": "debug"}]);
        let container = json!({"name": "web", "image": "registry.local/web:2", "env": env});
        let pod = json!({"terminationGracePeriodSeconds": 60, "containers": [container]});
        let all = json!({"spec": {"replicas": 3, "template": {"spec": pod}}});
        change(&webs, "web", "kubectl-edit", &all).await?;
        let maps = tenant.api("v1", "ConfigMap");
        let blue = PROPERTIES.replace("green", "blue");
        let paint = json!({"data": {"shop.properties": blue}});
        change(&maps, "shop", "painter", &paint).await?;

        let overlay = written(&tenant, "prod/kustomization.yaml", "count: 3").await?;
        for line in [
            "# What runs in production.\n",
            "  - name: registry.local/web # ours\n    newTag: \"2\" # by the pipeline\n",
            "  - {name: web, count: 3} # for the fair\n",
            "  - path: level.yaml # what it logs",
        ] {
            ensure!(overlay.contains(line), "no {line:?} in {overlay}");
        }
        let patch = written(&tenant, "prod/level.yaml", "value: debug").await?;
        ensure!(patch.contains("- name: LEVEL # loud or not"), "{patch}");
        let properties = written(&tenant, "prod/shop.properties", "blue").await?;
        ensure!(properties == blue.trim_end(), "{properties}");
        ensure!(file(&tenant, "base/web.yaml").as_deref() == Some(base.trim_end()));
        let changed = git(bare, ["diff", "--name-only", before.as_str(), "main"])?;
        ensure!(
            changed.lines().all(|file| file.starts_with("prod/")),
            "{changed}"
        );
        applied(&tenant).await?;
        looked(&tenant, "back").await?;
        wait::for_object(&webs, "web", "it is as it was changed", |web| {
            let pod = &web.data["spec"]["template"]["spec"];
            pod["terminationGracePeriodSeconds"] == 60
                && pod["containers"][0]["image"] == "registry.local/web:2"
                && web.data["spec"]["replicas"] == 3
        })
        .await?;
        Ok(())
    });
}

/// A variable makes the value: no line of a file could say what is on the cluster.
#[test]
fn what_no_file_can_say_is_refused_with_the_reason_and_the_rest_is_written() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = tenant(estate, "wb-guess").await?;
        let web = WEB.replace("web:1", "web:${tag}");
        tenant
            .after(|draft| {
                draft.set("postBuild", json!({"substitute": {"tag": "1"}}));
                draft.commit("web.yaml", &web);
            })
            .await?;
        applied(&tenant).await?;
        begin(&tenant, &writeback(&tenant, "back", &everything())).await?;
        let webs = tenant.api("apps/v1", "Deployment");
        change(&webs, "web", "keel", &image("2")).await?;
        let maps = tenant.api("v1", "ConfigMap");
        let paint = json!({"data": {"colour": "blue"}});
        change(&maps, "settings", "painter", &paint).await?;
        let subject = format!("Deployment {}/web", tenant.name());
        let entry = refused(&tenant, "back", &subject).await?;
        let text = |pointer: &str| objects::text(&entry, pointer).unwrap_or_default();
        ensure!(text("/reason").contains("variable"), "{entry}");
        ensure!(!text("/hint").is_empty(), "{entry}");
        written(&tenant, "settings.yaml", "colour: blue").await?;
        ensure!(file(&tenant, "web.yaml").as_deref() == Some(web.trim_end()));
        Ok(())
    });
}
