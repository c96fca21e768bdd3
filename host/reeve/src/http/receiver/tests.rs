//! Calls to hooks, friendly and not.

use super::*;
use crate::http::Proxies;
use crate::http::tests::{Served, code_of, read_answer};
use crate::issuers::tests::{Issuer, Signer, reaching_this_machine};
use jiff::Timestamp;
use reeve_api::receiver::ReceiverType as Kind;
use reeve_core::index::{Index, Listener};
use reeve_core::webhook::{Allowance, Filters, Google, Token};
use serde_json::json;
use std::sync::RwLock;
use tokio::io::AsyncWriteExt as _;
use tokio::time::timeout;

mod unheard;

const NOW: &str = "2026-11-22T12:00:00Z";

impl Shown {
    /// A call without a payload.
    pub(crate) fn nothing() -> Self {
        let receiver = NamespacedName::new("acme", "hook").unwrap();
        let room = Arc::<Room>::default().enter(&receiver, guard::site(None));
        Self {
            req: None,
            claims: None,
            _room: room,
        }
    }
}

struct Estate {
    served: Served,
    nudges: mpsc::Receiver<Nudge>,
    metrics: Arc<Metrics>,
    index: Arc<RwLock<Index>>,
}

fn token() -> Token {
    Token::parse(Some(b"s3cret"), "acme/token").unwrap()
}

fn path(name: &str) -> String {
    token().path(name, "acme")
}

impl Estate {
    async fn start() -> Self {
        Self::start_with(reaching_this_machine(), &guard::Limits::default()).await
    }

    async fn start_with(issuers: Issuers, often: &guard::Limits) -> Self {
        Self::start_behind(Proxies::default(), issuers, often).await
    }

    async fn start_behind(proxies: Proxies, issuers: Issuers, often: &guard::Limits) -> Self {
        let index = Arc::new(RwLock::new(Index::new([])));
        let lookup: Lookup = {
            let index = Arc::clone(&index);
            Arc::new(move |path| index.read().unwrap().hook(path))
        };
        let (sender, nudges) = mpsc::channel(2);
        let metrics = Arc::new(Metrics::new());
        let router = Receiver::new(lookup, sender, Arc::clone(&metrics), issuers)
            .with_body_time(Duration::from_millis(300))
            .with_limits(often)
            .with_clock(Clock::held(NOW.parse().unwrap()))
            .router();
        let limits = crate::http::Limits {
            header_time: Duration::from_millis(500),
            ..crate::http::Limits::RECEIVER
        };
        let (served, _task) = Served::start_behind(proxies, router, limits).await;
        let estate = Self {
            served,
            nudges,
            metrics,
            index,
        };
        estate.listen("open", Kind::Generic, Standing::Open);
        estate.listen("lab", Kind::Gitlab, Standing::Open);
        estate.listen("asleep", Kind::Generic, Standing::Suspended);
        estate.listen("broken", Kind::Generic, Standing::NotReady);
        estate
    }

    fn listen(&self, name: &str, kind: Kind, standing: Standing) {
        let events = match kind {
            Kind::Gitlab => vec!["Push Hook".to_owned()],
            _ => vec![],
        };
        self.listen_as(name, |hook| Hook {
            kind,
            events,
            standing,
            ..hook
        });
    }

    fn listen_as(&self, name: &str, change: impl FnOnce(Hook) -> Hook) {
        let receiver = NamespacedName::new("acme", name).unwrap();
        let hook = change(Hook {
            receiver: receiver.clone(),
            kind: Kind::Generic,
            token: token(),
            google: None,
            issuers: vec![],
            events: vec![],
            filters: Filters::default(),
            standing: Standing::Open,
        });
        let hook = Some((path(name), Arc::new(hook)));
        let listener = Listener {
            resources: vec![],
            secret: None,
            hook,
            computed: true,
            since: None,
        };
        self.index
            .write()
            .unwrap()
            .apply_receiver(&receiver, listener);
    }

