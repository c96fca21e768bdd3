//! Whose levels are above a source: nobody is given a login whose level is not above them.
//!
//! Above a source in a tenant's namespace are its Tenant, that one's environment and Project, and the platform; above one of
//! the platform's namespaces the platform alone. In a configuration namespace, where the platform keeps sources for its
//! tenants, it is the one Tenant that names the source; where two do, what is fetched is for both, and so is only what the
//! platform gives to everybody. Whatever is named and is not there fails: passing it over would use the login above it.

use reeve_api::name::{NamespacedName, ObjectName, TenantName};
use reeve_api::reason::Reason;
use reeve_api::tenant::{GitConfigReference, Project, Tenant};

use super::LevelName;
use crate::failure::{Explained, Failure, Turn};
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
    let mut levels = Vec::new();
    if let Some(tenant) = tenant {
        let name = tenant.metadata.name.as_deref().unwrap_or_default();
        let name: TenantName = name
            .parse()
            .map_err(|_| missing(format!("the Tenant's name {name:?} is none")))?;
        let spec = &tenant.spec;
        if let Some(own) = &spec.git_config {
            levels.push((LevelName::Tenant(name.clone()), own.clone()));
        }
        match &spec.project {
            Some(of) => levels.extend(of_project(&name, spec.environment.as_ref(), of, project)?),
            None if spec.environment.is_some() => {
                let message = format!("Tenant {name} names an environment and no Project");
                return Err(missing(message));
            }
            None => {}
        }
    }
    levels.extend(global.map(|global| (LevelName::Global, global.clone())));
    Ok(levels)
}

fn of_project(
    tenant: &TenantName,
    environment: Option<&ObjectName>,
    name: &ObjectName,
    project: Option<&Project>,
) -> Result<Vec<Named>, Failure> {
    let Some(project) = project else {
        let message = format!("Tenant {tenant} names Project {name}, which does not exist");
        return Err(missing(message));
    };
    let mut levels = Vec::new();
    if let Some(wanted) = environment {
        let mut all = project.spec.environments.iter();
        let Some(found) = all.find(|environment| environment.name == *wanted) else {
            let message = format!(
                "Tenant {tenant} names environment {wanted}, which Project {name} does not have"
            );
            return Err(missing(message));
        };
        let level = LevelName::Environment {
            project: name.clone(),
            name: wanted.clone(),
        };
        levels.extend(found.git_config.clone().map(|config| (level, config)));
    }
    let own = project.spec.git_config.clone();
    levels.extend(own.map(|config| (LevelName::Project(name.clone()), config)));
    Ok(levels)
}

fn missing(what: String) -> Failure {
    let message = format!("git configuration: {what}");
    Explained::new(Reason::AccessDenied, Turn::Retry, message)
        .with_hint("the platform's: mend the Tenant or its Project; until then no login above them is used in its place")
}
