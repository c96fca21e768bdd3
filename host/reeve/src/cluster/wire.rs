//! One request, as one identity, with one policy on trying again.
//!
//! A [`Wire`] is either the controller's own or a tenant's: the tenant's sets `Impersonate-User` on every request and
//! strips any other `Impersonate-*`, so whoever holds it cannot act as anybody else, and a thousand of them share one
//! connection pool. It deliberately never decodes into types and never logs an answer: an answer may be a Secret.
//! What a refusal means is [`refusal`](super::refusal)'s to say.

mod delete;
mod patch;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures::Stream;
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode};
use http_body_util::BodyExt as _;
use kube::core::{ApiResource, WatchEvent};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use tokio::time::Instant;

use super::connection::{TooLarge, TooSlow};
use super::leash::Leash;
use super::refusal::{Attempt, CallError, Refusal};
use super::throttle::{self, Throttle};
pub(super) use patch::{Format, Patch};

/// A way to the API server as one identity.
#[derive(Clone)]
pub(super) struct Wire {
    client: kube::Client,
    user: Option<HeaderValue>,
    retry_for: Duration,
    /// Whether anything may be written.
    leash: Leash,
    /// When anything over this connection last found no API server.
    lost: Arc<Mutex<Option<Instant>>>,
    throttle: Throttle,
}

/// The longest pause between two tries, unless the API server asks for a longer one.
const SLOWEST: Duration = Duration::from_secs(1);
/// So often a request is repeated that the server answers with a fault of its own: most pass, and one that stays must not hold
/// a worker.
const FAULTS: u32 = 2;
/// For how long after its start an API server may still refuse what its roles allow: it answers before its authorizer
/// has read them.
const WAKING: Duration = Duration::from_secs(10);

/// For how many seconds a watch goes on: less than silence is borne.
pub(super) const WATCHED: u32 = 240;

/// One object's address on the API server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Address {
    pub(super) resource: ApiResource,
    /// None for a cluster-scoped object.
    pub(super) namespace: Option<String>,
    pub(super) name: String,
}

impl Wire {
    /// The controller's own identity.
    pub(super) fn own(client: kube::Client, retry_for: Duration, leash: Leash) -> Self {
        Self {
            client,
            user: None,
            retry_for,
            leash,
            lost: Arc::default(),
            throttle: Throttle::default(),
        }
    }

    /// The same identity, but nothing is tried twice.
    pub(super) fn impatient(&self) -> Self {
        Self {
            retry_for: Duration::ZERO,
            ..self.clone()
        }
    }

    /// The same identity, whoever leads and however busy the rest of us is: for what must be written without a lease.
    pub(super) fn unleashed(&self) -> Self {
        Self {
            leash: Leash::default(),
            throttle: Throttle::default(),
            ..self.clone()
        }
    }

    /// The same connection, every request of it as `user`.
    pub(super) fn acting_as(&self, user: HeaderValue) -> Self {
        Self {
            user: Some(user),
            ..self.clone()
        }
    }

    /// The object, or None when there is none of that name.
    pub(super) async fn get(&self, at: &Address) -> Result<Option<Value>, CallError> {
        self.get_as(at, "application/json").await
    }

    /// The same in another form.
    pub(super) async fn get_as(
        &self,
        at: &Address,
        accept: &str,
    ) -> Result<Option<Value>, CallError> {
        match self.read(&at.path()?, accept).await {
            Ok(body) => parse(&body).map(Some),
            Err(why) if why.is_missing_object() => Ok(None),
            Err(why) => Err(why),
        }
    }

    /// Reads any other path of the API.
    pub(super) async fn read(&self, path: &str, accept: &str) -> Result<Bytes, CallError> {
        let request = Request::get(path)
            .header(http::header::ACCEPT, accept)
            .body(Vec::new());
        self.send(request, Attempt::Get).await
    }

    /// One page of a list: its items, and what leads to the next page, if there is one.
    pub(super) async fn page(&self, path: &str) -> Result<(Vec<Value>, Option<String>), CallError> {
        self.page_as(path, "application/json").await
    }

