//! What a Tenant and a Project are told about themselves.
//!
//! Whose a namespace is follows from the index at once; a run here only writes it where the platform team reads it.
//! Making namespaces, accounts and bindings is not done yet: who onboards makes them.

use std::sync::Arc;

use reeve_api::name::TenantName;
use reeve_api::reason::Reason;
use reeve_api::tenant::Tenant;
use reeve_core::failure::{Explained, Turn};
use reeve_core::schedule::Next;
use reeve_core::status::TenantOutcome;
use reeve_core::tenancy::Lost;

use super::report;
use crate::context::Context;

/// One run.
pub(super) async fn reconcile(ctx: &Arc<Context>, name: &TenantName) -> Next {
    let Some(object) = ctx
        .index
        .read(|known| known.tenant_objects.get(name).cloned())
    else {
        return Next::Watch;
    };
    let (namespaces, lost, project) = ctx.index.read(|known| {
        let project = object.spec.project.as_ref();
        let project = project.map(|name| (name.clone(), known.projects.get(name).cloned()));
        (
            known.tenants.namespaces_of(name),
            known.tenants.lost_by(&ctx.grounds, name),
            project,
        )
    });
    let missing = project.as_ref().filter(|(_, object)| object.is_none());
    let wrong = lost
        .first()
        .map(|first| taken(first, lost.len()))
        .or_else(|| missing.map(|(name, _)| no_project(name)));
    let namespaces = namespaces.into_iter().collect();
    let next = report::tenant(ctx, &object, TenantOutcome { namespaces, wrong }).await;
    if let Some((name, Some(project))) = project {
        let of = |tenant: &&Arc<Tenant>| tenant.spec.project.as_ref() == Some(&name);
        let members: Vec<TenantName> = ctx.index.read(|known| {
            let all = known.tenant_objects.iter();
            all.filter(|(_, tenant)| of(tenant))
                .map(|(name, _)| name.clone())
                .collect()
        });
        report::project(ctx, &project, members).await;
    }
    next
}

fn taken(first: &Lost, count: usize) -> Explained {
    let owner = match &first.owner {
        Some(owner) => format!("Tenant {owner}, which is older"),
        None => "the platform".to_owned(),
    };
    let more = match count {
        1 => String::new(),
        n => format!(", and {} more namespaces are others' too", n - 1),
    };
    let message = format!("namespace {} belongs to {owner}{more}", first.namespace);
    Explained::new(Reason::NamespaceTaken, Turn::OwnerOrPolicy, message)
        .with_hint("remove it from spec.namespaces, or from the other Tenant")
}

fn no_project(name: &reeve_api::name::ObjectName) -> Explained {
    let message = format!("Project {name} not found");
    Explained::new(Reason::ProjectNotFound, Turn::OwnerOrPolicy, message)
        .with_hint(format!("create Project {name}, or remove spec.project"))
}
