//! Which commit a reference means now, by asking for references only.
//!
//! One exchange, no objects; whoever sees the revision it already has stops here. A commit that is named itself needs
//! no question at all, and who was asked before is asked in one request. What it deliberately doesn't: fetch. [`Resolved`] keeps the conversation open for
//! [`fetch`](super::fetch), which comes next.

use std::sync::Arc;
use std::time::Instant;

use gix::ObjectId;
use reeve_core::artifact::Revision;
use reeve_core::source::Reference;

use super::session::{Session, blocking, target};
use super::{Cause, Error, Limits, Mirrors, Remote};

const TAGS: &str = "refs/tags/";

/// A reference, and the commit it means.
#[derive(Debug)]
pub struct Resolved {
    revision: Revision,
    reference: Option<String>,
    /// The reference that this one leads to.
    leads_to: Option<String>,
    pub(super) commit: ObjectId,
    /// What to ask the server for: an annotated tag itself, since older servers give only what they list.
    pub(super) want: ObjectId,
    /// Whether the tag that it was reached by is wanted too, and not only what it names.
    pub(super) with_tag: bool,
    /// Where to look for the commit if the server doesn't give commits by their id.
    pub(super) branch: Option<String>,
    pub(super) session: Option<Session>,
}

impl Resolved {
    /// The revision, written as Flux writes it.
    pub fn revision(&self) -> &Revision {
        &self.revision
    }

    /// A revision that was fetched before: if its commit is still in the mirror, nobody has to be asked for it.
    ///
    /// # Errors
    /// When the revision's commit is not one.
    pub fn earlier(revision: &Revision) -> Result<Self, Error> {
        let found = named(revision.commit(), None)?;
        Ok(Self {
            revision: revision.clone(),
            ..found
        })
    }

    /// One commit, wherever it is.
    pub(super) fn of(commit: ObjectId) -> Result<Self, Cause> {
        named(&commit.to_string(), None)
    }

    /// The same, with the annotated tag that it was reached by, if it was.
    #[must_use]
    pub fn with_tag(mut self) -> Self {
        self.with_tag = true;
        self
    }

    /// The tag's name, when it was a tag; of one that was fetched before, what could be one.
    pub(super) fn tag_name(&self) -> Option<&str> {
        match &self.reference {
            Some(reference) => reference.strip_prefix(TAGS),
            None => {
                let pointer = self.revision.pointer()?;
                Some(pointer.strip_prefix(TAGS).unwrap_or(pointer))
            }
        }
    }

    /// The full name of the reference that was found; none for a commit.
    pub fn reference(&self) -> Option<&str> {
        self.reference.as_deref()
    }

    /// The branch that this leads to: of HEAD the one that the server names.
    pub fn branch(&self) -> Option<&str> {
        self.leads_to.as_deref()?.strip_prefix("refs/heads/")
    }
}

/// Asks `remote` what `reference` means.
///
/// # Errors
/// When the server can't be asked in time, refuses, or has no such reference.
pub async fn resolve(
    mirrors: &Mirrors,
    remote: &Arc<Remote>,
    reference: &Reference,
    deadline: Instant,
    limits: &Limits,
) -> Result<Resolved, Error> {
    if let Reference::Commit { commit, branch } = reference {
        return Ok(named(commit, branch.clone())?);
    }
    let lines = mirrors.of(remote).lines(remote)?;
    let (remote, reference, limits) = (Arc::clone(remote), reference.clone(), limits.clone());
    let asked = blocking(
        mirrors.permits(),
        deadline,
        "resolving",
        move |runtime, terms| {
            let ask = || {
                let (lines, runtime, terms) = (lines.clone(), runtime.clone(), terms.clone());
                let mut session = Session::open(&remote, lines, runtime, terms, &limits)?;
                find(&mut session, &reference).map(|found| (session, found))
            };
            let is_known = lines.greeting.is_known();
            let asked = match ask() {
                // It may be another server by now than the one that said so, or have moved.
                Err(cause) if is_known && may_be_outdated(&cause) => {
                    lines.greeting.forget();
                    ask()
                }
                asked => asked,
            };
            let (session, found) = asked?;
            match found {
                Found::Ref {
                    pointer,
                    name,
                    leads_to,
                    commit,
                    want,
                } => {
                    let revision = revision(Some(&pointer), commit)?;
                    let (reference, session) = (Some(name), Some(session));
                    Ok(Some(Resolved {
                        revision,
                        reference,
                        leads_to,
                        commit,
                        want,
                        with_tag: false,
                        branch: None,
                        session,
                    }))
                }
                Found::Nothing => Ok(None),
            }
        },
    );
    asked.await?.ok_or(Error::Empty)
}

