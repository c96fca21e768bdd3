//! Deploy keys: one of a title, of this content. GitHub changes no key, and takes each only once, at one repository.

use provider::{DeployKey, Done, Heard, Next, Note, Refusal, Talk, id, lost, no, same_key};
use serde_json::{Value, json};

const LISTING: &str = "listing the deploy keys";

pub(crate) fn present(talk: &Talk, key: &DeployKey, heard: Heard) -> Result<Next, Refusal> {
    let Some((note, answer)) = heard else {
        return Ok(talk.list("keys", Note::at("list")));
    };
    match note.stage.as_str() {
        "list" => {
            let (keys, more) = talk.page(&answer, LISTING)?;
            let known = keys.iter().find(|known| known["title"] == *key.title);
            match known.map(|known| (known, id(known))) {
                Some((known, Some(id))) if is(known, key) => done(id),
                Some((_, Some(id))) => Ok(remove(talk, id)),
                Some((_, None)) => Err(no("GitHub lists a deploy key without an id")),
                None if more => Ok(talk.list("keys", note)),
                None => Ok(add(talk, key)),
            }
        }
        "remove" => {
            let doing = "removing the deploy key that is replaced";
            talk.json(&answer, &[204, 404], doing)?;
            Ok(add(talk, key))
        }
        "add" => {
            let made = talk.json(&answer, &[201], "adding the deploy key")?;
            done(id(&made).ok_or_else(|| no("GitHub made a deploy key without an id"))?)
        }
        _ => Err(lost(&note)),
    }
}

pub(crate) fn absent(talk: &Talk, title: &str, heard: Heard) -> Result<Next, Refusal> {
    let Some((note, answer)) = heard else {
        return Ok(talk.list("keys", Note::at("list")));
    };
    match note.stage.as_str() {
        "list" => {
            let (keys, more) = talk.page(&answer, LISTING)?;
            let known = keys.iter().find(|known| known["title"] == *title);
            match known.and_then(id) {
                Some(id) => Ok(remove(talk, id)),
                None if more => Ok(talk.list("keys", note)),
                None => Ok(Next::Done(Done::Absent)),
            }
        }
        "remove" => {
            talk.json(&answer, &[204, 404], "removing the deploy key")?;
            Ok(Next::Done(Done::Absent))
        }
        _ => Err(lost(&note)),
    }
}

fn add(talk: &Talk, key: &DeployKey) -> Next {
    let wanted = json!({
        "title": key.title, "key": key.public_key, "read_only": !key.writable,
    });
    talk.of_repo("POST", "keys", Some(&wanted), &Note::at("add"))
}

fn remove(talk: &Talk, id: u64) -> Next {
    talk.of_repo("DELETE", &format!("keys/{id}"), None, &Note::at("remove"))
}

fn done(id: u64) -> Result<Next, Refusal> {
    Ok(Next::Done(Done::Present(id.to_string())))
}

fn is(known: &Value, key: &DeployKey) -> bool {
    let content = known["key"].as_str().unwrap_or_default();
    same_key(content, &key.public_key) && known["read_only"] == !key.writable
}
