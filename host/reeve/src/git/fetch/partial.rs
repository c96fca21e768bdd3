//! Parts of a repository, where the server can send parts: the commit with its directories first, then the files that are
//! wanted, by their ids, in one further request.
//!
//! Only of servers that speak the newer protocol and offer to filter: those give any object by its id. All who take parts of
//! a repository share a mirror of their own (`mirror`); what its commits say of other files is not looked for. A server
//! that offers this and then refuses it is asked for all. What it deliberately doesn't: know which files are ignored; those are
//! among the ones that come.

use std::sync::Arc;
use std::time::Instant;

use gix_protocol::transport::Protocol;

use super::{Asked, Depth, Work, read};
use crate::git::mirror::{Generation, Mirror};
use crate::git::session::Session;
use crate::git::snapshot::missing;
use crate::git::verify;
use crate::git::wire::Terms;
use crate::git::{Cause, Content, Resolved, Snapshot};

/// The most files that are asked for by their ids. Of more, all that is there is asked for.
const MOST_FILES: usize = 20_000;

/// Whether only parts are wanted.
pub(super) fn is_wanted(content: &Content) -> bool {
    let sparse = &content.sparse;
    !sparse.is_empty() && sparse.iter().all(|dir| !dir.is_empty())
}

/// Whether the server can leave the contents of files out.
pub(super) fn is_offered(session: &Session) -> bool {
    let handshake = &session.handshake;
    let fetch = handshake.capabilities.capability("fetch");
    let filters = fetch.and_then(|fetch| fetch.supports("filter"));
    handshake.server_protocol_version == Protocol::V2 && filters == Some(true)
}

/// Whether the server didn't do what it had offered.
pub(super) fn is_refusal(cause: &Cause) -> bool {
    matches!(
        cause,
        Cause::Protocol { .. } | Cause::GaveUp { .. } | Cause::NoCommit(_)
    )
}

impl Work {
    /// The commit with the files that are wanted. None: there are so many of them that all may as well come.
    pub(super) fn parts(
        &self,
        mirror: &Mirror,
        session: &mut Session,
        resolved: &Resolved,
        begun: Instant,
        terms: &Terms,
    ) -> Result<Option<Snapshot>, Cause> {
        let generation = mirror.writable(session.object_hash()?)?;
        let done = self.bring_parts(&generation, session, resolved, begun, terms);
        if let Err(Cause::Mirror { .. } | Cause::Protocol { .. }) = &done {
            // Something was left out that should have come: nothing here can be built upon.
            mirror.retire();
        }
        done
    }

    fn bring_parts(
        &self,
        generation: &Arc<Generation>,
        session: &mut Session,
        resolved: &Resolved,
        begun: Instant,
        terms: &Terms,
    ) -> Result<Option<Snapshot>, Cause> {
        let (content, limits) = (&self.content, &self.limits);
        let asking = self.ask(generation, session, resolved)?;
        let is_here = generation.tips().contains(&resolved.commit)
            && verify::tag(generation, resolved, limits).is_ok();
        if !is_here {
            let asked = Asked {
                wants: vec![resolved.want],
                have: generation.told(),
                without_files: true,
            };
            let received = self.receive(generation, session, asked, Depth::Tip);
            received.map_err(|cause| super::absent(cause, resolved.want))?;
        }
        let wants = missing(generation, resolved.commit, content, limits, terms)?;
        if wants.len() > MOST_FILES {
            return Ok(None);
        }
        if !wants.is_empty() {
            let asked = Asked {
                wants: wants.into_iter().collect(),
                // Nothing: what is said to be here is taken to be here with all its files.
                have: Vec::new(),
                without_files: false,
            };
            self.receive(generation, session, asked, Depth::Files)?;
        }
        session.end();
        self.settle_branch(generation, asking, resolved, terms)?;
        let tag = verify::tag(generation, resolved, limits)?;
        let reached = (tag, Some(self.received(begun)));
        let snapshot = read(generation, resolved, reached, content, limits, terms)?;
        self.purse.uses(generation);
        let remembered = generation.remember(resolved.commit);
        remembered.map_err(|error| Cause::Mirror {
            doing: "written",
            why: error.to_string(),
        })?;
        Ok(Some(snapshot))
    }
}