    async fn call(&self, method: &str, path: &str, headers: &str, body: &str) -> u16 {
        let length = body.len();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\n{headers}\r\n{body}"
        );
        code_of(&self.served.ask(&request).await)
    }

    fn nudged(&mut self) -> Option<String> {
        self.nudges
            .try_recv()
            .ok()
            .map(|nudge| nudge.receiver.name.to_string())
    }
}

const PUSH: &str = "X-Gitlab-Token: s3cret\r\nX-Gitlab-Event: Push Hook\r\n";

const ISSUE: &str = "X-Gitlab-Token: s3cret\r\nX-Gitlab-Event: Issue Hook\r\n";
const OTHER: &str = "X-Gitlab-Token: other\r\nX-Gitlab-Event: Push Hook\r\n";
const NONE: &str = "X-Gitlab-Event: Push Hook\r\n";

/// Each row is one call; only those let in may leave a nudge.
#[tokio::test]
async fn a_call_is_let_in_or_says_why_not() {
    let mut estate = Estate::start().await;
    for (says, method, name, headers, want) in [
        ("curl without anything", "GET", "open", "", 200),
        ("a generic POST", "POST", "open", "", 200),
        ("a push from GitLab", "POST", "lab", PUSH, 200),
        ("HEAD is not a call", "HEAD", "open", "", 405),
        ("PUT is not a call", "PUT", "open", "", 405),
        ("GitLab does not GET", "GET", "lab", PUSH, 405),
        ("GitLab without a token", "POST", "lab", NONE, 400),
        ("GitLab with another token", "POST", "lab", OTHER, 400),
        ("an event nobody asked for", "POST", "lab", ISSUE, 400),
        ("a suspended receiver", "POST", "asleep", "", 503),
        ("a receiver that is not ready", "POST", "broken", "", 503),
        ("a receiver that is not there", "POST", "unknown", "", 404),
    ] {
        let body = if name == "lab" { "{}" } else { "" };
        let code = estate.call(method, &path(name), headers, body).await;
        assert_eq!(code, want, "{says}");
        assert_eq!(estate.nudged().is_some(), want == 200, "{says}");
    }
}

#[tokio::test]
async fn only_the_very_path_is_a_hook() {
    let mut estate = Estate::start().await;
    let open = path("open");
    for (says, path, want) in [
        ("a query does not matter", format!("{open}?x=1"), 200),
        ("the root", "/".into(), 404),
        ("no digest", "/hook/".into(), 404),
        ("a step up", format!("/hook/../{}", &open[1..]), 404),
        ("a doubled slash", format!("/{open}"), 404),
        (
            "an escaped slash",
            open.replacen("/hook/", "/hook%2f", 1),
            404,
        ),
        ("something behind the digest", format!("{open}/"), 404),
        ("upper case", open.to_uppercase(), 404),
    ] {
        assert_eq!(estate.call("GET", &path, "", "").await, want, "{says}");
        assert_eq!(estate.nudged().is_some(), want == 200, "{says}");
    }
}

#[tokio::test]
async fn a_payload_is_bounded_in_size_and_time() {
    let mut estate = Estate::start().await;
    let open = path("open");
    let large = "x".repeat(MAX_BODY);
    assert_eq!(
        estate.call("POST", &open, "", &large).await,
        200,
        "3 MiB are taken"
    );
    assert!(estate.nudged().is_some());
    let larger = format!("{large}x");
    assert_eq!(
        estate.call("POST", &open, "", &larger).await,
        413,
        "one byte more is not"
    );
    // not even when its length is not announced
    let chunked = format!(
        "POST {open} HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n{:x}\r\n{larger}\r\n0\r\n\r\n",
        larger.len()
    );
    assert_eq!(code_of(&estate.served.ask(&chunked).await), 413);
    // and not when it never ends
    let mut stream = estate.served.connect().await;
    let head = format!("POST {open} HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\nslow");
    stream.write_all(head.as_bytes()).await.unwrap();
    let answer = String::from_utf8(read_answer(&mut stream).await).unwrap();
    assert_eq!(code_of(&answer), 408, "{answer}");
    assert_eq!(estate.nudged(), None);
}

