//! `reeve why`: the first thing that stands in the way is the answer, as far as whoever asks may see it.

use anyhow::{Context as _, ensure};
use kube::api::{Patch, PatchParams};
use reeve_tests::install::CONFIG;
use reeve_tests::{Estate, objects, scenario, wait};
use serde_json::{Value, json};

use super::get::{asked, said};

/// Whether the tenant's Receiver is suspended, from now on.
async fn suspend(estate: &Estate, name: &str, suspend: bool) -> anyhow::Result<()> {
    let version = "notification.toolkit.fluxcd.io/v1";
    let receivers = objects::api(estate.admin(), version, "Receiver", Some(CONFIG));
    let patch = Patch::Merge(json!({"spec": {"suspend": suspend}}));
    receivers
        .patch(name, &PatchParams::default(), &patch)
        .await?;
    Ok(())
}

#[test]
fn reeve_why_walks_from_the_kustomization_to_the_forge_and_names_what_is_wrong() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = estate.healthy_tenant("why").await?;
        let (here, name) = (std::env::temp_dir(), tenant.name());
        let args = ["why", "ks", name, "-n", name, "-o", "json"];
        let answer = || async {
            let output = asked(estate, &here, &args).await?;
            said(&output, 0)?;
            anyhow::Ok(serde_json::from_slice::<Value>(&output.stdout)?)
        };
        let wrong = |what: Value| {
            let answer = &answer;
            wait::until(wait::PATIENCE, "that is the answer", move || {
                let what = what.clone();
                async move { answer().await.ok().filter(|told| told["wrong"] == what) }
            })
        };
        let told = wrong(Value::Null).await?;
        let steps = told["steps"].as_array().context("there are steps")?;
        ensure!(steps.len() == 7, "{told:#}");

        // A call is told together with who called.
        tenant.call_hook().await?;
        suspend(estate, tenant.name(), true).await?;
        let told = wrong(json!("webhook")).await?;
        let says = told["steps"][6]["says"].as_str().unwrap_or_default();
        ensure!(says.ends_with("is suspended"), "{told:#}");
        suspend(estate, tenant.name(), false).await?;
        wrong(Value::Null).await?;

        tenant
            .change(|draft| draft.set("path", json!("./nowhere")))
            .await?;
        let told = wrong(json!("events")).await?;
        let says = told["steps"][2]["says"].as_str().unwrap_or_default();
        ensure!(says.contains("nowhere"), "{told:#}");
        tenant
            .change(|draft| draft.set("path", json!("./")))
            .await?;
        tenant
            .change(|draft| draft.set_source("url", json!("https://127.0.0.1:9/none")))
            .await?;
        let told = wrong(json!("source")).await?;
        ensure!(told["steps"][3]["verdict"] == "wrong", "{told:#}");

        let table = ["why", "ks", name, "-n", name];
        let text = said(&asked(estate, &here, &table).await?, 0)?;
        ensure!(text.contains("source is wrong; next:"), "{text}");
        let nobody = ["why", "ks", "nobody", "-n", name];
        let why = said(&asked(estate, &here, &nobody).await?, 1)?;
        ensure!(why.contains("there is no Kustomization"), "{why}");
        Ok(())
    });
}
