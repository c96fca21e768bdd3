//! Commits that are signed with the key of a Secret: git itself believes them, a source takes them that takes nothing else, and
//! without the key nothing is written.

use std::path::Path;

use anyhow::ensure;
use reeve_tests::git::{KeyKind, Signer, Signing, git, keypair};
use reeve_tests::{Estate, objects, scenario, secrecy, wait};
use serde_json::json;

use super::*;
use crate::signed::secret;

/// Who commits, by whose address git looks for the key.
const BOT: &str = "bot@example.com";
/// What opens a key.
const WORDS: &str = "hunter-of-signatures";

/// A Secret of the tenant's to sign with.
async fn key(tenant: &Tenant<'_>, name: &str, data: Value) -> anyhow::Result<()> {
    for (entry, value) in data.as_object().into_iter().flatten() {
        if entry != "identity.pub" {
            secrecy::used(value.as_str().unwrap_or_default());
        }
    }
    let meta = json!({"name": name, "namespace": tenant.name()});
    tenant
        .apply(&json!({"apiVersion": "v1", "kind": "Secret", "metadata": meta, "stringData": data}))
        .await
}

/// A WriteBack of all Deployments that signs with the key of this Secret.
fn signing(tenant: &Tenant<'_>, name: &str) -> Value {
    let mut back = writeback(tenant, "back", &everything());
    back["spec"]["author"] = json!({"name": "Bot", "email": BOT});
    back["spec"]["signing"] = json!({"secretRef": {"name": name}});
    back
}

/// Somebody sets this image, and it is committed; the commit.
async fn commit_of(tenant: &Tenant<'_>, tag: &str) -> anyhow::Result<String> {
    let webs = tenant.api("apps/v1", "Deployment");
    change(&webs, "web", "keel", &image(tag)).await?;
    written(tenant, "web.yaml", &format!("web:{tag}")).await?;
    git(tenant.repo().bare(), ["rev-parse", "main"])
}

/// What `git verify-commit` says of a commit signed over ssh, where it lets this address sign with these keys.
fn believes(tenant: &Tenant<'_>, commit: &str, signers: &Path) -> anyhow::Result<String> {
    let config = format!("gpg.ssh.allowedSignersFile={}", signers.display());
    let bare = tenant.repo().bare();
    git(bare, ["-c", &config, "verify-commit", commit])?;
    git(
        bare,
        ["-c", &config, "log", "-1", "--format=%G? %GS", commit],
    )
}

#[test]
fn commits_are_signed_with_an_ssh_key_that_a_word_opens_and_git_believes_them() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = tenant(estate, "wb-signs-ssh").await?;
        let dir = tempfile::tempdir()?;
        let (private, public) = keypair(&dir.path().join("id"), KeyKind::Ed25519, WORDS)?;
        let data = json!({"identity": private, "identity.pub": public, "password": WORDS});
        key(&tenant, "signs", data).await?;
        begin(&tenant, &signing(&tenant, "signs")).await?;
        let commit = commit_of(&tenant, "2").await?;
        let signers = dir.path().join("signers");
        std::fs::write(&signers, format!("{BOT} namespaces=\"git\" {public}"))?;
        let said = believes(&tenant, &commit, &signers)?;
        ensure!(said == format!("G {BOT}"), "{said}");
        // It is this key that git believes, and no other.
        let (_, other) = keypair(&dir.path().join("other"), KeyKind::Ed25519, "")?;
        std::fs::write(&signers, format!("{BOT} namespaces=\"git\" {other}"))?;
        ensure!(
            believes(&tenant, &commit, &signers).is_err(),
            "any key will do"
        );
        applied(&tenant).await
    });
}

