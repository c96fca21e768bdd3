//! Deploy keys and webhooks that follow their objects, in the cluster and at a real Gitea: what is there is asked of Gitea.

mod delivered;
mod later;
mod left;
mod moved;
mod plans;
mod rotation;
mod strays;
mod written;

use std::collections::BTreeSet;

use anyhow::{Context as _, ensure};
use kube::api::{Api, DeleteParams, DynamicObject, Patch, PatchParams};
use reeve_tests::git::{KeyKind, keypair};
use reeve_tests::gitea::OWNER;
use reeve_tests::objects::{condition, text};
use reeve_tests::tenant::Tenant;
use reeve_tests::{Estate, scenario, secrecy, wait};
use reqwest::Method;
use serde_json::{Value, json};

use super::{Desk, Forge};

const OURS: &str = "reeve.dev/v1alpha1";
const SOURCE: &str = "source.toolkit.fluxcd.io/v1";
const RECEIVER: &str = "notification.toolkit.fluxcd.io/v1";

/// A private repository at Gitea, and a tenant with a provider that administers it.
struct Shop {
    estate: &'static Estate,
    desk: Desk<'static>,
    tenant: Tenant<'static>,
}

impl Shop {
    async fn open(name: &str) -> anyhow::Result<Self> {
        Self::open_on(Estate::shared().await?, name).await
    }

    async fn open_on(estate: &'static Estate, name: &str) -> anyhow::Result<Self> {
        let desk = Forge::shared().await?.desk(name).await?;
        let tenant = estate.healthy_tenant(name).await?;
        let (host, api) = (desk.forge.gitea.host(), desk.forge.gitea.url("api/v1"));
        let shop = Self {
            estate,
            desk,
            tenant,
        };
        let objects = [
            json!({
                "apiVersion": OURS, "kind": "Tenant", "metadata": {"name": shop.tenant.name()},
                "spec": {"namespaces": [shop.tenant.name()], "pluginHosts": [host]},
            }),
            json!({
                "apiVersion": "v1", "kind": "Secret", "metadata": shop.named("forge"),
                "stringData": {"token": shop.desk.token},
            }),
            json!({
                "apiVersion": OURS, "kind": "Plugin", "metadata": shop.named("forge"),
                "spec": {
                    "world": "provider", "source": {"path": "gitea-provider.wasm"},
                    "config": {"api": api},
                    "grants": {
                        "hosts": [host],
                        "slots": {"token": {"secretRef": {"name": "forge", "key": "token"}}},
                    },
                },
            }),
        ];
        for object in &objects {
            shop.tenant.apply(object).await?;
        }
        let plugins = shop.tenant.api(OURS, "Plugin");
        let loaded = |plugin: &DynamicObject| is(plugin, "Ready", "True", "");
        wait::for_object(&plugins, "forge", "the provider is loaded", loaded).await?;
        Ok(shop)
    }

    fn named(&self, name: &str) -> Value {
        json!({"name": name, "namespace": self.tenant.name()})
    }

    fn sources(&self) -> Api<DynamicObject> {
        self.tenant.api(SOURCE, "GitRepository")
    }

    /// A GitRepository `shop` of this repository, annotated like this.
    async fn apply_source(
        &self,
        url: &str,
        annotations: &Value,
        secret: Option<&str>,
    ) -> anyhow::Result<()> {
        let mut metadata = self.named("shop");
        metadata["annotations"] = annotations.clone();
        let mut source = json!({
            "apiVersion": SOURCE, "kind": "GitRepository", "metadata": metadata,
            "spec": {"interval": "1h", "url": url, "ref": {"branch": "main"}},
        });
        if let Some(name) = secret {
            source["spec"]["secretRef"] = json!({"name": name});
        }
        self.tenant.apply(&source).await
    }

