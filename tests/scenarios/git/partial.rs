//! Parts of a repository: what a server that can send parts is asked for, and what becomes of one that cannot.

use reeve::git::Content;
use reeve_kustomize::Tree as _;
use reeve_tests::git::{HttpServer, KeyKind, Repo, SshOptions, SshServer, git};
use reeve_tests::scenario;

use super::{Bench, files, main, noise, plain, remote};

/// What lies beside the parts that are taken.
const LARGE: usize = 2 << 20;

fn sparse(paths: &[&str]) -> Content {
    Content {
        sparse: paths.iter().map(|path| (*path).to_owned()).collect(),
        ..Content::default()
    }
}

/// A repository with small directories beside a large one, whose server filters if it is to.
fn mixed(bench: &Bench, filters: bool) -> anyhow::Result<Repo> {
    let repo = Repo::create(bench.root(), "app.git")?;
    repo.write("assets/large.bin", noise(LARGE))?
        .write("apps/web/web.yaml", "kind: Web\n")?
        .write("apps/web/same.yaml", "kind: Web\n")?
        .write("infra/infra.yaml", "kind: Infra\n")?;
    repo.publish("root.yaml", "kind: Root\n")?;
    let value = if filters { "true" } else { "false" };
    git(repo.bare(), ["config", "uploadpack.allowFilter", value])?;
    Ok(repo)
}

/// The requests for objects since this was last called.
fn asked(server: &HttpServer) -> Vec<String> {
    let bodies = server.seen().into_iter().map(|seen| seen.body);
    let bodies = bodies.map(|body| String::from_utf8_lossy(&body).into_owned());
    bodies
        .filter(|body| body.contains("command=fetch"))
        .collect()
}

#[test]
fn of_a_sparse_checkout_only_the_files_that_are_taken_are_sent() {
    scenario(async {
        let bench = Bench::new()?;
        let repo = mixed(&bench, true)?;
        let server = plain(&bench).await?;
        let remote = remote(&server.url("app.git"), &[]);
        let branch = main();
        let fetch = |paths: &[&str]| bench.fetch_only(&remote, &branch, sparse(paths));

        let first = fetch(&["apps/web"]).await?;
        assert_eq!(files(&first), ["apps/web/same.yaml", "apps/web/web.yaml"]);
        assert_eq!(*first.read("apps/web/web.yaml")?, *b"kind: Web\n");
        let (requests, sent) = (asked(&server), server.sent());
        let [commit, parts] = requests.as_slice() else {
            anyhow::bail!("{requests:?}");
        };
        assert!(commit.contains("filter blob:none"), "{commit}");
        assert!(
            !parts.contains("filter") && !parts.contains("have "),
            "{parts}"
        );
        assert_eq!(
            parts.matches("want ").count(),
            1,
            "two files of one content"
        );
        assert!(sent < 100_000, "{sent} bytes");

        // Of another part only that comes, without the commit.
        let infra = fetch(&["infra"]).await?;
        assert_eq!(*infra.read("infra/infra.yaml")?, *b"kind: Infra\n");
        let requests = asked(&server);
        assert_eq!(requests.len(), 1, "{requests:?}");
        assert_eq!(requests[0].matches("want ").count(), 1, "{requests:?}");

        // A change elsewhere sends the commit, and no file.
        repo.publish("assets/more.bin", noise(LARGE + 1))?;
        let _counted = server.sent();
        let moved = fetch(&["apps/web"]).await?;
        assert_eq!(moved.tree_digest(), first.tree_digest());
        assert_ne!(moved.revision(), first.revision());
        let (requests, sent) = (asked(&server), server.sent());
        assert_eq!(requests.len(), 1, "{requests:?}");
        assert!(requests[0].contains("have "), "{requests:?}");
        assert!(sent < 100_000, "{sent} bytes");

        // A change within sends both.
        repo.publish("apps/web/web.yaml", "kind: Changed\n")?;
        let changed = fetch(&["apps/web"]).await?;
        assert_eq!(*changed.read("apps/web/web.yaml")?, *b"kind: Changed\n");
        assert_eq!(asked(&server).len(), 2);
        assert_eq!(*first.read("apps/web/web.yaml")?, *b"kind: Web\n");
        Ok(())
    });
}

