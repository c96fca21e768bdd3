//! The request that somebody merges what was pushed to a branch of its own: opened, and brought up to date in place.
//!
//! By the provider that the GitRepository names. Which branch, and what is on it, is `write`'s; it is found again by that, so
//! that nobody has to remember which it is.

use reeve_api::PROVIDER;
use reeve_api::reason::Reason;
use reeve_core::failure::{Explained, Turn};
use reeve_core::writeback::Request;

use super::Case;
use crate::controller::provider::{Asked, propose};
use crate::forge::words::PullRequest;

/// The first line of a request that says nothing of its own.
const TITLE: &str = "Write back what was changed on the cluster";

/// Has the request be open; the address of its page. `message` is that of the commit, if there was one.
pub(super) async fn open(
    case: &Case<'_>,
    request: &Request,
    message: Option<&str>,
) -> Result<String, Explained> {
    let source = case.spec.source.key();
    let plugin = case.ctx.index.read(|known| {
        let annotations = known.sources.get(&source)?.metadata.annotations.as_ref();
        annotations.and_then(|all| all.get(PROVIDER)).cloned()
    });
    let plugin = plugin.ok_or_else(|| {
        let message = format!(
            "branch {} is pushed, and GitRepository {source} names no provider that opens a request for it",
            request.branch
        );
        let hint = format!("name one in its annotation {PROVIDER}, or open the request by hand");
        Explained::new(Reason::Unsupported, Turn::Retry, message).with_hint(hint)
    })?;
    let (first, rest) = message
        .and_then(|message| message.split_once('\n'))
        .unwrap_or((TITLE, ""));
    let wanted = PullRequest {
        head: request.branch.clone(),
        base: case.branch.clone(),
        title: request.title.clone().unwrap_or_else(|| first.to_owned()),
        body: body(case.id, rest),
        labels: request.labels.clone(),
        reviewers: request.reviewers.clone(),
    };
    let repository = case.repository.url.without_userinfo();
    let asked = Asked {
        whose: &source,
        plugin: &plugin,
        repository: &repository,
    };
    let state = propose(case.ctx, asked, wanted).await?;
    Ok(state.url)
}

/// What somebody else wrote stands in a block of code that it cannot leave.
fn body(id: &impl std::fmt::Display, said: &str) -> String {
    let intro = format!("WriteBack `{id}` proposes what was changed on the cluster.");
    let said = said.trim();
    if said.is_empty() {
        return intro;
    }
    let longest = said.split(|c| c != '`').map(str::len).max();
    let fence = "`".repeat(longest.unwrap_or_default().max(2) + 1);
    format!("{intro}\n\n{fence}text\n{said}\n{fence}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_wrote_cannot_leave_its_block() {
        assert_eq!(
            body(&"a/b", " \n"),
            "WriteBack `a/b` proposes what was changed on the cluster."
        );
        let told = body(&"a/b", "x\n````\n# Approved\n````");
        let fences = told.lines().filter(|line| line.starts_with("`````"));
        assert_eq!(fences.count(), 2, "{told}");
    }
}
