//! What a WriteBack's status holds. Values of fields stand in commits and events, never here.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::condition::Condition;
use crate::meta::is_false;

/// WriteBackStatus records what was written, and what could not be.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct WriteBackStatus {
    /// Agreed are files of objects that nobody builds, and when each was last as its object: what either side has changed since
    /// is known by that. Of others it is known by AgreedSince.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 1000))]
    pub agreed: Vec<WriteBackAgreement>,
    /// AgreedSince is the revision at which all files of objects that nobody builds were as their objects, but for those that
    /// Agreed has. None as long as these are few.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agreed_since: Option<String>,
    /// Conditions holds the conditions for the WriteBack.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "crate::condition::schema")]
    pub conditions: Vec<Condition>,
    /// Conflicts are the fields that both sides had changed when they were looked at last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50))]
    pub conflicts: Vec<WriteBackConflict>,
    /// LastCommit is what was written last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_commit: Option<WriteBackCommit>,
    /// LastHandledReconcileAt holds the value of the most recent reconcile request value, so a change of the annotation value
    /// can be detected.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_handled_reconcile_at: Option<String>,
    /// Listed are the kinds that are listed once in an interval, and not watched: there are not enough watches for all. What changes
    /// there is written later.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50))]
    pub listed: Vec<String>,
    /// Made are the objects that are in files of their own which go with them, as an inventory writes them: by this it is known
    /// what was deleted while nobody watched. Those beyond a thousand keep their files then.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 1000))]
    pub made: Vec<String>,
    /// More is how many objects there were beyond those that are listed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub more: Option<i64>,
    /// ObservedGeneration is the last observed generation of the WriteBack object.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// ObservedHead is the commit of the branch that the cluster was compared with last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_head: Option<String>,
    /// Paused are the objects that somebody has taken out by the annotation `reeve.dev/write-back: disabled`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50))]
    pub paused: Vec<String>,
    /// Refused is what was not written, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50))]
    pub refused: Vec<WriteBackRefusal>,
    /// Request is the pull request that was asked for last, as long as there is something to propose.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request: Option<WriteBackRequest>,
    /// TakenOut are the objects that somebody has taken out, as an inventory writes them: by this it is known of what is deleted while
    /// nobody watches that it is to be put right. Of those beyond a thousand it is not.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 1000))]
    pub taken_out: Vec<String>,
    /// Written are the objects that the last commits were about, the newest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50))]
    pub written: Vec<WrittenObject>,
}

/// WriteBackCommit is a commit that was made.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct WriteBackCommit {
    /// Branch that it was pushed to.
    pub branch: String,
    /// RequestURL is where the pull request for it is.
    #[serde(rename = "requestURL", skip_serializing_if = "Option::is_none")]
    pub request_url: Option<String>,
    /// Revision of the commit, as a source tells it: `main@sha1:…`.
    pub revision: String,
    /// Time at which the remote had it.
    #[schemars(schema_with = "crate::meta::timestamp")]
    pub time: Time,
}

/// WriteBackRequest is a pull request, and what it proposes.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct WriteBackRequest {
    /// Branch that holds what is proposed.
    pub branch: String,
    /// Closed says that somebody has closed it: the same is not proposed again until somebody asks for it.
    #[serde(default, skip_serializing_if = "is_false")]
    pub closed: bool,
    /// Content tells one set of changes from another, whatever files they are made in.
    pub content: String,
    /// Digest tells one commit of them from another, by the files before and after.
    pub digest: String,
    /// Number of the request at the forge; none where nobody has opened it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub number: Option<i64>,
    /// Revision that the branch is at.
    pub revision: String,
    /// URL of its page.
    #[serde(rename = "url", skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
}

/// WrittenObject is an object whose change was committed.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct WrittenObject {
    /// By is who made the change, as far as the object tells it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// Commit that holds it.
    pub commit: String,
    /// Fields that were written: never their values, and not more than ten of them. None for an object as a whole.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 11))]
    pub fields: Vec<String>,
    /// Files that they were written to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 11))]
    pub files: Vec<String>,
    /// Object that this is about, as `Deployment acme/web`.
    pub object: String,
}

/// WriteBackRefusal is what was not written.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct WriteBackRefusal {
    /// Field that stands in the way, if it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// Hint is what to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// Object that this is about, as `Deployment acme/web`.
    pub object: String,
    /// Reason is why it was not written.
    pub reason: String,
}

/// WriteBackAgreement is a file that was as its object.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct WriteBackAgreement {
    /// Digest of the file as it was, by which it is known whether it still is: the first characters of its SHA-256; `unknown` where
    /// nobody knows any more how it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// File in the repository.
    pub file: String,
    /// Revision at which it was, as `main@sha1:<commit>`.
    pub revision: String,
}

/// WriteBackConflict is a field that both sides had changed.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct WriteBackConflict {
    /// Field that both have changed; its values stand in the event.
    pub field: String,
    /// Object that has the field, as `Deployment acme/web`.
    pub object: String,
    /// Winner is the side whose value counts: `git` or `kubernetes`.
    pub winner: String,
}
