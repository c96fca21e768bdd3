//! `reeve reconcile`, `suspend`, `resume` and `events`: what an operator asks for, and what is told of it.

use anyhow::ensure;
use kube::api::DynamicObject;
use reeve_tests::install::CONFIG;
use reeve_tests::{Estate, objects, scenario, wait};
use serde_json::{Value, json};

use super::get::{asked, said};
use crate::flux_cli::has_line;

const SETTINGS: &str =
    "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: settings\ndata:\n  colour: red\n";

fn is_suspended(object: &DynamicObject) -> bool {
    object
        .data
        .pointer("/spec/suspend")
        .and_then(Value::as_bool)
        == Some(true)
}

#[test]
fn reeve_reconcile_fetches_and_applies_what_was_pushed_and_says_why_it_could_not() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = estate.healthy_tenant("ops-rec").await?;
        let (here, name) = (std::env::temp_dir(), tenant.name());

        let commit = tenant.commit([("README.md", Some("one\n"))])?;
        let source = ["reconcile", "source", "git", name, "-n", CONFIG];
        let told = said(&asked(estate, &here, &source).await?, 0)?;
        has_line(&told, &["► annotating GitRepository", name, CONFIG])?;
        has_line(&told, &["✔ GitRepository annotated"])?;
        has_line(&told, &["◎ waiting for GitRepository reconciliation"])?;
        has_line(&told, &["✔ fetched revision", &commit])?;

        let commit = tenant.commit([("settings.yaml", Some(SETTINGS))])?;
        let line = ["reconcile", "ks", name, "-n", name];
        let with_source = [&line[..], &["--with-source"]].concat();
        let told = said(&asked(estate, &here, &with_source).await?, 0)?;
        has_line(&told, &["✔ fetched revision", &commit])?;
        has_line(&told, &["✔ applied revision", &commit])?;
        let settings = tenant.api("v1", "ConfigMap").get("settings").await?;
        ensure!(objects::text(&settings.data, "/data/colour") == Some("red"));

        tenant
            .change(|draft| draft.set("path", json!("./nowhere")))
            .await?;
        let told = said(&asked(estate, &here, &line).await?, 1)?;
        let failed = format!("Kustomization {name}/{name} reconciliation failed:");
        has_line(&told, &[&failed, "nowhere"])?;

        let nobody = ["reconcile", "ks", "nobody", "-n", name];
        let told = said(&asked(estate, &here, &nobody).await?, 1)?;
        has_line(
            &told,
            &[&format!("there is no Kustomization {name}/nobody")],
        )
    });
}

#[test]
fn reeve_suspend_holds_a_rollout_until_reeve_resume() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = estate.healthy_tenant("ops-sus").await?;
        let (here, name) = (std::env::temp_dir(), tenant.name());

        let suspend = ["suspend", "kustomization", name, "-n", name];
        let told = said(&asked(estate, &here, &suspend).await?, 0)?;
        has_line(&told, &["► suspending kustomization", name])?;
        has_line(&told, &["✔ kustomization suspended"])?;
        let commit = tenant.commit([("settings.yaml", Some(SETTINGS))])?;
        let source = ["reconcile", "source", "git", name, "-n", CONFIG];
        said(&asked(estate, &here, &source).await?, 0)?;
        let moved = tenant.changes().await?;
        ensure!(moved.is_empty(), "while it is suspended: {moved:?}");
        let reconcile = ["reconcile", "ks", name, "-n", name];
        let told = said(&asked(estate, &here, &reconcile).await?, 1)?;
        has_line(&told, &["is suspended"])?;
        has_line(
            &told,
            &[&format!("reeve resume kustomization {name} -n {name}")],
        )?;

        let resume = ["resume", "ks", "--all", "-n", name, "--timeout", "2m"];
        let told = said(&asked(estate, &here, &resume).await?, 0)?;
        has_line(&told, &["✔ kustomization resumed"])?;
        has_line(&told, &["✔ applied revision", &commit])?;
        let settings = tenant.api("v1", "ConfigMap").get("settings").await?;
        ensure!(objects::text(&settings.data, "/data/colour") == Some("red"));
        Ok(())
    });
}

#[test]
fn reeve_suspends_and_resumes_sources_and_receivers() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = estate.healthy_tenant("ops-all").await?;
        let (here, name) = (std::env::temp_dir(), tenant.name());
        let receivers = objects::api(
            estate.admin(),
            "notification.toolkit.fluxcd.io/v1",
            "Receiver",
            Some(CONFIG),
        );
        for (words, api, done) in [
            (
                &["source", "git"][..],
                tenant.sources(),
                "✔ fetched revision",
            ),
            (&["receiver"][..], receivers, "✔ Receiver is ready"),
        ] {
            let line = |verb| [&[verb], words, &[name, "-n", CONFIG]].concat();
            let called = words.join(" ");
            let told = said(&asked(estate, &here, &line("suspend")).await?, 0)?;
            has_line(&told, &[&format!("✔ {called} suspended")])?;
            wait::for_object(&api, name, "it is suspended", is_suspended).await?;
            let told = said(&asked(estate, &here, &line("resume")).await?, 0)?;
            has_line(&told, &[&format!("✔ {called} resumed")])?;
            has_line(&told, &[done])?;
            ensure!(!is_suspended(&api.get(name).await?), "{called}");
        }
        let none = ["suspend", "receiver", "--all", "-n", name];
        let told = said(&asked(estate, &here, &none).await?, 1)?;
        has_line(
            &told,
            &[&format!("there is no Receiver in namespace {name}")],
        )
    });
}

#[test]
fn reeve_events_tells_what_happened_to_a_kustomization() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = estate.healthy_tenant("ops-ev").await?;
        let (here, name) = (std::env::temp_dir(), tenant.name());
        let object = format!("Kustomization/{name}");
        let line = ["events", "-n", name, "--for", &object];
        let events = tenant.api("v1", "Event");
        wait::until(wait::PATIENCE, "it is told", || async {
            let all = events.list(&Default::default()).await.ok()?;
            let mut all = all.into_iter();
            let finished = |event: DynamicObject| {
                objects::text(&event.data, "/reason") == Some("ReconciliationSucceeded")
            };
            all.any(finished).then_some(())
        })
        .await?;
        let table = said(&asked(estate, &here, &line).await?, 0)?;
        has_line(
            &table,
            &["LAST SEEN", "TYPE", "REASON", "OBJECT", "MESSAGE"],
        )?;
        has_line(
            &table,
            &[
                "Normal",
                "ReconciliationSucceeded",
                &object,
                "Reconciliation finished in",
            ],
        )?;
        let json = [&line[..], &["-o", "json"]].concat();
        let output = asked(estate, &here, &json).await?;
        said(&output, 0)?;
        let told: Vec<Value> = serde_json::from_slice(&output.stdout)?;
        let seen: Vec<&str> = told
            .iter()
            .filter_map(|one| one["lastSeen"].as_str())
            .collect();
        ensure!(!seen.is_empty() && seen.is_sorted(), "{told:?}");
        ensure!(
            told.iter().all(|one| one["object"] == json!(object)),
            "{told:?}"
        );
        let other = ["events", "-n", name, "--for", "Kustomization/nobody"];
        let table = said(&asked(estate, &here, &other).await?, 0)?;
        ensure!(table.lines().count() == 1, "{table}");
        Ok(())
    });
}
