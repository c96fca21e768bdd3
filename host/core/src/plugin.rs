//! What is decided about plugins: which of two kinds one is, what it is configured with, when it rests.
//!
//! Pure. Loading a component and calling it is the shell's, through `reeve_wasm`; which plugins a Kustomization meets is
//! `index`'s to say.

mod config;
pub mod grant;
mod rest;
mod schema;
mod tally;

use std::fmt;

use reeve_api::name::{NamespacedName, PluginName};

pub use config::{ConfigError, Part, combine};
pub use rest::{Input, REST_AFTER, Strikes};
pub use schema::{Schema, SchemaError};
pub use tally::Tally;

/// A plugin. Those of tenants come first: they are called before the platform's.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PluginId {
    /// A Plugin, of the tenant whose namespace it lies in.
    Tenant(NamespacedName),
    /// A ClusterPlugin.
    Platform(PluginName),
}

impl PluginId {
    /// The kind of its object.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Tenant(_) => "Plugin",
            Self::Platform(_) => "ClusterPlugin",
        }
    }

    /// Whose turn it is when it does not work, and where they look.
    pub fn hint(&self) -> String {
        match self {
            Self::Tenant(id) => {
                format!(
                    "see `kubectl -n {} describe plugin {}`",
                    id.namespace, id.name
                )
            }
            Self::Platform(name) => {
                format!("the platform's: `kubectl describe clusterplugin {name}`")
            }
        }
    }
}

/// `acme/stamp` of a tenant's, `stamp` of the platform's.
impl fmt::Display for PluginId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tenant(id) => id.fmt(f),
            Self::Platform(name) => name.fmt(f),
        }
    }
}
