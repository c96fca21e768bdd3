//! A GitRepository whose credential a provider plugin brings, in the cluster.

use reeve_api::reason::Reason;
use reeve_tests::{Estate, objects, scenario, wait};
use serde_json::{Value, json};

use super::{Desk, Forge};

const OURS: &str = "reeve.dev/v1alpha1";
const SOURCE: &str = "source.toolkit.fluxcd.io/v1";

fn objects_of(desk: &Desk<'_>, namespace: &str) -> [Value; 3] {
    let host = desk.forge.gitea.host();
    let named = |name: &str| json!({"name": name, "namespace": namespace});
    [
        json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": named("forge"),
            "stringData": {"token": desk.token},
        }),
        json!({
            "apiVersion": OURS, "kind": "Plugin", "metadata": named("forge"),
            "spec": {
                "world": "provider", "source": {"path": "gitea-provider.wasm"},
                "grants": {
                    "hosts": [host],
                    "slots": {"token": {"secretRef": {"name": "forge", "key": "token"}}},
                },
            },
        }),
        json!({
            "apiVersion": SOURCE, "kind": "GitRepository",
            "metadata": {
                "name": "private", "namespace": namespace,
                "annotations": {"reeve.dev/provider": "forge"},
            },
            "spec": {"interval": "1h", "url": desk.url(), "ref": {"branch": "main"}},
        }),
    ]
}

#[test]
fn a_private_repository_is_fetched_with_the_login_that_a_provider_brings() {
    scenario(async {
        let desk = Forge::shared().await?.desk("login").await?;
        let estate = Estate::shared().await?;
        let tenant = estate.healthy_tenant("login").await?;
        for object in objects_of(&desk, tenant.name()) {
            tenant.apply(&object).await?;
        }
        let sources = tenant.api(SOURCE, "GitRepository");
        let says = |what: &'static str, reason: Reason, words: &'static str| {
            let sources = sources.clone();
            async move {
                wait::for_object(&sources, "private", what, |source| {
                    objects::condition(&source.data, "Ready").is_some_and(|ready| {
                        ready.reason == reason.as_str() && ready.message.contains(words)
                    })
                })
                .await
            }
        };
        says(
            "nobody granted it",
            Reason::PluginFailed,
            "spec.pluginHosts",
        )
        .await?;
        let mut party = json!({
            "apiVersion": OURS, "kind": "Tenant", "metadata": {"name": tenant.name()},
            "spec": {"namespaces": [tenant.name()], "pluginHosts": [desk.forge.gitea.host()]},
        });
        tenant.apply(&party).await?;
        says(
            "it is fetched",
            Reason::Succeeded,
            "stored artifact for revision",
        )
        .await?;

        // What the platform takes back is taken back at the next change.
        party["spec"]["pluginHosts"] = json!([]);
        tenant.apply(&party).await?;
        let [_, _, mut elsewhere] = objects_of(&desk, tenant.name());
        elsewhere["spec"]["url"] = json!(desk.url().replace("127.0.0.1", "localhost"));
        tenant.apply(&elsewhere).await?;
        says(
            "it goes nowhere else",
            Reason::PluginFailed,
            "spec.pluginHosts",
        )
        .await?;
        Ok(())
    });
}

/// A provider of the platform's, and its secret.
fn of_the_platform(desk: &Desk<'_>, name: &str) -> [Value; 2] {
    let host = desk.forge.gitea.host();
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret",
        "metadata": {"name": name, "namespace": "reeve-system"}, "stringData": {"token": desk.token},
    });
    let platforms = json!({
        "apiVersion": OURS, "kind": "ClusterPlugin", "metadata": {"name": name},
        "spec": {
            "world": "provider", "source": {"path": "gitea-provider.wasm"},
            "grants": {
                "hosts": [host],
                "slots": {"token": {"secretRef": {"name": name, "key": "token"}}},
            },
        },
    });
    [secret, platforms]
}

#[test]
fn a_tenant_is_not_let_in_with_the_platforms_login() {
    scenario(async {
        let desk = Forge::shared().await?.desk("not-yours").await?;
        let estate = Estate::shared().await?;
        let tenant = estate.healthy_tenant("borrower").await?;
        let name = format!("{}-forge", tenant.name());
        let [secret, platforms] = of_the_platform(&desk, &name);
        let source = |namespace: &str| {
            json!({
                "apiVersion": SOURCE, "kind": "GitRepository",
                "metadata": {
                    "name": tenant.name(), "namespace": namespace,
                    "annotations": {"reeve.dev/provider": name},
                },
                "spec": {"interval": "1h", "url": desk.url(), "ref": {"branch": "main"}},
            })
        };
        for object in [
            secret,
            platforms,
            source(tenant.name()),
            source("flux-system"),
        ] {
            tenant.apply(&object).await?;
        }
        let ready =
            |api: kube::Api<kube::api::DynamicObject>, reason: Reason, words: &'static str| {
                let name = tenant.name().to_owned();
                async move {
                    wait::for_object(&api, &name, words, |source| {
                        objects::condition(&source.data, "Ready").is_some_and(|ready| {
                            ready.reason == reason.as_str() && ready.message.contains(words)
                        })
                    })
                    .await
                }
            };
        let own = tenant.api(SOURCE, "GitRepository");
        ready(
            own,
            Reason::PluginNotFound,
            "serves the platform's own sources only",
        )
        .await?;
        let platforms = objects::api(estate.admin(), SOURCE, "GitRepository", Some("flux-system"));
        ready(platforms, Reason::Succeeded, "stored artifact for revision").await?;
        Ok(())
    });
}
