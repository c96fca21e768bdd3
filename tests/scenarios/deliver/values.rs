//! The values `cluster.git` of the chart, each of them: with either login, under our name and under Rig's.

use anyhow::ensure;
use reeve_api::reason::Reason;
use reeve_tests::chart::{self, Release};
use reeve_tests::git::{HttpServer, Repo, Served, git};
use reeve_tests::install::SYSTEM;
use reeve_tests::{Estate, scenario};
use serde_json::{Value, json};

use super::given::by_admin;
use super::{files, login};

/// A key as people have it in a file.
const KEY: &str =
    "-----BEGIN OPENSSH PRIVATE KEY-----\nnot-a-key\n-----END OPENSSH PRIVATE KEY-----\n";

#[test]
fn the_charts_values_have_everything_delivered_over_https_to_their_branch_and_path() {
    scenario(async {
        let dir = tempfile::tempdir()?;
        let live = Repo::create(dir.path(), "clusters.git")?;
        git(live.bare(), ["config", "http.receivepack", "true"])?;
        live.publish("README.md", "What runs\n")?;
        git(live.bare(), ["branch", "live", "main"])?;
        let (auth, password) = login();
        let server = HttpServer::start(dir.path(), Served::only(auth)).await?;
        let mut values = chart::values();
        values["cluster"] = json!({"git": {
            "url": server.url("clusters.git"), "branch": "live", "path_prefix": "clusters/west",
            "credentials": {"https": {"username": "ada", "password": password}},
        }});
        let release = Release::render(SYSTEM, &values, &[]).await?;
        let estate = Estate::start_from(&release, &["--leader-elect=false"]).await?;
        by_admin(&estate, release.object("Secret", "reeve-deliver")?).await?;
        let tenant = estate.healthy_tenant("west").await?;
        let own = tenant.name();
        let told = tenant.told_of(Reason::Delivered, "clusters/west/").await?;
        ensure!(told.kustomization["status"]["inventory"].is_null());
        let file = format!("live:clusters/west/{own}/{own}/{own}/configmap-settings.yaml");
        let text = git(live.bare(), ["show", file.as_str()])?;
        ensure!(text.contains("colour: green"), "{text}");
        ensure!(files(&live)? == ["README.md"], "{:?}", files(&live)?);
        let map = tenant.api("v1", "ConfigMap").get_opt("settings").await?;
        ensure!(map.is_none(), "it was applied");
        Ok(())
    });
}

/// What a release starts the controller with of it, and the Secret that it comes with.
async fn rendered(values: Value) -> anyhow::Result<(Vec<String>, Value)> {
    let release = Release::render(SYSTEM, &values, &[]).await?;
    let mut arguments = release.arguments()?;
    arguments.retain(|argument| argument.starts_with("--deliver-"));
    let secret = release.object("Secret", "reeve-deliver")?;
    Ok((arguments, secret["stringData"].clone()))
}

#[test]
fn each_value_of_rigs_chart_is_taken_under_its_own_name_and_under_ours() {
    scenario(async {
        for (url, credentials, want) in [
            (
                "https://git.example/acme/x.git",
                json!({"https": {"username": "ada", "password": "w0rd"}}),
                json!({"username": "ada", "password": "w0rd"}),
            ),
            (
                "ssh://git@git.example/acme/x.git",
                json!({"ssh": {"private_key": KEY}}),
                json!({"identity": KEY}),
            ),
            (
                "ssh://git@git.example/acme/x.git",
                json!({"ssh": {"private_key": KEY, "private_key_password": "w0rd"}}),
                json!({"identity": KEY, "password": "w0rd"}),
            ),
        ] {
            let there = json!({"cluster": {"git": {
                "url": url, "branch": "live", "path_prefix": "apps/demo", "credentials": credentials,
            }}});
            let ours = rendered(there.clone()).await?;
            let rigs = rendered(json!({"rig": there})).await?;
            ensure!(ours == rigs, "{ours:?} is not {rigs:?}");
            let (mut arguments, secret) = ours;
            arguments.sort();
            let flags = [
                "--deliver-branch=live".to_owned(),
                "--deliver-path-prefix=apps/demo".to_owned(),
                "--deliver-secret=reeve-deliver".to_owned(),
                format!("--deliver-url={url}"),
            ];
            ensure!(arguments == flags, "{arguments:?}");
            ensure!(secret == want, "{secret}");
        }
        Ok(())
    });
}

#[test]
fn credentials_that_fit_nothing_are_refused_before_anything_is_installed() {
    scenario(async {
        let https = json!({"username": "ada", "password": "w0rd"});
        let ssh = json!({"private_key": KEY});
        let (web, shell) = ("https://git.example/x.git", "ssh://git@git.example/x.git");
        for (url, credentials, words) in [
            (
                web,
                json!({"https": https, "ssh": ssh}),
                "give https or ssh, not both",
            ),
            (shell, json!({"https": https}), "url is not of https"),
            (web, json!({"ssh": ssh}), "url is not of ssh"),
            (
                "",
                json!({"https": https}),
                "credentials are of no use without url",
            ),
        ] {
            let values = json!({"cluster": {"git": {"url": url, "credentials": credentials}}});
            let refused = Release::render(SYSTEM, &values, &[]).await;
            let why = format!("{:?}", refused.err());
            ensure!(why.contains(words), "{words}: {why}");
            ensure!(!why.contains("w0rd"), "{why}");
        }
        Ok(())
    });
}
