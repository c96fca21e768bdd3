//! Plugins of tenants: they come with the repository, are called before the platform's, and fail for nobody else.

use std::time::Duration;

use kube::Api;
use kube::api::DynamicObject;
use reeve_api::reason::Reason;
use reeve_tests::install::CONFIG;
use reeve_tests::tenant::Tenant;
use reeve_tests::{Estate, guest, objects, scenario, wait};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

const API: &str = "reeve.dev/v1alpha1";
const RED: &str =
    "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: settings\ndata:\n  colour: red\n";

fn stamp_labels() -> anyhow::Result<Vec<u8>> {
    Ok(std::fs::read(
        reeve_tests::root().join("target/plugins/stamp-labels.wasm"),
    )?)
}

/// A Plugin of the tenant's.
fn plugin(tenant: &str, name: &str, spec: &Value) -> Value {
    let mut plugin = json!({
        "apiVersion": API, "kind": "Plugin", "metadata": {"name": name, "namespace": tenant},
        "spec": {"world": "transformer"},
    });
    if let (Some(into), Some(more)) = (plugin["spec"].as_object_mut(), spec.as_object()) {
        into.extend(more.clone());
    }
    plugin
}

fn from_git(tenant: &str, path: &str) -> Value {
    json!({"git": {"sourceRef": {"name": tenant, "namespace": CONFIG}, "path": path}})
}

fn plugins(tenant: &Tenant<'_>) -> Api<DynamicObject> {
    tenant.api(API, "Plugin")
}

/// What `Ready` of the plugin says, once `seen` likes it.
async fn ready(
    tenant: &Tenant<'_>,
    name: &str,
    what: &str,
    seen: impl Fn(&str, &str) -> bool,
) -> anyhow::Result<DynamicObject> {
    wait::for_object(&plugins(tenant), name, what, |plugin| {
        objects::condition(&plugin.data, "Ready")
            .is_some_and(|ready| seen(&ready.reason, &ready.message))
    })
    .await
}

/// Waits until the settings bear these labels, `None` for one that they must not bear.
async fn stamped(tenant: &Tenant<'_>, wanted: &[(&str, Option<&str>)]) -> anyhow::Result<()> {
    let settings = tenant.api("v1", "ConfigMap");
    let what = format!("the labels are {wanted:?}");
    wait::for_object(&settings, "settings", &what, |map| {
        let labels = map.metadata.labels.clone().unwrap_or_default();
        let is =
            |(key, value): &(&str, Option<&str>)| labels.get(*key).map(String::as_str) == *value;
        wanted.iter().all(is)
    })
    .await?;
    Ok(())
}

async fn label(tenant: &Tenant<'_>, key: &str) -> anyhow::Result<Option<String>> {
    let settings = tenant.api("v1", "ConfigMap").get("settings").await?;
    let labels = settings.metadata.labels.unwrap_or_default();
    Ok(labels.get(key).cloned())
}

#[test]
fn a_component_of_which_the_repository_has_only_a_pointer_is_told_as_that() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = estate.healthy_tenant("pointer").await?;
        let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n";
        tenant.commit([("plugins/stamp.wasm", Some(pointer))])?;
        tenant.call_hook().await?;
        let source = from_git(tenant.name(), "plugins/stamp.wasm");
        let spec = json!({ "source": source });
        tenant.apply(&plugin(tenant.name(), "stamp", &spec)).await?;
        let told = |reason: &str, message: &str| {
            reason == Reason::PluginNotFound.as_str() && message.contains("is a Git LFS pointer")
        };
        ready(&tenant, "stamp", "its file is a pointer", told).await?;
        Ok(())
    });
}

