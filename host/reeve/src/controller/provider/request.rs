//! A pull request from a branch of ours: opened, brought up to date, and closed when nothing is left to propose.
//!
//! It is found again by its branch, so nobody needs to remember its number, and both can be asked again at any time. What it
//! deliberately doesn't: make the branch or its commits (`git::push` does), merge, or delete the branch.

use reeve_api::reason::Reason;
use reeve_core::failure::{Explained, Turn};

use super::{Asked, carry_out, inquire};
use crate::context::Context;
use crate::forge::words::{Done, PullRequest, PullRequestState, Task};

/// Has one request from the branch `wanted.head` be open, as `wanted` says; one that is open is updated in place. Those who
/// are to review it are asked when it is opened.
///
/// `wanted.head` begins with `reeve/`, or [`retract`] does not close it where the rights are the platform's.
///
/// # Errors
/// When the provider is missing or refuses, or the forge cannot be asked.
pub(in crate::controller) async fn propose(
    ctx: &Context,
    asked: Asked<'_>,
    wanted: PullRequest,
) -> Result<PullRequestState, Explained> {
    match inquire(ctx, asked, Task::PullRequest(wanted), None)
        .await?
        .0
    {
        Done::PullRequest(state) => Ok(state),
        // The forge room lets no other end pass.
        _ => {
            let message = "the provider ended without a pull request";
            Err(Explained::new(Reason::PluginFailed, Turn::Retry, message))
        }
    }
}

/// Closes what is open from the branch `head`; nothing happens where nothing is.
///
/// # Errors
/// As for [`propose`].
pub(in crate::controller) async fn retract(
    ctx: &Context,
    asked: Asked<'_>,
    head: &str,
) -> Result<(), Explained> {
    let task = Task::PullRequestAbsent(head.to_owned());
    carry_out(ctx, asked, task, None).await
}
