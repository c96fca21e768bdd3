//! The one connection to the API server: every request ends in time, and no answer grows without bound.
//!
//! kube's own client retries for up to 15 times 1000 seconds, never times out on reading and collects bodies of any
//! size; here a request has a deadline, an answer a size and a line of a watch a length. Watches as accounts share
//! connections of their own ([`streams`](super::streams)); the controller's, which are as few as kinds, have one each, and
//! wait for nobody else's. It deliberately decides nothing by verbs or by what an account may: [`wire`](super::wire) speaks
//! over it, [`watch`](super::watch) streams over it, and [`turns`](super::turns) says who is next.

use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt as _;
use http::{Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt as _, Limited, StreamBody};
use kube::client::Body;
use tokio::time::Instant;
use tower::BoxError;

use super::streams::Streams;
use super::turns::{Account, Turns};
use crate::observe::{Errand, Requests};

/// Where the API server is, and how patient to be with it.
#[derive(Debug, Clone)]
pub struct Config {
    /// A kubeconfig file; without one the usual places are looked at, then the pod's own account.
    pub kubeconfig: Option<PathBuf>,
    /// The context of the kubeconfig to use instead of its current one.
    pub context: Option<String>,
    /// How long one request may take, its answer's body included. A watch must only begin within it.
    pub request_timeout: Duration,
    /// How long a failed request that may safely be repeated is repeated.
    pub retry_for: Duration,
    /// How many bytes an answer, or one event of a watch, may have.
    pub answer_limit: usize,
    /// How many objects of one run are compared with the cluster at a time.
    pub concurrency: usize,
    /// Where requests are counted.
    pub requests: Requests,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            kubeconfig: None,
            context: None,
            request_timeout: Duration::from_secs(30),
            retry_for: Duration::from_secs(8),
            answer_limit: 64 << 20,
            concurrency: 8,
            requests: Requests::default(),
        }
    }
}

