//! `reeve git configure`: what is kept works, what doesn't work is not kept, and no secret stands where it could be read.

use std::io::Write as _;
use std::process::{Command, Output, Stdio};

use anyhow::{Context as _, ensure};
use kube::api::ListParams;
use reeve_tests::controller;
use reeve_tests::forges::Fake;

use super::*;
use crate::command::get::said;

/// Runs it against an estate, with something on stdin.
async fn configured(estate: &Estate, args: &[&str], stdin: &str) -> anyhow::Result<Output> {
    let mut command = Command::new(controller::program()?);
    let platform = format!("secret/{GLOBAL}");
    command
        .args([
            "git",
            "configure",
            "--yes",
            "-n",
            SYSTEM,
            "--git-config",
            &platform,
        ])
        .args(args)
        .arg("--kubeconfig")
        .arg(estate.plane.kubeconfig())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let stdin = stdin.to_owned();
    tokio::task::spawn_blocking(move || {
        let mut child = command.spawn()?;
        let mut input = child.stdin.take().context("it is piped")?;
        // Who refuses what the flags say reads nothing.
        let _closed = input.write_all(stdin.as_bytes());
        drop(input);
        Ok(child.wait_with_output()?)
    })
    .await?
}

fn home(estate: &Estate, kind: &str) -> Api<DynamicObject> {
    objects::api(estate.admin(), "v1", kind, Some(SYSTEM))
}

/// The Secrets that were made for a file.
async fn made_for(estate: &Estate, file: &str) -> anyhow::Result<Vec<DynamicObject>> {
    let all = home(estate, "Secret").list(&ListParams::default()).await?;
    let is = |secret: &DynamicObject| {
        let annotations = secret.metadata.annotations.as_ref();
        annotations
            .and_then(|all| all.get("reeve.dev/git-config"))
            .map(String::as_str)
            == Some(file)
    };
    Ok(all.into_iter().filter(is).collect())
}

/// What runs of the command are about.
struct Trial<'e> {
    estate: &'e Estate,
    /// The level's file.
    file: String,
    password: String,
    args: Vec<String>,
}

impl Trial<'_> {
    /// What it says with these flags more, and this password, when it ends with that code.
    async fn says(&self, more: &[&str], password: &str, code: i32) -> anyhow::Result<String> {
        let args = self.args.iter().map(String::as_str);
        let args: Vec<&str> = args.chain(more.iter().copied()).collect();
        let told = said(&configured(self.estate, &args, password).await?, code)?;
        ensure!(!told.contains(&self.password), "it tells the password");
        Ok(told)
    }

    /// The file as it is kept.
    async fn text(&self) -> anyhow::Result<String> {
        let map = home(self.estate, "ConfigMap").get(&self.file).await?;
        let text = objects::text(&map.data, "/data/git.yaml");
        Ok(text.context("it has a file")?.to_owned())
    }

    /// What does not work is not kept, nor what is only tried.
    async fn keeps_nothing(&self) -> anyhow::Result<()> {
        let wrong = self::password();
        for (more, password, code, words) in [
            (&[][..], &wrong, 1, "nothing was changed"),
            (&["--dry-run"][..], &self.password, 0, "nothing was written"),
        ] {
            let told = self.says(more, password, code).await?;
            ensure!(told.contains(words), "{words:?} is not in {told}");
            ensure!(made_for(self.estate, &self.file).await?.is_empty());
            let map = home(self.estate, "ConfigMap").get_opt(&self.file).await?;
            ensure!(map.is_none(), "{told}");
        }
        Ok(())
    }

    /// Another run for the same repositories changes the entry, and the Secret before it goes.
    async fn changes(&self) -> anyhow::Result<()> {
        let before = made_for(self.estate, &self.file).await?;
        let more = ["--interval", "30s", "--author-email", "bot@org.example"];
        let told = self.says(&more, &self.password, 0).await?;
        ensure!(told.contains("✔ auths[0] changed"), "{told}");
        let after = made_for(self.estate, &self.file).await?;
        ensure!(before.len() == 1 && after.len() == 1, "{told}");
        let name = |all: &[DynamicObject]| all.first().map(|one| one.metadata.name.clone());
        ensure!(name(&before) != name(&after), "{told}");
        let text = self.text().await?;
        let both = text.contains("30s") && text.contains("bot@org.example");
        ensure!(both, "{text}");
        Ok(())
    }
}

