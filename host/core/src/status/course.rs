//! Where the manifests of a Kustomization are, and where they go.
//!
//! What stands in a status of it is what the next run starts from: an inventory without its cluster would be taken for that
//! of another.

use reeve_api::kustomization::KustomizationStatus;

/// From where to where.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Course {
    /// The source, its branch and the path.
    pub from: String,
    /// The address of the cluster that they are applied to; None: the Kustomization's own.
    pub cluster: Option<String>,
}

impl Course {
    pub(super) fn remember(&self, status: &mut KustomizationStatus) {
        status.last_applied_from = Some(self.from.clone());
        status.inventory_cluster.clone_from(&self.cluster);
    }
}
