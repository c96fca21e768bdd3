//! What nobody saw: objects that are named before they are there, labels of what went while nobody watched, and a file that was pushed
//! by a process which died before it said so. Nothing of it takes anything out of git, or undoes what a person has committed.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use anyhow::ensure;
use kube::api::DeleteParams;
use reeve_tests::{Estate, scenario, wait};
use serde_json::json;

use super::away::{is_gone, make};
use super::*;
use crate::outage::rough;
use crate::waves::{deployment, gate, map, open, waits};

const SETTINGS: &str =
    "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: settings\ndata:\n  colour: green\n";
const MORE: &str = "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\nresources:\n- db.yaml\n- late.yaml\n";
/// Holds whoever pushes by HTTP when the commit is taken, as long as a file says so.
const HOLD: &str = "#!/bin/sh
[ -z \"$REMOTE_ADDR\" ] && exit 0
[ -e hold ] || exit 0
: > held
n=0
while [ -e hold ] && [ $n -lt 1200 ]; do sleep 0.05; n=$((n + 1)); done
";

/// A tenant that builds `app`, and whose source may leave out the rest; with a component beside it that waits behind a gate.
async fn beside<'a>(estate: &'a Estate, name: &str, ignore: bool) -> anyhow::Result<Tenant<'a>> {
    let tenant = tenant(estate, name).await?;
    tenant
        .annotate("reeve.dev/prune-budget", Some("100%"))
        .await?;
    let db = deployment("db", "1", Some(&gate(&tenant, "first")));
    tenant
        .after(|draft| {
            draft.commit("app/web.yaml", WEB);
            draft.commit("app/settings.yaml", SETTINGS);
            draft.commit("more/kustomization.yaml", MORE);
            draft.commit("more/db.yaml", &db);
            draft.commit("more/late.yaml", map("late", "2"));
            draft.delete("web.yaml");
            draft.set("path", json!("./app"));
            if ignore {
                draft.set_source("ignore", json!("/*\n!/app\n"));
            }
        })
        .await?;
    Ok(tenant)
}

/// A WriteBack of what is made there, which takes the file out with it, in a directory that nobody builds.
fn backup(tenant: &Tenant<'_>) -> Value {
    let rules = json!([
        {"resources": ["configmaps"], "labels": "goes=made", "syncTo": "git", "onDelete": "delete"},
    ]);
    let mut back = writeback(tenant, "back", &rules);
    back["spec"]["path"] = json!("backup");
    back
}

/// The file of what is made there.
fn made(tenant: &Tenant<'_>) -> String {
    format!("backup/{}/configmap-made.yaml", tenant.name())
}

#[test]
fn what_is_named_before_it_was_ever_applied_is_not_taken_for_deleted() {
    scenario(async {
        let (_turn, estate) = rough().await?;
        let tenant = beside(estate, "wb-unseen", false).await?;
        let rules = json!([{"resources": ["configmaps"], "syncTo": "git", "onDelete": "delete"}]);
        begin(&tenant, &writeback(&tenant, "back", &rules)).await?;
        applied(&tenant).await?;
        // The revision stays, and has more in it by another spec: what comes last waits for what comes first.
        let patch = json!({"spec": {"components": ["../more"]}});
        let how = PatchParams::default();
        let kustomizations = tenant.kustomizations();
        kustomizations
            .patch(tenant.name(), &how, &Patch::Merge(&patch))
            .await?;
        let told = waits(&tenant, "waiting for wave 1 of Sync").await?;
        let named = told.data.pointer("/status/inventory").map(Value::to_string);
        let late = format!("{}_late__ConfigMap", tenant.name());
        ensure!(
            named.as_ref().is_some_and(|named| named.contains(&late)),
            "{named:?}"
        );
        estate.controller.kill();
        estate.controller.restart().await?;
        // Once that is written, all ConfigMaps were listed.
        let maps = tenant.api("v1", "ConfigMap");
        let red = json!({"data": {"colour": "red"}});
        change(&maps, "settings", "kubectl-edit", &red).await?;
        written(&tenant, "app/settings.yaml", "colour: red").await?;
        looked(&tenant, "back").await?;
        ensure!(
            file(&tenant, "more/late.yaml").is_some(),
            "what was never there is gone from git"
        );
        open(estate, &gate(&tenant, "first")).await?;
        wait::for_object(&maps, "late", "its turn comes", |_| true).await?;
        Ok(())
    });
}

#[test]
fn what_is_deleted_while_nobody_watches_goes_by_its_labels_where_the_source_leaves_its_file_out() {
    scenario(async {
        let (_turn, estate) = rough().await?;
        let tenant = beside(estate, "wb-unseen-file", true).await?;
        begin(&tenant, &backup(&tenant)).await?;
        make(&tenant, "made").await?;
        let path = made(&tenant);
        written(&tenant, &path, "a: b").await?;
        let known = format!("{}_made__ConfigMap", tenant.name());
        let what = "what was made is remembered";
        wait::for_object(&writebacks(&tenant), "back", what, |back| {
            back.data.pointer("/status/made") == Some(&json!([known]))
        })
        .await?;
        estate.controller.kill();
        let maps = tenant.api("v1", "ConfigMap");
        maps.delete("made", &DeleteParams::default()).await?;
        estate.controller.restart().await?;
        is_gone(&tenant, &path).await
    });
}

#[test]
fn what_a_person_changes_in_a_file_whose_maker_died_before_it_said_so_stays() {
    scenario(async {
        let (_turn, estate) = rough().await?;
        let tenant = beside(estate, "wb-unseen-push", true).await?;
        begin(&tenant, &backup(&tenant)).await?;
        let bare = tenant.repo().bare();
        let hook = bare.join("hooks/post-receive");
        fs::create_dir_all(bare.join("hooks"))?;
        fs::write(&hook, HOLD)?;
        fs::set_permissions(&hook, fs::Permissions::from_mode(0o755))?;
        fs::write(bare.join("hold"), "")?;
        make(&tenant, "made").await?;
        let is_held = || async { bare.join("held").exists().then_some(()) };
        wait::until(wait::PATIENCE, "the commit is taken", is_held).await?;
        estate.controller.kill();
        fs::remove_file(bare.join("hold"))?;

        let path = made(&tenant);
        let text = written(&tenant, &path, "a: b").await?;
        tenant
            .repo()
            .pull()?
            .publish(&path, text.replace("a: b", "a: mine"))?;
        estate.controller.restart().await?;
        let maps = tenant.api("v1", "ConfigMap");
        let later = json!({"data": {"c": "later"}});
        change(&maps, "made", "kubectl-edit", &later).await?;
        let text = written(&tenant, &path, "c: later").await?;
        ensure!(text.contains("a: mine"), "it was undone: {text}");
        Ok(())
    });
}
