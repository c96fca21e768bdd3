//! Many who write to one branch at once: each commit on top of the last, and nobody's is lost.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context as _, bail};
use reeve::git::commit::Edits;
use reeve::git::push::{Error, Outcome, Push};
use reeve::git::{Remote, Snapshot};
use reeve_kustomize::Tree as _;
use reeve_tests::git::{Repo, SshOptions, SshServer, git};
use reeve_tests::scenario;

use super::super::{Bench, plain, remote};
use super::{change, over_ssh, pushed, sound, writes};

const PUSHERS: usize = 4;
const COMMITS: usize = 10;
/// Of the human, in between.
const PUSHES: usize = 5;

/// Adds a line to a file that all of them write, unless it is there.
fn adds(
    line: String,
) -> impl Fn(Option<&Snapshot>) -> Result<Edits, reeve_core::failure::Explained> + Send + Sync + 'static
{
    move |below| {
        let old = below.and_then(|below| below.read("log").ok());
        let old = String::from_utf8_lossy(old.as_deref().unwrap_or_default()).into_owned();
        if old.lines().any(|known| known == line) {
            return Ok(Edits::new());
        }
        Ok(Edits::new().write("log", format!("{old}{line}\n")))
    }
}

/// Pushes its commits one after another, as a controller of its own; gives how many attempts that took.
async fn pusher(name: usize, bench: Bench, remote: Arc<Remote>) -> anyhow::Result<usize> {
    let mut took = 0;
    for n in 0..COMMITS {
        loop {
            let line = format!("pusher {name} commit {n}");
            let what = Push {
                message: line.clone(),
                ..change()
            };
            match bench.push(&remote, what, adds(line)).await {
                Ok(Outcome::Pushed { attempts, .. }) => {
                    took += usize::try_from(attempts)?;
                    break;
                }
                Ok(Outcome::Unchanged) => bail!("its line is there already"),
                // As whoever asked for it would: again.
                Err(Error::Outrun { attempts, .. }) => took += usize::try_from(attempts)?,
                Err(error) => return Err(error).context(format!("pusher {name}, commit {n}")),
            }
        }
    }
    Ok(took)
}

/// Pushes without force, and when that is refused puts its commit on top, as a human does.
fn human(repo: Repo) -> anyhow::Result<Repo> {
    for n in 0..PUSHES {
        repo.write(&format!("human/{n}"), "by hand")?;
        repo.commit(&format!("human {n}"))?;
        let mut tries = 0;
        while repo
            .run(["push", "--quiet", "origin", "HEAD:main"])
            .is_err()
        {
            tries += 1;
            anyhow::ensure!(tries < 200, "the human never gets through");
            repo.run(["pull", "--quiet", "--rebase", "origin", "main"])?;
        }
    }
    Ok(repo)
}

#[test]
fn writers_at_once_lose_no_commit_of_anybody() {
    scenario(async {
        let bench = Bench::new()?;
        let repo = bench.writable("app.git")?;
        git(repo.bare(), ["config", "core.logAllRefUpdates", "true"])?;
        let web = plain(&bench).await?;
        let ssh = SshServer::start(bench.root(), SshOptions::default())?;
        let mut pushers = tokio::task::JoinSet::new();
        for name in 0..PUSHERS {
            // A controller of its own: no turn is waited for among them.
            let own = Bench {
                time: Duration::from_secs(120),
                ..Bench::new()?
            };
            let remote = match name % 2 {
                0 => remote(&web.url("app.git"), &[]),
                _ => over_ssh(&ssh, "app.git")?,
            };
            pushers.spawn(pusher(name, own, remote));
        }
        let human = tokio::task::spawn_blocking(|| human(repo));
        let mut took = 0;
        while let Some(done) = pushers.join_next().await {
            took += done??;
        }
        let repo = human.await??;
        assert!(took > PUSHERS * COMMITS, "nobody was ever outrun: {took}");
        let log = git(repo.bare(), ["show", "main:log"])?;
        let mut lines: Vec<_> = log.lines().collect();
        lines.sort_unstable();
        lines.dedup();
        assert_eq!(lines.len(), PUSHERS * COMMITS, "{log}");
        let all = git(repo.bare(), ["rev-list", "--count", "main"])?;
        assert_eq!(all, (1 + PUSHERS * COMMITS + PUSHES).to_string());
        assert_eq!(git(repo.bare(), ["rev-list", "--merges", "main"])?, "");
        for n in 0..PUSHES {
            git(repo.bare(), ["cat-file", "-e", &format!("main:human/{n}")])?;
        }
        // Where the branch ever was is in its history: it was never moved aside.
        for was in git(repo.bare(), ["reflog", "--format=%H", "main"])?.lines() {
            git(repo.bare(), ["merge-base", "--is-ancestor", was, "main"])?;
        }
        sound(&repo)
    });
}

