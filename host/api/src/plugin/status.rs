//! What is told about a plugin, the same for both kinds.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::condition::Condition;
use crate::meta::Time;

/// PluginStatus records whether the component may be called, and what came of calling it.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct PluginStatus {
    /// Calls since the controller started, brought up to date about once a minute while there are any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub calls: Option<CallStatistics>,
    /// Conditions holds the conditions for the plugin.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "crate::condition::schema")]
    pub conditions: Vec<Condition>,
    /// Digest of the component that is loaded, in the form of `sha256:<hex>`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// LastError is the last call that brought nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_error: Option<FailedCall>,
    /// LastHandledReconcileAt holds the value of the most recent reconcile request value, so a change of the annotation
    /// value can be detected.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_handled_reconcile_at: Option<String>,
    /// ObservedGeneration is the last observed generation of the object.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Revision of the source that the component was last read from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
}

/// How calls went.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
pub struct CallStatistics {
    /// Failed is how many brought nothing.
    pub failed: i64,
    /// P50 is how long half of the last calls took at most, for example `1.2ms`.
    pub p50: String,
    /// P99 is how long 99 of a hundred of the last calls took at most.
    pub p99: String,
    /// Total is how many there were.
    pub total: i64,
}

/// A call that brought nothing.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct FailedCall {
    /// At is when it was.
    #[schemars(schema_with = "crate::meta::timestamp")]
    pub at: Time,
    /// For is whom it was called for, as `namespace/name`.
    #[serde(rename = "for")]
    pub called_for: String,
    /// Message says what happened.
    pub message: String,
}
