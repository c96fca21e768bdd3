//! Where GitHub's API is, and as whom it is asked.

use provider::{Config, Operation, Part, Refusal, Repository, Talk, Task, escaped, home, no};

use crate::auth::Auth;

/// The version of the API that this guest was written for; every server since GitHub Enterprise 3.9 knows it.
const HEADERS: &[(&str, &str)] = &[("x-github-api-version", "2022-11-28")];

pub(crate) fn of(operation: &Operation, auth: &Auth) -> Result<Talk, Refusal> {
    let Repository { host, path, .. } = &operation.repository;
    let config = Config::of(operation)?;
    let api = match (config.text("api")?, config.text("url")?) {
        (Some(api), _) => api,
        (None, Some(url)) => api_of(&url),
        (None, None) => api_of(&home(&operation.repository)),
    };
    let Some((owner, repo)) = path.split_once('/').filter(|(_, repo)| !repo.contains('/')) else {
        return Err(no(format!(
            "{path:?} is no repository of GitHub's: its URL ends with OWNER/NAME"
        )));
    };
    let bearer = vec![
        Part::Text("Bearer ".to_owned()),
        Part::Secret(auth.slot().to_owned()),
    ];
    Ok(Talk {
        forge: "GitHub",
        pages: ("per_page", 100),
        api: api.trim_end_matches('/').to_owned(),
        repo: format!("repos/{}/{}", escaped(owner), escaped(repo)),
        name: path.clone(),
        host: host.clone(),
        proof: ("authorization", bearer),
        accept: "application/vnd.github+json",
        headers: HEADERS,
        who: auth.who(),
        unknown: auth.unknown(),
        needs: needs(&operation.task, auth),
    })
}

/// The API of the GitHub at `url`: github.com's and those of its data residency have a host of their own, an Enterprise Server's
/// is below it.
fn api_of(url: &str) -> String {
    let url = url.trim_end_matches('/');
    let (scheme, host) = url.split_once("://").unwrap_or(("https", url));
    match host {
        "github.com" | "www.github.com" | "ssh.github.com" => "https://api.github.com".to_owned(),
        host if host.ends_with(".ghe.com") => format!("{scheme}://api.{host}"),
        host => format!("{scheme}://{host}/api/v3"),
    }
}

/// A permission of an App or a fine-grained token: its name in the API, its name in the settings, and how much of it.
pub(crate) struct Permission {
    pub(crate) name: &'static str,
    shown: &'static str,
    pub(crate) level: &'static str,
}

/// What a task needs.
pub(crate) fn permissions(task: &Task) -> Vec<Permission> {
    let needs = |name, shown, level| Permission { name, shown, level };
    match task {
        Task::GitCredential(false) => vec![needs("contents", "Contents", "read")],
        Task::GitCredential(true) => vec![needs("contents", "Contents", "write")],
        // Who lists takes away next: with the same token.
        Task::DeployKeyPresent(_) | Task::DeployKeyAbsent(_) | Task::DeployKeysTitled(_) => {
            vec![needs("administration", "Administration", "write")]
        }
        Task::WebhookPresent(_) | Task::WebhookAbsent(_) => {
            vec![needs("repository_hooks", "Webhooks", "write")]
        }
        Task::WebhookCheck(_) => vec![needs("repository_hooks", "Webhooks", "read")],
        Task::CommitStatus(_) => vec![needs("statuses", "Commit statuses", "write")],
        Task::PullRequestsOpen(_) => vec![needs("pull_requests", "Pull requests", "read")],
        Task::CommentPresent(_) => vec![needs("pull_requests", "Pull requests", "write")],
        // A pull request cannot be opened from a branch that may not be read.
        Task::PullRequest(_) | Task::PullRequestAbsent(_) => vec![
            needs("pull_requests", "Pull requests", "write"),
            needs("contents", "Contents", "read"),
        ],
    }
}

/// The same for people, and where it is given.
fn needs(task: &Task, auth: &Auth) -> String {
    let all = permissions(task);
    let all: Vec<String> = all
        .iter()
        .map(|one| format!("{:?} ({})", one.shown, one.level))
        .collect();
    let all = all.join(" and ");
    match auth {
        Auth::App { .. } => format!(
            "give the GitHub App the repository permission {all}, and have its installation accept it"
        ),
        Auth::Token => format!(
            "give the token the repository permission {all} (a classic one: the scope repo), and its user the right to it"
        ),
    }
}
