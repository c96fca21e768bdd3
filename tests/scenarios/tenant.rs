//! The fixture that other scenarios stand on: a healthy tenant, and what it is told after one change.

use reeve_api::reason::Reason;
use reeve_tests::{Estate, objects, scenario};
use serde_json::Value;

#[test]
fn a_healthy_tenant_is_told_of_its_push_and_its_mistake() {
    scenario(async {
        let estate = Estate::shared().await?;
        let acme = estate.healthy_tenant("acme").await?;
        let blue =
            "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: settings\ndata:\n  colour: blue\n";

        let told = acme.push(&[("settings.yaml", Some(blue))]).await?;
        assert_eq!(told.ready.reason, Reason::ReconciliationSucceeded.as_str());
        let settings = acme.api("v1", "ConfigMap").get("settings").await?;
        assert_eq!(objects::text(&settings.data, "/data/colour"), Some("blue"));
        let changes = acme.changes().await?;
        assert_eq!(changes.len(), 1, "{changes:#?}");

        let before = acme.objects().await?;
        let told = acme
            .after(|draft| draft.set("serviceAccountName", Value::Null))
            .await?;
        assert_eq!(
            told.ready.reason,
            Reason::PolicyDenied.as_str(),
            "{}",
            told.ready.message
        );
        let told = acme
            .after(|draft| draft.commit("settings.yaml", "not: [a manifest"))
            .await?;
        assert_eq!(
            told.ready.reason,
            Reason::PolicyDenied.as_str(),
            "{}",
            told.ready.message
        );
        let told = acme
            .after(|draft| draft.set("serviceAccountName", "flux".into()))
            .await?;
        assert_eq!(
            told.ready.reason,
            Reason::BuildFailed.as_str(),
            "{}",
            told.ready.message
        );
        let changes = acme.objects().await?.changes_since(&before);
        assert!(
            changes.is_empty(),
            "nothing may have been written: {changes:#?}"
        );

        let told = acme.after(|draft| draft.delete("settings.yaml")).await?;
        assert_eq!(told.ready.reason, Reason::ReconciliationSucceeded.as_str());
        let gone: Vec<String> = acme.objects().await?.changes_since(&before);
        assert_eq!(
            gone,
            [format!("removed ConfigMap./{}/settings", acme.name())]
        );
        Ok(())
    });
}

#[test]
fn a_reconcile_of_what_did_not_change_builds_nothing() {
    scenario(async {
        let estate = Estate::shared().await?;
        let acme = estate.healthy_tenant("acme-unchanged").await?;
        // Others share the controller, so only that ours was not built can be told apart: by a plain count of those kept.
        let kept = async || -> anyhow::Result<u64> {
            let text = estate.controller.metrics().await?;
            let count = "reeve_render_duration_seconds_count{result=\"kept\"} ";
            let line = text.lines().find_map(|line| line.strip_prefix(count));
            Ok(line.unwrap_or("0").parse()?)
        };
        let before = kept().await?;
        for _ in 0..3 {
            let told = acme.reconcile(None).await?;
            assert_eq!(told.ready.reason, Reason::ReconciliationSucceeded.as_str());
        }
        assert!(kept().await? >= before + 3);
        Ok(())
    });
}
