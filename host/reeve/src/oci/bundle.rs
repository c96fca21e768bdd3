//! Signatures as cosign 3 makes them: sigstore bundles, each in an artifact of its own that refers to what it is about.
//!
//! They are found by the registry's list of what refers to an artifact or, where it keeps none, under the tag that stands for
//! one. A bundle holds a statement in an envelope (in-toto in DSSE). Only the key counts: certificates, times and transparency
//! logs are not looked at.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use reqwest::{Method, StatusCode};
use serde::Deserialize;
use serde_json::Value;

use super::artifact::{MANIFEST_SIZE, blob, manifest};
use super::client::{Ask, Client};
use super::{Error, PublicKey, Reference, is_digest};

const BUNDLE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const PAYLOAD: &str = "application/vnd.in-toto+json";
const STATEMENT: &str = "https://in-toto.io/Statement/v1";
/// That it is signed; statements about how it was built are not that.
const SIGNED: &str = "https://sigstore.dev/cosign/sign/v1";
/// The largest bundle that is read.
const SIZE: usize = 64 << 10;
/// How many bundles of one artifact are looked at.
const MANY: usize = 32;

/// Of what refers to an artifact, what is read.
#[derive(Deserialize)]
struct Index {
    manifests: Vec<Referrer>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Referrer {
    digest: String,
    #[serde(default)]
    artifact_type: String,
}

/// Of a bundle.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Bundle {
    dsse_envelope: Envelope,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Envelope {
    payload: String,
    payload_type: String,
    signatures: Vec<Signature>,
}

#[derive(Deserialize)]
struct Signature {
    sig: String,
}

/// What was found.
pub(super) struct Found {
    /// Whether one is by a key that is believed, about the artifact.
    pub(super) signed: bool,
    /// How many were looked at.
    pub(super) bundles: usize,
}

/// Looks for a bundle about `digest` by one of `keys`.
pub(super) async fn find(
    client: &mut Client,
    reference: &Reference,
    digest: &str,
    keys: &[PublicKey],
) -> Result<Found, Error> {
    let referrers = referrers(client, digest).await?;
    let ours = |referrer: &&Referrer| referrer.artifact_type == BUNDLE;
    let mut bundles = 0;
    for referrer in referrers.iter().filter(ours).take(MANY) {
        if !is_digest(&referrer.digest) {
            continue;
        }
        let place = Reference {
            tag: None,
            digest: Some(referrer.digest.clone()),
            ..reference.clone()
        };
        let (manifest, _) = manifest(client, &place).await?;
        let [layer] = manifest.layers.as_slice() else {
            continue;
        };
        bundles += 1;
        let bundle = blob(client, layer, "a signature", SIZE).await?;
        if signs(&bundle, digest, keys) {
            return Ok(Found {
                signed: true,
                bundles,
            });
        }
    }
    Ok(Found {
        signed: false,
        bundles,
    })
}

/// What refers to an artifact.
async fn referrers(client: &mut Client, digest: &str) -> Result<Vec<Referrer>, Error> {
    if let Some(listed) = index(client, &format!("referrers/{digest}")).await? {
        return Ok(listed);
    }
    let tag = digest.replace(':', "-");
    let tagged = index(client, &format!("manifests/{tag}")).await?;
    Ok(tagged.unwrap_or_default())
}

async fn index(client: &mut Client, path: &str) -> Result<Option<Vec<Referrer>>, Error> {
    let what = "a list of signatures";
    let ask = Ask {
        method: Method::GET,
        url: client.url(path)?,
        what,
        accept: Some(INDEX),
        body: None,
    };
    let answer = client.ask(&ask).await?;
    // How registries say that they keep no such list.
    let unknown = [
        StatusCode::NOT_FOUND,
        StatusCode::BAD_REQUEST,
        StatusCode::METHOD_NOT_ALLOWED,
        StatusCode::NOT_IMPLEMENTED,
    ];
    if unknown.contains(&answer.status()) {
        return Ok(None);
    }
    client.expect(&answer, StatusCode::OK, what)?;
    let bytes = client.read(answer, what, MANIFEST_SIZE).await?;
    let index: Option<Index> = serde_json::from_slice(&bytes).ok();
    Ok(index.map(|index| index.manifests))
}

/// Whether one of `keys` signed that `digest` is signed.
fn signs(bundle: &[u8], digest: &str, keys: &[PublicKey]) -> bool {
    signed(bundle, keys).is_some_and(|statement| is_about(&statement, digest))
}

/// The statement, if one of `keys` signed it.
fn signed(bundle: &[u8], keys: &[PublicKey]) -> Option<Value> {
    let Envelope {
        payload,
        payload_type,
        signatures,
    } = serde_json::from_slice::<Bundle>(bundle).ok()?.dsse_envelope;
    let payload = BASE64_STANDARD.decode(payload).ok()?;
    let (kind, length) = (payload_type.len(), payload.len());
    let mut message = format!("DSSEv1 {kind} {payload_type} {length} ").into_bytes();
    message.extend_from_slice(&payload);
    let believed = |signature: &Signature| {
        let signature = BASE64_STANDARD.decode(&signature.sig);
        signature.is_ok_and(|signature| keys.iter().any(|key| key.signed(&message, &signature)))
    };
    let believed = signatures.iter().take(MANY).any(believed);
    let statement = serde_json::from_slice(&payload).ok()?;
    (believed && payload_type == PAYLOAD).then_some(statement)
}

fn is_about(statement: &Value, digest: &str) -> bool {
    let says = |field: &str, want: &str| statement.get(field).and_then(Value::as_str) == Some(want);
    let subjects = statement.get("subject").and_then(Value::as_array);
    let named = |subject: &Value| {
        let named = subject.pointer("/digest/sha256").and_then(Value::as_str);
        named.is_some() && named == digest.strip_prefix("sha256:")
    };
    says("_type", STATEMENT)
        && says("predicateType", SIGNED)
        && subjects.is_some_and(|subjects| subjects.iter().any(named))
}

#[cfg(test)]
mod tests;
