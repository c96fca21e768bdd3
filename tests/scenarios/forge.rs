//! The provider for Gitea against a real Gitea: what it says is done is done, and what is done is not done again.
//!
//! The component runs in the sandbox, its requests are made by the forge room. Whether a thing is there is asked of Gitea, or git.

use std::sync::Arc;

use anyhow::{Context as _, anyhow, ensure};
use listener::Listener;
use reeve::clock::Clock;
use reeve::forge::words::{
    CommitState, CommitStatus, DeployKey, Done, Operation, PullRequest, Task, Webhook,
};
use reeve::forge::{Asks, Error, Grant, HostPattern, Limits, Outcome, Provider, Slot, repository};
use reeve::git::{Egress, Tls};
use reeve_api::name::Secret;
use reeve_core::failure::chain;
use reeve_tests::git::{KeyKind, git, keypair};
use reeve_tests::gitea::{Gitea, OWNER};
use reeve_tests::{scenario, secrecy};
use reeve_wasm::{Budget, Module, Sandbox, Settings, World};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::sync::OnceCell;

mod hostile;
mod listener;
mod login;
mod played;
mod terminal;
mod upkeep;

/// What webhooks are signed with here.
const SIGNATURE: &str = "what-hooks-are-signed-with";
/// What the token needs, as the plugin's README says.
const SCOPES: &str = "write:repository,write:issue,read:user";

/// The provider's component, loaded, and what it asks for.
struct Guest {
    module: Module,
    asks: Arc<Asks>,
}

impl Guest {
    async fn load() -> anyhow::Result<Self> {
        let component = reeve_tests::root().join("target/plugins/gitea-provider.wasm");
        let component = std::fs::read(component).context("`make plugins` builds it")?;
        let facts = reeve_wasm::facts(&component, Settings::default().component)?;
        let sandbox = Sandbox::new(Settings::default())?;
        Ok(Self {
            module: sandbox.load("acme", &component, World::Provider).await?,
            asks: Arc::new(Asks::parse(facts.manifest.as_ref())?),
        })
    }
}

/// The provider, granted these hosts and no others, with a token for them.
fn granted(guest: &Guest, hosts: &[&str], token: &str) -> anyhow::Result<Provider> {
    let hosts: Result<Vec<HostPattern>, _> = hosts.iter().map(|host| host.parse()).collect();
    let hosts = hosts?;
    let slot = |value: &str| Slot {
        value: Secret::new(value),
        hosts: hosts.clone(),
    };
    let slots = [("token", slot(token)), ("webhook", slot(SIGNATURE))];
    Ok(Provider {
        name: "gitea".into(),
        whose: String::new(),
        asks: Arc::clone(&guest.asks),
        slots: slots.map(|(name, slot)| (name.to_owned(), slot)).into(),
        grant: Arc::new(Grant { hosts, http: true }),
        egress: Arc::new(Egress::new(vec!["127.0.0.0/8".parse()?])),
        tls: Tls::default(),
        limits: Limits::default(),
        clock: Clock::system(),
        pauses: Arc::default(),
        answers: Arc::default(),
    })
}

/// The Gitea that these scenarios share, and the provider, loaded once.
pub(crate) struct Forge {
    pub(crate) gitea: Gitea,
    guest: Guest,
}

impl Forge {
    pub(crate) async fn shared() -> anyhow::Result<&'static Self> {
        static SHARED: OnceCell<Result<Forge, String>> = OnceCell::const_new();
        let made = SHARED
            .get_or_init(|| async { Self::start().await.map_err(|why| format!("{why:?}")) })
            .await;
        made.as_ref().map_err(|why| anyhow!("{why}"))
    }

    async fn start() -> anyhow::Result<Self> {
        secrecy::used(SIGNATURE);
        Ok(Self {
            gitea: Gitea::start().await?,
            guest: Guest::load().await?,
        })
    }

    fn provider(&self, token: &str) -> anyhow::Result<Provider> {
        granted(&self.guest, &[&self.gitea.host()], token)
    }

    /// A provider for one new repository.
    async fn desk(&self, name: &str) -> anyhow::Result<Desk<'_>> {
        self.gitea.create_repo(name).await?;
        let token = self.gitea.token(name, SCOPES)?;
        Ok(Desk {
            forge: self,
            provider: self.provider(&token)?,
            token,
            name: name.to_owned(),
        })
    }
}

/// What a scenario works at: a repository, and a provider with the rights that its README asks for.
struct Desk<'a> {
    forge: &'a Forge,
    provider: Provider,
    token: String,
    name: String,
}

