//! Every road by which something comes into a manifest leads past policy: what it is shown is what would be sent.

use anyhow::{Context as _, ensure};
use reeve_api::reason::Reason;
use reeve_tests::tenant::Draft;
use reeve_tests::{Estate, guest, objects, scenario};
use serde_json::{Value, json};

use crate::rules::{policy, ready};

/// Denies what says `red` anywhere, be it a key.
const MINDS: &str = r#"# METADATA
# title: Colours
# description: Red is wanted nowhere.
package platform.colours

deny contains objection if {
	some planned in input.objects
	some said in words(planned.object)
	said == "red"
	objection := {"message": sprintf("%s/%s is red", [planned.kind, planned.name])}
}

words(object) := {value | walk(object, [_, value]); is_string(value)} | {key | walk(object, [path, _]); some key in path; is_string(key)}
"#;

const GREEN: &str =
    "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: settings\ndata:\n  colour: green\n";
const PLAIN: &str = "resources:\n- settings.yaml\n- service.yaml\n";
const COMPONENT: &str = "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\npatches:\n- target: {kind: ConfigMap}\n  patch: '[{op: add, path: /data/more, value: red}]'\n";
const FUNCTION: &str = "apiVersion: example.com/v1\nkind: Stamp\nmetadata:\n  name: stamp\n  annotations:\n    config.kubernetes.io/function: |\n      wasm: {path: stamp.wasm}\nlabels: {by: red}\n";

/// How something comes into a manifest.
type Road = (&'static str, fn(&mut Draft));

fn in_git() -> Vec<Road> {
    vec![
        ("a manifest", |d| {
            d.commit("settings.yaml", GREEN.replace("green", "red"));
        }),
        ("a key", |d| {
            d.commit("settings.yaml", GREEN.replace("colour:", "red:"));
        }),
        ("an item of a List", |d| {
            let item = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"a": "red"}});
            let list = json!({"apiVersion": "v1", "kind": "List", "items": [item]});
            d.commit("settings.yaml", list.to_string());
        }),
        ("a text of a Secret that is no value", |d| {
            let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a", "labels": {"a": "red"}}});
            d.commit("settings.yaml", secret.to_string());
        }),
        ("a generator", |d| {
            let generator = "configMapGenerator:\n- name: made\n  literals: [colour=red]\n";
            d.commit("kustomization.yaml", format!("{PLAIN}{generator}"));
        }),
        ("a common label", |d| {
            let labels = "labels:\n- pairs: {colour: red}\n  includeSelectors: false\n";
            d.commit("kustomization.yaml", format!("{PLAIN}{labels}"));
        }),
        ("a component", |d| {
            d.commit("component/kustomization.yaml", COMPONENT);
            d.commit(
                "kustomization.yaml",
                format!("{PLAIN}components: [component]\n"),
            );
        }),
        ("a replacement", |d| {
            let replacement = "replacements:\n- sourceValue: red\n  targets:\n  - select: {kind: ConfigMap}\n    fieldPaths: [data.colour]\n";
            d.commit("kustomization.yaml", format!("{PLAIN}{replacement}"));
        }),
        ("a function", |d| {
            d.commit("function.yaml", FUNCTION);
            d.commit(
                "kustomization.yaml",
                format!("{PLAIN}transformers: [function.yaml]\n"),
            );
        }),
    ]
}

fn in_the_cluster() -> Vec<Road> {
    vec![
        ("a patch in the spec", |d| {
            let patch = json!([{"op": "replace", "path": "/data/colour", "value": "red"}]);
            let target = json!({"kind": "ConfigMap", "name": "settings"});
            d.set(
                "patches",
                json!([{"patch": patch.to_string(), "target": target}]),
            );
        }),
        ("a common annotation in the spec", |d| {
            d.set("patches", Value::Null);
            d.set(
                "commonMetadata",
                json!({"annotations": {"example.com/a": "red"}}),
            );
        }),
        ("a variable", |d| {
            d.set("commonMetadata", Value::Null);
            d.set("postBuild", json!({"substitute": {"colour": "red"}}));
            d.commit("settings.yaml", GREEN.replace("green", "${colour}"));
        }),
        ("a plugin", |d| {
            d.set("postBuild", Value::Null);
            let plugin = json!({
                "apiVersion": "reeve.dev/v1alpha1", "kind": "ClusterPlugin",
                "metadata": {"name": format!("{}-plugin", d.namespace())},
                "spec": {
                    "world": "transformer", "source": {"path": "stamp-labels.wasm"},
                    "config": {"labels": {"colour": "red"}},
                    "selector": {"namespaces": [d.namespace()]},
                },
            });
            d.apply(plugin);
        }),
    ]
}

#[test]
fn whatever_road_it_takes_into_a_manifest_policy_is_shown_it() {
    scenario(async {
        guest::install()?;
        let estate = Estate::shared().await?;
        let tenant = estate.healthy_tenant("roads").await?;
        let rule = policy(&tenant, &json!({"rego": MINDS}));
        tenant.apply(&rule).await?;
        ready(estate, tenant.name(), Reason::Succeeded, "in force").await?;
        let stamp = reeve_tests::root().join("target/plugins/stamp-labels.wasm");
        let stamp = std::fs::read(stamp)?;
        let before = tenant.objects().await?;
        for (road, take) in in_git().into_iter().chain(in_the_cluster()) {
            let told = tenant
                .after(|draft| {
                    draft.commit("settings.yaml", GREEN);
                    draft.commit("kustomization.yaml", PLAIN);
                    draft.commit("stamp.wasm", &stamp);
                    // Another commit each time, so that what is told is about this one.
                    draft.commit("README.md", road);
                    take(draft);
                })
                .await
                .with_context(|| road.to_owned())?;
            let denied = told.ready.reason == Reason::PolicyDenied.as_str();
            let said = &told.ready.message;
            ensure!(
                denied && said.contains("is red"),
                "{road}: {:?}",
                told.ready
            );
        }
        let now = tenant.objects().await?;
        let changes = now.changes_since(&before);
        ensure!(changes.is_empty(), "{}", changes.join("\n"));
        let settings = tenant.api("v1", "ConfigMap").get("settings").await?;
        ensure!(objects::text(&settings.data, "/data/colour") == Some("green"));
        Ok(())
    });
}
