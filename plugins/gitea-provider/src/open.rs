//! The pull requests that are open for a branch.

use provider::{Heard, Next, Refusal, Talk, escaped, open};
use serde_json::Value;

pub(crate) fn step(talk: &Talk, base: &str, heard: Heard) -> Result<Next, Refusal> {
    // Gitea filters by the base only since 1.24, and ignores what it does not know.
    let path = format!(
        "pulls?state=open&sort=recentupdate&base_branch={}",
        escaped(base)
    );
    let wanted = (path.as_str(), "listing the pull requests");
    let reference = |number| format!("refs/pull/{number}/head");
    open::requests(
        talk,
        wanted,
        base,
        heard,
        |known| read(known, base),
        reference,
    )
}

fn read<'v>(known: &'v Value, base: &str) -> Option<open::Read<'v>> {
    if known["base"]["ref"] != *base {
        return None;
    }
    let (number, head) = (known["number"].as_u64()?, known["head"]["sha"].as_str()?);
    // Of a fork that is gone there is no repository any more.
    let home = &known["base"]["repo_id"];
    Some((
        number,
        head,
        home.is_null() || known["head"]["repo_id"] != *home,
    ))
}
