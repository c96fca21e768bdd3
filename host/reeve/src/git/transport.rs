//! How bytes reach a git server: over http(s) or ssh.
//!
//! gix offers to connect by URL, and would then run `git` or `ssh` or read a file; it is never asked to. What it gets
//! are readers and writers that are already connected, or an HTTP client of ours. What this deliberately doesn't: know
//! what is said over it; `session` does.

mod http;
mod ssh;
mod tunnel;

use std::sync::Arc;

use gix_protocol::transport::client::blocking_io::Transport;
use reeve_api::name::Scheme;

use super::wire::Wire;
use super::{Cause, Credential, Remote};

pub(super) use ssh::Kept;

/// What is kept between the conversations with one remote, so that the next begins sooner.
#[derive(Debug, Clone, Default)]
pub(super) struct Lines {
    pub(super) http: Option<reqwest::Client>,
    pub(super) ssh: Kept,
}

/// A transport to `remote`. Only for threads that may block.
pub(super) fn open(
    remote: &Remote,
    lines: Lines,
    wire: &Arc<Wire>,
) -> Result<Box<dyn Transport + Send>, Cause> {
    match (remote.url.scheme(), &remote.credential) {
        (Scheme::Ssh, Credential::Ssh(user)) => ssh::open(remote, user, &lines.ssh, wire),
        (Scheme::Http | Scheme::Https, credential) => {
            let client = match lines.http {
                Some(client) => client,
                None => super::client::build(remote)?,
            };
            http::open(remote, credential, client, wire)
        }
        (Scheme::Ssh, _) => Err(Cause::AuthenticationRequired(remote.url.without_userinfo())),
    }
}