    /// A Secret that says who Gitea's ssh server is, and nothing else.
    async fn apply_known_hosts(&self, name: &str) -> anyhow::Result<()> {
        let secret = json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": self.named(name),
            "stringData": {"known_hosts": self.desk.forge.gitea.known_hosts()?},
        });
        self.tenant.apply(&secret).await
    }

    fn ssh(&self) -> String {
        let path = format!("{OWNER}/{}.git", self.desk.name);
        self.desk.forge.gitea.ssh_url(&path)
    }

    async fn source_says(
        &self,
        kind: &'static str,
        status: &'static str,
        words: &'static str,
    ) -> anyhow::Result<DynamicObject> {
        let what = format!("{kind} is {status} and says {words:?}");
        let seen = |source: &DynamicObject| is(source, kind, status, words);
        wait::for_object(&self.sources(), "shop", &what, seen).await
    }

    /// What is in a Secret; its private keys are registered as secrets.
    async fn secret(&self, name: &str) -> anyhow::Result<(DynamicObject, Value)> {
        use base64::Engine as _;
        let secret = self.tenant.api("v1", "Secret").get(name).await?;
        let mut texts = json!({});
        let all = secret.data.get("data").and_then(Value::as_object);
        for (key, value) in all.into_iter().flatten() {
            let bytes = base64::engine::general_purpose::STANDARD
                .decode(value.as_str().unwrap_or_default())?;
            let value = String::from_utf8(bytes)?;
            if matches!(&**key, "identity" | "identity.next") {
                secrecy::used(&value);
            }
            texts[key] = json!(value);
        }
        Ok((secret, texts))
    }

    /// Title and content of the deploy keys at Gitea that are not `somebody else's`.
    async fn keys(&self) -> anyhow::Result<Vec<(String, String)>> {
        let keys = self.desk.gitea("keys").await?;
        let keys = keys.as_array().cloned().unwrap_or_default().into_iter();
        let told = keys.map(|key| {
            let text = |name: &str| key[name].as_str().unwrap_or_default().to_owned();
            (text("title"), text("key"))
        });
        Ok(told.filter(|(title, _)| title != ELSES).collect())
    }

    /// Whom the webhooks at Gitea call, whether they do, and what of.
    async fn hooks(&self) -> anyhow::Result<Vec<(String, bool, Value)>> {
        let hooks = self.desk.gitea("hooks").await?;
        let hooks = hooks.as_array().cloned().unwrap_or_default().into_iter();
        let told = hooks.map(|hook| {
            let url = hook["config"]["url"].as_str().unwrap_or_default();
            (
                url.to_owned(),
                hook["active"] == true,
                hook["events"].clone(),
            )
        });
        Ok(told.collect())
    }

    /// Waits until these are all there are, and whether each is called.
    async fn hooks_are(&self, what: &str, want: &BTreeSet<(String, bool)>) -> anyhow::Result<()> {
        let seen = || async {
            let hooks = self.hooks().await.ok()?.into_iter();
            let is: Vec<(String, bool)> = hooks.map(|(url, on, _)| (url, on)).collect();
            let same = is.len() == want.len() && is.iter().all(|one| want.contains(one));
            same.then_some(())
        };
        let waited = wait::until(wait::PATIENCE, what, seen).await;
        waited.with_context(|| format!("wanted {want:?}"))
    }
}

const ELSES: &str = "somebody else's";
/// Whom somebody else's webhook calls.
const ELSEWHERE: &str = "http://127.0.0.1:9/elsewhere";

/// Whether a condition of an object has this status and these words.
fn is(object: &DynamicObject, kind: &str, status: &str, words: &str) -> bool {
    condition(&object.data, kind)
        .is_some_and(|told| told.status == status && told.message.contains(words))
}

async fn change(api: &Api<DynamicObject>, name: &str, patch: &Value) -> anyhow::Result<()> {
    api.patch(name, &PatchParams::default(), &Patch::Merge(patch))
        .await
        .with_context(|| format!("changing {name}"))?;
    Ok(())
}

fn annotated(key: &str, value: &str) -> Value {
    json!({"metadata": {"annotations": {key: value}}})
}

const ASKED: &str = "reconcile.fluxcd.io/requestedAt";

