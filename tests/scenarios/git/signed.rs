//! Commits and tags that git itself signed, with gpg and with ssh-keygen.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use reeve::git::{Content, Mirrors, Remote, Resolved, Snapshot, fetch, resolve, verify};
use reeve_core::failure::Explained;
use reeve_core::signature::{Mode, Trusted};
use reeve_core::source::Reference;
use reeve_tests::git::{Repo, Signer, Signing, git};
use reeve_tests::scenario;

use super::{Bench, main, plain, remote};

/// What is told of what `reference` means now.
async fn told(
    bench: &Bench,
    remote: &Arc<Remote>,
    reference: &Reference,
    mode: Mode,
    by: &[&Signer],
) -> anyhow::Result<String> {
    let deadline = Instant::now() + bench.time;
    let mirrors = &bench.mirrors;
    let found = resolve(mirrors, remote, reference, deadline, &bench.limits).await?;
    let found = found.with_tag();
    let snapshot = fetch(
        mirrors,
        remote,
        found,
        Content::default(),
        deadline,
        &bench.limits,
    )
    .await?;
    Ok(judged(&snapshot, mode, by).await)
}

async fn judged(snapshot: &Snapshot, mode: Mode, by: &[&Signer]) -> String {
    let keys = by.iter().enumerate().map(|(n, signer)| {
        let name = signer.entry(&format!("author{n}"));
        (name, signer.public().as_bytes().to_vec())
    });
    let trusted = Trusted::read(&keys.collect::<BTreeMap<_, _>>()).expect("keys");
    let now = "2100-01-01T00:00:00Z".parse().expect("a time");
    match verify(snapshot, mode, Arc::new(trusted), now).await {
        Ok(verified) => verified.to_string(),
        Err(why) => {
            let told = Explained::of(&why);
            format!("{}: {}", told.reason, told.message)
        }
    }
}

fn tag(name: &str) -> Reference {
    Reference::Tag(name.to_owned())
}

#[test]
fn what_git_signs_with_gpg_or_ssh_is_verified_in_repositories_of_either_hash() {
    scenario(async {
        for signing in [Signing::OpenPgp, Signing::Ssh] {
            let (signer, stranger) = (Signer::new(signing)?, Signer::new(signing)?);
            for format in ["sha1", "sha256"] {
                let bench = Bench::new()?;
                let object = format!("--object-format={format}");
                let repo = Repo::create_with(bench.root(), "app.git", "main", &[object.as_str()])?;
                let server = plain(&bench).await?;
                let remote = remote(&server.url("app.git"), &[]);
                repo.write("app.yaml", "kind: Test\n")?;
                let commit = signer.publish(&repo, "Signed")?;
                signer.tag(&repo, "v1.0.0")?;
                let object = repo.run(["rev-parse", "v1.0.0"])?;
                let key = signer.fingerprint();

                let head =
                    told(&bench, &remote, &main(), Mode::Head, &[&stranger, &signer]).await?;
                let by_commit = format!("\n\t- commit '{commit}' with key '{key}'");
                assert_eq!(head, format!("verified signature of{by_commit}"));
                let reference = tag("v1.0.0");
                let both = told(&bench, &remote, &reference, Mode::TagAndHead, &[&signer]).await?;
                let by_tag = format!("\n\t- tag 'v1.0.0@{object}' with key '{key}'");
                assert_eq!(both, format!("verified signature of{by_tag}{by_commit}"));

                let strange = told(&bench, &remote, &main(), Mode::Head, &[&stranger]).await?;
                assert!(
                    strange.ends_with("is not one of the trusted keys"),
                    "{strange}"
                );
                let strange = told(&bench, &remote, &reference, Mode::Tag, &[&stranger]).await?;
                assert!(strange.starts_with("InvalidTagSignature"), "{strange}");
                repo.publish("app.yaml", "kind: Other\n")?;
                let unsigned = told(&bench, &remote, &main(), Mode::Head, &[&signer]).await?;
                assert!(unsigned.ends_with("failed: it is not signed"), "{unsigned}");
                // The tag still names what was signed.
                let tagged = told(&bench, &remote, &reference, Mode::Tag, &[&signer]).await?;
                assert_eq!(tagged, format!("verified signature of{by_tag}"));
            }
        }
        Ok(())
    });
}

