//! `ClusterPlugin`: a WebAssembly component of the platform's that may change what tenants apply.
//!
//! Cluster-scoped, so only the platform can write it. Loading and calling it is `reeve_wasm`'s; which plugins a
//! Kustomization meets, and in which order, follows from [`Selector::matches`] and `spec.order`.

use crate::condition::Condition;
use crate::duration::Duration;
use crate::size::Size;
use kube::{CustomResource, KubeSchema};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

mod selector;

pub use selector::{Operator, Requirement, Selector};

/// ClusterPluginSpec says which component to call for which Kustomizations, with what configuration and within which
/// limits.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[kube(
    group = "reeve.dev",
    version = "v1alpha1",
    kind = "ClusterPlugin",
    plural = "clusterplugins",
    status = "ClusterPluginStatus",
    derive = "PartialEq",
    doc = "ClusterPlugin is a WebAssembly component that is called with the manifests of the Kustomizations it selects, after they were rendered and before policy judges them.",
    shortname = "cplug",
    category = "reeve",
    printcolumn(name = "World", type_ = "string", json_path = ".spec.world"),
    printcolumn(name = "Order", type_ = "integer", json_path = ".spec.order"),
    printcolumn(
        name = "Digest",
        type_ = "string",
        json_path = ".status.digest",
        priority = 1
    ),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp"
    ),
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].status"#
    ),
    printcolumn(
        name = "Status",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].message"#
    )
)]
#[serde(rename_all = "camelCase")]
pub struct ClusterPluginSpec {
    /// Config is handed to the component as JSON. Its shape is the component's own. It is no place for a secret: everyone
    /// who may read the ClusterPlugin can read it.
    #[serde(default, skip_serializing_if = "serde_json::Map::is_empty")]
    #[schemars(schema_with = "any_object")]
    pub config: serde_json::Map<String, serde_json::Value>,
    /// Limits bound one call. What is not set has the controller's default.
    #[serde(default, skip_serializing_if = "Limits::is_empty")]
    pub limits: Limits,
    /// Order in which plugins that select the same Kustomization are called, lowest first; plugins of the same order
    /// are called by name.
    #[serde(default)]
    pub order: i32,
    /// Selector says which Kustomizations the component is called for. An empty selector is all of them.
    pub selector: Selector,
    /// Sha256 is the digest, in hexadecimal, that the component's bytes must have. A component that differs is not
    /// loaded. Without it, whoever can write the file decides what runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^[0-9a-f]{64}$"))]
    pub sha256: Option<String>,
    /// Source is where the component's bytes are.
    pub source: PluginSource,
    /// World is the interface that the component was built for.
    pub world: World,
}

/// Where the bytes of a component are.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
pub struct PluginSource {
    /// Path of the component's file, relative to the directory that the controller was given for plugins. It may not
    /// leave that directory.
    #[schemars(
        length(min = 1, max = 1024),
        regex(pattern = r"^[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*$")
    )]
    pub path: String,
}

/// The interfaces a component may be built for.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum World {
    /// A pure function over all manifests of a Kustomization.
    Transformer,
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
    fn is_empty(&self) -> bool {
        self.deadline.is_none() && self.memory.is_none() && self.output.is_none()
    }
}

/// ClusterPluginStatus records whether the component may be called.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct ClusterPluginStatus {
    /// Conditions holds the conditions for the ClusterPlugin.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "crate::condition::schema")]
    pub conditions: Vec<Condition>,
    /// Digest of the component that is loaded, in the form of `sha256:<hex>`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// ObservedGeneration is the last observed generation of the ClusterPlugin object.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
}

/// An object of any shape.
fn any_object(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "object", "x-kubernetes-preserve-unknown-fields": true })
}
