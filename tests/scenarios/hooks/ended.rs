//! How a hook ended is seen, whoever looks away meanwhile; one that is gone before that has not succeeded.

use anyhow::ensure;
use kube::api::{DeleteParams, DynamicObject};
use reeve_api::reason::Reason;
use reeve_tests::{Estate, scenario, wait};
use serde_json::{Value, json};

use super::{Pod, another_run, colour, file, hooks, job, migrate, settings, uid};
use crate::replaced::keep;
use crate::waves::{gate, waits};

/// A hook that asks to be gone as soon as it has ended.
fn fleeting(pod: Pod<'_>) -> Value {
    let mut job = job("migrate", "PreSync", "", pod);
    job["spec"]["ttlSecondsAfterFinished"] = json!(0);
    job
}

fn has(job: &DynamicObject, type_: &str) -> bool {
    let all = job.data.pointer("/status/conditions");
    let mut all = all.and_then(Value::as_array).into_iter().flatten();
    all.any(|condition| condition["type"] == type_ && condition["status"] == "True")
}

#[test]
fn a_hook_that_removes_itself_and_ends_while_nobody_looks_is_told_as_it_ended_and_not_run_again() {
    scenario(async {
        let estate = Estate::start().await?;
        for (name, pod, end) in [
            ("unseen", Pod::Fails, "Failed"),
            ("seen", Pod::Runs, "Complete"),
        ] {
            let tenant = estate.healthy_tenant(name).await?;
            let jobs = tenant.api("batch/v1", "Job");
            let commit = tenant.commit([
                ("migrate.yaml", file(&fleeting(pod))),
                ("settings.yaml", settings("red")),
            ])?;
            tenant.call_hook().await?;
            let there = |_: &DynamicObject| true;
            let first = wait::for_object(&jobs, "migrate", "the hook is there", there).await?;
            estate.controller.kill();
            wait::for_object(&jobs, "migrate", "it has ended", |job| has(job, end)).await?;
            estate.controller.restart().await?;
            let (told, want) = match end {
                "Failed" => {
                    let words = format!(
                        "hook Job/{}/migrate failed: the job failed: ",
                        tenant.name()
                    );
                    let told = tenant.told_of(Reason::HealthCheckFailed, &words).await?;
                    ensure!(colour(&tenant).await? == "green", "it was applied");
                    (told, "migrate PreSync Failed")
                }
                _ => (tenant.applied(&commit).await?, "migrate PreSync Succeeded"),
            };
            let ran = hooks(&told.kustomization);
            ensure!(ran == [want], "{ran:?}");
            ensure!(
                uid(&tenant, "migrate").await? == first.metadata.uid,
                "it ran twice, or is gone"
            );
        }
        Ok(())
    });
}

#[test]
fn a_hook_that_is_deleted_while_it_runs_has_failed_at_once() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = estate.healthy_tenant("cut-short").await?;
        let never = gate(&tenant, "never");
        tenant.commit([
            ("migrate.yaml", file(&fleeting(Pod::Behind(&never)))),
            ("settings.yaml", settings("red")),
        ])?;
        tenant.call_hook().await?;
        waits(&tenant, "waiting for wave 0 of PreSync").await?;
        let jobs = tenant.api("batch/v1", "Job");
        jobs.delete("migrate", &DeleteParams::background()).await?;
        let words = format!(
            "wave 0 of PreSync: hook Job/{}/migrate failed: it was deleted before",
            tenant.name()
        );
        tenant.told_of(Reason::HealthCheckFailed, &words).await?;
        ensure!(colour(&tenant).await? == "green", "it was applied");
        another_run(&tenant, "2h").await?;
        tenant.told_of(Reason::HealthCheckFailed, &words).await?;
        ensure!(uid(&tenant, "migrate").await?.is_none(), "it ran again");
        Ok(())
    });
}

#[test]
fn a_hook_of_the_last_sync_that_is_slow_to_go_holds_up_its_own_wave_and_nobody_else() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = estate.healthy_tenant("reluctant").await?;
        migrate(&tenant).await?;
        let jobs = tenant.api("batch/v1", "Job");
        let old = keep(&jobs, "migrate", true).await?;
        let commit = tenant.commit([("settings.yaml", settings("red"))])?;
        tenant.call_hook().await?;
        let words = format!(
            "waiting for wave 0 of PreSync: Job/{}/migrate status: ",
            tenant.name()
        );
        waits(&tenant, &words).await?;
        ensure!(colour(&tenant).await? == "green", "it was applied");
        keep(&jobs, "migrate", false).await?;
        tenant.applied(&commit).await?;
        ensure!(colour(&tenant).await? == "red");
        let new = uid(&tenant, "migrate").await?;
        ensure!(new.is_some() && new != old.metadata.uid, "it ran again");
        Ok(())
    });
}
