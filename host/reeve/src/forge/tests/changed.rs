//! Whether a forge was changed, or had what was wanted already.

use super::*;

#[tokio::test]
async fn what_a_forge_has_already_is_told_apart_from_what_it_was_given() {
    let fine = || Says::Body(200, "", r#"{"token": "made-by-the-forge"}"#.into());
    let server = Server::start((0..4).map(|_| fine()).collect()).await;
    let provider = provider(&[&server.host()]);
    let post = |secrets: Vec<SecretField>| Request {
        method: "POST".into(),
        secrets,
        ..get(&server.url("/api"))
    };
    let token = || SecretField {
        pointer: "/token".into(),
        slot: "made".into(),
    };
    for (says, request, want) in [
        ("it is looked at", get(&server.url("/api")), false),
        ("a token is made", post(vec![token()]), false),
        ("something else is", post(Vec::new()), true),
    ] {
        let steps = vec![Next::Request(request), Next::Done(Done::Absent)];
        let (outcome, _) = run(&provider, absent(), steps).await;
        assert_eq!(outcome.unwrap().changed, want, "{says}");
    }
}
