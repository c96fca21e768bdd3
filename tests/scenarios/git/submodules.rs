//! Submodules: their files in their places, the logins they are fetched with, and what is refused.

use std::sync::Arc;
use std::time::Instant;

use reeve::git::{Content, Origins, Recursion, Remote, Snapshot, Submodule, fetch};
use reeve_api::reason::Reason;
use reeve_core::failure::{Explained, Turn};
use reeve_kustomize::Tree as _;
use reeve_tests::git::{Auth, HttpServer, KeyKind, Repo, Served, SshOptions, SshServer};
use reeve_tests::scenario;

use super::{Bench, SECRETS, files, main, noise, plain, remote};

/// The way to a repository, where it was logged in to as the first one was.
type Way = Option<Arc<Remote>>;

impl Bench {
    async fn with_submodules(
        &self,
        remote: &Arc<Remote>,
        content: Content,
    ) -> Result<Snapshot, Explained> {
        let first = Content {
            incomplete: true,
            ..content.clone()
        };
        let fetched = self.fetch_only(remote, &main(), first).await;
        let snapshot = fetched.map_err(|why| Explained::of(&why))?;
        let deadline = Instant::now() + self.time;
        let room = Recursion {
            mirrors: &self.mirrors,
            deadline,
            limits: &self.limits,
        };
        let get = |submodule: Submodule, way: Way| async move {
            let beside = way.and_then(|way| way.beside(&submodule.url)).map(Arc::new);
            let remote = match &beside {
                Some(remote) => Arc::clone(remote),
                None => super::remote(&submodule.url.to_string(), &[]),
            };
            let resolved = submodule.resolved().map_err(|why| Explained::of(&why))?;
            let (all, limits) = (Submodule::content(), &submodule.limits);
            let got = fetch(&self.mirrors, &remote, resolved, all, deadline, limits).await;
            Ok::<_, Explained>((got.map_err(|why| Explained::of(&why))?, beside))
        };
        let way = Some(Arc::clone(remote));
        room.complete(snapshot, &remote.url, way, content, get)
            .await
    }

    /// What is told when submodules can't be had.
    async fn refused(&self, remote: &Arc<Remote>) -> Explained {
        let refused = self.with_submodules(remote, Content::default()).await;
        let refused = refused.expect_err("a refusal");
        for secret in SECRETS {
            let shown = format!("{refused} {:?}", refused.hint);
            assert!(!shown.contains(secret), "a secret is told: {shown}");
        }
        refused
    }
}

/// Commits a submodule, with these lines in `.gitmodules`, and pushes.
fn link(repo: &Repo, path: &str, commit: &str, lines: &str) -> anyhow::Result<String> {
    let file = repo.work().join(".gitmodules");
    let before = std::fs::read_to_string(&file).unwrap_or_default();
    std::fs::write(&file, format!("{before}{lines}"))?;
    std::fs::create_dir_all(repo.work().join(path))?;
    let entry = format!("160000,{commit},{path}");
    repo.run(["update-index", "--add", "--cacheinfo", &entry])?;
    repo.run(["add", ".gitmodules"])?;
    repo.run(["commit", "--quiet", "--allow-empty", "-m", "Link"])?;
    repo.push()?;
    repo.run(["rev-parse", "HEAD"])
}

fn entry(path: &str, url: &str) -> String {
    format!("[submodule \"{path}\"]\n\tpath = {path}\n\turl = {url}\n")
}

/// `app.git` with `libs/a`, which has `deep/b`, whose address is `b_url`; and the commits of the two.
fn nested(bench: &Bench, b_url: &str) -> anyhow::Result<(Repo, Repo, String)> {
    let b = Repo::create(bench.root(), "org/b.git")?;
    let b_commit = b.publish("b.yaml", "kind: B\n")?;
    let a = Repo::create(bench.root(), "org/a.git")?;
    a.publish("deploy/a.yaml", "kind: A\n")?;
    let a_commit = link(&a, "deep/b", &b_commit, &entry("deep/b", b_url))?;
    let app = Repo::create(bench.root(), "org/app.git")?;
    app.publish("app.yaml", "kind: App\n")?;
    link(&app, "libs/a", &a_commit, &entry("libs/a", "../a.git"))?;
    Ok((app, a, a_commit))
}

