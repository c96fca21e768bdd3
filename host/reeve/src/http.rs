//! What the world may call: webhooks, artifacts, metrics, probes, admission. One listener each, so that each can be
//! exposed, or not.
//!
//! A handler translates and answers at once; the work goes through a channel of nudges. [`serve`] and [`serve_tls`] are the
//! ways to listen: whoever connects gets so much time for a header, so many bytes, so long a connection, and there are only
//! so many of them. What it deliberately doesn't: reach a controller or the cluster.

pub mod artifact;
pub mod metrics;
pub mod probe;
pub mod receiver;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt as _;
use tracing::{debug, error};

/// What one listener grants to those who connect.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Connections at a time; more wait in the kernel's queue.
    pub connections: usize,
    /// How long a request's header may take, and a connection may be idle.
    pub header_time: Duration,
    /// How long a request's header may be, in bytes.
    pub header_bytes: usize,
    /// How long a connection may last. It is then closed after the request under way, or after [`Limits::drain`].
    pub connection_time: Duration,
    /// How long requests under way may take to finish once the process stops.
    pub drain: Duration,
}

impl Limits {
    /// For webhooks, which the internet reaches.
    pub const RECEIVER: Self = Self {
        connections: 512,
        header_time: Duration::from_secs(10),
        header_bytes: 256 * 1024,
        connection_time: Duration::from_secs(120),
        drain: Duration::from_secs(5),
    };

    /// For artifacts, which other controllers download: large, and few at a time.
    pub const ARTIFACT: Self = Self {
        connections: 256,
        header_time: Duration::from_secs(10),
        header_bytes: 16 * 1024,
        connection_time: Duration::from_secs(15 * 60),
        drain: Duration::from_secs(15),
    };

    /// For admission, which API servers ask over connections that they keep.
    pub const ADMISSION: Self = Self {
        connections: 64,
        header_time: Duration::from_secs(10),
        header_bytes: 16 * 1024,
        connection_time: Duration::from_secs(10 * 60),
        drain: Duration::from_secs(5),
    };

    /// For metrics and probes.
    pub const INSIDE: Self = Self {
        connections: 32,
        header_time: Duration::from_secs(10),
        header_bytes: 16 * 1024,
        connection_time: Duration::from_secs(10 * 60),
        drain: Duration::from_secs(1),
    };
}

/// How long to wait after the kernel wouldn't hand out a connection (as a rule: no more files may be opened).
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);

/// Who connected, as requests tell it: a connection of the listener's, or of a proxy in front of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Peer(pub IpAddr);

/// How a connection begins.
#[derive(Clone)]
enum Door {
    Plain,
    Tls(TlsAcceptor),
}

/// Answers calls to `listener` until `stop`, then lets what is under way finish.
pub async fn serve(listener: TcpListener, router: Router, limits: Limits, stop: CancellationToken) {
    accept(listener, &Door::Plain, router, limits, stop).await;
}

/// The same over TLS.
pub async fn serve_tls(
    listener: TcpListener,
    tls: Arc<rustls::ServerConfig>,
    router: Router,
    limits: Limits,
    stop: CancellationToken,
) {
    let door = Door::Tls(TlsAcceptor::from(tls));
    accept(listener, &door, router, limits, stop).await;
}

async fn accept(
    listener: TcpListener,
    door: &Door,
    router: Router,
    limits: Limits,
    stop: CancellationToken,
) {
    let room = Arc::new(Semaphore::new(limits.connections));
    let open = TaskTracker::new();
    let closing = CancellationToken::new();
    loop {
        let next = async {
            // room first: who can't be served yet isn't accepted, and costs nothing
            let permit = Arc::clone(&room).acquire_owned().await;
            (permit, listener.accept().await)
        };
        let (permit, accepted) = tokio::select! {
            () = stop.cancelled() => break,
            next = next => next,
        };
        match accepted {
            Ok((stream, peer)) => {
                let (door, router) = (door.clone(), router.clone());
                let closing = closing.clone();
                open.spawn(async move {
                    enter((stream, peer), door, router, limits, closing).await;
                    drop(permit);
                });
            }
            Err(error) => {
                error!(
                    error = &error as &dyn std::error::Error,
                    "accepting a connection failed"
                );
                sleep(ACCEPT_AGAIN).await;
            }
        }
    }
    drop(listener);
    closing.cancel();
    open.close();
    if timeout(limits.drain, open.wait()).await.is_err() {
        debug!(
            left = open.len(),
            "connections were cut when the process stopped"
        );
    }
}

async fn enter(
    (stream, peer): (TcpStream, SocketAddr),
    door: Door,
    router: Router,
    limits: Limits,
    stop: CancellationToken,
) {
    let Door::Tls(acceptor) = door else {
        return connection((stream, peer), router, limits, stop).await;
    };
    match timeout(limits.header_time, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => connection((stream, peer), router, limits, stop).await,
        Ok(Err(error)) => debug!(
            error = &error as &dyn std::error::Error,
            "a connection was not made: the handshake failed"
        ),
        Err(_) => debug!("a connection was not made: the handshake took too long"),
    }
}

async fn connection<S>(
    (stream, peer): (S, SocketAddr),
    router: Router,
    limits: Limits,
    stop: CancellationToken,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let peer = Peer(peer.ip().to_canonical());
    let known = move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(peer);
        request
    };
    let service = TowerToHyperService::new(router.map_request(known));
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_time)
        .max_header_size(limits.header_bytes)
        // the buffer has to hold the largest header there may be
        .max_buf_size(limits.header_bytes.max(8 * 1024))
        .serve_connection(TokioIo::new(stream), service);
    let mut serving = std::pin::pin!(serving);
    let over = tokio::select! {
        done = serving.as_mut() => Some(done),
        () = stop.cancelled() => None,
        () = sleep(limits.connection_time) => None,
    };
    let done = match over {
        Some(done) => Ok(done),
        None => {
            serving.as_mut().graceful_shutdown();
            timeout(limits.drain, serving).await
        }
    };
    match done {
        Ok(Ok(())) => {}
        Ok(Err(error)) => {
            debug!(
                error = &error as &dyn std::error::Error,
                "a connection ended early"
            );
        }
        Err(_) => debug!("a connection was cut: its time was over"),
    }
}

#[cfg(test)]
pub(crate) mod tests;
