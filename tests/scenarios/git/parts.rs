//! Parts of a commit, and files of others laid beside them.

use reeve::git::{Content, Error, Laid, Snapshot};
use reeve_api::reason::Reason;
use reeve_core::failure::Explained;
use reeve_core::source::Include;
use reeve_kustomize::Tree as _;
use reeve_tests::git::Repo;
use reeve_tests::scenario;

use super::{Bench, files, main, plain, remote};

fn publish(bench: &Bench, name: &str, paths: &[&str]) -> anyhow::Result<Repo> {
    let repo = Repo::create(bench.root(), name)?;
    for path in paths {
        repo.write(path, format!("{name} {path}"))?;
    }
    repo.publish_all("first")?;
    Ok(repo)
}

fn sparse(paths: &[&str]) -> Content {
    Content {
        sparse: paths.iter().map(|path| (*path).to_owned()).collect(),
        ..Content::default()
    }
}

fn laid(snapshot: &Snapshot, from: &str, to: &str) -> anyhow::Result<Laid> {
    let include = Include {
        repository: "base".parse()?,
        from: from.to_owned(),
        to: to.to_owned(),
    };
    let snapshot = snapshot.clone();
    Ok(Laid { include, snapshot })
}

#[test]
fn of_a_sparse_checkout_only_its_directories_are_there() {
    scenario(async {
        let bench = Bench::new()?;
        let paths = [
            "root.yaml",
            ".sourceignore",
            "apps/web/a.yaml",
            "apps/web2/b.yaml",
            "apps/web/deep/c.yaml",
            "infra/d.yaml",
        ];
        let repo = publish(&bench, "app.git", &paths)?;
        // What lies elsewhere has no say: it is not checked out.
        repo.publish(".sourceignore", "*.yaml\n")?;
        let server = plain(&bench).await?;
        let remote = remote(&server.url("app.git"), &[]);
        for (wanted, found) in [
            (
                &["apps/web"][..],
                &["apps/web/a.yaml", "apps/web/deep/c.yaml"][..],
            ),
            (
                &["infra", "apps/web2"],
                &["apps/web2/b.yaml", "infra/d.yaml"],
            ),
            (
                &["apps/web/deep", "apps/web/deep"],
                &["apps/web/deep/c.yaml"],
            ),
        ] {
            let part = bench.fetch_only(&remote, &main(), sparse(wanted)).await?;
            assert_eq!(files(&part), found);
            assert!(part.kind("root.yaml").is_none() && part.read("root.yaml").is_err());
        }
        let content = sparse(&["infra", "app"]);
        let missing = bench.fetch_only(&remote, &main(), content).await;
        let refused = Explained::of(&missing.expect_err("there is none"));
        assert_eq!(refused.reason, Reason::GitOperationFailed);
        let words = "sparse checkout dir 'app' does not exist in repository";
        assert!(refused.message.contains(words), "{refused}");
        // The mirror has what another asks for.
        assert_eq!(
            files(&bench.fetch(&remote, &main()).await?),
            [".sourceignore"]
        );
        Ok(())
    });
}

/// Files of several kinds, and a link.
fn publish_base(bench: &Bench) -> anyhow::Result<()> {
    let paths = [
        "deploy/x.yaml",
        "deploy/sub/y.yaml",
        "deploy/logo.png",
        "other.yaml",
    ];
    let repo = publish(bench, "base.git", &paths)?;
    std::os::unix::fs::symlink("../other.yaml", repo.work().join("deploy/link"))?;
    repo.publish_all("a link")?;
    Ok(())
}

