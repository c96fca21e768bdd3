//! Which files of a commit there are, and which commits are refused for what is in them.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::{Duration, Instant};

use reeve::git::{Error, Limits, Mirrors, Resolved, Snapshot, fetch, kept};
use reeve_api::reason::Reason;
use reeve_core::failure::{Explained, Turn};
use reeve_core::source::Reference;
use reeve_kustomize::{Kind, Tree as _};
use reeve_tests::git::Repo;
use reeve_tests::scenario;

use super::{Bench, Content, files, main, noise, plain, remote};

#[test]
fn ignored_files_are_left_out_as_in_flux() {
    scenario(async {
        let bench = Bench::new()?;
        let repo = Repo::create(bench.root(), "app.git")?;
        for path in [
            "app.yaml",
            "logo.png",
            ".github/ci.yaml",
            ".gitignore",
            "apps/web/x.yaml",
            "apps/README.md",
            "docs/a.md",
        ] {
            repo.write(path, path)?;
        }
        repo.commit("first")?;
        repo.push()?;
        let server = plain(&bench).await?;
        let remote = remote(&server.url("app.git"), &[]);
        let defaults = bench.fetch(&remote, &main()).await?;
        assert_eq!(
            files(&defaults),
            ["app.yaml", "apps/README.md", "apps/web/x.yaml", "docs/a.md"]
        );
        let spec = bench
            .fetch_ignoring(&remote, &main(), Some("/*\n!/apps\n"))
            .await?;
        assert_eq!(files(&spec), ["apps/README.md", "apps/web/x.yaml"]);
        assert_ne!(defaults.tree_digest(), spec.tree_digest());
        assert_eq!(defaults.revision(), spec.revision());

        repo.write(".sourceignore", "*.md\n")?
            .write("apps/.sourceignore", "!README.md\nweb/\n")?;
        repo.commit("ignore")?;
        repo.push()?;
        let own = bench.fetch(&remote, &main()).await?;
        let want = [
            ".github/ci.yaml",
            ".sourceignore",
            "app.yaml",
            "apps/.sourceignore",
            "apps/README.md",
            "logo.png",
        ];
        assert_eq!(files(&own), want);
        assert_eq!(own.kind("apps/web"), None);
        assert_eq!(own.list("apps"), [".sourceignore", "README.md"]);
        Ok(())
    });
}

#[test]
fn symbolic_links_and_submodules_are_not_there() {
    scenario(async {
        let bench = Bench::new()?;
        let repo = bench.repo("app.git")?;
        symlink("/etc/passwd", repo.work().join("passwd"))?;
        symlink("../../..", repo.work().join("up"))?;
        symlink("app.yaml", repo.work().join("alias.yaml"))?;
        repo.run([
            "update-index",
            "--add",
            "--cacheinfo",
            "160000,1234567890123456789012345678901234567890,sub",
        ])?;
        repo.write(
            ".gitmodules",
            "[submodule \"sub\"]\npath = sub\nurl = ext::sh -c whoami\n",
        )?;
        repo.write("run.sh", "x")?;
        repo.run(["add", "passwd", "up", "alias.yaml", ".gitmodules", "run.sh"])?;
        repo.run(["update-index", "--chmod=+x", "run.sh"])?;
        repo.run(["commit", "--quiet", "-m", "links"])?;
        repo.push()?;
        let server = plain(&bench).await?;
        let snapshot = bench
            .fetch(&remote(&server.url("app.git"), &[]), &main())
            .await?;
        assert_eq!(files(&snapshot), ["app.yaml", "run.sh"]);
        for path in [
            "passwd",
            "up",
            "up/etc/passwd",
            "alias.yaml",
            "sub",
            "../app.yaml",
            "/etc/passwd",
            "app.yaml/",
        ] {
            assert_eq!(snapshot.kind(path), None, "{path}");
            assert!(snapshot.read(path).is_err(), "{path}");
        }
        for (path, why) in [
            ("alias.yaml", Some("symbolic link")),
            ("up/etc/passwd", Some("symbolic link")),
            ("sub", Some("submodule")),
            ("nowhere", None),
        ] {
            let told = snapshot.left_out(path);
            assert_eq!(told.is_some(), why.is_some(), "{path}");
            assert!(
                told.unwrap_or_default().contains(why.unwrap_or_default()),
                "{path}"
            );
        }
        assert_eq!(snapshot.kind(""), Some(Kind::Dir));
        let run = snapshot.entries().find(|entry| entry.path == "run.sh");
        assert!(run.is_some_and(|entry| entry.executable));
        assert_eq!(snapshot.subject(), "links");
        Ok(())
    });
}

