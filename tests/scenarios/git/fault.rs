//! Servers that are away, slow, endless or unkind, and addresses that nobody may reach.

use std::sync::Arc;
use std::time::{Duration, Instant};

use reeve::git::{Egress, Limits, Remote};
use reeve_api::reason::Reason;
use reeve_core::failure::Turn;
use reeve_tests::git::{Auth, Fault, HttpServer, KeyKind, Repo, Served, SshOptions, SshServer};
use reeve_tests::scenario;

use super::{Bench, files, main, noise, plain, remote, remote_of};

#[test]
fn an_empty_repository_is_said_to_be_empty_until_something_is_pushed() {
    scenario(async {
        for old_protocol in [false, true] {
            let bench = Bench::new()?;
            let repo = Repo::create(bench.root(), "app.git")?;
            let served = Served {
                old_protocol,
                ..Served::default()
            };
            let server = HttpServer::start(bench.root(), served).await?;
            let remote = remote(&server.url("app.git"), &[]);
            let empty = bench.failure(&remote).await;
            assert_eq!(empty.reason, Reason::EmptyGitRepository);
            assert_eq!(empty.message, "git repository is empty");
            assert!(!empty.turn.stalls());
            repo.publish("app.yaml", "x")?;
            bench.fetch(&remote, &main()).await?;
        }
        Ok(())
    });
}

#[test]
fn a_repository_that_goes_and_comes_back_is_fetched_again() {
    scenario(async {
        let bench = Bench::new()?;
        let repo = bench.repo("app.git")?;
        let server = plain(&bench).await?;
        let remote = remote(&server.url("app.git"), &[]);
        bench.fetch(&remote, &main()).await?;
        let changed = repo.publish("app.yaml", "changed")?;

        server.gone().await;
        let away = bench.failure(&remote).await;
        assert_eq!(
            (away.reason, away.turn),
            (Reason::GitOperationFailed, Turn::Ours)
        );
        assert!(away.message.contains("could not be reached"), "{away}");
        server.back().await?;
        let aside = bench.root().join("aside.git");
        std::fs::rename(repo.bare(), &aside)?;
        let absent = bench.failure(&remote).await;
        assert!(absent.message.contains("repository not found"), "{absent}");
        std::fs::rename(&aside, repo.bare())?;
        for status in [500, 503, 429] {
            server.fault(Fault::Status(status));
            let broken = bench.failure(&remote).await;
            assert!(broken.message.contains(&status.to_string()), "{broken}");
        }
        server.fault(Fault::Status(200));
        let page = bench.failure(&remote).await;
        assert!(
            page.message
                .contains("did not answer as a git server should"),
            "{page}"
        );
        server.fault(Fault::None);
        let back = bench.fetch(&remote, &main()).await?;
        assert_eq!(back.revision().commit(), changed);
        Ok(())
    });
}

#[test]
fn a_server_that_is_slow_or_silent_or_endless_costs_the_timeout_and_no_more() {
    scenario(async {
        let mut bench = Bench::new()?;
        let repo = bench.repo("app.git")?;
        let server = plain(&bench).await?;
        let remote = remote(&server.url("app.git"), &[]);
        bench.time = Duration::from_millis(700);
        for fault in [
            Fault::Slow(Duration::from_secs(60)),
            Fault::Trickle(Duration::from_millis(50)),
        ] {
            server.fault(fault);
            let begun = Instant::now();
            let late = bench.failure(&remote).await;
            assert!(
                late.message.contains("timed out after 700ms while"),
                "{late}"
            );
            assert!(
                begun.elapsed() < Duration::from_secs(5),
                "{:?}",
                begun.elapsed()
            );
        }
        bench.time = Duration::from_secs(20);
        bench.limits = Limits {
            refs_bytes: 1 << 20,
            ..Limits::default()
        };
        server.fault(Fault::Endless);
        let endless = bench.failure(&remote).await;
        assert!(
            endless.message.contains("accepted") || endless.message.contains("did not answer as"),
            "{endless}"
        );
        server.fault(Fault::None);
        repo.publish("app.yaml", "changed")?;
        bench.fetch(&remote, &main()).await?;
        Ok(())
    });
}

