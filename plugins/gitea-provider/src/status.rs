//! The status beside a commit.

use serde_json::{Value, json};

use crate::exports::reeve::plugin::provide::{CommitState, CommitStatus, Done, Next, Refusal};
use crate::talk::{Gitea, Note, escaped, id, no};
use crate::{Heard, lost};

pub(crate) fn step(gitea: &Gitea, status: &CommitStatus, heard: Heard) -> Result<Next, Refusal> {
    let Some((mut note, answer)) = heard else {
        let path = format!(
            "commits/{}/statuses?sort=recentupdate",
            escaped(&status.commit)
        );
        return Ok(gitea.list(&path, Note::at("list")));
    };
    match note.stage.as_str() {
        "list" => {
            // The newest come first, but those of one second in any order. What is not among them is
            // told once more, which does no harm.
            let (known, _) = gitea.page(&answer, &mut note, "listing the commit's statuses")?;
            let ours = known
                .iter()
                .filter(|known| known["context"] == *status.context);
            let latest = ours.max_by_key(|known| id(known));
            match latest.filter(|latest| is(latest, status)).and_then(id) {
                Some(id) => Ok(Next::Done(Done::Present(id.to_string()))),
                None => Ok(tell(gitea, status)),
            }
        }
        "tell" => {
            let made = gitea.json(&answer, &[201], "setting the commit's status")?;
            let id = id(&made).ok_or_else(|| no("Gitea made a status without an id"))?;
            Ok(Next::Done(Done::Present(id.to_string())))
        }
        _ => Err(lost(&note)),
    }
}

fn tell(gitea: &Gitea, status: &CommitStatus) -> Next {
    let wanted = json!({
        "state": word(status.state), "context": status.context,
        "description": status.description, "target_url": status.target_url,
    });
    let path = format!("statuses/{}", escaped(&status.commit));
    gitea.of_repo("POST", &path, Some(wanted), &Note::at("tell"))
}

fn is(known: &Value, status: &CommitStatus) -> bool {
    known["status"] == word(status.state)
        && known["description"] == *status.description
        && known["target_url"] == *status.target_url
}

fn word(state: CommitState) -> &'static str {
    match state {
        CommitState::Pending => "pending",
        CommitState::Success => "success",
        CommitState::Failure => "failure",
        CommitState::Error => "error",
    }
}
