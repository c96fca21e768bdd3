//! An upgrade as the chart's Deployment does it: the next pod is ready before the last one is told to stop.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use kube::api::{ListParams, Patch, PatchParams};
use reeve_tests::chart::Release;
use reeve_tests::controller::{self, Controller, Surroundings};
use reeve_tests::install::{self, CONFIG};
use reeve_tests::older::Older;
use reeve_tests::tenant::Tenant;
use reeve_tests::{Estate, objects, scenario};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::release::settings;

/// Asks for a fetch, and waits for nothing.
async fn ask(tenant: &Tenant<'_>, token: &str) -> anyhow::Result<()> {
    let annotations = json!({"reconcile.fluxcd.io/requestedAt": token});
    let patch = Patch::Merge(json!({"metadata": {"annotations": annotations}}));
    let how = PatchParams::default();
    let sources = tenant.sources();
    sources.patch_metadata(tenant.name(), &how, &patch).await?;
    Ok(())
}

/// As it was written last: whoever writes it, also without a change of its own, makes it another.
async fn version(tenant: &Tenant<'_>) -> anyhow::Result<String> {
    let service = tenant.api("v1", "Service").get("web").await?;
    let version = service.metadata.resource_version;
    version.context("an object has a version")
}

/// What was told of failures, of the tenant's Kustomization and of its source.
async fn warnings(estate: &Estate, tenant: &Tenant<'_>) -> anyhow::Result<Vec<Value>> {
    let (mut found, warns) = (Vec::new(), ListParams::default().fields("type=Warning"));
    for namespace in [tenant.name(), CONFIG] {
        let events = objects::api(estate.admin(), "v1", "Event", Some(namespace));
        let events = events.list(&warns).await?.items.into_iter();
        found.extend(events.map(|event| event.data));
    }
    // What Kubernetes says of a Service's address is none of ours, and a Receiver that was looked at before its source was known
    // tells that once, when both are made.
    let ours = [Some("Kustomization"), Some("GitRepository")];
    found.retain(|event| ours.contains(&objects::text(event, "/involvedObject/kind")));
    Ok(found)
}

#[test]
fn an_upgrade_under_pushes_fails_no_reconcile_and_writes_nothing_that_did_not_change() {
    scenario(async {
        let estate = Estate::start_with(&[]).await?;
        let tenant = estate.healthy_tenant("upgraded").await?;
        let before = version(&tenant).await?;
        let mut last: Option<Controller> = None;
        for name in ["reeve-second", "reeve-third", "reeve-fourth"] {
            let next = Controller::start_as(name, &estate.plane, &[]).await?;
            let commit = tenant.commit([("settings.yaml", Some(settings(name)))])?;
            ask(&tenant, name).await?;
            let going = last.as_ref().unwrap_or(&estate.controller);
            let ended = going.stop(Duration::from_secs(35));
            let ended = ended.with_context(|| format!("before {name} nobody ran"))?;
            ensure!(ended.success(), "before {name}: {ended}");
            tenant.applied(&commit).await?;
            last = Some(next);
        }
        let warnings = warnings(&estate, &tenant).await?;
        ensure!(warnings.is_empty(), "{warnings:#?}");
        ensure!(version(&tenant).await? == before, "the Service was written");
        Ok(())
    });
}

/// The earlier version: the program that the environment names (`REEVE_OLD_BIN`) with today's chart, or with `REEVE_SOAK` the one that
/// is built from an earlier commit, with the chart it had; None: there is none.
async fn old() -> anyhow::Result<Option<(PathBuf, Option<Older>)>> {
    let Some(path) = std::env::var_os("REEVE_OLD_BIN").map(PathBuf::from) else {
        if std::env::var_os("REEVE_SOAK").is_some() {
            eprintln!("an earlier version is built into target/older, if it was not before");
            let older = Older::build()
                .await
                .context("building an earlier version")?;
            return Ok(Some((older.program.clone(), Some(older))));
        }
        eprintln!(
            "neither REEVE_OLD_BIN nor REEVE_SOAK asks for an earlier version: the same program takes over from itself"
        );
        return Ok(None);
    };
    ensure!(
        path.is_file(),
        "$REEVE_OLD_BIN names {}, which is no file",
        path.display()
    );
    Ok(Some((path, None)))
}

