//! How much of the disk what is fetched may take up: who has all it may have is stopped while it writes.

use std::path::Path;

use jiff::Timestamp;
use reeve::disk::{Account, Disk};
use reeve::git::Mirrors;
use reeve::store::{Limits, Store};
use reeve_api::name::NamespacedName;
use reeve_api::reason::Reason;
use reeve_core::failure::{Explain as _, Turn};
use reeve_core::source::Reference;
use reeve_tests::git::Repo;
use reeve_tests::scenario;

use super::{Bench, main, noise, plain, remote};

const MEBIBYTE: u64 = 1 << 20;

/// A tenant that may have so many mebibytes.
fn account(tenant: &str, mebibytes: u64) -> Account {
    Account {
        tenant: tenant.to_owned(),
        allowed: Some(mebibytes * MEBIBYTE),
    }
}

/// The bytes of all files below a directory.
fn bytes_below(dir: &Path) -> anyhow::Result<u64> {
    let mut all = 0;
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        let about = entry.metadata()?;
        all += match about.is_dir() {
            true => bytes_below(&entry.path())?,
            false => about.len(),
        };
    }
    Ok(all)
}

/// Four mebibytes that are nowhere in those of another round.
fn fresh(round: usize) -> Vec<u8> {
    noise((round + 1) * 4 * 1024 * 1024).split_off(round * 4 * 1024 * 1024)
}

/// A repository of four mebibytes that nothing makes smaller.
fn large(bench: &Bench, path: &str) -> anyhow::Result<Repo> {
    let repo = bench.repo(path)?;
    repo.publish("noise.bin", noise(4 * 1024 * 1024))?;
    Ok(repo)
}

#[test]
fn a_fetch_of_more_than_a_tenant_may_have_stops_while_it_comes() {
    scenario(async {
        let mut bench = Bench::new()?;
        let (disk, all) = (Disk::default(), bench.kept.path().join("all"));
        let mirrors = Mirrors::open_on(&all, 4, disk.clone())?;
        large(&bench, "large.git")?;
        bench.repo("small.git")?;
        let server = plain(&bench).await?;
        let (large, small) = (
            remote(&server.url("large.git"), &[]),
            remote(&server.url("small.git"), &[]),
        );
        bench.mirrors = mirrors.on(account("acme", 1));
        for _ in 0..3 {
            let told = bench.failure(&large).await;
            assert_eq!(told.reason, Reason::StorageQuotaExceeded, "{told}");
            assert_eq!(told.turn, Turn::Retry);
            let words = "tenant acme may have 1 MiB of the controller's disk";
            assert!(told.message.contains(words), "{told}");
            let hint = told.hint.unwrap_or_default();
            assert!(
                hint.contains("spec.limits.storageMebibytes of Tenant acme"),
                "{hint}"
            );
            let left = bytes_below(&all)?;
            assert!(left < MEBIBYTE / 2, "{left} bytes are left behind");
        }
        // What else it has it goes on having.
        bench.fetch(&small, &main()).await?;

        // Who may have more is not held up by it; and what is there by then takes no more room for who comes after.
        bench.mirrors = mirrors.on(account("other", 16));
        let has = bench.fetch(&large, &main()).await?;
        let used = |who: &str| disk.used(who);
        assert!(used("other") > 4 * MEBIBYTE, "{}", used("other"));
        bench.mirrors = mirrors.on(account("acme", 1));
        bench.fetch(&large, &main()).await?;
        assert!(used("acme") < MEBIBYTE, "{}", used("acme"));
        assert_eq!(has.entries().count(), 2);
        Ok(())
    });
}

#[test]
fn one_who_makes_a_shared_mirror_grow_takes_no_room_from_another() {
    scenario(async {
        let mut bench = Bench::new()?;
        let (disk, all) = (Disk::default(), bench.kept.path().join("all"));
        let mirrors = Mirrors::open_on(&all, 4, disk.clone())?;
        let repo = bench.repo("shared.git")?;
        bench.repo("own.git")?;
        let server = plain(&bench).await?;
        let (shared, own) = (
            remote(&server.url("shared.git"), &[]),
            remote(&server.url("own.git"), &[]),
        );
        bench.mirrors = mirrors.on(account("acme", 1));
        let _applied = bench.fetch(&shared, &main()).await?;
        let before = disk.used("acme");
        repo.publish("noise.bin", noise(4 * 1024 * 1024))?;
        bench.mirrors = mirrors.on(account("evil", 16));
        let _held = bench.fetch(&shared, &main()).await?;
        assert!(disk.used("evil") > 4 * MEBIBYTE, "{}", disk.used("evil"));
        assert_eq!(disk.used("acme"), before);
        bench.mirrors = mirrors.on(account("acme", 1));
        bench.fetch(&own, &main()).await?;
        bench.fetch(&shared, &main()).await?;

        // Another process knows who had what written.
        let again = Disk::default();
        let _mirrors = Mirrors::open_on(&all, 4, again.clone())?;
        assert!(again.used("evil") > 4 * MEBIBYTE, "{}", again.used("evil"));
        assert!(again.used("acme") < MEBIBYTE, "{}", again.used("acme"));
        Ok(())
    });
}

