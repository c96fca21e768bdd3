//! What a reference means, and how little is asked to know it.

use reeve_core::failure::Explained;
use reeve_core::source::Reference;
use reeve_kustomize::Tree as _;
use reeve_tests::git::{HttpServer, KeyKind, Repo, Served, SshOptions, SshServer};
use reeve_tests::scenario;

use super::{Bench, files, main, noise, plain, remote};

/// A repository with a commit for every form of reference: the forms, the revisions Flux writes for them.
fn forms(repo: &Repo) -> anyhow::Result<Vec<(Reference, String, &'static str)>> {
    let first = repo.publish("app.yaml", "first")?;
    repo.tag("v1.0.0", None)?.tag("v1.1.0-rc.1", None)?;
    let second = repo.publish("app.yaml", "second")?;
    repo.tag("v1.0.5", Some("annotated"))?.push()?;
    let third = repo.publish("app.yaml", "third")?;
    repo.tag("v2.0.0", None)?.checkout("feature/x")?;
    let fourth = repo.publish("app.yaml", "fourth")?;
    repo.run(["push", "--quiet", "origin", "HEAD:refs/pull/7/head"])?;
    repo.checkout("main")?;
    let branch = |name: &str| Reference::Branch(name.to_owned());
    let tag = |name: &str| Reference::Tag(name.to_owned());
    let name = |name: &str| Reference::Name(name.to_owned());
    let newest = |range: &str| anyhow::Ok(Reference::Semver(range.parse()?));
    let commit = |commit: &str, branch: Option<&str>| {
        let (commit, branch) = (commit.to_owned(), branch.map(str::to_owned));
        Reference::Commit { commit, branch }
    };
    let forms = [
        (branch("main"), "main", &third, "third"),
        (branch("feature/x"), "feature/x", &fourth, "fourth"),
        (tag("v1.0.0"), "v1.0.0", &first, "first"),
        (tag("v1.0.5"), "v1.0.5", &second, "second"),
        (newest("1.x")?, "v1.0.5", &second, "second"),
        (newest(">=1.0.0")?, "v2.0.0", &third, "third"),
        (
            name("refs/pull/7/head"),
            "refs/pull/7/head",
            &fourth,
            "fourth",
        ),
        (
            name("refs/tags/v1.0.5"),
            "refs/tags/v1.0.5",
            &second,
            "second",
        ),
        (commit(&third, None), "", &third, "third"),
        (commit(&first, Some("main")), "main", &first, "first"),
    ];
    let told = forms.map(|(reference, name, commit, content)| {
        let at = if name.is_empty() { "" } else { "@" };
        (reference, format!("{name}{at}sha1:{commit}"), content)
    });
    Ok(told.into())
}

async fn each_form(
    url: &str,
    secret: &[(&str, &str)],
    bench: &Bench,
    repo: &Repo,
) -> anyhow::Result<()> {
    for (reference, revision, content) in forms(repo)? {
        // A mirror of its own each time: what one form brought doesn't help the next.
        let own = Bench::new()?;
        let remote = remote(url, secret);
        let snapshot = own.fetch(&remote, &reference).await?;
        assert_eq!(snapshot.revision().to_string(), revision, "{reference:?}");
        assert_eq!(
            *snapshot.read("app.yaml")?,
            *content.as_bytes(),
            "{reference:?}"
        );
        // And once more into one mirror, where each must bear what the others left.
        let snapshot = bench.fetch(&remote, &reference).await?;
        assert_eq!(
            *snapshot.read("app.yaml")?,
            *content.as_bytes(),
            "{reference:?}"
        );
    }
    Ok(())
}

#[test]
fn every_form_of_reference_finds_its_commit_over_http() {
    scenario(async {
        let bench = Bench::new()?;
        let repo = Repo::create(bench.root(), "team/app.git")?;
        let server = plain(&bench).await?;
        each_form(&server.url("team/app.git"), &[], &bench, &repo).await
    });
}

