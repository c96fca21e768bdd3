//! A commit of ours on a branch of a remote: on top of what is there, never over it.
//!
//! [`push`] fetches the branch, asks its caller what is to change in it, makes the commit in memory and sends it in git's
//! own protocol, over the transports that fetching uses. When somebody else was faster it fetches again and **asks again**:
//! an edit is a function of the files it is made on, so nothing of another's commit is undone by ours, and there is no merge.
//! The server moves the branch only from the commit that was read, and to one that is on top of it. The one exception is a branch that
//! holds nothing but a proposal of ours: it may begin anew ([`Absent::Anew`]) and go ([`remove`]), where its caller names the commit
//! of ours that it is at; at any other it stays.
//!
//! What it deliberately doesn't: decide what changes, keep a commit that could not be sent (the next call makes it again, and
//! an edit that is there already makes none), or open a pull request.

mod attempt;
mod error;
pub(super) mod pack;
mod remove;
mod report;
mod send;

use std::sync::Arc;
use std::time::Instant;

use gix::ObjectId;
use reeve_core::artifact::Revision;
use reeve_core::failure::Explained;
use reeve_core::schedule;
use tokio::sync::OwnedMutexGuard;

use super::commit::{Edits, Identity, Signer, check_message};
use super::session::blocking;
use super::wire::rounded;
use super::{Cause, Limits, Mirrors, Remote, Snapshot, head};
use crate::clock::Clock;
use attempt::{Attempt, Base, Done, Edit};
pub use error::Error;
pub use remove::remove;

/// What a commit is to be like, and where it is to go.
#[derive(Debug, Clone)]
pub struct Push {
    /// The branch, without `refs/heads/`.
    pub branch: String,
    /// What it begins with when there is no such branch.
    pub absent: Absent,
    /// Which files the edit does not see, as for [`head`]. It may write them all the same.
    pub ignore: Option<String>,
    /// Who wrote it.
    pub author: Identity,
    /// Who committed it.
    pub committer: Identity,
    /// The commit's message.
    pub message: String,
    /// Who signs it, if anybody.
    pub signer: Option<Arc<Signer>>,
    /// What the server's hooks are told beside it; an error if the server has no ear for that.
    pub options: Vec<String>,
    /// Chance, for the waits between attempts.
    pub spread: u64,
}

/// What becomes of a branch that isn't there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Absent {
    /// It is an error.
    Refuse,
    /// It begins where this branch is.
    From(String),
    /// It begins with nothing: the commit is its first.
    Root,
    /// It begins where `from` is, whether there is one or not. What it holds goes, if that is the commit `over`.
    Anew {
        /// The branch that it begins at.
        from: String,
        /// The commit that it is at; None: there is none.
        over: Option<String>,
    },
}

/// What a push came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The branch is at a commit of ours.
    Pushed {
        /// Which.
        revision: Revision,
        /// How many attempts it took: more than one when others were pushing.
        attempts: u32,
    },
    /// The files are as the edit wants them: nothing was sent.
    Unchanged,
}

/// How often a branch that moves is tried.
const ATTEMPTS: u32 = 8;
/// The most push options, and the length of one.
const MAX_OPTIONS: usize = 20;
const MAX_OPTION: usize = 1000;

/// Puts one commit on a branch of `remote`, with the changes that `edit` makes of its files.
///
/// `edit` is asked once for each attempt, each time with the files as they are then (nothing below a first commit), on a
/// thread that may block. One push at a time for each remote in this process; others wait for their turn.
///
/// # Errors
/// When the branch can't be had or the commit can't be made within the deadline and the limits, the server refuses it, or
/// others were faster each time. After an error of the connection it is not known whether the commit is there: the same push
/// again finds out, and makes no second one.
pub async fn push<E>(
    mirrors: &Mirrors,
    remote: &Arc<Remote>,
    push: Push,
    edit: E,
    clock: &Clock,
    deadline: Instant,
    limits: &Limits,
) -> Result<Outcome, Error>
where
    E: Fn(Option<&Snapshot>) -> Result<Edits, Explained> + Send + Sync + 'static,
{
    push.check()?;
    let work = Work {
        mirrors,
        remote,
        push: Arc::new(push),
        edit: Arc::new(edit),
        clock,
        deadline,
        limits,
    };
    let pushed = work.run().await;
    pushed.map_err(|error| error.tame(remote))
}

impl Push {
    /// The branch by its full name.
    fn reference(&self) -> String {
        format!("refs/heads/{}", self.branch)
    }

    fn is_branch(name: &str) -> Result<(), Error> {
        let full = format!("refs/heads/{name}");
        // What git takes for a reference has neither spaces nor control characters: it cannot end its line.
        match full.len() > 250 || gix::validate::reference::name(full.as_str().into()).is_err() {
            true => Err(asked("branch", name, "git has no branches of such names")),
            false => Ok(()),
        }
    }

    fn check(&self) -> Result<(), Error> {
        let base = match &self.absent {
            Absent::From(base) | Absent::Anew { from: base, .. } => Some(base),
            Absent::Refuse | Absent::Root => None,
        };
        for branch in [Some(&self.branch), base].into_iter().flatten() {
            Self::is_branch(branch)?;
        }
        check_message(&self.message)?;
        if self.options.len() > MAX_OPTIONS {
            return Err(asked("push option", "", "there are more than 20"));
        }
        for option in &self.options {
            let odd = option.is_empty() || option.chars().any(char::is_control);
            if odd || option.len() > MAX_OPTION {
                let why = "it is empty, long, or holds control characters";
                return Err(asked("push option", option, why));
            }
        }
        Ok(())
    }
}

fn asked(what: &'static str, text: &str, why: &'static str) -> Error {
    let text = text.chars().take(100).collect();
    Error::Asked { what, text, why }
}