#[test]
fn a_signed_tag_under_another_name_or_around_another_tag_is_not_verified() {
    scenario(async {
        let signer = Signer::new(Signing::Ssh)?;
        let bench = Bench::new()?;
        let repo = bench.repo("app.git")?;
        let server = plain(&bench).await?;
        let remote = remote(&server.url("app.git"), &[]);
        let vulnerable = signer.publish(&repo, "An old version")?;
        signer.tag(&repo, "v1.0.0")?;
        repo.publish("app.yaml", "mended\n")?;
        repo.tag("light", None)?
            .tag("unsigned", Some("A tag"))?
            .push()?;

        let bare = repo.bare();
        let object = git(bare, ["rev-parse", "v1.0.0"])?;
        git(bare, ["update-ref", "refs/tags/v2.0.0", object.as_str()])?;
        // A signed tag of a signed tag.
        git(repo.work(), ["fetch", "--quiet", "--tags"])?;
        signer.tag_object(&repo, "nested", &object)?;
        for (name, mode, want) in [
            (
                "v1.0.0",
                Mode::TagAndHead,
                format!("commit '{vulnerable}' with key"),
            ),
            (
                "v2.0.0",
                Mode::Tag,
                "it was signed as tag 'v1.0.0'".to_owned(),
            ),
            (
                "v2.0.0",
                Mode::Head,
                format!("commit '{vulnerable}' with key"),
            ),
            (
                "light",
                Mode::Tag,
                "InvalidGitObject: cannot verify signature of tag 'light' since it is not signed"
                    .to_owned(),
            ),
            (
                "unsigned",
                Mode::Tag,
                "InvalidGitObject: cannot verify signature of tag 'unsigned@".to_owned(),
            ),
            (
                "nested",
                Mode::Tag,
                "it is of another tag, not of a commit".to_owned(),
            ),
        ] {
            let told = told(&bench, &remote, &tag(name), mode, &[&signer]).await?;
            assert!(told.contains(&want), "{name} {mode:?}: {told}");
        }
        let branch = told(&bench, &remote, &main(), Mode::Tag, &[&signer]).await?;
        assert!(branch.starts_with("InvalidVerificationMode"), "{branch}");
        Ok(())
    });
}

#[test]
fn a_tag_that_was_fetched_is_found_again_by_another_process_without_its_server() {
    scenario(async {
        let signer = Signer::new(Signing::Ssh)?;
        let bench = Bench::new()?;
        let repo = bench.repo("app.git")?;
        signer.publish(&repo, "Signed")?;
        signer.tag(&repo, "v1.0.0")?;
        let server = plain(&bench).await?;
        let remote = remote(&server.url("app.git"), &[]);
        // The commit is there already when its tag is asked for.
        bench.fetch(&remote, &main()).await?;
        let first = told(
            &bench,
            &remote,
            &tag("v1.0.0"),
            Mode::TagAndHead,
            &[&signer],
        )
        .await?;
        assert!(first.starts_with("verified"), "{first}");
        let deadline = Instant::now() + bench.time;
        let v1 = tag("v1.0.0");
        let found = resolve(&bench.mirrors, &remote, &v1, deadline, &bench.limits);
        let revision = found.await?.revision().clone();
        server.gone().await;

        let again = Mirrors::open(bench.kept.path(), 4)?;
        let earlier = Resolved::earlier(&revision)?.with_tag();
        let deadline = Instant::now() + bench.time;
        let snapshot = fetch(
            &again,
            &remote,
            earlier,
            Content::default(),
            deadline,
            &bench.limits,
        )
        .await?;
        assert_eq!(judged(&snapshot, Mode::TagAndHead, &[&signer]).await, first);
        Ok(())
    });
}

#[test]
fn the_signature_of_another_commit_helps_nobody() {
    scenario(async {
        let signer = Signer::new(Signing::OpenPgp)?;
        let bench = Bench::new()?;
        let repo = bench.repo("app.git")?;
        signer.publish(&repo, "Signed")?;
        let server = plain(&bench).await?;
        let remote = remote(&server.url("app.git"), &[]);
        let signed = git(repo.bare(), ["cat-file", "commit", "main"])?;
        let forged = signed.replace("\n\nSigned", "\n\nForged");
        let doubled = signed.replacen("gpgsig ", "gpgsig x\ngpgsig ", 1);
        let stuffed = signed.replacen("gpgsig ", &format!("gpgsig {}\n ", "A".repeat(100_000)), 1);
        for (bytes, want) in [
            (format!("{signed}\n"), "verified signature of"),
            (format!("{forged}\n"), "is of something else"),
            (format!("{doubled}\n"), "it holds more than one signature"),
            (
                format!("{stuffed}\n"),
                "its signature is longer than 64 KiB",
            ),
            (
                format!("{signed}{}\n", "x".repeat(2 << 20)),
                "a commit or tag that must be signed is larger than the 1 MiB",
            ),
        ] {
            let commit = repo.hash_commit(&bytes)?;
            git(
                repo.bare(),
                ["update-ref", "refs/heads/main", commit.as_str()],
            )?;
            let told = told(&bench, &remote, &main(), Mode::Head, &[&signer]).await?;
            assert!(told.contains(want), "{want}: {told}");
        }
        Ok(())
    });
}
