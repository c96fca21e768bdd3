//! What is said when what an object refers to does not exist, or cannot be read: what is missing, and whose turn it is.

use anyhow::ensure;
use k8s_openapi::api::core::v1::Event;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams};
use reeve_api::reason::Reason;
use reeve_tests::tenant::Tenant;
use reeve_tests::{Estate, scenario, wait};
use serde_json::{Value, json};

/// Waits for an Event about the tenant's Kustomization with these words.
async fn event(estate: &Estate, tenant: &Tenant<'_>, words: &[&str]) -> anyhow::Result<Event> {
    let events: Api<Event> = Api::namespaced(estate.admin(), tenant.name());
    let which = ListParams::default().fields("involvedObject.kind=Kustomization");
    let what = format!("an Event says {words:?}");
    wait::until(wait::PATIENCE, &what, || async {
        let told = events.list(&which).await.ok()?;
        told.into_iter().find(|event| {
            let message = event.message.as_deref().unwrap_or_default();
            words.iter().all(|word| message.contains(word))
        })
    })
    .await
}

#[test]
fn an_account_that_does_not_exist_is_said_not_to_exist() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = estate.healthy_tenant("unmanned").await?;
        let told = tenant
            .after(|draft| {
                draft.set("serviceAccountName", json!("nobody"));
                draft.commit(
                    "settings.yaml",
                    reeve_tests::tenant::MANIFESTS[0].1.replace("green", "red"),
                );
            })
            .await?;
        let name = tenant.name();
        let message = told.ready.message;
        ensure!(
            told.ready.reason == Reason::ReconciliationFailed.as_str(),
            "{message}"
        );
        ensure!(
            message.starts_with(&format!("ServiceAccount {name}/nobody does not exist")),
            "{message}"
        );
        ensure!(
            message.contains(&format!("create ServiceAccount nobody in namespace {name}")),
            "it says whose turn it is: {message}"
        );
        // One that exists and may do nothing is told another story.
        tenant
            .apply(&json!({"apiVersion": "v1", "kind": "ServiceAccount",
                "metadata": {"name": "nobody", "namespace": name}}))
            .await?;
        let told = tenant.reconcile(None).await?;
        let message = told.ready.message;
        ensure!(!message.contains("does not exist"), "{message}");
        ensure!(
            message.contains("grant system:serviceaccount:"),
            "{message}"
        );
        Ok(())
    });
}

#[test]
fn a_source_that_stays_missing_is_told_as_an_event() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = estate.healthy_tenant("typo").await?;
        let reference = json!({"kind": "GitRepository", "name": "typo-in-here"});
        tenant
            .change(|draft| draft.set("sourceRef", reference))
            .await?;
        let words = "GitRepository.source.toolkit.fluxcd.io \"typo-in-here\" not found";
        tenant.told_of(Reason::ArtifactFailed, words).await?;
        // At the second look, whenever that is.
        tenant.reconcile(None).await?;
        let told = event(estate, &tenant, &["typo-in-here", "not found"]).await?;
        ensure!(told.type_.as_deref() == Some("Warning"));
        ensure!(told.reason.as_deref() == Some(Reason::ArtifactFailed.as_str()));
        Ok(())
    });
}

async fn give_inventory(
    tenant: &Tenant<'_>,
    change: impl Fn(&mut Vec<Value>),
) -> anyhow::Result<()> {
    let api = tenant.kustomizations();
    let ks = api.get(tenant.name()).await?;
    let entries = ks.data.pointer("/status/inventory/entries");
    let mut entries = entries
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default();
    change(&mut entries);
    let patch = Patch::Merge(json!({"status": {"inventory": {"entries": entries}}}));
    let how = PatchParams::default();
    api.patch_status(tenant.name(), &how, &patch).await?;
    Ok(())
}

/// Puts `entry` where an earlier one of these was.
async fn scribble(tenant: &Tenant<'_>, entry: &Value) -> anyhow::Result<()> {
    let ours = |entry: &Value| !entry["id"].to_string().contains("acme");
    give_inventory(tenant, |entries| {
        entries.retain(ours);
        entries.push(entry.clone());
    })
    .await
}

#[test]
fn an_inventory_that_somebody_else_wrote_stops_the_runs_and_says_how_to_mend_it() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = estate.healthy_tenant("scribbled").await?;
        for (bad, version) in [
            ("acme_../../x__ConfigMap", "v1"),
            ("acme_web__Service", "v1/../v2"),
        ] {
            scribble(&tenant, &json!({"id": bad, "v": version})).await?;
            let message = tenant.reconcile(None).await?.ready.message;
            ensure!(message.contains(bad), "{message}");
            ensure!(
                message.contains("kubectl edit --subresource=status"),
                "{message}"
            );
        }
        // An object that its kind cannot have: there is nothing to delete, and nothing to wait for.
        let nowhere = format!("{}_acme__Namespace", tenant.name());
        scribble(&tenant, &json!({"id": nowhere, "v": "v1"})).await?;
        let told = tenant.reconcile(None).await?;
        ensure!(told.ready.status == "True", "{:?}", told.ready);
        Ok(())
    });
}

#[test]
fn an_inventory_that_cannot_be_read_keeps_nothing_from_being_deleted() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = estate.healthy_tenant("illegible").await?;
        scribble(&tenant, &json!({"id": "acme_..__ConfigMap", "v": "v1"})).await?;
        let api = tenant.kustomizations();
        api.delete(tenant.name(), &DeleteParams::default()).await?;
        wait::until_gone(&api, tenant.name()).await?;
        let left = tenant.objects().await?;
        let app: Vec<_> = left
            .names()
            .filter(|name| name.starts_with("Service."))
            .collect();
        ensure!(app.is_empty(), "what could be read was not pruned: {app:?}");
        event(
            estate,
            &tenant,
            &["not all of it was pruned", "acme_..__ConfigMap"],
        )
        .await?;
        Ok(())
    });
}
