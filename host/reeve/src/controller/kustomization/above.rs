//! What is said above a Kustomization: where it is delivered to, and which side is right where git and the cluster differ.
//!
//! By its Tenant, the environment that this is and its Project, which are in the index, and by the controller's flags for
//! everybody. Which level counts is `core::levels`' to say. What it deliberately doesn't: go on while not all of them are known, or
//! pass over one that is named and is not there.

use reeve_api::name::NamespacedName;
use reeve_api::reason::Reason;
use reeve_api::tenant::SourceOfTruth;
use reeve_core::deliver::{self, Given, Place};
use reeve_core::failure::{Explained, Turn};
use reeve_core::levels::{Levels, Missing};
use reeve_core::spec::Spec;
use reeve_core::tenancy::Tenant;

use crate::context::Context;
use crate::index::Known;

/// Whether it has to wait: its Tenant names a Project, and not all of these are known yet.
pub(super) fn is_awaited(ctx: &Context, id: &NamespacedName) -> bool {
    ctx.index.read(|known| {
        if known.projects_listed {
            return false;
        }
        let tenant = known.tenants.owner_of(&ctx.grounds, &id.namespace);
        let declared = tenant.ok().and_then(|tenant| tenant.declared);
        declared.is_some_and(|declared| declared.project.is_some())
    })
}

/// Where it is delivered to; None: it is applied.
pub(super) fn place(
    ctx: &Context,
    spec: &Spec,
    tenant: &Tenant,
) -> Result<Option<Place>, Explained> {
    let said = ctx.index.read(|known| {
        if !known.tenants_listed {
            return Err(unknown("Tenants"));
        }
        ask(known, tenant, |levels| {
            let (level, delivery) = levels.delivery()?;
            Some((level.to_string(), delivery.git.clone()))
        })
    })?;
    let given = match (&said, &ctx.delivery) {
        (Some((by, git)), _) => Some(Given {
            git,
            by: by.as_str(),
        }),
        (None, Some(git)) => Some(Given {
            git,
            by: "the platform",
        }),
        (None, None) => None,
    };
    let platform = ctx.grounds.is_platform(&spec.id.namespace);
    deliver::place(&spec.id, &spec.deliver, given, platform)
}

/// Which side is right for a Kustomization of the tenant that says `own` itself; None: nobody says so.
pub(in crate::controller) fn truth(
    known: &Known,
    own: Option<SourceOfTruth>,
    tenant: &Tenant,
) -> Result<Option<SourceOfTruth>, Explained> {
    match own {
        Some(own) => Ok(Some(own)),
        None => ask(known, tenant, |levels| {
            let (_, side) = levels.source_of_truth()?;
            Some(side)
        }),
    }
}

/// What the levels above a tenant say of something. Above who has no Tenant is none.
fn ask<T>(
    known: &Known,
    tenant: &Tenant,
    what: impl FnOnce(&Levels<'_>) -> Option<T>,
) -> Result<Option<T>, Explained> {
    let object = known.tenant_objects.get(&tenant.name);
    let Some(object) = object.filter(|_| tenant.declared.is_some()) else {
        return Ok(None);
    };
    let named = object.spec.project.as_ref();
    if named.is_some() && !known.projects_listed {
        return Err(unknown("Projects"));
    }
    let project = named.and_then(|name| known.projects.get(name));
    let levels = Levels::of(object, project.map(|project| &**project));
    let levels = levels.map_err(|why| missing(&why))?;
    Ok(what(&levels))
}

fn unknown(which: &str) -> Explained {
    let message = format!(
        "not all {which} are known yet, so that nobody can say whether this is delivered to git"
    );
    Explained::new(Reason::DeliveryFailed, Turn::Ours, message)
}

fn missing(why: &Missing) -> Explained {
    let message =
        format!("{why}: nobody can say where this is delivered to, or which side is right for it");
    let hint = "the platform's: mend the Tenant or its Project; until then nothing is applied and nothing is delivered";
    Explained::new(Reason::AccessDenied, Turn::Retry, message).with_hint(hint)
}
