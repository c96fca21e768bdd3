//! `WriteBack`: which changes on the cluster become commits, in which repository, and by whose leave.
//!
//! Only shapes. What a rule means is `reeve_core::writeback`'s, which reads the spec; where a value goes in the files is
//! `reeve_writeback`'s.

mod status;

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::duration::Duration;
use crate::meta::{LocalObjectReference, is_false};

pub use status::{
    WriteBackAgreement, WriteBackCommit, WriteBackConflict, WriteBackRefusal, WriteBackRequest,
    WriteBackStatus, WrittenObject,
};

/// WriteBackSpec says which changes on the cluster are written to which branch of which repository.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[kube(
    group = "reeve.dev",
    version = "v1alpha1",
    kind = "WriteBack",
    plural = "writebacks",
    namespaced,
    status = "WriteBackStatus",
    derive = "PartialEq",
    doc = "WriteBack has changes that are made on the cluster committed to git: each in the file where the value comes from, by rule, and read as the tenant's own account.",
    shortname = "wb",
    category = "reeve",
    printcolumn(name = "Source", type_ = "string", json_path = ".spec.sourceRef.name"),
    printcolumn(
        name = "Propose",
        type_ = "string",
        json_path = ".spec.propose",
        priority = 1
    ),
    printcolumn(
        name = "Commit",
        type_ = "string",
        json_path = ".status.lastCommit.revision",
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
        "rule": "!has(self.pullRequest) || self.propose == 'pullRequest'",
        "message": "pullRequest is what requests look like where propose is pullRequest",
    },
]))]
#[serde(rename_all = "camelCase")]
pub struct WriteBackSpec {
    /// Author is who the commits are by. What it does not say is said by the git configuration, and else by the controller.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub author: Option<CommitAuthor>,
    /// Branch that is written to, or that requests are made against. Defaults to the one that the source follows.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 255))]
    pub branch: Option<String>,
    /// Debounce is for how long nothing must change any more before what has changed is written, so that one thing done by
    /// many steps is one commit. Defaults to 5s.
    #[serde(default = "five_seconds")]
    #[schemars(regex(pattern = r"^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$"))]
    pub debounce: Duration,
    /// Interval at which what could not be written is tried once more, whatever watches have shown. Defaults to 10m.
    #[serde(default = "ten_minutes")]
    #[schemars(regex(pattern = r"^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$"))]
    pub interval: Duration,
    /// NewObjects says which files become of objects that are in no file yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub new_objects: Option<NewObjects>,
    /// Path of the directory below which files are written, new objects' among them, and none outside of it. Defaults to the
    /// root of the repository.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 4096))]
    pub path: Option<String>,
    /// Propose is how a change gets there: `commit` writes to the branch, `pullRequest` to one of its own, for which a pull
    /// request is opened and kept up to date.
    #[serde(default)]
    pub propose: Propose,
    /// PullRequest says what requests look like.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pull_request: Option<PullRequestTemplate>,
    /// Rules say which side wins, field by field: the first that matches the object, and whose filters cover the field, is the
    /// one that counts. What none matches is as without a WriteBack.
    #[schemars(length(min = 1, max = 100))]
    pub rules: Vec<WriteBackRule>,
    /// ServiceAccountName is the account of this namespace as which the cluster is read: what it may not read is not written.
    /// Without it the same is done as for a Kustomization that names none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub service_account_name: Option<String>,
    /// Signing says what the commits are signed with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signing: Option<CommitSigning>,
    /// SourceRef is the repository. It is written with the login that it is read with, which has to allow that.
    pub source_ref: WriteBackSource,
    /// Suspend tells the controller to write nothing. Meanwhile changes on the cluster are drift as any other, and put right.
    #[serde(default, skip_serializing_if = "is_false")]
    pub suspend: bool,
}

/// CommitAuthor is who a commit is by.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct CommitAuthor {
    /// Email is the address.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub email: Option<String>,
    /// Name of the author.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub name: Option<String>,
}

/// CommitSigning says what commits are signed with.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct CommitSigning {
    /// SecretRef is a Secret of this namespace with the private key: `git.asc` for OpenPGP or `identity` for ssh, and the
    /// `password` that opens it, if it has one.
    pub secret_ref: LocalObjectReference,
}

