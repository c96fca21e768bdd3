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
        |_| body(wanted, &events),
    )
}

pub(crate) fn absent(talk: &Talk, url: &str, heard: Heard) -> Result<Next, Refusal> {
    hook::absent(talk, heard, |known| is_at(known, url))
}

pub(crate) fn check(talk: &Talk, url: &str, heard: Heard) -> Result<Next, Refusal> {
    // Gitea's API does not tell of deliveries.
    let called = |known: &Value| (known["active"] == true, String::new());
    hook::check(talk, heard, |known| is_at(known, url), called)
}

fn is_at(known: &Value, url: &str) -> bool {
    known["config"]["url"] == *url
}

/// Whether Gitea's hook is as it should be. Its secret nobody is told.
fn fits(known: &Value, events: &BTreeSet<&str>) -> bool {
    let has: BTreeSet<&str> = known["events"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let plain = |name: &str| known[name].as_str().unwrap_or_default().is_empty();
    let everything = plain("branch_filter") || known["branch_filter"] == "*";
    known["type"] == "gitea"
        && known["active"] == true
        && known["config"]["content_type"] == "json"
        && everything
        && plain("authorization_header")
        && has == *events
}

/// Gitea's words for the events.
fn words(event: &str) -> &'static [&'static str] {
    match event {
        "push" => &["push"],
        "tag" => &["create"],
        "pull-request" => &["pull_request", "pull_request_sync"],
        _ => &[],
    }
}

fn body(hook: &Webhook, events: &BTreeSet<&str>) -> Body {
    // What Gitea calls `pull_request` switches on eight events where it is asked for.
    let asked: Vec<&str> = events
        .iter()
        .map(|event| {
            if *event == "pull_request" {
                "pull_request_only"
            } else {
                event
            }
        })
        .collect();
    let begin = format!(
        r#"{{"type":"gitea","active":true,"branch_filter":"","events":{},"config":{{"content_type":"json","url":{},"secret":""#,
        json!(asked),
        json!(hook.url)
    );
    Body::Json(vec![
        Part::Text(begin),
        Part::Secret(hook.secret.clone()),
        Part::Text("\"}}".to_owned()),
    ])
}
