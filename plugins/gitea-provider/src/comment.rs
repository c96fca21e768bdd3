//! A comment at a pull request: one that begins with a marker, and that is ours.

use provider::{Comment, Heard, Next, Note, Refusal, Talk, id, lost, no};
use serde_json::{Value, json};

pub(crate) fn step(talk: &Talk, comment: &Comment, heard: Heard) -> Result<Next, Refusal> {
    let Some((mut note, answer)) = heard else {
        // Whoever can comment can write our marker: only what our own user wrote is changed.
        return Ok(talk.ask("GET", "user", None, &Note::at("user")));
    };
    match note.stage.as_str() {
        "user" => {
            let user = talk.json(&answer, &[200], "asking whose the token is")?;
            let ours = id(&user).ok_or_else(|| no("Gitea does not say whose the token is"))?;
            Ok(talk.list(&of(comment), Note::of("list", ours)))
        }
        "list" => {
            let (all, more) = talk.page(&answer, &mut note, "listing the comments")?;
            let ours = note.ids.first().copied();
            let found = all.iter().find(|known| {
                let text = known["body"].as_str().unwrap_or_default();
                ours.is_some() && known["user"]["id"].as_u64() == ours && is_marked(text, comment)
            });
            match found.map(|known| (known, id(known))) {
                Some((known, Some(id))) if !is(known, comment) => {
                    let path = format!("issues/comments/{id}");
                    let wanted = json!({"body": comment.body});
                    Ok(talk.of_repo("PATCH", &path, Some(&wanted), &Note::at("change")))
                }
                Some((known, _)) => done(talk, known),
                None if more => Ok(talk.list(&of(comment), note)),
                None => {
                    let wanted = json!({"body": comment.body});
                    Ok(talk.of_repo("POST", &of(comment), Some(&wanted), &Note::at("add")))
                }
            }
        }
        "change" => done(talk, &talk.json(&answer, &[200], "changing the comment")?),
        "add" => done(talk, &talk.json(&answer, &[201], "adding the comment")?),
        _ => Err(lost(&note)),
    }
}

fn of(comment: &Comment) -> String {
    format!("issues/{}/comments", comment.number)
}

fn is_marked(text: &str, comment: &Comment) -> bool {
    text.lines().next().map(str::trim_end) == Some(comment.marker.as_str())
}

/// Gitea may keep other ends of lines.
fn is(known: &Value, comment: &Comment) -> bool {
    let text = known["body"].as_str().unwrap_or_default();
    text.replace("\r\n", "\n").trim_end() == comment.body.trim_end()
}

fn done(talk: &Talk, made: &Value) -> Result<Next, Refusal> {
    talk.present(made, "a comment")
}
