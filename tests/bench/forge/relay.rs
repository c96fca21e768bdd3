//! Stands between a forge and the controller, and notes when the forge calls: what was before that is the forge's own time.
//!
//! It hands each call on as it is, and answers with the controller's status. It deliberately keeps nothing of a call but its moment.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use axum::body::Bytes;
use axum::extract::State as Shared;
use axum::http::{HeaderMap, StatusCode, Uri};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

struct State {
    /// Where the controller is called, without a path.
    to: String,
    client: reqwest::Client,
    calls: Mutex<Vec<Instant>>,
}

/// A relay that listens.
pub(super) struct Relay {
    state: Arc<State>,
    url: String,
    task: JoinHandle<()>,
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Relay {
    /// Hands calls on to the controller at `to`.
    pub(super) async fn start(to: &str) -> anyhow::Result<Self> {
        let socket = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", socket.local_addr()?);
        let state = Arc::new(State {
            to: to.trim_end_matches('/').to_owned(),
            client: reqwest::Client::builder().no_proxy().build()?,
            calls: Mutex::default(),
        });
        let app = axum::Router::new()
            .fallback(pass)
            .with_state(Arc::clone(&state));
        let task = tokio::spawn(async move {
            axum::serve(socket, app).await.ok();
        });
        Ok(Self { state, url, task })
    }

    /// Where a forge is to call, for this path of the controller's.
    pub(super) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }

    /// The first call since then.
    pub(super) fn first_since(&self, then: Instant) -> Option<Instant> {
        let calls = self.state.calls.lock();
        let calls = calls.unwrap_or_else(PoisonError::into_inner);
        calls.iter().copied().find(|call| *call >= then)
    }
}

async fn pass(
    Shared(state): Shared<Arc<State>>,
    uri: Uri,
    mut headers: HeaderMap,
    body: Bytes,
) -> StatusCode {
    let now = Instant::now();
    state
        .calls
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push(now);
    // Those of a connection are each connection's own.
    for own in ["host", "content-length", "connection"] {
        headers.remove(own);
    }
    let url = format!("{}{}", state.to, uri.path());
    let sent = state.client.post(url).headers(headers).body(body).send();
    sent.await
        .map_or(StatusCode::BAD_GATEWAY, |answer| answer.status())
}
