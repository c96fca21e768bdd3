//! `reeve migrate flux`: a running Flux's objects are taken over and given back, and nothing that they applied is touched.

mod flux;
mod foreign;
mod keeper;
mod real;

use anyhow::{Context as _, ensure};
use kube::ResourceExt as _;
use kube::api::{DeleteParams, Patch, PatchParams};
use reeve_tests::{Estate, install, objects, scenario, wait};
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use crate::command::get::{asked, said};
use flux::{Delivered, Flux, KUSTOMIZATION, SOURCE, WORDS, define, put};

const SHARD: &str = "sharding.fluxcd.io/key";
const OURS: &str = "--watch-label-selector=sharding.fluxcd.io/key=reeve";
const THEIRS: &str = "--watch-label-selector=!sharding.fluxcd.io/key";
const HELM: &str = "helm.toolkit.fluxcd.io";

/// A cluster with both controllers: ours follows what is handed over.
async fn beside_flux() -> anyhow::Result<&'static Estate> {
    static ESTATE: OnceCell<Result<Estate, String>> = OnceCell::const_new();
    let made = ESTATE
        .get_or_init(|| async { start().await.map_err(|why| format!("{why:?}")) })
        .await;
    made.as_ref().map_err(|why| anyhow::anyhow!("{why}"))
}

async fn start() -> anyhow::Result<Estate> {
    let estate = Estate::start_with(&["--leader-elect=false", OURS]).await?;
    define(&estate.admin(), HELM, "HelmRelease").await?;
    controllers(&estate, &[THEIRS]).await?;
    Ok(estate)
}

/// The Deployments of Flux's controllers, with these arguments.
async fn controllers(estate: &Estate, args: &[&str]) -> anyhow::Result<()> {
    for name in [
        "source-controller",
        "kustomize-controller",
        "notification-controller",
    ] {
        let labels = json!({"app": name});
        let container =
            json!({"name": "manager", "image": format!("ghcr.io/fluxcd/{name}:v1"), "args": args});
        let deployment = json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {
                "name": name, "namespace": "flux-system",
                "labels": {"app.kubernetes.io/part-of": "flux"},
            },
            "spec": {
                "replicas": 1, "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
            },
        });
        put(&estate.admin(), "flux", &deployment).await?;
        rolled_out(estate, "flux-system", name).await?;
    }
    Ok(())
}

/// Waits until no pod with other arguments runs.
async fn rolled_out(estate: &Estate, namespace: &str, name: &str) -> anyhow::Result<()> {
    let all = objects::api(estate.admin(), "apps/v1", "Deployment", Some(namespace));
    let is_done = |object: &kube::api::DynamicObject| {
        let number = |pointer: &str| object.data.pointer(pointer).and_then(Value::as_i64);
        let seen = number("/status/observedGeneration");
        let (every, updated) = (
            number("/status/replicas"),
            number("/status/updatedReplicas"),
        );
        seen >= object.metadata.generation && every <= updated
    };
    wait::for_object(&all, name, "it is rolled out", is_done).await?;
    Ok(())
}

fn release(namespace: &str) -> Value {
    json!({
        "apiVersion": format!("{HELM}/v2"), "kind": "HelmRelease",
        "metadata": {"name": "db", "namespace": namespace}, "spec": {"interval": "1h"},
    })
}

/// `reeve migrate flux`, with what it printed when it ended with that code.
async fn migrate(estate: &Estate, args: &[&str], code: i32) -> anyhow::Result<String> {
    let line = [&["migrate", "flux"][..], args].concat();
    said(&asked(estate, &std::env::temp_dir(), &line).await?, code)
}

async fn namespace(
    estate: &Estate,
    name: &str,
    more: &[&str],
    code: i32,
) -> anyhow::Result<String> {
    let line = ["namespace", name, "--settle", "1s", "--timeout", "40s"];
    migrate(estate, &[&line[..], more].concat(), code).await
}

fn has(told: &str, words: &[&str]) -> anyhow::Result<()> {
    let mut lines = told.lines();
    let found = lines.any(|line| words.iter().all(|word| line.contains(word)));
    ensure!(found, "no line has {words:?}:\n{told}");
    Ok(())
}

fn says(object: &kube::api::DynamicObject) -> String {
    objects::condition(&object.data, "Ready")
        .unwrap_or_default()
        .message
}

