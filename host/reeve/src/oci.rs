//! Plugins in OCI registries: fetched, pushed and signed.
//!
//! An artifact is what wasm-pkg-tools makes of a component: an image manifest with a config of its own and one layer,
//! `application/wasm`. A signature is cosign's: a small document about the artifact's digest beside it, under a tag made of
//! that digest; or, of cosign 3, a bundle that refers to the artifact, which is believed but not made. Everything a registry answers is bounded, and checked against the digest it was asked for.
//!
//! What it deliberately doesn't: run helpers for credentials, talk to a transparency log, or decide which keys are believed.
//! HTTP is `client`, what lies in a registry `artifact`, `signature` and `bundle`, keys `key`.

mod artifact;
mod bundle;
mod client;
mod error;
mod key;
mod login;
mod reference;
mod signature;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Instant;

pub use artifact::{Described, Pulled};
pub use error::Error;
pub use key::{PrivateKey, PublicKey};
pub use login::Login;
pub use reference::{NotAReference, Reference};

use crate::git::Egress;
use client::Client;

/// The way to a registry, and who we are there.
#[derive(Debug, Clone)]
pub struct Access {
    /// Which addresses may be reached.
    pub egress: Arc<Egress>,
    /// Who we are; none for anybody.
    pub login: Option<Login>,
    /// Over http: for a registry on one's own machine.
    pub plain: bool,
    /// When it is too late.
    pub deadline: Instant,
}

/// Fetches the component that `reference` names, at most `most` bytes of it.
pub async fn pull(reference: &Reference, access: &Access, most: usize) -> Result<Pulled, Error> {
    let mut client = Client::new(reference, access, client::Scope::Pull)?;
    let work = artifact::pull(&mut client, reference, most);
    within(access, reference, work).await
}

/// Puts a component where `reference` names a place for it, and returns the digest of the artifact.
pub async fn push(
    reference: &Reference,
    access: &Access,
    component: &[u8],
    described: &Described,
) -> Result<String, Error> {
    let mut client = Client::new(reference, access, client::Scope::Push)?;
    let work = artifact::push(&mut client, reference, component, described);
    within(access, reference, work).await
}

/// The digest of the artifact that `reference` names now.
pub async fn resolve(reference: &Reference, access: &Access) -> Result<String, Error> {
    let mut client = Client::new(reference, access, client::Scope::Pull)?;
    let work = async { Ok(artifact::manifest(&mut client, reference).await?.1) };
    within(access, reference, work).await
}

/// Says no unless one of `keys` signed the artifact with this digest, beside the one that `reference` names.
pub async fn verify(
    reference: &Reference,
    access: &Access,
    digest: &str,
    keys: &[PublicKey],
) -> Result<(), Error> {
    let mut client = Client::new(reference, access, client::Scope::Pull)?;
    let work = signature::verify(&mut client, reference, digest, keys);
    within(access, reference, work).await
}

/// Signs the artifact with this digest, beside the signatures that are there.
pub async fn sign(
    reference: &Reference,
    access: &Access,
    digest: &str,
    key: &PrivateKey,
) -> Result<(), Error> {
    let mut client = Client::new(reference, access, client::Scope::Push)?;
    let work = signature::sign(&mut client, reference, digest, key);
    within(access, reference, work).await
}

async fn within<T>(
    access: &Access,
    reference: &Reference,
    work: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    let deadline = tokio::time::Instant::from_std(access.deadline);
    match tokio::time::timeout_at(deadline, work).await {
        Ok(done) => done,
        Err(_) => Err(Error::Late {
            host: reference.host.clone(),
        }),
    }
}

/// `sha256:` and the hex digest.
pub(crate) fn digest_of(bytes: &[u8]) -> String {
    use sha2::Digest as _;
    format!("sha256:{}", hex::encode(sha2::Sha256::digest(bytes)))
}

/// Whether a text is the digest of something.
fn is_digest(text: &str) -> bool {
    let hex = |digits: &str| {
        digits.len() == 64
            && digits
                .bytes()
                .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    text.strip_prefix("sha256:").is_some_and(hex)
}