#[test]
fn a_mirror_whose_history_has_taken_all_the_room_begins_anew() {
    scenario(async {
        let mut bench = Bench::new()?;
        let (disk, all) = (Disk::default(), bench.kept.path().join("all"));
        let mirrors = Mirrors::open_on(&all, 4, disk.clone())?;
        let repo = bench.repo("app.git")?;
        let server = plain(&bench).await?;
        let app = remote(&server.url("app.git"), &[]);
        bench.mirrors = mirrors.on(account("acme", 10));
        let mut stored = bench.fetch(&app, &main()).await?;
        for round in 0..5 {
            repo.publish("noise.bin", fresh(round))?;
            stored = bench.fetch(&app, &main()).await?;
        }
        for entry in stored.entries() {
            reeve_kustomize::Tree::read(&stored, entry.path)?;
        }
        assert!(disk.used("acme") < 10 * MEBIBYTE, "{}", disk.used("acme"));
        // What is too large by itself goes on being refused, and what was had before goes on being read.
        repo.publish("more.bin", [fresh(5), fresh(6)].concat())?;
        for _ in 0..2 {
            let told = bench.failure(&app).await;
            assert_eq!(told.reason, Reason::StorageQuotaExceeded, "{told}");
        }
        for entry in stored.entries() {
            reeve_kustomize::Tree::read(&stored, entry.path)?;
        }
        Ok(())
    });
}

#[test]
fn two_branches_of_one_mirror_do_not_keep_each_other_from_beginning_anew() {
    scenario(async {
        let mut bench = Bench::new()?;
        let (disk, all) = (Disk::default(), bench.kept.path().join("all"));
        let mirrors = Mirrors::open_on(&all, 4, disk.clone())?;
        let repo = bench.repo("app.git")?;
        let server = plain(&bench).await?;
        let app = remote(&server.url("app.git"), &[]);
        bench.mirrors = mirrors.on(account("acme", 10));
        let stage = Reference::Branch("stage".to_owned());
        let (mut stored, mut staged) = (bench.fetch(&app, &main()).await?, None);
        for round in 0..5 {
            repo.checkout("main")?;
            repo.publish("noise.bin", fresh(round))?;
            stored = bench.fetch(&app, &main()).await?;
            // It still reads what the mirror was before, which has no room beside what it is now.
            repo.checkout("stage")?;
            repo.publish("small.txt", round.to_string())?;
            staged = Some(bench.fetch(&app, &stage).await?);
        }
        for snapshot in [Some(&stored), staged.as_ref()].into_iter().flatten() {
            for entry in snapshot.entries().filter(|entry| !entry.dir) {
                reeve_kustomize::Tree::read(snapshot, entry.path)?;
            }
        }
        assert!(disk.used("acme") < 20 * MEBIBYTE, "{}", disk.used("acme"));
        Ok(())
    });
}

#[test]
fn with_another_login_what_was_fetched_with_the_one_before_is_not_in_the_way() {
    scenario(async {
        let mut bench = Bench::new()?;
        let (disk, all) = (Disk::default(), bench.kept.path().join("all"));
        let acme = Mirrors::open_on(&all, 4, disk.clone())?.on(account("acme", 10));
        let repo = bench.repo("app.git")?;
        let server = plain(&bench).await?;
        let [before, after] = ["hunter2", "hunter2-next"].map(|password| {
            let login = [("username", "ada"), ("password", password)];
            remote(&server.url("app.git"), &login)
        });
        bench.mirrors = acme.clone();
        for round in 0..2 {
            repo.publish("noise.bin", fresh(round))?;
            bench.fetch(&before, &main()).await?;
        }
        let stored = bench.fetch(&before, &main()).await?;
        assert!(disk.used("acme") > 8 * MEBIBYTE, "{}", disk.used("acme"));
        // Whoever keeps what it has beside that has no room.
        let told = bench.failure(&after).await;
        assert_eq!(told.reason, Reason::StorageQuotaExceeded, "{told}");

        bench.mirrors = acme.in_place_of(&stored);
        let moved = bench.fetch(&after, &main()).await?;
        assert_eq!(moved.tree_digest(), stored.tree_digest());
        for entry in stored.entries().filter(|entry| !entry.dir) {
            reeve_kustomize::Tree::read(&stored, entry.path)?;
        }
        // It is no more room than there is without the one before.
        repo.publish("more.bin", [fresh(2), fresh(3)].concat())?;
        let told = bench.failure(&after).await;
        assert_eq!(told.reason, Reason::StorageQuotaExceeded, "{told}");
        Ok(())
    });
}

