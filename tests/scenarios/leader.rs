//! Two replicas, of which one works: who loses the lease writes nothing more, stands by, and leads again when it is its
//! turn, all in one process. Both are called by forges.

use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use k8s_openapi::api::coordination::v1::Lease;
use kube::api::{Api, Patch, PatchParams};
use reeve_api::reason::Reason;
use reeve_tests::controller::{Controller, sum};
use reeve_tests::install::SYSTEM;
use reeve_tests::{Estate, scenario, wait};
use serde_json::json;

use crate::outage::{ATTEMPTS, OBJECTS, begun, items};

/// Longer than losing the lease and waiting for another's to run out take together.
const PATIENCE: Duration = Duration::from_secs(90);

/// What one look at a replica's metrics shows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Glance {
    leads: bool,
    /// Changes that the API server has answered. Leases are replaced, and Events created: they are not among them.
    writes: f64,
}

async fn glance(replica: &Controller) -> anyhow::Result<Glance> {
    let seen = replica.metrics().await?;
    let of = |method: &str| {
        let method = format!("method=\"{method}\"");
        sum(&seen, &["rest_client_requests_total", &method])
    };
    Ok(Glance {
        leads: sum(&seen, &["reeve_leader"]) > 0.0,
        writes: of("PATCH") + of("DELETE"),
    })
}

pub(super) async fn until_it_leads(replica: &Controller, leads: bool) -> anyhow::Result<Glance> {
    let what = format!("the replica leads: {leads}");
    wait::until(PATIENCE, &what, || async {
        glance(replica)
            .await
            .ok()
            .filter(|seen| seen.leads == leads)
    })
    .await
}

/// Waits until one of the two leads, and sees that neither writes as long as it doesn't. True: the first does.
async fn until_one_leads(replicas: [&Controller; 2], idle: [f64; 2]) -> anyhow::Result<bool> {
    let begun = Instant::now();
    let mut ticks = tokio::time::interval(Duration::from_millis(50));
    while begun.elapsed() < PATIENCE {
        ticks.tick().await;
        let seen = [glance(replicas[0]).await?, glance(replicas[1]).await?];
        for (seen, idle) in seen.iter().zip(idle) {
            ensure!(
                seen.leads || seen.writes == idle,
                "written by who does not lead: {seen:?}, not {idle}"
            );
        }
        ensure!(!(seen[0].leads && seen[1].leads), "both lead");
        if seen[0].leads || seen[1].leads {
            return Ok(seen[0].leads);
        }
    }
    bail!("nobody leads after {PATIENCE:?}")
}

/// An estate whose controller leads, and a second one that stands by.
async fn two() -> anyhow::Result<(Estate, Controller)> {
    let estate = Estate::start_with(&[]).await?;
    until_it_leads(&estate.controller, true).await?;
    let other = Controller::start_as("reeve-other", &estate.plane, &[]).await?;
    Ok((estate, other))
}

async fn hook_code(replica: &Controller, path: &str) -> anyhow::Result<u16> {
    let answer = reqwest::Client::new().post(replica.hook_url(path)).send();
    Ok(answer.await?.status().as_u16())
}

#[test]
fn an_api_server_that_stalls_for_longer_than_the_lease_leaves_two_replicas_of_which_one_leads() {
    scenario(async {
        let (estate, other) = two().await?;
        let first = &estate.controller;
        ensure!(!glance(&other).await?.leads, "two leaders");
        for attempt in 0..ATTEMPTS {
            let count = OBJECTS << attempt;
            let tenant = estate.healthy_tenant("stalled").await?;
            let commit = begun(&tenant, count).await?;
            if items(&tenant).await? >= count {
                continue;
            }
            estate.plane.stall_api();
            let stalled = Instant::now();
            let lost = until_it_leads(first, false).await?;
            let idle = [lost.writes, glance(&other).await?.writes];
            ensure!(
                hook_code(first, "/hook/any").await? == 503,
                "it still takes hooks"
            );
            wait::until(PATIENCE, "the lease has run out", || async {
                (stalled.elapsed() > Duration::from_secs(17)).then_some(())
            })
            .await?;
            estate.plane.resume_api();
            until_one_leads([first, &other], idle).await?;
            // Both are alive, and what was cut off comes to its end.
            first.ready().await?;
            other.ready().await?;
            let told = Reason::ReconciliationSucceeded;
            tenant.told_within(PATIENCE, told, &commit).await?;
            ensure!(items(&tenant).await? == count);
            let now = [glance(first).await?.leads, glance(&other).await?.leads];
            ensure!(now[0] != now[1], "{now:?} lead");
            return Ok(());
        }
        bail!("the API server was never stalled in time")
    });
}

