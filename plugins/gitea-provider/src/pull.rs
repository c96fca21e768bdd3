//! A pull request from a branch: opened, brought up to date, or closed.
//!
//! Who is to review is looked up before it is opened: one who is not there, or may not see it, ends it. Once it is open nobody
//! would be told of that but once.

use provider::close::{self, Closing};
use provider::{
    Answer, Done, Heard, Next, Note, PullRequest, PullRequestState, Refusal, Talk, escaped, lost,
    no,
};
use serde_json::{Value, json};

const OPEN: &str = "pulls?state=open";

pub(crate) fn step(talk: &Talk, pull: &PullRequest, heard: Heard) -> Result<Next, Refusal> {
    let Some((mut note, answer)) = heard else {
        return Ok(talk.list(OPEN, Note::at("list")));
    };
    match note.stage.as_str() {
        "list" => {
            let (open, more) = talk.page(&answer, &mut note, "listing the pull requests")?;
            match open.iter().find(|known| is_from(known, &pull.head)) {
                Some(known) => update(talk, pull, known),
                None if more => Ok(talk.list(OPEN, note)),
                None => Ok(open_one(talk, pull, Note::at("who"))),
            }
        }
        "who" => {
            let name = people(pull).nth(note.names.len()).unwrap_or_default();
            // A token that may write, and administers nothing, is not told.
            if answer.status != 403 {
                may_see(talk, name, &answer)?;
            }
            note.names.push(name.to_owned());
            Ok(open_one(talk, pull, note))
        }
        // Somebody was faster.
        "open" if answer.status == 409 => {
            let path = format!("pulls/{}/{}", escaped(&pull.base), escaped(&pull.head));
            Ok(talk.of_repo("GET", &path, None, &Note::at("find")))
        }
        "open" => {
            let made = talk.json(&answer, &[201], "opening the pull request")?;
            ask(talk, pull, &made)
        }
        "ask" => {
            talk.json(&answer, &[201], "asking for reviews of the pull request")?;
            labelled(talk, note)
        }
        "find" => {
            let known = talk.json(&answer, &[200], "finding the pull request")?;
            update(talk, pull, &known)
        }
        "update" => {
            let known = talk.json(&answer, &[200, 201], "updating the pull request")?;
            label(talk, pull, &known)
        }
        "label" | "make" => labels(talk, note, &answer),
        _ => Err(lost(&note)),
    }
}

/// Opens it once all are known who are to look at it; `note` holds the names of those who are.
fn open_one(talk: &Talk, pull: &PullRequest, note: Note) -> Next {
    if let Some(name) = people(pull).nth(note.names.len()) {
        let path = format!("collaborators/{}/permission", escaped(name));
        return talk.of_repo("GET", &path, None, &note);
    }
    let wanted = json!({
        "head": pull.head, "base": pull.base, "title": pull.title, "body": pull.body,
    });
    talk.of_repo("POST", "pulls", Some(&wanted), &Note::at("open"))
}

/// Those who are to look at it and are no teams.
fn people(pull: &PullRequest) -> impl Iterator<Item = &str> {
    let all = pull.reviewers.iter().map(String::as_str);
    all.filter(|name| !name.contains('/'))
}

/// Whether somebody may look at it, by what Gitea says of them.
fn may_see(talk: &Talk, name: &str, answer: &Answer) -> Result<(), Refusal> {
    if answer.status == 404 {
        return Err(no(format!("Gitea knows no user {name:?} who could review")));
    }
    let found = talk.json(answer, &[200], "looking for who is to review")?;
    match found["permission"] == "none" {
        true => {
            let repo = &talk.name;
            Err(no(format!("{name:?} is to review and may not read {repo}")))
        }
        false => Ok(()),
    }
}

/// Whether it is from that branch of this repository, not from a fork's of the same name.
fn is_from(known: &Value, head: &str) -> bool {
    known["head"]["ref"] == *head && known["head"]["repo_id"] == known["base"]["repo_id"]
}

fn update(talk: &Talk, pull: &PullRequest, known: &Value) -> Result<Next, Refusal> {
    let mut change = json!({});
    for (name, want) in [("title", &pull.title), ("body", &pull.body)] {
        if known[name].as_str().unwrap_or_default().trim_end() != want.trim_end() {
            change[name] = json!(want);
        }
    }
    if known["base"]["ref"] != *pull.base {
        change["base"] = json!(pull.base);
    }
    if change == json!({}) {
        return label(talk, pull, known);
    }
    let path = format!("pulls/{}", number(known)?);
    Ok(talk.of_repo("PATCH", &path, Some(&change), &Note::at("update")))
}