#[test]
fn a_plugin_comes_with_its_repository_and_a_broken_one_leaves_the_last_good_one_in_place() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = estate.healthy_tenant("author").await?;
        let source = from_git(tenant.name(), "plugins/stamp.wasm");
        let spec = json!({"source": source, "config": {"labels": {"team": "web"}}});
        tenant.apply(&plugin(tenant.name(), "stamp", &spec)).await?;
        let missing = ready(
            &tenant,
            "stamp",
            "its file is missing",
            |reason, message| {
                reason == Reason::PluginNotFound.as_str() && message.contains("plugins/stamp.wasm")
            },
        )
        .await?;
        anyhow::ensure!(objects::text(&missing.data, "/status/digest").is_none());

        // One commit brings both, and what it holds is never applied without it.
        let good = stamp_labels()?;
        let commit = tenant.commit([("plugins/stamp.wasm", Some(&good))])?;
        tenant.call_hook().await?;
        tenant.applied(&commit).await?;
        anyhow::ensure!(label(&tenant, "team").await?.as_deref() == Some("web"));
        let loaded = ready(&tenant, "stamp", "it is loaded", |reason, _| {
            reason == "Succeeded"
        })
        .await?;
        let digest = objects::text(&loaded.data, "/status/digest").map(str::to_owned);
        let told = objects::text(&loaded.data, "/status/revision");
        anyhow::ensure!(
            told.is_some_and(|revision| revision.ends_with(&commit)),
            "{told:?}"
        );

        let commit = tenant.commit([
            ("plugins/stamp.wasm", Some(b"no component".to_vec())),
            ("settings.yaml", Some(RED.as_bytes().to_vec())),
        ])?;
        tenant.call_hook().await?;
        tenant.applied(&commit).await?;
        anyhow::ensure!(label(&tenant, "team").await?.as_deref() == Some("web"));
        let kept = ready(
            &tenant,
            "stamp",
            "it says what it does instead",
            |reason, message| {
                reason == Reason::PluginFailed.as_str()
                    && message.contains("it is not a WebAssembly component")
                    && message.contains("until then sha256:")
            },
        )
        .await?;
        anyhow::ensure!(objects::text(&kept.data, "/status/digest") == digest.as_deref());
        Ok(())
    });
}

#[test]
fn another_config_is_in_force_at_once_and_a_plugin_that_goes_takes_its_labels_with_it() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = estate.healthy_tenant("changing").await?;
        let config =
            json!({"source": {"path": "stamp-labels.wasm"}, "config": {"labels": {"team": "web"}}});
        let mut stamp = plugin(tenant.name(), "stamp", &config);
        tenant.apply(&stamp).await?;
        ready(&tenant, "stamp", "it is loaded", |reason, _| {
            reason == "Succeeded"
        })
        .await?;
        stamp["spec"]["config"] = json!({"labels": {"team": "db"}});
        tenant.apply(&stamp).await?;
        stamped(&tenant, &[("team", Some("db"))]).await?;
        plugins(&tenant)
            .delete("stamp", &Default::default())
            .await?;
        stamped(&tenant, &[("team", None)]).await?;
        Ok(())
    });
}

#[test]
fn a_tenants_plugins_are_called_before_the_platforms_and_only_for_its_own() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = estate.healthy_tenant("ordered").await?;
        let neighbour = estate.healthy_tenant("unordered").await?;
        let config = json!({"source": {"path": "stamp-labels.wasm"}, "order": 9,
            "config": {"labels": {"by": "tenant", "own": "yes"}}});
        tenant.apply(&plugin(tenant.name(), "own", &config)).await?;
        let platforms = json!({
            "apiVersion": API, "kind": "ClusterPlugin", "metadata": {"name": format!("{}-last", tenant.name())},
            "spec": {"world": "transformer", "source": {"path": "stamp-labels.wasm"}, "order": -9,
                "selector": {"namespaces": [tenant.name()]}, "config": {"labels": {"by": "platform"}}},
        });
        tenant.apply(&platforms).await?;
        stamped(&tenant, &[("own", Some("yes")), ("by", Some("platform"))]).await?;
        neighbour.reconcile(None).await?;
        anyhow::ensure!(label(&neighbour, "own").await?.is_none());
        Ok(())
    });
}

#[test]
fn a_config_is_put_together_from_what_the_tenant_may_read_and_held_against_the_schema() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = estate.healthy_tenant("configured").await?;
        tenant
            .apply(&json!({
                "apiVersion": "v1", "kind": "ConfigMap",
                "metadata": {"name": "stamp", "namespace": tenant.name()},
                "data": {"config.yaml": "labels: {team: web, tier: front}\n"},
            }))
            .await?;
        let mut stamp = plugin(
            tenant.name(),
            "stamp",
            &json!({
                "source": {"path": "stamp-labels.wasm"}, "config": {"labels": {"team": "db"}},
                "configFrom": [{"kind": "ConfigMap", "name": "stamp", "key": "config.yaml"},
                    {"kind": "Secret", "name": "absent", "optional": true}],
            }),
        );
        tenant.apply(&stamp).await?;
        ready(&tenant, "stamp", "it is loaded", |reason, _| {
            reason == "Succeeded"
        })
        .await?;
        stamped(&tenant, &[("team", Some("db")), ("tier", Some("front"))]).await?;

        stamp["spec"]["config"] = json!({"labels": {"team": 7}});
        tenant.apply(&stamp).await?;
        ready(
            &tenant,
            "stamp",
            "the schema refuses it",
            |reason, message| {
                reason == Reason::InvalidSpec.as_str() && message.contains("/labels/team: ")
            },
        )
        .await?;
        // What was asked for is not what is in force: nothing is applied by the old config.
        let told = tenant.reconcile(None).await?;
        anyhow::ensure!(
            told.ready.reason == Reason::PluginFailed.as_str(),
            "{:?}",
            told.ready
        );

        stamp["spec"]["config"] = json!({});
        stamp["spec"]["configFrom"] = json!([{"kind": "ConfigMap", "name": "absent", "key": "a"}]);
        tenant.apply(&stamp).await?;
        ready(&tenant, "stamp", "it says what is missing", |_, message| {
            message.contains(&format!("configmap '{}/absent' not found", tenant.name()))
        })
        .await?;
        Ok(())
    });
}

