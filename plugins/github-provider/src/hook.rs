//! Webhooks: one of an address, signed, for these events.

use std::collections::BTreeSet;

use provider::{Body, Heard, Next, Part, Refusal, Talk, Webhook, hook};
use serde_json::{Value, json};

pub(crate) fn present(talk: &Talk, wanted: &Webhook, heard: Heard) -> Result<Next, Refusal> {
    let events = hook::events(talk, wanted, words)?;
    hook::present(
        talk,
        "PATCH",
        heard,
        |known| is_at(known, &wanted.url),
        |known, note| note.fits = fits(known, &events),
        |known| body(wanted, &events, known.is_none()),
    )
}

pub(crate) fn absent(talk: &Talk, url: &str, heard: Heard) -> Result<Next, Refusal> {
    hook::absent(talk, heard, |known| is_at(known, url))
}

pub(crate) fn check(talk: &Talk, url: &str, heard: Heard) -> Result<Next, Refusal> {
    let called = |known: &Value| (known["active"] == true, last_delivery(known));
    hook::check(talk, heard, |known| is_at(known, url), called)
}

/// What GitHub says of the last call: `200 OK`.
fn last_delivery(known: &Value) -> String {
    let last = &known["last_response"];
    let (code, message) = (last["code"].as_u64(), last["message"].as_str());
    match (code, message) {
        (Some(code), Some(message)) => format!("{code} {message}"),
        (Some(code), None) => code.to_string(),
        (None, Some(message)) => message.to_owned(),
        // None was made yet.
        (None, None) => String::new(),
    }
}

fn is_at(known: &Value, url: &str) -> bool {
    known["config"]["url"] == *url
}

/// Whether GitHub's hook is as it should be. Its secret nobody is told.
fn fits(known: &Value, events: &BTreeSet<&str>) -> bool {
    let has = known["events"].as_array().into_iter().flatten();
    let has: BTreeSet<&str> = has.filter_map(Value::as_str).collect();
    let config = &known["config"];
    let checked = matches!(config["insecure_ssl"].as_str(), None | Some("0"));
    known["active"] == true && config["content_type"] == "json" && checked && has == *events
}

/// GitHub's words for the events.
fn words(event: &str) -> &'static [&'static str] {
    match event {
        "push" => &["push"],
        "tag" => &["create"],
        "pull-request" => &["pull_request"],
        _ => &[],
    }
}

fn body(hook: &Webhook, events: &BTreeSet<&str>, is_new: bool) -> Body {
    let name = if is_new { r#""name":"web","# } else { "" };
    let begin = format!(
        r#"{{{name}"active":true,"events":{},"config":{{"content_type":"json","insecure_ssl":"0","url":{},"secret":""#,
        json!(events),
        json!(hook.url)
    );
    Body::Json(vec![
        Part::Text(begin),
        Part::Secret(hook.secret.clone()),
        Part::Text("\"}}".to_owned()),
    ])
}
