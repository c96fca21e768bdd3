//! A plugin that a controller fetches from a real registry, and believes only with the right signature.

use std::fs;

use anyhow::ensure;
use reeve_api::reason::Reason;
use reeve_tests::{Estate, objects, scenario, wait};
use serde_json::{Value, json};

use crate::command::reeve;
use crate::command::registry::{Registry, key};

fn plugin(tenant: &str, reference: &str, key: &str) -> Value {
    json!({
        "apiVersion": "reeve.dev/v1alpha1", "kind": "Plugin",
        "metadata": {"name": "stamp", "namespace": tenant},
        "spec": {
            "world": "transformer", "config": {"labels": {"by": "registry"}},
            "source": {"oci": {"reference": reference, "insecure": true, "publicKeys": [key]}},
        },
    })
}

#[test]
fn a_plugin_comes_from_a_registry_and_only_with_the_right_signature() {
    // Before the story: it waits for the registry on a runtime of its own.
    let registry = Registry::start().expect("a registry");
    scenario(async {
        let dir = tempfile::tempdir()?;
        let component = reeve_tests::root().join("target/plugins/stamp-labels.wasm");
        fs::copy(component, dir.path().join("stamp.wasm"))?;
        key(dir.path(), "own", &["ed25519"])?;
        let reference = format!("oci://{}/acme/stamp:1.0.0", registry.host());
        let run = |arguments: &[&str]| {
            let done = reeve(
                &[&["plugin"], arguments, &["--plain-http"]].concat(),
                dir.path(),
            )?;
            let told = String::from_utf8_lossy(&done.stderr).into_owned();
            ensure!(done.status.success(), "{arguments:?}: {told}");
            Ok(String::from_utf8_lossy(&done.stdout).trim().to_owned())
        };
        let exact = run(&["push", "stamp.wasm", &reference])?;

        let estate = Estate::shared().await?;
        let tenant = estate.healthy_tenant("from-a-registry").await?;
        let plugins = tenant.api("reeve.dev/v1alpha1", "Plugin");
        tenant
            .apply(&plugin(
                tenant.name(),
                &reference,
                &fs::read_to_string(dir.path().join("own.pub"))?,
            ))
            .await?;
        wait::for_object(&plugins, "stamp", "nobody signed it", |plugin| {
            objects::condition(&plugin.data, "Ready").is_some_and(|ready| {
                ready.reason == Reason::VerificationError.as_str()
                    && ready
                        .message
                        .contains("is not signed by a key that is believed")
            })
        })
        .await?;
        run(&["sign", &exact, "--key", "own.pem"])?;
        let again =
            json!({"metadata": {"annotations": {"reconcile.fluxcd.io/requestedAt": "now"}}});
        plugins
            .patch(
                "stamp",
                &Default::default(),
                &kube::api::Patch::Merge(&again),
            )
            .await?;
        let settings = tenant.api("v1", "ConfigMap");
        wait::for_object(&settings, "settings", "it is stamped", |map| {
            let labels = map.metadata.labels.as_ref();
            labels
                .and_then(|labels| labels.get("by"))
                .is_some_and(|by| by == "registry")
        })
        .await?;
        refuses_a_wrong_config(&plugins).await
    });
}

/// What its schema does not allow is told before it is called.
async fn refuses_a_wrong_config(
    plugins: &kube::Api<kube::core::DynamicObject>,
) -> anyhow::Result<()> {
    let wrong = json!({"spec": {"config": {"labels": {"by": 7}}}});
    plugins
        .patch(
            "stamp",
            &Default::default(),
            &kube::api::Patch::Merge(&wrong),
        )
        .await?;
    wait::for_object(plugins, "stamp", "its config is refused", |plugin| {
        objects::condition(&plugin.data, "Ready").is_some_and(|ready| {
            ready.reason == Reason::InvalidSpec.as_str()
                && ready.message.contains(
                    "spec.config: the config is not what the component asks for: /labels/by: value is not of type \"string\"",
                )
        })
    })
    .await?;
    Ok(())
}
