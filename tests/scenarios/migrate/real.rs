//! The same beside Flux's own kustomize-controller, and by Flux's own definitions: what it applies, tells and passes over is not played.
//!
//! It takes minutes to build, so that these are told only where `REEVE_SOAK` asks for them, as `make soak` and `make oracle` do.
//! What source-controller does plays `keeper.rs`; what is delivered is in `real/manifests.rs`.

mod manifests;

use anyhow::{Context as _, ensure};
use kube::ResourceExt as _;
use kube::api::{DynamicObject, ListParams};
use reeve_tests::flux::{self, KustomizeController};
use reeve_tests::install::PLATFORM;
use reeve_tests::objects::{self, Stock};
use reeve_tests::{Estate, scenario, secrecy, wait};
use serde_json::{Value, json};

use self::manifests::{WHAT, files};
use super::flux::{Delivered, KUSTOMIZATION, put, settings};
use super::keeper::Keeper;
use super::{OURS, SHARD, THEIRS, change, controllers, has, migrate, namespace};
use crate::command::get::{asked, said};

/// A cluster with Flux on it, and reeve beside it.
struct Beside {
    estate: Estate,
    flux: KustomizeController,
    _keeper: Keeper,
}

/// None: nobody asks for it, which is said.
async fn beside() -> anyhow::Result<Option<Beside>> {
    if std::env::var_os("REEVE_SOAK").is_none() {
        eprintln!(
            "LEFT OUT: nothing was shown to Flux's own kustomize-controller, for which REEVE_SOAK does not ask"
        );
        return Ok(None);
    }
    let estate = Estate::start_with(&["--leader-elect=false", OURS]).await?;
    flux::define(&estate.plane).await?;
    controllers(&estate, &[THEIRS]).await?;
    let keeper = Keeper::start(&estate).await?;
    let flags = [THEIRS, "--requeue-dependency=5s"];
    let flux = KustomizeController::start(&estate.plane, &flags).await?;
    Ok(Some(Beside {
        estate,
        flux,
        _keeper: keeper,
    }))
}

/// A namespace to which Flux has delivered everything, and where all of it is as it stays.
async fn delivered<'a>(estate: &'a Estate, name: &str) -> anyhow::Result<Delivered<'a>> {
    secrecy::used(manifests::SECRET);
    let one = Delivered::begun(estate, name, &files("green")).await?;
    let variables = json!({"postBuild": {"substitute": {"size": "large"}}});
    one.flux_objects(&variables).await?;
    is_applied(&one).await?;
    let reached = |pointer: &'static str| {
        move |object: &DynamicObject| object.data.pointer(pointer) == Some(&json!(1))
    };
    let deployments = one.api("apps/v1", "Deployment");
    let runs = reached("/status/availableReplicas");
    wait::for_object(&deployments, "web", "it runs", runs).await?;
    let jobs = one.api("batch/v1", "Job");
    wait::for_object(&jobs, "once", "it is done", reached("/status/succeeded")).await?;
    Ok(one)
}

/// Whoever has it has applied what is there now.
async fn is_applied(one: &Delivered<'_>) -> anyhow::Result<DynamicObject> {
    let is_done = |object: &DynamicObject| {
        let ready = objects::condition(&object.data, "Ready").unwrap_or_default();
        ready.message.starts_with("Applied revision")
            && ready.observed_generation == object.metadata.generation
    };
    let all = one.api(KUSTOMIZATION, "Kustomization");
    wait::for_object(&all, &one.name, "it is applied", is_done).await
}

