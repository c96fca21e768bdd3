//! A connection that ends at the wrong time: the commit is there or it is not, and the next try finds out which.

use std::time::Duration;

use reeve::git::push::{Error, Outcome};
use reeve_core::failure::{Explained, Turn};
use reeve_tests::git::{Fault, SshOptions, SshServer, git};
use reeve_tests::scenario;

use super::super::{Bench, plain, remote};
use super::{change, hook, over_ssh, pushed, sound, writes};

#[test]
fn a_push_that_is_cut_off_is_there_or_not_and_never_there_twice() {
    scenario(async {
        let bench = Bench::new()?;
        let repo = bench.writable("app.git")?;
        let server = plain(&bench).await?;
        let remote = remote(&server.url("app.git"), &[]);
        let count = || git(repo.bare(), ["rev-list", "--count", "main"]);
        let edit = || writes(&[("torn", "x")]);

        server.fault(Fault::Torn);
        let cut = bench.push(&remote, change(), edit()).await;
        let cut = cut.expect_err("no answer came");
        assert!(matches!(cut, Error::Transfer(_)), "{cut:?}");
        assert_eq!(Explained::of(&cut).turn, Turn::Ours);
        assert_eq!(count()?, "1", "half of a commit is none");
        sound(&repo)?;
        server.fault(Fault::None);
        let outcome = bench.push(&remote, change(), edit()).await?;
        assert!(
            matches!(outcome, Outcome::Pushed { attempts: 1, .. }),
            "{outcome:?}"
        );
        assert_eq!(count()?, "2");

        let edit = || writes(&[("unanswered", "x")]);
        server.fault(Fault::Unanswered);
        let cut = bench.push(&remote, change(), edit()).await;
        let cut = cut.expect_err("no answer came");
        assert!(matches!(cut, Error::Transfer(_)), "{cut:?}");
        assert_eq!(count()?, "3", "it is there, and nobody said so");
        server.fault(Fault::None);
        let again = bench.push(&remote, change(), edit()).await?;
        assert_eq!((again, count()?.as_str()), (Outcome::Unchanged, "3"));
        sound(&repo)
    });
}

#[test]
fn a_server_that_takes_too_long_costs_the_time_that_was_given_and_the_commit_is_not_made_twice() {
    scenario(async {
        let mut bench = Bench::new()?;
        let repo = bench.writable("app.git")?;
        let server = plain(&bench).await?;
        let remote = remote(&server.url("app.git"), &[]);
        // It judges until it is told to go on, or its repository is gone.
        let judges = "while [ -e HEAD ] && [ ! -e go ]; do sleep 0.05; done";
        hook(&repo, "pre-receive", judges)?;
        bench.time = Duration::from_secs(3);
        let edit = || writes(&[("late", "x")]);
        let late = bench.push(&remote, change(), edit()).await;
        let late = Explained::of(&late.expect_err("it takes too long"));
        std::fs::write(repo.bare().join("go"), "")?;
        assert!(late.message.contains("timed out after "), "{late}");
        bench.time = Duration::from_secs(30);
        // The first may still be under way: then it is who was faster.
        bench.push(&remote, change(), edit()).await?;
        assert_eq!(
            bench.push(&remote, change(), edit()).await?,
            Outcome::Unchanged
        );
        assert_eq!(git(repo.bare(), ["rev-list", "--count", "main"])?, "2");
        sound(&repo)
    });
}

#[test]
fn a_server_that_dies_over_ssh_has_the_commit_or_not_and_its_report_counts_if_it_came() {
    scenario(async {
        let bench = Bench::new()?;
        let repo = bench.repo("app.git")?;
        let server = SshServer::start(bench.root(), SshOptions::default())?;
        let remote = over_ssh(&server, "app.git")?;
        let count = || git(repo.bare(), ["rev-list", "--count", "main"]);
        let dies = "kill -9 $PPID";
        let dies_late = "if [ \"$1\" = committed ]; then kill -9 $PPID; fi";
        for (name, script, there) in [
            ("pre-receive", dies, "1"),
            ("reference-transaction", dies_late, "2"),
        ] {
            hook(&repo, name, script)?;
            let cut = bench.push(&remote, change(), writes(&[("a", "x")])).await;
            let cut = cut.expect_err("no report came");
            assert!(matches!(cut, Error::Transfer(_)), "{name}: {cut:?}");
            assert_eq!(count()?, there, "{name}");
            std::fs::remove_file(repo.bare().join("hooks").join(name))?;
        }
        let again = bench.push(&remote, change(), writes(&[("a", "x")])).await?;
        assert_eq!(again, Outcome::Unchanged);
        hook(&repo, "post-receive", dies)?;
        let told = bench.push(&remote, change(), writes(&[("b", "y")])).await?;
        assert_eq!(git(repo.bare(), ["rev-parse", "main"])?, pushed(&told)?);
        assert_eq!(count()?, "3");
        sound(&repo)
    });
}
