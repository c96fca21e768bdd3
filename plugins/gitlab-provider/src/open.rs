//! Merge requests that are open for a branch, what was changed last first: two pages of them at most.

use provider::{Done, Heard, Next, Note, OpenPullRequest, Refusal, Talk, escaped, lost};
use serde_json::{Value, json};

/// How many pages are looked through.
const PAGES: u64 = 2;

pub(crate) fn step(talk: &Talk, base: &str, heard: Heard) -> Result<Next, Refusal> {
    let path = format!(
        "merge_requests?state=opened&target_branch={}&order_by=updated_at&sort=desc",
        escaped(base)
    );
    let Some((mut note, answer)) = heard else {
        return Ok(talk.list(&path, Note::at("list")));
    };
    if note.stage != "list" {
        return Err(lost(&note));
    }
    let (open, more) = talk.page(&answer, "listing the merge requests")?;
    let said = open.iter().filter_map(|known| {
        let (number, head) = (known["iid"].as_u64()?, known["sha"].as_str()?);
        // A project that is gone was another one.
        let home = &known["target_project_id"];
        let fork = home.is_null() || known["source_project_id"] != *home;
        Some(json!([number, head, fork]).to_string())
    });
    note.names.extend(said);
    if more && note.page < PAGES {
        return Ok(talk.list(&path, note));
    }
    let all = note.names.iter().filter_map(|said| read(said, base));
    Ok(Next::Done(Done::PullRequests(all.collect())))
}

/// What was noted of one.
fn read(said: &str, base: &str) -> Option<OpenPullRequest> {
    let said: Value = serde_json::from_str(said).ok()?;
    let number = said[0].as_u64()?;
    Some(OpenPullRequest {
        number,
        head: said[1].as_str()?.to_owned(),
        reference: format!("refs/merge-requests/{number}/head"),
        base: base.to_owned(),
        fork: said[2] != false,
    })
}
