//! KRM functions that are WebAssembly: run inside of the render, in the cluster as on a laptop.

use std::path::Path;

use reeve_api::reason::Reason;
use reeve_tests::{Estate, guest, objects, scenario, wait};
use serde_json::json;

use crate::command::reeve;
use crate::command::registry::Registry;

const KUSTOMIZATION: &str = "resources: [settings.yaml]\ntransformers: [function.yaml]\n";

fn function(wasm: &str) -> String {
    format!(
        "apiVersion: example.com/v1\nkind: Stamp\nmetadata:\n  name: stamp\n  annotations:\n    \
         config.kubernetes.io/function: |\n      wasm: {wasm}\nlabels: {{by: function}}\n"
    )
}

fn component(path: &str) -> anyhow::Result<Vec<u8>> {
    Ok(std::fs::read(
        reeve_tests::root().join("target/plugins").join(path),
    )?)
}

#[test]
fn a_function_of_the_repository_changes_what_is_applied_and_one_that_fails_stops_it() {
    scenario(async {
        guest::install()?;
        let estate = Estate::shared().await?;
        let tenant = estate.healthy_tenant("functional").await?;
        let commit = tenant.commit([
            (
                "kustomization.yaml",
                Some(KUSTOMIZATION.as_bytes().to_vec()),
            ),
            (
                "function.yaml",
                Some(function("{path: stamp.wasm}").into_bytes()),
            ),
            ("stamp.wasm", Some(component("stamp-labels.wasm")?)),
        ])?;
        tenant.call_hook().await?;
        tenant.applied(&commit).await?;
        let settings = tenant.api("v1", "ConfigMap");
        let by = |labels: Option<&std::collections::BTreeMap<String, String>>| {
            labels.and_then(|labels| labels.get("by").cloned())
        };
        let now = settings.get("settings").await?;
        anyhow::ensure!(by(now.metadata.labels.as_ref()).as_deref() == Some("function"));

        for (wasm, words) in [
            ("{path: traps.wasm}", "function traps.wasm failed: "),
            (
                "{plugin: none}",
                "function plugin none failed: there is no Plugin of that name",
            ),
            (
                &*format!("{{path: stamp.wasm, sha256: \"{}\"}}", "0".repeat(64)),
                "not what wasm.sha256 says",
            ),
        ] {
            let told = tenant
                .after(|draft| {
                    draft.commit("function.yaml", function(wasm));
                    draft.commit("traps.wasm", component(guest::TRAPS).unwrap());
                })
                .await?;
            anyhow::ensure!(
                told.ready.reason == Reason::PluginFailed.as_str()
                    && told.ready.message.contains(words)
                    && told.ready.message.contains("function.yaml"),
                "{wasm}: {:?}",
                told.ready
            );
        }
        Ok(())
    });
}

#[test]
fn a_function_may_be_a_plugin_which_need_not_be_there_yet() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = estate.healthy_tenant("functional-by-name").await?;
        tenant
            .after(|draft| draft.commit("kustomization.yaml", KUSTOMIZATION))
            .await?;
        tenant
            .after(|draft| draft.commit("function.yaml", function("{plugin: stamp}")))
            .await?;
        tenant
            .apply(&json!({
                "apiVersion": "reeve.dev/v1alpha1", "kind": "Plugin",
                "metadata": {"name": "stamp", "namespace": tenant.name()},
                "spec": {
                    "world": "transformer", "source": {"path": "stamp-labels.wasm"},
                    "config": {"labels": {}}, "selector": {"matchLabels": {"never": "ever"}},
                },
            }))
            .await?;
        let kustomizations = tenant.kustomizations();
        wait::for_object(&kustomizations, tenant.name(), "it is applied", |ks| {
            objects::condition(&ks.data, "Ready").is_some_and(|ready| ready.status == "True")
        })
        .await?;
        Ok(())
    });
}

/// Pushes the plugin and returns the reference with its digest, and the digest of its component.
fn pushed(registry: &Registry, dir: &Path) -> anyhow::Result<(String, String)> {
    std::fs::write(dir.join("stamp.wasm"), component("stamp-labels.wasm")?)?;
    let reference = format!("oci://{}/acme/stamp:1", registry.host());
    let run = |arguments: &[&str]| {
        let done = reeve(&[&["plugin"], arguments].concat(), dir)?;
        anyhow::ensure!(done.status.success(), "{arguments:?}");
        Ok(String::from_utf8_lossy(&done.stdout).trim().to_owned())
    };
    let exact = run(&["push", "stamp.wasm", &reference, "--plain-http"])?;
    let told = run(&["inspect", "stamp.wasm", "-o", "json"])?;
    let told: serde_json::Value = serde_json::from_str(&told)?;
    let digest = told["digest"].as_str().unwrap_or_default();
    Ok((exact, digest.trim_start_matches("sha256:").to_owned()))
}

