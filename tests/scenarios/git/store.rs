//! Artifacts as other consumers see them.

use std::collections::BTreeSet;
use std::io::Read as _;
use std::time::Duration;

use flate2::read::GzDecoder;
use futures::FutureExt as _;
use jiff::{SignedDuration, Timestamp};
use reeve::store::{Limits, Retention, Store};
use reeve_api::name::NamespacedName;
use reeve_core::artifact::Digest;
use reeve_tests::git::Repo;
use reeve_tests::{scenario, wait};

use super::{Bench, main, noise, plain, remote};

const KIND: &str = "gitrepository";

fn web() -> NamespacedName {
    NamespacedName::new("acme", "web").expect("a name")
}

#[test]
fn an_artifact_is_a_tar_as_flux_makes_it() {
    scenario(async {
        let bench = Bench::new()?;
        let repo = Repo::create(bench.root(), "app.git")?;
        repo.write("app.yaml", "kind: Test\n")?
            .write("bin/run", "x")?
            .write("logo.png", "x")?;
        repo.commit("first")?;
        repo.run(["update-index", "--chmod=+x", "bin/run"])?;
        repo.run(["commit", "--quiet", "-m", "exec"])?;
        repo.push()?;
        let server = plain(&bench).await?;
        let remote = remote(&server.url("app.git"), &[]);
        let snapshot = bench.fetch(&remote, &main()).await?;
        let store = Store::open(
            &bench.kept.path().join("store"),
            "http://reeve.svc./",
            Limits::default(),
        )?;
        let artifact = store.put(KIND, &web(), &snapshot, Timestamp::now()).await?;
        let commit = snapshot.revision().commit();
        assert!(artifact.path.starts_with("gitrepository/acme/web/"));
        assert!(artifact.path.ends_with(&format!("/{commit}.tar.gz")));
        assert_eq!(artifact.url, format!("http://reeve.svc./{}", artifact.path));

        let (mut file, length) = store.open_path(&artifact.path).expect("it is there");
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        assert_eq!((bytes.len() as u64, length), (artifact.size, artifact.size));
        assert_eq!(Digest::of(&bytes), artifact.digest);
        let mut seen = Vec::new();
        let mut archive = tar::Archive::new(GzDecoder::new(&*bytes));
        for entry in archive.entries()? {
            let entry = entry?;
            let header = entry.header();
            assert_eq!((header.uid()?, header.gid()?, header.mtime()?), (0, 0, 0));
            seen.push(format!("{} {:o}", entry.path()?.display(), header.mode()?));
        }
        assert_eq!(seen, ["app.yaml 600", "bin/ 750", "bin/run 700"]);

        // Another server, another machine, another day: the same bytes.
        let elsewhere = Bench::new()?;
        let other = Store::open(elsewhere.kept.path(), "http://x", Limits::default())?;
        let again = elsewhere.fetch(&remote, &main()).await?;
        let again = other.put(KIND, &web(), &again, Timestamp::now()).await?;
        assert_eq!(again.digest, artifact.digest);
        assert_ne!(
            again.path, artifact.path,
            "the path cannot be guessed from what is in it"
        );
        Ok(())
    });
}

#[test]
fn an_artifact_is_found_by_its_whole_path_only() {
    scenario(async {
        let bench = Bench::new()?;
        let _repo = bench.repo("app.git")?;
        let server = plain(&bench).await?;
        let snapshot = bench
            .fetch(&remote(&server.url("app.git"), &[]), &main())
            .await?;
        let dir = bench.kept.path().join("store");
        let store = Store::open(&dir, "http://x", Limits::default())?;
        let artifact = store.put(KIND, &web(), &snapshot, Timestamp::now()).await?;
        let path = &artifact.path;
        let token = path.split('/').nth(3).unwrap_or_default();
        assert_eq!(token.len(), 64);
        for wrong in [
            "",
            "/",
            "gitrepository",
            "gitrepository/acme/web/",
            "../store.key",
            "store.key",
            "blobs",
            "index",
            &format!("/{path}"),
            &format!("{path}/"),
            &format!("./{path}"),
            &path.replace(token, &"0".repeat(64)),
            &path.replace("acme", "evil"),
            &path.to_uppercase(),
        ] {
            assert!(store.open_path(wrong).is_none(), "{wrong}");
        }
        // After a restart it is still there, under the same path; a record or archive that was torn is not.
        let again = Store::open(&dir, "http://x", Limits::default())?;
        assert!(again.has(&artifact));
        let put = again.put(KIND, &web(), &snapshot, Timestamp::now()).await?;
        assert_eq!(
            (put.path, put.last_update_time),
            (artifact.path.clone(), artifact.last_update_time)
        );
        for blob in std::fs::read_dir(dir.join("blobs"))? {
            std::fs::write(blob?.path(), "torn")?;
        }
        assert!(!again.has(&artifact));
        assert!(again.has(&again.put(KIND, &web(), &snapshot, Timestamp::now()).await?));
        Ok(())
    });
}

