//! The same by a pull request: the change is on a branch of ours, and somebody merges it.
//!
//! One request at a time, updated in place. Its branch begins where the target was; once what was proposed is there, however it
//! was merged, the next change begins a branch anew, so that a squashed merge leaves nothing to conflict with. When there is
//! nothing left to propose, the request is closed. What it deliberately doesn't: merge, or delete a branch.

use std::sync::Arc;

use reeve_api::GIT_CONFIG;
use reeve_api::deliver::{Delivered, Proposal, Proposed};
use reeve_api::reason::Reason;
use reeve_core::deliver::{self, Settled, Target};
use reeve_core::failure::{Explained, Turn};
use reeve_core::text;

use super::edit::{self, settle};
use super::{Courier, Done, adopted};
use crate::controller::provider::{self, Asked};
use crate::forge::words::{PullRequest, PullRequestState};
use crate::git::push::Absent;
use crate::git::{self, Content, Resolved};

/// The longest address of a page that is told.
const LONGEST: usize = 500;

impl Courier<'_> {
    /// Has what differs from the branch, which is at `found`, be proposed.
    pub(super) async fn propose(
        &self,
        how: &Proposal,
        found: Resolved,
        before: Option<&Delivered>,
    ) -> Result<Done, Explained> {
        // Who opens it, before anything is pushed that nobody would.
        let asked = self.asked()?;
        let head = found.revision().commit().to_owned();
        let settled = self.there(found).await?;
        if settled.is_nothing() {
            self.retract(before).await?;
            let delivered = Delivered {
                adopted: before.and_then(|before| before.adopted),
                commit: Some(head.clone()),
                ..self.delivered(head)
            };
            return Ok((delivered, None));
        }
        let id = &self.spec.id;
        let open = before.filter(|before| before.digest != settled.there.to_string());
        let open = open.and_then(|before| before.proposal.as_ref());
        let open = open.filter(|open| deliver::is_branch_of(id, &open.branch));
        let branch = match open {
            Some(open) => open.branch.clone(),
            None => deliver::branch(id, &head),
        };
        let base = self.repository.branch.clone();
        let pushed = self.push(&branch, Absent::From(base)).await?;
        let request = self.request(how, &branch, &settled);
        let state = provider::propose(self.ctx, asked, request).await?;
        let delivered = Delivered {
            adopted: adopted(before, pushed.change.as_ref()),
            commit: before.and_then(|before| before.commit.clone()),
            proposal: Some(proposed(branch, &state)),
            ..self.delivered(head)
        };
        Ok((delivered, pushed.change))
    }

    /// What would have to change on the branch itself.
    async fn there(&self, found: Resolved) -> Result<Settled, Explained> {
        let (ctx, deadline) = (self.ctx, self.until.deadline.into_std());
        let content = Content {
            ignore: Some(edit::ALL.to_owned()),
            ..Content::default()
        };
        let writable = &self.repository.writable;
        let (remote, mirrors) = (&writable.remote, ctx.mirrors_of(&self.spec.id));
        let mirrors = writable.onto(&mirrors);
        let fetched = git::fetch(&mirrors, remote, found, content, deadline, &ctx.limits).await;
        let snapshot = fetched.map_err(|why| self.repository.said(&why))?;
        let (files, directory) = (Arc::clone(&self.files), self.place.directory.clone());
        let read = move || settle(&files, &directory, Some(&snapshot));
        let read = tokio::task::spawn_blocking(read);
        match tokio::time::timeout_at(self.until.deadline, read).await {
            Ok(Ok(settled)) => settled,
            Ok(Err(_)) | Err(_) => {
                let message = "what is there could not be read in time";
                Err(Explained::new(Reason::DeliveryFailed, Turn::Ours, message))
            }
        }
    }

    fn request(&self, how: &Proposal, branch: &str, settled: &Settled) -> PullRequest {
        let told = self.told();
        PullRequest {
            head: branch.to_owned(),
            base: self.repository.branch.clone(),
            title: deliver::title(&told),
            body: deliver::body(&told, &self.place.directory, settled),
            labels: how.labels.clone(),
            reviewers: how.reviewers.clone(),
        }
    }

    /// Closes the request that the last run told of, if there was one.
    pub(super) async fn retract(&self, before: Option<&Delivered>) -> Result<(), Explained> {
        let open = before.and_then(|before| before.proposal.as_ref());
        let id = &self.spec.id;
        // A status is only what somebody wrote: no other branch's request is closed by it.
        match open.filter(|open| deliver::is_branch_of(id, &open.branch)) {
            Some(open) => provider::retract(self.ctx, self.asked()?, &open.branch).await,
            None => Ok(()),
        }
    }

    /// Who speaks to the forge: for a repository of its own the provider that the Kustomization names, else whom git
    /// configuration names.
    fn asked(&self) -> Result<Asked<'_>, Explained> {
        let repository = &self.repository.address;
        let plugin = match &self.place.target {
            Target::Given(_) => GIT_CONFIG,
            Target::Own(_) => self.provider.ok_or_else(nobody)?,
        };
        Ok(Asked {
            whose: &self.spec.id,
            plugin,
            repository,
        })
    }
}

fn proposed(branch: String, state: &PullRequestState) -> Proposed {
    let page = text::line(&state.url);
    let is_page = page.starts_with("https://") || page.starts_with("http://");
    Proposed {
        branch,
        number: i64::try_from(state.number).ok(),
        url: (is_page && page.len() <= LONGEST).then_some(page),
    }
}

fn nobody() -> Explained {
    let message =
        "a pull request is wanted, and the Kustomization names no provider that would open it";
    let hint =
        "name one in its annotation reeve.dev/provider, or take reeve.dev/deliver-propose away";
    Explained::new(Reason::InvalidSpec, Turn::Owner, message).with_hint(hint)
}
