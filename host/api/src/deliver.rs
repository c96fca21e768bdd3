//! Delivery to git: what is built is committed for another agent to apply, and not applied.
//!
//! Where a delivery goes is said by a Tenant, its environment, its Project or the controller's flags ([`Delivery`]), or by annotations of a Kustomization,
//! which `reeve_core::deliver` reads. What became of it stands in the Kustomization's status ([`Delivered`]).

use crate::meta::LocalObjectReference;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Delivery says that what Kustomizations come to is written elsewhere, for another agent to apply, and not to the cluster.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Delivery {
    /// Git is the repository that it is committed to.
    pub git: GitDelivery,
}

/// GitDelivery is a place in a git repository, and who we are there.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct GitDelivery {
    /// URL of the repository, without a password: `https://git.example/acme/clusters.git`, `ssh://git@git.example/acme/clusters.git`,
    /// `git@git.example:acme/clusters.git`.
    #[schemars(length(min = 1, max = 2048))]
    pub url: String,
    /// Branch that is committed to; it has to be there. Defaults to `main`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 240))]
    pub branch: Option<String>,
    /// PathPrefix is the directory below which everything is written: `<pathPrefix>/<namespace>/<name>` for each Kustomization.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 512))]
    pub path_prefix: Option<String>,
    /// SecretRef names the Secret with the login, in the controller's own namespace, with the keys that a GitRepository's has:
    /// `username` and `password`, or `identity`, `known_hosts` and the key's `password`. It must be allowed to push.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<LocalObjectReference>,
    /// Propose says that each change is proposed by a pull request, and not committed to the branch. It is opened as whom git
    /// configuration names for the repository.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub propose: Option<Proposal>,
}

/// Proposal is how a pull request is to be.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Proposal {
    /// Labels that it has.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20), inner(length(min = 1, max = 100)), extend("x-kubernetes-list-type" = "set"))]
    pub labels: Vec<String>,
    /// Reviewers are asked to look at it when it is opened: users by name and, where the forge has such, teams as
    /// `acme/platform`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20), inner(length(min = 1, max = 100)), extend("x-kubernetes-list-type" = "set"))]
    pub reviewers: Vec<String>,
}

impl GitDelivery {
    /// The branch where none is named.
    pub const BRANCH: &str = "main";

    /// The branch that is committed to.
    pub fn branch(&self) -> &str {
        self.branch.as_deref().unwrap_or(Self::BRANCH)
    }
}

/// Delivered is what was committed for another agent to apply, and where.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Delivered {
    /// Adopted is how many files that others had written were taken over, all in all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub adopted: Option<i64>,
    /// Branch that the files are on, or are proposed for.
    pub branch: String,
    /// Commit that brought the last change, ours or the one that a proposal was merged by. Empty while the first is proposed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// Digest of the files.
    pub digest: String,
    /// Head is where the branch was when its files were compared last.
    pub head: String,
    /// Objects is how many files there are, one for each object.
    pub objects: i64,
    /// Path is the directory of the files in the repository.
    pub path: String,
    /// Proposal is the pull request that is open.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proposal: Option<Proposed>,
    /// URL of the repository.
    pub url: String,
}

/// Proposed is a pull request that is open.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Proposed {
    /// Branch that it is proposed from.
    pub branch: String,
    /// Number of it at the forge.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub number: Option<i64>,
    /// URL of its page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
}