    /// The same in another form.
    pub(super) async fn page_as(
        &self,
        path: &str,
        accept: &str,
    ) -> Result<(Vec<Value>, Option<String>), CallError> {
        let body = self.read(path, accept).await?;
        let mut list: Value = serde_json::from_slice(&body)
            .map_err(|why| CallError::Garbled(format!("a list: column {}", why.column())))?;
        let next = list.pointer("/metadata/continue").and_then(Value::as_str);
        let next = next.filter(|next| !next.is_empty());
        let next = next.map(|next| utf8_percent_encode(next, NON_ALPHANUMERIC).to_string());
        let items = list.get_mut("items").and_then(Value::as_array_mut);
        Ok((items.map(std::mem::take).unwrap_or_default(), next))
    }

    /// Changes the object; the object as it is then is returned.
    pub(super) async fn patch(
        &self,
        at: &Address,
        how: Patch<'_>,
        body: Vec<u8>,
    ) -> Result<Value, CallError> {
        let mut uri = at.path()?;
        if let Some(subresource) = how.subresource {
            uri.push('/');
            uri.push_str(subresource);
        }
        uri.push_str("?fieldManager=");
        uri.push_str(how.manager);
        if how.format == Format::Apply {
            uri.push_str("&force=true");
        }
        if how.dry_run {
            uri.push_str("&dryRun=All");
        }
        let request = Request::patch(uri)
            .header(http::header::CONTENT_TYPE, how.format.mime())
            .body(body);
        let attempt = match (how.format, how.dry_run) {
            (Format::Apply, true) => Attempt::DryRun,
            (Format::Apply, false) => Attempt::Apply,
            _ => Attempt::Patch,
        };
        parse(&self.send(request, attempt).await?)
    }

    /// Creates what must not exist yet.
    pub(super) async fn create(&self, at: &Address, body: &Value) -> Result<Value, CallError> {
        self.post(at.collection()?, body, Attempt::Create).await
    }

    /// Asks for an object to be created there, or what would come of it; never tried twice.
    pub(super) async fn post(
        &self,
        uri: String,
        body: &Value,
        how: Attempt,
    ) -> Result<Value, CallError> {
        let request = with_json(Request::post(uri), body);
        parse(&self.send(request, how).await?)
    }

    /// Replaces the object if its resourceVersion is still the one in `body`; never tried twice.
    pub(super) async fn replace(&self, at: &Address, body: &Value) -> Result<Value, CallError> {
        let request = with_json(Request::put(at.path()?), body);
        parse(&self.send(request, Attempt::Replace).await?)
    }

    /// What happens to all objects beside the one at `at`, beginning with what is there; ended by the server in time.
    pub(super) async fn watch(
        &self,
        at: &Address,
    ) -> Result<impl Stream<Item = kube::Result<WatchEvent<Value>>> + use<>, CallError> {
        let uri = format!("{}?watch=true&timeoutSeconds={WATCHED}", at.collection()?);
        self.events(&uri, "application/json").await
    }

    /// What a watch at any path of the API tells.
    pub(super) async fn events(
        &self,
        uri: &str,
        accept: &str,
    ) -> Result<impl Stream<Item = kube::Result<WatchEvent<Value>>> + use<>, CallError> {
        let request = Request::get(uri)
            .header(http::header::ACCEPT, accept)
            .body(Vec::new());
        let mut request = request.map_err(|why| CallError::Garbled(why.to_string()))?;
        identify(request.headers_mut(), self.user.as_ref());
        let events = self.client.request_events(request).await;
        events.map_err(|why| self.noted(not_watched(&why)))
    }

    /// The failure, as what it means from an API server that has just started.
    fn noted(&self, why: CallError) -> CallError {
        let mut lost = self.lost.lock().unwrap_or_else(PoisonError::into_inner);
        match why {
            CallError::Refused(refusal)
                if refusal.code == 403 && lost.is_some_and(|at| at.elapsed() < WAKING) =>
            {
                CallError::Waking(refusal)
            }
            CallError::Unreachable(_) => {
                *lost = Some(Instant::now());
                why
            }
            why => why,
        }
    }

