//! What a GitRepository's status tells of its repository beyond Flux: how it is reached, and when it was heard of.
//!
//! Nothing secret has a field here. What is written when is decided in `reeve_core::status`.

use crate::duration::Duration;
use crate::meta::{Time, is_false};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Upstream is how the repository is reached, and when it was heard of. It is written when something of it is another, and not
/// each time that the repository was asked.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Upstream {
    /// Announced is whether a call of a webhook told of the revision at head. While such calls do, and are let in, the repository
    /// is asked by itself only once an hour, if spec.interval is not longer.
    #[serde(default, skip_serializing_if = "is_false")]
    pub announced: bool,
    /// Delivery is the last call of a webhook that was about the repository.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delivery: Option<Delivery>,
    /// Fetch is when objects came from the repository last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fetch: Option<LastFetch>,
    /// Head is the revision that the repository had when it was asked last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub head: Option<String>,
    /// Login is where the login is from that the repository is asked with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub login: Option<LoginOrigin>,
    /// NextTry is when the repository was to be asked next, when this was written. Between two changes it is asked every
    /// spec.interval, or as often as polling says, or more seldom while it is announced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "crate::meta::timestamp")]
    pub next_try: Option<Time>,
    /// Polling is what git configuration says of how changes come to be known, where it has a say in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub polling: Option<PollingOrigin>,
    /// Receivers are those whose calls are about it, as `namespace/name`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 10))]
    pub receivers: Vec<String>,
    /// Unconfigured are directories that hold a kustomization file and are left alone, since no Kustomization names them, one above
    /// them or one below. One within another is not told beside it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20))]
    pub unconfigured: Vec<String>,
}

/// LoginOrigin is where a login is from.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct LoginOrigin {
    /// Address is by which the repository is spoken to, where git configuration gives the login.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// Entry is the entry of git configuration that gives it, such as `auths[0] (git@github.com:acme/*)`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entry: Option<String>,
    /// From says it in words: a Secret, a provider, the address itself, git configuration, or nobody's.
    pub from: String,
    /// Level is the level of git configuration whose entry that is, such as `Project acme`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub level: Option<String>,
}

/// PollingOrigin is how changes come to be known by what git configuration says.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct PollingOrigin {
    /// Entry is the entry of git configuration that says it, such as `gitHubAuths[0] (acme/web)`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entry: Option<String>,
    /// Every is how often the repository is asked, where the annotation `reeve.dev/polling: git-config` leaves that to git
    /// configuration; else it is spec.interval.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub every: Option<Duration>,
    /// Hook is the path that the forge is to call when something was pushed, where the entry has a webhookSecret.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hook: Option<String>,
    /// Level is the level of git configuration whose entry that is, such as `Project acme`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub level: Option<String>,
    /// Problem is why there is no hook although the entry has a webhookSecret.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// Warning is what should be mended of the hook although it is there, such as a webhookSecret that is short.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warning: Option<String>,
}

/// Delivery is a call of a webhook.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Delivery {
    /// At is when it came.
    #[schemars(schema_with = "crate::meta::timestamp")]
    pub at: Time,
    /// Receiver is the one that was called, as `namespace/name`, or the entry of git configuration whose hook it was.
    pub receiver: String,
}

/// LastFetch is what came from a repository.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct LastFetch {
    /// At is when it had come.
    #[schemars(schema_with = "crate::meta::timestamp")]
    pub at: Time,
    /// Bytes is how many came.
    pub bytes: i64,
    /// Objects is how many objects they held.
    pub objects: i64,
    /// Revision is the one that was fetched.
    pub revision: String,
    /// Took is how long it took.
    pub took: Duration,
}
