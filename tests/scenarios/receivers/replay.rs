//! The payloads that GitHub and GitLab publish, sent as those forges send them: each is taken, and what is about another
//! repository wakes nobody.

use anyhow::{Context as _, ensure};
use reeve_tests::forges::published;
use reeve_tests::{Estate, scenario};
use serde_json::{Value, json};

use super::caller::{Call, Watched, hmac, secret};

/// GitHub's for one event.
fn github(event: &str) -> anyhow::Result<Vec<Value>> {
    let text = std::fs::read(published()?.join("payloads/github/all.json"))?;
    let all: Vec<Value> = serde_json::from_slice(&text)?;
    let found = all.into_iter().find(|one| one["name"] == event);
    let examples = found.context("an event of GitHub's")?["examples"].take();
    let examples = examples.as_array().cloned().unwrap_or_default();
    ensure!(!examples.is_empty(), "there is no {event}");
    Ok(examples)
}

/// GitLab's, in a file of this name.
fn gitlab(name: &str) -> anyhow::Result<Value> {
    let file = published()?.join(format!("payloads/gitlab/{name}.json"));
    Ok(serde_json::from_slice(&std::fs::read(file)?)?)
}

fn call(url: &str, headers: Vec<(&'static str, String)>, body: Vec<u8>, want: u16) -> Call {
    Call {
        says: "a payload as it is published",
        url: url.to_owned(),
        method: "POST",
        headers,
        body,
        announced: None,
        want,
    }
}

fn from_github(url: &str, event: &str, payload: &Value, key: &str, want: u16) -> Call {
    let body = payload.to_string().into_bytes();
    let signature = hex::encode(hmac(key.as_bytes(), &[&body]));
    let headers = vec![
        ("content-type", "application/json".to_owned()),
        ("x-github-event", event.to_owned()),
        (
            "x-github-delivery",
            format!("{:032x}", rand::random::<u128>()),
        ),
        ("x-hub-signature-256", format!("sha256={signature}")),
    ];
    call(url, headers, body, want)
}

fn from_gitlab(url: &str, event: &str, payload: &Value, token: &str, want: u16) -> Call {
    let headers = vec![
        ("content-type", "application/json".to_owned()),
        ("x-gitlab-event", event.to_owned()),
        (
            "x-gitlab-event-uuid",
            format!("{:032x}", rand::random::<u128>()),
        ),
        ("x-gitlab-token", token.to_owned()),
    ];
    call(url, headers, payload.to_string().into_bytes(), want)
}

async fn answered(one: &Call) -> anyhow::Result<()> {
    let (status, said) = one.send().await?;
    ensure!(
        status == one.want,
        "{status} instead of {}: {said}",
        one.want
    );
    Ok(())
}

/// A commit arrives by this call of its own, and by none before it.
async fn arrives_alone(watched: &Watched<'_>, commit: &str, one: &Call) -> anyhow::Result<()> {
    answered(one).await?;
    watched.tenant.applied(commit).await?;
    let (asked, _) = watched.asked();
    // The call itself, and at most one more for what was still under way when it came.
    ensure!(asked <= 2, "it was asked {asked} times");
    Ok(())
}

#[test]
fn what_github_publishes_is_taken_and_wakes_whom_it_is_about() {
    scenario(async {
        let estate = Estate::shared().await?;
        let watched = Watched::start(estate, "replayed").await?;
        let key = secret();
        let url = watched
            .receiver("github", &[("token", &key)], Value::Null)
            .await?;
        let commit = watched.tenant.commit([("README.md", Some("Pushed.\n"))])?;
        // From here on it is counted.
        watched.asked();
        let pushes = github("push")?;
        for push in &pushes {
            answered(&from_github(&url, "push", push, &key, 200)).await?;
            answered(&from_github(&url, "push", push, "another key", 400)).await?;
        }
        let mut ours = pushes.last().cloned().context("a push")?;
        ours["ref"] = json!("refs/heads/main");
        ours["after"] = json!(commit);
        ours["repository"]["full_name"] = json!(watched.name());
        let one = from_github(&url, "push", &ours, &key, 200);
        arrives_alone(&watched, &commit, &one).await?;
        for event in ["ping", "create", "pull_request"] {
            for payload in github(event)? {
                answered(&from_github(&url, event, &payload, &key, 200)).await?;
            }
        }
        Ok(())
    });
}

#[test]
fn what_gitlab_publishes_is_taken_and_wakes_whom_it_is_about() {
    scenario(async {
        let estate = Estate::shared().await?;
        let watched = Watched::start(estate, "replayed-lab").await?;
        let token = secret();
        let url = watched
            .receiver("gitlab", &[("token", &token)], Value::Null)
            .await?;
        let commit = watched.tenant.commit([("README.md", Some("Pushed.\n"))])?;
        // From here on it is counted.
        watched.asked();
        for (event, file) in [("Push Hook", "push"), ("Tag Push Hook", "tag_push")] {
            let payload = gitlab(file)?;
            answered(&from_gitlab(&url, event, &payload, &token, 200)).await?;
            answered(&from_gitlab(&url, event, &payload, "another", 400)).await?;
        }
        let mut ours = gitlab("push")?;
        ours["ref"] = json!("refs/heads/main");
        ours["after"] = json!(commit);
        ours["checkout_sha"] = json!(commit);
        ours["project"]["path_with_namespace"] = json!(watched.name());
        let one = from_gitlab(&url, "Push Hook", &ours, &token, 200);
        arrives_alone(&watched, &commit, &one).await?;
        let merge = gitlab("merge_request")?;
        answered(&from_gitlab(
            &url,
            "Merge Request Hook",
            &merge,
            &token,
            200,
        ))
        .await
    });
}
