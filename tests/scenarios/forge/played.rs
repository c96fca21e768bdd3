//! The providers for GitHub and GitLab against forges that are played, and these against clients that others wrote.
//!
//! Which of the two is held against what the forge publishes, and which against a client's types, `reeve_tests::forges` says.

use std::process::Stdio;

use anyhow::{Context as _, ensure};
use reeve::forge::words::{CommitState, CommitStatus, Done, Operation, PullRequest, Task};
use reeve::forge::{Asks, Error, Outcome, Provider, repository};
use reeve_core::failure::chain;
use reeve_tests::forges::{Fake, published};
use reeve_tests::git::{KeyKind, keypair};
use reeve_tests::{scenario, secrecy};
use reeve_wasm::{Budget, Module, Sandbox, Settings, World};
use serde_json::{Value, json};
use tokio::process::Command;

use super::{Guest, SIGNATURE, granted, hook, key};

async fn loaded(name: &str) -> anyhow::Result<(Module, Asks)> {
    let component = reeve_tests::root().join(format!("target/plugins/{name}.wasm"));
    let component = std::fs::read(component).context("`make plugins` builds it")?;
    let facts = reeve_wasm::facts(&component, Settings::default().component)?;
    let sandbox = Sandbox::new(Settings::default())?;
    let module = sandbox.load("acme", &component, World::Provider).await?;
    Ok((module, Asks::parse(facts.manifest.as_ref())?))
}

async fn succeeds(mut command: Command) -> anyhow::Result<()> {
    command.stdin(Stdio::null()).kill_on_drop(true);
    let done = tokio::time::timeout(std::time::Duration::from_secs(60), command.output());
    let done = done.await.context("it takes too long")??;
    let said = String::from_utf8_lossy(&done.stderr);
    ensure!(done.status.success(), "{command:?}: {said}");
    Ok(())
}

#[test]
fn the_played_github_is_one_to_githubs_own_client_and_answers_as_it_is_described() {
    scenario(async {
        let forge = Fake::github(&["acme/shop"]).await?;
        let (app, dir) = (forge.app()?, tempfile::tempdir()?);
        let pem = dir.path().join("app.pem");
        std::fs::write(&pem, &app.key)?;
        let mut octokit = Command::new("node");
        octokit.current_dir(published()?).arg("octokit.mjs");
        octokit.args([
            forge.api(),
            app.id.to_string(),
            app.installation.to_string(),
        ]);
        octokit.arg(&pem).args(["acme", "shop"]);
        succeeds(octokit).await?;
        ensure!(forge.asked().len() > 20, "{:?}", forge.asked());
        forge.faults()
    });
}

#[test]
fn the_played_gitlab_is_one_to_a_client_that_others_wrote() {
    scenario(async {
        let forge = Fake::gitlab(&["acme/team/shop"]).await?;
        let mut client = Command::new(published()?.join("gitlab"));
        let tokens = forge.tokens();
        client.arg(forge.api()).args(&tokens).arg("acme/team/shop");
        succeeds(client).await?;
        ensure!(forge.asked().len() > 20, "{:?}", forge.asked());
        // That client asks for more than a provider does, and each of its fields is documented.
        forge.faults()
    });
}

/// A provider at a forge that is played.
struct Bench {
    forge: Fake,
    module: Module,
    provider: Provider,
    repo: &'static str,
    config: Value,
}

impl Bench {
    async fn github() -> anyhow::Result<Self> {
        let forge = Fake::github(&["acme/shop", "acme/other"]).await?;
        let app = forge.app()?;
        let config = json!({
            "api": forge.api(), "appID": app.id, "installationID": app.installation,
        });
        Self::new(
            forge,
            "github-provider",
            ("app-key", &app.key),
            "acme/shop",
            config,
        )
        .await
    }

    async fn gitlab() -> anyhow::Result<Self> {
        let forge = Fake::gitlab(&["acme/team/shop", "acme/team/other"]).await?;
        let token = forge.tokens().pop().context("a token")?;
        let config = json!({"api": forge.api()});
        let slot = ("token", token.as_str());
        Self::new(forge, "gitlab-provider", slot, "acme/team/shop", config).await
    }

    async fn new(
        forge: Fake,
        name: &str,
        (slot, secret): (&str, &str),
        repo: &'static str,
        config: Value,
    ) -> anyhow::Result<Self> {
        secrecy::used(SIGNATURE);
        let (module, asks) = loaded(name).await?;
        let guest = Guest {
            module: module.clone(),
            asks: std::sync::Arc::new(asks),
        };
        let mut provider = granted(&guest, &[&forge.host()], secret)?;
        let filled = provider.slots.remove("token").context("a token")?;
        provider.slots.insert(slot.to_owned(), filled);
        Ok(Self {
            forge,
            module,
            provider,
            repo,
            config,
        })
    }

