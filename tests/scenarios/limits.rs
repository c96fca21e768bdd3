//! What a tenant may use of what all share: it is told which limit it has reached and until when, and goes on by itself.

use std::time::Duration;

use anyhow::ensure;
use kube::api::DeleteParams;
use reeve_api::reason::Reason;
use reeve_tests::tenant::{Tenant, says};
use reeve_tests::{Estate, objects, scenario, wait};
use serde_json::{Value, json};

use crate::command::get::{asked, said};

const RED: &str =
    "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: settings\ndata:\n  colour: red\n";
const PATIENCE: Duration = Duration::from_secs(90);

/// The platform says what the tenant may use.
async fn limit(tenant: &Tenant<'_>, limits: Value) -> anyhow::Result<()> {
    let name = tenant.name();
    let object = json!({
        "apiVersion": "reeve.dev/v1alpha1", "kind": "Tenant", "metadata": {"name": name},
        "spec": {"namespaces": [name], "sources": [name], "limits": limits},
    });
    tenant.apply(&object).await
}

#[test]
fn a_tenant_that_has_used_up_its_reconciles_waits_for_its_turn_and_loses_nothing() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = estate.healthy_tenant("busy").await?;
        limit(&tenant, json!({"reconcilesPerMinute": 6})).await?;
        let mut told = tenant.reconcile(None).await?.ready;
        for _ in 0..10 {
            if told.reason == Reason::QuotaExceeded.as_str() {
                break;
            }
            told = tenant.reconcile(None).await?.ready;
        }
        let (name, message) = (tenant.name(), &told.message);
        let says = format!("tenant {name} may have 6 reconciles a minute");
        ensure!(told.reason == Reason::QuotaExceeded.as_str(), "{told:?}");
        ensure!(message.starts_with(&says), "{message}");
        ensure!(message.contains("it is its turn at 20"), "{message}");
        let field = format!("raise spec.limits.reconcilesPerMinute of Tenant {name}");
        ensure!(message.contains(&field), "{message}");

        // Woken meanwhile, it keeps its place, and what it was woken for arrives without being asked for again.
        let commit = tenant.commit([("settings.yaml", Some(RED))])?;
        tenant.call_hook().await?;
        let done = Reason::ReconciliationSucceeded;
        tenant.told_within(PATIENCE, done, &commit).await?;
        let words = ["reeve_tenant_limited_total", name, "reconcilesPerMinute"];
        ensure!(
            estate.controller.sample(&words).await? >= 1.0,
            "it is counted"
        );
        Ok(())
    });
}

#[test]
fn a_tenant_gets_no_more_objects_than_its_limit_and_may_always_have_fewer() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = estate.healthy_tenant("crowded").await?;
        limit(&tenant, json!({"objects": 2})).await?;
        let more = RED.replace("settings", "more");
        tenant.commit([("more.yaml", Some(&*more)), ("settings.yaml", Some(RED))])?;
        tenant.call_hook().await?;
        let words = "may have 2 objects, and this would make 3";
        tenant.told_of(Reason::QuotaExceeded, words).await?;
        let changes = tenant.changes().await?;
        ensure!(changes.is_empty(), "nothing of it was written: {changes:?}");

        let commit = tenant.commit([("more.yaml", None::<&str>), ("service.yaml", None)])?;
        tenant.call_hook().await?;
        tenant.applied(&commit).await?;
        Ok(())
    });
}

#[test]
fn what_a_tenant_uses_stands_beside_its_limits_and_a_namespace_that_is_called_like_it_is_told() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = estate.healthy_tenant("measured").await?;
        limit(&tenant, json!({"objects": 50, "reconcilesPerMinute": 600})).await?;
        // A Tenant without the namespace that is called like it, which nothing is done for from then on.
        let outside = estate.healthy_tenant("namesake").await?;
        let other = json!({
            "apiVersion": "reeve.dev/v1alpha1", "kind": "Tenant", "metadata": {"name": outside.name()},
            "spec": {"namespaces": [format!("{}-elsewhere", outside.name())]},
        });
        outside.apply(&other).await?;
        let tenants = objects::api(estate.admin(), "reeve.dev/v1alpha1", "Tenant", None);
        let told = wait::for_object(&tenants, outside.name(), "it says so", |one| {
            objects::condition(&one.data, "NamesakeOutside").is_some()
        });
        let told = told.await?;
        let why = objects::condition(&told.data, "NamesakeOutside").unwrap_or_default();
        let words = format!("namespace {0} is called like Tenant {0}", outside.name());
        ensure!(
            why.status == "True" && why.message.contains(&words),
            "{why:?}"
        );
        let ready = objects::condition(&told.data, "Ready").unwrap_or_default();
        ensure!(
            ready.status == "True",
            "it is ready all the same: {ready:?}"
        );
        tenants
            .delete(outside.name(), &DeleteParams::default())
            .await?;

        let patience = Duration::from_secs(150);
        let told = wait::within(patience, &tenants, tenant.name(), "it is told", |one| {
            one.data.pointer("/status/usage/objects") == Some(&json!(2))
        });
        let status = &told.await?.data["status"];
        ensure!(status["usage"]["kustomizations"] == 1, "{status:#}");
        ensure!(status["limits"]["objects"] == 50, "{status:#}");
        let here = std::env::temp_dir();
        let table = asked(estate, &here, &["get", "tenants", tenant.name()]).await?;
        let table = said(&table, 0)?;
        ensure!(table.contains("2/50") && table.contains("/600"), "{table}");
        Ok(())
    });
}

