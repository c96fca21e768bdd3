//! What a registry may do to us: a server that does it, on the loopback.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use reeve_api::name::Secret;
use serde_json::json;

use super::*;

const COMPONENT: &[u8] = b"what a plugin is made of";

/// How the server behaves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Manner {
    Good,
    WantsToken,
    Redirects,
    RedirectsForEver,
    SaysTooMuch,
    LiesAboutSize,
    NeverEnds,
    Damages,
    GivesAnIndex,
    WantsTokenFromElsewhere,
}

#[derive(Clone)]
struct Server {
    manner: Manner,
    address: SocketAddr,
    /// Each request: its path, and who it says it is from.
    asked: Arc<Mutex<Vec<(String, String)>>>,
}

impl Server {
    async fn start(manner: Manner) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a port is free");
        let server = Self {
            manner,
            address: listener.local_addr().expect("it has one"),
            asked: Arc::default(),
        };
        let router = Router::new().fallback(answer).with_state(server.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        server
    }

    fn reference(&self) -> Reference {
        format!("oci://{}/acme/web:v1", self.address)
            .parse()
            .expect("it is one")
    }

    fn access(&self) -> Access {
        provide();
        Access {
            egress: Arc::new(Egress::new(vec!["127.0.0.0/8".parse().expect("it is one")])),
            login: Some(Login {
                user: "robot".to_owned(),
                password: Secret::new("hunter2"),
            }),
            plain: true,
            deadline: Instant::now() + Duration::from_secs(20),
        }
    }

    async fn pull(&self) -> Result<Pulled, Error> {
        super::pull(&self.reference(), &self.access(), 1000).await
    }

    fn asked(&self) -> Vec<(String, String)> {
        self.asked.lock().expect("nobody panicked").clone()
    }
}

fn provide() {
    let _set_before = rustls::crypto::aws_lc_rs::default_provider().install_default();
}

async fn answer(State(server): State<Server>, request: Request) -> Response {
    let path = request.uri().path().to_owned();
    let from = request.headers().get(header::AUTHORIZATION);
    let from = from
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
        .to_owned();
    server
        .asked
        .lock()
        .expect("nobody panicked")
        .push((path.clone(), from.clone()));
    let tokens = matches!(
        server.manner,
        Manner::WantsToken | Manner::WantsTokenFromElsewhere
    );
    if path == "/token" {
        return json!({"token": "for-an-hour"}).to_string().into_response();
    }
    if tokens && from != "Bearer for-an-hour" {
        let realm = match server.manner {
            Manner::WantsToken => format!("http://{}/token", server.address),
            _ => "ftp://elsewhere.example/token".to_owned(),
        };
        let challenge = format!("Bearer realm=\"{realm}\",service=\"here\"");
        return (
            StatusCode::UNAUTHORIZED,
            [(header::WWW_AUTHENTICATE, challenge)],
        )
            .into_response();
    }
    match path.as_str() {
        "/v2/acme/web/manifests/v1" => manifest(server.manner).into_response(),
        "/elsewhere" => COMPONENT.into_response(),
        _ => blob(&server, &path),
    }
}

fn manifest(manner: Manner) -> String {
    let size = match manner {
        Manner::LiesAboutSize => 1,
        _ => COMPONENT.len(),
    };
    let kind = match manner {
        Manner::GivesAnIndex => "application/vnd.oci.image.index.v1+json",
        _ => "application/vnd.oci.image.manifest.v1+json",
    };
    json!({
        "schemaVersion": 2,
        "mediaType": kind,
        "config": {"mediaType": "application/vnd.wasm.config.v0+json", "digest": digest_of(b"{}"), "size": 2},
        "layers": [{"mediaType": "application/wasm", "digest": digest_of(COMPONENT), "size": size}],
    })
    .to_string()
}

fn blob(server: &Server, path: &str) -> Response {
    let to = |place: String| {
        (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, place)]).into_response()
    };
    match server.manner {
        Manner::Redirects => to(format!("http://{}/elsewhere", server.address)),
        Manner::RedirectsForEver => to(path.to_owned()),
        Manner::SaysTooMuch | Manner::LiesAboutSize => vec![b'x'; 5000].into_response(),
        Manner::Damages => b"what a plugin is made 0f".into_response(),
        Manner::NeverEnds => {
            Body::from_stream(futures::stream::pending::<Result<Vec<u8>, std::io::Error>>())
                .into_response()
        }
        _ => COMPONENT.into_response(),
    }
}

#[tokio::test]
async fn a_plugin_is_fetched_from_a_registry_that_wants_a_token_and_one_that_keeps_blobs_elsewhere()
{
    for manner in [Manner::Good, Manner::WantsToken, Manner::Redirects] {
        let server = Server::start(manner).await;
        let pulled = server.pull().await.expect("it is there");
        assert_eq!(pulled.component, COMPONENT, "{manner:?}");
    }
}

#[tokio::test]
async fn a_password_goes_to_who_makes_tokens_and_along_with_no_redirect() {
    let server = Server::start(Manner::WantsToken).await;
    server.pull().await.expect("it is there");
    for (path, from) in server.asked() {
        assert_eq!(
            from.starts_with("Basic "),
            path == "/token",
            "{path}: {from}"
        );
    }
    let server = Server::start(Manner::Redirects).await;
    server.pull().await.expect("it is there");
    assert!(
        server
            .asked()
            .iter()
            .any(|(path, from)| path == "/elsewhere" && from.is_empty())
    );
}

#[tokio::test]
async fn what_a_registry_gives_instead_is_refused_in_words() {
    for (manner, words) in [
        (
            Manner::SaysTooMuch,
            "the component is larger than 1000 bytes",
        ),
        (
            Manner::LiesAboutSize,
            "the component is larger than 1000 bytes",
        ),
        (Manner::Damages, "the component has the digest sha256:"),
        (Manner::RedirectsForEver, "answered 307 for the component"),
        (
            Manner::GivesAnIndex,
            "application/vnd.oci.image.index.v1+json",
        ),
        (
            Manner::WantsTokenFromElsewhere,
            "it does not say where tokens are made",
        ),
    ] {
        let server = Server::start(manner).await;
        let why = server.pull().await.expect_err("it is refused").to_string();
        assert!(why.contains(words), "{manner:?}: {why}");
        assert!(!why.contains("hunter2"), "{why}");
    }
}

#[tokio::test]
async fn a_registry_that_never_ends_is_left_at_the_deadline() {
    let server = Server::start(Manner::NeverEnds).await;
    let access = Access {
        deadline: Instant::now() + Duration::from_millis(300),
        ..server.access()
    };
    let why = super::pull(&server.reference(), &access, 1000)
        .await
        .expect_err("it is late");
    assert!(matches!(why, Error::Late { .. }) && why.passes(), "{why}");
}

#[tokio::test]
async fn an_address_that_may_not_be_reached_is_not_asked() {
    let server = Server::start(Manner::Good).await;
    let access = Access {
        egress: Arc::new(Egress::default()),
        ..server.access()
    };
    let why = super::pull(&server.reference(), &access, 1000)
        .await
        .expect_err("it is refused");
    assert!(matches!(why, Error::Reach { .. }), "{why}");
    assert_eq!(server.asked(), []);
}
