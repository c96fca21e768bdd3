//! The forge room against a server that does what it likes and guests that ask for what they like.
//!
//! The guests here are lists of steps: what a real component may do beyond that (loop, grow) the sandbox's own tests show.

use std::collections::VecDeque;
use std::sync::Mutex;

use reeve_core::failure::{Explain as _, Turn, chain};
use serde_json::json;

use super::words::{
    Body, Credential, DeployKey, Header, HeaderValue, Hmac, Part, Repository, Request, SecretField,
    Webhook,
};
use super::*;
use server::{Answer as Says, Server};

mod changed;
mod patience;
mod server;
mod sparing;
mod tokens;

const TOKEN: &str = "t0p/s3cr3t+t\"ken";

fn provider(hosts: &[&str]) -> Provider {
    let hosts: Vec<HostPattern> = hosts.iter().map(|host| host.parse().unwrap()).collect();
    let asks = json!({"hosts": ["*"], "slots": {"token": "a token", "hook": "a secret"}});
    let slot = |value: &str| Slot {
        value: Secret::new(value),
        hosts: hosts.clone(),
    };
    Provider {
        name: "test".into(),
        whose: "acme".into(),
        asks: Arc::new(Asks::parse(Some(&asks)).unwrap()),
        slots: [
            ("token".to_owned(), slot(TOKEN)),
            ("hook".to_owned(), slot("hook-secret-1")),
        ]
        .into(),
        grant: Arc::new(Grant { hosts, http: true }),
        egress: Arc::new(Egress::new(vec!["127.0.0.0/8".parse().unwrap()])),
        tls: Tls::default(),
        limits: Limits::default(),
        clock: Clock::held("2026-11-21T12:00:00Z".parse().unwrap()),
        pauses: Arc::default(),
        answers: Arc::default(),
    }
}

fn operation(task: Task) -> Operation {
    Operation {
        task,
        repository: Repository {
            url: "https://git.example/acme/shop.git".into(),
            host: "git.example".into(),
            path: "acme/shop".into(),
        },
        config: "{}".into(),
        slots: Vec::new(),
    }
}

fn absent() -> Operation {
    operation(Task::DeployKeyAbsent("reeve".into()))
}

fn get(url: &str) -> Request {
    Request {
        method: "GET".into(),
        url: url.into(),
        headers: Vec::new(),
        body: None,
        secrets: Vec::new(),
        state: String::new(),
    }
}

fn with_token(url: &str) -> Request {
    let value = vec![Part::Text("token ".into()), Part::Secret("token".into())];
    Request {
        headers: vec![header("authorization", HeaderValue::Plain(value))],
        ..get(url)
    }
}

fn header(name: &str, value: HeaderValue) -> Header {
    Header {
        name: name.into(),
        value,
    }
}

fn text(text: &str) -> HeaderValue {
    HeaderValue::Plain(vec![Part::Text(text.into())])
}

/// Runs a guest that wants these one after the other; and what it was told in between.
async fn run(
    provider: &Provider,
    operation: Operation,
    steps: Vec<Next>,
) -> (Result<Outcome, Error>, Vec<Answer>) {
    let steps = Mutex::new(VecDeque::from(steps));
    let told = Mutex::new(Vec::new());
    let outcome = provider
        .run(operation, |_, _, answer| {
            told.lock().unwrap().extend(answer);
            let next = steps.lock().unwrap().pop_front().expect("a step is left");
            async {
                Ok(Step {
                    next,
                    log: Vec::new(),
                })
            }
        })
        .await;
    (outcome, told.into_inner().unwrap())
}

/// One request and its answer.
async fn one(provider: &Provider, request: Request) -> Result<Answer, Error> {
    let steps = vec![Next::Request(request), Next::Done(Done::Absent)];
    let (outcome, mut told) = run(provider, absent(), steps).await;
    outcome.map(|_| told.remove(0))
}

/// Why a request isn't made, or its answer not given.
async fn refused(provider: &Provider, request: Request) -> String {
    let why = one(provider, request).await.unwrap_err();
    let shown = format!("{} {why:?} {:?}", chain(&why), why.hint());
    assert!(!shown.contains(TOKEN), "a secret is told: {shown}");
    chain(&why)
}

