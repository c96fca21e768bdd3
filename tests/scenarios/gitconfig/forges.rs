//! Entries that speak to a forge: git itself, deploy keys and webhooks with an App or a token that no tenant has a Secret of.

mod proposed;
mod shared_key;
mod shared_login;
mod tokens;

use anyhow::{Context as _, ensure};
use kube::api::{DeleteParams, Patch, PatchParams};
use reeve_tests::forges::{Fake, published};
use reeve_tests::install::CONFIG;
use reeve_tests::objects::{condition, text};
use reeve_tests::wait;
use sha2::Sha256;

use super::*;

const SOURCE_API: &str = "source.toolkit.fluxcd.io/v1";
const RECEIVER_API: &str = "notification.toolkit.fluxcd.io/v1";

/// A forge that is played, with git servers beside it, and a tenant whose level has a login for it.
struct Shop {
    forge: Fake,
    http: HttpServer,
    ssh: SshServer,
    tenant: Tenant<'static>,
    repo: reeve_tests::git::Repo,
    path: String,
    kind: &'static str,
}

impl Shop {
    async fn at_github(name: &str) -> anyhow::Result<Self> {
        Self::open(name, "github", async |path| Fake::github(&[path]).await).await
    }

    async fn at_gitlab(name: &str) -> anyhow::Result<Self> {
        Self::open(name, "gitlab", async |path| Fake::gitlab(&[path]).await).await
    }

    async fn open(
        name: &str,
        kind: &'static str,
        played: impl AsyncFnOnce(&str) -> anyhow::Result<Fake>,
    ) -> anyhow::Result<Self> {
        let shop = Self::without_login(name, kind, played).await?;
        let level = format!("{}-level", shop.tenant.name());
        let file = files(&level, &shop.level()?.to_string());
        shop.tenant.apply(&file).await?;
        let config = json!({"gitConfig": {"kind": "Secret", "name": level}});
        declare(&shop.tenant, &config).await?;
        Ok(shop)
    }

    async fn without_login(
        name: &str,
        kind: &'static str,
        played: impl AsyncFnOnce(&str) -> anyhow::Result<Fake>,
    ) -> anyhow::Result<Self> {
        let estate = estate().await?;
        let tenant = estate.healthy_tenant(name).await?;
        let path = format!("{}-org/shop", tenant.name());
        let repo = estate.repo(&path)?;
        repo.publish("settings.yaml", reeve_tests::tenant::MANIFESTS[0].1)?;
        let forge = played(&path).await?;
        let http = private(estate, forge.lets_in()).await?;
        let ssh = SshServer::start(estate.repositories(), SshOptions::default())?;
        Ok(Self {
            forge,
            http,
            ssh,
            tenant,
            repo,
            path,
            kind,
        })
    }

    /// One entry for https, one for the port of ssh.
    fn level(&self) -> anyhow::Result<Value> {
        let (org, _) = self.path.split_once('/').context("a group")?;
        let places = [
            self.http.url("").trim_end_matches('/').to_owned(),
            format!("ssh://127.0.0.1:{}", self.ssh.port()),
        ];
        let (list, named, auth) = match self.kind {
            "github" => {
                let app = self.forge.app()?;
                let auth = json!({
                    "appID": app.id, "installationID": app.installation, "privateKey": app.key,
                });
                ("gitHubAuths", ("orgRepo", format!("{org}/*")), auth)
            }
            _ => {
                let token = self.forge.tokens().pop().context("a token")?;
                let auth = json!({"accessToken": token});
                ("gitLabAuths", ("groupsProject", format!("{org}:*")), auth)
            }
        };
        let entry = |url: &String| json!({named.0: named.1, "url": url, "api": self.forge.api(), "auth": auth});
        let entries: Vec<Value> = places.iter().map(entry).collect();
        Ok(json!({list: entries}))
    }

    fn named(&self, name: &str, annotations: &Value) -> Value {
        json!({"name": name, "namespace": self.tenant.name(), "annotations": annotations})
    }

    fn api(&self, version: &str, kind: &str) -> Api<DynamicObject> {
        self.tenant.api(version, kind)
    }

