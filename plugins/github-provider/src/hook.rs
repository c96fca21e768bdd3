//! Webhooks: one of an address, signed, for these events.

use std::collections::BTreeSet;

use provider::{
    Body, Done, Heard, Next, Note, Part, Refusal, Talk, Webhook, WebhookState, gone, id, lost, no,
};
use serde_json::{Value, json};

const LISTING: &str = "listing the webhooks";

pub(crate) fn present(talk: &Talk, hook: &Webhook, heard: Heard) -> Result<Next, Refusal> {
    let events = events(hook)?;
    let Some((mut note, answer)) = heard else {
        return Ok(talk.list("hooks", Note::at("list")));
    };
    match note.stage.as_str() {
        "list" => {
            let (hooks, more) = talk.page(&answer, LISTING)?;
            for known in hooks.iter().filter(|known| is_at(known, &hook.url)) {
                let Some(id) = id(known) else { continue };
                if note.ids.is_empty() {
                    note.fits = fits(known, &events);
                }
                note.ids.push(id);
            }
            if more {
                return Ok(talk.list("hooks", note));
            }
            Ok(thin(talk, hook, &events, note))
        }
        // A second hook of the same address: whoever pushes would be heard twice.
        "thin" => {
            let doing = "removing a webhook that is there twice";
            talk.json(&answer, &[204, 404], doing)?;
            note.ids.pop();
            Ok(thin(talk, hook, &events, note))
        }
        "add" => {
            let made = talk.json(&answer, &[201], "adding the webhook")?;
            done(id(&made))
        }
        "change" => {
            let made = talk.json(&answer, &[200], "changing the webhook")?;
            done(id(&made))
        }
        _ => Err(lost(&note)),
    }
}

/// Removes all but the first, changes that if it has to, adds one if there is none.
fn thin(talk: &Talk, hook: &Webhook, events: &BTreeSet<&str>, mut note: Note) -> Next {
    match note.ids.as_slice() {
        [] => {
            let body = Some(body(hook, events, r#""name":"web","#));
            talk.parts_of_repo("POST", "hooks", body, &Note::at("add"))
        }
        [id] if note.fits => Next::Done(Done::Present(id.to_string())),
        [id] => {
            let (path, body) = (format!("hooks/{id}"), Some(body(hook, events, "")));
            talk.parts_of_repo("PATCH", &path, body, &Note::at("change"))
        }
        [.., last] => {
            let path = format!("hooks/{last}");
            note.stage = "thin".to_owned();
            talk.of_repo("DELETE", &path, None, &note)
        }
    }
}

pub(crate) fn absent(talk: &Talk, url: &str, heard: Heard) -> Result<Next, Refusal> {
    let doing = [LISTING, "removing the webhook"];
    gone::all(talk, "hooks", doing, heard, |known| is_at(known, url))
}

pub(crate) fn check(talk: &Talk, url: &str, heard: Heard) -> Result<Next, Refusal> {
    let Some((note, answer)) = heard else {
        return Ok(talk.list("hooks", Note::at("list")));
    };
    let (hooks, more) = talk.page(&answer, LISTING)?;
    let known = hooks.iter().find(|known| is_at(known, url));
    if known.is_none() && more {
        return Ok(talk.list("hooks", note));
    }
    Ok(Next::Done(Done::Webhook(WebhookState {
        present: known.is_some(),
        active: known.is_some_and(|known| known["active"] == true),
        last_delivery: known.map(last_delivery).unwrap_or_default(),
    })))
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

fn done(id: Option<u64>) -> Result<Next, Refusal> {
    let id = id.ok_or_else(|| no("GitHub answered with a webhook without an id"))?;
    Ok(Next::Done(Done::Present(id.to_string())))
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
fn events(hook: &Webhook) -> Result<BTreeSet<&'static str>, Refusal> {
    let mut events = BTreeSet::new();
    for event in &hook.events {
        events.insert(match event.as_str() {
            "push" => "push",
            "tag" => "create",
            "pull-request" => "pull_request",
            other => return Err(no(format!("GitHub has no event {other:?} for a webhook"))),
        });
    }
    if events.is_empty() {
        return Err(no(
            "a webhook without events is never called: name at least one",
        ));
    }
    Ok(events)
}

fn body(hook: &Webhook, events: &BTreeSet<&str>, name: &str) -> Body {
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
