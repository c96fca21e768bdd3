//! `GET /metrics`, for Prometheus.
//!
//! What it deliberately doesn't: count; that is `observe::happening`.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;

use crate::observe::Metrics;

const OPEN_METRICS: HeaderValue =
    HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");

/// What it answers.
pub fn router(metrics: Arc<Metrics>) -> Router {
    Router::new()
        .route("/metrics", get(asked))
        .with_state(metrics)
}

async fn asked(State(metrics): State<Arc<Metrics>>) -> Response {
    match metrics.encode() {
        Ok(text) => ([(CONTENT_TYPE, OPEN_METRICS)], text).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::tests::Served;
    use crate::observe::happening::{Ending, ReconcileEnded};
    use crate::observe::{Kind, Object};
    use std::time::Duration;

    #[tokio::test]
    async fn prometheus_reads_what_happened() {
        let metrics = Arc::new(Metrics::new());
        let object = Object {
            kind: Kind::Kustomization,
            namespace: "acme",
            name: "web",
        };
        metrics.tell(&ReconcileEnded {
            object,
            ending: Ending::Succeeded,
            revision: None,
            took: Duration::from_millis(20),
            next: Some(Duration::from_secs(60)),
        });
        let served = Served::start(router(Arc::clone(&metrics))).await;
        let answer = served.ask("GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n").await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        for line in [
            r#"gotk_reconcile_duration_seconds_count{kind="Kustomization",name="web",namespace="acme"} 1"#,
            r#"controller_runtime_reconcile_total{controller="kustomization",result="requeue_after"} 1"#,
            "# EOF",
        ] {
            assert!(answer.contains(line), "{line} is not in {answer}");
        }
        metrics.forget(object);
        let answer = served.ask("GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n").await;
        assert!(!answer.contains("acme"), "{answer}");
        let answer = served.ask("GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
        assert!(answer.starts_with("HTTP/1.1 404"), "{answer}");
    }
}
