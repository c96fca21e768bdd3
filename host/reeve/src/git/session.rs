//! A conversation with a git server that has begun: its transport, and what the server said first.
//!
//! [`resolve`](super::resolve) opens one, and [`fetch`](super::fetch) goes on with it, so that asking and fetching are
//! one login; [`push`](super::push) opens one of another kind. What it deliberately doesn't: decide what to ask.

use std::sync::Arc;
use std::time::Instant;

use gix::progress::Discard;
use gix::{ObjectId, hash};
use gix_protocol::handshake::Ref;
use gix_protocol::ls_refs::RefPrefixes;
use gix_protocol::transport::client::blocking_io::Transport;
use gix_protocol::transport::{Protocol, Service};
use gix_protocol::{Handshake, LsRefsCommand};
use tokio::runtime::Handle;

use super::shelf::Permits;
use super::transport::Lines;
use super::wire::{Terms, Wire};
use super::{Cause, Limits, Remote, transport};

/// A conversation after its handshake.
pub(super) struct Session {
    pub(super) transport: Box<dyn Transport + Send>,
    pub(super) handshake: Handshake,
    pub(super) wire: Arc<Wire>,
}

/// How we name ourselves in git's protocol.
pub(super) fn agent() -> (&'static str, Option<String>) {
    (
        "agent",
        Some(concat!("reeve/", env!("CARGO_PKG_VERSION")).to_owned()),
    )
}

impl Session {
    /// Connects to fetch, logs in, and hears which protocol the server speaks. Only for threads that may block.
    pub(super) fn open(
        remote: &Remote,
        lines: Lines,
        runtime: Handle,
        terms: Terms,
        limits: &Limits,
    ) -> Result<Self, Cause> {
        Self::open_for(Service::UploadPack, remote, lines, runtime, terms, limits)
    }

    /// The same for a service that is named.
    pub(super) fn open_for(
        service: Service,
        remote: &Remote,
        lines: Lines,
        runtime: Handle,
        terms: Terms,
        limits: &Limits,
    ) -> Result<Self, Cause> {
        let wire = Arc::new(Wire::new(runtime, remote.url.without_userinfo(), terms));
        wire.accept("the server lists more", limits.refs_bytes);
        let mut transport = transport::open(remote, service, lines, &wire)?;
        // Whoever asks for credentials here gets none: ours went with the first request.
        let handshake = gix_protocol::handshake(
            &mut transport,
            service,
            |_| Ok(None),
            Vec::new(),
            &mut Discard,
        )
        .map_err(|error| wire.cause("greeting the server", &error))?;
        Ok(Self {
            transport,
            handshake,
            wire,
        })
    }

    /// The references whose names begin with one of `prefixes`; a server may send more.
    pub(super) fn refs(&mut self, prefixes: &[&str]) -> Result<Vec<Ref>, Cause> {
        if self.handshake.server_protocol_version != Protocol::V2 {
            // The older protocols send all of them with the greeting.
            return Ok(self.handshake.refs.clone().unwrap_or_default());
        }
        let mut wanted = RefPrefixes::new();
        wanted.extend(prefixes.iter().map(|prefix| (*prefix).into()));
        LsRefsCommand::new(Some(wanted), &self.handshake.capabilities, agent())
            .invoke_blocking(&mut self.transport, &mut Discard, false)
            .map_err(|error| self.wire.cause("listing the references", &error))
    }

    /// The hash the server's repository uses.
    pub(super) fn object_hash(&self) -> Result<hash::Kind, Cause> {
        let format = self.handshake.capabilities.capability("object-format");
        match format
            .and_then(|format| format.value().map(|v| v.to_string()))
            .as_deref()
        {
            None | Some("sha1") => Ok(hash::Kind::Sha1),
            Some("sha256") => Ok(hash::Kind::Sha256),
            Some(_) => {
                let why = "its objects are named by an unknown hash".to_owned();
                Err(Cause::Protocol {
                    url: self.wire.url(),
                    why,
                })
            }
        }
    }

    /// Tells the server that nothing more will be asked. Not needed, but polite.
    pub(super) fn end(&mut self) {
        if self
            .transport
            .connection_persists_across_multiple_requests()
            && self.handshake.server_protocol_version == Protocol::V2
        {
            // Whether it hears it makes no difference to us.
            gix_protocol::indicate_end_of_interaction(&mut self.transport, false).ok();
        }
    }
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session")
            .field("wire", &self.wire)
            .finish_non_exhaustive()
    }
}

/// Does `work` on a thread that may block, within the permits and the deadline. When the caller is dropped, the work is
/// told to stop, and its thread ends soon after.
pub(super) async fn blocking<T: Send + 'static>(
    permits: &Permits,
    deadline: Instant,
    doing: &'static str,
    work: impl FnOnce(Handle, Terms) -> Result<T, Cause> + Send + 'static,
) -> Result<T, Cause> {
    let (terms, guard) = Terms::new(deadline);
    let permit = tokio::time::timeout_at(deadline.into(), permits.one()).await;
    let Ok(permit) = permit else {
        return Err(terms
            .expired("waiting for a turn")
            .unwrap_or(Cause::Cancelled));
    };
    let watch = tokio::spawn(terms.clone().watch());
    let runtime = Handle::current();
    let done = tokio::task::spawn_blocking(move || {
        // Held to the end even if nobody waits any more: it counts threads, not callers.
        let _permit = permit;
        work(runtime, terms)
    });
    let done = done.await;
    drop(guard);
    watch.abort();
    match done {
        Ok(done) => done,
        Err(panicked) => {
            tracing::error!(doing, error = %panicked, "a fault in the git room");
            Err(Cause::Internal)
        }
    }
}

/// The reference's name and the object it stands for, with tags peeled; and the object that the server advertised.
pub(super) fn target(reference: &Ref) -> Option<(String, ObjectId, ObjectId)> {
    let (name, advertised, peeled) = match reference {
        Ref::Peeled {
            full_ref_name,
            tag,
            object,
        } => (full_ref_name, *tag, *object),
        Ref::Direct {
            full_ref_name,
            object,
        } => (full_ref_name, *object, *object),
        Ref::Symbolic {
            full_ref_name,
            tag,
            object,
            ..
        } => (full_ref_name, tag.unwrap_or(*object), *object),
        Ref::Unborn { .. } => return None,
    };
    Some((String::from_utf8(name.to_vec()).ok()?, peeled, advertised))
}
