//! `spec.verify`: only what somebody who is trusted signed is used, and rules are told of it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kube::api::{DeleteParams, DynamicObject};
use reeve_api::reason::Reason;
use reeve_tests::git::{Signer, Signing};
use reeve_tests::install::{CONFIG, PLATFORM};
use reeve_tests::tenant::{Tenant, says};
use reeve_tests::{Estate, objects, scenario, wait};
use serde_json::{Value, json};

use super::rules::{RED, colour, minds, policy, ready};

const BLUE: &str =
    "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: settings\ndata:\n  colour: blue\n";

/// A Secret with the keys of those who may sign, whose changes are told.
pub(super) fn secret(namespace: &str, name: &str, signers: &[&Signer]) -> Value {
    let keys = signers.iter().enumerate().map(|(n, signer)| {
        let entry = signer.entry(&format!("author{n}"));
        (entry, json!(STANDARD.encode(signer.public())))
    });
    json!({
        "apiVersion": "v1", "kind": "Secret",
        "metadata": {
            "namespace": namespace, "name": name,
            "labels": {"reconcile.fluxcd.io/watch": "Enabled"},
        },
        // What somebody applied as `stringData` stays when they leave it out.
        "data": keys.collect::<serde_json::Map<_, _>>(),
    })
}

fn verify(mode: &str, secret: &str) -> Value {
    json!({"mode": mode, "secretRef": {"name": secret}})
}

/// Waits until the source's `SourceVerified` has this status and these words.
async fn verified(tenant: &Tenant<'_>, status: &str, words: &str) -> anyhow::Result<DynamicObject> {
    let what = format!("SourceVerified is {status} and says '{words}'");
    wait::for_object(&tenant.sources(), tenant.name(), &what, |source| {
        let told = objects::condition(&source.data, "SourceVerified").unwrap_or_default();
        told.status == status && told.message.contains(words)
    })
    .await
}

#[test]
fn what_nobody_signed_who_is_trusted_is_not_applied_and_what_was_verified_stays() {
    scenario(async {
        let estate = Estate::shared().await?;
        for (signing, name) in [
            (Signing::OpenPgp, "signed-pgp"),
            (Signing::Ssh, "signed-ssh"),
        ] {
            let (signer, other) = (Signer::new(signing)?, Signer::new(signing)?);
            let tenant = estate.healthy_tenant(name).await?;
            first_unsigned_then_signed(&tenant, &signer).await?;
            only_by_the_trusted(&tenant, &signer, &other).await?;
        }
        Ok(())
    });
}

async fn first_unsigned_then_signed(tenant: &Tenant<'_>, signer: &Signer) -> anyhow::Result<()> {
    let keys = format!("{}-keys", tenant.name());
    tenant.apply(&secret(CONFIG, &keys, &[signer])).await?;

    // What was fetched before anybody asked is signed by nobody: it is no longer used.
    let set = |draft: &mut reeve_tests::tenant::Draft| {
        draft.set_source("verify", verify("HEAD", &keys));
    };
    tenant.change(set).await?;
    let failed = Reason::InvalidCommitSignature;
    tenant.source_told_of(failed, "it is not signed").await?;
    let source = verified(tenant, "False", "it is not signed").await?;
    let had = objects::text(&source.data, "/status/artifact/revision").map(str::to_owned);
    let told = tenant.reconcile(None).await?;
    anyhow::ensure!(
        told.ready.message.contains("no verified artifact"),
        "{told:?}"
    );
    anyhow::ensure!(tenant.changes().await?.is_empty());

    let repo = tenant.repo();
    repo.write("settings.yaml", BLUE)?;
    let commit = signer.publish(repo, "Signed")?;
    tenant.call_hook().await?;
    tenant.applied(&commit).await?;
    anyhow::ensure!(colour(tenant).await?.as_deref() == Some("blue"));
    let by = format!(
        "verified signature of\n\t- commit '{commit}' with key '{}'",
        signer.fingerprint()
    );
    let source = verified(tenant, "True", &by).await?;
    let mode = objects::text(&source.data, "/status/sourceVerificationMode");
    anyhow::ensure!(mode == Some("HEAD"), "{mode:?}");
    let artifact = objects::text(&source.data, "/status/artifact/revision");
    anyhow::ensure!(artifact != had.as_deref());

    Ok(())
}

