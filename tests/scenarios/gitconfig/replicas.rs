//! Hooks of entries where there are several replicas: each of them is called, and the one that works for a source hears of it.

use std::time::Duration;

use anyhow::ensure;
use reeve_tests::chart::Release;
use reeve_tests::controller::Controller;
use reeve_tests::wait;

use super::polling::{Called, call, github, has};
use super::*;

/// Longer than a Lease takes to run out, or a share of the work to be taken up.
const PATIENCE: Duration = Duration::from_secs(90);

/// Waits until a replica answers so to somebody who proves nothing.
async fn answers(replica: &Controller, path: &str, code: u16) -> anyhow::Result<()> {
    let what = format!("a replica answers {code} to who proves nothing");
    let bare = [("x-github-event", "push".to_owned())];
    wait::until(PATIENCE, &what, || async {
        let told = call(replica, path, &bare, "{}").await.ok()?;
        (told == code).then_some(())
    })
    .await
}

/// A push that this replica is told of arrives, and the source says which entry was called, and that nobody need ask.
async fn arrives_by(
    called: &Called<'_>,
    replica: &Controller,
    path: &str,
    secret: &str,
    what: &str,
) -> anyhow::Result<()> {
    let commit = called.web.publish("news.txt", format!("{what}\n"))?;
    let body = called.push("web", "main", &commit);
    let code = github(replica, path, secret, "push", &body).await?;
    ensure!(code == 200, "{what}: {code}");
    let told = called.told("web", what, has(&commit)).await?;
    let caller = told["delivery"]["receiver"].as_str().unwrap_or_default();
    ensure!(caller.starts_with("gitHubAuths ("), "{what}: {told}");
    // Whichever replica is called: it told what is there, and so polling rests.
    ensure!(told["announced"] == true, "{what}: {told}");
    Ok(())
}

#[test]
fn the_hook_of_an_entry_is_called_at_a_replica_that_stands_by_too() {
    scenario(async {
        let estate = Estate::start_with(&[]).await?;
        let called = Called::within(&estate, "stands-by").await?;
        let other = Controller::start_as("reeve-other", &estate.plane, &[]).await?;
        let (first, second) = (password(), password());
        called.secret("gitHubAuths", &first).await?;
        called.follows("web").await?;
        let path = called.path("web", "").await?;
        answers(&other, &path, 400).await?;
        arrives_by(&called, &other, &path, &first, "by who stands by").await?;
        arrives_by(&called, &estate.controller, &path, &first, "by who works").await?;

        // Another secret: who stands by learns it too, and that the old path is nobody's.
        called.secret("gitHubAuths", &second).await?;
        let next = called.path("web", &path).await?;
        answers(&other, &next, 400).await?;
        answers(&other, &path, 404).await?;
        arrives_by(&called, &other, &next, &second, "by another path").await?;
        let runs = ["gotk_reconcile_duration_seconds_count"];
        ensure!(other.sample(&runs).await? == 0.0, "it works");
        Ok(())
    });
}

#[test]
fn what_a_replica_is_called_for_before_it_knows_its_hooks_is_found_all_the_same() {
    scenario(async {
        let estate = Estate::start_with(&[]).await?;
        let called = Called::within(&estate, "begins").await?;
        let secret = password();
        called.secret("gitHubAuths", &secret).await?;
        called.follows("web").await?;
        let path = called.path("web", "").await?;
        arrives_by(&called, &estate.controller, &path, &secret, "by who works").await?;
        // It is asked once an hour from here on. Whatever the other one answers, nobody calls a second time.
        let other = Controller::start_as("reeve-other", &estate.plane, &[]).await?;
        let commit = called.web.publish("news.txt", "while it begins\n")?;
        let body = called.push("web", "main", &commit);
        github(&other, &path, &secret, "push", &body).await?;
        called.told("web", "what was pushed", has(&commit)).await?;
        Ok(())
    });
}

#[test]
fn the_hook_of_an_entry_is_called_at_every_replica_that_shares_the_work() {
    scenario(async {
        let release = Release::sharing(3).await?;
        let estate = Estate::start_from(&release, &[]).await?;
        let start = |name| Controller::start_from(&release, name, &estate.plane, &[]);
        let others = [start("reeve-second").await?, start("reeve-third").await?];
        let replicas = [&estate.controller, &others[0], &others[1]];
        let called = Called::within(&estate, "shared-hook").await?;
        let secret = password();
        called.secret("gitHubAuths", &secret).await?;
        called.follows("web").await?;
        let path = called.path("web", "").await?;
        for (nth, replica) in replicas.into_iter().enumerate() {
            answers(replica, &path, 400).await?;
            let what = format!("by replica {nth}");
            arrives_by(&called, replica, &path, &secret, &what).await?;
        }
        Ok(())
    });
}