async fn change(
    one: &Delivered<'_>,
    version: &str,
    kind: &str,
    change: Value,
) -> anyhow::Result<()> {
    let api = one.api(version, kind);
    api.patch(&one.name, &PatchParams::default(), &Patch::Merge(&change))
        .await?;
    Ok(())
}

#[test]
fn what_goes_what_stays_with_flux_and_what_is_in_the_way_is_reported_and_nothing_is_changed() {
    scenario(async {
        let estate = Estate::start_with(&["--leader-elect=false", OURS]).await?;
        let admin = estate.admin();
        define(&admin, HELM, "HelmRelease").await?;
        controllers(&estate, &["--log-level=info"]).await?;
        let one = Delivered::new(&estate, "reported").await?;
        let name = one.name.as_str();
        put(&admin, "flux", &release(name)).await?;
        let before = (
            one.versions().await?,
            one.kustomization().await?.resource_version(),
        );
        let told = migrate(&estate, &["report"], 1).await?;
        has(
            &told,
            &[
                "Deployment/flux-system/kustomize-controller",
                "in the way",
                THEIRS,
            ],
        )?;
        has(
            &told,
            &[
                &format!("HelmRelease/{name}/db"),
                "stays",
                "helm-controller",
            ],
        )?;
        has(&told, &[&format!("Kustomization/{name}/{name}"), "goes"])?;
        has(&told, &[&format!("GitRepository/{name}/{name}"), "goes"])?;
        has(&told, &["3 things are in the way"])?;
        let refused = namespace(&estate, name, &[], 2).await?;
        has(&refused, &["nothing was handed over"])?;

        controllers(&estate, &[THEIRS]).await?;
        let told = migrate(&estate, &["report", "-o", "json"], 0).await?;
        let told: Value = serde_json::from_str(&told)?;
        let all = told.as_array().context("a list")?;
        let release = format!("HelmRelease/{name}/db");
        let is = |one: &Value| one["subject"] == *release && one["is"] == "stays";
        ensure!(all.iter().any(is), "{told}");
        let after = (
            one.versions().await?,
            one.kustomization().await?.resource_version(),
        );
        ensure!(before == after, "{before:?} {after:?}");
        definitions(&estate).await?;
        warned(&estate).await?;
        last_step(&estate, &one).await
    });
}

/// Whoever installs reeve beside Flux without a selector is told so.
async fn warned(estate: &Estate) -> anyhow::Result<()> {
    let told = asked(estate, &std::env::temp_dir(), &["check", "--pre"]).await?;
    let collides = "✗ flux-system/source-controller of Flux's would work on the same objects";
    has(&said(&told, 1)?, &[collides])?;
    let line =
        "install reeve charts/reeve --namespace=reeve-system --take-ownership --dry-run=server";
    let words: Vec<&str> = line.split(' ').collect();
    let told = install::helm(&estate.plane, &words, None).await?;
    let warning = "WARNING: Flux works on the same objects";
    has(&told, &[warning, "flux-system/kustomize-controller"])?;
    let selector = ["--set", "watchLabelSelector=sharding.fluxcd.io/key=reeve"];
    let told = install::helm(&estate.plane, &[&words[..], &selector].concat(), None).await?;
    ensure!(!told.contains(warning), "{told}");
    Ok(())
}

/// Not before Flux's controllers are gone and everything is handed over may reeve follow all there is.
async fn last_step(estate: &Estate, one: &Delivered<'_>) -> anyhow::Result<()> {
    let name = one.name.as_str();
    let told = migrate(estate, &["report", "--last-step"], 1).await?;
    let (applies, source) = (
        format!("Kustomization/{name}/{name}"),
        format!("GitRepository/{name}/{name}"),
    );
    for (subject, words) in [
        ("Deployment/flux-system/source-controller", "is there"),
        ("Deployment/flux-system/kustomize-controller", "is there"),
        (applies.as_str(), "not handed over"),
        (source.as_str(), "not handed over"),
        ("HelmRelease/", "stays with Flux"),
    ] {
        has(&told, &[subject, "in the way", words])?;
    }
    let releases = one.api(&format!("{HELM}/v2"), "HelmRelease");
    releases.delete("db", &DeleteParams::default()).await?;
    wait::until_gone(&releases, "db").await?;
    let label = json!({"metadata": {"labels": {SHARD: "reeve"}}});
    change(one, SOURCE, "GitRepository", label.clone()).await?;
    change(one, KUSTOMIZATION, "Kustomization", label).await?;
    let told = migrate(estate, &["report", "--last-step"], 1).await?;
    has(&told, &["3 things are in the way"])?;
    let all = objects::api(estate.admin(), "apps/v1", "Deployment", Some("flux-system"));
    for name in [
        "source-controller",
        "kustomize-controller",
        "notification-controller",
    ] {
        all.delete(name, &DeleteParams::default()).await?;
        wait::until_gone(&all, name).await?;
    }
    migrate(estate, &["report", "--last-step"], 0)
        .await
        .map(drop)
}

