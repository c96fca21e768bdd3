//! Deploy keys: one of a title, of this content. GitHub changes no key, and takes each only once, at one repository.

use provider::{DeployKey, Done, Heard, Next, Note, Refusal, Talk, gone, id, lost, no, same_key};
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
                Some((_, Some(id))) => Ok(gone::remove(talk, "keys", id)),
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
    let doing = [LISTING, "removing the deploy key"];
    gone::one(talk, "keys", doing, heard, |known| known["title"] == *title)
}

fn add(talk: &Talk, key: &DeployKey) -> Next {
    let wanted = json!({
        "title": key.title, "key": key.public_key, "read_only": !key.writable,
    });
    talk.of_repo("POST", "keys", Some(&wanted), &Note::at("add"))
}

fn done(id: u64) -> Result<Next, Refusal> {
    Ok(Next::Done(Done::Present(id.to_string())))
}

fn is(known: &Value, key: &DeployKey) -> bool {
    let content = known["key"].as_str().unwrap_or_default();
    same_key(content, &key.public_key) && known["read_only"] == !key.writable
}
