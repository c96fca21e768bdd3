//! From a change on the cluster to its commit at the remote, and what it costs to watch many objects for changes.
//!
//! A round changes a ConfigMap by hand, and measures from the API server's answer until the branch of the git server is another.
//! Beside it stands what git itself needs to fetch, commit and push over the same way. Then there are many objects that a
//! WriteBack has committed, nothing happens for a while, and what the controller needs for that is told beside what it needs
//! without the WriteBack.

use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use futures::{StreamExt as _, TryStreamExt as _};
use kube::api::{DynamicObject, Patch, PatchParams, PostParams};
use reeve_tests::git::git;
use reeve_tests::install::CONFIG;
use reeve_tests::tenant::{MANIFESTS, Tenant};
use reeve_tests::{Estate, objects, wait};
use serde_json::{Value, json};

use crate::spread::Spread;

const ROUNDS: usize = 30;
/// Before the rounds that count: connections are opened, discovery is read.
const WARM_UP: usize = 3;
/// Where new objects are written.
const MADE: &str = "made";
const DEBOUNCE: Duration = Duration::from_millis(100);
const PATIENCE: Duration = Duration::from_secs(60);
/// How long all objects may take to be committed.
const LONGEST: Duration = Duration::from_secs(3600);
const IDLE: Duration = Duration::from_secs(30);
/// Over how long somebody has to rest to be idle, and with how much of a core.
const REST: Duration = Duration::from_secs(3);
const RESTING: f64 = 0.05;

/// The goals: p50 of a change to its commit beside the debounce, and what all objects cost while nothing happens, of a core and
/// resident.
const GOAL: Duration = Duration::from_millis(500);
const GOAL_IDLE: f64 = 0.01;
const GOAL_KIB: u64 = 50 << 10;

/// What the controller needs while nothing happens.
struct Idle {
    /// Of one core.
    share: f64,
    resident: u64,
}

pub(crate) async fn bench(number: usize) -> anyhow::Result<()> {
    let estate = Estate::start().await?;
    let (mut commits, mut floors) = (Vec::new(), Vec::new());
    let tenant = tenant(&estate, "bench").await?;
    let rules = json!([{"resources": ["configmaps"], "names": ["settings"], "syncTo": "git"}]);
    begin(&tenant, "", &rules).await?;
    for round in 0..WARM_UP + ROUNDS {
        let commit = written(&tenant, round).await?;
        let floor = by_git(&estate, &tenant)?;
        if round >= WARM_UP {
            commits.push(commit);
            floors.push(floor);
        }
    }
    report_rounds(commits, floors)?;
    watched(&estate, number).await
}

/// A healthy tenant whose repository may be pushed to, and stays as git writes it.
async fn tenant<'a>(estate: &'a Estate, name: &str) -> anyhow::Result<Tenant<'a>> {
    let tenant = estate.healthy_tenant(name).await?;
    for (key, value) in [
        ("http.receivepack", "true"),
        ("gc.auto", "0"),
        ("receive.autogc", "false"),
    ] {
        git(tenant.repo().bare(), ["config", key, value])?;
    }
    Ok(tenant)
}

/// Has the tenant's changes written back by these rules, and new objects below that directory.
async fn begin(tenant: &Tenant<'_>, path: &str, rules: &Value) -> anyhow::Result<()> {
    let name = tenant.name();
    let debounce = format!("{}ms", DEBOUNCE.as_millis());
    tenant
        .apply(&json!({
            "apiVersion": "reeve.dev/v1alpha1", "kind": "WriteBack", "metadata": {"name": "back", "namespace": name},
            "spec": {
                "interval": "1h", "debounce": debounce, "serviceAccountName": "flux", "rules": rules, "path": path,
                "sourceRef": {"kind": "GitRepository", "name": name, "namespace": CONFIG},
            },
        }))
        .await?;
    let backs = tenant.api("reeve.dev/v1alpha1", "WriteBack");
    wait::for_object(&backs, "back", "it looks", |back| {
        objects::condition(&back.data, "Ready").is_some_and(|ready| ready.status == "True")
    })
    .await?;
    Ok(())
}

