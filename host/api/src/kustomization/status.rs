//! What a Kustomization's status holds. Written by `reeve_core::status` alone.

use crate::condition::Condition;
use crate::deliver::Delivered;
use crate::duration::Duration;
use crate::meta::is_false;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// KustomizationStatus defines the observed state of a kustomization.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct KustomizationStatus {
    /// Conditions holds the conditions for the Kustomization.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "crate::condition::schema")]
    pub conditions: Vec<Condition>,
    /// Delivered is what was committed for another agent to apply, where the Kustomization is delivered and not applied. Not a
    /// field of Flux's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delivered: Option<Delivered>,
    /// History contains a set of snapshots of the last reconciliation attempts tracking the revision, the state and
    /// the duration of each attempt.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<Snapshot>,
    /// Inventory contains the list of Kubernetes resource object references that have been successfully applied.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inventory: Option<Inventory>,
    /// InventoryCluster is the address of the API server on whose cluster the objects of the inventory are, where that is not
    /// the cluster of the Kustomization itself. Not a field of Flux's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inventory_cluster: Option<String>,
    /// LastAppliedDigest is the digest of what was applied last, in the form in which policies see it. Not a field of Flux's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_applied_digest: Option<String>,
    /// LastAppliedFrom is the source, its branch and the path that were applied last. Not a field of Flux's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_applied_from: Option<String>,
    /// The last successfully applied origin revision. Equals the origin revision of the applied Artifact from the
    /// referenced Source. Usually present on the Metadata of the applied Artifact and depends on the Source type,
    /// e.g. for OCI it's the value associated with the key "org.opencontainers.image.revision".
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_applied_origin_revision: Option<String>,
    /// The last successfully applied revision. Equals the Revision of the applied Artifact from the referenced
    /// Source.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_applied_revision: Option<String>,
    /// LastAttemptedRevision is the revision of the last reconciliation attempt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_attempted_revision: Option<String>,
    /// LastHandledReconcileAt holds the value of the most recent reconcile request value, so a change of the
    /// annotation value can be detected.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_handled_reconcile_at: Option<String>,
    /// LastRun is what the last run did that found anything to be done on the cluster for the revision that was applied. Absent
    /// when everything was as it was wanted. Not a field of Flux's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_run: Option<LastRun>,
    /// LeftAlone are the objects of which something is left as it is on the cluster until a WriteBack has committed it, a thousand at
    /// most, with what was applied before: what git has changed of them since is known by that. Not a field of Flux's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 1000))]
    pub left_alone: Vec<LeftAlone>,
    /// ObservedGeneration is the last reconciled generation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// RemoteBases are the remote resources that the last build used, and which revision of each. Not a field of Flux's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remote_bases: Vec<RemoteBase>,
    /// Replacing are the objects that were deleted to be made anew, and are not there again yet, written as in the inventory: none of
    /// them was deleted by anybody else. Only those that a WriteBack would take out of git then. Not a field of Flux's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 1000))]
    pub replacing: Vec<String>,
    /// Sync is how far the waves and hooks of the manifests are. Not a field of Flux's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sync: Option<SyncStatus>,
}

/// LastRun is what a run did to objects. Of those in the inventory that are not among its changes nothing was written.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct LastRun {
    /// Changes are the objects that were not as they were wanted, in the order in which they were come to.
    #[schemars(length(max = 50))]
    pub changes: Vec<ObjectChange>,
    /// More is how many there were beyond those.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub more: Option<i64>,
    /// Revision is the one that was applied.
    pub revision: String,
}

/// LeftAlone is an object of which something is left as it is on the cluster.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct LeftAlone {
    /// ID is the object, written as in the inventory.
    pub id: String,
    /// Revision is the one that was applied when it was first left alone: both sides were the same at that.
    pub revision: String,
}

/// ObjectChange is what was done to one object.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct ObjectChange {
    /// Action is what was done.
    pub action: ObjectAction,
    /// Fields are those that were another on the cluster: never their values, and not more than ten of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 11))]
    pub fields: Vec<String>,
    /// ID is the object, written as in the inventory.
    pub id: String,
}

/// What was done to an object that was not as it was wanted.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum ObjectAction {
    /// It was not there.
    Created,
    /// It was there, and different.
    Configured,
    /// It was no longer wanted.
    Deleted,
    /// Its owner asked to leave it alone.
    Skipped,
    /// Others have changed it, and that is only told.
    Reported,
}

impl ObjectAction {
    /// As it stands in the status.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Configured => "configured",
            Self::Deleted => "deleted",
            Self::Skipped => "skipped",
            Self::Reported => "reported",
        }
    }
}

