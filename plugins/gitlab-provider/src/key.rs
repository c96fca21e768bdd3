//! Deploy keys: one of a title, of this content. GitLab changes whether one may push, and nothing else of it.

use provider::key::LISTING;
use provider::{DeployKey, Heard, Next, Note, Refusal, Talk, gone, id, lost, no, same_key};
use serde_json::{Value, json};

pub(crate) fn present(talk: &Talk, key: &DeployKey, heard: Heard) -> Result<Next, Refusal> {
    let Some((mut note, answer)) = heard else {
        return Ok(talk.list("deploy_keys", Note::at("list")));
    };
    match note.stage.as_str() {
        "list" => {
            let (keys, more) = talk.page(&answer, &mut note, LISTING)?;
            let known = keys.iter().find(|known| known["title"] == *key.title);
            match known.map(|known| (known, id(known))) {
                Some((known, Some(id))) if !is(known, key) => {
                    Ok(gone::remove(talk, "deploy_keys", id))
                }
                Some((known, Some(id))) if pushes(known) != key.writable => {
                    Ok(allow(talk, key, id))
                }
                Some((known, _)) => done(talk, known),
                None if more => Ok(talk.list("deploy_keys", note)),
                None => Ok(add(talk, key)),
            }
        }
        "remove" => {
            let doing = "removing the deploy key that is replaced";
            talk.json(&answer, &[204, 404], doing)?;
            Ok(add(talk, key))
        }
        "add" => {
            let made = talk.json(&answer, &[201], "adding the deploy key")?;
            // A key that GitLab knows from another project comes from there with its own title.
            match made["title"].as_str() {
                Some(title) if title != key.title => Err(no(format!(
                    "GitLab knows this key already, as {title:?} of another project: have another pair made"
                ))),
                _ => done(talk, &made),
            }
        }
        "allow" => {
            let made = talk.json(&answer, &[200], "changing the deploy key")?;
            done(talk, &made)
        }
        _ => Err(lost(&note)),
    }
}

fn add(talk: &Talk, key: &DeployKey) -> Next {
    let wanted = json!({
        "title": key.title, "key": key.public_key, "can_push": key.writable,
    });
    talk.of_repo("POST", "deploy_keys", Some(&wanted), &Note::at("add"))
}

fn allow(talk: &Talk, key: &DeployKey, id: u64) -> Next {
    let wanted = json!({"title": key.title, "can_push": key.writable});
    let path = format!("deploy_keys/{id}");
    talk.of_repo("PUT", &path, Some(&wanted), &Note::at("allow"))
}

fn done(talk: &Talk, made: &Value) -> Result<Next, Refusal> {
    talk.present(made, "a deploy key")
}

fn is(known: &Value, key: &DeployKey) -> bool {
    same_key(known["key"].as_str().unwrap_or_default(), &key.public_key)
}

fn pushes(known: &Value) -> bool {
    known["can_push"] == true
}