impl Desk<'_> {
    fn url(&self) -> String {
        self.forge.gitea.url(&format!("{OWNER}/{}.git", self.name))
    }

    async fn attempt(&self, provider: &Provider, task: Task) -> Result<Outcome, Error> {
        let operation = Operation {
            task,
            repository: repository(&self.url()).expect("a URL"),
            config: "{}".into(),
            slots: Vec::new(),
        };
        let budget = Budget::default();
        provider
            .ask(&self.forge.guest.module, "acme", &budget, operation)
            .await
    }

    async fn ask(&self, task: Task) -> anyhow::Result<Outcome> {
        Ok(self.attempt(&self.provider, task).await?)
    }

    /// Asks twice; the second time changes nothing, so it only looks.
    async fn settle(&self, task: Task, looks: usize) -> anyhow::Result<Done> {
        let first = self.ask(task.clone()).await?;
        let again = self.ask(task.clone()).await?;
        ensure!(first.done == again.done, "{first:?}, then {again:?}");
        let only_looks = again.requests == looks && !again.changed;
        ensure!(only_looks, "{task:?} again: {again:?}");
        Ok(first.done)
    }

    async fn refusal(&self, provider: &Provider, task: Task) -> String {
        let why = self.attempt(provider, task).await.expect_err("a refusal");
        chain(&why)
    }

    /// What Gitea itself has of the repository: `hooks`.
    async fn gitea(&self, path: &str) -> anyhow::Result<Value> {
        let path = format!("repos/{OWNER}/{}/{path}", self.name);
        self.forge.gitea.get(&path).await
    }
}

fn key(title: &str, public: &str, writable: bool) -> Task {
    Task::DeployKeyPresent(DeployKey {
        title: title.into(),
        public_key: public.trim().into(),
        writable,
    })
}

fn hook(url: &str, events: &[&str]) -> Task {
    Task::WebhookPresent(Webhook {
        url: url.into(),
        secret: "webhook".into(),
        events: events.iter().map(|event| (*event).to_owned()).collect(),
    })
}

#[test]
fn a_credential_of_the_forges_provider_is_one_that_git_is_let_in_with() {
    scenario(async {
        let desk = Forge::shared().await?.desk("credential").await?;
        let outcome = desk.ask(Task::GitCredential(false)).await?;
        let login = outcome.credential.as_ref().context("a credential")?;
        assert_eq!(login.user, OWNER);
        let (dir, url) = (tempfile::tempdir()?, desk.url());
        let with = url.replacen(
            "://",
            &format!("://{}:{}@", login.user, login.password.expose()),
            1,
        );
        assert!(git(dir.path(), ["ls-remote", &with])?.contains("refs/heads/main"));
        assert!(
            git(dir.path(), ["ls-remote", &url]).is_err(),
            "it is private"
        );
        assert!(!format!("{outcome:?}").contains(&desk.token), "it is told");
        Ok(())
    });
}

impl Desk<'_> {
    /// Fetches over ssh with a private key, as git does.
    fn fetch(&self, private: &str) -> anyhow::Result<()> {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir()?;
        let (id, hosts) = (dir.path().join("id"), dir.path().join("known_hosts"));
        std::fs::write(&id, private)?;
        std::fs::set_permissions(&id, std::fs::Permissions::from_mode(0o600))?;
        std::fs::write(&hosts, self.forge.gitea.known_hosts()?)?;
        let ssh = format!(
            "core.sshCommand=ssh -F none -i {} -o IdentitiesOnly=yes -o BatchMode=yes \
             -o UserKnownHostsFile={} -o StrictHostKeyChecking=yes",
            id.display(),
            hosts.display()
        );
        let url = self
            .forge
            .gitea
            .ssh_url(&format!("{OWNER}/{}.git", self.name));
        git(dir.path(), ["-c", &ssh, "clone", "--quiet", &url, "clone"])?;
        ensure!(dir.path().join("clone/README.md").is_file(), "nothing came");
        Ok(())
    }
}

