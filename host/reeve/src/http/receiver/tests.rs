//! Calls to hooks, friendly and not.

use super::*;
use crate::http::Limits;
use crate::http::tests::{Served, code_of, read_answer};
use reeve_core::index::{Index, Listener};
use reeve_core::webhook::{Kind, Token};
use std::sync::RwLock;
use tokio::io::AsyncWriteExt as _;

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
        let index = Arc::new(RwLock::new(Index::new([])));
        let lookup: Lookup = {
            let index = Arc::clone(&index);
            Arc::new(move |path| index.read().unwrap().hook(path))
        };
        let (sender, nudges) = mpsc::channel(2);
        let metrics = Arc::new(Metrics::new());
        let router = Receiver::new(lookup, sender, Arc::clone(&metrics))
            .with_body_time(Duration::from_millis(300))
            .router();
        let limits = Limits {
            header_time: Duration::from_millis(500),
            ..Limits::RECEIVER
        };
        let (served, _task) = Served::start_with(router, limits).await;
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
        let receiver = NamespacedName::new("acme", name).unwrap();
        let events = vec!["Push Hook".to_owned()];
        let hook = Hook {
            receiver: receiver.clone(),
            kind,
            token: token(),
            events,
            standing,
        };
        let hook = Some((path(name), Arc::new(hook)));
        let listener = Listener {
            resources: vec![],
            secret: None,
            hook,
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
        let code = estate.call(method, &path(name), headers, "").await;
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
async fn who_finds_the_queue_full_is_told_to_come_again() {
    let mut estate = Estate::start().await;
    let open = path("open");
    for want in [200, 200, 503] {
        assert_eq!(estate.call("POST", &open, "", "").await, want);
    }
    assert!(estate.nudged().is_some());
    assert_eq!(estate.call("POST", &open, "", "").await, 200);
    assert!(
        estate
            .metrics
            .encode()
            .unwrap()
            .contains("reeve_nudges_dropped_total 1")
    );
}

#[tokio::test]
async fn an_answer_never_repeats_a_token() {
    let estate = Estate::start().await;
    let request = format!(
        "POST {} HTTP/1.1\r\nhost: x\r\nX-Gitlab-Token: s3cret\r\nX-Gitlab-Event: s3cret-not\r\n\r\n",
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
