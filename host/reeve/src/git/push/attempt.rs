//! One attempt: ask what is to change, make the commit, and send it if the branch is still where it was.
//!
//! For a thread that may block. What it deliberately doesn't: try again; [`push`](super::push()) does.

use std::sync::Arc;

use gix::objs::tree::Entry;
use gix::{ObjectId, hash};
use gix_protocol::transport::Service;
use jiff::Timestamp;
use reeve_core::failure::Explained;
use tokio::runtime::Handle;

use super::report::{Refusal, Verdict};
use super::send::{self, Order};
use super::{Error, Push, pack};
use crate::git::commit::{self, Draft, Edits, Object, Trees};
use crate::git::session::{Session, target};
use crate::git::transport::Lines;
use crate::git::wire::Terms;
use crate::git::{Cause, Limits, Remote, Snapshot};

/// Says what is to change in the files of a branch; nothing is given where nothing is.
pub(super) type Edit = dyn Fn(Option<&Snapshot>) -> Result<Edits, Explained> + Send + Sync;

/// What is built upon.
pub(super) struct Base {
    /// The files; none below a first commit.
    pub(super) snapshot: Option<Snapshot>,
    /// Where the branch is; nowhere if there is none yet.
    pub(super) head: Option<ObjectId>,
}

pub(super) struct Attempt {
    pub(super) remote: Arc<Remote>,
    pub(super) lines: Lines,
    pub(super) push: Arc<Push>,
    pub(super) edit: Arc<Edit>,
    pub(super) base: Base,
    pub(super) at: Timestamp,
    pub(super) limits: Limits,
}

/// What an attempt came to.
pub(super) enum Done {
    Pushed(ObjectId),
    Unchanged,
    /// Somebody was faster, as the server told it.
    Moved(String),
}

impl Attempt {
    pub(super) fn run(self, runtime: Handle, terms: Terms) -> Result<Done, Error> {
        let edits = (self.edit)(self.base.snapshot.as_ref()).map_err(Error::Edit)?;
        if edits.is_empty() {
            return Ok(Done::Unchanged);
        }
        let open = || {
            let (lines, runtime) = (self.lines.clone(), runtime.clone());
            let service = Service::ReceivePack;
            Session::open_for(
                service,
                &self.remote,
                lines,
                runtime,
                terms.clone(),
                &self.limits,
            )
        };
        let (hash, mut opened) = match &self.base.snapshot {
            Some(snapshot) => (snapshot.hash()?, None),
            // Which hash an empty repository is of, only its server knows.
            None => {
                let session = open()?;
                (session.object_hash()?, Some(session))
            }
        };
        let Some((commit, objects)) = self.make(hash, edits)? else {
            return Ok(Done::Unchanged);
        };
        let pack = pack::write(&objects, hash)?;
        let mut session = match opened.take() {
            Some(session) => session,
            None => open()?,
        };
        self.send(&mut session, commit, &pack, hash)
    }

    /// The commit and all objects that are new with it; nothing if nothing changes.
    fn make(
        &self,
        hash: hash::Kind,
        edits: Edits,
    ) -> Result<Option<(ObjectId, Vec<Object>)>, commit::Error> {
        let snapshot = self.base.snapshot.as_ref();
        let repository = snapshot.map(Snapshot::repository).transpose()?;
        let below = match (&self.base.snapshot, &repository) {
            (Some(snapshot), Some(repository)) => Some(root(repository, snapshot)?),
            _ => None,
        };
        let read = |id| match &repository {
            Some(repository) => entries(repository, id),
            None => Err(Cause::Internal),
        };
        let message = edits.message().unwrap_or(&self.push.message).to_owned();
        commit::check_message(&message)?;
        let trees = Trees::new(hash, &self.limits, &read);
        let Some((tree, mut objects)) = trees.edit(below.map(|(_, tree)| tree), edits)? else {
            return Ok(None);
        };
        let draft = Draft {
            tree,
            parent: below.map(|(commit, _)| commit),
            author: &self.push.author,
            committer: &self.push.committer,
            at: self.at,
            message: &message,
        };
        let commit = draft.finish(self.push.signer.as_deref())?;
        let id = commit.id;
        objects.push(commit);
        Ok(Some((id, objects)))
    }

    fn send(
        &self,
        session: &mut Session,
        commit: ObjectId,
        pack: &[u8],
        hash: hash::Kind,
    ) -> Result<Done, Error> {
        let url = session.wire.url();
        if session.object_hash()? != hash {
            let why =
                "its objects are named by another hash than they were a moment ago".to_owned();
            return Err(Cause::Protocol { url, why }.into());
        }
        let reference = self.push.reference();
        if head(session, &reference) != self.base.head {
            return Ok(Done::Moved("it is no longer where it was read".to_owned()));
        }
        let order = Order {
            reference: &reference,
            old: self.base.head,
            new: commit,
            options: &self.push.options,
            pack,
        };
        let answer = send::send(session, &order)?;
        match answer.verdict(&reference) {
            Some(Verdict::Landed(other)) => Ok(Done::Pushed(other.unwrap_or(commit))),
            Some(Verdict::Moved(why)) => Ok(Done::Moved(self.remote.tame(&why))),
            Some(Verdict::Refused { why, kind }) => {
                let said = format!("{why}: {}", answer.said());
                Err(refused(&self.remote, &self.push.branch, url, kind, &said))
            }
            None => Err(send::silent(&answer, url).into()),
        }
    }
}

/// That the server refused it, in its words.
pub(super) fn refused(
    remote: &Remote,
    branch: &str,
    url: String,
    kind: Refusal,
    said: &str,
) -> Error {
    let branch = branch.to_owned();
    let said = remote.tame(said.trim_end_matches(": "));
    match kind {
        Refusal::Protected => Error::Protected { branch, said },
        Refusal::Quota => Error::Quota { url, said },
        Refusal::Declined => Error::Declined { url, branch, said },
    }
}

/// Where the server says that the branch is.
pub(super) fn head(session: &Session, reference: &str) -> Option<ObjectId> {
    let listed = session.handshake.refs.iter().flatten();
    let mut targets = listed.filter_map(target);
    let found = targets.find(|(name, ..)| name == reference);
    found.map(|(.., id)| id)
}

/// The commit of a snapshot, and its tree.
fn root(repository: &gix::Repository, snapshot: &Snapshot) -> Result<(ObjectId, ObjectId), Cause> {
    let hex = snapshot.revision().commit();
    let id = ObjectId::from_hex(hex.as_bytes()).map_err(|_| Cause::NoCommit(hex.to_owned()))?;
    let commit = repository.find_object(id).map_err(lost)?.try_into_commit();
    let commit = commit.map_err(|_| Cause::NotACommit(hex.to_owned()))?;
    Ok((id, commit.tree_id().map_err(lost)?.detach()))
}

fn entries(repository: &gix::Repository, tree: ObjectId) -> Result<Vec<Entry>, Cause> {
    let tree = repository.find_object(tree).map_err(lost)?.try_into_tree();
    let tree = tree.map_err(|error| lost(&error))?;
    let decoded = tree.decode().map_err(lost)?;
    Ok(decoded.entries.into_iter().map(Entry::from).collect())
}

fn lost(error: impl std::fmt::Display) -> Cause {
    Cause::Mirror {
        doing: "read",
        why: error.to_string(),
    }
}