    async fn send(
        &self,
        request: Result<Request<Vec<u8>>, http::Error>,
        attempt: Attempt,
    ) -> Result<Bytes, CallError> {
        let (mut head, body) = request
            .map_err(|why| CallError::Garbled(why.to_string()))?
            .into_parts();
        identify(&mut head.headers, self.user.as_ref());
        let body = Bytes::from(body);
        let give_up = Instant::now() + self.retry_for;
        let mut pause = Duration::from_millis(100);
        let mut faults = 0;
        loop {
            if head.method != Method::GET && !self.leash.lets() {
                return Err(CallError::NotLeading);
            }
            if let Some(left) = self.throttle.left(self.user.as_ref()) {
                if left > throttle::PATIENCE || Instant::now() + left > give_up {
                    let seconds = left.as_secs().saturating_add(1);
                    return Err(CallError::Throttled(Duration::from_secs(seconds)));
                }
                tokio::time::sleep(left).await;
                continue;
            }
            let mut again = Request::new(kube::client::Body::from(body.clone()));
            *again.method_mut() = head.method.clone();
            *again.uri_mut() = match head.method == Method::GET {
                true => head.uri.clone(),
                false => self.leash.limit(&head.uri)?,
            };
            *again.headers_mut() = head.headers.clone();
            let why = match self.once(again, attempt).await {
                Ok(answer) => return Ok(answer),
                Err(why) => self.noted(why),
            };
            let asked = why.retry_after().unwrap_or_default();
            if head.method != Method::GET && why.is_too_late() {
                self.leash.pace().late(Instant::now());
            }
            if why.is_throttling() {
                self.throttle.asked(self.user.as_ref(), asked);
            }
            if asked > throttle::PATIENCE {
                return Err(why);
            }
            let wait = asked.max(pause);
            let repeatable = matches!(head.method, Method::GET | Method::PATCH | Method::DELETE);
            faults += u32::from(why.is_fault());
            let passes = why.is_transient() || (why.is_fault() && faults <= FAULTS);
            if !(repeatable && passes) || Instant::now() + wait > give_up {
                return Err(why);
            }
            tokio::time::sleep(wait).await;
            pause = (pause * 2).min(SLOWEST);
        }
    }

    async fn once(
        &self,
        request: Request<kube::client::Body>,
        attempt: Attempt,
    ) -> Result<Bytes, CallError> {
        let answer = self.client.send(request).await;
        let (head, body) = answer.map_err(|why| unanswered(&why))?.into_parts();
        let body = body.collect().await.map_err(|why| unanswered(&why))?;
        let body = body.to_bytes();
        if head.status.is_success() {
            return Ok(body);
        }
        let later = retry_after(&head.headers);
        let refused = refusal(head.status, later, &body, attempt);
        Err(CallError::Refused(Box::new(refused)))
    }
}

impl Address {
    /// The kind's path, in the namespace if there is one.
    pub(super) fn collection(&self) -> Result<String, CallError> {
        let ApiResource {
            group,
            api_version,
            plural,
            ..
        } = &self.resource;
        let root = if group.is_empty() { "api" } else { "apis" };
        Ok(match &self.namespace {
            Some(namespace) => {
                format!(
                    "/{root}/{api_version}/namespaces/{}/{plural}",
                    segment(namespace)?
                )
            }
            None => format!("/{root}/{api_version}/{plural}"),
        })
    }

    fn path(&self) -> Result<String, CallError> {
        Ok(format!("{}/{}", self.collection()?, segment(&self.name)?))
    }
}

/// A name as one segment of a path: it can neither end the path nor climb out of it.
fn segment(name: &str) -> Result<String, CallError> {
    const KEPT: percent_encoding::AsciiSet = percent_encoding::NON_ALPHANUMERIC
        .remove(b'-')
        .remove(b'.')
        .remove(b'_')
        .remove(b':');
    if matches!(name, "" | "." | "..") || name.contains(['/', '%']) {
        return Err(CallError::Name(name.chars().take(300).collect()));
    }
    Ok(percent_encoding::utf8_percent_encode(name, &KEPT).to_string())
}

