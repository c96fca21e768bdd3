//! Hooks: run once for a sync, before, with and after what stays, and whatever becomes of the controller meanwhile.

mod ended;

use anyhow::{Context as _, ensure};
use kube::api::{DeleteParams, DynamicObject, ListParams};
use reeve_api::reason::Reason;
use reeve_tests::tenant::Tenant;
use reeve_tests::{Estate, objects, scenario, wait};
use serde_json::{Value, json};

use crate::waves::{deployment, gate, map, open, sync, waits};

const ARGO: &str = "argocd.argoproj.io";

/// Where the pod of a Job runs.
#[derive(Clone, Copy)]
enum Pod<'a> {
    /// At once.
    Runs,
    /// Behind a gate.
    Behind(&'a str),
    /// Nowhere, and after a second that is a failure.
    Fails,
}

/// A Job that is a hook.
fn job(name: &str, phases: &str, policy: &str, pod: Pod<'_>) -> Value {
    let (selector, deadline) = match pod {
        Pod::Runs => (json!({}), Value::Null),
        Pod::Behind(gate) => (json!({gate: "open"}), Value::Null),
        Pod::Fails => (json!({"kubernetes.io/os": "none-of-ours"}), json!(1)),
    };
    let mut annotations = json!({format!("{ARGO}/hook"): phases});
    if !policy.is_empty() {
        annotations[format!("{ARGO}/hook-delete-policy")] = policy.into();
    }
    let mut spec = json!({"backoffLimit": 0, "template": {"spec": {
        "restartPolicy": "Never", "nodeSelector": selector,
        "containers": [{"name": "job", "image": "registry.local/job:1"}]}}});
    if !deadline.is_null() {
        spec["activeDeadlineSeconds"] = deadline;
    }
    json!({"apiVersion": "batch/v1", "kind": "Job",
        "metadata": {"name": name, "annotations": annotations}, "spec": spec})
}

fn file(object: &Value) -> Option<String> {
    Some(object.to_string())
}

fn settings(colour: &str) -> Option<String> {
    let object = json!({"apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": "settings"}, "data": {"colour": colour}});
    file(&object)
}

async fn colour(tenant: &Tenant<'_>) -> anyhow::Result<String> {
    let settings = tenant.api("v1", "ConfigMap").get("settings").await?;
    let colour = objects::text(&settings.data, "/data/colour");
    Ok(colour.unwrap_or_default().to_owned())
}

/// The uid of a Job; none if there is none.
async fn uid(tenant: &Tenant<'_>, name: &str) -> anyhow::Result<Option<String>> {
    let job = tenant.api("batch/v1", "Job").get_opt(name).await?;
    Ok(job.and_then(|job| job.metadata.uid))
}

/// The hooks as the status has them: `name phase outcome`.
fn hooks(ks: &Value) -> Vec<String> {
    let all = ks.pointer("/status/sync/hooks").and_then(Value::as_array);
    let text = |hook: &Value, field: &str| hook[field].as_str().unwrap_or("?").to_owned();
    let told = |hook: &Value| {
        let id = text(hook, "id");
        let name = id.split('_').nth(1).unwrap_or_default();
        format!("{name} {} {}", text(hook, "phase"), text(hook, "outcome"))
    };
    all.into_iter().flatten().map(told).collect()
}

fn inventory(ks: &Value) -> String {
    let entries = ks.pointer("/status/inventory/entries");
    entries.map(Value::to_string).unwrap_or_default()
}

/// Has the Kustomization run once more, with nothing changed that is applied.
async fn another_run(tenant: &Tenant<'_>, interval: &str) -> anyhow::Result<()> {
    let interval = json!(interval);
    tenant
        .change(|draft| draft.set("interval", interval))
        .await?;
    Ok(())
}

/// Commits a hook that runs before, and waits until that is over and what is there is applied.
async fn migrate(tenant: &Tenant<'_>) -> anyhow::Result<()> {
    let hook = file(&job("migrate", "PreSync", "", Pod::Runs));
    let commit = tenant.commit([("migrate.yaml", hook)])?;
    tenant.call_hook().await?;
    tenant.applied(&commit).await?;
    Ok(())
}

