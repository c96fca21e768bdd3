//! `Policy`: Rego that judges tenants' Kustomizations, and everything of theirs before it is written.
//!
//! Cluster-scoped, so only the platform can write it. Only shapes: compiling and asking it is `reeve_core::rego`'s, whom it
//! concerns follows from [`Scope`].

use std::collections::BTreeMap;

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::meta::is_false;
use crate::plugin::any_object;

mod replay;
mod scope;
mod status;

pub use replay::{Effect, NotJudged, Replay, ReplayChange, Replayed};
pub use scope::{ObjectSelector, Scope};
pub use status::{Affected, EvaluationTimes, Finding, PolicyStatus, TestResults, Verdicts, WhatIf};

/// PolicySpec says which rules are asked about whose Kustomizations, and what happens to what they deny.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[kube(
    group = "reeve.dev",
    version = "v1alpha1",
    kind = "Policy",
    plural = "policies",
    status = "PolicyStatus",
    derive = "PartialEq",
    doc = "Policy is a set of rules in Rego that judges tenants' Kustomizations before anything is fetched for them, and everything that would be applied or pruned before anything is written. The three rules that are always on need no Policy.",
    shortname = "rpol",
    category = "reeve",
    printcolumn(name = "Mode", type_ = "string", json_path = ".spec.mode"),
    printcolumn(
        name = "Revision",
        type_ = "string",
        json_path = ".status.revision",
        priority = 1
    ),
    printcolumn(
        name = "Denied",
        type_ = "integer",
        json_path = ".status.verdicts.denied",
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
#[schemars(extend("x-kubernetes-validations" = [
    {
        "rule": "[has(self.sourceRef), has(self.rego), has(self.files), has(self.shipped)].filter(set, set).size() == 1",
        "message": "exactly one of sourceRef, rego, files and shipped says where the rules are",
    },
    {
        "rule": "has(self.sourceRef) || !has(self.path)",
        "message": "path is a directory of the source in sourceRef",
    },
    {
        "rule": "!has(self.replay) || self.mode == 'audit'",
        "message": "what is replayed is in mode audit",
    },
    {
        "rule": "has(self.replay) == has(oldSelf.replay)",
        "message": "a Policy is made to be replayed, or never is",
    },
]))]
#[serde(rename_all = "camelCase")]
pub struct PolicySpec {
    /// ComparedWith is the name of a Policy in force that these rules are to stand in for. In mode `audit` the status says
    /// which Kustomizations that would free, and which it would newly deny.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub compared_with: Option<String>,
    /// Files are those of a directory of rules, by their path in it, written here.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 1000))]
    pub files: BTreeMap<String, String>,
    /// Mode says what happens to what the rules deny: `enforce` stops it, `warn` lets it pass and tells the tenant, `audit`
    /// lets it pass and tells the platform only, in this object's status.
    #[serde(default)]
    pub mode: Mode,
    /// Parameters are read by the rules as `data.parameters`.
    #[serde(default, skip_serializing_if = "serde_json::Map::is_empty")]
    #[schemars(schema_with = "any_object")]
    pub parameters: serde_json::Map<String, serde_json::Value>,
    /// Path of the directory in the source that holds the rules (`*.rego`), their tests (`*_test.rego`), their data
    /// (`*.json`, `*.yaml`) and what is excepted from them (`exceptions.yaml`), with all below it. The source's root when it is not set.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub path: Option<String>,
    /// Ratchet tolerates what was there before the rule: an object that is as it was when it was last applied is reported
    /// and not denied. New and changed ones are, and so is what the rules deny without naming an object.
    #[serde(default, skip_serializing_if = "is_false")]
    pub ratchet: bool,
    /// Rego is one module, written here.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 262_144))]
    pub rego: Option<String>,
    /// Replay makes it a question instead of a policy: its rules are put in force for nobody. Its status says what they would
    /// change for what was rendered last of the Kustomizations in scope, compared with the policy in `comparedWith`. It is
    /// deleted an hour after it was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replay: Option<Replay>,
    /// Scope says whom the rules are asked about. An empty one is every tenant's Kustomization and all of its objects.
    #[serde(default)]
    pub scope: Scope,
    /// Shipped is the name of a rule that comes with the controller, `pod-security` for example.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub shipped: Option<String>,
    /// SourceRef is a GitRepository of the platform's that holds the rules. A new revision is put in force when it
    /// compiles and its own tests pass; until then the one before stays.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_ref: Option<PolicySource>,
}

/// PolicySource is a GitRepository in one of the platform's namespaces.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
pub struct PolicySource {
    /// Name of the GitRepository.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// Namespace of the GitRepository; the controller's own when it is not set.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub namespace: Option<String>,
}

/// What happens to what the rules deny.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// It does not happen.
    #[default]
    Enforce,
    /// It happens, and the tenant is told.
    Warn,
    /// It happens, and the platform is told.
    Audit,
}

impl Mode {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Enforce => "enforce",
            Self::Warn => "warn",
            Self::Audit => "audit",
        }
    }
}
