//! Speaks GitHub's API for reeve: a git credential, deploy keys, webhooks, commit statuses, pull requests.
//!
//! As an installation of a GitHub App, each operation begins with a token that opens this one repository, for this one
//! task, and ends an hour later by itself; with an access token it begins at once. Then it looks: what is as it should be is
//! left alone, so an operation can be begun again at any time. It holds no secret and makes no request; it says which
//! (`wit/provider.wit`).

use provider::{Answer, Guest, Next, Note, Operation, Refusal, Task, key};

use auth::{Auth, Entry};

mod auth;
mod comment;
mod credential;
mod hook;
mod open;
mod pull;
mod status;
mod talk;

struct GitHub;

impl Guest for GitHub {
    fn step(operation: Operation, state: String, answer: Option<Answer>) -> Result<Next, Refusal> {
        let auth = Auth::of(&operation)?;
        let talk = talk::of(&operation, &auth)?;
        let heard = match answer {
            Some(answer) => Some((Note::read(&state)?, answer)),
            None => None,
        };
        let (heard, ends) = match auth.step(&operation, &talk, heard)? {
            Entry::Wait(next) => return Ok(*next),
            Entry::In(heard, ends) => (heard, ends),
        };
        match &operation.task {
            Task::GitCredential(_) => credential::step(&auth, &operation, ends),
            Task::DeployKeyPresent(key) => key::present(&talk, key, heard),
            Task::DeployKeyAbsent(title) => key::absent(&talk, "keys", title, heard),
            Task::WebhookPresent(hook) => hook::present(&talk, hook, heard),
            Task::WebhookAbsent(url) => hook::absent(&talk, url, heard),
            Task::WebhookCheck(url) => hook::check(&talk, url, heard),
            Task::CommitStatus(status) => status::step(&talk, status, heard),
            Task::PullRequest(pull) => pull::step(&talk, pull, heard),
            Task::PullRequestAbsent(head) => pull::absent(&talk, head, heard),
            Task::PullRequestsOpen(base) => open::step(&talk, base, heard),
            Task::CommentPresent(comment) => comment::step(&talk, &auth, comment, heard),
            Task::DeployKeysTitled(prefix) => key::titled(&talk, "keys", prefix, heard),
        }
    }
}

provider::export!(GitHub);
