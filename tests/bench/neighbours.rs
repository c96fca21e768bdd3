//! What a tenant waits longer because others' plugins misbehave.
//!
//! Four neighbours ask for one reconcile after the other, each of which calls a plugin that never ends, so that every
//! place and every core is wanted all the time. A tenant's push to the applied object is measured without them and beside
//! them, in turns, so that whatever else the machine does falls on both.

use std::io::Write as _;
use std::time::Duration;

use anyhow::Context as _;
use futures::future::try_join_all;
use reeve_tests::tenant::Tenant;
use reeve_tests::{Estate, guest};
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::push::{Watched, round_trip};
use crate::spread::Spread;

const NEIGHBOURS: usize = 4;
/// Turns of each kind, and rounds in a turn.
const TURNS: usize = 6;
const ROUNDS: usize = 10;

/// How long it is watched how busy the controller is.
const WINDOW: Duration = Duration::from_millis(500);
const PATIENCE: Duration = Duration::from_secs(60);

/// The goal: beside the neighbours at most this many times what it takes alone.
const GOAL: f64 = 1.1;

pub(crate) async fn bench() -> anyhow::Result<()> {
    guest::install()?;
    let estate = Estate::start().await?;
    let tenant = estate.healthy_tenant("bench").await?;
    let mut neighbours = Vec::new();
    for number in 0..NEIGHBOURS {
        let neighbour = estate.healthy_tenant(&format!("hostile-{number}")).await?;
        neighbour.apply(&plugin(neighbour.name())).await?;
        neighbours.push(neighbour);
    }
    let (say, hear) = watch::channel(Turn::Quiet);
    let hostile = try_join_all(neighbours.iter().map(|one| misbehave(one, hear.clone())));
    let (times, _) = tokio::try_join!(measure(&tenant, &estate, say), hostile)?;
    report(times)?;
    Ok(())
}

fn plugin(tenant: &str) -> Value {
    json!({
        "apiVersion": "reeve.dev/v1alpha1", "kind": "Plugin", "metadata": {"name": "loops", "namespace": tenant},
        "spec": {"world": "transformer", "source": {"path": guest::LOOPS}},
    })
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Turn {
    Quiet,
    Beside,
    Over,
}

/// Asks for reconciles as fast as they end, while it is its turn.
async fn misbehave(tenant: &Tenant<'_>, mut turn: watch::Receiver<Turn>) -> anyhow::Result<()> {
    loop {
        let now = *turn.wait_for(|turn| *turn != Turn::Quiet).await?;
        if now == Turn::Over {
            return Ok(());
        }
        tenant.reconcile(None).await?;
    }
}

struct Times {
    alone: Vec<Duration>,
    beside: Vec<Duration>,
    /// Cores that the controller kept busy just before each turn with neighbours.
    busy: Vec<f64>,
}

async fn measure(
    tenant: &Tenant<'_>,
    estate: &Estate,
    say: watch::Sender<Turn>,
) -> anyhow::Result<Times> {
    let mut values = Watched::begin(tenant.api("v1", "ConfigMap"), "settings").await?;
    let mut times = Times {
        alone: Vec::new(),
        beside: Vec::new(),
        busy: Vec::new(),
    };
    let mut round = 0;
    // The first turn opens connections and reads discovery; it does not count.
    for turn in 0..=TURNS {
        for kind in [Turn::Quiet, Turn::Beside] {
            say.send(kind)?;
            let cores = settle(estate, kind).await?;
            if kind == Turn::Beside {
                times.busy.push(cores);
            }
            for _ in 0..ROUNDS {
                round += 1;
                let took = round_trip(tenant, &mut values, round).await?;
                match kind {
                    _ if turn == 0 => {}
                    Turn::Quiet => times.alone.push(took),
                    _ => times.beside.push(took),
                }
            }
        }
    }
    say.send(Turn::Over)?;
    Ok(times)
}

/// Waits until the neighbours' plugins run, or none runs any more, and says how many cores the controller keeps busy.
async fn settle(estate: &Estate, kind: Turn) -> anyhow::Result<f64> {
    let used = || estate.controller.processor().context("the controller runs");
    let settled = tokio::time::timeout(PATIENCE, async {
        let mut windows = tokio::time::interval(WINDOW);
        windows.tick().await;
        loop {
            let before = used()?;
            windows.tick().await;
            let cores = used()?.saturating_sub(before).div_duration_f64(WINDOW);
            if (kind == Turn::Beside && cores > 0.25) || (kind == Turn::Quiet && cores < 0.1) {
                return anyhow::Ok(cores);
            }
        }
    });
    settled.await.context("the neighbours do not settle")?
}

fn report(times: Times) -> std::io::Result<()> {
    let (alone, beside) = (Spread::of(times.alone), Spread::of(times.beside));
    let ms = |time: Duration| format!("{:.1} ms", time.as_secs_f64() * 1000.0);
    let ratio = |a: Duration, b: Duration| a.as_secs_f64() / b.as_secs_f64().max(f64::EPSILON);
    let busy = times.busy.iter().sum::<f64>() / times.busy.len().max(1) as f64;
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "| push to applied, {} rounds each | p50 | p90 |",
        TURNS * ROUNDS
    )?;
    writeln!(out, "|---|---|---|")?;
    writeln!(out, "| alone | {} | {} |", ms(alone.p50), ms(alone.p90))?;
    writeln!(
        out,
        "| beside {NEIGHBOURS} neighbours whose plugins never end ({busy:.1} cores) | {} | {} |",
        ms(beside.p50),
        ms(beside.p90)
    )?;
    let (p50, p90) = (ratio(beside.p50, alone.p50), ratio(beside.p90, alone.p90));
    writeln!(out, "| ratio, at most {GOAL} | {p50:.2} | {p90:.2} |")
}
