//! The order in which objects come out.
//!
//! As they were read unless `sortOptions` says otherwise; `legacy` puts kinds that others need first.

use std::cmp::Ordering;

use crate::resource::Resource;

/// `sortOptions` of the kustomization that is built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Sort {
    /// As they were read.
    Fifo,
    /// By kind: `first`, then all others, then `last`.
    Legacy {
        first: Vec<String>,
        last: Vec<String>,
    },
}

/// Kinds that others need, in order.
pub(crate) const FIRST: [&str; 22] = [
    "Namespace",
    "ResourceQuota",
    "StorageClass",
    "CustomResourceDefinition",
    "ServiceAccount",
    "PodSecurityPolicy",
    "Role",
    "ClusterRole",
    "RoleBinding",
    "ClusterRoleBinding",
    "ConfigMap",
    "Secret",
    "Endpoints",
    "Service",
    "LimitRange",
    "PriorityClass",
    "PersistentVolume",
    "PersistentVolumeClaim",
    "Deployment",
    "StatefulSet",
    "CronJob",
    "PodDisruptionBudget",
];
/// Kinds that come after all others.
pub(crate) const LAST: [&str; 2] = [
    "MutatingWebhookConfiguration",
    "ValidatingWebhookConfiguration",
];

impl Sort {
    /// kustomize's own lists.
    pub(crate) fn legacy() -> Self {
        let owned = |kinds: &[&str]| kinds.iter().map(|k| (*k).to_owned()).collect();
        Self::Legacy {
            first: owned(&FIRST),
            last: owned(&LAST),
        }
    }

    /// Brings `resources` into this order.
    pub(crate) fn apply(&self, resources: &mut [Resource]) {
        let Self::Legacy { first, last } = self else {
            return;
        };
        resources.sort_by_cached_key(|resource| Key::of(resource, first, last));
    }
}

/// What legacy order compares.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    rank: i64,
    kind: KindKey,
    id: String,
}

#[derive(PartialEq, Eq)]
struct KindKey {
    core_namespace: bool,
    text: String,
}

impl PartialOrd for KindKey {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for KindKey {
    /// Of two kinds named Namespace, the core one comes first.
    fn cmp(&self, other: &Self) -> Ordering {
        other
            .core_namespace
            .cmp(&self.core_namespace)
            .then_with(|| self.text.cmp(&other.text))
    }
}

impl Key {
    fn of(resource: &Resource, first: &[String], last: &[String]) -> Self {
        let id = resource.id();
        let at = |kinds: &[String]| {
            // The last mention of a kind counts.
            kinds
                .iter()
                .rposition(|k| *k == id.kind)
                .and_then(|i| i64::try_from(i).ok())
        };
        let length = i64::try_from(first.len()).unwrap_or(i64::MAX);
        let rank = at(last)
            .map(|i| i + 1)
            .or_else(|| at(first).map(|i| i - length))
            .unwrap_or(0);
        let or = |text: &str, empty: &str| {
            if text.is_empty() {
                empty.to_owned()
            } else {
                text.to_owned()
            }
        };
        let kind = format!(
            "{}_{}_{}",
            or(&id.group, "~G"),
            or(&id.version, "~V"),
            or(&id.kind, "~K")
        );
        let gvk = [
            or(&id.kind, "[noKind]"),
            or(&id.version, "[noVer]"),
            or(&id.group, "[noGrp]"),
        ]
        .join(".");
        Self {
            rank,
            // Only where no other kind shares the rank: elsewhere the order would not be one.
            kind: KindKey {
                core_namespace: rank != 0 && id.kind == "Namespace" && id.group.is_empty(),
                text: kind,
            },
            id: format!("{gvk}|{}|{}", or(&id.namespace, "~X"), or(&id.name, "~N")),
        }
    }
}
