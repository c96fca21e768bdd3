//! A gate before the API server, through which one client reaches it: TLS on both sides, everything let through as it is, and
//! the faults that are asked for.
//!
//! It has no identity of its own: the client's token goes through, and the API server judges it. When the API server cannot be
//! reached the client's connection ends, as it would without a gate. Faults are told by requests, not by time: each third one
//! fails, by turns in each of these ways.

use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, bail};
use axum::body::{Body, Bytes};
use futures::StreamExt as _;
use http::{HeaderName, Request, Response, StatusCode, header};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::plane::Plane;

/// The largest request and the largest answer that is not a watch.
const LARGEST: usize = 64 << 20;
/// Of so many requests one fails, while that is asked for.
const EACH: usize = 3;
/// What is said between two neighbours only.
const OWN: [HeaderName; 5] = [
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::HOST,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// A gate that stands until it is dropped.
pub struct Gate {
    port: u16,
    shared: Arc<Shared>,
    _task: AbortOnDropHandle<()>,
}

struct Shared {
    upstream: String,
    web: reqwest::Client,
    fails: AtomicBool,
    /// How long a request is kept that gets no answer.
    held_millis: AtomicU64,
    requests: AtomicUsize,
    failed: AtomicUsize,
    watches: AtomicUsize,
    cut: Mutex<CancellationToken>,
}

/// How a request fails.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    /// It is asked to come again in a second.
    Busy,
    /// It is asked to come again later than anybody waits for.
    Flooded,
    /// The server has a fault.
    Broken,
    /// It never arrives, and nothing comes back.
    Lost,
    /// It arrives and is done; its answer never comes back.
    Unanswered,
}

const WAYS: [Way; 8] = [
    Way::Busy,
    Way::Broken,
    Way::Lost,
    Way::Unanswered,
    Way::Flooded,
    Way::Broken,
    Way::Lost,
    Way::Unanswered,
];

impl Gate {
    /// Opens a gate before this control plane's API server.
    pub async fn open(plane: &Plane) -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let port = listener.local_addr()?.port();
        let roots = reqwest::Certificate::from_pem_bundle(plane.authority().pem().as_bytes())?;
        let web = reqwest::Client::builder()
            .tls_certs_only(roots)
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .build()?;
        let shared = Arc::new(Shared {
            upstream: plane.url(),
            web,
            fails: AtomicBool::new(false),
            held_millis: AtomicU64::new(0),
            requests: AtomicUsize::new(0),
            failed: AtomicUsize::new(0),
            watches: AtomicUsize::new(0),
            cut: Mutex::default(),
        });
        let task = tokio::spawn(admit(listener, acceptor(plane)?, Arc::clone(&shared)));
        Ok(Self {
            port,
            shared,
            _task: AbortOnDropHandle::new(task),
        })
    }

    /// Where clients find the API server.
    #[must_use]
    pub fn url(&self) -> String {
        format!("https://127.0.0.1:{}", self.port)
    }

    /// From now on each third request fails; one that gets no answer is held for so long.
    pub fn fail_each_third(&self, held: Duration) {
        let millis = u64::try_from(held.as_millis()).unwrap_or(u64::MAX);
        self.shared.held_millis.store(millis, Ordering::Relaxed);
        self.shared.failed.store(0, Ordering::Relaxed);
        self.shared.fails.store(true, Ordering::Relaxed);
    }

    /// From now on no request fails.
    pub fn let_all_through(&self) {
        self.shared.fails.store(false, Ordering::Relaxed);
    }

    /// How many requests have failed since they were told to.
    #[must_use]
    pub fn failed(&self) -> usize {
        self.shared.failed.load(Ordering::Relaxed)
    }

    /// Cuts every connection on which something is watched; returns how many there were.
    pub fn cut_watches(&self) -> usize {
        let open = self.shared.watches.load(Ordering::Relaxed);
        std::mem::take(&mut *self.shared.cut()).cancel();
        open
    }
}

impl Shared {
    fn cut(&self) -> MutexGuard<'_, CancellationToken> {
        self.cut.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How the next request fails, if it does.
    fn next(&self) -> Option<Way> {
        if !self.fails.load(Ordering::Relaxed) {
            return None;
        }
        let request = self.requests.fetch_add(1, Ordering::Relaxed);
        if !request.is_multiple_of(EACH) {
            return None;
        }
        let failed = self.failed.fetch_add(1, Ordering::Relaxed);
        WAYS.get(failed % WAYS.len()).copied()
    }

    fn held(&self) -> Duration {
        Duration::from_millis(self.held_millis.load(Ordering::Relaxed))
    }
}

/// Serves each connection in a task of its own; all end with the gate.
async fn admit(listener: TcpListener, tls: TlsAcceptor, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            continue;
        };
        while connections.try_join_next().is_some() {}
        connections.spawn(serve(stream, tls.clone(), Arc::clone(&shared)));
    }
}