    async fn apply_source(
        &self,
        url: &str,
        annotations: &Value,
        more: &Value,
    ) -> anyhow::Result<()> {
        let mut spec = json!({"interval": "1h", "url": url, "ref": {"branch": self.repo.branch()}});
        for (name, value) in more.as_object().into_iter().flatten() {
            spec[name] = value.clone();
        }
        let metadata = self.named("shop", annotations);
        let source = json!({
            "apiVersion": SOURCE_API, "kind": "GitRepository", "metadata": metadata, "spec": spec,
        });
        self.tenant.apply(&source).await
    }

    async fn says(
        &self,
        (version, kind, name): (&str, &str, &str),
        of: &str,
        status: &str,
        words: &str,
    ) -> anyhow::Result<DynamicObject> {
        let seen = |object: &DynamicObject| {
            condition(&object.data, of)
                .is_some_and(|told| told.status == status && told.message.contains(words))
        };
        let what = format!("{of} of {kind} {name} is {status} and says {words:?}");
        wait::for_object(&self.api(version, kind), name, &what, seen).await
    }

    async fn source_says(
        &self,
        of: &str,
        status: &str,
        words: &str,
    ) -> anyhow::Result<DynamicObject> {
        let source = (SOURCE_API, "GitRepository", "shop");
        self.says(source, of, status, words).await
    }

    async fn ask(&self, value: &str) -> anyhow::Result<()> {
        let asked =
            json!({"metadata": {"annotations": {"reconcile.fluxcd.io/requestedAt": value}}});
        let sources = self.api(SOURCE_API, "GitRepository");
        sources
            .patch("shop", &PatchParams::default(), &Patch::Merge(&asked))
            .await?;
        Ok(())
    }

    async fn until_fetched(&self, commit: &str) -> anyhow::Result<()> {
        let newest = |source: &DynamicObject| {
            let revision = text(&source.data, "/status/artifact/revision");
            revision.is_some_and(|revision| revision.ends_with(commit))
        };
        let sources = self.api(SOURCE_API, "GitRepository");
        wait::for_object(&sources, "shop", "the commit is fetched", newest).await?;
        Ok(())
    }

    async fn delete(&self, version: &str, kind: &str, name: &str) -> anyhow::Result<()> {
        let api = self.api(version, kind);
        api.delete(name, &DeleteParams::default()).await?;
        wait::until_gone(&api, name).await
    }

