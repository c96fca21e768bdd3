//! `reeve rollout`: a commit first, then a fetch, then the cluster; and nothing where it cannot be said where the change belongs.

use anyhow::{Context as _, ensure};
use kube::api::{Patch, PatchParams};
use reeve_tests::git::{Auth, HttpServer, Repo, Served, git};
use reeve_tests::tenant::Tenant;
use reeve_tests::{Estate, scenario, secrecy};
use serde_json::json;

use super::get::{asked, said};
use crate::flux_cli::has_line;

/// A Deployment that a node has room for, as people write it.
const WEB: &str = "# the site
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
spec:
  replicas: 1 # enough for now
  selector:
    matchLabels: {app: web}
  template:
    metadata:
      labels: {app: web}
    spec:
      nodeSelector: {kubernetes.io/os: linux}
      containers:
        - name: web
          image: registry.local/web:1 # the release
";

/// Lets everybody push, as a server does that was not told otherwise over ssh.
fn lets_push(repo: &Repo) -> anyhow::Result<()> {
    git(repo.bare(), ["config", "http.receivepack", "true"])?;
    Ok(())
}

/// A tenant with a Deployment that runs, whose repository may be pushed to.
async fn running<'e>(estate: &'e Estate, name: &str) -> anyhow::Result<Tenant<'e>> {
    let tenant = estate.healthy_tenant(name).await?;
    lets_push(tenant.repo())?;
    tenant.push(&[("web.yaml", Some(WEB))]).await?;
    Ok(tenant)
}

/// Asks for a rollout of `web`.
async fn rollout(
    estate: &Estate,
    tenant: &Tenant<'_>,
    more: &[&str],
    code: i32,
) -> anyhow::Result<String> {
    let line = [&["rollout", "web", "-n", tenant.name()][..], more].concat();
    let here = std::env::temp_dir();
    said(&asked(estate, &here, &line).await?, code)
}

/// What the server has at the head of `main`: the commit, and a file of it.
fn head(repo: &Repo, file: &str) -> anyhow::Result<(String, String)> {
    let commit = git(repo.bare(), ["rev-parse", "main"])?;
    let text = git(repo.bare(), ["show", &format!("main:{file}")])?;
    Ok((commit, text))
}

async fn field(tenant: &Tenant<'_>, pointer: &str) -> anyhow::Result<String> {
    let web = tenant.api("apps/v1", "Deployment").get("web").await?;
    let value = web.data.pointer(pointer).context(pointer.to_owned())?;
    Ok(value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned))
}

const IMAGE: &str = "/spec/template/spec/containers/0/image";

#[test]
fn a_rollout_is_committed_where_the_value_is_from_and_applied_by_the_fetch() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = running(estate, "rolls").await?;
        let name = tenant.name();

        let change = ["--image", "registry.local/web:2"];
        let told = rollout(estate, &tenant, &[&change[..], &["--dry-run"]].concat(), 0).await?;
        has_line(
            &told,
            &["-          image: registry.local/web:1 # the release"],
        )?;
        has_line(
            &told,
            &["+          image: registry.local/web:2 # the release"],
        )?;
        has_line(&told, &["nothing was committed"])?;
        ensure!(head(tenant.repo(), "web.yaml")?.1 == WEB.trim_end());
        ensure!(field(&tenant, IMAGE).await? == "registry.local/web:1");

        let why = [
            "--reason",
            "CVE-2026-1",
            "--author",
            "Ada <ada@example.com>",
        ];
        let told = rollout(estate, &tenant, &[&change[..], &why].concat(), 0).await?;
        let (commit, text) = head(tenant.repo(), "web.yaml")?;
        ensure!(text == WEB.trim_end().replace("web:1", "web:2"), "{text}");
        has_line(&told, &["✔ pushed main@sha1:", &commit])?;
        has_line(&told, &["✔ applied revision main@sha1:", &commit])?;
        has_line(&told, &[&format!("✔ Deployment/{name}/web is healthy")])?;
        ensure!(field(&tenant, IMAGE).await? == "registry.local/web:2");
        let log = git(
            tenant.repo().bare(),
            ["log", "-1", "--format=%an <%ae>%n%B", "main"],
        )?;
        ensure!(log.starts_with("Ada <ada@example.com>\n"), "{log}");
        for words in [
            &*format!("Deployment {name}/web"),
            "registry.local/web:2",
            "CVE-2026-1",
        ] {
            ensure!(log.contains(words), "{words}: {log}");
        }

        // Once more there is nothing to do, and it is well.
        let told = rollout(estate, &tenant, &change, 0).await?;
        has_line(&told, &["there is nothing to commit"])?;
        ensure!(head(tenant.repo(), "web.yaml")?.0 == commit);

        let told = rollout(estate, &tenant, &["--replicas", "2"], 0).await?;
        has_line(&told, &["+  replicas: 2 # enough for now"])?;
        ensure!(field(&tenant, "/spec/replicas").await? == "2");
        let patch = r#"{"spec": {"template": {"metadata": {"annotations": {"team": "web"}}}}}"#;
        rollout(estate, &tenant, &["--patch", patch], 0).await?;
        let team = "/spec/template/metadata/annotations/team";
        ensure!(field(&tenant, team).await? == "web");
        Ok(())
    });
}