#[test]
fn a_deploy_key_lets_its_owner_fetch_until_it_is_replaced_or_taken_away() {
    scenario(async {
        let desk = Forge::shared().await?.desk("deploy-key").await?;
        let dir = tempfile::tempdir()?;
        let (first, public) = keypair(&dir.path().join("a"), KeyKind::Ed25519, "")?;
        let (second, other) = keypair(&dir.path().join("b"), KeyKind::Ed25519, "")?;
        assert!(desk.fetch(&first).is_err(), "nobody let it in");
        desk.settle(key("reeve", &public, false), 1).await?;
        desk.fetch(&first)?;
        let keys = desk.gitea("keys").await?;
        assert_eq!(keys.as_array().map(Vec::len), Some(1));
        assert_eq!(
            (&keys[0]["title"], &keys[0]["read_only"]),
            (&json!("reeve"), &json!(true))
        );
        desk.settle(key("reeve", &other, true), 1).await?;
        desk.fetch(&second)?;
        assert!(desk.fetch(&first).is_err(), "it was replaced");
        let keys = desk.gitea("keys").await?;
        assert_eq!(keys.as_array().map(Vec::len), Some(1));
        assert_eq!(keys[0]["read_only"], json!(false));

        let why = desk
            .refusal(&desk.provider, key("another", &other, true))
            .await;
        assert!(
            why.contains("already been added to this repository"),
            "{why}"
        );
        let why = desk
            .refusal(&desk.provider, key("broken", "ssh-ed25519 AAAA", true))
            .await;
        assert!(why.contains("422"), "{why}");

        desk.settle(Task::DeployKeyAbsent("reeve".into()), 1)
            .await?;
        assert!(desk.fetch(&second).is_err(), "it was taken away");
        Ok(())
    });
}

impl Desk<'_> {
    /// Hooks of this address that nobody meant, and more of others than a page has.
    async fn clutter(&self, url: &str) -> anyhow::Result<()> {
        let path = format!("repos/{OWNER}/{}/hooks", self.name);
        for number in 0..55 {
            let url = match number {
                20 | 53 => url.to_owned(),
                _ => format!("{url}/other/{number}"),
            };
            let wanted = json!({
                "type": "gitea", "active": number != 20, "events": ["push", "fork"],
                "config": {"url": url, "content_type": "form"},
            });
            let gitea = &self.forge.gitea;
            let (status, said) = gitea.ask(Method::POST, &path, Some(wanted)).await?;
            ensure!(status.is_success(), "{said}");
        }
        Ok(())
    }

    async fn check(&self, url: &str, looks: usize) -> anyhow::Result<(bool, bool)> {
        match self.settle(Task::WebhookCheck(url.into()), looks).await? {
            Done::Webhook(state) => Ok((state.present, state.active)),
            done => Err(anyhow!("{done:?}")),
        }
    }
}

#[test]
fn a_webhook_is_there_once_however_many_there_were() {
    scenario(async {
        let desk = Forge::shared().await?.desk("hooks").await?;
        let url = "http://127.0.0.1:9/hook";
        assert_eq!(desk.check(url, 1).await?, (false, false));
        desk.clutter(url).await?;
        assert_eq!(desk.check(url, 1).await?, (true, false));
        let all_events = ["push", "tag", "pull-request"];
        desk.settle(hook(url, &all_events), 2).await?;
        desk.settle(hook(url, &["push"]), 2).await?;
        assert_eq!(desk.check(url, 1).await?, (true, true));

        let (first, second) = (
            desk.gitea("hooks?page=1").await?,
            desk.gitea("hooks?page=2").await?,
        );
        let all: Vec<&Value> = [&first, &second]
            .into_iter()
            .filter_map(Value::as_array)
            .flatten()
            .collect();
        let ours: Vec<_> = all
            .iter()
            .filter(|hook| hook["config"]["url"] == url)
            .collect();
        assert_eq!(
            (all.len(), ours.len()),
            (54, 1),
            "the second went, no other"
        );
        assert_eq!(ours[0]["events"], json!(["push"]));
        assert_eq!(ours[0]["config"]["content_type"], "json");
        desk.settle(Task::WebhookAbsent(url.into()), 2).await?;
        assert_eq!(desk.check(url, 2).await?, (false, false));
        Ok(())
    });
}

#[test]
fn a_webhook_is_called_and_signed_with_what_its_slot_holds() {
    scenario(async {
        let desk = Forge::shared().await?.desk("webhook").await?;
        let listener = Listener::start().await?;
        desk.settle(hook(listener.url(), &["push"]), 1).await?;
        let commit = desk.forge.gitea.write("webhook", "main", "pushed").await?;
        let call = listener.next().await?;
        assert!(call.body.contains(&commit), "{}", call.body);
        assert!(call.is_signed_with(SIGNATURE), "{call:?}");
        assert!(!call.is_signed_with("something-else"));
        Ok(())
    });
}

