//! An issuer's discovery document (OpenID Connect Discovery 1.0), and the keys that it names.
//!
//! Two requests, both bounded. What it deliberately doesn't: keep anything.

use std::sync::Arc;
use std::time::Duration;

use http::header::{ACCEPT, USER_AGENT};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use url::Url;

use super::jwk::{self, Key};
use crate::git::{self, Egress, Tls};

const AGENT: &str = concat!("reeve/", env!("CARGO_PKG_VERSION"));
const WELL_KNOWN: &str = "/.well-known/openid-configuration";
/// The largest document of either kind.
const LARGEST: usize = 256 << 10;
/// How long both requests may take together.
const DEADLINE: Duration = Duration::from_secs(5);

/// Why there are no keys. Says where, and nothing of what was sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// What is no URL of a host.
    #[error("{0} is no address that is asked")]
    Address(&'static str),
    /// The host may not be reached.
    #[error("{0}")]
    Denied(String),
    /// No answer came.
    #[error("{host}: {why}")]
    Unreachable {
        /// Who was asked.
        host: String,
        /// What happened.
        why: String,
    },
    /// Another answer came.
    #[error("{host} answered {code}")]
    Status {
        /// Who was asked.
        host: String,
        /// The status.
        code: u16,
    },
    /// The answer was too large.
    #[error("{0} answered with more than 256 KiB")]
    Large(String),
    /// The answer is something else.
    #[error("{host} answered with what is no {what}")]
    Unreadable {
        /// Who was asked.
        host: String,
        /// What was asked for.
        what: &'static str,
    },
    /// The document is that of another issuer.
    #[error("{0} answered for another issuer")]
    Other(String),
    /// It took too long.
    #[error("it took longer than 5s")]
    Late,
    /// The keys that were there are too old, and the issuer was asked a moment ago.
    #[error("they are too old")]
    Gone,
}

/// Asks issuers.
pub(super) struct Fetcher {
    egress: Arc<Egress>,
}

#[derive(Deserialize)]
struct Discovery {
    issuer: String,
    jwks_uri: String,
}

impl Fetcher {
    pub(super) fn new(egress: Arc<Egress>) -> Self {
        Self { egress }
    }

    /// The keys of an issuer.
    pub(super) async fn fetch(&self, issuer: &str) -> Result<Vec<Key>, Error> {
        let fetched = tokio::time::timeout(DEADLINE, self.both(issuer)).await;
        fetched.unwrap_or(Err(Error::Late))
    }

    async fn both(&self, issuer: &str) -> Result<Vec<Key>, Error> {
        let client = git::plain_client(&self.egress, &Tls::default());
        let client = client.map_err(|why| Error::Denied(why.to_string()))?;
        let at = format!("{}{WELL_KNOWN}", issuer.trim_end_matches('/'));
        let at = address(&at, "the issuer")?;
        let found: Discovery = self.get(&client, &at, "discovery document").await?;
        if found.issuer != issuer {
            return Err(Error::Other(host(&at)));
        }
        let keys_at = address(&found.jwks_uri, "its jwks_uri")?;
        if at.scheme() == "https" && keys_at.scheme() != "https" {
            return Err(Error::Address("its jwks_uri, over plain http,"));
        }
        let keys: jwk::Set = self.get(&client, &keys_at, "set of keys").await?;
        Ok(keys.usable())
    }

    async fn get<T: DeserializeOwned>(
        &self,
        client: &reqwest::Client,
        at: &Url,
        what: &'static str,
    ) -> Result<T, Error> {
        let host = host(at);
        // The client asks no resolver about an address.
        let literal = at.host_str().unwrap_or_default();
        let admitted = self.egress.admit_literal(literal);
        admitted.map_err(|why| Error::Denied(why.to_string()))?;
        let unreachable = |why: reqwest::Error| Error::Unreachable {
            host: host.clone(),
            why: innermost(&why.without_url()),
        };
        let request = client.get(at.clone()).header(USER_AGENT, AGENT);
        let request = request.header(ACCEPT, "application/json");
        let mut response = request.send().await.map_err(unreachable)?;
        if response.status().as_u16() != 200 {
            let code = response.status().as_u16();
            return Err(Error::Status { host, code });
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
            if body.len() + chunk.len() > LARGEST {
                return Err(Error::Large(host));
            }
            body.extend_from_slice(&chunk);
        }
        serde_json::from_slice(&body).map_err(|_| Error::Unreadable { host, what })
    }
}

fn address(text: &str, what: &'static str) -> Result<Url, Error> {
    let url = Url::parse(text).map_err(|_| Error::Address(what))?;
    let plain = url.username().is_empty() && url.password().is_none();
    match matches!(url.scheme(), "http" | "https") && url.has_host() && plain {
        true => Ok(url),
        false => Err(Error::Address(what)),
    }
}

fn host(url: &Url) -> String {
    let name = url.host_str().unwrap_or_default();
    match url.port() {
        Some(port) => format!("{name}:{port}"),
        None => name.to_owned(),
    }
}

/// The innermost says most.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut said = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        said = cause.to_string();
        source = cause.source();
    }
    said
}