/// Pushes to all of them by turns, until it is told to stop; the last commit of each, and how many there were.
async fn pushed(
    tenants: &[Tenant<'_>],
    stop: &CancellationToken,
) -> anyhow::Result<(Vec<String>, usize)> {
    let mut last = vec![String::new(); tenants.len()];
    let mut ticks = tokio::time::interval(Duration::from_millis(150));
    let mut pushes = 0;
    // All are pushed to as often: whoever comes last is at a commit, too.
    while !stop.is_cancelled() || pushes % tenants.len() != 0 {
        ticks.tick().await;
        let at = pushes % tenants.len();
        let name = format!("push-{pushes}");
        last[at] = tenants[at].commit([("settings.yaml", Some(settings(&name)))])?;
        ask(&tenants[at], &name).await?;
        pushes += 1;
    }
    Ok((last, pushes))
}

/// Has one controller take over from the other, as the chart's Deployment does, forth and back: each after the kinds and rights of its
/// chart, where that is another.
async fn rolled(
    estate: &Estate,
    old: Option<&(PathBuf, Option<Older>)>,
) -> anyhow::Result<Vec<Controller>> {
    let new = Release::estate().await?;
    let charted = old.and_then(|(_, older)| older.as_ref());
    let mut all: Vec<Controller> = Vec::new();
    for (name, is_old) in [
        ("reeve-before", true),
        ("reeve-after", false),
        ("reeve-back", true),
        ("reeve-forth", false),
    ] {
        let old = old.filter(|_| is_old);
        let around = Surroundings {
            program: old.map(|(program, _)| program.clone()),
            ..Surroundings::default()
        };
        let release = match charted {
            Some(older) if is_old => &older.release,
            Some(_) | None => new,
        };
        if charted.is_some() {
            install::install_release(&estate.plane, release).await?;
        }
        let next = Controller::start_of((release, around), name, &estate.plane, &[]).await?;
        let going = all.last().unwrap_or(&estate.controller);
        let ended = going.stop(Duration::from_secs(35));
        let ended = ended.with_context(|| format!("before {name} nobody ran"))?;
        ensure!(ended.success(), "before {name}: {ended}");
        all.push(next);
    }
    Ok(all)
}

/// They are two builds, and not one twice.
async fn are_two(program: &Path, older: Option<&Older>) -> anyhow::Result<()> {
    let ours = tokio::task::spawn_blocking(controller::program).await??;
    let same = tokio::fs::read(program).await? == tokio::fs::read(&ours).await?;
    ensure!(!same, "{} is the program under test", program.display());
    let commit = older.map_or("no commit known", |older| older.commit.as_str());
    eprintln!("an earlier version: {} ({commit})", program.display());
    Ok(())
}

#[test]
fn versions_that_follow_each_other_under_a_load_of_pushes_fail_no_reconcile_and_touch_nothing_else()
{
    scenario(async {
        let old = old().await?;
        if let Some((program, older)) = &old {
            are_two(program, older.as_ref()).await?;
        }
        let estate = Estate::start_with(&[]).await?;
        let (mut tenants, mut before) = (Vec::new(), Vec::new());
        for _ in 0..6 {
            let tenant = estate.healthy_tenant("rolled").await?;
            before.push(version(&tenant).await?);
            tenants.push(tenant);
        }
        let stop = CancellationToken::new();
        let (load, all) = tokio::join!(pushed(&tenants, &stop), async {
            let all = rolled(&estate, old.as_ref()).await;
            stop.cancel();
            all
        });
        let ((last, pushes), all) = (load?, all?);
        eprintln!("{pushes} pushes while four controllers took over from each other");
        ensure!(pushes > tenants.len(), "that is no load");
        for ((tenant, commit), before) in tenants.iter().zip(&last).zip(&before) {
            tenant.applied(commit).await?;
            let warnings = warnings(&estate, tenant).await?;
            ensure!(warnings.is_empty(), "{warnings:#?}");
            ensure!(version(tenant).await? == *before, "a Service was written");
        }
        for controller in all.iter().chain([&estate.controller]) {
            let log = controller.log()?;
            let mut failed = log
                .lines()
                .filter(|line| line.contains("Reconciliation failed"));
            let failed = failed.next();
            ensure!(failed.is_none(), "{failed:?}");
        }
        Ok(())
    });
}
