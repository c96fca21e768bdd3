//! `reeve git explain`: what is told is what the controller does, and nothing secret.

use anyhow::Context as _;

use super::*;
use crate::command::get::{asked, said};

/// The example of Rig's documentation, with the indentation and the one colon that it has lost there.
const EXAMPLE: &str = include_str!("../../../host/core/src/gitconfig/example.yaml");

/// What it says of a repository.
async fn told(estate: &Estate, args: &[&str]) -> anyhow::Result<Value> {
    let room = estate.plane.room("explain")?;
    let args = [&["git", "explain", "-o", "json"], args].concat();
    let output = asked(estate, &room, &args).await?;
    said(&output, 0)?;
    Ok(serde_json::from_slice(&output.stdout)?)
}

#[test]
fn the_example_of_rigs_documentation_is_a_level_as_it_stands() {
    scenario(async {
        let estate = estate().await?;
        let tenant = estate.healthy_tenant("example").await?;
        let level = format!("{}-level", tenant.name());
        tenant.apply(&files(&level, EXAMPLE)).await?;
        let config = json!({"gitConfig": {"kind": "Secret", "name": level}});
        declare(&tenant, &config).await?;
        let (org, gitlab) = ("git@github.com:myorg", "git@gitlab.com:mygroup/subgroup1");
        for (url, auth, polling) in [
            (format!("{org}/myrepository.git"), "auths[0]", "every 20s"),
            (
                format!("{org}/myrepository2.git"),
                "auths[1]",
                "webhook, secret in the file",
            ),
            (
                "https://github.com/myorg/myrepository3.git".to_owned(),
                "gitHubAuths[1]",
                "every 1m0s",
            ),
            (
                format!("{gitlab}/subgroup2/myproject.git"),
                "gitLabAuths[0]",
                "webhook, secret in the file",
            ),
        ] {
            let config = format!("secret/{GLOBAL}");
            let args = [&*url, "--tenant", tenant.name(), "--git-config", &config];
            let answer = told(estate, &args).await?;
            let level = format!("Tenant {}", tenant.name());
            assert_eq!(answer["auth"]["entry"]["at"], auth, "{answer}");
            assert_eq!(answer["auth"]["level"], level, "{answer}");
            assert_eq!(answer["polling"]["value"], polling, "{answer}");
            assert_eq!(answer["author"]["value"], "<rigbot@myorg.com>");
            for hidden in ["pem-encoded", "MY_ACCESS_TOKEN", "secret123"] {
                assert!(!answer.to_string().contains(hidden), "{answer}");
            }
        }
        // And the controller runs with it.
        fetch_from(&tenant, "https://github.com/myorg/myrepository3.git").await?;
        let words = "gitHubAuths[1] (myorg/myrepository3)";
        tenant
            .source_told_of(Reason::AuthenticationFailed, words)
            .await?;
        Ok(())
    });
}

#[test]
fn levels_are_explained_from_files_where_there_is_no_cluster() {
    scenario(async {
        let estate = estate().await?;
        let dir = tempfile::tempdir()?;
        let write = |name: &str, text: &str| -> anyhow::Result<String> {
            let path = dir.path().join(name);
            std::fs::write(&path, text)?;
            Ok(path.to_str().context("a path")?.to_owned())
        };
        let global = write("global.yaml", EXAMPLE)?;
        let own = write(
            "own.yaml",
            "auths: [{url: 'git@github.com:myorg/*', pullingInterval: 5s}]",
        )?;
        let args = ["git", "explain", "git@github.com:myorg/myrepository.git"];
        let (own, of_tenant) = (format!("tenant={own}"), ["--tenant", "acme"]);
        let files = ["--config", &*global, "--config", &*own];
        let all = [&args[..], &files, &of_tenant].concat();
        let output = crate::command::reeve(&all, dir.path())?;
        let text = said(&output, 0)?;
        for words in [
            "ssh key in the file",
            "every 5s",
            "Tenant acme",
            "auths[0] (git@github.com:myorg/*)",
            // The file has no host keys, and so nobody is trusted.
            "problem: auths[0] (git@github.com:myorg/myrepository.git) of global has a key",
        ] {
            assert!(text.contains(words), "{words:?} is not in {text}");
        }
        let wrong = write("wrong.yaml", "auths:\n- url: nowhere\n")?;
        let output =
            crate::command::reeve(&[&args[..], &["--config", &wrong]].concat(), dir.path())?;
        let why = said(&output, 1)?;
        assert!(why.contains("line 2: auths[0].url is no address"), "{why}");
        // Of a Tenant that is not there nothing is told.
        let room = estate.plane.room("explain")?;
        let nobody = [&args[..], &["--tenant", "nobody"]].concat();
        let why = said(&asked(estate, &room, &nobody).await?, 1)?;
        assert!(why.contains("there is no Tenant nobody"), "{why}");
        Ok(())
    });
}
