//! Requests that are open for a branch, what was changed last first: two hundred are looked through at most.
//!
//! It deliberately knows no fields of a forge's: what is listed, and how one of them reads, the guest says.

use serde_json::{Value, json};

use crate::{Done, Heard, Next, Note, OpenPullRequest, Refusal, Talk, lost};

/// How many are looked through.
const MOST: u64 = 200;

/// What the world reads of one: its number, its commit, and whether it comes from another repository.
pub type Read<'v> = (u64, &'v str, bool);

/// Lists those at `path`, which are for the branch `base`; `reference` is where git finds one by its number.
pub fn requests(
    talk: &Talk,
    (path, listing): (&str, &str),
    base: &str,
    heard: Heard,
    read: impl Fn(&Value) -> Option<Read<'_>>,
    reference: impl Fn(u64) -> String,
) -> Result<Next, Refusal> {
    let Some((mut note, answer)) = heard else {
        return Ok(talk.list(path, Note::at("list")));
    };
    if note.stage != "list" {
        return Err(lost(&note));
    }
    let (open, more) = talk.page(&answer, &mut note, listing)?;
    let said = open.iter().filter_map(read);
    let said = said.map(|(number, head, fork)| json!([number, head, fork]).to_string());
    note.names.extend(said);
    if more && note.page * talk.pages.1 < MOST {
        return Ok(talk.list(path, note));
    }
    let all = note.names.iter().filter_map(|said| {
        let said: Value = serde_json::from_str(said).ok()?;
        let number = said[0].as_u64()?;
        Some(OpenPullRequest {
            number,
            head: said[1].as_str()?.to_owned(),
            reference: reference(number),
            base: base.to_owned(),
            fork: said[2] != false,
        })
    });
    Ok(Next::Done(Done::PullRequests(all.collect())))
}
