//! Calls to hooks: what is right is fetched, once; what is not is answered with the right code, costs nothing and is told
//! to nobody.

mod caller;
mod issuer;
mod path;
mod proofs;
mod replay;
mod storm;
mod unheard;

use std::time::{Duration, Instant};

use anyhow::ensure;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures::{StreamExt as _, TryStreamExt as _};
use reeve_tests::{Estate, scenario, secrecy, wait};
use serde_json::{Value, json};

use caller::{Call, Watched, hmac, secret};
use issuer::Issuer;

const MEBIBYTE: usize = 1 << 20;

/// Where each kind of caller calls, and with what.
struct Hooks {
    github: String,
    key: String,
    gitlab: String,
    signing: Vec<u8>,
    oidc: String,
    gcr: String,
    asleep: String,
    issuer: Issuer,
}

impl Hooks {
    async fn make(watched: &Watched<'_>) -> anyhow::Result<Self> {
        fn token(value: &str) -> [(&str, &str); 1] {
            [("token", value)]
        }
        let (key, path) = (secret(), secret());
        let signing = hmac(key.as_bytes(), &[b"another"]);
        let standard = format!("whsec_{}", STANDARD.encode(&signing));
        secrecy::used(&standard);
        let issuer = Issuer::start().await?;
        let provider = json!({
            "issuerURL": issuer.url, "audience": "reeve",
            "variables": [{"name": "owner", "expression": "claims.sub.split('/')[0]"}],
            "validations": [{"expression": "vars.owner == 'acme'", "message": "not acme's"}],
        });
        let google = [
            ("token", path.as_str()),
            ("email", "push@acme.example"),
            ("audience", "reeve"),
        ];
        let push = json!({"events": ["push"]});
        let none = Value::Null;
        let oidc = json!({"oidcProviders": [provider]});
        let github = watched.receiver("github", &token(&key), push).await?;
        let gitlab = watched
            .receiver("gitlab", &token(&standard), none.clone())
            .await?;
        let nobody = json!([{"kind": "GitRepository", "name": "nobody"}]);
        let mut sleeper = json!({"resources": nobody});
        let asleep = watched
            .receiver("generic", &token(&path), sleeper.clone())
            .await?;
        sleeper["suspend"] = json!(true);
        watched.receiver("generic", &token(&path), sleeper).await?;
        let call = || async {
            let answer = reqwest::get(&asleep).await;
            let code = answer.map(|answer| answer.status().as_u16());
            (code.ok()? == 503).then_some(())
        };
        wait::until(wait::PATIENCE, "it is suspended", call).await?;
        Ok(Self {
            github,
            gitlab,
            oidc: watched.receiver("generic-oidc", &[], oidc).await?,
            gcr: watched.receiver("gcr", &google, none).await?,
            asleep,
            key,
            signing,
            issuer,
        })
    }

    /// A call of GitHub's, signed as it should be.
    fn github(&self, says: &'static str, body: impl Into<Vec<u8>>, want: u16) -> Call {
        let body = body.into();
        let digits = hex::encode(hmac(self.key.as_bytes(), &[&body]));
        Call {
            says,
            url: self.github.clone(),
            method: "POST",
            headers: vec![
                ("content-type", "application/json".into()),
                ("x-github-event", "push".into()),
                (
                    "x-github-delivery",
                    format!("{:032x}", rand::random::<u128>()),
                ),
                ("x-hub-signature-256", format!("sha256={digits}")),
            ],
            body,
            announced: None,
            want,
        }
    }

    /// A call of GitLab's, signed at that time.
    fn gitlab(&self, says: &'static str, body: &str, at: i64, want: u16) -> Call {
        let (id, at) = (format!("{:032x}", rand::random::<u128>()), at.to_string());
        let signed = [id.as_bytes(), b".", at.as_bytes(), b".", body.as_bytes()];
        let signature = STANDARD.encode(hmac(&self.signing, &signed));
        Call {
            says,
            url: self.gitlab.clone(),
            method: "POST",
            headers: vec![
                ("content-type", "application/json".into()),
                ("x-gitlab-event", "Push Hook".into()),
                ("webhook-id", id),
                ("webhook-timestamp", at),
                ("webhook-signature", format!("v1,{signature}")),
            ],
            body: body.into(),
            announced: None,
            want,
        }
    }

