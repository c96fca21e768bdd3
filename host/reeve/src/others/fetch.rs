//! One archive over HTTP, into a file without a name: bounded, without redirects, and only if it has the digest.
//!
//! The host was named by the platform, so it may lie at any address; the connection goes to no other. What it deliberately
//! doesn't: look into the archive; `unpack` does, once it is known to be the right one.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use http::header::{ACCEPT_ENCODING, USER_AGENT};
use reeve_core::artifact::Digest;
use reeve_core::others::Offer;
use reqwest::{Response, StatusCode};
use sha2::{Digest as _, Sha256};
use tokio::io::AsyncWriteExt as _;

use super::{Error, blank};
use crate::disk::Writing;
use crate::git::{self, Egress, HostRule, Tls};

const AGENT: &str = concat!("reeve/", env!("CARGO_PKG_VERSION"));
const LARGER: &str = "it has more bytes";

/// The archive, if it has no more than `cap` bytes and there is room for it.
pub(super) async fn fetch(
    offer: &Offer,
    dir: &Path,
    cap: u64,
    writing: &mut Writing,
) -> Result<File, Error> {
    let too_large = Error::TooMuch { what: LARGER, cap };
    if offer.size.is_some_and(|size| size > cap) {
        return Err(too_large);
    }
    let response = ask(offer).await?;
    if response.content_length().is_some_and(|size| size > cap) {
        return Err(too_large);
    }
    // Its source knows how large it is: what is longer is something else.
    let cap = offer.size.unwrap_or(cap);
    receive(response, offer, (dir, cap), writing).await
}

async fn ask(offer: &Offer) -> Result<Response, Error> {
    let host = offer.url.host_str().unwrap_or_default();
    let unreachable = |source: Box<dyn std::error::Error + Send + Sync>| Error::Reach {
        host: host.to_owned(),
        source,
    };
    let rule = host.parse::<HostRule>();
    let rule = rule.map_err(|why| unreachable(Box::new(why)))?;
    let egress = Arc::new(Egress::new(vec![rule]));
    let client = git::plain_client(&egress, &Tls::default());
    let client = client.map_err(|why| unreachable(Box::new(why)))?;
    let request = client.get(offer.url.clone());
    let request = request.header(USER_AGENT, AGENT);
    // What its digest is of is the archive as it lies there.
    let request = request.header(ACCEPT_ENCODING, "identity");
    let response = request.send().await;
    let response = response.map_err(|why| unreachable(Box::new(why.without_url())))?;
    let host = host.to_owned();
    match response.status() {
        StatusCode::OK => Ok(response),
        StatusCode::NOT_FOUND | StatusCode::GONE => Err(Error::Gone { host }),
        other => Err(Error::Status {
            host,
            status: other.as_u16(),
        }),
    }
}

async fn receive(
    mut response: Response,
    offer: &Offer,
    (dir, cap): (&Path, u64),
    writing: &mut Writing,
) -> Result<File, Error> {
    let disk = |source| Error::Disk {
        doing: "written",
        source,
    };
    let mut file = tokio::fs::File::from_std(blank(dir)?);
    let (mut hash, mut size) = (Sha256::new(), 0_u64);
    loop {
        let chunk = response.chunk().await.map_err(|why| Error::Reach {
            host: offer.url.host_str().unwrap_or_default().to_owned(),
            source: Box::new(why.without_url()),
        })?;
        let Some(chunk) = chunk else { break };
        size = size.saturating_add(chunk.len() as u64);
        if size > cap {
            return Err(Error::TooMuch { what: LARGER, cap });
        }
        let room = writing.more(chunk.len() as u64);
        room.map_err(|source| Error::Quota { source })?;
        hash.update(&chunk);
        file.write_all(&chunk).await.map_err(disk)?;
    }
    file.flush().await.map_err(disk)?;
    let (got, want) = (Digest::from_sha256(hash.finalize().into()), offer.digest);
    match got == want {
        true => Ok(file.into_std().await),
        false => Err(Error::Digest { want, got }),
    }
}
