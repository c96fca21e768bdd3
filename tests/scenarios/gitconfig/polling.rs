//! How changes come to be known by what git configuration says: by asking as often as an entry says, or by the hook of one.

use anyhow::{Context as _, ensure};
use hmac::{Hmac, KeyInit as _, Mac as _};
use kube::api::{DynamicObject, Patch, PatchParams};
use reeve_tests::controller::Controller;
use reeve_tests::git::Repo;
use reeve_tests::install::CONFIG;
use reeve_tests::tenant::MANIFESTS;
use reeve_tests::wait;
use sha2::Sha256;

use super::*;
use crate::command::get::{asked, said};

const SOURCE_API: &str = "source.toolkit.fluxcd.io/v1";
const POLLED: &str = "reeve.dev/polling";

/// Gives a tenant a level of its own.
async fn level(tenant: &Tenant<'_>, file: &Value) -> anyhow::Result<()> {
    let name = format!("{}-level", tenant.name());
    tenant.apply(&files(&name, &file.to_string())).await?;
    let config = json!({"gitConfig": {"kind": "Secret", "name": name}});
    declare(tenant, &config).await
}

/// The source of a tenant says this of who says how often its repository is asked.
async fn leaves(tenant: &Tenant<'_>, to: Option<&str>) -> anyhow::Result<()> {
    let patch = json!({"metadata": {"annotations": {POLLED: to}}});
    let (how, patch) = (PatchParams::default(), Patch::Merge(&patch));
    tenant
        .sources()
        .patch_metadata(tenant.name(), &how, &patch)
        .await?;
    Ok(())
}

/// Waits until a source tells this of its repository.
async fn upstream(
    estate: &Estate,
    (namespace, name): (&str, &str),
    what: &str,
    so: impl Fn(&Value) -> bool,
) -> anyhow::Result<Value> {
    let sources = objects::api(estate.admin(), SOURCE_API, "GitRepository", Some(namespace));
    let told = |object: &DynamicObject| object.data["status"]["upstream"].clone();
    let seen = |object: &DynamicObject| so(&told(object));
    let found = wait::for_object(&sources, name, what, seen).await?;
    Ok(told(&found))
}

#[test]
fn a_repository_is_asked_as_often_as_an_entry_says_where_its_source_leaves_it_to_git_configuration()
{
    scenario(async {
        let estate = estate().await?;
        let tenant = estate.healthy_tenant("polled").await?;
        let server = private(estate, Auth::Open).await?;
        let at = server.url(tenant.name());
        let every =
            |wait: &str| json!({"auths": [{"url": server.url("*"), "pullingInterval": wait}]});
        level(&tenant, &every("24h")).await?;
        is_fetched_from(&tenant, &at).await?;
        // Its own interval is an hour, and goes before that of any entry until it says otherwise.
        let id = (CONFIG, tenant.name());
        let none = |told: &Value| told["polling"].is_null() && !told["head"].is_null();
        upstream(estate, id, "it has an interval of its own", none).await?;
        leaves(&tenant, Some("git-config")).await?;
        let said = |wait: &'static str| move |told: &Value| told["polling"]["every"] == wait;
        let told = upstream(estate, id, "the entry's counts", said("24h0m0s")).await?;
        ensure!(
            told["polling"]["entry"] == format!("auths[0] ({})", server.url("*")),
            "{told}"
        );
        let level_of = format!("Tenant {}", tenant.name());
        ensure!(told["polling"]["level"] == level_of, "{told}");

        // A change of the entry is taken up by itself, and nobody calls for what is pushed then.
        level(&tenant, &every("1s")).await?;
        upstream(estate, id, "another counts", said("1s")).await?;
        arrives_when(&tenant, "polled", async { Ok(()) }).await?;

        // Without any entry it is asked every three minutes; and it may name its own again.
        level(&tenant, &json!({})).await?;
        let told = upstream(estate, id, "nobody says", said("3m0s")).await?;
        ensure!(told["polling"].get("entry").is_none(), "{told}");
        leaves(&tenant, None).await?;
        upstream(estate, id, "its own counts", none).await?;
        leaves(&tenant, Some("20s")).await?;
        tenant
            .source_told_of(Reason::InvalidSpec, "git-config")
            .await?;
        Ok(())
    });
}