#[test]
fn pushers_of_one_process_wait_for_their_turn() {
    scenario(async {
        let bench = Arc::new(Bench::new()?);
        let repo = bench.writable("app.git")?;
        let server = plain(&bench).await?;
        let remote = remote(&server.url("app.git"), &[]);
        let pushes = (0..4).map(|name| {
            let (bench, remote) = (Arc::clone(&bench), Arc::clone(&remote));
            async move { bench.push(&remote, change(), adds(format!("{name}"))).await }
        });
        for outcome in futures::future::join_all(pushes).await {
            let first = matches!(outcome?, Outcome::Pushed { attempts: 1, .. });
            assert!(first, "it was outrun by its own");
        }
        assert_eq!(git(repo.bare(), ["show", "main:log"])?.lines().count(), 4);
        Ok(())
    });
}

#[test]
fn an_edit_is_asked_again_on_what_somebody_else_pushed() {
    scenario(async {
        let bench = Bench::new()?;
        let repo = Arc::new(bench.writable("app.git")?);
        let server = plain(&bench).await?;
        let remote = remote(&server.url("app.git"), &[]);
        let asked = Arc::new(AtomicUsize::new(0));
        let edit = {
            let (repo, asked) = (Arc::clone(&repo), Arc::clone(&asked));
            move |below: Option<&Snapshot>| {
                if asked.fetch_add(1, Ordering::Relaxed) == 0 {
                    // Between the look and the push.
                    repo.publish("app.yaml", "kind: Human\n").expect("a push");
                }
                let found = below.and_then(|below| below.read("app.yaml").ok());
                Ok(Edits::new().write("seen", found.unwrap_or_default().to_vec()))
            }
        };
        let outcome = bench.push(&remote, change(), edit).await?;
        assert_eq!(git(repo.bare(), ["rev-parse", "main"])?, pushed(&outcome)?);
        assert!(
            matches!(outcome, Outcome::Pushed { attempts: 2, .. }),
            "{outcome:?}"
        );
        assert_eq!(asked.load(Ordering::Relaxed), 2);
        for file in ["main:app.yaml", "main:seen"] {
            assert_eq!(git(repo.bare(), ["show", file])?, "kind: Human");
        }
        sound(&repo)
    });
}

#[test]
fn a_branch_that_never_stands_still_is_given_up_after_some_attempts() {
    scenario(async {
        let bench = Bench {
            time: Duration::from_secs(120),
            ..Bench::new()?
        };
        let repo = Arc::new(bench.writable("app.git")?);
        let server = plain(&bench).await?;
        let remote = remote(&server.url("app.git"), &[]);
        let asked = Arc::new(AtomicUsize::new(0));
        let edit = {
            let (repo, asked) = (Arc::clone(&repo), Arc::clone(&asked));
            move |below: Option<&Snapshot>| {
                let n = asked.fetch_add(1, Ordering::Relaxed);
                repo.publish("busy", format!("{n}")).expect("a push");
                writes(&[("ours", "x")])(below)
            }
        };
        let given_up = bench.push(&remote, change(), edit).await;
        let given_up = given_up.expect_err("it moves each time");
        let told = given_up.to_string();
        let want = "branch \"main\" moved under each of 8 attempts, last: ";
        assert!(told.starts_with(want), "{told}");
        assert_eq!(asked.load(Ordering::Relaxed), 8);
        let all = git(repo.bare(), ["rev-list", "--count", "main"])?;
        assert_eq!(all, "9", "its own, and none of ours");
        Ok(())
    });
}
