//! One file over http: bounded in bytes, time and redirects.
//!
//! A redirect is followed as kustomize follows it, since releases are served from other hosts; every hop is judged by
//! `Egress`, leads to another host only where that one may be named too, goes to https only if it came from there, and is
//! told nothing of who we are.

use std::sync::Arc;
use std::time::Instant;

use percent_encoding::percent_decode_str;
use reeve_api::name::{RemotePattern, RemoteUrl};
use reeve_kustomize::MemoryTree;
use reqwest::header;
use sha2::{Digest as _, Sha256};
use url::Url;

use super::{Error, Fetched};
use crate::git::{self, Egress};

/// The largest file.
const LARGEST: usize = 16 << 20;
/// How often we let ourselves be sent elsewhere.
const HOPS: usize = 10;

/// The file at `address`, as the only one of a tree.
pub(super) async fn fetch(
    address: &str,
    egress: &Arc<Egress>,
    hops: Option<&[RemotePattern]>,
    deadline: Instant,
) -> Result<Fetched, Error> {
    let shown = reeve_kustomize::Source::File {
        url: address.to_owned(),
    }
    .shown();
    let failed = |why: String| Error::File {
        url: shown.clone(),
        why,
    };
    let got = tokio::time::timeout_at(deadline.into(), get(address, egress, hops)).await;
    let bytes = got
        .map_err(|_| failed("it took too long".to_owned()))?
        .map_err(failed)?;
    let revision = format!("sha256:{}", hex::encode(Sha256::digest(&bytes)));
    let tree: MemoryTree = [(name(address), bytes)].into_iter().collect();
    Ok(Fetched {
        tree: Arc::new(tree),
        revision,
        pinned: false,
        told: None,
    })
}

/// The last part of the path, which errors show.
fn name(address: &str) -> String {
    let path = address.split(['?', '#']).next().unwrap_or_default();
    let last = path.rsplit('/').next().unwrap_or_default();
    let plain = !last.is_empty() && !last.contains('\0') && !matches!(last, "." | "..");
    if plain { last } else { "file" }.to_owned()
}

async fn get(
    address: &str,
    egress: &Arc<Egress>,
    hops: Option<&[RemotePattern]>,
) -> Result<Vec<u8>, String> {
    let client = git::plain_client(egress, &git::Tls::default()).map_err(|why| why.to_string())?;
    let mut url = Url::parse(address).map_err(|_| "it is no address".to_owned())?;
    let mut login = login(&mut url);
    for _hop in 0..HOPS {
        let host = url.host_str().unwrap_or_default();
        egress.admit_literal(host).map_err(|why| why.to_string())?;
        let mut request = client.get(url.clone());
        if let Some((user, password)) = login.take() {
            request = request.basic_auth(user, password);
        }
        let answer = request.send().await.map_err(|why| told(&why))?;
        let status = answer.status();
        if status.is_redirection() {
            url = elsewhere(&url, answer.headers().get(header::LOCATION), hops)?;
            continue;
        }
        if !status.is_success() {
            return Err(format!("the server answered {status}"));
        }
        return body(answer).await;
    }
    Err(format!("it was redirected {HOPS} times"))
}

/// User and password, which leave the address.
fn login(url: &mut Url) -> Option<(String, Option<String>)> {
    let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    let user = (!url.username().is_empty()).then(|| decoded(url.username()))?;
    let password = url.password().map(decoded);
    // Only an address without a host refuses this.
    let _cleared = (url.set_username(""), url.set_password(None));
    Some((user, password))
}

fn elsewhere(
    from: &Url,
    location: Option<&header::HeaderValue>,
    hops: Option<&[RemotePattern]>,
) -> Result<Url, String> {
    let location = location.and_then(|value| value.to_str().ok());
    let to = location.and_then(|location| from.join(location).ok());
    let to = to.ok_or_else(|| "it was redirected to no address".to_owned())?;
    let host = to.host_str().unwrap_or_default();
    let plain = RemoteUrl::parse(to.as_str().split(['?', '#']).next().unwrap_or_default());
    let covered = |hops: &[RemotePattern]| {
        plain.is_ok_and(|url| hops.iter().any(|pattern| pattern.covers(&url)))
    };
    if from.host_str() != Some(host) && hops.is_some_and(|hops| !covered(hops)) {
        return Err(format!(
            "it was redirected to {host}, which may not be named either"
        ));
    }
    match (from.scheme(), to.scheme()) {
        (_, "https") | ("http", "http") => Ok(to),
        _ => Err("it was redirected to what is not https".to_owned()),
    }
}

async fn body(mut answer: reqwest::Response) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(|why| told(&why))? {
        bytes.extend_from_slice(&chunk);
        if bytes.len() > LARGEST {
            return Err(format!("it is larger than {} MiB", LARGEST >> 20));
        }
    }
    Ok(bytes)
}

/// The innermost cause; the outer ones repeat the address, which may hold a secret.
fn told(why: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = why;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    match std::ptr::addr_eq(cause, std::ptr::from_ref(why)) {
        true => "the connection failed".to_owned(),
        false => cause.to_string(),
    }
}