/// What Flux is told of the definition of Kustomizations.
async fn mark(estate: &Estate) -> anyhow::Result<Option<String>> {
    let (version, kind) = ("apiextensions.k8s.io/v1", "CustomResourceDefinition");
    let all = objects::api(estate.admin(), version, kind, None);
    let one = all
        .get("kustomizations.kustomize.toolkit.fluxcd.io")
        .await?;
    let told = one
        .annotations()
        .get("kustomize.toolkit.fluxcd.io/reconcile");
    Ok(told.cloned())
}

/// They are adopted, Flux is told to leave them alone, and may have them back.
async fn definitions(estate: &Estate) -> anyhow::Result<()> {
    let told = migrate(estate, &["crds", "--dry-run"], 0).await?;
    has(
        &told,
        &["kustomizations.kustomize.toolkit.fluxcd.io could be adopted"],
    )?;
    ensure!(mark(estate).await?.is_none(), "a dry run has written");
    migrate(estate, &["crds"], 0).await?;
    migrate(estate, &["crds"], 0).await?;
    ensure!(mark(estate).await?.as_deref() == Some("disabled"));
    migrate(estate, &["crds", "--back"], 0).await?;
    ensure!(mark(estate).await?.is_none(), "{:?}", mark(estate).await?);
    Ok(())
}

#[test]
fn namespaces_go_from_flux_one_after_the_other_and_no_workload_is_touched() {
    scenario(async {
        let estate = beside_flux().await?;
        let one = Delivered::new(estate, "first").await?;
        let other = Delivered::new(estate, "second").await?;
        put(&estate.admin(), "flux", &release(&one.name)).await?;
        let releases = one.api(&format!("{HELM}/v2"), "HelmRelease");
        let installed = releases.get("db").await?.resource_version();
        let flux = Flux::start(&[&one, &other]);
        flux.looks_again().await?;
        let before = [one.versions().await?, other.versions().await?];

        let told = namespace(estate, &one.name, &["--dry-run"], 0).await?;
        has(&told, &["2 objects would be reeve's"])?;
        ensure!(
            !one.kustomization().await?.labels().contains_key(SHARD),
            "a dry run has written"
        );
        let told = namespace(estate, &one.name, &[], 0).await?;
        has(
            &told,
            &["2 objects are reeve's now; 2 of 2 applied objects unchanged"],
        )?;
        ensure!(
            one.versions().await? == before[0],
            "{:?} {before:?}",
            one.versions().await?
        );
        let taken = one.kustomization().await?;
        ensure!(taken.labels().get(SHARD).map(String::as_str) == Some("reeve"));
        ensure!(
            taken.data.pointer("/spec/suspend").is_none(),
            "{:?}",
            taken.data
        );
        ensure!(
            says(&taken).starts_with("Applied revision"),
            "{:?}",
            taken.data
        );
        ensure!(releases.get("db").await?.resource_version() == installed);
        let told = namespace(estate, &one.name, &[], 0).await?;
        has(&told, &["nothing to hand over to reeve"])?;

        go_on_apart(estate, &flux, &one, &other).await?;
        ensure!(other.versions().await? == before[1]);
        let told = namespace(estate, &other.name, &["-o", "json"], 0).await?;
        let proof = json_in(&told)?;
        let is_whole = proof["compared"] == 2 && proof["changed"] == json!([]);
        ensure!(is_whole, "{proof}");
        ensure!(other.versions().await? == before[1]);
        Ok(())
    });
}