    async fn attempt(&self, task: Task) -> Result<Outcome, Error> {
        let url = format!("http://{}/{}.git", self.forge.host(), self.repo);
        let operation = Operation {
            task,
            repository: repository(&url).expect("a URL"),
            config: self.config.to_string(),
            slots: Vec::new(),
        };
        let budget = Budget::default();
        self.provider
            .ask(&self.module, "acme", &budget, operation)
            .await
    }

    /// Asks twice; the second time changes nothing, so it only looks.
    async fn settle(&self, task: Task) -> anyhow::Result<Done> {
        let first = self.attempt(task.clone()).await?;
        let before = self.forge.asked().len();
        let again = self.attempt(task.clone()).await?;
        ensure!(first.done == again.done, "{first:?}, then {again:?}");
        let asked = self.forge.asked().split_off(before);
        let looks = |one: &String| one.starts_with("GET ") || one.ends_with("/access_tokens");
        ensure!(asked.iter().all(looks), "{task:?} again: {asked:?}");
        Ok(first.done)
    }

    async fn refusal(&self, task: Task) -> String {
        let why = self.attempt(task).await.expect_err("a refusal");
        chain(&why)
    }

    fn has(&self, what: &'static str) -> Vec<Value> {
        self.forge.has(self.repo, what)
    }

    /// Everything that a provider does at a forge.
    async fn works(&self) -> anyhow::Result<()> {
        self.keys().await?;
        self.hooks().await?;
        let commit = "6dcb09b5b57875f334f61aebed695e2e4193db5e";
        for (state, description) in [
            (CommitState::Pending, "on its way"),
            (CommitState::Success, "applied"),
        ] {
            let status = CommitStatus {
                commit: commit.into(),
                state,
                context: "reeve/acme/shop".into(),
                description: description.into(),
                target_url: "https://reeve.example/acme/shop".into(),
            };
            self.settle(Task::CommitStatus(status)).await?;
        }
        let told = self.has("statuses").pop().context("a status")?;
        ensure!(told["description"] == "applied", "{told}");

        for (title, labels) in [
            ("Update", &[][..]),
            ("Update again", &["reeve", "two words"][..]),
        ] {
            let pull = PullRequest {
                head: "reeve/update".into(),
                base: "main".into(),
                title: title.into(),
                body: "Why.".into(),
                labels: labels.iter().map(|&label| label.to_owned()).collect(),
                reviewers: vec!["ada".into(), "grace".into()],
            };
            let done = self.settle(Task::PullRequest(pull)).await?;
            ensure!(matches!(done, Done::PullRequest(_)), "{done:?}");
        }
        let pulls = self.has("pulls");
        ensure!(pulls.len() == 1, "{pulls:?}");
        ensure!(pulls[0]["title"] == "Update again", "{pulls:?}");
        ensure!(
            pulls[0]["labels"] == json!(["reeve", "two words"]),
            "{pulls:?}"
        );
        let reviewers = pulls[0]["reviewers"].as_array();
        ensure!(reviewers.is_some_and(|all| all.len() == 2), "{pulls:?}");
        // Asked once by GitHub, and looked up once each at GitLab, whatever was updated since.
        let asked = self.forge.asked();
        let about = |end: &str| asked.iter().filter(|one| one.ends_with(end)).count();
        let times = (about("/requested_reviewers"), about("GET /users"));
        ensure!([(1, 0), (0, 2)].contains(&times), "{asked:?}");
        for _ in 0..2 {
            let closed = Task::PullRequestAbsent("reeve/update".into());
            let done = self.settle(closed).await?;
            ensure!(matches!(done, Done::Absent), "{done:?}");
            ensure!(self.has("pulls").is_empty(), "{:?}", self.has("pulls"));
        }
        self.forge.faults()
    }

    async fn keys(&self) -> anyhow::Result<()> {
        let dir = tempfile::tempdir()?;
        let (_, public) = keypair(&dir.path().join("a"), KeyKind::Ed25519, "")?;
        let (_, other) = keypair(&dir.path().join("b"), KeyKind::Ed25519, "")?;
        // More than a page has.
        for number in 0..101 {
            let elses =
                json!({"id": 10_000 + number, "title": "else", "key": format!("ssh-rsa {number}")});
            self.forge
                .by_hand(self.repo, "keys", |keys| keys.push(elses));
        }
        // What is there in part is described in part only.
        self.settle_unheld(key("reeve", &public, false)).await?;
        self.forge.by_hand(self.repo, "keys", |keys| {
            keys.retain(|one| one["title"] == "reeve");
        });
        self.settle(key("reeve", &public, false)).await?;
        self.settle(key("reeve", &public, true)).await?;
        self.settle(key("reeve", &other, true)).await?;
        ensure!(self.has("keys").len() == 1, "{:?}", self.has("keys"));
        let taken = self.refusal(key("another", &other, true)).await;
        ensure!(taken.contains("already"), "{taken}");
        self.settle(Task::DeployKeyAbsent("reeve".into())).await?;
        ensure!(self.has("keys").is_empty(), "{:?}", self.has("keys"));
        Ok(())
    }