    fn bearer(&self, says: &'static str, url: &str, token: &str, want: u16) -> Call {
        Call {
            says,
            url: url.to_owned(),
            method: "POST",
            headers: vec![("authorization", format!("Bearer {token}"))],
            body: b"{}".to_vec(),
            announced: None,
            want,
        }
    }

    fn claims(&self, subject: &str, audience: &str, end: i64) -> Value {
        json!({"iss": self.issuer.url, "aud": audience, "sub": subject, "exp": now() + end})
    }

    /// Calls that are signed wrongly, or not, or say what is none.
    fn forged(&self, push: &str) -> Vec<Call> {
        let with = |says, name, value: &str, want| {
            let mut call = self.github(says, push, want);
            call.headers.retain(|(known, _)| *known != name);
            if !value.is_empty() {
                call.headers.push((name, value.trim().to_owned()));
            }
            call
        };
        let signature = "x-hub-signature-256";
        let other = hex::encode(hmac(b"other", &[push.as_bytes()]));
        let other = format!("sha256={other}");
        let mut calls = vec![
            with("no signature", signature, "", 400),
            with("an empty signature", signature, " ", 400),
            with("a hash without digits", signature, "sha256=", 400),
            with("another key", signature, &other, 400),
            with("a weaker hash", signature, "sha1=00", 400),
            with(
                "no content type that is meant",
                "content-type",
                "text/plain",
                415,
            ),
            with("an event nobody asked for", "x-github-event", "issues", 400),
            self.github("invalid UTF-8", b"{\"ref\": \"\xff\xfe\"}".to_vec(), 400),
            self.github("no JSON", "ref=refs/heads/main", 400),
            self.gitlab("a signature from long ago", push, now() - 400, 400),
        ];
        let mut altered = self.github("a payload that was changed", push, 400);
        altered.body.push(b' ');
        let mut unnamed = self.gitlab("a signature without its id", push, now(), 400);
        unnamed.headers.retain(|(name, _)| *name != "webhook-id");
        let mut shown = self.gitlab("a signing token that is shown", push, now(), 400);
        shown.headers.truncate(2);
        let standard = format!("whsec_{}", STANDARD.encode(&self.signing));
        shown.headers.push(("x-gitlab-token", standard));
        calls.extend([altered, unnamed, shown]);
        calls
    }

    /// Tokens that are none of the issuer's, or of nobody who may call.
    fn strangers(&self) -> anyhow::Result<Vec<Call>> {
        let right = self.claims("acme/web", "reeve", 300);
        let (issuer, oidc) = (&self.issuer, self.oidc.as_str());
        let token = |subject, audience, end| issuer.token(&self.claims(subject, audience, end));
        let mut other = right.clone();
        other["iss"] = json!("http://127.0.0.1:1");
        let mut missing = self.bearer("no token", oidc, "", 400);
        missing.headers.clear();
        Ok(vec![
            missing,
            self.bearer("an empty token", oidc, "", 400),
            self.bearer(
                "the public key as a secret",
                oidc,
                &issuer.confused(&right),
                400,
            ),
            self.bearer(
                "a token without a signature",
                oidc,
                &issuer.bare(&right),
                400,
            ),
            self.bearer(
                "a token that is over",
                oidc,
                &token("acme/web", "reeve", -1)?,
                400,
            ),
            self.bearer(
                "one for others",
                oidc,
                &token("acme/web", "others", 300)?,
                400,
            ),
            self.bearer(
                "somebody else's",
                oidc,
                &token("evil/web", "reeve", 300)?,
                400,
            ),
            self.bearer("another issuer", oidc, &issuer.token(&other)?, 400),
            self.bearer("not Google's", &self.gcr, &issuer.token(&right)?, 400),
        ])
    }

    /// Calls that are too large, too slow, or to nobody.
    fn rude(&self, push: &str) -> Vec<Call> {
        let mut large = self.github("a payload too large", "", 413);
        large.announced = Some(3 * MEBIBYTE + 1);
        let mut slow = self.github("a payload that never ends", push, 408);
        slow.announced = Some(push.len() + 1);
        let mut get = self.github("a method nobody calls with", push, 405);
        get.method = "GET";
        let mut nobody = self.github("a path that is nobody's", push, 404);
        nobody.url.pop();
        let mut asleep = self.github("a receiver that is suspended", push, 503);
        asleep.url.clone_from(&self.asleep);
        vec![large, slow, get, nobody, asleep]
    }
}

