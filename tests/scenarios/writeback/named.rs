//! What a WriteBack says, word by word: which objects its rules mean, which fields, which branch; and who commits and with which
//! login, where it says nothing of that.

use anyhow::ensure;
use kube::api::PostParams;
use reeve_tests::git::{Auth, HttpServer, Served, git};
use reeve_tests::install::SYSTEM;
use reeve_tests::{Estate, scenario, secrecy};
use serde_json::json;

use super::*;

/// The repositories of the estate, for one user with this password.
async fn guarded(estate: &Estate) -> anyhow::Result<(HttpServer, String)> {
    let password = format!("{:032x}", rand::random::<u128>());
    secrecy::used_as("ada", &password);
    let auth = Auth::Basic("ada".to_owned(), password.clone());
    let server = HttpServer::start(estate.repositories(), Served::only(auth)).await?;
    Ok((server, password))
}

/// Has what the tenant applies come from a GitRepository of its own, `own`, with this Secret if it names one.
async fn from_its_own(tenant: &Tenant<'_>, url: &str, secret: Option<&str>) -> anyhow::Result<()> {
    let mut spec = json!({"interval": "1h", "url": url, "ref": {"branch": "main"}});
    if let Some(name) = secret {
        spec["secretRef"] = json!({"name": name});
    }
    let meta = json!({"name": "own", "namespace": tenant.name()});
    tenant
        .apply(&json!({
            "apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "GitRepository", "metadata": meta, "spec": spec,
        }))
        .await?;
    tenant
        .after(|draft| draft.set("sourceRef", json!({"kind": "GitRepository", "name": "own"})))
        .await?;
    Ok(())
}

/// A WriteBack to that source.
fn to_its_own(tenant: &Tenant<'_>, rules: &Value) -> Value {
    let mut back = writeback(tenant, "back", rules);
    back["spec"]["sourceRef"] = json!({"name": "own"});
    back
}

/// Somebody makes a ConfigMap with these labels.
async fn make(tenant: &Tenant<'_>, name: &str, labels: Value) -> anyhow::Result<()> {
    let map = json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "labels": labels}, "data": {"a": "b"},
    });
    let map: DynamicObject = serde_json::from_value(map)?;
    let maps = tenant.api("v1", "ConfigMap");
    maps.create(&PostParams::default(), &map).await?;
    Ok(())
}

#[test]
fn each_word_of_a_rule_says_which_objects_are_meant_and_the_first_that_matches_counts() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = tenant(estate, "wb-words").await?;
        let maps = |rest: &Value, side: &str| {
            let mut rule = rest.clone();
            rule["resources"] = json!(["configmaps"]);
            rule["syncTo"] = json!(side);
            rule
        };
        let rules = json!([
            maps(&json!({"names": ["shadowed"]}), "ignore"),
            maps(&json!({"apiGroups": ["apps"]}), "git"),
            maps(&json!({"apiGroups": [""], "names": ["named"]}), "git"),
            maps(&json!({"labels": "tier in (front, back),!off"}), "git"),
            maps(&json!({"namespaces": ["elsewhere"]}), "git"),
            maps(
                &json!({"namespaces": [tenant.name()], "labels": "near=yes"}),
                "git"
            ),
        ]);
        begin(&tenant, &writeback(&tenant, "back", &rules)).await?;
        let all = [
            ("shadowed", json!({"tier": "front"}), false),
            ("named", json!({}), true),
            ("front", json!({"tier": "front"}), true),
            ("off", json!({"tier": "front", "off": "yes"}), false),
            ("near", json!({"near": "yes"}), true),
            ("other", json!({"tier": "side"}), false),
        ];
        for (name, labels, _) in &all {
            make(&tenant, name, labels.clone()).await?;
        }
        let path = |name: &str| format!("{}/configmap-{name}.yaml", tenant.name());
        for (name, ..) in all.iter().filter(|(_, _, meant)| *meant) {
            written(&tenant, &path(name), "a: b").await?;
        }
        looked(&tenant, "back").await?;
        for (name, _, meant) in &all {
            let is = file(&tenant, &path(name)).is_some();
            ensure!(is == *meant, "{name}: {is}");
        }
        Ok(())
    });
}

#[test]
fn filters_say_which_changes_are_written_and_what_they_leave_out_is_put_right() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = tenant(estate, "wb-filters").await?;
        let filters = json!([
            "/metadata/annotations",
            "/spec/template/spec/containers/*/image"
        ]);
        let rules = json!([{"resources": ["deployments"], "filters": filters, "syncTo": "git"}]);
        begin(&tenant, &writeback(&tenant, "back", &rules)).await?;
        let before = commits(&tenant)?;
        let webs = tenant.api("apps/v1", "Deployment");
        let mut all = image("2");
        all["metadata"] = json!({"annotations": {"note": "theirs"}});
        all["spec"]["replicas"] = json!(3);
        change(&webs, "web", "kubectl-edit", &all).await?;
        let text = written(&tenant, "web.yaml", "web:2").await?;
        ensure!(text.contains("note: theirs"), "{text}");
        ensure!(text.contains("replicas: 1 # one is enough"), "{text}");
        applied(&tenant).await?;
        wait::for_object(&webs, "web", "its replicas are as in git", |web| {
            let image = objects::text(&web.data, "/spec/template/spec/containers/0/image");
            web.data["spec"]["replicas"] == 1 && image == Some("registry.local/web:2")
        })
        .await?;
        // No new file is made, and none is taken out, by a rule that is about fields.
        make(&tenant, "fresh", json!({})).await?;
        looked(&tenant, "back").await?;
        ensure!(commits(&tenant)? == before + 1, "one commit, and no other");
        Ok(())
    });
}