    async fn settle_unheld(&self, task: Task) -> anyhow::Result<()> {
        self.settle(task).await?;
        self.forge.forgive();
        Ok(())
    }

    async fn hooks(&self) -> anyhow::Result<()> {
        let url = "https://reeve.example/hook/1";
        self.settle(hook(url, &["push", "tag", "pull-request"]))
            .await?;
        self.settle(hook(url, &["push"])).await?;
        ensure!(self.has("hooks").len() == 1, "{:?}", self.has("hooks"));
        let called = self.settle(Task::WebhookCheck(url.into())).await?;
        let Done::Webhook(state) = called else {
            anyhow::bail!("{called:?}");
        };
        ensure!(state.present && state.active, "{state:?}");
        self.settle(Task::WebhookAbsent(url.into())).await?;
        ensure!(self.has("hooks").is_empty(), "{:?}", self.has("hooks"));
        Ok(())
    }
}

#[test]
fn the_provider_for_github_does_all_that_it_is_asked_as_an_app() {
    scenario(async {
        let bench = Bench::github().await?;
        let outcome = bench.attempt(Task::GitCredential(false)).await?;
        let login = outcome.credential.context("a credential")?;
        ensure!(login.user == "x-access-token", "{}", login.user);
        ensure!(login.expires.is_some(), "it ends");
        ensure!(
            bench.forge.tokens() == [login.password.expose()],
            "another token"
        );
        bench.works().await
    });
}

#[test]
fn the_provider_for_gitlab_does_all_that_it_is_asked() {
    scenario(async {
        let bench = Bench::gitlab().await?;
        let outcome = bench.attempt(Task::GitCredential(true)).await?;
        let login = outcome.credential.context("a credential")?;
        ensure!(login.user == "oauth2", "{}", login.user);
        ensure!(
            bench.forge.tokens() == [login.password.expose()],
            "another token"
        );
        bench.works().await
    });
}

#[test]
fn a_webhook_that_gitlab_has_given_up_is_made_anew() {
    scenario(async {
        let bench = Bench::gitlab().await?;
        let url = "https://reeve.example/hook/1";
        bench.settle(hook(url, &["push"])).await?;
        bench.forge.by_hand(bench.repo, "hooks", |hooks| {
            for hook in hooks {
                hook["alert_status"] = json!("disabled");
            }
        });
        bench.settle(hook(url, &["push"])).await?;
        let hooks = bench.has("hooks");
        ensure!(hooks.len() == 1, "{hooks:?}");
        ensure!(hooks[0]["alert_status"] == "executable", "{hooks:?}");
        bench.forge.faults()
    });
}

#[test]
fn an_app_that_lacks_a_permission_is_told_which() {
    scenario(async {
        let bench = Bench::github().await?;
        bench.forge.forbid("administration");
        let why = bench.refusal(Task::DeployKeyAbsent("reeve".into())).await;
        for words in ["permission administration", "\"Administration\" (write)"] {
            ensure!(why.contains(words), "{why}");
        }
        bench.attempt(Task::GitCredential(false)).await?;
        bench.forge.faults()
    });
}

#[test]
fn an_app_has_one_token_for_each_kind_of_task_and_another_when_that_is_refused() {
    scenario(async {
        let bench = Bench::github().await?;
        bench.keys().await?;
        ensure!(bench.forge.made() == 1, "{:?}", bench.forge.asked());
        // Who looks at a hook may change none.
        bench.hooks().await?;
        ensure!(bench.forge.made() == 3, "{:?}", bench.forge.asked());
        let unchanged = bench.forge.unchanged();
        let lists = |asked: &String| asked.starts_with("GET ") && asked.ends_with("/hooks");
        ensure!(unchanged.iter().any(lists), "{unchanged:?}");

        bench.forge.end_tokens();
        let url = "https://reeve.example/hook/2";
        bench.settle(hook(url, &["push"])).await?;
        ensure!(bench.forge.made() == 4, "{:?}", bench.forge.asked());
        bench.forge.faults()
    });
}

#[test]
fn a_forge_that_has_had_enough_is_left_alone_for_as_long_as_it_says() {
    scenario(async {
        for bench in [Bench::github().await?, Bench::gitlab().await?] {
            bench.forge.limit(1);
            let absent = || Task::DeployKeyAbsent("reeve".into());
            let first = bench.refusal(absent()).await;
            ensure!(first.contains("asks us to wait for 2 seconds"), "{first}");
            let asked = bench.forge.asked().len();
            let second = bench.refusal(absent()).await;
            ensure!(second.contains("asked us to wait"), "{second}");
            ensure!(bench.forge.asked().len() == asked, "it was asked");
            let again = || async { bench.attempt(absent()).await.ok().map(drop) };
            reeve_tests::wait::until(reeve_tests::wait::PATIENCE, "it is asked again", again)
                .await?;
        }
        Ok(())
    });
}