#[test]
fn a_call_that_comes_to_a_replica_that_stands_by_is_passed_on_to_the_one_that_works() {
    scenario(async {
        let (estate, other) = two().await?;
        let tenant = estate.healthy_tenant("called").await?;
        // Nobody comes upon anything by itself.
        tenant
            .change(|draft| draft.set_source("interval", json!("1h")))
            .await?;
        let path = tenant.hook_url().await?;
        let (_, path) = path.split_once("/hook/").context("a path")?;
        let path = format!("/hook/{path}");
        wait::until(PATIENCE, "it knows all Receivers", || async {
            (hook_code(&other, "/hook/any").await.ok()? == 404).then_some(())
        })
        .await?;
        for colour in ["red", "blue"] {
            let settings = json!({
                "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}, "data": {"colour": colour},
            });
            let commit = tenant.commit([("settings.yaml", Some(settings.to_string()))])?;
            ensure!(hook_code(&other, &path).await? == 200);
            tenant.applied(&commit).await?;
        }
        let runs = ["gotk_reconcile_duration_seconds_count"];
        ensure!(other.sample(&runs).await? == 0.0, "it works");
        ensure!(!glance(&other).await?.leads);
        ensure!(hook_code(&other, "/hook/none").await? == 404);
        Ok(())
    });
}

/// The Lease of whoever leads.
async fn lease(estate: &Estate) -> anyhow::Result<(Api<Lease>, String)> {
    let leases: Api<Lease> = Api::namespaced(estate.admin(), SYSTEM);
    let all = leases.list(&Default::default()).await?.items;
    let lease = all.into_iter().next().context("there is a lease")?;
    Ok((leases, lease.metadata.name.context("it has a name")?))
}

/// Others count from what was renewed last: whose every renewal comes to a conflict would lead on while another begins.
#[test]
fn a_lease_that_others_write_to_all_the_time_is_renewed_all_the_same() {
    scenario(async {
        let estate = Estate::start_with(&[]).await?;
        until_it_leads(&estate.controller, true).await?;
        let (leases, name) = lease(&estate).await?;
        let mut ticks = tokio::time::interval(Duration::from_millis(100));
        let mut renewed = std::collections::BTreeSet::new();
        let begun = Instant::now();
        let (mut written, mut term) = (0, None);
        while renewed.len() < 5 {
            ensure!(
                begun.elapsed() < PATIENCE,
                "renewed {} times",
                renewed.len()
            );
            ticks.tick().await;
            written += 1;
            let note =
                json!({"metadata": {"annotations": {"acme.example/note": written.to_string()}}});
            let params = PatchParams::default();
            let now = leases.patch(&name, &params, &Patch::Merge(&note)).await?;
            let spec = now.spec.context("it says since when")?;
            let since = *term.get_or_insert(spec.lease_transitions);
            ensure!(since == spec.lease_transitions, "it was taken over");
            renewed.extend(spec.renew_time.map(|time| time.0));
        }
        ensure!(glance(&estate.controller).await?.leads);
        Ok(())
    });
}

#[test]
fn a_lease_that_is_taken_away_in_the_middle_of_an_apply_ends_the_writing_until_it_is_had_again() {
    scenario(async {
        let estate = Estate::start_with(&[]).await?;
        let only = &estate.controller;
        until_it_leads(only, true).await?;
        let (leases, name) = lease(&estate).await?;
        for attempt in 2..2 + ATTEMPTS {
            let count = OBJECTS << attempt;
            let tenant = estate.healthy_tenant("robbed").await?;
            let commit = begun(&tenant, count).await?;
            let theft = json!({"spec": {"holderIdentity": "thief", "leaseDurationSeconds": 5}});
            leases
                .patch(&name, &PatchParams::default(), &Patch::Merge(&theft))
                .await?;
            let lost = until_it_leads(only, false).await?;
            let there = items(&tenant).await?;
            until_it_leads_again(only, lost.writes).await?;
            let told = Reason::ReconciliationSucceeded;
            tenant.told_within(PATIENCE, told, &commit).await?;
            ensure!(items(&tenant).await? == count);
            if there < count {
                return Ok(());
            }
        }
        bail!("the lease was never taken in time")
    });
}

/// A write that was answered a moment before the loss may be counted a moment after it; none comes later.
pub(super) async fn until_it_leads_again(replica: &Controller, at_loss: f64) -> anyhow::Result<()> {
    let idle = glance(replica).await?.writes;
    ensure!(
        idle - at_loss <= 1.0,
        "{at_loss} writes at the loss, {idle} now"
    );
    until_one_leads([replica, replica], [idle; 2])
        .await
        .map(drop)
        .or_else(|why| {
            // It is both of the two: that both lead is what is waited for.
            if why.to_string() == "both lead" {
                Ok(())
            } else {
                Err(why)
            }
        })
}
