//! What both kinds of plugin say of their component: where it is, what it is given, what it may use.
//!
//! Only shapes. Whether a reference may be followed, and what of a grant is effective, is decided where it is used.

use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use crate::duration::Duration;
use crate::meta::{LocalObjectReference, is_false};
use crate::size::Size;

/// A component, and the terms on which it is called: what the specs of both kinds say alike.
#[derive(Clone, Debug, PartialEq)]
pub struct Component {
    /// Config is handed to the component as JSON. Its shape is the component's own: one that carries a JSON Schema is not
    /// called with a config that the schema refuses. It is no place for a secret: everyone who may read the plugin can
    /// read it.
    pub config: serde_json::Map<String, serde_json::Value>,
    /// ConfigFrom are ConfigMaps and Secrets whose content is merged into the config: a later one over an earlier one,
    /// `config` over them all. What a component is given it may also log.
    pub config_from: Vec<ConfigReference>,
    /// Grants are the hosts that a provider may be sent to and the secrets it may name. Only what the component's own
    /// manifest asks for, and, for a tenant's plugin, what its Tenant allows, is effective.
    pub grants: Grants,
    /// Limits bound one call. What is not set has the controller's default.
    pub limits: Limits,
    /// Order in which plugins that select the same Kustomization are called, lowest first; plugins of the same order
    /// are called by name. A tenant's plugins are called before the platform's.
    pub order: i32,
    /// Sha256 is the digest, in hexadecimal, that the component's bytes must have. A component that differs is not
    /// loaded. Without it, whoever can write the file decides what runs.
    pub sha256: Option<String>,
    /// Source is where the component's bytes are.
    pub source: PluginSource,
    /// World is the interface that the component was built for.
    pub world: World,
}

/// Where the bytes of a component are: exactly one of these.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
#[schemars(extend("x-kubernetes-validations" = [{
    "rule": "[has(self.git), has(self.oci), has(self.path)].filter(set, set).size() == 1",
    "message": "source is exactly one of git, oci and path"
}]))]
pub struct PluginSource {
    /// Git is a file of a GitRepository.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub git: Option<GitSource>,
    /// OCI is an artifact of a registry.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oci: Option<OciSource>,
    /// Path of the component's file, relative to the directory of plugins that come with the controller. It may not
    /// leave that directory.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 1, max = 1024),
        regex(pattern = r"^[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*$")
    )]
    pub path: Option<String>,
}

/// A component that comes with a repository.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct GitSource {
    /// Path of the component's file in the repository.
    #[schemars(length(min = 1, max = 1024))]
    pub path: String,
    /// SourceRef is the GitRepository.
    pub source_ref: SourceReference,
}

/// A GitRepository.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
pub struct SourceReference {
    /// Name of the GitRepository.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// Namespace of the GitRepository. A tenant's plugin may leave it out for its own; a ClusterPlugin names one of
    /// the platform's.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub namespace: Option<String>,
}

/// A component in an OCI registry, as `reeve plugin push` or wasm-pkg-tools put it there.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct OciSource {
    /// Insecure asks the registry by plain HTTP. Only where the platform allows it.
    #[serde(default, skip_serializing_if = "is_false")]
    pub insecure: bool,
    /// PublicKeys are PEM public keys, one of which must have signed the artifact as cosign signs. When there are none,
    /// signatures are not looked at: pin `sha256` then.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), inner(length(max = 8192)))]
    pub public_keys: Vec<String>,
    /// PullSecretRef is a Secret of type `kubernetes.io/dockerconfigjson`: in the namespace of a Plugin, in the
    /// controller's own for a ClusterPlugin.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pull_secret_ref: Option<LocalObjectReference>,
    /// Reference is where it is: `ghcr.example/acme/stamp:1.0.0`, or with `@sha256:…`. A tag is looked up again every ten
    /// minutes.
    #[schemars(length(min = 1, max = 512))]
    pub reference: String,
}

/// The interfaces a component may be built for.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum World {
    /// A pure function over all manifests of a Kustomization.
    Transformer,
    /// What speaks to a forge: credentials, deploy keys, webhooks.
    Provider,
}

/// Config that lies in another object.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
pub struct ConfigReference {
    /// Key whose value is taken: a JSON or YAML mapping. When it is left out, every key of the object becomes a key of
    /// the config, with its value as text.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub key: Option<String>,
    /// Kind of the object.
    pub kind: ConfigKind,
    /// Name of the object: in the namespace of a Plugin, in the controller's own for a ClusterPlugin.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// Optional lets the object, or the key, be absent.
    #[serde(default, skip_serializing_if = "is_false")]
    pub optional: bool,
}

/// The kinds that hold config.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConfigKind {
    /// A ConfigMap.
    ConfigMap,
    /// A Secret.
    Secret,
}

impl ConfigKind {
    /// As people write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ConfigMap => "ConfigMap",
            Self::Secret => "Secret",
        }
    }
}

/// What a provider may reach.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
pub struct Grants {
    /// Hosts that it may be sent to: `git.example`, `git.example:3000`, or `*.git.example` for those below it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(min = 1, max = 253)))]
    pub hosts: Vec<String>,
    /// Slots are the secrets that it may name. It never sees them: the host fills them into requests.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub slots: BTreeMap<String, Slot>,
}

impl Grants {
    pub(super) fn is_empty(&self) -> bool {
        self.hosts.is_empty() && self.slots.is_empty()
    }
}

/// A secret under a name.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Slot {
    /// Hosts that it may be sent to; all of the plugin's when none is named.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(min = 1, max = 253)))]
    pub hosts: Vec<String>,
    /// SecretRef is where it is.
    pub secret_ref: SlotSecret,
}

/// A key of a Secret: in the namespace of a Plugin, in the controller's own for a ClusterPlugin.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
pub struct SlotSecret {
    /// Key in the Secret.
    #[schemars(length(min = 1, max = 253))]
    pub key: String,
    /// Name of the Secret.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
}

/// Limits of one call of a component.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Deadline is how long a call may take, for example `2s`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^([0-9]+(\.[0-9]+)?(ms|s|m))+$"))]
    pub deadline: Option<Duration>,
    /// Memory is how much of it the component may hold, for example `64Mi`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<Size>,
    /// Output is how large all manifests that come back may be together, for example `8Mi`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<Size>,
}

impl Limits {
    pub(super) fn is_empty(&self) -> bool {
        self.deadline.is_none() && self.memory.is_none() && self.output.is_none()
    }
}

/// An object of any shape.
pub(crate) fn any_object(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        // One author's, as a whole: else an apply that empties it would leave `null`.
        "x-kubernetes-map-type": "atomic",
        "x-kubernetes-preserve-unknown-fields": true,
    })
}
