//! Deploy keys: one of a title, of this content.

use serde_json::{Value, json};

use crate::exports::reeve::plugin::provide::{DeployKey, Done, Next, Refusal};
use crate::talk::{Gitea, Note, id, no};
use crate::{Heard, lost};

const LISTING: &str = "listing the deploy keys";

pub(crate) fn present(gitea: &Gitea, key: &DeployKey, heard: Heard) -> Result<Next, Refusal> {
    let Some((mut note, answer)) = heard else {
        return Ok(gitea.list("keys", Note::at("list")));
    };
    let add = || {
        let wanted = json!({
            "title": key.title, "key": key.public_key, "read_only": !key.writable,
        });
        gitea.of_repo("POST", "keys", Some(wanted), &Note::at("add"))
    };
    match note.stage.as_str() {
        "list" => {
            let (keys, more) = gitea.page(&answer, &mut note, LISTING)?;
            let known = keys.iter().find(|known| known["title"] == *key.title);
            match known.map(|known| (known, id(known))) {
                Some((known, Some(id))) if is(known, key) => done(id),
                // Gitea changes no key: the old one goes first, because titles are unique.
                Some((_, Some(id))) => Ok(remove(gitea, id)),
                Some((_, None)) => Err(no("Gitea lists a deploy key without an id")),
                None if more => Ok(gitea.list("keys", note)),
                None => Ok(add()),
            }
        }
        "remove" => {
            gitea.json(
                &answer,
                &[204, 404],
                "removing the deploy key that is replaced",
            )?;
            Ok(add())
        }
        "add" => {
            let made = gitea.json(&answer, &[201], "adding the deploy key")?;
            done(id(&made).ok_or_else(|| no("Gitea made a deploy key without an id"))?)
        }
        _ => Err(lost(&note)),
    }
}

pub(crate) fn absent(gitea: &Gitea, title: &str, heard: Heard) -> Result<Next, Refusal> {
    let Some((mut note, answer)) = heard else {
        return Ok(gitea.list("keys", Note::at("list")));
    };
    match note.stage.as_str() {
        "list" => {
            let (keys, more) = gitea.page(&answer, &mut note, LISTING)?;
            let known = keys.iter().find(|known| known["title"] == *title);
            match known.and_then(id) {
                Some(id) => Ok(remove(gitea, id)),
                None if more => Ok(gitea.list("keys", note)),
                None => Ok(Next::Done(Done::Absent)),
            }
        }
        "remove" => {
            gitea.json(&answer, &[204, 404], "removing the deploy key")?;
            Ok(Next::Done(Done::Absent))
        }
        _ => Err(lost(&note)),
    }
}

fn remove(gitea: &Gitea, id: u64) -> Next {
    gitea.of_repo("DELETE", &format!("keys/{id}"), None, &Note::at("remove"))
}

fn done(id: u64) -> Result<Next, Refusal> {
    Ok(Next::Done(Done::Present(id.to_string())))
}

/// Whether Gitea's key is the one that is wanted. What follows the key itself is a comment.
fn is(known: &Value, key: &DeployKey) -> bool {
    let content = |text: &str| -> Vec<String> {
        text.split_whitespace().take(2).map(str::to_owned).collect()
    };
    content(known["key"].as_str().unwrap_or_default()) == content(&key.public_key)
        && known["read_only"] == !key.writable
}
