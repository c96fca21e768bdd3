//! A forge that says that nothing has changed.

use super::*;

#[tokio::test]
async fn a_guest_is_given_again_what_the_forge_says_is_still_so() {
    let server = Server::start(vec![
        Says::Body(200, "etag: W/\"one\"\r\n", "[1]".into()),
        Says::Body(304, "x-ratelimit-remaining: 41\r\n", String::new()),
        Says::Body(200, "", "[2]".into()),
    ])
    .await;
    let provider = provider(&[&server.host()]);
    let url = server.url("/api/keys");
    let first = one(&provider, with_token(&url)).await.unwrap();
    let second = one(&provider, with_token(&url)).await.unwrap();
    assert_eq!((first.status, &*first.body), (200, "[1]"));
    assert_eq!((second.status, &*second.body), (200, "[1]"));
    let left = ("x-ratelimit-remaining".to_owned(), "41".to_owned());
    assert!(second.headers.contains(&left), "{:?}", second.headers);
    let asked = server.seen();
    assert!(!asked[0].contains("if-none-match"), "{}", asked[0]);
    assert!(
        asked[1].contains("if-none-match: W/\"one\""),
        "{}",
        asked[1]
    );
    // Who has another secret asks for himself.
    let mut other = self::provider(&[&server.host()]);
    other.answers = Arc::clone(&provider.answers);
    if let Some(slot) = other.slots.get_mut("token") {
        slot.value = Secret::new("another-token-1");
    }
    let third = one(&other, with_token(&url)).await.unwrap();
    assert_eq!(third.body, "[2]");
    let asked = server.seen();
    assert!(!asked[2].contains("if-none-match"), "{}", asked[2]);
}
