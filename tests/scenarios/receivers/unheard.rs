//! Calls that nobody could judge, since there was no room for what they say, or their issuer could not be asked.

use anyhow::ensure;
use reeve_tests::{Estate, scenario, wait};
use serde_json::{Value, json};

use super::caller::{Call, Watched, hmac, secret};
use super::issuer::Issuer;
use super::{MEBIBYTE, all, now};

/// Where nobody publishes keys.
const AWAY: &str = "http://127.0.0.1:9";

/// A call of GitHub's, with this signature.
fn github(url: &str, digits: &str, body: Vec<u8>, want: u16) -> Call {
    let id = format!("{:032x}", rand::random::<u128>());
    Call {
        says: "a call of GitHub's",
        url: url.to_owned(),
        method: "POST",
        headers: vec![
            ("content-type", "application/json".into()),
            ("x-github-event", "push".into()),
            ("x-github-delivery", id),
            ("x-hub-signature-256", format!("sha256={digits}")),
        ],
        body,
        announced: None,
        want,
    }
}

/// Payloads that take up all the room of a Receiver but for two bytes, and never end.
fn held(url: &str) -> [Call; 3] {
    let sizes = [3 * MEBIBYTE - 1, 3 * MEBIBYTE - 1, 2 * MEBIBYTE];
    sizes.map(|size| Call {
        announced: Some(size + 1),
        ..github(url, &"0".repeat(64), vec![b' '; size], 408)
    })
}

/// A call with a token that nobody can verify.
async fn of_nobody(url: &str) -> anyhow::Result<Call> {
    let claims = json!({"iss": AWAY, "aud": "reeve", "sub": "acme/web", "exp": now() + 300});
    let token = Issuer::start().await?.token(&claims)?;
    Ok(Call {
        says: "a token of an issuer that is away",
        url: url.to_owned(),
        method: "POST",
        headers: vec![("authorization", format!("Bearer {token}"))],
        body: b"{}".to_vec(),
        announced: None,
        want: 503,
    })
}

#[test]
fn a_call_that_nobody_could_judge_fetches_nothing() {
    scenario(async {
        let estate = Estate::shared().await?;
        let watched = Watched::start(estate, "unjudged").await?;
        let key = secret();
        let url = watched
            .receiver("github", &[("token", &key)], Value::Null)
            .await?;
        let provider = json!({
            "issuerURL": AWAY, "audience": "reeve",
            "validations": [{"expression": "claims.sub == 'acme/web'", "message": "not acme's"}],
        });
        let spec = json!({"oidcProviders": [provider]});
        let oidc = watched.receiver("generic-oidc", &[], spec).await?;
        let commit = watched
            .tenant
            .commit([("README.md", Some("Nobody has proved it.\n"))])?;
        let push = watched.push(watched.name(), "main", &commit).into_bytes();
        watched.asked();

        of_nobody(&oidc).await?.check().await?;
        let other = github(&url, &"1".repeat(64), push.clone(), 503);
        let is_full = || async {
            let (code, _) = other.send().await.ok()?;
            (code == 503).then_some(())
        };
        let held = held(&url);
        // They go on for five seconds after that: whatever were woken would be seen.
        let full = wait::until(wait::PATIENCE, "there is no room", is_full);
        let (held, full) = tokio::join!(all(&held), full);
        held?;
        full?;
        ensure!(watched.asked() == (0, 0), "nothing was fetched");

        let digits = hex::encode(hmac(key.as_bytes(), &[&push]));
        github(&url, &digits, push, 200).check().await?;
        watched.tenant.applied(&commit).await?;
        Ok(())
    });
}
