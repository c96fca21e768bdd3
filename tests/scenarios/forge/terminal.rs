//! `reeve plugin run` with a provider: an operation typed at a terminal, at a real Gitea.

use std::path::Path;

use anyhow::ensure;
use reeve_tests::gitea::OWNER;
use reeve_tests::scenario;
use serde_json::{Value, json};

use super::Forge;
use crate::command::reeve;

/// What is said: the exit code, stdout and stderr.
fn said(arguments: &[&str], dir: &Path) -> anyhow::Result<(Option<i32>, String, String)> {
    let component = reeve_tests::root().join("target/plugins/gitea-provider.wasm");
    let component = component.display().to_string();
    let done = reeve(&[&["plugin", "run", &component], arguments].concat(), dir)?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ok((done.status.code(), text(&done.stdout), text(&done.stderr)))
}

#[test]
fn an_operation_at_a_terminal_is_carried_out_as_the_controller_would_and_tells_no_secret() {
    scenario(async {
        let desk = Forge::shared().await?.desk("terminal").await?;
        let (dir, host) = (tempfile::tempdir()?, desk.forge.gitea.host());
        let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text);
        let asked = |task: Value| json!({"task": task, "repository": desk.url()}).to_string();
        write("token", &format!("{}\n", desk.token))?;
        write("hook-secret", super::SIGNATURE)?;
        write("login.json", &asked(json!({"git-credential": false})))?;
        let hook = json!({"webhook-present": {
            "url": "http://127.0.0.1:9/hook", "secret": "webhook", "events": ["push"],
        }});
        write("hook.yaml", &asked(hook))?;
        let granted = [
            "--grant-host",
            &host,
            "--slot",
            "token=@token",
            "--plain-http",
        ];

        let login = [&["--operation", "login.json"], &granted[..]].concat();
        let (code, told, log) = said(&login, dir.path())?;
        ensure!(code == Some(0), "{log}");
        let want = json!({"credential": {
            "username": OWNER, "password": "{{token}}", "expires-at": null,
        }});
        ensure!(serde_json::from_str::<Value>(&told)? == want, "{told}");
        ensure!(!told.contains(&desk.token) && !log.contains(&desk.token));

        let slots = ["--slot", "webhook=@hook-secret", "--operation", "hook.yaml"];
        let (code, told, log) = said(&[&slots, &granted[..]].concat(), dir.path())?;
        ensure!(code == Some(0) && told.contains("present"), "{log}");
        let hooks = desk.gitea("hooks").await?;
        ensure!(
            hooks[0]["config"]["url"] == "http://127.0.0.1:9/hook",
            "{hooks}"
        );
        Ok(())
    });
}

#[test]
fn an_operation_at_a_terminal_goes_nowhere_that_is_not_granted_and_says_what_is_missing() {
    scenario(async {
        let desk = Forge::shared().await?.desk("terminal-refusals").await?;
        let (dir, host) = (tempfile::tempdir()?, desk.forge.gitea.host());
        let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text);
        write("token", "no-token-of-anybody")?;
        let asked = json!({"task": {"git-credential": false}, "repository": desk.url()});
        write("login.json", &asked.to_string())?;
        write("wrong.yaml", "api: 1\n")?;
        let operation = ["--operation", "login.json"];
        let token = ["--slot", "token=@token"];
        let grant = ["--grant-host", &*host];
        let everything = [&operation[..], &token, &grant, &["--plain-http"]].concat();
        for (arguments, code, words) in [
            (
                [&operation[..], &token].concat(),
                1,
                "which is not granted to it",
            ),
            (
                [&operation[..], &token, &grant].concat(),
                1,
                "over plain http",
            ),
            (
                [&operation[..], &grant, &["--plain-http"]].concat(),
                1,
                "slot",
            ),
            (everything.clone(), 1, "refuses: "),
            (
                [&everything[..], &["--config", "wrong.yaml"]].concat(),
                1,
                "the config is not what the component asks for: /api: value is not of type \"string\"",
            ),
            (
                [&everything[..], &["--slot", "other=@token"]].concat(),
                1,
                "slot other is not filled: the component asks for token, webhook",
            ),
            (
                [&operation[..], &["--slot", "token=hunter22"]].concat(),
                2,
                "write NAME=@FILE",
            ),
            (Vec::new(), 1, "is a provider"),
        ] {
            let (got, told, log) = said(&arguments, dir.path())?;
            ensure!(
                got == Some(code) && told.is_empty() && log.contains(words),
                "{arguments:?}: {got:?} {told} {log}"
            );
            ensure!(!log.contains("no-token-of-anybody"), "{log}");
        }
        Ok(())
    });
}
