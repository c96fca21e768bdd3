//! A branch of ours goes: the proposal on it is merged, or wanted no more.
//!
//! Only from the commit that its caller has read: one that somebody has put something on since stays. It deliberately asks nobody
//! whether the commit is ours.

use std::sync::Arc;
use std::time::Instant;

use gix::ObjectId;
use gix_protocol::transport::Service;

use super::attempt::{head, refused};
use super::report::Verdict;
use super::send::{self, Order};
use super::{Error, Push};
use crate::git::session::{Session, blocking};
use crate::git::{Cause, Limits, Mirrors, Remote};

/// Takes `branch` away, if it is at the commit `at`. Whether it is gone.
///
/// # Errors
/// When the server cannot be asked, or refuses it.
pub async fn remove(
    mirrors: &Mirrors,
    remote: &Arc<Remote>,
    branch: &str,
    at: &str,
    deadline: Instant,
    limits: &Limits,
) -> Result<bool, Error> {
    Push::is_branch(branch)?;
    let at = ObjectId::from_hex(at.as_bytes()).map_err(|_| Cause::Internal)?;
    let lines = mirrors.of(remote).lines(remote)?;
    let (own, branch, limits) = (Arc::clone(remote), branch.to_owned(), limits.clone());
    let work = blocking(
        mirrors.permits(),
        deadline,
        "removing a branch",
        move |runtime, terms| {
            let service = Service::ReceivePack;
            let mut session = Session::open_for(service, &own, lines, runtime, terms, &limits)?;
            Ok(ask(&own, &mut session, &branch, at))
        },
    );
    let done = match work.await {
        Ok(done) => done,
        Err(cause) => Err(cause.into()),
    };
    done.map_err(|error| error.tame(remote))
}

fn ask(remote: &Remote, session: &mut Session, branch: &str, at: ObjectId) -> Result<bool, Error> {
    let reference = format!("refs/heads/{branch}");
    match head(session, &reference) {
        None => return Ok(true),
        Some(is) if is != at => return Ok(false),
        Some(_) => {}
    }
    let url = session.wire.url();
    if !session.handshake.capabilities.contains("delete-refs") {
        let (branch, said) = (branch.to_owned(), "it deletes no branches".to_owned());
        return Err(Error::Declined { url, branch, said });
    }
    let order = Order {
        reference: &reference,
        old: Some(at),
        new: session.object_hash()?.null(),
        options: &[],
        pack: &[],
    };
    let answer = send::send(session, &order)?;
    match answer.verdict(&reference) {
        Some(Verdict::Landed(_)) => Ok(true),
        Some(Verdict::Moved(_)) => Ok(false),
        Some(Verdict::Refused { why, kind }) => {
            let said = format!("{why}: {}", answer.said());
            Err(refused(remote, branch, url, kind, &said))
        }
        None => Err(send::silent(&answer, url).into()),
    }
}
