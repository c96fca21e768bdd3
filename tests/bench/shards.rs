//! Many tenants, and three replicas that share them: onboarding all, a push to each, and one more in which a replica is killed.
//!
//! Told is how long each took until the last tenant had it, and what each replica had of it: tenants, processor time, memory.
//! The replicas run beside the API server and git on the same machine, so that the times say what sharing costs and
//! not what three machines would gain.

use std::io::Write as _;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use kube::api::DynamicObject;
use reeve_tests::chart::Release;
use reeve_tests::controller::{Controller, sum};
use reeve_tests::{Estate, wait};

use crate::tenants::estate::Many;
use crate::tenants::{applied, ready};

/// How long the replicas may take to see each other.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) async fn bench(number: usize) -> anyhow::Result<()> {
    let release = Release::sharing(3).await?;
    let estate = Estate::start_from(&release, &[]).await?;
    let start = |name| Controller::start_from(&release, name, &estate.plane, &[]);
    let others = [start("reeve-second").await?, start("reeve-third").await?];
    let [second, third] = &others;
    let replicas = [&estate.controller, second, third];
    for replica in replicas {
        let sees = || async {
            let seen = replica.sample(&["reeve_shard_members"]).await.ok()?;
            (seen >= 3.0).then_some(())
        };
        wait::until(PATIENCE, "three replicas share the work", sees).await?;
    }
    let many = Many::new(&estate, number).await?;
    let heads = many.commits(0).await?;
    let onboard = timed(&many, "onboarding", many.onboard(), &heads).await?;
    let heads = many.commits(1).await?;
    let push = timed(&many, "a push to each", many.ask_sources("push"), &heads).await?;
    let had = told(&replicas).await?;
    let heads = many.commits(2).await?;
    let pushing = async {
        many.ask_sources("killed").await?;
        second.kill();
        Ok(())
    };
    let killed = timed(&many, "a push in which one is killed", pushing, &heads).await?;
    let mut out = std::io::stdout().lock();
    writeln!(out, "\n| {number} tenants, three replicas | s |\n|---|---|")?;
    for (what, took) in [
        ("onboarding", onboard),
        ("a push to each", push),
        ("a push in which one is killed", killed),
    ] {
        writeln!(out, "| {what} | {:.1} |", took.as_secs_f64())?;
    }
    writeln!(
        out,
        "\n| replica | tenants | processor, core-s | resident |\n|---|---|---|---|"
    )?;
    for (nth, had) in had.iter().enumerate() {
        let (tenants, processor, resident) = had;
        let processor = processor.as_secs_f64();
        writeln!(
            out,
            "| {nth} | {tenants:.0} | {processor:.1} | {} MiB |",
            resident >> 10
        )?;
    }
    Ok(())
}

/// Does something to all tenants, and waits until each has its head.
async fn timed(
    many: &Many<'_>,
    what: &str,
    begin: impl Future<Output = anyhow::Result<()>>,
    heads: &[String],
) -> anyhow::Result<Duration> {
    let begun = Instant::now();
    begin.await?;
    let done = |at: usize, ks: &DynamicObject| {
        let head = heads.get(at);
        ready(ks) && head.is_some_and(|head| applied(ks).ends_with(head))
    };
    many.until(what, done).await?;
    Ok(begun.elapsed())
}

/// What each replica has, and has used.
async fn told(replicas: &[&Controller; 3]) -> anyhow::Result<Vec<(f64, Duration, u64)>> {
    let mut all = Vec::new();
    for replica in replicas {
        let tenants = sum(&replica.metrics().await?, &["reeve_shard_tenants"]);
        let processor = replica.processor().context("it runs")?;
        let resident = replica.resident_kib().context("it runs")?;
        all.push((tenants, processor, resident));
    }
    Ok(all)
}