#[test]
fn what_runs_before_is_over_before_anything_is_applied_and_what_runs_after_comes_after() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = estate.healthy_tenant("migrated").await?;
        let (name, before) = (tenant.name(), gate(&tenant, "before"));
        let commit = tenant.commit([
            (
                "migrate.yaml",
                file(&job("migrate", "PreSync", "", Pod::Behind(&before))),
            ),
            ("check.yaml", file(&job("check", "PostSync", "", Pod::Runs))),
            ("settings.yaml", settings("red")),
        ])?;
        tenant.call_hook().await?;
        let words =
            format!("waiting for wave 0 of PreSync: Job/{name}/migrate status: 'InProgress'");
        let ks = waits(&tenant, &words).await?;
        let first = uid(&tenant, "migrate").await?;
        let told = sync(&ks).cloned().unwrap_or_default();
        ensure!(
            told.pointer("/hooks/0/uid").and_then(Value::as_str) == first.as_deref(),
            "{told}"
        );
        ensure!(colour(&tenant).await? == "green" && uid(&tenant, "check").await?.is_none());
        open(estate, &before).await?;
        let told = tenant.applied(&commit).await?;
        ensure!(colour(&tenant).await? == "red");
        let ran = hooks(&told.kustomization);
        ensure!(
            ran == ["migrate PreSync Succeeded", "check PostSync Succeeded"],
            "{ran:?}"
        );
        let holds = inventory(&told.kustomization);
        ensure!(
            holds.contains("_migrate_batch_Job") && holds.contains("_check_batch_Job"),
            "{holds}"
        );

        // Nothing has changed: nothing runs again, whatever becomes of it by hand.
        let check = uid(&tenant, "check").await?;
        let jobs = tenant.api("batch/v1", "Job");
        jobs.delete("check", &DeleteParams::background()).await?;
        wait::until_gone(&jobs, "check").await?;
        another_run(&tenant, "2h").await?;
        tenant.applied(&commit).await?;
        ensure!(uid(&tenant, "migrate").await? == first && uid(&tenant, "check").await?.is_none());

        // Somebody asks for it.
        let told = tenant.reconcile(None).await?;
        ensure!(told.ready.status == "True", "{:?}", told.ready);
        let (again, checked) = (uid(&tenant, "migrate").await?, uid(&tenant, "check").await?);
        ensure!(again.is_some() && again != first, "it ran again");
        ensure!(checked.is_some() && checked != check);
        Ok(())
    });
}

#[test]
fn a_hook_that_fails_stops_the_sync_and_the_hooks_for_that_run_once() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = estate.healthy_tenant("unmigrated").await?;
        let name = tenant.name();
        tenant.commit([
            (
                "migrate.yaml",
                file(&job("migrate", "PreSync", "", Pod::Fails)),
            ),
            ("sorry.yaml", file(&job("sorry", "SyncFail", "", Pod::Runs))),
            ("settings.yaml", settings("red")),
        ])?;
        tenant.call_hook().await?;
        let words = format!("wave 0 of PreSync: hook Job/{name}/migrate failed: the job failed: ");
        let told = tenant.told_of(Reason::HealthCheckFailed, &words).await?;
        let ran = hooks(&told.kustomization);
        ensure!(
            ran == ["migrate PreSync Failed", "sorry SyncFail Succeeded"],
            "{ran:?}"
        );
        ensure!(colour(&tenant).await? == "green", "nothing was applied");
        let before = (uid(&tenant, "migrate").await?, uid(&tenant, "sorry").await?);
        ensure!(before.0.is_some() && before.1.is_some());
        another_run(&tenant, "2h").await?;
        tenant.told_of(Reason::HealthCheckFailed, &words).await?;
        let after = (uid(&tenant, "migrate").await?, uid(&tenant, "sorry").await?);
        ensure!(before == after, "neither runs twice");

        migrate(&tenant).await?;
        ensure!(colour(&tenant).await? == "red");
        ensure!(uid(&tenant, "migrate").await? != before.0);
        ensure!(
            uid(&tenant, "sorry").await? == before.1,
            "nothing failed this time"
        );
        Ok(())
    });
}

#[test]
fn a_wave_that_does_not_become_healthy_in_time_fails_the_sync() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = estate.healthy_tenant("stuck").await?;
        let (name, never) = (tenant.name(), gate(&tenant, "never"));
        tenant
            .change(|draft| {
                draft.set("timeout", json!("30s"));
                draft.commit("db.yaml", deployment("db", "-1", Some(&never)));
                draft.commit("late.yaml", map("late", "2"));
                draft.commit(
                    "sorry.yaml",
                    job("sorry", "SyncFail", "HookSucceeded", Pod::Runs).to_string(),
                );
            })
            .await?;
        tenant.call_hook().await?;
        waits(&tenant, "waiting for wave -1 of Sync").await?;
        let words = format!(
            "wave -1 of Sync: timeout waiting for: [Deployment/{name}/db status: 'InProgress'"
        );
        let patience = std::time::Duration::from_secs(90);
        let told = tenant
            .told_within(patience, Reason::HealthCheckFailed, &words)
            .await?;
        let ran = hooks(&told.kustomization);
        ensure!(ran == ["sorry SyncFail Succeeded"], "{ran:?}");
        let told = &told.kustomization;
        ensure!(told.pointer("/status/sync/hooks/0/deleted") == Some(&json!(true)));
        ensure!(
            uid(&tenant, "sorry").await?.is_none(),
            "it asked to be deleted"
        );
        ensure!(!inventory(told).contains("_sorry_"));
        Ok(())
    });
}