const ALL: [&str; 3] = ["app.yaml", "libs/a/deep/b/b.yaml", "libs/a/deploy/a.yaml"];

#[test]
fn the_files_of_submodules_and_of_theirs_are_in_their_places() {
    scenario(async {
        let bench = Bench::new()?;
        let auth = Auth::Basic("ada".into(), "hunter2".into());
        let served = Served {
            auth,
            ..Served::default()
        };
        let server = HttpServer::start(bench.root(), served).await?;
        let (app, a, _) = nested(&bench, &server.url("org/b.git"))?;
        let login = [("username", "ada"), ("password", "hunter2")];
        let from = remote(&server.url("org/app.git"), &login);
        let whole = || bench.with_submodules(&from, Content::default());
        let first = whole().await?;
        assert_eq!(files(&first), ALL);
        assert_eq!(*first.read("libs/a/deep/b/b.yaml")?, *b"kind: B\n");
        assert_eq!(first.list("libs/a"), ["deep", "deploy"]);
        assert_eq!(first.left_out("libs/a"), None);
        assert!(server.seen().iter().all(|seen| seen.credential));
        let bare = bench.fetch(&from, &main()).await?;
        assert_eq!(files(&bare), ["app.yaml"]);
        assert_eq!(bare.origins(), &Origins::default());
        assert_ne!(bare.tree_digest(), first.tree_digest());
        assert_eq!(bare.revision(), first.revision());
        // The second time all is here: the reference is asked for, and nothing else.
        drop(server.seen());
        let again = whole().await?;
        assert_eq!(again.tree_digest(), first.tree_digest());
        let asked = server.seen();
        let elsewhere = asked.iter().find(|seen| !seen.path.contains("app.git"));
        assert!(elsewhere.is_none(), "{elsewhere:?}");
        // Another repository with the same submodule: one mirror for both.
        let other = Repo::create(bench.root(), "org/other.git")?;
        other.publish("other.yaml", "kind: Other\n")?;
        let a_commit = a.run(["rev-parse", "HEAD"])?;
        link(&other, "a", &a_commit, &entry("a", "../a.git"))?;
        let beside = remote(&server.url("org/other.git"), &login);
        let beside = bench.with_submodules(&beside, Content::default()).await?;
        assert_eq!(
            files(&beside),
            ["a/deep/b/b.yaml", "a/deploy/a.yaml", "other.yaml"]
        );
        let asked = server.seen();
        let elsewhere = asked.iter().find(|seen| !seen.path.contains("other.git"));
        assert!(elsewhere.is_none(), "{elsewhere:?}");
        // A newer commit of a submodule is another tree, without any other file having changed.
        let newer = a.publish("deploy/a.yaml", "kind: Newer\n")?;
        link(&app, "libs/a", &newer, "")?;
        let moved = whole().await?;
        assert_eq!(*moved.read("libs/a/deploy/a.yaml")?, *b"kind: Newer\n");
        assert_ne!(moved.tree_digest(), first.tree_digest());
        assert_ne!(moved.origins(), first.origins());
        // The earlier one is read from where it was.
        assert_eq!(*first.read("libs/a/deploy/a.yaml")?, *b"kind: A\n");
        Ok(())
    });
}

#[test]
fn a_relative_submodule_is_fetched_over_ssh_with_the_same_key() {
    scenario(async {
        let bench = Bench::new()?;
        let server = SshServer::start(bench.root(), SshOptions::default())?;
        nested(&bench, "../b.git")?;
        let identity = server.user_key(KeyKind::Ed25519, "")?;
        let known = server.known_hosts(&KeyKind::ALL)?;
        let login = [
            ("identity", identity.as_str()),
            ("known_hosts", known.as_str()),
        ];
        let from = remote(&server.url("org/app.git"), &login);
        let whole = bench.with_submodules(&from, Content::default()).await?;
        assert_eq!(files(&whole), ALL);
        Ok(())
    });
}