/// How everything stands that was delivered: what of it no writer leaves as it is, and all that there is in the namespace.
async fn stands(estate: &Estate, one: &Delivered<'_>) -> anyhow::Result<(Vec<String>, Stock)> {
    let mut all = Vec::new();
    for (version, kind, name) in WHAT {
        let found = one.api(version, kind).get(name).await;
        let meta = found.with_context(|| format!("{kind} {name}"))?.metadata;
        // Who wrote what beside the status: also a write by which nothing became another.
        let record = meta.managed_fields.into_iter().flatten();
        let record = record.filter(|one| one.subresource.as_deref() != Some("status"));
        let record: Vec<_> = record
            .map(|one| format!("{:?} {:?} {:?}", one.manager, one.operation, one.time))
            .collect();
        let (uid, generation) = (meta.uid, meta.generation);
        all.push(format!("{kind} {name} {uid:?} {generation:?} {record:?}"));
    }
    let stock = objects::stock(&estate.admin(), &one.name).await?;
    Ok((all, stock))
}

/// Since then nobody has written to any of it.
async fn stand_still(
    estate: &Estate,
    one: &Delivered<'_>,
    before: &(Vec<String>, Stock),
) -> anyhow::Result<()> {
    let now = stands(estate, one).await?;
    for (was, is) in before.0.iter().zip(&now.0) {
        ensure!(was == is, "it was written:\n  {was}\n  {is}");
    }
    let changes = now.1.changes_since(&before.1);
    ensure!(changes.is_empty(), "{changes:#?}");
    Ok(())
}

/// The ids of what it has applied.
fn inventory(kustomization: &DynamicObject) -> Vec<String> {
    let entries = kustomization.data.pointer("/status/inventory/entries");
    let entries = entries.and_then(Value::as_array).into_iter().flatten();
    let id = |entry: &Value| objects::text(entry, "/id").unwrap_or_default().to_owned();
    let mut all: Vec<String> = entries.map(id).collect();
    all.sort();
    all
}

async fn coloured(one: &Delivered<'_>, colour: &str) -> anyhow::Result<()> {
    let what = format!("{} is {colour}", one.name);
    wait::until(wait::PATIENCE, &what, || async {
        let now = one.colour().await.ok()?;
        (now == colour).then_some(())
    })
    .await
}

/// Has reeve fetch and apply.
async fn sync(estate: &Estate, one: &Delivered<'_>) -> anyhow::Result<()> {
    let name = one.name.as_str();
    let line = ["reconcile", "ks", name, "-n", name, "--with-source"];
    said(&asked(estate, &std::env::temp_dir(), &line).await?, 0)?;
    Ok(())
}

/// Has another colour pushed, and with it another map by a generator: the one of before is to be pruned.
fn push(one: &Delivered<'_>, colour: &str) -> anyhow::Result<()> {
    for (path, text) in files(colour) {
        one.repo.write(path, text)?;
    }
    one.push(colour).map(drop)
}

/// Waits until there is one map of the generator's.
async fn pruned(one: &Delivered<'_>) -> anyhow::Result<()> {
    let maps = one.api("v1", "ConfigMap");
    wait::until(wait::PATIENCE, "the map of before is pruned", || async {
        let all = maps.list(&ListParams::default()).await.ok()?;
        let made = all
            .iter()
            .filter(|map| map.name_any().starts_with("generated-"));
        (made.count() == 1).then_some(())
    })
    .await
}

#[test]
fn a_namespace_goes_from_a_real_flux_and_back_and_nothing_that_either_applied_is_written() {
    scenario(async {
        let Some(beside) = beside().await? else {
            return Ok(());
        };
        let estate = &beside.estate;
        let (one, other) = (
            delivered(estate, "given").await?,
            delivered(estate, "kept").await?,
        );
        let name = one.name.as_str();
        let (before, kept) = (stands(estate, &one).await?, stands(estate, &other).await?);
        let applied = inventory(&is_applied(&one).await?);
        // What is looked at, and the generator's.
        ensure!(applied.len() == WHAT.len() + 1, "{applied:#?}");

        migrate(estate, &["report"], 0).await?;
        migrate(estate, &["crds"], 0).await?;
        let told = namespace(estate, name, &[], 0).await?;
        let count = applied.len();
        let unwritten = format!("{count} of {count} applied objects unchanged");
        has(&told, &["2 objects are reeve's now", &unwritten])?;
        let taken = is_applied(&one).await?;
        ensure!(taken.labels().get(SHARD).map(String::as_str) == Some("reeve"));
        ensure!(inventory(&taken) == applied, "{:?}", taken.data);
        stand_still(estate, &one, &before).await?;
        stand_still(estate, &other, &kept).await?;

        let reader = reads_on(estate, &one, &other).await?;
        go_on_apart(&beside, &one, &other).await?;
        coloured_by(&other, &reader, "red").await?;

        let before = stands(estate, &one).await?;
        let told = namespace(estate, name, &["--back"], 0).await?;
        has(&told, &["2 objects are Flux's now", &unwritten])?;
        stand_still(estate, &one, &before).await?;
        goes_on_there(&beside, &one).await
    });
}

