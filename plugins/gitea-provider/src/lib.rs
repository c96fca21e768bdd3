//! Speaks Gitea's API for reeve: a git credential, deploy keys, webhooks, commit statuses, pull requests and comments at them.
//!
//! Each step is a function of the operation, of the note that this guest wrote to itself, and of Gitea's answer. It
//! begins by looking: what is as it should be is left alone, so an operation can be begun again at any time. It holds no
//! secret and makes no request; it says which (`wit/provider.wit`).

use exports::reeve::plugin::provide::{Answer, Guest, Next, Operation, Refusal, Task};
use talk::{Gitea, Note, no};

mod comment;
mod credential;
mod hook;
mod key;
mod open;
mod pull;
mod status;
mod talk;

wit_bindgen::generate!({ path: "../../wit", world: "provider" });

struct Provider;

impl Guest for Provider {
    fn step(operation: Operation, state: String, answer: Option<Answer>) -> Result<Next, Refusal> {
        let gitea = Gitea::of(&operation)?;
        let heard = match answer {
            Some(answer) => Some((Note::read(&state)?, answer)),
            None => None,
        };
        match &operation.task {
            Task::GitCredential(_) => credential::step(&gitea, heard),
            Task::DeployKeyPresent(key) => key::present(&gitea, key, heard),
            Task::DeployKeyAbsent(title) => key::absent(&gitea, title, heard),
            Task::WebhookPresent(hook) => hook::present(&gitea, hook, heard),
            Task::WebhookAbsent(url) => hook::absent(&gitea, url, heard),
            Task::WebhookCheck(url) => hook::check(&gitea, url, heard),
            Task::CommitStatus(status) => status::step(&gitea, status, heard),
            Task::PullRequest(pull) => pull::step(&gitea, pull, heard),
            Task::PullRequestsOpen(base) => open::step(&gitea, base, heard),
            Task::CommentPresent(comment) => comment::step(&gitea, comment, heard),
        }
    }
}

/// What was noted, and what Gitea answered to it; none at the beginning.
type Heard = Option<(Note, Answer)>;

fn lost(note: &Note) -> Refusal {
    no(format!(
        "the provider lost its place at {:?}: begin again",
        note.stage
    ))
}

export!(Provider);
