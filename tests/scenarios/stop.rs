//! Told to stop in the middle of an apply: what was begun is finished and told, and the lease is given back.

use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use k8s_openapi::api::coordination::v1::Lease;
use kube::api::Api;
use reeve_tests::install::SYSTEM;
use reeve_tests::{Estate, objects, scenario};

use crate::outage::{ATTEMPTS, OBJECTS, begun, items};

#[test]
fn a_controller_told_to_stop_finishes_what_it_applies_tells_it_and_gives_the_lease_back() {
    scenario(async {
        let estate = Estate::start_with(&[]).await?;
        let leases: Api<Lease> = Api::namespaced(estate.admin(), SYSTEM);
        for attempt in 0..ATTEMPTS {
            let count = OBJECTS << attempt;
            let tenant = estate.healthy_tenant("finished").await?;
            let commit = begun(&tenant, count).await?;
            let there = items(&tenant).await?;
            let told = Instant::now();
            let ended = estate.controller.stop(Duration::from_secs(60));
            let ended = ended.context("it ran")?;
            ensure!(
                ended.code() == Some(0),
                "{ended} after {:?}",
                told.elapsed()
            );
            ensure!(items(&tenant).await? == count, "the apply was not finished");
            let ks = tenant.kustomizations().get(tenant.name()).await?;
            let ready = objects::condition(&ks.data, "Ready").unwrap_or_default();
            let applied = objects::text(&ks.data, "/status/lastAppliedRevision");
            ensure!(
                ready.status == "True" && applied.is_some_and(|said| said.ends_with(&commit)),
                "half told: {ready:?} of {applied:?}"
            );
            let held: Vec<_> = leases
                .list(&Default::default())
                .await?
                .into_iter()
                .filter_map(|lease| lease.spec?.holder_identity)
                .filter(|holder| !holder.is_empty())
                .collect();
            ensure!(held.is_empty(), "the lease is still held by {held:?}");
            if there < count {
                return Ok(());
            }
            estate.controller.restart().await?;
        }
        bail!("the controller was never told in time")
    });
}
