//! Whose levels are above a source: nobody is given a login whose level is not above them.
//!
//! Above a source in a tenant's namespace are its Tenant, that one's environment and Project, and the platform; above one of
//! the platform's namespaces the platform alone. In a configuration namespace, where the platform keeps sources for its
//! tenants, it is the one Tenant that names the source; where two do, what is fetched is for both, and so is only what the
//! platform gives to everybody. Whatever is named and is not there fails: passing it over would use the login above it.

use reeve_api::name::{NamespacedName, TenantName};
use reeve_api::reason::Reason;
use reeve_api::tenant::{GitConfigReference, Project, Tenant};

use super::LevelName;
use crate::failure::{Explained, Failure, Turn};
use crate::levels::{Levels, Missing};
use crate::tenancy::{Grounds, Tenants};

/// A level, and where its configuration lies.
pub type Named = (LevelName, GitConfigReference);

/// The Tenant above a source, if any is.
pub fn tenant_of(
    grounds: &Grounds,
    tenants: &Tenants,
    source: &NamespacedName,
) -> Result<Option<TenantName>, Failure> {
    if grounds.is_config(&source.namespace) {
        let mut naming = tenants.naming(&source.name);
        return Ok(match (naming.next(), naming.next()) {
            (Some(only), None) => Some(only.clone()),
            _ => None,
        });
    }
    if grounds.is_platform(&source.namespace) {
        return Ok(None);
    }
    let owner = tenants.owner_of(grounds, &source.namespace)?;
    Ok(owner.declared.is_some().then_some(owner.name))
}

/// The levels above whoever is `tenant`'s, lowest first, up to the platform's, which lies at `global`.
pub fn levels_of(
    tenant: Option<&Tenant>,
    project: Option<&Project>,
    global: Option<&GitConfigReference>,
) -> Result<Vec<Named>, Failure> {
    let mut levels = match tenant {
        None => Vec::new(),
        Some(tenant) => Levels::of(tenant, project)
            .map_err(|why| missing(&why))?
            .all(
                |tenant| tenant.spec.git_config.clone(),
                |environment| environment.git_config.clone(),
                |project| project.spec.git_config.clone(),
            ),
    };
    levels.extend(global.map(|global| (LevelName::Global, global.clone())));
    Ok(levels)
}

fn missing(what: &Missing) -> Failure {
    let message = format!("git configuration: {what}");
    Explained::new(Reason::AccessDenied, Turn::Retry, message)
        .with_hint("the platform's: mend the Tenant or its Project; until then no login above them is used in its place")
}
