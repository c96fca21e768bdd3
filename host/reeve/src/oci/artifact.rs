//! A component as an artifact: the manifest, its config and its one layer, as wasm-pkg-tools lays them out.
//!
//! The same component makes the same artifact, so its digest can be known before it is pushed: the time of its making is
//! left at zero.

use reqwest::{Method, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::BTreeMap;

use super::client::{Ask, Client};
use super::{Error, Reference, digest_of, is_digest};

pub(super) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.wasm.config.v0+json";
const LAYER: &str = "application/wasm";
/// The largest manifest that is read: registries take 4 MiB, a plugin's has one layer.
pub(super) const MANIFEST_SIZE: usize = 256 << 10;

/// What was fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pulled {
    /// The component.
    pub component: Vec<u8>,
    /// The digest of the artifact: what a signature is about. The component has its own.
    pub digest: String,
}

/// What a config says of a component.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Described {
    /// What it imports.
    pub imports: Vec<String>,
    /// What it exports.
    pub exports: Vec<String>,
}

/// An image manifest.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Manifest {
    pub(super) schema_version: u8,
    #[serde(default)]
    pub(super) media_type: String,
    pub(super) config: Descriptor,
    pub(super) layers: Vec<Descriptor>,
}

/// What is said of a blob.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Descriptor {
    pub(super) media_type: String,
    pub(super) digest: String,
    pub(super) size: u64,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) annotations: BTreeMap<String, String>,
}

impl Descriptor {
    pub(super) fn of(media_type: &str, bytes: &[u8]) -> Self {
        Self {
            media_type: media_type.to_owned(),
            digest: digest_of(bytes),
            size: bytes.len() as u64,
            annotations: BTreeMap::new(),
        }
    }
}

pub(super) async fn pull(
    client: &mut Client,
    reference: &Reference,
    most: usize,
) -> Result<Pulled, Error> {
    let (manifest, digest) = manifest(client, reference).await?;
    let none = |why: String| Error::NoPlugin {
        what: reference.to_string(),
        why,
    };
    if manifest.config.media_type != CONFIG {
        return Err(none(format!(
            "its config is {:?}",
            manifest.config.media_type
        )));
    }
    let [layer] = manifest.layers.as_slice() else {
        return Err(none(format!("it has {} layers", manifest.layers.len())));
    };
    if layer.media_type != LAYER {
        return Err(none(format!("its layer is {:?}", layer.media_type)));
    }
    Ok(Pulled {
        component: blob(client, layer, "the component", most).await?,
        digest,
    })
}

/// The manifest that a reference names, and its digest.
pub(super) async fn manifest(
    client: &mut Client,
    reference: &Reference,
) -> Result<(Manifest, String), Error> {
    let wanted = reference.wanted();
    let what = reference.to_string();
    let ask = Ask {
        method: Method::GET,
        url: client.url(&format!("manifests/{wanted}"))?,
        what: &what,
        accept: Some(MANIFEST),
        body: None,
    };
    let answer = client.ask(&ask).await?;
    client.expect(&answer, StatusCode::OK, &what)?;
    let bytes = client.read(answer, &what, MANIFEST_SIZE).await?;
    let got = digest_of(&bytes);
    if let Some(want) = reference.digest.clone().filter(|want| *want != got) {
        return Err(Error::Digest { what, want, got });
    }
    let manifest: Result<Manifest, _> = serde_json::from_slice(&bytes);
    match manifest {
        Ok(manifest) if manifest.media_type.is_empty() || manifest.media_type == MANIFEST => {
            Ok((manifest, got))
        }
        Ok(other) => Err(Error::NoPlugin {
            what,
            why: format!("it is {:?}", other.media_type),
        }),
        Err(_) => Err(Error::NoPlugin {
            what,
            why: "it has no manifest of one image".to_owned(),
        }),
    }
}

/// Reads what a descriptor is about, if it is not more than `most`.
pub(super) async fn blob(
    client: &mut Client,
    descriptor: &Descriptor,
    what: &str,
    most: usize,
) -> Result<Vec<u8>, Error> {
    let want = descriptor.digest.clone();
    let what = what.to_owned();
    if !is_digest(&want) {
        let got = "no sha256 digest".to_owned();
        return Err(Error::Digest { what, want, got });
    }
    if descriptor.size > most as u64 {
        return Err(Error::TooLarge { what, most });
    }
    let bytes = client.blob(&want, &what, most).await?;
    match digest_of(&bytes) {
        got if got == want => Ok(bytes),
        got => Err(Error::Digest { what, want, got }),
    }
}

pub(super) async fn push(
    client: &mut Client,
    reference: &Reference,
    component: &[u8],
    described: &Described,
) -> Result<String, Error> {
    let layer = Descriptor::of(LAYER, component);
    let config = json!({
        "created": "1970-01-01T00:00:00Z",
        "architecture": "wasm",
        "os": "wasip2",
        "layerDigests": [layer.digest],
        "component": {"exports": described.exports, "imports": described.imports, "target": null},
    });
    let config = config.to_string().into_bytes();
    let manifest = Manifest {
        schema_version: 2,
        media_type: MANIFEST.to_owned(),
        config: Descriptor::of(CONFIG, &config),
        layers: vec![layer],
    };
    put_blob(client, component).await?;
    put_blob(client, &config).await?;
    put_manifest(client, reference, &manifest).await
}

/// Uploads a blob that is not there yet.
pub(super) async fn put_blob(client: &mut Client, bytes: &[u8]) -> Result<(), Error> {
    let digest = digest_of(bytes);
    let mut ask = Ask {
        method: Method::HEAD,
        url: client.url(&format!("blobs/{digest}"))?,
        what: "a blob",
        accept: None,
        body: None,
    };
    if client.ask(&ask).await?.status() == StatusCode::OK {
        return Ok(());
    }
    ask.method = Method::POST;
    ask.url = client.url("blobs/uploads/")?;
    ask.body = Some(("application/octet-stream", &[]));
    let answer = client.ask(&ask).await?;
    client.expect(&answer, StatusCode::ACCEPTED, "an upload")?;
    let place = answer.headers().get(reqwest::header::LOCATION);
    let place = place
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    ask.url = client.own(place)?;
    ask.url.query_pairs_mut().append_pair("digest", &digest);
    ask.method = Method::PUT;
    ask.body = Some(("application/octet-stream", bytes));
    let answer = client.ask(&ask).await?;
    client.expect(&answer, StatusCode::CREATED, "a blob")
}

/// Puts a manifest under the tag of `reference` and returns its digest.
pub(super) async fn put_manifest(
    client: &mut Client,
    reference: &Reference,
    manifest: &Manifest,
) -> Result<String, Error> {
    let bytes = serde_json::to_vec(manifest).unwrap_or_default();
    let what = reference.to_string();
    let ask = Ask {
        method: Method::PUT,
        url: client.url(&format!("manifests/{}", reference.wanted()))?,
        what: &what,
        accept: None,
        body: Some((MANIFEST, &bytes)),
    };
    let answer = client.ask(&ask).await?;
    client.expect(&answer, StatusCode::CREATED, &what)?;
    Ok(digest_of(&bytes))
}