#[test]
fn a_commit_with_a_hostile_name_is_refused() {
    scenario(async {
        let bench = Bench::new()?;
        let server = plain(&bench).await?;
        for (number, name) in [
            &b".git"[..],
            b".GIT",
            b"git~1",
            ".g\u{200c}it".as_bytes(),
            b"..",
            b".",
            b"a/b",
            b"a\\b",
            b"a\x01b",
            b"caf\xe9",
        ]
        .iter()
        .enumerate()
        {
            let path = format!("{number}.git");
            let repo = Repo::create(bench.root(), &path)?;
            repo.publish_raw(name)?;
            let refused = bench.failure(&remote(&server.url(&path), &[])).await;
            assert_eq!(refused.reason, Reason::GitOperationFailed);
            assert!(refused.message.contains("which is refused"), "{refused}");
            // A later commit without it is fetched.
            repo.publish("app.yaml", "x")?;
            bench
                .fetch(&remote(&server.url(&path), &[]), &main())
                .await?;
        }
        Ok(())
    });
}

#[test]
fn a_tree_that_git_does_not_write_is_refused_and_what_was_fetched_beside_it_stays() {
    scenario(async {
        let bench = Bench::new()?;
        let repo = bench.repo("app.git")?;
        let server = plain(&bench).await?;
        let remote = remote(&server.url("app.git"), &[]);
        let before = bench.fetch(&remote, &main()).await?;
        // A mode of more digits than any has; servers take it.
        repo.publish_mode("odd", "000100644")?;
        let branch = Reference::Branch("odd".to_owned());
        for _ in 0..2 {
            let refused = bench.fetch(&remote, &branch).await.expect_err("a refusal");
            let told = Explained::of(&refused);
            assert_eq!(told.reason, Reason::GitOperationFailed, "{told}");
            assert_eq!(told.turn, Turn::NextRevision, "{told}");
            assert!(told.message.contains("not as git writes it"), "{told}");
        }
        let generations = |mirror: std::io::Result<std::fs::DirEntry>| {
            let all = std::fs::read_dir(mirror?.path())?;
            std::io::Result::Ok(all.count())
        };
        let mirrors = std::fs::read_dir(bench.kept.path().join("mirrors"))?;
        let all: Vec<usize> = mirrors.map(generations).collect::<Result<_, _>>()?;
        assert_eq!(all, [1], "it did not begin anew");
        assert_eq!(files(&bench.fetch(&remote, &main()).await?), files(&before));
        Ok(())
    });
}

#[test]
fn a_file_of_fifty_megabytes_is_read_and_one_above_the_cap_is_named() {
    scenario(async {
        let bench = Bench::new()?;
        let repo = bench.repo("app.git")?;
        let large: Vec<u8> = (0..50_000_000u32).map(|n| (n >> 12) as u8).collect();
        repo.write("large.bin", &large)?
            .write("larger.bin", vec![7; (50 << 20) + 1])?;
        repo.commit("large")?;
        repo.push()?;
        let server = plain(&bench).await?;
        let snapshot = bench
            .fetch(&remote(&server.url("app.git"), &[]), &main())
            .await?;
        assert!(*snapshot.read("large.bin")? == *large);
        let refused = snapshot.read("larger.bin").expect_err("too large");
        assert_eq!(
            refused.to_string(),
            "larger.bin: it has 52428801 bytes, more than the 50 MiB a file may have"
        );
        Ok(())
    });
}

#[test]
fn large_files_that_do_not_compress_are_whole_and_leave_nothing_beside_the_pack() {
    scenario(async {
        let bench = Bench {
            limits: Limits {
                object_bytes: 16 << 20,
                ..Limits::default()
            },
            ..Bench::new()?
        };
        let repo = bench.repo("app.git")?;
        // Each waits on the disk for its rest, and all of them for longer than there is room at once.
        let all = noise(45 << 20);
        let parts: Vec<&[u8]> = all.chunks(15 << 20).collect();
        for (n, part) in parts.iter().enumerate() {
            repo.write(&format!("{n}.bin"), part)?;
        }
        repo.commit("large")?;
        repo.push()?;
        let server = plain(&bench).await?;
        let snapshot = bench
            .fetch(&remote(&server.url("app.git"), &[]), &main())
            .await?;
        for (n, part) in parts.iter().enumerate() {
            assert!(*snapshot.read(&format!("{n}.bin"))? == **part, "{n}");
        }
        assert_eq!(packs(&bench)?, 2, "a pack and its index");
        Ok(())
    });
}

/// How many files lie where packs do, in all mirrors.
fn packs(bench: &Bench) -> anyhow::Result<usize> {
    let mut packs = 0;
    for mirror in std::fs::read_dir(bench.kept.path().join("mirrors"))? {
        for generation in std::fs::read_dir(mirror?.path())? {
            let dir = generation?.path().join("objects/pack");
            packs += std::fs::read_dir(dir)?.count();
        }
    }
    Ok(packs)
}