async fn serve(stream: TcpStream, tls: TlsAcceptor, shared: Arc<Shared>) {
    stream.set_nodelay(true).ok();
    let Ok(stream) = tls.accept(stream).await else {
        return;
    };
    let answer = service_fn(move |request| {
        let shared = Arc::clone(&shared);
        async move { pass(&shared, request).await }
    });
    // Each error ends this connection, and nothing else: that is the fault, or the client went.
    hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(stream), answer)
        .await
        .ok();
}

async fn pass(shared: &Arc<Shared>, request: Request<Incoming>) -> anyhow::Result<Response<Body>> {
    match shared.next() {
        None => forward(shared, request).await,
        Some(Way::Busy) => Ok(refusal(StatusCode::TOO_MANY_REQUESTS, Some("1"))),
        Some(Way::Flooded) => Ok(refusal(StatusCode::TOO_MANY_REQUESTS, Some("4"))),
        Some(Way::Broken) => Ok(refusal(StatusCode::INTERNAL_SERVER_ERROR, None)),
        Some(Way::Lost) => late(shared.held()).await,
        Some(Way::Unanswered) => {
            drop(forward(shared, request).await?);
            late(shared.held()).await
        }
    }
}

/// Says nothing for a while, and then ends the connection.
#[expect(
    clippy::disallowed_methods,
    reason = "being late is the fault that is asked for"
)]
async fn late(held: Duration) -> anyhow::Result<Response<Body>> {
    tokio::time::sleep(held).await;
    bail!("no answer")
}

/// What an API server says that has too much to do, or a fault.
fn refusal(code: StatusCode, again: Option<&'static str>) -> Response<Body> {
    let (reason, message) = match code {
        StatusCode::TOO_MANY_REQUESTS => ("TooManyRequests", "too many requests"),
        _ => ("InternalError", "an error on the server"),
    };
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "reason": reason, "message": message, "code": code.as_u16(),
    });
    let mut answer = Response::new(Body::from(status.to_string()));
    *answer.status_mut() = code;
    let headers = answer.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        http::HeaderValue::from_static("application/json"),
    );
    if let Some(seconds) = again {
        let seconds = http::HeaderValue::from_static(seconds);
        headers.insert(header::RETRY_AFTER, seconds);
    }
    answer
}

async fn forward(
    shared: &Arc<Shared>,
    request: Request<Incoming>,
) -> anyhow::Result<Response<Body>> {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(Body::new(body), LARGEST).await?;
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    let url = format!("{}{path}", shared.upstream);
    let mut call = shared.web.request(parts.method, url).body(body);
    for (name, value) in &parts.headers {
        if !OWN.contains(name) {
            call = call.header(name, value);
        }
    }
    let mut answer = call.send().await?;
    let mut back = Response::new(Body::empty());
    *back.status_mut() = answer.status();
    for (name, value) in answer.headers() {
        if !OWN.contains(name) {
            back.headers_mut().append(name, value.clone());
        }
    }
    let watches = parts.uri.query().is_some_and(|query| {
        let mut pairs = query.split('&');
        pairs.any(|pair| matches!(pair, "watch=true" | "watch=1"))
    });
    *back.body_mut() = if watches {
        watched(shared, answer)
    } else {
        let mut whole = Vec::new();
        while let Some(piece) = answer.chunk().await? {
            anyhow::ensure!(whole.len() + piece.len() <= LARGEST, "an endless answer");
            whole.extend_from_slice(&piece);
        }
        Body::from(whole)
    };
    Ok(back)
}

/// What is watched, as it comes, until it is cut.
fn watched(shared: &Arc<Shared>, answer: reqwest::Response) -> Body {
    let open = Open::count(shared);
    let cut = shared.cut().clone();
    let over = cut.clone();
    let pieces = futures::stream::unfold((answer, open), |(mut answer, open)| async move {
        let piece = match answer.chunk().await {
            Ok(None) => return None,
            Ok(Some(piece)) => Ok(piece),
            Err(why) => Err(std::io::Error::other(why)),
        };
        Some((piece, (answer, open)))
    });
    let pieces = pieces.take_until(async move { cut.cancelled().await });
    let end = futures::stream::once(async move {
        let cut = over.is_cancelled();
        cut.then(|| Err::<Bytes, _>(std::io::Error::other("cut")))
    });
    Body::from_stream(pieces.chain(end.filter_map(futures::future::ready)))
}

/// Something is watched, until this is dropped.
struct Open(Arc<Shared>);

impl Open {
    fn count(shared: &Arc<Shared>) -> Self {
        shared.watches.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(shared))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.watches.fetch_sub(1, Ordering::Relaxed);
    }
}

fn acceptor(plane: &Plane) -> anyhow::Result<TlsAcceptor> {
    let pair = plane.authority().server(&["127.0.0.1"])?;
    let chain: Vec<_> =
        CertificateDer::pem_slice_iter(pair.cert.as_bytes()).collect::<Result<_, _>>()?;
    let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes())?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .context("the gate's certificate")?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}
