//! Whether a commit is on a branch, as `spec.ref.commit` beside `spec.ref.branch` wants it to be.
//!
//! The server is asked for the commit as if everything of the branch were here already: what it would send is what the
//! branch doesn't have, so a pack of no objects means that the commit is on it. Only the head of the pack is read.
//! A server of the older protocol gives no commit by its id; then the branch's whole history is fetched anyway, and
//! walked here. It is found out once for a commit and a branch: a commit that was on its branch stays good, and needs
//! no server. What it deliberately doesn't: fetch; [`fetch`](super::fetch) does that next.

use std::sync::atomic::AtomicBool;

use gix::ObjectId;
use gix::progress::{Discard, DynNestedProgress};
use gix_protocol::fetch::{Context, Options, Shallow, Tags};
use gix_protocol::handshake::Ref;
use gix_protocol::transport::Protocol;

use super::fetch::{self, Asked};
use super::mirror::Generation;
use super::session::{Session, agent, target};
use super::wire::{Terms, Wire};
use super::{Cause, Limits};

/// What asking the server came to.
pub(super) enum Asking {
    /// The commit is on the branch.
    Proven,
    /// The server can't say. Its history of the branch, which begins with this commit, has to be walked.
    Walk(ObjectId),
}

/// Asks the server of `session` whether `commit` is on `branch`. The session may be used further only if the newer
/// protocol is spoken.
pub(super) fn ask(
    session: &mut Session,
    generation: &Generation,
    commit: ObjectId,
    branch: &str,
    limits: &Limits,
) -> Result<Asking, Cause> {
    let full = format!("refs/heads/{branch}");
    let listed = session.refs(&[full.as_str()])?;
    let tip = tip(&listed, &full).ok_or(Cause::NoRef(full))?;
    if tip == commit {
        return Ok(Asking::Proven);
    }
    let mut ids = listed.iter().filter_map(target).map(|(.., id)| id);
    if session.handshake.server_protocol_version != Protocol::V2 && !ids.any(|id| id == commit) {
        return Ok(Asking::Walk(tip));
    }
    let wire = std::sync::Arc::clone(&session.wire);
    wire.accept("the answer is larger", limits.pack_bytes);
    let flag = wire.terms().flag();
    let mut asked = Asked {
        wants: vec![commit],
        have: vec![tip],
        without_files: false,
    };
    let options = Options {
        // What the mirror lacks of the history must not be told: the server would leave it out of the branch's.
        shallow_file: generation.no_shallow_file(),
        shallow: &Shallow::NoChange,
        tags: Tags::None,
        reject_shallow_remote: false,
    };
    let context = Context {
        handshake: &mut session.handshake,
        transport: &mut session.transport,
        user_agent: agent(),
        trace_packetlines: false,
    };
    let consume = |pack: &mut dyn std::io::BufRead,
                   _: &mut dyn DynNestedProgress,
                   _: &AtomicBool| { nothing_in(pack, &wire, commit, branch) };
    match gix_protocol::fetch(&mut asked, consume, Discard, &flag, context, options) {
        Ok(_) => Ok(Asking::Proven),
        Err(error) => {
            let cause = wire.cause("asking whether the commit is on the branch", &error);
            Err(fetch::absent(cause, commit))
        }
    }
}

/// The pack is read to its end if it holds nothing, and given up after its first bytes if it holds something.
fn nothing_in(
    pack: &mut dyn std::io::BufRead,
    wire: &Wire,
    commit: ObjectId,
    branch: &str,
) -> gix::error::Result<bool> {
    let (_, objects) = fetch::head(pack)?;
    if objects == 0 {
        return Ok(true);
    }
    Err(gix::Error::from_error(wire.fail(not_on(commit, branch))))
}

/// Looks for `commit` in the history of `tip`, which is here as a whole.
pub(super) fn walk(
    repository: &gix::Repository,
    tip: ObjectId,
    commit: ObjectId,
    branch: &str,
    terms: &Terms,
) -> Result<(), Cause> {
    let lost = |why: String| Cause::Mirror { doing: "read", why };
    let history = repository.rev_walk([tip]).all();
    for found in history.map_err(|error| lost(error.to_string()))? {
        if let Some(cause) = terms.expired("walking the branch's history") {
            return Err(cause);
        }
        if found.map_err(|error| lost(error.to_string()))?.id == commit {
            return Ok(());
        }
    }
    Err(not_on(commit, branch))
}

fn not_on(commit: ObjectId, branch: &str) -> Cause {
    Cause::NotOnBranch {
        commit: commit.to_string(),
        branch: branch.to_owned(),
    }
}

fn tip(listed: &[Ref], full: &str) -> Option<ObjectId> {
    let mut targets = listed.iter().filter_map(target);
    targets.find(|(name, ..)| name == full).map(|(_, id, _)| id)
}