#[test]
fn the_login_of_a_repository_is_shown_to_no_other_server() {
    scenario(async {
        let bench = Bench::new()?;
        let auth = Auth::Bearer("b3arer-t0ken".into());
        let served = Served {
            auth,
            ..Served::default()
        };
        let server = HttpServer::start(bench.root(), served).await?;
        let (open, closed) = (Bench::new()?, Bench::new()?);
        let stranger = plain(&open).await?;
        let lib = Repo::create(open.root(), "lib.git")?;
        let commit = lib.publish("lib.yaml", "kind: Lib\n")?;
        let app = Repo::create(bench.root(), "app.git")?;
        link(
            &app,
            "lib",
            &commit,
            &entry("lib", &stranger.url("lib.git")),
        )?;
        let login = [("bearerToken", "b3arer-t0ken")];
        let from = remote(&server.url("app.git"), &login);
        let whole = bench.with_submodules(&from, Content::default()).await?;
        assert_eq!(files(&whole), ["lib/lib.yaml"]);
        let asked = stranger.seen();
        assert!(!asked.is_empty() && asked.iter().all(|seen| !seen.credential));
        // One that lets nobody in without a login says which submodule it was.
        let served = Served {
            auth: Auth::Basic("eve".into(), "hunter2".into()),
            ..Served::default()
        };
        let guarded = HttpServer::start(closed.root(), served).await?;
        let url = guarded.url("lib.git");
        link(&app, "secret", &commit, &entry("secret", &url))?;
        let refused = bench.refused(&from).await;
        assert_eq!(refused.reason, Reason::AuthenticationFailed);
        for words in ["submodule \"secret\" of http://", "authentication required"] {
            assert!(refused.message.contains(words), "{refused}");
        }
        assert!(guarded.seen().iter().all(|seen| !seen.credential));
        Ok(())
    });
}

/// What `.gitmodules` says, and what is said about that.
const HOSTILE: [(&str, &str); 18] = [
    ("path = sub\nurl = ext::sh -c whoami", "helper program"),
    ("path = sub\nurl = --upload-pack=whoami", "an option of git"),
    ("path = sub\nurl = -u./x", "an option of git"),
    ("path = sub\nurl = file:///etc", "begins with https://"),
    ("path = sub\nurl = /srv/git/x.git", "a path on a disk"),
    ("path = sub\nurl = x.git", "a path on a disk"),
    (
        "path = sub\nurl = ../../../x.git",
        "leads out of the server",
    ),
    (
        "path = sub\nurl = ssh://-oProxyCommand=x/y",
        "the host of the URL",
    ),
    (
        "path = sub\nurl = \"https://h/a\\nb\"",
        "control characters",
    ),
    ("path = sub\nurl = https://h/a/../b", "`..`"),
    ("path = sub", "it has no url"),
    (
        "path = other\nurl = ../x.git",
        "does not say where it is from",
    ),
    ("path = ../sub\nurl = ../x.git", "leads out"),
    (
        "path = /sub\nurl = ../x.git",
        "does not begin in the repository",
    ),
    ("path = -sub\nurl = ../x.git", "begins with `-`"),
    ("path = a/.GIT/hooks\nurl = ../x.git", "reads as .git"),
    ("path = way/sub\nurl = ../x.git", "symbolic link"),
    (
        "path = sub\n[submodule \"b\"]\npath = sub\nurl = x",
        "same path",
    ),
];

