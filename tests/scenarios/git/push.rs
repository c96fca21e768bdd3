//! A commit of ours on a branch: made on what is there, sent in git's own protocol, judged by git.

mod cut;
mod gitea;
mod refuse;
mod writers;

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;
use std::time::Instant;

use reeve::clock::Clock;
use reeve::git::commit::{Edits, Identity, Signer};
use reeve::git::push::{Absent, Error, Outcome, Push, push};
use reeve::git::{Remote, Snapshot, verify};
use reeve_api::name::Secret;
use reeve_core::failure::{Explain as _, Explained};
use reeve_core::signature::{Mode, Trusted};
use reeve_kustomize::Tree as _;
use reeve_tests::git::{
    KeyKind, Repo, Signer as Author, Signing, SshOptions, SshServer, git, keypair,
};
use reeve_tests::scenario;

use super::{Bench, SECRETS, files, main as branch_main, plain, remote};

/// A change of one file on `main`, as the controller would ask for it.
fn change() -> Push {
    Push {
        branch: "main".to_owned(),
        absent: Absent::Refuse,
        ignore: None,
        author: who("Ada Lovelace", "ada@example.com"),
        committer: who("reeve", "reeve@example.com"),
        message: "Write what the cluster says\n\nBecause of web.".to_owned(),
        signer: None,
        options: Vec::new(),
        spread: rand::random(),
    }
}

fn who(name: &str, email: &str) -> Identity {
    Identity::new(name, email).expect("an identity")
}

/// An edit that writes these files, whatever is there.
fn writes(
    files: &'static [(&'static str, &'static str)],
) -> impl Fn(Option<&Snapshot>) -> Result<Edits, Explained> + Send + Sync + 'static {
    move |_| {
        let edits = files.iter();
        Ok(edits.fold(Edits::new(), |edits, (path, text)| {
            edits.write(*path, *text)
        }))
    }
}

impl Bench {
    async fn push<E>(&self, remote: &Arc<Remote>, what: Push, edit: E) -> Result<Outcome, Error>
    where
        E: Fn(Option<&Snapshot>) -> Result<Edits, Explained> + Send + Sync + 'static,
    {
        let deadline = Instant::now() + self.time;
        let clock = Clock::system();
        push(
            &self.mirrors,
            remote,
            what,
            edit,
            &clock,
            deadline,
            &self.limits,
        )
        .await
    }

    /// What is told when a push fails.
    async fn refusal(&self, remote: &Arc<Remote>, what: Push) -> (Error, Explained) {
        let edit = writes(&[("app.yaml", "kind: Refused\n")]);
        let error = self.push(remote, what, edit).await.expect_err("a refusal");
        let told = Explained::of(&error);
        let shown = format!("{told} {error:?} {:?}", error.hint());
        for secret in SECRETS {
            assert!(!shown.contains(secret), "a secret is told: {shown}");
        }
        (error, told)
    }

    /// A repository with one file, which may be pushed to over HTTP.
    fn writable(&self, path: &str) -> anyhow::Result<Repo> {
        let repo = self.repo(path)?;
        git(repo.bare(), ["config", "http.receivepack", "true"])?;
        Ok(repo)
    }
}

/// The commit that a push came to.
fn pushed(outcome: &Outcome) -> anyhow::Result<&str> {
    match outcome {
        Outcome::Pushed { revision, .. } => Ok(revision.commit()),
        Outcome::Unchanged => anyhow::bail!("nothing was pushed"),
    }
}

/// Puts a hook into a server's repository.
fn hook(repo: &Repo, name: &str, script: &str) -> anyhow::Result<()> {
    let file = repo.bare().join("hooks").join(name);
    std::fs::create_dir_all(repo.bare().join("hooks"))?;
    std::fs::write(&file, format!("#!/bin/sh\n{script}\n"))?;
    Ok(std::fs::set_permissions(
        &file,
        std::fs::Permissions::from_mode(0o755),
    )?)
}

