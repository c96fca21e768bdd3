//! A comment at a pull request: one that begins with a marker, and that is ours.

use serde_json::{Value, json};

use crate::exports::reeve::plugin::provide::{Comment, Done, Next, Refusal};
use crate::talk::{Gitea, Note, id, no};
use crate::{Heard, lost};

pub(crate) fn step(gitea: &Gitea, comment: &Comment, heard: Heard) -> Result<Next, Refusal> {
    let Some((mut note, answer)) = heard else {
        // Whoever can comment can write our marker: only what our own user wrote is changed.
        return Ok(gitea.ask("GET", "user", None, &Note::at("user")));
    };
    match note.stage.as_str() {
        "user" => {
            let user = gitea.json(&answer, &[200], "asking whose the token is")?;
            let ours = id(&user).ok_or_else(|| no("Gitea does not say whose the token is"))?;
            let mut note = Note::at("list");
            note.ids = vec![ours];
            Ok(gitea.list(&of(comment), note))
        }
        "list" => {
            let (all, more) = gitea.page(&answer, &mut note, "listing the comments")?;
            let ours = note.ids.first().copied();
            let found = all.iter().find(|known| {
                let text = known["body"].as_str().unwrap_or_default();
                ours.is_some() && known["user"]["id"].as_u64() == ours && is_marked(text, comment)
            });
            match found.map(|known| (known, id(known))) {
                Some((known, Some(id))) if is(known, comment) => done(id),
                Some((_, Some(id))) => {
                    let path = format!("issues/comments/{id}");
                    let wanted = Some(json!({"body": comment.body}));
                    Ok(gitea.of_repo("PATCH", &path, wanted, &Note::at("change")))
                }
                Some((_, None)) => Err(no("Gitea lists a comment without an id")),
                None if more => Ok(gitea.list(&of(comment), note)),
                None => {
                    let wanted = Some(json!({"body": comment.body}));
                    Ok(gitea.of_repo("POST", &of(comment), wanted, &Note::at("add")))
                }
            }
        }
        "change" => told(&gitea.json(&answer, &[200], "changing the comment")?),
        "add" => told(&gitea.json(&answer, &[201], "adding the comment")?),
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

fn told(made: &Value) -> Result<Next, Refusal> {
    done(id(made).ok_or_else(|| no("Gitea made a comment without an id"))?)
}

fn done(id: u64) -> Result<Next, Refusal> {
    Ok(Next::Done(Done::Present(id.to_string())))
}
