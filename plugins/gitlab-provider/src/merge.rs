//! A merge request from a branch: opened, brought up to date, or closed.
//!
//! GitLab asks people by their numbers, so those are looked up before it is opened. A person who is not there ends it.

use provider::close::{self, Closing};
use provider::{
    Done, Heard, Next, Note, PullRequest, PullRequestState, Refusal, Talk, escaped, id, lost, no,
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
                None => Ok(open_one(talk, pull, Note::at("who"))),
            }
        }
        "who" => {
            let found = talk.json(&answer, &[200], "looking for who is to review")?;
            let name = pull.reviewers.get(note.ids.len());
            let name = name.map(String::as_str).unwrap_or_default();
            let named = found.as_array().into_iter().flatten();
            let mut named = named.filter(|user| user["username"] == *name);
            let number = named.next().and_then(id);
            let number = number.ok_or_else(|| no(format!("GitLab knows no user {name:?}")))?;
            note.ids.push(number);
            Ok(open_one(talk, pull, note))
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

/// Closes those that are open from the branch.
pub(crate) fn absent(talk: &Talk, head: &str, heard: Heard) -> Result<Next, Refusal> {
    let closing = Closing {
        open: &open_from(head),
        place: "merge_requests",
        number: "iid",
        closes: ("PUT", json!({"state_event": "close"})),
        doing: ["listing the merge requests", "closing the merge request"],
    };
    close::all(talk, &closing, heard, |known| is_from(known, head))
}

fn look(talk: &Talk, pull: &PullRequest, note: Note) -> Next {
    talk.list(&open_from(&pull.head), note)
}

fn open_from(head: &str) -> String {
    let head = escaped(head);
    format!("merge_requests?state=opened&source_branch={head}")
}

/// Opens it once all are known who are to review it; `note` holds the numbers of those who are.
fn open_one(talk: &Talk, pull: &PullRequest, note: Note) -> Next {
    if let Some(name) = pull.reviewers.get(note.ids.len()) {
        let path = format!("users?username={}", escaped(name));
        return talk.ask("GET", &path, None, &note);
    }
    let mut wanted = json!({
        "source_branch": pull.head, "target_branch": pull.base,
        "title": pull.title, "description": pull.body,
    });
    if !pull.labels.is_empty() {
        wanted["labels"] = json!(pull.labels.join(","));
    }
    if !note.ids.is_empty() {
        wanted["reviewer_ids"] = json!(note.ids);
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
