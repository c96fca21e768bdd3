//! A pull request from a branch: opened, brought up to date, or closed.
//!
//! GitHub asks collaborators only, so those who are to review are looked up before it is opened: one who is none ends it. Once it is
//! open nobody would be told of that but once.

use provider::close::{self, Closing};
use provider::{
    Answer, Done, Heard, Next, Note, PullRequest, PullRequestState, Refusal, Talk, escaped, lost,
    no,
};
use serde_json::{Value, json};

pub(crate) fn step(talk: &Talk, pull: &PullRequest, heard: Heard) -> Result<Next, Refusal> {
    let Some((mut note, answer)) = heard else {
        return Ok(look(talk, pull, Note::at("list")));
    };
    match note.stage.as_str() {
        "list" => {
            let (open, more) = talk.page(&answer, &mut note, "listing the pull requests")?;
            match open.iter().find(|known| is_from(known, &pull.head)) {
                Some(known) => update(talk, pull, known),
                None if more => Ok(look(talk, pull, note)),
                // It was said to be there, and is not among those that are open.
                None if note.fits => Err(no(
                    "GitHub says that a pull request from this branch is there, and lists none",
                )),
                None => Ok(open_one(talk, pull, Note::at("who"))),
            }
        }
        "who" => {
            let name = people(pull).nth(note.names.len()).unwrap_or_default();
            may_review(talk, name, &answer)?;
            note.names.push(name.to_owned());
            Ok(open_one(talk, pull, note))
        }
        // Somebody was faster.
        "open" if answer.status == 422 && answer.body.contains("already exists") => {
            let note = Note {
                fits: true,
                ..Note::at("list")
            };
            Ok(look(talk, pull, note))
        }
        "open" => {
            let made = talk.json(&answer, &[201], "opening the pull request")?;
            match ask(talk, pull, &made)? {
                Some(next) => Ok(next),
                None => label(talk, pull, &made),
            }
        }
        "ask" => {
            let asked = talk.json(&answer, &[201], "asking for reviews of the pull request")?;
            label(talk, pull, &asked)
        }
        "update" => {
            let known = talk.json(&answer, &[200], "updating the pull request")?;
            label(talk, pull, &known)
        }
        "label" => {
            // GitHub makes those that the repository does not have.
            talk.json(&answer, &[200], "setting the labels")?;
            done(note.ids.first().copied().unwrap_or_default(), note.url)
        }
        _ => Err(lost(&note)),
    }
}

/// Refused, if GitHub says that somebody is no collaborator.
fn may_review(talk: &Talk, name: &str, answer: &Answer) -> Result<(), Refusal> {
    match answer.status {
        404 => {
            let repo = &talk.name;
            Err(no(format!(
                "{name:?} is to review and is no collaborator of {repo} at GitHub"
            )))
        }
        // Who may write, and not see who else may, is not told.
        403 => Ok(()),
        _ => talk
            .json(answer, &[204], "looking for who is to review")
            .map(drop),
    }
}

/// Closes those that are open from the branch.
pub(crate) fn absent(talk: &Talk, head: &str, heard: Heard) -> Result<Next, Refusal> {
    let closing = Closing {
        open: &open_from(talk, head),
        place: "pulls",
        number: "number",
        closes: ("PATCH", json!({"state": "closed"})),
        doing: ["listing the pull requests", "closing the pull request"],
    };
    close::all(talk, &closing, heard, |known| is_from(known, head))
}

fn look(talk: &Talk, pull: &PullRequest, note: Note) -> Next {
    talk.list(&open_from(talk, &pull.head), note)
}

fn open_from(talk: &Talk, head: &str) -> String {
    let owner = talk.name.split('/').next().unwrap_or_default();
    let head = escaped(&format!("{owner}:{head}"));
    format!("pulls?state=open&head={head}")
}

/// Asks people and teams to look at it; nothing where nobody is named.
fn ask(talk: &Talk, pull: &PullRequest, made: &Value) -> Result<Option<Next>, Refusal> {
    if pull.reviewers.is_empty() {
        return Ok(None);
    }
    let (mut people, mut teams) = (Vec::new(), Vec::new());
    for name in &pull.reviewers {
        match name.split_once('/') {
            // The organisation is the repository's: GitHub asks no other's teams.
            Some((_, team)) => teams.push(team),
            None => people.push(name.as_str()),
        }
    }
    let number = number(made)?;
    let path = format!("pulls/{number}/requested_reviewers");
    let wanted = json!({"reviewers": people, "team_reviewers": teams});
    let note = Note::of("ask", number);
    Ok(Some(talk.of_repo("POST", &path, Some(&wanted), &note)))
}

/// Opens it once all are known who are to look at it; `note` holds the names of those who are.
fn open_one(talk: &Talk, pull: &PullRequest, note: Note) -> Next {
    if let Some(name) = people(pull).nth(note.names.len()) {
        let path = format!("collaborators/{}", escaped(name));
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

/// Whether it is from that branch of this repository, not from a fork's of the same name.
fn is_from(known: &Value, head: &str) -> bool {
    known["head"]["ref"] == *head && known["head"]["repo"]["id"] == known["base"]["repo"]["id"]
}

fn update(talk: &Talk, pull: &PullRequest, known: &Value) -> Result<Next, Refusal> {
    let mut change = json!({});
    for (name, want) in [("title", &pull.title), ("body", &pull.body)] {
        if known[name].as_str().unwrap_or_default() != want {
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

/// Sets the labels that it does not have.
fn label(talk: &Talk, pull: &PullRequest, known: &Value) -> Result<Next, Refusal> {
    let has = known["labels"].as_array().into_iter().flatten();
    let has: Vec<&str> = has.filter_map(|label| label["name"].as_str()).collect();
    let lacking = pull.labels.iter();
    let lacking: Vec<&String> = lacking
        .filter(|name| !has.contains(&name.as_str()))
        .collect();
    let (number, url) = (number(known)?, page(known));
    if lacking.is_empty() {
        return done(number, url);
    }
    let note = Note {
        url,
        ..Note::of("label", number)
    };
    let path = format!("issues/{number}/labels");
    Ok(talk.of_repo("POST", &path, Some(&json!({"labels": lacking})), &note))
}

fn number(known: &Value) -> Result<u64, Refusal> {
    known["number"]
        .as_u64()
        .ok_or_else(|| no("GitHub answered with a pull request without a number"))
}

fn page(known: &Value) -> String {
    known["html_url"].as_str().unwrap_or_default().to_owned()
}

fn done(number: u64, url: String) -> Result<Next, Refusal> {
    Ok(Next::Done(Done::PullRequest(PullRequestState {
        number,
        url,
    })))
}