/// What git finds wrong with a repository: nothing.
fn sound(repo: &Repo) -> anyhow::Result<()> {
    let found = git(repo.bare(), ["fsck", "--strict", "--full", "--no-dangling"])?;
    anyhow::ensure!(found.is_empty(), "{found}");
    Ok(())
}

fn over_ssh(server: &SshServer, path: &str) -> anyhow::Result<Arc<Remote>> {
    let identity = server.user_key(KeyKind::Ed25519, "")?;
    let known = server.known_hosts(&KeyKind::ALL)?;
    let secret = [
        ("identity", identity.as_str()),
        ("known_hosts", known.as_str()),
    ];
    Ok(remote(&server.url(path), &secret))
}

/// A repository with a file that can be run, a link, and more; and the commit it is at.
fn with_modes(bench: &Bench) -> anyhow::Result<(Repo, String)> {
    let repo = bench.writable("app.git")?;
    repo.write("bin/run.sh", "#!/bin/sh\n")?;
    let may_run = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(repo.work().join("bin/run.sh"), may_run)?;
    std::os::unix::fs::symlink("run.sh", repo.work().join("bin/link"))?;
    let before = repo.publish("other/kept.yaml", "kind: Kept\n")?;
    Ok((repo, before))
}

#[test]
fn a_commit_lands_on_top_of_the_branch_and_changes_nothing_else() {
    scenario(async {
        let bench = Bench::new()?;
        let (repo, before) = with_modes(&bench)?;
        let server = plain(&bench).await?;
        let remote = remote(&server.url("app.git"), &[]);
        let edit = |below: Option<&Snapshot>| {
            let below = below.expect("there are files");
            let old = below.read("app.yaml").expect("a file");
            let new = [&old[..], b"data: {}\n"].concat();
            let edits = Edits::new().write("app.yaml", new);
            Ok(edits
                .write("bin/run.sh", "#!/bin/sh\nexit 1\n")
                .write("new/dir/x", "x"))
        };
        let outcome = bench.push(&remote, change(), edit).await?;
        let commit = pushed(&outcome)?;
        let main = git(repo.bare(), ["rev-parse", "main", "main^"])?;
        assert_eq!(main, format!("{commit}\n{before}"));
        let format = "--format=%an <%ae>|%cn <%ce>|%B";
        let told = git(repo.bare(), ["log", "-1", format, "main"])?;
        let want = "Ada Lovelace <ada@example.com>|reeve <reeve@example.com>|Write what the \
                    cluster says\n\nBecause of web.";
        assert_eq!(told, want);
        let changed = git(
            repo.bare(),
            ["diff", "--raw", "--abbrev=4", "main^", "main"],
        )?;
        let modes: Vec<_> = changed
            .lines()
            .map(|line| line.split(' ').take(2).collect::<Vec<_>>())
            .collect();
        let want: [Vec<_>; 3] = [
            vec![":100644", "100644"],
            vec![":100755", "100755"],
            vec![":000000", "100644"],
        ];
        assert_eq!(modes, want, "{changed}");
        let text = git(repo.bare(), ["show", "main:app.yaml"])?;
        assert_eq!(text, "kind: Test\ndata: {}");
        sound(&repo)?;
        let again = writes(&[("new/dir/x", "x")]);
        assert_eq!(
            bench.push(&remote, change(), again).await?,
            Outcome::Unchanged
        );
        assert_eq!(git(repo.bare(), ["rev-parse", "main"])?, commit);
        let found = bench.fetch(&remote, &branch_main()).await?;
        assert_eq!(found.revision().commit(), commit);
        assert!(files(&found).contains(&"new/dir/x"), "{found:?}");
        Ok(())
    });
}