/// Unsigned, then signed by a stranger: what was verified stays.
async fn only_by_the_trusted(
    tenant: &Tenant<'_>,
    signer: &Signer,
    other: &Signer,
) -> anyhow::Result<()> {
    let (repo, keys) = (tenant.repo(), format!("{}-keys", tenant.name()));
    let failed = Reason::InvalidCommitSignature;
    let source = verified(tenant, "True", "").await?;
    let artifact = objects::text(&source.data, "/status/artifact/revision").map(str::to_owned);
    tenant.commit([("settings.yaml", Some(RED))])?;
    tenant.call_hook().await?;
    tenant.source_told_of(failed, "it is not signed").await?;
    let strange = other.publish(repo, "Signed by a stranger")?;
    tenant.call_hook().await?;
    let words = format!(
        "with key '{}', which is not one of the trusted keys",
        other.fingerprint()
    );
    tenant.source_told_of(failed, &words).await?;
    let source = verified(tenant, "False", &words).await?;
    let stands = objects::text(&source.data, "/status/artifact/revision").map(str::to_owned);
    anyhow::ensure!(stands == artifact, "{stands:?}");
    anyhow::ensure!(colour(tenant).await?.as_deref() == Some("blue"));

    // The stranger is trusted from now on: nobody has to ask.
    tenant
        .apply(&secret(CONFIG, &keys, &[signer, other]))
        .await?;
    tenant.applied(&strange).await?;
    anyhow::ensure!(colour(tenant).await?.as_deref() == Some("red"));
    Ok(())
}

#[test]
fn what_must_be_signed_and_cannot_be_is_told_as_flux_tells_it() {
    scenario(async {
        let estate = Estate::shared().await?;
        let signer = Signer::new(Signing::Ssh)?;
        let tenant = estate.healthy_tenant("sign-how").await?;
        let keys = "sign-how-keys";
        let repo = tenant.repo();
        repo.tag("light", None)?.push()?;
        signer.tag(repo, "v1.0.0")?;
        for (reference, mode, made, reason, words) in ways() {
            if made {
                tenant.apply(&secret(CONFIG, keys, &[&signer])).await?;
            }
            tenant
                .change(|draft| {
                    draft.set_source("ref", reference);
                    draft.set_source("verify", verify(mode, keys));
                })
                .await?;
            tenant.source_told_of(reason, words).await?;
            let status = if reason == Reason::Succeeded {
                "True"
            } else {
                "False"
            };
            let source = verified(&tenant, status, "").await?;
            let stalled = objects::condition(&source.data, "Stalled").is_some();
            anyhow::ensure!(stalled == (reason == Reason::InvalidVerificationMode));
        }
        let source = verified(&tenant, "True", "verified signature of\n\t- tag 'v1.0.0@").await?;
        let mode = objects::text(&source.data, "/status/sourceVerificationMode");
        anyhow::ensure!(mode == Some("Tag"), "{mode:?}");
        // Nobody is asked to sign any more.
        tenant
            .change(|draft| draft.set_source("verify", Value::Null))
            .await?;
        wait::for_object(
            &tenant.sources(),
            tenant.name(),
            "no word of it",
            |source| {
                objects::condition(&source.data, "SourceVerified").is_none()
                    && objects::text(&source.data, "/status/sourceVerificationMode").is_none()
            },
        )
        .await?;
        Ok(())
    });
}

/// A reference, what of it must be signed, whether the Secret is there, and what is told.
fn ways() -> [(Value, &'static str, bool, Reason, &'static str); 5] {
    [
        (
            json!({"branch": "main"}),
            "HEAD",
            false,
            Reason::VerificationError,
            "public keys secret error",
        ),
        (
            json!({"branch": "main"}),
            "Tag",
            true,
            Reason::InvalidVerificationMode,
            "if a tag reference is not specified",
        ),
        (
            json!({"tag": "light"}),
            "Tag",
            true,
            Reason::InvalidGitObject,
            "tag 'light' since it is not signed",
        ),
        (
            json!({"tag": "v1.0.0"}),
            "TagAndHEAD",
            true,
            Reason::InvalidCommitSignature,
            "it is not signed",
        ),
        (
            json!({"tag": "v1.0.0"}),
            "Tag",
            true,
            Reason::Succeeded,
            "stored artifact",
        ),
    ]
}

/// What is applied was signed.
const RULE: &str = "# METADATA\n# title: Verified sources\n# description: What is applied was signed.\n# custom:\n#   hint: set spec.verify of the source\npackage platform.verified\n\ndeny contains {\"message\": \"its source is not verified\"} if not input.source.verified\n";

