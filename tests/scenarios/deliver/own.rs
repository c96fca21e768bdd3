//! To a repository of the tenant's own, and back.

use anyhow::{Context as _, ensure};
use kube::api::DynamicObject;
use reeve_api::reason::Reason;
use reeve_core::deliver::{DELIVER, PATH, TO};
use reeve_tests::git::{HttpServer, KeyKind, Served, SshOptions, SshServer, git};
use reeve_tests::install::SYSTEM;
use reeve_tests::objects::{self, condition, text};
use reeve_tests::{scenario, secrecy, wait};
use serde_json::json;

use super::{Desk, login, nothing};

const BLUE: &str =
    "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: settings\ndata:\n  colour: blue\n";

#[test]
fn what_is_delivered_to_git_is_one_file_an_object_and_nothing_of_it_is_applied() {
    scenario(async {
        let desk = Desk::open("delivers").await?;
        let told = desk.deliver().await?;
        let own = desk.tenant.name();
        let settings = desk.show(&desk.file("configmap-settings"))?;
        ensure!(
            settings.starts_with(&format!(
                "# Delivered by reeve for Kustomization {own}/{own}."
            )),
            "{settings}"
        );
        ensure!(settings.contains("  colour: green\n"), "{settings}");
        ensure!(!settings.contains("kustomize.toolkit"), "{settings}");
        let want = [desk.file("configmap-settings"), desk.file("service-web")];
        ensure!(desk.files()? == [&["README.md".to_owned()][..], &want[..]].concat());
        let message = git(desk.live.bare(), ["log", "-1", "--format=%an|%B", "main"])?;
        for words in [
            format!("reeve|Deliver {own}/{own} at main@"),
            format!("Reeve-Deliver: {own}/{own}"),
            "Reeve-Source-Revision: main@sha1:".to_owned(),
            "Reeve-Digest: sha256:".to_owned(),
        ] {
            ensure!(message.contains(&words), "no {words:?} in {message}");
        }
        let status = &told.kustomization["status"];
        ensure!(status["delivered"]["commit"] == desk.head()?, "{status}");
        ensure!(status["delivered"]["objects"] == 2, "{status}");
        ensure!(status["inventory"].is_null(), "{status}");
        ensure!(
            desk.changes().await?.is_empty(),
            "{:?}",
            desk.changes().await?
        );

        // The next revision is there, and the cluster is as it was: nothing applied, nothing pruned.
        let files = [("settings.yaml", Some(BLUE)), ("service.yaml", None)];
        desk.tenant.push(&files).await?;
        ensure!(
            desk.show(&desk.file("configmap-settings"))?
                .contains("colour: blue")
        );
        ensure!(desk.files()?.len() == 2, "{:?}", desk.files()?);
        ensure!(
            desk.changes().await?.is_empty(),
            "{:?}",
            desk.changes().await?
        );
        Ok(())
    });
}

#[test]
fn what_is_there_already_costs_one_question_and_a_change_by_hand_is_written_over() {
    scenario(async {
        let desk = Desk::open("stands").await?;
        desk.deliver().await?;
        let head = desk.head()?;
        let _before = desk.server.seen();
        desk.tenant.reconcile(None).await?;
        let asked = desk.server.seen();
        let reads = |one: &reeve_tests::git::Seen| {
            let body = String::from_utf8_lossy(&one.body).into_owned();
            one.path.contains("git-upload-pack") && !body.contains("command=fetch")
        };
        ensure!(!asked.is_empty() && asked.iter().all(reads), "{asked:?}");
        ensure!(desk.head()? == head, "there is a commit more");

        let file = desk.file("configmap-settings");
        let other = desk.show(&file)?.replace("green", "red");
        desk.live.run(["pull", "--quiet", "origin", "main"])?;
        desk.live.publish(&file, format!("{other}\n"))?;
        desk.live.publish("notes.txt", "Not reeve's\n")?;
        desk.tenant.reconcile(None).await?;
        ensure!(
            desk.show(&file)?.contains("colour: green"),
            "{}",
            desk.show(&file)?
        );
        ensure!(desk.show("notes.txt")? == "Not reeve's");
        let told = desk.tenant.reconcile(None).await?;
        ensure!(
            told.ready.reason == Reason::Delivered.as_str(),
            "{:?}",
            told.ready
        );
        Ok(())
    });
}

