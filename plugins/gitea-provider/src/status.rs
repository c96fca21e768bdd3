//! The status beside a commit.

use provider::{CommitState, CommitStatus, Heard, Next, Note, Refusal, Talk, escaped, id, lost};
use serde_json::{Value, json};

pub(crate) fn step(talk: &Talk, status: &CommitStatus, heard: Heard) -> Result<Next, Refusal> {
    let Some((mut note, answer)) = heard else {
        let path = format!(
            "commits/{}/statuses?sort=recentupdate",
            escaped(&status.commit)
        );
        return Ok(talk.list(&path, Note::at("list")));
    };
    match note.stage.as_str() {
        "list" => {
            // The newest come first, but those of one second in any order. What is not among them is
            // told once more, which does no harm.
            let (known, _) = talk.page(&answer, &mut note, "listing the commit's statuses")?;
            let ours = known
                .iter()
                .filter(|known| known["context"] == *status.context);
            let latest = ours.max_by_key(|known| id(known));
            match latest.filter(|latest| is(latest, status)) {
                Some(latest) => talk.present(latest, "a status"),
                None => Ok(tell(talk, status)),
            }
        }
        "tell" => {
            let made = talk.json(&answer, &[201], "setting the commit's status")?;
            talk.present(&made, "a status")
        }
        _ => Err(lost(&note)),
    }
}

fn tell(talk: &Talk, status: &CommitStatus) -> Next {
    let wanted = json!({
        "state": word(status.state), "context": status.context,
        "description": status.description, "target_url": status.target_url,
    });
    let path = format!("statuses/{}", escaped(&status.commit));
    talk.of_repo("POST", &path, Some(&wanted), &Note::at("tell"))
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
