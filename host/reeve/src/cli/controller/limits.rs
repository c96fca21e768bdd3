//! The flags of what each tenant may use that no Tenant says otherwise of.

use clap::Args;
use reeve_core::quota::Limits;

/// The most that a tenant may use; without a flag, and but for the disk, as much as it takes.
#[derive(Args)]
pub(super) struct LimitArgs {
    /// Runs of a tenant's Kustomizations that may begin in a minute, unless its Tenant says otherwise
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(1..))]
    tenant_reconciles_per_minute: Option<i64>,
    /// Milliseconds of a minute in which a tenant's manifests may be built, unless its Tenant says otherwise
    #[arg(long, value_name = "MS", value_parser = clap::value_parser!(i64).range(1..))]
    tenant_render_milliseconds_per_minute: Option<i64>,
    /// Objects that may be written and deleted for a tenant in a minute, unless its Tenant says otherwise
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(1..))]
    tenant_writes_per_minute: Option<i64>,
    /// Objects that a tenant may have applied in all, unless its Tenant says otherwise
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(1..))]
    tenant_objects: Option<i64>,
    /// Kustomizations of a tenant that are worked on, the oldest ones, unless its Tenant says otherwise
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(1..))]
    tenant_kustomizations: Option<i64>,
    /// Mebibytes of the disk that what a tenant's sources have fetched and stored may take up, unless its Tenant says otherwise
    #[arg(long, value_name = "N", default_value = "4096", value_parser = clap::value_parser!(i64).range(1..))]
    tenant_storage_mebibytes: Option<i64>,
}

impl LimitArgs {
    pub(super) fn limits(&self) -> Limits {
        Limits {
            reconciles_per_minute: self.tenant_reconciles_per_minute,
            render_milliseconds_per_minute: self.tenant_render_milliseconds_per_minute,
            writes_per_minute: self.tenant_writes_per_minute,
            objects: self.tenant_objects,
            kustomizations: self.tenant_kustomizations,
            storage_mebibytes: self.tenant_storage_mebibytes,
        }
    }
}
