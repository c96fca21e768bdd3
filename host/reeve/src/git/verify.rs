//! The commit of a snapshot, and the tag that it was reached by, shown byte by byte to who judges their signatures.
//!
//! What is shown is what the id is of: it is hashed once more. What it deliberately doesn't: know a key or a signature;
//! `core::signature` does.

use std::sync::Arc;

use gix::objs::Kind;
use gix::{ObjectId, Repository};
use jiff::Timestamp;
use reeve_api::reason::Reason;
use reeve_core::failure::{Explain, Turn};
use reeve_core::signature::{self, Mode, Object, Tag, Trusted, Verified};

use super::mirror::Generation;
use super::wire::in_bytes;
use super::{Cause, Error, Limits, Resolved, Snapshot};

/// The largest commit or tag that is looked at: a megabyte is a long message.
const MOST: u64 = 1 << 20;

/// The tag that a commit was reached by.
#[derive(Debug, Clone)]
pub(super) struct NamedTag {
    name: String,
    /// What an annotated tag is; None: a name and nothing else.
    id: Option<ObjectId>,
}

/// Why nobody is known to have signed.
#[derive(Debug, thiserror::Error)]
pub enum Unverified {
    /// The objects cannot be read.
    #[error(transparent)]
    Unread(#[from] Error),
    /// They were, and count for nothing.
    #[error(transparent)]
    Refused(#[from] signature::Error),
}

/// Finds out who signed what the snapshot is of, as far as `mode` asks.
///
/// # Errors
/// When what must be signed is not, not by a key that is trusted at `now`, or cannot be read.
pub async fn verify(
    snapshot: &Snapshot,
    mode: Mode,
    trusted: Arc<Trusted>,
    now: Timestamp,
) -> Result<Verified, Unverified> {
    let snapshot = snapshot.clone();
    let work = move || look(&snapshot, mode, &trusted, now);
    match tokio::task::spawn_blocking(work).await {
        Ok(looked) => looked,
        Err(panicked) => {
            tracing::error!(error = %panicked, "a fault in who checks signatures");
            Err(Error::from(Cause::Internal).into())
        }
    }
}

fn look(
    snapshot: &Snapshot,
    mode: Mode,
    trusted: &Trusted,
    now: Timestamp,
) -> Result<Verified, Unverified> {
    let (commit, tag) = snapshot.signable();
    let repository = snapshot.repository().map_err(Error::from)?;
    let bytes = read(&repository, commit, Kind::Commit)?;
    let id = commit.to_string();
    let annotated = match tag.and_then(|tag| tag.id) {
        Some(id) if mode.wants_tag() => Some((id.to_string(), read(&repository, id, Kind::Tag)?)),
        _ => None,
    };
    let tag = tag.map(|tag| Tag {
        name: &tag.name,
        object: annotated.as_ref().map(|(id, bytes)| Object { id, bytes }),
    });
    let commit = Object {
        id: &id,
        bytes: &bytes,
    };
    Ok(signature::verify(mode, commit, tag, trusted, now)?)
}

/// The bytes of an object, which are the ones that its id is of.
fn read(repository: &Repository, id: ObjectId, kind: Kind) -> Result<Vec<u8>, Error> {
    let lost = |why: String| Cause::Mirror { doing: "read", why };
    let header = repository.find_header(id);
    let header = header.map_err(|error| lost(error.to_string()))?;
    if header.size() > MOST {
        let cap = in_bytes(MOST);
        let what = "a commit or tag that must be signed is larger";
        return Err(Cause::TooMuch { what, cap }.into());
    }
    let object = repository.find_object(id);
    let object = object.map_err(|error| lost(error.to_string()))?.detach();
    let hashed = gix::objs::compute_hash(id.kind(), kind, &object.data);
    match hashed {
        Ok(hashed) if hashed == id && object.kind == kind => Ok(object.data),
        Ok(_) => Err(lost(format!("{id} is not what its name says")).into()),
        Err(error) => Err(lost(error.to_string()).into()),
    }
}

/// The tag that the commit was reached by, if it is wanted. An error when it has yet to be fetched.
pub(super) fn tag(
    generation: &Generation,
    resolved: &Resolved,
    limits: &Limits,
) -> Result<Option<NamedTag>, Cause> {
    let Some(name) = resolved.tag_name().filter(|_| resolved.with_tag) else {
        return Ok(None);
    };
    let annotated = resolved.want != resolved.commit;
    let id = match resolved.reference() {
        Some(_) => annotated.then_some(resolved.want),
        // It was fetched before.
        None => generation.tag_of(resolved.commit, name),
    };
    if let Some(id) = id {
        let failed = |doing| move |why: String| Cause::Mirror { doing, why };
        let repository = generation.open(limits)?.to_thread_local();
        let there = repository.find_header(id);
        there.map_err(|error| failed("read")(error.to_string()))?;
        let remembered = generation.remember_tag(resolved.commit, name, id);
        remembered.map_err(|error| failed("written")(error.to_string()))?;
    }
    Ok(Some(NamedTag {
        name: name.to_owned(),
        id,
    }))
}

impl Explain for Unverified {
    fn reason(&self) -> Reason {
        match self {
            Self::Unread(why) => why.reason(),
            Self::Refused(why) => why.reason(),
        }
    }

    fn turn(&self) -> Turn {
        match self {
            Self::Unread(why) => why.turn(),
            Self::Refused(why) => why.turn(),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Unread(why) => why.hint(),
            Self::Refused(why) => why.hint(),
        }
    }
}
