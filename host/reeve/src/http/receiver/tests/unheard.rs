//! What goes along with a refusal for whoever makes up for calls that nobody has heard.

use axum::body::{Body, Bytes};
use tower::ServiceExt as _;

use super::*;

/// The answer to a call, by its status and what may have been missed.
async fn told(receiver: Receiver, request: Request) -> (u16, Option<Unheard>) {
    let answer = receiver.router().oneshot(request).await.unwrap();
    let unheard = answer.extensions().get::<Unheard>().copied();
    (answer.status().as_u16(), unheard)
}

fn hook(name: &str, change: impl FnOnce(Hook) -> Hook) -> Arc<Hook> {
    Arc::new(change(Hook {
        receiver: NamespacedName::new("acme", name).unwrap(),
        kind: Kind::Generic,
        token: token(),
        google: None,
        issuers: vec![],
        events: vec![],
        filters: Filters::default(),
        standing: Standing::Open,
    }))
}

/// A receiver with one hook, wherever it is called but for `/hook/nobody`.
fn receiver(hook: Arc<Hook>) -> Receiver {
    let lookup: Lookup = Arc::new(move |path| (path != "/hook/nobody").then(|| Arc::clone(&hook)));
    let (nudges, _gone) = mpsc::channel(1);
    Receiver::new(lookup, nudges, Arc::default(), reaching_this_machine())
        .with_clock(Clock::held(NOW.parse().unwrap()))
}

fn call(path: &str, headers: &[(&str, &str)], body: impl Into<Body>) -> Request {
    let mut request = Request::post(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(body.into()).unwrap()
}

#[tokio::test]
async fn only_where_nobody_hears_or_there_is_no_room_a_call_may_have_been_missed() {
    let nobody = Some(Unheard::Nobody);
    let signed = [("x-gitlab-token", "other"), ("x-gitlab-event", "Push Hook")];
    for (says, path, kind, standing, want) in [
        (
            "no hook",
            "/hook/nobody",
            Kind::Generic,
            Standing::Open,
            (404, nobody),
        ),
        (
            "a suspended one",
            "/hook/a",
            Kind::Generic,
            Standing::Suspended,
            (503, nobody),
        ),
        (
            "one not ready",
            "/hook/a",
            Kind::Generic,
            Standing::NotReady,
            (503, nobody),
        ),
        (
            "another token",
            "/hook/a",
            Kind::Gitlab,
            Standing::Open,
            (400, None),
        ),
    ] {
        let hook = hook("a", |hook| Hook {
            kind,
            standing,
            ..hook
        });
        let request = call(path, &signed, "{}");
        assert_eq!(told(receiver(hook), request).await, want, "{says}");
    }
}

#[tokio::test]
async fn whoever_names_an_issuer_that_cannot_be_asked_is_not_made_up_for() {
    let away = "http://127.0.0.1:1";
    let provider = json!([{
        "issuerURL": away, "validations": [{"expression": "true", "message": "m"}],
    }]);
    let providers: Vec<_> = serde_json::from_value(provider).unwrap();
    let issuers = webhook::Issuer::parse_all(&providers).unwrap();
    let kind = Kind::GenericOidc;
    let hook = hook("oidc", |hook| Hook {
        kind,
        issuers,
        ..hook
    });
    let claims = json!({"iss": away, "aud": "notification-controller", "exp": 9_999_999_999_u64});
    let token = Signer::new().token(&json!({"alg": "RS256", "kid": "r"}), &claims);
    let bearer = format!("Bearer {token}");
    let request = call("/hook/a", &[("authorization", bearer.as_str())], "");
    assert_eq!(told(receiver(hook), request).await, (503, None));
}

#[tokio::test]
async fn a_call_for_which_there_is_no_room_is_made_up_for_later() {
    let hook = hook("hmac", |hook| Hook {
        kind: Kind::GenericHmac,
        ..hook
    });
    let receiver = receiver(hook);
    let digits = "0".repeat(64);
    let signature = format!("sha256={digits}");
    let headers = [("x-signature", signature.as_str())];
    // Of three payloads so large there is no room for the third's end, and none of them ends.
    let held: Vec<_> = [MAX_BODY, MAX_BODY, 2 << 20]
        .map(|size| {
            let first = Ok::<_, std::io::Error>(Bytes::from(vec![b'x'; size]));
            let stream = futures::stream::once(std::future::ready(first));
            let stream = futures::StreamExt::chain(stream, futures::stream::pending());
            let request = call("/hook/a", &headers, Body::from_stream(stream));
            tokio::spawn(told(receiver.clone(), request))
        })
        .into();
    let mut last = (400, None);
    for _ in 0..400 {
        last = told(receiver.clone(), call("/hook/a", &headers, "{}")).await;
        if last.0 == 503 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(last, (503, Some(Unheard::NoRoom)));
    held.iter().for_each(tokio::task::JoinHandle::abort);
}
