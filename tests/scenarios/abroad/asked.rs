//! `reeve diff` and `reeve get --tree` of what is carried out on another cluster: that one is asked, as a run would ask it.

use std::io::ErrorKind;
use std::net::TcpListener;

use anyhow::{Context as _, ensure};
use kube::api::{DeleteParams, Patch, PatchParams};
use reeve_tests::tenant::Tenant;
use reeve_tests::{Estate, scenario};
use serde_json::json;

use super::edge::{Edge, gives, may_reach, moves};
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

#[test]
fn what_one_may_read_is_not_sent_to_a_cluster_that_nobody_names() {
    scenario(async {
        let (estate, edge) = (Estate::shared().await?, Edge::shared().await?);
        let tenant = guest(estate, &edge, "abroad-led").await?;
        moves(&tenant).await?;
        tenant.told_of(DONE, "Applied revision").await?;

        // The platform lets the tenant go elsewhere only, and the tenant leads whoever asks to a server of its own.
        may_reach(&tenant, &["api.example"]).await?;
        let good = edge.guest(tenant.name()).await?;
        let trap = TcpListener::bind("127.0.0.1:0")?;
        trap.set_nonblocking(true)?;
        let mut led = good.clone();
        let server = led.pointer_mut("/clusters/0/cluster/server");
        *server.context("a server")? = json!(format!("https://{}", trap.local_addr()?));
        gives(&tenant, &led).await?;
        for named in [&["diff"][..], &["diff", "--remote-cluster", "api.example"]] {
            let told = ask(estate, &tenant, named, 2).await?;
            let refused = "may not apply to the cluster at 127.0.0.1";
            ensure!(told.contains(refused), "{told}");
            ensure!(told.contains("name it with --remote-cluster"), "{told}");
        }
        let came = trap.accept().map(drop).map_err(|why| why.kind());
        ensure!(came == Err(ErrorKind::WouldBlock), "it was connected to");

        // Whoever asks may name it, as the controller's flag would.
        gives(&tenant, &good).await?;
        let named = ["diff", "--remote-cluster", "127.0.0.1"];
        let told = ask(estate, &tenant, &named, 0).await?;
        ensure!(told.contains("2 unchanged"), "{told}");
        Ok(())
    });
}