/// Closes those that are open from the branch.
pub(crate) fn absent(talk: &Talk, head: &str, heard: Heard) -> Result<Next, Refusal> {
    let closing = Closing {
        open: OPEN,
        place: "pulls",
        number: "number",
        closes: ("PATCH", json!({"state": "closed"})),
        doing: ["listing the pull requests", "closing the pull request"],
    };
    close::all(talk, &closing, heard, |known| is_from(known, head))
}

/// Asks people and teams to look at it, and then sets the labels.
fn ask(talk: &Talk, pull: &PullRequest, made: &Value) -> Result<Next, Refusal> {
    let mut note = of(pull, made)?;
    if pull.reviewers.is_empty() {
        return labelled(talk, note);
    }
    let (mut people, mut teams) = (Vec::new(), Vec::new());
    for name in &pull.reviewers {
        match name.split_once('/') {
            // The organisation is the repository's.
            Some((_, team)) => teams.push(team),
            None => people.push(name.as_str()),
        }
    }
    note.stage = "ask".to_owned();
    let path = format!("pulls/{}/requested_reviewers", number(made)?);
    let wanted = json!({"reviewers": people, "team_reviewers": teams});
    Ok(talk.of_repo("POST", &path, Some(&wanted), &note))
}

/// Sets the labels that it lacks; others stay.
fn label(talk: &Talk, pull: &PullRequest, known: &Value) -> Result<Next, Refusal> {
    labelled(talk, of(pull, known)?)
}

fn labelled(talk: &Talk, mut note: Note) -> Result<Next, Refusal> {
    if note.names.is_empty() {
        return done(&note);
    }
    note.stage = "label".to_owned();
    Ok(set(talk, &note))
}

/// What is to be kept in mind of it: its number, its page, and the labels that it lacks.
fn of(pull: &PullRequest, known: &Value) -> Result<Note, Refusal> {
    Ok(Note {
        url: known["html_url"].as_str().unwrap_or_default().to_owned(),
        names: lacking(&pull.labels, &known["labels"]),
        ..Note::of("label", number(known)?)
    })
}

/// Gitea leaves out labels that the repository does not have: those are made.
fn labels(talk: &Talk, mut note: Note, answer: &Answer) -> Result<Next, Refusal> {
    if note.stage == "make" {
        talk.json(answer, &[201], "making a label")?;
        note.todo.pop();
    } else {
        let has = talk.json(answer, &[200], "setting the labels")?;
        note.todo = lacking(&note.names, &has);
        match note.todo.first() {
            None => return done(&note),
            // They were made, and still are not there.
            Some(name) if note.fits => {
                return Err(no(format!("Gitea does not set the label {name:?}")));
            }
            Some(_) => note.fits = true,
        }
    }
    Ok(match note.todo.last() {
        Some(name) => {
            let wanted = json!({"name": name, "color": "#ededed"});
            note.stage = "make".to_owned();
            talk.of_repo("POST", "labels", Some(&wanted), &note)
        }
        None => {
            note.stage = "label".to_owned();
            set(talk, &note)
        }
    })
}

fn set(talk: &Talk, note: &Note) -> Next {
    let number = note.ids.first().copied().unwrap_or_default();
    let wanted = json!({"labels": note.names});
    talk.of_repo(
        "POST",
        &format!("issues/{number}/labels"),
        Some(&wanted),
        note,
    )
}

fn lacking(wanted: &[String], has: &Value) -> Vec<String> {
    let has: Vec<&str> = has
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|label| label["name"].as_str())
        .collect();
    let lacking = wanted.iter().filter(|name| !has.contains(&name.as_str()));
    lacking.cloned().collect()
}

fn number(known: &Value) -> Result<u64, Refusal> {
    known["number"]
        .as_u64()
        .ok_or_else(|| no("Gitea answered with a pull request without a number"))
}

fn done(note: &Note) -> Result<Next, Refusal> {
    Ok(Next::Done(Done::PullRequest(PullRequestState {
        number: note.ids.first().copied().unwrap_or_default(),
        url: note.url.clone(),
    })))
}