#[test]
fn what_requests_bring_takes_no_room_from_what_is_applied() {
    scenario(async {
        let mut bench = Bench::new()?;
        let disk = Disk::default();
        let all = bench.kept.path().join("all");
        let mirrors = Mirrors::open_on(&all, 4, disk.clone())?;
        let repo = bench.repo("app.git")?;
        let server = plain(&bench).await?;
        let app = remote(&server.url("app.git"), &[]);
        let own = mirrors.on(account("acme", 8));
        bench.mirrors = own.clone();
        let _applied = bench.fetch(&app, &main()).await?;
        let before = disk.used("acme");
        repo.publish("noise.bin", noise(1024 * 1024))?;
        bench.mirrors = own.of_requests();
        let _seen = bench.fetch(&app, &main()).await?;
        repo.publish("noise.bin", noise(4 * 1024 * 1024))?;
        let told = bench.failure(&app).await;
        assert_eq!(told.reason, Reason::StorageQuotaExceeded, "{told}");
        assert_eq!(disk.used("acme"), before);
        bench.mirrors = own;
        bench.fetch(&app, &main()).await?;
        Ok(())
    });
}

#[test]
fn what_nobody_uses_makes_room_and_what_is_in_use_does_not() {
    scenario(async {
        let mut bench = Bench::new()?;
        let disk = Disk::new(10 * MEBIBYTE);
        let all = bench.kept.path().join("all");
        bench.mirrors = Mirrors::open_on(&all, 4, disk.clone())?;
        let server = plain(&bench).await?;
        let mut remotes = Vec::new();
        for path in ["a.git", "b.git", "c.git"] {
            large(&bench, path)?;
            remotes.push(remote(&server.url(path), &[]));
        }
        let [a, b, c] = &remotes[..] else {
            anyhow::bail!("three");
        };
        let kept = bench.fetch(a, &main()).await?;
        drop(bench.fetch(b, &main()).await?);
        let third = bench.fetch(c, &main()).await?;
        assert!(disk.mirrors() < 10 * MEBIBYTE);
        let told = bench.failure(b).await;
        assert_eq!(told.reason, Reason::StatOperationFailed, "{told}");
        assert_eq!(told.turn, Turn::Ours);
        for snapshot in [&kept, &third] {
            for entry in snapshot.entries() {
                reeve_kustomize::Tree::read(snapshot, entry.path)?;
            }
        }
        drop(third);
        bench.fetch(b, &main()).await?;
        Ok(())
    });
}

#[test]
fn an_archive_has_the_room_of_a_mirror_that_nobody_uses_any_more() {
    scenario(async {
        let mut bench = Bench::new()?;
        let disk = Disk::default();
        let all = bench.kept.path().join("all");
        let mirrors = Mirrors::open_on(&all, 4, disk.clone())?;
        let store = Store::open_on(
            &bench.kept.path().join("artifacts"),
            "http://x",
            Limits::default(),
            disk.clone(),
        )?;
        let server = plain(&bench).await?;
        large(&bench, "gone.git")?;
        large(&bench, "app.git")?;
        bench.mirrors = mirrors.on(account("acme", 10));
        let store = store.on(account("acme", 10));
        let gone = remote(&server.url("gone.git"), &[]);
        let used = bench.fetch(&gone, &main()).await?;
        let app = remote(&server.url("app.git"), &[]);
        let snapshot = bench.fetch(&app, &main()).await?;
        let (kind, now) = ("gitrepository", Timestamp::now());
        let web = NamespacedName::new("acme", "web")?;
        // As long as both are in use there is no room for it.
        let refused = store.put(kind, &web, &snapshot, now).await;
        let refused = refused.expect_err("no room");
        assert_eq!(refused.reason(), Reason::StorageQuotaExceeded, "{refused}");
        drop(used);
        store.put(kind, &web, &snapshot, now).await?;
        assert!(disk.mirrors() < 5 * MEBIBYTE, "{}", disk.mirrors());
        for entry in snapshot.entries() {
            reeve_kustomize::Tree::read(&snapshot, entry.path)?;
        }
        Ok(())
    });
}

#[test]
fn an_archive_of_more_than_a_tenant_may_have_stops_while_it_is_written() {
    scenario(async {
        let bench = Bench::new()?;
        large(&bench, "app.git")?;
        let server = plain(&bench).await?;
        let snapshot = bench
            .fetch(&remote(&server.url("app.git"), &[]), &main())
            .await?;
        let (dir, disk) = (tempfile::tempdir()?, Disk::default());
        let store = Store::open_on(dir.path(), "http://x", Limits::default(), disk.clone())?;
        let web = NamespacedName::new("acme", "web")?;
        let (kind, now) = ("gitrepository", Timestamp::now());
        let small = store.on(account("acme", 1));
        let refused = small.put(kind, &web, &snapshot, now).await;
        let refused = refused.expect_err("too large");
        assert_eq!(refused.reason(), Reason::StorageQuotaExceeded, "{refused}");
        assert_eq!(bytes_below(&dir.path().join("blobs"))?, 0);

        assert_eq!(disk.used("acme"), 0);
        let large = store.on(account("acme", 16));
        let artifact = large.put(kind, &web, &snapshot, now).await?;
        assert_eq!(disk.used("acme"), artifact.size);
        // Whoever has the same files has the same archive, and it counts for both.
        let other = NamespacedName::new("other", "web")?;
        store.put(kind, &other, &snapshot, now).await?;
        assert_eq!(disk.used("other"), artifact.size);
        store.remove(kind, &web)?;
        assert_eq!(disk.used("acme"), 0);
        Ok(())
    });
}
