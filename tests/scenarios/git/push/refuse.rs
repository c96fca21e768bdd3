//! What stands between a commit and its branch: rights, rules, room, and what is in the repository already.

use std::sync::Arc;

use reeve::git::commit;
use reeve::git::commit::Edits;
use reeve::git::push::{Error, Outcome, Push};
use reeve::git::{Cause, Limits, Snapshot};
use reeve_api::reason::Reason;
use reeve_core::failure::{Explained, Turn};
use reeve_tests::git::{Auth, Fault, HttpServer, Served, SshOptions, SshServer, git};
use reeve_tests::scenario;

use super::super::{Bench, noise, plain, remote, remote_of};
use super::{change, hook, over_ssh, sound, writes};

/// A server that lets in one user, and the Secret of that user.
async fn with_login(
    bench: &Bench,
) -> anyhow::Result<(HttpServer, [(&'static str, &'static str); 2])> {
    let auth = Auth::Basic("ada".into(), "hunter2".into());
    let server = HttpServer::start(bench.root(), Served::only(auth)).await?;
    Ok((server, [("username", "ada"), ("password", "hunter2")]))
}

#[test]
fn a_hook_that_declines_is_quoted_in_one_line_and_tells_no_secret() {
    scenario(async {
        let bench = Bench::new()?;
        let repo = bench.writable("app.git")?;
        let (server, user) = with_login(&bench).await?;
        let remote = remote(&server.url("app.git"), &user);
        let script =
            "echo 'No commits on a Friday,' >&2\nprintf 'ada:hunter2!\\033[31m\\n' >&2\nexit 1";
        hook(&repo, "pre-receive", script)?;
        let (error, told) = bench.refusal(&remote, change()).await;
        assert!(matches!(error, Error::Declined { .. }), "{error:?}");
        assert_eq!(
            (told.reason, told.turn),
            (Reason::PushRejected, Turn::Retry)
        );
        let want = "declined the commit for branch \"main\": pre-receive hook declined: No \
                    commits on a Friday, ada:***! [31m";
        assert!(told.message.ends_with(want), "{told}");
        let endless =
            "i=0; while [ $i -lt 3000 ]; do echo \"word $i\" >&2; i=$((i+1)); done; exit 1";
        hook(&repo, "pre-receive", endless)?;
        let (_, told) = bench.refusal(&remote, change()).await;
        assert!(told.message.len() < 1000, "{told}");
        hook(
            &repo,
            "pre-receive",
            "echo 'main is a protected branch' >&2; exit 1",
        )?;
        let (error, told) = bench.refusal(&remote, change()).await;
        assert!(matches!(error, Error::Protected { .. }), "{error:?}");
        assert!(told.hint.is_some_and(|hint| hint.contains("pull request")));
        assert_eq!(git(repo.bare(), ["rev-list", "--count", "main"])?, "1");
        hook(&repo, "pre-receive", "echo 'have a nice day' >&2")?;
        let outcome = bench.push(&remote, change(), writes(&[("a", "x")])).await?;
        assert!(matches!(outcome, Outcome::Pushed { .. }));
        assert!(server.seen().iter().all(|seen| seen.credential));
        sound(&repo)
    });
}

#[test]
fn push_options_reach_the_hook_or_are_an_error() {
    scenario(async {
        let bench = Bench::new()?;
        let repo = bench.writable("app.git")?;
        let server = plain(&bench).await?;
        let remote = remote(&server.url("app.git"), &[]);
        let what = || Push {
            options: vec![
                "ci.skip".to_owned(),
                "merge_request.title=Two words".to_owned(),
            ],
            ..change()
        };
        let (error, told) = bench.refusal(&remote, what()).await;
        assert!(matches!(error, Error::NoOptions(_)), "{error:?}");
        assert_eq!(told.turn, Turn::Owner);
        git(
            repo.bare(),
            ["config", "receive.advertisePushOptions", "true"],
        )?;
        let script = "printf '%s|' \"$GIT_PUSH_OPTION_COUNT\" \"$GIT_PUSH_OPTION_0\" \
                      \"$GIT_PUSH_OPTION_1\" > heard";
        hook(&repo, "pre-receive", script)?;
        bench.push(&remote, what(), writes(&[("a", "x")])).await?;
        let heard = std::fs::read_to_string(repo.bare().join("heard"))?;
        assert_eq!(heard, "2|ci.skip|merge_request.title=Two words|");
        Ok(())
    });
}

#[test]
fn a_server_that_does_not_let_us_write_or_in_says_so() {
    scenario(async {
        let bench = Bench::new()?;
        let repo = bench.repo("app.git")?;
        let (server, user) = with_login(&bench).await?;
        let known = remote(&server.url("app.git"), &user);
        // Reading is allowed, and git's server takes nothing from the web unless it is told to.
        let (error, told) = bench.refusal(&known, change()).await;
        assert!(matches!(error, Error::ReadOnly { .. }), "{error:?}");
        assert!(
            told.message
                .contains("may not be written to: it answered 403"),
            "{told}"
        );
        assert_eq!(told.turn, Turn::Retry);
        let stranger = remote(&server.url("app.git"), &[("username", "eve")]);
        let (_, told) = bench.refusal(&stranger, change()).await;
        assert_eq!(told.reason, Reason::AuthenticationFailed);
        let gone = remote(&server.url("gone.git"), &user);
        let (_, told) = bench.refusal(&gone, change()).await;
        assert!(told.message.contains("repository not found"), "{told}");
        let denied = Arc::new(remote_of(&server.url("app.git"), &user));
        let (_, told) = bench.refusal(&denied, change()).await;
        assert!(told.message.contains("such hosts are refused"), "{told}");
        server.gone().await;
        let (error, told) = bench.refusal(&known, change()).await;
        assert!(matches!(error, Error::Fetch(_)), "{error:?}");
        assert_eq!(told.turn, Turn::Ours);
        assert_eq!(git(repo.bare(), ["rev-list", "--count", "main"])?, "1");
        Ok(())
    });
}

