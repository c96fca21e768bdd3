//! Bases on other git servers: fetched where the platform lets a tenant name them, refused everywhere else, and never a
//! way to what the tenant could not read itself.

use anyhow::ensure;
use futures::StreamExt as _;
use k8s_openapi::api::core::v1::Event;
use kube::api::Api;
use reeve_api::reason::Reason;
use reeve_core::caution::BUDGET;
use reeve_tests::git::Repo;
use reeve_tests::tenant::Tenant;
use reeve_tests::{Estate, objects, scenario, wait};
use serde_json::{Value, json};

const CATALOG: &str = "ibm-cloud-architecture/eda-gitops-catalog";
const STABLE: &str = "kafka-strimzi/operator/overlay/stable";

fn map(name: &str, colour: &str) -> String {
    format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\ndata:\n  colour: {colour}\n"
    )
}

/// The repository that the others' kustomizations name.
fn catalog(estate: &Estate) -> anyhow::Result<Repo> {
    let repo = estate.repo(CATALOG)?;
    let operator = "kafka-strimzi/operator";
    repo.write(
        &format!("{operator}/base/kustomization.yaml"),
        "resources: [map.yaml]\n",
    )?;
    repo.write(
        &format!("{operator}/base/map.yaml"),
        map("operator", "green"),
    )?;
    let overlay = "bases: [../../base]\nnameSuffix: -stable\n";
    repo.write(&format!("{STABLE}/kustomization.yaml"), overlay)?;
    repo.commit("The catalog")?;
    repo.push()?;
    Ok(repo)
}

/// What the platform says about a tenant.
fn tenant(name: &str, remote_bases: &[&str]) -> Value {
    json!({
        "apiVersion": "reeve.dev/v1alpha1", "kind": "Tenant", "metadata": {"name": name},
        "spec": {"namespaces": [name], "sources": [name], "remoteBases": remote_bases},
    })
}

/// The kustomization that people write, and what stands beside it.
async fn deploys(acme: &Tenant<'_>, remote: &str) -> anyhow::Result<()> {
    let kustomization = format!("bases:\n- {remote}\n- ../base\n");
    // What it points at now has nothing of what it had.
    acme.annotate(BUDGET, Some("100%")).await?;
    acme.change(|draft| {
        draft.set("path", json!("./deploy/app"));
        draft.commit("deploy/app/kustomization.yaml", kustomization);
        draft.commit("deploy/base/kustomization.yaml", "resources: [own.yaml]\n");
        draft.commit("deploy/base/own.yaml", map("own", "blue"));
    })
    .await?;
    acme.call_hook().await?;
    Ok(())
}

async fn colour(acme: &Tenant<'_>, name: &str) -> anyhow::Result<Option<String>> {
    let found = acme.api("v1", "ConfigMap").get_opt(name).await?;
    Ok(found.and_then(|map| objects::text(&map.data, "/data/colour").map(str::to_owned)))
}

async fn event(estate: &Estate, acme: &Tenant<'_>, words: &str) -> anyhow::Result<Event> {
    let events: Api<Event> = Api::namespaced(estate.admin(), acme.name());
    let said = |event: &Event| {
        event
            .message
            .as_ref()
            .is_some_and(|text| text.contains(words))
    };
    wait::until(wait::PATIENCE, words, || async {
        let list = events.list(&Default::default()).await.ok()?;
        list.items.into_iter().find(&said)
    })
    .await
}

#[test]
fn a_kustomization_from_the_web_runs_with_its_base_on_a_git_server() {
    scenario(async {
        let estate = Estate::shared().await?;
        let acme = estate.healthy_tenant("acme-remote").await?;
        let repo = catalog(estate)?;
        acme.apply(&tenant(acme.name(), &["127.0.0.1"])).await?;
        let address = |at: &str| format!("{}/{STABLE}?ref={at}", estate.git.url(CATALOG));
        deploys(&acme, &address("main")).await?;
        let first = repo.run(["rev-parse", "HEAD"])?;

        wait::until(wait::PATIENCE, "both bases are there", || async {
            let (theirs, own) = (
                colour(&acme, "operator-stable").await,
                colour(&acme, "own").await,
            );
            (theirs.ok()?? == "green" && own.ok()?? == "blue").then_some(())
        })
        .await?;
        event(estate, &acme, "remote resources are not pinned").await?;

        // The branch moves: the next run has the new commit, and says which.
        repo.publish(
            "kafka-strimzi/operator/base/map.yaml",
            map("operator", "red"),
        )?;
        let second = repo.run(["rev-parse", "HEAD"])?;
        let moved = acme.reconcile(None).await?;
        ensure!(colour(&acme, "operator-stable").await?.as_deref() == Some("red"));
        let base = json!({
            "url": format!("{}?ref=main", estate.git.url(CATALOG)),
            "revision": format!("main@sha1:{}", second.trim()), "pinned": false,
        });
        ensure!(
            moved.kustomization.pointer("/status/remoteBases/0") == Some(&base),
            "{:#}",
            moved.kustomization
        );

        // A commit is what it is, whatever the branch does, and is built no second time.
        deploys(&acme, &address(first.trim())).await?;
        acme.reconcile(None).await?;
        wait::until(wait::PATIENCE, "the pinned base is there", || async {
            (colour(&acme, "operator-stable").await.ok()?? == "green").then_some(())
        })
        .await?;
        let kept = &["reeve_render_duration_seconds_count{", "kept"];
        let before = estate.controller.sample(kept).await?;
        let pinned = acme.reconcile(None).await?;
        ensure!(estate.controller.sample(kept).await? > before);
        let state = pinned.kustomization.pointer("/status/remoteBases/0/pinned");
        ensure!(state == Some(&json!(true)), "{:#}", pinned.kustomization);
        Ok(())
    });
}