#[test]
fn what_is_included_is_laid_beside_and_ignored_together() {
    scenario(async {
        let bench = Bench::new()?;
        publish(&bench, "app.git", &["app.yaml", "lib/own.yaml"])?;
        publish_base(&bench)?;
        let server = plain(&bench).await?;
        let base = remote(&server.url("base.git"), &[]);
        let base = bench.fetch(&base, &main()).await?;
        let app = remote(&server.url("app.git"), &[]);
        let content = |ignore: Option<&str>| {
            anyhow::Ok(Content {
                ignore: ignore.map(str::to_owned),
                laid: vec![
                    laid(&base, "deploy", "lib/base")?,
                    laid(&base, "other.yaml", "lib/own.yaml")?,
                ],
                ..Content::default()
            })
        };
        let whole = bench.fetch_only(&app, &main(), content(None)?).await?;
        let own = bench.fetch(&app, &main()).await?;
        assert_eq!(
            files(&whole),
            [
                "app.yaml",
                "lib/base/sub/y.yaml",
                "lib/base/x.yaml",
                "lib/own.yaml"
            ]
        );
        assert_eq!(
            *whole.read("lib/base/sub/y.yaml")?,
            *b"base.git deploy/sub/y.yaml"
        );
        assert_eq!(*whole.read("lib/own.yaml")?, *b"base.git other.yaml");
        assert_eq!(*whole.read("app.yaml")?, *b"app.git app.yaml");
        assert_eq!(whole.list("lib"), ["base", "own.yaml"]);
        assert!(whole.left_out("lib/base/link").is_some());
        assert_eq!(whole.revision(), own.revision());
        assert_ne!(whole.tree_digest(), own.tree_digest());

        let content = content(Some("lib/base/sub/\n"))?;
        let kept = bench.fetch_only(&app, &main(), content).await?;
        assert_eq!(
            files(&kept),
            ["app.yaml", "lib/base/x.yaml", "lib/own.yaml"]
        );

        Ok(())
    });
}

#[test]
fn what_includes_another_is_included_with_it_and_outlives_its_mirrors() {
    scenario(async {
        let bench = Bench::new()?;
        publish(&bench, "app.git", &["app.yaml"])?;
        publish_base(&bench)?;
        let server = plain(&bench).await?;
        let base = remote(&server.url("base.git"), &[]);
        let base = bench.fetch(&base, &main()).await?;
        let app = remote(&server.url("app.git"), &[]);
        let with = |of: &Snapshot, from: &str, to: &str| {
            let laid = vec![laid(of, from, to)?];
            anyhow::Ok(Content {
                laid,
                ..Content::default()
            })
        };
        let second = with(&base, "deploy", "lib/base")?;
        let second = bench.fetch_only(&app, &main(), second).await?;
        let third = with(&second, "", "all")?;
        let third = bench.fetch_only(&app, &main(), third).await?;
        drop((second, base));
        bench.mirrors.collect(std::time::Duration::ZERO)?;
        assert_eq!(
            *third.read("all/lib/base/x.yaml")?,
            *b"base.git deploy/x.yaml"
        );
        assert_eq!(*third.read("all/app.yaml")?, *b"app.git app.yaml");
        Ok(())
    });
}

#[test]
fn what_is_in_the_way_of_what_is_included_stays_and_is_told() {
    scenario(async {
        let bench = Bench::new()?;
        let repo = publish(&bench, "app.git", &["app.yaml", "lib/own.yaml"])?;
        std::os::unix::fs::symlink("lib", repo.work().join("link"))?;
        repo.publish_all("a link")?;
        publish(&bench, "base.git", &["deploy/x.yaml"])?;
        let server = plain(&bench).await?;
        let base = remote(&server.url("base.git"), &[]);
        let base = bench.fetch(&base, &main()).await?;
        let app = remote(&server.url("app.git"), &[]);
        for (from, to, why) in [
            ("deploy", "lib", "file exists"),
            ("", "", "file exists"),
            ("deploy", "app.yaml", "not a directory"),
            ("deploy", "app.yaml/x", "app.yaml is not a directory"),
            ("deploy/x.yaml", "lib", "file exists"),
            ("nowhere", "x", "no such file or directory"),
            ("deploy", "link", "is a symbolic link"),
            ("deploy", "link/x", "is a symbolic link"),
            (
                "deploy",
                "x/.git/hooks",
                "some file systems read it as .git",
            ),
            ("deploy", "GIT~1", "some file systems read it as .git"),
        ] {
            let content = Content {
                laid: vec![laid(&base, from, to)?],
                ..Content::default()
            };
            let refused = bench.fetch_only(&app, &main(), content).await;
            let Err(Error::Include(_)) = &refused else {
                panic!("{from} {to}: {refused:?}");
            };
            let told = Explained::of(&refused.expect_err("refused"));
            assert_eq!(told.reason, Reason::CopyFailure);
            let words = format!("failed to copy 'base' include from ./{from} to ./{to}: ");
            assert!(told.message.starts_with(&words), "{told}");
            assert!(told.message.contains(why), "{told}");
        }
        // Two at one place are in each other's way.
        let twice = Content {
            laid: vec![laid(&base, "", "x")?, laid(&base, "deploy", "x/deploy")?],
            ..Content::default()
        };
        assert!(bench.fetch_only(&app, &main(), twice).await.is_err());
        Ok(())
    });
}
