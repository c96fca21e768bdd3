//! Receivers that come to the same path, as Flux's formula lets them.

use anyhow::ensure;
use kube::api::{DeleteParams, DynamicObject};
use reeve_tests::install::CONFIG;
use reeve_tests::{Estate, objects, scenario, wait};
use serde_json::{Value, json};

use super::caller::{API, Watched, secret};

#[test]
fn a_path_that_two_receivers_have_is_that_of_the_older_one() {
    scenario(async {
        let estate = Estate::shared().await?;
        let watched = Watched::start(estate, "crossed").await?;
        let name = format!("{}-generic", watched.name());
        // Token, name and namespace are put together with nothing between them: so both come to the same.
        let end = secret();
        let (older, newer) = (format!("{end}x"), format!("{end}x{}", &name[..1]));
        let url = watched
            .receiver("generic", &[("token", &older)], Value::Null)
            .await?;
        let cut = name[1..].to_owned();
        let made = [
            json!({
                "apiVersion": "v1", "kind": "Secret",
                "metadata": {"name": cut, "namespace": CONFIG}, "stringData": {"token": newer},
            }),
            json!({
                "apiVersion": API, "kind": "Receiver",
                "metadata": {"name": cut, "namespace": CONFIG},
                "spec": {
                    "type": "generic", "secretRef": {"name": cut},
                    "resources": [{"kind": "GitRepository", "name": "nobody"}],
                },
            }),
        ];
        for object in &made {
            watched.tenant.apply(object).await?;
        }
        let admin = estate.admin();
        let receivers = objects::api(admin, API, "Receiver", Some(CONFIG));
        let refused = |one: &DynamicObject| {
            objects::condition(&one.data, "Ready").is_some_and(|ready| ready.reason == "PathTaken")
        };
        wait::for_object(&receivers, &cut, "the newer has no path", refused).await?;
        let commit = watched
            .tenant
            .commit([("README.md", Some("By the older.\n"))])?;
        let code = reqwest::get(&url).await?.status().as_u16();
        ensure!(code == 200, "{code}");
        watched.tenant.applied(&commit).await?;
        receivers.delete(&name, &DeleteParams::default()).await?;
        let has_path =
            |one: &DynamicObject| objects::text(&one.data, "/status/webhookPath").is_some();
        let told = wait::for_object(&receivers, &cut, "the newer has the path", has_path).await?;
        let path = objects::text(&told.data, "/status/webhookPath").unwrap_or_default();
        ensure!(url.ends_with(path), "it is the same path");
        Ok(())
    });
}