#[test]
fn going_over_to_git_and_back_deletes_nothing_that_runs() {
    scenario(async {
        let desk = Desk::open("returns").await?;
        desk.deliver().await?;
        let files = [("settings.yaml", Some(BLUE)), ("service.yaml", None)];
        desk.tenant.push(&files).await?;
        desk.ask(&nothing()).await?;
        desk.told(Reason::ReconciliationSucceeded, "Applied revision")
            .await?;
        let map = desk.tenant.api("v1", "ConfigMap").get("settings").await?;
        ensure!(map.data["data"]["colour"] == "blue", "{:?}", map.data);
        let service = desk.tenant.api("v1", "Service").get_opt("web").await?;
        service.context("what was let go stays where it is")?;
        let object = desk.tenant.kustomizations().get(desk.tenant.name()).await?;
        ensure!(
            object.data["status"]["delivered"].is_null(),
            "{:?}",
            object.data
        );
        ensure!(desk.files()?.contains(&desk.file("configmap-settings")));
        Ok(())
    });
}

#[test]
fn what_lies_in_the_directory_is_taken_over_and_other_files_stay() {
    scenario(async {
        let desk = Desk::open("adopts-git").await?;
        let own = desk.tenant.name();
        let map = |name: &str| {
            format!(
                "# by hand\napiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}, namespace: {own}}}\ndata: {{colour: red}}\n"
            )
        };
        desk.live.write("apps/demo/old.yaml", map("settings"))?;
        desk.live.write("apps/demo/theirs.yaml", map("theirs"))?;
        desk.live.write("apps/demo/notes.txt", "Not reeve's\n")?;
        desk.live.publish_all("What was there")?;
        desk.ask(&json!({DELIVER: "git", TO: "live", PATH: "apps/demo"}))
            .await?;
        let told = desk.told(Reason::Delivered, "apps/demo").await?;
        let want = [
            "README.md".to_owned(),
            "apps/demo/notes.txt".to_owned(),
            format!("apps/demo/{own}/configmap-settings.yaml"),
            format!("apps/demo/{own}/service-web.yaml"),
            "apps/demo/theirs.yaml".to_owned(),
        ];
        let mut files = desk.files()?;
        files.sort();
        let mut want = want.to_vec();
        want.sort();
        ensure!(files == want, "{files:?}");
        let delivered = &told.kustomization["status"]["delivered"];
        ensure!(delivered["adopted"] == 1, "{delivered}");
        Ok(())
    });
}

#[test]
fn a_delivery_goes_over_ssh_with_a_key_that_is_encrypted() {
    scenario(async {
        let desk = Desk::open("by-ssh").await?;
        let server = SshServer::start(desk.estate.repositories(), SshOptions::default())?;
        let words = format!("{:032x}", rand::random::<u128>());
        let identity = server.user_key(KeyKind::Ed25519, &words)?;
        secrecy::used(&words);
        let known = server.known_hosts(&KeyKind::ALL)?;
        let login = [
            ("identity", identity.as_str()),
            ("password", words.as_str()),
            ("known_hosts", known.as_str()),
        ];
        desk.tenant.apply(&desk.secret("shell", &login)).await?;
        let url = server.url(&format!("{}-live", desk.tenant.name()));
        desk.tenant.apply(&desk.source("shell", &url)).await?;
        desk.ask(&json!({DELIVER: "git", TO: "shell"})).await?;
        desk.told(Reason::Delivered, "ssh://127.0.0.1").await?;
        ensure!(
            desk.show(&desk.file("service-web"))?
                .contains("kind: Service")
        );
        Ok(())
    });
}

