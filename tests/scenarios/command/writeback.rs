//! `reeve writeback`: a repository and a cluster are kept alike both ways without a controller, and what would be committed, and
//! what stands where, is told.

mod acting;
mod anew;
mod deployed;
mod paused;
mod person;
mod sides;

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use kube::api::{Api, DeleteParams, DynamicObject, Patch, PatchParams};
use reeve_tests::git::{KeyKind, Repo, SshOptions, SshServer, git};
use reeve_tests::process::Process;
use reeve_tests::{Estate, controller, objects, scenario, secrecy, wait};
use serde_json::{Value, json};

use super::files;
use super::get::{asked, said};
use crate::flux_cli::has_line;
use crate::rules::minds;

/// The configuration that gitops-controller's own description begins with, as it stands there.
const SEED: &str = "rules:
- apiGroups:
  - snapshot.storage.k8s.io
  resources:
  - volumesnapshots
  - volumesnapshotcontents
  syncTo: kubernetes
";

pub(crate) const SNAPSHOTS: &str = "snapshot.storage.k8s.io/v1";

/// A definition of one of the kinds of snapshots.
fn definition(kind: &str, scope: &str) -> Value {
    let (plural, singular) = (format!("{}s", kind.to_lowercase()), kind.to_lowercase());
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("{plural}.snapshot.storage.k8s.io"),
            "annotations": {"api-approved.kubernetes.io": "https://github.com/kubernetes-csi/external-snapshotter/pull/814"}},
        "spec": {
            "group": "snapshot.storage.k8s.io", "scope": scope,
            "names": {"kind": kind, "plural": plural, "singular": singular},
            "versions": [{"name": "v1", "served": true, "storage": true, "subresources": {"status": {}},
                "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}}}],
        },
    })
}

fn snapshot(namespace: &str, name: &str) -> String {
    format!(
        "apiVersion: {SNAPSHOTS}\nkind: VolumeSnapshot\nmetadata:\n  name: {name}\n  namespace: {namespace}\nspec:\n  source:\n    persistentVolumeClaimName: data # the one\n"
    )
}

fn config_map(name: &str, colour: &str) -> String {
    format!(
        "# {name}\napiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\ndata:\n  colour: {colour} # chosen\n"
    )
}

/// Applies an object as an administrator.
async fn apply(estate: &Estate, object: &Value) -> anyhow::Result<()> {
    let text = |pointer| objects::text(object, pointer);
    let (version, kind) = (text("/apiVersion"), text("/kind"));
    let (version, kind) = (version.context("apiVersion")?, kind.context("kind")?);
    let api = objects::api(estate.admin(), version, kind, text("/metadata/namespace"));
    let name = text("/metadata/name").context("name")?;
    let how = PatchParams::apply("estate").force();
    api.patch(name, &how, &Patch::Apply(object)).await?;
    Ok(())
}

/// A namespace of its own, and a repository that may be pushed to.
async fn ground(estate: &Estate, name: &str) -> anyhow::Result<(String, Repo)> {
    let name = estate.unique(name);
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
    apply(estate, &namespace).await?;
    let repo = estate.repo(&name)?;
    git(repo.bare(), ["config", "http.receivepack", "true"])?;
    Ok((name, repo))
}

/// Runs `reeve writeback run --once` in a directory with this configuration.
async fn once(estate: &Estate, config: &str, more: &[&str], code: i32) -> anyhow::Result<String> {
    let dir = tempfile::tempdir()?;
    files(dir.path(), &[("config.yaml", config)])?;
    let line = [&["writeback", "run", "--once"][..], more].concat();
    said(&asked(estate, dir.path(), &line).await?, code)
}

/// A file at the head of the server's branch.
fn at_head(repo: &Repo, file: &str) -> anyhow::Result<String> {
    git(repo.bare(), ["show", &format!("main:{file}")])
}

fn commits(repo: &Repo) -> anyhow::Result<usize> {
    Ok(git(repo.bare(), ["rev-list", "--count", "main"])?.parse()?)
}

