//! `reeve git status`: how a repository is reached and when it was heard of, as whoever may see the object sees it.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::sync::mpsc;

use anyhow::{Context as _, ensure};
use reeve_tests::install::CONFIG;
use reeve_tests::{controller, wait};

use super::*;
use crate::command::get::{asked, said};

/// What is told of the source of a tenant.
async fn told(estate: &Estate, tenant: &Tenant<'_>) -> anyhow::Result<Value> {
    let here = std::env::temp_dir();
    let args = ["git", "status", tenant.name(), "-n", CONFIG, "-o", "json"];
    let output = asked(estate, &here, &args).await?;
    said(&output, 0)?;
    let all: Value = serde_json::from_slice(&output.stdout)?;
    all.get(0).cloned().context("one is told")
}

/// Waits until it is told so.
async fn until_told(
    estate: &Estate,
    tenant: &Tenant<'_>,
    what: &str,
    so: impl Fn(&Value) -> bool,
) -> anyhow::Result<Value> {
    let so = &so;
    wait::until(wait::PATIENCE, what, || async move {
        told(estate, tenant).await.ok().filter(|told| so(told))
    })
    .await
}

/// What is told of a source that a level of the platform gives a login, and that was called for this commit.
fn tells_of(row: &Value, tenant: &Tenant<'_>, commit: &str) -> anyhow::Result<()> {
    let receiver = format!("{CONFIG}/{}", tenant.name());
    for (pointer, want) in [
        ("/login/from", json!("git configuration")),
        ("/login/level", json!("global")),
        ("/lastDelivery/receiver", json!(receiver)),
        ("/ready", json!("True")),
    ] {
        ensure!(row.pointer(pointer) == Some(&want), "{pointer}: {row:#}");
    }
    ensure!(row.get("error").is_none(), "{row:#}");
    for (pointer, part) in [
        ("/login/entry", "auths["),
        ("/head", commit),
        ("/lastFetch/revision", commit),
    ] {
        let text = row.pointer(pointer).and_then(Value::as_str);
        let has = text.is_some_and(|text| text.contains(part));
        ensure!(has, "{pointer}: {row:#}");
    }
    for number in ["/lastFetch/bytes", "/lastFetch/objects"] {
        let number = row.pointer(number).and_then(Value::as_i64);
        ensure!(number.is_some_and(|number| number > 0), "{row:#}");
    }
    Ok(())
}

#[test]
fn a_repositorys_login_last_fetch_last_call_head_and_error_are_told_and_nothing_secret() {
    scenario(async {
        let estate = estate().await?;
        let tenant = estate.healthy_tenant("git-status").await?;
        let (auth, password) = basic("ada");
        let server = private(estate, auth).await?;
        everybody_may(estate, &entry(&server, "ada", &password)).await?;
        let url = server.url(tenant.name());
        is_fetched_from(&tenant, &url).await?;
        let commit = tenant.commit([("README.md", Some("told\n"))])?;
        tenant.call_hook().await?;
        tenant.applied(&commit).await?;

        let has = |told: &Value| {
            let head = told["head"].as_str().unwrap_or_default();
            told["changes"] == "hook" && head.contains(&commit)
        };
        let row = until_told(estate, &tenant, "the call is told", has).await?;
        assert_eq!(row["url"], url.as_str(), "{row:#}");
        ensure!(!row.to_string().contains(&password), "{row:#}");
        tells_of(&row, &tenant, &commit)?;

        // What is wrong is told by the same table, which is no failure of the command.
        fetch_from(&tenant, &server.url("nowhere")).await?;
        let fails = |told: &Value| told["error"] != Value::Null;
        let row = until_told(estate, &tenant, "the error is told", fails).await?;
        assert_eq!(row["ready"], "False", "{row:#}");
        let here = std::env::temp_dir();
        let table = asked(estate, &here, &["git", "status", "-A"]).await?;
        let table = said(&table, 0)?;
        ensure!(
            table.starts_with("NAMESPACE") && table.contains(tenant.name()),
            "{table}"
        );
        let nobody = ["git", "status", "nobody", "-n", CONFIG];
        let why = said(&asked(estate, &here, &nobody).await?, 1)?;
        ensure!(why.contains("there is no GitRepository"), "{why}");
        Ok(())
    });
}