/// SyncStatus is how far a sync is, and which hooks have run for it. A sync is what one revision, one plan and one request
/// for a run come to.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct SyncStatus {
    /// Digest tells one sync from another.
    pub digest: String,
    /// Failure is why the sync failed, as long as the hooks run that are there for that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
    /// Hooks are those that were begun for this sync. Each is written down before it is created.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100))]
    pub hooks: Vec<HookStatus>,
    /// OnDeletion says that there are hooks to run when the Kustomization is deleted.
    #[serde(default, skip_serializing_if = "is_false")]
    pub on_deletion: bool,
    /// Phase is the phase whose wave is waited for, or failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase: Option<SyncPhase>,
    /// Wave is the wave that is waited for, or failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wave: Option<i32>,
}

/// HookStatus is a hook that was begun, and what became of it.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct HookStatus {
    /// Deleted says that it was deleted after it had ended, as it asked to be.
    #[serde(default, skip_serializing_if = "is_false")]
    pub deleted: bool,
    /// ID is the object, written as in the inventory.
    pub id: String,
    /// Message is why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Outcome is how it ended, once it has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<HookOutcome>,
    /// Phase is the phase that it was begun in.
    pub phase: SyncPhase,
    /// UID is that of the object, once it was there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uid: Option<String>,
    /// Version is the API version of the object's kind.
    #[serde(rename = "v")]
    pub version: String,
}

/// When an object is applied: the phases of a sync, and what comes when a sync has failed or the Kustomization is deleted.
#[derive(
    Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash,
)]
pub enum SyncPhase {
    /// Before anything else.
    PreSync,
    /// With the objects that are no hooks.
    Sync,
    /// When all of that is there and healthy.
    PostSync,
    /// When the sync has failed.
    SyncFail,
    /// When the Kustomization was deleted, and what it had applied with it.
    PostDelete,
}

impl SyncPhase {
    /// All of them, in order.
    pub const ALL: [Self; 5] = [
        Self::PreSync,
        Self::Sync,
        Self::PostSync,
        Self::SyncFail,
        Self::PostDelete,
    ];

    /// As Argo CD spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PreSync => "PreSync",
            Self::Sync => "Sync",
            Self::PostSync => "PostSync",
            Self::SyncFail => "SyncFail",
            Self::PostDelete => "PostDelete",
        }
    }
}

/// How a hook ended.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
pub enum HookOutcome {
    /// It is complete.
    Succeeded,
    /// It will not be.
    Failed,
}

/// RemoteBase is a repository or a file that a kustomization names by its address.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
pub struct RemoteBase {
    /// URL is the address as it is written, without credentials.
    pub url: String,
    /// Revision is what it stood for: `<branch or tag>@<algo>:<commit>`, or the digest of a file.
    pub revision: String,
    /// Pinned says whether it stands for the same the next time: a commit does, and a tag as long as nobody moves it. A
    /// branch and a file do not.
    pub pinned: bool,
}

/// Inventory contains the objects that were applied and are pruned once they are no longer wanted.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
pub struct Inventory {
    /// Entries of Kubernetes resource object references.
    pub entries: Vec<ResourceRef>,
}

/// ResourceRef contains the information necessary to locate a resource within a cluster.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
pub struct ResourceRef {
    /// ID is the string representation of the Kubernetes resource object's metadata, in the format
    /// `<namespace>_<name>_<group>_<kind>`.
    pub id: String,
    /// Version is the API version of the Kubernetes resource object's kind.
    #[serde(rename = "v")]
    pub version: String,
}

/// Snapshot represents a point-in-time record of a group of resources reconciliation, including timing information,
/// status, and a unique digest identifier.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Snapshot {
    /// Digest is the checksum in the format `<algo>:<hex>` of the resources in this snapshot.
    pub digest: String,
    /// FirstReconciled is the time when this revision was first reconciled to the cluster.
    #[schemars(schema_with = "crate::meta::timestamp")]
    pub first_reconciled: Time,
    /// LastReconciled is the time when this revision was last reconciled to the cluster.
    #[schemars(schema_with = "crate::meta::timestamp")]
    pub last_reconciled: Time,
    /// LastReconciledDuration is time it took to reconcile the resources in this revision.
    pub last_reconciled_duration: Duration,
    /// LastReconciledStatus is the status of the last reconciliation.
    pub last_reconciled_status: String,
    /// Metadata contains additional information about the snapshot.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
    /// TotalReconciliations is the total number of reconciliations that have occurred for this snapshot.
    pub total_reconciliations: i64,
}
