//! A forge that makes tokens for an App.

use std::time::Duration;

use super::words::Jwt;
use super::*;

/// A provider that asks as an App.
fn app(server: &Server) -> Provider {
    let mut provider = provider(&[&server.host()]);
    let asks = json!({"hosts": ["*"], "slots": {"app-key": "the App's key"}});
    provider.asks = Arc::new(Asks::parse(Some(&asks)).unwrap());
    let slot = Slot {
        value: sign::fresh_key().unwrap(),
        hosts: provider.grant.hosts.clone(),
    };
    provider.slots = [("app-key".to_owned(), slot)].into();
    provider
}

/// Has a token made for a repository.
fn make(server: &Server, repository: &str) -> Next {
    let jwt = Part::Jwt(Jwt {
        key: "app-key".into(),
        claims: r#"{"iss":"1"}"#.into(),
        lifetime: 60,
    });
    let proof = HeaderValue::Plain(vec![Part::Text("Bearer ".into()), jwt]);
    let body = format!(r#"{{"repositories":["{repository}"]}}"#);
    Next::Request(Request {
        method: "POST".into(),
        headers: vec![header("authorization", proof)],
        body: Some(Body::Json(vec![Part::Text(body)])),
        secrets: vec![SecretField {
            pointer: "/token".into(),
            slot: "made".into(),
        }],
        ..get(&server.url("/token"))
    })
}

/// Asks for something with it.
fn list(server: &Server) -> Next {
    let proof = HeaderValue::Plain(vec![
        Part::Text("Bearer ".into()),
        Part::Secret("made".into()),
    ]);
    Next::Request(Request {
        headers: vec![header("authorization", proof)],
        ..get(&server.url("/keys"))
    })
}

fn steps(server: &Server, repository: &str) -> Vec<Next> {
    vec![
        make(server, repository),
        list(server),
        Next::Done(Done::Absent),
    ]
}

/// A token that ends an hour after the clock of these tests begins, or later.
fn token(name: &str, hour: u32) -> Says {
    let body =
        format!(r#"{{"token":"{name}-0123456789","expires_at":"2026-11-21T{hour}:00:00Z"}}"#);
    Says::Body(201, "", body)
}

fn says(status: u16, headers: &'static str, body: &str) -> Says {
    Says::Body(status, headers, body.into())
}

/// The method and path of each request, with the token that it showed.
fn asked(server: &Server) -> Vec<String> {
    let shown = |request: &String| {
        let line = request.lines().next().unwrap_or_default();
        let line = line.trim_end_matches(" HTTP/1.1");
        let with = request.lines().find_map(|line| {
            let bearer = line.strip_prefix("authorization: Bearer ")?;
            bearer.strip_suffix("-0123456789").map(str::to_owned)
        });
        with.map_or_else(|| line.to_owned(), |with| format!("{line} {with}"))
    };
    server.seen().iter().map(shown).collect()
}

#[tokio::test]
async fn a_token_serves_until_it_is_about_to_end_and_what_has_not_changed_is_not_sent_again() {
    let server = Server::start(vec![
        token("first", 13),
        says(200, "etag: \"1\"\r\n", "[1]"),
        says(304, "", ""),
        token("second", 14),
        says(200, "etag: \"2\"\r\n", "[2]"),
    ])
    .await;
    let provider = app(&server);
    let operate = || run(&provider, absent(), steps(&server, "shop"));
    for _ in 0..2 {
        let (outcome, told) = operate().await;
        assert_eq!(outcome.unwrap().requests, 2);
        // The guest is told the same of a token that is kept, and never the token.
        let shown: serde_json::Value = serde_json::from_str(&told[0].body).unwrap();
        let want = json!({"token": "", "expires_at": "2026-11-21T13:00:00Z"});
        assert_eq!(shown, want);
        assert_eq!(told[1].body, "[1]");
    }
    provider.clock.advance(Duration::from_secs(58 * 60));
    let (outcome, told) = operate().await;
    assert!(outcome.is_ok() && told[1].body == "[2]", "{outcome:?}");
    let want = [
        "POST /token",
        "GET /keys first",
        "GET /keys first",
        "POST /token",
        "GET /keys second",
    ];
    assert_eq!(asked(&server), want);
    let seen = server.seen();
    assert!(seen[2].contains("if-none-match: \"1\""), "{}", seen[2]);
}

#[tokio::test]
async fn a_token_is_made_once_for_all_who_ask_at_the_same_time() {
    let server = Server::start(vec![token("one", 13), says(200, "", "[]")]).await;
    let provider = app(&server);
    let operate = || run(&provider, absent(), steps(&server, "shop"));
    let ((a, _), (b, _), (c, _)) = tokio::join!(operate(), operate(), operate());
    assert!(a.is_ok() && b.is_ok() && c.is_ok(), "{a:?} {b:?} {c:?}");
    let all = asked(&server);
    let made = all.iter().filter(|line| *line == "POST /token").count();
    assert_eq!((made, all.len()), (1, 4), "{all:?}");
}

#[tokio::test]
async fn a_kept_token_that_is_refused_is_made_anew_and_the_operation_begun_again_once() {
    let server = Server::start(vec![
        token("old", 13),
        says(200, "", "[]"),
        says(401, "", "{}"),
        token("new", 13),
        says(200, "", "[]"),
        // From now on everything is refused.
        says(401, "", "{}"),
        token("newer", 13),
        says(401, "", "{}"),
    ])
    .await;
    let provider = app(&server);
    let operate = |steps: Vec<Next>| run(&provider, absent(), steps);
    operate(steps(&server, "shop")).await.0.unwrap();
    let begun = || [make(&server, "shop"), list(&server)];
    let again = || -> Vec<Next> {
        let whole = steps(&server, "shop");
        begun().into_iter().chain(whole).collect()
    };
    let (outcome, told) = operate(again()).await;
    assert!(outcome.is_ok(), "{outcome:?}");
    let statuses: Vec<u16> = told.iter().map(|answer| answer.status).collect();
    assert_eq!(statuses, [201, 201, 200], "the guest is not told of it");
    let (outcome, told) = operate(again()).await;
    assert!(outcome.is_ok(), "{outcome:?}");
    assert_eq!(told.last().map(|answer| answer.status), Some(401));
    let want = [
        "POST /token",
        "GET /keys old",
        "GET /keys old",
        "POST /token",
        "GET /keys new",
        "GET /keys new",
        "POST /token",
        "GET /keys newer",
    ];
    assert_eq!(asked(&server), want);
}

#[tokio::test]
async fn nobody_is_given_a_token_of_another_repository_key_or_kind() {
    let server = Server::start(vec![
        token("shop", 13),
        says(200, "", "[]"),
        token("web", 13),
        says(200, "", "[]"),
        token("other", 13),
        says(200, "", "[]"),
        // What git is let in with is kept elsewhere.
        token("git", 13),
    ])
    .await;
    let provider = app(&server);
    for repository in ["shop", "web"] {
        let done = run(&provider, absent(), steps(&server, repository)).await;
        done.0.unwrap();
    }
    let mut another = app(&server);
    another.answers = Arc::clone(&provider.answers);
    let done = run(&another, absent(), steps(&server, "shop")).await;
    done.0.unwrap();
    let credential = Next::Done(Done::Credential(Credential {
        username: "x".into(),
        password: "made".into(),
        expires_at: None,
    }));
    let mut local = operation(Task::GitCredential(false));
    local.repository.url = server.url("/acme/shop.git");
    let steps = vec![make(&server, "shop"), credential];
    let (outcome, _) = run(&provider, local, steps).await;
    let login = outcome.unwrap().credential.unwrap();
    assert_eq!(login.password.expose(), "git-0123456789");
    let all = asked(&server);
    let made = all.iter().filter(|line| *line == "POST /token").count();
    assert_eq!(made, 4, "{all:?}");
}

/// Asks as the App for where it is installed.
fn find(server: &Server, repository: &str) -> Next {
    let Next::Request(made) = make(server, repository) else {
        panic!("it is a request");
    };
    Next::Request(Request {
        headers: made.headers,
        ..get(&server.url(&format!("/{repository}/installation")))
    })
}

#[tokio::test]
async fn what_a_token_is_made_with_is_looked_up_once_an_hour_and_anew_when_it_is_refused() {
    let found = || says(200, "", r#"{"id":7}"#);
    let server = Server::start(vec![
        found(),
        token("one", 13),
        says(200, "", "[]"),
        // Of another repository.
        found(),
        token("web", 13),
        says(200, "", "[]"),
        // What git is let in with is made each time, and where the App is installed is known.
        token("git", 13),
        // It is installed elsewhere by now.
        says(404, "", "{}"),
        found(),
        token("git-again", 13),
    ])
    .await;
    let provider = app(&server);
    let operate = |repository: &str| {
        let first = [find(&server, repository)].into_iter();
        run(
            &provider,
            absent(),
            first.chain(steps(&server, repository)).collect(),
        )
    };
    operate("shop").await.0.unwrap();
    operate("web").await.0.unwrap();
    let credential = || {
        Next::Done(Done::Credential(Credential {
            username: "x".into(),
            password: "made".into(),
            expires_at: None,
        }))
    };
    let local = || {
        let mut local = operation(Task::GitCredential(false));
        local.repository.url = server.url("/acme/shop.git");
        local
    };
    let whole = || vec![find(&server, "shop"), make(&server, "shop"), credential()];
    let login = |outcome: Result<Outcome, Error>| {
        let login = outcome.unwrap().credential.unwrap();
        login.password.expose().to_owned()
    };
    let (outcome, _) = run(&provider, local(), whole()).await;
    assert_eq!(login(outcome), "git-0123456789");
    let again = vec![find(&server, "shop"), make(&server, "shop")];
    let again = again.into_iter().chain(whole()).collect();
    let (outcome, _) = run(&provider, local(), again).await;
    assert_eq!(login(outcome), "git-again-0123456789");
    let all = asked(&server);
    let count = |name: &str| all.iter().filter(|line| line.contains(name)).count();
    assert_eq!(count("/shop/installation"), 2, "{all:?}");
    assert_eq!(count("/web/installation"), 1, "{all:?}");
}

#[tokio::test]
async fn what_no_token_is_made_with_is_asked_for_each_time() {
    let server = Server::start(vec![says(200, "", r#"{"id":7}"#)]).await;
    let provider = app(&server);
    for _ in 0..2 {
        let steps = vec![find(&server, "shop"), Next::Done(Done::Absent)];
        run(&provider, absent(), steps).await.0.unwrap();
    }
    assert_eq!(asked(&server).len(), 2);
}
