//! From a change by hand to the object as it was applied, and what it costs to watch for that.
//!
//! Fifty tenants, sixty objects each. Random ones are edited, a ConfigMap or a Deployment at a time, and it is measured from
//! the answer to the edit until a watch on the API server brings the object as it was. New statuses are written as well, and
//! the runs that they cost are counted. Then nothing happens for a while, and the processor time of that is told.

use std::io::Write as _;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use futures::StreamExt as _;
use kube::api::{Api, DynamicObject, Patch, PatchParams};
use kube::runtime::watcher;
use reeve_tests::Estate;
use reeve_tests::tenant::Tenant;
use serde_json::{Value, json};

use crate::spread::Spread;

const TENANTS: usize = 50;
const MAPS: usize = 58;
const ROUNDS: usize = 300;
const STATUSES: usize = 200;
const PATIENCE: Duration = Duration::from_secs(60);
const IDLE: Duration = Duration::from_secs(60);

/// The goal: p99 of a change by hand to the object as it was.
const GOAL: Duration = Duration::from_secs(1);

const DEPLOYMENT: &str = "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: web\nspec:\n  replicas: 0\n  selector:\n    matchLabels: {app: web}\n  template:\n    metadata:\n      labels: {app: web}\n    spec:\n      containers:\n        - name: web\n          image: registry.example/web:1\n";

struct Measured {
    reverted: Vec<Duration>,
    /// Runs of Kustomizations that a push to each tenant cost, and new statuses.
    runs: (f64, f64),
    /// Resident KiB with two objects a tenant, and with all.
    resident: (u64, u64),
    /// Of one core, while nothing happens.
    idle: f64,
}

pub(crate) async fn bench() -> anyhow::Result<()> {
    let estate = Estate::start().await?;
    let mut tenants = Vec::new();
    for number in 0..TENANTS {
        tenants.push(estate.healthy_tenant(&format!("bench-{number}")).await?);
    }
    let resident = || estate.controller.resident_kib().context("it runs");
    let before = resident()?;
    let ran = runs(&estate).await?;
    for tenant in &tenants {
        tenant
            .push(&[("maps.yaml", Some(&maps())), ("web.yaml", Some(DEPLOYMENT))])
            .await?;
    }
    // The echoes of the last are seen by the time that this is put right.
    let last = tenants.last().context("a tenant")?;
    edited(last, 0).await?;
    let pushes = runs(&estate).await? - ran;
    let mut reverted = Vec::new();
    for round in 0..ROUNDS {
        let tenant = tenants.get(at_random(TENANTS)).context("a tenant")?;
        reverted.push(edited(tenant, round).await?);
    }
    let runs = (pushes, statuses(&estate, &tenants).await?);
    let resident = (before, resident()?);
    let used = || estate.controller.processor().context("it runs");
    let mut window = tokio::time::interval(IDLE);
    window.tick().await;
    let begun = used()?;
    window.tick().await;
    let idle = used()?.saturating_sub(begun).div_duration_f64(IDLE);
    report(Measured {
        reverted,
        runs,
        resident,
        idle,
    })?;
    Ok(())
}

fn maps() -> String {
    let one = |number| {
        format!(
            "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: map-{number}\ndata:\n  colour: green\n"
        )
    };
    (0..MAPS).map(one).collect::<Vec<_>>().join("---\n")
}

fn at_random(below: usize) -> usize {
    rand::random_range(0..below)
}

fn by_hand() -> PatchParams {
    PatchParams {
        field_manager: Some("by-hand".to_owned()),
        ..PatchParams::default()
    }
}

/// Edits one object, and measures until it is as it was.
async fn edited(tenant: &Tenant<'_>, round: usize) -> anyhow::Result<Duration> {
    match round % 3 {
        0 => {
            let webs = tenant.api("apps/v1", "Deployment");
            let change =
                json!({"spec": {"paused": false, "minReadySeconds": round + 1, "replicas": 1}});
            timed(webs, "web", change, |web| {
                is(web, "/spec/replicas", &json!(0))
            })
            .await
        }
        _ => {
            let name = format!("map-{}", at_random(MAPS));
            let change = json!({"data": {"colour": round.to_string()}});
            let maps = tenant.api("v1", "ConfigMap");
            timed(maps, &name, change, |map| {
                is(map, "/data/colour", &json!("green"))
            })
            .await
        }
    }
}

