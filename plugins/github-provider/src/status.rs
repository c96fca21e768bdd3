//! The status beside a commit.

use provider::{
    CommitState, CommitStatus, Done, Heard, Next, Note, Refusal, Talk, escaped, id, lost, no,
};
use serde_json::{Value, json};

/// How much of a description GitHub takes.
const LONGEST: usize = 140;

pub(crate) fn step(talk: &Talk, status: &CommitStatus, heard: Heard) -> Result<Next, Refusal> {
    let Some((mut note, answer)) = heard else {
        let path = format!("commits/{}/statuses", escaped(&status.commit));
        return Ok(talk.list(&path, Note::at("list")));
    };
    match note.stage.as_str() {
        "list" => {
            // The newest come first. What is not among a hundred is told once more, which does no harm.
            let (known, _) = talk.page(&answer, &mut note, "listing the commit's statuses")?;
            let mut ours = known
                .iter()
                .filter(|known| known["context"] == *status.context);
            match ours.next().filter(|latest| is(latest, status)).and_then(id) {
                Some(id) => Ok(Next::Done(Done::Present(id.to_string()))),
                None => Ok(tell(talk, status)),
            }
        }
        "tell" => {
            let made = talk.json(&answer, &[201], "setting the commit's status")?;
            let id = id(&made).ok_or_else(|| no("GitHub made a status without an id"))?;
            Ok(Next::Done(Done::Present(id.to_string())))
        }
        _ => Err(lost(&note)),
    }
}

fn tell(talk: &Talk, status: &CommitStatus) -> Next {
    let mut wanted = json!({
        "state": word(status.state), "context": status.context, "description": short(status),
    });
    if !status.target_url.is_empty() {
        wanted["target_url"] = json!(status.target_url);
    }
    let path = format!("statuses/{}", escaped(&status.commit));
    talk.of_repo("POST", &path, Some(&wanted), &Note::at("tell"))
}

fn is(known: &Value, status: &CommitStatus) -> bool {
    let text = |name: &str| known[name].as_str().unwrap_or_default();
    text("state") == word(status.state)
        && text("description") == short(status)
        && text("target_url") == status.target_url
}

fn short(status: &CommitStatus) -> String {
    status.description.chars().take(LONGEST).collect()
}

fn word(state: CommitState) -> &'static str {
    match state {
        CommitState::Pending => "pending",
        CommitState::Success => "success",
        CommitState::Failure => "failure",
        CommitState::Error => "error",
    }
}
