//! What a request looks like at the forge: its branch, title and labels, and whom it asks; and what becomes of it while the forge
//! takes nothing.

use anyhow::ensure;
use kube::api::{Patch, PatchParams};
use reeve_tests::scenario;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::*;

/// Whom requests ask.
const REVIEWER: &str = "rita";

impl Back {
    /// The repository has somebody who may look at requests.
    async fn has_a_reviewer(&self) -> anyhow::Result<()> {
        let account = json!({
            "username": REVIEWER, "email": format!("{REVIEWER}@example.com"), "password": "a-w0rd-for-rita-alone",
            "must_change_password": false,
        });
        let gitea = &self.shop.desk.forge.gitea;
        let (status, said) = gitea
            .ask(Method::POST, "admin/users", Some(account))
            .await?;
        // Another scenario may have made them.
        let is_there = status == StatusCode::UNPROCESSABLE_ENTITY;
        ensure!(status.is_success() || is_there, "{status} {said}");
        let path = format!("/collaborators/{REVIEWER}");
        let may = json!({"permission": "read"});
        self.done(Method::PUT, &path, Some(may)).await?;
        Ok(())
    }

    /// The request asks the reviewer, and nobody else.
    async fn asks_the_reviewer(&self, one: &Value) -> anyhow::Result<()> {
        let path = format!("/pulls/{}", one["number"]);
        let one = self.done(Method::GET, &path, None).await?;
        let asked = names(&one["requested_reviewers"], "login");
        ensure!(asked == [REVIEWER], "{asked:?}");
        Ok(())
    }

    /// What requests look like from now on; null is as where nothing is said of them.
    async fn wants(&self, request: Value) -> anyhow::Result<()> {
        let patch = json!({"spec": {"pullRequest": request}});
        change(&self.backs(), BACK, &patch).await
    }

    /// Somebody changes the Deployment, and says why.
    async fn change_because(&self, spec: Value, why: &str) -> anyhow::Result<()> {
        let how = PatchParams {
            field_manager: Some("kubectl-edit".to_owned()),
            ..PatchParams::default()
        };
        let annotations = json!({"reeve.dev/reason": why, "reeve.dev/changed-by": "ann"});
        let patch = json!({"metadata": {"annotations": annotations}, "spec": spec});
        let webs = self.shop.tenant.api("apps/v1", "Deployment");
        webs.patch("web", &how, &Patch::Strategic(&patch)).await?;
        Ok(())
    }
}

fn names(all: &Value, field: &str) -> Vec<String> {
    let all = all.as_array().into_iter().flatten();
    let mut names: Vec<String> = all
        .filter_map(|one| one[field].as_str().map(str::to_owned))
        .collect();
    names.sort();
    names
}

#[test]
fn a_request_has_the_branch_title_and_labels_that_are_named_and_asks_the_reviewers() {
    scenario(async {
        let back = Back::open("wb-asks", "pullRequest").await?;
        back.has_a_reviewer().await?;
        back.wants(json!({
            "branch": "reeve/{namespace}/of-{name}", "title": "From the cluster", "labels": ["cluster", "by hand"],
            "reviewers": [REVIEWER],
        }))
        .await?;
        back.change_because(image("2"), "the release leaks").await?;
        let words = [
            "registry.local/web:1 -> registry.local/web:2",
            "by kubectl-edit",
            "user: ann",
            "why: the release leaks",
        ];
        let labels = ["by hand", "cluster"];
        // Labels are put onto it once the reviewers were asked.
        let is_whole = |one: &Value| says(&words)(one) && names(&one["labels"], "name") == labels;
        let first = back.request("all of it is there", is_whole).await?;
        back.asks_the_reviewer(&first).await?;
        let branch = format!("reeve/{}/of-{BACK}", back.shop.tenant.name());
        ensure!(first["head"]["ref"] == branch.as_str(), "{first}");
        ensure!(first["base"]["ref"] == "main", "{first}");
        ensure!(first["title"] == "From the cluster", "{first}");
        let is_told = |told: &DynamicObject| {
            let request = &told.data["status"]["request"];
            request["number"] == first["number"] && request["url"] == first["html_url"]
        };
        wait::for_object(&back.backs(), BACK, "the request is told", is_told).await?;

        // It is the same request, and what people have put there stays.
        let path = format!("/issues/{}/labels", first["number"]);
        back.done(Method::POST, "/labels", Some(label("urgent")))
            .await?;
        back.done(Method::POST, &path, Some(json!({"labels": ["urgent"]})))
            .await?;
        back.change(json!({"replicas": 3})).await?;
        let words = ["spec.replicas: 1 -> 3", "web:1 -> registry.local/web:2"];
        let second = back.request("both are proposed", says(&words)).await?;
        ensure!(second["number"] == first["number"], "{second}");
        let labels = names(&second["labels"], "name");
        ensure!(labels == ["by hand", "cluster", "urgent"], "{labels:?}");
        back.asks_the_reviewer(&second).await
    });
}

