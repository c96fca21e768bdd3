//! Many tenants at once: how long they wait, and what that costs, beside the least that any controller must do.
//!
//! Each has a repository of four objects, a namespace with an account, a GitRepository among the platform's sources and a
//! Kustomization. Measured are onboarding all of them, a push to every repository, a request to reconcile everything while
//! nothing is new, single pushes, and a while in which nothing happens; then, with the controller stopped, the floor. Of the
//! pushes it is also told where their time went, and the API server's share of the processor time of both.

pub(crate) mod estate;
mod floor;
pub(crate) mod spans;

use std::io::Write as _;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use kube::api::DynamicObject;
use reeve_tests::{Estate, objects};

use crate::spread::Spread;
use estate::Many;

const SINGLE: usize = 20;
const IDLE: Duration = Duration::from_secs(30);
/// Between two phases: what the one leaves to be done is not the next one's.
const PAUSE: Duration = Duration::from_secs(3);

/// What one phase took.
struct Phase {
    name: &'static str,
    took: Duration,
    controller: Duration,
    api: Duration,
    resident: u64,
}

pub(crate) async fn bench(number: usize) -> anyhow::Result<()> {
    let estate = Estate::start().await?;
    let many = Many::new(&estate, number).await?;
    let mut phases = Vec::new();
    let mut heads = many.commits(0).await?;
    let is_at = |heads: &[String], at: usize, ks: &DynamicObject| {
        ready(ks)
            && heads
                .get(at)
                .is_some_and(|head| applied(ks).ends_with(head))
    };
    let onboard = phase(&many, "onboard", many.onboard(), |at, ks| {
        is_at(&heads, at, ks)
    });
    phases.push(onboard.await?);
    heads = many.commits(1).await?;
    let before = estate.controller.metrics().await?;
    let push = phase(&many, "push", many.ask_sources("push"), |at, ks| {
        is_at(&heads, at, ks)
    });
    phases.push(push.await?);
    let pushed = (before, estate.controller.metrics().await?);
    let asked = |ks: &DynamicObject| {
        objects::text(&ks.data, "/status/lastHandledReconcileAt") == Some("noop")
    };
    let noop = phase(&many, "nothing new", many.ask_all("noop"), |_, ks| {
        ready(ks) && asked(ks)
    });
    phases.push(noop.await?);
    let mut single = Vec::new();
    let before = estate.controller.metrics().await?;
    for round in 0..SINGLE {
        single.push(many.push_one(round % number, 2 + round).await?);
    }
    let alone = (before, estate.controller.metrics().await?);
    let used = || estate.controller.processor().context("it runs");
    let begun = used()?;
    pass(IDLE).await;
    let idle = used()?.saturating_sub(begun).div_duration_f64(IDLE);
    estate.controller.kill();
    let begun = estate.plane.api_processor().context("it runs")?;
    let least = many.floor().await?;
    let least_api = estate
        .plane
        .api_processor()
        .context("it runs")?
        .saturating_sub(begun);
    report(
        number,
        &phases,
        (least, least_api),
        Spread::of(single),
        idle,
    )?;
    spans::report("where the time of the push went", &pushed.0, &pushed.1)?;
    spans::report("where that of the single pushes went", &alone.0, &alone.1)?;
    Ok(())
}

/// Does something to all tenants, and measures until each is as `done` says.
async fn phase(
    many: &Many<'_>,
    name: &'static str,
    begin: impl Future<Output = anyhow::Result<()>>,
    done: impl Fn(usize, &DynamicObject) -> bool,
) -> anyhow::Result<Phase> {
    let (controller, plane) = (&many.estate.controller, &many.estate.plane);
    let used = || Some((controller.processor()?, plane.api_processor()?));
    let before = used().context("both run")?;
    let begun = Instant::now();
    begin.await?;
    many.until(name, done).await?;
    let took = begun.elapsed();
    let after = used().context("both run")?;
    let resident = controller.resident_kib().context("it runs")?;
    pass(PAUSE).await;
    Ok(Phase {
        name,
        took,
        controller: after.0.saturating_sub(before.0),
        api: after.1.saturating_sub(before.1),
        resident,
    })
}

/// Lets so much time pass: it is what is measured, or what nobody is to be charged for.
async fn pass(time: Duration) {
    let mut window = tokio::time::interval(time);
    window.tick().await;
    window.tick().await;
}

pub(crate) fn ready(ks: &DynamicObject) -> bool {
    objects::condition(&ks.data, "Ready").is_some_and(|ready| ready.status == "True")
}

pub(crate) fn applied(ks: &DynamicObject) -> &str {
    objects::text(&ks.data, "/status/lastAppliedRevision").unwrap_or_default()
}

fn report(
    number: usize,
    phases: &[Phase],
    floor: (Duration, Duration),
    single: Spread,
    idle: f64,
) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    let secs = Duration::as_secs_f64;
    writeln!(
        out,
        "\n| {number} tenants | s | times the floor | controller, core-s | API server, core-s | its share | resident after |"
    )?;
    writeln!(out, "|---|---|---|---|---|---|---|")?;
    for one in phases {
        writeln!(
            out,
            "| {} | {:.1} | {:.2} | {:.2} | {:.2} | {:.0} % | {} MiB |",
            one.name,
            secs(&one.took),
            one.took.div_duration_f64(floor.0),
            secs(&one.controller),
            secs(&one.api),
            100.0 * spans::share(one.controller, one.api),
            one.resident >> 10,
        )?;
    }
    writeln!(
        out,
        "| floor | {:.1} | 1 | | {:.2} | | |",
        secs(&floor.0),
        secs(&floor.1)
    )?;
    let millis = |time: Duration| secs(&time) * 1e3;
    writeln!(
        out,
        "\nA single push: p50 {:.0} ms, p90 {:.0} ms. While nothing happens: {:.2} % of a core.",
        millis(single.p50),
        millis(single.p90),
        idle * 100.0
    )
}