#[test]
fn what_is_archived_for_nobody_stops_and_leaves_nothing() {
    scenario(async {
        let bench = Bench::new()?;
        let repo = bench.repo("app.git")?;
        let server = plain(&bench).await?;
        let remote = remote(&server.url("app.git"), &[]);
        repo.publish("noise.bin", noise(8 << 20))?;
        let first = bench.fetch(&remote, &main()).await?;
        repo.publish("app.yaml", "kind: Other\n")?;
        let second = bench.fetch(&remote, &main()).await?;
        let dir = bench.kept.path().join("store");
        let store = Store::open(&dir, "http://x", Limits::default())?;
        let (web, now) = (web(), Timestamp::now());
        // Their runs are over as soon as they have begun; more of them than there are turns.
        for _ in 0..8 {
            let begun = store.put(KIND, &web, &first, now).now_or_never();
            assert!(begun.is_none(), "it takes longer than that");
        }
        let artifact = store.put(KIND, &web, &second, now).await?;
        let blobs = dir.join("blobs");
        let names = || -> std::io::Result<Vec<_>> {
            let all = std::fs::read_dir(&blobs)?;
            all.map(|one| Ok(one?.file_name())).collect()
        };
        let is_whole = |name: &std::ffi::OsString| name.to_string_lossy().ends_with(".tar.gz");
        let settled = || async {
            let names = names().ok()?;
            names.iter().all(is_whole).then_some(names)
        };
        let names = wait::until(wait::PATIENCE, "nothing is written any more", settled).await?;
        assert_eq!(names.len(), 1, "{names:?}");
        assert_eq!(store.used(), artifact.size);
        assert!(store.has(&artifact));
        // What is there is had at once, and by whoever comes again.
        let again = store.put(KIND, &web, &second, now).now_or_never();
        assert_eq!(
            again.transpose()?.map(|it| it.digest),
            Some(artifact.digest)
        );
        assert!(store.has(&store.put(KIND, &web, &first, now).await?));
        Ok(())
    });
}

#[test]
fn old_artifacts_go_and_equal_ones_take_no_room() {
    scenario(async {
        let bench = Bench::new()?;
        let repo = bench.repo("app.git")?;
        let server = plain(&bench).await?;
        let remote = remote(&server.url("app.git"), &[]);
        let store = Store::open(
            &bench.kept.path().join("store"),
            "http://x",
            Limits::default(),
        )?;
        let begun = Timestamp::now();
        let later = |seconds: i64| begun + SignedDuration::from_secs(seconds);
        let mut artifacts = Vec::new();
        for n in 0..4 {
            // The same files each second time.
            repo.publish("app.yaml", if n % 2 == 0 { "even" } else { "odd" })?;
            let snapshot = bench.fetch(&remote, &main()).await?;
            artifacts.push(store.put(KIND, &web(), &snapshot, later(n)).await?);
        }
        assert_eq!(artifacts[0].digest, artifacts[2].digest);
        assert_eq!(store.used(), artifacts[0].size + artifacts[1].size);
        let live = BTreeSet::from([web()]);
        let retention = Retention {
            ttl: Duration::from_secs(60),
            records: 2,
        };
        assert_eq!(
            store.collect(KIND, &live, retention, later(10))?,
            0,
            "all are young"
        );
        assert!(artifacts.iter().all(|artifact| store.has(artifact)));
        assert_eq!(
            store.collect(KIND, &live, retention, later(100))?,
            0,
            "both archives are still referred to"
        );
        let there: Vec<_> = artifacts
            .iter()
            .map(|artifact| store.has(artifact))
            .collect();
        assert_eq!(there, [false, false, true, true]);
        let only = Retention {
            ttl: Duration::ZERO,
            records: 1,
        };
        assert_eq!(store.collect(KIND, &live, only, later(100))?, 1);
        assert_eq!(
            store.collect(KIND, &BTreeSet::new(), retention, later(100))?,
            1,
            "its object is gone"
        );
        assert_eq!(store.used(), 0);
        Ok(())
    });
}

#[test]
fn what_does_not_fit_into_the_store_is_told() {
    scenario(async {
        let bench = Bench::new()?;
        let repo = bench.repo("app.git")?;
        let noise = noise(300_000);
        repo.publish("large.bin", &noise)?;
        let server = plain(&bench).await?;
        let remote = remote(&server.url("app.git"), &[]);
        let snapshot = bench.fetch(&remote, &main()).await?;
        let limited = |set: fn(&mut Limits)| {
            let mut limits = Limits::default();
            set(&mut limits);
            limits
        };
        for (limits, told) in [
            (
                limited(|l| l.archive_bytes = 1000),
                "larger when compressed than the 1000 bytes",
            ),
            (
                limited(|l| l.content_bytes = 1000),
                "larger together than the 1000 bytes",
            ),
            (
                limited(|l| l.total_bytes = 1000),
                "the artifact store is full",
            ),
        ] {
            let dir = tempfile::tempdir()?;
            let store = Store::open(dir.path(), "http://x", limits)?;
            let refused = store
                .put(KIND, &web(), &snapshot, Timestamp::now())
                .await
                .expect_err("too large");
            assert!(refused.to_string().contains(told), "{refused}");
            assert_eq!(store.used(), 0);
            assert_eq!(
                std::fs::read_dir(dir.path().join("blobs"))?.count(),
                0,
                "nothing is left behind"
            );
        }
        let own = Bench {
            limits: reeve::git::Limits {
                file_bytes: 1000,
                ..Default::default()
            },
            ..Bench::new()?
        };
        let snapshot = own.fetch(&remote, &main()).await?;
        let store = Store::open(own.kept.path(), "http://x", Limits::default())?;
        let refused = store
            .put(KIND, &web(), &snapshot, Timestamp::now())
            .await
            .expect_err("too large");
        let words = reeve_core::failure::chain(&refused);
        assert!(words.contains("large.bin"), "{words}");
        Ok(())
    });
}