/// Another agent, in Flux's words, over a directory. It has applied so many objects.
async fn agent(desk: &Desk, directory: &str, objects: usize) -> anyhow::Result<()> {
    let own = desk.tenant.name();
    let mut source = desk.source("agent", &desk.server.url(&format!("{own}-live")));
    source["spec"]["secretRef"] = json!({"name": "live"});
    desk.tenant.apply(&source).await?;
    desk.tenant
        .apply(&json!({
            "apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization",
            "metadata": desk.named("agent"),
            "spec": {
                "interval": "1h", "retryInterval": "1s", "path": format!("./{directory}"), "prune": true,
                "serviceAccountName": "flux", "targetNamespace": own,
                "sourceRef": {"kind": "GitRepository", "name": "agent"},
            },
        }))
        .await?;
    let applied = |object: &DynamicObject| {
        let ready = condition(&object.data, "Ready").unwrap_or_default();
        let entries = object.data.pointer("/status/inventory/entries");
        let entries = entries.and_then(|all| all.as_array()).map_or(0, Vec::len);
        ready.status == "True" && entries == objects
    };
    let all = desk.tenant.kustomizations();
    wait::for_object(&all, "agent", "the agent has applied all of it", applied).await?;
    Ok(())
}

/// The directory that Flux's users have: a kustomization file lists what is applied of it.
#[test]
fn a_directory_with_a_kustomization_file_is_taken_over_and_its_agent_applies_all_of_it() {
    scenario(async {
        let desk = Desk::open("adopts-listed").await?;
        let own = desk.tenant.name();
        let map = |name: &str| {
            format!(
                "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}, namespace: {own}}}\ndata: {{colour: red}}\n"
            )
        };
        desk.live.write("apps/demo/old.yaml", map("settings"))?;
        desk.live.write("apps/demo/keep.yaml", map("keep"))?;
        let list = "# what is applied\nresources:\n  - old.yaml\n  - keep.yaml # by hand\n";
        desk.live.write("apps/demo/kustomization.yaml", list)?;
        desk.live.publish_all("What was there")?;
        let to = json!({DELIVER: "git", TO: "live", PATH: "apps/demo"});
        desk.ask(&to).await?;
        desk.told(Reason::Delivered, "apps/demo").await?;
        let listed = desk.show("apps/demo/kustomization.yaml")?;
        for words in [
            "# what is applied\n",
            "- keep.yaml # by hand\n",
            &format!("- {own}/configmap-settings.yaml\n"),
            &format!("- {own}/service-web.yaml"),
        ] {
            ensure!(listed.contains(words), "no {words:?} in {listed}");
        }
        ensure!(!listed.contains("old.yaml"), "{listed}");
        agent(&desk, "apps/demo", 3).await?;
        let head = desk.head()?;
        desk.tenant.reconcile(None).await?;
        ensure!(desk.head()? == head, "it is as it should be");

        // What it would do to others is nothing that policy has seen.
        desk.live.run(["pull", "--quiet", "origin", "main"])?;
        let renamed = format!("namePrefix: x-\n{listed}\n");
        desk.live.publish("apps/demo/kustomization.yaml", renamed)?;
        desk.tenant.reconcile(None).await?;
        let words = "kustomization.yaml does more than list resources";
        desk.told(Reason::DeliveryFailed, words).await?;
        Ok(())
    });
}

/// Another agent, in Flux's words: what is in the directory is applied as it lies there.
#[test]
fn an_agent_that_speaks_flux_applies_what_is_delivered() {
    scenario(async {
        let desk = Desk::open("agent").await?;
        desk.deliver().await?;
        let own = desk.tenant.name();
        agent(&desk, &format!("{own}/{own}"), 2).await?;
        let map = desk.tenant.api("v1", "ConfigMap").get("settings").await?;
        let by = text(
            &serde_json::to_value(&map)?,
            "/metadata/labels/kustomize.toolkit.fluxcd.io~1name",
        )
        .map(str::to_owned);
        ensure!(by.as_deref() == Some("agent"), "{by:?}");
        Ok(())
    });
}

