//! A controller that is killed while it compiles a plugin or calls one comes back to the same end.

use std::fs;
use std::time::Duration;

use kube::Api;
use kube::api::DynamicObject;
use reeve_tests::tenant::Tenant;
use reeve_tests::{Estate, guest, objects, scenario, wait};
use serde_json::{Value, json};

use crate::outage::rough;

const API: &str = "reeve.dev/v1alpha1";

/// A component that nobody has compiled yet: the same one, with a note of its own at the end.
fn unheard_of(number: usize) -> anyhow::Result<Vec<u8>> {
    let path = reeve_tests::root().join("target/plugins/stamp-labels.wasm");
    let mut component = fs::read(path)?;
    let note = format!("note {number} {}", rand::random::<u64>());
    // A custom section: its id, its size, its name, its content. All of them are short.
    let name = b"tests";
    component.push(0);
    component.push(u8::try_from(1 + name.len() + note.len())?);
    component.push(u8::try_from(name.len())?);
    component.extend_from_slice(name);
    component.extend_from_slice(note.as_bytes());
    Ok(component)
}

fn plugin(tenant: &Tenant<'_>, source: &Value) -> Value {
    json!({
        "apiVersion": API, "kind": "Plugin",
        "metadata": {"name": "stamp", "namespace": tenant.name()},
        "spec": {"world": "transformer", "source": source, "config": {"labels": {"by": "plugin"}}},
    })
}

async fn is_ready(api: &Api<DynamicObject>, name: &str, what: &str) -> anyhow::Result<()> {
    wait::for_object(api, name, what, |object| {
        objects::condition(&object.data, "Ready").is_some_and(|ready| ready.status == "True")
    })
    .await?;
    Ok(())
}

/// The processes that `parent` compiles plugins in.
fn compilers(parent: u32) -> Vec<u32> {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(|pid| {
        let read = |file: &str| fs::read_to_string(format!("/proc/{pid}/{file}"));
        let of = read("stat").unwrap_or_default();
        let of = of
            .rsplit(") ")
            .next()
            .and_then(|rest| rest.split(' ').nth(1));
        of == Some(&*parent.to_string())
            && read("cmdline").is_ok_and(|words| words.contains("compile-plugin"))
    })
    .collect()
}

#[test]
fn a_controller_killed_while_it_compiles_a_plugin_or_calls_it_comes_to_the_same_end() {
    scenario(async {
        guest::install()?;
        let (_turn, estate) = rough().await?;
        let tenant = estate.healthy_tenant("interrupted").await?;
        let plugins = tenant.api(API, "Plugin");
        let from_git = json!({"git": {
            "path": "stamp.wasm",
            "sourceRef": {"name": tenant.name(), "namespace": reeve_tests::install::CONFIG},
        }});
        tenant.apply(&plugin(&tenant, &from_git)).await?;
        let mut hits = 0;
        for number in 0..6 {
            let commit = tenant.commit([("stamp.wasm", Some(unheard_of(number)?))])?;
            tenant.call_hook().await?;
            hits += usize::from(killed_while_it_compiles(estate).await?);
            estate.controller.restart().await?;
            is_ready(&plugins, "stamp", "it is compiled after all").await?;
            tenant.applied(&commit).await?;
        }
        anyhow::ensure!(
            hits > 0,
            "the controller was never killed while it compiled"
        );

        // In the middle of a call that takes five seconds.
        tenant
            .apply(&plugin(&tenant, &json!({"path": guest::LOOPS})))
            .await?;
        is_ready(&plugins, "stamp", "the endless one is loaded").await?;
        estate.controller.kill();
        estate.controller.restart().await?;
        tenant.apply(&plugin(&tenant, &from_git)).await?;
        is_ready(&tenant.kustomizations(), tenant.name(), "it is applied").await?;
        let settings = tenant.api("v1", "ConfigMap").get("settings").await?;
        let labels = settings.metadata.labels.unwrap_or_default();
        anyhow::ensure!(
            labels.get("by").is_some_and(|by| by == "plugin"),
            "{labels:?}"
        );
        Ok(())
    });
}

/// Kills the controller as soon as it compiles; its compiler goes with it. Whether it did.
async fn killed_while_it_compiles(estate: &Estate) -> anyhow::Result<bool> {
    let parent = estate.controller.pid().unwrap_or_default();
    let patience = Duration::from_secs(3);
    let seen = wait::until(patience, "a compiler runs", || async {
        let found = compilers(parent);
        (!found.is_empty()).then_some(found)
    })
    .await;
    estate.controller.kill();
    let Ok(seen) = seen else { return Ok(false) };
    wait::until(Duration::from_secs(10), "the compiler is gone", || async {
        let is_there = |pid: &u32| {
            fs::read_to_string(format!("/proc/{pid}/cmdline"))
                .is_ok_and(|words| words.contains("compile-plugin"))
        };
        (!seen.iter().any(is_there)).then_some(())
    })
    .await?;
    Ok(true)
}