/// The commit that the server's branch is at: what git has written into a file, so that asking costs nothing.
fn head(bare: &Path) -> anyhow::Result<String> {
    let text = std::fs::read_to_string(bare.join("refs/heads/main"))?;
    Ok(text.trim().to_owned())
}

/// Changes an object by hand, and measures until its commit is at the remote.
async fn written(tenant: &Tenant<'_>, round: usize) -> anyhow::Result<Duration> {
    let bare = tenant.repo().bare();
    let before = head(bare)?;
    let by = PatchParams {
        field_manager: Some("by-hand".to_owned()),
        ..PatchParams::default()
    };
    let change = json!({"data": {"colour": format!("colour-{round}")}});
    let maps = tenant.api("v1", "ConfigMap");
    maps.patch("settings", &by, &Patch::Merge(&change)).await?;
    let begun = Instant::now();
    let mut ticks = tokio::time::interval(Duration::from_millis(2));
    let (took, now) = loop {
        ticks.tick().await;
        let now = head(bare)?;
        if now != before {
            break (begun.elapsed(), now);
        }
        if begun.elapsed() > PATIENCE {
            bail!("round {round} was not written within {PATIENCE:?}");
        }
    };
    // The next round begins when this one has come back to the cluster.
    tenant.applied(&now).await?;
    Ok(took)
}

/// What git itself needs to fetch, commit and push.
fn by_git(estate: &Estate, tenant: &Tenant<'_>) -> anyhow::Result<Duration> {
    let (repo, url) = (tenant.repo(), estate.git.url(tenant.name()));
    let begun = Instant::now();
    repo.run(["fetch", "--quiet", &url, "main"])?;
    repo.run(["commit", "--quiet", "--allow-empty", "-m", "A change"])?;
    repo.run(["push", "--quiet", "--force", &url, "HEAD:refs/heads/floor"])?;
    Ok(begun.elapsed())
}

/// Many objects in one namespace, which nobody's manifests have, nor will: what is built lies beside where they are written.
async fn watched(estate: &Estate, number: usize) -> anyhow::Result<()> {
    let tenant = tenant(estate, "many").await?;
    tenant
        .after(|draft| {
            draft.commit("app/settings.yaml", MANIFESTS[0].1);
            draft.set("path", json!("./app"));
        })
        .await?;
    make(&tenant, number).await?;
    estate.controller.restart().await?;
    let without = idle(estate).await?;
    let begun = Instant::now();
    // Of any kind, so that all of them are watched.
    let rules = json!([{"labels": "bench=yes", "syncTo": "git"}]);
    begin(&tenant, MADE, &rules).await?;
    all_written(&tenant, number).await?;
    let first = begun.elapsed();
    estate.controller.restart().await?;
    let begun = Instant::now();
    let with = idle(estate).await?;
    let again = begun.elapsed().saturating_sub(IDLE);
    report_idle(number, &without, &with, (first, again))?;
    Ok(())
}

/// Automation makes so many objects.
async fn make(tenant: &Tenant<'_>, number: usize) -> anyhow::Result<()> {
    let maps = tenant.api("v1", "ConfigMap");
    let by = PostParams {
        field_manager: Some("automation".to_owned()),
        ..PostParams::default()
    };
    let make = |at: usize| {
        let (maps, by) = (maps.clone(), by.clone());
        async move {
            let object = json!({
                "apiVersion": "v1", "kind": "ConfigMap",
                "metadata": {"name": format!("map-{at:05}"), "labels": {"bench": "yes"}},
                "data": {"value": at.to_string()},
            });
            let object: DynamicObject = serde_json::from_value(object)?;
            maps.create(&by, &object).await?;
            anyhow::Ok(())
        }
    };
    let making = futures::stream::iter((0..number).map(make)).buffer_unordered(16);
    making.try_collect::<Vec<()>>().await?;
    Ok(())
}

