//! `Plugin` and `ClusterPlugin`: WebAssembly components that change manifests, or speak to a forge.
//!
//! A `Plugin` is a tenant's and acts in its namespace only; a `ClusterPlugin` is cluster-scoped, so only the platform can
//! write it. Both describe a [`Component`] in the same words. Loading and calling it is `reeve_wasm`'s; which plugins a
//! Kustomization meets, and in which order, follows from [`Selector::matches`] and `spec.order`.

use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

mod component;
mod selector;
mod status;

pub(crate) use component::any_object;
pub use component::{
    Component, ConfigKind, ConfigReference, GitSource, Grants, Limits, OciSource, PluginSource,
    Slot, SlotSecret, SourceReference, World,
};
pub use selector::{LocalSelector, Operator, Requirement, Selector};
pub use status::{CallStatistics, FailedCall, PluginStatus};

/// The spec of a kind: what both say of their component, once, and which Kustomizations this one selects. Not a struct inside
/// of another: what cannot be read is told by its field, which serde's flattening would forget.
macro_rules! spec {
    ($(#[$about:meta])* $name:ident, $(#[$selects:meta])* $selector:ty) => {
        #[derive(CustomResource, KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
        $(#[$about])*
        #[kube(
            printcolumn(name = "World", type_ = "string", json_path = ".spec.world"),
            printcolumn(name = "Order", type_ = "integer", json_path = ".spec.order"),
            printcolumn(
                name = "Digest",
                type_ = "string",
                json_path = ".status.digest",
                priority = 1
            ),
            printcolumn(
                name = "Calls",
                type_ = "integer",
                json_path = ".status.calls.total",
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
        pub struct $name {
            /// Config is handed to the component as JSON. Its shape is the component's own: one that carries a JSON Schema is not
            /// called with a config that the schema refuses. It is no place for a secret: everyone who may read the plugin can
            /// read it.
            #[serde(default, skip_serializing_if = "serde_json::Map::is_empty")]
            #[schemars(schema_with = "component::any_object")]
            pub config: serde_json::Map<String, serde_json::Value>,
            /// ConfigFrom are ConfigMaps and Secrets whose content is merged into the config: a later one over an earlier one,
            /// `config` over them all. What a component is given it may also log.
            #[serde(default, skip_serializing_if = "Vec::is_empty")]
            #[schemars(length(max = 32))]
            pub config_from: Vec<ConfigReference>,
            /// Grants are the hosts that a provider may be sent to and the secrets it may name. Only what the component's own
            /// manifest asks for, and, for a tenant's plugin, what its Tenant allows, is effective.
            #[serde(default, skip_serializing_if = "Grants::is_empty")]
            pub grants: Grants,
            /// Limits bound one call. What is not set has the controller's default.
            #[serde(default, skip_serializing_if = "Limits::is_empty")]
            pub limits: Limits,
            /// Order in which plugins that select the same Kustomization are called, lowest first; plugins of the same order
            /// are called by name. A tenant's plugins are called before the platform's.
            #[serde(default)]
            pub order: i32,
            /// Sha256 is the digest, in hexadecimal, that the component's bytes must have. A component that differs is not
            /// loaded. Without it, whoever can write the file decides what runs.
            #[serde(skip_serializing_if = "Option::is_none")]
            #[schemars(regex(pattern = r"^[0-9a-f]{64}$"))]
            pub sha256: Option<String>,
            /// Source is where the component's bytes are.
            pub source: PluginSource,
            /// World is the interface that the component was built for.
            pub world: World,
            $(#[$selects])*
            #[serde(default)]
            pub selector: $selector,
        }

        impl $name {
            /// What both kinds say alike.
            pub fn component(&self) -> Component {
                Component {
                    config: self.config.clone(),
                    config_from: self.config_from.clone(),
                    grants: self.grants.clone(),
                    limits: self.limits.clone(),
                    order: self.order,
                    sha256: self.sha256.clone(),
                    source: self.source.clone(),
                    world: self.world,
                }
            }
        }
    };
}

spec! {
    /// ClusterPluginSpec says which component to call for which Kustomizations, with what configuration and within which
    /// limits.
    #[kube(
        group = "reeve.dev",
        version = "v1alpha1",
        kind = "ClusterPlugin",
        plural = "clusterplugins",
        status = "PluginStatus",
        derive = "PartialEq",
        doc = "ClusterPlugin is a WebAssembly component of the platform's: one that is called with the manifests of the Kustomizations it selects, after their tenants' own plugins and before policy judges them, or one that speaks to a forge.",
        shortname = "cplug",
        category = "reeve"
    )]
    ClusterPluginSpec,
    /// Selector says which Kustomizations the component is called for. An empty selector is all of them. A provider is
    /// not called for Kustomizations.
    Selector
}

spec! {
    /// PluginSpec says which component to call for which Kustomizations of its namespace, with what configuration and within
    /// which limits.
    #[kube(
        group = "reeve.dev",
        version = "v1alpha1",
        kind = "Plugin",
        plural = "plugins",
        namespaced,
        status = "PluginStatus",
        derive = "PartialEq",
        doc = "Plugin is a WebAssembly component of a tenant's: one that is called with the manifests of the Kustomizations it selects in its namespace, after they were rendered and before the platform's plugins and policies see them, or one that speaks to a forge.",
        shortname = "plug",
        category = "reeve"
    )]
    PluginSpec,
    /// Selector says which Kustomizations of the namespace the component is called for. An empty selector is all of
    /// them. A provider is not called for Kustomizations.
    LocalSelector
}
