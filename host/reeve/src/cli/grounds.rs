//! What the platform says about its ground: the same flags, with the same defaults, for the controller, for the landlord and
//! on a laptop.

use clap::Args;
use reeve_api::name::{NamespaceName, RemotePattern, ServiceAccountName};
use reeve_core::tenancy::Grounds;

/// Which namespaces are the platform's.
#[derive(Args)]
pub(super) struct NamespaceArgs {
    /// Namespaces of the platform itself: no rule over tenants is asked about them, and nothing is made in them for a Tenant
    #[arg(
        long,
        value_name = "NS,…",
        value_delimiter = ',',
        default_value = "reeve-system,flux-system"
    )]
    pub(super) platform_namespaces: Vec<NamespaceName>,
    /// Namespaces in which the platform keeps sources for its tenants; those of Tenants are made in the first
    #[arg(
        long,
        value_name = "NS,…",
        value_delimiter = ',',
        default_value = "platform-flux-tenant-config"
    )]
    pub(super) config_namespaces: Vec<NamespaceName>,
}

/// The platform's ground.
#[derive(Args)]
pub(super) struct GroundArgs {
    #[command(flatten)]
    namespaces: NamespaceArgs,
    /// Account as which Kustomizations of platform namespaces are applied when they name none
    #[arg(long, value_name = "NAME", default_value = "kustomize-controller")]
    platform_service_account: ServiceAccountName,
    /// Account, in a tenant's namespace, as which its Secrets are read when no Tenant says otherwise
    #[arg(long, value_name = "NAME", default_value = "flux")]
    tenant_service_account: ServiceAccountName,
}

impl GroundArgs {
    /// The ground on which the platform's Kustomizations may name these remote resources, and anybody's may be carried out on
    /// these other clusters.
    pub(super) fn grounds(
        &self,
        remote_bases: &[RemotePattern],
        remote_clusters: &[RemotePattern],
    ) -> Grounds {
        Grounds {
            platform_namespaces: self
                .namespaces
                .platform_namespaces
                .iter()
                .cloned()
                .collect(),
            config_namespaces: self.namespaces.config_namespaces.iter().cloned().collect(),
            platform_service_account: self.platform_service_account.clone(),
            tenant_service_account: self.tenant_service_account.clone(),
            remote_bases: remote_bases.to_vec(),
            remote_clusters: remote_clusters.to_vec(),
        }
    }
}
