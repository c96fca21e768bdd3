//! Git's smart HTTP: a CGI bridge to `git http-backend`, with the faults a network has.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, bail};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use axum::serve::ListenerExt as _;
use futures::StreamExt as _;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Command;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::io::ReaderStream;

use super::auth::Auth;
use super::fault::{Fault, pause};
use crate::pki::Pair;

/// What a server is like.
#[derive(Clone, Default)]
pub struct Served {
    /// Whom it lets in.
    pub auth: Auth,
    /// Its certificate; without one it speaks in the clear.
    pub tls: Option<Pair>,
    /// The authority (PEM) whose client certificates it demands.
    pub client_ca: Option<String>,
    /// Whether it answers as git did before protocol version 2.
    pub old_protocol: bool,
}

impl Served {
    /// As usual, but for whom it lets in.
    #[must_use]
    pub fn only(auth: Auth) -> Self {
        Self {
            auth,
            ..Self::default()
        }
    }
}

/// One request a server saw, once its answer was sent.
#[derive(Debug, Clone)]
pub struct Seen {
    /// `GET` or `POST`.
    pub method: String,
    /// Path and query.
    pub path: String,
    /// The body, for a small one; `command=fetch` and what is asked for stand in it.
    pub body: Vec<u8>,
    /// Whether a credential came with it.
    pub credential: bool,
}

struct Shared {
    root: PathBuf,
    served: Served,
    auth: Mutex<Auth>,
    fault: Mutex<Fault>,
    seen: Mutex<Vec<Seen>>,
    sent: AtomicU64,
}

/// A running server for the repositories below one directory.
pub struct HttpServer {
    shared: Arc<Shared>,
    address: SocketAddr,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl HttpServer {
    /// Starts a server for the repositories below `root`.
    pub async fn start(root: &Path, served: Served) -> anyhow::Result<Self> {
        let shared = Shared {
            root: root.to_owned(),
            auth: Mutex::new(served.auth.clone()),
            served,
            fault: Mutex::default(),
            seen: Mutex::default(),
            sent: AtomicU64::new(0),
        };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let server = Self {
            address: listener.local_addr()?,
            shared: Arc::new(shared),
            task: Mutex::default(),
        };
        server.serve(listener)?;
        Ok(server)
    }

    fn serve(&self, listener: TcpListener) -> anyhow::Result<()> {
        let app = Router::new()
            .fallback(answer)
            .with_state(Arc::clone(&self.shared));
        let task = match &self.shared.served.tls {
            None => tokio::spawn(async move {
                // As real servers do; or each answer waits for the client's acknowledgement of its first half.
                let listener = listener.tap_io(|stream| {
                    stream.set_nodelay(true).ok();
                });
                axum::serve(listener, app).await.ok();
            }),
            Some(pair) => {
                let tls = acceptor(pair, self.shared.served.client_ca.as_deref())?;
                let listener = TlsListener { listener, tls };
                tokio::spawn(async move {
                    axum::serve(listener, app).await.ok();
                })
            }
        };
        *self.task.lock().unwrap_or_else(PoisonError::into_inner) = Some(task);
        Ok(())
    }

    /// The URL of the repository `path`.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        let scheme = if self.shared.served.tls.is_some() {
            "https"
        } else {
            "http"
        };
        format!("{scheme}://127.0.0.1:{}/{path}", self.address.port())
    }

    /// From now on something goes wrong, or no longer does.
    pub fn fault(&self, fault: Fault) {
        *self
            .shared
            .fault
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = fault;
    }

    /// From now on it lets in somebody else: a token has expired, and another was made.
    pub fn lets_in_only(&self, auth: Auth) {
        *self
            .shared
            .auth
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = auth;
    }

    /// Stops listening: connections are refused.
    pub async fn gone(&self) {
        let task = self
            .task
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(task) = task {
            task.abort();
            task.await.ok();
        }
    }

    /// Listens again, where it did before.
    pub async fn back(&self) -> anyhow::Result<()> {
        let listener = TcpListener::bind(self.address)
            .await
            .context("listening again")?;
        self.serve(listener)
    }

    /// What was asked since this was last called.
    #[must_use]
    pub fn seen(&self) -> Vec<Seen> {
        std::mem::take(
            &mut *self
                .shared
                .seen
                .lock()
                .unwrap_or_else(PoisonError::into_inner),
        )
    }

    /// Bytes of answers since this was last called.
    #[must_use]
    pub fn sent(&self) -> u64 {
        self.shared.sent.swap(0, Ordering::Relaxed)
    }
}