#[test]
fn what_stands_in_the_way_is_told_and_nothing_is_committed() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = running(estate, "balks").await?;
        let (name, before) = (tenant.name(), head(tenant.repo(), "web.yaml")?);
        let image = ["--image", "registry.local/web:2"];
        let bad = ["--patch", r#"{"spec": {"replicas": "many"}}"#];
        for (line, says) in [
            (
                &["--image", "db=x:1"][..],
                "it has no container db, but web",
            ),
            (
                &bad[..],
                "the API server would not take the change, and nothing was committed",
            ),
            (
                &["--image", "x:1", "--kind", "job"],
                "there is no job/web in namespace",
            ),
            (
                &["--image", "x:1", "--kustomization", "nobody"],
                "there is no Kustomization",
            ),
        ] {
            let told = rollout(estate, &tenant, line, 1).await?;
            ensure!(told.contains(says), "{says}: {told}");
        }
        let here = std::env::temp_dir();
        let root = "cm/kube-root-ca.crt";
        let own = ["rollout", root, "-n", name, "--patch", "{}"];
        let told = said(&asked(estate, &here, &own).await?, 1)?;
        ensure!(
            told.contains(&format!("no Kustomization applies ConfigMap/{name}/")),
            "{told}"
        );

        let suspend = ["suspend", "ks", name, "-n", name];
        said(&asked(estate, &here, &suspend).await?, 0)?;
        let told = rollout(estate, &tenant, &image, 1).await?;
        ensure!(
            told.contains(&format!("`reeve resume ks {name} -n {name}`")),
            "{told}"
        );
        ensure!(head(tenant.repo(), "web.yaml")? == before);
        Ok(())
    });
}

#[test]
fn what_no_commit_of_the_branch_could_change_is_refused() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = running(estate, "refuses").await?;
        let image = ["--image", "registry.local/web:2"];
        // A variable makes the value.
        let variable = WEB.replace("web:1", "web:${tag}");
        tenant
            .after(|draft| {
                draft.set("postBuild", json!({"substitute": {"tag": "1"}}));
                draft.commit("web.yaml", &variable);
            })
            .await?;
        let told = rollout(estate, &tenant, &image, 1).await?;
        ensure!(
            told.contains("a variable, a plugin or a newer commit"),
            "{told}"
        );
        has_line(&told, &["hint: change the variable"])?;
        let after = head(tenant.repo(), "web.yaml")?;
        ensure!(after.1 == variable.trim_end(), "{after:?}");

        let tag = git(tenant.repo().bare(), ["tag", "v1", "main"]);
        tag.context("tagging")?;
        tenant
            .after(|draft| draft.set_source("ref", json!({"tag": "v1"})))
            .await?;
        let told = rollout(estate, &tenant, &image, 1).await?;
        ensure!(told.contains("follows tag v1 and no branch"), "{told}");
        Ok(())
    });
}

