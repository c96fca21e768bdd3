//! What the providers for forges share: the contract's types, and how one speaks to an API over REST.
//!
//! Each step of an operation is a function of the operation, of the note that the guest wrote to itself, and of the
//! forge's answer. A guest holds no secret and makes no request; it says which (`wit/provider.wit`). What it deliberately
//! doesn't: know any forge. Paths, fields and what a forge calls things are each guest's own.

pub mod close;
pub mod gone;
pub mod hook;
pub mod key;
mod note;
pub mod open;
mod talk;

wit_bindgen::generate!({
    path: "../../wit",
    world: "provider",
    pub_export_macro: true,
    default_bindings_module: "provider",
});

pub use exports::reeve::plugin::provide::{
    Answer, Body, Comment, CommitState, CommitStatus, Credential, DeployKey, Done, Guest, Header,
    HeaderValue, Jwt, Next, OpenPullRequest, Operation, Part, PullRequest, PullRequestState,
    Refusal, Repository, Request, SecretField, Task, Webhook, WebhookState,
};
pub use note::Note;
pub use talk::{Config, Talk, escaped, home, id, no, same_key};

/// What was noted, and what the forge answered to it; none at the beginning.
pub type Heard = Option<(Note, Answer)>;

/// A step that a note names, and nobody knows.
pub fn lost(note: &Note) -> Refusal {
    no(format!(
        "the provider lost its place at {:?}: begin again",
        note.stage
    ))
}