#[tokio::test]
async fn calls_that_find_the_queue_full_are_let_in_and_told_of_in_one() {
    let mut estate = Estate::start().await;
    let open = path("open");
    for _ in 0..6 {
        assert_eq!(estate.call("POST", &open, "", "").await, 200);
    }
    // Two were told of by themselves; of the others nobody could be told yet.
    for of_many in [false, false, true] {
        let nudge = timeout(Duration::from_secs(10), estate.nudges.recv()).await;
        assert_eq!(nudge.unwrap().map(|nudge| nudge.of_many), Some(of_many));
    }
    assert_eq!(estate.nudged(), None);
}

#[tokio::test]
async fn an_answer_never_repeats_a_token() {
    let estate = Estate::start().await;
    let request = format!(
        "POST {} HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\nX-Gitlab-Token: s3cret\r\nX-Gitlab-Event: s3cret-not\r\n\r\n",
        path("lab")
    );
    let answer = estate.served.ask(&request).await;
    assert_eq!(code_of(&answer), 400);
    let wrong = request.replace("Token: s3cret", "Token: gu3ss");
    let answer = estate.served.ask(&wrong).await;
    assert!(
        !answer.contains("gu3ss") && !answer.contains("s3cret"),
        "{answer}"
    );
    let metrics = estate.metrics.encode().unwrap();
    assert!(
        !metrics.contains("s3cret") && !metrics.contains("/hook/"),
        "{metrics}"
    );
    assert!(metrics.contains(r#"gotk_receiver_http_request_duration_seconds_count{code="400",handler="",method="POST",service=""} 2"#));
}

fn often(address: f64, receiver: f64) -> guard::Limits {
    let of = |burst| Allowance {
        burst,
        each_second: 0.1,
    };
    guard::Limits {
        address: of(address),
        receiver: of(receiver),
    }
}

#[tokio::test]
async fn who_calls_too_often_is_told_when_to_come_again() {
    let limits = often(4.0, 1000.0);
    let estate = Estate::start_with(reaching_this_machine(), &limits).await;
    let request = "GET /hook/0 HTTP/1.1\r\nhost: x\r\n\r\n";
    for want in [404, 404, 404, 404, 429] {
        assert_eq!(estate.served.code(request).await, want);
    }
    let answer = estate.served.ask(request).await;
    assert!(answer.contains("retry-after: 10\r\n"), "{answer}");

    // What is turned away uses up nothing of what a Receiver lets in.
    let limits = often(1000.0, 2.0);
    let mut estate = Estate::start_with(reaching_this_machine(), &limits).await;
    for (headers, want) in [
        (OTHER, 400),
        (OTHER, 400),
        (PUSH, 200),
        (OTHER, 400),
        (PUSH, 200),
    ] {
        assert_eq!(estate.call("POST", &path("lab"), headers, "{}").await, want);
        assert_eq!(estate.nudged().is_some(), want == 200);
    }
    assert_eq!(
        estate.call("GET", &path("open"), "", "").await,
        200,
        "others are let in"
    );
    assert!(estate.nudged().is_some());
}

#[tokio::test]
async fn whoever_proves_itself_is_let_in_however_often_and_no_call_is_forgotten() {
    let receiver = Allowance {
        burst: 2.0,
        each_second: 0.001,
    };
    let limits = guard::Limits {
        receiver,
        ..often(1000.0, 2.0)
    };
    let mut estate = Estate::start_with(reaching_this_machine(), &limits).await;
    let mut alone = 0;
    for call in 0..200 {
        let delivery = format!("{PUSH}Idempotency-Key: {call}\r\n");
        let code = estate.call("POST", &path("lab"), &delivery, "{}").await;
        assert_eq!(code, 200, "{call}");
        while let Ok(nudge) = estate.nudges.try_recv() {
            alone += usize::from(!nudge.of_many);
        }
    }
    assert_eq!(alone, 2);
    // What comes after one was told of many is told of by another.
    for call in ["one", "another"] {
        let delivery = format!("{PUSH}Idempotency-Key: {call}\r\n");
        let at = Instant::now();
        let code = estate.call("POST", &path("lab"), &delivery, "{}").await;
        assert_eq!(code, 200, "{call}");
        let told = async {
            while let Some(nudge) = estate.nudges.recv().await {
                if nudge.of_many && nudge.at > at {
                    return true;
                }
            }
            false
        };
        let told = timeout(Duration::from_secs(10), told).await;
        assert_eq!(told.ok(), Some(true), "{call}");
        // And it is not let in once more.
        let code = estate.call("POST", &path("lab"), &delivery, "{}").await;
        assert_eq!(code, 409, "{call}");
    }
}

#[tokio::test]
async fn what_is_refused_before_anything_is_proved_counts_against_the_address() {
    let larger = "x".repeat(MAX_BODY + 1);
    let text = "X-Gitlab-Token: s3cret\r\nX-Gitlab-Event: Push Hook\r\nContent-Type: image/png\r\n";
    for (says, method, name, headers, body, want) in [
        ("another method", "PUT", "open", "", "", 405),
        (
            "a payload that is too large",
            "POST",
            "open",
            "",
            &*larger,
            413,
        ),
        (
            "a type that is none of these",
            "POST",
            "lab",
            text,
            "{}",
            415,
        ),
        ("a receiver that sleeps", "POST", "asleep", "", "", 503),
    ] {
        let limits = often(2.0, 1000.0);
        let mut estate = Estate::start_with(reaching_this_machine(), &limits).await;
        for want in [want, want, 429] {
            let code = estate.call(method, &path(name), headers, body).await;
            assert_eq!(code, want, "{says}");
        }
        let code = estate.call("POST", &path("lab"), PUSH, "{}").await;
        assert_eq!(code, 200, "{says}: who proves himself");
        assert!(estate.nudged().is_some(), "{says}");
    }
}

#[tokio::test]
async fn a_payload_that_does_not_come_counts_against_the_address() {
    let limits = often(1.0, 1000.0);
    let estate = Estate::start_with(reaching_this_machine(), &limits).await;
    let head = format!(
        "POST {} HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\nslow",
        path("open")
    );
    for want in [408, 429] {
        let mut stream = estate.served.connect().await;
        stream.write_all(head.as_bytes()).await.unwrap();
        let answer = String::from_utf8(read_answer(&mut stream).await).unwrap();
        assert_eq!(code_of(&answer), want, "{answer}");
    }
}

#[tokio::test]
async fn who_proves_nothing_uses_up_no_calls_of_others_behind_its_address() {
    let limits = often(3.0, 1000.0);
    let mut estate = Estate::start_with(reaching_this_machine(), &limits).await;
    for (says, name, headers, want) in [
        ("another token", "lab", OTHER, 400),
        (
            "an unwanted event is proved, and counts nothing",
            "lab",
            ISSUE,
            400,
        ),
        ("no receiver", "unknown", "", 404),
        ("no token", "lab", NONE, 400),
        ("one too many", "lab", OTHER, 429),
        ("a path too many", "unknown", "", 429),
        ("somebody who proves himself", "lab", PUSH, 200),
        ("whose path is the proof", "open", "", 200),
    ] {
        let code = estate.call("POST", &path(name), headers, "{}").await;
        assert_eq!(code, want, "{says}");
        assert_eq!(estate.nudged().is_some(), want == 200, "{says}");
    }
}

#[tokio::test]
async fn who_calls_through_a_proxy_that_is_named_is_counted_by_its_own_address() {
    let limits = often(2.0, 1000.0);
    let proxies = Proxies::new(vec!["127.0.0.1".parse().unwrap()]);
    let estate = Estate::start_behind(proxies, reaching_this_machine(), &limits).await;
    for (from, want) in [
        ("192.0.2.1", 404),
        ("192.0.2.1", 404),
        ("192.0.2.1", 429),
        // What it writes there itself stands before what the proxy writes.
        ("203.0.113.5, 192.0.2.1", 429),
        ("192.0.2.2", 404),
    ] {
        let headers = format!("X-Forwarded-For: {from}\r\n");
        let code = estate.call("POST", &path("unknown"), &headers, "").await;
        assert_eq!(code, want, "{from}");
    }
    // Of nobody who is named it is read.
    let estate = Estate::start_with(reaching_this_machine(), &limits).await;
    for (last, want) in [(1, 404), (2, 404), (3, 429)] {
        let headers = format!("X-Forwarded-For: 192.0.2.{last}\r\n");
        let code = estate.call("POST", &path("unknown"), &headers, "").await;
        assert_eq!(code, want, "{last}");
    }
}

#[tokio::test]
async fn what_headers_cannot_prove_is_refused_before_the_payload_is_read() {
    let estate = Estate::start().await;
    for (name, kind) in [("hub", Kind::Github), ("oidc", Kind::GenericOidc)] {
        estate.listen(name, kind, Standing::Open);
    }
    let unsigned = "X-Hub-Signature-256: sha256=00\r\n";
    let token = "Authorization: Bearer a.b.c\r\n";
    // The last is read, and waited for.
    for (name, headers, want) in [
        ("lab", OTHER, 400),
        ("hub", "", 400),
        ("hub", unsigned, 400),
        ("oidc", "", 400),
        ("oidc", token, 400),
        ("lab", PUSH, 408),
    ] {
        let mut stream = estate.served.connect().await;
        let path = path(name);
        let head =
            format!("POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n{headers}\r\nslow");
        stream.write_all(head.as_bytes()).await.unwrap();
        let answer = String::from_utf8(read_answer(&mut stream).await).unwrap();
        assert_eq!(code_of(&answer), want, "{name} {headers}: {answer}");
    }
}

#[tokio::test]
async fn claims_are_looked_at_no_more_often_than_a_receiver_is_called() {
    let signer = Signer::new();
    let issuer = Issuer::start(signer.keys()).await;
    let limits = often(1000.0, 2.0);
    let mut estate = Estate::start_with(reaching_this_machine(), &limits).await;
    let provider = json!([{
        "issuerURL": issuer.url, "audience": "reeve",
        "validations": [{"expression": "claims.sub == 'repo:acme/web'", "message": "not acme's"}],
    }]);
    let providers: Vec<_> = serde_json::from_value(provider).unwrap();
    let issuers = webhook::Issuer::parse_all(&providers).unwrap();
    for name in ["oidc", "other"] {
        let issuers = issuers.clone();
        estate.listen_as(name, |hook| Hook {
            kind: Kind::GenericOidc,
            issuers,
            ..hook
        });
    }
    let end = NOW.parse::<Timestamp>().unwrap().as_second() + 60;
    let rs256 = json!({"alg": "RS256", "kid": "r"});
    for (name, subject, want) in [
        ("oidc", "repo:evil/web", 400),
        ("oidc", "repo:evil/web", 400),
        ("oidc", "repo:evil/web", 429),
        ("other", "repo:acme/web", 200),
    ] {
        let claims = json!({"iss": issuer.url, "aud": "reeve", "exp": end, "sub": subject});
        let token = signer.token(&rs256, &claims);
        let headers = format!("Authorization: Bearer {token}\r\n");
        let code = estate.call("POST", &path(name), &headers, "").await;
        assert_eq!(code, want, "{name} {subject}");
        assert_eq!(estate.nudged().is_some(), want == 200, "{name} {subject}");
    }
}

#[tokio::test]
async fn a_delivery_is_let_in_once() {
    let mut estate = Estate::start().await;
    let delivery = |id: &str| format!("{PUSH}Idempotency-Key: {id}\r\n");
    for (id, want) in [("a", 200), ("a", 409), ("b", 200), ("b", 409)] {
        let code = estate.call("POST", &path("lab"), &delivery(id), "{}").await;
        assert_eq!(code, want, "{id}");
        assert_eq!(estate.nudged().is_some(), want == 200, "{id}");
    }
    // One for which there was no room is told of with others, and not let in again.
    for want in [200, 200] {
        assert_eq!(estate.call("POST", &path("open"), "", "").await, want);
    }
    for want in [200, 409] {
        let delivery = delivery("c");
        let code = estate.call("POST", &path("lab"), &delivery, "{}").await;
        assert_eq!(code, want);
    }
}

#[tokio::test]
async fn a_payload_is_of_a_type_that_the_caller_writes() {
    let mut estate = Estate::start().await;
    for (content, want) in [
        ("text/plain", 415),
        ("application/x-www-form-urlencoded", 415),
        ("\u{ff}", 415),
        ("application/json", 200),
        ("application/json; charset=utf-8", 200),
    ] {
        let headers = format!("{PUSH}Content-Type: {content}\r\n");
        let code = estate.call("POST", &path("lab"), &headers, "{}").await;
        assert_eq!(code, want, "{content}");
        assert_eq!(estate.nudged().is_some(), want == 200, "{content}");
    }
}

#[tokio::test]
async fn a_token_of_an_issuer_proves_a_call() {
    let (signer, stranger) = (Signer::new(), Signer::new());
    let issuer = Issuer::start(signer.keys()).await;
    let google = reaching_this_machine().with_google(&issuer.url);
    let mut estate = Estate::start_with(google, &guard::Limits::default()).await;
    let provider = json!([{
        "issuerURL": issuer.url, "audience": "reeve",
        "validations": [{"expression": "claims.sub == 'repo:acme/web'", "message": "not acme's"}],
    }]);
    let providers: Vec<_> = serde_json::from_value(provider).unwrap();
    let issuers = webhook::Issuer::parse_all(&providers).unwrap();
    estate.listen_as("oidc", |hook| Hook {
        kind: Kind::GenericOidc,
        issuers,
        ..hook
    });
    estate.listen_as("gcr", |hook| Hook {
        kind: Kind::Gcr,
        google: Some(Google {
            email: "push@acme.example".into(),
            audience: "reeve".into(),
        }),
        ..hook
    });
    let second = NOW.parse::<Timestamp>().unwrap().as_second();
    let claims = |issuer: &str, subject: &str, end: i64| {
        json!({
            "iss": issuer, "aud": "reeve", "exp": second + end, "sub": subject,
            "email": subject, "email_verified": true,
        })
    };
    let (own, right) = (issuer.url.as_str(), "repo:acme/web");
    let google = "https://accounts.google.com";
    let pub_sub = r#"{"message": {"data": "eyJhY3Rpb24iOiJJTlNFUlQifQ=="}}"#;
    let rs256 = json!({"alg": "RS256", "kid": "r"});
    let hs256 = json!({"alg": "HS256", "kid": "r"});
    let none = json!({"alg": "none"});
    for (says, name, by, header, claims, want) in [
        (
            "a token that is right",
            "oidc",
            &signer,
            &rs256,
            claims(own, right, 60),
            200,
        ),
        (
            "somebody else's",
            "oidc",
            &signer,
            &rs256,
            claims(own, "repo:evil/web", 60),
            400,
        ),
        (
            "one that is over",
            "oidc",
            &signer,
            &rs256,
            claims(own, right, 0),
            400,
        ),
        (
            "one of another key",
            "oidc",
            &stranger,
            &rs256,
            claims(own, right, 60),
            400,
        ),
        (
            "a shared secret",
            "oidc",
            &signer,
            &hs256,
            claims(own, right, 60),
            400,
        ),
        (
            "no signature",
            "oidc",
            &signer,
            &none,
            claims(own, right, 60),
            400,
        ),
        (
            "another issuer",
            "oidc",
            &signer,
            &rs256,
            claims("http://127.0.0.1:1", right, 60),
            400,
        ),
        (
            "one of Pub/Sub",
            "gcr",
            &signer,
            &rs256,
            claims(google, "push@acme.example", 60),
            200,
        ),
        (
            "another account",
            "gcr",
            &signer,
            &rs256,
            claims(google, "push@evil.example", 60),
            400,
        ),
        (
            "no issuer of Google's",
            "gcr",
            &signer,
            &rs256,
            claims(own, "push@acme.example", 60),
            400,
        ),
    ] {
        let headers = format!("Authorization: Bearer {}\r\n", by.token(header, &claims));
        let code = estate.call("POST", &path(name), &headers, pub_sub).await;
        assert_eq!(code, want, "{says}");
        assert_eq!(estate.nudged().is_some(), want == 200, "{says}");
    }
    for headers in [
        "",
        "Authorization: Bearer \r\n",
        "Authorization: Basic YTpi\r\n",
    ] {
        let code = estate.call("POST", &path("oidc"), headers, "").await;
        assert_eq!(code, 400, "{headers}");
    }
}

#[tokio::test]
async fn a_caller_whose_issuer_cannot_be_asked_may_come_again() {
    let signer = Signer::new();
    let estate = Estate::start().await;
    let nobody = "http://127.0.0.1:1";
    let provider = json!([{
        "issuerURL": nobody, "validations": [{"expression": "true", "message": "m"}],
    }]);
    let providers: Vec<_> = serde_json::from_value(provider).unwrap();
    let issuers = webhook::Issuer::parse_all(&providers).unwrap();
    estate.listen_as("oidc", |hook| Hook {
        kind: Kind::GenericOidc,
        issuers,
        ..hook
    });
    let claims = json!({"iss": nobody, "aud": "notification-controller", "exp": 9_999_999_999_u64});
    let token = signer.token(&json!({"alg": "RS256", "kid": "r"}), &claims);
    let request = format!(
        "GET {} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n\r\n",
        path("oidc")
    );
    let answer = estate.served.ask(&request).await;
    assert_eq!(code_of(&answer), 503, "{answer}");
    assert!(answer.contains("retry-after: 10\r\n"), "{answer}");
    assert!(!answer.contains(&token), "{answer}");
    // Anybody may have called: where the issuer is and what it answered is not theirs to know.
    assert!(
        answer.ends_with("the bearer token's issuer cannot be asked\n"),
        "{answer}"
    );
}

#[tokio::test]
async fn what_filters_see_goes_along_only_where_there_are_any() {
    let mut estate = Estate::start().await;
    let spec = json!({
        "type": "gitlab", "resourceFilter": "req.ref == 'main'", "resources": [],
    });
    let filters = Filters::parse(&serde_json::from_value(spec).unwrap()).unwrap();
    estate.listen_as("sifted", |hook| Hook {
        kind: Kind::Gitlab,
        filters,
        ..hook
    });
    for (name, want) in [("lab", None), ("sifted", Some(r#"{"ref":"main"}"#))] {
        let code = estate
            .call("POST", &path(name), PUSH, r#"{"ref":"main"}"#)
            .await;
        assert_eq!(code, 200);
        let nudge = estate.nudges.try_recv().unwrap();
        let req = nudge.shown.and_then(|shown| shown.req);
        assert_eq!(req.as_deref(), want, "{name}");
    }
}