#[test]
fn the_login_is_that_of_the_source_or_ones_own_and_is_not_told() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = running(estate, "enters").await?;
        let password = format!("{:032x}", rand::random::<u128>());
        secrecy::used_as("bot", &password);
        let served = Served::only(Auth::Basic("bot".to_owned(), password.clone()));
        let server = HttpServer::start(estate.repositories(), served).await?;
        let login = [("username", "bot"), ("password", &*password)];
        tenant
            .fetch_from(&server.url(tenant.name()), &login)
            .await?;

        let told = rollout(estate, &tenant, &["--replicas", "2"], 0).await?;
        has_line(&told, &["is healthy"])?;

        // Another than the source's, which may not be used.
        let dir = tempfile::tempdir()?;
        let (right, wrong) = (dir.path().join("right"), dir.path().join("wrong"));
        std::fs::write(&right, &password)?;
        std::fs::write(&wrong, "hunter3")?;
        for (file, code) in [(&wrong, 1), (&right, 0)] {
            let file = file.display().to_string();
            let line = [
                "--replicas",
                "3",
                "--username",
                "bot",
                "--password-file",
                &*file,
            ];
            let told = rollout(estate, &tenant, &line, code).await?;
            let leaks = secrecy::leaks("rollout", &told);
            ensure!(leaks.is_empty(), "{leaks:#?}");
        }
        ensure!(field(&tenant, "/spec/replicas").await? == "3");
        Ok(())
    });
}

#[test]
fn what_the_cluster_does_not_take_is_told_and_the_commit_stays() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = running(estate, "fails").await?;
        // No node has room for it.
        let patch = r#"{"spec": {"template": {"spec": {"nodeSelector": {"kubernetes.io/os": "none-of-ours"}}}}}"#;
        let told = rollout(estate, &tenant, &["--patch", patch, "--timeout", "15s"], 2).await?;
        has_line(&told, &["✔ applied revision"])?;
        ensure!(told.contains("it is applied and not healthy yet"), "{told}");

        // The account may not write Deployments any more.
        let (how, none) = (
            PatchParams::default(),
            json!({"spec": {"serviceAccountName": "nobody"}}),
        );
        let api = tenant.kustomizations();
        api.patch(tenant.name(), &how, &Patch::Merge(none)).await?;
        let told = rollout(estate, &tenant, &["--replicas", "2", "--timeout", "15s"], 2).await?;
        ensure!(told.contains("Kustomization"), "{told}");
        let log = git(tenant.repo().bare(), ["log", "-1", "--format=%B", "main"])?;
        ensure!(log.contains("replicas"), "{log}");
        ensure!(field(&tenant, "/spec/replicas").await? == "1");
        Ok(())
    });
}

#[test]
fn a_patch_may_stand_in_a_file_come_with_an_image_and_be_a_list_of_operations() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = running(estate, "patches").await?;
        let count = || -> anyhow::Result<usize> {
            let bare = tenant.repo().bare();
            Ok(git(bare, ["rev-list", "--count", "main"])?.parse()?)
        };
        let (dir, before) = (tempfile::tempdir()?, count()?);
        let patch = dir.path().join("patch.yaml");
        let env = "# slowly\nspec:\n  template:\n    spec:\n      containers:\n        - name: web\n          env: [{name: MODE, value: slow}]\n";
        std::fs::write(&patch, env)?;
        let patch = patch.display().to_string();
        let line = ["--patch", &patch, "--image", "registry.local/web:2"];
        rollout(estate, &tenant, &line, 0).await?;
        let mode = "/spec/template/spec/containers/0/env/0/value";
        ensure!(field(&tenant, mode).await? == "slow");
        ensure!(field(&tenant, IMAGE).await? == "registry.local/web:2");
        ensure!(count()? == before + 1, "both are one commit");
        let (_, text) = head(tenant.repo(), "web.yaml")?;
        ensure!(text.contains("web:2 # the release"), "{text}");

        let operations = r#"[{"op": "replace", "path": "/spec/replicas", "value": 2}]"#;
        let told = rollout(estate, &tenant, &["--patch", operations], 0).await?;
        has_line(&told, &["+  replicas: 2 # enough for now"])?;
        ensure!(field(&tenant, "/spec/replicas").await? == "2");
        ensure!(count()? == before + 2);
        Ok(())
    });
}