#[test]
fn a_source_with_a_login_of_its_own_may_leave_to_git_configuration_how_often_it_is_asked() {
    scenario(async {
        let estate = estate().await?;
        let tenant = estate.healthy_tenant("polled-own").await?;
        let (auth, password) = basic("ada");
        let server = private(estate, auth).await?;
        let wrong = json!({"https": {"username": "ada", "password": self::password()}});
        let entry = json!({"url": server.url("*"), "pullingInterval": "1s", "credentials": wrong});
        level(&tenant, &json!({ "auths": [entry] })).await?;
        let own = [("username", "ada"), ("password", password.as_str())];
        let at = server.url(tenant.name());
        arrives_when(&tenant, "its own", tenant.fetch_from(&at, &own)).await?;
        arrives_when(&tenant, "polled", leaves(&tenant, Some("git-config"))).await?;
        arrives_when(&tenant, "polled again", async { Ok(()) }).await
    });
}

/// Repositories `web` and `api` of one organisation, a source of the tenant's for each, and an entry that is called for both.
pub(super) struct Called<'e> {
    estate: &'e Estate,
    tenant: Tenant<'e>,
    server: HttpServer,
    organisation: String,
    pub(super) web: Repo,
    api: Repo,
}

impl<'e> Called<'e> {
    async fn start(name: &str) -> anyhow::Result<Self> {
        Self::within(estate().await?, name).await
    }

    pub(super) async fn within(estate: &'e Estate, name: &str) -> anyhow::Result<Self> {
        let tenant = estate.healthy_tenant(name).await?;
        let server = private(estate, Auth::Open).await?;
        let organisation = format!("{}-org", tenant.name());
        let repo = |name: &str| -> anyhow::Result<Repo> {
            let repo = estate.repo(&format!("{organisation}/{name}"))?;
            repo.publish("settings.yaml", MANIFESTS[0].1)?;
            Ok(repo)
        };
        let (web, api) = (repo("web")?, repo("api")?);
        Ok(Self {
            estate,
            tenant,
            server,
            organisation,
            web,
            api,
        })
    }

    pub(super) async fn secret(&self, list: &str, secret: &str) -> anyhow::Result<()> {
        secrecy::used(secret);
        let named = match list {
            "gitLabAuths" => ("groupsProject", format!("{}:*", self.organisation)),
            _ => ("orgRepo", format!("{}/*", self.organisation)),
        };
        let entry = json!({
            named.0: named.1, "url": self.server.url("").trim_end_matches('/'),
            "polling": {"webhookSecret": secret},
        });
        level(&self.tenant, &json!({ list: [entry] })).await
    }

    /// Makes a source in the tenant's own namespace.
    pub(super) async fn follows(&self, name: &str) -> anyhow::Result<()> {
        let url = self.server.url(&format!("{}/{name}", self.organisation));
        let source = json!({
            "apiVersion": SOURCE_API, "kind": "GitRepository",
            "metadata": {"name": name, "namespace": self.tenant.name()},
            "spec": {"interval": "1h", "url": url, "ref": {"branch": "main"}},
        });
        self.tenant.apply(&source).await
    }

    pub(super) async fn told(
        &self,
        name: &str,
        what: &str,
        so: impl Fn(&Value) -> bool,
    ) -> anyhow::Result<Value> {
        upstream(self.estate, (self.tenant.name(), name), what, so).await
    }

    /// The path of the hook, once a source tells one that is not this.
    pub(super) async fn path(&self, name: &str, before: &str) -> anyhow::Result<String> {
        let has = |told: &Value| {
            told["polling"]["hook"]
                .as_str()
                .is_some_and(|it| it != before)
        };
        let told = self.told(name, "it has a hook", has).await?;
        let path = told["polling"]["hook"].as_str().context("a path")?;
        Ok(path.to_owned())
    }