/// The cluster serves the kinds of snapshots.
pub(crate) async fn serves_snapshots(estate: &Estate) -> anyhow::Result<()> {
    let definitions = objects::api(
        estate.admin(),
        "apiextensions.k8s.io/v1",
        "CustomResourceDefinition",
        None,
    );
    for (kind, scope) in [
        ("VolumeSnapshot", "Namespaced"),
        ("VolumeSnapshotContent", "Cluster"),
    ] {
        apply(estate, &definition(kind, scope)).await?;
        let plural = format!("{}s.snapshot.storage.k8s.io", kind.to_lowercase());
        wait::for_object(&definitions, &plural, "it is served", |one| {
            objects::condition(&one.data, "Established").is_some_and(|c| c.status == "True")
        })
        .await?;
    }
    Ok(())
}

/// A server that lets in who has the key of Secret `git-ssh`.
async fn over_ssh(estate: &Estate) -> anyhow::Result<SshServer> {
    let server = SshServer::start(estate.repositories(), SshOptions::default())?;
    let identity = server.user_key(KeyKind::Ed25519, "")?;
    secrecy::used(&identity);
    let hosts = server.known_hosts(&KeyKind::ALL)?;
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "git-ssh", "namespace": "default"},
        "stringData": {"identity": identity, "known_hosts": hosts},
    });
    apply(estate, &secret).await?;
    Ok(server)
}

/// A repository with snapshots, and something that no rule is for.
fn with_snapshots(repo: &Repo, name: &str) -> anyhow::Result<()> {
    let content = format!(
        "apiVersion: {SNAPSHOTS}\nkind: VolumeSnapshotContent\nmetadata:\n  name: {name}\nspec:\n  deletionPolicy: Retain\n"
    );
    repo.write("README.md", "What the cluster has.\n")?;
    repo.write("one.yaml", snapshot(name, "one"))?;
    repo.write("content.yaml", content)?;
    let other = config_map("other", "red")
        .replace("name: other", &format!("name: other\n  namespace: {name}"));
    repo.publish("other.yaml", other)?;
    Ok(())
}

#[test]
fn snapshots_of_the_repository_are_made_on_the_cluster_and_those_of_the_cluster_are_committed() {
    scenario(async {
        let estate = Estate::shared().await?;
        let (name, repo) = ground(estate, "snaps").await?;
        serves_snapshots(estate).await?;
        with_snapshots(&repo, &name)?;
        let server = over_ssh(estate).await?;
        let url = server.url(&name);
        let told = once(estate, SEED, &[&url], 0).await?;
        has_line(&told, &[&format!("✔ VolumeSnapshot/{name}/one created")])?;
        has_line(&told, &[&format!("✔ VolumeSnapshotContent/{name} created")])?;
        ensure!(!told.contains("other"), "no rule is for it: {told}");
        let snapshots = objects::api(estate.admin(), SNAPSHOTS, "VolumeSnapshot", Some(&name));
        snapshots.get("one").await?;
        let maps = objects::api(estate.admin(), "v1", "ConfigMap", Some(&name));
        ensure!(maps.get_opt("other").await?.is_none());
        ensure!(commits(&repo)? == 1);

        // The opposite direction: automation makes one, and changes another.
        let back = SEED.replace(
            "syncTo: kubernetes",
            &format!("namespaces: [{name}]\n  syncTo: git"),
        );
        let made: Value = json!({"apiVersion": SNAPSHOTS, "kind": "VolumeSnapshot",
            "metadata": {"name": "two", "namespace": name}, "spec": {"source": {"persistentVolumeClaimName": "data"}}});
        apply(estate, &made).await?;
        let status = json!({"status": {"readyToUse": true, "boundVolumeSnapshotContentName": "content-two"}});
        let how = PatchParams::default();
        snapshots
            .patch_status("two", &how, &Patch::Merge(status))
            .await?;
        let change = json!({"spec": {"source": {"persistentVolumeClaimName": "other"}}});
        snapshots.patch("one", &how, &Patch::Merge(change)).await?;
        let told = once(estate, &back, &[&url], 0).await?;
        has_line(&told, &["✔ pushed main@sha1:"])?;
        let (one, want) = (at_head(&repo, "one.yaml")?, snapshot(&name, "one"));
        ensure!(
            one == want.trim_end().replace(": data #", ": other #"),
            "{one}"
        );
        let file = format!("{name}/volumesnapshot.snapshot.storage.k8s.io-two.yaml");
        let two = at_head(&repo, &file)?;
        for (words, has) in [("name: two", true), ("status", false), ("uid", false)] {
            ensure!(two.contains(words) == has, "{words}: {two}");
        }
        ensure!(commits(&repo)? == 2, "both are one commit");
        // And nothing more comes of it.
        once(estate, &back, &[&url], 0).await?;
        once(estate, SEED, &[&url], 0).await?;
        ensure!(commits(&repo)? == 2);
        Ok(())
    });
}

