//! One request over the network, and its answer, bounded in bytes and time.
//!
//! The client resolves names through `git::Egress` and connects to nothing else; it follows no redirect and reads nothing
//! from the environment. What it deliberately doesn't: look into the answer; `answer` does.

use std::error::Error as _;
use std::sync::Arc;

use bytes::Bytes;
use http::HeaderMap;
use http::header::USER_AGENT;

use super::Limits;
use super::error::Cause;
use super::fill::Prepared;
use super::slots::authority;
use crate::git::{self, Egress, Tls, egress};

const AGENT: &str = concat!("reeve/", env!("CARGO_PKG_VERSION"));

/// What came back, as it came.
#[derive(Clone)]
pub(super) struct Raw {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

/// Sends requests for one operation.
pub(super) struct Sender {
    client: reqwest::Client,
    egress: Arc<Egress>,
    limits: Limits,
}

impl Sender {
    pub(super) fn new(egress: &Arc<Egress>, tls: &Tls, limits: &Limits) -> Result<Self, Cause> {
        let client =
            git::plain_client(egress, tls).map_err(|why| Cause::Client(why.to_string()))?;
        Ok(Self {
            client,
            egress: Arc::clone(egress),
            limits: limits.clone(),
        })
    }

    pub(super) async fn send(&self, prepared: Prepared) -> Result<Raw, Cause> {
        let host = authority(&prepared.url);
        let after = self.limits.each;
        match tokio::time::timeout(after, self.exchange(prepared, &host)).await {
            Ok(done) => done,
            Err(_) => Err(Cause::Late { host, after }),
        }
    }

    async fn exchange(&self, prepared: Prepared, host: &str) -> Result<Raw, Cause> {
        // The client asks no resolver about an address.
        let literal = prepared.url.host_str().unwrap_or_default();
        self.egress
            .admit_literal(literal)
            .map_err(|source| Cause::Egress {
                host: host.to_owned(),
                source,
            })?;
        let mut request = self
            .client
            .request(prepared.method, prepared.url)
            .headers(prepared.headers)
            .header(USER_AGENT, AGENT);
        if let Some(body) = prepared.body {
            request = request.body(Bytes::from_owner(body));
        }
        let failed = |why| unreachable(host, why);
        let mut response = request.send().await.map_err(failed)?;
        let too_large = || Cause::Large {
            host: host.to_owned(),
            most: self.limits.answer,
        };
        let most = u64::try_from(self.limits.answer).unwrap_or(u64::MAX);
        if response
            .content_length()
            .is_some_and(|length| length > most)
        {
            return Err(too_large());
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(failed)? {
            if body.len() + chunk.len() > self.limits.answer {
                return Err(too_large());
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Raw {
            status: response.status().as_u16(),
            headers: std::mem::take(response.headers_mut()),
            body,
        })
    }
}

/// What the client says when there is no answer, without the URL.
fn unreachable(host: &str, error: reqwest::Error) -> Cause {
    let error = error.without_url();
    let mut clauses = Vec::new();
    let mut source = error.source();
    while let Some(cause) = source {
        if let Some(denied) = cause.downcast_ref::<egress::Denied>() {
            return Cause::Egress {
                host: host.to_owned(),
                source: denied.told_again(),
            };
        }
        clauses.push(cause.to_string());
        source = cause.source();
    }
    // The innermost says most.
    let why = clauses.pop().unwrap_or_else(|| error.to_string());
    Cause::Unreachable {
        host: host.to_owned(),
        why,
    }
}