fn now() -> i64 {
    let since = std::time::SystemTime::UNIX_EPOCH.elapsed();
    since.map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(0))
}

async fn all(calls: &[Call]) -> anyhow::Result<()> {
    let calls = futures::stream::iter(calls).map(Call::check);
    calls.buffer_unordered(8).try_collect().await
}

/// What is right and about something else costs nothing either; and it is let in once.
async fn beside(watched: &Watched<'_>, hooks: &Hooks) -> anyhow::Result<()> {
    let name = watched.name();
    let other = "e".repeat(40);
    let branch = watched.push(name, "other", &other);
    let branch = hooks.github("a push to another branch", branch, 200);
    branch.check().await?;
    let mut again = branch;
    (again.says, again.want) = ("the same once more", 409);
    again.check().await?;
    again
        .headers
        .retain(|(name, _)| *name != "x-github-delivery");
    again.headers.push(("x-github-delivery", "renamed".into()));
    again.check().await?;
    let elsewhere = watched.push("somebody/else", "main", &other);
    let elsewhere = hooks.github("a push to another repository", elsewhere, 200);
    elsewhere.check().await
}

/// By the other proofs.
async fn proved_otherwise(watched: &Watched<'_>, hooks: &Hooks) -> anyhow::Result<()> {
    let commit = watched
        .tenant
        .commit([("README.md", Some("By an issuer.\n"))])?;
    let token = hooks.claims("acme/web", "reeve", 300);
    let token = hooks.issuer.token(&token)?;
    let call = hooks.bearer("a token of the issuer", &hooks.oidc, &token, 200);
    call.check().await?;
    watched.tenant.applied(&commit).await?;
    let commit = watched
        .tenant
        .commit([("README.md", Some("By GitLab.\n"))])?;
    let body = json!({
        "object_kind": "push", "ref": "refs/heads/main", "after": commit,
        "project": {"path_with_namespace": watched.name()},
    });
    let call = hooks.gitlab("a push to GitLab", &body.to_string(), now(), 200);
    call.check().await?;
    watched.tenant.applied(&commit).await?;
    Ok(())
}

#[test]
fn a_hostile_delivery_fetches_nothing_and_is_answered_by_its_code_and_told_to_nobody() {
    scenario(async {
        let estate = Estate::shared().await?;
        let watched = Watched::start(estate, "hostile").await?;
        let hooks = Hooks::make(&watched).await?;
        let name = watched.name();
        let commit = watched
            .tenant
            .commit([("README.md", Some("Nobody is told by right.\n"))])?;
        let push = watched.push(name, "main", &commit);
        watched.asked();

        let mut calls = hooks.forged(&push);
        calls.extend(hooks.strangers()?);
        calls.extend(hooks.rude(&push));
        all(&calls).await?;

        beside(&watched, &hooks).await?;
        ensure!(watched.asked() == (0, 0), "nothing was fetched");

        hooks.github("a push", push, 200).check().await?;
        watched.tenant.applied(&commit).await?;
        let (looks, fetches) = watched.asked();
        ensure!(
            (1..=2).contains(&looks) && fetches == 1,
            "{looks} {fetches}"
        );

        proved_otherwise(&watched, &hooks).await?;

        let place = estate.plane.place();
        let leaks = tokio::task::spawn_blocking(move || secrecy::search(&place)).await??;
        ensure!(leaks.is_empty(), "{leaks:#?}");
        Ok(())
    });
}

#[test]
fn a_filter_wakes_only_what_the_call_is_about() {
    scenario(async {
        let estate = Estate::shared().await?;
        let (meant, other) = (
            Watched::start(estate, "meant").await?,
            Watched::start(estate, "not-meant").await?,
        );
        let key = secret();
        let named =
            |watched: &Watched<'_>| json!({"kind": "GitRepository", "name": watched.name()});
        let spec = json!({
            "resources": [named(&other), named(&meant)],
            "resourceFilter": "req.names.exists(n, n == res.metadata.name)",
        });
        let url = meant
            .receiver("generic-hmac", &[("token", &key)], spec)
            .await?;
        let commit = meant.tenant.commit([("README.md", Some("Meant.\n"))])?;
        other.asked();
        let body = json!({"names": [meant.name()]}).to_string();
        let digits = hex::encode(hmac(key.as_bytes(), &[body.as_bytes()]));
        let call = Call {
            says: "a call about one of two",
            url,
            method: "POST",
            headers: vec![
                ("content-type", "application/json".into()),
                ("x-signature", format!("sha256={digits}")),
            ],
            body: body.into(),
            announced: None,
            want: 200,
        };
        call.check().await?;
        meant.tenant.applied(&commit).await?;
        ensure!(other.asked() == (0, 0), "the other is left alone");
        Ok(())
    });
}