/// A configuration of ConfigMaps of one namespace: `kept` follows git, all others the cluster.
fn maps(namespace: &str) -> String {
    format!(
        "branch: main\nrules:\n- resources: [configmaps]\n  namespaces: [{namespace}]\n  names: [kept]\n  syncTo: kubernetes\n\
         - resources: [configmaps]\n  namespaces: [{namespace}]\n  names: [kube-root-ca.crt]\n  syncTo: ignore\n\
         - resources: [configmaps, secrets]\n  namespaces: [{namespace}]\n  syncTo: git\n  onDelete: delete\n"
    )
}

async fn colour(api: &Api<DynamicObject>, name: &str, want: &str) -> anyhow::Result<()> {
    let what = format!("{name} is {want}");
    let is = |one: &DynamicObject| objects::text(&one.data, "/data/colour") == Some(want);
    wait::for_object(api, name, &what, is).await.map(drop)
}

async fn paint(api: &Api<DynamicObject>, name: &str, colour: &str) -> anyhow::Result<()> {
    let change = json!({"metadata": {"annotations": {"reeve.dev/reason": "the night shift"}}, "data": {"colour": colour}});
    let how = PatchParams::default();
    api.patch(name, &how, &Patch::Merge(change)).await?;
    Ok(())
}

/// Waits until a file of the server's branch is as wanted.
async fn committed(
    repo: &Repo,
    file: &str,
    is: impl Fn(Option<&str>) -> bool,
) -> anyhow::Result<()> {
    wait::until(wait::PATIENCE, &format!("{file} is as wanted"), || async {
        let text = at_head(repo, file).ok();
        is(text.as_deref()).then_some(())
    })
    .await
}

fn started(estate: &Estate, directory: &Path, line: &[&str]) -> anyhow::Result<Process> {
    let mut command = Command::new(controller::program()?);
    command
        .args(line)
        .arg("--kubeconfig")
        .arg(estate.plane.kubeconfig())
        .current_dir(directory);
    Ok(Process::start("writeback", command, directory)?)
}

/// The same ConfigMap on the cluster, green.
fn green(name: &str, namespace: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": namespace}, "data": {"colour": "green"}})
}

/// A manifest that says its namespace.
fn placed(text: &str, namespace: &str) -> String {
    text.replace("\ndata:\n", &format!("\n  namespace: {namespace}\ndata:\n"))
}

