//! The other end: somebody pushes at the same time, it takes nothing, it is reached over ssh, somebody is to be asked.

use anyhow::ensure;
use reeve_tests::git::{KeyKind, SshOptions, SshServer, git};
use reeve_tests::{Estate, objects, scenario};
use serde_json::json;

use super::*;

#[test]
fn people_who_push_at_the_same_time_lose_nothing_and_history_stays_linear() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = tenant(estate, "wb-race").await?;
        begin(&tenant, &writeback(&tenant, "back", &everything())).await?;
        let before = commits(&tenant)?;
        let webs = tenant.api("apps/v1", "Deployment");
        let repo = tenant.repo();
        let mut people = 0;
        for round in 0..5 {
            change(&webs, "web", "keel", &image(&format!("r{round}"))).await?;
            for n in 0..4 {
                let note = format!("notes/{round}-{n}.txt");
                repo.write(&note, "by hand\n")?.commit("A note")?;
                // As people do: what is refused is put on top of what came between.
                while repo.run(["push", "--quiet", "origin", "HEAD"]).is_err() {
                    repo.run(["pull", "--quiet", "--rebase", "origin", "main"])?;
                }
                people += 1;
            }
        }
        written(&tenant, "web.yaml", "web:r4").await?;
        tenant.call_hook().await?;
        applied(&tenant).await?;
        looked(&tenant, "back").await?;
        let merges = git(repo.bare(), ["rev-list", "--count", "--merges", "main"])?;
        ensure!(merges == "0", "history is linear");
        let notes = git(
            repo.bare(),
            ["ls-tree", "-r", "--name-only", "main", "notes/"],
        )?;
        ensure!(notes.lines().count() == people, "{notes}");
        let ours = git(
            repo.bare(),
            ["log", "--format=%s", "--grep=^Reeve-Write-Back:", "main"],
        )?;
        let ours = ours.lines().count();
        ensure!(
            (1..=5).contains(&ours) && commits(&tenant)? == before + people + ours,
            "{ours} of ours"
        );
        Ok(())
    });
}

#[test]
fn what_the_remote_does_not_take_is_told_and_written_when_it_does() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = tenant(estate, "wb-shut").await?;
        begin(&tenant, &writeback(&tenant, "back", &everything())).await?;
        let bare = tenant.repo().bare();
        git(bare, ["config", "http.receivepack", "false"])?;
        let webs = tenant.api("apps/v1", "Deployment");
        change(&webs, "web", "keel", &image("2")).await?;
        told(&tenant, "back", "False", "ReadOnly").await?;
        let image = webs.get("web").await?;
        let image = image
            .data
            .pointer("/spec/template/spec/containers/0/image")
            .cloned();
        ensure!(
            image == Some(json!("registry.local/web:2")),
            "it stays meanwhile: {image:?}"
        );
        git(bare, ["config", "http.receivepack", "true"])?;
        written(&tenant, "web.yaml", "web:2").await?;
        told(&tenant, "back", "True", "Succeeded").await?;
        applied(&tenant).await
    });
}

#[test]
fn a_repository_over_ssh_is_written_with_the_key_of_its_source() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = tenant(estate, "wb-ssh").await?;
        let ssh = SshServer::start(estate.repositories(), SshOptions::default())?;
        let identity = ssh.user_key(KeyKind::Ed25519, "")?;
        let namespace = tenant.name();
        let known = ssh.known_hosts(&KeyKind::ALL)?;
        let meta = json!({"name": "own", "namespace": namespace});
        tenant
            .apply(&json!({
                "apiVersion": "v1", "kind": "Secret", "metadata": meta,
                "stringData": {"identity": identity, "known_hosts": known},
            }))
            .await?;
        let spec = json!({"interval": "1h", "url": ssh.url(namespace), "ref": {"branch": "main"}, "secretRef": {"name": "own"}});
        tenant.apply(&json!({
            "apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "GitRepository", "metadata": meta, "spec": spec,
        })).await?;
        tenant
            .after(|draft| draft.set("sourceRef", json!({"kind": "GitRepository", "name": "own"})))
            .await?;
        let mut back = writeback(&tenant, "back", &everything());
        back["spec"]["sourceRef"] = json!({"name": "own"});
        back["spec"]["author"] = json!({"name": "Cluster One", "email": "one@example.com"});
        begin(&tenant, &back).await?;
        let webs = tenant.api("apps/v1", "Deployment");
        change(&webs, "web", "keel", &image("2")).await?;
        written(&tenant, "web.yaml", "web:2").await?;
        let author = git(
            tenant.repo().bare(),
            ["log", "-1", "--format=%an <%ae>", "main"],
        )?;
        ensure!(author == "Cluster One <one@example.com>", "{author}");
        applied(&tenant).await
    });
}

#[test]
fn a_request_has_its_branch_and_says_who_is_to_open_it() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = tenant(estate, "wb-ask").await?;
        let mut back = writeback(&tenant, "back", &everything());
        back["spec"]["propose"] = json!("pullRequest");
        begin(&tenant, &back).await?;
        let before = commits(&tenant)?;
        let webs = tenant.api("apps/v1", "Deployment");
        change(&webs, "web", "keel", &image("2")).await?;
        let told = told(&tenant, "back", "False", "Unsupported").await?;
        let ready = objects::condition(&told.data, "Ready").unwrap_or_default();
        ensure!(
            ready.message.contains("names no provider"),
            "{}",
            ready.message
        );
        let branch = format!("reeve/{}/back:web.yaml", tenant.name());
        let text = git(tenant.repo().bare(), ["show", branch.as_str()])?;
        ensure!(text.contains("web:2"), "{text}");
        ensure!(
            commits(&tenant)? == before,
            "the branch itself is as it was"
        );
        let image = webs.get("web").await?;
        let image = image
            .data
            .pointer("/spec/template/spec/containers/0/image")
            .cloned();
        ensure!(
            image == Some(json!("registry.local/web:2")),
            "it stays until somebody has decided: {image:?}"
        );
        Ok(())
    });
}