/// Limits that the repository below is over, each with what is said of it.
fn too_tight() -> [(Limits, &'static str); 10] {
    let limited = |set: fn(&mut Limits)| {
        let mut limits = Limits::default();
        set(&mut limits);
        limits
    };
    [
        (
            limited(|l| l.pack_bytes = 64 << 10),
            "the pack is larger than the 64 KiB",
        ),
        (
            limited(|l| l.objects = 20),
            "the pack has more objects than the 20",
        ),
        (
            limited(|l| l.files = 10),
            "the commit has more files than the 10",
        ),
        (
            limited(|l| l.depth = 3),
            "directories are nested deeper than the 3",
        ),
        (
            limited(|l| l.object_bytes = 100_000),
            "an object in the pack has more bytes than the 100000 bytes",
        ),
        (
            limited(|l| l.unpacked_bytes = 64 << 10),
            "the pack has more bytes unpacked than the 64 KiB",
        ),
        (
            limited(|l| l.unpacking_bytes = 64 << 10),
            "putting the pack's objects together takes more memory than the 64 KiB",
        ),
        (
            limited(|l| l.path_bytes = 40),
            "the paths in the commit have more bytes together than the 40 bytes",
        ),
        (
            limited(|l| l.rules_bytes = 5),
            "the .sourceignore files of the commit have more bytes together than the 5 bytes",
        ),
        (
            limited(|l| l.refs_bytes = 16),
            "the server lists more than the 16 bytes",
        ),
    ]
}

#[test]
fn what_is_larger_than_its_limit_is_refused_and_the_limit_is_named() {
    scenario(async {
        let bench = Bench::new()?;
        let repo = bench.repo("app.git")?;
        let noise = noise(300_000);
        repo.write("large.bin", &noise)?;
        for n in 0..30 {
            repo.write(&format!("many/{n}.yaml"), format!("{n}"))?;
        }
        repo.write(".sourceignore", "/nothing\n")?;
        repo.publish("deep/a/b/c/d/e.yaml", "x")?;
        let server = plain(&bench).await?;
        let remote = remote(&server.url("app.git"), &[]);
        for (limits, told) in too_tight() {
            let bench = Bench {
                limits,
                ..Bench::new()?
            };
            let refused = bench.failure(&remote).await;
            let told = format!("{told} that are accepted");
            assert!(refused.message.ends_with(&told), "{refused}");
        }
        bench.fetch(&remote, &main()).await?;
        Ok(())
    });
}

#[test]
fn a_server_that_gives_up_is_quoted() {
    scenario(async {
        let bench = Bench::new()?;
        let repo = bench.repo("app.git")?;
        let blob = repo.run(["rev-parse", "HEAD:app.yaml"])?;
        let (fan, rest) = blob.trim().split_at(2);
        std::fs::remove_file(repo.bare().join("objects").join(fan).join(rest))?;
        let server = plain(&bench).await?;
        let failed = bench.failure(&remote(&server.url("app.git"), &[])).await;
        assert_eq!(failed.reason, Reason::GitOperationFailed);
        let said = failed.message;
        assert!(said.contains("app.git gave up: "), "{said}");
        assert!(said.contains("repository corruption"), "{said}");
        Ok(())
    });
}

#[test]
fn a_fetch_that_is_cut_off_leaves_nothing_that_stops_the_next() {
    scenario(async {
        let bench = Bench::new()?;
        let repo = bench.repo("app.git")?;
        let server = plain(&bench).await?;
        let remote = remote(&server.url("app.git"), &[]);
        bench.fetch(&remote, &main()).await?;
        let noise = noise(500_000);
        repo.publish("large.bin", &noise)?;
        server.fault(Fault::Cut(100_000));
        bench.failure(&remote).await;
        server.fault(Fault::None);
        // In this process, and in one that finds what a killed one left.
        assert_eq!(
            files(&bench.fetch(&remote, &main()).await?),
            ["app.yaml", "large.bin"]
        );
        repo.publish("app.yaml", "more")?;
        server.fault(Fault::Cut(100));
        bench.failure(&remote).await;
        server.fault(Fault::None);
        let later = Bench {
            mirrors: reeve::git::Mirrors::open(bench.kept.path(), 1)?,
            ..Bench::new()?
        };
        assert_eq!(
            files(&later.fetch(&remote, &main()).await?),
            ["app.yaml", "large.bin"]
        );
        Ok(())
    });
}

#[test]
fn whoever_stops_waiting_frees_the_repository_for_others() {
    scenario(async {
        let bench = Arc::new(Bench::new()?);
        let _repo = bench.repo("app.git")?;
        let server = plain(&bench).await?;
        let remote = remote(&server.url("app.git"), &[]);
        server.fault(Fault::Slow(Duration::from_secs(60)));
        let waiting = {
            let (bench, remote) = (Arc::clone(&bench), Arc::clone(&remote));
            tokio::spawn(async move { bench.fetch(&remote, &main()).await.is_ok() })
        };
        while server.seen().is_empty() {
            tokio::task::yield_now().await;
        }
        waiting.abort();
        server.fault(Fault::None);
        bench.fetch(&remote, &main()).await?;
        Ok(())
    });
}

#[test]
fn many_who_want_the_same_commit_at_once_fetch_it_once() {
    scenario(async {
        let bench = Arc::new(Bench::new()?);
        let _repo = bench.repo("app.git")?;
        let server = plain(&bench).await?;
        let remote = remote(&server.url("app.git"), &[]);
        let fetches = (0..8).map(|_| bench.fetch(&remote, main_static()));
        for fetched in futures::future::join_all(fetches).await {
            assert_eq!(files(&fetched?), ["app.yaml"]);
        }
        let fetch = |body: &[u8]| body.windows(13).any(|window| window == b"command=fetch");
        let fetches = server
            .seen()
            .into_iter()
            .filter(|seen| fetch(&seen.body))
            .count();
        assert_eq!(fetches, 1);
        Ok(())
    });
}

fn main_static() -> &'static reeve_core::source::Reference {
    static MAIN: std::sync::LazyLock<reeve_core::source::Reference> =
        std::sync::LazyLock::new(main);
    &MAIN
}

