//! Which changes on the cluster become commits: by rule, as the tenant, and never at the price of a commit of somebody's.
//!
//! Pure decisions over objects and files that the shell has read. Where a value goes in the files is `reeve_writeback`'s, who
//! may read the cluster is the API server's, and the commit is pushed by the shell.
//!
//! | question | where |
//! |---|---|
//! | what a WriteBack asks for, and a configuration file of its own | `spec.rs`, `config.rs` |
//! | which rules are for an object, and which side follows for each of its fields | `rule.rs`, `filter.rs`, `following.rs` |
//! | who has changed a field, and what they say of it | `hand.rs`, `said.rs` |
//! | which directories of a shared repository are a tenant's | `home.rs` |
//! | which side has changed it since both were the same | `agreement.rs` |
//! | what is written to which files, and what is refused | `decide.rs` |
//! | when both were the same, of files that nobody builds | `remembered.rs` |
//! | what the commit says, and whether a commit is one of ours | `message.rs` |
//! | what applying leaves alone until it is written | `leave.rs` |
//! | what was applied before, for who has forgotten it | `past.rs` |
//! | what becomes of a pull request | `proposal.rs` |

mod agreement;
pub mod config;
mod decide;
mod filter;
mod following;
mod hand;
mod home;
mod leave;
mod message;
pub mod past;
mod proposal;
mod remembered;
mod rule;
mod said;
mod spec;
mod wrote;

pub use agreement::{Conflict, Side};
pub use decide::{
    Allowed, Build, Decision, Elsewhere, Field, Head, Refusal, Seen, State, What, Written, decide,
    was_same,
};
pub use filter::{Filters, filtered};
pub use following::Following;
pub use hand::{Hand, hand_of, last_hand};
pub use home::lies_in;
pub use leave::{Leave, Yielding};
pub use message::{About, Trailers, compose, digest, trailers};
pub use proposal::{Proposal, Step, Tip, step};
pub use remembered::{Remembered, Settled, UNKNOWN, content_mark, is_made_after};
pub use rule::{Rule, Rules, Subject};
pub use said::Told;
pub use spec::{Author, Propose, Request, Spec};
pub use wrote::{Search, Wrote};

use reeve_kustomize::Object;
use serde_json::Value;

use crate::gitconfig;

/// What no object that is written has, and no commit: by these somebody speaks to us, or to who reads the history.
const OURS: [&str; 4] = [
    reeve_api::WRITE_BACK.0,
    reeve_api::CHANGE_REASON,
    reeve_api::CHANGED_BY,
    reeve_api::REPLACED,
];

/// Whether somebody has taken the object out of write-back.
pub fn is_paused(object: &Value) -> bool {
    let (key, value) = reeve_api::WRITE_BACK;
    let set = object.pointer("/metadata/annotations");
    let set = set.and_then(|all| all.get(key)).and_then(Value::as_str);
    set.is_some_and(|set| set.eq_ignore_ascii_case(value))
}

/// Whether two addresses are of one repository, however they are written.
pub fn is_same_repository(one: &str, other: &str) -> bool {
    let place = |text: &str| gitconfig::Place::of(&gitconfig::address(text).ok()?).ok();
    one == other
        || place(one)
            .zip(place(other))
            .is_some_and(|(one, other)| one == other)
}

/// An object as people call it: `Deployment acme/web`.
pub fn subject(object: &Object) -> String {
    let slash = if object.namespace().is_empty() {
        ""
    } else {
        "/"
    };
    let (kind, namespace, name) = (object.kind(), object.namespace(), object.name());
    let text = format!("{kind} {namespace}{slash}{name}");
    crate::text::line(&text).chars().take(400).collect()
}

/// Takes what is said to us out of an object's annotations.
fn without_ours(object: &mut Object) {
    without(object, &OURS);
}

/// Takes annotations out of an object.
fn without(object: &mut Object, keys: &[&str]) {
    let metadata = object.metadata_mut();
    let Some(Value::Object(annotations)) = metadata.get_mut("annotations") else {
        return;
    };
    let before = annotations.len();
    annotations.retain(|key, _| !keys.contains(&key.as_str()));
    if annotations.is_empty() && before > 0 {
        metadata.shift_remove("annotations");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repository_is_one_however_its_address_is_written() {
        let one = "https://git.example/acme/web.git";
        for (other, want) in [
            (one, true),
            ("git@git.example:acme/web", true),
            ("ssh://git@git.example/acme/web.git", true),
            ("https://git.example/Acme/web/", true),
            ("https://git.example/acme/api", false),
            ("https://other.example/acme/web", false),
            ("http://git.example/acme/web", false),
            ("nonsense", false),
        ] {
            assert_eq!(is_same_repository(one, other), want, "{other}");
        }
    }
}
