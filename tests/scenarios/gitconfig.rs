//! Git configuration in levels: who names no login is given the one of the lowest level that has one for the repository.
//!
//! An estate of its own, whose platform has a level; what each scenario adds to that stands beside what others have added.

mod configure;
mod explain;
mod forges;
mod levels;
mod polling;
mod replicas;
mod status;

use std::collections::BTreeMap;
use std::sync::PoisonError;

use anyhow::anyhow;
use kube::api::{Api, DynamicObject};
use reeve_api::reason::Reason;
use reeve_tests::git::{Auth, HttpServer, KeyKind, Served, SshOptions, SshServer};
use reeve_tests::install::SYSTEM;
use reeve_tests::tenant::Tenant;
use reeve_tests::{Estate, objects, scenario, secrecy};
use serde_json::{Value, json};
use tokio::sync::OnceCell;

/// The Secret with the platform's level.
const GLOBAL: &str = "platform-git";
const TENANT_API: &str = "reeve.dev/v1alpha1";

/// The estate of these scenarios.
async fn estate() -> anyhow::Result<&'static Estate> {
    static SHARED: OnceCell<Result<Estate, String>> = OnceCell::const_new();
    let start = || async {
        let flag = format!("--git-config=secret/{GLOBAL}");
        let estate = Estate::start_with(&["--leader-elect=false", &flag]).await?;
        let file = files(GLOBAL, "# nothing yet\n");
        applied_by_admin(&estate, "Secret", &file).await?;
        anyhow::Ok(estate)
    };
    let made = SHARED
        .get_or_init(|| async { start().await.map_err(|why| format!("{why:?}")) })
        .await;
    made.as_ref().map_err(|why| anyhow!("{why}"))
}

/// A Secret of the controller's namespace with a level's file; a change of it is taken up at once.
fn files(name: &str, text: &str) -> Value {
    secret(name, &[("git.yaml", text)])
}

fn secret(name: &str, data: &[(&str, &str)]) -> Value {
    let data: serde_json::Map<String, Value> = data
        .iter()
        .map(|(key, value)| ((*key).to_owned(), json!(value)))
        .collect();
    json!({
        "apiVersion": "v1", "kind": "Secret",
        "metadata": {"name": name, "namespace": SYSTEM, "labels": {"reconcile.fluxcd.io/watch": "Enabled"}},
        "stringData": data,
    })
}

async fn applied_by_admin(estate: &Estate, kind: &str, object: &Value) -> anyhow::Result<()> {
    let api = objects::api(estate.admin(), "v1", kind, Some(SYSTEM));
    let name = objects::text(object, "/metadata/name").unwrap_or_default();
    let how = kube::api::PatchParams::apply("estate").force();
    api.patch(name, &how, &kube::api::Patch::Apply(object))
        .await?;
    Ok(())
}

/// Adds an entry to `auths` of the platform's level.
async fn everybody_may(estate: &Estate, entry: &str) -> anyhow::Result<()> {
    everybody_has(estate, "auths", entry).await
}

/// Adds an entry to a list of the platform's level.
async fn everybody_has(estate: &Estate, list: &'static str, entry: &str) -> anyhow::Result<()> {
    static LISTS: std::sync::Mutex<BTreeMap<&str, String>> = std::sync::Mutex::new(BTreeMap::new());
    static WRITING: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
    let _one_at_a_time = WRITING.lock().await;
    let text: String = {
        let mut all = LISTS.lock().unwrap_or_else(PoisonError::into_inner);
        all.entry(list).or_default().push_str(entry);
        let lists = all.iter();
        lists
            .map(|(list, entries)| format!("{list}:\n{entries}"))
            .collect()
    };
    applied_by_admin(estate, "Secret", &files(GLOBAL, &text)).await
}

fn password() -> String {
    let password = format!("{:032x}", rand::random::<u128>());
    secrecy::used(&password);
    password
}

