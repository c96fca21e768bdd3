//! Signatures as cosign lays them down: documents about a digest, under a tag made of that digest.
//!
//! What is signed is the document's bytes. It is believed only where a key that is believed signed those bytes and they name
//! the artifact's digest; everything else that may lie there is passed over.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;
use serde_json::json;

use super::artifact::{Descriptor, MANIFEST, Manifest, blob, manifest, put_blob, put_manifest};
use super::bundle;
use super::client::Client;
use super::{Error, PrivateKey, PublicKey, Reference};

const PAYLOAD: &str = "application/vnd.dev.cosign.simplesigning.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const SIGNATURE: &str = "dev.cosignproject.cosign/signature";
const KIND: &str = "cosign container image signature";
/// The largest document that is read.
const SIZE: usize = 64 << 10;
/// How many signatures of one artifact are looked at.
const MANY: usize = 32;

/// What a document says.
#[derive(Deserialize)]
struct Payload {
    critical: Critical,
}

#[derive(Deserialize)]
struct Critical {
    image: Image,
    #[serde(rename = "type")]
    kind: String,
}

#[derive(Deserialize)]
struct Image {
    #[serde(rename = "docker-manifest-digest")]
    digest: String,
}

pub(super) async fn verify(
    client: &mut Client,
    reference: &Reference,
    digest: &str,
    keys: &[PublicKey],
) -> Result<(), Error> {
    let unsigned = |why: String| Error::Unsigned {
        digest: digest.to_owned(),
        why,
    };
    if keys.is_empty() {
        return Err(unsigned("no key is believed".to_owned()));
    }
    let signatures = match manifest(client, &reference.signatures(digest)).await {
        Ok((signatures, _)) => signatures.layers,
        Err(Error::Missing { .. }) => Vec::new(),
        Err(why) => return Err(why),
    };
    let found = signatures.len();
    for layer in signatures.iter().take(MANY) {
        let Some(signature) = signature_of(layer) else {
            continue;
        };
        let payload = blob(client, layer, "a signature", SIZE).await?;
        let signed = keys.iter().any(|key| key.signed(&payload, &signature));
        if signed && about(&payload).as_deref() == Some(digest) {
            return Ok(());
        }
    }
    let by_bundle = bundle::find(client, reference, digest, keys).await?;
    if by_bundle.signed {
        return Ok(());
    }
    Err(unsigned(match found + by_bundle.bundles {
        0 => "it has no signature".to_owned(),
        found => format!("none of its {found} signatures is by one, about it"),
    }))
}

fn signature_of(layer: &Descriptor) -> Option<Vec<u8>> {
    let text = layer
        .annotations
        .get(SIGNATURE)
        .filter(|_| layer.media_type == PAYLOAD)?;
    BASE64_STANDARD.decode(text.trim()).ok()
}

/// The digest that a document is about.
fn about(payload: &[u8]) -> Option<String> {
    let payload: Payload = serde_json::from_slice(payload).ok()?;
    (payload.critical.kind == KIND).then_some(payload.critical.image.digest)
}

pub(super) async fn sign(
    client: &mut Client,
    reference: &Reference,
    digest: &str,
    key: &PrivateKey,
) -> Result<(), Error> {
    let place = reference.signatures(digest);
    let mut layers = match manifest(client, &place).await {
        Ok((there, _)) => there.layers,
        Err(Error::Missing { .. }) => Vec::new(),
        Err(why) => return Err(why),
    };
    let payload = json!({
        "critical": {
            "identity": {"docker-reference": reference.repository()},
            "image": {"docker-manifest-digest": digest},
            "type": KIND,
        },
        "optional": null,
    });
    let payload = payload.to_string().into_bytes();
    let signature = BASE64_STANDARD.encode(key.sign(&payload)?);
    let mut layer = Descriptor::of(PAYLOAD, &payload);
    layer.annotations = BTreeMap::from([(SIGNATURE.to_owned(), signature)]);
    put_blob(client, &payload).await?;
    // A signature of Ed25519 is the same each time; one of ECDSA never is.
    if !layers.contains(&layer) {
        layers.push(layer);
    }
    let contents: Vec<&str> = layers.iter().map(|layer| layer.digest.as_str()).collect();
    let config = json!({
        "architecture": "", "created": "0001-01-01T00:00:00Z", "os": "", "config": {},
        "rootfs": {"type": "layers", "diff_ids": contents},
    });
    let config = config.to_string().into_bytes();
    put_blob(client, &config).await?;
    let manifest = Manifest {
        schema_version: 2,
        media_type: MANIFEST.to_owned(),
        config: Descriptor::of(CONFIG, &config),
        layers,
    };
    put_manifest(client, &place, &manifest).await.map(|_| ())
}
