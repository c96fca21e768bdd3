//! What is to be written is proposed: one request of all of it, in one commit on top of the newest one of its base.
//!
//! So all that is proposed is looked at together whenever any of it is another: what went back goes from the request, and what
//! somebody has put into the base meanwhile is below it. Its branch begins anew each time, if the commit on it is ours; what others
//! have put there is left to them. What is to be done is `core::writeback::step`'s to say, who speaks to the forge is `request`'s.
//! Nothing is proposed before all that is watched was listed, nor while something of it cannot be read.

use std::sync::Arc;

use reeve_api::reason::Reason;
use reeve_api::writeback::{WriteBackRefusal, WriteBackRequest};
use reeve_core::artifact::Revision;
use reeve_core::failure::{Explained, Turn};
use reeve_core::inventory::ObjectId;
use reeve_core::status::Requested;
use reeve_core::ward::{Left, PROPOSED, Work};
use reeve_core::writeback::{Decision, Proposal, Request, Seen, Step, Tip, step, trailers};

use super::look::Found;
use super::write::{Decided, Material, Sight, Wrote};
use super::{Case, Taken, request, told};
use crate::git::push::{self, Absent, remove};
use crate::git::{self, Snapshot};

impl Case<'_> {
    /// Reads what was taken and all that is proposed, and has that be the request.
    pub(super) async fn propose(
        &self,
        taken: &mut Taken<'_>,
        request: &Request,
    ) -> Result<Wrote, Explained> {
        // While there is more than one run can look at it is only found out what is to be proposed.
        let is_all = !taken.work.more;
        if is_all {
            let work = std::mem::take(&mut taken.work);
            taken.work = self.ctx.wards.with_proposed(self.id, work);
        }
        let Found {
            mut seen,
            builds,
            later,
            trouble,
            agreed,
            ..
        } = self.look(&taken.work).await;
        if self.ctx.wards.is_proposed(self.id, &later) {
            // Without it the request would lose something.
            return Ok(Wrote {
                trouble,
                ..Wrote::default()
            });
        }
        self.proposed_first(&mut seen);
        let sight = self.sight(builds, seen, agreed);
        let wrote = match is_all {
            true => self.bring_up_to_date(sight, request).await?,
            false => self.sift(&sight).await?,
        };
        Ok(wrote.but_for(taken, later, trouble))
    }

    /// Closes what was asked for before the WriteBack said something else.
    pub(super) async fn leave_former(&self) -> Result<(), Explained> {
        match &self.former {
            Some(former) => {
                let tip = self.tip(&former.branch).await?;
                self.close(&former.branch, &tip).await
            }
            None => Ok(()),
        }
    }

    async fn sift(&self, sight: &Sight) -> Result<Wrote, Explained> {
        let decided = match self.on_what_is_here(&sight.material).await? {
            Some(decided) => decided,
            None => self.on_newest(&sight.material).await?,
        };
        self.settle(sight, &decided.decision);
        self.wait(&self.remember(sight, &decided.decision));
        Ok(self.told(sight, &decided, None))
    }

    async fn bring_up_to_date(
        &self,
        mut sight: Sight,
        request: &Request,
    ) -> Result<Wrote, Explained> {
        let here = match &self.known {
            Some(_) => None,
            None => self.on_what_is_here(&sight.material).await?,
        };
        let mut decided = match here.filter(|decided| decided.proposal.is_none()) {
            Some(decided) => decided,
            None => self.on_newest(&sight.material).await?,
        };
        let over = self.remember(&sight, &decided.decision);
        if !over.is_empty() {
            sight = sight.without(&over);
            decided = self.on_newest(&sight.material).await?;
        }
        self.settle(&sight, &decided.decision);
        self.wait(&over);
        if decided.proposal.is_none() && self.known.is_none() {
            return Ok(self.told(&sight, &decided, None));
        }
        let tip = self.tip(&request.branch).await?;
        let known = self.known.as_ref();
        match step(known, &tip, decided.proposal.as_ref(), self.asked) {
            Step::Close => {
                self.close(&request.branch, &tip).await?;
                let mut wrote = self.told(&sight, &decided, None);
                wrote.request = Requested::Nothing;
                Ok(wrote)
            }
            Step::Rest => Ok(self.told(&sight, &decided, None)),
            Step::Wait(commit) => Err(anothers(request, &commit)),
            Step::Look { is_stale, over } => {
                if let Some(known) = known
                    && !request::is_open(self, known).await?
                {
                    let mut wrote = self.told(&sight, &decided, None);
                    wrote.request = Requested::Is(WriteBackRequest {
                        closed: true,
                        ..known.clone()
                    });
                    return Ok(wrote);
                }
                match is_stale {
                    true => self.push_and_ask(&sight, request, over).await,
                    false => Ok(self.told(&sight, &decided, None)),
                }
            }
            Step::Ask => self.ask(&sight, request, &decided, None).await,
            Step::Push { over } => self.push_and_ask(&sight, request, over).await,
        }
    }

    async fn push_and_ask(
        &self,
        sight: &Sight,
        request: &Request,
        over: Option<String>,
    ) -> Result<Wrote, Explained> {
        let from = self.branch.clone();
        let begin = Absent::Anew { from, over };
        let sent = self.send(&sight.material, request.branch.clone(), begin);
        match sent.await? {
            (decided, Some(revision)) => self.ask(sight, request, &decided, Some(&revision)).await,
            // The base holds it by now, which its next run finds.
            (decided, None) => Ok(self.told(sight, &decided, None)),
        }
    }

    /// Has the request be open for what is on its branch; `pushed` is what was pushed for it just now.
    async fn ask(
        &self,
        sight: &Sight,
        request: &Request,
        decided: &Decided,
        pushed: Option<&Revision>,
    ) -> Result<Wrote, Explained> {
        let mut wrote = self.told(sight, decided, pushed);
        let Some(Proposal { content, digest }) = decided.proposal.clone() else {
            return Ok(wrote);
        };
        let known = self.known.clone().unwrap_or_default();
        let mut is = WriteBackRequest {
            branch: request.branch.clone(),
            closed: false,
            content,
            digest,
            number: None,
            revision: pushed.map_or(known.revision, Revision::to_string),
            url: None,
        };
        match request::open(self, request, &sight.material.message(decided)).await {
            Ok(state) => {
                is.number = i64::try_from(state.number).ok();
                is.url = request::page(&state.url);
                if pushed.is_none() {
                    let last = self.last.clone();
                    wrote.commit = last.filter(|last| last.branch == request.branch);
                }
                let url = is.url.clone();
                wrote
                    .commit
                    .iter_mut()
                    .for_each(|one| one.request_url.clone_from(&url));
            }
            // The branch stands, so that the next run asks for nothing else.
            Err(why) => wrote.trouble = Some(why),
        }
        wrote.request = Requested::Is(is);
        Ok(wrote)
    }

    /// Closes the request from a branch, and takes that away, if nobody else has put anything there.
    async fn close(&self, branch: &str, tip: &Tip) -> Result<(), Explained> {
        let Tip::Ours(commit) = tip else {
            return Ok(());
        };
        request::close(self, branch).await?;
        let (ctx, deadline) = (self.ctx, self.deadline.into_std());
        let remote = &self.repository.remote;
        let mirrors = ctx.mirrors_of(self.id);
        let removed = remove(&mirrors, remote, branch, commit, deadline, &ctx.limits);
        match removed.await {
            // Where it may not go nothing depends on it: the next proposal begins there anew.
            Ok(_) | Err(push::Error::Declined { .. } | push::Error::Protected { .. }) => Ok(()),
            Err(why) => Err(self.unpushed(&why)),
        }
    }

    /// Where a branch is, and whose the commit there is.
    async fn tip(&self, branch: &str) -> Result<Tip, Explained> {
        let files = match self.files(branch).await {
            Ok(files) => files,
            Err(git::Error::Checkout(git::Cause::NoRef(_)) | git::Error::Empty) => {
                return Ok(Tip::Absent);
            }
            Err(why) => return Err(self.repository.said(&Explained::of(&why))),
        };
        let commit = files.revision().commit().to_owned();
        let said = files.message().and_then(|message| trailers(&message));
        // What was committed to a branch, or is merged, is no proposal any more.
        let is_ours = said.is_some_and(|said| {
            said.by == self.id.to_string() && said.request.as_deref() == Some(branch)
        });
        Ok(match is_ours {
            true => Tip::Ours(commit),
            false => Tip::Anothers(commit),
        })
    }

    /// What is decided on the newest commit of the base.
    async fn on_newest(&self, material: &Arc<Material>) -> Result<Decided, Explained> {
        let files = self.files(&self.branch).await;
        let files = files.map_err(|why| self.repository.said(&Explained::of(&why)))?;
        self.on(material, files).await
    }

    pub(super) async fn files(&self, branch: &str) -> Result<Snapshot, git::Error> {
        let (ctx, repository) = (self.ctx, &self.repository);
        let mirrors = repository.onto(&ctx.mirrors_of(self.id));
        let deadline = self.deadline.into_std();
        let what = (branch, repository.ignore.as_deref());
        git::head(
            &mirrors,
            &repository.remote,
            what,
            None,
            deadline,
            &ctx.limits,
        )
        .await
    }

    /// What is to be proposed is looked at from now on with all that is; which objects there is no room for.
    fn remember(&self, sight: &Sight, decision: &Decision) -> Vec<ObjectId> {
        let proposed = told::proposed(&sight.ids, &sight.material.seen, decision);
        // What was not decided about is as it was.
        let looked = sight.ids.iter().filter(|id| !decision.over.contains(id));
        let looked: Vec<ObjectId> = looked.cloned().collect();
        let mut over = self.ctx.wards.propose(self.id, &looked, proposed);
        over.extend(decision.over.iter().cloned());
        over
    }

    /// What is proposed already is decided about before what is new: there is room for so many in one decision.
    fn proposed_first(&self, seen: &mut [(ObjectId, Seen)]) {
        seen.sort_by_cached_key(|(id, _)| {
            let one = Work {
                there: vec![id.clone()],
                ..Work::default()
            };
            !self.ctx.wards.is_proposed(self.id, &one)
        });
    }

    /// Those for which there is no room wait for the request to be merged.
    fn wait(&self, over: &[ObjectId]) {
        let left = over.iter().map(|id| {
            let refused = WriteBackRefusal {
                field: None,
                hint: Some("merge it: what waits is proposed by the next one".to_owned()),
                object: id.subject(),
                reason: format!("a request is of {PROPOSED} objects at most"),
            };
            let left = Left {
                refused: vec![refused],
                ..Left::default()
            };
            (id.clone(), left)
        });
        self.ctx.wards.looked_at(self.id, left.collect());
    }
}

fn anothers(request: &Request, commit: &str) -> Explained {
    let branch = &request.branch;
    let message = format!(
        "branch {branch} is at {commit}, which is no commit of this WriteBack, and is left alone"
    );
    let hint = "merge or close its pull request and delete the branch, or name another one in spec.pullRequest.branch";
    Explained::new(Reason::PushRejected, Turn::Retry, message).with_hint(hint)
}