    /// A key is made, put at the forge, opens the repository, and goes with its object.
    async fn keeps_a_key(&self) -> anyhow::Result<()> {
        let hosts = self.ssh.known_hosts(&[KeyKind::Ed25519])?;
        let secret = json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": self.named("shop-key", &json!({})),
            "stringData": {"known_hosts": hosts},
        });
        self.tenant.apply(&secret).await?;
        let asks = json!({"reeve.dev/generate-key": "ed25519", "reeve.dev/provider": "git-config"});
        let more = json!({"secretRef": {"name": "shop-key"}});
        let url = self.ssh.url(&self.path);
        self.apply_source(&url, &asks, &more).await?;
        let source = self.source_says("DeployKeyReady", "True", "").await?;
        let keys = self.forge.has(&self.path, "keys");
        let title = format!("reeve {}/shop SHA256:", self.tenant.name());
        let [key] = keys.as_slice() else {
            anyhow::bail!("{keys:?}");
        };
        ensure!(
            key["title"]
                .as_str()
                .is_some_and(|it| it.starts_with(&title)),
            "{key}"
        );
        ensure!(!pushes(key), "{key}");
        let at_forge = &source.data["status"]["deployKey"]["atForge"][0];
        ensure!(at_forge["provider"] == "git-config", "{at_forge}");

        // What a forge does with a key that it is given.
        self.ssh
            .authorize(&format!("{}\n", key["key"].as_str().unwrap_or_default()))?;
        self.ask("opened").await?;
        self.source_says("Ready", "True", "stored artifact").await?;
        let mut asks = asks;
        asks["reeve.dev/deploy-key"] = json!("read-write");
        self.apply_source(&url, &asks, &more).await?;
        self.is_replaced_by_one_that_pushes(key).await?;
        self.delete(SOURCE_API, "GitRepository", "shop").await?;
        let keys = self.forge.has(&self.path, "keys");
        ensure!(keys.is_empty(), "{keys:?}");
        Ok(())
    }

    /// A key that may push is another one: it stands beside the old one until it has opened the repository.
    async fn is_replaced_by_one_that_pushes(&self, old: &Value) -> anyhow::Result<()> {
        let keys = || self.forge.has(&self.path, "keys");
        let both = || async { Some(keys()).filter(|keys| keys.len() == 2) };
        let two = wait::until(wait::PATIENCE, "both keys are there", both).await?;
        let new = two.iter().find(|key| key["id"] != old["id"]);
        let new = new.context("another key")?;
        ensure!(pushes(new) && two.iter().any(|key| key == old), "{two:?}");
        self.ssh
            .authorize(&format!("{}\n", new["key"].as_str().unwrap_or_default()))?;
        self.ask("proven").await?;
        let one = || async { Some(keys()).filter(|keys| keys.len() == 1) };
        let left = wait::until(wait::PATIENCE, "the old one is gone", one).await?;
        ensure!(left.first() == Some(new), "{left:?}");
        // That is recorded before, and what is gone after.
        let recorded = |source: &DynamicObject| {
            let at_forge = &source.data["status"]["deployKey"]["atForge"];
            at_forge[0]["writable"] == true && at_forge[1].is_null()
        };
        let sources = self.api(SOURCE_API, "GitRepository");
        wait::for_object(&sources, "shop", "it is recorded", recorded).await?;
        Ok(())
    }

    /// A webhook is put at the forge, wakes its source when the forge calls it, and goes with its Receiver.
    async fn keeps_a_hook(&self) -> anyhow::Result<()> {
        let secret = json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": self.named("hook", &json!({})),
            "stringData": {"token": password()},
        });
        self.tenant.apply(&secret).await?;
        let receiver = json!({
            "apiVersion": RECEIVER_API, "kind": "Receiver",
            "metadata": self.named("hook", &json!({"reeve.dev/provider": "git-config"})),
            "spec": {
                "type": self.kind, "interval": "1h", "secretRef": {"name": "hook"},
                "resources": [{"kind": "GitRepository", "name": "shop"}],
            },
        });
        self.tenant.apply(&receiver).await?;
        let receiver = (RECEIVER_API, "Receiver", "hook");
        self.says(receiver, "WebhookReady", "True", "has a webhook")
            .await?;
        let hooks = self.forge.has(&self.path, "hooks");
        let [hook] = hooks.as_slice() else {
            anyhow::bail!("{hooks:?}");
        };
        let commit = self.repo.publish("news.txt", "News.\n")?;
        self.called(hook, &commit).await?;
        self.until_fetched(&commit).await?;
        // Whether it is still there is asked at each run, and what has not changed is not sent again.
        let receivers = self.api(RECEIVER_API, "Receiver");
        for word in ["again", "and again"] {
            let asked =
                json!({"metadata": {"annotations": {"reconcile.fluxcd.io/requestedAt": word}}});
            receivers
                .patch("hook", &PatchParams::default(), &Patch::Merge(&asked))
                .await?;
            let looked = |object: &DynamicObject| {
                text(&object.data, "/status/lastHandledReconcileAt") == Some(word)
            };
            wait::for_object(&receivers, "hook", "it is looked at", looked).await?;
        }
        self.delete(RECEIVER_API, "Receiver", "hook").await?;
        let hooks = self.forge.has(&self.path, "hooks");
        ensure!(hooks.is_empty(), "{hooks:?}");
        let unchanged = self.forge.unchanged();
        let lists = |asked: &String| asked.starts_with("GET ") && asked.ends_with("/hooks");
        ensure!(unchanged.iter().any(lists), "{unchanged:?}");
        Ok(())
    }

    /// Another source of the same repository, with the same Secret.
    async fn shares(&self, name: &str) -> anyhow::Result<()> {
        let asks = json!({"reeve.dev/provider": "git-config"});
        let source = json!({
            "apiVersion": SOURCE_API, "kind": "GitRepository", "metadata": self.named(name, &asks),
            "spec": {
                "interval": "1h", "url": self.ssh.url(&self.path), "secretRef": {"name": "shop-key"},
                "ref": {"branch": self.repo.branch()},
            },
        });
        self.tenant.apply(&source).await
    }

    /// The forge calls, with the payload that it publishes.
    async fn called(&self, hook: &Value, commit: &str) -> anyhow::Result<()> {
        let named = |place: &Value| place.as_str().unwrap_or_default().to_owned();
        let reference = format!("refs/heads/{}", self.repo.branch());
        let (url, headers, body) = if self.kind == "github" {
            let all = std::fs::read(published()?.join("payloads/github/all.json"))?;
            let all: Vec<Value> = serde_json::from_slice(&all)?;
            let push = all.iter().find(|one| one["name"] == "push");
            let mut push = push.context("pushes")?["examples"][0].clone();
            push["ref"] = json!(reference);
            push["after"] = json!(commit);
            push["repository"]["full_name"] = json!(self.path);
            let body = push.to_string();
            let key = named(&hook["config"]["secret"]);
            let signature = signed(key.as_bytes(), body.as_bytes())?;
            let headers = vec![
                ("x-github-event", "push".to_owned()),
                ("x-hub-signature-256", format!("sha256={signature}")),
            ];
            (named(&hook["config"]["url"]), headers, body)
        } else {
            let push = std::fs::read(published()?.join("payloads/gitlab/push.json"))?;
            let mut push: Value = serde_json::from_slice(&push)?;
            push["ref"] = json!(reference);
            push["after"] = json!(commit);
            push["checkout_sha"] = json!(commit);
            push["project"]["path_with_namespace"] = json!(self.path);
            let headers = vec![
                ("x-gitlab-event", "Push Hook".to_owned()),
                ("x-gitlab-token", named(&hook["token"])),
            ];
            (named(&hook["url"]), headers, push.to_string())
        };
        let client = reqwest::Client::builder().no_proxy().build()?;
        let mut call = client.post(url).header("content-type", "application/json");
        for (name, value) in headers {
            call = call.header(name, value);
        }
        call.body(body).send().await?.error_for_status()?;
        Ok(())
    }
}

