//! How a repository is logged in to with what an entry gives: by which address, and with what.
//!
//! Addresses of one place are one, so an entry for ssh serves a repository that was written with https, and the other way round:
//! it is spoken to as its credentials want it. Never in the clear where it was not, and not where a port of its own says which
//! of the two listens there. A secret that lies elsewhere is still a reference; the shell reads it.

use std::fmt::Write as _;

use reeve_api::name::{RemoteUrl, Scheme};
use reeve_api::reason::Reason;

use super::agent::{Agent, agent};
use super::resolve::{Auth, Part};
use super::{Credentials, Hidden};
use crate::failure::{Explained, Failure, Turn};

/// How a repository is logged in to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    /// By which address.
    pub url: RemoteUrl,
    /// With what.
    pub way: Way,
}

/// With what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Way {
    /// A key.
    Ssh {
        /// The private key.
        key: Hidden,
        /// What opens it.
        password: Option<Hidden>,
        /// The keys that the server may show.
        known_hosts: String,
    },
    /// A user and password.
    Web {
        /// The user.
        user: String,
        /// The password, or a token.
        password: Hidden,
    },
    /// A token that the forge makes when it is asked.
    Made(Agent),
}

/// Whether an address brings a login of its own, which goes before any level's.
pub fn is_own(url: &RemoteUrl) -> bool {
    url.password().is_some() || (url.scheme() != Scheme::Ssh && url.user().is_some())
}

/// How the repository at `url` is logged in to with `auth`.
pub fn login(url: &RemoteUrl, auth: &Part<Auth>) -> Result<Login, Failure> {
    match &auth.value.credentials {
        Credentials::Ssh { key, password, .. } => {
            let known_hosts = auth.value.known_hosts.clone();
            Ok(Login {
                url: over_ssh(url, auth)?,
                way: Way::Ssh {
                    key: key.clone(),
                    password: password.clone(),
                    known_hosts: known_hosts.ok_or_else(|| unknown(url, auth))?,
                },
            })
        }
        Credentials::Https { user, password } => Ok(Login {
            url: over_https(url, auth)?,
            way: Way::Web {
                user: user.clone(),
                password: password.clone(),
            },
        }),
        // What GitLab's documentation says for any token.
        Credentials::GitLabToken(token) => Ok(Login {
            url: over_https(url, auth)?,
            way: Way::Web {
                user: "oauth2".to_owned(),
                password: token.clone(),
            },
        }),
        Credentials::GitHubApp { .. } => Ok(Login {
            url: over_https(url, auth)?,
            way: Way::Made(agent(url, auth)?),
        }),
    }
}

fn over_ssh(url: &RemoteUrl, auth: &Part<Auth>) -> Result<RemoteUrl, Failure> {
    let user = auth.value.user.as_deref();
    if url.scheme() == Scheme::Ssh && (user.is_none() || user == url.user()) {
        return Ok(url.clone());
    }
    let port = match url.scheme() {
        Scheme::Ssh => Some(url.port()).filter(|port| *port != Scheme::Ssh.default_port()),
        _ => own_port(url, auth, "ssh")?,
    };
    let user = user.or_else(|| url.user()).unwrap_or("git");
    written(url, "ssh", &format!("{user}@"), port, auth)
}

fn over_https(url: &RemoteUrl, auth: &Part<Auth>) -> Result<RemoteUrl, Failure> {
    match url.scheme() {
        Scheme::Http | Scheme::Https => Ok(url.clone()),
        Scheme::Ssh => {
            let port = own_port(url, auth, "https")?;
            written(url, "https", "", port, auth)
        }
    }
}

/// Fails where the address has a port of its own: what listens there speaks what the address says.
fn own_port(url: &RemoteUrl, auth: &Part<Auth>, wants: &str) -> Result<Option<u16>, Failure> {
    match url.port() == url.scheme().default_port() {
        true => Ok(None),
        false => Err(mismatch(url, auth, wants)),
    }
}

fn written(
    url: &RemoteUrl,
    scheme: &str,
    user: &str,
    port: Option<u16>,
    auth: &Part<Auth>,
) -> Result<RemoteUrl, Failure> {
    let host = match url.host().contains(':') {
        true => format!("[{}]", url.host()),
        false => url.host().to_owned(),
    };
    let mut text = format!("{scheme}://{user}{host}");
    if let Some(port) = port {
        // Writing into a String cannot fail.
        let _written = write!(text, ":{port}");
    }
    let path = url.path().trim_start_matches('/');
    RemoteUrl::parse(&format!("{text}/{path}")).map_err(|_| mismatch(url, auth, scheme))
}

fn mismatch(url: &RemoteUrl, auth: &Part<Auth>, wants: &str) -> Failure {
    let message = format!(
        "{} has a login for {wants}, which cannot be used for {url}",
        auth.from()
    );
    let hint = format!(
        "write the address of the repository with {wants}://, or give the entry credentials for {}",
        url.scheme().as_str()
    );
    Explained::new(Reason::AuthenticationFailed, Turn::Retry, message).with_hint(hint)
}

fn unknown(url: &RemoteUrl, auth: &Part<Auth>) -> Failure {
    let message = format!(
        "{} has a key for {url} and no known_hosts, so nobody says which server may be trusted",
        auth.from()
    );
    let host = url.host();
    let hint = format!(
        "write what `ssh-keyscan {host}` says, once it is checked, into known_hosts of the entry or of its file"
    );
    Explained::new(Reason::AuthenticationFailed, Turn::Retry, message).with_hint(hint)
}