/// Functions that are not fetched or not run, and why.
fn unusable(host: &str, tagged: &str, digest: &str) -> [(String, String); 5] {
    let (none, zeros) = ("f".repeat(64), "0".repeat(64));
    [
        (
            format!("{{image: \"{tagged}\"}}"),
            "a tag may mean another component tomorrow".to_owned(),
        ),
        (
            format!("{{image: \"{tagged}\", sha256: \"{zeros}\"}}"),
            format!("it is sha256:{digest}, not what wasm.sha256 says"),
        ),
        (
            format!("{{image: \"oci://{host}/acme/stamp@sha256:{none}\"}}"),
            format!("registry {host} does not have"),
        ),
        (
            format!("{{image: \"oci://169.254.169.254/acme/stamp@sha256:{none}\"}}"),
            "registry 169.254.169.254 cannot be reached".to_owned(),
        ),
        (
            format!("{{image: \"registry.example/acme/stamp@sha256:{none}\"}}"),
            "it does not begin with oci://".to_owned(),
        ),
    ]
}

#[test]
fn a_function_in_a_registry_is_fetched_by_what_pins_it() {
    // Before the story: it waits for the registry on a runtime of its own.
    let registry = Registry::start().expect("a registry");
    scenario(async {
        let dir = tempfile::tempdir()?;
        let (exact, digest) = pushed(&registry, dir.path())?;
        let tagged = format!("oci://{}/acme/stamp:1", registry.host());
        let estate = Estate::shared().await?;
        let tenant = estate.healthy_tenant("functional-by-image").await?;
        let commit = tenant.commit([
            (
                "kustomization.yaml",
                Some(KUSTOMIZATION.as_bytes().to_vec()),
            ),
            (
                "function.yaml",
                Some(function(&format!("{{image: \"{exact}\"}}")).into_bytes()),
            ),
        ])?;
        tenant.call_hook().await?;
        tenant.applied(&commit).await?;
        let settings = tenant.api("v1", "ConfigMap").get("settings").await?;
        let labels = settings.metadata.labels.unwrap_or_default();
        anyhow::ensure!(
            labels.get("by").is_some_and(|by| by == "function"),
            "{labels:?}"
        );

        for (wasm, words) in unusable(registry.host(), &tagged, &digest) {
            let told = tenant
                .after(|draft| draft.commit("function.yaml", function(&wasm)))
                .await?;
            let message = &told.ready.message;
            anyhow::ensure!(
                told.ready.status == "False"
                    && message.contains(&words)
                    && message.contains("function.yaml"),
                "{wasm}: {message}"
            );
        }
        let pinned = format!("{{image: \"{tagged}\", sha256: \"{digest}\"}}");
        let told = tenant
            .after(|draft| draft.commit("function.yaml", function(&pinned)))
            .await?;
        anyhow::ensure!(told.ready.status == "True", "{:?}", told.ready);
        Ok(())
    });
}

#[test]
fn a_build_on_a_laptop_fetches_functions_unless_it_may_not() -> anyhow::Result<()> {
    let registry = Registry::start()?;
    let dir = tempfile::tempdir()?;
    let (exact, _) = pushed(&registry, dir.path())?;
    let write = |name: &str, content: &str| std::fs::write(dir.path().join(name), content);
    write("kustomization.yaml", KUSTOMIZATION)?;
    write(
        "function.yaml",
        &function(&format!("{{image: \"{exact}\"}}")),
    )?;
    write(
        "settings.yaml",
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: settings\n",
    )?;
    let built = reeve(&["build", "."], dir.path())?;
    let told = String::from_utf8_lossy(&built.stderr);
    anyhow::ensure!(built.status.success(), "{told}");
    anyhow::ensure!(String::from_utf8_lossy(&built.stdout).contains("by: function"));
    let built = reeve(&["build", ".", "--no-remote-bases"], dir.path())?;
    let told = String::from_utf8_lossy(&built.stderr);
    anyhow::ensure!(
        !built.status.success() && told.contains("is in a registry, and --no-remote-bases is set"),
        "{told}"
    );
    Ok(())
}

#[test]
fn a_build_on_a_laptop_runs_the_functions_too() {
    let dir = tempfile::tempdir().unwrap();
    let write =
        |name: &str, content: &[u8]| std::fs::write(dir.path().join(name), content).unwrap();
    write("kustomization.yaml", KUSTOMIZATION.as_bytes());
    write("function.yaml", function("{path: stamp.wasm}").as_bytes());
    write("stamp.wasm", &component("stamp-labels.wasm").unwrap());
    write(
        "settings.yaml",
        b"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: settings\n",
    );
    let built = reeve(&["build", "."], dir.path()).unwrap();
    let told = String::from_utf8_lossy(&built.stderr);
    assert!(built.status.success(), "{told}");
    assert_eq!(
        String::from_utf8_lossy(&built.stdout),
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  labels:\n    by: function\n  name: settings\n"
    );
}