#[test]
fn a_rule_that_wants_verified_sources_lets_them_pass_and_no_other() {
    scenario(async {
        let estate = Estate::shared().await?;
        let signer = Signer::new(Signing::Ssh)?;
        let tenant = estate.healthy_tenant("ruled-signed").await?;
        let (name, keys) = (tenant.name(), "ruled-signed-keys");
        tenant
            .apply(&policy(&tenant, &json!({"rego": RULE})))
            .await?;
        ready(estate, name, Reason::Succeeded, "in force").await?;
        tenant
            .told_of(Reason::PolicyDenied, "its source is not verified")
            .await?;

        // Signed, but nobody asks whether it is.
        let repo = tenant.repo();
        repo.write("settings.yaml", BLUE)?;
        let commit = signer.publish(repo, "Signed")?;
        tenant.call_hook().await?;
        tenant.source_told_of(Reason::Succeeded, &commit).await?;
        let told = tenant.reconcile(None).await?;
        anyhow::ensure!(
            told.ready.reason == Reason::PolicyDenied.as_str(),
            "{told:?}"
        );
        anyhow::ensure!(tenant.changes().await?.is_empty());

        tenant.apply(&secret(CONFIG, keys, &[&signer])).await?;
        tenant
            .change(|draft| draft.set_source("verify", verify("HEAD", keys)))
            .await?;
        tenant.applied(&commit).await?;
        anyhow::ensure!(colour(&tenant).await?.as_deref() == Some("blue"));

        // The key is taken back: the same revision counts as signed by nobody.
        let other = Signer::new(Signing::Ssh)?;
        tenant.apply(&secret(CONFIG, keys, &[&other])).await?;
        verified(&tenant, "False", "is not one of the trusted keys").await?;
        tenant
            .told_of(Reason::PolicyDenied, "its source is not verified")
            .await?;
        anyhow::ensure!(colour(&tenant).await?.as_deref() == Some("blue"));
        Ok(())
    });
}

#[test]
fn a_key_that_is_taken_back_ends_what_it_signed_whatever_the_repository_has_by_now() {
    scenario(async {
        let estate = Estate::shared().await?;
        let signer = Signer::new(Signing::Ssh)?;
        let other = Signer::new(Signing::Ssh)?;
        let tenant = estate.healthy_tenant("key-back").await?;
        let (name, keys) = (tenant.name(), "key-back-keys");
        let trust = |signers: &[&Signer]| secret(CONFIG, keys, signers);
        let repo = tenant.repo();
        repo.write("settings.yaml", BLUE)?;
        let commit = signer.publish(repo, "Signed")?;
        tenant.apply(&trust(&[&signer])).await?;
        tenant
            .change(|draft| draft.set_source("verify", verify("HEAD", keys)))
            .await?;
        tenant.applied(&commit).await?;
        tenant
            .apply(&policy(&tenant, &json!({"rego": RULE})))
            .await?;
        ready(estate, name, Reason::Succeeded, "in force").await?;

        // What follows is signed by nobody: what was verified stays, and passes.
        tenant.commit([("settings.yaml", Some(RED))])?;
        tenant.call_hook().await?;
        let failed = Reason::InvalidCommitSignature;
        tenant.source_told_of(failed, "it is not signed").await?;
        let told = tenant.reconcile(None).await?;
        let passed = Reason::ReconciliationSucceeded;
        anyhow::ensure!(told.ready.reason == passed.as_str(), "{told:?}");

        let (denied, words) = (Reason::PolicyDenied, "its source is not verified");
        tenant.apply(&trust(&[&other])).await?;
        tenant.told_of(denied, words).await?;
        // With both it is what it was; the repository has not moved.
        tenant.apply(&trust(&[&other, &signer])).await?;
        tenant.applied(&commit).await?;

        // Suspended: nobody asks the repository, and the key goes all the same. A Secret that is gone trusts nobody.
        tenant
            .change(|draft| draft.set_source("suspend", json!(true)))
            .await?;
        tenant.apply(&trust(&[&other])).await?;
        tenant.told_of(denied, words).await?;
        tenant.apply(&trust(&[&signer])).await?;
        tenant.applied(&commit).await?;
        let secrets = objects::api(estate.admin(), "v1", "Secret", Some(CONFIG));
        secrets.delete(keys, &DeleteParams::default()).await?;
        tenant.told_of(denied, words).await?;
        anyhow::ensure!(colour(&tenant).await?.as_deref() == Some("blue"));
        Ok(())
    });
}

