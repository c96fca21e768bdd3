//! The pull requests that are open for a branch.

use serde_json::Value;

use crate::exports::reeve::plugin::provide::{Done, Next, OpenPullRequest, Refusal};
use crate::talk::{Gitea, Note, escaped, no};
use crate::{Heard, lost};

/// How many are named at most, and on how many pages they are looked for.
const MOST: usize = 200;
const PAGES: u64 = 4;

pub(crate) fn step(gitea: &Gitea, base: &str, heard: Heard) -> Result<Next, Refusal> {
    // Gitea filters by the base only since 1.24, and ignores what it does not know.
    let path = format!(
        "pulls?state=open&sort=recentupdate&base_branch={}",
        escaped(base)
    );
    let Some((mut note, answer)) = heard else {
        return Ok(gitea.list(&path, Note::at("list")));
    };
    if note.stage != "list" {
        return Err(lost(&note));
    }
    let (open, more) = gitea.page(&answer, &mut note, "listing the pull requests")?;
    for known in open.iter().filter(|known| known["base"]["ref"] == *base) {
        if note.open.len() < MOST {
            note.open.push(told(known)?);
        }
    }
    if more && note.page < PAGES && note.open.len() < MOST {
        return Ok(gitea.list(&path, note));
    }
    let all = note.open.iter().map(read).collect::<Option<Vec<_>>>();
    let all = all.ok_or_else(|| lost(&note))?;
    Ok(Next::Done(Done::PullRequests(all)))
}

/// What of a request is kept until all pages are there.
fn told(known: &Value) -> Result<Value, Refusal> {
    let (number, head) = (known["number"].as_u64(), known["head"]["sha"].as_str());
    let (Some(number), Some(head)) = (number, head) else {
        return Err(no("Gitea lists a pull request without a number or a head"));
    };
    // Of a fork that is gone there is no repository any more.
    let own =
        known["head"]["repo_id"].is_u64() && known["head"]["repo_id"] == known["base"]["repo_id"];
    Ok(serde_json::json!([
        number,
        head,
        known["base"]["ref"],
        !own
    ]))
}

fn read(told: &Value) -> Option<OpenPullRequest> {
    let number = told[0].as_u64()?;
    Some(OpenPullRequest {
        number,
        head: told[1].as_str()?.to_owned(),
        reference: format!("refs/pull/{number}/head"),
        base: told[2].as_str()?.to_owned(),
        fork: told[3].as_bool()?,
    })
}
