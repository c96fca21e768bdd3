//! Deploy keys as GitHub and Gitea have them: one of a title, of this content. Neither changes a key: one that is another is removed,
//! and added anew, because titles are unique.
//!
//! It deliberately isn't for GitLab, which changes whether a key may push.

use serde_json::{Value, json};

use crate::gone::{self, is_gone};
use crate::{DeployKey, Done, Heard, Next, Note, Refusal, Talk, id, lost, same_key};

/// What it is called while keys are listed.
pub const LISTING: &str = "listing the deploy keys";

/// How many titles are told, how long one is at most, so that a note has room for them, and on how many pages they are looked for.
const MOST: usize = 100;
const LONGEST: usize = 400;
const PAGES: u64 = 10;

/// Has this key there.
pub fn present(talk: &Talk, key: &DeployKey, heard: Heard) -> Result<Next, Refusal> {
    let Some((mut note, answer)) = heard else {
        return Ok(talk.list("keys", Note::at("list")));
    };
    match note.stage.as_str() {
        "list" => {
            let (keys, more) = talk.page(&answer, &mut note, LISTING)?;
            let known = keys.iter().find(|known| known["title"] == *key.title);
            match known.map(|known| (known, id(known))) {
                Some((known, Some(id))) if !is(known, key) => Ok(gone::remove(talk, "keys", id)),
                Some((known, _)) => done(talk, known),
                None if more => Ok(talk.list("keys", note)),
                None => Ok(add(talk, key)),
            }
        }
        "remove" => {
            is_gone(talk, &answer, "removing the deploy key that is replaced")?;
            Ok(add(talk, key))
        }
        "add" => done(talk, &talk.json(&answer, &[201], "adding the deploy key")?),
        _ => Err(lost(&note)),
    }
}

/// Has no key of this title among those at `place`.
pub fn absent(talk: &Talk, place: &str, title: &str, heard: Heard) -> Result<Next, Refusal> {
    let doing = [LISTING, "removing the deploy key"];
    gone::one(talk, place, doing, heard, |known| known["title"] == *title)
}

/// Tells the titles of those at `place` that begin with this.
pub fn titled(talk: &Talk, place: &str, prefix: &str, heard: Heard) -> Result<Next, Refusal> {
    let Some((mut note, answer)) = heard else {
        return Ok(talk.list(place, Note::at("list")));
    };
    if note.stage != "list" {
        return Err(lost(&note));
    }
    let (keys, more) = talk.page(&answer, &mut note, LISTING)?;
    let titles = keys.iter().filter_map(|known| known["title"].as_str());
    let meant = titles.filter(|title| title.starts_with(prefix) && title.len() <= LONGEST);
    let room = MOST.saturating_sub(note.names.len());
    note.names.extend(meant.take(room).map(str::to_owned));
    if more && note.names.len() < MOST && note.page < PAGES {
        return Ok(talk.list(place, note));
    }
    Ok(Next::Done(Done::Titles(note.names)))
}

fn add(talk: &Talk, key: &DeployKey) -> Next {
    let wanted = json!({
        "title": key.title, "key": key.public_key, "read_only": !key.writable,
    });
    talk.of_repo("POST", "keys", Some(&wanted), &Note::at("add"))
}

fn done(talk: &Talk, made: &Value) -> Result<Next, Refusal> {
    talk.present(made, "a deploy key")
}

fn is(known: &Value, key: &DeployKey) -> bool {
    let content = known["key"].as_str().unwrap_or_default();
    same_key(content, &key.public_key) && known["read_only"] == !key.writable
}