/// Whether a forge lets a key push, in the words of either.
fn pushes(key: &Value) -> bool {
    key["read_only"] == false || key["can_push"] == true
}

fn signed(key: &[u8], body: &[u8]) -> anyhow::Result<String> {
    use hmac::{Hmac, KeyInit as _, Mac as _};
    let mut mac = Hmac::<Sha256>::new_from_slice(key)?;
    mac.update(body);
    Ok(hex::encode(mac.finalize().into_bytes()))
}

#[test]
fn an_app_of_git_configuration_fetches_puts_a_key_and_a_webhook_and_takes_them_away() {
    scenario(async {
        let shop = Shop::at_github("by-app").await?;
        shop.keeps_a_key().await?;
        let url = shop.http.url(&shop.path);
        shop.apply_source(&url, &json!({}), &json!({})).await?;
        shop.source_says("Ready", "True", "stored artifact").await?;
        // Each fetch asks the git server, and the forge no more until its token is about to end.
        let commit = shop.repo.publish("more.txt", "More.\n")?;
        shop.ask("more").await?;
        shop.until_fetched(&commit).await?;
        let tokens = shop.forge.tokens();
        ensure!(tokens.len() == 1, "{} tokens were made", tokens.len());
        shop.keeps_a_hook().await?;
        shop.forge.faults()
    });
}