/// How many deliveries there are, and how long after one the next is sent.
const DELIVERIES: usize = 1000;
const EACH: Duration = Duration::from_millis(10);

/// A repository that was pushed to, and how its forge calls.
struct Pushed<'e> {
    watched: Watched<'e>,
    key: String,
    url: String,
    commit: String,
}

/// Sends all deliveries, by turns, and returns how long the answers took, the quickest first.
async fn deliver(crowd: &[Pushed<'_>]) -> anyhow::Result<Vec<Duration>> {
    let client = reqwest::Client::new();
    let mut ticks = tokio::time::interval(EACH);
    let mut calls = tokio::task::JoinSet::new();
    for number in 0..DELIVERIES {
        ticks.tick().await;
        let pushed = &crowd[number % crowd.len()];
        let watched = &pushed.watched;
        let body = watched.push(watched.name(), "main", &pushed.commit);
        let digits = hex::encode(hmac(pushed.key.as_bytes(), &[body.as_bytes()]));
        let call = client
            .post(&pushed.url)
            .header("content-type", "application/json")
            .header("x-github-event", "push")
            .header("x-github-delivery", number.to_string())
            .header("x-hub-signature-256", format!("sha256={digits}"))
            .body(body);
        calls.spawn(async move {
            let begun = Instant::now();
            let code = call.send().await.map(|answer| answer.status().as_u16());
            (code, begun.elapsed())
        });
    }
    let mut took = Vec::new();
    for (code, time) in calls.join_all().await {
        let code = code?;
        ensure!(code == 200, "all are let in: {code}");
        took.push(time);
    }
    took.sort_unstable();
    Ok(took)
}

#[test]
fn a_thousand_deliveries_in_ten_seconds_fetch_each_repository_once_or_twice() {
    scenario(async {
        let estate = Estate::shared().await?;
        let mut crowd = Vec::new();
        for at in 0..4 {
            let watched = Watched::start(estate, &format!("stormed-{at}")).await?;
            let key = secret();
            let token = [("token", key.as_str())];
            let url = watched.receiver("github", &token, Value::Null).await?;
            let text = format!("Pushed in a storm, {at}.\n");
            let commit = watched.tenant.commit([("README.md", Some(&*text))])?;
            watched.asked();
            crowd.push(Pushed {
                watched,
                key,
                url,
                commit,
            });
        }
        let took = deliver(&crowd).await?;
        let (half, most) = (took[DELIVERIES / 2], took[DELIVERIES * 99 / 100]);
        eprintln!("deliveries were answered in {half:.1?} (p50), {most:.1?} (p99)");
        ensure!(half < Duration::from_millis(50), "{half:?}");
        for pushed in &crowd {
            let watched = &pushed.watched;
            watched.tenant.applied(&pushed.commit).await?;
            let (looks, fetches) = watched.asked();
            let said = format!("{looks} looks at {}, {fetches} fetches", watched.name());
            ensure!((1..=3).contains(&looks), "{said}");
            ensure!((1..=2).contains(&fetches), "{said}");
        }
        Ok(())
    });
}

/// What GitHub may send at once for all repositories of an organisation, to one Receiver that names them all.
const STORM: usize = 1000;

#[test]
fn a_storm_through_one_receiver_is_answered_whole_and_the_last_push_arrives() {
    scenario(async {
        let estate = Estate::shared().await?;
        let watched = Watched::start(estate, "one-for-all").await?;
        let hooks = Hooks::make(&watched).await?;
        let name = watched.name();
        let one = |at: usize| {
            let push = watched.push(name, "other", &format!("{at:040x}"));
            hooks.github("one of many", push, 200)
        };
        let calls: Vec<Call> = (0..STORM).map(one).collect();
        all(&calls).await?;
        let commit = watched
            .tenant
            .commit([("README.md", Some("After the storm.\n"))])?;
        let last = watched.push(name, "main", &commit);
        hooks.github("the last", last, 200).check().await?;
        watched.tenant.applied(&commit).await?;
        Ok(())
    });
}