#[test]
fn a_tenant_that_signs_with_its_own_key_is_verified_and_not_whom_a_rule_asks_for() {
    const BY_WHOM: &str = "# METADATA\n# title: Released\n# description: What is applied was signed by the release key.\n# custom:\n#   hint: have it signed\npackage platform.released\n\ndeny contains {\"message\": \"no release key has signed it\"} if not signed\n\nsigned if {\n\tsome signature in input.source.signatures\n\tsignature.object == \"commit\"\n\tsignature.key in data.parameters.keys\n}\n";
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = estate.healthy_tenant("by-whom").await?;
        let (name, keys) = (tenant.name(), "by-whom-keys");
        let (own, platform) = (Signer::new(Signing::Ssh)?, Signer::new(Signing::OpenPgp)?);
        let parameters = json!({"keys": [platform.fingerprint()]});
        let rule = json!({"rego": BY_WHOM, "parameters": parameters});
        tenant.apply(&policy(&tenant, &rule)).await?;
        ready(estate, name, Reason::Succeeded, "in force").await?;
        let both = secret(CONFIG, keys, &[&own, &platform]);
        tenant.apply(&both).await?;
        tenant
            .change(|draft| draft.set_source("verify", verify("HEAD", keys)))
            .await?;
        let repo = tenant.repo();
        repo.write("settings.yaml", BLUE)?;
        let commit = own.publish(repo, "Signed by its owner")?;
        tenant.call_hook().await?;
        verified(&tenant, "True", &commit).await?;
        tenant
            .told_of(Reason::PolicyDenied, "no release key has signed it")
            .await?;
        repo.write("settings.yaml", RED)?;
        let commit = platform.publish(repo, "Released")?;
        tenant.call_hook().await?;
        tenant.applied(&commit).await?;
        anyhow::ensure!(colour(&tenant).await?.as_deref() == Some("red"));
        Ok(())
    });
}

#[test]
fn rules_of_a_policy_repository_come_into_force_when_they_are_signed() {
    scenario(async {
        let estate = Estate::shared().await?;
        let signer = Signer::new(Signing::OpenPgp)?;
        let tenant = estate.healthy_tenant("rules-signed").await?;
        let name = "rules-signed";
        let repo = estate.repo("policies-signed")?;
        repo.write("rules/colours.rego", minds("red"))?;
        repo.commit("Rules")?;
        repo.push()?;
        tenant.apply(&secret(PLATFORM, name, &[&signer])).await?;
        let source = json!({
            "apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "GitRepository",
            "metadata": {"name": name, "namespace": PLATFORM},
            "spec": {
                "interval": "1s", "url": estate.git.url("policies-signed"), "ref": {"branch": "main"},
                "verify": verify("HEAD", name),
            },
        });
        tenant.apply(&source).await?;
        let sources = objects::api(
            estate.admin(),
            "source.toolkit.fluxcd.io/v1",
            "GitRepository",
            Some(PLATFORM),
        );
        let refused = Reason::InvalidCommitSignature;
        says(wait::PATIENCE, &sources, name, refused, "it is not signed").await?;
        let rules = json!({"sourceRef": {"name": name, "namespace": PLATFORM}, "path": "./rules"});
        tenant.apply(&policy(&tenant, &rules)).await?;
        ready(
            estate,
            tenant.name(),
            Reason::ArtifactFailed,
            "has no artifact yet",
        )
        .await?;

        let commit = signer.publish(&repo, "Signed")?;
        ready(estate, tenant.name(), Reason::Succeeded, "in force").await?;
        repo.write("rules/colours.rego", minds("blue"))?;
        repo.commit("Other rules")?;
        repo.push()?;
        says(wait::PATIENCE, &sources, name, refused, "it is not signed").await?;
        let told = tenant
            .after(|draft| draft.commit("settings.yaml", RED))
            .await?;
        anyhow::ensure!(told.ready.message.contains("settings is red"), "{told:?}");
        let stands = ready(estate, tenant.name(), Reason::Succeeded, "in force").await?;
        let revision = objects::text(&stands.data, "/status/revision").unwrap_or_default();
        anyhow::ensure!(revision.ends_with(&commit), "{revision}");
        Ok(())
    });
}