impl Drop for HttpServer {
    fn drop(&mut self) {
        if let Some(task) = self
            .task
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
        {
            task.abort();
        }
    }
}

async fn answer(State(shared): State<Arc<Shared>>, request: Request) -> Response<Body> {
    match respond(&shared, request).await {
        Ok(response) => response,
        Err(error) => {
            let mut response = Response::new(Body::from(format!("{error:#}")));
            *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
            response
        }
    }
}

async fn respond(shared: &Arc<Shared>, request: Request) -> anyhow::Result<Response<Body>> {
    let fault = shared
        .fault
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .clone();
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 64 << 20).await?;
    let path = parts
        .uri
        .path_and_query()
        .map_or("/", |path| path.as_str())
        .to_owned();
    let credential = parts.headers.get(header::AUTHORIZATION);
    shared
        .seen
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push(Seen {
            method: parts.method.to_string(),
            path: path.clone(),
            body: body.to_vec(),
            credential: credential.is_some(),
        });
    let refused = |status: u16| -> anyhow::Result<Response<Body>> {
        Ok(Response::builder().status(status).body(Body::empty())?)
    };
    match &fault {
        Fault::Status(status) => return refused(*status),
        Fault::Redirect(to) if !arrived(to, &path) => {
            let to = format!("{to}{path}");
            return Ok(Response::builder()
                .status(301)
                .header("location", to)
                .body(Body::empty())?);
        }
        Fault::Slow(time) => pause(*time).await,
        _ => {}
    }
    let auth = shared
        .auth
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .clone();
    if !auth.lets_in(credential) || matches!(fault, Fault::Expired) {
        let mut response = refused(401)?;
        let challenge = HeaderValue::from_static("Basic realm=\"git\"");
        response
            .headers_mut()
            .insert(header::WWW_AUTHENTICATE, challenge);
        return Ok(response);
    }
    if path.contains("git-receive-pack") && !auth.may_push(credential) {
        return refused(403);
    }
    let mut response = worked(shared, &fault, &path, &parts, body).await?;
    let inner = std::mem::replace(response.body_mut(), Body::empty());
    *response.body_mut() = spoil(Arc::clone(shared), inner, fault);
    Ok(response)
}

/// Whether `path` is one that a redirect leads to.
fn arrived(to: &str, path: &str) -> bool {
    let prefix = to.splitn(4, '/').nth(3).filter(|prefix| !prefix.is_empty());
    prefix.is_some_and(|prefix| path.starts_with(&format!("/{prefix}")))
}

/// Counts what is sent, and does to it what the fault says.
fn spoil(shared: Arc<Shared>, body: Body, fault: Fault) -> Body {
    let counted = body.into_data_stream().map(move |chunk| {
        let bytes = chunk.as_ref().map_or(0, Bytes::len);
        shared.sent.fetch_add(bytes as u64, Ordering::Relaxed);
        chunk
    });
    fault.spoil(counted)
}

/// What git makes of a request, as far as it arrives; and its answer, unless that is lost.
async fn worked(
    shared: &Shared,
    fault: &Fault,
    path: &str,
    parts: &Parts,
    body: Bytes,
) -> anyhow::Result<Response<Body>> {
    let pushed = path.ends_with("/git-receive-pack");
    let body = if pushed { fault.arrives(body) } else { body };
    let method = parts.method.as_str();
    let answer = backend(shared, method, path, &parts.headers, &body).await?;
    if pushed && fault.loses_answers() {
        return lost(answer).await;
    }
    Ok(answer)
}

/// Waits until all of an answer is there, and then ends the connection before its first byte.
async fn lost(answer: Response<Body>) -> anyhow::Result<Response<Body>> {
    let (head, body) = answer.into_parts();
    axum::body::to_bytes(body, 64 << 20).await?;
    let cut = futures::stream::once(async { Err::<Bytes, _>(std::io::Error::other("cut")) });
    Ok(Response::from_parts(head, Body::from_stream(cut)))
}

