//! A git credential: the access token, and the name of the user it belongs to.

use crate::exports::reeve::plugin::provide::{Credential, Done, Next, Refusal};
use crate::talk::{Gitea, Note, TOKEN, no};
use crate::{Heard, lost};

pub(crate) fn step(gitea: &Gitea, heard: Heard) -> Result<Next, Refusal> {
    if !gitea.over_http {
        return Err(no(
            "an access token serves git over https only: change the repository's URL, or use a deploy key",
        ));
    }
    let username = match (heard, &gitea.username) {
        (None, Some(username)) => username.clone(),
        (None, None) => return Ok(gitea.ask("GET", "user", None, &Note::at("user"))),
        (Some((note, answer)), _) if note.stage == "user" => {
            let user = gitea.json(&answer, &[200], "asking whose the token is")?;
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
