//! Requests that are open from a branch and are not wanted any more: looked for, and closed.
//!
//! It deliberately knows no fields of a forge's: where they are listed, which are meant, and how one is closed, the guest says.

use serde_json::Value;

use crate::{Done, Heard, Next, Note, Refusal, Talk, lost, no};

/// How requests are called at a forge, and how one is closed.
pub struct Closing<'a> {
    /// Where those that are open are listed: `pulls?state=open`.
    pub open: &'a str,
    /// Where one of them is, before its number: `pulls`.
    pub place: &'a str,
    /// The field that holds the number.
    pub number: &'a str,
    /// The method and the body that close one.
    pub closes: (&'a str, Value),
    /// What is done, for people: listing, and closing.
    pub doing: [&'a str; 2],
}

/// Closes all that are meant, however many there are.
pub fn all(
    talk: &Talk,
    closing: &Closing<'_>,
    heard: Heard,
    is_meant: impl Fn(&Value) -> bool,
) -> Result<Next, Refusal> {
    let Some((mut note, answer)) = heard else {
        return Ok(talk.list(closing.open, Note::at("list")));
    };
    let [listing, doing] = closing.doing;
    match note.stage.as_str() {
        "list" => {
            let (open, more) = talk.page(&answer, &mut note, listing)?;
            for known in open.iter().filter(|known| is_meant(known)) {
                let number = known[closing.number].as_u64();
                let unnamed = || no(format!("{} lists a request without a number", talk.forge));
                note.ids.push(number.ok_or_else(unnamed)?);
            }
            if more {
                return Ok(talk.list(closing.open, note));
            }
        }
        "close" => {
            talk.json(&answer, &[200, 201], doing)?;
            note.ids.pop();
        }
        _ => return Err(lost(&note)),
    }
    Ok(match note.ids.last() {
        None => Next::Done(Done::Absent),
        Some(last) => {
            let path = format!("{}/{last}", closing.place);
            let (method, body) = &closing.closes;
            note.stage = "close".to_owned();
            talk.of_repo(method, &path, Some(body), &note)
        }
    })
}
