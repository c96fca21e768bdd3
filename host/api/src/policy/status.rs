//! What is told about a policy.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Replayed;
use crate::condition::Condition;

/// PolicyStatus records which rules are in force, and what they say.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct PolicyStatus {
    /// Conditions holds the conditions for the policy.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "crate::condition::schema")]
    pub conditions: Vec<Condition>,
    /// Digest of the rules in force, their data and their parameters, in the form of `sha256:<hex>`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// Evaluation is how long the last evaluations took.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub evaluation: Option<EvaluationTimes>,
    /// Findings are what the rules object to in the Kustomizations as they are now, the first hundred.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100))]
    pub findings: Vec<Finding>,
    /// LastHandledReconcileAt holds the value of the most recent reconcile request value, so a change of the annotation
    /// value can be detected.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_handled_reconcile_at: Option<String>,
    /// ObservedGeneration is the last observed generation of the object.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Replay is what the rules would change; of a policy with `spec.replay` only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replay: Option<Replayed>,
    /// Revision of the source that the rules in force are of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// Tests are how the rules' own tests ended, of the revision in force.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tests: Option<TestResults>,
    /// Verdicts count the Kustomizations in scope by what the rules say to them now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verdicts: Option<Verdicts>,
    /// WhatIf is what would become of Kustomizations if the rules were enforced; of a policy in mode `audit` only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub what_if: Option<WhatIf>,
}

/// What would become of Kustomizations if rules that are in mode `audit` were enforced.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct WhatIf {
    /// ComparedWith is the policy that they would stand in for, as `spec.comparedWith` names it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compared_with: Option<String>,
    /// Denied are the Kustomizations that would be denied.
    pub denied: Affected,
    /// Freed are those that only the policy in `comparedWith` denies.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub freed: Option<Affected>,
    /// NewlyDenied are those that the policy in `comparedWith` does not deny, and this one would.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub newly_denied: Option<Affected>,
}

/// Kustomizations that something would happen to.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
pub struct Affected {
    /// Count is how many there are.
    pub count: i64,
    /// Kustomizations as `namespace/name`, the first hundred.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100))]
    pub kustomizations: Vec<String>,
}

/// How tests of rules ended.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
pub struct TestResults {
    /// Coverage is how much of the rules the tests went through, for example `87.5%`. None without a test.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub coverage: Option<String>,
    /// Total is how many there are; all of them pass.
    pub total: i64,
}

/// Kustomizations by what a policy says to them.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdicts {
    /// Allowed is how many it objects to nothing of.
    pub allowed: i64,
    /// Denied is how many it denies, or would if it were enforced.
    pub denied: i64,
    /// Tolerated is how many it would deny if everything that it minds of them were not tolerated: objects that are as they
    /// were when they were applied last, under a ratchet, and exceptions.
    #[serde(default)]
    pub tolerated: i64,
    /// Warned is how many it only warns.
    pub warned: i64,
}

/// How long evaluations took.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
pub struct EvaluationTimes {
    /// P50 is how long half of the last evaluations took at most, for example `1.2ms`.
    pub p50: String,
    /// P99 is how long 99 of a hundred of the last evaluations took at most.
    pub p99: String,
}

/// One thing that a policy objects to.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Kustomization as `namespace/name`.
    pub kustomization: String,
    /// Message of the rule.
    pub message: String,
    /// Object that it is about, as `Kind/namespace/name`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub object: Option<String>,
    /// Tolerated says why a denial is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tolerated: Option<String>,
    /// Severity of it: `denied`, `warned` or `tolerated`.
    pub verdict: String,
}