/// Both go on with what is theirs, also while the other does not run, and with nothing else.
async fn go_on_apart(
    beside: &Beside,
    ours: &Delivered<'_>,
    theirs: &Delivered<'_>,
) -> anyhow::Result<()> {
    let (estate, flux) = (&beside.estate, &beside.flux);
    flux.kill();
    for one in [ours, theirs] {
        push(one, "blue")?;
    }
    sync(estate, ours).await?;
    coloured(ours, "blue").await?;
    pruned(ours).await?;
    ensure!(theirs.colour().await? == "green", "reeve applied it");

    let silent = flux.lines_about(&ours.name)?;
    flux.restart().await?;
    coloured(theirs, "blue").await?;
    pruned(theirs).await?;
    estate.controller.kill();
    for one in [ours, theirs] {
        push(one, "red")?;
        let now = json!({"metadata": {"annotations": {"reconcile.fluxcd.io/requestedAt": "now"}}});
        change(one, KUSTOMIZATION, "Kustomization", now).await?;
    }
    coloured(theirs, "red").await?;
    ensure!(ours.colour().await? == "blue", "Flux applied it");
    ensure!(
        flux.lines_about(&ours.name)? == silent,
        "Flux looked at it:\n{}",
        flux.tail()
    );
    estate.controller.restart().await?;
    sync(estate, ours).await?;
    coloured(ours, "red").await
}

/// One that stays with Flux, and applies from a repository that was handed over: it is fetched from reeve's artifacts.
async fn reads_on(
    estate: &Estate,
    ours: &Delivered<'_>,
    theirs: &Delivered<'_>,
) -> anyhow::Result<String> {
    let name = "reader";
    let object = json!({
        "apiVersion": KUSTOMIZATION, "kind": "Kustomization",
        "metadata": {"name": name, "namespace": theirs.name},
        "spec": {
            "interval": "1h", "retryInterval": "5s", "path": "./reader", "prune": true,
            "serviceAccountName": "flux", "targetNamespace": theirs.name,
            "sourceRef": {"kind": "GitRepository", "name": ours.name, "namespace": ours.name},
        },
    });
    put(&estate.admin(), "flux", &object).await?;
    coloured_by(theirs, name, "green").await?;
    Ok(name.to_owned())
}

async fn coloured_by(one: &Delivered<'_>, map: &str, colour: &str) -> anyhow::Result<()> {
    let maps = one.api("v1", "ConfigMap");
    let is = |object: &DynamicObject| objects::text(&object.data, "/data/colour") == Some(colour);
    wait::for_object(&maps, map, "what was read from reeve", is).await?;
    Ok(())
}

