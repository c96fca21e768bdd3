//! What a Tenant says that policies and plugins go by: its domains, its registries, the components that its plugins may be.

use anyhow::ensure;
use reeve_api::reason::Reason;
use reeve_tests::tenant::Tenant;
use reeve_tests::{Estate, objects, scenario, wait};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::rules;

const API: &str = "reeve.dev/v1alpha1";

/// Its Tenant, with more in the spec.
fn party(tenant: &Tenant<'_>, more: &Value) -> Value {
    let name = tenant.name();
    let mut party = json!({
        "apiVersion": API, "kind": "Tenant", "metadata": {"name": name},
        "spec": {"namespaces": [name], "sources": [name]},
    });
    if let (Some(spec), Some(more)) = (party["spec"].as_object_mut(), more.as_object()) {
        spec.extend(more.clone());
    }
    party
}

fn manifests(host: &str, image: &str) -> [(&'static str, String); 2] {
    let ingress = json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": {"name": "web"},
        "spec": {"rules": [{"host": host}]},
    });
    let labels = json!({"app": "web"});
    let container = json!({"name": "web", "image": image});
    let web = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"},
        "spec": {
            "replicas": 0, "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        },
    });
    [
        ("ingress.yaml", ingress.to_string()),
        ("web.yaml", web.to_string()),
    ]
}

/// Puts the two policies in force for it.
async fn held_to_the_shipped(estate: &Estate, tenant: &Tenant<'_>) -> anyhow::Result<()> {
    let parameters = json!({"registries": ["registry.example/shared"]});
    for (policy, more) in [
        ("ingress-hosts", json!({})),
        ("allowed-registries", json!({"parameters": parameters})),
    ] {
        let mut object = rules::policy(tenant, &json!({"mode": "enforce", "shipped": policy}));
        let called = format!("{}-{policy}", tenant.name());
        object["metadata"]["name"] = json!(called);
        if let (Some(spec), Some(more)) = (object["spec"].as_object_mut(), more.as_object()) {
            spec.extend(more.clone());
        }
        tenant.apply(&object).await?;
        rules::ready(estate, &called, Reason::Succeeded, "").await?;
    }
    Ok(())
}

#[test]
fn a_tenant_takes_hosts_and_images_of_what_its_tenant_says_beside_the_parameters() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = estate.healthy_tenant("declared").await?;
        let name = tenant.name();
        let own = format!("*.{name}.example");
        tenant.apply(&party(&tenant, &json!({}))).await?;
        held_to_the_shipped(estate, &tenant).await?;
        let host = format!("shop.{name}.example");
        let told = tenant
            .after(|draft| {
                for (path, text) in manifests(&host, "registry.example/own/web:1") {
                    draft.commit(path, text);
                }
            })
            .await?;
        ensure!(
            told.ready.reason == Reason::PolicyDenied.as_str(),
            "{told:?}"
        );
        for words in [host.as_str(), "take one of registry.example/shared"] {
            ensure!(
                told.ready.message.contains(words),
                "{words}: {}",
                told.ready.message
            );
        }

        // Nobody asks for another run: what its Tenant says is taken up by itself.
        let more = json!({"domains": [own], "registries": ["registry.example/own"]});
        tenant.apply(&party(&tenant, &more)).await?;
        tenant
            .told_of(Reason::ReconciliationSucceeded, "Applied revision")
            .await?;
        tenant
            .api("networking.k8s.io/v1", "Ingress")
            .get("web")
            .await?;
        tenant
            .apply(&party(
                &tenant,
                &json!({"registries": ["registry.example/own"]}),
            ))
            .await?;
        tenant.told_of(Reason::PolicyDenied, &host).await?;

        let wrong = json!({"domains": ["https://evil.example"]});
        let refused = tenant.apply(&party(&tenant, &wrong)).await.err();
        let refused = refused.map(|why| format!("{why:#}")).unwrap_or_default();
        ensure!(refused.contains("spec.domains"), "{refused}");
        Ok(())
    });
}

#[test]
fn a_tenants_plugin_is_only_a_component_that_its_tenant_allows() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = estate.healthy_tenant("declared-plugins").await?;
        let bytes = std::fs::read(reeve_tests::root().join("target/plugins/stamp-labels.wasm"))?;
        let digest = hex::encode(Sha256::digest(&bytes));
        tenant.apply(&party(&tenant, &json!({}))).await?;
        let plugin = json!({
            "apiVersion": API, "kind": "Plugin",
            "metadata": {"name": "stamp", "namespace": tenant.name()},
            "spec": {
                "world": "transformer", "source": {"path": "stamp-labels.wasm"},
                "config": {"labels": {"team": "web"}},
            },
        });
        tenant.apply(&plugin).await?;
        let plugins = tenant.api(API, "Plugin");
        let says = async |reason: Reason, words: &str| {
            let what = format!("{} with {words:?}", reason.as_str());
            wait::for_object(&plugins, "stamp", &what, |plugin| {
                let ready = objects::condition(&plugin.data, "Ready").unwrap_or_default();
                ready.reason == reason.as_str() && ready.message.contains(words)
            })
            .await
        };
        says(Reason::Succeeded, "").await?;
        let other = json!({"pluginDigests": ["0".repeat(64)]});
        tenant.apply(&party(&tenant, &other)).await?;
        says(
            Reason::AccessDenied,
            &format!("does not allow component sha256:{digest}"),
        )
        .await?;
        let told = tenant.reconcile(None).await?;
        ensure!(
            told.ready.reason == Reason::PluginFailed.as_str(),
            "{told:?}"
        );
        let named = json!({"pluginDigests": [digest]});
        tenant.apply(&party(&tenant, &named)).await?;
        says(Reason::Succeeded, "").await?;
        tenant
            .told_of(Reason::ReconciliationSucceeded, "Applied revision")
            .await?;
        Ok(())
    });
}
