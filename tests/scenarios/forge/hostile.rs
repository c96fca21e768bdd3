//! A real provider in the sandbox, led astray by its config, and answered by a forge that means no good.
//!
//! What a guest can put into a request beyond this is the forge room's own tests' to try (`reeve::forge`).

use std::convert::Infallible;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::response::{IntoResponse as _, Response};
use futures::stream;
use http::{HeaderMap, StatusCode, Uri};
use reeve::forge::words::{Operation, Task};
use reeve::forge::{Outcome, Provider, repository};
use reeve_core::failure::chain;
use reeve_tests::scenario;
use reeve_wasm::Budget;
use serde_json::json;

use super::{Guest, granted};

const TOKEN: &str = "a-token-that-nobody-is-told";

/// Answers by the first word of the path.
async fn hostile(uri: Uri, headers: HeaderMap) -> Response {
    let page = [("link", "<http://127.0.0.1/?page=2>; rel=\"next\"")];
    match uri.path().split('/').nth(1).unwrap_or_default() {
        "echo" => {
            let sent = headers.get("authorization").map(|sent| sent.as_bytes());
            let sent = String::from_utf8_lossy(sent.unwrap_or_default()).into_owned();
            let sent = sent.trim_start_matches("token ");
            let said = json!({"login": sent, "again": hex::encode(sent)});
            said.to_string().into_response()
        }
        "inside" => {
            let to = [("location", "http://169.254.169.254/latest/meta-data")];
            (StatusCode::TEMPORARY_REDIRECT, to).into_response()
        }
        "gigabyte" => {
            let piece = Bytes::from_static(&[b' '; 65536]);
            Body::from_stream(stream::repeat(Ok::<_, Infallible>(piece))).into_response()
        }
        "tarpit" => std::future::pending().await,
        _ => (page, r#"[{"title": "another"}]"#).into_response(),
    }
}

/// Asks for something with the API at `api`.
async fn ask(guest: &Guest, provider: &Provider, api: &str, task: Task) -> Result<Outcome, String> {
    let operation = Operation {
        task,
        repository: repository("https://git.example/acme/shop.git").expect("a URL"),
        config: json!({"api": api}).to_string(),
        slots: Vec::new(),
    };
    let budget = Budget::default();
    let asked = provider.ask(&guest.module, "acme", &budget, operation);
    asked.await.map_err(|why| {
        let told = format!("{} {why:?}", chain(&why));
        assert!(!told.contains(TOKEN), "a secret is told: {told}");
        chain(&why)
    })
}

#[test]
fn a_provider_that_is_led_astray_reaches_nothing_and_learns_nothing() {
    scenario(async {
        let guest = Guest::load().await?;
        let socket = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let host = socket.local_addr()?.to_string();
        let app = axum::Router::new().fallback(hostile);
        let server = tokio::spawn(async move { axum::serve(socket, app).await });
        let mut provider = granted(&guest, &[&host, "169.254.169.254", "git.example"], TOKEN)?;
        provider.limits.each = Duration::from_millis(500);
        let absent = || Task::DeployKeyAbsent("reeve".into());
        for (api, words) in [
            (
                "https://evil.example/api".to_owned(),
                "evil.example, which is not granted",
            ),
            (
                "http://169.254.169.254/api".to_owned(),
                "is a link-local address",
            ),
            (
                format!("http://ada:pass@{host}/api"),
                "a user or a password",
            ),
            (
                format!("http://{host}/inside"),
                "redirects to another address",
            ),
            (
                format!("http://{host}/gigabyte"),
                "answered with more than 4194304 bytes",
            ),
            (
                format!("http://{host}/tarpit"),
                "did not answer within 500ms",
            ),
            (
                format!("http://{host}/forever"),
                "goes over its limit of 32 requests",
            ),
        ] {
            // The most that is read takes longer than a moment where other builds run.
            let slow = api.ends_with("gigabyte") || api.ends_with("forever");
            provider.limits.each = Duration::from_millis(if slow { 30_000 } else { 500 });
            let why = ask(&guest, &provider, &api, absent()).await;
            let why = why.expect_err("it comes to nothing");
            assert!(why.contains(words), "{api}: {why}");
        }
        let echo = format!("http://{host}/echo");
        let told = ask(&guest, &provider, &echo, Task::GitCredential(false)).await;
        let login = told
            .ok()
            .and_then(|outcome| outcome.credential)
            .expect("a credential");
        assert_eq!(login.user, "***", "what the forge repeats is blanked");
        assert_eq!(login.password.expose(), TOKEN);
        server.abort();
        Ok(())
    });
}
