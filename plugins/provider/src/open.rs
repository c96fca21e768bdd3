//! Requests that are open for a branch, what was changed last first.
//!
//! No forge lists a repository's own requests without those from forks, of which anybody may open any number: so pages are looked
//! through until two hundred of its own are found, a thousand requests at most, and those from forks fill what is left. What is left
//! out is said. It deliberately knows no fields of a forge's: what is listed, and how one of them reads, the guest says.

use serde_json::{Value, json};

use crate::reeve::plugin::log::{Level, log};
use crate::{Done, Heard, Next, Note, OpenPullRequest, Refusal, Talk, lost};

/// How many are told.
const MOST: usize = 200;
/// How many are looked through.
const LOOKED_AT: u64 = 1000;

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
    for (number, head, fork) in open.iter().filter_map(read) {
        let said = json!([number, head]).to_string();
        match fork {
            false => note.names.push(said),
            true if note.todo.len() < MOST => note.todo.push(said),
            // Which it is matters to nobody: they are counted.
            true => note.ids.push(number),
        }
    }
    let looked_at = note.page * talk.pages.1;
    if more && note.names.len() < MOST && looked_at < LOOKED_AT {
        return Ok(talk.list(path, note));
    }
    let own = note.names.iter().map(|said| (said, false));
    let forks = note.todo.iter().map(|said| (said, true));
    let all = own.chain(forks).take(MOST).filter_map(|(said, fork)| {
        let said: Value = serde_json::from_str(said).ok()?;
        let number = said[0].as_u64()?;
        Some(OpenPullRequest {
            number,
            head: said[1].as_str()?.to_owned(),
            reference: reference(number),
            base: base.to_owned(),
            fork,
        })
    });
    let all: Vec<OpenPullRequest> = all.collect();
    let room = MOST.saturating_sub(note.names.len());
    let forks = note.ids.len() + note.todo.len().saturating_sub(room);
    left_out(
        note.names.len().saturating_sub(MOST),
        forks,
        more,
        looked_at,
    );
    Ok(Next::Done(Done::PullRequests(all)))
}

/// Says that not all are told, if that is so: of the repository's own as a warning, since nobody expects that.
fn left_out(own: usize, forks: usize, more: bool, looked_at: u64) {
    if own > 0 {
        let words =
            format!("{own} open requests are left out: those that were changed longest ago");
        log(Level::Warn, &words);
    }
    if more {
        let words = format!(
            "open requests are left out: those beyond the {looked_at} that were changed last"
        );
        log(Level::Warn, &words);
    }
    if forks > 0 {
        let words = format!(
            "{forks} open requests from forks are left out: those that were changed longest ago"
        );
        log(Level::Info, &words);
    }
}