/// A login, and the server that takes it.
fn basic(user: &str) -> (Auth, String) {
    let password = password();
    secrecy::used_as(user, &password);
    (Auth::Basic(user.to_owned(), password.clone()), password)
}

/// An entry of `auths` for everything at a server.
fn entry(server: &HttpServer, user: &str, password: &str) -> String {
    format!(
        "- url: {}\n  credentials: {{https: {{username: {user}, password: {password}}}}}\n",
        server.url("*")
    )
}

async fn private(estate: &Estate, auth: Auth) -> anyhow::Result<HttpServer> {
    let served = Served {
        auth,
        ..Served::default()
    };
    HttpServer::start(estate.repositories(), served).await
}

/// The Tenant object of a tenant, and more of its spec.
async fn declare(tenant: &Tenant<'_>, more: &Value) -> anyhow::Result<()> {
    let name = tenant.name();
    let mut spec = json!({"namespaces": [name], "sources": [name]});
    let more = more.as_object().cloned().unwrap_or_default();
    spec.as_object_mut()
        .map(|spec| spec.extend(more))
        .unwrap_or_default();
    tenant
        .apply(&json!({"apiVersion": TENANT_API, "kind": "Tenant", "metadata": {"name": name}, "spec": spec}))
        .await
}

/// Fetches from there, without a Secret of its own.
async fn fetch_from(tenant: &Tenant<'_>, url: &str) -> anyhow::Result<()> {
    let url = json!(url);
    tenant
        .change(|draft| {
            draft.set_source("url", url);
            draft.set_source("secretRef", Value::Null);
        })
        .await?;
    Ok(())
}

/// The same, and it can be fetched from there.
async fn is_fetched_from(tenant: &Tenant<'_>, url: &str) -> anyhow::Result<()> {
    fetch_from(tenant, url).await?;
    tenant.source_told_of(Reason::Succeeded, "").await?;
    Ok(())
}

/// A commit arrives, although nobody calls a hook.
async fn arrives_when(
    tenant: &Tenant<'_>,
    what: &str,
    done: impl Future<Output = anyhow::Result<()>>,
) -> anyhow::Result<()> {
    let text = format!("{what}\n");
    let commit = tenant.commit([("README.md", Some(text.as_str()))])?;
    done.await?;
    tenant.applied(&commit).await?;
    Ok(())
}

fn projects(estate: &Estate) -> Api<DynamicObject> {
    objects::api(estate.admin(), TENANT_API, "Project", None)
}

#[test]
fn a_private_repository_is_reached_over_http_and_ssh_by_the_platforms_level_alone() {
    scenario(async {
        let estate = estate().await?;
        let tenant = estate.healthy_tenant("by-level").await?;
        let (auth, password) = basic("ada");
        let server = private(estate, auth).await?;
        everybody_may(estate, &entry(&server, "ada", &password)).await?;
        let at = server.url(tenant.name());
        arrives_when(&tenant, "http", is_fetched_from(&tenant, &at)).await?;

        let ssh = SshServer::start(estate.repositories(), SshOptions::default())?;
        let (phrase, kind) = (self::password(), KeyKind::Ed25519);
        let key = ssh.user_key(kind, &phrase)?;
        secrecy::used(&key);
        let hosts = ssh.known_hosts(&[kind])?;
        let ssh_login =
            json!({"private_key": key, "private_key_password": phrase, "known_hosts": hosts});
        let entry = json!({"url": ssh.url("*"), "credentials": {"ssh": ssh_login}});
        everybody_may(estate, &format!("- {entry}\n")).await?;
        // Who logs in is what the entry says, whatever user the tenant has written.
        let at = ssh.url(tenant.name()).replace("ssh://", "ssh://nobody-");
        arrives_when(&tenant, "ssh", is_fetched_from(&tenant, &at)).await
    });
}

