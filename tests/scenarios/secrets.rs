//! No secret is told: not in a log, not in an event, not in a condition.
//!
//! Every way in which a secret comes into the controller is gone once, rightly and wrongly, and then
//! everything that was told so far is searched, by this scenario and by any other; at the end of the
//! run it is searched once more. That the search can find is shown on a log that is thrown away.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reeve_api::reason::Reason;
use reeve_tests::git::{Auth, HttpServer, KeyKind, Served, SshOptions, SshServer};
use reeve_tests::install::CONFIG;
use reeve_tests::tenant::{Tenant, says};
use reeve_tests::{Estate, objects, scenario, secrecy};
use serde_json::json;

fn token() -> String {
    let token = format!("{:032x}", rand::random::<u128>());
    secrecy::used(&token);
    token
}

#[test]
fn no_secret_is_in_a_log_an_event_or_a_condition() {
    scenario(async {
        let estate = Estate::shared().await?;
        by_password(estate).await?;
        by_bearer_token(estate).await?;
        by_key(estate).await?;
        by_url(estate).await?;
        by_hook(estate).await?;

        let place = estate.plane.place();
        assert!(
            secrecy::known() > 20,
            "the scenarios register what they use"
        );
        let leaks = tokio::task::spawn_blocking(move || secrecy::search(&place)).await??;
        assert!(leaks.is_empty(), "{leaks:#?}");
        Ok(())
    });
}

/// A push arrives over a server that wants a credential; then the credential is no longer good.
async fn rightly_and_wrongly(
    tenant: &Tenant<'_>,
    url: &str,
    good: &[(&str, &str)],
    bad: &[(&str, &str)],
) -> anyhow::Result<()> {
    tenant.fetch_from(url, good).await?;
    let commit = tenant.commit([("README.md", Some("Fetched with a secret.\n"))])?;
    tenant.call_hook().await?;
    tenant.applied(&commit).await?;
    tenant.give_credential(bad).await?;
    tenant.call_hook().await?;
    tenant
        .source_told_of(Reason::AuthenticationFailed, "")
        .await?;
    Ok(())
}

async fn by_password(estate: &Estate) -> anyhow::Result<()> {
    let tenant = estate.healthy_tenant("by-password").await?;
    let (good, bad) = (token(), token());
    secrecy::used_as("git", &good);
    secrecy::used_as("git", &bad);
    let auth = Auth::Basic("git".to_owned(), good.clone());
    let served = Served {
        auth,
        ..Served::default()
    };
    let server = HttpServer::start(estate.repositories(), served).await?;
    let with = |password| [("username", "git"), ("password", password)];
    rightly_and_wrongly(
        &tenant,
        &server.url(tenant.name()),
        &with(&good),
        &with(&bad),
    )
    .await
}

async fn by_bearer_token(estate: &Estate) -> anyhow::Result<()> {
    let tenant = estate.healthy_tenant("by-bearer").await?;
    let (good, bad) = (token(), token());
    let served = Served {
        auth: Auth::Bearer(good.clone()),
        ..Served::default()
    };
    let server = HttpServer::start(estate.repositories(), served).await?;
    let (good, bad) = (
        [("bearerToken", good.as_str())],
        [("bearerToken", bad.as_str())],
    );
    rightly_and_wrongly(&tenant, &server.url(tenant.name()), &good, &bad).await
}

/// A key with a passphrase; then one that cannot be decrypted, and one that is not let in.
async fn by_key(estate: &Estate) -> anyhow::Result<()> {
    let tenant = estate.healthy_tenant("by-key").await?;
    let ssh = SshServer::start(estate.repositories(), SshOptions::default())?;
    let (passphrase, wrong) = (token(), token());
    let key = ssh.user_key(KeyKind::Ed25519, &passphrase)?;
    let hosts = ssh.known_hosts(&KeyKind::ALL)?;
    let with = |passphrase| {
        [
            ("identity", key.as_str()),
            ("password", passphrase),
            ("known_hosts", hosts.as_str()),
        ]
    };
    let url = ssh.url(tenant.name());
    rightly_and_wrongly(&tenant, &url, &with(&passphrase), &with(&wrong)).await?;

    let dir = tempfile::tempdir()?;
    let at = dir.path().join("stranger");
    let (stranger, _) = reeve_tests::git::keypair(&at, KeyKind::Rsa, "")?;
    let keys = [
        ("identity", stranger.as_str()),
        ("known_hosts", hosts.as_str()),
    ];
    tenant.give_credential(&keys).await?;
    tenant.call_hook().await?;
    tenant
        .source_told_of(Reason::AuthenticationFailed, "authentication failed")
        .await?;
    Ok(())
}

