//! From one object for each of a hundred tenants to the first apply of all of them.
//!
//! A Tenant names its repository of four objects; what it needs beside that (namespace, account, roles, source, Kustomization) is the
//! landlord's to make. Measured is from the first Tenant that is written until every Kustomization has applied its commit, and it fails
//! when that takes longer than was promised.

use std::io::Write as _;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use kube::api::DynamicObject;
use reeve_tests::Estate;
use reeve_tests::landlord::Landlord;
use serde_json::json;

use crate::promise::held;
use crate::tenants::estate::{Many, name};
use crate::tenants::{applied, ready};

const NUMBER: usize = 100;
/// What is promised.
const GOAL: Duration = Duration::from_secs(20);

pub(crate) async fn bench() -> anyhow::Result<()> {
    let estate = Estate::start().await?;
    let _landlord = Landlord::start(&estate.plane).await?;
    let many = Many::bare(&estate, NUMBER)?;
    let heads = many.commits(0).await?;
    let used = || {
        let controller = estate.controller.processor()?;
        Some((controller, estate.plane.api_processor()?))
    };
    let before = used().context("both run")?;
    let begun = Instant::now();
    many.each(async |at| {
        let tenant = json!({
            "apiVersion": "reeve.dev/v1alpha1", "kind": "Tenant",
            "spec": {"namespaces": [name(at)], "source": {"url": estate.git.url(&name(at))}},
        });
        let tenants = many.api("reeve.dev/v1alpha1", "Tenant", None);
        many.apply(tenants, &name(at), &tenant).await
    })
    .await?;
    let written = begun.elapsed();
    let is_there = |at: usize, ks: &DynamicObject| {
        let head = heads.get(at);
        ready(ks) && head.is_some_and(|head| applied(ks).ends_with(head))
    };
    many.until("onboarding", is_there).await?;
    let took = begun.elapsed();
    let after = used().context("both run")?;
    let secs = |time: Duration| time.as_secs_f64();
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "\n| {NUMBER} Tenants | written, s | all applied, s | promised, s | controller, core-s | API server, core-s |"
    )?;
    writeln!(out, "|---|---|---|---|---|---|")?;
    writeln!(
        out,
        "| onboard | {:.1} | {:.1} | {:.0} | {:.2} | {:.2} |",
        secs(written),
        secs(took),
        secs(GOAL),
        secs(after.0.saturating_sub(before.0)),
        secs(after.1.saturating_sub(before.1)),
    )?;
    let what = format!("that {NUMBER} Tenants are onboarded");
    held(&what, secs(took), secs(GOAL), " s")
}
