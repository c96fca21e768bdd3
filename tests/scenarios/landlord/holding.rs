//! What one tenant does to hold up the landlord: others are not held up, and it keeps nothing that it is to lose.

use anyhow::ensure;
use kube::ResourceExt;
use kube::api::{Api, DeleteParams, DynamicObject, ListParams, PostParams};
use reeve_tests::{install, scenario, wait};
use serde_json::{Value, json};

use super::{KUSTOMIZE, Manor, OURS};

/// More than several looks delete.
const FLOOD: usize = 300;

/// What whoever may write a kind makes of it, so that it passes for the landlord's.
fn marked(version: &str, kind: &str, (namespace, name): (&str, &str), more: Value) -> Value {
    let mut object = json!({
        "apiVersion": version, "kind": kind,
        "metadata": {
            "name": name, "namespace": namespace,
            "labels": {"app.kubernetes.io/managed-by": "reeve-landlord", "reeve.dev/tenant": "acme"},
        },
    });
    if let (Some(object), Value::Object(more)) = (object.as_object_mut(), more) {
        object.extend(more);
    }
    object
}

/// A Kustomization of theirs that does nothing.
fn delivers((namespace, name): (&str, &str)) -> Value {
    let spec = json!({"spec": {
        "interval": "1h", "path": "./", "prune": true, "suspend": true,
        "serviceAccountName": "flux", "targetNamespace": namespace,
        "sourceRef": {"kind": "GitRepository", "name": "none"},
    }});
    marked(KUSTOMIZE, "Kustomization", (namespace, name), spec)
}

/// Makes one more before each that goes is gone: there is never none.
async fn one_after_the_other(all: &Api<DynamicObject>) -> anyhow::Result<()> {
    let mut last: Option<String> = None;
    for number in 0_u32.. {
        let name = format!("again-{number}");
        let one: DynamicObject = serde_json::from_value(delivers(("acme", &name)))?;
        all.create(&PostParams::default(), &one).await?;
        if let Some(last) = last.replace(name) {
            wait::until_gone(all, &last).await?;
        }
    }
    Ok(())
}

#[test]
fn a_tenant_that_marks_many_objects_as_the_landlords_holds_up_nobody_and_keeps_no_right() {
    scenario(async {
        let manor = Manor::open().await?;
        manor
            .tenant("acme", json!({"namespaces": ["acme"]}))
            .await?;
        manor.told("acme", "Succeeded").await?;
        let kind = ("networking.k8s.io/v1", "NetworkPolicy");
        let policies = manor.api(kind.0, kind.1, Some("acme"));
        for number in 0..FLOOD {
            let name = format!("a-{number:03}");
            let spec = json!({"spec": {"podSelector": {}}});
            let one: DynamicObject =
                serde_json::from_value(marked(kind.0, kind.1, ("acme", &name), spec))?;
            policies.create(&PostParams::default(), &one).await?;
        }
        manor
            .tenant("acme", json!({"namespaces": ["acme"], "role": "edit"}))
            .await?;
        // It is told while the others are there, and is not at the end of them.
        let message = manor.told("acme", "OnboardingFailed").await?;
        ensure!(message.contains("some are deleted at a time"), "{message}");
        wait::until_gone(&manor.bindings("acme"), "reeve-admin").await?;
        manor
            .tenant("beta", json!({"namespaces": ["beta"]}))
            .await?;
        manor.told("beta", "Succeeded").await?;
        manor.told("acme", "Succeeded").await?;
        let left = policies.list(&ListParams::default()).await?.items;
        let names: Vec<String> = left.iter().map(ResourceExt::name_any).collect();
        ensure!(names.is_empty(), "{names:?}");
        Ok(())
    });
}

#[test]
fn a_tenant_that_goes_waits_for_the_finalizer_of_nobody_else_and_loses_its_rights() {
    scenario(async {
        let manor = Manor::open().await?;
        install::kubectl(&manor.estate.plane, &["create", "namespace", "old"]).await?;
        let adopted = json!({"namespaces": ["old"], "deletionPolicy": "Delete"});
        manor.tenant("acme", adopted).await?;
        manor.reeve("tenant adopt old --tenant acme", 0).await?;
        let mut held = delivers(("old", "held"));
        held["metadata"]["finalizers"] = json!(["acme.example/stay"]);
        let held: DynamicObject = serde_json::from_value(held)?;
        let kustomizations = manor.api(KUSTOMIZE, "Kustomization", Some("old"));
        kustomizations.create(&PostParams::default(), &held).await?;

        manor.reeve("tenant remove acme", 0).await?;
        wait::until_gone(&manor.api(OURS, "Tenant", None), "acme").await?;
        let bindings = manor.bindings("old").list(&ListParams::default()).await?;
        ensure!(bindings.items.is_empty(), "{bindings:?}");
        let held = kustomizations.get("held").await?;
        ensure!(held.metadata.deletion_timestamp.is_some(), "it stays");
        Ok(())
    });
}

#[test]
fn a_tenant_that_goes_waits_for_nothing_that_is_made_meanwhile_and_loses_its_rights() {
    scenario(async {
        let manor = Manor::open().await?;
        let takes_along = json!({"namespaces": ["acme"], "deletionPolicy": "Delete"});
        manor.tenant("acme", takes_along).await?;
        manor.told("acme", "Succeeded").await?;
        let kustomizations = manor.api(KUSTOMIZE, "Kustomization", Some("acme"));
        let goes = async {
            let tenants = manor.api(OURS, "Tenant", None);
            tenants.delete("acme", &DeleteParams::default()).await?;
            let bindings = manor.bindings("acme");
            for name in ["reeve-delivery", "reeve-admin"] {
                wait::until_gone(&bindings, name).await?;
            }
            anyhow::Ok(())
        };
        tokio::select! {
            gone = goes => gone,
            made = one_after_the_other(&kustomizations) => made,
        }
    });
}
