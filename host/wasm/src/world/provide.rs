//! World `provider`: bindings, and the one typed call.
//!
//! The types are made from `wit/` and go to whoever makes the requests: what a guest says in them is
//! bounded in size and no more. It deliberately makes no request and knows no secret.

use wasmtime::Store;

use super::transform::refusal;
use crate::error::Refusal;
use crate::store::State;
use crate::words::bytes;

#[expect(
    missing_docs,
    reason = "made by wasmtime; the contract says what they are"
)]
mod bindings {
    //! Made by wasmtime from `wit/`.
    wasmtime::component::bindgen!({
        path: "../../wit",
        world: "provider",
        imports: { default: trappable },
        exports: { default: async },
        additional_derives: [PartialEq, Eq],
        with: {
            "reeve:plugin/log@0.1.0": crate::world::transform::bindings::reeve::plugin::log,
            "reeve:plugin/types@0.1.0": crate::world::transform::bindings::reeve::plugin::types,
        },
    });
}

pub(crate) use bindings::ProviderPre;
use types::{Answer, Body, Header, HeaderValue, Next, Operation, Part, Request, SecretField};

/// What a provider and its host say to each other: the types of `wit/provider.wit`.
pub mod types {
    pub use super::bindings::exports::reeve::plugin::provide::{
        Answer, Body, Comment, CommitState, CommitStatus, Credential, DeployKey, Done, Header,
        HeaderValue, Hmac, Jwt, Next, OpenPullRequest, Operation, Part, PullRequest,
        PullRequestState, Repository, Request, SecretField, Task, Webhook, WebhookState,
    };
}

/// The longest note to itself that a guest may write, in bytes.
const STATE: usize = 64 << 10;
/// The largest request, in bytes of text.
const REQUEST: usize = 1 << 20;
/// What a header, a field or a part counts beyond its text.
const ELEMENT: usize = 16;

/// One call in a fresh instance.
pub(crate) async fn call(
    guest: &ProviderPre<State>,
    store: &mut Store<State>,
    operation: &Operation,
    state: &str,
    answer: Option<&Answer>,
) -> wasmtime::Result<Result<Next, Refusal>> {
    let guest = guest.instantiate_async(&mut *store).await?;
    let next = guest
        .reeve_plugin_provide()
        .call_step(store, operation, state, answer)
        .await?;
    Ok(next.map_err(refusal))
}

/// What is too large in what a guest wants next, if anything.
pub(crate) fn look(next: &Next) -> Result<(), String> {
    let Next::Request(request) = next else {
        return Ok(());
    };
    if request.state.len() > STATE {
        return Err(format!("its state is larger than {}", bytes(STATE)));
    }
    if size(request) > REQUEST {
        return Err(format!("its request is larger than {}", bytes(REQUEST)));
    }
    Ok(())
}

/// Bytes of text in a request, without its state.
fn size(request: &Request) -> usize {
    let header = |header: &Header| {
        let value = match &header.value {
            HeaderValue::Plain(value) => parts(value),
            HeaderValue::Basic((user, password)) => parts(user) + parts(password),
        };
        ELEMENT + header.name.len() + value
    };
    let field = |(name, value): &(String, Vec<Part>)| ELEMENT + name.len() + parts(value);
    let body = match &request.body {
        None => 0,
        Some(Body::Json(body)) => parts(body),
        Some(Body::Form(fields)) => fields.iter().map(field).sum(),
    };
    let secret = |secret: &SecretField| ELEMENT + secret.pointer.len() + secret.slot.len();
    request.method.len()
        + request.url.len()
        + request.headers.iter().map(header).sum::<usize>()
        + body
        + request.secrets.iter().map(secret).sum::<usize>()
}

fn parts(parts: &[Part]) -> usize {
    let part = |part: &Part| match part {
        Part::Text(text) | Part::Secret(text) => text.len(),
        Part::Jwt(jwt) => jwt.key.len() + jwt.claims.len(),
        Part::Hmac(hmac) => hmac.key.len() + hmac.text.len(),
    };
    parts.iter().map(|it| ELEMENT + part(it)).sum()
}
