//! An issuer of tokens that publishes its keys, and signs what it is asked to.

use std::sync::{Arc, Mutex};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256};
use axum::Router;
use axum::routing::get;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reeve_tests::secrecy;
use serde_json::{Value, json};

use super::caller::hmac;

pub(super) struct Issuer {
    pub(super) url: String,
    key: KeyPair,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Issuer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn coded(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

impl Issuer {
    pub(super) async fn start() -> anyhow::Result<Self> {
        let key = KeyPair::generate(KeySize::Rsa2048)?;
        let socket = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", socket.local_addr()?);
        let discovery = json!({"issuer": url, "jwks_uri": format!("{url}/keys")}).to_string();
        let n = coded(key.public_key().modulus().big_endian_without_leading_zero());
        let e = coded(
            key.public_key()
                .exponent()
                .big_endian_without_leading_zero(),
        );
        let keys = json!({"keys": [
            {"kty": "RSA", "kid": "one", "use": "sig", "alg": "RS256", "n": n, "e": e},
        ]});
        let keys = Arc::new(Mutex::new(keys.to_string()));
        let app = Router::new()
            .route(
                "/.well-known/openid-configuration",
                get(async move || discovery.clone()),
            )
            .route(
                "/keys",
                get(async move || keys.lock().map(|keys| keys.clone()).unwrap_or_default()),
            );
        let task = tokio::spawn(async move {
            axum::serve(socket, app).await.expect("it serves");
        });
        Ok(Self { url, key, task })
    }

    /// A token with these claims, signed as it should be.
    pub(super) fn token(&self, claims: &Value) -> anyhow::Result<String> {
        let text = unsigned(&json!({"alg": "RS256", "kid": "one"}), claims);
        let mut signature = vec![0; self.key.public_modulus_len()];
        let (how, random) = (&RSA_PKCS1_SHA256, SystemRandom::new());
        self.key
            .sign(how, &random, text.as_bytes(), &mut signature)?;
        Ok(told(format!("{text}.{}", coded(signature))))
    }

    /// A token whose secret is what everybody can read: the public key.
    pub(super) fn confused(&self, claims: &Value) -> String {
        let text = unsigned(&json!({"alg": "HS256", "kid": "one"}), claims);
        let key = self.key.public_key().as_ref().to_vec();
        let signature = hmac(&key, &[text.as_bytes()]);
        told(format!("{text}.{}", coded(signature)))
    }

    /// A token that nobody has signed.
    pub(super) fn bare(&self, claims: &Value) -> String {
        told(format!("{}.", unsigned(&json!({"alg": "none"}), claims)))
    }
}

fn unsigned(header: &Value, claims: &Value) -> String {
    format!(
        "{}.{}",
        coded(header.to_string()),
        coded(claims.to_string())
    )
}

/// No token may be told anywhere.
fn told(token: String) -> String {
    secrecy::used(&token);
    token
}