#[test]
fn what_follows_git_is_changed_back_and_what_follows_the_cluster_is_committed_at_once() {
    scenario(async {
        let estate = Estate::shared().await?;
        let (name, repo) = ground(estate, "both").await?;
        repo.write("kept.yaml", placed(&config_map("kept", "green"), &name))?;
        let follows = placed(&config_map("follows", "green"), &name);
        repo.publish("follows.yaml", &follows)?;
        apply(estate, &green("follows", &name)).await?;
        let api = objects::api(estate.admin(), "v1", "ConfigMap", Some(&name));

        let dir = tempfile::tempdir()?;
        files(dir.path(), &[("config.yaml", &*maps(&name))])?;
        let url = estate.git.url(&name);
        let author = "--author=Bot <bot@example.com>";
        let line = [
            "writeback",
            "run",
            &url,
            "--interval=1h",
            "--debounce=100ms",
            author,
        ];
        let running = started(estate, dir.path(), &line)?;
        colour(&api, "kept", "green").await?;
        paint(&api, "kept", "red").await?;
        colour(&api, "kept", "green").await?;

        paint(&api, "follows", "blue").await?;
        let want = follows.trim_end().replace(": green", ": blue");
        committed(&repo, "follows.yaml", |text| text == Some(&*want)).await?;
        let log = git(repo.bare(), ["log", "-1", "--format=%an%n%B", "main"])?;
        let object = format!("ConfigMap {name}/follows");
        for words in ["Bot", &object, "green -> blue", "the night shift"] {
            ensure!(log.contains(words), "{words}: {log}");
        }
        apply(estate, &green("new", &name)).await?;
        let file = format!("{name}/configmap-new.yaml");
        let is_there = |text: Option<&str>| text.is_some_and(|text| text.contains("name: new"));
        committed(&repo, &file, is_there).await?;
        api.delete("new", &DeleteParams::default()).await?;
        committed(&repo, &file, |text| text.is_none()).await?;
        let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "token", "namespace": name},
            "stringData": {"token": "hunter2hunter2"}});
        apply(estate, &secret).await?;
        let told = "Secrets are never written to git in the clear";
        wait::until(wait::PATIENCE, told, || async {
            running.tail(64 << 10).contains(told).then_some(())
        })
        .await?;
        let log = git(repo.bare(), ["log", "--oneline", "main"])?;
        ensure!(log.lines().count() == 4, "{log}");

        let ended = running.stop(Duration::from_secs(30));
        let told = running.tail(64 << 10);
        let well = ended.code() == Some(0) && told.contains("✔ ended");
        ensure!(well && !told.contains("hunter2"), "{ended}: {told}");
        Ok(())
    });
}

#[test]
fn policy_and_rights_hold_for_what_stands_alone_and_a_configuration_is_read_strictly() {
    scenario(async {
        let estate = Estate::shared().await?;
        let (name, repo) = ground(estate, "alone").await?;
        repo.publish("kept.yaml", placed(&config_map("kept", "red"), &name))?;
        let (url, config) = (estate.git.url(&name), maps(&name));
        let api = objects::api(estate.admin(), "v1", "ConfigMap", Some(&name));

        let dir = tempfile::tempdir()?;
        files(dir.path(), &[("colours/policy.rego", &minds("red"))])?;
        let policy = dir.path().join("colours").display().to_string();
        let told = once(estate, &config, &[&url, "--policies", &policy], 1).await?;
        ensure!(
            told.contains("denied by policy colours: kept is red"),
            "{told}"
        );
        ensure!(api.get_opt("kept").await?.is_none());

        let account = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "nobody", "namespace": name}});
        apply(estate, &account).await?;
        let nobody = format!("{name}/nobody");
        let told = once(estate, &config, &[&url, "--service-account", &nobody], 1).await?;
        ensure!(
            told.contains(&format!("system:serviceaccount:{name}:nobody")),
            "{told}"
        );
        ensure!(api.get_opt("kept").await?.is_none());

        for (text, says) in [
            (
                "rules:\n- syncto: git\n",
                "config.yaml: line 2: rules[0].syncto is not known: is it syncTo?",
            ),
            (
                "rules:\n- syncTo: git\n  labels: 'a in ('\n",
                "rules[0].labels",
            ),
        ] {
            let told = once(estate, text, &[&url], 1).await?;
            ensure!(told.contains(says), "{says}: {told}");
        }
        once(estate, &config, &[&url], 0).await?;
        colour(&api, "kept", "red").await
    });
}

