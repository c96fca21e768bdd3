//! `POST /hook/<digest>`: a forge, or anybody whom a Receiver believes, says that something was pushed.
//!
//! The call is judged by `core::webhook`, answered at once, and leaves as a [`Nudge`]; the controller finds out what the
//! Receiver names and starts the fetch. What it deliberately doesn't: look into the payload, work, or remember calls.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::header::{ALLOW, CONTENT_LENGTH, RETRY_AFTER};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse as _, Response};
use reeve_api::name::NamespacedName;
use reeve_core::index::{Hook, Standing};
use reeve_core::webhook::{self, Accepted};
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;
use tokio::time::timeout;

use crate::observe::Metrics;
use crate::observe::happening::HookCalled;

/// The largest payload that is read: Flux's limit.
pub const MAX_BODY: usize = 3 * 1024 * 1024;
/// How long a payload may take: Flux's limit.
pub const BODY_TIME: Duration = Duration::from_secs(30);

/// "What this Receiver names may have moved."
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Nudge {
    /// The Receiver that was called.
    pub receiver: NamespacedName,
    /// The event that the caller named.
    pub event: Option<String>,
    /// When the call was let in.
    pub at: Instant,
}

/// Finds the hook at a path; called with the whole path. It must not block.
pub type Lookup = Arc<dyn Fn(&str) -> Option<Arc<Hook>> + Send + Sync>;

/// What the receiver needs.
#[derive(Clone)]
pub struct Receiver {
    lookup: Lookup,
    nudges: mpsc::Sender<Nudge>,
    metrics: Arc<Metrics>,
    body_time: Duration,
}

impl fmt::Debug for Receiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver").finish_non_exhaustive()
    }
}

impl Receiver {
    /// A receiver that finds hooks with `lookup` and sends what was let in to `nudges`.
    pub fn new(lookup: Lookup, nudges: mpsc::Sender<Nudge>, metrics: Arc<Metrics>) -> Self {
        Self {
            lookup,
            nudges,
            metrics,
            body_time: BODY_TIME,
        }
    }

    /// The same with another time for payloads.
    #[must_use]
    pub fn with_body_time(self, body_time: Duration) -> Self {
        Self { body_time, ..self }
    }

    /// What it answers.
    pub fn router(self) -> Router {
        Router::new().fallback(called).with_state(self)
    }
}

/// Why a call wasn't let in: the answer, what its body says, and what the caller may do instead.
struct Refusal {
    code: StatusCode,
    says: String,
    instead: Option<Instead>,
}

enum Instead {
    /// Use one of these methods.
    Methods(&'static str),
    /// Come again in a second: there was no room.
    Later,
}

impl Refusal {
    fn new(code: StatusCode, says: impl Into<String>) -> Self {
        Self {
            code,
            says: says.into(),
            instead: None,
        }
    }

    fn or(self, instead: Instead) -> Self {
        Self {
            instead: Some(instead),
            ..self
        }
    }
}

async fn called(State(receiver): State<Receiver>, request: Request) -> Response {
    let begun = Instant::now();
    let method = counted(request.method());
    let hook = Some(request.uri().path())
        .filter(|path| path.starts_with(webhook::PREFIX))
        .and_then(|path| (receiver.lookup)(path));
    let verdict = match &hook {
        Some(hook) => let_in(&receiver, hook, request).await,
        None => Err(Refusal::new(StatusCode::NOT_FOUND, "no receiver is here")),
    };
    let refusal = verdict.as_ref().err();
    receiver.metrics.tell(&HookCalled {
        method,
        code: refusal
            .map_or(StatusCode::OK, |refusal| refusal.code)
            .as_u16(),
        receiver: hook.as_ref().map(|hook| {
            let receiver = &hook.receiver;
            (receiver.namespace.as_str(), receiver.name.as_str())
        }),
        refused: refusal.map(|refusal| refusal.says.as_str()),
        dropped: refusal.is_some_and(|r| matches!(r.instead, Some(Instead::Later))),
        took: begun.elapsed(),
    });
    answer(verdict)
}

fn answer(verdict: Result<(), Refusal>) -> Response {
    match verdict {
        Ok(()) => StatusCode::OK.into_response(),
        Err(refusal) => {
            let mut response = (refusal.code, format!("{}\n", refusal.says)).into_response();
            let headers = response.headers_mut();
            let _no_other = match refusal.instead {
                Some(Instead::Methods(allowed)) => {
                    headers.insert(ALLOW, HeaderValue::from_static(allowed))
                }
                Some(Instead::Later) => headers.insert(RETRY_AFTER, HeaderValue::from_static("1")),
                None => None,
            };
            response
        }
    }
}

/// Everything a call has to get past, cheapest first; nothing of the payload is read before the last but one.
async fn let_in(receiver: &Receiver, hook: &Hook, request: Request) -> Result<(), Refusal> {
    if !hook.kind.allows(request.method().as_str()) {
        let refusal = Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "method not allowed");
        return Err(refusal.or(Instead::Methods(hook.kind.methods())));
    }
    match hook.standing {
        Standing::Open => {}
        Standing::Suspended => {
            return Err(Refusal::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "the receiver is suspended",
            ));
        }
        Standing::NotReady => {
            return Err(Refusal::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "the receiver is not ready",
            ));
        }
    }
    let (head, body) = request.into_parts();
    let body = payload(&head.headers, body, receiver.body_time).await?;
    let headers = readable(&head.headers);
    let Accepted { event } = webhook::verify(hook.kind, &headers, &body, &hook.token, &hook.events)
        .map_err(|refused| Refusal::new(StatusCode::BAD_REQUEST, refused.to_string()))?;
    let nudge = Nudge {
        receiver: hook.receiver.clone(),
        event,
        at: Instant::now(),
    };
    receiver
        .nudges
        .try_send(nudge)
        .map_err(|error| match error {
            TrySendError::Full(_) => Refusal::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "too many calls are waiting",
            )
            .or(Instead::Later),
            TrySendError::Closed(_) => Refusal::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "the controller is stopping",
            ),
        })
}

async fn payload(headers: &HeaderMap, body: Body, time: Duration) -> Result<Vec<u8>, Refusal> {
    let too_large = || {
        Refusal::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "the payload is larger than 3 MiB",
        )
    };
    let announced = headers
        .get(CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok())
        .and_then(|text| text.parse::<u64>().ok());
    if announced.is_some_and(|length| length > MAX_BODY as u64) {
        return Err(too_large());
    }
    match timeout(time, to_bytes(body, MAX_BODY)).await {
        Ok(Ok(bytes)) => Ok(bytes.into()),
        Ok(Err(error)) if is_over_limit(&error) => Err(too_large()),
        Ok(Err(_)) => Err(Refusal::new(
            StatusCode::BAD_REQUEST,
            "the payload ended early",
        )),
        Err(_) => Err(Refusal::new(
            StatusCode::REQUEST_TIMEOUT,
            "the payload took too long",
        )),
    }
}

fn is_over_limit(error: &axum::Error) -> bool {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if error.is::<http_body_util::LengthLimitError>() {
            return true;
        }
        cause = error.source();
    }
    false
}

/// The headers as text; one that isn't text is not one that any verification reads.
fn readable(headers: &HeaderMap) -> Vec<(String, String)> {
    headers
        .iter()
        .filter_map(|(name, value)| {
            Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned()))
        })
        .collect()
}

/// The method as a metric's label: only so many values.
fn counted(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::HEAD => "HEAD",
        _ => "OTHER",
    }
}

#[cfg(test)]
mod tests;