#[test]
fn a_level_is_written_once_it_has_fetched_and_its_secret_lies_in_a_secret() {
    scenario(async {
        let estate = estate().await?;
        let tenant = estate.healthy_tenant("configured").await?;
        let (name, (auth, password)) = (tenant.name(), basic("ada"));
        let server = private(estate, auth).await?;
        declare(&tenant, &json!({})).await?;
        let (all, url) = (server.url("*"), server.url(name));
        fetch_from(&tenant, &url).await?;
        let refused = Reason::AuthenticationFailed;
        tenant
            .source_told_of(refused, "authentication required")
            .await?;
        let login = ["--login", "https", "--username", "ada", "--secret-file"];
        let which = ["-", "--tenant", name, "--url", &*all, "--prove", &*url];
        let trial = Trial {
            estate,
            file: format!("git-tenant-{name}"),
            args: login
                .iter()
                .chain(&which)
                .map(|&one| one.to_owned())
                .collect(),
            password,
        };
        trial.keeps_nothing().await?;
        let line = format!("{}\n", trial.password);
        let told = trial.says(&[], &line, 0).await?;
        let named = format!("✔ Tenant {name} names it");
        for words in ["✔ fetched", "✔ auths[0] written", &*named] {
            ensure!(told.contains(words), "{words:?} is not in {told}");
        }
        tenant.source_told_of(Reason::Succeeded, "").await?;
        let text = trial.text().await?;
        let is_open = text.contains(&trial.password);
        ensure!(text.contains("secretKeyRef") && !is_open, "{text}");
        trial.changes().await?;
        arrives_when(&tenant, "configured", is_fetched_from(&tenant, &url)).await
    });
}

#[test]
fn an_entry_that_another_goes_before_and_a_level_of_nobody_are_refused() {
    scenario(async {
        let estate = estate().await?;
        let tenant = estate.healthy_tenant("shadowed").await?;
        let (auth, password) = basic("ada");
        let server = private(estate, auth).await?;
        let level = format!("{}-level", tenant.name());
        let text = format!("auths:\n{}", entry(&server, "ada", &password));
        tenant.apply(&files(&level, &text)).await?;
        declare(
            &tenant,
            &json!({"gitConfig": {"kind": "Secret", "name": level}}),
        )
        .await?;
        let (url, below) = (
            server.url(tenant.name()),
            server.url(&format!("{}*", tenant.name())),
        );
        let args = [
            "--tenant",
            tenant.name(),
            "--url",
            &below,
            "--prove",
            &url,
            "--interval",
            "1m",
        ];
        let login = [
            "--login",
            "https",
            "--username",
            "ada",
            "--secret-file",
            "-",
        ];
        let why = configured(estate, &[&args[..], &login].concat(), &password).await?;
        let why = said(&why, 1)?;
        ensure!(
            why.contains("would not have its login from auths[1]"),
            "{why}"
        );
        ensure!(made_for(estate, &level).await?.is_empty());

        let nobody = ["--tenant", "nobody", "--author-name", "Bot"];
        let why = said(&configured(estate, &nobody, "").await?, 1)?;
        ensure!(why.contains("there is no Tenant nobody"), "{why}");
        let none = ["--author-name", "Bot"];
        let why = said(&configured(estate, &none, "").await?, 1)?;
        ensure!(
            why.contains("--global, --project or --tenant is not given"),
            "{why}"
        );
        Ok(())
    });
}