/// An address that is named, what the platform lets the tenant name, and what it is told.
struct Row {
    remote: &'static str,
    allowed: Option<&'static [&'static str]>,
    reason: Reason,
    words: &'static str,
}

const fn row(
    remote: &'static str,
    allowed: Option<&'static [&'static str]>,
    reason: Reason,
    words: &'static str,
) -> Row {
    Row {
        remote,
        allowed,
        reason,
        words,
    }
}

const DENIED: Reason = Reason::AccessDenied;
const FAILED: Reason = Reason::BuildFailed;
const ALL: Option<&[&str]> = Some(&["*"]);

/// `GIT` stands for the git server.
const REFUSALS: [Row; 16] = [
    row("GIT/acme/base?ref=main", None, DENIED, "may not name it"),
    row(
        "GIT/acme/base?ref=main",
        Some(&[]),
        DENIED,
        "spec.remoteBases of Tenant",
    ),
    row(
        "GIT/acme/base?ref=main",
        Some(&["git.example"]),
        DENIED,
        "may not name it",
    ),
    row(
        "GIT/acme/base?ref=main",
        Some(&["http://127.0.0.1:1/*"]),
        DENIED,
        "may not name it",
    ),
    row("github.com/org/repo//a?ref=v1", None, DENIED, "github.com"),
    row(
        "GIT/acme/base//../../x?ref=main",
        ALL,
        FAILED,
        "leads out of its repository",
    ),
    row(
        "GIT/acme/%2e%2e/base.git?ref=main",
        ALL,
        DENIED,
        "cannot hold `.`, `..` or an empty segment",
    ),
    row(
        "GIT/acme/nothing?ref=main",
        ALL,
        FAILED,
        "cannot be fetched",
    ),
    row(
        "http://169.254.169.254/latest/meta-data.yaml",
        ALL,
        FAILED,
        "such hosts are refused",
    ),
    row(
        "http://10.1.2.3/o/r?ref=main",
        ALL,
        FAILED,
        "such hosts are refused",
    ),
    row(
        "git@127.0.0.1:acme/base.git",
        ALL,
        DENIED,
        "without credentials",
    ),
    row(
        "file:///etc/passwd",
        ALL,
        FAILED,
        "names a file of this machine",
    ),
    row(
        "git::file:///etc",
        ALL,
        FAILED,
        "names a file of this machine",
    ),
    row(
        "'ext::sh -c touch% /tmp/reeve-was-here'",
        ALL,
        FAILED,
        "does not exist",
    ),
    row(
        "../../../../etc/passwd",
        ALL,
        FAILED,
        "lies outside of the repository",
    ),
    row("/etc/passwd", ALL, FAILED, "lies outside of the repository"),
];

#[test]
fn what_a_tenant_may_not_name_is_refused_with_its_place_and_nothing_is_written() {
    scenario(async {
        let estate = Estate::shared().await?;
        let played = REFUSALS.into_iter().map(|row| async move {
            let held = refused(estate, &row).await;
            held.err().map(|why| format!("{}: {why:?}", row.remote))
        });
        let verdicts: Vec<Option<String>> = futures::stream::iter(played)
            .buffer_unordered(4)
            .collect()
            .await;
        let wrong: Vec<String> = verdicts.into_iter().flatten().collect();
        ensure!(wrong.is_empty(), "{}", wrong.join("\n\n"));
        ensure!(!std::path::Path::new("/tmp/reeve-was-here").exists());
        Ok(())
    });
}

async fn refused(estate: &Estate, row: &Row) -> anyhow::Result<()> {
    let acme = estate.healthy_tenant("acme-refused").await?;
    if let Some(allowed) = row.allowed {
        acme.apply(&tenant(acme.name(), allowed)).await?;
    }
    let git = estate.git.url("");
    deploys(&acme, &row.remote.replace("GIT", git.trim_end_matches('/'))).await?;
    let told = acme.told_of(row.reason, row.words).await?;
    let message = &told.ready.message;
    ensure!(
        message.contains("deploy/app/kustomization.yaml:2") && message.contains("bases[0]"),
        "{message}"
    );
    let changes = acme.changes().await?;
    ensure!(changes.is_empty(), "{}", changes.join("\n"));
    Ok(())
}
