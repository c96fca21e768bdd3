//! One connection of HTTP/2, and a place on it.
//!
//! A place is held from before a watch is asked for until its last piece has come, so that what is counted is what is open.
//! It deliberately chooses nothing: that is [`streams`](super)'.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::uri::Scheme;
use http::{Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Empty, StreamBody};
use hyper::body::Incoming;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use kube::client::{Body, ConfigExt as _};
use rustls_pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tower::BoxError;

/// How many watches one connection carries at most. API servers allow 250 streams by default, and all that go over one
/// end with it.
pub(super) const ON_ONE: usize = 100;
/// How often a connection on which something is watched is asked whether it is there, and how long it has to answer.
const PING: Duration = Duration::from_secs(20);
const PONG: Duration = Duration::from_secs(10);
/// How long a watch may say nothing, as on any other connection: the server ends it earlier.
const SILENCE: Duration = Duration::from_secs(300);
/// How many bytes of one watch may be under way, and of all of a connection: so many that nobody who is read slowly holds
/// the others up.
const WINDOW: u32 = 64 << 10;
const WINDOWS: u32 = WINDOW * (ON_ONE as u32);
/// How long a connection may take where nothing else is said.
const CONNECT: Duration = Duration::from_secs(5);

/// Where the server is, and how it is known.
pub(super) struct Dial {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) name: ServerName<'static>,
    pub(super) tls: Arc<rustls::ClientConfig>,
    pub(super) patience: Duration,
}

/// A connection.
pub(super) struct Line {
    send: Mutex<http2::SendRequest<Empty<Bytes>>>,
    open: AtomicUsize,
    /// How many the server lets be open.
    room: Arc<AtomicUsize>,
}

/// A place on a connection, until its last clone is dropped.
#[derive(Clone)]
pub(super) struct Seat(Arc<Held>);

struct Held(Arc<Line>);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A request that nobody has given a place.
#[derive(Debug, thiserror::Error)]
#[error("a watch has no connection")]
struct Unseated;

/// A watch that says nothing any more.
#[derive(Debug, thiserror::Error)]
#[error("nothing was heard for {0:?}")]
struct Silent(Duration);

/// A connection that took too long.
#[derive(Debug, thiserror::Error)]
#[error("no connection within {0:?}")]
struct Late(Duration);

impl Dial {
    /// None where HTTP/2 is not for: over a proxy, without TLS, or with a name that none of it can have.
    pub(super) fn of(config: &kube::Config) -> Option<Self> {
        if config.proxy_url.is_some() || config.cluster_url.scheme() != Some(&Scheme::HTTPS) {
            return None;
        }
        let host = config.cluster_url.host()?;
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let name = config.tls_server_name.as_deref().unwrap_or(host);
        let name = ServerName::try_from(name.to_owned()).ok()?;
        let mut tls = config.rustls_client_config().ok()?;
        tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Some(Self {
            host: host.to_owned(),
            port: config.cluster_url.port_u16().unwrap_or(443),
            name,
            tls: Arc::new(tls),
            patience: config.connect_timeout.unwrap_or(CONNECT),
        })
    }

    /// Connects; None: the server does not offer HTTP/2.
    pub(super) async fn line(&self) -> Result<Option<Arc<Line>>, BoxError> {
        let dialled = tokio::time::timeout(self.patience, self.connect()).await;
        dialled.map_err(|_| Late(self.patience))?
    }

    async fn connect(&self) -> Result<Option<Arc<Line>>, BoxError> {
        let stream = TcpStream::connect((self.host.as_str(), self.port)).await?;
        // Pings and new watches are small, and wait for nothing.
        stream.set_nodelay(true)?;
        let tls = TlsConnector::from(Arc::clone(&self.tls));
        let stream = tls.connect(self.name.clone(), stream).await?;
        if stream.get_ref().1.alpn_protocol() != Some(b"h2".as_slice()) {
            return Ok(None);
        }
        Ok(Some(Arc::new(Line::over(stream).await?)))
    }
}

impl Line {
    async fn over(stream: TlsStream<TcpStream>) -> Result<Self, hyper::Error> {
        let (send, driven) = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .keep_alive_interval(PING)
            .keep_alive_timeout(PONG)
            .initial_stream_window_size(WINDOW)
            .initial_connection_window_size(WINDOWS)
            .handshake::<_, Empty<Bytes>>(TokioIo::new(stream))
            .await?;
        let room = Arc::new(AtomicUsize::new(ON_ONE));
        let told = Arc::clone(&room);
        tokio::spawn(async move {
            let mut driven = std::pin::pin!(driven);
            // Ends when nobody has the connection any more and nothing goes over it.
            let ended = std::future::poll_fn(|cx| {
                let ended = driven.as_mut().poll(cx);
                let room = driven.current_max_send_streams().min(ON_ONE);
                told.store(room, Ordering::Relaxed);
                ended
            });
            if let Err(why) = ended.await {
                tracing::debug!(error = %why, "a connection of watches ended");
            }
        });
        Ok(Self {
            send: Mutex::new(send),
            open: AtomicUsize::new(0),
            room,
        })
    }

    /// How many are open, and how many there may be.
    pub(super) fn load(&self) -> (usize, usize) {
        let room = self.room.load(Ordering::Relaxed);
        (self.open.load(Ordering::Relaxed), room)
    }

    /// Whether nothing can be sent over it any more.
    pub(super) fn is_closed(&self) -> bool {
        self.sender().is_closed()
    }

    fn sender(&self) -> http2::SendRequest<Empty<Bytes>> {
        let send = self.send.lock().unwrap_or_else(PoisonError::into_inner);
        send.clone()
    }
}

impl Seat {
    /// One more is open on it from now on.
    pub(super) fn take(line: &Arc<Line>) -> Self {
        line.open.fetch_add(1, Ordering::Relaxed);
        Self(Arc::new(Held(Arc::clone(line))))
    }

    /// Sends a request over the place that it has; what comes back holds that. A watch has no body.
    pub(super) async fn send(
        mut request: Request<Body>,
    ) -> Result<Response<UnsyncBoxBody<Bytes, BoxError>>, BoxError> {
        let seat = request.extensions_mut().remove::<Self>().ok_or(Unseated)?;
        let mut send = seat.0.0.sender();
        let answer = send.send_request(request.map(|_| Empty::new())).await?;
        // Whoever keeps a sender keeps the connection.
        drop(send);
        let (head, body) = answer.into_parts();
        Ok(Response::from_parts(head, held(body, seat)))
    }
}

/// The body as it comes, until nothing is heard for too long.
fn held(body: Incoming, seat: Seat) -> UnsyncBoxBody<Bytes, BoxError> {
    let frames = futures::stream::unfold(Some((body, seat)), |state| async move {
        let (mut body, seat) = state?;
        let frame = tokio::time::timeout(SILENCE, body.frame()).await;
        match frame {
            Ok(Some(Ok(frame))) => Some((Ok(frame), Some((body, seat)))),
            Ok(Some(Err(why))) => Some((Err(BoxError::from(why)), None)),
            Ok(None) => None,
            Err(_) => Some((Err(Silent(SILENCE).into()), None)),
        }
    });
    StreamBody::new(frames).boxed_unsync()
}
