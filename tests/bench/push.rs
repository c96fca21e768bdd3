//! From a push to the applied object, and what the controller holds in memory.
//!
//! A round pushes one changed object of four to an http git server, calls the hook, and measures until
//! a watch on the API server brings the changed object. Beside it, in the same run, stands a floor:
//! what a bare client needs for the calls that nobody can do without. Only the ratio of the two says
//! something on a machine that one doesn't know.

use std::io::Write as _;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use futures::StreamExt as _;
use kube::api::{Api, DynamicObject};
use kube::runtime::watcher;
use reeve_tests::tenant::Tenant;
use reeve_tests::{Estate, objects};

use crate::floor::Floor;
use crate::spread::Spread;

const ROUNDS: usize = 30;
/// Before the rounds that count: connections are opened, discovery is read.
const WARM_UP: usize = 3;
const PATIENCE: Duration = Duration::from_secs(60);

/// The goals: p50 of push to applied, and resident memory with one tenant.
const GOAL: Duration = Duration::from_millis(100);
const GOAL_KIB: u64 = 60 << 10;

pub(crate) async fn bench() -> anyhow::Result<()> {
    let estate = Estate::start().await?;
    let tenant = estate.healthy_tenant("bench").await?;
    tenant
        .push(&[
            ("deployment.yaml", Some(DEPLOYMENT)),
            ("account.yaml", Some(ACCOUNT)),
        ])
        .await?;
    let floor = Floor::new(&estate, &tenant).await?;
    let (mut pushes, mut floors) = (Vec::new(), Vec::new());
    let mut values = Watched::begin(tenant.api("v1", "ConfigMap"), "settings").await?;
    for round in 0..WARM_UP + ROUNDS {
        let push = round_trip(&tenant, &mut values, round).await?;
        let least = floor.measure(round).await?;
        if round >= WARM_UP {
            pushes.push(push);
            floors.push(least);
        }
    }
    let resident = estate
        .controller
        .resident_kib()
        .context("the controller runs")?;
    report(pushes, floors, resident)?;
    Ok(())
}

pub(crate) const DEPLOYMENT: &str = "\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
spec:
  selector:
    matchLabels:
      app: web
  template:
    metadata:
      labels:
        app: web
    spec:
      containers:
        - name: web
          image: registry.example/web:1
";
pub(crate) const ACCOUNT: &str = "apiVersion: v1\nkind: ServiceAccount\nmetadata:\n  name: web\n";

pub(crate) fn settings(round: usize) -> String {
    format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: settings\ndata:\n  colour: '{round}'\n"
    )
}

/// Pushes, calls the hook, and measures from the call until the object is seen to have changed.
pub(crate) async fn round_trip(
    tenant: &Tenant<'_>,
    values: &mut Watched,
    round: usize,
) -> anyhow::Result<Duration> {
    let commit = tenant.commit([("settings.yaml", Some(settings(round)))])?;
    let hook = tenant.hook_url().await?;
    let client = reqwest::Client::new();
    let called = Instant::now();
    let call = client.post(hook).send();
    let value = round.to_string();
    let (answer, seen) = tokio::join!(call, values.until(&value));
    answer?.error_for_status().context("calling the hook")?;
    let took = seen?.duration_since(called);
    // The run ends with its status; the next round begins after it.
    tenant.applied(&commit).await?;
    Ok(took)
}

/// An object's values, as a watch brings them.
pub(crate) struct Watched {
    events: futures::stream::BoxStream<'static, watcher::Result<watcher::Event<DynamicObject>>>,
}

impl Watched {
    pub(crate) async fn begin(api: Api<DynamicObject>, name: &str) -> anyhow::Result<Self> {
        let config = watcher::Config::default().fields(&format!("metadata.name={name}"));
        let mut events = watcher(api, config).boxed();
        while let Some(event) = events.next().await {
            if matches!(event?, watcher::Event::InitDone) {
                break;
            }
        }
        Ok(Self { events })
    }

    pub(crate) async fn until(&mut self, value: &str) -> anyhow::Result<Instant> {
        let wait = async {
            while let Some(event) = self.events.next().await {
                if let watcher::Event::Apply(object) = event?
                    && objects::text(&object.data, "/data/colour") == Some(value)
                {
                    return Ok(Instant::now());
                }
            }
            anyhow::bail!("the watch ended")
        };
        tokio::time::timeout(PATIENCE, wait)
            .await
            .context("the change was not seen")?
    }
}

fn report(pushes: Vec<Duration>, floors: Vec<Duration>, resident: u64) -> std::io::Result<()> {
    let (push, least) = (Spread::of(pushes), Spread::of(floors));
    let mut out = std::io::stdout().lock();
    let profile = if cfg!(debug_assertions) {
        "dev"
    } else {
        "release"
    };
    writeln!(
        out,
        "| {profile} build, {ROUNDS} rounds | p50 | p90 | goal |"
    )?;
    writeln!(out, "|---|---|---|---|")?;
    let ms = |time: Duration| format!("{:.1} ms", time.as_secs_f64() * 1000.0);
    let row = |name: &str, spread: &Spread, goal: &str| {
        format!(
            "| {name} | {} | {} | {goal} |",
            ms(spread.p50),
            ms(spread.p90)
        )
    };
    writeln!(
        out,
        "{}",
        row("push to applied, after the hook", &push, &ms(GOAL))
    )?;
    writeln!(
        out,
        "{}",
        row(
            "floor: ls-remote, one apply, two status patches",
            &least,
            ""
        )
    )?;
    let ratio = |a: Duration, b: Duration| a.as_secs_f64() / b.as_secs_f64().max(f64::EPSILON);
    let (p50, p90) = (ratio(push.p50, least.p50), ratio(push.p90, least.p90));
    writeln!(out, "| ratio | {p50:.1} | {p90:.1} | |")?;
    let (mib, goal) = (resident.div_ceil(1024), GOAL_KIB / 1024);
    writeln!(
        out,
        "| resident memory, one tenant | {mib} MiB | | {goal} MiB |"
    )
}
