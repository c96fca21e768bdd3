//! A real forge: what it takes, and with which words it doesn't.

use std::sync::Arc;

use anyhow::ensure;
use reeve::git::Remote;
use reeve::git::push::{Absent, Error, Outcome, Push};
use reeve_core::failure::Turn;
use reeve_tests::git::{KeyKind, git, keypair};
use reeve_tests::gitea::{Gitea, OWNER};
use reeve_tests::{scenario, secrecy};
use serde_json::json;

use super::super::{Bench, remote};
use super::{change, pushed, writes};

/// A token of the owner's with these rights, as a credential for git.
fn by_token(gitea: &Gitea, name: &str, scopes: &str) -> anyhow::Result<(Arc<Remote>, String)> {
    let token = gitea.token(name, scopes)?;
    let user = [("username", OWNER), ("password", token.as_str())];
    let url = gitea.url(&format!("{OWNER}/shop.git"));
    let with = url.replacen("://", &format!("://{OWNER}:{token}@"), 1);
    Ok((remote(&url, &user), with))
}

/// A deploy key, as a credential for git.
async fn by_key(gitea: &Gitea, name: &str, read_only: bool) -> anyhow::Result<Arc<Remote>> {
    let dir = tempfile::tempdir()?;
    let (private, public) = keypair(&dir.path().join(name), KeyKind::Ed25519, "")?;
    secrecy::used(&private);
    let key = json!({"title": name, "key": public.trim(), "read_only": read_only});
    gitea.make("shop", "keys", key).await?;
    let known = gitea.known_hosts()?;
    let secret = [
        ("identity", private.as_str()),
        ("known_hosts", known.as_str()),
    ];
    Ok(remote(
        &gitea.ssh_url(&format!("{OWNER}/shop.git")),
        &secret,
    ))
}

async fn takes(bench: &Bench, gitea: &Gitea) -> anyhow::Result<()> {
    let (writer, with) = by_token(gitea, "writer", "write:repository")?;
    let edit = writes(&[("a/b.yaml", "x: 1\n")]);
    let first = bench.push(&writer, change(), edit).await?;
    let path = format!("repos/{OWNER}/shop/commits?sha=main");
    let commits = gitea.get(&path).await?;
    assert_eq!(commits[0]["sha"], json!(pushed(&first)?));
    let told = &commits[0]["commit"];
    assert_eq!(told["author"]["name"], json!("Ada Lovelace"));
    assert_eq!(told["committer"]["email"], json!("reeve@example.com"));
    let dir = tempfile::tempdir()?;
    git(dir.path(), ["clone", "--quiet", &with, "clone"])?;
    let clone = dir.path().join("clone");
    assert_eq!(git(&clone, ["fsck", "--strict", "--full"])?, "");
    assert_eq!(git(&clone, ["show", "HEAD:a/b.yaml"])?, "x: 1");
    let key = by_key(gitea, "writes", false).await?;
    let second = bench
        .push(&key, change(), writes(&[("by", "a key")]))
        .await?;
    let once = matches!(second, Outcome::Pushed { attempts: 1, .. });
    ensure!(once, "{second:?}");
    Ok(())
}

async fn refuses(bench: &Bench, gitea: &Gitea) -> anyhow::Result<()> {
    let (reader, _) = by_token(gitea, "reader", "read:repository")?;
    let key = by_key(gitea, "reads", true).await?;
    for (who, words) in [
        (reader, "it answered 403"),
        (key, "not authorized to write"),
    ] {
        let (error, told) = bench.refusal(&who, change()).await;
        assert!(matches!(error, Error::ReadOnly { .. }), "{error:?}");
        assert!(told.message.contains(words), "{told}");
        assert_eq!(told.turn, Turn::Retry);
    }
    Ok(())
}

async fn protects(bench: &Bench, gitea: &Gitea) -> anyhow::Result<()> {
    let (writer, _) = by_token(gitea, "protected", "write:repository")?;
    let rule = json!({"rule_name": "main", "branch_name": "main", "enable_push": false});
    gitea.make("shop", "branch_protections", rule).await?;
    let (error, told) = bench.refusal(&writer, change()).await;
    assert!(matches!(error, Error::Protected { .. }), "{error:?}");
    let want = "Not allowed to push to protected branch main";
    assert!(told.message.contains(want), "{told}");
    let beside = Push {
        branch: "reeve/web".to_owned(),
        absent: Absent::From("main".to_owned()),
        ..change()
    };
    let third = bench.push(&writer, beside, writes(&[("c", "x")])).await?;
    let path = format!("repos/{OWNER}/shop/branches/reeve%2Fweb");
    let branch = gitea.get(&path).await?;
    assert_eq!(branch["commit"]["id"], json!(pushed(&third)?));
    Ok(())
}

#[test]
fn a_forge_takes_a_commit_by_token_and_by_deploy_key_and_declines_it_in_its_own_words() {
    scenario(async {
        let bench = Bench::new()?;
        let gitea = Gitea::start().await?;
        gitea.create_repo("shop").await?;
        takes(&bench, &gitea).await?;
        refuses(&bench, &gitea).await?;
        protects(&bench, &gitea).await
    });
}