fn with_json(
    request: http::request::Builder,
    body: &Value,
) -> Result<Request<Vec<u8>>, http::Error> {
    request
        .header(http::header::CONTENT_TYPE, "application/json")
        .body(body.to_string().into_bytes())
}

/// Exactly one identity: the given one, or the connection's own.
fn identify(headers: &mut HeaderMap, user: Option<&HeaderValue>) {
    let others: Vec<_> = headers
        .keys()
        .filter(|name| name.as_str().starts_with("impersonate-"))
        .cloned()
        .collect();
    for name in others {
        headers.remove(name);
    }
    if let Some(user) = user {
        headers.insert("impersonate-user", user.clone());
    }
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers
        .get(http::header::RETRY_AFTER)?
        .to_str()
        .ok()?
        .parse()
        .ok()?;
    Some(Duration::from_secs(seconds).min(throttle::LONGEST))
}

fn parse(body: &[u8]) -> Result<Value, CallError> {
    // serde_json's own message would quote the text: only the place of the error is told.
    serde_json::from_slice(body)
        .map_err(|why| CallError::Garbled(format!("line {} column {}", why.line(), why.column())))
}

fn unanswered(why: &kube::Error) -> CallError {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(why);
    let mut told: Vec<String> = Vec::new();
    while let Some(error) = cause {
        if let Some(TooSlow(after)) = error.downcast_ref() {
            return CallError::Slow(*after);
        }
        if let Some(TooLarge(limit)) = error.downcast_ref() {
            return CallError::TooLarge(*limit);
        }
        let text = error.to_string();
        if !told.iter().any(|before| before.contains(&text)) {
            told.push(text);
        }
        cause = error.source();
    }
    CallError::Unreachable(told.join(": "))
}

/// The API server's no to a watch, which kube has read already.
fn not_watched(why: &kube::Error) -> CallError {
    match why {
        kube::Error::Api(status) => CallError::Refused(Box::new(Refusal {
            code: status.code,
            reason: status.reason.clone(),
            names_object: false,
            message: status.message.clone(),
            causes: Vec::new(),
            retry_after: None,
            attempt: Attempt::Get,
        })),
        other => unanswered(other),
    }
}

fn refusal(
    status: StatusCode,
    retry_after: Option<Duration>,
    body: &[u8],
    attempt: Attempt,
) -> Refusal {
    let told: Value = serde_json::from_slice(body).unwrap_or_default();
    let text = |pointer: &str| {
        told.pointer(pointer)
            .and_then(Value::as_str)
            .unwrap_or_default()
    };
    let is_status = text("/kind") == "Status";
    let message = if is_status {
        text("/message").to_owned()
    } else {
        // A proxy, or the bare 404 page of a path that nothing serves.
        String::from_utf8_lossy(body)
            .trim()
            .chars()
            .take(300)
            .collect()
    };
    let causes = told.pointer("/details/causes").and_then(Value::as_array);
    let causes = causes.into_iter().flatten().map(|cause| {
        let of = |key: &str| {
            cause
                .get(key)
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned()
        };
        (of("field"), of("reason"))
    });
    Refusal {
        code: status.as_u16(),
        reason: text("/reason").to_owned(),
        names_object: is_status && !text("/details/name").is_empty(),
        message,
        causes: causes.collect(),
        retry_after,
        attempt,
    }
}

#[cfg(test)]
mod tests {
    use reeve_core::failure::Turn;

    use super::*;

    #[test]
    fn a_tenants_request_carries_its_account_and_no_other_identity() {
        let mut headers = HeaderMap::new();
        headers.insert("impersonate-user", HeaderValue::from_static("system:admin"));
        headers.insert(
            "impersonate-group",
            HeaderValue::from_static("system:masters"),
        );
        headers.append("impersonate-extra-scopes", HeaderValue::from_static("all"));
        let deployer = HeaderValue::from_static("system:serviceaccount:acme:deployer");
        identify(&mut headers, Some(&deployer));
        let left: Vec<_> = headers
            .iter()
            .map(|(k, v)| (k.as_str(), v.clone()))
            .collect();
        assert_eq!(left, [("impersonate-user", deployer)]);
    }