fn is(object: &DynamicObject, pointer: &str, value: &Value) -> bool {
    object.data.pointer(pointer) == Some(value)
}

async fn timed(
    api: Api<DynamicObject>,
    name: &str,
    change: Value,
    is_back: impl Fn(&DynamicObject) -> bool,
) -> anyhow::Result<Duration> {
    let config = watcher::Config::default().fields(&format!("metadata.name={name}"));
    let mut events = watcher(api.clone(), config).boxed();
    while let Some(event) = events.next().await {
        if matches!(event?, watcher::Event::InitDone) {
            break;
        }
    }
    api.patch(name, &by_hand(), &Patch::Merge(&change)).await?;
    let begun = Instant::now();
    let wait = async {
        let mut changed = false;
        while let Some(event) = events.next().await {
            if let watcher::Event::Apply(object) = event? {
                let back = is_back(&object);
                if changed && back {
                    return anyhow::Ok(begun.elapsed());
                }
                changed |= !back;
            }
        }
        anyhow::bail!("the watch ended")
    };
    tokio::time::timeout(PATIENCE, wait)
        .await
        .context("it was not changed back")?
}

/// Writes new statuses, and counts the runs that they cost.
async fn statuses(estate: &Estate, tenants: &[Tenant<'_>]) -> anyhow::Result<f64> {
    let before = runs(estate).await?;
    for number in 0..STATUSES {
        let tenant = tenants.get(number % tenants.len()).context("a tenant")?;
        let condition = json!({"type": "Busy", "status": "True", "message": number.to_string()});
        let status = json!({"status": {"conditions": [condition]}});
        let webs = tenant.api("apps/v1", "Deployment");
        webs.patch_status("web", &by_hand(), &Patch::Merge(&status))
            .await?;
    }
    // What the last of them does is seen by the time that a change by hand after it is put right.
    let last = tenants.first().context("a tenant")?;
    edited(last, 0).await?;
    Ok(runs(estate).await? - before)
}

/// How many runs of Kustomizations have ended.
async fn runs(estate: &Estate) -> anyhow::Result<f64> {
    let words = ["controller_runtime_reconcile_total", "\"kustomization\""];
    estate.controller.sample(&words).await
}

fn report(measured: Measured) -> std::io::Result<()> {
    let Measured {
        reverted,
        runs: (pushes, statuses),
        resident: (before, after),
        idle,
    } = measured;
    let spread = Spread::of(reverted);
    let ms = |time: Duration| format!("{:.0} ms", time.as_secs_f64() * 1000.0);
    let mut out = std::io::stdout().lock();
    let objects = TENANTS * (MAPS + 3);
    writeln!(
        out,
        "| {TENANTS} tenants, {objects} objects | p50 | p90 | p99 | goal |"
    )?;
    writeln!(out, "|---|---|---|---|---|")?;
    let (p50, p90, p99) = (ms(spread.p50), ms(spread.p90), ms(spread.p99));
    let goal = ms(GOAL);
    writeln!(
        out,
        "| changed by hand to changed back, {ROUNDS} rounds | {p50} | {p90} | {p99} | {goal} |"
    )?;
    writeln!(
        out,
        "| runs for a push each, and one for a change | {pushes} | | | {} |",
        TENANTS + 1
    )?;
    writeln!(
        out,
        "| runs for {STATUSES} new statuses, and one for a change | {statuses} | | | 1 |"
    )?;
    let (before, after) = (before.div_ceil(1024), after.div_ceil(1024));
    writeln!(
        out,
        "| resident, before and with all objects | {before} MiB | {after} MiB | | |"
    )?;
    writeln!(
        out,
        "| of a core, while nothing happens | {:.2} % | | | 2 % |",
        idle * 100.0
    )
}