#[test]
fn a_status_stands_beside_its_commit_once() {
    scenario(async {
        let desk = Forge::shared().await?.desk("status").await?;
        let commit = desk.forge.gitea.write("status", "main", "file").await?;
        let status = |state: CommitState, description: &str| {
            Task::CommitStatus(CommitStatus {
                commit: commit.clone(),
                state,
                context: "reeve/acme/shop".into(),
                description: description.into(),
                target_url: "https://reeve.example/acme/shop".into(),
            })
        };
        desk.settle(status(CommitState::Pending, "on its way"), 1)
            .await?;
        desk.settle(status(CommitState::Success, "applied"), 1)
            .await?;
        let all = desk.gitea(&format!("commits/{commit}/statuses")).await?;
        assert_eq!(all.as_array().map(Vec::len), Some(2), "each was told once");
        let told = desk.gitea(&format!("commits/{commit}/status")).await?;
        assert_eq!(told["state"], "success");
        assert_eq!(told["statuses"][0]["description"], "applied");
        let nowhere = Task::CommitStatus(CommitStatus {
            commit: "0".repeat(40),
            state: CommitState::Error,
            context: "reeve".into(),
            description: String::new(),
            target_url: String::new(),
        });
        let why = desk.refusal(&desk.provider, nowhere).await;
        assert!(why.contains("commit"), "{why}");
        Ok(())
    });
}

#[test]
fn a_pull_request_is_opened_once_and_then_brought_up_to_date() {
    scenario(async {
        let desk = Forge::shared().await?.desk("pull").await?;
        desk.forge
            .gitea
            .write("pull", "reeve/update", "file")
            .await?;
        let pull = |head: &str, title: &str, labels: &[&str]| {
            Task::PullRequest(PullRequest {
                head: head.into(),
                base: "main".into(),
                title: title.into(),
                body: "Two lines\nof *Markdown*.".into(),
                labels: labels.iter().map(|label| (*label).to_owned()).collect(),
                reviewers: Vec::new(),
            })
        };
        let branch = "reeve/update";
        let opened = desk.settle(pull(branch, "Update the shop", &[]), 1);
        let opened = opened.await?;
        let Done::PullRequest(opened) = opened else {
            anyhow::bail!("{opened:?}");
        };
        assert!(
            opened.url.ends_with(&format!("/pulls/{}", opened.number)),
            "{}",
            opened.url
        );
        let again = pull(branch, "Update the shop again", &["reeve", "two words"]);
        desk.settle(again, 1).await?;
        let all = desk.gitea("pulls?state=all").await?;
        assert_eq!(all.as_array().map(Vec::len), Some(1));
        assert_eq!(all[0]["title"], "Update the shop again");
        assert_eq!(all[0]["body"], "Two lines\nof *Markdown*.");
        let labels = all[0]["labels"]
            .as_array()
            .map(Vec::as_slice)
            .unwrap_or_default();
        let mut labels: Vec<_> = labels.iter().map(|label| label["name"].as_str()).collect();
        labels.sort_unstable();
        assert_eq!(labels, [Some("reeve"), Some("two words")]);

        desk.settle(Task::PullRequestAbsent(branch.into()), 1)
            .await?;
        assert_eq!(desk.gitea("pulls?state=open").await?, json!([]));
        let nothing = pull("no-such-branch", "Nothing", &[]);
        let why = desk.refusal(&desk.provider, nothing).await;
        assert!(why.contains("opening the pull request"), "{why}");
        Ok(())
    });
}

#[test]
fn a_token_that_is_wrong_or_may_too_little_is_refused_in_words_that_say_what_to_do() {
    scenario(async {
        let forge = Forge::shared().await?;
        let desk = forge.desk("rights").await?;
        let wrong = forge.provider("0123456789abcdef0123456789abcdef01234567")?;
        let weak = forge.gitea.token("weak", "read:user")?;
        let weak = forge.provider(&weak)?;
        for (provider, task, words) in [
            (
                &wrong,
                Task::GitCredential(false),
                "127.0.0.1 does not take the token",
            ),
            (
                &wrong,
                hook("https://reeve.example/", &["push"]),
                "put a valid access token into the slot `token`",
            ),
            (
                &weak,
                Task::DeployKeyAbsent("reeve".into()),
                "the token may not do this at 127.0.0.1: listing the deploy keys",
            ),
            (
                &weak,
                hook("https://reeve.example/", &["merge"]),
                "Gitea has no event \"merge\"",
            ),
        ] {
            let why = desk.refusal(provider, task).await;
            assert!(why.contains(words), "{why}");
            assert!(!why.contains("01234567"), "{why}");
        }
        let gone = Desk {
            name: "no-such-repo".into(),
            forge,
            provider: forge.provider(&desk.token)?,
            token: String::new(),
        };
        let why = gone
            .refusal(&gone.provider, Task::DeployKeyAbsent("reeve".into()))
            .await;
        assert!(
            why.contains("127.0.0.1 knows nothing of ada/no-such-repo"),
            "{why}"
        );
        Ok(())
    });
}