#[test]
fn who_takes_all_of_a_repository_gets_all_of_it_beside_who_takes_parts() {
    scenario(async {
        let bench = Bench::new()?;
        let repo = mixed(&bench, true)?;
        let server = plain(&bench).await?;
        let remote = remote(&server.url("app.git"), &[]);
        bench
            .fetch_only(&remote, &main(), sparse(&["apps"]))
            .await?;
        let _counted = server.sent();
        let whole = bench.fetch(&remote, &main()).await?;
        assert_eq!(*whole.read("assets/large.bin")?, *noise(LARGE));
        assert_eq!(whole.entries().filter(|entry| !entry.dir).count(), 5);
        assert!(server.sent() > LARGE as u64);
        // What is here as a whole is here in parts.
        asked(&server);
        let infra = bench
            .fetch_only(&remote, &main(), sparse(&["infra"]))
            .await?;
        assert_eq!(files(&infra), ["infra/infra.yaml"]);
        assert!(asked(&server).is_empty());
        // Each goes on from what it has.
        repo.publish("apps/more.yaml", "kind: More\n")?;
        let parts = bench
            .fetch_only(&remote, &main(), sparse(&["apps"]))
            .await?;
        assert_eq!(parts.list("apps"), ["more.yaml", "web"]);
        let _counted = server.sent();
        let whole = bench.fetch(&remote, &main()).await?;
        assert_eq!(*whole.read("assets/large.bin")?, *noise(LARGE));
        assert_eq!(*whole.read("apps/more.yaml")?, *b"kind: More\n");
        assert!(server.sent() < 100_000);
        Ok(())
    });
}

#[test]
fn a_server_that_cannot_send_parts_or_will_not_sends_all() {
    scenario(async {
        for (filters, allowed) in [(false, true), (true, false)] {
            let bench = Bench::new()?;
            let repo = mixed(&bench, filters)?;
            let rule = "uploadpackfilter.blob:none.allow";
            git(repo.bare(), ["config", rule, &allowed.to_string()])?;
            let server = plain(&bench).await?;
            let remote = remote(&server.url("app.git"), &[]);
            let part = bench
                .fetch_only(&remote, &main(), sparse(&["infra"]))
                .await?;
            assert_eq!(files(&part), ["infra/infra.yaml"]);
            let requests = asked(&server);
            let filtered = requests.iter().filter(|body| body.contains("filter blob"));
            assert_eq!(filtered.count(), usize::from(filters), "{requests:?}");
            assert!(server.sent() > LARGE as u64);
            // There is one mirror then, and all is in it.
            let whole = bench.fetch(&remote, &main()).await?;
            assert_eq!(*whole.read("assets/large.bin")?, *noise(LARGE));
            assert!(asked(&server).is_empty());
        }
        Ok(())
    });
}

#[test]
fn parts_come_over_ssh_in_one_conversation() {
    scenario(async {
        let bench = Bench::new()?;
        mixed(&bench, true)?;
        let server = SshServer::start(bench.root(), SshOptions::default())?;
        let identity = server.user_key(KeyKind::Ed25519, "")?;
        let known = server.known_hosts(&KeyKind::ALL)?;
        let login = [
            ("identity", identity.as_str()),
            ("known_hosts", known.as_str()),
        ];
        let remote = remote(&server.url("app.git"), &login);
        let part = bench
            .fetch_only(&remote, &main(), sparse(&["apps"]))
            .await?;
        assert_eq!(*part.read("apps/web/web.yaml")?, *b"kind: Web\n");
        let received = part.received().expect("something came");
        assert!(received.bytes < 100_000, "{received:?}");
        assert_eq!(
            server.log().matches("Starting session").count(),
            1,
            "{}",
            server.log()
        );
        Ok(())
    });
}
