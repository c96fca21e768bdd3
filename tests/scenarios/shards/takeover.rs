//! How soon what a killed replica had goes on at the others: until the last of its tenants has a run there.
//!
//! Three times; with `REEVE_SOAK` 20 times (`REEVE_ROUNDS`). How long it takes is measured from the kill, and printed; with
//! `REEVE_SOAK` it has to be below five seconds.

use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use reeve_tests::controller::Controller;
use reeve_tests::tenant::Tenant;
use reeve_tests::{scenario, wait};

use super::{PATIENCE, TENANTS, Trio};

/// What 99 of 100 takeovers stay below.
const TAKEOVER: Duration = Duration::from_secs(5);
/// How often is asked who has a tenant.
const ATTEMPTS: usize = 5;

fn rounds() -> usize {
    let set = std::env::var("REEVE_ROUNDS").ok();
    let set = set.and_then(|rounds| rounds.parse().ok());
    let is_soak = std::env::var_os("REEVE_SOAK").is_some();
    set.unwrap_or(if is_soak { 20 } else { 3 })
}

/// Who has it now: it is asked for a run, which one replica has. One that is just about to move is asked again.
async fn owner(trio: &Trio, tenant: &Tenant<'_>) -> anyhow::Result<usize> {
    for attempt in 0..ATTEMPTS {
        let before = trio.runs(tenant).await?;
        let token = format!("{attempt}-{:016x}", rand::random::<u64>());
        tenant
            .annotate("reconcile.fluxcd.io/requestedAt", Some(&token))
            .await?;
        let has_run = || async {
            let now = trio.runs(tenant).await.ok()?;
            (now != before).then_some(())
        };
        wait::until(PATIENCE, "a replica has a run of it", has_run).await?;
        if let Ok(owner) = trio.owner_since(tenant, before).await {
            return Ok(owner);
        }
    }
    bail!("{} is always worked for by several", tenant.name())
}

/// Kills one that has tenants, another each round, and waits until each of them has a run elsewhere. How long that took, and how
/// many they were.
async fn killed(
    trio: &Trio,
    round: usize,
    tenants: &[Tenant<'_>],
) -> anyhow::Result<(Duration, usize)> {
    let mut owners = Vec::new();
    for tenant in tenants {
        owners.push(owner(trio, tenant).await?);
    }
    let mut turns = (round..round + 3).map(|nth| nth % 3);
    let victim = turns.find(|nth| owners.contains(nth));
    let victim = victim.context("somebody has tenants")?;
    let mut of_victim = Vec::new();
    for (tenant, owner) in tenants.iter().zip(owners) {
        if owner == victim {
            of_victim.push((tenant, elsewhere(trio, victim, tenant).await?));
        }
    }
    let replica = trio.replicas()[victim];
    replica.kill();
    let begun = Instant::now();
    let number = of_victim.len();
    let mut ticks = tokio::time::interval(Duration::from_millis(20));
    while let Some((tenant, before)) = of_victim.last() {
        ensure!(
            begun.elapsed() < PATIENCE,
            "nobody goes on with {}",
            tenant.name()
        );
        if elsewhere(trio, victim, tenant).await? > *before {
            of_victim.pop();
            continue;
        }
        ticks.tick().await;
    }
    let took = begun.elapsed();
    replica.restart().await?;
    Ok((took, number))
}

/// How many runs the others have had of the tenant's Kustomization.
async fn elsewhere(trio: &Trio, victim: usize, tenant: &Tenant<'_>) -> anyhow::Result<f64> {
    let runs = trio.runs(tenant).await?;
    let others = runs.iter().enumerate().filter(|(nth, _)| *nth != victim);
    Ok(others.map(|(_, runs)| runs).sum())
}

/// All three have their parts again, and nothing of them is on its way.
async fn settled(trio: &Trio) -> anyhow::Result<()> {
    let all: [&Controller; 3] = trio.replicas();
    trio.until_all_see(&all).await
}

#[test]
fn what_a_killed_replica_had_goes_on_at_the_others_within_five_seconds() {
    scenario(async {
        let trio = Trio::start().await?;
        let mut tenants = Vec::new();
        for _ in 0..TENANTS {
            tenants.push(trio.estate.healthy_tenant("taken").await?);
        }
        let rounds = rounds();
        let mut took = Vec::new();
        for round in 0..rounds {
            let what = || format!("kill {} of {rounds}", round + 1);
            let (time, number) = killed(&trio, round, &tenants).await.with_context(what)?;
            eprintln!(
                "kill {}: its {number} tenants had runs elsewhere after {time:.2?}",
                round + 1
            );
            took.push(time);
            settled(&trio).await.with_context(what)?;
        }
        took.sort_unstable();
        let at = |share: usize| {
            let nth = (took.len() * share).div_ceil(100).saturating_sub(1);
            took.get(nth).copied().unwrap_or_default()
        };
        let (half, most) = (at(50), at(99));
        eprintln!("{rounds} kills: takeover p50 {half:.2?}, p99 {most:.2?}");
        let is_soak = std::env::var_os("REEVE_SOAK").is_some();
        ensure!(!is_soak || most < TAKEOVER, "p99 is {most:?}");
        Ok(())
    });
}
