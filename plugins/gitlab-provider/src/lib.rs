//! Speaks GitLab's API for reeve: a git credential, deploy keys, webhooks, commit statuses, merge requests.
//!
//! Each operation begins by looking: what is as it should be is left alone, so it can be begun again at any time. It holds
//! no secret and makes no request; it says which (`wit/provider.wit`).

use provider::{
    Answer, Config, Credential, Done, Guest, Next, Note, Operation, Part, Refusal, Repository,
    Talk, Task, escaped, home, no,
};

mod comment;
mod hook;
mod key;
mod merge;
mod open;
mod status;

/// The slot that everything is asked with: a token of a person, of a group or of a project.
const TOKEN: &str = "token";
/// The user that GitLab's documentation names for tokens; it looks at the password alone.
const USER: &str = "oauth2";

struct GitLab;

impl Guest for GitLab {
    fn step(operation: Operation, state: String, answer: Option<Answer>) -> Result<Next, Refusal> {
        let talk = talk(&operation)?;
        let heard = match answer {
            Some(answer) => Some((Note::read(&state)?, answer)),
            None => None,
        };
        match &operation.task {
            Task::GitCredential(_) => credential(&operation),
            Task::DeployKeyPresent(key) => key::present(&talk, key, heard),
            Task::DeployKeyAbsent(title) => {
                provider::key::absent(&talk, "deploy_keys", title, heard)
            }
            Task::WebhookPresent(hook) => hook::present(&talk, hook, heard),
            Task::WebhookAbsent(url) => hook::absent(&talk, url, heard),
            Task::WebhookCheck(url) => hook::check(&talk, url, heard),
            Task::CommitStatus(status) => status::step(&talk, status, heard),
            Task::PullRequest(pull) => merge::step(&talk, pull, heard),
            Task::PullRequestAbsent(head) => merge::absent(&talk, head, heard),
            Task::PullRequestsOpen(base) => open::step(&talk, base, heard),
            Task::CommentPresent(comment) => comment::step(&talk, comment, heard),
            Task::DeployKeysTitled(prefix) => {
                provider::key::titled(&talk, "deploy_keys", prefix, heard)
            }
        }
    }
}

fn credential(operation: &Operation) -> Result<Next, Refusal> {
    let url = &operation.repository.url;
    if !url.starts_with("https://") && !url.starts_with("http://") {
        return Err(no(
            "an access token serves git over https only: change the repository's URL, or use a deploy key",
        ));
    }
    Ok(Next::Done(Done::Credential(Credential {
        username: USER.to_owned(),
        password: TOKEN.to_owned(),
        expires_at: None,
    })))
}

/// Where GitLab's API is, and as whom it is asked.
fn talk(operation: &Operation) -> Result<Talk, Refusal> {
    let Repository { host, path, url } = &operation.repository;
    if !operation.slots.iter().any(|slot| slot == TOKEN) {
        return Err(no(
            "there is no access token: fill the slot `token` from a Secret, and grant it for this host",
        ));
    }
    let config = Config::of(operation)?;
    let place = match config.text("url")? {
        Some(place) => place.trim_end_matches('/').to_owned(),
        None => home(&operation.repository),
    };
    let api = match config.text("api")? {
        Some(api) => api.trim_end_matches('/').to_owned(),
        None => format!("{place}/api/v4"),
    };
    // Over ssh, a GitLab below a path has its repositories at the root.
    let over_ssh = url.starts_with("ssh://");
    let name = match below(&place).filter(|_| !over_ssh) {
        Some(below) => path
            .strip_prefix(below)
            .and_then(|rest| rest.strip_prefix('/'))
            .ok_or_else(|| no(format!("{path:?} is not below {place}, where GitLab is")))?,
        None => path.as_str(),
    };
    if !name.contains('/') {
        return Err(no(format!(
            "{path:?} is no project of GitLab's: its URL ends with GROUP/NAME"
        )));
    }
    Ok(Talk {
        forge: "GitLab",
        pages: ("per_page", 100),
        api,
        repo: format!("projects/{}", escaped(name)),
        name: name.to_owned(),
        host: host.clone(),
        proof: ("private-token", vec![Part::Secret(TOKEN.to_owned())]),
        accept: "application/json",
        headers: &[],
        who: "the token",
        unknown: "put a valid access token into the slot `token`; it may have expired",
        needs: needs(&operation.task),
    })
}

/// The path of an address, if it has one.
fn below(place: &str) -> Option<&str> {
    let (_, rest) = place.split_once("://")?;
    let (_, path) = rest.split_once('/')?;
    Some(path).filter(|path| !path.is_empty())
}

/// The scope and the role that a task needs, and where they are given.
fn needs(task: &Task) -> String {
    let role = match task {
        Task::GitCredential(_)
        | Task::CommitStatus(_)
        | Task::PullRequest(_)
        | Task::PullRequestAbsent(_)
        | Task::PullRequestsOpen(_)
        | Task::CommentPresent(_) => "Developer",
        Task::DeployKeyPresent(_)
        | Task::DeployKeyAbsent(_)
        | Task::DeployKeysTitled(_)
        | Task::WebhookPresent(_)
        | Task::WebhookAbsent(_)
        | Task::WebhookCheck(_) => "Maintainer",
    };
    format!("give the token the scope api, and the role {role} in the project or its group")
}

provider::export!(GitLab);