#[test]
fn a_hook_that_does_not_end_in_time_is_told_by_its_name() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = estate.healthy_tenant("endless").await?;
        let (name, never) = (tenant.name(), gate(&tenant, "never"));
        let endless = job("migrate", "PreSync", "", Pod::Behind(&never)).to_string();
        tenant
            .change(|draft| {
                draft.set("timeout", json!("10s"));
                draft.commit("migrate.yaml", endless);
                draft.commit("settings.yaml", settings("red").unwrap());
            })
            .await?;
        tenant.call_hook().await?;
        let why = format!("PreSync: timeout waiting for: [Job/{name}/migrate status: 'InProgress'");
        tenant.told_of(Reason::HealthCheckFailed, &why).await?;
        ensure!(colour(&tenant).await? == "green", "nothing was applied");
        Ok(())
    });
}

#[test]
fn hooks_go_as_they_ask_and_make_way_for_those_of_the_next_sync() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = estate.healthy_tenant("tidy").await?;
        let commit = tenant.commit([
            (
                "a.yaml",
                file(&job("goes", "Sync", "HookSucceeded", Pod::Runs)),
            ),
            (
                "b.yaml",
                file(&job("stays", "Sync", "HookFailed", Pod::Runs)),
            ),
            (
                "c.yaml",
                file(&job("both", "PreSync,PostSync", "", Pod::Runs)),
            ),
            ("d.yaml", file(&job("never", "Skip", "", Pod::Runs))),
        ])?;
        tenant.call_hook().await?;
        let told = tenant.applied(&commit).await?;
        let mut ran = hooks(&told.kustomization);
        ran.sort();
        let want = [
            "both PostSync Succeeded",
            "both PreSync Succeeded",
            "goes Sync Succeeded",
            "stays Sync Succeeded",
        ];
        ensure!(ran == want, "{ran:?}");
        let (stays, both) = (uid(&tenant, "stays").await?, uid(&tenant, "both").await?);
        ensure!(stays.is_some() && both.is_some());
        ensure!(uid(&tenant, "goes").await?.is_none() && uid(&tenant, "never").await?.is_none());
        let holds = inventory(&told.kustomization);
        ensure!(
            holds.contains("_stays_") && holds.contains("_both_"),
            "{holds}"
        );
        ensure!(!holds.contains("_goes_"), "{holds}");

        let commit = tenant.commit([("settings.yaml", settings("red")), ("c.yaml", None)])?;
        tenant.call_hook().await?;
        let told = tenant.applied(&commit).await?;
        let again = uid(&tenant, "stays").await?;
        ensure!(
            again.is_some() && again != stays,
            "it ran again, and the old one made way"
        );
        ensure!(uid(&tenant, "both").await?.is_none(), "git has it no more");
        ensure!(!inventory(&told.kustomization).contains("_both_"));
        Ok(())
    });
}

#[test]
fn a_controller_that_is_killed_while_a_hook_runs_does_not_run_it_twice() {
    scenario(async {
        let estate = Estate::start().await?;
        let tenant = estate.healthy_tenant("killed").await?;
        let jobs = tenant.api("batch/v1", "Job");
        for round in 0..4 {
            let before = gate(&tenant, &format!("gate-{round}"));
            let old = uid(&tenant, "migrate").await?;
            let commit = tenant.commit([
                (
                    "migrate.yaml",
                    file(&job("migrate", "PreSync", "", Pod::Behind(&before))),
                ),
                (
                    "after.yaml",
                    file(&job("after", "PostSync", "HookSucceeded", Pod::Runs)),
                ),
            ])?;
            tenant.call_hook().await?;
            let new = |job: &DynamicObject| job.metadata.uid != old;
            // At the very moment when it is there, or when that is written down.
            let first = wait::for_object(&jobs, "migrate", "the hook is there", new).await?;
            if round % 2 == 1 {
                waits(&tenant, "waiting for wave 0 of PreSync").await?;
            }
            estate.controller.kill();
            estate.controller.restart().await?;
            waits(&tenant, "waiting for wave 0 of PreSync").await?;
            ensure!(
                uid(&tenant, "migrate").await? == first.metadata.uid,
                "round {round}"
            );
            open(&estate, &before).await?;
            let told = tenant.applied(&commit).await?;
            ensure!(
                uid(&tenant, "migrate").await? == first.metadata.uid,
                "round {round}"
            );
            let ran = hooks(&told.kustomization);
            ensure!(
                ran == ["migrate PreSync Succeeded", "after PostSync Succeeded"],
                "{ran:?}"
            );
        }
        Ok(())
    });
}

