//! Requests to the API server: how many there were and what was answered, as client-go counts them, and how long the answers
//! took, by what was asked; and Events that were never sent.

use std::time::Duration;

use http::{Method, Request};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

use super::metric::{Buckets, Timed, seconds};

/// Labels of a request to the API server, as client-go has them.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    code: String,
    host: String,
    method: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ErrandLabels {
    errand: &'static str,
}

/// The requests to the API server, counted where they are sent.
#[derive(Debug, Clone)]
pub struct Requests {
    answered: Family<RequestLabels, Counter>,
    took: Timed<ErrandLabels>,
    events_dropped: Counter,
}

impl Default for Requests {
    fn default() -> Self {
        Self {
            answered: Family::default(),
            took: Family::new_with_constructor(Buckets::Work),
            events_dropped: Counter::default(),
        }
    }
}

/// What a request is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Errand(&'static str);

impl Errand {
    /// What this request is for; a watch only until it begins.
    pub fn of<B>(request: &Request<B>) -> Self {
        let (path, query) = (request.uri().path(), request.uri().query());
        let asks = |pair: &str| query.is_some_and(|query| query.split('&').any(|it| it == pair));
        Self(match *request.method() {
            Method::GET if asks("watch=true") || asks("watch=1") => "watch",
            Method::GET => "read",
            _ if path.contains("/leases") => "lease",
            Method::POST if path.ends_with("/events") => "event",
            _ if asks("dryRun=All") => "dry-run",
            _ if path.ends_with("/status") => "status",
            Method::DELETE => "delete",
            _ => "write",
        })
    }
}

impl Requests {
    /// One was answered with `code`, or (`None`) not at all, after so long.
    pub fn tell(
        &self,
        errand: Errand,
        (method, host): (&str, &str),
        code: Option<u16>,
        took: Duration,
    ) {
        let code = code.map_or_else(|| "<error>".to_owned(), |code| code.to_string());
        let (host, method) = (host.to_owned(), method.to_owned());
        let labels = RequestLabels { code, host, method };
        self.answered.get_or_create(&labels).inc();
        let labels = ErrandLabels { errand: errand.0 };
        self.took.get_or_create(&labels).observe(seconds(took));
    }

    /// So many Events are not written, since there is no room for them to wait. How many there were before.
    pub fn drop_events(&self, many: u64) -> u64 {
        self.events_dropped.inc_by(many)
    }

    /// By Flux's name, and by ours.
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register(
            "rest_client_requests",
            "Number of HTTP requests, partitioned by status code, method, and host",
            self.answered.clone(),
        );
        registry.register(
            "reeve_api_request_duration_seconds",
            "How long the API server took to answer, by what it was asked for",
            self.took.clone(),
        );
        registry.register(
            "reeve_events_dropped",
            "Events that were never written because too many were waiting",
            self.events_dropped.clone(),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_request_is_for_is_seen_from_its_method_and_address() {
        let maps = "/api/v1/namespaces/acme/configmaps";
        for (method, uri, errand) in [
            ("GET", format!("{maps}/a"), "read"),
            (
                "GET",
                format!("{maps}?watch=true&timeoutSeconds=240"),
                "watch",
            ),
            (
                "PATCH",
                format!("{maps}/a?force=true&dryRun=All"),
                "dry-run",
            ),
            ("PATCH", format!("{maps}/a?force=true"), "write"),
            ("PATCH", format!("{maps}/a/status"), "status"),
            ("DELETE", format!("{maps}/a"), "delete"),
            ("POST", "/api/v1/namespaces/acme/events".to_owned(), "event"),
            (
                "PUT",
                "/apis/coordination.k8s.io/v1/namespaces/a/leases/b".to_owned(),
                "lease",
            ),
        ] {
            let request = Request::builder()
                .method(method)
                .uri(&uri)
                .body(())
                .unwrap();
            assert_eq!(Errand::of(&request), Errand(errand), "{method} {uri}");
        }
    }
}
