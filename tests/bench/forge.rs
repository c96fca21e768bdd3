//! From a push at a real Gitea to the applied object: Gitea's webhook tells of it, and it is fetched over Gitea's ssh server with
//! a deploy key.
//!
//! A round changes one object of four by Gitea's API, and a watch on the API server brings the changed object. It is measured
//! from the request, in which Gitea makes the commit, and from its answer, when the push is done; and, since a relay notes when
//! Gitea calls, how much of that is Gitea's own. The table below is of the controller's own metrics.

mod relay;

use std::io::Write as _;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use kube::api::DynamicObject;
use reeve_tests::git::{KeyKind, keypair};
use reeve_tests::gitea::{Gitea, OWNER};
use reeve_tests::install::CONFIG;
use reeve_tests::tenant::{MANIFESTS, Tenant};
use reeve_tests::{Estate, objects, secrecy, wait};
use serde_json::json;

use crate::push::{ACCOUNT, DEPLOYMENT, Watched, settings};
use crate::spread::Spread;
use crate::tenants::spans;
use relay::Relay;

const ROUNDS: usize = 30;
const WARM_UP: usize = 3;
/// The goal: p50 of push to applied.
const GOAL: Duration = Duration::from_millis(150);
const REPO: &str = "shop";
const RECEIVER: &str = "notification.toolkit.fluxcd.io/v1";

pub(crate) async fn bench() -> anyhow::Result<()> {
    let (gitea, estate) = (Gitea::start().await?, Estate::start().await?);
    let tenant = estate.healthy_tenant("forge").await?;
    gitea.create_repo(REPO).await?;
    let mut file = String::new();
    for (path, text) in MANIFESTS {
        let (_, id) = gitea.put_over(REPO, path, text, None).await?;
        if path == "settings.yaml" {
            file = id;
        }
    }
    fetched_by_key(&gitea, &tenant).await?;
    let relay = Relay::start(&estate.controller.hook_url("")).await?;
    called(&estate, &gitea, &tenant, &relay).await?;
    for (path, text) in [("deployment.yaml", DEPLOYMENT), ("account.yaml", ACCOUNT)] {
        let (commit, _) = gitea.put_over(REPO, path, text, None).await?;
        tenant.applied(&commit).await?;
    }
    let mut times = Times::default();
    let mut before = String::new();
    let mut values = Watched::begin(tenant.api("v1", "ConfigMap"), "settings").await?;
    for round in 0..WARM_UP + ROUNDS {
        if round == WARM_UP {
            before = estate.controller.metrics().await?;
        }
        let (value, text) = (round.to_string(), settings(round));
        let put = async {
            let put = gitea
                .put_over(REPO, "settings.yaml", &text, Some(&file))
                .await;
            put.map(|put| (put, Instant::now()))
        };
        let begin = Instant::now();
        let (put, seen) = tokio::join!(put, values.until(&value));
        let ((commit, id), done) = put?;
        let seen = seen?;
        file = id;
        tenant.applied(&commit).await?;
        let call = relay.first_since(begin).context("Gitea called")?;
        if round >= WARM_UP {
            times.begun.push(seen.duration_since(begin));
            // It may have called, and be applied, before Gitea has answered.
            times.answered.push(seen.saturating_duration_since(done));
            times.before_call.push(call.saturating_duration_since(done));
            times.after_call.push(seen.saturating_duration_since(call));
        }
    }
    let after = estate.controller.metrics().await?;
    report(times)?;
    spans::report("where the time went from Gitea's calls on", &before, &after)?;
    Ok(())
}

/// How long each round took, and its parts.
#[derive(Default)]
struct Times {
    begun: Vec<Duration>,
    answered: Vec<Duration>,
    before_call: Vec<Duration>,
    after_call: Vec<Duration>,
}

/// The tenant's source is Gitea's repository from now on, by a key that may read it.
async fn fetched_by_key(gitea: &Gitea, tenant: &Tenant<'_>) -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let (private, public) = keypair(&dir.path().join("id"), KeyKind::Ed25519, "")?;
    let key = json!({"title": "bench", "key": public.trim(), "read_only": true});
    gitea.make(REPO, "keys", key).await?;
    let hosts = gitea.known_hosts()?;
    let login = [
        ("identity", private.as_str()),
        ("known_hosts", hosts.as_str()),
    ];
    let url = gitea.ssh_url(&format!("{OWNER}/{REPO}.git"));
    tenant.fetch_from(&url, &login).await?;
    tenant.reconcile(None).await?;
    Ok(())
}

/// Gitea calls from now on.
async fn called(
    estate: &Estate,
    gitea: &Gitea,
    tenant: &Tenant<'_>,
    relay: &Relay,
) -> anyhow::Result<()> {
    let (name, token) = (
        format!("{}-gitea", tenant.name()),
        format!("{:032x}", rand::random::<u128>()),
    );
    secrecy::used(&token);
    let metadata = json!({"name": name, "namespace": CONFIG});
    for object in [
        json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": metadata,
            "stringData": {"token": token},
        }),
        json!({
            "apiVersion": RECEIVER, "kind": "Receiver", "metadata": metadata,
            "spec": {
                "type": "gitea", "secretRef": {"name": name},
                "resources": [{"kind": "GitRepository", "name": tenant.name()}],
            },
        }),
    ] {
        tenant.apply(&object).await?;
    }
    let receivers = objects::api(estate.admin(), RECEIVER, "Receiver", Some(CONFIG));
    let has_path =
        |receiver: &DynamicObject| objects::text(&receiver.data, "/status/webhookPath").is_some();
    let receiver = wait::for_object(&receivers, &name, "the Receiver has a path", has_path).await?;
    let path = objects::text(&receiver.data, "/status/webhookPath").unwrap_or_default();
    let url = relay.url(path);
    let hook = json!({
        "type": "gitea", "active": true, "events": ["push"],
        "config": {"url": url, "content_type": "json", "secret": token},
    });
    gitea.make(REPO, "hooks", hook).await
}

fn report(times: Times) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    let ms = |time: Duration| format!("{:.1} ms", time.as_secs_f64() * 1000.0);
    writeln!(
        out,
        "| a real Gitea over ssh and its webhook, {ROUNDS} rounds | p50 | p90 | goal |"
    )?;
    writeln!(out, "|---|---|---|---|")?;
    for (what, times, goal) in [
        ("push to applied, from its end", times.answered, ms(GOAL)),
        ("- until Gitea calls", times.before_call, String::new()),
        ("- from its call on", times.after_call, String::new()),
        (
            "the same, with Gitea's own commit",
            times.begun,
            String::new(),
        ),
    ] {
        let spread = Spread::of(times);
        writeln!(
            out,
            "| {what} | {} | {} | {goal} |",
            ms(spread.p50),
            ms(spread.p90)
        )?;
    }
    Ok(())
}