impl Shop {
    /// Makes something at Gitea by hand: `keys`, `hooks`.
    async fn by_hand(&self, what: &str, wanted: Value) -> anyhow::Result<()> {
        let gitea = &self.desk.forge.gitea;
        gitea.make(&self.desk.name, what, wanted).await
    }

    /// Somebody else puts a key there.
    async fn elses_key(&self) -> anyhow::Result<()> {
        let dir = tempfile::tempdir()?;
        let (_, elses) = keypair(&dir.path().join("else"), KeyKind::Ed25519, "")?;
        let wanted = json!({"title": ELSES, "key": elses.trim(), "read_only": true});
        self.by_hand("keys", wanted).await
    }

    /// Somebody else puts a hook there, which is not called.
    async fn elses_hook(&self) -> anyhow::Result<()> {
        let wanted = json!({
            "type": "gitea", "active": false, "events": ["push"],
            "config": {"url": ELSEWHERE, "content_type": "json"},
        });
        self.by_hand("hooks", wanted).await
    }

    /// Has a key made and put at Gitea; what its Secret holds when the repository was fetched with it.
    async fn first_key(&self) -> anyhow::Result<Value> {
        self.apply_known_hosts("shop-key").await?;
        let asks = json!({"reeve.dev/generate-key": "ed25519", "reeve.dev/provider": "forge"});
        self.apply_source(&self.ssh(), &asks, Some("shop-key"))
            .await?;
        self.source_says("Ready", "True", "stored artifact").await?;
        let source = self.source_says("DeployKeyReady", "True", "").await?;
        let (_, first) = self.secret("shop-key").await?;
        ensure!(first["known_hosts"].is_string(), "what was there stays");
        let public = first["identity.pub"].as_str().context("a public half")?;
        let told = condition(&source.data, "DeployKeyReady").unwrap_or_default();
        ensure!(told.message.starts_with(public), "{}", told.message);
        let keys = self.keys().await?;
        let title = format!("reeve {}/shop SHA256:", self.tenant.name());
        ensure!(
            matches!(&*keys, [(name, key)] if name.starts_with(&title) && key.starts_with(public)),
            "{keys:?}"
        );
        Ok(first)
    }

    /// Has another key take the place of `first`, by this word; what the Secret holds then.
    async fn next_key(&self, first: &Value, word: &str) -> anyhow::Result<Value> {
        let asks = annotated("reeve.dev/rotate-key", word);
        change(&self.sources(), "shop", &asks).await?;
        self.replaced(first, &json!(word)).await
    }

    /// Waits until another key has the place of `first`, made for this word; what the Secret holds then.
    async fn replaced(&self, first: &Value, word: &Value) -> anyhow::Result<Value> {
        let rotated = |source: &DynamicObject| {
            let record = &source.data["status"]["deployKey"];
            let at_forge = record["atForge"].as_array();
            record["lastHandledRotation"] == *word
                && record["publicKey"] != first["identity.pub"]
                && at_forge.is_some_and(|all| all.len() == 1)
                && is(source, "DeployKeyReady", "True", "")
                && is(source, "Ready", "True", "")
        };
        wait::for_object(&self.sources(), "shop", "the key is another", rotated).await?;
        let (_, second) = self.secret("shop-key").await?;
        let public = second["identity.pub"].as_str().context("a public half")?;
        ensure!(second["identity"] != first["identity"], "it is the same");
        ensure!(second.get("identity.next").is_none(), "it is in its place");
        let keys = self.keys().await?;
        ensure!(
            matches!(&*keys, [(_, key)] if key.starts_with(public)),
            "{keys:?}"
        );
        Ok(second)
    }

    /// Pushes, and waits until that is fetched.
    async fn push(&self, file: &str, ask: bool) -> anyhow::Result<()> {
        let gitea = &self.desk.forge.gitea;
        let commit = gitea.write(&self.desk.name, "main", file).await?;
        if ask {
            change(&self.sources(), "shop", &annotated(ASKED, file)).await?;
        }
        let newest = |source: &DynamicObject| {
            let revision = text(&source.data, "/status/artifact/revision");
            revision.is_some_and(|revision| revision.ends_with(&commit))
        };
        wait::for_object(&self.sources(), "shop", "the push is fetched", newest).await?;
        Ok(())
    }

