//! A forge that asks us to wait.

use std::time::Duration;

use super::*;

#[tokio::test]
async fn a_forge_that_asks_us_to_wait_is_asked_nothing_until_then() {
    let limited = Says::Body(429, "retry-after: 60\r\n", "{}".into());
    let server = Server::start(vec![limited, Says::Body(200, "", "{}".into())]).await;
    let provider = provider(&[&server.host()]);
    let steps = || {
        vec![
            Next::Request(get(&server.url("/api"))),
            Next::Done(Done::Absent),
        ]
    };
    let (first, told) = run(&provider, absent(), steps()).await;
    assert!(first.is_ok() && told[0].status == 429, "{first:?}");

    let (second, _) = run(&provider, absent(), steps()).await;
    let why = second.unwrap_err();
    assert!(chain(&why).contains("asked us to wait"), "{why:?}");
    assert!(
        matches!(why.turn(), Turn::Later(wait) if wait.as_secs() == 60),
        "{why:?}"
    );
    assert_eq!(server.seen().len(), 1, "nothing was asked");

    provider.clock.advance(Duration::from_secs(61));
    let (third, told) = run(&provider, absent(), steps()).await;
    assert!(third.is_ok() && told[0].status == 200, "{third:?}");
}

#[tokio::test]
async fn who_asks_too_often_has_nobody_else_wait_who_has_the_same_login() {
    let limited = || Says::Body(429, "retry-after: 60\r\n", "{}".into());
    let fine = || Says::Body(200, "", "{}".into());
    let server = Server::start(vec![limited(), fine()]).await;
    let mut provider = provider(&[&server.host()]);
    let steps = || {
        vec![
            Next::Request(get(&server.url("/api"))),
            Next::Done(Done::Absent),
        ]
    };
    let (_, told) = run(&provider, absent(), steps()).await;
    assert_eq!(told[0].status, 429);
    "beta".clone_into(&mut provider.whose);
    let (other, told) = run(&provider, absent(), steps()).await;
    assert!(other.is_ok() && told[0].status == 200, "{other:?}");
    "acme".clone_into(&mut provider.whose);
    let (still, _) = run(&provider, absent(), steps()).await;
    assert!(chain(&still.unwrap_err()).contains("asked us to wait"));
    assert_eq!(server.seen().len(), 2);
}
