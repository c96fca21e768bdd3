//! `POST /hook/<digest>`: a forge, or anybody whom a Receiver believes, says that something was pushed.
//!
//! The call is judged by `core::webhook`, answered at once, and leaves as a [`Nudge`]; the controller finds out what the
//! Receiver names and starts the fetch. Who proves nothing is turned away when it calls too often, by its address. Whoever proves
//! itself never is: calls that are more than a Receiver's share are answered as the others, and one nudge stands for all of
//! them; what they told is not known then, and all that the Receiver names is looked at instead. What headers prove, or cannot, is
//! judged before anything of the payload is read. What it deliberately doesn't: look into what was pushed, or work.

mod claims;
mod guard;
mod payload;
mod refusal;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse as _, Response};
use reeve_api::name::NamespacedName;
use reeve_core::index::{Hook, Standing};
use reeve_core::webhook::{self, Accepted, Call, Push, Refused};
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

use super::Peer;
use crate::clock::Clock;
use crate::issuers::Issuers;
use crate::observe::Metrics;
use crate::observe::happening::HookCalled;
use crate::observe::span::{Branch, Tracer};
use claims::Judges;
use guard::Guard;
pub use guard::Limits;
pub use payload::{BODY_TIME, MAX_BODY};
use payload::{Place, Room};
pub use refusal::Unheard;
use refusal::{Instead, Refusal};

/// "What this Receiver names may have moved."
#[derive(Debug)]
pub struct Nudge {
    /// The Receiver that was called.
    pub receiver: NamespacedName,
    /// The event that the caller named.
    pub event: Option<String>,
    /// When the call was let in.
    pub at: Instant,
    /// What was pushed where, if the caller said so.
    pub push: Option<Push>,
    /// What the Receiver's filters see of the call; None: it has none.
    pub shown: Option<Shown>,
    /// Whether it stands for many calls that were more than could be looked into: nobody knows what they told of.
    pub of_many: bool,
    /// The trace that begins with it, if anybody is told of traces. None that the caller names: it is a stranger.
    pub trace: Option<Branch>,
}

/// A call as filters see it, and the room that it takes up.
#[derive(Debug)]
pub struct Shown {
    /// The payload, where it is JSON.
    pub req: Option<String>,
    /// The claims of the token that proved it.
    pub claims: Option<Value>,
    /// Given back with the payload.
    _room: Place,
}

/// Finds the hook at a path; called with the whole path. It must not block.
pub type Lookup = Arc<dyn Fn(&str) -> Option<Arc<Hook>> + Send + Sync>;

/// What the receiver needs.
#[derive(Clone)]
pub struct Receiver {
    lookup: Lookup,
    nudges: mpsc::Sender<Nudge>,
    metrics: Arc<Metrics>,
    judges: Arc<Judges>,
    guard: Arc<Guard>,
    room: Arc<Room>,
    clock: Clock,
    body_time: Duration,
    tracer: Tracer,
}

impl fmt::Debug for Receiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver").finish_non_exhaustive()
    }
}

impl Receiver {
    /// A receiver that finds hooks with `lookup` and sends what was let in to `nudges`.
    pub fn new(
        lookup: Lookup,
        nudges: mpsc::Sender<Nudge>,
        metrics: Arc<Metrics>,
        issuers: Issuers,
    ) -> Self {
        Self {
            lookup,
            nudges,
            metrics,
            judges: Arc::new(Judges::new(issuers)),
            guard: Arc::new(Guard::new(&Limits::default())),
            room: Arc::default(),
            clock: Clock::default(),
            body_time: BODY_TIME,
            tracer: Tracer::default(),
        }
    }

    /// The same, whose calls begin traces.
    #[must_use]
    pub fn with_tracer(self, tracer: Tracer) -> Self {
        Self { tracer, ..self }
    }

    /// The same with another time for payloads.
    #[must_use]
    pub fn with_body_time(self, body_time: Duration) -> Self {
        Self { body_time, ..self }
    }

    /// The same with other limits on how often who may call.
    #[must_use]
    pub fn with_limits(self, limits: &Limits) -> Self {
        let guard = Arc::new(Guard::new(limits));
        Self { guard, ..self }
    }

    /// The same by another clock.
    #[must_use]
    pub fn with_clock(self, clock: Clock) -> Self {
        Self { clock, ..self }
    }

    /// What it answers.
    pub fn router(self) -> Router {
        Router::new().fallback(called).with_state(self)
    }
}

async fn called(State(receiver): State<Receiver>, request: Request) -> Response {
    let begun = Instant::now();
    let method = counted(request.method());
    let peer = request.extensions().get::<Peer>().copied();
    let path = Some(request.uri().path());
    let path = path.filter(|path| path.starts_with(webhook::PREFIX));
    let hook = path.and_then(|path| (receiver.lookup)(path));
    let trace = hook.as_ref().and_then(|_| receiver.tracer.begin());
    let verdict = match &hook {
        Some(hook) => let_in(&receiver, hook, peer, request, trace.clone()).await,
        None => {
            let says = "no receiver is here";
            Err(Refusal::nobody(StatusCode::NOT_FOUND, says))
        }
    };
    let verdict = verdict.map_err(|refusal| match refusal.unproved {
        true => receiver.guard.charge(peer, begun).err().unwrap_or(refusal),
        false => refusal,
    });
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
    match verdict {
        Ok(()) => {
            tell(trace, hook.as_ref(), begun.elapsed());
            StatusCode::OK.into_response()
        }
        Err(refusal) => refusal.into_response(),
    }
}