#[tokio::test]
async fn a_request_is_sent_as_it_is_described_with_the_secret_filled_in() {
    let server = Server::start(vec![Says::Body(201, "", r#"{"id":1}"#.into())]).await;
    let provider = provider(&[&server.host()]);
    let token = || vec![Part::Secret("token".into())];
    let json = |at: Vec<Part>| {
        let mut parts = vec![Part::Text(r#"{"a":""#.into())];
        parts.extend(at);
        parts.push(Part::Text(r#"","b":[1]}"#.into()));
        Body::Json(parts)
    };
    let signed = Part::Hmac(Hmac {
        key: "hook".into(),
        text: "x".into(),
    });
    let request = Request {
        method: "POST".into(),
        headers: vec![
            header(
                "authorization",
                HeaderValue::Basic((vec![Part::Text("ada".into())], token())),
            ),
            header("x-signature", HeaderValue::Plain(vec![signed])),
        ],
        body: Some(json(token())),
        ..get(&server.url("/keys?page=1"))
    };
    let answer = one(&provider, request).await.unwrap();
    assert_eq!((answer.status, answer.body.as_str()), (201, r#"{"id":1}"#));
    let form = Request {
        method: "PUT".into(),
        body: Some(Body::Form(vec![
            ("a b".into(), token()),
            ("c".into(), vec![Part::Text("d&e".into())]),
        ])),
        ..get(&server.url("/form"))
    };
    one(&provider, form).await.unwrap();
    let seen = server.seen();
    for line in [
        "POST /keys?page=1 HTTP/1.1\r\n",
        "authorization: Basic YWRhOnQwcC9zM2NyM3QrdCJrZW4=\r\n",
        "x-signature: 68ab6dbe57075c3143a5af0398de5036635186760f18d08597b5694ebe3e7d97\r\n",
        "content-type: application/json\r\n",
        "user-agent: reeve/",
        "\r\n\r\n{\"a\":\"t0p/s3cr3t+t\\\"ken\",\"b\":[1]}",
    ] {
        assert!(seen[0].contains(line), "{line:?} is not in {:?}", seen[0]);
    }
    assert!(
        seen[1].starts_with("PUT /form HTTP/1.1\r\n"),
        "{:?}",
        seen[1]
    );
    assert!(seen[1].contains("content-type: application/x-www-form-urlencoded\r\n"));
    assert!(
        seen[1].ends_with("\r\n\r\na+b=t0p%2Fs3cr3t%2Bt%22ken&c=d%26e"),
        "{:?}",
        seen[1]
    );
}

#[tokio::test]
async fn an_echo_never_brings_the_secret_back() {
    let hex = |text: &str| hex::encode(text);
    let base64 = |text: &str| {
        use base64::Engine as _;
        base64::engine::general_purpose::STANDARD.encode(text)
    };
    let ways: [fn(&str) -> String; 5] = [
        str::to_owned,
        |text| serde_json::Value::from(text).to_string(),
        |text| url::form_urlencoded::byte_serialize(text.as_bytes()).collect(),
        hex,
        base64,
    ];
    for (number, way) in ways.into_iter().enumerate() {
        let server = Server::start(vec![Says::Echo(way)]).await;
        let provider = provider(&[&server.host()]);
        let password = vec![Part::Secret("token".into())];
        let requests = [
            with_token(&server.url("/")),
            Request {
                headers: vec![header(
                    "x-login",
                    HeaderValue::Basic((vec![], password.clone())),
                )],
                ..get(&server.url("/"))
            },
            Request {
                method: "POST".into(),
                body: Some(Body::Form(vec![("token".into(), password)])),
                ..get(&server.url("/"))
            },
        ];
        for request in requests {
            let answer = one(&provider, request).await.unwrap();
            assert!(answer.body.contains("***"), "{number}: {}", answer.body);
            let told = answer.body;
            for form in ways {
                let inner = form(TOKEN);
                let inner = inner.trim_matches(['"', '=']);
                assert!(!told.contains(inner), "{number}: {told}");
            }
        }
    }
}

#[tokio::test]
async fn a_secret_in_a_header_of_the_answer_is_blanked_and_odd_headers_are_not_shown() {
    let headers = "location: /x?t=t0p%2Fs3cr3t%2Bt%22ken\r\nset-cookie: a=b\r\n\
         Link: <http://h/?page=2>; rel=\"next\"\r\nx-ratelimit-remaining: 3\r\nserver: x\r\n\
         x-ratelimit-t0p: 1\r\nratelimit-s3cr3t: 1\r\n";
    let server = Server::start(vec![Says::Body(302, headers, String::new())]).await;
    let answer = one(&provider(&[&server.host()]), with_token(&server.url("/")))
        .await
        .unwrap();
    assert_eq!(answer.status, 302, "a redirect is an answer");
    let shown: Vec<String> = answer
        .headers
        .iter()
        .map(|(n, v)| format!("{n}: {v}"))
        .collect();
    assert_eq!(
        shown,
        [
            "link: <http://h/?page=2>; rel=\"next\"",
            "location: /x?t=***",
            "x-ratelimit-remaining: 3"
        ]
    );
    assert_eq!(server.seen().len(), 1, "and nobody follows it");
}

#[tokio::test]
async fn a_token_in_an_answer_goes_into_a_slot_and_back_to_its_forge_only() {
    let minted =
        r#"{"token":"minted/12345","token":"minted-67890","id":7,"again":"bWludGVkLTY3ODkw"}"#;
    let server = Server::start(vec![
        Says::Body(201, "", minted.into()),
        Says::Body(200, "", "{}".into()),
        Says::Body(201, "", minted.into()),
    ])
    .await;
    let other = Server::start(vec![Says::Body(200, "", "{}".into())]).await;
    let provider = provider(&[&server.host(), &other.host()]);
    let mint = Request {
        secrets: vec![SecretField {
            pointer: "/token".into(),
            slot: "made".into(),
        }],
        ..get(&server.url("/mint"))
    };
    let with_made = |url: &str| Request {
        headers: vec![header(
            "authorization",
            HeaderValue::Plain(vec![Part::Secret("made".into())]),
        )],
        ..get(url)
    };
    let steps = |url: &str| {
        vec![
            Next::Request(mint.clone()),
            Next::Request(with_made(url)),
            Next::Done(Done::Absent),
        ]
    };
    let (outcome, told) = run(&provider, absent(), steps(&server.url("/use"))).await;
    assert_eq!(outcome.unwrap().requests, 2);
    assert_eq!(told[0].body, r#"{"token":"","id":7,"again":"***"}"#);
    assert!(server.seen()[1].contains("authorization: minted-67890\r\n"));

    let (outcome, _) = run(&provider, absent(), steps(&other.url("/use"))).await;
    let why = chain(&outcome.unwrap_err());
    assert!(
        why.contains(r#"the secret slot "made" to 127.0.0.1"#),
        "{why}"
    );
    assert_eq!(other.seen().len(), 0);
}

#[tokio::test]
async fn an_answer_that_hides_its_secret_or_overwrites_the_platforms_is_refused() {
    for (says, pointer, slot, words) in [
        (
            r#"{"token":"minted-1234"}"#,
            "/token",
            "token",
            "which the platform filled",
        ),
        (
            r#"{"token":"minted-1234"}"#,
            "/token",
            "",
            "a name has 1 to 64",
        ),
        (
            r#"{"token":"minted-1234"}"#,
            "",
            "made",
            "without a JSON pointer",
        ),
        (
            r#"{"token":{"a":"minted-1234"}}"#,
            "/token",
            "made",
            "is no text",
        ),
        (r#"{"token":"short"}"#, "/token", "made", "must hold 8 to"),
        ("token=minted-1234", "/token", "made", "is not JSON"),
    ] {
        let server = Server::start(vec![Says::Body(200, "", says.into())]).await;
        let request = Request {
            secrets: vec![SecretField {
                pointer: pointer.into(),
                slot: slot.into(),
            }],
            ..get(&server.url("/"))
        };
        let why = refused(&provider(&[&server.host()]), request).await;
        assert!(why.contains(words), "{says}: {why}");
        assert!(!why.contains("minted"), "{why}");
    }
}

#[tokio::test]
async fn only_hosts_that_both_sides_name_are_asked() {
    let server = Server::start(vec![Says::Body(200, "", "{}".into())]).await;
    let mut granted = provider(&[&server.host()]);
    let port = server.host();
    for (url, words) in [
        (
            "https://other.example/".to_owned(),
            "other.example, which is not granted",
        ),
        (
            format!("https://{}/", port.replace("127.0.0.1", "127.0.0.2")),
            "is not granted",
        ),
        (
            "http://127.0.0.1:1/".to_owned(),
            "127.0.0.1:1, which is not granted",
        ),
        (format!("http://u:p@{port}/"), "a user or a password"),
        (format!("http://@{port}/"), "a user or a password"),
        (format!("http://evil.example\\@{port}/"), "a backslash"),
        (format!("http://{port}/#x"), "a fragment"),
        (format!("http://{port}/\r\nx: y"), "control characters"),
        (format!("http://{port}/a b"), "blanks"),
        (format!("ftp://{port}/"), "scheme is not https"),
        (format!("file:///etc/{port}"), "scheme is not https"),
        ("/path".to_owned(), "no absolute URL"),
        ("http:///x".to_owned(), "not granted"),
        (
            format!("http://{port}/{}", "x".repeat(9000)),
            "longer than 8 KiB",
        ),
    ] {
        let why = refused(&granted, get(&url)).await;
        assert!(why.contains(words), "{url}: {why}");
    }
    granted.asks = Arc::new(Asks::parse(Some(&json!({"hosts": ["git.example"]}))).unwrap());
    let why = refused(&granted, get(&server.url("/"))).await;
    assert!(
        why.contains("which its own manifest does not name"),
        "{why}"
    );
    let mut secure = provider(&[&server.host()]);
    secure.grant = Arc::new(Grant {
        http: false,
        ..Grant::clone(&secure.grant)
    });
    let why = refused(&secure, get(&server.url("/"))).await;
    assert!(why.contains("over plain http"), "{why}");
    assert_eq!(server.seen().len(), 0, "nothing was sent");
}

#[tokio::test]
async fn what_is_granted_by_name_still_may_not_lead_inside() {
    let mut strict = provider(&[
        "127.0.0.1",
        "169.254.169.254",
        "localhost",
        "[::1]",
        "10.0.0.1",
    ]);
    strict.egress = Arc::default();
    for (url, words) in [
        (
            "http://169.254.169.254/latest/meta-data",
            "a link-local address",
        ),
        ("http://127.0.0.1/", "a loopback address"),
        ("http://0x7f.1/", "a loopback address"),
        ("http://[::1]/", "a loopback address"),
        ("http://10.0.0.1/", "a private address"),
        ("http://localhost/", "a loopback address"),
    ] {
        let why = refused(&strict, get(url)).await;
        assert!(why.contains(words), "{url}: {why}");
    }
}

#[tokio::test]
async fn a_redirect_inside_is_told_and_not_followed() {
    let to = "location: http://169.254.169.254/latest/meta-data\r\n";
    let server = Server::start(vec![Says::Body(307, to, String::new())]).await;
    let provider = provider(&[&server.host()]);
    let steps = vec![
        Next::Request(get(&server.url("/"))),
        Next::Request(get("http://169.254.169.254/latest/meta-data")),
    ];
    let (outcome, told) = run(&provider, absent(), steps).await;
    assert_eq!(told[0].status, 307);
    let why = outcome.unwrap_err();
    assert!(
        chain(&why).contains("which is not granted"),
        "{}",
        chain(&why)
    );
    assert!(why.hint().unwrap().contains("the platform grants hosts"));
}

#[tokio::test]
async fn headers_that_are_the_hosts_or_smuggle_are_refused() {
    let server = Server::start(vec![Says::Body(200, "", "{}".into())]).await;
    let provider = provider(&[&server.host()]);
    for (name, value, words) in [
        ("Host", "evil.example", "the host's to set"),
        ("content-length", "0", "the host's to set"),
        ("Transfer-Encoding", "chunked", "the host's to set"),
        ("connection", "upgrade", "the host's to set"),
        ("proxy-authorization", "x", "the host's to set"),
        ("cookie", "a=b", "the host's to set"),
        ("accept-encoding", "gzip", "the host's to set"),
        ("x-forwarded-for", "10.0.0.1", "the host's to set"),
        ("x-a", "b\r\nx-c: d", "a line end"),
        ("x-a", "b\nc", "a line end"),
        ("x-a", "b\0c", "control character"),
        ("x a", "b", "a header named"),
        ("x-a:", "b", "a header named"),
        ("x-a\r\nx-b", "b", "a header named"),
        ("", "b", "a header named"),
    ] {
        let request = Request {
            headers: vec![header(name, text(value))],
            ..get(&server.url("/"))
        };
        let why = refused(&provider, request).await;
        assert!(why.contains(words), "{name:?} {value:?}: {why}");
    }
    let twice = Request {
        headers: vec![header("x-a", text("b")), header("X-A", text("c"))],
        ..get(&server.url("/"))
    };
    assert!(refused(&provider, twice).await.contains("twice"));
    for method in ["get", "HEAD", "CONNECT", "TRACE", "G T", ""] {
        let request = Request {
            method: method.into(),
            ..get(&server.url("/"))
        };
        assert!(
            refused(&provider, request).await.contains("the method"),
            "{method}"
        );
    }
    assert_eq!(server.seen().len(), 0, "nothing was sent");
}

#[tokio::test]
async fn a_slot_goes_only_where_it_is_granted_for() {
    let server = Server::start(vec![Says::Body(200, "", "{}".into())]).await;
    let mut held = provider(&[&server.host()]);
    if let Some(slot) = held.slots.get_mut("token") {
        slot.hosts = vec!["git.example".parse().unwrap()];
    }
    let why = refused(&held, with_token(&server.url("/"))).await;
    assert!(
        why.contains(r#"would send the secret slot "token" to 127.0.0.1"#),
        "{why}"
    );
    held.asks = Arc::new(Asks::parse(Some(&json!({"hosts": ["*"]}))).unwrap());
    let why = refused(&held, with_token(&server.url("/"))).await;
    assert!(
        why.contains(r#"the secret slot "token", which is not filled"#),
        "{why}"
    );
    // A secret outside of a string would become part of the JSON around it.
    let bare = Request {
        method: "POST".into(),
        body: Some(Body::Json(vec![Part::Secret("hook".into())])),
        ..get(&server.url("/"))
    };
    let why = refused(&provider(&[&server.host()]), bare).await;
    assert!(why.contains("a body that is not JSON"), "{why}");
    assert_eq!(server.seen().len(), 0, "nothing was sent");
}

#[tokio::test]
async fn a_guest_goes_over_none_of_its_limits() {
    let server = Server::start(vec![Says::Body(200, "", "{}".into())]).await;
    let provider = provider(&[&server.host()]);
    let forever = vec![Next::Request(get(&server.url("/"))); 40];
    let (outcome, told) = run(&provider, absent(), forever).await;
    let why = chain(&outcome.unwrap_err());
    assert!(why.contains("limit of 32 requests"), "{why}");
    assert_eq!((told.len(), server.seen().len()), (32, 32));

    let large = Request {
        method: "POST".into(),
        body: Some(Body::Json(vec![Part::Text(format!(
            "\"{}\"",
            "x".repeat(1 << 20)
        ))])),
        ..get(&server.url("/"))
    };
    assert!(
        refused(&provider, large)
            .await
            .contains("limit of 1048576 bytes of a request")
    );
    let talkative = Request {
        state: "x".repeat((64 << 10) + 1),
        ..get(&server.url("/"))
    };
    assert!(
        refused(&provider, talkative)
            .await
            .contains("limit of 65536 bytes of state")
    );
    let headers = Request {
        headers: (0..33)
            .map(|n| header(&format!("x-{n}"), text("y")))
            .collect(),
        ..get(&server.url("/"))
    };
    assert!(
        refused(&provider, headers)
            .await
            .contains("limit of 32 headers")
    );
    assert_eq!(server.seen().len(), 32, "nothing more was sent");
}

#[tokio::test]
async fn an_answer_of_a_gigabyte_is_not_read() {
    let says_so = b"HTTP/1.1 200 OK\r\ncontent-length: 1073741824\r\n\r\n".to_vec();
    for says in [Says::Bytes(says_so), Says::Endless(&[b'x'; 65536])] {
        let server = Server::start(vec![says]).await;
        let why = refused(&provider(&[&server.host()]), get(&server.url("/"))).await;
        assert!(
            why.contains("answered with more than 4194304 bytes"),
            "{why}"
        );
    }
    let server = Server::start(vec![Says::Bytes(
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n\xff\xfe".to_vec(),
    )])
    .await;
    let why = refused(&provider(&[&server.host()]), get(&server.url("/"))).await;
    assert!(why.contains("not UTF-8"), "{why}");
}

#[tokio::test]
async fn a_server_that_does_not_finish_costs_its_time_and_no_more() {
    let server = Server::start(vec![Says::Silence]).await;
    let mut hasty = provider(&[&server.host()]);
    hasty.limits.each = Duration::from_millis(200);
    let why = one(&hasty, get(&server.url("/"))).await.unwrap_err();
    assert!(
        chain(&why).contains("did not answer within 200ms"),
        "{}",
        chain(&why)
    );
    assert_eq!(why.turn(), Turn::Ours);
    hasty.limits.each = Duration::from_secs(60);
    hasty.limits.deadline = Duration::from_millis(200);
    let why = one(&hasty, get(&server.url("/"))).await.unwrap_err();
    assert!(
        chain(&why).contains("not done after 200ms"),
        "{}",
        chain(&why)
    );
    let closed = provider(&["127.0.0.1:1"]);
    let why = refused(&closed, get("http://127.0.0.1:1/")).await;
    assert!(why.contains("127.0.0.1:1 could not be reached"), "{why}");
}

#[tokio::test]
async fn a_credential_is_the_password_that_its_slot_holds() {
    let git = provider(&["git.example"]);
    let done = |slot: &str, expires: Option<&str>| {
        vec![Next::Done(Done::Credential(Credential {
            username: "ada".into(),
            password: slot.into(),
            expires_at: expires.map(str::to_owned),
        }))]
    };
    let wanted = || operation(Task::GitCredential(false));
    let (outcome, _) = run(&git, wanted(), done("token", Some("2026-11-21T13:00:00Z"))).await;
    let login = outcome.unwrap().credential.unwrap();
    assert_eq!(
        (login.user.as_str(), login.password.expose()),
        ("ada", TOKEN)
    );
    assert_eq!(login.expires, "2026-11-21T13:00:00Z".parse().ok());

    let elsewhere = provider(&["other.example"]);
    for (provider, slot, expires, words) in [
        (&git, "none", None, r#"slot "none", which is not filled"#),
        (&git, "token", Some("tomorrow"), "an expiry that is no time"),
        (
            &elsewhere,
            "token",
            None,
            "git.example, which is not granted",
        ),
    ] {
        let (outcome, _) = run(provider, wanted(), done(slot, expires)).await;
        let why = chain(&outcome.unwrap_err());
        assert!(why.contains(words), "{why}");
    }
}

#[tokio::test]
async fn what_an_operation_ends_with_is_what_was_asked() {
    let provider = provider(&["git.example"]);
    let key = DeployKey {
        title: "reeve".into(),
        public_key: "ssh-ed25519 AAAA".into(),
        writable: false,
    };
    let hook = Webhook {
        url: "https://reeve.example/hook/1".into(),
        secret: "hook".into(),
        events: vec!["push".into()],
    };
    for (task, done, fits) in [
        (
            Task::DeployKeyPresent(key.clone()),
            Done::Present("1".into()),
            true,
        ),
        (Task::DeployKeyPresent(key), Done::Absent, false),
        (
            Task::DeployKeyAbsent("reeve".into()),
            Done::Present("1".into()),
            false,
        ),
        (Task::WebhookPresent(hook), Done::Present("1".into()), true),
        (Task::GitCredential(true), Done::Present("1".into()), false),
    ] {
        let (outcome, _) = run(&provider, operation(task.clone()), vec![Next::Done(done)]).await;
        assert_eq!(outcome.is_ok(), fits, "{task:?}");
    }
}

#[tokio::test]
async fn a_secret_that_could_not_be_hidden_is_not_taken() {
    let mut short = provider(&["git.example"]);
    short
        .slots
        .entry("token".into())
        .and_modify(|slot| slot.value = Secret::new("abc"));
    let why = refused(&short, get("https://git.example/")).await;
    assert!(
        why.contains(r#"slot "token" must hold 8 to 16384 bytes"#),
        "{why}"
    );
    assert!(!format!("{:?}", provider(&[]).slots).contains(TOKEN));
}

#[test]
fn a_repository_is_told_without_its_password() {
    let told = |url: &str| repository(url).map(|r| (r.url, r.host, r.path));
    assert_eq!(
        told("https://u:p4ssword@git.example/acme/shop.git"),
        Some((
            "https://git.example/acme/shop.git".into(),
            "git.example".into(),
            "acme/shop".into()
        ))
    );
    assert_eq!(
        told("ssh://git@git.example:2222/acme/shop").unwrap().2,
        "acme/shop"
    );
    assert_eq!(told("file:///etc"), None);
}

#[tokio::test]
async fn what_is_written_down_is_taken_for_the_forges_answer_and_nothing_of_a_secret_is_told() {
    let asks = json!({"hosts": ["git.example"], "slots": {"key": "a key", "token": "a token"}});
    let mut operation = absent();
    operation.slots = vec!["key".into(), "token".into(), "unasked".into()];
    let minted = json!({"token": "minted-67890", "again": "minted-67890"}).to_string();
    let answers = [minted, "so is minted-67890".to_owned()];
    let script = |n: usize, _: &Request| {
        Some(Answer {
            status: 200,
            headers: Vec::new(),
            body: answers.get(n)?.clone(),
        })
    };
    let rehearsal = Rehearsal {
        name: "test",
        asks: Arc::new(Asks::parse(Some(&asks)).unwrap()),
        hosts: vec![
            "git.example".parse().unwrap(),
            "other.example".parse().unwrap(),
        ],
        operation,
        script: &script,
    };
    let jwt = Part::Jwt(words::Jwt {
        key: "key".into(),
        claims: "{}".into(),
        lifetime: 60,
    });
    let mint = Request {
        headers: vec![header("authorization", HeaderValue::Plain(vec![jwt]))],
        secrets: vec![SecretField {
            pointer: "/token".into(),
            slot: "made".into(),
        }],
        ..get("https://git.example/mint")
    };
    let played = async |second: Request| {
        let told = Mutex::new(Vec::new());
        let outcome = rehearsal
            .with(|operation: Operation, _, answer: Option<Answer>| {
                let mut told = told.lock().unwrap();
                let next = match answer {
                    // From the beginning, where a slot turned out to be a key.
                    None => {
                        told.clear();
                        Next::Request(mint.clone())
                    }
                    Some(_) if told.is_empty() => Next::Request(second.clone()),
                    Some(_) => Next::Done(Done::Absent),
                };
                told.extend(answer.map(|answer| (operation.slots, answer.body)));
                async {
                    Ok(Step {
                        next,
                        log: Vec::new(),
                    })
                }
            })
            .await;
        (outcome, told.into_inner().unwrap())
    };
    let (outcome, told) = played(with_token("https://git.example/use")).await;
    assert_eq!(outcome.unwrap().requests, 2);
    let slots = ["key", "made", "token"].map(String::from).to_vec();
    let mut sorted = told.clone();
    sorted.iter_mut().for_each(|(slots, _)| slots.sort());
    assert_eq!(
        sorted,
        [
            (slots.clone(), r#"{"token":"","again":"***"}"#.to_owned()),
            (slots, "so is ***".to_owned()),
        ]
    );

    for (second, words) in [
        (
            get("https://other.example/"),
            "its own manifest does not name",
        ),
        (get("https://git.example/?\n"), "a URL that cannot be used"),
        (
            Request {
                body: Some(Body::Json(vec![Part::Secret("token".into())])),
                ..get("https://git.example/")
            },
            "a body that is not JSON",
        ),
        (
            Request {
                headers: vec![header(
                    "authorization",
                    HeaderValue::Plain(vec![Part::Secret("unasked".into())]),
                )],
                ..get("https://git.example/")
            },
            r#"the secret slot "unasked", which is not filled"#,
        ),
    ] {
        let (outcome, _) = played(second).await;
        let why = chain(&outcome.unwrap_err());
        assert!(why.contains(words), "{words}: {why}");
    }
}