#[test]
fn what_nobody_means_well_with_is_refused_with_its_entry() {
    scenario(async {
        let bench = Bench::new()?;
        let server = plain(&bench).await?;
        let commit = "1".repeat(40);
        let hostile = HOSTILE.iter().map(|(lines, words)| ("lib", *lines, *words));
        let names = [
            (
                "../../etc",
                "path = sub\nurl = ../x.git",
                "its name leads out",
            ),
            ("", "path = sub\nurl = ../x.git", "its name is empty"),
        ];
        for (number, (name, lines, words)) in hostile.chain(names).enumerate() {
            let path = format!("org/{number}.git");
            let repo = Repo::create(bench.root(), &path)?;
            std::os::unix::fs::symlink("/etc", repo.work().join("way"))?;
            repo.run(["add", "way"])?;
            let text = format!("[submodule \"{name}\"]\n{lines}\n");
            link(&repo, "sub", &commit, &text)?;
            drop(server.seen());
            let refused = bench.refused(&remote(&server.url(&path), &[])).await;
            assert_eq!(refused.reason, Reason::GitOperationFailed, "{refused}");
            assert_eq!(refused.turn, Turn::NextRevision, "{refused}");
            assert!(refused.message.contains(".gitmodules"), "{refused}");
            assert!(refused.message.contains(words), "{words}: {refused}");
            let asked = server.seen();
            let elsewhere = asked.iter().find(|seen| !seen.path.contains(&path));
            assert!(elsewhere.is_none(), "{elsewhere:?}");
        }
        Ok(())
    });
}

#[test]
fn a_submodule_on_a_host_that_may_not_be_reached_is_refused() {
    scenario(async {
        let bench = Bench::new()?;
        let server = plain(&bench).await?;
        let app = Repo::create(bench.root(), "app.git")?;
        let metadata = "http://169.254.169.254/latest";
        link(&app, "meta", &"1".repeat(40), &entry("meta", metadata))?;
        let refused = bench.refused(&remote(&server.url("app.git"), &[])).await;
        assert_eq!(refused.reason, Reason::UrlInvalid, "{refused}");
        // It is for the next commit to correct.
        assert_eq!(refused.turn, Turn::NextRevision, "{refused}");
        for words in [
            "submodule \"meta\" of http://169.254.169.254/latest",
            "a link-local address, and such hosts are refused",
        ] {
            assert!(refused.message.contains(words), "{refused}");
        }
        Ok(())
    });
}

#[test]
fn a_gitmodules_that_is_no_file_or_too_large_or_not_there_is_refused() {
    scenario(async {
        let bench = Bench::new()?;
        let server = plain(&bench).await?;
        let commit = "1".repeat(40);
        let from = |path: &str| remote(&server.url(path), &[]);

        let within = Repo::create(bench.root(), "within.git")?;
        within.write(".gitmodules/x", "x")?;
        let large = Repo::create(bench.root(), "large.git")?;
        large.write(".gitmodules", noise(300 << 10))?;
        let torn = Repo::create(bench.root(), "torn.git")?;
        torn.write(".gitmodules", "[submodule \"a\nurl = x")?;
        let none = Repo::create(bench.root(), "none.git")?;
        none.write("x", "x")?;
        for (repo, path, words) in [
            (&within, "within.git", "it is no file"),
            (&large, "large.git", "larger than 256 KiB"),
            (&torn, "torn.git", "not written as git writes"),
            (&none, "none.git", "it is not there"),
        ] {
            std::fs::create_dir_all(repo.work().join("sub"))?;
            repo.run(["add", "--all"])?;
            let entry = format!("160000,{commit},sub");
            repo.run(["update-index", "--add", "--cacheinfo", &entry])?;
            repo.run(["commit", "--quiet", "-m", "Link"])?;
            repo.push()?;
            let refused = bench.refused(&from(path)).await;
            assert!(refused.message.contains(words), "{words}: {refused}");
        }
        Ok(())
    });
}

