//! What the world may call: webhooks, artifacts, metrics, probes, admission. One listener each, so that each can be
//! exposed, or not.
//!
//! A handler translates and answers at once; the work goes through a channel of nudges. [`serve`], [`serve_behind`] and
//! [`serve_tls`] are the ways to listen: whoever connects gets so much time for a header, so many bytes, so long a connection,
//! and there are only so many of them, in all and, where strangers call, of one address. What it deliberately doesn't: reach a
//! controller or the cluster.

pub mod artifact;
pub mod metrics;
mod peer;
pub mod probe;
pub mod receiver;

use std::io::Write as _;
use std::net::SocketAddr;
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

use peer::{Crowd, Seat};
pub use peer::{Peer, Proxies};

/// What one listener grants to those who connect.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Connections at a time; more wait in the kernel's queue.
    pub connections: usize,
    /// Of them those of one address that is no proxy which is believed; more are turned away. None: as many as there are.
    pub each: Option<usize>,
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
        // So that nobody alone takes all of them, be it a proxy that nobody has named.
        each: Some(128),
        header_time: Duration::from_secs(10),
        header_bytes: 256 * 1024,
        connection_time: Duration::from_secs(120),
        drain: Duration::from_secs(5),
    };

    /// For artifacts, which other controllers download: large, and few at a time.
    pub const ARTIFACT: Self = Self {
        connections: 256,
        each: None,
        header_time: Duration::from_secs(10),
        header_bytes: 16 * 1024,
        connection_time: Duration::from_secs(15 * 60),
        drain: Duration::from_secs(15),
    };

    /// For admission, which API servers ask over connections that they keep.
    pub const ADMISSION: Self = Self {
        connections: 64,
        each: None,
        header_time: Duration::from_secs(10),
        header_bytes: 16 * 1024,
        connection_time: Duration::from_secs(10 * 60),
        drain: Duration::from_secs(5),
    };

    /// For metrics and probes.
    pub const INSIDE: Self = Self {
        connections: 32,
        each: None,
        header_time: Duration::from_secs(10),
        header_bytes: 16 * 1024,
        connection_time: Duration::from_secs(10 * 60),
        drain: Duration::from_secs(1),
    };
}

/// How long to wait after the kernel wouldn't hand out a connection (as a rule: no more files may be opened).
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);

/// What is said to an address that has too many connections; what it wants is not read.
const TOO_MANY: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

/// How a connection begins.
enum Door {
    Plain,
    Tls(TlsAcceptor),
}

/// What connections are let in by, and to what.
struct House {
    door: Door,
    router: Router,
    limits: Limits,
    proxies: Proxies,
    crowd: Arc<Crowd>,
    closing: CancellationToken,
}

impl House {
    fn new(door: Door, router: Router, limits: Limits) -> Self {
        Self {
            door,
            router,
            limits,
            proxies: Proxies::default(),
            crowd: Arc::default(),
            closing: CancellationToken::new(),
        }
    }

    /// The place of a connection of this address; an error: it has too many.
    fn seat(&self, peer: Peer) -> Result<Option<Seat>, ()> {
        match self.limits.each {
            Some(most) if !self.proxies.has(peer.0) => {
                self.crowd.enter(peer, most).map(Some).ok_or(())
            }
            _ => Ok(None),
        }
    }
}

/// Answers calls to `listener` until `stop`, then lets what is under way finish.
pub async fn serve(listener: TcpListener, router: Router, limits: Limits, stop: CancellationToken) {
    accept(listener, House::new(Door::Plain, router, limits), stop).await;
}

/// The same where proxies stand in front that are believed.
pub async fn serve_behind(
    proxies: Proxies,
    listener: TcpListener,
    router: Router,
    limits: Limits,
    stop: CancellationToken,
) {
    let house = House {
        proxies,
        ..House::new(Door::Plain, router, limits)
    };
    accept(listener, house, stop).await;
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
    accept(listener, House::new(door, router, limits), stop).await;
}

async fn accept(listener: TcpListener, house: House, stop: CancellationToken) {
    let house = Arc::new(house);
    let room = Arc::new(Semaphore::new(house.limits.connections));
    let open = TaskTracker::new();
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
            Ok((stream, from)) => {
                let peer = Peer(from.ip().to_canonical());
                let Ok(seat) = house.seat(peer) else {
                    turn_away(&house.door, stream, from);
                    continue;
                };
                let house = Arc::clone(&house);
                open.spawn(async move {
                    enter(&house, stream, peer).await;
                    drop((permit, seat));
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
    house.closing.cancel();
    open.close();
    if timeout(house.limits.drain, open.wait()).await.is_err() {
        debug!(
            left = open.len(),
            "connections were cut when the process stopped"
        );
    }
}

/// Says that there are too many, to whoever listens; nobody waits for that.
fn turn_away(door: &Door, stream: TcpStream, from: SocketAddr) {
    debug!(%from, "a connection was not made: its address has too many");
    if let (Door::Plain, Ok(mut stream)) = (door, stream.into_std()) {
        // It doesn't block, and a new connection has room for so little.
        drop(stream.write_all(TOO_MANY));
    }
}

async fn enter(house: &House, stream: TcpStream, peer: Peer) {
    let Door::Tls(acceptor) = &house.door else {
        return connection(house, stream, peer).await;
    };
    match timeout(house.limits.header_time, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => connection(house, stream, peer).await,
        Ok(Err(error)) => debug!(
            error = &error as &dyn std::error::Error,
            "a connection was not made: the handshake failed"
        ),
        Err(_) => debug!("a connection was not made: the handshake took too long"),
    }
}

async fn connection<S>(house: &House, stream: S, peer: Peer)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let House {
        router,
        limits,
        proxies,
        closing,
        ..
    } = house;
    let proxies = proxies.clone();
    let known = move |mut request: Request<Incoming>| {
        let caller = proxies.caller(peer, request.headers());
        request.extensions_mut().insert(caller);
        request
    };
    let service = TowerToHyperService::new(router.clone().map_request(known));
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
        () = closing.cancelled() => None,
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
