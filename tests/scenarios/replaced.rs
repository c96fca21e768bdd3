//! What `force` makes anew and is slow to go: no worker is held meanwhile, and it is made anew whatever comes in between.

use anyhow::{Context as _, ensure};
use kube::api::{Api, DynamicObject, Patch, PatchParams};
use reeve_api::reason::Reason;
use reeve_tests::tenant::Tenant;
use reeve_tests::{Estate, objects, scenario, wait};
use serde_json::{Value, json};
use std::time::Duration;

const KEEPER: &str = "example.com/keeper";

/// A ConfigMap that nobody can change.
fn fixed(value: &str) -> String {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "fixed"},
        "immutable": true, "data": {"k": value}})
    .to_string()
}

/// Keeps an object there although it is deleted, or lets it go.
pub(super) async fn keep(
    api: &Api<DynamicObject>,
    name: &str,
    kept: bool,
) -> anyhow::Result<DynamicObject> {
    let finalizers = match kept {
        true => json!([KEEPER]),
        false => Value::Null,
    };
    let patch = Patch::Merge(json!({"metadata": {"finalizers": finalizers}}));
    Ok(api.patch(name, &PatchParams::default(), &patch).await?)
}

/// A tenant that asks for force, with the object there, and kept. Its uid.
pub(super) async fn forced(tenant: &Tenant<'_>, timeout: &str) -> anyhow::Result<Option<String>> {
    let commit = tenant
        .change(|draft| {
            draft.set("force", json!(true));
            draft.set("timeout", json!(timeout));
            draft.commit("fixed.yaml", fixed("1"));
        })
        .await?;
    tenant.call_hook().await?;
    tenant
        .applied(&commit.context("there is a commit")?)
        .await?;
    let kept = keep(&tenant.api("v1", "ConfigMap"), "fixed", true).await?;
    Ok(kept.metadata.uid)
}

/// Pushes another value, and waits until the run for that has ended as a wait.
pub(super) async fn pushed(tenant: &Tenant<'_>, value: &str) -> anyhow::Result<String> {
    let commit = tenant.commit([("fixed.yaml", Some(fixed(value)))])?;
    tenant.call_hook().await?;
    let words = format!("waiting for ConfigMap/{}/fixed status: ", tenant.name());
    wait::for_object(
        &tenant.kustomizations(),
        tenant.name(),
        "it waits for what it deleted",
        |ks| {
            let about = objects::text(&ks.data, "/status/lastAttemptedRevision");
            about.is_some_and(|about| about.ends_with(&commit))
                && objects::condition(&ks.data, "Ready").is_some_and(|ready| {
                    ready.status == "Unknown" && ready.message.contains(&words)
                })
        },
    )
    .await?;
    Ok(commit)
}

/// Whether it was made anew, with this value.
pub(super) async fn is_new(
    tenant: &Tenant<'_>,
    old: Option<&String>,
    value: &str,
) -> anyhow::Result<()> {
    let now = tenant.api("v1", "ConfigMap").get("fixed").await?;
    ensure!(now.metadata.uid.as_ref() != old, "it is the old one");
    ensure!(now.data["data"]["k"] == value, "{}", now.data);
    let left = now.metadata.annotations.unwrap_or_default();
    ensure!(!left.contains_key("reeve.dev/replaced"), "{left:?}");
    Ok(())
}

#[test]
fn what_is_slow_to_go_holds_no_worker_and_is_made_anew_although_git_wants_the_old_one_again() {
    scenario(async {
        let estate = Estate::start().await?;
        let tenant = estate.healthy_tenant("slow").await?;
        let old = forced(&tenant, "5m").await?;
        pushed(&tenant, "2").await?;
        wait::until(wait::PATIENCE, "no worker is held", || async {
            let words = ["controller_runtime_active_workers", "\"kustomization\""];
            let active = estate.controller.sample(&words).await.ok()?;
            (active == 0.0).then_some(())
        })
        .await?;
        // A new revision is not held up by the wait of the old one, and does not take what goes for what it wants.
        let commit = pushed(&tenant, "1").await?;
        let maps = tenant.api("v1", "ConfigMap");
        keep(&maps, "fixed", false).await?;
        tenant.applied(&commit).await?;
        is_new(&tenant, old.as_ref(), "1").await
    });
}

#[test]
fn what_was_deleted_to_be_made_anew_is_made_anew_by_whoever_comes_next() {
    scenario(async {
        let estate = Estate::start().await?;
        let tenant = estate.healthy_tenant("bereft").await?;
        let old = forced(&tenant, "5m").await?;
        let commit = pushed(&tenant, "2").await?;
        estate.controller.kill();
        let maps = tenant.api("v1", "ConfigMap");
        keep(&maps, "fixed", false).await?;
        wait::until_gone(&maps, "fixed").await?;
        estate.controller.restart().await?;
        tenant.applied(&commit).await?;
        is_new(&tenant, old.as_ref(), "2").await
    });
}

#[test]
fn what_does_not_go_in_time_is_told_with_what_keeps_it() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = estate.healthy_tenant("clinging").await?;
        let old = forced(&tenant, "10s").await?;
        let commit = pushed(&tenant, "2").await?;
        let words = format!(
            "timeout waiting for: [ConfigMap/{}/fixed status: 'InProgress': it is being deleted, and kept by {KEEPER}]",
            tenant.name()
        );
        let (patience, failed) = (Duration::from_secs(90), Reason::ReconciliationFailed);
        tenant.told_within(patience, failed, &words).await?;
        keep(&tenant.api("v1", "ConfigMap"), "fixed", false).await?;
        // Its spec.retryInterval is an hour.
        let now = json!({"metadata": {"annotations": {"reconcile.fluxcd.io/requestedAt": "now"}}});
        let (how, now) = (PatchParams::default(), Patch::Merge(now));
        let kustomizations = tenant.kustomizations();
        kustomizations.patch(tenant.name(), &how, &now).await?;
        tenant
            .told_within(patience, Reason::ReconciliationSucceeded, &commit)
            .await?;
        is_new(&tenant, old.as_ref(), "2").await
    });
}