#[test]
fn a_token_of_gitlab_is_a_login_over_http() {
    scenario(async {
        let estate = estate().await?;
        let tenant = estate.healthy_tenant("gitlab-token").await?;
        let (auth, token) = basic("oauth2");
        let server = private(estate, auth).await?;
        let group = format!("{}-group", tenant.name());
        let repo = estate.repo(&format!("{group}/sub/app"))?;
        repo.publish("settings.yaml", reeve_tests::tenant::MANIFESTS[0].1)?;
        let entry = json!({"gitLabAuths": [{
            "groupsProject": format!("{group}/sub:*"), "url": server.url("").trim_end_matches('/'),
            "auth": {"accessToken": token},
        }]});
        let level = format!("{}-level", tenant.name());
        tenant.apply(&files(&level, &entry.to_string())).await?;
        declare(
            &tenant,
            &json!({"gitConfig": {"kind": "Secret", "name": level}}),
        )
        .await?;
        is_fetched_from(&tenant, &server.url(&format!("{group}/sub/app"))).await?;
        let seen = server.seen();
        assert!(
            !seen.is_empty() && seen.iter().all(|seen| seen.credential),
            "no request without it: {seen:?}"
        );
        Ok(())
    });
}

#[test]
fn a_neighbours_login_is_never_used() {
    scenario(async {
        let estate = estate().await?;
        let (one, other) = (
            estate.healthy_tenant("with-login").await?,
            estate.healthy_tenant("without-login").await?,
        );
        let (auth, password) = basic("ada");
        let server = private(estate, auth).await?;
        let level = format!("{}-level", one.name());
        let text = format!("auths:\n{}", entry(&server, "ada", &password));
        one.apply(&files(&level, &text)).await?;
        let own = json!({"gitConfig": {"kind": "Secret", "name": level}});
        declare(&one, &own).await?;
        declare(&other, &json!({})).await?;
        let at = server.url(other.name());
        fetch_from(&other, &at).await?;
        other
            .source_told_of(Reason::AuthenticationFailed, "authentication required")
            .await?;
        let seen = server.seen();
        assert!(seen.iter().all(|seen| !seen.credential), "{seen:?}");

        // Neither when both name the source: what is fetched would be for the neighbour too.
        let both = json!({"sources": [one.name(), other.name()], "gitConfig": own["gitConfig"]});
        declare(&one, &both).await?;
        other.reconcile(None).await?;
        let seen = server.seen();
        assert!(!seen.is_empty() && seen.iter().all(|seen| !seen.credential));

        let at = server.url(one.name());
        declare(&one, &own).await?;
        arrives_when(&one, "its own", is_fetched_from(&one, &at)).await
    });
}

#[test]
fn a_secret_of_the_object_itself_goes_before_every_level() {
    scenario(async {
        let estate = estate().await?;
        let tenant = estate.healthy_tenant("own-secret").await?;
        let (auth, password) = basic("ada");
        let server = private(estate, auth).await?;
        let (level, wrong) = (format!("{}-level", tenant.name()), self::password());
        let text = |password: &str| format!("auths:\n{}", entry(&server, "ada", password));
        tenant.apply(&files(&level, &text(&wrong))).await?;
        declare(
            &tenant,
            &json!({"gitConfig": {"kind": "Secret", "name": level}}),
        )
        .await?;
        let at = server.url(tenant.name());
        let own = |password| [("username", "ada"), ("password", password)];
        let good = own(password.as_str());
        arrives_when(&tenant, "its own", tenant.fetch_from(&at, &good)).await?;

        // A good one above does not help a wrong one of its own.
        tenant.apply(&files(&level, &text(&password))).await?;
        tenant.give_credential(&own(wrong.as_str())).await?;
        tenant.call_hook().await?;
        let told = tenant
            .source_told_of(Reason::AuthenticationFailed, "authentication failed")
            .await?;
        assert!(!told.message.contains("auths["), "{}", told.message);
        arrives_when(&tenant, "the level's", is_fetched_from(&tenant, &at)).await
    });
}