/// What Flux still worked on would be changed back, and what it has stays as it is.
async fn go_on_apart(
    estate: &Estate,
    flux: &Flux,
    ours: &Delivered<'_>,
    theirs: &Delivered<'_>,
) -> anyhow::Result<()> {
    ours.push("blue")?;
    let name = ours.name.as_str();
    let sync = ["reconcile", "ks", name, "-n", name, "--with-source"];
    said(&asked(estate, &std::env::temp_dir(), &sync).await?, 0)?;
    flux.looks_again().await?;
    ensure!(ours.colour().await? == "blue", "changed back");
    let said = says(&theirs.kustomization().await?);
    ensure!(said == WORDS, "Flux's was worked on: {said}");
    Ok(())
}

/// The one document among lines for people.
fn json_in(told: &str) -> anyhow::Result<Value> {
    let (first, last) = (told.find('{'), told.rfind('}'));
    let (first, last) = first.zip(last).context("no JSON")?;
    Ok(serde_json::from_str(&told[first..=last])?)
}

#[test]
fn what_was_handed_over_goes_back_to_flux_as_it_was() {
    scenario(async {
        let estate = beside_flux().await?;
        let one = Delivered::new(estate, "back").await?;
        let flux = Flux::start(&[&one]);
        flux.looks_again().await?;
        let before = one.versions().await?;
        namespace(estate, &one.name, &[], 0).await?;
        let told = namespace(estate, &one.name, &["--back"], 0).await?;
        has(
            &told,
            &["2 objects are Flux's now; 2 of 2 applied objects unchanged"],
        )?;
        flux.looks_again().await?;
        let back = one.kustomization().await?;
        ensure!(!back.labels().contains_key(SHARD), "{:?}", back.metadata);
        let ours = back
            .annotations()
            .keys()
            .any(|key| key.starts_with("reeve.dev/"));
        ensure!(!ours, "{:?}", back.metadata);
        ensure!(
            back.data.pointer("/spec/suspend").is_none(),
            "{:?}",
            back.data
        );
        ensure!(says(&back) == WORDS, "{:?}", back.data);
        ensure!(one.versions().await? == before, "{before:?}");
        // It has not been given to us for good: what is pushed is Flux's to apply.
        one.push("blue")?;
        let name = one.name.as_str();
        let sync = ["reconcile", "source", "git", name, "-n", name];
        said(&asked(estate, &std::env::temp_dir(), &sync).await?, 0)?;
        flux.looks_again().await?;
        ensure!(one.colour().await? == "green");
        namespace(estate, &one.name, &["--back"], 0).await?;
        Ok(())
    });
}

#[test]
fn what_cannot_be_served_or_is_worked_on_still_is_not_handed_over_and_goes_on_where_it_is() {
    scenario(async {
        let estate = beside_flux().await?;
        let one = Delivered::new(estate, "refused").await?;
        let decryption = json!({"spec": {"decryption": {"provider": "sops"}}});
        change(&one, KUSTOMIZATION, "Kustomization", decryption).await?;
        let told = namespace(estate, &one.name, &[], 2).await?;
        has(&told, &["spec.decryption", "is not supported yet"])?;
        ensure!(
            one.kustomization()
                .await?
                .data
                .pointer("/spec/suspend")
                .is_none()
        );

        let none = json!({"spec": {"decryption": null}});
        change(&one, KUSTOMIZATION, "Kustomization", none).await?;
        let run = json!({"status": {"conditions": [{
            "type": "Reconciling", "status": "True", "reason": "Progressing", "message": "fetching",
            "lastTransitionTime": "2026-01-01T00:00:00Z",
        }]}});
        let sources = one.api(SOURCE, "GitRepository");
        let how = PatchParams::default();
        sources
            .patch_status(&one.name, &how, &Patch::Merge(&run))
            .await?;
        let line = [
            "namespace",
            one.name.as_str(),
            "--settle",
            "1s",
            "--timeout",
            "2s",
        ];
        let told = migrate(estate, &line, 2).await?;
        has(&told, &["is still being worked on"])?;
        let goes_on = |object: &kube::api::DynamicObject| {
            let mut marks = object.annotations().keys();
            let is_held = marks.any(|key| key.starts_with("reeve.dev/"));
            object.data.pointer("/spec/suspend").is_none() && !is_held
        };
        wait::for_object(&sources, &one.name, "it goes on", goes_on).await?;
        ensure!(goes_on(&one.kustomization().await?), "it is held still");
        Ok(())
    });
}