#[test]
fn an_environment_of_a_project_is_given_a_level_of_its_own() {
    scenario(async {
        let estate = estate().await?;
        let tenant = estate.healthy_tenant("environed").await?;
        let project = format!("{}-project", tenant.name());
        let spec = json!({"environments": [{"name": "live"}, {"name": "test"}]});
        tenant
            .apply(&json!({"apiVersion": TENANT_API, "kind": "Project", "metadata": {"name": project}, "spec": spec}))
            .await?;
        let more = json!({"project": project, "environment": "live"});
        declare(&tenant, &more).await?;
        let (auth, password) = basic("ada");
        let server = private(estate, auth).await?;
        let url = server.url(tenant.name());
        let args = [
            "--project",
            &*project,
            "--environment",
            "live",
            "--url",
            &*url,
            "--login",
            "https",
            "--username",
            "ada",
            "--secret-file",
            "-",
        ];
        said(&configured(estate, &args, &password).await?, 0)?;
        let kept = projects(estate).get(&project).await?;
        let all = &kept.data["spec"]["environments"];
        let want = format!("git-project-{project}-live");
        assert_eq!(all[0]["gitConfig"]["name"], want.as_str(), "{all}");
        assert_eq!(all[1]["gitConfig"], Value::Null, "{all}");
        arrives_when(&tenant, "its environment's", is_fetched_from(&tenant, &url)).await
    });
}

#[test]
fn a_github_app_is_proven_by_a_token_that_it_is_given_and_a_fetch_before_it_is_kept() {
    scenario(async {
        let estate = estate().await?;
        let tenant = estate.healthy_tenant("apped").await?;
        let (name, path) = (tenant.name(), format!("{}-org/shop", tenant.name()));
        let repo = estate.repo(&path)?;
        repo.publish("settings.yaml", reeve_tests::tenant::MANIFESTS[0].1)?;
        let forge = Fake::github(&[&path]).await?;
        let (app, stranger) = (forge.app()?, Fake::github(&[&path]).await?.app()?);
        let http = private(estate, forge.lets_in()).await?;
        let (level, all) = (format!("{name}-level"), format!("{name}-org/*"));
        let at = http.url("").trim_end_matches('/').to_owned();
        // Where its API is, is there already.
        let known = json!({"gitHubAuths": [{"orgRepo": all, "url": at, "api": forge.api()}]});
        tenant.apply(&files(&level, &known.to_string())).await?;
        let config = json!({"gitConfig": {"kind": "Secret", "name": level}});
        declare(&tenant, &config).await?;
        let (id, installation) = (app.id.to_string(), app.installation.to_string());
        let (url, dir) = (http.url(&path), reeve_tests::root().join("target/plugins"));
        let dir = dir.to_str().context("UTF-8")?;
        let which = ["--tenant", name, "--github", &all, "--forge", &at];
        let login = ["--login", "app", "--app-id", &id, "--secret-file", "-"];
        let proof = ["--installation-id", &installation, "--prove", &url];
        let args = [&which[..], &login, &proof].concat();
        let with = |dir| [&args[..], &["--plugins-dir", dir]].concat();

        for (dir, key, words) in [
            (dir, &stranger.key, "nothing was changed"),
            ("/nowhere", &app.key, "--plugins-dir"),
        ] {
            let told = said(&configured(estate, &with(dir), key).await?, 1)?;
            ensure!(told.contains(words), "{words:?} is not in {told}");
            ensure!(made_for(estate, &level).await?.is_empty(), "{told}");
        }
        let told = said(&configured(estate, &with(dir), &app.key).await?, 0)?;
        for words in ["✔ fetched", "✔ gitHubAuths[0] changed"] {
            ensure!(told.contains(words), "{words:?} is not in {told}");
        }
        let made = made_for(estate, &level).await?;
        let [made] = made.as_slice() else {
            anyhow::bail!("one Secret is made: {told}");
        };
        ensure!(
            made.data["data"]
                .as_object()
                .is_some_and(|data| data.len() == 1)
        );
        // By what is kept the controller fetches too.
        fetch_from(&tenant, &url).await?;
        tenant.source_told_of(Reason::Succeeded, "").await?;
        let asked = forge.asked();
        let tokens = asked.iter().filter(|one| one.contains("access_tokens"));
        ensure!(tokens.count() >= 2, "{asked:?}");
        Ok(())
    });
}