#[test]
fn a_plugin_that_fails_again_and_again_rests_until_something_changes() {
    scenario(async {
        guest::install()?;
        let estate = Estate::shared().await?;
        let tenant = estate.healthy_tenant("restless").await?;
        let traps = plugin(
            tenant.name(),
            "traps",
            &json!({"source": {"path": guest::TRAPS}}),
        );
        tenant.apply(&traps).await?;
        let kustomizations = tenant.kustomizations();
        let words = [
            format!("plugin {}/traps failed: ", tenant.name()),
            "it failed 5 times in a row and rests".to_owned(),
            format!("kubectl -n {} describe plugin traps", tenant.name()),
        ];
        wait::for_object(&kustomizations, tenant.name(), "it rests", |ks| {
            objects::condition(&ks.data, "Ready").is_some_and(|ready| {
                ready.reason == Reason::PluginFailed.as_str()
                    && words.iter().all(|words| ready.message.contains(words))
            })
        })
        .await?;
        // Asked to, it tries again: the same end, and no more than asked for.
        let told = tenant.reconcile(None).await?;
        anyhow::ensure!(told.ready.reason == Reason::PluginFailed.as_str());
        let counted = wait::within(
            Duration::from_secs(90),
            &plugins(&tenant),
            "traps",
            "its calls are told",
            |plugin| {
                let failed = plugin.data.pointer("/status/calls/failed");
                failed
                    .and_then(Value::as_i64)
                    .is_some_and(|failed| failed >= 5)
            },
        )
        .await?;
        let last = objects::text(&counted.data, "/status/lastError/for");
        anyhow::ensure!(
            last == Some(&*format!("{0}/{0}", tenant.name())),
            "{last:?}"
        );

        // What is changed is tried at once.
        let stamps =
            json!({"source": {"path": "stamp-labels.wasm"}, "config": {"labels": {"a": "b"}}});
        tenant
            .apply(&plugin(tenant.name(), "traps", &stamps))
            .await?;
        wait::for_object(&kustomizations, tenant.name(), "it is applied", |ks| {
            objects::condition(&ks.data, "Ready").is_some_and(|ready| ready.status == "True")
        })
        .await?;
        Ok(())
    });
}

/// Names and specs of Plugins, and what they are told.
fn refusals(neighbour: &str) -> [(&'static str, Value, Reason, &'static str); 5] {
    let pin = "0".repeat(64);
    [
        (
            "theirs",
            json!({"source": from_git(neighbour, "plugins/stamp.wasm")}),
            Reason::AccessDenied,
            "cross-namespace references have been blocked",
        ),
        (
            "another",
            json!({"source": {"path": "stamp-labels.wasm"}, "sha256": pin}),
            Reason::DigestMismatch,
            "component stamp-labels.wasm is sha256:",
        ),
        (
            "slow",
            json!({"source": {"path": "stamp-labels.wasm"}, "limits": {"deadline": "10m"}}),
            Reason::InvalidSpec,
            "spec.limits.deadline is more than a tenant's plugin may have: 30s",
        ),
        (
            "world",
            json!({"source": {"path": "stamp-labels.wasm"}, "world": "provider"}),
            Reason::PluginFailed,
            "is not of world provider",
        ),
        (
            "secret",
            json!({
                "source": {"path": "stamp-labels.wasm"},
                "configFrom": [{"kind": "Secret", "name": "envied", "key": "token"}],
            }),
            Reason::AuthenticationFailed,
            "/envied' not found",
        ),
    ]
}

