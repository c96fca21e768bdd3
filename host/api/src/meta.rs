//! References and small values that several kinds share.
//!
//! Only shapes: whether a referenced object exists, and who may read it, is decided where it is read.

pub use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A reference to an object of a known kind in the same namespace.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
pub struct LocalObjectReference {
    /// Name of the referent.
    pub name: String,
}

/// A reference to one key of a Secret in the same namespace.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
pub struct SecretKeyReference {
    /// Name of the Secret.
    pub name: String,
    /// Key in the Secret, when not specified an implementation-specific default key is used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

/// Artifact represents the output of a Source reconciliation: one revision, packed as a file.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Artifact {
    /// Digest is the digest of the file in the form of `<algorithm>:<checksum>`.
    #[schemars(regex(pattern = r"^[a-z0-9]+(?:[.+_-][a-z0-9]+)*:[a-zA-Z0-9=_-]+$"))]
    pub digest: String,
    /// LastUpdateTime is when the Artifact was last updated.
    #[schemars(schema_with = "crate::meta::timestamp")]
    pub last_update_time: Time,
    /// Metadata holds what the upstream said about this revision, such as annotations.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
    /// Path is the file's path relative to the root of the controller's storage.
    pub path: String,
    /// Revision is a human-readable identifier traceable in the origin source system: a Git branch or tag with the
    /// commit it stood at, for example `main@sha1:…`.
    pub revision: String,
    /// Size is the number of bytes in the file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<i64>,
    /// URL is the HTTP address of the Artifact as served by the controller. A consumer fetches it as it is.
    pub url: String,
}

/// `skip_serializing_if` for a flag that is off unless it is set.
#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde hands over a reference"
)]
pub(crate) fn is_false(flag: &bool) -> bool {
    !flag
}

/// The schema of a point in time (RFC 3339).
pub(crate) fn timestamp(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "format": "date-time" })
}