#[test]
fn a_snapshot_outlives_the_mirror_it_was_read_from() {
    scenario(async {
        let bench = Bench::new()?;
        let repo = bench.repo("app.git")?;
        let server = plain(&bench).await?;
        let remote = remote(&server.url("app.git"), &[]);
        let first = bench.fetch(&remote, &main()).await?;
        // More packs than one generation holds: the mirror begins anew on the way.
        for n in 0..60 {
            repo.publish("app.yaml", format!("{n}"))?;
            bench.fetch(&remote, &main()).await?;
        }
        assert_eq!(*first.read("app.yaml")?, *b"kind: Test\n");
        // Whatever is looked over how often: what somebody reads is still whole.
        for dropped in [1, 0, 0] {
            assert_eq!(bench.mirrors.collect(std::time::Duration::ZERO)?, dropped);
            assert_eq!(*first.read("app.yaml")?, *b"kind: Test\n");
            assert!(packs(&bench)? > 0);
        }
        assert_eq!(
            *bench.fetch(&remote, &main()).await?.read("app.yaml")?,
            *b"59"
        );
        Ok(())
    });
}

#[test]
fn what_was_fetched_is_found_without_a_login_by_who_has_fetched_it_and_nobody_else() {
    scenario(async {
        let bench = Bench::new()?;
        let repo = bench.repo("app.git")?;
        let server = plain(&bench).await?;
        let login = [("username", "ada"), ("password", "hunter2")];
        let remote = remote(&server.url("app.git"), &login);
        let first = bench.fetch(&remote, &main()).await?;
        repo.publish("more.yaml", "kind: Test\n")?;
        let second = bench.fetch(&remote, &main()).await?;
        bench.mirrors.note("web", &first)?;
        server.gone().await;

        let again = Mirrors::open(bench.kept.path(), 4)?;
        for (holder, snapshot, has) in [
            ("web", &first, true),
            // It is in that mirror, and of somebody else.
            ("web", &second, false),
            ("shop", &first, false),
        ] {
            let found = kept_of(&again, holder, snapshot, &bench).await;
            assert_eq!(found.is_ok(), has, "{holder} {}", snapshot.revision());
            if let Ok(found) = found {
                assert_eq!(files(&found), files(snapshot));
            }
        }
        // A note goes with its mirror.
        again.collect(Duration::from_secs(3600))?;
        assert!(kept_of(&again, "web", &first, &bench).await.is_ok());
        let later = Mirrors::open(bench.kept.path(), 4)?;
        later.collect(Duration::ZERO)?;
        assert!(kept_of(&later, "web", &first, &bench).await.is_err());
        let notes = std::fs::read_dir(bench.kept.path().join("mirrors.notes"))?;
        assert_eq!(notes.count(), 0);
        Ok(())
    });
}

#[test]
fn what_a_source_has_is_found_after_a_restart_however_much_was_fetched_beside_it_since() {
    scenario(async {
        let bench = Bench::new()?;
        let repo = bench.repo("app.git")?;
        let server = plain(&bench).await?;
        let remote = remote(&server.url("app.git"), &[]);
        let quiet = bench.fetch(&remote, &main()).await?;
        bench.mirrors.note("web", &quiet)?;
        assert!(!quiet.moves());
        repo.checkout("busy")?;
        let busy = Reference::Branch("busy".to_owned());
        // More packs than a mirror may have before it begins anew.
        for round in 0..55 {
            repo.publish("round.txt", round.to_string())?;
            bench.fetch(&remote, &busy).await?;
        }
        // Whoever reads what was given up is told once to move.
        assert!(quiet.moves() && !quiet.moves());
        server.gone().await;
        given_up_by_another(&bench.kept.path().join("mirrors"))?;

        let again = Mirrors::open(bench.kept.path(), 4)?;
        let found = kept_of(&again, "web", &quiet, &bench).await?;
        assert_eq!(files(&found), files(&quiet));
        // By the same login, too, where that is known.
        let (until, earlier) = (
            Instant::now() + bench.time,
            Resolved::earlier(quiet.revision())?,
        );
        let content = Content::default();
        let found = fetch(&again, &remote, earlier, content, until, &bench.limits).await?;
        assert_eq!(files(&found), files(&quiet));
        Ok(())
    });
}

/// What this process gave up was given up by the one before it: so it is found after a restart.
fn given_up_by_another(mirrors: &Path) -> anyhow::Result<()> {
    let mut found = 0;
    for mirror in std::fs::read_dir(mirrors)? {
        for generation in std::fs::read_dir(mirror?.path())? {
            let mark = generation?.path().join("reeve-retired");
            if mark.exists() {
                std::fs::write(mark, "another")?;
                found += 1;
            }
        }
    }
    anyhow::ensure!(found > 0, "nothing was given up");
    Ok(())
}

async fn kept_of(
    mirrors: &Mirrors,
    holder: &str,
    had: &Snapshot,
    bench: &Bench,
) -> Result<Snapshot, Error> {
    let earlier = Resolved::earlier(had.revision())?;
    let until = Instant::now() + bench.time;
    kept(
        mirrors,
        holder,
        earlier,
        Content::default(),
        until,
        &bench.limits,
    )
    .await
}
