//! What is applied from a source that reeve does not keep: it goes where reeve reads that, and the source stays.

use anyhow::ensure;
use kube::ResourceExt as _;
use reeve_tests::{Estate, scenario, wait};
use serde_json::{Value, json};

use super::flux::{Delivered, Flux, KUSTOMIZATION, SOURCE, put, settings, workload};
use super::{OURS, SHARD, THEIRS, change, controllers, has, migrate, namespace, rolled_out};
use crate::elsewhere::shelf::{Shelf, archive};
use crate::elsewhere::{artifact, definition, offer};

const KIND: &str = "OCIRepository";
const HOSTS: &str = "--allow-artifact-hosts=127.0.0.1";

/// The Deployment of our controller, started so.
async fn ours(estate: &Estate, args: &[&str]) -> anyhow::Result<()> {
    let labels = json!({
        "app.kubernetes.io/name": "reeve", "app.kubernetes.io/component": "controller",
    });
    let container = json!({"name": "manager", "image": "registry.example/reeve:1", "args": args});
    let deployment = json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "reeve", "namespace": estate.system(), "labels": labels},
        "spec": {
            "replicas": 1, "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        },
    });
    put(&estate.admin(), "helm", &deployment).await?;
    rolled_out(estate, estate.system(), "reeve").await
}

fn files(colour: &str) -> Vec<u8> {
    let (settings, workload) = (settings(colour).to_string(), workload().to_string());
    archive(&[("settings.yaml", &settings), ("web.yaml", &workload)])
}

#[test]
fn what_flux_applies_from_an_image_goes_where_its_host_is_allowed_and_comes_back() {
    scenario(async {
        let estate = Estate::start_with(&["--leader-elect=false", OURS, HOSTS]).await?;
        controllers(&estate, &[THEIRS]).await?;
        put(
            &estate.admin(),
            "flux",
            &definition(KIND, "ocirepositories"),
        )
        .await?;
        let (one, shelf) = (
            Delivered::new(&estate, "image").await?,
            Shelf::start().await?,
        );
        let name = one.name.as_str();
        let images = one.api(SOURCE, KIND);
        wait::until(wait::PATIENCE, "the kind is served", || async {
            images.list(&Default::default()).await.ok()
        })
        .await?;
        let green = files("green");
        let first = artifact(&shelf.lay("green.tar.gz", &green), "latest", &green);
        offer(&estate, (name, KIND, name), first).await?;
        let from = json!({"spec": {"sourceRef": {"kind": KIND}}});
        change(&one, KUSTOMIZATION, "Kustomization", from).await?;
        let flux = Flux::start(&[&one]);
        flux.looks_again().await?;
        let before = (
            one.versions().await?,
            images.get(name).await?.resource_version(),
        );
        let subject = format!("Kustomization/{name}/{name}");

        it_stays(&estate, name).await?;
        ours(&estate, &["controller", OURS, HOSTS]).await?;
        let told = migrate(&estate, &["report"], 0).await?;
        has(&told, &[&subject, "goes"])?;
        has(&told, &[&format!("{KIND}/{name}/{name}"), "stays"])?;
        let told = namespace(&estate, name, &[], 0).await?;
        has(
            &told,
            &["2 objects are reeve's now; 2 of 2 applied objects unchanged"],
        )?;
        ensure!(one.versions().await? == before.0, "{before:?}");
        let image = images.get(name).await?;
        ensure!(image.resource_version() == before.1, "{:?}", image.metadata);
        ensure!(!image.labels().contains_key(SHARD));
        goes_on(&estate, &one, &shelf, &flux).await?;

        let green = artifact(&shelf.url("green.tar.gz"), "latest", &green);
        offer(&estate, (name, KIND, name), green).await?;
        until(&one, "green").await?;
        let told = namespace(&estate, name, &["--back"], 0).await?;
        has(
            &told,
            &["2 objects are Flux's now; 2 of 2 applied objects unchanged"],
        )?;
        ensure!(!one.kustomization().await?.labels().contains_key(SHARD));
        Ok(())
    });
}

/// Without leave to fetch from there it stays, and the report says what is needed.
async fn it_stays(estate: &Estate, name: &str) -> anyhow::Result<()> {
    ours(estate, &["controller", OURS]).await?;
    let told = migrate(estate, &["report"], 0).await?;
    has(
        &told,
        &[
            &format!("Kustomization/{name}/{name}"),
            "stays",
            "127.0.0.1",
            "--allow-artifact-hosts",
        ],
    )?;
    let told = namespace(estate, name, &["--dry-run"], 0).await?;
    has(&told, &["1 object would be reeve's"])?;
    Ok(())
}

/// What the image has next is applied here, and not changed back.
async fn goes_on(
    estate: &Estate,
    one: &Delivered<'_>,
    shelf: &Shelf,
    flux: &Flux,
) -> anyhow::Result<()> {
    let name = one.name.as_str();
    let blue = files("blue");
    let second: Value = artifact(&shelf.lay("blue.tar.gz", &blue), "next", &blue);
    offer(estate, (name, KIND, name), second).await?;
    until(one, "blue").await?;
    flux.looks_again().await?;
    ensure!(one.colour().await? == "blue", "changed back");
    Ok(())
}

async fn until(one: &Delivered<'_>, colour: &str) -> anyhow::Result<()> {
    wait::until(wait::PATIENCE, "it is applied", || async {
        let now = one.colour().await.ok()?;
        (now == colour).then_some(())
    })
    .await
}