/// Runs git's own CGI program for one request.
async fn backend(
    shared: &Shared,
    method: &str,
    path: &str,
    headers: &HeaderMap,
    body: &Bytes,
) -> anyhow::Result<Response<Body>> {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let mut command = Command::new("git");
    command
        .arg("http-backend")
        .env("GIT_PROJECT_ROOT", &shared.root);
    for (name, value) in [
        ("GIT_CONFIG_NOSYSTEM", "1"),
        ("GIT_CONFIG_GLOBAL", "/dev/null"),
        ("GIT_HTTP_EXPORT_ALL", "1"),
        ("REMOTE_ADDR", "127.0.0.1"),
        ("REQUEST_METHOD", method),
        ("PATH_INFO", path),
        ("QUERY_STRING", query),
    ] {
        command.env(name, value);
    }
    let mut pass = |name: &str, variable: &str| {
        if let Some(value) = headers.get(name).and_then(|value| value.to_str().ok()) {
            command.env(variable, value);
        }
    };
    pass("content-type", "CONTENT_TYPE");
    pass("content-encoding", "HTTP_CONTENT_ENCODING");
    if !shared.served.old_protocol {
        pass("git-protocol", "GIT_PROTOCOL");
    }
    command.env("CONTENT_LENGTH", body.len().to_string());
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true);
    let mut child = command.spawn().context("git cannot be run")?;
    let mut stdin = child.stdin.take().context("a pipe")?;
    let body = body.clone();
    tokio::spawn(async move {
        stdin.write_all(&body).await.ok();
    });
    let mut stdout = BufReader::new(child.stdout.take().context("a pipe")?);
    let mut response = cgi_head(&mut stdout).await?;
    // The child lives as long as its answer is read.
    let output = ReaderStream::with_capacity(stdout.chain(tokio::io::empty()), 64 << 10);
    *response.body_mut() = Body::from_stream(output.map(move |chunk| {
        let _child = &child;
        chunk
    }));
    Ok(response)
}

/// The lines before the blank one.
async fn cgi_head<R: tokio::io::AsyncBufRead + Unpin>(
    from: &mut R,
) -> anyhow::Result<Response<Body>> {
    let mut response = Response::new(Body::empty());
    loop {
        let mut line = String::new();
        if from.read_line(&mut line).await? == 0 {
            bail!("git http-backend said nothing");
        }
        let line = line.trim_end();
        let Some((name, value)) = line.split_once(": ") else {
            return Ok(response);
        };
        if name == "Status" {
            let code = value.split(' ').next().unwrap_or_default();
            *response.status_mut() = StatusCode::from_bytes(code.as_bytes())?;
        } else {
            response
                .headers_mut()
                .append(HeaderName::from_bytes(name.as_bytes())?, value.parse()?);
        }
    }
}

fn acceptor(pair: &Pair, client_ca: Option<&str>) -> anyhow::Result<TlsAcceptor> {
    let chain: Vec<_> =
        CertificateDer::pem_slice_iter(pair.cert.as_bytes()).collect::<Result<_, _>>()?;
    let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes())?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()?;
    let builder = match client_ca {
        None => builder.with_no_client_auth(),
        Some(ca) => {
            let mut roots = rustls::RootCertStore::empty();
            for certificate in CertificateDer::pem_slice_iter(ca.as_bytes()) {
                roots.add(certificate?)?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider);
            builder.with_client_cert_verifier(verifier.build()?)
        }
    };
    Ok(TlsAcceptor::from(Arc::new(
        builder.with_single_cert(chain, key)?,
    )))
}

struct TlsListener {
    listener: TcpListener,
    tls: TlsAcceptor,
}

impl axum::serve::Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, SocketAddr) {
        loop {
            let Ok((stream, address)) = self.listener.accept().await else {
                continue;
            };
            stream.set_nodelay(true).ok();
            // A client that doesn't trust us, or that we don't, is not worth stopping for.
            if let Ok(stream) = self.tls.accept(stream).await {
                return (stream, address);
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}
