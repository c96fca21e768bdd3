//! `reeve writeback run` as a pod: the manifest of the book on the real API server, its rules in the ConfigMap, its key in Secret
//! `git-ssh`. What is started is what its pod says, with the token of its account, and the volumes that it mounts.

use std::path::Path;

use anyhow::{Context as _, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kube::api::{Patch, PatchParams};
use reeve_tests::git::{KeyKind, SshOptions, SshServer, keypair};
use reeve_tests::gitea::{Gitea, OWNER};
use reeve_tests::pod::Pod;
use reeve_tests::{Estate, install, objects, root, scenario, secrecy, wait};
use serde_json::json;

use super::*;
use crate::forge::Forge;

/// What it is called in the book, as are its namespace and its account.
const NAME: &str = "gitops";
/// The address that a reader puts theirs in the place of.
const URL: &str = "git@github.com:acme/cluster.git";

/// What a reader applies: the manifest with the address of a repository, and behind it the Secret with the key in this file, as
/// kubectl makes it.
async fn manifest(estate: &Estate, url: &str, key: &Path) -> anyhow::Result<String> {
    let text = std::fs::read_to_string(root().join("docs/src/writeback-deploy.yaml"))?;
    ensure!(text.contains(URL), "{text}");
    let from = format!("--from-file=identity={}", key.display());
    let line = [
        "create",
        "secret",
        "generic",
        "git-ssh",
        "-n",
        NAME,
        &from,
        "--dry-run=client",
        "-o",
        "yaml",
    ];
    let secret = install::kubectl(&estate.plane, &line).await?;
    Ok(text.replace(URL, url) + &secret)
}

/// Makes a ConfigMap of this file, or has the one that is there hold it.
async fn config_map_of(
    estate: &Estate,
    namespace: &str,
    name: &str,
    file: (&str, &str),
) -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    files(dir.path(), &[file])?;
    let from = format!("--from-file={}", dir.path().join(file.0).display());
    let line = [
        "create",
        "configmap",
        name,
        "-n",
        namespace,
        &from,
        "--dry-run=client",
        "-o",
        "yaml",
    ];
    let map = install::kubectl(&estate.plane, &line).await?;
    install::apply(&estate.plane, &map).await?;
    Ok(())
}

/// Runs the pod as it is wanted now.
async fn started_as_pod(estate: &Estate, namespace: &str) -> anyhow::Result<Process> {
    let pod = Pod::of(&estate.plane, namespace, namespace).await?;
    pod.start(&estate.plane, &controller::program()?).await
}

/// Waits until it has printed this.
async fn prints(running: &Process, words: &str) -> anyhow::Result<()> {
    let what = format!("it prints {words:?}");
    let printed = || async {
        let is_over = running.ended().is_some();
        let told = running.tail(64 << 10);
        (is_over || told.contains(words)).then_some(told)
    };
    let told = wait::until(wait::PATIENCE, &what, printed)
        .await
        .with_context(|| running.tail(64 << 10))?;
    ensure!(told.contains(words), "it ended, and no {words:?}: {told}");
    Ok(())
}

fn ends_well(running: &Process) -> anyhow::Result<()> {
    let ended = running.stop(Duration::from_secs(30));
    let told = running.tail(64 << 10);
    ensure!(ended.code() == Some(0), "{ended}: {told}");
    Ok(())
}

/// A file of `main` at Gitea.
async fn at_gitea(gitea: &Gitea, repo: &str, file: &str) -> Option<String> {
    let path = format!("repos/{OWNER}/{repo}/contents/{file}?ref=main");
    let found = gitea.get(&path).await.ok()?;
    let bytes = STANDARD.decode(found["content"].as_str()?).ok()?;
    String::from_utf8(bytes).ok()
}

/// A private repository with a snapshot and a content, and a key of it that may write, in a file.
async fn repository(gitea: &Gitea, of: &str, key: &Path) -> anyhow::Result<()> {
    gitea.create_repo(of).await?;
    let content = format!(
        "apiVersion: {SNAPSHOTS}\nkind: VolumeSnapshotContent\nmetadata:\n  name: {of}\nspec:\n  deletionPolicy: Retain\n"
    );
    for (file, text) in [("one.yaml", snapshot(of, "one")), ("content.yaml", content)] {
        gitea.put(of, "main", file, &text, OWNER).await?;
    }
    let (private, public) = keypair(key, KeyKind::Ed25519, "")?;
    secrecy::used(&private);
    let key = json!({"title": NAME, "key": public.trim(), "read_only": false});
    gitea.make(of, "keys", key).await
}

/// What is in git is on the cluster, and stays as it is there.
async fn is_kept(estate: &Estate, namespace: &str) -> anyhow::Result<()> {
    let contents = objects::api(estate.admin(), SNAPSHOTS, "VolumeSnapshotContent", None);
    wait::for_object(&contents, namespace, "its content is there", |_| true).await?;
    let all = objects::api(estate.admin(), SNAPSHOTS, "VolumeSnapshot", Some(namespace));
    let is_data = |one: &DynamicObject| {
        objects::text(&one.data, "/spec/source/persistentVolumeClaimName") == Some("data")
    };
    wait::for_object(&all, "one", "it is as in git", is_data).await?;
    let change = json!({"spec": {"source": {"persistentVolumeClaimName": "other"}}});
    let how = PatchParams::default();
    all.patch("one", &how, &Patch::Merge(change)).await?;
    wait::for_object(&all, "one", "it is as in git again", is_data).await?;
    Ok(())
}