    /// GitHub's and Gitea's payload of a push.
    pub(super) fn push(&self, name: &str, branch: &str, commit: &str) -> String {
        let push = json!({
            "ref": format!("refs/heads/{branch}"), "after": commit, "number": rand::random::<u32>(),
            "repository": {"full_name": format!("{}/{name}", self.organisation)},
            "project": {"path_with_namespace": format!("{}/{name}", self.organisation)},
            "object_kind": "push", "event_name": "push",
        });
        push.to_string()
    }

    async fn call(
        &self,
        path: &str,
        headers: &[(&str, String)],
        body: &str,
    ) -> anyhow::Result<u16> {
        call(&self.estate.controller, path, headers, body).await
    }

    async fn github(
        &self,
        path: &str,
        secret: &str,
        event: &str,
        body: &str,
    ) -> anyhow::Result<u16> {
        github(&self.estate.controller, path, secret, event, body).await
    }

    /// Whether a source was called for until now, as a run tells it that is asked for.
    async fn was_called(&self, name: &str) -> anyhow::Result<bool> {
        let namespace = Some(self.tenant.name());
        let sources = objects::api(self.estate.admin(), SOURCE_API, "GitRepository", namespace);
        let patch =
            json!({"metadata": {"annotations": {"reconcile.fluxcd.io/requestedAt": "told"}}});
        let (how, patch) = (PatchParams::default(), Patch::Merge(&patch));
        sources.patch_metadata(name, &how, &patch).await?;
        let handled = |object: &DynamicObject| {
            objects::text(&object.data, "/status/lastHandledReconcileAt") == Some("told")
        };
        let found = wait::for_object(&sources, name, "it has run", handled).await?;
        Ok(found.data.pointer("/status/upstream/delivery").is_some())
    }

    /// What proves nothing, or is no push, wakes nobody; a push wakes whom it names, once.
    async fn wakes_whom_it_names(
        &self,
        path: &str,
        secret: &str,
        another: &str,
    ) -> anyhow::Result<()> {
        for name in ["web", "api"] {
            let fetched = |told: &Value| !told["head"].is_null();
            self.told(name, "it is fetched", fetched).await?;
        }
        let none = self.push("web", "main", &"0".repeat(40));
        ensure!(self.github(path, another, "push", &none).await? == 400);
        let bare = [("x-github-event", "push".to_owned())];
        ensure!(self.call(path, &bare, &none).await? == 400);
        let ping = "{\"zen\": \"x\"}";
        ensure!(self.github(path, secret, "ping", ping).await? == 200);
        let other = self.push("web", "other", &"1".repeat(40));
        ensure!(self.github(path, secret, "push", &other).await? == 200);

        let commit = self.web.publish("news.txt", "News.\n")?;
        let body = self.push("web", "main", &commit);
        ensure!(self.github(path, secret, "push", &body).await? == 200);
        let told = self.told("web", "it is woken", has(&commit)).await?;
        let entry = format!("gitHubAuths ({}/*) of Tenant", self.organisation);
        let caller = told["delivery"]["receiver"].as_str().unwrap_or_default();
        ensure!(caller.starts_with(&entry), "{told}");
        ensure!(told["announced"] == true, "it is polled at leisure: {told}");
        let again = self.github(path, secret, "push", &body).await?;
        ensure!(again == 409, "it was let in before: {again}");
        ensure!(!self.was_called("api").await?, "nothing was pushed there");
        Ok(())
    }

    /// The path is told to whoever sets it up at the forge.
    async fn is_explained(&self, path: &str, secret: &str) -> anyhow::Result<()> {
        let (here, name) = (std::env::temp_dir(), self.tenant.name());
        let url = self.server.url(&format!("{}/web", self.organisation));
        let config = format!("secret/{GLOBAL}");
        let explain = ["git", "explain", &*url, "--tenant", name];
        let args = [&explain[..], &["--git-config", &*config, "-o", "json"]].concat();
        let output = asked(self.estate, &here, &args).await?;
        let text = said(&output, 0)?;
        ensure!(text.contains(path) && !text.contains(secret), "{text}");
        let output = asked(self.estate, &here, &["git", "status", "-n", name]).await?;
        let text = said(&output, 0)?;
        let entry = format!("gitHubAuths[0] ({}/*) of Tenant", self.organisation);
        ensure!(text.contains(&entry), "{text}");
        Ok(())
    }
}

