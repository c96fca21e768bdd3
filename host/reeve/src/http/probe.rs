//! `/healthz` and `/readyz`, for the kubelet.
//!
//! Healthy is a process that answers; ready one that has seen the cluster and knows which hooks are called, or could not come to know
//! it in a while. A process that waits to become leader is ready: it would otherwise hold up its own rollout. What it deliberately
//! doesn't: ask anybody when it is asked.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;

/// Whether the process is ready, and whether it still lives.
#[derive(Debug, Default)]
pub struct Readiness {
    ready: AtomicBool,
    dead: AtomicBool,
}

impl Readiness {
    /// Not ready yet.
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// The process is ready, or no longer is.
    pub fn set(&self, ready: bool) {
        self.ready.store(ready, Ordering::Relaxed);
    }

    /// Something that cannot be mended without a restart happened: the kubelet is to restart the process.
    pub fn condemn(&self) {
        self.dead.store(true, Ordering::Relaxed);
    }

    /// Whether it is, and lives.
    pub fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Relaxed) && self.is_alive()
    }

    fn is_alive(&self) -> bool {
        !self.dead.load(Ordering::Relaxed)
    }
}

/// What it answers.
pub fn router(readiness: Arc<Readiness>) -> Router {
    Router::new()
        .route(
            "/healthz",
            get(|State(r): State<Arc<Readiness>>| async move { verdict(r.is_alive()) }),
        )
        .route(
            "/readyz",
            get(|State(r): State<Arc<Readiness>>| async move { verdict(r.is_ready()) }),
        )
        .with_state(readiness)
}

fn verdict(good: bool) -> (StatusCode, &'static str) {
    if good {
        (StatusCode::OK, "ok")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "not ready")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::tests::Served;

    #[tokio::test]
    async fn a_process_is_ready_once_it_says_so_and_healthy_until_it_is_condemned() {
        let readiness = Readiness::new();
        let served = Served::start(router(Arc::clone(&readiness))).await;
        let code = async |path: &str| {
            served
                .code(&format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n"))
                .await
        };
        assert_eq!((code("/healthz").await, code("/readyz").await), (200, 503));
        readiness.set(true);
        assert_eq!((code("/healthz").await, code("/readyz").await), (200, 200));
        readiness.condemn();
        assert_eq!((code("/healthz").await, code("/readyz").await), (503, 503));
    }
}