/// Whether it may be that what the server said in an earlier conversation does not hold any more.
fn may_be_outdated(cause: &Cause) -> bool {
    matches!(
        cause,
        Cause::Protocol { .. }
            | Cause::GaveUp { .. }
            | Cause::Http { .. }
            | Cause::Redirect { .. }
            | Cause::NotFound(_)
            | Cause::AuthenticationRequired(_)
            | Cause::AuthenticationRefused { .. }
            | Cause::Unreachable { .. }
    )
}

/// A commit that is named itself. Whether it is on the branch is found out when it is fetched.
fn named(commit: &str, branch: Option<String>) -> Result<Resolved, Cause> {
    let id = ObjectId::from_hex(commit.as_bytes());
    let id = id.map_err(|_| Cause::NoCommit(commit.chars().take(80).collect()))?;
    let revision = revision(branch.as_deref(), id)?;
    Ok(Resolved {
        revision,
        reference: None,
        leads_to: None,
        commit: id,
        want: id,
        with_tag: false,
        branch,
        session: None,
    })
}

fn revision(pointer: Option<&str>, commit: ObjectId) -> Result<Revision, Cause> {
    let hex = commit.to_string();
    Revision::new(pointer, &hex).map_err(|_| Cause::NoCommit(hex))
}

enum Found {
    Ref {
        /// The name in the revision.
        pointer: String,
        name: String,
        leads_to: Option<String>,
        commit: ObjectId,
        want: ObjectId,
    },
    /// The repository has nothing at all.
    Nothing,
}

fn find(session: &mut Session, reference: &Reference) -> Result<Found, Cause> {
    let (full, pointer) = match reference {
        Reference::Branch(name) => (format!("refs/heads/{name}"), name.clone()),
        Reference::Tag(name) => (format!("refs/tags/{name}"), name.clone()),
        Reference::Name(name) => (name.clone(), name.clone()),
        Reference::Semver(range) => {
            let listed = session.refs(&[TAGS])?;
            let names: Vec<_> = listed
                .iter()
                .filter_map(target)
                .map(|(name, ..)| name)
                .collect();
            let tags = names.iter().filter_map(|name| name.strip_prefix(TAGS));
            let Some(tag) = range.highest(tags).map(str::to_owned) else {
                return nothing_or(session, Cause::NoMatch(range.to_string()));
            };
            return pick(&listed, &format!("{TAGS}{tag}"), &tag)
                .ok_or_else(|| Cause::NoMatch(range.to_string()));
        }
        // Taken by `named` before anything is asked.
        Reference::Commit { commit, .. } => return Err(Cause::NoCommit(commit.clone())),
    };
    let listed = session.refs(&[full.as_str()])?;
    match pick(&listed, &full, &pointer) {
        Some(found) => Ok(found),
        None => nothing_or(session, Cause::NoRef(full)),
    }
}

fn pick(listed: &[gix_protocol::handshake::Ref], full: &str, pointer: &str) -> Option<Found> {
    let mut targets = listed.iter().filter_map(target);
    let (name, commit, want) = targets.find(|(name, ..)| name == full)?;
    let leads_to = listed.iter().find_map(|one| match one {
        gix_protocol::handshake::Ref::Symbolic {
            full_ref_name,
            target,
            ..
        } if full_ref_name.to_vec() == full.as_bytes() => String::from_utf8(target.to_vec()).ok(),
        _ => None,
    });
    Some(Found::Ref {
        pointer: pointer.to_owned(),
        name,
        leads_to,
        commit,
        want,
    })
}

/// A reference that isn't there: because nothing is, or because only that one isn't.
fn nothing_or(session: &mut Session, cause: Cause) -> Result<Found, Cause> {
    let branches = session.refs(&["HEAD", "refs/heads/", "refs/tags/"])?;
    let empty = branches.iter().filter_map(target).next().is_none();
    if empty {
        Ok(Found::Nothing)
    } else {
        Err(cause)
    }
}
