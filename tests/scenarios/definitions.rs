//! Definitions of kinds that go while the controller runs, and come back: what held somebody back holds them back.

use anyhow::{Context as _, ensure};
use kube::api::{DeleteParams, ListParams};
use reeve_api::reason::Reason;
use reeve_tests::install::kubectl;
use reeve_tests::tenant::{Tenant, says};
use reeve_tests::{Estate, objects, scenario, wait};
use serde_json::json;

use crate::rules::{RED, colour, minds, policies, policy, ready};

const DEFINITION: &str = "apiextensions.k8s.io/v1";
const BLUE: &str =
    "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: settings\ndata:\n  colour: blue\n";

/// Deletes a definition, and all objects of its kind with it.
async fn delete(estate: &Estate, name: &str) -> anyhow::Result<()> {
    let all = objects::api(estate.admin(), DEFINITION, "CustomResourceDefinition", None);
    all.delete(name, &DeleteParams::default()).await?;
    wait::until_gone(&all, name).await
}

/// Makes it again, from the chart.
async fn make(estate: &Estate, file: &str, kind: (&str, &str)) -> anyhow::Result<()> {
    let path = reeve_tests::root()
        .join("charts/reeve-crds/templates")
        .join(file);
    let path = format!("--filename={}", path.display());
    kubectl(&estate.plane, &["apply", "--server-side", &path]).await?;
    let objects = objects::api(estate.admin(), kind.0, kind.1, None);
    wait::until(wait::PATIENCE, "the kind is listed", || async {
        objects.list(&ListParams::default().limit(1)).await.ok()
    })
    .await?;
    Ok(())
}

async fn denied_red(tenant: &Tenant<'_>) -> anyhow::Result<()> {
    let told = tenant
        .after(|draft| draft.commit("settings.yaml", RED))
        .await?;
    ensure!(told.ready.message.contains("settings is red"), "{told:?}");
    ensure!(colour(tenant).await?.as_deref() != Some("red"));
    Ok(())
}

#[test]
fn policies_that_go_with_their_definition_hold_until_they_are_made_again_and_deleted() {
    scenario(async {
        let estate = Estate::start().await?;
        let tenant = estate.healthy_tenant("undefined").await?;
        let rule = policy(&tenant, &json!({"rego": minds("red")}));
        tenant.apply(&rule).await?;
        ready(&estate, tenant.name(), Reason::Succeeded, "in force").await?;
        delete(&estate, "policies.reeve.dev").await?;
        denied_red(&tenant).await.context("without the kind")?;
        tenant.push(&[("settings.yaml", Some(BLUE))]).await?;

        // The kind is back, and no Policy with it.
        make(
            &estate,
            "reeve.dev_policies.yaml",
            ("reeve.dev/v1alpha1", "Policy"),
        )
        .await?;
        denied_red(&tenant).await.context("with the kind alone")?;
        let log = estate.controller.log()?;
        ensure!(
            log.contains("the definition of a kind was deleted"),
            "{log}"
        );

        tenant.apply(&rule).await?;
        ready(&estate, tenant.name(), Reason::Succeeded, "in force").await?;
        policies(&estate)
            .delete(tenant.name(), &DeleteParams::default())
            .await?;
        let settings = tenant.api("v1", "ConfigMap");
        wait::for_object(&settings, "settings", "it is red", |map| {
            objects::text(&map.data, "/data/colour") == Some("red")
        })
        .await?;
        Ok(())
    });
}

#[test]
fn sources_that_go_with_their_definition_take_nothing_along_and_are_fetched_when_they_are_back() {
    scenario(async {
        let estate = Estate::start().await?;
        let tenant = estate.healthy_tenant("sourceless").await?;
        let source = tenant.sources().get(tenant.name()).await?;
        let before = tenant.objects().await?;
        delete(&estate, "gitrepositories.source.toolkit.fluxcd.io").await?;
        let appliers = tenant.kustomizations();
        let (reason, words) = (Reason::ArtifactFailed, "not found");
        says(wait::PATIENCE, &appliers, tenant.name(), reason, words)
            .await
            .context("the source is missed")?;
        let now = tenant.objects().await?;
        ensure!(
            now.changes_since(&before).is_empty(),
            "something was changed"
        );

        let file = "source.toolkit.fluxcd.io_gitrepositories.yaml";
        make(
            &estate,
            file,
            ("source.toolkit.fluxcd.io/v1", "GitRepository"),
        )
        .await?;
        let again = json!({
            "apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "GitRepository",
            "metadata": {"name": tenant.name(), "namespace": source.metadata.namespace},
            "spec": source.data["spec"],
        });
        let commit = tenant.commit([("settings.yaml", Some(BLUE))])?;
        tenant.apply(&again).await?;
        tenant.applied(&commit).await?;
        Ok(())
    });
}

#[test]
fn kustomizations_that_go_with_their_definition_go_as_if_deleted_and_are_carried_out_when_back() {
    scenario(async {
        let estate = Estate::start().await?;
        let tenant = estate.healthy_tenant("unspoken").await?;
        let api = "kustomize.toolkit.fluxcd.io/v1";
        let before = tenant.kustomizations().get(tenant.name()).await?;
        delete(&estate, "kustomizations.kustomize.toolkit.fluxcd.io").await?;
        wait::until_gone(&tenant.api("v1", "ConfigMap"), "settings").await?;

        let file = "kustomize.toolkit.fluxcd.io_kustomizations.yaml";
        make(&estate, file, (api, "Kustomization")).await?;
        let again = json!({
            "apiVersion": api, "kind": "Kustomization",
            "metadata": {"name": tenant.name(), "namespace": tenant.name()},
            "spec": before.data["spec"],
        });
        let commit = tenant.commit([("settings.yaml", Some(BLUE))])?;
        tenant.apply(&again).await?;
        tenant.call_hook().await?;
        tenant.applied(&commit).await?;
        ensure!(colour(&tenant).await?.as_deref() == Some("blue"));
        Ok(())
    });
}

#[test]
fn tenants_that_go_with_their_definition_keep_what_was_theirs() {
    scenario(async {
        let estate = Estate::start().await?;
        let tenant = estate.healthy_tenant("declared").await?;
        let neighbour = estate.healthy_tenant("borrower").await?;
        // The neighbour's namespace bears the name of a source that is another's by its Tenant.
        let owner = json!({
            "apiVersion": "reeve.dev/v1alpha1", "kind": "Tenant",
            "metadata": {"name": tenant.name()},
            "spec": {"namespaces": [tenant.name()], "sources": [neighbour.name(), tenant.name()]},
        });
        tenant.apply(&owner).await?;
        let blocked = "cross-namespace references have been blocked";
        neighbour
            .told_of(Reason::AccessDenied, blocked)
            .await
            .context("the source is another's")?;
        delete(&estate, "tenants.reeve.dev").await?;
        let told = neighbour.reconcile(None).await?;
        ensure!(told.ready.message.contains(blocked), "{told:?}");
        Ok(())
    });
}