#[test]
fn a_commit_goes_over_ssh_and_into_a_repository_of_either_hash() {
    scenario(async {
        let bench = Bench::new()?;
        let server = SshServer::start(bench.root(), SshOptions::default())?;
        let http = plain(&bench).await?;
        for (path, init) in [
            ("one.git", &[][..]),
            ("other.git", &["--object-format=sha256"]),
        ] {
            let repo = Repo::create_with(bench.root(), path, "main", init)?;
            git(repo.bare(), ["config", "http.receivepack", "true"])?;
            let before = repo.publish("app.yaml", "kind: Test\n")?;
            let ssh = over_ssh(&server, path)?;
            let first = bench
                .push(&ssh, change(), writes(&[("a", "over ssh")]))
                .await?;
            let web = remote(&http.url(path), &[]);
            let second = bench
                .push(&web, change(), writes(&[("a", "by http")]))
                .await?;
            let log = git(repo.bare(), ["log", "--format=%H", "main"])?;
            let want = [pushed(&second)?, pushed(&first)?, &before];
            assert_eq!(log.lines().collect::<Vec<_>>(), want);
            sound(&repo)?;
            let gone = bench
                .push(&ssh, change(), |_| {
                    Ok(Edits::new().remove("a").remove("app.yaml"))
                })
                .await?;
            let left = git(repo.bare(), ["ls-tree", pushed(&gone)?])?;
            assert_eq!(left, "");
            sound(&repo)?;
        }
        Ok(())
    });
}

#[test]
fn a_signed_commit_is_one_that_git_believes() {
    scenario(async {
        let bench = Bench::new()?;
        let repo = bench.writable("app.git")?;
        let server = plain(&bench).await?;
        let remote = remote(&server.url("app.git"), &[]);
        let dir = tempfile::tempdir()?;
        for kind in KeyKind::ALL {
            let (private, public) = keypair(&dir.path().join(kind.name()), kind, "hunter2")?;
            let (private, passphrase) = (Secret::new(private), Secret::new("hunter2"));
            assert!(Signer::ssh(&private, None).is_err(), "it has a passphrase");
            let signer = Arc::new(Signer::ssh(&private, Some(&passphrase))?);
            let signer = Some(signer);
            let name = kind.name();
            let edit = move |_: Option<&Snapshot>| Ok(Edits::new().write("by", name));
            let outcome = bench
                .push(&remote, Push { signer, ..change() }, edit)
                .await?;
            let commit = pushed(&outcome)?;
            let signers = dir.path().join("signers");
            let line = format!("reeve@example.com namespaces=\"git\" {public}");
            std::fs::write(&signers, line)?;
            let config = format!("gpg.ssh.allowedSignersFile={}", signers.display());
            git(repo.bare(), ["-c", &config, "verify-commit", commit])?;
            let log = ["-c", &config, "log", "-1", "--format=%G? %GS", commit];
            assert_eq!(git(repo.bare(), log)?, "G reeve@example.com", "{kind:?}");
            std::fs::write(&signers, "")?;
            assert!(git(repo.bare(), ["-c", &config, "verify-commit", commit]).is_err());
        }
        sound(&repo)
    });
}

#[test]
fn a_commit_signed_with_openpgp_is_one_that_git_and_we_believe() {
    scenario(async {
        let bench = Bench::new()?;
        let repo = bench.writable("app.git")?;
        let server = plain(&bench).await?;
        let remote = remote(&server.url("app.git"), &[]);
        for passphrase in ["", "hunter2"] {
            let author = Author::with_passphrase(Signing::OpenPgp, passphrase)?;
            let mut secret =
                BTreeMap::from([("git.asc".to_owned(), author.private()?.into_bytes())]);
            if !passphrase.is_empty() {
                assert!(Signer::from_secret(&secret).is_err(), "it has a passphrase");
                secret.insert("passphrase".to_owned(), b"hunter2\n".to_vec());
            }
            let signer = Some(Arc::new(Signer::from_secret(&secret)?));
            let told = format!("{signer:?}");
            assert!(told.contains(author.fingerprint()), "{told}");
            let edit = move |_: Option<&Snapshot>| Ok(Edits::new().write("by", passphrase));
            let signing = Push { signer, ..change() };
            let commit = pushed(&bench.push(&remote, signing, edit).await?)?.to_owned();
            let good = author.believes(&repo, &commit)?;
            assert!(
                good.contains("GOODSIG") && good.contains("VALIDSIG"),
                "{good}"
            );
            let stranger = Author::new(Signing::OpenPgp)?;
            assert!(
                stranger.believes(&repo, &commit).is_err(),
                "its key is not known"
            );
            let snapshot = bench.fetch(&remote, &branch_main()).await?;
            let keys = [("bot.asc".to_owned(), author.public().as_bytes().to_vec())];
            let keys = Arc::new(Trusted::read(&keys.into())?);
            let verified = verify(&snapshot, Mode::Head, keys, Clock::system().now()).await?;
            assert!(
                verified.to_string().contains(author.fingerprint()),
                "{verified}"
            );
        }
        sound(&repo)
    });
}

