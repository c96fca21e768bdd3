//! The status beside a commit. GitLab keeps one of each name, and moves it from state to state as it does jobs.

use provider::{
    CommitState, CommitStatus, Done, Heard, Next, Note, Refusal, Talk, escaped, id, lost, no,
};
use serde_json::{Value, json};

pub(crate) fn step(talk: &Talk, status: &CommitStatus, heard: Heard) -> Result<Next, Refusal> {
    let Some((mut note, answer)) = heard else {
        let path = format!(
            "repository/commits/{}/statuses?name={}",
            escaped(&status.commit),
            escaped(&status.context)
        );
        return Ok(talk.list(&path, Note::at("list")));
    };
    match note.stage.as_str() {
        "list" => {
            let (known, _) = talk.page(&answer, &mut note, "listing the commit's statuses")?;
            let ours = known
                .iter()
                .filter(|known| known["name"] == *status.context);
            let latest = ours.max_by_key(|known| id(known));
            let same = latest.filter(|latest| latest["status"] == word(status.state));
            match latest.filter(|latest| is(latest, status)).and_then(id) {
                Some(id) => Ok(present(id)),
                None => Ok(tell(talk, status, same.and_then(id))),
            }
        }
        "tell" => {
            // GitLab moves no status to the state that it is in, whatever else is told of it.
            let stays = answer.status == 400 && answer.body.contains("Cannot transition");
            if let (true, Some(id)) = (stays, note.ids.first()) {
                return Ok(present(*id));
            }
            let made = talk.json(&answer, &[201], "setting the commit's status")?;
            let id = id(&made).ok_or_else(|| no("GitLab made a status without an id"))?;
            Ok(present(id))
        }
        _ => Err(lost(&note)),
    }
}

fn present(id: u64) -> Next {
    Next::Done(Done::Present(id.to_string()))
}

/// `same` is the status that is there in this state already.
fn tell(talk: &Talk, status: &CommitStatus, same: Option<u64>) -> Next {
    let mut wanted = json!({
        "state": word(status.state), "name": status.context, "description": short(status),
    });
    if !status.target_url.is_empty() {
        wanted["target_url"] = json!(status.target_url);
    }
    let note = match same {
        Some(id) => Note::of("tell", id),
        None => Note::at("tell"),
    };
    let path = format!("statuses/{}", escaped(&status.commit));
    talk.of_repo("POST", &path, Some(&wanted), &note)
}

fn is(known: &Value, status: &CommitStatus) -> bool {
    let text = |name: &str| known[name].as_str().unwrap_or_default();
    text("status") == word(status.state)
        && text("description") == short(status)
        && text("target_url") == status.target_url
}

/// How much of a description GitLab takes.
fn short(status: &CommitStatus) -> String {
    status.description.chars().take(255).collect()
}

fn word(state: CommitState) -> &'static str {
    match state {
        CommitState::Pending => "pending",
        CommitState::Success => "success",
        CommitState::Failure | CommitState::Error => "failed",
    }
}
