//! Somebody who is called by webhooks, and remembers how.

use std::time::Duration;

use anyhow::Context as _;
use axum::body::Bytes;
use http::HeaderMap;
use sha2::{Digest as _, Sha256};
use tokio::sync::Mutex;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

/// A call.
#[derive(Debug)]
pub(super) struct Call {
    signature: String,
    pub(super) body: String,
}

pub(super) struct Listener {
    url: String,
    calls: Mutex<UnboundedReceiver<Call>>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Listener {
    pub(super) async fn start() -> anyhow::Result<Self> {
        let socket = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}/hook", socket.local_addr()?);
        let (called, calls) = unbounded_channel();
        let take = async move |headers: HeaderMap, body: Bytes| {
            let signature = headers.get("x-gitea-signature");
            let signature = signature.and_then(|value| value.to_str().ok());
            let call = Call {
                signature: signature.unwrap_or_default().to_owned(),
                body: String::from_utf8_lossy(&body).into_owned(),
            };
            // The scenario may be over.
            drop(called.send(call));
        };
        let app = axum::Router::new().fallback(take);
        let task = tokio::spawn(async move {
            axum::serve(socket, app).await.expect("it serves");
        });
        Ok(Self {
            url,
            calls: Mutex::new(calls),
            task,
        })
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// The next call that comes.
    pub(super) async fn next(&self) -> anyhow::Result<Call> {
        let mut calls = self.calls.lock().await;
        tokio::time::timeout(Duration::from_secs(60), calls.recv())
            .await
            .context("nobody calls")?
            .context("nobody listens")
    }
}

impl Call {
    /// Whether its signature is the HMAC (RFC 2104) of its body with that key.
    pub(super) fn is_signed_with(&self, key: &str) -> bool {
        let mut block = [0_u8; 64];
        for (to, from) in block.iter_mut().zip(key.bytes()) {
            *to = from;
        }
        let inner = Sha256::new()
            .chain_update(block.map(|byte| byte ^ 0x36))
            .chain_update(&self.body)
            .finalize();
        let outer = Sha256::new()
            .chain_update(block.map(|byte| byte ^ 0x5c))
            .chain_update(inner)
            .finalize();
        self.signature == hex::encode(outer)
    }
}
