//! What both sides last agreed on is known wherever a file lies, and after whatever became of the process or of the rules: what a
//! person has committed since is in conflict with the cluster, and never written over in silence.

use anyhow::{Context as _, ensure};
use kube::api::PostParams;
use reeve_tests::git::git;
use reeve_tests::{Estate, objects, scenario, wait};
use serde_json::json;

use super::hands::conflict_is_told;
use super::*;
use crate::outage::rough;

/// What is told of a tag that a person committed while somebody set another.
const LOST: &str =
    "kubernetes counts (registry.local/web:hot), the other had registry.local/web:cold";

/// The work tree of a person who has what the server has.
pub(super) fn pulled<'t>(tenant: &'t Tenant<'_>) -> anyhow::Result<&'t reeve_tests::git::Repo> {
    let repo = tenant.repo();
    repo.run(["fetch", "--quiet", "origin", "main"])?;
    repo.run(["reset", "--quiet", "--hard", "FETCH_HEAD"])?;
    Ok(repo)
}

/// A tenant whose source has one directory, and that has what is made written into another.
async fn unlisted<'a>(estate: &'a Estate, name: &str) -> anyhow::Result<Tenant<'a>> {
    let tenant = tenant(estate, name).await?;
    tenant
        .annotate("reeve.dev/prune-budget", Some("100%"))
        .await?;
    tenant
        .after(|draft| {
            draft.commit("app/web.yaml", WEB);
            draft.delete("web.yaml");
            draft.set("path", json!("./app"));
            draft.set_source("ignore", json!("/*\n!/app\n"));
        })
        .await?;
    let rules = json!([{"resources": ["configmaps"], "labels": "made=yes", "syncTo": "git"}]);
    let mut back = writeback(&tenant, "back", &rules);
    back["spec"]["path"] = json!("backup");
    begin(&tenant, &back).await?;
    Ok(tenant)
}

/// Automation makes a ConfigMap.
async fn make(maps: &Api<DynamicObject>, name: &str) -> anyhow::Result<()> {
    let map: DynamicObject = serde_json::from_value(json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "labels": {"made": "yes"}},
        "data": {"a": "first", "c": "made"},
    }))?;
    let params = PostParams {
        field_manager: Some("snapshotter".to_owned()),
        ..PostParams::default()
    };
    maps.create(&params, &map).await?;
    Ok(())
}

/// What git alone changes of such a ConfigMap stays, beside what changes on the cluster; and what both change is told.
async fn both_change(tenant: &Tenant<'_>, name: &str, path: &str) -> anyhow::Result<()> {
    let maps = tenant.api("v1", "ConfigMap");
    let text = written(tenant, path, "a: first").await?;
    pulled(tenant)?.publish(path, text.replace("c: made", "c: mine"))?;
    tenant.call_hook().await?;
    applied(tenant).await?;
    let before = commits(tenant)?;
    looked(tenant, "back").await?;
    ensure!(commits(tenant)? == before, "{:?}", file(tenant, path));
    let to = |value: &str| json!({"data": {"a": value}});
    change(&maps, name, "kubectl-edit", &to("second")).await?;
    let text = written(tenant, path, "a: second").await?;
    ensure!(text.contains("c: mine"), "{text}");

    pulled(tenant)?.publish(path, text.replace("a: second", "a: git"))?;
    change(&maps, name, "kubectl-edit", &to("third")).await?;
    written(tenant, path, "a: third").await?;
    conflict_is_told(tenant, "kubernetes counts (third), the other had git").await
}

#[test]
fn a_file_that_the_source_leaves_out_is_agreed_on_like_any_other() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = unlisted(estate, "wb-unlisted").await?;
        make(&tenant.api("v1", "ConfigMap"), "kept").await?;
        let path = format!("backup/{}/configmap-kept.yaml", tenant.name());
        let what = format!("{path} was as its object");
        wait::for_object(&writebacks(&tenant), "back", &what, |back| {
            let file = back.data.pointer("/status/agreed/0/file");
            file.and_then(Value::as_str) == Some(&path)
        })
        .await?;
        both_change(&tenant, "kept", &path).await
    });
}

/// How many files are made of which one revision is to be remembered.
const MANY: usize = 520;