/// Flux has it again: it applies and prunes what reeve had applied, and reeve does not.
async fn goes_on_there(beside: &Beside, one: &Delivered<'_>) -> anyhow::Result<()> {
    let estate = &beside.estate;
    let back = is_applied(one).await?;
    ensure!(!back.labels().contains_key(SHARD), "{:?}", back.metadata);
    let mut marks = back.annotations().keys();
    ensure!(
        !marks.any(|key| key.starts_with("reeve.dev/")),
        "{:?}",
        back.metadata
    );
    ensure!(back.data.pointer("/spec/suspend").is_none());
    push(one, "yellow")?;
    coloured(one, "yellow").await?;
    pruned(one).await?;
    beside.flux.kill();
    push(one, "white")?;
    let now = json!({"metadata": {"annotations": {"reconcile.fluxcd.io/requestedAt": "again"}}});
    change(one, KUSTOMIZATION, "Kustomization", now).await?;
    // Who would have fetched and applied it by now has done so to another.
    let other = Delivered::begun(estate, "beside", &files("green")).await?;
    for mut object in other.steering(&json!({})) {
        object["metadata"]["labels"] = json!({SHARD: "reeve"});
        put(&estate.admin(), "flux", &object).await?;
    }
    coloured(&other, "green").await?;
    ensure!(one.colour().await? == "yellow", "reeve applied it");
    beside.flux.restart().await?;
    coloured(one, "white").await
}

/// A Kustomization of the platform's, which stays Flux's, applies these objects from a repository of its own.
async fn fleet<'a>(beside: &'a Beside, child: &Delivered<'_>) -> anyhow::Result<Delivered<'a>> {
    let [source, kustomization] = child.steering(&json!({}));
    let files = [
        ("source.yaml", source.to_string()),
        ("kustomization-of-theirs.yaml", kustomization.to_string()),
    ];
    let fleet = Delivered::begun(&beside.estate, "fleet", &files).await?;
    for mut object in fleet.steering(&json!({})) {
        object["metadata"]["namespace"] = json!(PLATFORM);
        // As itself, and wherever they say.
        if let Some(spec) = object["spec"].as_object_mut() {
            spec.remove("serviceAccountName");
            spec.remove("targetNamespace");
        }
        put(&beside.estate.admin(), "flux", &object).await?;
    }
    Ok(fleet)
}

#[test]
fn what_a_real_flux_goes_on_applying_the_objects_of_stays_handed_over_until_git_takes_it_out() {
    scenario(async {
        let Some(beside) = beside().await? else {
            return Ok(());
        };
        let estate = &beside.estate;
        let settings = settings("green").to_string();
        let child = Delivered::begun(estate, "child", &[("settings.yaml", settings)]).await?;
        let fleet = fleet(&beside, &child).await?;
        is_applied(&child).await?;
        migrate(estate, &["crds"], 0).await?;
        let told = namespace(estate, &child.name, &[], 0).await?;
        has(&told, &["1 of 1 applied objects unchanged"])?;

        // Another spec comes from git by Flux, and is reeve's to act upon.
        let [_, object] = child.steering(&json!({"interval": "2h"}));
        fleet
            .repo
            .publish("kustomization-of-theirs.yaml", object.to_string())?;
        let all = child.api(KUSTOMIZATION, "Kustomization");
        let is_new = |object: &DynamicObject| {
            let ready = objects::condition(&object.data, "Ready").unwrap_or_default();
            object.data.pointer("/spec/interval") == Some(&json!("2h"))
                && ready.observed_generation == object.metadata.generation
                && ready.status == "True"
        };
        let seen = wait::for_object(&all, &child.name, "its new spec is seen", is_new).await?;
        ensure!(seen.labels().get(SHARD).map(String::as_str) == Some("reeve"));
        ensure!(
            seen.data.pointer("/spec/suspend").is_none(),
            "{:?}",
            seen.data
        );
        beside.flux.kill();
        child.push("blue")?;
        sync(estate, &child).await?;
        coloured(&child, "blue").await?;

        // What git takes out Flux deletes, and reeve does what the finalizer that Flux has left is for.
        beside.flux.restart().await?;
        fleet.repo.remove("kustomization-of-theirs.yaml")?;
        fleet.repo.publish_all("Without it")?;
        wait::until_gone(&all, &child.name).await?;
        wait::until_gone(&child.api("v1", "ConfigMap"), "settings").await
    });
}