    async fn delete_source(&self) -> anyhow::Result<()> {
        let how = DeleteParams::default();
        self.sources().delete("shop", &how).await?;
        wait::until_gone(&self.sources(), "shop").await
    }
}

#[test]
fn a_deploy_key_is_made_put_at_the_forge_made_anew_and_taken_away_with_its_repository() {
    scenario(async {
        let shop = Shop::open("deploy-keys").await?;
        shop.elses_key().await?;

        let first = shop.first_key().await?;
        let second = shop.next_key(&first, "once").await?;
        let private = |keys: &Value| keys["identity"].as_str().unwrap_or_default().to_owned();
        shop.desk.fetch(&private(&second))?;
        ensure!(
            shop.desk.fetch(&private(&first)).is_err(),
            "it is gone from Gitea"
        );
        shop.push("news.txt", true).await?;

        shop.delete_source().await?;
        ensure!(shop.keys().await?.is_empty(), "{:?}", shop.keys().await?);
        let all = shop.desk.gitea("keys").await?;
        ensure!(all[0]["title"] == ELSES, "{all}");
        Ok(())
    });
}

#[test]
fn a_key_that_no_provider_puts_at_the_forge_is_shown_to_whoever_does() {
    scenario(async {
        let shop = Shop::open("shown-keys").await?;
        let asks = json!({"reeve.dev/generate-key": "ed25519"});
        shop.apply_source(&shop.ssh(), &asks, None).await?;
        let source = shop
            .source_says("DeployKeyReady", "Unknown", "add this key")
            .await?;
        let (secret, texts) = shop.secret("shop-deploy-key").await?;
        let owners = &secret.metadata.owner_references.unwrap_or_default();
        let uid = source.metadata.uid.context("a uid")?;
        ensure!(
            matches!(&**owners, [owner] if owner.kind == "GitRepository" && owner.uid == uid),
            "{owners:?}"
        );
        let public = texts["identity.pub"].as_str().context("a public half")?;
        let told = condition(&source.data, "DeployKeyReady").unwrap_or_default();
        ensure!(told.message.ends_with(public), "{}", told.message);

        // Somebody reads it, and does what it says.
        let wanted = json!({"title": "by hand", "key": public, "read_only": true});
        shop.by_hand("keys", wanted).await?;
        let known_hosts = shop.desk.forge.gitea.known_hosts()?;
        let hosts = json!({"stringData": {"known_hosts": known_hosts}});
        let secrets = shop.tenant.api("v1", "Secret");
        change(&secrets, "shop-deploy-key", &hosts).await?;
        change(&shop.sources(), "shop", &annotated(ASKED, "now")).await?;
        shop.source_says("Ready", "True", "stored artifact").await?;
        shop.source_says("DeployKeyReady", "True", "opens the repository")
            .await?;
        let (_, after) = shop.secret("shop-deploy-key").await?;
        ensure!(after["identity"] == texts["identity"], "it was made once");
        Ok(())
    });
}

/// A Receiver of the shop's, whom Gitea is told to call.
async fn receiver(shop: &Shop) -> anyhow::Result<(Api<DynamicObject>, String)> {
    let token = format!("{:032x}", rand::random::<u128>());
    secrecy::used(&token);
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": shop.named("hook"),
        "stringData": {"token": token},
    });
    shop.tenant.apply(&secret).await?;
    let mut metadata = shop.named("hook");
    metadata["annotations"] = json!({"reeve.dev/provider": "forge"});
    let receiver = json!({
        "apiVersion": RECEIVER, "kind": "Receiver", "metadata": metadata,
        "spec": {
            "type": "gitea", "interval": "1h", "secretRef": {"name": "hook"},
            "resources": [{"kind": "GitRepository", "name": "shop"}],
        },
    });
    shop.tenant.apply(&receiver).await?;
    let receivers = shop.tenant.api(RECEIVER, "Receiver");
    let url = url_of(shop.estate, &receivers, "").await?;
    Ok((receivers, url))
}