#[test]
fn submodules_end_somewhere() {
    scenario(async {
        let mut bench = Bench::new()?;
        let server = plain(&bench).await?;
        // A repository that has itself as it was before, and so on.
        let own = Repo::create(bench.root(), "own.git")?;
        let mut commit = own.publish("own.yaml", "kind: Own\n")?;
        commit = link(&own, "own", &commit, &entry("own", "../own.git"))?;
        let from = remote(&server.url("own.git"), &[]);
        let whole = bench.with_submodules(&from, Content::default()).await?;
        assert_eq!(files(&whole), ["own.yaml", "own/own.yaml"]);
        for _ in 0..11 {
            commit = link(&own, "own", &commit, "")?;
        }
        let refused = bench.refused(&from).await;
        let words = "submodules are nested deeper than the 10 that are accepted";
        assert!(refused.message.contains(words), "{refused}");

        let lib = Repo::create(bench.root(), "lib.git")?;
        let commit = lib.publish("lib.yaml", "kind: Lib\n")?;
        let many = Repo::create(bench.root(), "many.git")?;
        for path in ["a", "b", "c"] {
            link(&many, path, &commit, &entry(path, "../lib.git"))?;
        }
        let from = remote(&server.url("many.git"), &[]);
        let whole = bench.with_submodules(&from, Content::default()).await?;
        assert_eq!(files(&whole), ["a/lib.yaml", "b/lib.yaml", "c/lib.yaml"]);
        bench.limits.submodules = 2;
        let refused = bench.refused(&from).await;
        let words = "the commit has more submodules than the 2 that are accepted";
        assert!(refused.message.contains(words), "{refused}");
        // All of them together may be as large as one pack.
        bench.limits.submodules = 100;
        bench.limits.pack_bytes = 4000;
        let fresh = Repo::create(bench.root(), "fresh.git")?;
        for path in ["d", "e"] {
            let lib = Repo::create(bench.root(), &format!("{path}.git"))?;
            let commit = lib.publish("noise", noise(2000))?;
            link(
                &fresh,
                path,
                &commit,
                &entry(path, &format!("../{path}.git")),
            )?;
        }
        let refused = bench.refused(&remote(&server.url("fresh.git"), &[])).await;
        assert!(refused.message.contains("submodule \"e\""), "{refused}");
        assert!(refused.message.contains("the pack is larger"), "{refused}");
        Ok(())
    });
}

#[test]
fn of_submodules_only_those_are_fetched_that_are_asked_for() {
    scenario(async {
        let bench = Bench::new()?;
        let server = plain(&bench).await?;
        let (app, ..) = nested(&bench, "../b.git")?;
        let gone = "2".repeat(40);
        link(&app, "libs/gone", &gone, &entry("libs/gone", "../gone.git"))?;
        let from = remote(&server.url("org/app.git"), &[]);
        let sparse = |path: &str| Content {
            sparse: vec![path.to_owned()],
            ..Content::default()
        };
        let whole = bench
            .with_submodules(&from, sparse("libs/a/deploy"))
            .await?;
        assert_eq!(files(&whole), ["libs/a/deploy/a.yaml"]);
        let asked = server.seen();
        assert!(!asked.iter().any(|seen| seen.path.contains("/b.git")));
        let whole = bench.with_submodules(&from, sparse("libs/a")).await?;
        assert_eq!(
            files(&whole),
            ["libs/a/deep/b/b.yaml", "libs/a/deploy/a.yaml"]
        );
        let refused = bench.refused(&from).await;
        assert!(
            refused.message.contains("submodule \"libs/gone\""),
            "{refused}"
        );
        assert!(
            refused.message.contains("repository not found"),
            "{refused}"
        );
        Ok(())
    });
}

#[test]
fn what_a_submodule_ignores_is_ignored_where_all_are_together() {
    scenario(async {
        let bench = Bench::new()?;
        let server = plain(&bench).await?;
        let lib = Repo::create(bench.root(), "lib.git")?;
        lib.write("a.md", "x")?
            .write("b.yaml", "x")?
            .write("logo.png", "x")?;
        let commit = lib.publish(".sourceignore", "*.md\n")?;
        let app = Repo::create(bench.root(), "app.git")?;
        app.publish("own.md", "x")?;
        link(&app, "lib", &commit, &entry("lib", "../lib.git"))?;
        let from = remote(&server.url("app.git"), &[]);
        let ignoring = |ignore: Option<&str>| Content {
            ignore: ignore.map(str::to_owned),
            ..Content::default()
        };
        let found = bench.with_submodules(&from, ignoring(None)).await?;
        let want = ["lib/.sourceignore", "lib/b.yaml", "lib/logo.png", "own.md"];
        assert_eq!(files(&found), want);
        // What the object says goes before what the submodule says.
        let rules = Some("!*.md\n*.png\nlib/.sourceignore\n");
        let found = bench.with_submodules(&from, ignoring(rules)).await?;
        assert_eq!(files(&found), ["lib/a.md", "lib/b.yaml", "own.md"]);
        Ok(())
    });
}