/// A guestbook as it is written for Argo CD: nothing of it names a kustomization.
fn guestbook() -> Vec<(&'static str, Option<String>)> {
    let mut upgrade = job("x", "PreSync", "BeforeHookCreation", Pod::Runs);
    upgrade["metadata"] = json!({"generateName": "upgrade-schema-",
        "annotations": upgrade["metadata"]["annotations"]});
    let mut page = job("maintenance-off", "Sync", "HookSucceeded", Pod::Runs);
    page["metadata"]["annotations"][format!("{ARGO}/sync-wave").as_str()] = "2".into();
    let notify = job("notify", "PostSync", "HookSucceeded", Pod::Runs);
    vec![
        ("guestbook/upgrade.yaml", file(&upgrade)),
        (
            "guestbook/backend.yaml",
            Some(deployment("backend", "0", None)),
        ),
        (
            "guestbook/frontend.yaml",
            Some(deployment("frontend", "1", None)),
        ),
        ("guestbook/page.yaml", file(&page)),
        ("guestbook/notify.yaml", file(&notify)),
        (
            "guestbook/alert.yaml",
            file(&job("alert", "SyncFail", "", Pod::Runs)),
        ),
    ]
}

#[test]
fn a_repository_that_was_written_for_argo_cd_runs_as_it_is() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = estate.healthy_tenant("guestbook").await?;
        let commit = tenant.commit(guestbook())?;
        tenant.call_hook().await?;
        let told = tenant.applied(&commit).await?;
        let ran = hooks(&told.kustomization);
        let first = ran.first().cloned().unwrap_or_default();
        ensure!(
            first.starts_with("upgrade-schema-") && first.ends_with(" PreSync Succeeded"),
            "{ran:?}"
        );
        let rest = ran.get(1..).unwrap_or_default();
        ensure!(
            rest == [
                "maintenance-off Sync Succeeded",
                "notify PostSync Succeeded"
            ],
            "{ran:?}"
        );
        let jobs = tenant.api("batch/v1", "Job");
        let left = jobs.list(&ListParams::default()).await?;
        let [left] = left.items.as_slice() else {
            anyhow::bail!("{} Jobs are left", left.items.len());
        };
        let old = left.metadata.name.clone().context("it has a name")?;
        ensure!(first.starts_with(&old), "{old}");

        // The next sync has one of its own, and that of the last goes.
        let commit = tenant.commit([("settings.yaml", settings("red"))])?;
        tenant.call_hook().await?;
        tenant.applied(&commit).await?;
        let left = jobs.list(&ListParams::default()).await?;
        let names = left.iter().filter_map(|job| job.metadata.name.clone());
        let names: Vec<_> = names.collect();
        ensure!(
            names.len() == 1 && names.first() != Some(&old),
            "{names:?} {old}"
        );
        Ok(())
    });
}

#[test]
fn a_kustomization_that_is_deleted_goes_when_its_last_hooks_have_ended() {
    scenario(async {
        let estate = Estate::start().await?;
        let tenant = estate.healthy_tenant("departed").await?;
        let (name, end) = (tenant.name(), gate(&tenant, "end"));
        let commit = tenant.commit([
            (
                "farewell.yaml",
                file(&job("farewell", "PostDelete", "", Pod::Behind(&end))),
            ),
            (
                "bow.yaml",
                file(&job("bow", "PostDelete", "HookSucceeded", Pod::Runs)),
            ),
        ])?;
        tenant.call_hook().await?;
        let told = tenant.applied(&commit).await?;
        ensure!(uid(&tenant, "farewell").await?.is_none() && hooks(&told.kustomization).is_empty());
        let kustomizations = tenant.kustomizations();
        kustomizations
            .delete(name, &DeleteParams::default())
            .await?;
        let jobs = tenant.api("batch/v1", "Job");
        let there = |_: &DynamicObject| true;
        let farewell = wait::for_object(&jobs, "farewell", "the hook is there", there).await?;
        ensure!(
            tenant
                .api("v1", "ConfigMap")
                .get_opt("settings")
                .await?
                .is_none()
        );
        estate.controller.kill();
        estate.controller.restart().await?;
        wait::for_object(&kustomizations, name, "both were seen", |ks| {
            let all = sync(ks).and_then(|sync| sync["hooks"].as_array());
            all.is_some_and(|all| all.iter().all(|hook| hook["uid"].is_string()))
        })
        .await?;
        ensure!(
            uid(&tenant, "farewell").await? == farewell.metadata.uid,
            "it runs once"
        );
        open(&estate, &end).await?;
        wait::until_gone(&kustomizations, name).await?;
        ensure!(
            uid(&tenant, "farewell").await? == farewell.metadata.uid,
            "it stays"
        );
        ensure!(
            uid(&tenant, "bow").await?.is_none(),
            "it asked to be deleted"
        );
        Ok(())
    });
}
