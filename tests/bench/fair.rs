//! What a tenant waits longer because another has 500 Kustomizations that hang and fail.
//!
//! A tenant's push to the applied object is measured before the other tenant has them, and while all of them are tried again
//! and again. The kinds are those of the scenario (`tests/estate/crowd.rs`). It fails when the one in the middle of all pushes takes
//! longer than was promised; the slowest tell of the machine, too.

use std::io::Write as _;
use std::time::Duration;

use reeve_tests::Estate;
use reeve_tests::crowd::Crowd;
use reeve_tests::tenant::Tenant;

use crate::promise::held;
use crate::push::{Watched, round_trip};
use crate::spread::Spread;

const CROWD: usize = 500;
const WARM_UP: usize = 5;
const ROUNDS: usize = 40;

/// The goal: beside the crowd at most this many times what it takes alone.
const GOAL: f64 = 1.1;

pub(crate) async fn bench() -> anyhow::Result<()> {
    let estate = Estate::start().await?;
    let tenant = estate.healthy_tenant("bench").await?;
    let hostile = estate.healthy_tenant("hostile").await?;
    let mut values = Watched::begin(tenant.api("v1", "ConfigMap"), "settings").await?;
    let alone = measure(&tenant, &mut values, 0).await?;
    let crowd = Crowd::gather(&hostile, Crowd::each_of(CROWD)).await?;
    let beside = measure(&tenant, &mut values, WARM_UP + ROUNDS).await?;
    drop(crowd);
    report(&alone, &beside)?;
    let what =
        format!("a push beside {CROWD} that hang or fail, as a part of what it takes alone,");
    held(&what, ratio(beside.p50, alone.p50), GOAL, "")
}

async fn measure(tenant: &Tenant<'_>, values: &mut Watched, from: usize) -> anyhow::Result<Spread> {
    let mut times = Vec::new();
    for round in 0..WARM_UP + ROUNDS {
        let took = round_trip(tenant, values, from + round).await?;
        if round >= WARM_UP {
            times.push(took);
        }
    }
    Ok(Spread::of(times))
}

fn ratio(a: Duration, b: Duration) -> f64 {
    a.as_secs_f64() / b.as_secs_f64().max(f64::EPSILON)
}

fn report(alone: &Spread, beside: &Spread) -> std::io::Result<()> {
    let ms = |time: Duration| format!("{:.1} ms", time.as_secs_f64() * 1000.0);
    let mut out = std::io::stdout().lock();
    writeln!(out, "| push to applied, {ROUNDS} rounds each | p50 | p90 |")?;
    writeln!(out, "|---|---|---|")?;
    writeln!(out, "| alone | {} | {} |", ms(alone.p50), ms(alone.p90))?;
    let (p50, p90) = (ms(beside.p50), ms(beside.p90));
    writeln!(
        out,
        "| beside a tenant with {CROWD} that hang or fail | {p50} | {p90} |"
    )?;
    let (p50, p90) = (ratio(beside.p50, alone.p50), ratio(beside.p90, alone.p90));
    writeln!(out, "| ratio, at most {GOAL} | {p50:.2} | {p90:.2} |")
}