/// The API server cannot even be asked.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The kubeconfig, or the pod's own account, cannot be used.
    #[error("reading the cluster's address and credentials failed")]
    Config(#[source] BoxError),
    /// The kubeconfig says to act as somebody else.
    #[error(
        "the kubeconfig impersonates {0:?}, which is ours to do: give the controller credentials of its own"
    )]
    Impersonates(String),
    /// The client cannot be built from them.
    #[error("preparing the connection to the cluster failed")]
    Client(#[source] Box<kube::Error>),
    /// It does not answer as an API server does.
    #[error("asking the API server what it serves failed")]
    Discovery(#[source] super::CallError),
}

/// An answer that was cut off because it grew over the limit.
#[derive(Debug, thiserror::Error)]
#[error("the answer is larger than {0} bytes")]
pub(super) struct TooLarge(pub(super) usize);

/// A request that was given up.
#[derive(Debug, thiserror::Error)]
#[error("no answer within {0:?}")]
pub(super) struct TooSlow(pub(super) Duration);

/// Reads the configuration and prepares the guarded client; nothing is sent yet.
pub(super) async fn client(config: &Config) -> Result<kube::Client, ConnectError> {
    let mut raw = read(config).await.map_err(ConnectError::Config)?;
    raw.default_retry = false;
    raw.connect_timeout = Some(Duration::from_secs(5).min(config.request_timeout));
    raw.write_timeout = Some(config.request_timeout);
    // A watch is silent for as long as nothing happens; the server ends it after 290 s.
    raw.read_timeout = Some(Duration::from_secs(300));
    if let Some(user) = raw.auth_info.impersonate.take() {
        return Err(ConnectError::Impersonates(user));
    }
    let namespace = raw.default_namespace.clone();
    let counted = Counted {
        host: raw
            .cluster_url
            .authority()
            .map_or_else(String::new, |authority| authority.as_str().to_owned()),
        requests: config.requests.clone(),
    };
    let streams = Streams::of(raw.clone());
    let inner = kube::Client::try_from(raw).map_err(|why| ConnectError::Client(Box::new(why)))?;
    let (patience, limit) = (config.request_timeout, config.answer_limit);
    let turns = Turns::default();
    let service = tower::service_fn(move |request: Request<Body>| {
        let (inner, counted, turns) = (inner.clone(), counted.clone(), turns.clone());
        let streams = streams.clone();
        async move {
            let (errand, method) = (Errand::of(&request), request.method().clone());
            let (watches, account) = (is_watch(&request), account(&request));
            let as_another = account.is_some();
            let asking = async move {
                let begun = Instant::now();
                let answer = match watches && as_another {
                    true => watched(&streams, inner, request, (patience, limit)).await,
                    false => guarded(inner, request, patience, limit).await,
                };
                (answer, begun.elapsed())
            };
            let (answer, took) = match watches {
                true => asking.await,
                false => turns.within(account, asking).await,
            };
            let code = answer.as_ref().ok().map(|answer| answer.status().as_u16());
            let to = (method.as_str(), counted.host.as_str());
            counted.requests.tell(errand, to, code, took);
            answer
        }
    });
    Ok(kube::Client::new(service, namespace))
}

async fn read(config: &Config) -> Result<kube::Config, BoxError> {
    if config.kubeconfig.is_none() && config.context.is_none() {
        return Ok(kube::Config::infer().await?);
    }
    let options = kube::config::KubeConfigOptions {
        context: config.context.clone(),
        ..Default::default()
    };
    match &config.kubeconfig {
        Some(path) => {
            let file = kube::config::Kubeconfig::read_from(path)?;
            Ok(kube::Config::from_custom_kubeconfig(file, &options).await?)
        }
        None => Ok(kube::Config::from_kubeconfig(&options).await?),
    }
}

/// Requests are counted by where they went, as client-go does.
#[derive(Clone)]
struct Counted {
    host: String,
    requests: Requests,
}

/// An answer whose size is bounded.
pub(super) type Answer = http_body_util::Either<
    http_body_util::Full<Bytes>,
    http_body_util::combinators::UnsyncBoxBody<Bytes, BoxError>,
>;

/// The same for a watch that shares a connection where it may.
async fn watched(
    streams: &Streams,
    inner: kube::Client,
    mut request: Request<Body>,
    (patience, limit): (Duration, usize),
) -> Result<Response<Answer>, BoxError> {
    let shared = streams.board(&mut request).await?;
    guarded(shared.unwrap_or(inner), request, patience, limit).await
}

/// Sends a request, and waits so long for its answer, which may be so large; a watch must only begin within that time.
pub(super) async fn guarded(
    inner: kube::Client,
    request: Request<Body>,
    patience: Duration,
    limit: usize,
) -> Result<Response<Answer>, BoxError> {
    let streams = is_watch(&request);
    let answer = async {
        let (head, body) = inner.send(request).await?.into_parts();
        if streams {
            let lines = bounded_lines(body, limit);
            return Ok(Response::from_parts(
                head,
                http_body_util::Either::Right(lines),
            ));
        }
        let whole = Limited::new(body, limit).collect().await.map_err(|why| {
            match why.downcast::<http_body_util::LengthLimitError>() {
                Ok(_) => BoxError::from(TooLarge(limit)),
                Err(other) => other,
            }
        })?;
        let whole = http_body_util::Full::new(whole.to_bytes());
        Ok(Response::from_parts(
            head,
            http_body_util::Either::Left(whole),
        ))
    };
    match tokio::time::timeout(patience, answer).await {
        Ok(answer) => answer,
        Err(_) => Err(TooSlow(patience).into()),
    }
}

/// Whose turn it takes: nobody's but the controller's own where it asks as itself.
fn account(request: &Request<Body>) -> Account {
    request.headers().get("impersonate-user").cloned()
}

fn is_watch(request: &Request<Body>) -> bool {
    let query = request.uri().query().unwrap_or_default();
    query
        .split('&')
        .any(|pair| matches!(pair, "watch=true" | "watch=1"))
}

/// The body as it comes, until one of its lines (one event) grows over `limit`.
fn bounded_lines(
    body: Body,
    limit: usize,
) -> http_body_util::combinators::UnsyncBoxBody<Bytes, BoxError> {
    let frames = body
        .into_data_stream()
        .scan(0_usize, move |since_newline, piece| {
            let bounded = piece.map_err(BoxError::from).and_then(|bytes| {
                *since_newline = match bytes.iter().rposition(|byte| *byte == b'\n') {
                    Some(at) => bytes.len() - at - 1,
                    None => *since_newline + bytes.len(),
                };
                if *since_newline > limit {
                    return Err(TooLarge(limit).into());
                }
                Ok(Frame::data(bytes))
            });
            futures::future::ready(Some(bounded))
        });
    StreamBody::new(frames).boxed_unsync()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_watch_may_outlive_its_deadline() {
        for (uri, watches) in [
            ("/api/v1/pods?watch=true&resourceVersion=0", true),
            ("/api/v1/pods?&timeoutSeconds=290&watch=true", true),
            ("/api/v1/pods?limit=500", false),
            ("/api/v1/pods/watch=true", false),
        ] {
            let request = Request::get(uri).body(Body::empty()).unwrap();
            assert_eq!(is_watch(&request), watches, "{uri}");
        }
    }

    #[tokio::test]
    async fn a_line_of_a_watch_that_never_ends_is_cut_off() {
        let fine = Body::from(b"{\"a\":1}\n{\"b\":2}\n".to_vec());
        assert!(bounded_lines(fine, 10).collect().await.is_ok());
        let endless = Body::from(vec![b'x'; 32]);
        let why = bounded_lines(endless, 10).collect().await.unwrap_err();
        assert_eq!(why.to_string(), "the answer is larger than 10 bytes");
    }
}