#[test]
fn a_private_host_is_not_reached_unless_the_platform_allows_it() {
    scenario(async {
        let bench = Bench::new()?;
        let _repo = bench.repo("app.git")?;
        let http = plain(&bench).await?;
        let ssh = SshServer::start(bench.root(), SshOptions::default())?;
        let (identity, known) = (
            ssh.user_key(KeyKind::Ed25519, "")?,
            ssh.known_hosts(&KeyKind::ALL)?,
        );
        let secret = [
            ("identity", identity.as_str()),
            ("known_hosts", known.as_str()),
        ];
        let http_port = http
            .url("")
            .rsplit(':')
            .next()
            .unwrap_or_default()
            .to_owned();
        for url in [
            http.url("app.git"),
            ssh.url("app.git"),
            format!("http://localhost:{http_port}app.git"),
            format!("http://[::1]:{http_port}app.git"),
            "http://169.254.169.254/latest".to_owned(),
        ] {
            let secret = if url.starts_with("ssh") {
                &secret[..]
            } else {
                &[]
            };
            let refused = bench.failure(&Arc::new(remote_of(&url, secret))).await;
            assert!(
                refused.message.contains("such hosts are refused"),
                "{url}: {refused}"
            );
            assert!(
                refused
                    .hint
                    .is_some_and(|hint| hint.contains("--allow-source-hosts"))
            );
        }
        assert_eq!(http.seen().len(), 0);
        let named = Remote {
            egress: Arc::new(Egress::new(vec!["localhost".parse()?])),
            ..remote_of(&format!("http://localhost:{http_port}app.git"), &[])
        };
        bench.fetch(&Arc::new(named), &main()).await?;
        Ok(())
    });
}

#[test]
fn a_redirect_stays_on_its_host_or_is_refused_and_no_credential_leaves() {
    scenario(async {
        let bench = Bench::new()?;
        let _repo = bench.repo("moved/app.git")?;
        let auth = Auth::Basic("ada".into(), "hunter2".into());
        let server = HttpServer::start(
            bench.root(),
            Served {
                auth,
                ..Served::default()
            },
        )
        .await?;
        let thief = plain(&bench).await?;
        let secret = [("username", "ada"), ("password", "hunter2")];
        let remote = remote(&server.url("app.git"), &secret);
        let elsewhere = thief.url("moved").trim_end_matches('/').to_owned();
        server.fault(Fault::Redirect(elsewhere));
        let refused = bench.failure(&remote).await;
        assert!(
            refused.message.contains("which is not followed"),
            "{refused}"
        );
        assert_eq!(thief.seen().len(), 0);
        server.fault(Fault::Redirect(server.url("moved")));
        assert_eq!(files(&bench.fetch(&remote, &main()).await?), ["app.yaml"]);
        for hostile in ["http://169.254.169.254", "file:///etc", "//127.0.0.2"] {
            server.fault(Fault::Redirect(hostile.to_owned()));
            bench.failure(&remote).await;
        }
        Ok(())
    });
}
