//! One repository with a directory for each of many: a push that touches one is work for one.

use std::time::Duration;

use anyhow::ensure;
use futures::{StreamExt as _, TryStreamExt as _};
use kube::api::{DeleteParams, ListParams};
use reeve_api::reason::Reason;
use reeve_tests::controller::sum;
use reeve_tests::install::CONFIG;
use reeve_tests::tenant::Tenant;
use reeve_tests::{Estate, objects, scenario, wait};
use serde_json::{Value, json};

use crate::outage::rough;

/// How many directories there are.
const MANY: usize = 200;
const PATIENCE: Duration = Duration::from_secs(180);
/// How many calls are under way at once.
const AT_ONCE: usize = 16;

fn name(at: usize) -> String {
    format!("app-{at:03}")
}

fn file(at: usize, version: &str) -> (String, Option<String>) {
    let name = name(at);
    let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"version": version}});
    (format!("apps/{name}/map.yaml"), Some(map.to_string()))
}

fn kustomization(tenant: &Tenant<'_>, at: usize) -> Value {
    let namespace = tenant.name();
    json!({
        "apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization",
        "metadata": {"name": name(at), "namespace": namespace},
        "spec": {
            "interval": "1h", "path": format!("./apps/{}", name(at)), "prune": true,
            "serviceAccountName": "flux", "targetNamespace": namespace,
            "sourceRef": {"kind": "GitRepository", "name": namespace, "namespace": CONFIG},
        },
    })
}

/// Waits until each of them is Ready at this commit.
async fn all_at(tenant: &Tenant<'_>, commit: &str) -> anyhow::Result<()> {
    let api = tenant.kustomizations();
    wait::until(PATIENCE, "all are Ready at the commit", || async {
        let all = api.list(&ListParams::default().match_any()).await.ok()?;
        let there = all.iter().filter(|one| {
            let applied = objects::text(&one.data, "/status/lastAppliedRevision");
            let ready = objects::condition(&one.data, "Ready").unwrap_or_default();
            ready.status == "True" && applied.is_some_and(|it| it.ends_with(commit))
        });
        (there.count() == MANY).then_some(())
    })
    .await
}

/// What the controller has done since it was started.
struct Done {
    fetches: usize,
    archives: f64,
    built: f64,
    kept: f64,
    written: f64,
}

async fn done(estate: &Estate) -> anyhow::Result<Done> {
    let seen = estate.controller.metrics().await?;
    let renders = |result| sum(&seen, &["reeve_render_duration_seconds_count", result]);
    let actions = |action| sum(&seen, &["reeve_applied_objects", action]);
    let asked = estate.git.seen();
    let fetch = |body: &[u8]| body.windows(13).any(|window| window == b"command=fetch");
    Ok(Done {
        fetches: asked.iter().filter(|one| fetch(&one.body)).count(),
        archives: sum(&seen, &["reeve_fetch_duration_seconds_count", "\"stored\""]),
        built: renders("\"built\""),
        kept: renders("\"kept\""),
        written: actions("\"created\"") + actions("\"configured\"") + actions("\"deleted\""),
    })
}

#[test]
fn a_push_to_one_of_two_hundred_directories_is_fetched_once_and_builds_and_writes_one() {
    scenario(async {
        let (_turn, estate) = rough().await?;
        let tenant = estate.healthy_tenant("monorepo").await?;
        let first = tenant.kustomizations();
        first
            .delete(tenant.name(), &DeleteParams::default())
            .await?;
        wait::until_gone(&first, tenant.name()).await?;
        let commit = tenant.commit((0..MANY).map(|at| file(at, "1")))?;
        tenant.call_hook().await?;
        tenant.source_told_of(Reason::Succeeded, &commit).await?;
        let make = async |at| tenant.apply(&kustomization(&tenant, at)).await;
        let made = futures::stream::iter((0..MANY).map(make)).buffer_unordered(AT_ONCE);
        made.try_collect::<()>().await?;
        all_at(&tenant, &commit).await?;

        let before = done(estate).await?;
        let commit = tenant.commit([file(MANY / 2, "2")])?;
        tenant.call_hook().await?;
        all_at(&tenant, &commit).await?;
        let after = done(estate).await?;
        ensure!(after.fetches == 1, "{} fetches", after.fetches);
        for (what, was, is, want) in [
            ("archives", before.archives, after.archives, 1.0),
            ("builds", before.built, after.built, 1.0),
            ("written objects", before.written, after.written, 1.0),
        ] {
            ensure!(is - was == want, "{} {what}, not {want}", is - was);
        }
        ensure!(
            after.kept - before.kept >= (MANY - 1) as f64,
            "the others looked"
        );
        let touched = tenant.api("v1", "ConfigMap").get(&name(MANY / 2)).await?;
        ensure!(objects::text(&touched.data, "/data/version") == Some("2"));
        Ok(())
    });
}