/// Whether a repository has this commit.
pub(super) fn has(commit: &str) -> impl Fn(&Value) -> bool + use<> {
    let commit = commit.to_owned();
    move |told| {
        let head = told["head"].as_str();
        head.is_some_and(|head| head.ends_with(&commit))
    }
}

/// Calls a hook of a replica; what it answers.
pub(super) async fn call(
    replica: &Controller,
    path: &str,
    headers: &[(&str, String)],
    body: &str,
) -> anyhow::Result<u16> {
    let client = reqwest::Client::builder().no_proxy().build()?;
    let url = replica.hook_url(path);
    let mut call = client.post(url).header("content-type", "application/json");
    for (name, value) in headers {
        call = call.header(*name, value);
    }
    let answer = call.body(body.to_owned()).send().await?;
    Ok(answer.status().as_u16())
}

/// The same as GitHub does.
pub(super) async fn github(
    replica: &Controller,
    path: &str,
    secret: &str,
    event: &str,
    body: &str,
) -> anyhow::Result<u16> {
    let signature = signed(secret, body)?;
    let headers = [
        ("x-github-event", event.to_owned()),
        (
            "x-github-delivery",
            format!("{:032x}", rand::random::<u128>()),
        ),
        ("x-hub-signature-256", format!("sha256={signature}")),
    ];
    call(replica, path, &headers, body).await
}

fn signed(secret: &str, body: &str) -> anyhow::Result<String> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes())?;
    mac.update(body.as_bytes());
    Ok(hex::encode(mac.finalize().into_bytes()))
}

#[test]
fn the_hook_of_an_entry_wakes_what_the_push_names_and_another_secret_has_another_path() {
    scenario(async {
        let called = Called::start("entry-hook").await?;
        let (first, second) = (password(), password());
        called.secret("gitHubAuths", &first).await?;
        called.follows("web").await?;
        called.follows("api").await?;
        let path = called.path("web", "").await?;
        let same = called.path("api", "").await? == path;
        ensure!(same, "one entry has one path");
        called.wakes_whom_it_names(&path, &first, &second).await?;

        // The secret is another: its old path is nobody's, and neither is the old secret at the new one.
        called.secret("gitHubAuths", &second).await?;
        let next = called.path("web", &path).await?;
        // Nobody hears a forge that goes on calling there: so it is asked again until one calls here.
        let told = called.told("web", "it has a path", |_| true).await?;
        ensure!(told["announced"] != true, "it is asked: {told}");
        let commit = called.api.publish("more.txt", "More.\n")?;
        let body = called.push("api", "main", &commit);
        ensure!(called.github(&path, &first, "push", &body).await? == 404);
        ensure!(called.github(&next, &first, "push", &body).await? == 400);
        ensure!(called.github(&next, &second, "push", &body).await? == 200);
        called.told("api", "it is woken", has(&commit)).await?;
        called.is_explained(&next, &second).await
    });
}

