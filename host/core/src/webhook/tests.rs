//! Calls, friendly and not: `tests/cases/webhook/*.json`, one each.

use super::*;
use reeve_api::name::NamespacedName;
use serde_json::Value;

fn token(text: &str) -> Token {
    Token::parse(Some(text.as_bytes()), "ns/secret").unwrap()
}

fn hook(kind: ReceiverType, token: Token, events: Vec<String>) -> Hook {
    Hook {
        receiver: NamespacedName::new("acme", "hook").unwrap(),
        kind,
        token,
        google: None,
        issuers: vec![],
        events,
        filters: Filters::default(),
        standing: Standing::Open,
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

/// What is made of a case: `accepted`, with what was pushed, or why not.
fn judged(case: &Value) -> String {
    let kind = serde_json::from_value(case["type"].clone()).unwrap();
    let pairs = list(&case["headers"]).iter();
    let headers: Vec<_> = pairs.map(|pair| (text(&pair[0]), text(&pair[1]))).collect();
    let events = list(&case["events"]).iter().map(text).collect();
    let secret = case["token"].as_str().unwrap_or("s3cret");
    let body = match case["hex"].as_str() {
        Some(digits) => hex::decode(digits).unwrap(),
        None => text(&case["body"]).into_bytes(),
    };
    let now = case["now"].as_str().unwrap_or("2026-11-22T12:00:00Z");
    let call = Call {
        headers: &headers,
        body: &body,
    };
    let hook = hook(kind, token(secret), events);
    let now = now.parse().unwrap();
    let verdict = hook.verify(&call, None, now);
    if let Err(early) = hook.may_prove(&headers, now) {
        // What is refused before the body is read is refused for the same reason with it.
        assert_eq!(verdict, Err(early), "{case}");
    }
    match verdict {
        Ok(accepted) => match accepted.push {
            Some(push) => format!("accepted: {push}"),
            None => "accepted".to_owned(),
        },
        Err(refused) => refused.to_string(),
    }
}

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "the calls are the data of this test"
)]
fn every_case_of_a_call_is_judged_as_it_says() {
    let cases = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/cases/webhook");
    let mut accepted = std::collections::BTreeSet::new();
    for entry in std::fs::read_dir(cases).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|e| e != "json") {
            continue;
        }
        let case: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        assert!(
            case["why"].as_str().is_some_and(|why| why.len() > 10),
            "{path:?} says why"
        );
        let got = judged(&case);
        assert_eq!(got, text(&case["want"]), "{path:?}");
        if got.starts_with("accepted") {
            accepted.insert(text(&case["type"]));
        }
    }
    // Tokens of issuers are verified elsewhere: nobody is let in here without claims.
    let all = "acr bitbucket cdevents dockerhub generic generic-hmac gitea github gitlab harbor nexus quay";
    let accepted: Vec<_> = accepted.iter().map(String::as_str).collect();
    assert_eq!(accepted.join(" "), all);
}

#[test]
fn what_headers_cannot_prove_is_refused_without_the_body() {
    use ReceiverType as Kind;
    let (right, short) = ("a".repeat(64), "a".repeat(63));
    let hub = |digits: &str| format!("sha256={digits}");
    for (kind, name, value, want) in [
        (Kind::Harbor, "Authorization", "s3cret".to_owned(), true),
        (Kind::Harbor, "Authorization", "other".to_owned(), false),
        (Kind::Gitlab, "X-Gitlab-Token", "s3cret".to_owned(), true),
        (Kind::Gitlab, "X-Gitlab-Token", "other".to_owned(), false),
        (
            Kind::Gitlab,
            "webhook-signature",
            "v1,AA==".to_owned(),
            false,
        ),
        (Kind::Github, "X-Hub-Signature-256", hub(&right), true),
        (Kind::Github, "X-Hub-Signature-256", hub(&short), false),
        (Kind::Github, "X-Hub-Signature", hub(&right), false),
        (Kind::Bitbucket, "X-Hub-Signature", hub(&right), true),
        (
            Kind::Bitbucket,
            "X-Hub-Signature",
            "sha256=".to_owned(),
            false,
        ),
        (
            Kind::GenericHmac,
            "X-Signature",
            format!("sha1={}", &right[..40]),
            true,
        ),
        (
            Kind::GenericHmac,
            "X-Signature",
            format!("sha1={right}"),
            false,
        ),
        (
            Kind::GenericHmac,
            "X-Signature",
            format!("md5={}", &right[..32]),
            false,
        ),
        (Kind::Gitea, "X-Gitea-Signature", right.clone(), true),
        (Kind::Gitea, "X-Gitea-Signature", String::new(), false),
        (
            Kind::Nexus,
            "X-Nexus-Webhook-Signature",
            right[..40].to_owned(),
            true,
        ),
        (
            Kind::Nexus,
            "X-Nexus-Webhook-Signature",
            right.clone(),
            false,
        ),
        (Kind::Generic, "X", String::new(), true),
    ] {
        let hook = hook(kind, token("s3cret"), vec![]);
        let told = hook.may_prove(
            &[(name.to_owned(), value.clone())],
            jiff::Timestamp::UNIX_EPOCH,
        );
        assert_eq!(told.is_ok(), want, "{kind:?} {name} {value}");
        assert!(told.err().is_none_or(|why| why.is_unproved()));
    }
}

#[test]
fn without_claims_nobody_is_let_in_who_is_proved_by_an_issuer() {
    for kind in [ReceiverType::GenericOidc, ReceiverType::Gcr] {
        let headers = [("Authorization".to_owned(), "Bearer s3cret".to_owned())];
        let call = Call {
            headers: &headers,
            body: b"{}",
        };
        let hook = hook(kind, token("s3cret"), vec![]);
        let told = hook.verify(&call, None, jiff::Timestamp::UNIX_EPOCH);
        assert_eq!(told, Err(Refused::BearerMissing));
    }
}

