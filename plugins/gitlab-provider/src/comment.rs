//! A comment at a merge request: one with our marker, written by whoever the token is of.

use provider::{Comment, Heard, Next, Note, Refusal, Talk, id, lost, no};
use serde_json::{Value, json};

pub(crate) fn step(talk: &Talk, comment: &Comment, heard: Heard) -> Result<Next, Refusal> {
    let place = format!("merge_requests/{}/notes", comment.number);
    let list = |note: Note| talk.list(&format!("{place}?order_by=created_at&sort=asc"), note);
    let Some((mut note, answer)) = heard else {
        return Ok(talk.ask("GET", "user", None, &Note::at("who")));
    };
    match note.stage.as_str() {
        "who" => {
            let user = talk.json(&answer, &[200], "asking whose the token is")?;
            let me = id(&user).ok_or_else(|| no("GitLab does not say whose the token is"))?;
            Ok(list(Note::of("list", me)))
        }
        "list" => {
            let (all, more) = talk.page(&answer, &mut note, "listing the comments")?;
            let me = note.ids.first().copied();
            let mut ours = all.iter().filter(|known| {
                let body = known["body"].as_str().unwrap_or_default();
                body.starts_with(&comment.marker) && me.is_some() && id(&known["author"]) == me
            });
            match ours.next().map(|known| (known, id(known))) {
                Some((known, Some(_))) if known["body"] == *comment.body => done(talk, known),
                Some((_, Some(id))) => {
                    let path = format!("{place}/{id}");
                    let body = json!({"body": comment.body});
                    Ok(talk.of_repo("PUT", &path, Some(&body), &Note::at("change")))
                }
                Some((_, None)) => Err(no("GitLab lists a comment without an id")),
                None if more => Ok(list(note)),
                None => {
                    let body = json!({"body": comment.body});
                    Ok(talk.of_repo("POST", &place, Some(&body), &Note::at("add")))
                }
            }
        }
        "add" => done(talk, &talk.json(&answer, &[201], "adding the comment")?),
        "change" => done(talk, &talk.json(&answer, &[200], "changing the comment")?),
        _ => Err(lost(&note)),
    }
}

fn done(talk: &Talk, made: &Value) -> Result<Next, Refusal> {
    talk.present(made, "a comment")
}