#[test]
fn a_short_webhook_secret_is_warned_of_and_one_that_anybody_finds_opens_no_hook() {
    scenario(async {
        let called = Called::start("short-hook").await?;
        // As long as that of Rig's example.
        let short = format!("kQ-{:06x}", rand::random::<u32>() & 0xff_ffff);
        called.secret("gitHubAuths", &short).await?;
        called.follows("web").await?;
        let path = called.path("web", "").await?;
        let warned = |told: &Value| {
            let warning = told["polling"]["warning"].as_str();
            warning.is_some_and(|warning| warning.contains("is short"))
        };
        called.told("web", "it is warned of", warned).await?;
        let here = std::env::temp_dir();
        let name = called.tenant.name();
        let output = asked(called.estate, &here, &["git", "status", "-n", name]).await?;
        let table = said(&output, 0)?;
        ensure!(
            table.contains("(warning: the webhookSecret is short"),
            "{table}"
        );
        let commit = called.web.publish("news.txt", "News.\n")?;
        let body = called.push("web", "main", &commit);
        ensure!(called.github(&path, &short, "push", &body).await? == 200);
        called.told("web", "it is woken", has(&commit)).await?;

        let shorter = format!("kQ-{:04x}", rand::random::<u16>());
        called.secret("gitHubAuths", &shorter).await?;
        let refused = |told: &Value| {
            let problem = told["polling"]["problem"].as_str();
            problem.is_some_and(|problem| problem.contains("fewer than 8 bytes"))
        };
        let told = called.told("web", "it is refused", refused).await?;
        ensure!(told["polling"].get("hook").is_none(), "{told}");
        ensure!(called.github(&path, &short, "push", &body).await? == 404);

        let long = password();
        called.secret("gitHubAuths", &long).await?;
        called.path("web", &path).await?;
        let fine = |told: &Value| told["polling"].get("warning").is_none();
        called.told("web", "nothing is warned of", fine).await?;
        Ok(())
    });
}

#[test]
fn gitlab_and_gitea_call_the_hooks_of_entries_too_and_a_secret_that_cannot_be_read_opens_none() {
    scenario(async {
        let called = Called::start("lab-hook").await?;
        let secret = password();
        called.secret("gitLabAuths", &secret).await?;
        called.follows("web").await?;
        let path = called.path("web", "").await?;
        let commit = called.web.publish("news.txt", "News.\n")?;
        let body = called.push("web", "main", &commit);
        let headers = |token: &str| {
            let uuid = format!("{:032x}", rand::random::<u128>());
            let event = "Push Hook".to_owned();
            [
                ("x-gitlab-event", event),
                ("x-gitlab-event-uuid", uuid),
                ("x-gitlab-token", token.to_owned()),
            ]
        };
        ensure!(called.call(&path, &headers("another"), &body).await? == 400);
        ensure!(called.call(&path, &headers(&secret), &body).await? == 200);
        called.told("web", "it is woken", has(&commit)).await?;

        // A Gitea of one's own stands among GitHub's, and signs as that does.
        called.secret("gitHubAuths", &secret).await?;
        let next = called.path("web", &path).await?;
        ensure!(called.call(&path, &headers(&secret), &body).await? == 404);
        let commit = called.web.publish("more.txt", "More.\n")?;
        let body = called.push("web", "main", &commit);
        let signature = signed(&secret, &body)?;
        let gitea = [
            ("x-gitea-event", "push".to_owned()),
            ("x-github-event", "push".to_owned()),
            (
                "x-gitea-delivery",
                format!("{:032x}", rand::random::<u128>()),
            ),
            ("x-gitea-signature", signature.clone()),
            ("x-hub-signature-256", format!("sha256={signature}")),
        ];
        ensure!(called.call(&next, &gitea, &body).await? == 200);
        called.told("web", "it is woken", has(&commit)).await?;

        // What is fetched is fetched all the same.
        let organisation = format!("{}/*", called.organisation);
        let nowhere = json!({"valueFrom": {"secretKeyRef": {"name": "nowhere", "key": "x"}}});
        let entry = json!({
            "orgRepo": organisation, "url": called.server.url("").trim_end_matches('/'),
            "polling": {"webhookSecret": nowhere},
        });
        level(&called.tenant, &json!({ "gitHubAuths": [entry] })).await?;
        let unread = |told: &Value| told["polling"]["problem"].is_string();
        let told = called
            .told("web", "its secret is not there", unread)
            .await?;
        ensure!(told["polling"].get("hook").is_none(), "{told}");
        ensure!(called.call(&next, &gitea, &body).await? == 404);
        Ok(())
    });
}
