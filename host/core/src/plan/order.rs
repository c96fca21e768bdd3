//! In which order objects are applied, as Flux orders them, but for volumes and claims; they are deleted the other way round.
//!
//! Definitions first, so that what is of a new kind or in a new namespace finds it; then whatever is some `…Class`;
//! then Roles; then the rest. Within a stage by kind, then by group, kind, namespace and name. Flux has volumes and claims behind workloads; here
//! they come before: a StatefulSet makes each claim that it does not find, and a claim that finds no volume is given an empty one. Roles
//! have a stage of their own, which Flux gives them when it is asked to: the API server lets an account that may not bind whatever it
//! likes bind only a Role that is there.
//! No object's content is looked at.

use crate::inventory::ObjectId;

/// Kinds that come before all others, in this order.
const FIRST: [&str; 25] = [
    "CustomResourceDefinition",
    "Namespace",
    "ClusterRole",
    "ClusterClass",
    "RuntimeClass",
    "PriorityClass",
    "StorageClass",
    "VolumeSnapshotClass",
    "IngressClass",
    "GatewayClass",
    "ClusterRoleBinding",
    "ResourceQuota",
    "ServiceAccount",
    "Role",
    "RoleBinding",
    "ConfigMap",
    "Secret",
    "Service",
    "LimitRange",
    "PersistentVolume",
    "PersistentVolumeClaim",
    "Deployment",
    "StatefulSet",
    "CronJob",
    "PodDisruptionBudget",
];
/// Kinds that come after all others, in this order: a webhook that is not served yet would refuse everything else.
const LAST: [&str; 2] = [
    "MutatingWebhookConfiguration",
    "ValidatingWebhookConfiguration",
];

/// A stage: all of it is applied, and what waits is waited for, before the next begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StageKind {
    /// CustomResourceDefinitions, Namespaces and ClusterRoles.
    Definitions,
    /// Every kind whose name ends in `Class`.
    Classes,
    /// Roles, without what binds them.
    Roles,
    /// The rest.
    Rest,
}

impl StageKind {
    /// The stage that an object belongs to.
    pub fn of(id: &ObjectId) -> Self {
        match (id.group.as_str(), id.kind.as_str()) {
            ("apiextensions.k8s.io", "CustomResourceDefinition")
            | ("", "Namespace")
            | ("rbac.authorization.k8s.io", "ClusterRole") => Self::Definitions,
            ("rbac.authorization.k8s.io", "Role") => Self::Roles,
            (_, kind) if kind.ends_with("Class") => Self::Classes,
            _ => Self::Rest,
        }
    }

    /// Whether the next stage begins only when this one's objects are ready.
    pub fn waits(self) -> bool {
        match self {
            Self::Definitions | Self::Classes => true,
            Self::Roles | Self::Rest => false,
        }
    }
}

/// What objects are sorted by.
pub(super) fn key(id: &ObjectId) -> impl Ord + use<> {
    let kind = id.kind.as_str();
    let first = FIRST.iter().position(|known| *known == kind);
    let last = LAST.iter().position(|known| *known == kind);
    let rank = match (first, last) {
        (Some(at), _) => (0, at),
        (None, None) => (1, 0),
        (None, Some(at)) => (2, at),
    };
    let ObjectId {
        namespace,
        name,
        group,
        kind,
    } = id.clone();
    (rank, group, kind, namespace, name)
}