#[test]
fn what_is_too_large_is_refused_by_us_or_by_the_server_and_told_as_such() {
    scenario(async {
        let bench = Bench::new()?;
        let repo = bench.writable("app.git")?;
        let server = plain(&bench).await?;
        let remote = remote(&server.url("app.git"), &[]);
        let large = |length| {
            let noise = noise(length);
            move |_: Option<&Snapshot>| Ok(Edits::new().write("large", noise.clone()))
        };
        git(repo.bare(), ["config", "receive.maxInputSize", "100000"])?;
        let refused = bench.push(&remote, change(), large(300_000)).await;
        let refused = refused.expect_err("the server has no room");
        assert!(matches!(refused, Error::Quota { .. }), "{refused:?}");
        git(repo.bare(), ["config", "receive.maxInputSize", "0"])?;
        let refused = bench.push(&remote, change(), large(17 << 20)).await;
        let told = Explained::of(&refused.expect_err("it is too large"));
        let want = "what changes is larger than the 16 MiB that one commit may have";
        assert_eq!(told.message, want);
        let tight = Bench {
            limits: Limits {
                file_bytes: 1000,
                ..Limits::default()
            },
            ..Bench::new()?
        };
        let refused = tight.push(&remote, change(), large(1001)).await;
        let told = Explained::of(&refused.expect_err("it is too large"));
        assert!(
            told.message
                .starts_with("a file is larger than the 1000 bytes"),
            "{told}"
        );
        // What only just fits does: more than one piece, and more than one window.
        bench.push(&remote, change(), large(15 << 20)).await?;
        let server = SshServer::start(bench.root(), SshOptions::default())?;
        let remote = over_ssh(&server, "app.git")?;
        bench.push(&remote, change(), large(14 << 20)).await?;
        sound(&repo)
    });
}

#[test]
fn nothing_is_written_through_a_link_or_over_a_directory_or_outside() {
    scenario(async {
        let bench = Bench::new()?;
        let repo = bench.writable("app.git")?;
        std::os::unix::fs::symlink("/etc", repo.work().join("etc"))?;
        std::os::unix::fs::symlink("app.yaml", repo.work().join("same"))?;
        repo.publish("dir/x", "x")?;
        let server = plain(&bench).await?;
        let remote = remote(&server.url("app.git"), &[]);
        for path in [
            "etc/passwd",
            "etc",
            "same",
            "dir",
            "dir/x/y",
            "../app.git/config",
            "/etc/passwd",
            ".git/config",
            "dir/.GIT/hooks/pre-commit",
            "git~1/config",
        ] {
            let edit = move |_: Option<&Snapshot>| Ok(Edits::new().write(path, "x"));
            let refused = bench.push(&remote, change(), edit).await;
            let refused = refused.expect_err(path);
            let of_ours = matches!(
                refused,
                Error::Commit(commit::Error::Path { .. } | commit::Error::InTheWay { .. })
            );
            assert!(of_ours, "{path}: {refused:?}");
        }
        assert!(
            !server
                .seen()
                .iter()
                .any(|seen| seen.path.contains("receive-pack"))
        );
        assert_eq!(git(repo.bare(), ["rev-list", "--count", "main"])?, "2");
        Ok(())
    });
}

#[test]
fn an_edit_that_cannot_be_made_is_told_as_its_own_and_nobody_is_asked() {
    scenario(async {
        let bench = Bench::new()?;
        let _repo = bench.writable("app.git")?;
        let server = plain(&bench).await?;
        let remote = remote(&server.url("app.git"), &[]);
        let why = Explained::new(
            Reason::BuildFailed,
            Turn::Source,
            "there is nothing to edit",
        );
        let edit = {
            let why = why.clone();
            move |_: Option<&Snapshot>| Err(why.clone())
        };
        let refused = bench.push(&remote, change(), edit).await;
        assert_eq!(Explained::of(&refused.expect_err("it says no")), why);
        let odd = Push {
            branch: "no such\nbranch".to_owned(),
            ..change()
        };
        assert!(!server.seen().is_empty());
        let (error, _) = bench.refusal(&remote, odd).await;
        assert!(matches!(error, Error::Asked { .. }), "{error:?}");
        assert_eq!(server.seen().len(), 0);
        Ok(())
    });
}

#[test]
fn a_server_that_does_not_speak_as_git_does_is_told_as_such() {
    scenario(async {
        let bench = Bench::new()?;
        let repo = bench.writable("app.git")?;
        let server = Arc::new(plain(&bench).await?);
        let remote = remote(&server.url("app.git"), &[]);
        for fault in [
            Fault::Status(500),
            Fault::Status(200),
            Fault::Endless,
            Fault::Cut(40),
        ] {
            let edit = {
                let (server, fault) = (Arc::clone(&server), fault.clone());
                // Fetching is done by then.
                move |below: Option<&Snapshot>| {
                    server.fault(fault.clone());
                    writes(&[("a", "x")])(below)
                }
            };
            let refused = bench.push(&remote, change(), edit).await;
            server.fault(Fault::None);
            let refused = refused.expect_err("no report came");
            let cause = matches!(
                refused,
                Error::Transfer(
                    Cause::Http { .. }
                        | Cause::Protocol { .. }
                        | Cause::Unreachable { .. }
                        | Cause::TooMuch { .. }
                )
            );
            assert!(cause, "{fault:?}: {refused:?}");
        }
        assert_eq!(git(repo.bare(), ["rev-list", "--count", "main"])?, "1");
        Ok(())
    });
}