/// NewObjects says which files become of objects that are in no file yet.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct NewObjects {
    /// Path of the file below that of the WriteBack, in the words `{namespace}`, `{kind}`, `{group}` and `{name}`. Defaults to
    /// `{namespace}/{kind}.{group}-{name}.yaml`; what is in no namespace has `_cluster` for one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024))]
    pub path: Option<String>,
}

/// PullRequestTemplate says what a pull request looks like.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct PullRequestTemplate {
    /// Branch of the request, in the words `{namespace}` and `{name}` of the WriteBack. Defaults to
    /// `reeve/{namespace}/{name}`. It belongs to the WriteBack alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 255))]
    pub branch: Option<String>,
    /// Labels of the request.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20), inner(length(min = 1, max = 255)))]
    pub labels: Vec<String>,
    /// Reviewers who are asked to look at it, by their names at the forge.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20), inner(length(min = 1, max = 255)))]
    pub reviewers: Vec<String>,
    /// Title of the request. Defaults to the first line of the commit's message.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 255))]
    pub title: Option<String>,
}

/// WriteBackRule says which side wins for which objects. What is empty means any.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct WriteBackRule {
    /// APIGroups of the objects; the core group is `""`.
    #[serde(default, rename = "apiGroups", skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100), inner(length(max = 253)))]
    pub api_groups: Vec<String>,
    /// Filters are the fields that the rule is about, as JSON pointers with what is below them: `/metadata/annotations`. A `*`
    /// stands for any field or item of a list: `/spec/template/spec/containers/*/image`. None means all, and the object itself
    /// when it is new or gone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100), inner(length(max = 1024)))]
    pub filters: Vec<String>,
    /// Labels that the objects have, as a selector: `app=web,tier notin (test)`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 4096))]
    pub labels: String,
    /// Names of the objects.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100), inner(length(max = 253)))]
    pub names: Vec<String>,
    /// Namespaces of the objects.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100), inner(length(max = 63)))]
    pub namespaces: Vec<String>,
    /// OnDelete is what becomes of the manifest of an object that is deleted on the cluster: `keep` leaves it, and the object is
    /// made anew where something applies it; `delete` takes it out.
    #[serde(default)]
    pub on_delete: OnDelete,
    /// Resources of the objects, in the plural: `deployments`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100), inner(length(max = 253)))]
    pub resources: Vec<String>,
    /// SyncTo is the side that follows: `git` has what changes on the cluster committed, `kubernetes` has the cluster put
    /// right, and with `ignore` neither follows: what somebody changes on the cluster is left alone.
    pub sync_to: SyncTo,
}

/// WriteBackSource is the repository that is written.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct WriteBackSource {
    /// Kind of the source.
    #[serde(default)]
    pub kind: WriteBackSourceKind,
    /// Name of the source.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// Namespace of the source, defaults to that of the WriteBack. Another one has to be a configuration namespace of the
    /// platform's, and the tenant has to be allowed the source there.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub namespace: Option<String>,
}

/// The kind of a source that can be written.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WriteBackSourceKind {
    /// A Git repository.
    #[default]
    GitRepository,
}

/// How a change gets to its branch.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub enum Propose {
    /// It is committed there.
    #[default]
    Commit,
    /// Somebody is asked to merge it.
    PullRequest,
}

/// The side that follows the other.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Default)]
#[serde(rename_all = "lowercase")]
pub enum SyncTo {
    /// The cluster is kept as git says.
    Kubernetes,
    /// What changes on the cluster is committed.
    Git,
    /// Neither.
    #[default]
    Ignore,
}

impl SyncTo {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Kubernetes => "kubernetes",
            Self::Git => "git",
            Self::Ignore => "ignore",
        }
    }
}

/// What becomes of the manifest of an object that was deleted on the cluster.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum OnDelete {
    /// It stays.
    #[default]
    Keep,
    /// It goes too.
    Delete,
}

fn five_seconds() -> Duration {
    Duration::known("5s", 5)
}

fn ten_minutes() -> Duration {
    Duration::known("10m", 600)
}
