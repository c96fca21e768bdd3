//! Webhooks: one of an address, signed, for these events.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::exports::reeve::plugin::provide::{
    Body, Done, Next, Part, Refusal, Webhook, WebhookState,
};
use crate::talk::{Gitea, Note, id, no};
use crate::{Heard, lost};

const LISTING: &str = "listing the webhooks";

pub(crate) fn present(gitea: &Gitea, hook: &Webhook, heard: Heard) -> Result<Next, Refusal> {
    let events = events(hook)?;
    let Some((mut note, answer)) = heard else {
        return Ok(gitea.list("hooks", Note::at("list")));
    };
    match note.stage.as_str() {
        "list" => {
            let (hooks, more) = gitea.page(&answer, &mut note, LISTING)?;
            for known in hooks.iter().filter(|known| is_at(known, &hook.url)) {
                let Some(id) = id(known) else { continue };
                if note.ids.is_empty() {
                    note.fits = fits(known, &events);
                }
                note.ids.push(id);
            }
            if more {
                return Ok(gitea.list("hooks", note));
            }
            Ok(thin(gitea, hook, &events, note))
        }
        // A second hook of the same address: whoever pushes would be heard twice.
        "thin" => {
            gitea.json(
                &answer,
                &[204, 404],
                "removing a webhook that is there twice",
            )?;
            note.ids.pop();
            Ok(thin(gitea, hook, &events, note))
        }
        "add" => {
            let made = gitea.json(&answer, &[201], "adding the webhook")?;
            done(id(&made))
        }
        "change" => {
            let made = gitea.json(&answer, &[200], "changing the webhook")?;
            done(id(&made))
        }
        _ => Err(lost(&note)),
    }
}

/// Removes all but the first, changes that if it has to, adds one if there is none.
fn thin(gitea: &Gitea, hook: &Webhook, events: &BTreeSet<&str>, mut note: Note) -> Next {
    match note.ids.as_slice() {
        [] => gitea.parts_of_repo("POST", "hooks", Some(body(hook, events)), &Note::at("add")),
        [id] if note.fits => Next::Done(Done::Present(id.to_string())),
        [id] => {
            let path = format!("hooks/{id}");
            let body = Some(body(hook, events));
            gitea.parts_of_repo("PATCH", &path, body, &Note::at("change"))
        }
        [.., last] => {
            let path = format!("hooks/{last}");
            note.stage = "thin".to_owned();
            gitea.of_repo("DELETE", &path, None, &note)
        }
    }
}

pub(crate) fn absent(gitea: &Gitea, url: &str, heard: Heard) -> Result<Next, Refusal> {
    let Some((mut note, answer)) = heard else {
        return Ok(gitea.list("hooks", Note::at("list")));
    };
    match note.stage.as_str() {
        "list" => {
            let (hooks, more) = gitea.page(&answer, &mut note, LISTING)?;
            let found = hooks
                .iter()
                .filter(|known| is_at(known, url))
                .filter_map(id);
            note.ids.extend(found);
            if more {
                return Ok(gitea.list("hooks", note));
            }
        }
        "remove" => {
            gitea.json(&answer, &[204, 404], "removing the webhook")?;
            note.ids.pop();
        }
        _ => return Err(lost(&note)),
    }
    Ok(match note.ids.last() {
        None => Next::Done(Done::Absent),
        Some(last) => {
            let path = format!("hooks/{last}");
            note.stage = "remove".to_owned();
            gitea.of_repo("DELETE", &path, None, &note)
        }
    })
}

pub(crate) fn check(gitea: &Gitea, url: &str, heard: Heard) -> Result<Next, Refusal> {
    let Some((mut note, answer)) = heard else {
        return Ok(gitea.list("hooks", Note::at("list")));
    };
    let (hooks, more) = gitea.page(&answer, &mut note, LISTING)?;
    let known = hooks.iter().find(|known| is_at(known, url));
    if known.is_none() && more {
        return Ok(gitea.list("hooks", note));
    }
    Ok(Next::Done(Done::Webhook(WebhookState {
        present: known.is_some(),
        active: known.is_some_and(|known| known["active"] == true),
        // Gitea's API does not tell of deliveries.
        last_delivery: String::new(),
    })))
}

fn done(id: Option<u64>) -> Result<Next, Refusal> {
    let id = id.ok_or_else(|| no("Gitea answered with a webhook without an id"))?;
    Ok(Next::Done(Done::Present(id.to_string())))
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
fn events(hook: &Webhook) -> Result<BTreeSet<&'static str>, Refusal> {
    let mut events = BTreeSet::new();
    for event in &hook.events {
        events.extend(match event.as_str() {
            "push" => &["push"][..],
            "tag" => &["create"],
            "pull-request" => &["pull_request", "pull_request_sync"],
            other => return Err(no(format!("Gitea has no event {other:?} for a webhook"))),
        });
    }
    if events.is_empty() {
        return Err(no(
            "a webhook without events is never called: name at least one",
        ));
    }
    Ok(events)
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
