//! The connection to another cluster: to addresses that were judged, over TLS, as whom the kubeconfig says.
//!
//! Every connection resolves the name, has each address judged and goes to one that was: no second lookup could answer
//! differently. Redirects are not followed, no proxy is asked, and nothing comes from the environment. A cluster that gave no
//! answer is not asked again for a moment: a run that has a hundred objects there finds out once.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::AUTHORIZATION;
use http::{HeaderValue, Request, Uri};
use hyper_util::client::legacy;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use kube::client::{Body, ConfigExt as _};
use reeve_core::kubeconfig::Kubeconfig;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use tokio::net::TcpStream;
use tokio::time::Instant;
use tower::{BoxError, Layer as _, Service};

use super::{Means, Unreached};
use crate::cluster::connection::guarded;
use crate::git::Egress;
use crate::observe::Errand;

/// How long a connection may take, and an answer.
const CONNECT: Duration = Duration::from_secs(5);
const ANSWER: Duration = Duration::from_secs(15);
/// How many bytes an answer, or one event of a watch, may have: the server is not the platform's.
const LARGEST: usize = 4 << 20;
/// How long a connection is kept that nobody uses, and how many are.
const IDLE: Duration = Duration::from_secs(30);
const KEPT: usize = 4;
/// How long a cluster that gave no answer is not asked.
const REST: Duration = Duration::from_secs(5);
/// The one word under which requests are counted, wherever they go: addresses are the tenants' to choose.
const COUNTED_AS: &str = "remote";

/// A client for the kubeconfig's cluster and nothing else.
pub(super) fn client(means: &Means, kubeconfig: &Kubeconfig) -> Result<kube::Client, Unreached> {
    let config = config(kubeconfig)?;
    let dial = Dial {
        egress: Arc::clone(&means.egress),
        host: kubeconfig.server.host().into(),
        port: kubeconfig.server.port(),
    };
    let unfit = |_: kube::Error| unusable(kubeconfig, "a certificate and its key do not fit");
    let https = config
        .rustls_https_connector_with_connector(dial)
        .map_err(unfit)?;
    let http: legacy::Client<_, Body> = legacy::Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE)
        .pool_max_idle_per_host(KEPT)
        .build(https);
    let inner = kube::Client::new(config.base_uri_layer().layer(http), "default");
    let authorization = authorization(kubeconfig)?;
    let (down, requests) = (Down::default(), means.requests.clone());
    let service = tower::service_fn(move |mut request: Request<Body>| {
        let (inner, down, requests) = (inner.clone(), down.clone(), requests.clone());
        request.headers_mut().remove(AUTHORIZATION);
        if let Some(header) = &authorization {
            request.headers_mut().insert(AUTHORIZATION, header.clone());
        }
        async move {
            down.rests()?;
            let (errand, method) = (Errand::of(&request), request.method().clone());
            let begun = Instant::now();
            let answer = guarded(inner, request, ANSWER, LARGEST).await;
            down.learn(answer.is_ok());
            let code = answer.as_ref().ok().map(|answer| answer.status().as_u16());
            let to = (method.as_str(), COUNTED_AS);
            requests.tell(errand, to, code, begun.elapsed());
            answer
        }
    });
    Ok(kube::Client::new(service, "default"))
}

/// What kube makes TLS of.
fn config(kubeconfig: &Kubeconfig) -> Result<kube::Config, Unreached> {
    let address = kubeconfig.server.to_string();
    let address: Uri = address
        .parse()
        .map_err(|_| unusable(kubeconfig, "its address cannot be used"))?;
    let mut config = kube::Config::new(address);
    if let Some(pem) = &kubeconfig.authority {
        let all = CertificateDer::pem_slice_iter(pem.as_bytes());
        let all: Result<Vec<_>, _> = all.map(|der| der.map(|der| der.to_vec())).collect();
        let all = all.ok().filter(|all| !all.is_empty());
        let wrong = || {
            unusable(
                kubeconfig,
                "certificate-authority-data holds no certificate",
            )
        };
        config.root_cert = Some(all.ok_or_else(wrong)?);
    }
    if let Some((chain, key)) = &kubeconfig.certificate {
        config.auth_info.client_certificate_data = Some(STANDARD.encode(chain));
        config.auth_info.client_key_data = Some(STANDARD.encode(key.expose()).into());
    }
    config.tls_server_name.clone_from(&kubeconfig.server_name);
    Ok(config)
}

fn authorization(kubeconfig: &Kubeconfig) -> Result<Option<HeaderValue>, Unreached> {
    let Some(text) = &kubeconfig.authorization else {
        return Ok(None);
    };
    let mut header = HeaderValue::from_str(text.expose())
        .map_err(|_| unusable(kubeconfig, "the token cannot be sent"))?;
    header.set_sensitive(true);
    Ok(Some(header))
}

fn unusable(kubeconfig: &Kubeconfig, why: &'static str) -> Unreached {
    let server = kubeconfig.server.to_string();
    Unreached::Certificates { server, why }
}

/// Since when a cluster gives no answer. Its clones are one.
#[derive(Clone, Default)]
struct Down(Arc<Mutex<Option<Instant>>>);

#[derive(Debug, thiserror::Error)]
#[error("it gave no answer a moment ago")]
struct Rests;

impl Down {
    fn rests(&self) -> Result<(), Rests> {
        let since = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match since.is_some_and(|since| since.elapsed() < REST) {
            true => Err(Rests),
            false => Ok(()),
        }
    }

    fn learn(&self, answered: bool) {
        let since = (!answered).then(Instant::now);
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = since;
    }
}

/// Connects to the one host, whatever address it is asked for.
#[derive(Clone)]
struct Dial {
    egress: Arc<Egress>,
    host: Arc<str>,
    port: u16,
}

impl Service<Uri> for Dial {
    type Response = TokioIo<TcpStream>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<TokioIo<TcpStream>, BoxError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let dial = self.clone();
        Box::pin(async move {
            let connected = tokio::time::timeout(CONNECT, dial.connect()).await;
            let late = || format!("no connection within {CONNECT:?}");
            Ok(TokioIo::new(connected.map_err(|_| late())??))
        })
    }
}

impl Dial {
    async fn connect(&self) -> Result<TcpStream, BoxError> {
        let judged: Vec<SocketAddr> = self.egress.lookup(&self.host, self.port).await?;
        let stream = TcpStream::connect(judged.as_slice()).await?;
        // One request, one answer: nothing is gained by waiting for more to send.
        stream.set_nodelay(true)?;
        Ok(stream)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cluster_that_gave_no_answer_rests_until_it_gives_one() {
        let down = Down::default();
        assert!(down.rests().is_ok());
        down.learn(false);
        assert!(down.clone().rests().is_err());
        down.learn(true);
        assert!(down.rests().is_ok());
    }

    #[tokio::test]
    async fn nobody_is_connected_to_an_address_that_is_refused() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        for (host, allow, connects) in [
            ("127.0.0.1", "", false),
            ("localhost", "", false),
            ("127.0.0.1", "127.0.0.0/8", true),
        ] {
            let allow = allow.split(',').filter(|rule| !rule.is_empty());
            let dial = Dial {
                egress: Arc::new(Egress::new(
                    allow.map(|rule| rule.parse().unwrap()).collect(),
                )),
                host: host.into(),
                port,
            };
            let told = dial.connect().await;
            assert_eq!(told.is_ok(), connects, "{host}");
            if let Err(why) = told {
                assert!(why.to_string().contains("a loopback address"), "{why}");
            }
        }
    }
}
