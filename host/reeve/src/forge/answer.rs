//! From what a forge sent to what a guest may see: secret fields moved into slots, every trace of a secret blanked.
//!
//! What it deliberately doesn't: understand it. Which fields are secret the guest said, before it saw any of them.

use http::HeaderMap;
use reeve_api::name::Secret;
use serde_json::Value;
use url::Url;

use super::blank::Blanker;
use super::error::Cause;
use super::send::Raw;
use super::slots::{Purse, authority};
use super::words::{Answer, SecretField};

/// Headers that a guest may see. By their whole names: a forge could write a secret into the rest of one.
const SHOWN: &[&str] = &[
    "content-type",
    "link",
    "location",
    "ratelimit",
    "ratelimit-limit",
    "ratelimit-observed",
    "ratelimit-policy",
    "ratelimit-remaining",
    "ratelimit-reset",
    "ratelimit-resettime",
    "retry-after",
    "x-ratelimit-limit",
    "x-ratelimit-remaining",
    "x-ratelimit-reset",
    "x-ratelimit-resource",
    "x-ratelimit-used",
    "x-total-count",
];
const MAX_FIELDS: usize = 16;

/// Makes `raw`, which came from `url`, fit for a guest.
pub(super) async fn open(
    raw: Raw,
    url: &Url,
    fields: &[SecretField],
    purse: &mut Purse,
) -> Result<Answer, Cause> {
    let unusable = |why| Cause::Answer {
        host: authority(url),
        why,
    };
    let mut body = String::from_utf8(raw.body).map_err(|_| unusable("it is not UTF-8 text"))?;
    if !fields.is_empty() {
        body = take(body, raw.status, fields, url, purse)?;
    }
    let headers = shown(&raw.headers);
    let blanker = Blanker::new(purse.all());
    let blank = move || {
        let headers = headers
            .into_iter()
            .filter(|(name, _)| blanker.blank(name) == *name)
            .map(|(name, value)| (name, blanker.blank(&value)))
            .collect();
        (headers, blanker.blank(&body))
    };
    let (headers, body) = tokio::task::spawn_blocking(blank)
        .await
        .map_err(|_| unusable("reading it failed"))?;
    Ok(Answer {
        status: raw.status,
        headers,
        body,
    })
}

/// Moves the secret fields into their slots, and writes the rest anew: nothing of them is left, not even of a key that
/// stood there twice.
fn take(
    body: String,
    status: u16,
    fields: &[SecretField],
    url: &Url,
    purse: &mut Purse,
) -> Result<String, Cause> {
    let unusable = |why| Cause::Answer {
        host: authority(url),
        why,
    };
    if fields.len() > MAX_FIELDS {
        return Err(Cause::TooMuch {
            what: "secret fields of an answer",
            most: MAX_FIELDS,
        });
    }
    let body = Secret::new(body);
    let Ok(mut value) = serde_json::from_str::<Value>(body.expose()) else {
        // What refuses may do so in any words; what grants a secret must say where it is.
        return if status >= 400 || body.expose().is_empty() {
            Ok(body.expose().to_owned())
        } else {
            Err(unusable("it is not JSON, and would hold a secret"))
        };
    };
    for field in fields {
        if !field.pointer.starts_with('/') {
            let why = "a secret field without a JSON pointer".to_owned();
            return Err(Cause::Request(why));
        }
        match value.pointer_mut(&field.pointer) {
            None | Some(Value::Null) => {}
            Some(Value::String(text)) if text.is_empty() => {}
            Some(Value::String(text)) => {
                let secret = Secret::new(std::mem::take(text));
                purse.keep(&field.slot, secret, url)?;
            }
            Some(_) => return Err(unusable("a secret field of it is no text")),
        }
    }
    Ok(value.to_string())
}

fn shown(headers: &HeaderMap) -> Vec<(String, String)> {
    let mut shown: Vec<(String, String)> = headers
        .iter()
        .filter(|(name, _)| SHOWN.contains(&name.as_str()))
        .filter_map(|(name, value)| {
            let value = value.to_str().ok()?;
            Some((name.as_str().to_owned(), value.to_owned()))
        })
        .collect();
    shown.sort();
    shown
}