#[test]
fn a_tenants_plugin_is_held_to_its_own_ground() {
    scenario(async {
        guest::install()?;
        let estate = Estate::shared().await?;
        let tenant = estate.healthy_tenant("grounded").await?;
        let neighbour = estate.healthy_tenant("envied").await?;
        neighbour.commit([("plugins/stamp.wasm", Some(stamp_labels()?))])?;
        neighbour.call_hook().await?;
        for (name, spec, reason, words) in refusals(neighbour.name()) {
            tenant.apply(&plugin(tenant.name(), name, &spec)).await?;
            let says = format!("{name} is told {reason}");
            ready(&tenant, name, &says, |told, message| {
                told == reason.as_str() && message.contains(words)
            })
            .await?;
            let told = tenant.reconcile(None).await?;
            let loads = spec["world"] != "provider";
            let stops = told.ready.reason == Reason::PluginFailed.as_str();
            anyhow::ensure!(loads == stops, "{name}: {:?}", told.ready);
            plugins(&tenant).delete(name, &Default::default()).await?;
        }
        // Its own plugin is a way around nothing.
        tenant
            .apply(&plugin(
                tenant.name(),
                "moves",
                &json!({"source": {"path": guest::MOVES}}),
            ))
            .await?;
        ready(&tenant, "moves", "it is loaded", |reason, _| {
            reason == "Succeeded"
        })
        .await?;
        let told = tenant.reconcile(None).await?;
        anyhow::ensure!(
            told.ready.reason == Reason::PolicyDenied.as_str(),
            "{:?}",
            told.ready
        );
        anyhow::ensure!(told.ready.message.contains("ConfigMap/kube-system/moved"));
        anyhow::ensure!(tenant.changes().await?.is_empty());
        Ok(())
    });
}

#[test]
fn a_plugin_that_is_made_again_under_its_name_has_nothing_of_the_one_before() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = estate.healthy_tenant("again").await?;
        let first =
            json!({"source": {"path": "stamp-labels.wasm"}, "config": {"labels": {"a": "b"}}});
        let second = json!({"source": {"path": "echo.wasm"}});
        let echo = std::fs::read(reeve_tests::root().join("target/plugins/echo.wasm"))?;
        let wanted = format!("sha256:{}", hex::encode(Sha256::digest(echo)));
        // The first is being compiled when it goes.
        tenant.apply(&plugin(tenant.name(), "same", &first)).await?;
        plugins(&tenant).delete("same", &Default::default()).await?;
        tenant
            .apply(&plugin(tenant.name(), "same", &second))
            .await?;
        let loaded = ready(&tenant, "same", "it is loaded", |reason, _| {
            reason == "Succeeded"
        });
        let digest = objects::text(&loaded.await?.data, "/status/digest").map(str::to_owned);
        anyhow::ensure!(digest.as_deref() == Some(wanted.as_str()), "{digest:?}");
        Ok(())
    });
}

#[test]
fn a_source_that_is_taken_away_takes_its_plugins_with_it_until_it_is_given_back() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = estate.healthy_tenant("lender").await?;
        let shared = format!("{}-shared", tenant.name());
        let repo = estate.repo(&shared)?;
        repo.write("stamp.wasm", stamp_labels()?)?;
        repo.commit("A plugin")?;
        repo.push()?;
        let owner = |sources: &[&str]| {
            json!({
                "apiVersion": API, "kind": "Tenant", "metadata": {"name": tenant.name()},
                "spec": {"namespaces": [tenant.name()], "sources": sources},
            })
        };
        tenant.apply(&owner(&[tenant.name(), &shared])).await?;
        tenant
            .apply(&json!({
                "apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "GitRepository",
                "metadata": {"name": shared, "namespace": CONFIG},
                "spec": {"interval": "1h", "url": estate.git.url(&shared), "ref": {"branch": "main"}},
            }))
            .await?;
        let source = from_git(&shared, "stamp.wasm");
        let spec = json!({"source": source, "config": {"labels": {"lent": "yes"}}});
        tenant.apply(&plugin(tenant.name(), "lent", &spec)).await?;
        stamped(&tenant, &[("lent", Some("yes"))]).await?;
        let denied = |reason: &str, _: &str| reason == Reason::AccessDenied.as_str();
        tenant.apply(&owner(&[tenant.name()])).await?;
        ready(&tenant, "lent", "it is taken away", denied).await?;
        let told = tenant
            .after(|draft| draft.commit("settings.yaml", RED))
            .await?;
        anyhow::ensure!(
            told.ready.reason == Reason::PluginFailed.as_str(),
            "{told:?}"
        );
        tenant.apply(&owner(&[tenant.name(), &shared])).await?;
        let loaded = |reason: &str, _: &str| reason == "Succeeded";
        ready(&tenant, "lent", "it is given back", loaded).await?;
        Ok(())
    });
}