#[test]
fn of_too_many_kustomizations_the_oldest_are_worked_on_and_the_next_when_one_goes() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = estate.healthy_tenant("full").await?;
        limit(&tenant, json!({"kustomizations": 1})).await?;
        let api = tenant.kustomizations();
        let spec = api.get(tenant.name()).await?.data["spec"].clone();
        let second = json!({
            "apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization",
            "metadata": {"name": "second", "namespace": tenant.name()}, "spec": spec,
        });
        tenant.apply(&second).await?;
        let words = "may have 1 Kustomizations, and this would make 2";
        says(PATIENCE, &api, "second", Reason::QuotaExceeded, words).await?;
        let told = tenant.reconcile(None).await?.ready;
        ensure!(told.status == "True", "the first is worked on: {told:?}");

        api.delete(tenant.name(), &DeleteParams::default()).await?;
        let done = Reason::ReconciliationSucceeded;
        let seen = says(PATIENCE, &api, "second", done, "Applied revision").await?;
        let ready = objects::condition(&seen.data, "Ready").unwrap_or_default();
        ensure!(ready.status == "True", "{ready:?}");
        Ok(())
    });
}

const SOURCE: &str = "source.toolkit.fluxcd.io/v1";

/// A source in the tenant's own namespace, of a repository that is there.
async fn source(tenant: &Tenant<'_>, name: &str, path: &str) -> anyhow::Result<()> {
    let estate = Estate::shared().await?;
    let object = json!({
        "apiVersion": SOURCE, "kind": "GitRepository",
        "metadata": {"name": name, "namespace": tenant.name()},
        "spec": {"interval": "1h", "url": estate.git.url(path), "ref": {"branch": "main"}},
    });
    tenant.apply(&object).await
}

async fn source_is(
    tenant: &Tenant<'_>,
    name: &str,
    status: &str,
    reason: Reason,
) -> anyhow::Result<String> {
    let seen = |source: &kube::api::DynamicObject| {
        objects::condition(&source.data, "Ready")
            .is_some_and(|told| told.status == status && told.reason == reason.as_str())
    };
    let sources = tenant.api(SOURCE, "GitRepository");
    let what = format!("{name} is {status} for {reason}");
    let found = wait::for_object(&sources, name, &what, seen).await?;
    Ok(objects::condition(&found.data, "Ready")
        .map(|told| told.message)
        .unwrap_or_default())
}

#[test]
fn a_tenant_with_a_huge_repository_is_told_so_and_evicts_nobody() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = estate.healthy_tenant("huge").await?;
        let neighbour = estate.healthy_tenant("beside-huge").await?;
        limit(&tenant, json!({"storageMebibytes": 1})).await?;
        let (huge, small) = (
            format!("{}-huge", tenant.name()),
            format!("{}-small", tenant.name()),
        );
        let noise: Vec<u8> = (0..4 << 20).map(|_| rand::random::<u8>()).collect();
        estate.repo(&huge)?.publish("noise.bin", noise)?;
        estate.repo(&small)?.publish("notes.md", "x")?;
        source(&tenant, "huge", &huge).await?;
        let told = source_is(&tenant, "huge", "False", Reason::StorageQuotaExceeded).await?;
        let name = tenant.name();
        for words in [
            format!("tenant {name} may have 1 MiB of the controller's disk"),
            format!("raise spec.limits.storageMebibytes of Tenant {name}"),
        ] {
            ensure!(told.contains(&words), "{words}: {told}");
        }
        source(&tenant, "small", &small).await?;
        source_is(&tenant, "small", "True", Reason::Succeeded).await?;
        source(&neighbour, "huge", &huge).await?;
        source_is(&neighbour, "huge", "True", Reason::Succeeded).await?;

        limit(&tenant, json!({"storageMebibytes": 64})).await?;
        let asked =
            json!({"metadata": {"annotations": {"reconcile.fluxcd.io/requestedAt": "now"}}});
        let sources = tenant.api(SOURCE, "GitRepository");
        let (how, asked) = (
            kube::api::PatchParams::default(),
            kube::api::Patch::Merge(&asked),
        );
        sources.patch("huge", &how, &asked).await?;
        source_is(&tenant, "huge", "True", Reason::Succeeded).await?;
        Ok(())
    });
}

#[test]
fn a_source_at_another_address_is_fetched_though_its_tenant_has_no_room_for_both() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = estate.healthy_tenant("moves").await?;
        // Four mebibytes in the mirror and four in the archive, and the same again from the other address.
        limit(&tenant, json!({"storageMebibytes": 14})).await?;
        let paths = ["from", "to"].map(|end| format!("{}-{end}", tenant.name()));
        for path in &paths {
            let noise: Vec<u8> = (0..4 << 20).map(|_| rand::random::<u8>()).collect();
            estate.repo(path)?.publish("noise.bin", noise)?;
        }
        for path in &paths {
            source(&tenant, "large", path).await?;
            let seen = |source: &kube::api::DynamicObject| {
                let observed = source.data["status"]["observedGeneration"].as_i64();
                let ready = objects::condition(&source.data, "Ready");
                observed == source.metadata.generation
                    && ready.is_some_and(|ready| ready.status == "True")
            };
            let sources = tenant.api(SOURCE, "GitRepository");
            let what = format!("what is at {path} is in store");
            wait::for_object(&sources, "large", &what, seen).await?;
        }
        Ok(())
    });
}
