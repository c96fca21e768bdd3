//! Webhooks: one of an address, with a token, for these events. One that GitLab has switched off is made anew: it has no
//! other way to be switched on again that does not call us.

use std::collections::BTreeSet;

use provider::hook::{self, Found};
use provider::{Answer, Body, Heard, Next, Note, Part, Refusal, Talk, Webhook, id, no};
use serde_json::{Value, json};

/// The events that we know, in GitLab's words.
const EVENTS: [&str; 3] = ["push_events", "tag_push_events", "merge_requests_events"];

pub(crate) fn present(talk: &Talk, wanted: &Webhook, heard: Heard) -> Result<Next, Refusal> {
    let events = hook::events(talk, wanted, words)?;
    hook::present(
        talk,
        "PUT",
        heard,
        |known| is_at(known, &wanted.url),
        |known, note| {
            note.broken = !is_called(known);
            note.names = too_many(known);
            note.fits = fits(known, &events) && note.names.is_empty();
        },
        |known| {
            body(
                wanted,
                &events,
                known.map_or(&[][..], |note| note.names.as_slice()),
            )
        },
    )
}

pub(crate) fn absent(talk: &Talk, url: &str, heard: Heard) -> Result<Next, Refusal> {
    hook::absent(talk, heard, |known| is_at(known, url))
}

pub(crate) fn check(talk: &Talk, url: &str, heard: Heard) -> Result<Next, Refusal> {
    let heard = match heard {
        Some((note, answer)) if note.stage == "calls" => {
            let fits = note.fits;
            return Ok(hook::state(true, fits, last_delivery(talk, note, &answer)?));
        }
        heard => heard,
    };
    let known = match hook::find(talk, heard, |known| is_at(known, url))? {
        Found::Next(next) => return Ok(*next),
        Found::One(known) => known,
    };
    let id = id(&known).ok_or_else(|| no("GitLab answered with a webhook without an id"))?;
    let note = Note {
        fits: is_called(&known),
        ..Note::of("calls", id)
    };
    let path = format!("hooks/{id}/events?per_page=1&page=1");
    Ok(talk.of_repo("GET", &path, None, &note))
}

/// What came of the newest call. Before GitLab 17.3 nobody is told.
fn last_delivery(talk: &Talk, mut note: Note, answer: &Answer) -> Result<String, Refusal> {
    if answer.status == 404 {
        return Ok(String::new());
    }
    let (calls, _) = talk.page(answer, &mut note, "listing the webhook's calls")?;
    let last = calls.first().map(|call| &call["response_status"]);
    Ok(match last {
        Some(Value::String(status)) => status.clone(),
        Some(Value::Number(status)) => status.to_string(),
        _ => String::new(),
    })
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
fn words(event: &str) -> &'static [&'static str] {
    match event {
        "push" => &["push_events"],
        "tag" => &["tag_push_events"],
        "pull-request" => &["merge_requests_events"],
        _ => &[],
    }
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
