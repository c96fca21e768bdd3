//! `reeve diff` and `reeve get --tree` of what is carried out on another cluster: that one is asked, as a run would ask it.

use anyhow::ensure;
use kube::api::{DeleteParams, Patch, PatchParams};
use reeve_tests::tenant::Tenant;
use reeve_tests::{Estate, scenario};
use serde_json::json;

use super::edge::{Edge, moves};
use super::jobs::hook;
use super::{DONE, guest, settings};
use crate::command::get::{asked, said};

/// Runs a verb about the tenant's Kustomization.
async fn ask(
    estate: &Estate,
    tenant: &Tenant<'_>,
    verb: &[&str],
    code: i32,
) -> anyhow::Result<String> {
    let name = tenant.name();
    let (verb, more) = verb.split_first().unwrap_or((&"", &[]));
    let arguments = [&[*verb, "ks", name, "-n", name], more].concat();
    said(
        &asked(estate, &std::env::temp_dir(), &arguments).await?,
        code,
    )
}

#[test]
fn what_would_change_on_another_cluster_is_asked_there() {
    scenario(async {
        let (estate, edge) = (Estate::shared().await?, Edge::shared().await?);
        let tenant = guest(estate, &edge, "abroad-asked").await?;
        let name = tenant.name();
        moves(&tenant).await?;
        tenant.told_of(DONE, "Applied revision").await?;
        let told = ask(estate, &tenant, &["diff"], 0).await?;
        let at = format!("on the cluster at {}", edge.url());
        ensure!(told.contains(&at) && told.contains("2 unchanged"), "{told}");

        // Somebody changes it there, and it goes on to be what it was here.
        let white = Patch::Merge(json!({"data": {"colour": "white"}}));
        let maps = edge.api(&tenant, "v1", "ConfigMap");
        maps.patch("settings", &PatchParams::default(), &white)
            .await?;
        let told = ask(estate, &tenant, &["diff"], 1).await?;
        ensure!(told.contains("-   colour: white"), "{told}");

        let commit = tenant.commit([
            ("before.yaml", Some(hook("before", "PreSync"))),
            ("settings.yaml", Some(settings("red"))),
        ])?;
        let told = ask(estate, &tenant, &["diff", "--source", &commit], 1).await?;
        ensure!(told.contains("+   colour: red"), "{told}");
        let runs = format!("hook PreSync Job/{name}/before would run");
        ensure!(told.contains(&runs), "{told}");

        // The kubeconfig is read as whoever asks.
        let nobody = format!("system:serviceaccount:{name}:default");
        let told = ask(estate, &tenant, &["diff", "--as", &nobody], 2).await?;
        let words = format!("spec.kubeConfig: reading secret '{name}/edge' failed");
        ensure!(told.contains(&words), "{told}");

        let services = edge.api(&tenant, "v1", "Service");
        services.delete("web", &DeleteParams::default()).await?;
        let told = ask(estate, &tenant, &["get", "--tree"], 0).await?;
        let web = told.lines().find(|line| line.contains("Service/"));
        ensure!(web.is_some_and(|web| web.contains("NotFound")), "{told}");
        Ok(())
    });
}