#[test]
fn reeve_git_status_goes_on_with_what_changes() {
    scenario(async {
        let estate = estate().await?;
        let tenant = estate.healthy_tenant("git-watched").await?;
        let mut command = Command::new(controller::program()?);
        command
            .args(["git", "status", tenant.name(), "-n", CONFIG, "--watch"])
            .arg("--kubeconfig")
            .arg(estate.plane.kubeconfig())
            .stdout(Stdio::piped());
        let mut child = command.spawn()?;
        let output = child.stdout.take().context("it is piped")?;
        let (tell, lines) = mpsc::channel();
        std::thread::spawn(move || {
            let lines = BufReader::new(output).lines().map_while(Result::ok);
            lines.for_each(|line| drop(tell.send(line)));
        });
        let commit = tenant.commit([("README.md", Some("watched\n"))])?;
        let seen = async {
            tenant.call_hook().await?;
            tenant.applied(&commit).await?;
            let head: String = commit.chars().take(8).collect();
            let wanted = move || lines.iter().find(|line| line.contains(&head));
            let found = tokio::task::spawn_blocking(wanted);
            let found = tokio::time::timeout(wait::PATIENCE, found).await;
            // Ends the thread that reads, too.
            anyhow::Ok(found)
        }
        .await;
        child.kill()?;
        child.wait()?;
        let line = seen?.context("it is told in time")??;
        let line = line.context("its output did not end before")?;
        ensure!(line.contains(tenant.name()), "{line}");
        Ok(())
    });
}

#[test]
fn directories_that_nobody_configured_are_left_alone_and_listed() {
    scenario(async {
        let estate = estate().await?;
        let tenant = estate.healthy_tenant("left-alone").await?;
        let path = format!("{}-dirs", tenant.name());
        let repo = estate.repo(&path)?;
        for dir in ["old", "web"] {
            let names = "resources: [map.yaml]\n";
            repo.write(&format!("apps/{dir}/kustomization.yaml"), names)?;
            let map = format!("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {dir}\n");
            repo.write(&format!("apps/{dir}/map.yaml"), map)?;
        }
        repo.publish_all("Two apps")?;
        let name = tenant.name();
        let meta = json!({"name": "dirs", "namespace": name});
        tenant
            .apply(&json!({
                "apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization", "metadata": meta,
                "spec": {
                    "interval": "1h", "path": "./apps/web", "prune": true, "serviceAccountName": "flux",
                    "targetNamespace": name, "sourceRef": {"kind": "GitRepository", "name": "dirs"},
                },
            }))
            .await?;
        tenant
            .apply(&json!({
                "apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "GitRepository", "metadata": meta,
                "spec": {"interval": "5s", "url": estate.git.url(&path), "ref": {"branch": "main"}},
            }))
            .await?;
        let maps = tenant.api("v1", "ConfigMap");
        wait::for_object(&maps, "web", "it is applied", |_| true).await?;

        let here = std::env::temp_dir();
        let args = ["git", "status", "dirs", "-n", name, "-o", "json"];
        wait::until(
            wait::PATIENCE,
            "what nobody configured is listed",
            || async {
                let output = asked(estate, &here, &args).await.ok()?;
                let rows: Value = serde_json::from_slice(&output.stdout).ok()?;
                (rows[0]["unconfigured"] == json!(["apps/old"])).then_some(())
            },
        )
        .await?;
        let table = asked(estate, &here, &["git", "status", "-n", name]).await?;
        let table = said(&table, 0)?;
        let line = format!("{name}/dirs: left alone, since no Kustomization names it: apps/old");
        ensure!(table.contains(&line), "{table}");
        ensure!(maps.get_opt("old").await?.is_none(), "it is left alone");
        Ok(())
    });
}