/// Tells of a call that was let in: of those that were not there is no trace, or strangers would fill it.
fn tell(trace: Option<Branch>, hook: Option<&Arc<Hook>>, took: Duration) {
    let Some((trace, hook)) = trace.zip(hook) else {
        return;
    };
    let told = vec![
        ("kind", "Receiver".to_owned()),
        ("namespace", hook.receiver.namespace.to_string()),
        ("name", hook.receiver.name.to_string()),
    ];
    trace.called("hook", took, told);
}

/// Everything a call has to get past, cheapest first; nothing of the payload is read before the call may be one at all.
async fn let_in(
    receiver: &Receiver,
    hook: &Arc<Hook>,
    peer: Option<Peer>,
    request: Request,
    trace: Option<Branch>,
) -> Result<(), Refusal> {
    stands(hook, &request)?;
    let (head, body) = request.into_parts();
    let headers = readable(&head.headers);
    let now = receiver.clock.now();
    hook.may_prove(&headers, now).map_err(refused)?;
    let judges = &receiver.judges;
    let claims = judges.claims(&receiver.guard, hook, &headers, now).await?;
    let mut room = receiver.room.enter(&hook.receiver, guard::site(peer));
    let body = payload::read(&head.headers, body, receiver.body_time, &mut room).await?;
    let call = Call {
        headers: &headers,
        body: &body,
    };
    let accepted = hook.verify(&call, claims.as_ref(), now).map_err(refused)?;
    let Accepted {
        event,
        push,
        marks,
        req,
    } = accepted;
    let at = Instant::now();
    let shown = (!hook.filters.is_empty()).then(|| Shown {
        req,
        claims: claims.map(|claims| claims.all().clone()),
        _room: room,
    });
    let nudge = Nudge {
        receiver: hook.receiver.clone(),
        event,
        at,
        push,
        shown,
        of_many: false,
        trace,
    };
    if receiver.nudges.is_closed() {
        return Err(stopping());
    }
    let by_itself = receiver.guard.once(&hook.receiver, &marks, at, || {
        match receiver.nudges.try_send(nudge) {
            Ok(()) => Ok(true),
            Err(TrySendError::Full(_)) => Ok(false),
            Err(TrySendError::Closed(_)) => Err(stopping()),
        }
    })?;
    if !by_itself {
        tell_of_many(receiver, hook, at);
    }
    Ok(())
}

fn stopping() -> Refusal {
    let says = "the controller is stopping";
    Refusal::new(StatusCode::SERVICE_UNAVAILABLE, says)
}

/// Tells, once for all that come until then, that there were calls which were not told of one by one. It is told when there is
/// room, however long that takes: not every forge comes again.
fn tell_of_many(receiver: &Receiver, hook: &Hook, at: Instant) {
    let (guard, nudges) = (Arc::clone(&receiver.guard), receiver.nudges.clone());
    let Some(wait) = guard.owes(&hook.receiver, at) else {
        return;
    };
    let whose = hook.receiver.clone();
    tokio::spawn(async move {
        tokio::time::sleep(wait).await;
        let place = nudges.reserve().await;
        // What comes from here on is told by another.
        guard.settles(&whose);
        if let Ok(place) = place {
            place.send(of_many(whose));
        }
    });
}

fn of_many(receiver: NamespacedName) -> Nudge {
    Nudge {
        receiver,
        event: None,
        at: Instant::now(),
        push: None,
        shown: None,
        of_many: true,
        trace: None,
    }
}

fn refused(why: Refused) -> Refusal {
    Refusal {
        unproved: why.is_unproved(),
        ..Refusal::new(StatusCode::BAD_REQUEST, why.to_string())
    }
}

/// What is known of a call before anything of it is read.
fn stands(hook: &Hook, request: &Request) -> Result<(), Refusal> {
    if !webhook::allows(hook.kind, request.method().as_str()) {
        let refusal = Refusal::unproved(StatusCode::METHOD_NOT_ALLOWED, "method not allowed");
        return Err(refusal.or(Instead::Methods(webhook::methods(hook.kind))));
    }
    let unavailable = |says| Err(Refusal::nobody(StatusCode::SERVICE_UNAVAILABLE, says));
    match hook.standing {
        Standing::Open => {}
        Standing::Suspended => return unavailable("the receiver is suspended"),
        Standing::NotReady => return unavailable("the receiver is not ready"),
    }
    // What is no text is no type either.
    let content = request.headers().get(CONTENT_TYPE);
    let content = content.map(|value| value.to_str().unwrap_or_default());
    if !webhook::takes(hook.kind, content) {
        let says = "the payload's Content-Type is not one that is expected here";
        return Err(Refusal::unproved(StatusCode::UNSUPPORTED_MEDIA_TYPE, says));
    }
    Ok(())
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