#[test]
fn deliveries_of_one_repository_and_people_in_it_lose_no_commit() {
    scenario(async {
        let desk = Desk::open("together").await?;
        let own = desk.tenant.name().to_owned();
        for name in ["second", "third"] {
            desk.tenant
                .apply(&json!({
                    "apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization",
                    "metadata": {"name": name, "namespace": own, "annotations": {DELIVER: "git", TO: "live"}},
                    "spec": {
                        "interval": "1h", "path": "./", "prune": true, "serviceAccountName": "flux",
                        "targetNamespace": own,
                        "sourceRef": {"kind": "GitRepository", "name": own, "namespace": reeve_tests::install::CONFIG},
                    },
                }))
                .await?;
        }
        desk.ask(&json!({DELIVER: "git", TO: "live"})).await?;
        for number in 0..3 {
            people_push(&desk, number)?;
        }
        desk.told(Reason::Delivered, "Delivered revision").await?;
        let all = desk.tenant.kustomizations();
        let delivered = |object: &DynamicObject| {
            let ready = condition(&object.data, "Ready").unwrap_or_default();
            ready.reason == Reason::Delivered.as_str()
        };
        for name in ["second", "third"] {
            wait::for_object(&all, name, "it is delivered", delivered).await?;
        }
        let files = desk.files()?;
        for name in [own.as_str(), "second", "third"] {
            let file = format!("{own}/{name}/{own}/configmap-settings.yaml");
            ensure!(files.contains(&file), "no {file} in {files:?}");
        }
        let merges = git(desk.live.bare(), ["rev-list", "--merges", "main"])?;
        ensure!(merges.is_empty(), "{merges}");
        let count = git(desk.live.bare(), ["rev-list", "--count", "main"])?;
        ensure!(
            count == "7",
            "the first, three of people and three of ours, not {count}"
        );
        Ok(())
    });
}

/// Somebody pushes, and tries again when reeve was faster.
fn people_push(desk: &Desk, number: usize) -> anyhow::Result<()> {
    desk.live
        .write(&format!("people/{number}.txt"), "by hand\n")?;
    desk.live.commit("By hand")?;
    for _ in 0..20 {
        desk.live
            .run(["pull", "--quiet", "--rebase", "origin", "main"])?;
        if desk.live.run(["push", "--quiet", "origin", "HEAD"]).is_ok() {
            return Ok(());
        }
    }
    anyhow::bail!("nobody could push")
}

#[test]
fn a_login_that_the_platform_gives_to_the_tenant_delivers_and_nobody_does_without_one() {
    scenario(async {
        let desk = Desk::open("levelled-git").await?;
        let own = desk.tenant.name();
        let (auth, password) = login();
        let server = HttpServer::start(desk.estate.repositories(), Served::only(auth)).await?;
        let mut open = desk.source("open", &server.url(&format!("{own}-live")));
        open["spec"]
            .as_object_mut()
            .map(|spec| spec.remove("secretRef"));
        desk.tenant.apply(&open).await?;
        desk.ask(&json!({DELIVER: "git", TO: "open", PATH: "again"}))
            .await?;
        desk.told(Reason::AuthenticationFailed, "no login is given to it")
            .await?;
        let nothing = desk.show(&format!("again/{own}/configmap-settings.yaml"));
        ensure!(nothing.is_err(), "something was written");

        let level = format!("{own}-level");
        let file = format!(
            "auths:\n- url: {}\n  credentials: {{https: {{username: ada, password: {password}}}}}\n",
            server.url("*")
        );
        for object in [
            json!({
                "apiVersion": "v1", "kind": "Secret",
                "metadata": {"name": level, "namespace": SYSTEM, "labels": {"reconcile.fluxcd.io/watch": "Enabled"}},
                "stringData": {"git.yaml": file},
            }),
            json!({
                "apiVersion": "reeve.dev/v1alpha1", "kind": "Tenant", "metadata": {"name": own},
                "spec": {"namespaces": [own], "sources": [own], "gitConfig": {"kind": "Secret", "name": level}},
            }),
        ] {
            desk.tenant.apply(&object).await?;
        }
        let sources = objects::api(
            desk.estate.admin(),
            "source.toolkit.fluxcd.io/v1",
            "GitRepository",
            Some(own),
        );
        wait::for_object(&sources, "open", "it is fetched", |object| {
            text(&object.data, "/status/artifact/revision").is_some()
        })
        .await?;
        desk.told(Reason::Delivered, "Delivered revision").await?;
        let settings = desk.show(&format!("again/{own}/configmap-settings.yaml"))?;
        ensure!(settings.contains("colour: green"), "{settings}");
        Ok(())
    });
}
