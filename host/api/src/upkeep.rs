//! What is kept at a forge for an object: deploy keys of a GitRepository, webhooks of a Receiver; and what is told there.
//!
//! Only shapes: what is recorded in a status, so that what was made can be taken away again. What should be there is decided
//! in `reeve_core::upkeep`, what is told in `reeve_core::{mark, proposal}`.

use crate::meta::{Time, is_false};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The annotation by which a GitRepository asks for a key pair of its own: `ed25519`.
pub const GENERATE_KEY: &str = "reeve.dev/generate-key";
/// The annotation whose change asks for another key in the place of the one that was generated; its value is echoed in
/// `status.deployKey.lastHandledRotation`.
pub const ROTATE_KEY: &str = "reeve.dev/rotate-key";
/// The annotation that says how old a generated key gets: `2160h`.
pub const ROTATE_KEY_EVERY: &str = "reeve.dev/rotate-key-every";
/// The annotation that says what may be done with the key at the forge: `read-only`, as is usual, or `read-write`.
pub const DEPLOY_KEY: &str = "reeve.dev/deploy-key";
/// The annotation by which a GitRepository has what became of its commits told beside them at the forge: `enabled`.
pub const COMMIT_STATUS: &str = "reeve.dev/commit-status";
/// The annotation by which a GitRepository has what pull requests would change told at them: `enabled`.
pub const PULL_REQUEST_PLAN: &str = "reeve.dev/pull-request-plan";
/// The annotation by which a GitRepository has that told of requests from forks too: `allow`.
pub const PULL_REQUEST_FORKS: &str = "reeve.dev/pull-request-forks";

/// DeployKey is the key that opens a repository to its GitRepository alone.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct DeployKey {
    /// AtForge are the keys that are, or may be, at a forge because of this object: what is removed when it goes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub at_forge: Vec<KeyAtForge>,
    /// GeneratedAt is when the key in use was generated. It is not there when the key was brought along.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "crate::meta::timestamp")]
    pub generated_at: Option<Time>,
    /// LastHandledRotation is the value of the annotation `reeve.dev/rotate-key` for which a key was generated last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_handled_rotation: Option<String>,
    /// PublicKey is the public half of the key in use, in OpenSSH's form.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub public_key: Option<String>,
}

/// A deploy key, where it is and what it is called there.
#[derive(
    Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash,
)]
#[serde(rename_all = "camelCase")]
pub struct KeyAtForge {
    /// Provider is the plugin that speaks to the forge.
    pub provider: String,
    /// Repository is its address, without a user.
    pub repository: String,
    /// Title is what the key is called.
    pub title: String,
    /// Writable is whether it may push.
    #[serde(default, skip_serializing_if = "is_false")]
    pub writable: bool,
}

impl KeyAtForge {
    /// Whether both are one key at one place, whatever may be done with it.
    pub fn is(&self, other: &Self) -> bool {
        let place = |key: &Self| (key.provider.clone(), key.repository.clone());
        place(self) == place(other) && self.title == other.title
    }
}

/// A webhook, where it is and whom it calls.
#[derive(
    Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash,
)]
#[serde(rename_all = "camelCase")]
pub struct HookAtForge {
    /// Provider is the plugin that speaks to the forge.
    pub provider: String,
    /// Repository is its address, without a user.
    pub repository: String,
    /// URL is whom it calls.
    pub url: String,
    /// Source is the GitRepository by whose levels of git configuration the forge is asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
}
