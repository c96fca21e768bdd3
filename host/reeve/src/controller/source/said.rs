//! That a source which the landlord has made is what its Tenant says, before anybody is shown a login for it.
//!
//! Whoever has the landlord's token could else have any Secret of the configuration namespaces shown to a server of its own. What
//! is compared is `core::landlord`'s to say. What is in store of one that is refused stays.

use reeve_api::name::{NamespacedName, TenantName};
use reeve_api::source::GitRepository;
use reeve_core::failure::Explained;
use reeve_core::landlord;

use crate::context::Context;
use crate::controller::report::{self, Run};

/// Whether it has to wait until all Tenants are known.
pub(super) fn waits(ctx: &Context, object: &GitRepository) -> bool {
    landlord::is_made(object) && !ctx.index.read(|known| known.tenants_listed)
}

/// Adopts one that may be fetched. It is asked before anything can be told of it: that it was let in is seen by what is told.
pub(super) async fn adopt(
    ctx: &Context,
    id: &NamespacedName,
    object: &GitRepository,
    run: &Run,
) -> Result<(), Explained> {
    if !object.spec.suspend {
        check(ctx, id)?;
    }
    report::adopt(ctx, object, run).await
}

/// Refuses one of the landlord's that is not as its Tenant says. Whoever else writes there is the platform.
pub(super) fn check(ctx: &Context, id: &NamespacedName) -> Result<(), Explained> {
    if !ctx.grounds.is_config(&id.namespace) {
        return Ok(());
    }
    let name: Option<TenantName> = id.name.as_str().parse().ok();
    ctx.index.read(|known| {
        let object = known.sources.get(id);
        let Some(object) = object.filter(|object| landlord::is_made(object)) else {
            return Ok(());
        };
        let tenant = name.and_then(|name| known.tenant_objects.get(&name));
        landlord::is_as_said(object, tenant.map(|tenant| &**tenant))
    })
}