#[test]
fn every_form_of_reference_finds_its_commit_at_a_server_of_the_older_protocol() {
    scenario(async {
        let bench = Bench::new()?;
        let repo = Repo::create(bench.root(), "app.git")?;
        let served = Served {
            old_protocol: true,
            ..Served::default()
        };
        let server = HttpServer::start(bench.root(), served).await?;
        each_form(&server.url("app.git"), &[], &bench, &repo).await
    });
}

#[test]
fn every_form_of_reference_finds_its_commit_over_ssh() {
    scenario(async {
        for protocol_v2 in [true, false] {
            let bench = Bench::new()?;
            let repo = Repo::create(bench.root(), "team/app.git")?;
            let options = SshOptions {
                protocol_v2,
                ..SshOptions::default()
            };
            let server = SshServer::start(bench.root(), options)?;
            let identity = server.user_key(KeyKind::Ed25519, "")?;
            let known_hosts = server.known_hosts(&KeyKind::ALL)?;
            let secret = [
                ("identity", identity.as_str()),
                ("known_hosts", known_hosts.as_str()),
            ];
            each_form(&server.url("team/app.git"), &secret, &bench, &repo).await?;
        }
        Ok(())
    });
}

#[test]
fn a_repository_of_sha256_is_fetched_like_any_other() {
    scenario(async {
        let bench = Bench::new()?;
        let repo = Repo::create_with(bench.root(), "app.git", "main", &["--object-format=sha256"])?;
        let server = plain(&bench).await?;
        let remote = remote(&server.url("app.git"), &[]);
        for content in ["first", "second"] {
            let commit = repo.publish("app.yaml", content)?;
            let snapshot = bench.fetch(&remote, &main()).await?;
            assert_eq!(
                snapshot.revision().to_string(),
                format!("main@sha256:{commit}")
            );
            assert_eq!(*snapshot.read("app.yaml")?, *content.as_bytes());
        }
        Ok(())
    });
}

#[test]
fn what_is_not_there_is_said_so() {
    scenario(async {
        let bench = Bench::new()?;
        let _repo = bench.repo("app.git")?;
        let server = plain(&bench).await?;
        let remote = remote(&server.url("app.git"), &[]);
        let absent = "1234567890123456789012345678901234567890";
        for (reference, told) in [
            (
                Reference::Branch("gone".into()),
                "couldn't find remote ref \"refs/heads/gone\"".to_owned(),
            ),
            (
                Reference::Tag("gone".into()),
                "couldn't find remote ref \"refs/tags/gone\"".to_owned(),
            ),
            (
                Reference::Semver(">=9".parse()?),
                "no match found for semver: >=9".to_owned(),
            ),
            (
                Reference::Commit {
                    commit: absent.into(),
                    branch: None,
                },
                format!("unable to resolve commit object for '{absent}': object not found"),
            ),
        ] {
            let error = bench
                .fetch(&remote, &reference)
                .await
                .expect_err("nothing there");
            let error = reeve_core::failure::chain(&error);
            assert_eq!(
                error,
                format!("failed to checkout and determine revision: {told}")
            );
        }
        Ok(())
    });
}

/// Beside `main`: a commit that has one of `main`'s for a parent, and one that has nothing to do with it.
fn strays(repo: &Repo) -> anyhow::Result<(String, [String; 2])> {
    let first = repo.publish("app.yaml", "first")?;
    repo.publish("app.yaml", "second")?;
    repo.checkout("side")?;
    let side = repo.publish("app.yaml", "side")?;
    repo.run(["checkout", "--quiet", "--orphan", "other"])?;
    let other = repo.publish("app.yaml", "other")?;
    repo.checkout("main")?;
    repo.publish("app.yaml", "third")?;
    Ok((first, [side, other]))
}

