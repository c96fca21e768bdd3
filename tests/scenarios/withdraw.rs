//! A Kustomization goes: what it applied goes before it, whatever else has become of it.

use anyhow::ensure;
use kube::api::{DeleteParams, Patch, PatchParams};
use reeve_api::reason::Reason;
use reeve_tests::tenant::Draft;
use reeve_tests::{Estate, objects, scenario, wait};
use serde_json::{Value, json};

/// What is wrong with the Kustomization when it is deleted, and whether what it applied can still go.
type Row = (&'static str, fn(&mut Draft), Reason, bool);

const ROWS: &[Row] = &[
    (
        "a field that nothing acts on",
        |d| d.set("decryption", json!({"provider": "sops"})),
        Reason::Unsupported,
        true,
    ),
    (
        "a path that leads out of the source",
        |d| d.set("path", json!("../../etc")),
        Reason::InvalidSpec,
        false,
    ),
    (
        "no account to act as",
        |d| d.set("serviceAccountName", Value::Null),
        Reason::PolicyDenied,
        false,
    ),
];

#[test]
fn a_kustomization_can_be_deleted_whatever_is_wrong_with_it() {
    scenario(async {
        let estate = Estate::shared().await?;
        for (says, change, want, pruned) in ROWS {
            let tenant = estate.healthy_tenant("leaver").await?;
            let told = tenant.after(change).await?;
            assert_eq!(told.ready.reason, want.as_str(), "{says}");
            let name = tenant.name();
            tenant
                .kustomizations()
                .delete(name, &DeleteParams::default())
                .await?;
            wait::until_gone(&tenant.kustomizations(), name).await?;
            let left = tenant.objects().await?;
            let app = left.names().any(|name| name.starts_with("Service."));
            assert_eq!(
                app,
                !pruned,
                "{says}: {:?}",
                left.names().collect::<Vec<_>>()
            );
        }
        Ok(())
    });
}

#[test]
fn a_kustomization_that_waits_for_the_end_stays_until_its_objects_are_gone() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = estate.healthy_tenant("mourner").await?;
        let told = tenant
            .after(|draft| draft.set("deletionPolicy", json!("WaitForTermination")))
            .await?;
        ensure!(told.ready.status == "True", "{:?}", told.ready);
        // Somebody else has to be done with one of them first.
        let (name, maps) = (tenant.name(), tenant.api("v1", "ConfigMap"));
        let held =
            |finalizers: Value| Patch::Merge(json!({"metadata": {"finalizers": finalizers}}));
        let how = PatchParams::default();
        maps.patch("settings", &how, &held(json!(["example.com/held"])))
            .await?;
        tenant
            .kustomizations()
            .delete(name, &DeleteParams::default())
            .await?;
        wait::until_gone(&tenant.api("v1", "Service"), "web").await?;
        wait::for_object(&maps, "settings", "it is on its way out", |map| {
            map.metadata.deletion_timestamp.is_some()
        })
        .await?;
        let ks = tenant.kustomizations().get(name).await?;
        ensure!(objects::text(&ks.data, "/spec/deletionPolicy") == Some("WaitForTermination"));
        maps.patch("settings", &how, &held(json!([]))).await?;
        wait::until_gone(&tenant.kustomizations(), name).await
    });
}