fn label(name: &str) -> Value {
    json!({"name": name, "color": "#ff0000"})
}

#[test]
fn what_a_forge_does_not_take_of_a_request_is_told_and_proposed_once_it_does() {
    scenario(async {
        let back = Back::open("wb-full", "pullRequest").await?;
        back.wants(Value::Null).await?;
        back.done(Method::PATCH, "", Some(json!({"archived": true})))
            .await?;
        back.change(image("2")).await?;
        back.told("False", "ReadOnly", "may not be written to")
            .await?;
        ensure!(back.requests().await?.is_empty(), "it is read-only");
        back.done(Method::PATCH, "", Some(json!({"archived": false})))
            .await?;
        let words = ["registry.local/web:1 -> registry.local/web:2"];
        let first = back.request("it is proposed", says(&words)).await?;
        // Where nothing is said of it, its branch is named after the WriteBack.
        let branch = format!("reeve/{}/{BACK}", back.shop.tenant.name());
        ensure!(first["head"]["ref"] == branch.as_str(), "{first}");
        back.told("True", "Succeeded", "").await?;

        let gitea = &back.shop.desk.forge.gitea;
        let full = "#!/bin/sh\necho 'the quota of ada is used up' >&2\nexit 1\n";
        gitea.hook(&back.shop.desk.name, Some(full))?;
        back.change(json!({"replicas": 3})).await?;
        back.told("False", "PushRejected", "the quota of ada is used up")
            .await?;
        let open = back.requests().await?;
        ensure!(open.len() == 1 && says(&words)(&open[0]), "{open:?}");
        gitea.hook(&back.shop.desk.name, None)?;
        let words = ["spec.replicas: 1 -> 3", "web:1 -> registry.local/web:2"];
        let second = back.request("both are proposed", says(&words)).await?;
        ensure!(second["number"] == first["number"], "{second}");
        back.told("True", "Succeeded", "").await?;
        Ok(())
    });
}

/// Were it opened all the same, nobody would be asked, and the next run would say nothing of that.
#[test]
fn a_reviewer_who_is_not_there_is_told_until_another_is_named() {
    scenario(async {
        let back = Back::open("wb-nobody", "pullRequest").await?;
        back.has_a_reviewer().await?;
        back.wants(json!({"reviewers": ["no-one"]})).await?;
        back.change(image("2")).await?;
        let words = "Gitea knows no user \"no-one\" who could review";
        let says = |told: &DynamicObject| is(told, "Ready", "False", words);
        wait::for_object(&back.backs(), BACK, "it says who is not there", says).await?;
        back.ask_again().await?;
        let handled = |told: &DynamicObject| {
            let asked = told.metadata.annotations.iter().flatten();
            let mut asked = asked.filter(|(key, _)| *key == ASKED);
            let asked = asked.next().map(|(_, value)| value.as_str());
            text(&told.data, "/status/lastHandledReconcileAt") == asked
        };
        wait::for_object(&back.backs(), BACK, "it was asked again", handled).await?;
        let told = back.backs().get(BACK).await?;
        ensure!(says(&told), "{:?}", told.data);
        ensure!(back.requests().await?.is_empty(), "it is open");

        back.wants(json!({"reviewers": [REVIEWER]})).await?;
        let labelled = |one: &Value| names(&one["labels"], "name") == ["cluster"];
        let one = back.request("it is proposed", labelled).await?;
        back.asks_the_reviewer(&one).await?;
        back.told("True", "Succeeded", "").await?;
        Ok(())
    });
}
