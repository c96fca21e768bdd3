//! Pull requests that are open for a branch.

use provider::{Heard, Next, Refusal, Talk, escaped, open};
use serde_json::Value;

pub(crate) fn step(talk: &Talk, base: &str, heard: Heard) -> Result<Next, Refusal> {
    let path = format!(
        "pulls?state=open&base={}&sort=updated&direction=desc",
        escaped(base)
    );
    let wanted = (path.as_str(), "listing the pull requests");
    open::requests(talk, wanted, base, heard, read, |number| {
        format!("refs/pull/{number}/head")
    })
}

fn read(known: &Value) -> Option<open::Read<'_>> {
    let (number, head) = (known["number"].as_u64()?, known["head"]["sha"].as_str()?);
    // A repository that is gone was another one.
    let home = &known["base"]["repo"]["id"];
    Some((
        number,
        head,
        home.is_null() || known["head"]["repo"]["id"] != *home,
    ))
}
