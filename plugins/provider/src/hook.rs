//! Webhooks: one of an address, for some events. A second one of the same address is removed: whoever pushes would be heard twice.
//!
//! It deliberately knows no fields of a forge's: which hook is meant, whether it is as it should be, and what is sent, the guest says.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::gone::{self, is_gone};
use crate::{Body, Done, Heard, Next, Note, Refusal, Talk, Webhook, WebhookState, id, lost, no};

const LISTING: &str = "listing the webhooks";

/// Has one there. `look` notes of the first that is meant whether it fits, or is broken and has to be made anew; `body` is what adds
/// one, or changes that of which this was noted, by the method `change`.
pub fn present(
    talk: &Talk,
    change: &str,
    heard: Heard,
    is_meant: impl Fn(&Value) -> bool,
    look: impl Fn(&Value, &mut Note),
    body: impl Fn(Option<&Note>) -> Body,
) -> Result<Next, Refusal> {
    let Some((mut note, answer)) = heard else {
        return Ok(talk.list("hooks", Note::at("list")));
    };
    match note.stage.as_str() {
        "list" => {
            let (hooks, more) = talk.page(&answer, &mut note, LISTING)?;
            for known in hooks.iter().filter(|known| is_meant(known)) {
                let Some(id) = id(known) else { continue };
                if note.ids.is_empty() {
                    look(known, &mut note);
                }
                note.ids.push(id);
            }
            if more {
                return Ok(talk.list("hooks", note));
            }
        }
        "thin" => {
            let doing = "removing a webhook that is there twice, or was switched off";
            is_gone(talk, &answer, doing)?;
            note.ids.pop();
        }
        "add" => return done(talk, &talk.json(&answer, &[201], "adding the webhook")?),
        "change" => return done(talk, &talk.json(&answer, &[200], "changing the webhook")?),
        _ => return Err(lost(&note)),
    }
    Ok(thin(talk, change, note, body))
}

/// Removes all but the first, changes that if it has to, adds one if there is none.
fn thin(talk: &Talk, change: &str, mut note: Note, body: impl Fn(Option<&Note>) -> Body) -> Next {
    match note.ids.as_slice() {
        [] => talk.parts_of_repo("POST", "hooks", Some(body(None)), &Note::at("add")),
        [id] if note.fits && !note.broken => Next::Done(Done::Present(id.to_string())),
        [id] if !note.broken => {
            let (path, body) = (format!("hooks/{id}"), body(Some(&note)));
            talk.parts_of_repo(change, &path, Some(body), &Note::at("change"))
        }
        [.., last] => {
            let path = format!("hooks/{last}");
            note.stage = "thin".to_owned();
            talk.of_repo("DELETE", &path, None, &note)
        }
    }
}

/// Removes all that are meant.
pub fn absent(
    talk: &Talk,
    heard: Heard,
    is_meant: impl Fn(&Value) -> bool,
) -> Result<Next, Refusal> {
    let doing = [LISTING, "removing the webhook"];
    gone::all(talk, "hooks", doing, heard, is_meant)
}

/// Looks for one; `called` says whether it is switched on, and what came of its last call.
pub fn check(
    talk: &Talk,
    heard: Heard,
    is_meant: impl Fn(&Value) -> bool,
    called: impl Fn(&Value) -> (bool, String),
) -> Result<Next, Refusal> {
    match find(talk, heard, is_meant)? {
        Found::Next(next) => Ok(*next),
        Found::One(known) => {
            let (active, last_delivery) = called(&known);
            Ok(state(true, active, last_delivery))
        }
    }
}

/// What came of looking for a webhook.
pub enum Found {
    /// This one.
    One(Value),
    /// Nothing so far: what is to be done next.
    Next(Box<Next>),
}

/// Looks for the first that is meant, page by page.
pub fn find(
    talk: &Talk,
    heard: Heard,
    is_meant: impl Fn(&Value) -> bool,
) -> Result<Found, Refusal> {
    let next = |next| Ok(Found::Next(Box::new(next)));
    let Some((mut note, answer)) = heard else {
        return next(talk.list("hooks", Note::at("list")));
    };
    let (hooks, more) = talk.page(&answer, &mut note, LISTING)?;
    match hooks.into_iter().find(|known| is_meant(known)) {
        Some(known) => Ok(Found::One(known)),
        None if more => next(talk.list("hooks", note)),
        None => next(state(false, false, String::new())),
    }
}

/// How a webhook is.
pub fn state(present: bool, active: bool, last_delivery: String) -> Next {
    Next::Done(Done::Webhook(WebhookState {
        present,
        active,
        last_delivery,
    }))
}

/// A forge's words for the events of a webhook; `words` has none for those that it does not know.
pub fn events(
    talk: &Talk,
    hook: &Webhook,
    words: impl Fn(&str) -> &'static [&'static str],
) -> Result<BTreeSet<&'static str>, Refusal> {
    let mut events = BTreeSet::new();
    for event in &hook.events {
        let known = words(event);
        if known.is_empty() {
            let forge = talk.forge;
            return Err(no(format!("{forge} has no event {event:?} for a webhook")));
        }
        events.extend(known);
    }
    if events.is_empty() {
        return Err(no(
            "a webhook without events is never called: name at least one",
        ));
    }
    Ok(events)
}

fn done(talk: &Talk, made: &Value) -> Result<Next, Refusal> {
    talk.present(made, "a webhook")
}