#[test]
fn a_commit_that_is_not_on_its_branch_is_refused() {
    scenario(async {
        for old_protocol in [false, true] {
            let bench = Bench::new()?;
            let repo = Repo::create(bench.root(), "app.git")?;
            let (first, strays) = strays(&repo)?;
            let served = Served {
                old_protocol,
                ..Served::default()
            };
            let server = HttpServer::start(bench.root(), served).await?;
            let remote = remote(&server.url("app.git"), &[]);
            let on = |commit: &str, branch: &str| Reference::Commit {
                commit: commit.to_owned(),
                branch: Some(branch.to_owned()),
            };
            for stray in &strays {
                // Also when it is here already, since its own branch brought it.
                for known in [false, true] {
                    if known {
                        let own = on(stray, if *stray == strays[0] { "side" } else { "other" });
                        bench.fetch(&remote, &own).await?;
                    }
                    let error = bench.fetch(&remote, &on(stray, "main")).await;
                    let told = Explained::of(&error.expect_err("it is elsewhere"));
                    let words = format!("commit '{stray}' is not on branch \"main\"");
                    assert!(told.message.ends_with(&words), "{told}");
                }
            }
            let found = bench.fetch(&remote, &on(&first, "main")).await?;
            assert_eq!(*found.read("app.yaml")?, *b"first");
            let error = bench.fetch(&remote, &on(&first, "gone")).await;
            let told = Explained::of(&error.expect_err("no such branch"));
            assert!(told.message.contains("refs/heads/gone"), "{told}");
        }
        Ok(())
    });
}

#[test]
fn who_is_up_to_date_asks_for_references_only_and_fetches_nothing() {
    scenario(async {
        let bench = Bench::new()?;
        let repo = bench.repo("app.git")?;
        let server = plain(&bench).await?;
        let remote = remote(&server.url("app.git"), &[]);
        let before = bench.fetch(&remote, &main()).await?;
        assert_eq!(server.seen().len(), 3, "greeting, references, fetch");

        let found = bench.resolve(&remote, &main()).await?;
        assert_eq!(found.revision(), before.revision());
        let seen = server.seen();
        assert_eq!(
            seen.len(),
            1,
            "references: the server has said before what it can"
        );
        assert!(
            !seen
                .iter()
                .any(|seen| contains(&seen.body, b"command=fetch"))
        );

        // The commit that is here is named by itself: nothing is asked at all, not even by another process.
        let commit = before.revision().commit().to_owned();
        let named = Reference::Commit {
            commit,
            branch: Some("main".to_owned()),
        };
        let again = bench.fetch(&remote, &named).await?;
        assert_eq!(files(&again), files(&before));
        let later = reeve::git::Mirrors::open(bench.kept.path(), 1)?;
        let later = Bench {
            mirrors: later,
            ..Bench::new()?
        };
        assert_eq!(files(&later.fetch(&remote, &named).await?), files(&before));
        assert_eq!(server.seen().len(), 0);
        drop(repo);
        Ok(())
    });
}

#[test]
fn a_fetch_brings_only_what_is_new() {
    scenario(async {
        let bench = Bench::new()?;
        let repo = bench.repo("app.git")?;
        // Bytes that don't compress, so that their being sent shows.
        let noise = noise(1_000_000);
        repo.publish("large.bin", &noise)?;
        let server = plain(&bench).await?;
        let remote = remote(&server.url("app.git"), &[]);
        bench.fetch(&remote, &main()).await?;
        assert!(
            server.sent() > 200_000,
            "the first fetch brings the large file"
        );

        repo.publish("app.yaml", "changed")?;
        let snapshot = bench.fetch(&remote, &main()).await?;
        let sent = server.sent();
        assert!(sent < 5_000, "{sent} bytes for one small change");
        assert_eq!(*snapshot.read("large.bin")?, *noise);

        // History is never sent: the files of the commit are all there is.
        for n in 0..20 {
            repo.publish("app.yaml", format!("{n}"))?;
        }
        bench.fetch(&remote, &main()).await?;
        assert!(server.sent() < 5_000);
        Ok(())
    });
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}