/// A password in the URL: whoever wrote it can read it in the spec, and nobody elsewhere.
async fn by_url(estate: &Estate) -> anyhow::Result<()> {
    let tenant = estate.healthy_tenant("by-url").await?;
    let wrong = token();
    secrecy::used_as("git", &wrong);
    let auth = Auth::Basic("git".to_owned(), token());
    let served = Served {
        auth,
        ..Served::default()
    };
    let server = HttpServer::start(estate.repositories(), served).await?;
    let url = server
        .url(tenant.name())
        .replace("http://", &format!("http://git:{wrong}@"));
    tenant
        .change(|draft| draft.set_source("url", json!(url)))
        .await?;
    let told = says(
        Duration::from_secs(60),
        &tenant.sources(),
        tenant.name(),
        Reason::AuthenticationFailed,
        "authentication failed",
    )
    .await;
    // A URL with a password may also be refused outright; either way it is not told.
    if told.is_err() {
        tenant.source_told_of(Reason::UrlInvalid, "").await?;
    }
    Ok(())
}

/// A hook with the right token, with a wrong one, and at a path that somebody guessed.
async fn by_hook(estate: &Estate) -> anyhow::Result<()> {
    let tenant = estate.healthy_tenant("by-hook").await?;
    let (name, right) = (format!("{}-gitlab", tenant.name()), token());
    tenant
        .apply(&json!({
            "apiVersion": "v1", "kind": "Secret",
            "metadata": {"name": name, "namespace": CONFIG}, "stringData": {"token": right},
        }))
        .await?;
    let api_version = "notification.toolkit.fluxcd.io/v1";
    tenant
        .apply(&json!({
            "apiVersion": api_version, "kind": "Receiver",
            "metadata": {"name": name, "namespace": CONFIG},
            "spec": {
                "type": "gitlab", "events": ["Push Hook"], "secretRef": {"name": name},
                "resources": [{"kind": "GitRepository", "name": tenant.name()}],
            },
        }))
        .await?;
    let receivers = objects::api(estate.admin(), api_version, "Receiver", Some(CONFIG));
    let patience = Duration::from_secs(60);
    let seen = says(patience, &receivers, &name, Reason::Succeeded, "").await?;
    let path = objects::text(&seen.data, "/status/webhookPath")
        .unwrap_or_default()
        .to_owned();
    let guess = format!("/hook/{}", token());
    let client = reqwest::Client::new();
    for (path, token, good) in [
        (path.as_str(), right.clone(), true),
        (&path, token(), false),
        (&guess, right, false),
    ] {
        let call = client
            .post(estate.controller.hook_url(path))
            .header("X-Gitlab-Event", "Push Hook");
        let answer = call
            .header("X-Gitlab-Token", &token)
            .body("{}")
            .send()
            .await?;
        assert_eq!(answer.status().is_success(), good, "{}", answer.status());
        let leaks = secrecy::leaks("the answer of the hook", &answer.text().await?);
        assert!(leaks.is_empty(), "{leaks:?}");
    }
    Ok(())
}

#[test]
fn the_search_for_secrets_finds_them() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let secret = token();
    let key = format!(
        "-----BEGIN KEY-----\n{}\n{}\n-----END KEY-----\n",
        token(),
        token()
    );
    let last_line = key.lines().nth(2).unwrap_or_default();
    secrecy::used(&key);
    secrecy::used_as("ada", &secret);
    let header = STANDARD.encode(format!("ada:{secret}"));
    let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text);
    write("clean.log", "{\"msg\":\"fetched\"}\n-----BEGIN KEY-----\n")?;
    assert_eq!(secrecy::leaks_in(dir.path())?, []);

    write("plain.log", &format!("first\nfetching with {secret}\n"))?;
    write("header.log", &format!("authorization: Basic {header}\n"))?;
    write("encoded.log", &STANDARD.encode(&secret))?;
    write("key.log", &format!("key: …{last_line}…\n"))?;
    let mut found = secrecy::leaks_in(dir.path())?;
    found.sort_by(|one, other| one.place.cmp(&other.place));
    let places: Vec<&str> = found.iter().map(|leak| leak.place.as_str()).collect();
    assert_eq!(
        places,
        ["encoded.log", "header.log", "key.log", "plain.log"]
    );
    assert_eq!(
        found[3].line, "fetching with █",
        "and does not tell them itself"
    );
    Ok(())
}
