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
        assert_eq!(row["login"]["from"], "git configuration", "{row:#}");
        assert_eq!(row["login"]["level"], "global", "{row:#}");
        assert_eq!(row["ready"], "True", "{row:#}");
        assert_eq!(row["error"], Value::Null, "{row:#}");
        let receiver = format!("{CONFIG}/{}", tenant.name());
        assert_eq!(
            row["lastDelivery"]["receiver"],
            receiver.as_str(),
            "{row:#}"
        );
        for (what, text) in [
            (&row["login"]["entry"], "auths["),
            (&row["head"], commit.as_str()),
            (&row["lastFetch"]["revision"], commit.as_str()),
        ] {
            ensure!(
                what.as_str().is_some_and(|what| what.contains(text)),
                "{row:#}"
            );
        }
        for number in ["bytes", "objects"] {
            let number = row["lastFetch"][number].as_i64();
            ensure!(number.is_some_and(|number| number > 0), "{row:#}");
        }
        ensure!(!row.to_string().contains(&password), "{row:#}");

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