#[test]
fn a_branch_that_is_not_there_is_made_from_another_or_from_nothing_if_so_asked() {
    scenario(async {
        let bench = Bench::new()?;
        let repo = bench.writable("app.git")?;
        let server = plain(&bench).await?;
        let remote = remote(&server.url("app.git"), &[]);
        let of = |branch: &str, absent| Push {
            branch: branch.to_owned(),
            absent,
            ..change()
        };
        let edit = || writes(&[("a", "x")]);
        let refused = bench
            .push(&remote, of("fix/web", Absent::Refuse), edit())
            .await;
        let refused = Explained::of(&refused.expect_err("there is no such branch"));
        assert!(
            refused.message.contains("couldn't find remote ref"),
            "{refused}"
        );
        let from = || Absent::From("main".to_owned());
        let unchanged = writes(&[("app.yaml", "kind: Test\n")]);
        let unchanged = bench
            .push(&remote, of("fix/web", from()), unchanged)
            .await?;
        assert_eq!(unchanged, Outcome::Unchanged);
        let made = bench.push(&remote, of("fix/web", from()), edit()).await?;
        let parent = git(repo.bare(), ["rev-parse", &format!("{}^", pushed(&made)?)])?;
        assert_eq!(parent, git(repo.bare(), ["rev-parse", "main"])?);
        let root = bench
            .push(&remote, of("pages", Absent::Root), edit())
            .await?;
        let parents = git(repo.bare(), ["log", "--format=%P", "pages"])?;
        assert_eq!((parents.as_str(), root != made), ("", true));
        // The second time it is there.
        let again = bench
            .push(&remote, of("pages", Absent::Root), writes(&[("b", "y")]))
            .await?;
        let parent = git(repo.bare(), ["rev-parse", &format!("{}^", pushed(&again)?)])?;
        assert_eq!(parent, pushed(&root)?);
        sound(&repo)
    });
}

#[test]
fn the_first_commit_of_an_empty_repository_may_be_ours() {
    scenario(async {
        let bench = Bench::new()?;
        let server = SshServer::start(bench.root(), SshOptions::default())?;
        for (path, init) in [
            ("one.git", &[][..]),
            ("other.git", &["--object-format=sha256"]),
        ] {
            let repo = Repo::create_with(bench.root(), path, "main", init)?;
            let remote = over_ssh(&server, path)?;
            let what = || Push {
                absent: Absent::Root,
                ..change()
            };
            let nothing = |below: Option<&Snapshot>| {
                assert!(below.is_none());
                Ok(Edits::new().remove("a"))
            };
            assert_eq!(
                bench.push(&remote, what(), nothing).await?,
                Outcome::Unchanged
            );
            let made = bench.push(&remote, what(), writes(&[("a/b", "x")])).await?;
            assert_eq!(git(repo.bare(), ["rev-parse", "main"])?, pushed(&made)?);
            assert_eq!(git(repo.bare(), ["show", "main:a/b"])?, "x");
            sound(&repo)?;
        }
        Ok(())
    });
}
