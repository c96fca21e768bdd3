//! Webhooks: one of an address, with a token, for these events. One that GitLab has switched off is made anew: it has no
//! other way to be switched on again that does not call us.

use std::collections::BTreeSet;

use provider::{
    Answer, Body, Done, Heard, Next, Note, Part, Refusal, Talk, Webhook, WebhookState, gone, id,
    lost, no,
};
use serde_json::{Value, json};

const LISTING: &str = "listing the webhooks";
/// The events that we know, in GitLab's words.
const EVENTS: [&str; 3] = ["push_events", "tag_push_events", "merge_requests_events"];

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
                    note.broken = !is_called(known);
                    note.names = too_many(known);
                    note.fits = fits(known, &events) && note.names.is_empty();
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
            let doing = "removing a webhook that is there twice, or was switched off";
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
            let body = Some(body(hook, events, &[]));
            talk.parts_of_repo("POST", "hooks", body, &Note::at("add"))
        }
        [id] if note.fits && !note.broken => Next::Done(Done::Present(id.to_string())),
        [id] if !note.broken => {
            let (path, body) = (format!("hooks/{id}"), body(hook, events, &note.names));
            talk.parts_of_repo("PUT", &path, Some(body), &Note::at("change"))
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
    let Some((mut note, answer)) = heard else {
        return Ok(talk.list("hooks", Note::at("list")));
    };
    if note.stage == "calls" {
        let last_delivery = last_delivery(talk, &answer)?;
        return state(true, note.fits, last_delivery);
    }
    let (hooks, more) = talk.page(&answer, LISTING)?;
    let known = hooks.iter().find(|known| is_at(known, url));
    match known.and_then(|known| Some((known, id(known)?))) {
        Some((known, id)) => {
            note = Note {
                fits: is_called(known),
                ..Note::of("calls", id)
            };
            let path = format!("hooks/{id}/events?per_page=1&page=1");
            Ok(talk.of_repo("GET", &path, None, &note))
        }
        None if more => Ok(talk.list("hooks", note)),
        None => state(false, false, String::new()),
    }
}

/// What came of the newest call. Before GitLab 17.3 nobody is told.
fn last_delivery(talk: &Talk, answer: &Answer) -> Result<String, Refusal> {
    if answer.status == 404 {
        return Ok(String::new());
    }
    let (calls, _) = talk.page(answer, "listing the webhook's calls")?;
    let last = calls.first().map(|call| &call["response_status"]);
    Ok(match last {
        Some(Value::String(status)) => status.clone(),
        Some(Value::Number(status)) => status.to_string(),
        _ => String::new(),
    })
}

fn state(present: bool, active: bool, last_delivery: String) -> Result<Next, Refusal> {
    Ok(Next::Done(Done::Webhook(WebhookState {
        present,
        active,
        last_delivery,
    })))
}

fn done(id: Option<u64>) -> Result<Next, Refusal> {
    let id = id.ok_or_else(|| no("GitLab answered with a webhook without an id"))?;
    Ok(Next::Done(Done::Present(id.to_string())))
}

fn is_at(known: &Value, url: &str) -> bool {
    known["url"] == *url
}

/// Whether GitLab calls it: it gives up hooks whose calls fail, for a while or for good.
fn is_called(known: &Value) -> bool {
    matches!(known["alert_status"].as_str(), None | Some("executable"))
}

/// Whether GitLab's hook is as it should be. Its token nobody is told.
fn fits(known: &Value, events: &BTreeSet<&str>) -> bool {
    let same = EVENTS
        .iter()
        .all(|name| (known[*name] == true) == events.contains(name));
    let filter = known["push_events_branch_filter"].as_str();
    let everything = filter.unwrap_or_default().is_empty();
    same && everything && known["enable_ssl_verification"] != false
}

/// Events of which nobody wants to hear.
fn too_many(known: &Value) -> Vec<String> {
    let all = known.as_object().into_iter().flatten();
    let on = all.filter(|(name, on)| name.ends_with("_events") && **on == true);
    on.map(|(name, _)| name.clone())
        .filter(|name| !EVENTS.contains(&name.as_str()))
        .collect()
}

/// GitLab's words for the events.
fn events(hook: &Webhook) -> Result<BTreeSet<&'static str>, Refusal> {
    let mut events = BTreeSet::new();
    for event in &hook.events {
        events.insert(match event.as_str() {
            "push" => "push_events",
            "tag" => "tag_push_events",
            "pull-request" => "merge_requests_events",
            other => return Err(no(format!("GitLab has no event {other:?} for a webhook"))),
        });
    }
    if events.is_empty() {
        return Err(no(
            "a webhook without events is never called: name at least one",
        ));
    }
    Ok(events)
}

fn body(hook: &Webhook, events: &BTreeSet<&str>, off: &[String]) -> Body {
    let mut wanted = json!({
        "url": hook.url, "enable_ssl_verification": true, "push_events_branch_filter": "",
    });
    for name in EVENTS {
        wanted[name] = json!(events.contains(name));
    }
    for name in off {
        wanted[name] = json!(false);
    }
    let mut begin = wanted.to_string();
    // The token's slot is filled in a place of its own.
    begin.pop();
    begin.push_str(",\"token\":\"");
    Body::Json(vec![
        Part::Text(begin),
        Part::Secret(hook.secret.clone()),
        Part::Text("\"}".to_owned()),
    ])
}