struct Work<'a> {
    mirrors: &'a Mirrors,
    remote: &'a Arc<Remote>,
    push: Arc<Push>,
    edit: Arc<Edit>,
    clock: &'a Clock,
    deadline: Instant,
    limits: &'a Limits,
}

impl Work<'_> {
    async fn run(&self) -> Result<Outcome, Error> {
        let turn = self.turn().await?;
        let mut why = String::new();
        for attempts in 1..=ATTEMPTS {
            match self.attempt(&turn).await? {
                Done::Unchanged => return Ok(Outcome::Unchanged),
                Done::Pushed(commit) => {
                    let revision = Revision::new(Some(&self.push.branch), &commit.to_string());
                    let revision = revision.map_err(|_| Cause::Internal)?;
                    return Ok(Outcome::Pushed { revision, attempts });
                }
                Done::Moved(told) => why = told,
            }
            if attempts < ATTEMPTS {
                let wait = tokio::time::sleep(schedule::outrun(attempts, self.push.spread));
                // Past the deadline the next attempt says so.
                tokio::time::timeout_at(self.deadline.into(), wait)
                    .await
                    .ok();
            }
        }
        Err(Error::Outrun {
            branch: self.push.branch.clone(),
            attempts: ATTEMPTS,
            why,
        })
    }

    /// Waits for its turn among those of this process who push to the same remote.
    async fn turn(&self) -> Result<Arc<OwnedMutexGuard<()>>, Cause> {
        let given = self.deadline.saturating_duration_since(Instant::now());
        let mirror = self.mirrors.of(self.remote);
        let turn = tokio::time::timeout_at(self.deadline.into(), mirror.turn_to_push()).await;
        let turn = turn.map_err(|_| Cause::Deadline {
            doing: "waiting for another push to the same repository",
            after: rounded(given),
        })?;
        Ok(Arc::new(turn))
    }

    async fn attempt(&self, turn: &Arc<OwnedMutexGuard<()>>) -> Result<Done, Error> {
        let base = self.base().await?;
        let attempt = Attempt {
            remote: Arc::clone(self.remote),
            lines: self.mirrors.of(self.remote).lines(self.remote)?,
            push: Arc::clone(&self.push),
            edit: Arc::clone(&self.edit),
            base,
            at: self.clock.now(),
            limits: self.limits.clone(),
        };
        let turn = Arc::clone(turn);
        let done = blocking(
            self.mirrors.permits(),
            self.deadline,
            "pushing",
            move |runtime, terms| {
                // Held by the thread as well: a caller who gives up doesn't let the next one in beside it.
                let _turn = turn;
                Ok(attempt.run(runtime, terms))
            },
        );
        done.await?
    }

    /// What is there to build upon.
    async fn base(&self) -> Result<Base, Error> {
        if let Absent::Anew { from, over } = &self.push.absent {
            let over = over
                .as_deref()
                .map(|over| ObjectId::from_hex(over.as_bytes()));
            let head = over.transpose().map_err(|_| Cause::Internal)?;
            let snapshot = Some(self.files(from).await?);
            return Ok(Base { snapshot, head });
        }
        let absent = match self.files(&self.push.branch).await {
            Ok(snapshot) => {
                let head = ObjectId::from_hex(snapshot.revision().commit().as_bytes());
                let head = Some(head.map_err(|_| Cause::Internal)?);
                let snapshot = Some(snapshot);
                return Ok(Base { snapshot, head });
            }
            Err(super::Error::Empty) => super::Error::Empty,
            Err(super::Error::Checkout(Cause::NoRef(name))) => Cause::NoRef(name).into(),
            Err(error) => return Err(error.into()),
        };
        let snapshot = match &self.push.absent {
            Absent::Refuse => return Err(absent.into()),
            Absent::From(from) | Absent::Anew { from, .. } => Some(self.files(from).await?),
            Absent::Root => None,
        };
        Ok(Base {
            snapshot,
            head: None,
        })
    }

    async fn files(&self, branch: &str) -> Result<Snapshot, super::Error> {
        let what = (branch, self.push.ignore.as_deref());
        let (mirrors, limits) = (self.mirrors, self.limits);
        head(mirrors, self.remote, what, None, self.deadline, limits).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain() -> Push {
        let who = Identity::new("Ada", "ada@example.com").unwrap();
        Push {
            branch: "main".to_owned(),
            absent: Absent::Refuse,
            ignore: None,
            author: who.clone(),
            committer: who,
            message: "Change".to_owned(),
            signer: None,
            options: Vec::new(),
            spread: 0,
        }
    }

    #[test]
    fn what_no_server_can_be_asked_for_is_refused_before_one_is() {
        assert!(plain().check().is_ok());
        for branch in [
            "", "a b", "a\0b", "a\nb", "../a", "a..b", "a.lock", "/a", "a~1", "@{-1}",
        ] {
            let refused = Push {
                branch: branch.to_owned(),
                ..plain()
            }
            .check();
            assert!(matches!(refused, Err(Error::Asked { .. })), "{branch:?}");
            let absent = Absent::From(branch.to_owned());
            assert!(Push { absent, ..plain() }.check().is_err(), "{branch:?}");
        }
        assert!(
            Push {
                branch: "b".repeat(300),
                ..plain()
            }
            .check()
            .is_err()
        );
        for option in ["", "a\nb", "a\0b", &"x".repeat(2000)] {
            let options = vec![option.to_owned()];
            assert!(Push { options, ..plain() }.check().is_err(), "{option:?}");
        }
        let options = vec!["x".to_owned(); 21];
        assert!(Push { options, ..plain() }.check().is_err());
        assert!(
            Push {
                message: " ".to_owned(),
                ..plain()
            }
            .check()
            .is_err()
        );
    }
}