/// Whom the forge is to call, once that is another than `before` and there.
async fn url_of(
    estate: &Estate,
    receivers: &Api<DynamicObject>,
    before: &str,
) -> anyhow::Result<String> {
    let at = |receiver: &DynamicObject| {
        let path = text(&receiver.data, "/status/webhookPath").unwrap_or_default();
        estate.controller.hook_url(path)
    };
    let well = |receiver: &DynamicObject| {
        is(receiver, "WebhookReady", "True", "has a webhook") && at(receiver) != before
    };
    let receiver = wait::for_object(receivers, "hook", "the forge was told", well).await?;
    Ok(at(&receiver))
}

/// Somebody switches the hook off, and has it called for something else.
async fn edit(shop: &Shop, url: &str) -> anyhow::Result<()> {
    let hooks = shop.desk.gitea("hooks").await?;
    let mut hooks = hooks.as_array().into_iter().flatten();
    let ours = hooks.find(|hook| hook["config"]["url"] == *url);
    let id = &ours.context("the hook is there")?["id"];
    let edit = Some(json!({"active": false, "events": ["fork"]}));
    let at = format!("repos/{OWNER}/{}/hooks/{id}", shop.desk.name);
    let gitea = &shop.desk.forge.gitea;
    let (status, said) = gitea.ask(Method::PATCH, &at, edit).await?;
    ensure!(status.is_success(), "{said}");
    Ok(())
}

/// What the hook is called for.
async fn events(shop: &Shop, url: &str) -> anyhow::Result<BTreeSet<String>> {
    let all = shop.hooks().await?;
    let (_, _, events) = all.iter().find(|(at, ..)| *at == url).context("ours")?;
    let events = events.as_array().into_iter().flatten();
    let events = events.filter_map(|event| Some(event.as_str()?.to_owned()));
    Ok(events.collect())
}

#[test]
fn a_webhook_is_put_at_the_forge_changed_back_moved_with_its_token_and_taken_away() {
    scenario(async {
        let shop = Shop::open("webhooks").await?;
        shop.elses_hook().await?;
        let logs_in = json!({"reeve.dev/provider": "forge"});
        shop.apply_source(&shop.desk.url(), &logs_in, None).await?;
        shop.source_says("Ready", "True", "stored artifact").await?;
        let (receivers, url) = receiver(&shop).await?;
        let both = |url: &str, on: bool| {
            BTreeSet::from([(ELSEWHERE.to_owned(), false), (url.to_owned(), on)])
        };
        shop.hooks_are("there is one more", &both(&url, true))
            .await?;
        // The interval is an hour: it is Gitea that says so.
        shop.push("news.txt", false).await?;

        edit(&shop, &url).await?;
        shop.hooks_are("it is off", &both(&url, false)).await?;
        change(&receivers, "hook", &annotated(ASKED, "now")).await?;
        shop.hooks_are("it is on again", &both(&url, true)).await?;
        let events = events(&shop, &url).await?;
        let want = ["create", "push"].map(str::to_owned);
        ensure!(events == BTreeSet::from(want), "{events:?}");

        // Another token is another path, and the hook moves.
        let token = format!("{:032x}", rand::random::<u128>());
        secrecy::used(&token);
        let secrets = shop.tenant.api("v1", "Secret");
        change(&secrets, "hook", &json!({"stringData": {"token": token}})).await?;
        change(&receivers, "hook", &annotated(ASKED, "again")).await?;
        let moved = url_of(shop.estate, &receivers, &url).await?;
        shop.hooks_are("it calls elsewhere", &both(&moved, true))
            .await?;

        receivers.delete("hook", &DeleteParams::default()).await?;
        wait::until_gone(&receivers, "hook").await?;
        let alone = BTreeSet::from([(ELSEWHERE.to_owned(), false)]);
        shop.hooks_are("ours is gone", &alone).await?;
        Ok(())
    });
}
