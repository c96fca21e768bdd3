//! A comment at a pull request: one with our marker, written by us. A comment of an App says by which it was made; whose a token
//! is, GitHub is asked.

use provider::{Comment, Heard, Next, Note, Refusal, Talk, id, lost, no};
use serde_json::{Value, json};

use crate::auth::Auth;

pub(crate) fn step(
    talk: &Talk,
    auth: &Auth,
    comment: &Comment,
    heard: Heard,
) -> Result<Next, Refusal> {
    let place = format!("issues/{}/comments", comment.number);
    let Some((mut note, answer)) = heard else {
        return Ok(match auth {
            Auth::App { .. } => talk.list(&place, Note::at("list")),
            Auth::Token => talk.ask("GET", "user", None, &Note::at("who")),
        });
    };
    match note.stage.as_str() {
        "who" => {
            let user = talk.json(&answer, &[200], "asking whose the token is")?;
            let login = user["login"].as_str();
            let login = login.ok_or_else(|| no("GitHub does not say whose the token is"))?;
            note = Note::at("list");
            note.names.push(login.to_owned());
            Ok(talk.list(&place, note))
        }
        "list" => {
            let (all, more) = talk.page(&answer, &mut note, "listing the comments")?;
            let me = note.names.first().map(String::as_str);
            let mut ours = all.iter().filter(|known| {
                let body = known["body"].as_str().unwrap_or_default();
                body.starts_with(&comment.marker) && is_mine(known, auth, me)
            });
            match ours.next().map(|known| (known, id(known))) {
                Some((known, Some(_))) if known["body"] == *comment.body => done(talk, known),
                Some((_, Some(id))) => {
                    let path = format!("issues/comments/{id}");
                    let body = json!({"body": comment.body});
                    Ok(talk.of_repo("PATCH", &path, Some(&body), &Note::at("change")))
                }
                Some((_, None)) => Err(no("GitHub lists a comment without an id")),
                None if more => Ok(talk.list(&place, note)),
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

fn is_mine(known: &Value, auth: &Auth, me: Option<&str>) -> bool {
    match auth {
        Auth::App { app, .. } => {
            let by = &known["performed_via_github_app"];
            let number = by["id"].as_u64().map(|id| id.to_string());
            number.as_ref() == Some(app) || by["client_id"].as_str() == Some(app.as_str())
        }
        Auth::Token => me.is_some() && known["user"]["login"].as_str() == me,
    }
}

fn done(talk: &Talk, made: &Value) -> Result<Next, Refusal> {
    talk.present(made, "a comment")
}