#[test]
fn a_receiver_without_a_token_lets_nobody_in_who_needs_one() {
    use base64::Engine as _;
    // What an empty key would sign.
    let digits = "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad";
    let empty_id = base64::engine::general_purpose::STANDARD.encode([0_u8; 32]);
    for (kind, header, value) in [
        (
            ReceiverType::Github,
            "X-Hub-Signature-256",
            format!("sha256={digits}"),
        ),
        (
            ReceiverType::GenericHmac,
            "X-Signature",
            format!("sha256={digits}"),
        ),
        (ReceiverType::Gitea, "X-Gitea-Signature", digits.to_owned()),
        (ReceiverType::Harbor, "Authorization", String::new()),
        (ReceiverType::Gitlab, "X-Gitlab-Token", String::new()),
        (
            ReceiverType::Gitlab,
            "webhook-signature",
            format!("v1,{empty_id}"),
        ),
    ] {
        let mut headers = vec![(header.to_owned(), value)];
        headers.push(("webhook-id".to_owned(), "1".to_owned()));
        headers.push(("webhook-timestamp".to_owned(), "0".to_owned()));
        let call = Call {
            headers: &headers,
            body: b"",
        };
        let hook = hook(kind, Token::nobodys(), vec![]);
        let told = hook.verify(&call, None, jiff::Timestamp::UNIX_EPOCH);
        assert!(told.is_err(), "{kind:?}");
    }
}

#[test]
fn what_a_google_registry_says_lies_in_a_message_of_pub_sub() {
    use base64::Engine as _;
    let inner = r#"{"action":"INSERT","digest":"eu.gcr.io/acme/web@sha256:0","tag":"eu.gcr.io/acme/web:v1"}"#;
    let data = base64::engine::general_purpose::STANDARD.encode(inner);
    let body =
        format!(r#"{{"message": {{"data": "{data}", "messageId": "1"}}, "subscription": "s"}}"#);
    let call = Call {
        headers: &[],
        body: body.as_bytes(),
    };
    let hook = hook(ReceiverType::Gcr, token("s3cret"), vec![]);
    let claims = serde_json::json!({"iss": GOOGLE, "aud": "me", "exp": 10});
    let part = |text: &str| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(text);
    let bearer = format!(
        "{}.{}.",
        part(r#"{"alg":"RS256"}"#),
        part(&claims.to_string())
    );
    let now = jiff::Timestamp::UNIX_EPOCH;
    let bearer = Bearer::parse(&bearer).unwrap();
    let claims = bearer.verified("me", now, |_, _| true).unwrap();
    let accepted = hook.verify(&call, Some(&claims), now).unwrap();
    assert_eq!(accepted.req.as_deref(), Some(inner));
    let other = Call {
        body: br#"{"message": {"data": "?"}}"#,
        ..call
    };
    let told = hook.verify(&other, Some(&claims), now);
    assert_eq!(told, Err(Refused::NotTheirs("a Google registry")));
}

#[test]
fn the_path_is_the_digest_of_token_name_and_namespace() {
    // echo -n 'abcreceivernamespace' | sha256sum
    let want = hex::encode(Sha256::digest(b"abcreceivernamespace"));
    assert_eq!(
        token("abc").path("receiver", "namespace"),
        format!("/hook/{want}")
    );
}

#[test]
fn an_empty_token_is_no_token() {
    assert_eq!(
        Token::parse(Some(b""), "a/b"),
        Err(TokenNotFound::Empty("a/b".into(), "token"))
    );
    assert_eq!(
        Token::parse(None, "a/b"),
        Err(TokenNotFound::Missing("a/b".into(), "token"))
    );
    assert_eq!(
        Token::parse(None, "a/b").unwrap_err().reason(),
        Reason::TokenNotFound
    );
    let google = |email: &[u8], audience| Google::parse(Some(email), audience, "a/b");
    let missing = TokenNotFound::Missing("a/b".into(), "audience");
    assert_eq!(google(b"a@b", None), Err(missing));
    assert!(google(b"", Some(b"x")).is_err() && google(b"\xff", Some(b"x")).is_err());
    assert!(google(b"a@b", Some(b"x")).is_ok());
}

#[test]
fn a_token_never_shows_itself() {
    assert_eq!(format!("{:?}", token("s3cret")), "Token(***)");
}

#[test]
fn only_generic_hooks_can_be_called_from_a_browser() {
    let allowed = |kind| {
        ["GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS"]
            .into_iter()
            .filter(|method| allows(kind, method))
            .collect::<Vec<_>>()
    };
    assert_eq!(allowed(ReceiverType::Generic), ["GET", "POST"]);
    assert_eq!(allowed(ReceiverType::GenericOidc), ["GET", "POST"]);
    assert_eq!(allowed(ReceiverType::Gitlab), ["POST"]);
    assert_eq!(allowed(ReceiverType::Github), ["POST"]);
}

#[test]
fn only_what_is_given_out_is_a_path() {
    let path = token("abc").path("receiver", "namespace");
    assert!(is_path(&path) && is_path(&token("abc").path_of(&["entry"])));
    for other in [
        "/hook/",
        &path[..path.len() - 1],
        &format!("{path}0"),
        &path.to_uppercase(),
        &path.replace("/hook/", "/hook/.."),
        "/metrics",
    ] {
        assert!(!is_path(other), "{other}");
    }
}
