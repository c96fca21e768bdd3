//! What rules would change if they were in force: the question, and one page of the answer.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Replay asks what rules would change. The answer comes in pages.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
pub struct Replay {
    /// After is the Kustomization, as `namespace/name`, after which the page begins; without it the first page is wanted.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 512))]
    pub after: Option<String>,
}

/// Replayed is one page of what rules would change.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Replayed {
    /// Changes are what would become another, by Kustomization.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 2000))]
    pub changes: Vec<ReplayChange>,
    /// File of the rules in which the first `deny` or `warn` stands, by its path in their directory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// Generation of the object that the page is of.
    pub generation: i64,
    /// InScope is how many Kustomizations there are in scope, on all pages.
    pub in_scope: i64,
    /// Judged is how many were judged on this page.
    pub judged: i64,
    /// Line of the file in which it stands.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<i64>,
    /// Next is what `spec.replay.after` has to be for the next page; absent on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    /// NotJudged are the Kustomizations of this page that could not be.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 1000))]
    pub not_judged: Vec<NotJudged>,
    /// Title of the rules.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
}

/// ReplayChange is one thing that would become another.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
pub struct ReplayChange {
    /// Effect is what would become of it.
    pub effect: Effect,
    /// Kustomization as `namespace/name`.
    pub kustomization: String,
    /// Message of the rule; of what is freed, that of the rule in force.
    pub message: String,
    /// Object that it is about, as the rule names it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub object: Option<String>,
    /// Path of the field that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
}

/// What would become of something.
#[derive(
    Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord,
)]
#[serde(rename_all = "lowercase")]
pub enum Effect {
    /// It would be denied, and is not now.
    Denied,
    /// It would be warned of, and is not now.
    Warned,
    /// It is denied now, and would not be.
    Freed,
}

impl Effect {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Denied => "denied",
            Self::Warned => "warned",
            Self::Freed => "freed",
        }
    }
}

/// NotJudged is a Kustomization of which nobody can say what would change.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
pub struct NotJudged {
    /// Kustomization as `namespace/name`.
    pub kustomization: String,
    /// Why it could not be judged.
    pub why: String,
}
