//! A git credential: the access token, and the name of the user it belongs to.

use provider::{Config, Credential, Done, Heard, Next, Note, Operation, Refusal, Talk, lost, no};

use crate::TOKEN;

pub(crate) fn step(talk: &Talk, operation: &Operation, heard: Heard) -> Result<Next, Refusal> {
    let url = &operation.repository.url;
    if !url.starts_with("https://") && !url.starts_with("http://") {
        return Err(no(
            "an access token serves git over https only: change the repository's URL, or use a deploy key",
        ));
    }
    let username = match (heard, Config::of(operation)?.text("username")?) {
        (None, Some(username)) => username,
        (None, None) => return Ok(talk.ask("GET", "user", None, &Note::at("user"))),
        (Some((note, answer)), _) if note.stage == "user" => {
            let user = talk.json(&answer, &[200], "asking whose the token is")?;
            match user["login"].as_str() {
                Some(login) => login.to_owned(),
                None => return Err(no("Gitea does not say whose the token is")),
            }
        }
        (Some((note, _)), _) => return Err(lost(&note)),
    };
    Ok(Next::Done(Done::Credential(Credential {
        username,
        password: TOKEN.to_owned(),
        expires_at: None,
    })))
}