/// The other direction: a snapshot that is taken, and something that its account may not read.
async fn is_written(estate: &Estate, gitea: &Gitea, namespace: &str) -> anyhow::Result<()> {
    let running = started_as_pod(estate, NAME).await?;
    prints(&running, &format!("system:serviceaccount:{NAME}:{NAME}")).await?;
    let two: Value = json!({"apiVersion": SNAPSHOTS, "kind": "VolumeSnapshot",
        "metadata": {"name": "two", "namespace": namespace}, "spec": {"source": {"persistentVolumeClaimName": "data"}}});
    apply(estate, &two).await?;
    apply(estate, &green("unseen", namespace)).await?;
    let all = objects::api(estate.admin(), SNAPSHOTS, "VolumeSnapshot", Some(namespace));
    let status =
        json!({"status": {"readyToUse": true, "boundVolumeSnapshotContentName": "content-two"}});
    let how = PatchParams::default();
    all.patch_status("two", &how, &Patch::Merge(status)).await?;
    let of = |file: &str| format!("backup/{namespace}/{file}.yaml");
    let two = of("volumesnapshot.snapshot.storage.k8s.io-two");
    let there = || async {
        let text = at_gitea(gitea, namespace, &two).await?;
        text.contains("name: two").then_some(text)
    };
    let text = wait::until(wait::PATIENCE, "the snapshot is written", there).await?;
    ensure!(!text.contains("status"), "{text}");
    let unseen = at_gitea(gitea, namespace, &of("configmap-unseen")).await;
    ensure!(unseen.is_none(), "{unseen:?}");
    ends_well(&running)
}

#[test]
fn deployed_as_the_book_says_it_keeps_both_sides_alike_as_its_account_and_with_its_key() {
    scenario(async {
        let estate = Estate::shared().await?;
        serves_snapshots(estate).await?;
        let (name, _) = ground(estate, "deployed").await?;
        let gitea = &Forge::shared().await?.gitea;
        let dir = tempfile::tempdir()?;
        let key = dir.path().join(NAME);
        repository(gitea, &name, &key).await?;
        let url = gitea.ssh_url(&format!("{OWNER}/{name}.git"));
        let all = manifest(estate, &url, &key).await?;
        install::apply(&estate.plane, &all).await?;

        // Nobody knows this server, and so it is not spoken to.
        let stranger = started_as_pod(estate, NAME).await?;
        prints(&stranger, "'known_hosts' is required").await?;
        let hosts = gitea.known_hosts()?;
        config_map_of(estate, NAME, "known-hosts", ("known_hosts", &hosts)).await?;
        let running = started_as_pod(estate, NAME).await?;
        is_kept(estate, &name).await?;
        prints(&running, &format!("✔ VolumeSnapshot/{name}/one created")).await?;
        ends_well(&running)?;

        let rules = format!(
            "branch: main\ngitUrl: {url}\ngitPath: backup\nrules:\n\
             - {{resources: [volumesnapshots, configmaps], namespaces: [{name}], syncTo: git}}\n"
        );
        config_map_of(estate, NAME, NAME, ("config.yaml", &rules)).await?;
        is_written(estate, gitea, &name).await
    });
}

/// As gitops-controller's description says it: a ConfigMap, which the kubelet makes a directory of.
#[test]
fn a_configmap_that_is_mounted_to_ssh_known_hosts_names_the_servers_that_are_spoken_to() {
    scenario(async {
        let estate = Estate::shared().await?;
        serves_snapshots(estate).await?;
        let (name, repo) = ground(estate, "mounted").await?;
        with_snapshots(&repo, &name)?;
        let dir = tempfile::tempdir()?;
        let key = dir.path().join("key");
        let (private, public) = keypair(&key, KeyKind::Ed25519, "")?;
        secrecy::used(&private);
        let server = SshServer::start(estate.repositories(), SshOptions::default())?;
        server.authorize(&public)?;
        let own = estate.unique("ops");
        let all = manifest(estate, &server.url(&name), &key).await?;
        install::apply(&estate.plane, &all.replace(NAME, &own)).await?;
        let hosts = server.known_hosts(&KeyKind::ALL)?;
        config_map_of(estate, &own, "hosts", ("known_hosts", &hosts)).await?;
        let deployments = objects::api(estate.admin(), "apps/v1", "Deployment", Some(&own));
        let pod = "/spec/template/spec";
        let patch = json!([
            {"op": "add", "path": format!("{pod}/volumes/-"), "value": {"name": "hosts", "configMap": {"name": "hosts"}}},
            {"op": "add", "path": format!("{pod}/containers/0/volumeMounts/-"),
                "value": {"name": "hosts", "mountPath": "/ssh/known_hosts"}},
        ]);
        let patch = Patch::<Value>::Json(serde_json::from_value(patch)?);
        let how = PatchParams::default();
        deployments.patch(&own, &how, &patch).await?;
        let running = started_as_pod(estate, &own).await?;
        is_kept(estate, &name).await?;
        ends_well(&running)
    });
}
