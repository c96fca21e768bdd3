//! The demo's own honesty: a step that could not fail is refused, and one that fails says what was
//! seen instead.

use std::time::Duration;

use reeve_tests::sight::Sight;
use reeve_tests::story::{Failed, Story};
use reeve_tests::{Estate, objects, scenario};
use serde_json::{Value, json};

fn namespaces(estate: &Estate) -> kube::Api<kube::api::DynamicObject> {
    objects::api(estate.admin(), "v1", "Namespace", None)
}

fn story() -> Story {
    Story::new(std::io::sink(), false).with_patience(Duration::from_millis(500))
}

#[test]
fn a_step_that_holds_before_its_deed_proves_nothing() {
    scenario(async {
        let estate = Estate::shared().await?;
        let sight = Sight::of(namespaces(estate), "default", "it is there", |_| {
            Ok(String::new())
        });
        let mut done = false;
        let told = story()
            .step("nothing", vec![sight], async {
                done = true;
                Ok(())
            })
            .await;
        let why = told
            .map(drop)
            .expect_err("the step is refused")
            .downcast::<Failed>()?;
        assert!(why.last_seen.contains("proves nothing"), "{why}");
        assert!(!done, "the deed was not even done");
        Ok(())
    });
}

#[test]
fn a_step_that_does_not_come_true_says_what_was_seen_instead() {
    scenario(async {
        let estate = Estate::shared().await?;
        let sight = Sight::of(
            namespaces(estate),
            "default",
            "phase Terminating",
            |namespace| match objects::text(namespace, "/status/phase") {
                Some("Terminating") => Ok(String::new()),
                phase => Err(format!("phase {phase:?}")),
            },
        );
        let told = story()
            .step("the end of default", vec![sight], async { Ok(()) })
            .await;
        let why = told
            .map(drop)
            .expect_err("the step fails")
            .downcast::<Failed>()?;
        assert_eq!(why.step, "the end of default");
        assert!(why.expected.contains("phase Terminating"), "{why}");
        assert!(why.last_seen.contains("Active"), "{why}");
        Ok(())
    });
}

#[test]
fn a_step_that_comes_true_tells_what_was_seen() {
    scenario(async {
        let estate = Estate::shared().await?;
        let name = estate.unique("arrives");
        let there = Sight::of(namespaces(estate), &name, "it is there", |namespace| {
            Ok(objects::text(namespace, "/metadata/name")
                .unwrap_or_default()
                .to_owned())
        });
        let object: Value =
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
        let deed = async {
            Ok(namespaces(estate)
                .create(&Default::default(), &serde_json::from_value(object)?)
                .await?)
        };
        let (_, seen) = Story::new(std::io::sink(), false)
            .step("arrival", vec![there], deed)
            .await?;
        assert_eq!(
            seen.first().map(|seen| seen.says.as_str()),
            Some(name.as_str())
        );
        Ok(())
    });
}

#[test]
fn taking_stock_shows_what_was_written_where() {
    scenario(async {
        let estate = Estate::shared().await?;
        let client = estate.admin();
        let name = estate.unique("stock");
        let object = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
        namespaces(estate)
            .create(&Default::default(), &serde_json::from_value(object)?)
            .await?;
        let before = objects::stock(&client, &name).await?;
        let maps = objects::api(client.clone(), "v1", "ConfigMap", Some("default"));
        let owner = json!({"kustomize.toolkit.fluxcd.io/namespace": name});
        let stray = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "labels": owner}});
        maps.create(&Default::default(), &serde_json::from_value(stray)?)
            .await?;
        let changes = objects::stock(&client, &name).await?.changes_since(&before);
        assert_eq!(
            changes,
            [format!("added ConfigMap./default/{name}")],
            "seen although it lies elsewhere"
        );
        Ok(())
    });
}
