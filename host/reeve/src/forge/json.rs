//! Operations, requests and outcomes as JSON, in the words of the contract: for people, and for the cases of plugins.
//!
//! ```json
//! {"task": {"deploy-key-present": {"title": "reeve", "public-key": "ssh-ed25519 AAAA…"}},
//!  "repository": "https://git.example/acme/shop.git", "config": {}}
//! ```
//!
//! What it deliberately doesn't: show a secret. A slot is written as its name: `token {{token}}`.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::repository;
use super::words::{
    Body, Comment, CommitState, CommitStatus, DeployKey, Done, HeaderValue, OpenPullRequest,
    Operation, Part, PullRequest, Request, Task, Webhook,
};

/// An operation that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum NotAnOperation {
    /// Not the shape.
    #[error("the operation cannot be read: {0}")]
    Shape(#[from] serde_json::Error),
    /// No URL.
    #[error("the operation's repository is not the URL of one: https://git.example/acme/shop.git")]
    Repository,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Written {
    task: Wanted,
    repository: String,
    #[serde(default)]
    config: Map<String, Value>,
    /// Only where nobody fills them: in a case.
    #[serde(default)]
    slots: Vec<String>,
}

#[derive(Deserialize)]
#[serde(
    rename_all = "kebab-case",
    rename_all_fields = "kebab-case",
    deny_unknown_fields
)]
enum Wanted {
    GitCredential(bool),
    DeployKeyPresent {
        title: String,
        public_key: String,
        #[serde(default)]
        writable: bool,
    },
    DeployKeyAbsent(String),
    WebhookPresent {
        url: String,
        secret: String,
        events: Vec<String>,
    },
    WebhookAbsent(String),
    WebhookCheck(String),
    CommitStatus {
        commit: String,
        state: State,
        context: String,
        #[serde(default)]
        description: String,
        #[serde(default)]
        target_url: String,
    },
    PullRequest {
        head: String,
        base: String,
        title: String,
        #[serde(default)]
        body: String,
        #[serde(default)]
        labels: Vec<String>,
        #[serde(default)]
        reviewers: Vec<String>,
    },
    PullRequestAbsent(String),
    PullRequestsOpen(String),
    CommentPresent(Said),
    DeployKeysTitled(String),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Said {
    number: u64,
    marker: String,
    body: String,
}

impl From<Said> for Comment {
    fn from(said: Said) -> Self {
        Self {
            number: said.number,
            marker: said.marker,
            body: said.body,
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum State {
    Pending,
    Success,
    Failure,
    Error,
}

impl From<State> for CommitState {
    fn from(state: State) -> Self {
        match state {
            State::Pending => Self::Pending,
            State::Success => Self::Success,
            State::Failure => Self::Failure,
            State::Error => Self::Error,
        }
    }
}

/// Reads an operation.
///
/// # Errors
/// When it is not of the contract's shape.
pub fn operation(text: &str) -> Result<Operation, NotAnOperation> {
    let written: Written = serde_json::from_str(text)?;
    Ok(Operation {
        task: task(written.task),
        repository: repository(&written.repository).ok_or(NotAnOperation::Repository)?,
        config: Value::Object(written.config).to_string(),
        slots: written.slots,
    })
}

fn task(wanted: Wanted) -> Task {
    match wanted {
        Wanted::GitCredential(write) => Task::GitCredential(write),
        Wanted::DeployKeyPresent {
            title,
            public_key,
            writable,
        } => Task::DeployKeyPresent(DeployKey {
            title,
            public_key,
            writable,
        }),
        Wanted::DeployKeyAbsent(title) => Task::DeployKeyAbsent(title),
        Wanted::WebhookPresent {
            url,
            secret,
            events,
        } => Task::WebhookPresent(Webhook {
            url,
            secret,
            events,
        }),
        Wanted::WebhookAbsent(url) => Task::WebhookAbsent(url),
        Wanted::WebhookCheck(url) => Task::WebhookCheck(url),
        Wanted::CommitStatus {
            commit,
            state,
            context,
            description,
            target_url,
        } => Task::CommitStatus(CommitStatus {
            commit,
            state: state.into(),
            context,
            description,
            target_url,
        }),
        Wanted::PullRequest {
            head,
            base,
            title,
            body,
            labels,
            reviewers,
        } => Task::PullRequest(PullRequest {
            head,
            base,
            title,
            body,
            labels,
            reviewers,
        }),
        Wanted::PullRequestAbsent(head) => Task::PullRequestAbsent(head),
        Wanted::PullRequestsOpen(base) => Task::PullRequestsOpen(base),
        Wanted::CommentPresent(said) => Task::CommentPresent(said.into()),
        Wanted::DeployKeysTitled(prefix) => Task::DeployKeysTitled(prefix),
    }
}

/// A request as its guest describes it, with the names of slots. Its note to itself is left out.
pub fn request(request: &Request) -> Value {
    let headers: Map<String, Value> = request
        .headers
        .iter()
        .map(|header| {
            let value = match &header.value {
                HeaderValue::Plain(parts) => json!(text(parts)),
                HeaderValue::Basic((user, password)) => {
                    json!({"basic": [text(user), text(password)]})
                }
            };
            (header.name.clone(), value)
        })
        .collect();
    let mut shown = Map::new();
    let mut show = |name: &str, value: Value| shown.insert(name.to_owned(), value);
    show("method", json!(request.method));
    show("url", json!(request.url));
    show("headers", Value::Object(headers));
    match &request.body {
        None => {}
        Some(Body::Json(parts)) => {
            let text = text(parts);
            show(
                "body",
                serde_json::from_str(&text).unwrap_or(Value::String(text)),
            );
        }
        Some(Body::Form(fields)) => {
            let fields = fields
                .iter()
                .map(|(name, parts)| json!([name, text(parts)]));
            show("form", fields.collect());
        }
    }
    if !request.secrets.is_empty() {
        let fields = request.secrets.iter();
        let fields = fields.map(|field| json!({"pointer": field.pointer, "slot": field.slot}));
        show("secrets", fields.collect());
    }
    Value::Object(shown)
}

fn text(parts: &[Part]) -> String {
    let part = |part: &Part| match part {
        Part::Text(text) => text.clone(),
        Part::Secret(slot) => format!("{{{{{slot}}}}}"),
        Part::Jwt(jwt) => format!("{{{{jwt {} {} {}}}}}", jwt.key, jwt.lifetime, jwt.claims),
        Part::Hmac(hmac) => format!("{{{{hmac {} {}}}}}", hmac.key, hmac.text),
    };
    parts.iter().map(part).collect()
}

/// How an operation ended.
pub fn done(done: &Done) -> Value {
    match done {
        Done::Credential(credential) => json!({"credential": {
            "username": credential.username,
            "password": format!("{{{{{}}}}}", credential.password),
            "expires-at": credential.expires_at,
        }}),
        Done::Present(id) => json!({"present": id}),
        Done::Absent => json!("absent"),
        Done::Webhook(state) => json!({"webhook": {
            "present": state.present,
            "active": state.active,
            "last-delivery": state.last_delivery,
        }}),
        Done::PullRequest(state) => json!({"pull-request": {
            "number": state.number,
            "url": state.url,
        }}),
        Done::PullRequests(all) => {
            let all: Vec<Value> = all.iter().map(open).collect();
            json!({"pull-requests": all})
        }
        Done::Titles(all) => json!({"titles": all}),
    }
}

fn open(request: &OpenPullRequest) -> Value {
    json!({
        "number": request.number,
        "head": request.head,
        "reference": request.reference,
        "base": request.base,
        "fork": request.fork,
    })
}