#[test]
fn many_steps_within_the_debounce_are_one_commit() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = tenant(estate, "wb-steps").await?;
        let mut back = writeback(&tenant, "back", &everything());
        back["spec"]["debounce"] = json!("3s");
        begin(&tenant, &back).await?;
        let before = commits(&tenant)?;
        let webs = tenant.api("apps/v1", "Deployment");
        for tag in ["2", "3", "4"] {
            change(&webs, "web", "keel", &image(tag)).await?;
        }
        let paint = json!({"data": {"colour": "blue"}});
        let maps = tenant.api("v1", "ConfigMap");
        change(&maps, "settings", "painter", &paint).await?;
        written(&tenant, "web.yaml", "web:4").await?;
        written(&tenant, "settings.yaml", "blue").await?;
        applied(&tenant).await?;
        looked(&tenant, "back").await?;
        ensure!(commits(&tenant)? == before + 1, "one commit, and no other");
        let message = git(tenant.repo().bare(), ["log", "-1", "--format=%s", "main"])?;
        ensure!(message == "Write back 2 objects", "{message}");
        Ok(())
    });
}

#[test]
fn another_branch_than_the_sources_is_written_with_a_login_of_ones_own() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = tenant(estate, "wb-branch").await?;
        let bare = tenant.repo().bare();
        git(bare, ["branch", "backup", "main"])?;
        let (server, password) = guarded(estate).await?;
        let meta = json!({"name": "own", "namespace": tenant.name()});
        let login = json!({"username": "ada", "password": password});
        tenant
            .apply(&json!({"apiVersion": "v1", "kind": "Secret", "metadata": meta, "stringData": login}))
            .await?;
        from_its_own(&tenant, &server.url(tenant.name()), Some("own")).await?;
        let rules = json!([{"resources": ["configmaps"], "labels": "made=yes", "syncTo": "git"}]);
        let mut back = to_its_own(&tenant, &rules);
        back["spec"]["branch"] = json!("backup");
        back["spec"]["path"] = json!("east");
        begin(&tenant, &back).await?;
        let before = commits(&tenant)?;
        make(&tenant, "kept", json!({"made": "yes"})).await?;
        let path = format!("backup:east/{}/configmap-kept.yaml", tenant.name());
        let there = || async {
            let text = git(bare, ["show", path.as_str()]).ok()?;
            text.contains("a: b").then_some(())
        };
        wait::until(wait::PATIENCE, "it is on its branch", there).await?;
        ensure!(commits(&tenant)? == before, "main is as it was");
        let what = "it says which branch it has written";
        wait::for_object(&writebacks(&tenant), "back", what, |back| {
            objects::text(&back.data, "/status/lastCommit/branch") == Some("backup")
        })
        .await?;
        Ok(())
    });
}

/// What a Tenant says of git, and the Secret that it names.
async fn levelled(tenant: &Tenant<'_>, url: &str, password: &str) -> anyhow::Result<()> {
    let (own, level) = (tenant.name(), format!("{}-level", tenant.name()));
    let file = format!(
        "author: {{name: Rig Bot, email: rigbot@example.com}}\nauths:\n- url: {url}\n  credentials: {{https: {{username: ada, password: {password}}}}}\n"
    );
    let meta = json!({
        "name": level, "namespace": SYSTEM, "labels": {"reconcile.fluxcd.io/watch": "Enabled"},
    });
    tenant
        .apply(&json!({"apiVersion": "v1", "kind": "Secret", "metadata": meta, "stringData": {"git.yaml": file}}))
        .await?;
    tenant
        .apply(&json!({
            "apiVersion": API, "kind": "Tenant", "metadata": {"name": own},
            "spec": {"namespaces": [own], "sources": [own], "gitConfig": {"kind": "Secret", "name": level}},
        }))
        .await
}

#[test]
fn login_and_author_are_those_of_the_tenants_git_configuration_where_nothing_else_is_named() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = tenant(estate, "wb-level").await?;
        let (server, password) = guarded(estate).await?;
        levelled(&tenant, &server.url("*"), &password).await?;
        from_its_own(&tenant, &server.url(tenant.name()), None).await?;
        let mut back = to_its_own(&tenant, &everything());
        begin(&tenant, &back).await?;
        let webs = tenant.api("apps/v1", "Deployment");
        let author = || {
            let log = ["log", "-1", "--format=%an <%ae>", "main"];
            git(tenant.repo().bare(), log)
        };
        change(&webs, "web", "keel", &image("2")).await?;
        written(&tenant, "web.yaml", "web:2").await?;
        let by = author()?;
        ensure!(by == "Rig Bot <rigbot@example.com>", "{by}");
        applied(&tenant).await?;

        // What it says of who commits goes first, and the rest is as before.
        back["spec"]["author"] = json!({"name": "Cluster One"});
        begin(&tenant, &back).await?;
        change(&webs, "web", "keel", &image("3")).await?;
        written(&tenant, "web.yaml", "web:3").await?;
        let by = author()?;
        ensure!(by == "Cluster One <rigbot@example.com>", "{by}");
        applied(&tenant).await
    });
}
