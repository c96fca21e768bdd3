//! `reeve git configure`: what is kept works, what doesn't work is not kept, and no secret stands where it could be read.

use std::io::Write as _;
use std::process::{Command, Output, Stdio};

use anyhow::{Context as _, ensure};
use kube::api::ListParams;
use reeve_tests::controller;

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

#[test]
fn a_level_is_written_once_it_has_fetched_and_its_secret_lies_in_a_secret() {
    scenario(async {
        let estate = estate().await?;
        let tenant = estate.healthy_tenant("configured").await?;
        let (name, file) = (tenant.name(), format!("git-tenant-{}", tenant.name()));
        let (auth, password) = basic("ada");
        let server = private(estate, auth).await?;
        declare(&tenant, &json!({})).await?;
        let (all, url) = (server.url("*"), server.url(name));
        fetch_from(&tenant, &url).await?;
        let refused = Reason::AuthenticationFailed;
        tenant
            .source_told_of(refused, "authentication required")
            .await?;
        let login = [
            "--tenant",
            name,
            "--login",
            "https",
            "--username",
            "ada",
            "--secret-file",
            "-",
        ];
        let many = [&login[..], &["--url", &all, "--prove", &url]].concat();

        // What does not work is not kept.
        let why = said(&configured(estate, &many, &self::password()).await?, 1)?;
        ensure!(why.contains("nothing was changed"), "{why}");
        ensure!(home(estate, "ConfigMap").get_opt(&file).await?.is_none());
        let tried = said(
            &configured(estate, &[&many[..], &["--dry-run"]].concat(), &password).await?,
            0,
        )?;
        ensure!(tried.contains("nothing was written"), "{tried}");
        ensure!(made_for(estate, &file).await?.is_empty(), "{tried}");

        let told = said(
            &configured(estate, &many, &format!("{password}\n")).await?,
            0,
        )?;
        for words in [
            "✔ fetched",
            "✔ auths[0] written",
            &format!("✔ Tenant {name} names it"),
        ] {
            ensure!(told.contains(words), "{words:?} is not in {told}");
        }
        ensure!(!told.contains(&password), "it is told");
        tenant.source_told_of(Reason::Succeeded, "").await?;
        let map = home(estate, "ConfigMap").get(&file).await?;
        let text = objects::text(&map.data, "/data/git.yaml").context("it has a file")?;
        ensure!(
            text.contains("secretKeyRef") && !text.contains(&password),
            "{text}"
        );

        // Another run for the same repositories changes the entry, and the Secret before it goes.
        let before = made_for(estate, &file).await?;
        let again = [
            &many[..],
            &["--interval", "30s", "--author-email", "bot@org.example"],
        ]
        .concat();
        let told = said(&configured(estate, &again, &password).await?, 0)?;
        ensure!(told.contains("✔ auths[0] changed"), "{told}");
        let after = made_for(estate, &file).await?;
        ensure!(before.len() == 1 && after.len() == 1, "{told}");
        ensure!(
            before.first().map(|one| &one.metadata.name)
                != after.first().map(|one| &one.metadata.name)
        );
        let map = home(estate, "ConfigMap").get(&file).await?;
        let text = objects::text(&map.data, "/data/git.yaml").unwrap_or_default();
        ensure!(
            text.contains("30s") && text.contains("bot@org.example"),
            "{text}"
        );
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
