//! The request that somebody merges what was pushed to a branch of its own: opened, brought up to date in place, looked at, closed.
//!
//! By the provider that the GitRepository names. Which branch, and what is on it, is `propose`'s; a request is found again by that,
//! and one that somebody has closed by its number.

use reeve_api::PROVIDER;
use reeve_api::name::NamespacedName;
use reeve_api::reason::Reason;
use reeve_api::writeback::WriteBackRequest;
use reeve_core::failure::{Explained, Turn};
use reeve_core::text;
use reeve_core::writeback::Request;

use super::Case;
use crate::controller::provider::{Asked, inquire, propose, retract};
use crate::forge::words::{Done, PullRequest, PullRequestState, Task};

/// The first line of a request that says nothing of its own.
const TITLE: &str = "Write back what was changed on the cluster";
/// The longest address of a page that is told.
const LONGEST: usize = 500;
/// How many open requests a provider tells of at most.
const LISTED: usize = 200;

/// Who speaks to the forge.
struct Agent {
    source: NamespacedName,
    plugin: String,
    repository: String,
}

impl Agent {
    /// None: the GitRepository names nobody.
    fn of(case: &Case<'_>) -> Option<Self> {
        let source = case.spec.source.key();
        let plugin = case.ctx.index.read(|known| {
            let annotations = known.sources.get(&source)?.metadata.annotations.as_ref();
            annotations.and_then(|all| all.get(PROVIDER)).cloned()
        });
        Some(Self {
            plugin: plugin?,
            repository: case.repository.url.without_userinfo(),
            source,
        })
    }

    fn asked(&self) -> Asked<'_> {
        Asked {
            whose: &self.source,
            plugin: &self.plugin,
            repository: &self.repository,
        }
    }
}

/// Has the request be open. `message` is that of the commit.
pub(super) async fn open(
    case: &Case<'_>,
    request: &Request,
    message: &str,
) -> Result<PullRequestState, Explained> {
    let agent = Agent::of(case).ok_or_else(|| {
        let message = format!(
            "branch {} is pushed, and GitRepository {} names no provider that opens a request for it",
            request.branch,
            case.spec.source.key()
        );
        let hint = format!("name one in its annotation {PROVIDER}, or open the request by hand");
        Explained::new(Reason::Unsupported, Turn::Retry, message).with_hint(hint)
    })?;
    let (first, rest) = message.split_once('\n').unwrap_or((TITLE, ""));
    let wanted = PullRequest {
        head: request.branch.clone(),
        base: case.branch.clone(),
        title: request.title.clone().unwrap_or_else(|| first.to_owned()),
        body: body(case.id, rest),
        labels: request.labels.clone(),
        reviewers: request.reviewers.clone(),
    };
    propose(case.ctx, agent.asked(), wanted).await
}

/// Whether a request is still open. Where nobody can say so, it is.
pub(super) async fn is_open(case: &Case<'_>, known: &WriteBackRequest) -> Result<bool, Explained> {
    let Some(agent) = Agent::of(case) else {
        return Ok(true);
    };
    let task = Task::PullRequestsOpen(case.branch.clone());
    let (done, said) = inquire(case.ctx, agent.asked(), task, None).await?;
    let Done::PullRequests(all) = done else {
        // The forge room lets no other end pass.
        return Ok(true);
    };
    // It may be among those that are left out.
    let is_all = all.len() < LISTED && !said.iter().any(|line| line.starts_with("warn: "));
    let is = |number: u64| i64::try_from(number).ok() == known.number;
    Ok(!is_all || all.iter().any(|one| is(one.number)))
}

/// Closes what is open from a branch of ours, where anybody could have opened it.
pub(super) async fn close(case: &Case<'_>, branch: &str) -> Result<(), Explained> {
    match Agent::of(case) {
        Some(agent) => retract(case.ctx, agent.asked(), branch).await,
        None => Ok(()),
    }
}

/// The address of a page, if it is one that may be told.
pub(super) fn page(url: &str) -> Option<String> {
    let page = text::line(url);
    let is_page = page.starts_with("https://") || page.starts_with("http://");
    (is_page && page.len() <= LONGEST).then_some(page)
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