#[test]
fn a_directory_is_taken_over_object_by_object() {
    scenario(async {
        let estate = Estate::shared().await?;
        let (name, _) = ground(estate, "adopts").await?;
        let dir = tempfile::tempdir()?;
        let all = ["same", "other", "missing", "more"];
        let texts = all.map(|name| (format!("{name}.yaml"), config_map(name, "green")));
        let texts: Vec<(&str, &str)> = texts
            .iter()
            .map(|(file, text)| (file.as_str(), text.as_str()))
            .collect();
        files(dir.path(), &texts)?;
        for (map, colour) in [("same", "green"), ("other", "blue")] {
            let object = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": map, "namespace": name},
                "data": {"colour": colour}});
            apply(estate, &object).await?;
        }
        let mut more = green("more", &name);
        more["data"]["size"] = json!("big");
        apply(estate, &more).await?;
        let line = ["writeback", "adopt", ".", "-n", &name];
        let told = said(&asked(estate, dir.path(), &line).await?, 1)?;
        has_line(&told, &[&format!("ConfigMap {name}/same"), "equal"])?;
        has_line(
            &told,
            &[
                &format!("ConfigMap {name}/other"),
                "different",
                "data.colour",
            ],
        )?;
        has_line(&told, &[&format!("ConfigMap {name}/missing"), "missing"])?;
        has_line(&told, &["+  colour: blue # chosen"])?;
        has_line(
            &told,
            &[&format!("ConfigMap {name}/more"), "more", "data.size"],
        )?;
        has_line(&told, &["+  size: big"])?;
        let read = |file: &str| std::fs::read_to_string(dir.path().join(file));
        ensure!(
            read("other.yaml")? == config_map("other", "green"),
            "nothing was written"
        );

        let line = [&line[..], &["--write", "-o", "json"]].concat();
        let output = asked(estate, dir.path(), &line).await?;
        said(&output, 1)?;
        let rows: Value = serde_json::from_slice(&output.stdout)?;
        ensure!(
            rows[3]["state"] == "equal" && rows[0]["state"] == "missing",
            "{rows:#}"
        );
        ensure!(read("other.yaml")? == config_map("other", "blue"));
        ensure!(read("same.yaml")? == config_map("same", "green"));
        let more = config_map("more", "green") + "  size: big\n";
        ensure!(rows[1]["state"] == "more" && read("more.yaml")? == more);
        Ok(())
    });
}

#[test]
fn what_a_write_back_would_commit_is_shown_and_an_object_is_taken_out_of_it() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = estate.healthy_tenant("wbdiff").await?;
        let (here, name) = (std::env::temp_dir(), tenant.name());
        tenant
            .apply(&json!({
                "apiVersion": "reeve.dev/v1alpha1", "kind": "WriteBack",
                "metadata": {"name": "back", "namespace": name},
                "spec": {"suspend": true, "rules": [{"resources": ["configmaps"], "names": ["settings"], "syncTo": "git"}],
                    "sourceRef": {"name": name, "namespace": reeve_tests::install::CONFIG}},
            }))
            .await?;
        let suspend = ["suspend", "ks", name, "-n", name];
        said(&asked(estate, &here, &suspend).await?, 0)?;
        let diff = ["writeback", "diff", "back", "-n", name];
        said(&asked(estate, &here, &diff).await?, 0)?;
        let api = tenant.api("v1", "ConfigMap");
        paint(&api, "settings", "blue").await?;
        let told = said(&asked(estate, &here, &diff).await?, 1)?;
        has_line(&told, &["--- a/settings.yaml"])?;
        has_line(&told, &["-  colour: green"])?;
        has_line(&told, &["+  colour: blue"])?;

        let one = ["configmap/settings", "-n", name];
        let pause = [&["writeback", "pause"][..], &one[..]].concat();
        let told = said(&asked(estate, &here, &pause).await?, 0)?;
        has_line(
            &told,
            &[&format!("✔ write-back of ConfigMap/{name}/settings paused")],
        )?;
        said(&asked(estate, &here, &diff).await?, 0)?;
        let resume = [&["writeback", "resume"][..], &one[..]].concat();
        said(&asked(estate, &here, &resume).await?, 0)?;
        said(&asked(estate, &here, &diff).await?, 1)?;

        let status = ["writeback", "status", "back", "-n", name];
        let told = said(&asked(estate, &here, &status).await?, 0)?;
        has_line(&told, &["NAMESPACE", "READY", "CONFLICTS"])?;
        has_line(&told, &[name, "back", "true"])?;
        let line = ["writeback", "status", "nobody", "-n", name];
        let told = said(&asked(estate, &here, &line).await?, 1)?;
        has_line(&told, &[&format!("there is no WriteBack {name}/nobody")])
    });
}
