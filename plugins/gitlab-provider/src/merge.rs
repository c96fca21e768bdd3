//! A merge request from a branch: opened, or brought up to date.

use provider::{
    Done, Heard, Next, Note, PullRequest, PullRequestState, Refusal, Talk, escaped, lost, no,
};
use serde_json::{Value, json};

pub(crate) fn step(talk: &Talk, pull: &PullRequest, heard: Heard) -> Result<Next, Refusal> {
    let Some((mut note, answer)) = heard else {
        return Ok(look(talk, pull, Note::at("list")));
    };
    match note.stage.as_str() {
        "list" => {
            let (open, more) = talk.page(&answer, &mut note, "listing the merge requests")?;
            match open.iter().find(|known| is_from(known, &pull.head)) {
                Some(known) => update(talk, pull, known),
                None if more => Ok(look(talk, pull, note)),
                // It was said to be there, and is not among those that are open.
                None if note.fits => Err(no(
                    "GitLab says that a merge request from this branch is there, and lists none",
                )),
                None => Ok(open_one(talk, pull)),
            }
        }
        // Somebody was faster.
        "open" if answer.status == 409 => {
            let note = Note {
                fits: true,
                ..Note::at("list")
            };
            Ok(look(talk, pull, note))
        }
        "open" => {
            let made = talk.json(&answer, &[201], "opening the merge request")?;
            done(&made)
        }
        "update" => {
            let known = talk.json(&answer, &[200], "updating the merge request")?;
            done(&known)
        }
        _ => Err(lost(&note)),
    }
}

fn look(talk: &Talk, pull: &PullRequest, note: Note) -> Next {
    let head = escaped(&pull.head);
    let path = format!("merge_requests?state=opened&source_branch={head}");
    talk.list(&path, note)
}

fn open_one(talk: &Talk, pull: &PullRequest) -> Next {
    let mut wanted = json!({
        "source_branch": pull.head, "target_branch": pull.base,
        "title": pull.title, "description": pull.body,
    });
    if !pull.labels.is_empty() {
        wanted["labels"] = json!(pull.labels.join(","));
    }
    talk.of_repo("POST", "merge_requests", Some(&wanted), &Note::at("open"))
}

/// Whether it is from that branch of this project, not from a fork's of the same name.
fn is_from(known: &Value, head: &str) -> bool {
    known["source_branch"] == *head && known["source_project_id"] == known["target_project_id"]
}

fn update(talk: &Talk, pull: &PullRequest, known: &Value) -> Result<Next, Refusal> {
    let mut change = json!({});
    let wanted = [
        ("title", &pull.title),
        ("description", &pull.body),
        ("target_branch", &pull.base),
    ];
    for (name, want) in wanted {
        if known[name].as_str().unwrap_or_default() != want {
            change[name] = json!(want);
        }
    }
    let has = known["labels"].as_array().into_iter().flatten();
    let has: Vec<&str> = has.filter_map(Value::as_str).collect();
    let lacking = pull.labels.iter();
    let lacking: Vec<&str> = lacking
        .map(String::as_str)
        .filter(|name| !has.contains(name))
        .collect();
    if !lacking.is_empty() {
        // GitLab makes those that the project does not have.
        change["add_labels"] = json!(lacking.join(","));
    }
    if change == json!({}) {
        return done(known);
    }
    let path = format!("merge_requests/{}", number(known)?);
    Ok(talk.of_repo("PUT", &path, Some(&change), &Note::at("update")))
}

/// Its number in the project, not GitLab's own for it.
fn number(known: &Value) -> Result<u64, Refusal> {
    known["iid"]
        .as_u64()
        .ok_or_else(|| no("GitLab answered with a merge request without a number"))
}

fn done(known: &Value) -> Result<Next, Refusal> {
    Ok(Next::Done(Done::PullRequest(PullRequestState {
        number: number(known)?,
        url: known["web_url"].as_str().unwrap_or_default().to_owned(),
    })))
}
