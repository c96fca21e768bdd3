//! A run whose object is changed, suspended or deleted meanwhile leaves off, and its worker is free at once.

use anyhow::{bail, ensure};
use kube::api::{DeleteParams, Patch, PatchParams};
use reeve_tests::git::{Fault, HttpServer, Served};
use reeve_tests::tenant::Tenant;
use reeve_tests::{Estate, objects, scenario, wait};
use serde_json::{Value, json};
use std::time::Duration;

use crate::outage::{ATTEMPTS, OBJECTS, begun, items};

const SETTINGS: &str =
    "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: settings\ndata:\n  colour: red\n";

/// What is done to a source while it is fetched.
async fn act(what: &str, tenant: &Tenant<'_>, good: &str) -> anyhow::Result<()> {
    let change = match what {
        "suspended" => json!({"spec": {"suspend": true}}),
        "changed" => json!({"spec": {"url": good}}),
        _ => {
            let sources = tenant.sources();
            sources
                .delete(tenant.name(), &DeleteParams::default())
                .await?;
            return Ok(());
        }
    };
    let how = PatchParams::default();
    tenant
        .sources()
        .patch(tenant.name(), &how, &Patch::Merge(&change))
        .await?;
    Ok(())
}

#[test]
fn a_source_that_is_suspended_changed_or_deleted_is_no_longer_fetched() {
    scenario(async {
        let estate = Estate::start().await?;
        let silent = HttpServer::start(estate.repositories(), Served::default()).await?;
        for what in ["suspended", "changed", "deleted"] {
            let tenant = estate.healthy_tenant(what).await?;
            silent.fault(Fault::Slow(Duration::from_secs(3600)));
            fetch_for_an_hour(&tenant, &silent).await?;
            wait::until(wait::PATIENCE, "the fetch is under way", || async {
                (fetching(&estate).await? > 0.0).then_some(())
            })
            .await?;
            act(what, &tenant, &estate.git.url(tenant.name())).await?;
            let over = wait::until(wait::PATIENCE, "the fetch is over", || async {
                (fetching(&estate).await? == 0.0).then_some(())
            });
            over.await
                .map_err(|why| why.context(format!("when the source was {what}")))?;
        }
        Ok(())
    });
}

/// The tenant fetches from this server from now on, and waits for it as long as a source may.
async fn fetch_for_an_hour(tenant: &Tenant<'_>, server: &HttpServer) -> anyhow::Result<()> {
    tenant
        .change(|draft| draft.set_source("timeout", json!("59m")))
        .await?;
    let credential = [("username", "git"), ("password", "s3cret-of-nobody")];
    tenant
        .fetch_from(&server.url(tenant.name()), &credential)
        .await
}

/// How many sources are worked on.
async fn fetching(estate: &Estate) -> Option<f64> {
    let words = ["controller_runtime_active_workers", "\"gitrepository\""];
    estate.controller.sample(&words).await.ok()
}

#[test]
fn sources_that_never_answer_hold_up_nobody_else_and_say_what_they_wait_for() {
    scenario(async {
        let flags = ["--leader-elect=false", "--concurrent-sources=2"];
        let estate = Estate::start_with(&flags).await?;
        let other = estate.healthy_tenant("other").await?;
        let silent = HttpServer::start(estate.repositories(), Served::default()).await?;
        silent.fault(Fault::Slow(Duration::from_secs(3600)));
        for name in ["hung-a", "hung-b", "hung-c"] {
            let tenant = estate.healthy_tenant(name).await?;
            fetch_for_an_hour(&tenant, &silent).await?;
            wait::until(wait::PATIENCE, "it says that it is at work", || async {
                let source = tenant.sources().get(tenant.name()).await.ok()?;
                let working = objects::condition(&source.data, "Reconciling")?;
                (working.status == "True" && working.message.contains("new generation"))
                    .then_some(())
            })
            .await?;
        }
        ensure!(fetching(&estate).await == Some(3.0), "all of them hang");
        let commit = other.commit([("settings.yaml", Some(SETTINGS))])?;
        other.call_hook().await?;
        other.applied(&commit).await?;
        ensure!(fetching(&estate).await == Some(3.0), "and still do");
        Ok(())
    });
}

#[test]
fn an_artifact_that_left_the_store_is_made_again_and_that_of_a_deleted_source_goes() {
    scenario(async {
        let estate = Estate::start().await?;
        let tenant = estate.healthy_tenant("stored").await?;
        let (sources, name) = (tenant.sources(), tenant.name());
        let source = sources.get(name).await?;
        let url = objects::text(&source.data, "/status/artifact/url").map(str::to_owned);
        let url = url.unwrap_or_default();
        let answers = || async { anyhow::Ok(reqwest::get(&url).await?.status().as_u16()) };
        ensure!(answers().await? == 200, "{url}");

        for blob in std::fs::read_dir(estate.plane.room("storage-reeve")?.join("artifacts/blobs"))?
        {
            std::fs::remove_file(blob?.path())?;
        }
        ensure!(answers().await? == 404);
        tenant.call_hook().await?;
        wait::until(wait::PATIENCE, "it is served again", || async {
            (answers().await.ok()? == 200).then_some(())
        })
        .await?;

        sources.delete(name, &DeleteParams::default()).await?;
        wait::until(wait::PATIENCE, "it is no longer served", || async {
            (answers().await.ok()? == 404).then_some(())
        })
        .await
    });
}

#[test]
fn a_kustomization_suspended_in_the_middle_of_an_apply_leaves_off_and_forgets_nothing() {
    scenario(async {
        let estate = Estate::start().await?;
        let how = PatchParams::default();
        for attempt in 1..=ATTEMPTS {
            let count = OBJECTS << attempt;
            let tenant = estate.healthy_tenant("parked").await?;
            let kustomizations = tenant.kustomizations();
            let suspend = |on: bool| Patch::Merge(json!({"spec": {"suspend": on}}));
            let commit = begun(&tenant, count).await?;
            kustomizations
                .patch(tenant.name(), &how, &suspend(true))
                .await?;
            wait::until(wait::PATIENCE, "its run has ended", || async {
                let words = ["controller_runtime_active_workers", "\"kustomization\""];
                let active = estate.controller.sample(&words).await.ok()?;
                (active == 0.0).then_some(())
            })
            .await?;
            let there = items(&tenant).await?;
            if there == count {
                continue;
            }
            let ks = kustomizations.get(tenant.name()).await?;
            let told = ks.data.pointer("/status/inventory/entries");
            let told = told.and_then(Value::as_array).map_or(0, Vec::len);
            ensure!(
                told >= there,
                "{told} of {there} objects are in the inventory"
            );
            let ready = objects::condition(&ks.data, "Ready").unwrap_or_default();
            ensure!(ready.status == "True", "it stays what it was: {ready:?}");

            kustomizations
                .patch(tenant.name(), &how, &suspend(false))
                .await?;
            tenant.applied(&commit).await?;
            ensure!(items(&tenant).await? == count);
            return Ok(());
        }
        bail!("it was never suspended in time")
    });
}