#[test]
fn of_many_files_one_revision_is_agreed_on_and_nothing_is_written_over_in_silence() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = unlisted(estate, "wb-folded").await?;
        let maps = tenant.api("v1", "ConfigMap");
        let name = |number: usize| format!("map-{number:03}");
        for number in 0..MANY {
            make(&maps, &name(number)).await?;
        }
        let path = |number: usize| {
            let name = name(number);
            format!("backup/{}/configmap-{name}.yaml", tenant.name())
        };
        let what = "all files are there, and one revision is remembered of most of them";
        let all = || async {
            let list = ["ls-tree", "-r", "--name-only", "main", "backup"];
            let files = git(tenant.repo().bare(), list).ok()?.lines().count();
            let back = writebacks(&tenant).get("back").await.ok()?;
            objects::text(&back.data, "/status/agreedSince")?;
            let few = back
                .data
                .pointer("/status/agreed")
                .and_then(Value::as_array);
            let few = few.cloned().unwrap_or_default();
            (files >= MANY && few.len() < MANY / 2).then_some(few)
        };
        let few = wait::until(wait::PATIENCE * 4, what, all).await?;
        let is_among = |number: &usize| {
            let path = path(*number);
            few.iter()
                .any(|one| objects::text(one, "/file") == Some(&path))
        };
        let other = (0..MANY).find(|number| !is_among(number));
        let other = other.context("most are not remembered by themselves")?;
        both_change(&tenant, &name(other), &path(other)).await
    });
}

/// Somebody sets an image while nothing can be pushed, and a person commits another, which is applied but for that.
async fn both_while_shut(tenant: &Tenant<'_>) -> anyhow::Result<()> {
    let bare = tenant.repo().bare();
    git(bare, ["config", "http.receivepack", "false"])?;
    let webs = tenant.api("apps/v1", "Deployment");
    change(&webs, "web", "keel", &image("hot")).await?;
    told(tenant, "back", "False", "ReadOnly").await?;
    let was = git(bare, ["rev-parse", "main"])?;
    let cold = WEB.replace("web:1", "web:cold");
    tenant.commit([("web.yaml", Some(cold.as_str()))])?;
    tenant.call_hook().await?;
    applied(tenant).await?;
    let what = "it is remembered what was applied before";
    wait::for_object(&tenant.kustomizations(), tenant.name(), what, |ks| {
        let left = ks.data.pointer("/status/leftAlone/0");
        let revision = left.and_then(|left| objects::text(left, "/revision"));
        revision.is_some_and(|revision| revision.ends_with(&was))
    })
    .await?;
    Ok(())
}

/// The tag that somebody set is written, and the other is told; then nothing is left alone any more.
async fn is_in_conflict(tenant: &Tenant<'_>) -> anyhow::Result<()> {
    written(tenant, "web.yaml", "web:hot").await?;
    let message = git(tenant.repo().bare(), ["log", "-1", "--format=%B", "main"])?;
    ensure!(message.contains(LOST), "{message}");
    conflict_is_told(tenant, LOST).await?;
    applied(tenant).await?;
    let what = "nothing is left alone any more";
    wait::for_object(&tenant.kustomizations(), tenant.name(), what, |ks| {
        ks.data.pointer("/status/leftAlone").is_none()
    })
    .await?;
    Ok(())
}

#[test]
fn what_was_committed_before_a_restart_is_in_conflict_with_a_change_that_waits() {
    scenario(async {
        let (_turn, estate) = rough().await?;
        let tenant = tenant(estate, "wb-anew").await?;
        begin(&tenant, &writeback(&tenant, "back", &everything())).await?;
        both_while_shut(&tenant).await?;
        estate.controller.kill();
        git(tenant.repo().bare(), ["config", "http.receivepack", "true"])?;
        estate.controller.restart().await?;
        is_in_conflict(&tenant).await
    });
}

#[test]
fn what_was_committed_before_the_rules_were_changed_is_in_conflict_with_a_change_that_waits() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = tenant(estate, "wb-ruled").await?;
        begin(&tenant, &writeback(&tenant, "back", &everything())).await?;
        both_while_shut(&tenant).await?;
        let mut rules = everything();
        if let Some(rules) = rules.as_array_mut() {
            rules.push(json!({"resources": ["services"], "syncTo": "ignore"}));
        }
        let patch = json!({"spec": {"rules": rules}});
        let how = PatchParams::default();
        writebacks(&tenant)
            .patch("back", &how, &Patch::Merge(&patch))
            .await?;
        git(tenant.repo().bare(), ["config", "http.receivepack", "true"])?;
        is_in_conflict(&tenant).await
    });
}
