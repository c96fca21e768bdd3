//! What is at a forge and is not wanted any more: looked for, and removed.
//!
//! It deliberately knows no kind of it: what it is called in an address, and which it is, the guest says.

use serde_json::Value;

use crate::{Answer, Done, Heard, Next, Note, Refusal, Talk, id, lost};

/// Removes all of `place` (`hooks`) that are meant, however many there are; `listing` and `removing` say what is done.
pub fn all(
    talk: &Talk,
    place: &str,
    [listing, removing]: [&str; 2],
    heard: Heard,
    is_meant: impl Fn(&Value) -> bool,
) -> Result<Next, Refusal> {
    let Some((mut note, answer)) = heard else {
        return Ok(talk.list(place, Note::at("list")));
    };
    match note.stage.as_str() {
        "list" => {
            let (there, more) = talk.page(&answer, &mut note, listing)?;
            let found = there.iter().filter(|known| is_meant(known));
            note.ids.extend(found.filter_map(id));
            if more {
                return Ok(talk.list(place, note));
            }
        }
        "remove" => {
            is_gone(talk, &answer, removing)?;
            note.ids.pop();
        }
        _ => return Err(lost(&note)),
    }
    Ok(match note.ids.last() {
        None => Next::Done(Done::Absent),
        Some(last) => {
            let path = format!("{place}/{last}");
            note.stage = "remove".to_owned();
            talk.of_repo("DELETE", &path, None, &note)
        }
    })
}

/// Removes the first of `place` that is meant: there is one at most.
pub fn one(
    talk: &Talk,
    place: &str,
    [listing, removing]: [&str; 2],
    heard: Heard,
    is_meant: impl Fn(&Value) -> bool,
) -> Result<Next, Refusal> {
    let Some((mut note, answer)) = heard else {
        return Ok(talk.list(place, Note::at("list")));
    };
    match note.stage.as_str() {
        "list" => {
            let (there, more) = talk.page(&answer, &mut note, listing)?;
            let known = there.iter().find(|known| is_meant(known));
            Ok(match known.and_then(id) {
                Some(id) => remove(talk, place, id),
                None if more => talk.list(place, note),
                None => Next::Done(Done::Absent),
            })
        }
        "remove" => {
            is_gone(talk, &answer, removing)?;
            Ok(Next::Done(Done::Absent))
        }
        _ => Err(lost(&note)),
    }
}

/// Asks for one of `place` to be removed.
pub fn remove(talk: &Talk, place: &str, id: u64) -> Next {
    talk.of_repo(
        "DELETE",
        &format!("{place}/{id}"),
        None,
        &Note::at("remove"),
    )
}

/// Whether it is gone, by an answer to having it removed.
pub(crate) fn is_gone(talk: &Talk, answer: &Answer, removing: &str) -> Result<(), Refusal> {
    talk.json(answer, &[204, 404], removing).map(drop)
}