/// Waits until each object has its file.
async fn all_written(tenant: &Tenant<'_>, number: usize) -> anyhow::Result<()> {
    let bare = tenant.repo().bare();
    let list = ["ls-tree", "-r", "--name-only", "main", MADE];
    let mut ticks = tokio::time::interval(Duration::from_secs(1));
    let begun = Instant::now();
    loop {
        ticks.tick().await;
        let files = git(bare, list)?.lines().count();
        if files >= number {
            return Ok(());
        }
        if begun.elapsed() > LONGEST {
            bail!("{files} of {number} objects were written within {LONGEST:?}");
        }
    }
}

/// What it needs while nothing happens, once it has come to rest.
async fn idle(estate: &Estate) -> anyhow::Result<Idle> {
    let used = || estate.controller.processor().context("it runs");
    let mut window = tokio::time::interval(REST);
    window.tick().await;
    let deadline = Instant::now() + LONGEST;
    loop {
        let begun = used()?;
        window.tick().await;
        let share = used()?.saturating_sub(begun).div_duration_f64(REST);
        if share < RESTING {
            break;
        }
        if Instant::now() > deadline {
            bail!("it never rests: {:.1} % of a core", share * 100.0);
        }
    }
    let mut window = tokio::time::interval(IDLE);
    window.tick().await;
    let begun = used()?;
    window.tick().await;
    Ok(Idle {
        share: used()?.saturating_sub(begun).div_duration_f64(IDLE),
        resident: estate.controller.resident_kib().context("it runs")?,
    })
}

fn report_rounds(commits: Vec<Duration>, floors: Vec<Duration>) -> std::io::Result<()> {
    let (commit, floor) = (Spread::of(commits), Spread::of(floors));
    let profile = if cfg!(debug_assertions) {
        "dev"
    } else {
        "release"
    };
    let ms = |time: Duration| format!("{:.1} ms", time.as_secs_f64() * 1000.0);
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "| {profile} build, {ROUNDS} rounds | p50 | p90 | goal |"
    )?;
    writeln!(out, "|---|---|---|---|")?;
    writeln!(
        out,
        "| change on the cluster to commit at the remote, {DEBOUNCE:?} of them waited | {} | {} | {} |",
        ms(commit.p50),
        ms(commit.p90),
        ms(GOAL + DEBOUNCE)
    )?;
    writeln!(
        out,
        "| floor: git's own fetch, commit and push | {} | {} | |",
        ms(floor.p50),
        ms(floor.p90)
    )?;
    let ratio = |a: Duration, b: Duration| a.as_secs_f64() / b.as_secs_f64().max(f64::EPSILON);
    let without = |time: Duration| time.saturating_sub(DEBOUNCE);
    writeln!(
        out,
        "| ratio, without the wait | {:.1} | {:.1} | |",
        ratio(without(commit.p50), floor.p50),
        ratio(without(commit.p90), floor.p90)
    )
}

fn report_idle(
    number: usize,
    without: &Idle,
    with: &Idle,
    (first, again): (Duration, Duration),
) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "\n| {number} watched objects, while nothing happens | without | with | more | goal |"
    )?;
    writeln!(out, "|---|---|---|---|---|")?;
    let percent = |share: f64| share * 100.0;
    writeln!(
        out,
        "| of a core | {:.2} % | {:.2} % | {:.2} % | {:.0} % |",
        percent(without.share),
        percent(with.share),
        percent(with.share - without.share),
        percent(GOAL_IDLE)
    )?;
    let mib = |kib: u64| kib.div_ceil(1024);
    let more = with.resident.saturating_sub(without.resident);
    writeln!(
        out,
        "| resident | {} MiB | {} MiB | {} MiB | {} MiB |",
        mib(without.resident),
        mib(with.resident),
        mib(more),
        mib(GOAL_KIB)
    )?;
    writeln!(
        out,
        "\nUntil all were committed: {:.1} s. Until all were looked at after a restart: {:.1} s.",
        first.as_secs_f64(),
        again.as_secs_f64()
    )
}
