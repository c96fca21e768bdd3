//! The newest commit of a branch, and the files there: what whoever commits to it begins with.
//!
//! It deliberately asks for every file that `ignore` leaves, and for nothing else of a source's content: no submodules, no
//! includes, no signatures.

use std::sync::Arc;
use std::time::Instant;

use reeve_core::source::Reference;

use super::{Content, Error, Limits, Mirrors, Remote, Snapshot, fetch, resolve};

/// Fetches the head of a branch, unless that is `known` already. `ignore` is the source's, in the syntax of `.gitignore`.
///
/// # Errors
/// The branch is not there or cannot be read, or `deadline` has passed.
pub async fn head(
    mirrors: &Mirrors,
    remote: &Arc<Remote>,
    (branch, ignore): (&str, Option<&str>),
    known: Option<&Snapshot>,
    deadline: Instant,
    limits: &Limits,
) -> Result<Snapshot, Error> {
    let reference = Reference::Branch(branch.to_owned());
    let found = resolve(mirrors, remote, &reference, deadline, limits).await?;
    if let Some(known) = known.filter(|known| known.revision() == found.revision()) {
        return Ok(known.clone());
    }
    let content = Content {
        ignore: ignore.map(str::to_owned),
        ..Content::default()
    };
    fetch(mirrors, remote, found, content, deadline, limits).await
}