#[test]
fn commits_are_signed_with_an_openpgp_key_that_a_word_opens_and_git_believes_them() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = tenant(estate, "wb-signs-pgp").await?;
        let signer = Signer::with_passphrase(Signing::OpenPgp, WORDS)?;
        let data = json!({"git.asc": signer.private()?, "password": WORDS});
        key(&tenant, "signs", data).await?;
        begin(&tenant, &signing(&tenant, "signs")).await?;
        let commit = commit_of(&tenant, "2").await?;
        let said = signer.believes(tenant.repo(), &commit)?;
        ensure!(
            said.contains("GOODSIG") && said.contains("VALIDSIG"),
            "{said}"
        );
        let stranger = Signer::new(Signing::OpenPgp)?;
        ensure!(
            stranger.believes(tenant.repo(), &commit).is_err(),
            "any key will do"
        );
        applied(&tenant).await
    });
}

#[test]
fn a_source_that_takes_only_what_is_signed_takes_what_is_written_back_with_a_key_that_it_trusts() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = tenant(estate, "wb-trusted").await?;
        let signer = Signer::new(Signing::OpenPgp)?;
        let keys = format!("{}-keys", tenant.name());
        tenant.apply(&secret(CONFIG, &keys, &[&signer])).await?;
        tenant.repo().write("notes.txt", "signed\n")?;
        let commit = signer.publish(tenant.repo(), "Signed")?;
        let verify = json!({"mode": "HEAD", "secretRef": {"name": keys}});
        tenant
            .change(|draft| draft.set_source("verify", verify))
            .await?;
        tenant.call_hook().await?;
        tenant.applied(&commit).await?;

        // Nothing that nobody signs is written there: it would never be applied.
        let mut unsigned = signing(&tenant, "signs");
        if let Some(spec) = unsigned["spec"].as_object_mut() {
            spec.remove("signing");
        }
        tenant.apply(&unsigned).await?;
        let back = told(&tenant, "back", "False", "InvalidSpec").await?;
        let ready = objects::condition(&back.data, "Ready").unwrap_or_default();
        ensure!(
            ready.message.contains("takes only what is signed"),
            "{}",
            ready.message
        );

        key(&tenant, "signs", json!({"git.asc": signer.private()?})).await?;
        begin(&tenant, &signing(&tenant, "signs")).await?;
        let commit = commit_of(&tenant, "2").await?;
        signer.believes(tenant.repo(), &commit)?;
        tenant.applied(&commit).await?;
        let what = "what was written back is verified";
        wait::for_object(&tenant.sources(), tenant.name(), what, |source| {
            let verified = objects::condition(&source.data, "SourceVerified").unwrap_or_default();
            verified.status == "True" && verified.message.contains(&commit)
        })
        .await?;
        Ok(())
    });
}

#[test]
fn without_its_key_nothing_is_written_and_with_one_all_of_it_is() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = tenant(estate, "wb-keyless").await?;
        begin(&tenant, &signing(&tenant, "signs")).await?;
        let before = commits(&tenant)?;
        let webs = tenant.api("apps/v1", "Deployment");
        change(&webs, "web", "keel", &image("2")).await?;
        let says = async |words: &str| -> anyhow::Result<()> {
            let what = format!("it says {words:?}");
            wait::for_object(&writebacks(&tenant), "back", &what, |back| {
                let ready = objects::condition(&back.data, "Ready").unwrap_or_default();
                ready.status == "False" && ready.message.contains(words)
            })
            .await?;
            Ok(())
        };
        let name = tenant.name();
        says(&format!("secret '{name}/signs' not found")).await?;
        // One that nothing opens is as good as none.
        let signer = Signer::with_passphrase(Signing::OpenPgp, WORDS)?;
        let private = signer.private()?;
        key(&tenant, "signs", json!({"git.asc": private})).await?;
        says("without a passphrase").await?;
        ensure!(commits(&tenant)? == before, "something was written");

        key(
            &tenant,
            "signs",
            json!({"git.asc": private, "password": WORDS}),
        )
        .await?;
        written(&tenant, "web.yaml", "web:2").await?;
        told(&tenant, "back", "True", "Succeeded").await?;
        let commit = git(tenant.repo().bare(), ["rev-parse", "main"])?;
        signer.believes(tenant.repo(), &commit)?;
        ensure!(commits(&tenant)? == before + 1, "one commit, and no other");
        Ok(())
    });
}
