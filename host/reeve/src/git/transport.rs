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
use gix_protocol::transport::{Protocol, Service};
use reeve_api::name::Scheme;

use super::wire::Wire;
use super::{Cause, Credential, Remote};

pub(super) use self::http::Greeting;
pub(super) use ssh::Kept;

/// What is kept between the conversations with one remote, so that the next begins sooner.
#[derive(Debug, Clone, Default)]
pub(super) struct Lines {
    pub(super) http: Option<reqwest::Client>,
    pub(super) ssh: Kept,
    /// What an HTTP server said first, to who fetches.
    pub(super) greeting: Greeting,
}

/// A transport to `remote`, over which `service` is asked for. Only for threads that may block.
pub(super) fn open(
    remote: &Remote,
    service: Service,
    lines: Lines,
    wire: &Arc<Wire>,
) -> Result<Box<dyn Transport + Send>, Cause> {
    match (remote.url.scheme(), &remote.credential) {
        (Scheme::Ssh, Credential::Ssh(user)) => ssh::open(remote, service, user, &lines.ssh, wire),
        (Scheme::Http | Scheme::Https, credential) => {
            let client = match lines.http {
                Some(client) => client,
                None => super::client::build(remote)?,
            };
            // Who pushes is greeted with where the branches are.
            let greeting = match service {
                Service::UploadPack => lines.greeting,
                Service::ReceivePack => Greeting::default(),
            };
            http::open(remote, service, credential, (client, greeting), wire)
        }
        (Scheme::Ssh, _) => Err(Cause::AuthenticationRequired(remote.url.without_userinfo())),
    }
}

/// What is asked for. The newer protocol has no word for sending commits.
fn protocol(service: Service) -> Protocol {
    match service {
        Service::UploadPack => Protocol::V2,
        Service::ReceivePack => Protocol::V1,
    }
}
