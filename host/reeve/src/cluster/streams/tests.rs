//! Against servers of our own: with HTTP/2, without it, and none.

use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use http::Response;
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls_pki_types::{CertificateDer, PrivatePkcs8KeyDer, ServerName};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::*;

#[test]
fn a_watch_goes_where_the_fewest_are_and_never_where_no_more_may_be() {
    for (loads, want) in [
        (vec![], None),
        (vec![(3, 100)], Some(0)),
        (vec![(100, 100)], None),
        (vec![(100, 100), (7, 100)], Some(1)),
        (vec![(60, 100), (40, 100)], Some(1)),
        (vec![(5, 5), (5, 100)], Some(1)),
        (vec![(0, 0)], None),
        (vec![(9, 100), (8, 100), (0, 100)], Some(1)),
    ] {
        assert_eq!(choose(&loads), want, "{loads:?}");
    }
}

/// A server that offers these protocols; every watch goes on for ever, or for one line. How many connections it has had.
async fn server(protocols: &[&str]) -> (Dial, Arc<AtomicUsize>) {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let cert: CertificateDer<'static> = made.cert.der().clone();
    let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    let builder = rustls::ServerConfig::builder_with_provider(Arc::clone(&provider));
    let builder = builder.with_safe_default_protocol_versions().unwrap();
    let mut config = builder
        .with_no_client_auth()
        .with_single_cert(vec![cert.clone()], key.into())
        .unwrap();
    config.alpn_protocols = protocols
        .iter()
        .map(|one| one.as_bytes().to_vec())
        .collect();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (tls, had) = (
        TlsAcceptor::from(Arc::new(config)),
        Arc::new(AtomicUsize::new(0)),
    );
    let counted = Arc::clone(&had);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::SeqCst);
            let tls = tls.clone();
            tokio::spawn(async move {
                let Ok(stream) = tls.accept(stream).await else {
                    return;
                };
                let answer = hyper::service::service_fn(answered);
                let serving = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
                    .serve_connection(TokioIo::new(stream), answer);
                serving.await.ok();
            });
        }
    });
    let mut roots = rustls::RootCertStore::empty();
    roots.add(cert).unwrap();
    let builder = rustls::ClientConfig::builder_with_provider(provider);
    let builder = builder.with_safe_default_protocol_versions().unwrap();
    let mut tls = builder.with_root_certificates(roots).with_no_client_auth();
    tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let dial = Dial {
        host: "127.0.0.1".to_owned(),
        port,
        name: ServerName::try_from("localhost").unwrap(),
        tls: Arc::new(tls),
        patience: Duration::from_secs(5),
    };
    (dial, had)
}

type Told = http_body_util::combinators::UnsyncBoxBody<Bytes, Infallible>;

async fn answered(request: Request<Incoming>) -> Result<Response<Told>, Infallible> {
    use futures::StreamExt as _;
    let line = futures::stream::iter([Ok(Frame::data(Bytes::from_static(b"one\n")))]);
    let told = match request.uri().path() {
        "/ends" => StreamBody::new(line).boxed_unsync(),
        _ => StreamBody::new(line.chain(futures::stream::pending())).boxed_unsync(),
    };
    Ok(Response::new(told))
}

fn asked(lines: &Lines, path: &str, seat: Seat) -> Request<Body> {
    let uri = format!("https://localhost:{}{path}", lines.dial.port);
    let mut request = Request::get(uri).body(Body::empty()).unwrap();
    request.extensions_mut().insert(seat);
    request
}

async fn open(lines: &Lines) -> usize {
    let known = lines.known.lock().await;
    known.lines.iter().map(|line| line.load().0).sum()
}

#[tokio::test]
async fn many_watches_share_few_connections_and_one_that_ends_makes_room() {
    let (dial, had) = server(&["h2"]).await;
    let lines = Lines::new(dial);
    let mut watched = Vec::new();
    for _ in 0..2 * ON_ONE + 50 {
        let seat = lines.seat().await.unwrap().unwrap();
        let request = asked(&lines, "/goes-on", seat);
        let mut body = Seat::send(request).await.unwrap().into_body();
        let frame = body.frame().await.unwrap().unwrap();
        assert_eq!(frame.into_data().unwrap(), "one\n");
        watched.push(body);
    }
    assert_eq!(had.load(Ordering::SeqCst), 3);
    assert_eq!(open(&lines).await, 2 * ON_ONE + 50);
    watched.truncate(10);
    assert_eq!(open(&lines).await, 10);
    let seat = lines.seat().await.unwrap().unwrap();
    let whole = Seat::send(asked(&lines, "/ends", seat)).await.unwrap();
    let whole = whole.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(whole, "one\n");
    assert_eq!(had.load(Ordering::SeqCst), 3);
    assert_eq!(open(&lines).await, 10, "it has ended");
}

#[tokio::test]
async fn a_server_that_does_not_offer_http2_is_asked_once_and_left_to_http1() {
    for protocols in [&["http/1.1"][..], &[]] {
        let (dial, had) = server(protocols).await;
        let lines = Lines::new(dial);
        for _ in 0..3 {
            assert!(lines.seat().await.unwrap().is_none(), "{protocols:?}");
        }
        assert_eq!(had.load(Ordering::SeqCst), 1, "{protocols:?}");
    }
}

#[tokio::test]
async fn where_connecting_has_failed_all_who_wait_for_it_are_told_at_once() {
    let (mut dial, _) = server(&["h2"]).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    dial.port = listener.local_addr().unwrap().port();
    dial.patience = Duration::from_millis(50);
    let lines = Lines::new(dial);
    let (one, other) = tokio::join!(lines.seat(), lines.seat());
    for told in [one, other] {
        let why = told.err().unwrap().to_string();
        assert!(why.contains("no connection within"), "{why}");
    }
    let first = listener.accept().await;
    assert!(first.is_ok());
    let second = tokio::time::timeout(Duration::from_millis(50), listener.accept()).await;
    assert!(second.is_err(), "nobody connects a second time");
}
