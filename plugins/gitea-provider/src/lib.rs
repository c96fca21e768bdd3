//! Speaks Gitea's API for reeve: a git credential, deploy keys, webhooks, commit statuses, pull requests and comments at them.
//!
//! Each operation begins by looking: what is as it should be is left alone, so it can be begun again at any time. It holds
//! no secret and makes no request; it says which (`wit/provider.wit`).

use provider::{
    Answer, Config, Guest, Next, Note, Operation, Part, Refusal, Repository, Talk, Task, escaped,
    home, key, no,
};

mod comment;
mod credential;
mod hook;
mod open;
mod pull;
mod status;

/// The slot that everything is asked with.
const TOKEN: &str = "token";

struct Gitea;

impl Guest for Gitea {
    fn step(operation: Operation, state: String, answer: Option<Answer>) -> Result<Next, Refusal> {
        let talk = talk(&operation)?;
        let heard = match answer {
            Some(answer) => Some((Note::read(&state)?, answer)),
            None => None,
        };
        match &operation.task {
            Task::GitCredential(_) => credential::step(&talk, &operation, heard),
            Task::DeployKeyPresent(key) => key::present(&talk, key, heard),
            Task::DeployKeyAbsent(title) => key::absent(&talk, "keys", title, heard),
            Task::WebhookPresent(hook) => hook::present(&talk, hook, heard),
            Task::WebhookAbsent(url) => hook::absent(&talk, url, heard),
            Task::WebhookCheck(url) => hook::check(&talk, url, heard),
            Task::CommitStatus(status) => status::step(&talk, status, heard),
            Task::PullRequest(pull) => pull::step(&talk, pull, heard),
            Task::PullRequestAbsent(head) => pull::absent(&talk, head, heard),
            Task::PullRequestsOpen(base) => open::step(&talk, base, heard),
            Task::CommentPresent(comment) => comment::step(&talk, comment, heard),
            Task::DeployKeysTitled(prefix) => key::titled(&talk, "keys", prefix, heard),
        }
    }
}

/// Where Gitea's API is, and as whom it is asked.
fn talk(operation: &Operation) -> Result<Talk, Refusal> {
    let Repository { host, path, .. } = &operation.repository;
    let config = Config::of(operation)?;
    let api = match config.text("api")? {
        Some(api) => api.trim_end_matches('/').to_owned(),
        None => format!("{}/api/v1", home(&operation.repository)),
    };
    let Some((owner, repo)) = path.split_once('/').filter(|(_, repo)| !repo.contains('/')) else {
        return Err(no(format!(
            "{path:?} is no repository of Gitea's: its URL ends with OWNER/NAME"
        )));
    };
    if !operation.slots.iter().any(|slot| slot == TOKEN) {
        return Err(no(
            "there is no access token: fill the slot `token` from a Secret, and grant it for this host",
        ));
    }
    let token = vec![
        Part::Text("token ".to_owned()),
        Part::Secret(TOKEN.to_owned()),
    ];
    Ok(Talk {
        forge: "Gitea",
        pages: ("limit", 50),
        api,
        repo: format!("repos/{}/{}", escaped(owner), escaped(repo)),
        name: path.clone(),
        host: host.clone(),
        proof: ("authorization", token),
        accept: "application/json",
        headers: &[],
        who: "the token",
        unknown: "put a valid access token into the slot `token`",
        needs: format!("give it the scope, and its user the right, to administer {path}"),
    })
}

provider::export!(Gitea);
