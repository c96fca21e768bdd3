//! Merge requests that are open for a branch.

use provider::{Heard, Next, Refusal, Talk, escaped, open};
use serde_json::Value;

pub(crate) fn step(talk: &Talk, base: &str, heard: Heard) -> Result<Next, Refusal> {
    let path = format!(
        "merge_requests?state=opened&target_branch={}&order_by=updated_at&sort=desc",
        escaped(base)
    );
    let wanted = (path.as_str(), "listing the merge requests");
    open::requests(talk, wanted, base, heard, read, |number| {
        format!("refs/merge-requests/{number}/head")
    })
}

fn read(known: &Value) -> Option<open::Read<'_>> {
    let (number, head) = (known["iid"].as_u64()?, known["sha"].as_str()?);
    // A project that is gone was another one.
    let home = &known["target_project_id"];
    Some((
        number,
        head,
        home.is_null() || known["source_project_id"] != *home,
    ))
}
