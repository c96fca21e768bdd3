//! Deleting that waits for somebody to say yes: much at once, all of it, and what another place lacks.

use anyhow::{Context as _, ensure};
use reeve_api::reason::Reason;
use reeve_core::caution::{BUDGET, CONFIRM};
use reeve_tests::tenant::{Tenant, Told};
use reeve_tests::{Estate, scenario, wait};
use serde_json::json;

fn maps(number: usize) -> String {
    let map =
        |at: usize| format!("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: map-{at}\n---\n");
    (0..number).map(map).collect()
}

/// The digest that a confirmation must have.
fn digest(told: &Told) -> anyhow::Result<&str> {
    let asked = told.ready.message.split_once("confirm-prune: ");
    let digest = asked.and_then(|(_, rest)| rest.get(..16));
    digest.with_context(|| told.ready.message.clone())
}

async fn number_of_maps(tenant: &Tenant<'_>) -> anyhow::Result<usize> {
    let api = tenant.api("v1", "ConfigMap");
    let maps = api.list(&Default::default()).await?;
    let names = maps.items.into_iter();
    Ok(names
        .filter(|map| {
            let name = map.metadata.name.as_deref().unwrap_or_default();
            name.starts_with("map-")
        })
        .count())
}

#[test]
fn a_mass_deletion_waits_until_exactly_it_is_confirmed() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = estate.healthy_tenant("mass").await?;
        tenant.push(&[("many.yaml", Some(&maps(24)))]).await?;
        let red =
            "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: settings\ndata:\n  colour: red\n";
        let told = tenant
            .after(|draft| {
                draft.delete("many.yaml");
                draft.commit("settings.yaml", red);
            })
            .await?;
        ensure!(
            told.ready.reason == Reason::PruneHeld.as_str(),
            "{:?}",
            told.ready
        );
        let words = "deleting 24 of 26 objects (more than the 13 that may go at once)";
        ensure!(told.ready.message.contains(words), "{}", told.ready.message);
        ensure!(
            told.ready
                .message
                .contains(&format!("ConfigMap/{}/map-17", tenant.name()))
        );
        ensure!(number_of_maps(&tenant).await? == 24);
        let settings = tenant.api("v1", "ConfigMap").get("settings").await?;
        ensure!(
            settings.data["data"]["colour"] == "red",
            "everything else is applied"
        );
        let recorded = told.kustomization["status"]["inventory"]["entries"].as_array();
        ensure!(recorded.is_some_and(|entries| entries.len() == 26));

        tenant.annotate(CONFIRM, Some("0123456789abcdef")).await?;
        let told = tenant.after(|_| {}).await?;
        ensure!(told.ready.reason == Reason::PruneHeld.as_str());
        ensure!(
            number_of_maps(&tenant).await? == 24,
            "another list was confirmed"
        );

        // Nobody has to ask for a run.
        tenant.annotate(CONFIRM, Some(digest(&told)?)).await?;
        tenant
            .told_of(Reason::ReconciliationSucceeded, "Applied revision")
            .await?;
        ensure!(number_of_maps(&tenant).await? == 0);
        Ok(())
    });
}

#[test]
fn a_confirmation_that_was_left_there_confirms_no_later_deletion() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = estate.healthy_tenant("again").await?;
        let many = maps(24);
        tenant.push(&[("many.yaml", Some(&many))]).await?;
        let told = tenant.after(|draft| draft.delete("many.yaml")).await?;
        let first = digest(&told)?.to_owned();
        tenant.annotate(CONFIRM, Some(&first)).await?;
        tenant
            .told_of(Reason::ReconciliationSucceeded, "Applied revision")
            .await?;
        ensure!(number_of_maps(&tenant).await? == 0);

        // The annotation stays where it is, and the same list comes once more.
        tenant.push(&[("many.yaml", Some(&many))]).await?;
        let told = tenant.after(|draft| draft.delete("many.yaml")).await?;
        let held = Reason::PruneHeld.as_str();
        ensure!(told.ready.reason == held, "{:?}", told.ready);
        ensure!(digest(&told)? != first, "{}", told.ready.message);
        ensure!(number_of_maps(&tenant).await? == 24);
        Ok(())
    });
}

#[test]
fn a_repository_that_becomes_empty_deletes_ten_objects_with_a_warning_and_no_more() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = estate.healthy_tenant("emptied").await?;
        let told = tenant
            .push(&[
                ("settings.yaml", None),
                ("service.yaml", None),
                ("README.md", Some("Nothing.")),
            ])
            .await?;
        ensure!(told.ready.status == "True", "{:?}", told.ready);
        let maps = tenant.api("v1", "ConfigMap");
        ensure!(maps.get_opt("settings").await?.is_none());
        let events = tenant.api("v1", "Event");
        wait::until(wait::PATIENCE, "the event is there", || async {
            let all = events.list(&Default::default()).await.ok()?;
            let warns = |event: &kube::api::DynamicObject| {
                event.data["type"] == "Warning"
                    && event.data["message"]
                        .to_string()
                        .contains("nothing is left in git")
            };
            all.items.iter().any(warns).then_some(())
        })
        .await?;

        tenant.push(&[("many.yaml", Some(&self::maps(11)))]).await?;
        let told = tenant.after(|draft| draft.delete("many.yaml")).await?;
        let words = "deleting 11 of 11 objects (nothing is left in git";
        ensure!(told.ready.message.contains(words), "{}", told.ready.message);
        ensure!(number_of_maps(&tenant).await? == 11);

        tenant.annotate(BUDGET, Some("100%")).await?;
        tenant
            .told_of(Reason::ReconciliationSucceeded, "Applied revision")
            .await?;
        ensure!(
            number_of_maps(&tenant).await? == 0,
            "who never waits need not"
        );
        Ok(())
    });
}

#[test]
fn what_points_elsewhere_waits_and_lists_what_is_missing_and_what_is_new() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = estate.healthy_tenant("elsewhere").await?;
        let own = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: own\n";
        let told = tenant
            .after(|draft| {
                draft.commit("elsewhere/own.yaml", own);
                draft.set("path", json!("./elsewhere"));
            })
            .await?;
        ensure!(
            told.ready.reason == Reason::PruneHeld.as_str(),
            "{:?}",
            told.ready
        );
        let name = tenant.name();
        for words in [
            "path ./elsewhere and no longer at GitRepository/",
            &format!("ConfigMap/{name}/settings"),
            &format!("was never applied and would be: ConfigMap/{name}/own"),
        ] {
            ensure!(told.ready.message.contains(words), "{}", told.ready.message);
        }
        let changes = tenant.changes().await?;
        ensure!(changes.is_empty(), "{changes:?}");

        tenant.annotate(CONFIRM, Some(digest(&told)?)).await?;
        tenant
            .told_of(Reason::ReconciliationSucceeded, "Applied revision")
            .await?;
        let maps = tenant.api("v1", "ConfigMap");
        ensure!(maps.get_opt("settings").await?.is_none());
        ensure!(maps.get_opt("own").await?.is_some());
        Ok(())
    });
}
