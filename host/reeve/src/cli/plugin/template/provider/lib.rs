//! Gives git a login: the access token in the slot `token`, and the user whose it is.

use serde_json::Value;

use exports::reeve::plugin::provide::{
    Answer, Credential, Done, Guest, Header, HeaderValue, Next, Operation, Part, Refusal, Request,
    Task,
};
use reeve::plugin::log::{Level, log};

wit_bindgen::generate!({ path: "wit", world: "provider" });

struct Plugin;

impl Guest for Plugin {
    fn step(operation: Operation, _state: String, answer: Option<Answer>) -> Result<Next, Refusal> {
        match operation.task {
            Task::GitCredential(_) => match answer {
                None => Ok(Next::Request(whose(&operation))),
                Some(answer) => credential(&answer).map(Next::Done),
            },
            _ => Err(refuse(
                "this provider brings git credentials and nothing else",
            )),
        }
    }
}

/// Asks the forge whose the token is. The host puts the token there, and it is never here.
fn whose(operation: &Operation) -> Request {
    let config: Value = serde_json::from_str(&operation.config).unwrap_or_default();
    let api = match config.get("api").and_then(Value::as_str) {
        Some(api) => api.to_owned(),
        None => format!("https://{}/api/v1", operation.repository.host),
    };
    let token = vec![
        Part::Text("Bearer ".to_owned()),
        Part::Secret("token".to_owned()),
    ];
    Request {
        method: "GET".to_owned(),
        url: format!("{api}/user"),
        headers: vec![Header {
            name: "authorization".to_owned(),
            value: HeaderValue::Plain(token),
        }],
        body: None,
        secrets: Vec::new(),
        state: String::new(),
    }
}

fn credential(answer: &Answer) -> Result<Done, Refusal> {
    if answer.status != 200 {
        let why = format!(
            "the forge answered {} when it was asked whose the token is: look at the slot `token`",
            answer.status
        );
        return Err(refuse(&why));
    }
    let user: Value = serde_json::from_str(&answer.body).unwrap_or_default();
    let Some(name) = user.get("login").and_then(Value::as_str) else {
        return Err(refuse("the forge does not say whose the token is"));
    };
    log(Level::Info, &format!("the token is {name}'s"));
    Ok(Done::Credential(Credential {
        username: name.to_owned(),
        password: "token".to_owned(),
        expires_at: None,
    }))
}

fn refuse(message: &str) -> Refusal {
    Refusal {
        message: message.to_owned(),
        objects: Vec::new(),
    }
}

export!(Plugin);