#[test]
fn an_app_in_a_secret_in_fluxs_words_fetches_and_its_token_goes_nowhere_else() {
    scenario(async {
        let shop = Shop::at_github("flux-app").await?;
        let app = shop.forge.app()?;
        let (id, installation) = (app.id.to_string(), app.installation.to_string());
        let (org, _) = shop.path.split_once('/').context("a group")?;
        let secret = |more: &Value| {
            let mut data = json!({
                "githubAppID": id, "githubAppPrivateKey": app.key, "githubAppBaseURL": shop.forge.api(),
            });
            for (key, value) in more.as_object().into_iter().flatten() {
                data[key] = value.clone();
            }
            json!({
                "apiVersion": "v1", "kind": "Secret", "metadata": shop.named("app", &json!({})),
                "stringData": data,
            })
        };
        let by_id = secret(&json!({"githubAppInstallationID": installation}));
        shop.tenant.apply(&by_id).await?;
        shop.forge.serve(&shop.http);
        let url = shop.forge.url(&shop.path);
        let more = json!({"provider": "github", "secretRef": {"name": "app"}});
        shop.apply_source(&url, &json!({}), &more).await?;
        shop.source_says("Ready", "True", "stored artifact").await?;
        ensure!(shop.forge.tokens().len() == 1, "one token was made");

        // By whose it is, too: GitHub says which installation that is.
        shop.delete(SOURCE_API, "GitRepository", "shop").await?;
        shop.delete("v1", "Secret", "app").await?;
        let by_owner = secret(&json!({"githubAppInstallationOwner": org}));
        shop.tenant.apply(&by_owner).await?;
        shop.apply_source(&url, &json!({}), &more).await?;
        shop.source_says("Ready", "True", "stored artifact").await?;

        // Without the provider an App is no login.
        let none = json!({"provider": "generic", "secretRef": {"name": "app"}});
        shop.apply_source(&url, &json!({}), &none).await?;
        let words = "has github app data but provider is not set to github";
        shop.source_says("Ready", "False", words).await?;

        // Another server is shown nothing, whoever has changed the address.
        let made = shop.forge.tokens().len();
        for elsewhere in [
            url.replace("127.0.0.1", "localhost"),
            shop.http.url(&shop.path),
        ] {
            shop.apply_source(&elsewhere, &json!({}), &more).await?;
            let (server, _) = elsewhere.split_once(&shop.path).context("its path")?;
            let server = server.trim_end_matches('/');
            let words = format!("its tokens are shown to no other server; spec.url is of {server}");
            shop.source_says("Ready", "False", &words).await?;
        }
        ensure!(
            shop.forge.tokens().len() == made,
            "no token was made for it"
        );
        shop.forge.faults()
    });
}

#[test]
fn a_token_of_gitlab_in_git_configuration_puts_a_key_and_a_webhook_and_takes_them_away() {
    scenario(async {
        let shop = Shop::at_gitlab("by-lab").await?;
        shop.keeps_a_key().await?;
        let url = shop.http.url(&shop.path);
        let asks = json!({"reeve.dev/provider": "git-config"});
        shop.apply_source(&url, &asks, &json!({})).await?;
        shop.source_says("Ready", "True", "stored artifact").await?;
        shop.keeps_a_hook().await?;
        shop.forge.faults()
    });
}

#[test]
fn a_webhook_at_a_source_that_is_kept_for_a_tenant_is_put_with_what_the_tenants_level_gives() {
    scenario(async {
        let shop = Shop::at_gitlab("kept-for").await?;
        let (tenant, name) = (&shop.tenant, format!("{}-forge", shop.tenant.name()));
        is_fetched_from(tenant, &shop.http.url(&shop.path)).await?;
        let metadata = json!({
            "name": name, "namespace": CONFIG, "annotations": {"reeve.dev/provider": "git-config"},
        });
        let secret = json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": CONFIG},
            "stringData": {"token": password()},
        });
        let receiver = json!({
            "apiVersion": RECEIVER_API, "kind": "Receiver", "metadata": metadata,
            "spec": {
                "type": "gitlab", "interval": "1h", "secretRef": {"name": name},
                "resources": [{"kind": "GitRepository", "name": tenant.name()}],
            },
        });
        tenant.apply(&secret).await?;
        tenant.apply(&receiver).await?;
        let admin = estate().await?.admin();
        let receivers = objects::api(admin, RECEIVER_API, "Receiver", Some(CONFIG));
        let put = |object: &DynamicObject| {
            condition(&object.data, "WebhookReady").is_some_and(|told| told.status == "True")
        };
        wait::for_object(&receivers, &name, "its webhook is put", put).await?;
        let hooks = shop.forge.has(&shop.path, "hooks");
        ensure!(hooks.len() == 1, "{hooks:?}");

        receivers.delete(&name, &DeleteParams::default()).await?;
        wait::until_gone(&receivers, &name).await?;
        let hooks = shop.forge.has(&shop.path, "hooks");
        ensure!(hooks.is_empty(), "{hooks:?}");
        shop.forge.faults()
    });
}