    /// An API server that turns `busy` away so many times, and writes down who asked.
    fn answering(
        busy: &'static str,
        retry_after: &'static str,
        times: usize,
    ) -> (Wire, Arc<Mutex<Vec<String>>>) {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&asked);
        let service = tower::service_fn(move |request: Request<kube::client::Body>| {
            let user = request.headers().get("impersonate-user");
            let user = user.map_or("", |user| user.to_str().unwrap()).to_owned();
            let mut seen = seen.lock().unwrap();
            let before = seen.iter().filter(|one| **one == user).count();
            let answer = match user == busy && before < times {
                true => http::Response::builder()
                    .status(429)
                    .header("retry-after", retry_after),
                false => http::Response::builder().status(200),
            };
            seen.push(user);
            let body = kube::client::Body::from(b"{}".to_vec());
            std::future::ready(Ok::<_, tower::BoxError>(answer.body(body).unwrap()))
        });
        let client = kube::Client::new(service, "default");
        let patience = Duration::from_secs(8);
        (Wire::own(client, patience, Leash::default()), asked)
    }

    /// An API server that says this so many times, and then answers; how often it was asked is counted.
    fn faulty(says: &'static str, times: usize) -> (Wire, Arc<Mutex<usize>>) {
        let asked = Arc::new(Mutex::new(0));
        let seen = Arc::clone(&asked);
        let service = tower::service_fn(move |_: Request<kube::client::Body>| {
            let mut seen = seen.lock().unwrap();
            *seen += 1;
            let code = if *seen <= times { 500 } else { 200 };
            let said = serde_json::json!({"kind": "Status", "message": says, "code": code});
            let body = kube::client::Body::from(said.to_string().into_bytes());
            let answer = http::Response::builder().status(code).body(body).unwrap();
            std::future::ready(Ok::<_, tower::BoxError>(answer))
        });
        let client = kube::Client::new(service, "default");
        let patience = Duration::from_secs(8);
        (Wire::own(client, patience, Leash::default()), asked)
    }

    #[tokio::test]
    async fn a_fault_of_the_server_is_tried_twice_more_and_one_of_a_webhook_never() {
        let webhook = "failed calling webhook \"a.example.com\"";
        for (says, times, asks) in [
            ("an error on the server", 2, 3),
            ("an error on the server", 9, 3),
            (webhook, 9, 1),
        ] {
            let (wire, asked) = faulty(says, times);
            let answer = wire.read("/x", "*/*").await;
            assert_eq!(answer.is_ok(), times < asks, "{says}: {answer:?}");
            assert_eq!(*asked.lock().unwrap(), asks, "{says}");
        }
    }

    /// Nobody at first, and then one that knows no roles yet.
    fn waking() -> Wire {
        let away = Arc::new(std::sync::atomic::AtomicBool::new(true));
        let service = tower::service_fn(move |_: Request<kube::client::Body>| {
            let answer = match away.swap(false, std::sync::atomic::Ordering::Relaxed) {
                true => Err(tower::BoxError::from("connection refused")),
                false => {
                    let said = serde_json::json!({
                        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
                        "reason": "Forbidden", "message": "cannot watch", "code": 403,
                    });
                    let body = kube::client::Body::from(said.to_string().into_bytes());
                    Ok(http::Response::builder().status(403).body(body).unwrap())
                }
            };
            std::future::ready(answer)
        });
        let client = kube::Client::new(service, "default");
        Wire::own(client, Duration::ZERO, Leash::default())
    }

    #[tokio::test]
    async fn a_watch_that_a_server_refuses_which_has_just_started_is_not_refused_for_good() {
        let wire = waking();
        let uri = "/api/v1/configmaps?watch=true";
        let gone = wire.events(uri, "*/*").await.err();
        assert!(matches!(gone, Some(CallError::Unreachable(_))), "{gone:?}");
        let waking = wire.events(uri, "*/*").await.err();
        assert!(matches!(waking, Some(CallError::Waking(_))), "{waking:?}");
    }

    #[tokio::test]
    async fn who_is_told_to_come_again_much_later_holds_nobody_and_sends_nothing_until_then() {
        let (wire, asked) = answering("slow", "30", usize::MAX);
        let acting = |user: &'static str| wire.acting_as(HeaderValue::from_static(user));
        let (slow, quick) = (acting("slow"), acting("quick"));
        let begun = Instant::now();
        let why = slow.read("/x", "*/*").await.unwrap_err();
        assert_eq!(why.turn_over_object(), Turn::Later(Duration::from_secs(30)));
        for _ in 0..3 {
            let why = slow.read("/x", "*/*").await.unwrap_err();
            assert!(matches!(why, CallError::Throttled(_)), "{why}");
            let turn = why.turn_over_object();
            assert!(
                matches!(turn, Turn::Later(left) if left.as_secs() >= 28),
                "{turn:?}"
            );
        }
        quick.read("/x", "*/*").await.unwrap();
        assert!(begun.elapsed() < Duration::from_secs(2), "nobody was held");
        assert_eq!(*asked.lock().unwrap(), ["slow", "quick"]);
    }

    #[tokio::test]
    async fn who_is_told_to_come_again_soon_waits_where_it_is_and_comes_once() {
        let (wire, asked) = answering("busy", "1", 1);
        let busy = wire.acting_as(HeaderValue::from_static("busy"));
        let begun = Instant::now();
        let all = futures::future::join_all((0..5).map(|_| busy.read("/x", "*/*"))).await;
        assert!(all.iter().all(Result::is_ok), "{all:?}");
        assert!(begun.elapsed() >= Duration::from_secs(1));
        assert_eq!(asked.lock().unwrap().len(), 6, "one was turned away");
    }

    #[test]
    fn a_name_cannot_climb_out_of_its_path() {
        let address = |namespace: &str, name: &str| Address {
            resource: ApiResource {
                group: "apps".into(),
                version: "v1".into(),
                api_version: "apps/v1".into(),
                kind: "Deployment".into(),
                plural: "deployments".into(),
            },
            namespace: Some(namespace.into()),
            name: name.into(),
        };
        assert_eq!(
            address("acme", "web").path().unwrap(),
            "/apis/apps/v1/namespaces/acme/deployments/web"
        );
        assert_eq!(
            address("acme", "system:x?y#z").path().unwrap(),
            "/apis/apps/v1/namespaces/acme/deployments/system:x%3Fy%23z"
        );
        for (namespace, name) in [
            ("acme", "../../x"),
            ("..", "web"),
            ("a/b", "w"),
            (".", "w"),
            ("acme", ""),
            ("acme", "%2e%2e"),
        ] {
            assert!(
                matches!(address(namespace, name).path(), Err(CallError::Name(_))),
                "{name}"
            );
        }
    }

    #[test]
    fn a_refusal_keeps_the_servers_words_and_the_fields_it_names() {
        let body = br#"{"kind":"Status","status":"Failure","message":"Service \"web\" is invalid: spec.clusterIP",
            "reason":"Invalid","details":{"name":"web","causes":[{"reason":"FieldValueInvalid","message":"x","field":"spec.clusterIP"}]},"code":422}"#;
        let told = refusal(
            StatusCode::UNPROCESSABLE_ENTITY,
            None,
            body,
            Attempt::DryRun,
        );
        assert_eq!(told.reason, "Invalid");
        assert!(told.names_object);
        assert_eq!(
            told.causes,
            [("spec.clusterIP".into(), "FieldValueInvalid".into())]
        );
        let page = refusal(
            StatusCode::NOT_FOUND,
            None,
            b"404 page not found\n",
            Attempt::Get,
        );
        assert_eq!(page.message, "404 page not found");
        assert!(!page.names_object);
    }
}
